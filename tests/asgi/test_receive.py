"""What `receive` gives, to one task or to several, and what it keeps for those who do not ask."""

import asyncio
import gc
import hashlib
import random
import select
import sys
import threading
import tracemalloc
from collections.abc import Awaitable, Callable
from typing import Any

import anyio
import pytest

from portway.asgi.mailbox import Mailbox
from portway.testing import Raw, Response, serve
from portway.types import Message, Receive, Scope, Send
from portway.wire.port import Port

Ask = Callable[..., Response]

GET = b"GET / HTTP/1.1\r\nhost: a\r\n\r\n"
OK = {"type": "http.response.start", "status": 200}
DONE = {"type": "http.response.body", "body": b"ok"}
CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"
LOOPS = ["uvloop", "asyncio"]


def post(*lines: bytes) -> bytes:
    return b"\r\n".join([b"POST / HTTP/1.1", b"host: a", *lines, b"", b""])


def of_length(size: int) -> bytes:
    return post(b"content-length: %d" % size)


async def reply(send: Send, body: bytes = b"ok") -> None:
    await send(OK)
    await send(DONE | {"body": body})


async def read(receive: Receive) -> tuple[bytes, list[Message]]:
    """All of the content, and the messages that it came in."""
    messages = []
    while True:
        message = await receive()
        messages.append(message)
        if message["type"] != "http.request" or not message["more_body"]:
            return b"".join(each.get("body", b"") for each in messages), messages


async def echo(scope: Scope, receive: Receive, send: Send) -> None:
    await reply(send, (await read(receive))[0])


# --- content ---


@pytest.mark.parametrize("request_", [GET, of_length(0), GET.replace(b"1.1", b"1.0")])
def test_a_request_without_content_is_one_empty_message(ask: Ask, request_: bytes) -> None:  # ASGI 22
    got: list[Message] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        got.append(await receive())
        await reply(send)

    assert ask(app, request_, lifespan="off").status == 200
    assert got == [{"type": "http.request", "body": b"", "more_body": False}]


@pytest.mark.parametrize(
    "coded",
    [
        b"3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n",
        b"5;a=b\r\nabcde\r\n0;c\r\n\r\n",
        b"1\r\na\r\n4\r\nbcde\r\n000\r\nx-trailer: 1\r\ncontent-length: 9\r\n\r\n",
    ],
)
def test_a_chunked_request_arrives_decoded(ask: Ask, coded: bytes) -> None:  # ASGI 22
    request = post(b"transfer-encoding: chunked") + coded
    assert ask(echo, request, lifespan="off").body == b"abcde"


def test_content_of_any_size_arrives_whole(ask: Ask) -> None:  # ASGI 22
    data = random.Random(1).randbytes(3_000_000)
    assert ask(echo, of_length(len(data)) + data, lifespan="off").body == data


def test_a_piece_is_told_when_it_comes_and_the_last_one_says_so() -> None:  # ASGI 22
    told = threading.Semaphore(0)
    got: list[Message] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        while not got or got[-1]["more_body"]:
            got.append(await receive())
            told.release()
        await reply(send)

    with serve(app, lifespan="off") as served, Raw(served.host, served.port) as raw:
        raw.send(of_length(4))
        for piece in (b"a", b"bc", b"d"):
            raw.send(piece)
            assert told.acquire(timeout=10)
        assert raw.response().status == 200
    assert [(each["body"], each["more_body"]) for each in got] == [(b"a", True), (b"bc", True), (b"d", False)]


def test_messages_are_dicts_of_plain_values(ask: Ask) -> None:  # ASGI 3
    got: list[Message] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        got.append(await receive())
        await reply(send)
        got.append(await receive())

    ask(app, of_length(1) + b"a", lifespan="off")
    shapes = [{key: type(value) for key, value in each.items()} for each in got]
    assert [type(each) for each in got] == [dict, dict]
    assert shapes == [{"type": str, "body": bytes, "more_body": bool}, {"type": str}]


def test_what_the_scope_holds_is_plain(ask: Ask) -> None:  # ASGI 3
    plain = (bytes, str, int, bool, type(None))

    def check(value: Any) -> None:
        if isinstance(value, dict):
            assert all(type(key) is str for key in value)
            for each in value.values():
                check(each)
        elif type(value) in (list, tuple):
            for each in value:
                check(each)
        else:
            assert type(value) in plain

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        check(scope)
        await reply(send)

    assert ask(app, lifespan="off").status == 200


# --- the disconnect ---


@pytest.mark.parametrize("request_", [GET, of_length(1), of_length(1) + b"a"])
@pytest.mark.parametrize("later", [False, True])
def test_after_the_response_comes_the_disconnect_whatever_was_not_read(  # ASGI 29
    ask: Ask, request_: bytes, later: bool
) -> None:
    got: list[Message] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        if later:
            await asyncio.sleep(0)  # what came with the head is here by now
        await reply(send)
        got.extend([await receive(), await receive()])

    ask(app, request_, lifespan="off")
    assert got == [{"type": "http.disconnect"}] * 2


def test_one_that_waits_is_told_when_the_response_is_complete(ask: Ask) -> None:  # ASGI 29
    got: list[Message] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await receive()
        waiting = asyncio.ensure_future(receive())
        await asyncio.sleep(0)
        assert not waiting.done()
        await reply(send)
        got.append(await waiting)

    assert ask(app, lifespan="off").body == b"ok"
    assert got == [{"type": "http.disconnect"}]


def test_the_disconnect_comes_at_once_when_the_client_goes() -> None:  # ASGI 29
    waiting, told = threading.Event(), threading.Event()

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await receive()
        waiting.set()
        assert await receive() == {"type": "http.disconnect"}
        told.set()

    with serve(app, lifespan="off") as served:
        with Raw(served.host, served.port) as raw:
            raw.send(GET)
            assert waiting.wait(10)
        assert told.wait(10)


# --- 100-continue ---


def expecting(version: bytes = b"HTTP/1.1") -> bytes:
    return of_length(2).replace(b"HTTP/1.1", version).replace(b"host", b"expect: 100-continue\r\nhost")


def test_100_is_sent_when_the_application_first_receives() -> None:  # ASGI 32
    may_read = threading.Event()

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await asyncio.get_running_loop().run_in_executor(None, may_read.wait, 10)
        await reply(send, (await read(receive))[0])

    with serve(app, lifespan="off") as served, Raw(served.host, served.port) as raw:
        raw.send(expecting())
        assert select.select([raw.socket], [], [], 0.2)[0] == []
        may_read.set()
        assert raw.interim().status == 100
        raw.send(b"h")
        raw.send(b"i")
        answer = raw.interim()
        assert answer.status == 200  # and no second 100
        assert raw.exactly(2) == b"hi"
        assert raw.ask(GET).status == 200


def test_no_100_if_the_application_answers_without_reading() -> None:  # ASGI 32
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await reply(send)

    with serve(app, lifespan="off") as served, Raw(served.host, served.port) as raw:
        raw.send(expecting())
        answer = raw.interim()
        assert answer.status == 200
        # Whether its body follows is not known, so that the next request could not be told from it.
        assert answer.header("connection") == "close"
        assert raw.rest() == b"ok"


def test_no_100_once_the_response_has_begun() -> None:  # ASGI 32
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await send(OK)
        await send(DONE | {"body": b"a", "more_body": True})
        body, _ = await read(receive)
        await send(DONE | {"body": body})

    with serve(app, lifespan="off") as served, Raw(served.host, served.port) as raw:
        raw.send(expecting())
        assert raw.interim().status == 200
        raw.send(b"hi")
        assert raw.until(b"\r\n0\r\n\r\n") == b"1\r\na\r\n2\r\nhi\r\n0\r\n\r\n"


@pytest.mark.parametrize("request_", [expecting(b"HTTP/1.0"), GET.replace(b"host", b"expect: 100-continue\r\nhost")])
def test_no_100_to_an_old_client_or_for_no_content(request_: bytes) -> None:  # ASGI 32
    with serve(echo, lifespan="off") as served, Raw(served.host, served.port) as raw:
        raw.send(request_ + b"hi" * (b"content-length" in request_))
        assert raw.interim().status == 200


# --- cancelled, and by several tasks ---


async def by_wait_for(receive: Receive) -> Any:
    return await asyncio.wait_for(receive(), 0.01)


async def by_timeout(receive: Receive) -> Any:
    async with asyncio.timeout(0.01):
        return await receive()


async def by_anyio(receive: Receive) -> Any:
    with anyio.fail_after(0.01):
        return await receive()


async def by_cancel(receive: Receive) -> Any:
    task = asyncio.ensure_future(receive())
    await asyncio.sleep(0)
    task.cancel()
    await asyncio.wait([task])
    raise TimeoutError


@pytest.mark.parametrize("way", [by_wait_for, by_timeout, by_anyio, by_cancel])
def test_a_cancelled_receive_loses_nothing(way: Callable[[Receive], Awaitable[Any]]) -> None:  # ASGI 22
    given_up = threading.Event()

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        with pytest.raises(TimeoutError):
            await way(receive)
        given_up.set()
        await reply(send, (await read(receive))[0])

    with serve(app, lifespan="off") as served, Raw(served.host, served.port) as raw:
        raw.send(of_length(3))
        assert given_up.wait(10)
        assert raw.ask(b"abc").body == b"abc"


def test_a_receive_cancelled_before_it_began_loses_nothing(ask: Ask) -> None:  # ASGI 22
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        for _ in range(2):
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(receive(), 0)
        task = asyncio.ensure_future(receive())
        task.cancel()
        await asyncio.wait([task])
        await reply(send, (await read(receive))[0])

    assert ask(app, of_length(3) + b"abc", lifespan="off").body == b"abc"


def test_a_receive_that_is_never_awaited_loses_nothing(ask: Ask) -> None:  # ASGI 22
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        unused: Any = receive()
        unused.close()
        await reply(send, (await read(receive))[0])

    assert ask(app, of_length(3) + b"abc", lifespan="off").body == b"abc"


@pytest.mark.parametrize("loop", LOOPS)
def test_nothing_is_lost_where_arrival_and_cancelling_race(loop: str) -> None:  # ASGI 22
    pieces = [b"%04d" % number for number in range(300)]

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        whole = b""
        more = True
        while more:
            try:
                message = await asyncio.wait_for(receive(), 0.0005)
            except TimeoutError:
                continue
            whole += message["body"]
            more = message["more_body"]
        await reply(send, whole)

    with serve(app, loop=loop, lifespan="off") as served, Raw(served.host, served.port) as raw:
        raw.send(of_length(len(pieces) * 4))
        for piece in pieces:
            raw.send(piece)
        assert raw.response().body == b"".join(pieces)


@pytest.mark.parametrize("beside_another", [False, True])
def test_looking_and_giving_up_again_and_again_takes_no_memory(ask: Ask, beside_another: bool) -> None:
    """As Starlette does in `request.is_disconnected`."""
    left: list[int] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            raise NotImplementedError
        assert (await receive())["type"] == "http.request"
        waiting = [asyncio.create_task(receive())] if beside_another else []
        for _ in range(1000):
            looking = asyncio.create_task(receive())
            await asyncio.sleep(0)
            looking.cancel()
            await asyncio.wait([looking])
        del looking
        left.append(sum(type(each) is asyncio.Future for each in gc.get_objects()))
        await reply(send)
        for task in waiting:
            assert (await task)["type"] == "http.disconnect"

    assert ask(app).status == 200
    assert left[0] < 500


def test_two_tasks_may_wait_and_each_piece_goes_to_one_of_them() -> None:  # ASGI 22
    waiting, first = threading.Event(), threading.Event()
    got: list[bytes] = []

    async def one(receive: Receive) -> None:
        message = await receive()
        got.append(message["body"])
        first.set()

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        async with asyncio.TaskGroup() as group:
            group.create_task(one(receive))
            group.create_task(one(receive))
            await asyncio.sleep(0)
            waiting.set()
        await reply(send)

    with serve(app, lifespan="off") as served, Raw(served.host, served.port) as raw:
        raw.send(of_length(2))
        assert waiting.wait(10)
        raw.send(b"a")
        assert first.wait(10)
        raw.send(b"b")
        assert raw.response().status == 200
    assert got == [b"a", b"b"]


def test_two_tasks_that_ask_at_once_share_what_is_there(ask: Ask) -> None:  # ASGI 22, 29
    got: list[Message] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        both = asyncio.gather(receive(), receive())
        for _ in range(3):
            await asyncio.sleep(0)
        assert not both.done()
        await reply(send)
        got.extend(await both)

    assert ask(app, of_length(3) + b"abc", lifespan="off").body == b"ok"
    assert got == [{"type": "http.request", "body": b"abc", "more_body": False}, {"type": "http.disconnect"}]


def test_all_that_wait_are_told_of_the_disconnect() -> None:  # ASGI 29
    waiting, told = threading.Event(), threading.Event()

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await receive()
        tasks = [asyncio.ensure_future(receive()) for _ in range(3)]
        await asyncio.sleep(0)
        waiting.set()
        assert await asyncio.gather(*tasks) == [{"type": "http.disconnect"}] * 3
        told.set()

    with serve(app, lifespan="off") as served:
        with Raw(served.host, served.port) as raw:
            raw.send(GET)
            assert waiting.wait(10)
        assert told.wait(10)


def test_a_thread_may_read_as_a_bridge_to_wsgi_does(ask: Ask) -> None:  # ASGI 10
    data = random.Random(2).randbytes(2_000_000)
    before = sys.getswitchinterval()

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        loop = asyncio.get_running_loop()

        def thread() -> bytes:
            digest = hashlib.sha256()
            more = True
            while more:
                message = asyncio.run_coroutine_threadsafe(receive(), loop).result(10)  # type: ignore[arg-type]
                digest.update(message["body"])
                more = message["more_body"]
            return digest.digest()

        await reply(send, await loop.run_in_executor(None, thread))

    sys.setswitchinterval(1e-6)
    try:
        answer = ask(app, of_length(len(data)) + data, lifespan="off")
    finally:
        sys.setswitchinterval(before)
    assert answer.body == hashlib.sha256(data).digest()


# --- backpressure ---


@pytest.mark.parametrize("loop", LOOPS)
@pytest.mark.parametrize("coding", ["length", "chunked"])
def test_an_application_that_does_not_read_stalls_its_client(loop: str, coding: str) -> None:  # ASGI 2
    # What the kernel's buffers take is some MB; beyond that a client can only wait.
    size = 48 * 1024 * 1024
    may_read = threading.Event()
    sizes: list[int] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await asyncio.get_running_loop().run_in_executor(None, may_read.wait, 20)
        _, messages = await read(receive)
        sizes.extend(len(each["body"]) for each in messages)
        await reply(send)

    with serve(app, loop=loop, lifespan="off") as served, Raw(served.host, served.port) as raw:
        data = memoryview(bytes(1024 * 1024))
        left = size
        if coding == "length":
            raw.send(of_length(size))
        else:
            raw.send(post(b"transfer-encoding: chunked"))
            left = size = size + 12 * (size // len(data))
            data = memoryview(b"00100000\r\n" + bytes(data) + b"\r\n")
        stalled = False
        raw.socket.setblocking(False)
        while left and not stalled:
            if select.select([], [raw.socket], [], 0.5)[1]:
                left -= raw.socket.send(data[(size - left) % len(data) :])
            else:
                stalled = True
        assert stalled
        may_read.set()
        raw.socket.settimeout(10)
        while left:
            left -= raw.socket.send(data[(size - left) % len(data) :])
        if coding == "chunked":
            raw.send(b"0\r\n\r\n")
        assert raw.response().status == 200
    assert sum(sizes) == 48 * 1024 * 1024
    assert max(sizes) <= 64 * 1024


def test_pipelined_requests_wait_where_the_first_is_not_answered() -> None:  # ASGI 2, 11
    may_answer = threading.Event()
    called: list[str] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        called.append(scope["path"])
        await asyncio.get_running_loop().run_in_executor(None, may_answer.wait, 20)
        await reply(send)

    request = GET.replace(b"host: a", b"host: a\r\nx: " + bytes(4000).replace(b"\0", b"x"))
    with serve(app, lifespan="off") as served, Raw(served.host, served.port) as raw:
        raw.socket.setblocking(False)
        sent = 0
        while sent < 48 * 1024 * 1024 and select.select([], [raw.socket], [], 0.5)[1]:
            sent += raw.socket.send(request[sent % len(request) :])
        assert sent < 48 * 1024 * 1024
        assert called == ["/"]
        may_answer.set()
        raw.socket.settimeout(10)
        for _ in range(sent // len(request)):
            assert raw.response().body == b"ok"


class Taker(Port):
    """A wire that is told what was consumed, and has no use for it."""

    def credit(self, stream: int, size: int) -> None:
        pass


def test_content_in_crumbs_is_kept_in_few_pieces() -> None:
    loop = asyncio.new_event_loop()
    try:
        mailbox = Mailbox(loop, Taker(), 1, False)
        tracemalloc.start()
        for number in range(50_000):
            mailbox.put(bytes((number & 0xFF, 1)), False)
        held = tracemalloc.get_traced_memory()[0]
        tracemalloc.stop()
        assert mailbox.result()["body"] == b"".join(bytes((number & 0xFF, 1)) for number in range(50_000))
        assert held < 250_000  # for 100,000 bytes
    finally:
        loop.close()
