"""What people build, in Django with Channels, as one file."""

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
    CHANNEL_LAYERS={"default": {"BACKEND": "channels.layers.InMemoryChannelLayer"}},
)
django.setup()

from channels.exceptions import DenyConnection  # noqa: E402 - not before the settings
from channels.generic.websocket import (  # noqa: E402
    AsyncJsonWebsocketConsumer,
    AsyncWebsocketConsumer,
    WebsocketConsumer,
)
from channels.routing import ProtocolTypeRouter, URLRouter  # noqa: E402
from django.core.asgi import get_asgi_application  # noqa: E402

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


class Echo(AsyncWebsocketConsumer):
    async def connect(self) -> None:
        offered = self.scope["subprotocols"]
        await self.accept(offered[-1] if offered else None, [(b"x-name", b"django")])

    async def receive(self, text_data: str | None = None, bytes_data: bytes | None = None) -> None:
        await self.send(text_data, bytes_data)

    async def disconnect(self, code: int) -> None:
        key = self.scope["query_string"].decode().removeprefix("key=")
        left.append(f"{code} {key}")


class Count(AsyncJsonWebsocketConsumer):
    async def receive_json(self, content: Any, **kwargs: Any) -> None:
        await self.send_json({"next": content["n"] + 1})


class Chat(AsyncJsonWebsocketConsumer):
    """As in the tutorial of Channels, over the layer in memory."""

    async def connect(self) -> None:
        await self.channel_layer.group_add("chat", self.channel_name)
        await self.accept()
        await self.send("in")

    async def receive(self, text_data: str | None = None, bytes_data: bytes | None = None) -> None:
        await self.channel_layer.group_send("chat", {"type": "chat.message", "text": text_data})

    async def chat_message(self, event: dict[str, Any]) -> None:
        await self.send(event["text"])

    async def disconnect(self, code: int) -> None:
        await self.channel_layer.group_discard("chat", self.channel_name)


class Push(AsyncWebsocketConsumer):
    async def connect(self) -> None:
        await self.accept()
        self.pushing = asyncio.create_task(self.push())

    async def push(self) -> None:
        while True:
            await self.send("tick")
            await asyncio.sleep(0.01)

    async def disconnect(self, code: int) -> None:
        self.pushing.cancel()
        await asyncio.wait([self.pushing])
        self.pushing.cancelled() or self.pushing.exception()
        left.append(self.scope["query_string"].decode().removeprefix("key="))


class Bye(AsyncWebsocketConsumer):
    async def connect(self) -> None:
        await self.accept()
        await self.close(4001, "enough")


class Refuse(AsyncWebsocketConsumer):
    async def connect(self) -> None:
        raise DenyConnection


class Fail(AsyncWebsocketConsumer):
    async def connect(self) -> None:
        await self.accept()
        raise ZeroDivisionError("on purpose")


class InThread(WebsocketConsumer):
    """One without async: Channels runs it in a thread."""

    def receive(self, text_data: str | None = None, bytes_data: bytes | None = None) -> None:
        self.send(text_data, bytes_data)


sockets = [
    path("ws/echo", Echo.as_asgi()),
    path("ws/count", Count.as_asgi()),
    path("ws/chat", Chat.as_asgi()),
    path("ws/push", Push.as_asgi()),
    path("ws/bye", Bye.as_asgi()),
    path("ws/refuse", Refuse.as_asgi()),
    path("ws/error", Fail.as_asgi()),
    path("ws/in/thread", InThread.as_asgi()),
]

app = ProtocolTypeRouter({"http": get_asgi_application(), "websocket": URLRouter(sockets)})
