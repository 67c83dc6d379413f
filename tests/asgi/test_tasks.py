"""Where an application runs: a Task of its own, in a context of its own."""

import asyncio
import contextvars
import threading
from collections.abc import Callable
from typing import Any

import anyio
import pytest

from portway.testing import Raw, Response, serve
from portway.types import ASGIApp, Receive, Scope, Send

Ask = Callable[..., Response]

GET = b"GET / HTTP/1.1\r\nhost: a\r\n\r\n"
OK = {"type": "http.response.start", "status": 200}
DONE = {"type": "http.response.body", "body": b"ok"}
LOOPS = ["uvloop", "asyncio"]

MARK: contextvars.ContextVar[str] = contextvars.ContextVar("mark", default="clean")

# --- tasks ---


def test_each_request_has_a_task_of_its_own() -> None:  # ASGI 10
    tasks: list[Any] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            raise NotImplementedError
        tasks.append(asyncio.current_task())
        await send(OK)
        await send(DONE)

    with serve(app) as served, Raw(served.host, served.port) as raw:
        raw.ask(GET)
        raw.send(GET + GET)
        raw.response()
        raw.response()
    assert len(set(tasks)) == 3
    assert all(isinstance(task, asyncio.Task) and task.done() for task in tasks)


async def by_timeout(receive: Receive) -> str:
    try:
        async with asyncio.timeout(0.01):
            while True:
                await receive()
    except TimeoutError:
        return "timed out"


async def by_task_group(receive: Receive) -> str:
    async with asyncio.TaskGroup() as group:
        reading = group.create_task(_told(receive))
        group.create_task(asyncio.sleep(0))
    return reading.result()


async def by_anyio(receive: Receive) -> str:
    with anyio.move_on_after(0.01) as scope:
        while True:
            await receive()
    return "timed out" if scope.cancelled_caught else "through"


async def by_anyio_group(receive: Receive) -> str:
    async with anyio.create_task_group() as group:
        group.start_soon(_told, receive)
        await anyio.lowlevel.checkpoint()
    return "http.request"


async def _told(receive: Receive) -> str:
    return (await receive())["type"]


@pytest.mark.parametrize("loop", LOOPS)
@pytest.mark.parametrize(
    ("way", "told"),
    [
        (by_timeout, "timed out"),
        (by_task_group, "http.request"),
        (by_anyio, "timed out"),
        (by_anyio_group, "http.request"),
    ],
)
def test_structured_concurrency_works_from_the_first_line_on(  # ASGI 10
    ask: Ask, loop: str, way: Callable[[Receive], Any], told: str
) -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        result = await way(receive)
        await send(OK)
        await send(DONE | {"body": result.encode()})

    assert ask(app, loop=loop, lifespan="off").body == told.encode()


def test_the_loop_is_the_running_one_and_asyncio_knows_it(ask: Ask) -> None:  # ASGI 10
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        assert asyncio.get_running_loop() is asyncio.get_event_loop()
        assert isinstance(asyncio.get_running_loop(), asyncio.AbstractEventLoop)
        task = asyncio.current_task()
        assert task is not None
        assert task.get_loop() is asyncio.get_running_loop()
        assert task in asyncio.all_tasks()
        await send(OK)
        await send(DONE)

    assert ask(app, lifespan="off").status == 200


def test_a_task_factory_of_the_loop_is_used(log: Any) -> None:  # ASGI 10
    class Theirs(asyncio.Task[Any]):
        """As an instrumented one."""

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        assert isinstance(asyncio.current_task(), Theirs)
        assert MARK.get() == "clean"
        MARK.set("dirty")
        await send(OK)
        await send(DONE)

    def factory(loop: asyncio.AbstractEventLoop, coroutine: Any, **options: Any) -> Theirs:
        return Theirs(coroutine, loop=loop, **options)

    async def main() -> None:
        asyncio.get_running_loop().set_task_factory(factory)
        async with serve(app, lifespan="off") as served:
            reader, writer = await asyncio.open_connection(served.host, served.port)
            writer.write(GET + GET.replace(b"\r\n\r\n", b"\r\nconnection: close\r\n\r\n"))
            assert (await reader.read()).count(b"\r\n\r\nok") == 2
            writer.close()
            await writer.wait_closed()

    asyncio.run(main())
    assert log.errors == []


# --- contexts ---


def marker(seen: list[str], then: Callable[[Receive, Send], Any] | None = None) -> ASGIApp:
    """Says how it finds the context variable, and leaves its path in it."""

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            raise NotImplementedError
        seen.append(MARK.get())
        MARK.set(scope["path"])
        if then is not None:
            await then(receive, send)
        await send(OK)
        await send(DONE)
        MARK.set(scope["path"] + " after")

    return app


@pytest.mark.parametrize("loop", LOOPS)
def test_nothing_leaks_to_the_next_request_of_a_connection(loop: str) -> None:  # ASGI 10
    seen: list[str] = []
    with serve(marker(seen), loop=loop) as served, Raw(served.host, served.port) as raw:
        for _ in range(3):
            raw.ask(GET)
    assert seen == ["clean"] * 3


@pytest.mark.parametrize("loop", LOOPS)
@pytest.mark.parametrize("eager", [True, False], ids=["at once", "later"])
def test_nothing_leaks_to_a_pipelined_request(loop: str, eager: bool) -> None:  # ASGI 10
    seen: list[str] = []

    async def later(receive: Receive, send: Send) -> None:
        await asyncio.sleep(0.01)

    app = marker(seen, None if eager else later)
    with serve(app, loop=loop) as served, Raw(served.host, served.port) as raw:
        raw.send(GET * 5)
        for _ in range(5):
            raw.response()
    assert seen == ["clean"] * 5


@pytest.mark.parametrize("loop", LOOPS)
def test_nothing_leaks_after_reading_was_paused(loop: str) -> None:  # ASGI 10
    # The application resumes reading from inside its own context, and so may a loop's reader from then on.
    seen: list[str] = []
    size = 1024 * 1024

    async def read_all(receive: Receive, send: Send) -> None:
        left = True
        while left:
            await asyncio.sleep(0)
            left = (await receive())["more_body"]

    upload = b"POST /up HTTP/1.1\r\nhost: a\r\ncontent-length: %d\r\n\r\n" % size + bytes(size)
    with serve(marker(seen, read_all), loop=loop) as served, Raw(served.host, served.port) as raw:
        raw.ask(upload)
        raw.ask(GET)
        raw.ask(upload)
        raw.ask(GET)
    assert seen == ["clean"] * 4


@pytest.mark.parametrize("loop", LOOPS)
def test_nothing_leaks_after_writing_was_paused(loop: str) -> None:  # ASGI 10
    seen: list[str] = []
    size = 16 * 1024 * 1024

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        seen.append(MARK.get())
        MARK.set("dirty")
        await send(OK)
        for _ in range(16):
            await send({"type": "http.response.body", "body": bytes(size // 16), "more_body": True})
        await send({"type": "http.response.body"})

    with serve(app, loop=loop, lifespan="off") as served, Raw(served.host, served.port) as raw:
        raw.send(GET + GET + GET)
        for _ in range(3):
            assert len(raw.response().body) == size
    assert seen == ["clean"] * 3


def test_a_request_sees_what_the_startup_left_in_its_context() -> None:  # ASGI 10
    seen: list[str] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await receive()
            MARK.set("startup")
            await send({"type": "lifespan.startup.complete"})
            await receive()
            seen.append(MARK.get())
            await send({"type": "lifespan.shutdown.complete"})
            return
        seen.append(MARK.get())
        MARK.set("request")
        await send(OK)
        await send(DONE)

    with serve(app) as served:
        for _ in range(2):
            with Raw(served.host, served.port) as raw:
                raw.ask(GET)
                raw.send(GET + GET)
                raw.response()
                raw.response()
    assert seen == ["startup"] * 7


# --- what receive and send return ---


def threadsafe(call: Callable[[], Any]) -> Any:
    """As a2wsgi does it: called and waited for in another thread."""
    loop = asyncio.get_running_loop()

    def wait() -> Any:
        assert threading.current_thread() is not threading.main_thread()
        return asyncio.run_coroutine_threadsafe(call(), loop).result(10)

    return loop.run_in_executor(None, wait)


async def grouped(call: Callable[[], Any]) -> Any:
    async with asyncio.TaskGroup() as group:
        task = group.create_task(call())
    return task.result()


async def gathered(call: Callable[[], Any]) -> Any:
    return (await asyncio.gather(call()))[0]


async def limited(call: Callable[[], Any]) -> Any:
    with anyio.fail_after(10):
        return await call()


async def waited(call: Callable[[], Any]) -> Any:
    done, _ = await asyncio.wait([asyncio.ensure_future(call())])
    return done.pop().result()


WAYS: dict[str, Callable[[Callable[[], Any]], Any]] = {
    "await": lambda call: call(),
    "create_task": lambda call: asyncio.create_task(call()),
    "ensure_future": lambda call: asyncio.ensure_future(call()),
    "Task": lambda call: asyncio.Task(call()),
    "shield": lambda call: asyncio.shield(call()),
    "wait_for": lambda call: asyncio.wait_for(call(), 10),
    "wait": waited,
    "gather": gathered,
    "TaskGroup": grouped,
    "anyio": limited,
    "another thread": threadsafe,
}


@pytest.mark.parametrize("loop", LOOPS)
@pytest.mark.parametrize("way", WAYS)
def test_receive_and_send_can_be_awaited_in_every_way(way: str, loop: str) -> None:  # ASGI 10
    asked = threading.Event()

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        through = WAYS[way]
        first = await through(receive)
        loop_ = asyncio.get_running_loop()
        loop_.call_later(0.01, asked.set)
        second = await through(receive)
        await through(lambda: send(OK))
        await through(lambda: send(DONE | {"body": first["body"], "more_body": True}))
        await through(lambda: send(DONE | {"body": second["body"]}))
        assert (await through(receive))["type"] == "http.disconnect"

    with serve(app, loop=loop, lifespan="off") as served, Raw(served.host, served.port) as raw:
        raw.send(b"POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 2\r\n\r\n1")
        assert asked.wait(10)
        assert raw.ask(b"2").body == b"12"


def test_what_they_return_is_a_coroutine_to_asyncio(ask: Ask, log: Any) -> None:  # ASGI 10
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        for call in (
            receive,  # there already
            receive,  # to be waited for
            lambda: send(OK),
            lambda: send(DONE | {"more_body": True}),
            lambda: send(DONE),
            receive,
        ):
            awaitable = call()
            assert asyncio.iscoroutine(awaitable)
            task = asyncio.create_task(awaitable)
            await asyncio.sleep(0)
            if not task.done():
                task.cancel()

    assert ask(app, lifespan="off").body == b"okok"
    assert log.errors == []


def test_they_yield_nothing_but_asyncio_futures(ask: Ask) -> None:  # ASGI 10
    yielded: list[Any] = []

    class Watched:
        def __init__(self, awaitable: Any) -> None:
            self.inner = awaitable.__await__()

        def __await__(self) -> Any:
            for each in self.inner:
                yielded.append(each)
                assert getattr(each, "_asyncio_future_blocking", None) is True
                yield each

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await Watched(receive())
        try:
            async with asyncio.timeout(0.01):
                await Watched(receive())
        except TimeoutError:
            await Watched(send(OK))
            await Watched(send(DONE))

    assert ask(app, lifespan="off").status == 200
    assert len(yielded) == 1
    assert asyncio.isfuture(yielded[0])


@pytest.mark.parametrize("kind", [ValueError, asyncio.CancelledError])
def test_an_exception_thrown_into_them_comes_out(ask: Ask, kind: type[BaseException]) -> None:  # ASGI 10
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        for call in (receive, receive, lambda: send(OK)):
            awaitable: Any = call()
            with pytest.raises(kind):
                awaitable.throw(kind())
            awaitable.close()
        await send(DONE)

    assert ask(app, lifespan="off").body == b"ok"


def test_what_another_thread_sends_is_written_by_the_loops_own(log: Any) -> None:  # ASGI 10
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        def call() -> None:
            for message in (OK, DONE | {"more_body": True}, DONE):
                asyncio.run_coroutine_threadsafe(send(message), loop).result(10)  # type: ignore[arg-type]

        loop = asyncio.get_running_loop()
        await loop.run_in_executor(None, call)

    with serve(app, lifespan="off", access_log=True) as served, Raw(served.host, served.port) as raw:
        assert raw.ask(GET).body == b"okok"
    (line,) = [record for record in log.records if record.name == "portway.access"]
    assert line.threadName == "portway-serve"
