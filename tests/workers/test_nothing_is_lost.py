"""While a server of several workers is rolled over, upgraded, scaled and stopped, every request is answered; while
workers are killed, all but those that were inside them.
"""

import asyncio
import contextlib
import os
import random
import signal
import struct
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from pathlib import Path
from typing import Any

import h2.config
import h2.connection
import h2.errors
import h2.events
import pytest

APP = """
import asyncio
import os

PID = str(os.getpid()).encode()
LARGE = 600_000


async def app(scope, receive, send):
    if scope["type"] == "lifespan":
        while True:
            message = await receive()
            await send({"type": message["type"] + ".complete"})
            if message["type"] == "lifespan.shutdown":
                return
    if scope["type"] == "websocket":
        await receive()
        await send({"type": "websocket.accept"})
        while (message := await receive())["type"] == "websocket.receive":
            await send({"type": "websocket.send", "bytes": message["bytes"]})
        return
    size = 0
    while True:
        message = await receive()
        size += len(message.get("body", b""))
        if not message.get("more_body"):
            break
    if scope["path"] == "/slow":
        await asyncio.sleep(0.05)
    body = b"x" * LARGE if scope["path"] == "/large" else b"%d" % size
    headers = [(b"content-length", b"%d" % len(body)), (b"pid", PID)]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    for start in range(0, len(body), 65536):
        await send({"type": "http.response.body", "body": body[start : start + 65536], "more_body": True})
    await send({"type": "http.response.body"})
"""

LARGE = 600_000
PATIENCE = 30.0


class Lost(Exception):
    """A request that was sent has no answer, or half of one. `pid` is the worker's, if an earlier answer told it."""

    def __init__(self, what: str, pid: int | None) -> None:
        super().__init__(what)
        self.pid = pid


class Clients:
    """Who asks for things as fast as they are answered, until told to end. `lost` are requests without an answer;
    `refused` counts connections that could not be made, and `repeated` requests that the server said it did not take.
    """

    def __init__(self, port: int) -> None:
        self.port = port
        self.lost: list[Lost] = []
        self.answered: dict[str, int] = {}
        self.pids: set[int] = set()
        self.refused = 0
        self.repeated = 0
        self.ending = False
        self.stage = "at first"
        self.may_be_refused = False
        self._tasks: list[asyncio.Task[None]] = []
        self._news = asyncio.Event()  # something was answered, or a client has ended

    async def __aenter__(self) -> "Clients":
        kinds: list[tuple[int, Callable[[], Coroutine[Any, Any, None]]]] = [
            (4, self._keep_alive), (3, self._one_each), (3, self._pipeline), (2, self._upload), (2, self._download),
            (3, self._http2), (3, self._websocket),
        ]  # fmt: skip
        self._tasks = [asyncio.create_task(self._repeat(kind)) for count, kind in kinds for _ in range(count)]
        for task in self._tasks:
            task.add_done_callback(lambda task: self._news.set())
        return self

    async def __aexit__(self, *error: object) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def end(self) -> None:
        """Let everybody finish what is under way."""
        self.ending = True
        async with asyncio.timeout(PATIENCE):
            await asyncio.gather(*self._tasks)

    async def until(self, kind: str, more: int) -> None:
        """Until so many more requests of this kind were answered."""
        wanted = self.answered.get(kind, 0) + more
        async with asyncio.timeout(PATIENCE):
            while self.answered.get(kind, 0) < wanted:
                for task in self._tasks:
                    if task.done():
                        task.result()  # raises what a client found wrong
                self._news.clear()
                await self._news.wait()

    async def _repeat(self, kind: Callable[[], Coroutine[Any, Any, None]]) -> None:
        """One connection after the other."""
        while not self.ending:
            try:
                await kind()
            except Lost as lost:
                lost.add_note(self.stage)
                self.lost.append(lost)
            except ConnectionRefusedError:
                self.refused += 1
                if self.may_be_refused:
                    return
                self.lost.append(Lost("a connection was refused", None))

    def _count(self, kind: str) -> None:
        self.answered[kind] = self.answered.get(kind, 0) + 1
        self._news.set()

    @contextlib.asynccontextmanager
    async def _connected(self) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        try:
            yield reader, writer
        finally:
            writer.close()
            with contextlib.suppress(OSError):
                await writer.wait_closed()

    async def _response(self, reader: asyncio.StreamReader, what: str, pid: int | None) -> tuple[int, bool, bytes]:
        """Its worker, whether the connection goes on, and the body."""
        try:
            head = (await reader.readuntil(b"\r\n\r\n")).lower()
            assert head.startswith(b"http/1.1 200 "), head
            fields = dict(line.split(b": ", 1) for line in head.split(b"\r\n")[1:-2])
            body = await reader.readexactly(int(fields[b"content-length"]))
        except (asyncio.IncompleteReadError, ConnectionError) as error:
            raise Lost(f"{what}: {error!r}", pid) from error
        self.pids.add(int(fields[b"pid"]))
        return int(fields[b"pid"]), fields.get(b"connection") != b"close", body

    async def _keep_alive(self) -> None:
        async with self._connected() as (reader, writer):
            pid = None
            stays = True
            while stays and not self.ending:
                writer.write(b"GET /slow HTTP/1.1\r\nHost: x\r\n\r\n")
                pid, stays, _ = await self._response(reader, "keep-alive", pid)
                self._count("keep-alive")
                await asyncio.sleep(random.random() / 100)

    async def _one_each(self) -> None:
        async with self._connected() as (reader, writer):
            writer.write(b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
            await self._response(reader, "a request of its own connection", None)
            self._count("one each")

    async def _pipeline(self) -> None:
        """RFC 9112 §9.3.2: what comes after a response that says close was not taken, and is sent again."""
        many = 5
        async with self._connected() as (reader, writer):
            pid = None
            while not self.ending:
                writer.write(b"GET /slow HTTP/1.1\r\nHost: x\r\n\r\n" * many)
                for number in range(many):
                    pid, stays, _ = await self._response(reader, f"pipelined, number {number}", pid)
                    self._count("pipelined")
                    if not stays:
                        self.repeated += many - number - 1
                        return

    async def _upload(self) -> None:
        piece = b"y" * 20_000
        async with self._connected() as (reader, writer):
            pid = None
            stays = True
            while stays and not self.ending:
                writer.write(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 200000\r\n\r\n")
                for _ in range(10):
                    writer.write(piece)
                    with contextlib.suppress(ConnectionError):  # the answer, or its absence, tells
                        await writer.drain()
                    await asyncio.sleep(0.01)
                pid, stays, body = await self._response(reader, "upload", pid)
                assert body == b"200000"
                self._count("upload")

    async def _download(self) -> None:
        async with self._connected() as (reader, writer):
            writer.write(b"GET /large HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
            size = 0
            try:
                await reader.readuntil(b"\r\n\r\n")
                while data := await reader.read(30_000):
                    size += len(data)
                    await asyncio.sleep(0.005)
            except (asyncio.IncompleteReadError, ConnectionError) as error:
                raise Lost(f"download: {error!r} after {size} bytes", None) from error
            if size != LARGE:
                raise Lost(f"download: {size} bytes of {LARGE}", None)
            self._count("download")

    async def _http2(self) -> None:
        async with self._connected() as (reader, writer):
            connection = h2.connection.H2Connection(h2.config.H2Configuration())
            # A GOAWAY ends nothing that is under way (RFC 9113 §6.8), but to this library it is the end of all.
            states, inputs = h2.connection.ConnectionState, h2.connection.ConnectionInputs
            still = {(state, inputs.RECV_GOAWAY): (None, state) for state in (states.CLIENT_OPEN, states.IDLE)}
            connection.state_machine._transitions = connection.state_machine._transitions | still
            connection.initiate_connection()
            headers = [(":method", "GET"), (":path", "/slow"), (":scheme", "http"), (":authority", "x")]
            asked: set[int] = set()
            last: int | None = None
            while asked or not (self.ending or last is not None):
                while len(asked) < 4 and last is None and not self.ending:
                    stream = connection.get_next_available_stream_id()
                    connection.send_headers(stream, headers, end_stream=True)
                    asked.add(stream)
                writer.write(connection.data_to_send())
                try:
                    data = await reader.read(65536)
                except ConnectionError:
                    data = b""
                if not data:
                    raise Lost(f"HTTP/2: {len(asked)} requests", None)
                for event in connection.receive_data(data):
                    if isinstance(event, h2.events.StreamEnded):
                        asked.discard(event.stream_id)
                        self._count("http2")
                    elif isinstance(event, h2.events.ConnectionTerminated):
                        # RFC 9113 §6.8: what has a higher number was not taken.
                        last = event.last_stream_id or 0
                        not_taken = {each for each in asked if each > last}
                        self.repeated += len(not_taken)
                        asked -= not_taken

    async def _websocket(self) -> None:
        async with self._connected() as (reader, writer):
            writer.write(
                b"GET / HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
            )
            try:
                head = await reader.readuntil(b"\r\n\r\n")
                if head.startswith(b"HTTP/1.1 503"):  # it came while the worker was about to end
                    self.repeated += 1
                    return
                assert head.startswith(b"HTTP/1.1 101"), head
                while not self.ending:
                    writer.write(b"\x82\x84" + bytes(4) + b"ping")
                    first, size = await reader.readexactly(2)
                    payload = await reader.readexactly(size)
                    if first == 0x88:
                        code = struct.unpack("!H", payload[:2])[0]
                        if code != 1012:
                            raise Lost(f"WebSocket: closed with {code}", None)
                        self._count("websocket closed with 1012")
                        return
                    assert (first, payload) == (0x82, b"ping")
                    self._count("websocket")
                    await asyncio.sleep(random.random() / 100)
            except (asyncio.IncompleteReadError, ConnectionError) as error:
                raise Lost(f"WebSocket: {error!r}", None) from error


KINDS = ("keep-alive", "one each", "pipelined", "upload", "download", "http2", "websocket")


def in_a_thread(function: Callable[..., Any], *args: Any) -> Awaitable[Any]:
    return asyncio.get_running_loop().run_in_executor(None, function, *args)


async def among_clients(port: int, drive: Callable[[Clients], Awaitable[None]]) -> Clients:
    async with Clients(port) as clients:
        await drive(clients)
    return clients


async def everybody_is_served(clients: Clients) -> None:
    await asyncio.gather(*(clients.until(kind, 2) for kind in KINDS))


@pytest.fixture
def served(portway_command: Any, tmp_path: Path) -> Any:
    file = tmp_path / "portway.pid"
    command = portway_command(APP, "--port", "0", "--workers", "2", "--pid", str(file), "--no-access-log").up()
    yield command
    with contextlib.suppress(FileNotFoundError, ProcessLookupError, ValueError):
        os.kill(int(file.read_text()), signal.SIGKILL)


def supervisor(tmp_path: Path) -> int:
    return int((tmp_path / "portway.pid").read_text())


def test_rolling_over_scaling_upgrading_and_stopping_lose_nothing(served: Any, tmp_path: Path) -> None:
    async def drive(clients: Clients) -> None:
        await everybody_is_served(clients)
        for number, said in (
            (signal.SIGHUP, "All workers are replaced"),
            (signal.SIGTTIN, "3 workers from now on"),
            (signal.SIGTTOU, "2 workers from now on"),
            (signal.SIGHUP, "All workers are replaced"),
        ):
            before = served.err.count(said)
            clients.stage = f"during {number.name}"
            os.kill(supervisor(tmp_path), number)
            await in_a_thread(served.err.wait_for, said, before + 1)
            await everybody_is_served(clients)
        old = supervisor(tmp_path)
        clients.stage = "during SIGUSR2"
        os.kill(old, signal.SIGUSR2)
        assert await in_a_thread(served.ends) == 0
        assert supervisor(tmp_path) != old
        await everybody_is_served(clients)
        clients.may_be_refused = True
        before = served.err.count("Stopped")
        clients.stage = "during SIGTERM"
        os.kill(supervisor(tmp_path), signal.SIGTERM)
        await in_a_thread(served.err.wait_for, "Stopped", before + 1)
        await clients.end()

    clients = asyncio.run(among_clients(served.port, drive))
    assert [f"{lost} {lost.__notes__[0]}" for lost in clients.lost] == []
    assert len(clients.pids) >= 8  # the first two, those of the rolls, the third one, those of the successor
    assert clients.answered["websocket closed with 1012"] > 0


def test_only_what_is_inside_a_killed_worker_is_lost(served: Any, tmp_path: Path) -> None:
    killed: set[int] = set()

    async def drive(clients: Clients) -> None:
        await everybody_is_served(clients)
        for round in range(3):
            alive = sorted(clients.pids - killed)
            clients.pids.clear()
            await clients.until("one each", 10)
            victim = random.choice(sorted(clients.pids - killed) or alive)
            killed.add(victim)
            os.kill(victim, signal.SIGKILL)
            await in_a_thread(served.err.wait_for, "was ended by SIGKILL", round + 1)
            await everybody_is_served(clients)
        await clients.end()

    clients = asyncio.run(among_clients(served.port, drive))
    outside = [str(each) for each in clients.lost if each.pid is not None and each.pid not in killed]
    assert not outside
    assert clients.refused == 0
    # Each of 20 connections can have been inside each victim once, with what it had under way.
    assert len(clients.lost) <= 20 * len(killed)
    assert served.ends(signal.SIGTERM) == 0


def test_who_waits_in_the_queue_of_a_killed_worker_is_served(portway_command: Any, tmp_path: Path) -> None:
    command = portway_command(APP, "--port", "0", "--workers", "2", "--no-access-log").up()

    async def drive() -> tuple[int, list[int]]:
        victim = await ask(*await asyncio.open_connection("127.0.0.1", command.port))
        os.kill(victim, signal.SIGSTOP)  # from now on, who comes to it waits in the queue
        connected = [await asyncio.open_connection("127.0.0.1", command.port) for _ in range(40)]
        os.kill(victim, signal.SIGKILL)
        async with asyncio.timeout(PATIENCE):
            return victim, await asyncio.gather(*(ask(*each) for each in connected))

    victim, answers = asyncio.run(drive())
    assert victim not in answers


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere all workers accept from one socket")
def test_who_waits_for_a_blocked_worker_is_served_by_another(portway_command: Any) -> None:
    command = portway_command(APP, "--port", "0", "--workers", "2", "--no-access-log").up()

    async def drive() -> tuple[int, list[int]]:
        reader, writer = await asyncio.open_connection("127.0.0.1", command.port)
        victim = await ask(reader, writer)
        os.kill(victim, signal.SIGSTOP)
        connected = [await asyncio.open_connection("127.0.0.1", command.port) for _ in range(40)]
        async with asyncio.timeout(PATIENCE):  # --timeout-worker is a minute
            answers = await asyncio.gather(*(ask(*each) for each in connected))
        os.kill(victim, signal.SIGCONT)
        while await ask(*await asyncio.open_connection("127.0.0.1", command.port)) != victim:
            pass  # it is back
        return victim, answers

    victim, answers = asyncio.run(drive())
    assert victim not in answers
    assert command.ends(signal.SIGTERM) == 0


def test_who_waits_where_no_worker_is_is_served_when_the_server_is_stopped(portway_command: Any) -> None:
    command = portway_command(APP, "--port", "0", "--workers", "2", "--no-access-log").up()

    async def drive() -> list[int]:
        stays = victim = await ask(*await asyncio.open_connection("127.0.0.1", command.port))
        for deaths in range(1, 5):  # in the end the other one is in a pause of seconds
            while victim == stays:
                victim = await ask(*await asyncio.open_connection("127.0.0.1", command.port))
            os.kill(victim, signal.SIGKILL)
            victim = stays
            await in_a_thread(command.err.wait_for, "was ended by SIGKILL", deaths)
        connected = [await asyncio.open_connection("127.0.0.1", command.port) for _ in range(40)]
        for _, writer in connected:
            writer.write(b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        command.process.send_signal(signal.SIGTERM)
        async with asyncio.timeout(PATIENCE):
            return await asyncio.gather(*(answer(*each) for each in connected))

    assert len(asyncio.run(drive())) == 40
    assert command.ends() == 0


async def ask(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> int:
    writer.write(b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
    return await answer(reader, writer)


async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> int:
    """The worker that answered."""
    head = await reader.readuntil(b"\r\n\r\n")
    await reader.read()
    writer.close()
    return int(head.split(b"pid: ")[1].split(b"\r\n")[0])
