"""What people build, in Django, as one file."""

import asyncio
import hashlib
import json
import uuid
from collections.abc import AsyncIterator
from typing import Any

import django
from django.conf import settings
from django.http import HttpRequest, HttpResponse, HttpResponseBase, JsonResponse, StreamingHttpResponse
from django.shortcuts import redirect
from django.urls import path

settings.configure(
    ALLOWED_HOSTS=["*"],
    DEBUG=False,
    SECRET_KEY="a secret for tests",
    ROOT_URLCONF=__name__,
    SESSION_ENGINE="django.contrib.sessions.backends.signed_cookies",
    MIDDLEWARE=["django.contrib.sessions.middleware.SessionMiddleware"],
    LOGGING_CONFIG=None,
    USE_TZ=True,
)
django.setup()

from django.core.asgi import get_asgi_application  # noqa: E402 - not before the settings

left: list[str] = []


def read_json(request: HttpRequest) -> HttpResponse:  # a plain view: Django runs it in a thread
    if request.method == "POST":
        return JsonResponse(json.loads(request.body), safe=False)
    return JsonResponse({"hello": request.GET["name"], "from": "django"})


def upload(request: HttpRequest) -> HttpResponse:
    file: Any = request.FILES["file"]
    digest = hashlib.sha256()
    for piece in file.chunks():
        digest.update(piece)
    return JsonResponse({"note": request.POST["note"], "name": file.name, "sha256": digest.hexdigest()})


async def raw(request: HttpRequest) -> HttpResponse:
    return JsonResponse({"sha256": hashlib.sha256(request.read()).hexdigest()})


async def download(request: HttpRequest) -> HttpResponseBase:
    async def pieces() -> AsyncIterator[bytes]:
        for number in range(int(request.GET["pieces"])):
            yield b"%07d\n" % number * 8192

    return StreamingHttpResponse(pieces(), content_type="text/plain")


def visit(request: HttpRequest) -> HttpResponse:
    request.session["visits"] = request.session.get("visits", 0) + 1
    return JsonResponse({"visits": request.session["visits"]})


def cookies(request: HttpRequest) -> HttpResponse:
    response = JsonResponse(request.COOKIES)
    response.set_cookie("a", "1")
    response.set_cookie("b", "2", httponly=True)
    return response


async def error(request: HttpRequest) -> HttpResponse:
    raise ZeroDivisionError("on purpose")


waiting = 0
all_here = asyncio.Event()


async def meet(request: HttpRequest) -> HttpResponse:
    """Answers when as many requests are in it as each of them says."""
    global waiting, all_here
    waiting += 1
    here_now = all_here
    if waiting == int(request.GET["of"]):
        waiting, all_here = 0, asyncio.Event()
        here_now.set()
    await here_now.wait()
    return JsonResponse({"id": str(uuid.uuid4())})


async def nothing(request: HttpRequest) -> HttpResponse:
    return HttpResponse(status=204)


async def to_json(request: HttpRequest) -> HttpResponse:
    return redirect("/json?name=again")


async def events(request: HttpRequest) -> HttpResponseBase:
    async def ticks() -> AsyncIterator[bytes]:
        try:
            while True:
                yield b"data: tick\n\n"
                await asyncio.sleep(0.01)
        finally:
            left.append(request.GET["key"])

    return StreamingHttpResponse(ticks(), content_type="text/event-stream")


async def wait(request: HttpRequest) -> HttpResponse:
    """A view that Django cancels when its client leaves."""
    left.append("here is " + request.GET["key"])
    try:
        await asyncio.sleep(60)
    finally:
        left.append(request.GET["key"])
    return HttpResponse()


async def events_left(request: HttpRequest) -> HttpResponse:
    return JsonResponse(left, safe=False)


urlpatterns = [
    path("json", read_json),
    path("upload", upload),
    path("raw", raw),
    path("download", download),
    path("visit", visit),
    path("cookies", cookies),
    path("error", error),
    path("meet", meet),
    path("nothing", nothing),
    path("redirect", to_json),
    path("events", events),
    path("events/left", events_left),
    path("wait", wait),
]

app = get_asgi_application()
