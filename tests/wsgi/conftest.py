"""What the tests of WSGI share: servers in both of the ways to run an application, and exchanges by both versions."""

import socket
import struct
from collections.abc import Callable, Iterable
from typing import Any

import pytest

from portway.testing import Raw, Response, serve
from portway.wsgi import desk

PATIENCE = 20.0
MODES = {"threads": 4, "inline": 0}

Pairs = list[tuple[str, str]]


@pytest.fixture(params=list(MODES))
def mode(request: pytest.FixtureRequest) -> str:
    """How applications run."""
    return str(request.param)


@pytest.fixture
def wsgi(mode: str) -> Callable[..., serve]:
    """`with wsgi(app, **settings) as served:` in each of the two ways."""
    return lambda app, **settings: serve(app, **{"interface": "wsgi", "wsgi_threads": MODES[mode]} | settings)


@pytest.fixture
def threaded() -> Callable[..., serve]:
    """`with threaded(app, **settings) as served:` on threads alone."""
    return lambda app, **settings: serve(app, **{"interface": "wsgi", "wsgi_threads": 4} | settings)


class Seen:
    """What a client saw of one response; `cut` says that it was not whole."""

    def __init__(self) -> None:
        self.status = 0
        self.headers: Pairs = []
        self.body = b""
        self.cut = False

    def __repr__(self) -> str:
        return f"<Seen {self.status} {len(self.body)} bytes cut={self.cut}>"

    def header(self, name: str) -> str | None:
        found = [value for key, value in self.headers if key == name]
        return ", ".join(found) if found else None


def by_http1(served: Any, method: str, path: str, headers: Iterable[tuple[str, str]], body: bytes) -> Seen:
    seen = Seen()
    length = [("content-length", str(len(body)))] if body else []
    lines = "".join(f"{name}: {value}\r\n" for name, value in [*length, *headers])
    with Raw(served.host, served.port, PATIENCE) as raw:
        raw.send(f"{method} {path} HTTP/1.1\r\nhost: a\r\n{lines}\r\n".encode("latin-1") + body)
        try:
            response = raw.response(head_only=True)
            seen.status, seen.headers = response.status, response.headers
            if method != "HEAD" and response.status not in (204, 304):
                raw._read_body(response)
        except (EOFError, ConnectionResetError):
            seen.cut = True
        if seen.status:
            seen.body = response.body or (raw.rest() if seen.cut else b"")
    return seen


@pytest.fixture
def by_http2(dial: Any) -> Callable[..., Seen]:
    def one(served: Any, method: str, path: str, headers: Iterable[tuple[str, str]], body: bytes) -> Seen:
        seen = Seen()
        length = [("content-length", str(len(body)))] if body else []
        with dial(served) as client:
            pairs = [(name, value.encode("latin-1")) for name, value in [*length, *headers]]
            answer = client.ask(path, *pairs, body=body, method=method)
        seen.status, seen.headers, seen.body = answer.status, answer.headers, answer.body
        seen.cut = not answer.ended
        return seen

    return one


@pytest.fixture(params=["HTTP/1.1", "HTTP/2"])
def fetch(request: pytest.FixtureRequest, by_http2: Any) -> Callable[..., Seen]:
    """`fetch(served, method="GET", path="/", headers=(), body=b"")`: one request by a connection of its own."""
    one = by_http1 if request.param == "HTTP/1.1" else by_http2

    def fetch(
        served: Any, method: str = "GET", path: str = "/", headers: Iterable[tuple[str, str]] = (), body: bytes = b""
    ) -> Seen:
        return one(served, method, path, headers, body)  # type: ignore[no-any-return]

    return fetch


@pytest.fixture
def ask(wsgi: Any) -> Callable[..., Response]:
    """One request to an application by HTTP/1.1, until the server has ended: `ask(app, request, **settings)`."""

    def one(app: Any, request: bytes = b"GET / HTTP/1.1\r\nhost: a\r\n\r\n", **settings: Any) -> Response:
        with wsgi(app, **settings) as served, Raw(served.host, served.port) as raw:
            raw.send(request)
            return raw.response(head_only=request.startswith(b"HEAD"))

    return one


def hang_up(raw: Raw) -> None:
    """End the connection with a reset."""
    raw.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    raw.socket.close()


@pytest.fixture
def reset() -> Callable[[Raw], None]:
    return hang_up


@pytest.fixture
def unlooked(monkeypatch: pytest.MonkeyPatch) -> None:
    """No call is looked at for having taken long: what is noticed is noticed by itself."""
    monkeypatch.setattr(desk, "LOOK", 10_000.0)
