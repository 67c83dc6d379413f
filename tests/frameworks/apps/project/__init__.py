"""A Django project as `django-admin startproject` lays one out, with a PostgreSQL and no models."""
