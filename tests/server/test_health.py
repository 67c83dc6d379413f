"""`--health-path`: the server's own answer, and the requests that wait until the application is ready."""

import asyncio
import contextvars
import json
import logging
import signal
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import pytest

from portway import LifespanFailed, Server, Settings
from portway.boot import loop_factory
from portway.testing import Raw, Response, serve
from portway.types import Receive, Scope, Send

Portway = Callable[..., Any]

GET = b"GET / HTTP/1.1\r\nhost: a\r\n\r\n"
PROBE = b"%b /healthz HTTP/1.1\r\nhost: a\r\n\r\n"
HEALTH = PROBE % b"GET"
LOOPS = pytest.mark.parametrize("loop", ["uvloop", "asyncio"])

left = contextvars.ContextVar("left", default="nothing")


class App:
    """Its startup waits for `ready`, and its requests for `go`; it answers with what startup left behind."""

    def __init__(self) -> None:
        self.ready = threading.Event()
        self.go = threading.Event()
        self.go.set()
        self.starting = threading.Event()
        self.begun = threading.Semaphore(0)
        self.fails = False
        self.paths: list[str] = []

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self.live(scope, receive, send)
            return
        assert self.ready.is_set()  # ASGI 48
        self.paths.append(scope["path"])
        self.begun.release()
        await asyncio.to_thread(self.go.wait, 20)
        words = f"{left.get()} {scope['state']['pool']}"
        scope["state"]["pool"] = "changed"
        if scope["type"] == "websocket":
            await receive()
            await send({"type": "websocket.accept"})
            await send({"type": "websocket.send", "text": words})
            await send({"type": "websocket.close"})
            return
        body, more = words.encode(), True
        while more:
            message = await receive()
            body, more = body + message["body"], message["more_body"]
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"%d" % len(body))]})
        await send({"type": "http.response.body", "body": body})

    async def live(self, scope: Scope, receive: Receive, send: Send) -> None:
        await receive()
        left.set("ours")
        self.starting.set()
        await asyncio.to_thread(self.ready.wait, 20)
        if self.fails:
            await send({"type": "lifespan.startup.failed", "message": "no database"})
            return
        scope["state"]["pool"] = "full"
        await send({"type": "lifespan.startup.complete"})
        await receive()
        await send({"type": "lifespan.shutdown.complete"})


def told(response: Response) -> tuple[int, dict[str, str]]:
    assert response.header("content-type") == "application/json"
    assert response.header("cache-control") == "no-store"
    assert b"\n" not in response.body
    return response.status, json.loads(response.body)


class Started:
    """A server in a thread, which may not be up yet."""

    def __init__(self, app: App, loop: str, **settings: Any) -> None:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        self.host, self.port = "127.0.0.1", port
        self.app = app
        self.server = Server(app, Settings(port=port, health_path="/healthz", **settings))
        self.failure: BaseException | None = None
        self.up = threading.Event()
        self._thread = threading.Thread(target=self._run, args=(loop,))
        self._thread.start()
        assert app.starting.wait(20)

    def _run(self, loop: str) -> None:
        try:
            with asyncio.Runner(loop_factory=loop_factory(loop)) as runner:
                runner.run(self.server.serve(self.up.set))
        except LifespanFailed as failure:
            self.failure = failure

    def ends(self) -> None:
        self._thread.join(20)
        assert not self._thread.is_alive()

    def ask(self, request: bytes) -> Response:
        with Raw(self.host, self.port) as raw:
            return raw.ask(request)


@contextmanager
def started(app: App, loop: str, **settings: Any) -> Iterator[Started]:
    """In the end it has ended."""
    one = Started(app, loop, **settings)
    try:
        yield one
    finally:
        app.ready.set()
        app.go.set()
        one.server.stop()
        one.ends()


@pytest.fixture
def app() -> App:
    return App()


@pytest.fixture
def ready(app: App) -> App:
    app.ready.set()
    return app


# --- the answer ---


@LOOPS
def test_a_server_that_serves_is_well(ready: App, loop: str) -> None:
    with serve(ready, loop=loop, health_path="/healthz") as served, Raw(served.host, served.port) as raw:
        for request in (HEALTH, b"GET /healthz?deep=1 HTTP/1.1\r\nhost: a\r\n\r\n"):
            assert told(raw.ask(request)) == (200, {"status": "ok"})
        assert raw.ask(GET).body == b"ours full"
    assert ready.paths == ["/"]


def test_head_is_answered_without_a_body(ready: App) -> None:
    with serve(ready, health_path="/healthz") as served, Raw(served.host, served.port) as raw:
        raw.send(PROBE % b"HEAD")
        response = raw.response(head_only=True)
        assert (response.status, response.header("content-length")) == (200, str(len(b'{"status":"ok"}')))
        assert raw.ask(GET).status == 200


@pytest.mark.parametrize("method", [b"POST", b"DELETE", b"OPTIONS"])
def test_other_methods_are_refused_and_the_application_does_not_see_them(ready: App, method: bytes) -> None:
    with serve(ready, health_path="/healthz") as served, Raw(served.host, served.port) as raw:
        response = raw.ask(b"%b /healthz HTTP/1.1\r\nhost: a\r\ncontent-length: 2\r\n\r\nab" % method)
        assert (response.status, response.header("allow")) == (405, "GET, HEAD")
        assert raw.ask(GET).status == 200
    assert ready.paths == ["/"]


def test_other_paths_are_the_applications(ready: App) -> None:
    with serve(ready, health_path="/healthz") as served, Raw(served.host, served.port) as raw:
        for path in (b"/healthz/", b"/healthzz", b"/"):
            assert raw.ask(b"GET %b HTTP/1.1\r\nhost: a\r\n\r\n" % path).body == b"ours full"
    assert ready.paths == ["/healthz/", "/healthzz", "/"]


def test_without_the_setting_the_path_is_the_applications(ready: App) -> None:
    with serve(ready) as served, Raw(served.host, served.port) as raw:
        assert raw.ask(HEALTH).body == b"ours full"


def test_pipelined_probes_and_requests_are_answered_in_their_order(ready: App) -> None:
    with serve(ready, health_path="/healthz") as served, Raw(served.host, served.port) as raw:
        raw.send((HEALTH + GET) * 3)
        bodies = [raw.response().body for _ in range(6)]
        assert bodies == [b'{"status":"ok"}', b"ours full"] * 3


@LOOPS
@pytest.mark.parametrize("tls", [False, True])
def test_over_http2_it_is_the_same(
    ready: App, dial: Any, authority: Any, localhost: dict[str, str], loop: str, tls: bool
) -> None:
    with (
        serve(ready, loop=loop, health_path="/healthz", **(localhost if tls else {})) as served,
        dial(served, tls=authority.context() if tls else None) as client,
    ):
        answer = client.ask("/healthz?now")
        assert (answer.status, answer.body, answer.ended) == (200, b'{"status":"ok"}', True)
        assert ("content-type", "application/json") in answer.headers
        assert client.ask("/healthz", method="POST").status == 405
        head = client.ask("/healthz", method="HEAD")
        assert (head.status, head.body) == (200, b"")
        assert client.ask("/").body == b"ours full"
    assert ready.paths == ["/"]


def test_it_is_in_no_access_log_and_in_no_figure(ready: App, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    with (
        serve(ready, health_path="/healthz", access_log=True) as served,
        Raw(served.host, served.port) as raw,
    ):
        assert raw.ask(HEALTH).status == 200
        assert served.server.figures() == (0, 0, 1)
        assert raw.ask(GET).status == 200
        assert served.server.figures().requests == 1
    assert "healthz" not in caplog.text
    assert "GET / HTTP/1.1" in caplog.text


def test_it_is_answered_when_there_are_too_many_requests(ready: App) -> None:
    ready.go.clear()
    with ExitStack() as stack:
        served = stack.enter_context(serve(ready, health_path="/healthz", limit_concurrency=1))
        busy, other, probe = (stack.enter_context(Raw(served.host, served.port)) for _ in range(3))
        busy.send(GET)
        assert ready.begun.acquire(timeout=20)
        assert other.ask(GET).status == 503
        assert told(probe.ask(HEALTH)) == (200, {"status": "ok"})
        ready.go.set()


def test_it_is_none_of_the_requests_after_which_a_process_ends(ready: App) -> None:
    with serve(ready, health_path="/healthz", limit_max_requests=2) as served, Raw(served.host, served.port) as raw:
        assert {raw.ask(HEALTH).header("connection") for _ in range(5)} == {None}
        assert raw.ask(GET).header("connection") is None
        assert raw.ask(GET).status == 200


def test_a_wsgi_application_on_the_loop_is_not_asked_either() -> None:
    asked: list[str] = []

    def app(environ: dict[str, Any], start_response: Any) -> list[bytes]:
        asked.append(environ["PATH_INFO"])
        start_response("200 OK", [("content-length", "2")])
        return [b"ok"]

    with serve(app, health_path="/healthz", wsgi_threads=0) as served, Raw(served.host, served.port) as raw:
        assert told(raw.ask(HEALTH)) == (200, {"status": "ok"})
        assert raw.ask(GET).body == b"ok"
    assert asked == ["/"]


# --- while it starts ---


@LOOPS
def test_a_server_that_starts_says_so_and_its_requests_wait(app: App, loop: str) -> None:
    with started(app, loop) as one, Raw(one.host, one.port) as early, Raw(one.host, one.port) as upload:
        early.send(GET)
        upload.send(b"POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 4\r\n\r\nab")
        with Raw(one.host, one.port) as probe:
            status, words = told(probe.ask(HEALTH))
            assert (status, words["status"]) == (503, "starting")
            assert words["reason"]
            assert (app.paths, one.server.started, one.up.is_set()) == ([], False, False)
            app.ready.set()
            upload.send(b"cd")
            # In the context and with the state that startup left; what one request changes is no one else's.
            assert {early.response().body, upload.response().body} == {b"ours full", b"ours fullabcd"}
            assert one.up.is_set()
            assert told(probe.ask(HEALTH)) == (200, {"status": "ok"})


@LOOPS
def test_requests_of_http2_wait_and_probes_beside_them_do_not(app: App, dial: Any, loop: str) -> None:
    with started(app, loop) as one, dial(one) as client:
        waiting = [client.begin("/") for _ in range(3)]
        assert client.ask("/healthz").status == 503
        app.ready.set()
        assert [client.answer(stream).body for stream in waiting] == [b"ours full"] * 3


@LOOPS
@pytest.mark.parametrize("version", ["HTTP/1.1", "HTTP/2"])
def test_websockets_wait_too(app: App, carriers: Any, loop: str, version: str) -> None:
    with started(app, loop) as one, carriers[version](one.host, one.port) as client, Raw(one.host, one.port) as probe:
        client.send(client.opening())
        assert probe.ask(HEALTH).status == 503
        app.ready.set()
        assert client.interim().status in (101, 200)
        assert client.message() == "ours full"


class Prompt(App):
    """Answers at once, as a WSGI application on the loop does."""

    def portway_prompt(self, scope: Scope, dialogue: Any) -> None:
        assert self.ready.is_set()
        body = f"{left.get()} {scope['state']['pool']}".encode()
        dialogue.respond(200, [(b"content-length", b"%d" % len(body))], body)


@LOOPS
def test_an_application_that_answers_without_a_task_is_waited_for_too(loop: str) -> None:
    app = Prompt()
    with started(app, loop) as one, Raw(one.host, one.port) as early:
        early.send(GET * 2)
        assert one.ask(HEALTH).status == 503
        app.ready.set()
        assert [early.response().body for _ in range(2)] == [b"ours full"] * 2
    assert app.paths == []


def test_those_who_wait_are_limited_as_those_who_are_served(app: App) -> None:
    with started(app, "uvloop", limit_concurrency=2) as one, ExitStack() as stack:
        early = [stack.enter_context(Raw(one.host, one.port)) for _ in range(2)]
        for raw in early:
            raw.send(GET)
            assert one.ask(HEALTH).status == 503  # by now the server has seen it
        response = one.ask(GET)
        assert (response.status, response.header("retry-after")) == (503, "1")
        app.ready.set()
        assert [raw.response().status for raw in early] == [200, 200]


def test_who_goes_before_the_startup_is_complete_is_never_seen(app: App, another: Any) -> None:
    with started(app, "uvloop") as one:
        for _ in range(200):
            leaving = another(one)
            leaving.send(b"GET /gone HTTP/1.1\r\nhost: a\r\n\r\n")
            leaving.reset()
        with Raw(one.host, one.port) as raw, Raw(one.host, one.port) as probe:
            raw.send(GET)
            while probe.ask(HEALTH).status == 503 and one.server.figures().connections > 2:
                pass
            app.ready.set()
            assert raw.response().status == 200
    assert app.paths == ["/"]


@LOOPS
def test_a_startup_that_fails_answers_those_who_wait_with_503(app: App, loop: str) -> None:
    app.fails = True
    with started(app, loop) as one, Raw(one.host, one.port) as raw:
        raw.send(GET)
        assert one.ask(HEALTH).status == 503
        app.ready.set()
        response = raw.response()
        assert (response.status, response.header("connection")) == (503, "close")
        assert b"did not start" in response.body
        assert raw.rest() == b""
    assert "no database" in str(one.failure)
    assert app.paths == []


def test_a_stop_during_the_startup_serves_those_who_wait_if_it_completes(app: App) -> None:
    with started(app, "uvloop") as one, Raw(one.host, one.port) as raw:
        raw.send(GET)
        assert one.ask(HEALTH).status == 503
        one.server.stop()
        while told(one.ask(HEALTH))[1]["status"] != "stopping":
            pass
        app.ready.set()
        response = raw.response()
        assert (response.body, response.header("connection")) == (b"ours full", "close")
        one.ends()


def test_a_stop_during_a_startup_that_hangs_refuses_those_who_wait(app: App) -> None:
    with started(app, "uvloop", timeout_graceful_shutdown=0.3) as one, Raw(one.host, one.port) as raw:
        raw.send(GET)
        assert one.ask(HEALTH).status == 503
        one.server.stop()
        assert raw.response().status == 503
    assert app.paths == []


# --- while it stops ---


@LOOPS
def test_a_drain_delay_serves_on_and_says_so(ready: App, loop: str) -> None:
    with (
        serve(ready, loop=loop, health_path="/healthz", drain_delay=3600) as served,
        Raw(served.host, served.port) as probe,
    ):
        served.server.stop()
        while (response := probe.ask(HEALTH)).status == 200:
            pass
        status, words = told(response)
        assert (status, words["status"]) == (503, "stopping")
        assert words["reason"]
        assert response.header("connection") is None
        with Raw(served.host, served.port) as late:  # who comes is let in
            assert [late.ask(GET).header("connection") for _ in range(3)] == [None] * 3
        served.server.stop()  # the second one ends the delay
        assert probe.rest() == b""


@LOOPS
def test_force_ends_the_delay(ready: App, loop: str) -> None:
    with (
        serve(ready, loop=loop, health_path="/healthz", drain_delay=3600) as served,
        Raw(served.host, served.port) as probe,
    ):
        served.server.stop()
        while probe.ask(HEALTH).status == 200:
            pass
        served.server.stop(force=True)
        assert probe.rest() == b""


def test_a_delay_has_an_end(ready: App, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    with serve(ready, drain_delay=0.1) as served:
        served.server.stop()
    assert "Serving on for 0.1 s, as --drain-delay says" in caplog.text


@LOOPS
def test_who_retires_is_well_to_the_end_and_has_no_delay(ready: App, loop: str) -> None:
    ready.go.clear()
    with serve(ready, loop=loop, health_path="/healthz", drain_delay=3600) as served, ExitStack() as stack:
        busy, probe, other = (stack.enter_context(Raw(served.host, served.port)) for _ in range(3))
        busy.send(GET)
        assert ready.begun.acquire(timeout=20)
        for raw in (probe, other):
            assert raw.ask(HEALTH).status == 200
        served.server.retire()
        while (response := probe.ask(HEALTH)).header("connection") != "close":
            pass
        assert told(response) == (200, {"status": "ok"})
        ready.go.set()
        assert busy.response().header("connection") == "close"
        assert other.rest() == b""


def test_a_signal_ends_the_delay_that_another_one_began(portway_command: Portway) -> None:
    source = "async def app(scope, receive, send):\n    raise NotImplementedError\n"
    command = portway_command(source, "--port", "0", "--health-path", "/up", "--drain-delay", "3600").up()
    with Raw("127.0.0.1", command.port) as probe:
        command.process.send_signal(signal.SIGTERM)
        while probe.ask(b"GET /up HTTP/1.1\r\nhost: a\r\n\r\n").status == 200:
            pass
    assert command.ends(signal.SIGTERM) == 0
