"""A Task that goes on after its response: others do not wait for it, and the server's end does."""

import asyncio
import threading
from typing import Any

import pytest

from portway.testing import Raw, serve
from portway.types import Receive, Scope, Send

GET = b"GET / HTTP/1.1\r\nhost: a\r\n\r\n"
OK = {"type": "http.response.start", "status": 200}
DONE = {"type": "http.response.body", "body": b"ok"}
LOOPS = ["uvloop", "asyncio"]


class Behind:
    """Answers at once, and then waits until the test lets it go on."""

    def __init__(self) -> None:
        self.may_end = threading.Event()
        self.ended: list[str] = []
        self.tasks = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await receive()
        await send(OK)
        await send(DONE | {"body": scope["raw_path"]})
        self.tasks += 1
        await asyncio.get_running_loop().run_in_executor(None, self.may_end.wait, 10)
        self.ended.append(scope["path"])


@pytest.mark.parametrize("loop", LOOPS)
def test_the_connection_serves_the_next_request_meanwhile(log: Any, loop: str) -> None:  # ASGI 29
    app = Behind()
    with serve(app, loop=loop, lifespan="off") as served, Raw(served.host, served.port) as raw:
        for path in (b"/1", b"/2"):
            assert raw.ask(GET.replace(b"/", path, 1)).body == path
        raw.send(GET.replace(b"/", b"/3", 1) + GET.replace(b"/", b"/4", 1))
        assert [raw.response().body, raw.response().body] == [b"/3", b"/4"]
        assert app.ended == []
        app.may_end.set()
    assert sorted(app.ended) == ["/1", "/2", "/3", "/4"]
    assert log.errors == []


def test_the_response_is_reported_when_it_ends_and_not_when_its_task_does(log: Any) -> None:
    app = Behind()
    with serve(app, lifespan="off", access_log=True) as served, Raw(served.host, served.port) as raw:
        assert raw.ask(GET).body == b"/"
        assert raw.ask(GET).body == b"/"
        assert any('"GET / HTTP/1.1" 200' in line for line in log.lines)
        assert app.ended == []
        app.may_end.set()


def test_it_goes_on_after_its_client_has_gone(log: Any) -> None:
    app = Behind()
    with serve(app, lifespan="off") as served:
        with Raw(served.host, served.port) as raw:
            assert raw.ask(GET).body == b"/"
        with Raw(served.host, served.port) as raw:
            assert raw.ask(GET).body == b"/"
        app.may_end.set()
    assert app.ended == ["/", "/"]
    assert log.errors == []


@pytest.mark.parametrize("loop", LOOPS)
def test_the_end_of_the_server_waits_for_it_within_the_grace(log: Any, loop: str) -> None:
    ended: list[str] = []
    begun = threading.Event()

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await receive()
            await send({"type": "lifespan.startup.complete"})
            await receive()
            ended.append("lifespan")
            await send({"type": "lifespan.shutdown.complete"})
            return
        await send(OK)
        await send(DONE)
        begun.set()
        await asyncio.sleep(0.3)
        ended.append("request")

    with serve(app, loop=loop) as served, Raw(served.host, served.port) as raw:
        assert raw.ask(GET).body == b"ok"
        assert begun.wait(10)
    assert ended == ["request", "lifespan"]
    assert log.errors == []


def test_after_the_grace_it_is_cancelled(log: Any) -> None:
    ended: list[str] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await send(OK)
        await send(DONE)
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            ended.append("cancelled")
            raise

    with serve(app, lifespan="off", timeout_graceful_shutdown=0.1) as served, Raw(served.host, served.port) as raw:
        assert raw.ask(GET).body == b"ok"
    assert ended == ["cancelled"]
    assert log.error == "Cancelled after the grace: GET /"
