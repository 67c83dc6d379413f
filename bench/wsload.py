#!/usr/bin/env python3
"""The load for WebSockets, which wrk does not know: echoes asked for over many connections at once.

Each connection keeps so many messages in flight. The messages differ, but come again in a fixed order; so what
is sent is a piece of a stream of frames that was masked beforehand, what comes back is a piece of another that is
known too, and two numbers say where a connection stands in them. Every byte that comes is compared, and messages
are counted by division. No extension is offered.
"""

import argparse
import base64
import gc
import hashlib
import json
import os
import random
import select
import socket
import struct
import time

HANDSHAKE_PATIENCE = 10  # seconds
PATIENCE = 5  # seconds in which nothing comes
CLOSE_PATIENCE = 2  # seconds for all connections to be closed
RECEIVED_AT_ONCE = 256 * 1024
DIFFERENT_BYTES = 128 * 1024  # so many bytes of messages that differ, but
DIFFERENT_MOST = 64

# RFC 6455 §5.2
TEXT, BINARY, CLOSE, FINAL, MASKED = 0x1, 0x2, 0x8, 0x80, 0x80
KEY = bytes.fromhex("37fa213d")  # any but zeros, which would make the mask free: that of the examples in §5.7
GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"  # §1.3
NORMAL = struct.pack("!H", 1000)  # §7.4.1


class Wrong(Exception):
    """The server did what it must not; the message says what. `kind` is one of wrk's kinds of errors."""

    def __init__(self, told: str, kind: str = "read"):
        super().__init__(told)
        self.kind = kind


# -- frames


def frame(opcode: int, payload: bytes, mask: bool) -> bytes:
    size = len(payload)
    bit = MASKED if mask else 0
    if size < 126:
        length = struct.pack("!B", bit | size)
    elif size < 1 << 16:
        length = struct.pack("!BH", bit | 126, size)
    else:
        length = struct.pack("!BQ", bit | 127, size)
    head = bytes((FINAL | opcode,)) + length
    return head + KEY + masked(payload) if mask else head + payload


def masked(payload: bytes) -> bytes:
    key = (KEY * (len(payload) // 4 + 1))[: len(payload)]
    return (int.from_bytes(payload) ^ int.from_bytes(key)).to_bytes(len(payload))


class Messages:
    """The messages as two streams of frames without an end: ours, masked, and the server's."""

    def __init__(self, size: int, binary: bool, in_flight: int):
        number = max(2, min(DIFFERENT_MOST, DIFFERENT_BYTES // size))
        payloads = [self._payload(random.Random(seed), size, binary) for seed in range(number)]
        opcode = BINARY if binary else TEXT
        ours = b"".join(frame(opcode, payload, mask=True) for payload in payloads)
        theirs = b"".join(frame(opcode, payload, mask=False) for payload in payloads)
        self.our_frame, self.their_frame = len(ours) // number, len(theirs) // number
        self.our_cycle, self.their_cycle = len(ours), len(theirs)
        # From anywhere in the first cycle, there is as much as is sent or received at once.
        self.ours = memoryview(ours * (2 + in_flight // number))
        self.theirs = memoryview(theirs * (2 + RECEIVED_AT_ONCE // len(theirs)))

    @staticmethod
    def _payload(chance: random.Random, size: int, binary: bool) -> bytes:
        return chance.randbytes(size) if binary else chance.randbytes(size).hex()[:size].encode()


# -- the handshake


def connect(host: str, port: int, path: str = "/", patience: float = HANDSHAKE_PATIENCE) -> socket.socket:
    """An open WebSocket, its handshake checked (RFC 6455 §4.1); raises Wrong or OSError."""
    connection = socket.create_connection((host, port), timeout=patience)
    try:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        key = base64.b64encode(os.urandom(16))
        connection.sendall(
            f"GET {path} HTTP/1.1\r\nHost: {host}:{port}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            f"Sec-WebSocket-Key: {key.decode()}\r\nSec-WebSocket-Version: 13\r\n\r\n".encode()
        )
        head, _, rest = answer(connection).partition(b"\r\n\r\n")
        check(head, key)
        if rest:
            raise Wrong(f"it sent {rest[:20]!r} before it was asked anything")
    except BaseException:
        connection.close()
        raise
    return connection


def answer(connection: socket.socket) -> bytes:
    came = b""
    while b"\r\n\r\n" not in came:
        more = connection.recv(65536)
        if not more:
            raise Wrong(f"it closed in the handshake, after {came[:80]!r}", "connect")
        came += more
    return came


def check(head: bytes, key: bytes) -> None:
    status, *lines = head.split(b"\r\n")
    fields = {name.strip().lower(): value.strip() for name, _, value in (line.partition(b":") for line in lines)}
    expected = base64.b64encode(hashlib.sha1(key + GUID).digest())
    if status.split()[1:2] != [b"101"]:
        raise Wrong(f"the handshake is answered by {status.decode('latin-1')}", "status")
    if fields.get(b"sec-websocket-accept") != expected:
        raise Wrong("Sec-WebSocket-Accept is not what follows from the key", "status")
    for name in (b"sec-websocket-extensions", b"sec-websocket-protocol"):
        if name in fields:
            raise Wrong(f"{name.decode()} was not offered, and is {fields[name].decode('latin-1')}", "status")


def close(connections: list[socket.socket]) -> None:
    """Say goodbye on all, and wait until the server has closed them."""
    deadline = time.monotonic() + CLOSE_PATIENCE
    try:
        for connection in connections:
            connection.setblocking(True)
            connection.sendall(frame(CLOSE, NORMAL, mask=True))
        for connection in connections:
            connection.settimeout(max(0.01, deadline - time.monotonic()))
            while connection.recv(RECEIVED_AT_ONCE):
                pass
    except OSError:
        pass  # it has closed without waiting for this, or takes its time
    for connection in connections:
        connection.close()


# -- the burst

BUFFER = bytearray(RECEIVED_AT_ONCE)


class Talk:
    """One connection: how many messages were asked for and answered, and its places in our stream and in theirs."""

    __slots__ = ("answered", "asked", "due", "receive", "received", "send", "sent", "timed", "timed_from")

    def __init__(self, connection: socket.socket):
        self.send = connection.send
        self.receive = connection.recv_into
        self.asked = 0
        self.answered = 0
        self.due = 0  # bytes to be sent, since the beginning
        self.sent = 0
        self.received = 0
        # One message at a time is timed, which is every one where one is in flight.
        self.timed = 1
        self.timed_from = 0.0


class Burst:
    def __init__(self, connections: list[socket.socket], messages: Messages, in_flight: int):
        self.messages = messages
        self.in_flight = in_flight
        self.seconds = 0.0
        self.latencies: list[float] = []
        self.talks = {connection.fileno(): Talk(connection) for connection in connections}
        self.blocked: set[int] = set()  # those that wait for room to send
        self.epoll = select.epoll()
        for connection in connections:
            connection.setblocking(False)
            self.epoll.register(connection, select.EPOLLIN)

    @property
    def answered(self) -> int:
        return sum(talk.answered for talk in self.talks.values())

    @property
    def received(self) -> int:
        return sum(talk.received for talk in self.talks.values())

    def percentile(self, of: int) -> int:
        """Of the latencies, in microseconds."""
        times = sorted(self.latencies) or [0.0]
        return round(times[min(len(times) - 1, len(times) * of // 100)] * 1e6)

    def run(self, seconds: float) -> None:
        """Ask until the time is over, then wait for the last answers. Raises Wrong."""
        began = time.perf_counter()
        until = began + seconds
        try:
            for place, talk in self.talks.items():
                self._ask(place, talk, self.in_flight)
            while self._turn(time.perf_counter() < until):
                pass
        finally:
            self.seconds = time.perf_counter() - began

    def _turn(self, asking: bool) -> bool:
        """One turn of the poll: whether there is more to come."""
        events = self.epoll.poll(PATIENCE)
        if not events:
            silent = sum(map(self._open, self.talks.values()))
            raise Wrong(f"{silent} connections got nothing for {PATIENCE} s", "timeout")
        talks, echoed, ask = self.talks, self._echoed, self._ask
        for place, event in events:
            talk = talks[place]
            if event != select.EPOLLIN:
                self._send(place, talk)
            number = echoed(talk)
            if number and asking:
                ask(place, talk, number)
        return asking or any(map(self._open, talks.values()))

    def _open(self, talk: Talk) -> bool:
        return talk.answered < talk.asked

    def _echoed(self, talk: Talk) -> int:
        """Read once, compare, and return how many messages that makes whole."""
        messages = self.messages
        try:
            size = talk.receive(BUFFER)
        except BlockingIOError:
            return 0
        except OSError as error:
            raise Wrong(f"the connection broke: {error}") from None
        begin = talk.received % messages.their_cycle
        # Compared in C and without a copy, which neither slices nor memoryviews beside each other would be.
        if not size or not BUFFER.startswith(messages.theirs[begin : begin + size]):
            raise Wrong(differing(BUFFER[:size], messages.theirs[begin : begin + size].tobytes()))
        talk.received += size
        answered = talk.received // messages.their_frame
        new = answered - talk.answered
        if new:
            talk.answered = answered
            if answered >= talk.timed:
                self._timed(talk)
        return new

    def _timed(self, talk: Talk) -> None:
        if talk.answered > talk.asked:
            raise Wrong("more was echoed than was sent")
        self.latencies.append(time.perf_counter() - talk.timed_from)
        talk.timed = talk.asked + 1  # the next that is asked for

    def _ask(self, place: int, talk: Talk, number: int) -> None:
        if talk.timed > talk.asked:
            talk.timed_from = time.perf_counter()
        talk.asked += number
        talk.due += number * self.messages.our_frame
        self._send(place, talk)

    def _send(self, place: int, talk: Talk) -> None:
        begin, size = talk.sent % self.messages.our_cycle, talk.due - talk.sent
        try:
            sent = talk.send(self.messages.ours[begin : begin + size])
        except BlockingIOError:
            sent = 0
        except OSError as error:
            raise Wrong(f"the connection broke: {error}", "write") from None
        talk.sent += sent
        if (sent < size) != (place in self.blocked):  # ask the poll for room, or no longer
            self.blocked ^= {place}
            self.epoll.modify(place, select.EPOLLIN | (select.EPOLLOUT if sent < size else 0))


def differing(came: bytes | bytearray, expected: bytes) -> str:
    if not came:
        return "the server closed a connection"
    at = next(place for place, pair in enumerate(zip(came, expected, strict=False)) if pair[0] != pair[1])
    return f"the echo is wrong: {bytes(came[at : at + 20])!r} came for {expected[at : at + 20]!r}"


def main() -> None:
    parser = argparse.ArgumentParser(prog="bench/wsload.py", description="Asks a WebSocket server for echoes.")
    option = parser.add_argument
    option("--host", default="127.0.0.1")
    option("--port", type=int, required=True)
    option("--connections", type=int, default=64)
    option("--in-flight", type=int, default=1, help="messages on each connection (default: 1)")
    option("--size", type=int, default=32, help="of a message, in bytes (default: 32)")
    option("--binary", action="store_true", help="messages of bytes, not of text")
    option("--seconds", type=float, default=2.0)
    asked = parser.parse_args()
    print("OUTCOME " + json.dumps(outcome(asked)))


def outcome(asked: argparse.Namespace) -> dict:
    """What wrk.lua tells too, in the same words; `fault` says more of an error."""
    told: dict = dict.fromkeys(("connect", "read", "write", "timeout", "status"), 0)
    messages = Messages(asked.size, asked.binary, asked.in_flight)
    connections: list[socket.socket] = []
    try:
        while len(connections) < asked.connections:
            connections.append(connect(asked.host, asked.port))
    except Wrong as wrong:
        told |= {wrong.kind: 1, "fault": str(wrong)}
    except OSError as error:
        told |= {"connect": 1, "fault": f"a connection cannot be opened: {error}"}
    burst = Burst(connections, messages, asked.in_flight)
    if "fault" not in told:
        gc.disable()
        try:
            burst.run(asked.seconds)
        except Wrong as wrong:
            told |= {wrong.kind: 1, "fault": str(wrong)}
    close(connections)
    return told | {
        "requests": burst.answered,
        "bytes": burst.received,
        "microseconds": round(burst.seconds * 1e6),
        "p50": burst.percentile(50),
        "p99": burst.percentile(99),
    }


if __name__ == "__main__":
    main()
