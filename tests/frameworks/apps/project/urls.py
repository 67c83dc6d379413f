from threading import current_thread

from django.db import connection
from django.http import HttpRequest, JsonResponse
from django.urls import path

# What serves this request, and how many connections of this project are open.
ASKED = "SELECT pg_backend_pid(), (SELECT count(*) FROM pg_stat_activity WHERE application_name = 'project')"


def backend(request: HttpRequest) -> JsonResponse:
    with connection.cursor() as cursor:
        cursor.execute(ASKED)
        pid, open_now = cursor.fetchone()
    return JsonResponse({"pid": pid, "open": open_now, "thread": current_thread().name})


urlpatterns = [path("backend", backend)]
