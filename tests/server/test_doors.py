"""How listening sockets are closed: nobody who is connected is sent away, and nobody else is let in."""

import array
import asyncio
import errno
import os
import socket
import struct
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from portway import Server, Settings
from portway.boot import loop_factory
from portway.server import listen
from portway.server.doors import Doors
from portway.testing import Raw, serve
from portway.types import Receive, Scope, Send

GET = b"GET / HTTP/1.1\r\nhost: a\r\n\r\n"
LOOPS = pytest.mark.parametrize("loop", ["uvloop", "asyncio"])
linux = pytest.mark.skipif(sys.platform != "linux", reason="a filter on sockets is Linux'")
CROWD = 200


async def hello(scope: Scope, receive: Receive, send: Send) -> None:
    if scope["type"] == "lifespan":
        raise NotImplementedError
    await send({"type": "http.response.start", "status": 200})
    await send({"type": "http.response.body", "body": b"hello"})


@pytest.fixture
def bound() -> Iterator[socket.socket]:
    (sock,) = listen.tcp("127.0.0.1", 0)
    yield sock
    sock.close()


@pytest.fixture
def listening(bound: socket.socket) -> socket.socket:
    bound.listen(CROWD)
    return bound


def run(loop: str, scene: Callable[[], Any]) -> None:
    with asyncio.Runner(loop_factory=loop_factory(loop)) as runner:
        runner.run(scene())


def connects(address: Any) -> bool:
    with socket.socket() as client:
        client.settimeout(0.2)
        return client.connect_ex(address) == 0


# --- a stemmed socket ---


@linux
def test_nobody_gets_into_a_stemmed_socket_and_who_is_in_stays(listening: socket.socket) -> None:
    address = listening.getsockname()
    with socket.create_connection(address) as client:
        for _ in range(2):  # it may be stemmed again
            listen.stem(listening)
        assert not connects(address)
        accepted, _ = listening.accept()
        with accepted:
            client.sendall(b"to the server")
            assert accepted.recv(100) == b"to the server"
            accepted.sendall(b"and back")
            assert client.recv(100) == b"and back"


@linux
def test_a_stemmed_socket_is_so_for_all_who_hold_it(listening: socket.socket) -> None:
    with listening.dup() as other:
        listen.stem(listening)
        assert not connects(other.getsockname())


def test_what_cannot_be_stemmed_stays_as_it_was() -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        listen.stem(ours)
        theirs.send(b"hello")
        assert ours.recv(100) == b"hello"


def test_the_path_of_a_stemmed_unix_socket_is_gone_and_who_waits_is_there(tmp_path: Path) -> None:
    path = str(tmp_path / "s")
    with listen.unix(path) as sock, socket.socket(socket.AF_UNIX) as client:
        sock.listen()
        client.connect(path)
        listen.stem(sock)
        assert not os.path.exists(path)
        assert listen.waiting(sock)


def test_waiting_says_whether_somebody_waits(listening: socket.socket) -> None:
    assert not listen.waiting(listening)
    with socket.create_connection(listening.getsockname()):
        assert listen.waiting(listening)
    listening.close()
    assert not listen.waiting(listening)


SO_DETACH_FILTER = 27


def begin_a_handshake(address: Any) -> socket.socket:
    """A client that hears nothing of the server's answer, for now."""
    client = socket.socket()
    drop = array.array("B", struct.pack("HBBI", 6, 0, 0, 0))
    client.setsockopt(socket.SOL_SOCKET, listen.SO_ATTACH_FILTER, struct.pack("HP", 1, drop.buffer_info()[0]))
    client.setblocking(False)
    assert client.connect_ex(address) == errno.EINPROGRESS
    return client


@linux
def test_half_open_says_whether_a_handshake_is_under_way(listening: socket.socket) -> None:
    assert not listen.half_open(listening)
    with begin_a_handshake(listening.getsockname()):
        assert listen.half_open(listening)
        assert not listen.waiting(listening)
    with listen.tcp("127.0.0.1", 0)[0] as other:
        other.listen()
        assert not listen.half_open(other)


# --- the doors ---


class Greeter(asyncio.Protocol):
    def connection_made(self, transport: Any) -> None:
        transport.write(b"come in")
        transport.close()


def answered(clients: list[socket.socket]) -> int:
    """How many were let in."""
    count = 0
    for client in clients:
        client.settimeout(5)
        try:
            count += client.recv(100) == b"come in"
        except OSError:
            pass
    return count


@LOOPS
def test_all_who_wait_are_accepted_before_the_doors_are_closed(bound: socket.socket, loop: str) -> None:
    async def scene() -> None:
        doors = Doors(asyncio.get_running_loop(), CROWD)
        await doors.open([bound], Greeter)
        with ExitStack() as stack:
            # The loop has no turn meanwhile: the kernel connects them.
            clients = [stack.enter_context(socket.create_connection(bound.getsockname())) for _ in range(CROWD)]
            doors.narrow()
            await doors.empty()
            await doors.close()
            assert await asyncio.to_thread(answered, clients) == CROWD

    run(loop, scene)


@linux
@LOOPS
def test_whose_handshake_is_under_way_is_accepted_as_well(
    bound: socket.socket, loop: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("portway.server.doors.EMPTYING", 10.0)  # what the kernel lost it says again after a second

    async def scene() -> None:
        doors = Doors(asyncio.get_running_loop(), CROWD)
        await doors.open([bound], Greeter)
        with begin_a_handshake(bound.getsockname()) as client:
            doors.narrow()
            emptying = asyncio.create_task(doors.empty())
            await asyncio.sleep(0)
            assert not emptying.done()
            client.setsockopt(socket.SOL_SOCKET, SO_DETACH_FILTER, 0)
            await emptying
            await doors.close()
            assert await asyncio.to_thread(answered, [client]) == 1

    run(loop, scene)


@LOOPS
def test_who_was_accepted_this_very_moment_is_not_dropped(bound: socket.socket, loop: str) -> None:
    made: list[Any] = []

    def make() -> Any:
        made.append(Greeter())
        return made[-1]

    async def scene() -> None:
        doors = Doors(asyncio.get_running_loop(), CROWD)
        await doors.open([bound], make)
        with ExitStack() as stack:
            clients = [stack.enter_context(socket.create_connection(bound.getsockname())) for _ in range(CROWD)]
            while listen.waiting(bound):
                await asyncio.sleep(0)
            await doors.close()
            assert await asyncio.to_thread(answered, clients) == CROWD == len(made)

    run(loop, scene)


@LOOPS
@pytest.mark.parametrize("turns", range(4))
def test_who_comes_while_the_doors_are_closed_is_left_to_who_else_holds_the_socket(
    listening: socket.socket, loop: str, turns: int
) -> None:
    async def scene() -> None:
        running = asyncio.get_running_loop()
        doors = Doors(running, CROWD)
        clients: list[socket.socket] = []
        closed = False

        def come() -> None:
            if not closed:  # one in each turn of the loop
                clients.append(stack.enter_context(socket.create_connection(listening.getsockname())))
                running.call_soon(come)

        with listening.dup() as shared, ExitStack() as stack:
            await doors.open([shared], Greeter)
            come()
            for _ in range(turns):  # asyncio accepts in every other one
                await asyncio.sleep(0)
            await doors.close()
            closed = True
            while listen.waiting(listening):
                with listening.accept()[0] as accepted:
                    accepted.send(b"come in")
            assert await asyncio.to_thread(answered, clients) == len(clients)

    run(loop, scene)


@LOOPS
def test_sockets_of_others_are_not_stemmed(bound: socket.socket, loop: str) -> None:
    async def scene() -> None:
        doors = Doors(asyncio.get_running_loop(), CROWD)
        with bound.dup() as theirs:
            await doors.open([theirs], Greeter)
            doors.narrow()
            await doors.empty()
            await doors.close()
        assert connects(bound.getsockname())

    run(loop, scene)


# --- a server on sockets that it is given ---


@LOOPS
def test_a_server_serves_on_the_sockets_that_it_is_given_and_closes_them(loop: str) -> None:
    (sock,) = listen.tcp("127.0.0.1", 0)
    address = sock.getsockname()

    async def main() -> None:
        server = Server(hello, Settings(port=1))  # which is not listened on
        up = asyncio.Event()
        task = asyncio.create_task(server.serve(up.set, sockets=[sock]))
        await up.wait()
        assert server.urls == (f"http://127.0.0.1:{address[1]}",)
        assert await asyncio.to_thread(ask, address) == 200
        server.stop()
        await task

    run(loop, main)
    assert sock.fileno() == -1


def ask(address: Any) -> int:
    with Raw(*address) as raw:
        return raw.ask(GET).status


@LOOPS
def test_and_leads_to_https_on_those_that_are_given_for_it(
    loop: str, localhost: dict[str, str], authority: Any
) -> None:
    secure, plain = listen.tcp("127.0.0.1", 0) + listen.tcp("127.0.0.1", 0)

    async def main() -> None:
        server = Server(hello, Settings(**{name: (path,) for name, path in localhost.items()}))  # type: ignore[arg-type]
        up = asyncio.Event()
        task = asyncio.create_task(server.serve(up.set, sockets=[secure], redirect_sockets=[plain]))
        await up.wait()
        assert await asyncio.to_thread(ask, plain.getsockname()) == 301
        server.stop()
        await task

    run(loop, main)
    assert (secure.fileno(), plain.fileno()) == (-1, -1)


@LOOPS
def test_a_server_that_retires_leaves_the_sockets_to_others(loop: str) -> None:
    (sock,) = listen.tcp("127.0.0.1", 0)
    address = sock.getsockname()

    async def main() -> None:
        up, up_too = asyncio.Event(), asyncio.Event()
        old, young = Server(hello, Settings()), Server(hello, Settings())
        with sock:
            first = asyncio.create_task(old.serve(up.set, sockets=[sock.dup()]))
            await up.wait()
            second = asyncio.create_task(young.serve(up_too.set, sockets=[sock.dup()]))
            await up_too.wait()
            _, writer = await asyncio.open_connection(*address)
            old.retire()
            await first
            assert [await asyncio.to_thread(ask, address) for _ in range(20)] == [200] * 20
            young.stop()
            await second
        writer.close()

    run(loop, main)


def test_the_path_of_a_unix_socket_stays_when_its_server_retires(tmp_path: Path) -> None:
    path = str(tmp_path / "s")
    with serve(hello, uds=path) as served:
        served.server.retire()
    assert os.path.exists(path)


@LOOPS
def test_no_client_that_got_in_is_sent_away(loop: str) -> None:
    """Many connect and ask as fast as they can while the server stops."""
    lost: list[str] = []
    answers: list[int] = []

    def client(address: tuple[str, int]) -> None:
        while True:
            try:
                raw = Raw(*address)
            except OSError:  # refused, or not heard
                return
            with raw:
                try:
                    answers.append(raw.ask(GET).status)
                except (EOFError, OSError) as error:
                    lost.append(repr(error))

    with serve(hello, loop=loop) as served:
        threads = [threading.Thread(target=client, args=((served.host, served.port),)) for _ in range(16)]
        for thread in threads:
            thread.start()
        while len(answers) < 200:
            assert any(thread.is_alive() for thread in threads)
        served.server.stop(patient=True)
    for thread in threads:
        thread.join(20)
    assert lost == []
    assert set(answers) == {200}
