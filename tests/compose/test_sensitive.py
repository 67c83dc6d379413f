"""Where thread-sensitive code runs: applications that use asgiref, over a real server."""

import asyncio
import contextvars
import gc
import logging
import os
import subprocess
import sys
import threading
from collections import deque
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import asgiref.sync
import httpx
import pytest
from asgiref.sync import SyncToAsync, async_to_sync, sync_to_async
from channels.routing import ProtocolTypeRouter
from django.core.handlers.asgi import ASGIHandler

import portway
from portway.compose.lending import Threads
from portway.compose.sensitive import ThreadSensitive
from portway.testing import serve
from portway.types import Message, Receive, Scope, Send

PATIENCE = 20.0
START: Message = {"type": "http.response.start", "status": 200}


pytestmark = pytest.mark.usefixtures("no_lent_thread_is_left")


def ours() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name.startswith("portway-sensitive")]


@sync_to_async
def here() -> str:
    return threading.current_thread().name


async def answer(send: Send, text: str = "") -> None:
    await send(START | {"headers": [(b"content-length", b"%d" % len(text))]})
    await send({"type": "http.response.body", "body": text.encode()})


async def app(scope: Scope, receive: Receive, send: Send) -> None:
    """Tells its thread, and tidies up behind its answer, as Django does."""
    assert scope["type"] == "http"
    name = await here()
    await answer(send, name)
    assert await here() == name


def pool(app: Any, **settings: Any) -> serve:
    return serve(app, thread_sensitive="pool", lifespan="off", **settings)


# --- pool ---


def test_requests_one_after_the_other_have_one_thread() -> None:
    with pool(app) as served, httpx.Client(base_url=served.url) as client:
        assert {client.get("/").text for _ in range(200)} == {"portway-sensitive-1"}


@pytest.mark.parametrize("version", ["HTTP/1.1", "HTTP/2"])
@pytest.mark.parametrize("loop", ["uvloop", "asyncio"])
def test_eight_at_a_time_have_eight_threads_at_most(version: str, loop: str) -> None:
    two = version == "HTTP/2"

    async def ask(client: httpx.AsyncClient) -> set[str]:
        return {(await client.get("/")).text for _ in range(100)}

    async def all_eight(url: str) -> set[str]:
        async with httpx.AsyncClient(base_url=url, http1=not two, http2=two, timeout=PATIENCE) as client:
            return set[str]().union(*await asyncio.gather(*(ask(client) for _ in range(8))))

    with pool(app, loop=loop) as served:
        names = asyncio.run(all_eight(served.url))
    assert 0 < len(names) <= 8


def test_requests_at_the_same_time_have_different_threads_and_each_has_one() -> None:
    barrier = threading.Barrier(3)

    async def meeting(scope: Scope, receive: Receive, send: Send) -> None:
        name = await here()
        await sync_to_async(barrier.wait)(PATIENCE)
        assert await here() == name
        await answer(send, name)

    with pool(meeting) as served, ThreadPoolExecutor(3) as clients:
        names = list(clients.map(lambda _: httpx.get(served.url).text, range(3)))
    assert sorted(names) == [f"portway-sensitive-{number}" for number in (1, 2, 3)]


def test_a_request_without_sync_code_takes_no_thread() -> None:
    async def plain(scope: Scope, receive: Receive, send: Send) -> None:
        await answer(send, str(len(ours())))

    with pool(plain) as served:
        assert httpx.get(served.url).text == "0"


ENDS: dict[str, list[Message]] = {
    "the last message": [START, {"type": "http.response.body", "body": b"ab"}],
    "the declared length": [
        START | {"headers": [(b"Content-Length", b"2")]},
        {"type": "http.response.body", "body": b"a", "more_body": True},
        {"type": "http.response.body", "body": b"b", "more_body": True},
    ],
    "no content": [
        START | {"status": 204},
        {"type": "http.response.body", "body": b"", "more_body": True},
    ],
}


class Finishing:
    """Its first request ends the response as told, and goes on in its thread until `gate` is open."""

    def __init__(self, messages: list[Message]) -> None:
        self.gate = threading.Event()
        self._messages = deque(messages)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["path"] == "/open":
            self.gate.set()
            await answer(send)
        elif self._messages:
            await here()
            while self._messages:
                await send(self._messages.popleft())
            await sync_to_async(self.gate.wait)(PATIENCE)
        else:
            await self.newcomer(send)

    async def newcomer(self, send: Send) -> None:
        waiting = asyncio.ensure_future(here())
        await asyncio.sleep(0)
        await send(START)
        await send({"type": "http.response.body", "body": b"here ", "more_body": True})
        await send({"type": "http.response.body", "body": (await waiting).encode()})


@pytest.mark.parametrize("end", ENDS)
def test_a_newcomer_waits_for_a_thread_that_is_only_finishing(end: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("portway.compose.lending.TURNS", 1_000_000)
    with pool(Finishing(ENDS[end])) as served, httpx.Client(base_url=served.url) as client:
        client.get("/")
        with httpx.stream("GET", served.url) as response:
            pieces = response.iter_raw()
            assert next(pieces) == b"here "
            assert httpx.get(served.url + "/open").status_code == 200
            assert b"".join(pieces) == b"portway-sensitive-1"


def test_after_a_head_request_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("portway.compose.lending.TURNS", 1_000_000)
    messages: list[Message] = [START, {"type": "http.response.body", "body": b"a", "more_body": True}]
    with pool(Finishing(messages)) as served, httpx.Client(base_url=served.url) as client:
        client.head("/")
        with httpx.stream("GET", served.url) as response:
            pieces = response.iter_raw()
            assert next(pieces) == b"here "
            assert httpx.get(served.url + "/open").status_code == 200
            assert b"".join(pieces) == b"portway-sensitive-1"


def test_a_newcomer_does_not_wait_long_for_what_goes_on_behind_a_response() -> None:
    slow = Finishing(ENDS["the last message"])
    with pool(slow) as served, httpx.Client(base_url=served.url) as client:
        assert client.get("/").text == "ab"
        assert httpx.get(served.url).text == "here portway-sensitive-2"
        assert not slow.gate.is_set()
        client.get("/open")


def test_a_thread_comes_back_from_a_request_that_raised(caplog: pytest.LogCaptureFixture) -> None:
    async def raising(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["path"] == "/error":
            await here()
            raise ZeroDivisionError("on purpose")
        await app(scope, receive, send)

    with pool(raising) as served, httpx.Client(base_url=served.url) as client:
        assert client.get("/error").status_code == 500
        assert client.get("/").text == "portway-sensitive-1"


def test_a_thread_whose_request_was_cancelled_comes_back_when_its_call_is_done() -> None:
    gate, begun = threading.Event(), threading.Event()
    threads = Threads()

    def block() -> None:
        begun.set()
        gate.wait(PATIENCE)

    async def blocking(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["path"] == "/block":
            await sync_to_async(block)()
        await app(scope, receive, send)

    with serve(ThreadSensitive(blocking, "pool", threads), cancel_on_disconnect=True) as served:
        with pytest.raises(httpx.ReadTimeout):  # the client gives up, and leaves
            httpx.get(served.url + "/block", timeout=0.2)
        begun.wait(PATIENCE)
        assert httpx.get(served.url).text == "portway-sensitive-2"  # the first one is still taken
        gate.set()
    threads.close()  # one that never came back would be left


def test_a_call_that_never_returns_does_not_keep_the_server_from_ending() -> None:
    gate, begun = threading.Event(), threading.Event()

    async def stuck(scope: Scope, receive: Receive, send: Send) -> None:
        asyncio.get_running_loop().call_soon(begun.set)
        await sync_to_async(gate.wait)(PATIENCE)

    with pool(stuck, timeout_graceful_shutdown=0.0) as served, ThreadPoolExecutor(1) as client:
        client.submit(httpx.get, served.url, timeout=PATIENCE)
        begun.wait(PATIENCE)
        served.server.stop(force=True)
    gate.set()


# --- what asgiref promises ---


def test_sync_within_async_within_sync_stays_in_the_thread() -> None:
    async def nested(scope: Scope, receive: Receive, send: Send) -> None:
        def sync() -> list[str]:
            async def within() -> list[str]:
                return [await here(), await asyncio.create_task(here()), *await sync_to_async(innermost)()]

            return [threading.current_thread().name, *async_to_sync(within)()]

        def innermost() -> list[str]:
            return [async_to_sync(here)()]

        await answer(send, " ".join({*await sync_to_async(sync)(), await here()}))

    with pool(nested) as served, httpx.Client(base_url=served.url) as client:
        assert {client.get("/").text for _ in range(20)} == {"portway-sensitive-1"}


def test_context_variables_pass_both_ways_and_no_further() -> None:
    variable = contextvars.ContextVar("variable", default="nothing")

    async def varying(scope: Scope, receive: Receive, send: Send) -> None:
        found = variable.get() + await sync_to_async(variable.get)()
        variable.set("outside")
        found += await sync_to_async(variable.get)()
        await sync_to_async(variable.set)("inside")
        await answer(send, found + variable.get())

    with pool(varying) as served, httpx.Client(base_url=served.url) as client:
        assert {client.get("/").text for _ in range(3)} == {"nothingnothingoutsideinside"}


def test_a_task_that_outlives_its_request_still_gets_threads() -> None:
    told: list[str] = []

    async def later(go: asyncio.Event, done: asyncio.Event) -> None:
        await go.wait()
        told.extend([await here(), await here()])
        done.set()

    tasks: list[tuple[asyncio.Task[None], asyncio.Event, asyncio.Event]] = []

    async def leaving(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["path"] == "/go":
            _, go, done = tasks.pop()
            go.set()
            await done.wait()
        else:
            go, done = asyncio.Event(), asyncio.Event()
            tasks.append((asyncio.create_task(later(go, done)), go, done))
        await answer(send, await here())

    with pool(leaving) as served, httpx.Client(base_url=served.url) as client:
        assert client.get("/").text == "portway-sensitive-1"
        assert client.get("/go").text == "portway-sensitive-1"
    assert told == ["portway-sensitive-1"] * 2


def test_an_outer_context_stays_in_force() -> None:
    inner, outer = Threads(), Threads()
    nested = ThreadSensitive(ThreadSensitive(app, "pool", inner), "pool", outer)
    with serve(nested) as served:
        assert httpx.get(served.url).text == "portway-sensitive-1"
    assert repr(inner) == "<Threads idle=0 waiting=0 finishing=0>"
    outer.close()


def test_asgiref_remembers_nothing_of_requests_that_are_over() -> None:
    with pool(app) as served, httpx.Client(base_url=served.url) as client:
        for _ in range(50):
            client.get("/")
    gc.collect()
    assert len(SyncToAsync.context_to_thread_executor) == 0


# --- what is let pass, and the other modes ---


def test_a_websocket_takes_no_thread(peer: Any) -> None:
    async def talking(scope: Scope, receive: Receive, send: Send) -> None:
        await receive()
        await send({"type": "websocket.accept"})
        await send({"type": "websocket.send", "text": await here()})

    with peer(talking, thread_sensitive="pool") as client:
        client.open()
        assert not client.message().startswith("portway-sensitive")


def test_request_is_a_new_thread_for_each_request() -> None:
    async def numbered(scope: Scope, receive: Receive, send: Send) -> None:
        thread = await sync_to_async(threading.current_thread)()
        assert thread is await sync_to_async(threading.current_thread)()
        threads.append(thread)
        await answer(send, thread.name)

    threads: list[threading.Thread] = []
    with (
        serve(numbered, thread_sensitive="request", lifespan="off") as served,
        httpx.Client(base_url=served.url) as client,
    ):
        assert all(not client.get("/").text.startswith("portway-sensitive") for _ in range(10))
    assert len(set(threads)) == 10


@pytest.mark.parametrize("mode", ["auto", "off"])
def test_what_is_no_django_is_left_alone(mode: str) -> None:
    with serve(app, thread_sensitive=mode) as served:
        assert not httpx.get(served.url).text.startswith("portway-sensitive")


def test_by_itself_it_ends_its_threads_after_the_lifespan() -> None:
    async def living(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            return await app(scope, receive, send)
        for phase in ("startup", "shutdown"):
            assert (await receive())["type"] == f"lifespan.{phase}"
            await send({"type": f"lifespan.{phase}.complete"})

    with serve(ThreadSensitive(living, "pool")) as served:
        assert httpx.get(served.url).text == "portway-sensitive-1"
        assert len(ours()) == 1
    assert ours() == []


# --- auto ---


class Wrapper:
    """As many of the middlewares for ASGI are built."""

    def __init__(self, app: Any) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self.app(scope, receive, send)


async def other(scope: Scope, receive: Receive, send: Send) -> None: ...


DJANGO: Any = ASGIHandler.__new__(ASGIHandler)  # its __init__ loads the middleware of a project


@pytest.mark.parametrize(
    ("app", "mode"),
    [
        (DJANGO, "pool"),
        (ProtocolTypeRouter({"http": DJANGO, "websocket": other}), "pool"),
        (Wrapper(ProtocolTypeRouter({"http": Wrapper(DJANGO)})), "pool"),
        (ProtocolTypeRouter({"websocket": DJANGO}), "off"),
        (ProtocolTypeRouter({"http": other}), "off"),
        (Wrapper(other), "off"),
        (other, "off"),
    ],
)
def test_auto_is_pool_for_django(app: Any, mode: str) -> None:
    assert ThreadSensitive(app).mode == mode


def test_asgiref_is_not_imported_where_nothing_needs_it() -> None:
    source = "import sys, portway; portway.Server(lambda s, r, t: None); print('asgiref' in sys.modules)"
    env = os.environ | {"PYTHONPATH": str(Path(portway.__file__).parents[1])}
    assert subprocess.check_output([sys.executable, "-c", source], env=env) == b"False\n"


def test_auto_ends_where_wrappers_lie_around_themselves() -> None:
    endless = Wrapper(None)
    endless.app = endless
    assert ThreadSensitive(endless).mode == "off"


class Older:
    """asgiref's context as it was before 3.13."""


@pytest.fixture(params=["absent", "old"])
def without(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """An asgiref that will not do."""
    if request.param == "absent":
        monkeypatch.setitem(sys.modules, "asgiref.sync", None)
    else:
        monkeypatch.setattr(asgiref.sync, "ThreadSensitiveContext", Older)
    return "it is not installed" if request.param == "absent" else "the one that is installed is older"


def test_pool_without_asgiref_is_refused(without: str) -> None:
    with pytest.raises(portway.SettingsError, match=f"pool needs asgiref 3.13 or newer, and {without}; pip install"):
        portway.Server(app, portway.Settings(thread_sensitive="pool"))


def test_request_without_asgiref_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "asgiref.sync", None)
    with pytest.raises(portway.SettingsError, match="request needs asgiref, which is not installed"):
        portway.Server(app, portway.Settings(thread_sensitive="request"))


def test_auto_without_asgiref_is_off_and_says_so(without: str, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING, "portway"):
        assert ThreadSensitive(DJANGO).mode == "off"
        assert ThreadSensitive(other).mode == "off"
    assert [record.levelname for record in caplog.records] == ["WARNING"]
    assert without in caplog.text
    assert "--thread-sensitive off" in caplog.text


# --- messages that are no good ---


@pytest.mark.parametrize(
    "message",
    [None, {}, {"type": []}, {"type": "http.response.start"}, START | {"status": []}, START | {"headers": [b"a"]}],
    ids=repr,
)
def test_what_is_wrong_with_a_message_is_said_by_the_server(message: Any, caplog: pytest.LogCaptureFixture) -> None:
    errors: list[Exception] = []

    async def wrong(scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await send(message)
        except portway.MessageError as error:
            errors.append(error)
        await app(scope, receive, send)

    with pool(wrong) as served:
        assert httpx.get(served.url).text == "portway-sensitive-1"
    assert len(errors) == 1
