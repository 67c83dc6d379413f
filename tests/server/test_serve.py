"""The life of a server in one process: when it lets somebody in, what it limits, and how it ends."""

import asyncio
import logging
import socket
import threading
from collections.abc import Awaitable, Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import pytest

from portway import LifespanFailed, Server, Settings
from portway.testing import Raw, Served, serve
from portway.types import Receive, Scope, Send

Portway = Callable[..., Any]
Handler = Callable[[Scope, Receive, Send], Awaitable[None]]

GET = b"GET / HTTP/1.1\r\nhost: a\r\n\r\n"
CLOSE = b"GET / HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n"
LOOPS = pytest.mark.parametrize("loop", ["uvloop", "asyncio"])


class App:
    """Answers, and keeps a diary of its lifespan and its requests; requests wait for `go`."""

    def __init__(self, waits: bool = False) -> None:
        self.diary: list[str] = []
        self.begun = threading.Semaphore(0)
        self.go = threading.Event()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._waits = waits

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            for _ in range(2):
                kind = (await receive())["type"]
                self.diary.append(kind.removeprefix("lifespan."))
                await send({"type": f"{kind}.complete"})
            return
        self.diary.append("request")
        self.begun.release()
        if self._waits:
            await asyncio.to_thread(self.go.wait, 20)
        await send({"type": "http.response.start", "status": 200})
        await send({"type": "http.response.body", "body": b"ok"})
        self.diary.append("answered")


@contextmanager
def stopping(server: Server) -> Iterator[threading.Thread]:
    """Stop the server while the block runs; in the end it has ended."""
    ended = threading.Thread(target=server.stop)
    ended.start()
    yield ended
    ended.join(20)


def wait_until_refused(served: Served) -> None:
    """Until the server has begun to drain: it closes its listening sockets first."""
    try:
        while True:
            socket.create_connection((served.host, served.port)).close()
    except ConnectionError:  # refused, or reset if the socket was closed this very moment
        pass


# --- the start ---


def test_nobody_is_let_in_before_the_startup_is_complete() -> None:  # ASGI 48
    refused: list[bool] = []
    ports: list[int] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await receive()
            with socket.socket() as sock:
                refused.append(sock.connect_ex(("127.0.0.1", ports[0])) != 0)
            await send({"type": "lifespan.startup.complete"})
            await receive()
            await send({"type": "lifespan.shutdown.complete"})

    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        ports.append(free.getsockname()[1])
    with serve(app, port=ports[0]):
        pass
    assert refused == [True]


def test_a_startup_that_takes_too_long_is_given_up() -> None:
    cancelled: list[bool] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await asyncio.sleep(3600)
        except asyncio.CancelledError:
            cancelled.append(True)
            raise

    words = r"did not complete its startup within 0\.1 s"
    with pytest.raises(LifespanFailed, match=words), serve(app, timeout_startup=0.1):
        pass
    assert cancelled == [True]


def test_a_shutdown_that_takes_too_long_is_given_up(caplog: pytest.LogCaptureFixture) -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await receive()
        await send({"type": "lifespan.startup.complete"})
        await asyncio.sleep(3600)

    with serve(app, timeout_shutdown=0.1):
        pass
    assert "the application did not complete its shutdown within 0.1 s" in caplog.text


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        ("await send({'type': 'lifespan.startup.failed', 'message': 'no database'})", "no database"),
        ("raise RuntimeError('no database')", "RuntimeError: no database"),
    ],
)
def test_an_application_that_cannot_start_ends_the_process_with_code_3(
    portway_command: Portway, answer: str, words: str
) -> None:
    source = f"async def app(scope, receive, send):\n    await receive()\n    {answer}\n"
    command = portway_command(source, "--port", "0")
    assert command.ends() == 3
    assert words in command.err.all()
    assert "Serving" not in command.err.all()


# --- limits ---


def test_the_request_beyond_the_limit_of_concurrency_gets_a_whole_503() -> None:
    app = App(waits=True)
    with ExitStack() as stack:
        served = stack.enter_context(serve(app, limit_concurrency=2))
        links = [stack.enter_context(Raw(served.host, served.port)) for _ in range(3)]
        for link in links[:2]:
            link.send(GET)
            assert app.begun.acquire(timeout=20)
        response = links[2].ask(GET)
        assert (response.status, response.reason) == (503, "Service Unavailable")
        assert response.header("retry-after") == "1"
        assert response.body == b"The server is busy; try again in a moment.\n"
        assert links[2].rest() == b""
        app.go.set()
        assert [link.response().status for link in links[:2]] == [200, 200]
        assert links[0].ask(GET).status == 200


def test_connections_without_a_request_are_no_concurrency() -> None:
    with ExitStack() as stack:
        served = stack.enter_context(serve(App(), limit_concurrency=1))
        links = [stack.enter_context(Raw(served.host, served.port)) for _ in range(3)]
        assert [link.ask(GET).status for link in links] == [200, 200, 200]


def test_the_last_request_of_the_limit_is_answered_and_the_server_ends() -> None:
    app = App()

    async def main() -> None:
        server = Server(app, Settings(port=0, limit_max_requests=3))
        up = asyncio.Event()
        task = asyncio.create_task(server.serve(up.set))
        await up.wait()
        reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
        writer.write(GET * 3)
        answers = await reader.read()
        writer.close()
        await asyncio.wait_for(task, 20)
        assert answers.count(b"HTTP/1.1 200 OK") == 3
        assert answers.endswith(b"ok")

    asyncio.run(main())
    assert app.diary[-1] == "shutdown"


# --- the end ---


@LOOPS
def test_the_shutdown_comes_after_the_last_response(loop: str) -> None:  # ASGI 51
    app = App(waits=True)
    with serve(app, loop=loop) as served, Raw(served.host, served.port) as raw:
        raw.send(GET)
        assert app.begun.acquire(timeout=20)
        served.server.stop()
        app.go.set()
        response = raw.response()
        assert (response.body, response.header("connection")) == (b"ok", "close")
        assert raw.rest() == b""
    assert app.diary == ["startup", "request", "answered", "shutdown"]


def test_a_request_whose_head_is_under_way_is_still_answered() -> None:
    with serve(App()) as served, Raw(served.host, served.port) as raw:
        assert raw.ask(GET).status == 200
        with Raw(served.host, served.port) as idle:
            raw.send(GET[:10])
            assert idle.ask(CLOSE).status == 200  # by now the server has read those ten bytes
            with stopping(served.server):
                raw.send(GET[10:])
                assert raw.response().header("connection") == "close"
                assert raw.rest() == b""


def test_a_connection_that_becomes_idle_while_the_server_drains_is_closed() -> None:
    # The response is there, the rest of the request's body is not: nothing is owed, and it is not idle.
    body = b"POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 10\r\n\r\n01234"
    with serve(App(), timeout_graceful_shutdown=20) as served, Raw(served.host, served.port) as raw:
        assert raw.ask(body).status == 200
        served.server.stop()
        wait_until_refused(served)
        raw.send(b"56789")
        assert raw.rest() == b""


def test_a_client_that_reads_nothing_does_not_hold_up_the_end() -> None:
    begun = threading.Event()

    async def flood(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            raise NotImplementedError
        await send({"type": "http.response.start", "status": 200})
        begun.set()
        await send({"type": "http.response.body", "body": bytes(50_000_000)})

    with serve(flood, timeout_graceful_shutdown=0) as served, Raw(served.host, served.port) as raw:
        raw.send(GET)
        assert begun.wait(20)


def test_force_ends_the_waiting_for_requests(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "portway")

    async def main() -> None:
        begun, forever = asyncio.Event(), asyncio.Event()

        async def app(scope: Scope, receive: Receive, send: Send) -> None:
            if scope["type"] == "http":
                begun.set()
                await forever.wait()

        server = Server(app, Settings(port=0, timeout_graceful_shutdown=3600))
        up = asyncio.Event()
        task = asyncio.create_task(server.serve(up.set))
        await up.wait()
        _, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
        writer.write(GET)
        await begun.wait()
        server.stop()
        for _ in range(5):  # let it begin to wait
            await asyncio.sleep(0)
        server.stop(force=True)
        await asyncio.wait_for(task, 20)
        writer.close()

    asyncio.run(main())
    assert "Waiting for 1 request to end (up to 3600 s)" in caplog.text
    assert "Cancelled after the grace: GET /" in caplog.text


# --- the programmer's handles ---


def test_stop_may_come_from_any_thread_and_more_than_once() -> None:
    app = App()
    with serve(app) as served:
        for _ in range(3):
            with stopping(served.server):
                pass
    served.server.stop()  # and when all is over
    assert app.diary == ["startup", "shutdown"]


def test_a_server_that_was_stopped_before_does_not_begin() -> None:
    app = App()

    async def main() -> None:
        server = Server(app, Settings(port=0))
        server.stop()
        await asyncio.wait_for(server.serve(lambda: app.diary.append("up")), 20)

    asyncio.run(main())
    assert app.diary == []


def test_started_says_when_connections_are_accepted() -> None:
    seen: list[bool] = []

    async def main() -> None:
        server = Server(App(), Settings(port=0))
        seen.append(server.started)

        def up() -> None:
            seen.append(server.started)
            server.stop()

        await server.serve(up)
        seen.append(server.started)

    asyncio.run(main())
    assert seen == [False, True, False]


def test_a_server_serves_once() -> None:
    async def main() -> None:
        server = Server(App(), Settings(port=0))
        await server.serve(server.stop)
        with pytest.raises(RuntimeError, match="make another one"):
            await server.serve()

    asyncio.run(main())


def test_a_server_whose_task_is_cancelled_still_shuts_the_application_down() -> None:
    app = App(waits=True)

    async def main() -> None:
        server = Server(app, Settings(port=0))
        up = asyncio.Event()
        task = asyncio.create_task(server.serve(up.set))
        await up.wait()
        address = server.sockets[0].getsockname()
        _, writer = await asyncio.open_connection(*address)
        writer.write(GET)
        await asyncio.to_thread(app.begun.acquire)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        app.go.set()
        writer.close()
        with pytest.raises(ConnectionRefusedError):
            await asyncio.open_connection(*address)

    asyncio.run(main())
    assert app.diary == ["startup", "request", "shutdown"]
