"""`portway.WSGI` as a part of others: mounted in frameworks, below middleware, and under other servers."""

import asyncio
import contextlib
import io
import socket
import threading
from collections.abc import Callable, Iterator
from types import SimpleNamespace
from typing import Any
from wsgiref.validate import validator

import fastapi
import hypercorn.asyncio
import hypercorn.config
import pytest
import starlette.applications
import starlette.middleware
import starlette.middleware.base
import starlette.routing
import uvicorn

import portway
from portway.testing import Raw, serve
from portway.types import ASGIApp, Message, Receive, Scope, Send

Environ = dict[str, Any]

PATIENCE = 20.0
GET = b"GET / HTTP/1.1\r\nhost: a\r\n\r\n"
PLAIN = [("Content-Type", "text/plain")]


# --- servers ---


@contextlib.contextmanager
def by_portway(app: ASGIApp) -> Iterator[Any]:
    with serve(app) as served:
        yield served


@contextlib.contextmanager
def by_uvicorn(app: ASGIApp) -> Iterator[Any]:
    with listening() as sock:
        config = uvicorn.Config(app, log_config=None, lifespan="auto", ws="none", timeout_graceful_shutdown=1)
        server = uvicorn.Server(config)
        thread = threading.Thread(target=asyncio.run, args=(server.serve([sock]),))
        thread.start()
        try:
            yield where(sock)
        finally:
            server.should_exit = True
            thread.join()


@contextlib.contextmanager
def by_hypercorn(app: ASGIApp) -> Iterator[Any]:
    with listening() as sock:
        config = hypercorn.config.Config()
        config.bind = [f"fd://{sock.fileno()}"]
        config.graceful_timeout = 1
        config.errorlog = None
        loop: asyncio.AbstractEventLoop | None = None
        stop: asyncio.Event | None = None
        up = threading.Event()

        async def main() -> None:
            nonlocal loop, stop
            loop, stop = asyncio.get_running_loop(), asyncio.Event()
            up.set()
            await hypercorn.asyncio.serve(app, config, mode="asgi", shutdown_trigger=stop.wait)  # type: ignore[arg-type]

        thread = threading.Thread(target=asyncio.run, args=(main(),))
        thread.start()
        assert up.wait(PATIENCE)
        try:
            yield where(sock)
        finally:
            assert loop is not None
            assert stop is not None
            loop.call_soon_threadsafe(stop.set)
            thread.join()
            sock.detach()


@contextlib.contextmanager
def listening() -> Iterator[socket.socket]:
    with socket.create_server(("127.0.0.1", 0)) as sock:
        yield sock


def where(sock: socket.socket) -> Any:
    host, port = sock.getsockname()
    return SimpleNamespace(host=host, port=port)


SERVERS = {"portway": by_portway, "uvicorn": by_uvicorn, "hypercorn": by_hypercorn}


@pytest.fixture(params=list(SERVERS))
def server(request: pytest.FixtureRequest) -> Callable[[ASGIApp], contextlib.AbstractContextManager[Any]]:
    return SERVERS[request.param]


# --- frameworks ---


def in_nothing(app: ASGIApp) -> tuple[ASGIApp, str]:
    return app, ""


def in_starlette(app: ASGIApp) -> tuple[ASGIApp, str]:
    return starlette.applications.Starlette(routes=[starlette.routing.Mount("/old", app)]), "/old"


def in_fastapi(app: ASGIApp) -> tuple[ASGIApp, str]:
    api = fastapi.FastAPI()
    api.mount("/old", app)
    return api, "/old"


class Passing(starlette.middleware.base.BaseHTTPMiddleware):
    async def dispatch(self, request: Any, call_next: Any) -> Any:
        return await call_next(request)


def below_middleware(app: ASGIApp) -> tuple[ASGIApp, str]:
    """With Starlette's own kind, which hands messages on through streams."""
    return starlette.applications.Starlette(
        routes=[starlette.routing.Mount("/old", app)], middleware=[starlette.middleware.Middleware(Passing)]
    ), "/old"


@pytest.fixture(params=[in_nothing, in_starlette, in_fastapi, below_middleware], ids=lambda each: each.__name__)
def within(request: pytest.FixtureRequest) -> Callable[[ASGIApp], tuple[ASGIApp, str]]:
    return request.param  # type: ignore[no-any-return]


class Kinds:
    """An application of several kinds, by path."""

    def __init__(self) -> None:
        self.environs: list[Environ] = []
        self.closed = threading.Semaphore(0)
        self.began = threading.Semaphore(0)

    def __call__(self, environ: Environ, start_response: Any) -> Any:
        self.environs.append(environ)
        path = environ["PATH_INFO"]
        source = environ["wsgi.input"]
        if path == "/endless":
            start_response("200 OK", PLAIN)
            return Endless(self)
        body = source.read(int(environ.get("CONTENT_LENGTH") or 0))
        if path == "/written":
            start_response("200 OK", PLAIN)(b"hello ")
            return [b"world", body]
        if path == "/file":
            start_response("200 OK", PLAIN)
            return environ["wsgi.file_wrapper"](io.BytesIO(b"hello world" + body), 4000)
        start_response("200 OK", PLAIN)
        return [b"hello world" + body] if path != "/pieces" else iter([b"hello ", b"world", body])


class Endless:
    def __init__(self, kinds: Kinds) -> None:
        self.kinds = kinds

    def __iter__(self) -> Iterator[bytes]:
        self.kinds.began.release()
        while True:
            yield b"x" * 1000

    def close(self) -> None:
        self.kinds.closed.release()


def test_every_kind_of_answer_comes_through(server: Any, within: Any, mode: str) -> None:
    app, prefix = within(portway.WSGI(validator(Kinds()), threads=2 if mode == "threads" else 0))
    with server(app) as served:
        for path in ("/one", "/pieces", "/written", "/file"):
            with Raw(served.host, served.port, PATIENCE) as raw:
                target = (prefix + path).encode()
                get = GET.replace(b"/", target, 1)
                assert raw.ask(get).body == b"hello world"
                post = get.replace(b"GET", b"POST").replace(b"\r\n\r\n", b"\r\ncontent-length: 300000\r\n\r\n")
                assert raw.ask(post + b"x" * 300_000).body == b"hello world" + b"x" * 300_000
                chunks = get.replace(b"GET", b"POST").replace(b"\r\n\r\n", b"\r\ntransfer-encoding: chunked\r\n\r\n")
                assert raw.ask(chunks + b"3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n").body == b"hello worldabcde"


def test_the_mount_is_the_script_name(server: Any, within: Any) -> None:
    kinds = Kinds()
    app, prefix = within(portway.WSGI(kinds, threads=1))
    with server(app) as served, Raw(served.host, served.port, PATIENCE) as raw:
        assert raw.ask(GET.replace(b"/", prefix.encode() + b"/caf%C3%A9%2F?a=b", 1)).status == 200
    (environ,) = kinds.environs
    assert environ["SCRIPT_NAME"] == prefix
    assert environ["PATH_INFO"] == "/caf\xc3\xa9/"
    assert environ["QUERY_STRING"] == "a=b"
    assert environ["SERVER_PORT"] == str(served.port)
    assert environ["REMOTE_ADDR"] == "127.0.0.1"


def test_who_leaves_an_endless_stream_sets_its_thread_free(server: Any, within: Any, mode: str, reset: Any) -> None:
    kinds = Kinds()
    app, prefix = within(portway.WSGI(kinds, threads=2 if mode == "threads" else 0))
    with server(app) as served:
        for number in range(8):  # more than there are threads
            raw = Raw(served.host, served.port, PATIENCE)
            raw.send(GET.replace(b"/", prefix.encode() + b"/endless", 1))
            raw.exactly(5000)
            reset(raw) if number % 2 else raw.close()
            assert kinds.closed.acquire(timeout=PATIENCE)
        with Raw(served.host, served.port, PATIENCE) as raw:
            assert raw.ask(GET.replace(b"/", prefix.encode() + b"/one", 1)).body == b"hello world"


def test_an_error_of_the_application_is_its_servers_to_answer(server: Any) -> None:
    def app(environ: Environ, start_response: Any) -> Any:
        raise ZeroDivisionError

    with server(portway.WSGI(app, threads=1)) as served, Raw(served.host, served.port, PATIENCE) as raw:
        raw.send(GET)
        assert raw.response().status == 500


def test_a_body_that_is_cut_is_an_error_under_each_server(server: Any, reset: Any) -> None:
    outcomes: list[Any] = []
    began, through = threading.Event(), threading.Event()

    def app(environ: Environ, start_response: Any) -> Any:
        began.set()
        try:
            outcomes.append(environ["wsgi.input"].read())
        except ConnectionResetError as error:
            outcomes.append(type(error))
        through.set()
        start_response("200 OK", PLAIN)
        return []

    with server(portway.WSGI(app, threads=1)) as served, Raw(served.host, served.port, PATIENCE) as raw:
        raw.send(b"POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 100\r\n\r\nabc")
        assert began.wait(PATIENCE)
        reset(raw)
        assert through.wait(PATIENCE)
    assert outcomes == [portway.ClientDisconnected]


# --- what stands between ---


@pytest.mark.parametrize("at", [1, 2, 5])
def test_a_send_that_raises_sets_the_thread_free_and_closes(mode: str, at: int, log: Any) -> None:
    kinds = Kinds()
    service = portway.WSGI(kinds, threads=1 if mode == "threads" else 0)

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        count = 0

        async def refuses(message: Message) -> None:
            nonlocal count
            count += 1
            if scope["path"] == "/endless" and count >= at:
                raise ZeroDivisionError("in between")
            await send(message)

        await service(scope, receive, refuses if scope["type"] == "http" else send)

    with serve(app, lifespan="off") as served:
        for _ in range(3):
            with Raw(served.host, served.port, PATIENCE) as raw:
                raw.send(GET.replace(b"/", b"/endless", 1))
                assert kinds.closed.acquire(timeout=PATIENCE)
                raw.rest()
        with Raw(served.host, served.port, PATIENCE) as raw:
            assert raw.ask(GET.replace(b"/", b"/one", 1)).body == b"hello world"
    assert all("ZeroDivisionError" in error for error in log.errors)
    assert len(log.errors) == 3


def test_a_receive_that_raises_ends_the_request(log: Any) -> None:
    outcomes: list[Any] = []
    began = threading.Event()

    def wsgi(environ: Environ, start_response: Any) -> Any:
        began.set()
        try:
            outcomes.append(environ["wsgi.input"].read())
        except ConnectionResetError as error:
            outcomes.append(type(error))
            raise
        return []

    service = portway.WSGI(wsgi, threads=1)

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        async def fails() -> Message:
            await asyncio.to_thread(began.wait, PATIENCE)
            raise ZeroDivisionError("in between")

        await service(scope, fails, send)

    with serve(app, lifespan="off") as served, Raw(served.host, served.port, PATIENCE) as raw:
        assert raw.ask(b"POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 3\r\n\r\nabc").status == 500
    assert outcomes == [portway.ClientDisconnected]
    assert "in between" in log.error


def test_a_websocket_is_refused(peer: Any) -> None:
    with peer(portway.WSGI(Kinds())) as client:
        client.send(
            b"GET / HTTP/1.1\r\nhost: a\r\nupgrade: websocket\r\nconnection: upgrade\r\n"
            b"sec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\nsec-websocket-version: 13\r\n\r\n"
        )
        assert client.response().status == 403


def test_something_else_is_an_error() -> None:
    async def nothing(*args: Any) -> Any:
        raise AssertionError

    with pytest.raises(RuntimeError, match="cannot serve a scope of type 'telnet'"):
        asyncio.run(portway.WSGI(Kinds())({"type": "telnet"}, nothing, nothing))  # type: ignore[arg-type]


def test_what_cannot_be_called_is_no_application() -> None:
    with pytest.raises(portway.SettingsError, match="must be callable"):
        portway.WSGI("app")  # type: ignore[arg-type]


def test_its_repr_names_the_application() -> None:
    assert repr(portway.WSGI(print)) == "<WSGI <built-in function print>>"
