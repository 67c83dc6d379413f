"""How a Task that waits for a WebSocket's message is resumed, and what else may wait for the same future."""

import asyncio
import contextvars
import sys
import weakref
from collections.abc import Callable
from typing import Any

import pytest

from portway.types import Message, Receive, Scope, Send

LOOPS = ("asyncio", "uvloop")
ACCEPT = {"type": "websocket.accept"}
Then = Callable[[Receive], Any]


def answering(ask: Then, times: int = 5) -> Any:
    """An application that asks so many times, and says what it got each time."""

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await receive()
        await send(ACCEPT)
        for _ in range(times):
            message: Message = await ask(receive)
            await send({"type": "websocket.send", "text": f"{message['text']} again"})

    return app


async def by_await(receive: Receive) -> Any:
    return await receive()


async def by_task(receive: Receive) -> Any:
    return await asyncio.create_task(receive())  # type: ignore[arg-type]


async def by_wait_for(receive: Receive) -> Any:
    return await asyncio.wait_for(receive(), 10)


async def by_two(receive: Receive) -> Any:
    """The first is given up when the second begins to wait, unless it has got something."""
    first = asyncio.ensure_future(receive())
    await asyncio.sleep(0)
    second = asyncio.ensure_future(receive())
    await asyncio.sleep(0)
    if first.cancel():
        return await second
    second.cancel()
    return await first


async def after_giving_up(receive: Receive) -> Any:
    for _ in range(3):
        try:
            async with asyncio.timeout(0):
                return await receive()
        except TimeoutError:
            pass
    return await receive()


async def by_hand(receive: Receive) -> Any:
    """Awaits the futures itself that the awaitable yields."""
    driven: Any = receive()
    while True:
        try:
            future = driven.send(None)
        except StopIteration as end:
            return end.value
        future._asyncio_future_blocking = False
        await future
        assert future.done()


async def by_callback(receive: Receive) -> Any:
    driven: Any = receive()
    while True:
        try:
            future = driven.send(None)
        except StopIteration as end:
            return end.value
        future._asyncio_future_blocking = False
        told: list[Any] = []
        came = asyncio.Event()
        future.add_done_callback(told.append)
        future.add_done_callback(lambda _, came=came: came.set())
        await came.wait()
        assert told == [future]


async def by_one_callback(receive: Receive) -> Any:
    driven: Any = receive()
    while True:
        try:
            future = driven.send(None)
        except StopIteration as end:
            return end.value
        future._asyncio_future_blocking = False
        told = asyncio.get_running_loop().create_future()
        future.add_done_callback(told.set_result)  # as of a Task, it is a builtin
        assert await told is future
        assert future.done()


class Watched:
    """Looks on while another awaitable is awaited."""

    def __init__(self, awaitable: Any, told: list[Any]) -> None:
        self.inner = awaitable.__await__()
        self.told = told

    def __await__(self) -> Any:
        while True:
            try:
                future = next(self.inner)
            except StopIteration as end:
                return end.value
            self.told.append(future)
            future.add_done_callback(self.told.remove)
            yield future


async def by_watching(receive: Receive) -> Any:
    told: list[Any] = []
    message = await Watched(receive(), told)
    while told:
        await asyncio.sleep(0)
    return message


WAYS = {
    way.__name__: way
    for way in (
        by_await, by_task, by_wait_for, by_two, after_giving_up, by_hand, by_callback, by_one_callback, by_watching
    )
}  # fmt: skip


@pytest.mark.parametrize("loop", LOOPS)
@pytest.mark.parametrize("way", WAYS)
def test_whoever_waits_is_told_of_each_message(peer: Any, log: Any, loop: str, way: str) -> None:  # ASGI 10, 38
    with peer(answering(WAYS[way]), loop=loop) as client:
        client.open()
        for number in range(5):
            client.send(client.text(str(number)))
            assert client.message() == f"{number} again"
        assert client.closed() == (1000, "")
    assert log.errors == []


@pytest.mark.parametrize("loop", LOOPS)
def test_the_ways_may_change_between_messages(peer: Any, log: Any, loop: str) -> None:  # ASGI 10, 38
    ways = [WAYS[way] for way in (*WAYS, *reversed(WAYS), "by_await", "by_hand", "by_await", "by_task", "by_await")]
    turns = iter(ways)

    async def by_turns(receive: Receive) -> Any:
        return await next(turns)(receive)

    with peer(answering(by_turns, len(ways)), loop=loop) as client:
        client.open()
        for number in range(len(ways)):
            client.send(client.text(str(number)))
            assert client.message() == f"{number} again"
        assert client.closed() == (1000, "")
    assert log.errors == []


@pytest.mark.parametrize("loop", LOOPS)
def test_a_task_is_resumed_in_its_own_context(peer: Any, log: Any, loop: str) -> None:  # ASGI 10
    of_whom = contextvars.ContextVar("of_whom", default="nobody")

    async def asking(name: str, receive: Receive, got: list[str]) -> None:
        of_whom.set(name)
        for _ in range(2):
            message = await receive()
            got.append(f"{message['text']} {of_whom.get()}")

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await receive()
        await send(ACCEPT)
        got: list[str] = []
        for name in ("one", "two"):
            await asyncio.create_task(asking(name, receive, got))
        assert of_whom.get() == "nobody"
        await send({"type": "websocket.send", "text": ", ".join(got)})

    with peer(app, loop=loop) as client:
        client.open()
        for number in range(4):
            client.send(client.text(str(number)))
        assert client.message() == "0 one, 1 one, 2 two, 3 two"
        assert client.closed() == (1000, "")
    assert log.errors == []


def test_a_message_is_let_go_when_the_next_is_asked_for(peer: Any, log: Any) -> None:
    held: list[int] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await receive()
        await send(ACCEPT)
        message = await receive()
        await send({"type": "websocket.send", "text": "got"})
        waiting: Any = receive()
        future = waiting.send(None)
        held.append(sys.getrefcount(message))
        future._asyncio_future_blocking = False
        waiting.close()

    with peer(app) as client:
        client.open()
        client.send(client.text("a"))
        assert client.message() == "got"
        assert client.closed() == (1000, "")
    assert held[0] <= 2  # ours, and the count's own
    assert log.errors == []


def test_a_receive_may_be_given_up_after_another_was_resumed(peer: Any, log: Any) -> None:  # ASGI 10, 38
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await receive()
        await send(ACCEPT)
        for _ in range(3):
            message = await receive()
            waiting = asyncio.ensure_future(receive())
            await asyncio.sleep(0)
            waiting.cancel()
            with pytest.raises(asyncio.CancelledError):
                await waiting
            await send({**message, "type": "websocket.send"})

    with peer(app) as client:
        client.open()
        for text in "abc":
            client.send(client.text(text))
            assert client.message() == text
        assert client.closed() == (1000, "")
    assert log.errors == []


@pytest.mark.parametrize("loop", LOOPS)
def test_a_task_that_received_is_not_kept_nor_its_message_with_it(peer: Any, log: Any, loop: str) -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await receive()
        await send(ACCEPT)
        for _ in range(3):
            task = asyncio.ensure_future(receive())
            await task
            known = weakref.ref(task)
            del task
            await asyncio.sleep(0)
            await send({"type": "websocket.send", "text": "gone" if known() is None else "kept"})

    with peer(app, loop=loop) as client:
        client.open()
        for _ in range(3):
            client.send(client.text("large"))
            assert client.message() == "gone"
        assert client.closed() == (1000, "")
    assert log.errors == []
