"""Applications to mount: each says who it is, what it was asked for and what it received."""

import asyncio
import contextlib
import hashlib
import json
import logging
import socket
import threading
from collections.abc import Callable, Iterator
from contextvars import ContextVar
from typing import Any

import httpx
import pytest

from portway.testing import serve
from portway.types import ASGIApp, Receive, Scope, Send

HELD: ContextVar[str] = ContextVar("HELD", default="nothing")


async def whole_body(receive: Receive) -> bytes:
    body = b""
    while True:
        message = await receive()
        assert message["type"] == "http.request", message
        body += message["body"]
        if not message["more_body"]:
            return body


def teller(name: str, status: int = 200, reads: bool = True) -> ASGIApp:
    """Answers a request, or the first message of a WebSocket, with what it knows; has no lifespan."""

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            raise NotImplementedError
        knows = {
            "name": name,
            "path": scope["path"],
            "raw_path": scope["raw_path"].decode(),
            "root_path": scope["root_path"],
            "state": scope.get("state"),
            "held": HELD.get(),
        }
        if scope["type"] == "websocket":
            await receive()
            await send({"type": "websocket.accept"})
            await receive()
            await send({"type": "websocket.send", "text": json.dumps(knows)})
            return
        if reads:
            knows["body"] = (await whole_body(receive)).decode("latin-1")
        await send({"type": "http.response.start", "status": status})
        await send({"type": "http.response.body", "body": json.dumps(knows).encode()})

    return app


class Living:
    """A teller with a lifespan, which keeps a diary shared with others."""

    def __init__(self, name: str, diary: list[str], fails: str = "", status: int = 200) -> None:
        self.name = name
        self.diary = diary
        self.fails = fails
        self._tell = teller(name, status)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "lifespan":
            self.diary.append(f"{self.name} asked")
            await self._tell(scope, receive, send)
            return
        await receive()
        await asyncio.sleep(0)
        if self.fails:
            self.diary.append(f"{self.name} fails")
            await send({"type": "lifespan.startup.failed", "message": self.fails})
            return
        HELD.set(self.name)
        scope["state"]["of"] = self.name
        scope["state"]["list"] = []
        self.diary.append(f"{self.name} up")
        await send({"type": "lifespan.startup.complete"})
        await receive()
        self.diary.append(f"{self.name} down")
        await send({"type": "lifespan.shutdown.complete"})


@pytest.fixture
def tell() -> Callable[..., ASGIApp]:
    """`tell(name)` is an application that tells what it was asked for."""
    return teller


@pytest.fixture
def living() -> type[Living]:
    return Living


@pytest.fixture
def client() -> Callable[..., contextlib.AbstractContextManager[httpx.Client]]:
    """`with client(app, **settings) as http:` serves the application to a client."""

    @contextlib.contextmanager
    def one(app: Any, http2: bool = False, **settings: Any) -> Iterator[httpx.Client]:
        with (
            serve(app, **settings) as served,
            httpx.Client(base_url=served.url, timeout=20, http1=not http2, http2=http2) as http,
        ):
            yield http

    return one


@pytest.fixture
def said(caplog: pytest.LogCaptureFixture) -> Callable[[str], list[str]]:
    """The lines of a logger, as far as there are any."""
    caplog.set_level(logging.INFO)

    def lines(name: str = "portway") -> list[str]:
        return [record.getMessage() for record in caplog.records if record.name == name]

    return lines


@pytest.fixture
def unused_port() -> int:
    """One that was free a moment ago, for servers that cannot take one themselves."""
    with socket.create_server(("127.0.0.1", 0)) as sock:
        return int(sock.getsockname()[1])


# --- before a fallback, and behind it ---


def answering(status: int, body: bytes = b"main's own", before: Any = None, after: Any = None) -> Any:
    """An application that does something before and after its answer."""

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            raise NotImplementedError
        if before is not None:
            await before(scope, receive, send)
        await send({"type": "http.response.start", "status": status, "headers": [(b"x-from", b"main")]})
        await send({"type": "http.response.body", "body": body, "more_body": True})
        await send({"type": "http.response.body"})
        if after is not None:
            await after(scope, receive, send)

    return app


async def reading_all(scope: Scope, receive: Receive, send: Send) -> None:
    while (await receive()).get("more_body"):
        pass


async def counter(scope: Scope, receive: Receive, send: Send) -> None:
    """Answers with the length and the hash of what it received, then notes what else it is told."""
    if scope["type"] == "lifespan":
        raise NotImplementedError
    found, size = hashlib.sha256(), 0
    while True:
        message = await receive()
        found.update(message["body"])
        size += len(message["body"])
        if not message["more_body"]:
            break
    body = json.dumps([size, found.hexdigest()]).encode()
    await send({"type": "http.response.start", "status": 200})
    await send({"type": "http.response.body", "body": body})


def digested(data: bytes) -> list[Any]:
    return [len(data), hashlib.sha256(data).hexdigest()]


@pytest.fixture
def answers() -> Callable[..., ASGIApp]:
    """`answers(status, body, before, after)` is an application that does something before and after its answer."""
    return answering


@pytest.fixture
def read_all() -> Any:
    """For `before`: all of the body is read."""
    return reading_all


@pytest.fixture
def counting() -> ASGIApp:
    """Answers with the `digest` of what it received."""
    return counter


@pytest.fixture
def digest() -> Callable[[bytes], list[Any]]:
    """The length and the hash of a body."""
    return digested


@pytest.fixture
def no_lent_thread_is_left() -> Iterator[None]:
    yield
    lent = [thread for thread in threading.enumerate() if thread.name.startswith("portway-sensitive")]
    for thread in lent:
        thread.join(20)
    assert not [thread for thread in lent if thread.is_alive()]
