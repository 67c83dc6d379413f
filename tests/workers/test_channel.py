"""Lines of JSON over a real socket pair, on real loops."""

import asyncio
import json
import socket
import sys
from collections.abc import Callable, Coroutine, Iterator
from typing import Any

import pytest

from portway.workers.channel import READ_MOST, Channel, line

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="its loop cannot wait for sockets so")

PATIENCE = 20.0


class End:
    """A channel, and what it heard."""

    def __init__(self, sock: socket.socket) -> None:
        self.sock = sock
        self.heard: list[Any] = []
        self.ended = 0
        self.on_message: Callable[[Any], object] = lambda message: None
        self._changed = asyncio.Event()
        self.channel = Channel(sock, asyncio.get_running_loop(), self._hear, self._end)

    async def until(self, count: int) -> list[Any]:
        """What was heard, once it is so much."""
        return await self._until(lambda: len(self.heard) >= count)

    async def until_the_end(self) -> list[Any]:
        return await self._until(lambda: self.ended > 0)

    async def _until(self, done: Callable[[], bool]) -> list[Any]:
        async with asyncio.timeout(PATIENCE):
            while not done():
                self._changed.clear()
                await self._changed.wait()
        return self.heard

    def _hear(self, message: Any) -> None:
        self.heard.append(message)
        self.on_message(message)
        self._changed.set()

    def _end(self) -> None:
        self.ended += 1
        self._changed.set()


Run = Callable[[Coroutine[Any, Any, None]], None]


@pytest.fixture(params=["asyncio", "uvloop"])
def run(request: pytest.FixtureRequest) -> Run:
    """Run something on a loop of that kind."""
    factory = None if request.param == "asyncio" else pytest.importorskip("uvloop").new_event_loop

    def run(what: Coroutine[Any, Any, None]) -> None:
        with asyncio.Runner(loop_factory=factory) as runner:
            runner.run(what)

    return run


@pytest.fixture
def pair() -> Iterator[tuple[socket.socket, socket.socket]]:
    left, right = socket.socketpair()
    yield left, right
    left.close()
    right.close()


Pair = tuple[socket.socket, socket.socket]


def test_a_message_is_a_line() -> None:
    assert line({"tell": "failed", "why": "a\nb"}) == b'{"tell": "failed", "why": "a\\nb"}\n'


def test_both_ends_speak_and_hear(run: Run, pair: Pair) -> None:
    async def talk() -> None:
        left, right = map(End, pair)
        left.channel.send({"do": "stop"})
        right.channel.send({"tell": "ready"})
        right.channel.send({"tell": "beat", "lag": 0.25, "name": "ü"})
        assert await right.until(1) == [{"do": "stop"}]
        assert await left.until(2) == [{"tell": "ready"}, {"tell": "beat", "lag": 0.25, "name": "ü"}]
        left.channel.close()
        right.channel.close()

    run(talk())


def test_a_message_may_come_in_pieces_and_several_at_once(run: Run, pair: Pair) -> None:
    async def talk() -> None:
        end = End(pair[0])
        data = line({"number": 1}) + line({"number": 2}) + line({"number": 3})
        pair[1].sendall(data[:5])
        pair[1].sendall(data[5:20])
        assert await end.until(1) == [{"number": 1}]
        pair[1].sendall(data[20:])
        assert [each["number"] for each in await end.until(3)] == [1, 2, 3]
        end.channel.close()

    run(talk())


def test_what_the_other_end_does_not_take_is_kept_and_sent_in_order(run: Run, pair: Pair) -> None:
    async def talk() -> None:
        for sock in pair:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
        left = End(pair[0])
        sent = [{"number": number, "padding": "x" * 3 * READ_MOST} for number in range(20)]
        for message in sent:
            left.channel.send(message)
        right = End(pair[1])
        assert await right.until(20) == sent
        left.channel.send({"number": 20})
        assert (await right.until(21))[-1] == {"number": 20}
        left.channel.close()
        right.channel.close()

    run(talk())


def test_the_end_is_told_once_after_all_that_was_said(run: Run, pair: Pair) -> None:
    async def talk() -> None:
        end = End(pair[0])
        pair[1].sendall(line({"number": 1}) + line({"number": 2}) + b'{"half')
        pair[1].close()
        assert await end.until_the_end() == [{"number": 1}, {"number": 2}]
        end.channel.send({"do": "stop"})
        end.channel.drain()
        end.channel.close()
        assert end.ended == 1
        assert end.sock.fileno() == -1

    run(talk())


@pytest.mark.parametrize("noise", [b"\n", b"Traceback\n", b"\xff\xfe\n", b'{"number": 1\n'])
def test_noise_is_the_end_of_what_can_be_heard(run: Run, pair: Pair, noise: bytes) -> None:
    async def talk() -> None:
        end = End(pair[0])
        pair[1].sendall(line({"number": 1}) + noise + line({"number": 2}))
        assert await end.until_the_end() == [{"number": 1}]
        assert end.ended == 1
        assert end.sock.fileno() == -1

    run(talk())


def test_what_is_said_to_nobody_is_dropped(run: Run, pair: Pair) -> None:
    async def talk() -> None:
        end = End(pair[0])
        pair[1].sendall(line({"last": "words"}))
        pair[1].close()
        for _ in range(10):
            end.channel.send({"padding": "x" * READ_MOST})
        assert await end.until_the_end() == [{"last": "words"}]
        assert end.ended == 1

    run(talk())


def test_last_words_are_heard_although_the_other_end_did_not_listen(run: Run, pair: Pair) -> None:
    async def talk() -> None:
        end = End(pair[0])
        end.channel.send({"do": "stop"})
        pair[1].sendall(line({"last": "words"}))
        pair[1].close()  # with something unread: a reset
        assert await end.until_the_end() == [{"last": "words"}]

    run(talk())


def test_a_channel_is_drained_without_the_loop(run: Run, pair: Pair) -> None:
    async def talk() -> None:
        end = End(pair[0])
        many = [{"number": number, "padding": "x" * 1000} for number in range(150)]
        pair[1].sendall(b"".join(map(line, many)))
        pair[1].close()
        end.channel.drain()
        assert end.heard == many
        assert end.ended == 1
        assert end.sock.fileno() == -1

    run(talk())


def test_a_channel_is_drained_although_somebody_else_holds_the_other_end(run: Run, pair: Pair) -> None:
    async def talk() -> None:
        end = End(pair[0])
        pair[1].sendall(line({"last": "words"}))
        end.channel.drain()
        assert end.heard == [{"last": "words"}]
        assert end.ended == 0
        assert end.sock.fileno() == -1

    run(talk())


def test_a_closed_channel_says_and_hears_nothing(run: Run, pair: Pair) -> None:
    async def talk() -> None:
        end = End(pair[0])
        pair[1].sendall(line({"number": 1}))
        end.channel.close()
        end.channel.close()
        end.channel.send({"do": "stop"})
        await asyncio.sleep(0)
        assert end.heard == []
        assert end.ended == 0
        with pytest.raises(ConnectionResetError):  # what was said to it is lost
            pair[1].recv(100)

    run(talk())


def test_whoever_closes_it_in_the_middle_hears_no_more(run: Run, pair: Pair) -> None:
    async def talk() -> None:
        end = End(pair[0])
        end.on_message = lambda message: end.channel.close()
        pair[1].sendall(line({"number": 1}) + line({"number": 2}))
        assert await end.until(1) == [{"number": 1}]
        await asyncio.sleep(0)
        assert end.heard == [{"number": 1}]

    run(talk())


def test_an_answer_may_be_given_while_hearing(run: Run, pair: Pair) -> None:
    async def talk() -> None:
        left, right = map(End, pair)
        right.on_message = lambda message: right.channel.send({"answer": message})
        left.channel.send({"number": 1})
        left.channel.send({"number": 2})
        assert await left.until(2) == [{"answer": {"number": 1}}, {"answer": {"number": 2}}]
        left.channel.close()
        assert await right.until_the_end()

    run(talk())


def test_what_is_kept_is_dropped_when_it_is_closed(run: Run, pair: Pair) -> None:
    async def talk() -> None:
        end = End(pair[0])
        end.channel.send({"padding": "x" * 10 * 2**20})
        end.channel.close()
        with pytest.raises(json.JSONDecodeError):
            json.loads(await asyncio.to_thread(pair[1].makefile("rb").read))

    run(talk())
