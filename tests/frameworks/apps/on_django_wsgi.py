"""What people build, in Django without async: the project of on_django, by another door and with pages of its own."""

import hashlib
import threading
from collections.abc import Iterator
from pathlib import Path

import on_django
from django.core.handlers.wsgi import WSGIHandler, WSGIRequest
from django.http import FileResponse, HttpRequest, HttpResponse, HttpResponseBase, JsonResponse, StreamingHttpResponse
from django.shortcuts import redirect
from django.urls import path

left: list[str] = []


class Site(WSGIHandler):
    """Finds its pages here, for the settings name those of on_django."""

    def get_response(self, request: WSGIRequest) -> HttpResponseBase:
        request.urlconf = __name__
        answer: HttpResponseBase = super().get_response(request)
        return answer


def read_json(request: HttpRequest) -> HttpResponse:
    if request.method == "POST":
        return on_django.read_json(request)
    name = threading.current_thread().name
    return JsonResponse({"hello": request.GET["name"], "from": "django_wsgi", "thread": name})


def raw(request: HttpRequest) -> HttpResponse:
    """Read to the end, as far as Django sees one."""
    length = int(request.META.get("CONTENT_LENGTH") or 0)
    return JsonResponse({"length": length, "sha256": hashlib.sha256(request.read()).hexdigest()})


def lines(request: HttpRequest) -> HttpResponse:
    return JsonResponse([len(line) for line in request], safe=False)


def download(request: HttpRequest) -> HttpResponseBase:
    pieces = (b"%07d\n" % number * 8192 for number in range(int(request.GET["pieces"])))
    return StreamingHttpResponse(pieces, content_type="text/plain")


def file(request: HttpRequest) -> HttpResponseBase:
    return FileResponse(Path(request.GET["path"]).open("rb"))


def to_json(request: HttpRequest) -> HttpResponse:
    return redirect("/json?name=again")


def nothing(request: HttpRequest) -> HttpResponse:
    return HttpResponse(status=204)


def error(request: HttpRequest) -> HttpResponse:
    raise ZeroDivisionError("on purpose")


def broken(request: HttpRequest) -> HttpResponseBase:
    def pieces() -> Iterator[bytes]:
        yield b"the first"
        raise ZeroDivisionError("on purpose")

    return StreamingHttpResponse(pieces())


def events(request: HttpRequest) -> HttpResponseBase:
    key = request.GET["key"]

    def ticks() -> Iterator[bytes]:
        try:
            while True:
                yield b"data: tick\n\n"
        finally:
            left.append(key)

    return StreamingHttpResponse(ticks(), content_type="text/event-stream")


def events_left(request: HttpRequest) -> HttpResponse:
    return JsonResponse(left, safe=False)


urlpatterns = [
    path("json", read_json),
    path("upload", on_django.upload),
    path("raw", raw),
    path("lines", lines),
    path("download", download),
    path("file", file),
    path("visit", on_django.visit),
    path("cookies", on_django.cookies),
    path("redirect", to_json),
    path("nothing", nothing),
    path("error", error),
    path("broken", broken),
    path("events", events),
    path("events/left", events_left),
]

app = Site()
