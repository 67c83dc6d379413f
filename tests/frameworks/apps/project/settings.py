import os

ALLOWED_HOSTS = ["*"]
SECRET_KEY = "a secret for tests"
ROOT_URLCONF = "project.urls"
MIDDLEWARE = ["django.middleware.common.CommonMiddleware"]  # which sets Content-Length
USE_TZ = True
DATABASES = {
    "default": {
        "ENGINE": "django.db.backends.postgresql",
        "HOST": os.environ["POSTGRES_FOLDER"],
        "USER": "portway",
        "NAME": "postgres",
        "CONN_MAX_AGE": float(os.environ.get("CONN_MAX_AGE", "600")),
        "OPTIONS": {"application_name": "project"},
    }
}
