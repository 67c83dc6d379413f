"""Attacks, each one performed: what it costs is bounded, and where the rules are broken too often the connection ends.

A client within its rights is measured beside some of them, which must not be taken for an attack.
"""

from __future__ import annotations

import gc
import time
import tracemalloc
from collections.abc import Callable, Iterator
from typing import Any

import hpack
import pytest
from hyperframe import frame as hyper

from portway.wire.http2.faults import ConnectionFault

Start = Callable[..., Any]

PROTOCOL_ERROR = 0x1
STREAM_CLOSED = 0x5
REFUSED_STREAM = 0x7
ENHANCE_YOUR_CALM = 0xB

# What `Terms` allows by default; the first SETTINGS cost one.
RESETS = 200
GLITCHES = 1000 - 1

KIB = 1024


def flood(peer: Any, frames: Iterator[bytes], most: int) -> int:
    """Send until the connection ends with ENHANCE_YOUR_CALM; after how many frames it did."""
    for count in range(1, most + 1):
        try:
            peer.codec.receive(next(frames))
        except ConnectionFault as fault:
            peer.codec.fail(fault)
            assert peer.taken()[-1][2] == ENHANCE_YOUR_CALM
            assert peer.codec.streams == {}
            return count
    raise AssertionError(f"{most} frames were borne")


def numbers() -> Iterator[int]:
    yield from range(1, 2**31, 2)


def held(act: Callable[[], Any]) -> int:
    """The bytes that are held when it is over."""
    gc.collect()
    tracemalloc.start()
    try:
        kept = act()
        gc.collect()
        size = tracemalloc.get_traced_memory()[0]
        del kept
        return size
    finally:
        tracemalloc.stop()


# --- requests that come to nothing ---


def test_rapid_reset(peer: Any) -> None:
    """CVE-2023-44487"""
    frames = (peer.wire(peer.get(number), peer.reset(number)) for number in numbers())
    assert flood(peer, frames, 1000) == RESETS + 1


def test_rapid_reset_after_a_part_of_the_response(peer: Any) -> None:
    def frames() -> Iterator[bytes]:
        for number in numbers():
            peer.send(peer.get(number))
            peer.respond(number, b"some", end=False)
            peer.codec.take()
            yield peer.wire(peer.reset(number))

    assert flood(peer, frames(), 1000) == RESETS + 1


def test_resets_of_what_was_answered_are_no_attack(peer: Any) -> None:
    for number, _ in zip(numbers(), range(2000), strict=False):
        peer.send(peer.post(number, (b"content-length", b"5")))
        peer.respond(number)
        peer.send(peer.reset(number))
    assert peer.codec.streams == {}


def test_resets_now_and_then_are_no_attack(peer: Any) -> None:
    for number, _ in zip(numbers(), range(1000), strict=False):
        peer.send(peer.get(number), peer.reset(number))
        if number % 20 == 1:
            peer.codec.refill(1)


WAYS: dict[str, Callable[[Any, int], list[Any]]] = {
    # CVE-2025-8671: each makes us reset a stream on which a request has begun
    "a window widened by nothing": lambda peer, n: [peer.get(n), peer.window(n, 0)],
    "a window that is too large": lambda peer, n: [peer.get(n), peer.window(n, 2**31 - 1)],
    "a priority of a wrong size": lambda peer, n: [peer.get(n), peer.raw(0x2, 0, n, bytes(4))],
    "a priority on itself": lambda peer, n: [peer.get(n), peer.raw(0x2, 0, n, n.to_bytes(4, "big") + b"\0")],
    "content after the end": lambda peer, n: [peer.get(n), peer.data(n, b"a")],
    "a head after the end": lambda peer, n: [peer.get(n), peer.head(n)],
    "a head amid the content": lambda peer, n: [peer.post(n), peer.head(n, end=False)],
    "trailers with pseudo-headers": lambda peer, n: [peer.post(n), peer.head(n)],
    "trailers on itself": lambda peer, n: [peer.post(n), peer.head(n, [], flags=["PRIORITY"], depends_on=n)],
    "too much content": lambda peer, n: [peer.post(n, (b"content-length", b"1")), peer.data(n, b"ab")],
    "too little content": lambda peer, n: [peer.post(n, (b"content-length", b"1")), peer.data(n, end=True)],
    "a window that is overrun": lambda peer, n: [peer.post(n), peer.data(n, b"a" * 1025)],
    "a malformed head": lambda peer, n: [peer.head(n, [*peer.GET, (b"A", b"b")])],
    "no head at all": lambda peer, n: [peer.head(n, [])],
    "a head on itself": lambda peer, n: [peer.head(n, flags=["PRIORITY"], depends_on=n)],
    # and each of these is answered at once
    "a head that is too large": lambda peer, n: [peer.head(n, [*peer.GET, *[(b"a", b"b" * 50)] * 900])],
    "an expectation": lambda peer, n: [peer.get(n, (b"expect", b"more"))],
    "a proxy": lambda peer, n: [peer.head(n, [(b":method", b"CONNECT"), (b":authority", b"a")])],
    "a body that is too large": lambda peer, n: [peer.post(n), peer.data(n, b"a" * 1001)],
}


@pytest.mark.parametrize("way", WAYS)
def test_made_you_reset(start: Start, way: str) -> None:
    peer = start(stream_window=1024, body=1000)
    frames = (peer.wire(*WAYS[way](peer, number)) for number in numbers())
    count = flood(peer, frames, 1000)
    assert count in (RESETS + 1, RESETS), count
    assert peer.codec.requests <= RESETS + 1


# --- floods ---


FLOODS: dict[str, tuple[Callable[[Any], bytes], int]] = {
    # CVE-2019-9512, -9515, -9518, and other frames that are of no use
    "PING": (lambda peer: peer.wire(peer.ping()), GLITCHES),
    "answers to no PING": (lambda peer: peer.wire(peer.ping(ack=True)), GLITCHES),
    "SETTINGS": (lambda peer: peer.wire(peer.settings()), GLITCHES),
    "SETTINGS that are large": (lambda peer: peer.raw(0x4, 0, 0, b"\0\4\0\0\1\0" * 2730), 3),
    "empty DATA": (lambda peer: peer.wire(peer.data(1)), GLITCHES),
    "DATA of padding": (lambda peer: peer.wire(peer.data(1, pad=0)), GLITCHES),
    "DATA of much padding": (lambda peer: peer.wire(peer.data(1, pad=255)), GLITCHES),
    "PRIORITY": (lambda peer: peer.raw(0x2, 0, 3, bytes(5)), GLITCHES),
    "PRIORITY_UPDATE": (lambda peer: peer.update(1, b"u=1"), GLITCHES),
    "PRIORITY_UPDATE of none": (lambda peer: peer.update(3, b"u=1"), GLITCHES),
    "unknown frames": (lambda peer: peer.raw(0xFA, 0, 0, b"whatever"), GLITCHES),
    "DATA on a stream that was reset": (lambda peer: peer.wire(peer.data(5, b"a")), GLITCHES),
    "heads on a stream that was reset": (lambda peer: peer.wire(peer.head(5)), GLITCHES),
    "DATA on a stream that they reset": (lambda peer: peer.wire(peer.data(7, b"a")), GLITCHES),
}


@pytest.mark.parametrize("kind", FLOODS)
def test_floods(start: Start, kind: str) -> None:
    peer = start()
    peer.send(peer.post(1), peer.post(5), peer.get(7), peer.reset(7))
    peer.codec.reset(5, 8)
    one, most = FLOODS[kind]
    frames = iter(lambda: one(peer), None)
    assert flood(peer, frames, 2 * GLITCHES) in (most + 1, most)
    assert peer.codec.backlog() == 0


@pytest.mark.parametrize("kind", FLOODS)
def test_the_same_now_and_then_is_no_attack(start: Start, kind: str) -> None:
    peer = start()
    peer.send(peer.post(1), peer.post(5), peer.get(7), peer.reset(7))
    peer.codec.reset(5, 8)
    one, most = FLOODS[kind]
    for count in range(3 * most):
        peer.codec.receive(one(peer))
        if count % max(1, most // 25) == 0:
            peer.codec.refill(1 if most == GLITCHES else 10)
            peer.codec.take()


def test_too_many_streams(start: Start) -> None:
    peer = start(streams=10)
    frames = (peer.wire(peer.get(number)) for number in numbers())
    assert flood(peer, frames, 2000) == 10 + GLITCHES + 1
    assert peer.codec.requests == 10


@pytest.mark.parametrize("size", [0, 1, 100])
def test_continuation_flood_of_small_frames(peer: Any, size: int) -> None:
    """CVE-2024-27316 and others"""
    peer.codec.receive(peer.raw(0x1, 0x1, 1, b""))
    frames = iter(lambda: peer.raw(0x9, 0, 1, bytes(size)), None)
    assert flood(peer, frames, 2 * GLITCHES) == GLITCHES + 1


def test_continuation_flood_of_large_frames(peer: Any) -> None:
    peer.codec.receive(peer.raw(0x1, 0x1, 1, b""))
    frames = iter(lambda: peer.raw(0x9, 0, 1, bytes(16384)), None)
    assert flood(peer, frames, 100) == 4 * (65536 + 3200) // 16384 + 1


def test_continuation_floods_hold_no_more_than_a_block(peer: Any) -> None:
    frames = [bytes([0, 64, 0, 9, 0, 0, 0, 0, 1]) + bytes(16384) for _ in range(16)]

    def attack() -> None:
        peer.codec.receive(peer.raw(0x1, 0x1, 1, b""))
        for one in frames:
            peer.codec.receive(one)

    assert held(attack) < 400 * KIB


# --- headers ---


def test_hpack_bomb(start: Start) -> None:
    """Many short references to one long entry; the list is cut off at its limit, and answered."""
    peer = start(head=64 * KIB)
    adds = b"\x82\x86\x84\x01\x01a" + b"\x40\x01x" + b"\x7f\x81\x1e" + b"v" * 3968  # an entry of 4001 bytes
    assert len(peer.send(hyper.HeadersFrame(1, adds, flags=["END_HEADERS", "END_STREAM"]))) == 1
    bomb = hyper.HeadersFrame(3, b"\x82\x86\x84\x01\x01a" + b"\xbe" * 16000, flags=["END_HEADERS", "END_STREAM"])

    def attack() -> Any:
        return peer.heard(bomb)

    before = time.process_time()
    assert held(attack) < 500 * KIB  # for a list of 64 MB
    assert time.process_time() - before < 5
    assert [told[2][0] for told in peer.taken() if told[0] == "Headers"] == [(b":status", b"431")]


def test_cookie_crumbs_are_joined_once(start: Start) -> None:
    peer = start()
    block = b"\x82\x86\x84\x01\x01a" + b"\x60\x7f\x81\x1e" + b"v" * 3968 + b"\xbe" * 15 + b"\x60\x01c" + b"\xbe" * 100
    (event,) = peer.heard(hyper.HeadersFrame(1, block, flags=["END_HEADERS", "END_STREAM"]))
    assert event.headers[1][1] == b"; ".join([b"v" * 3968] * 16 + [b"c"] * 101)


@pytest.mark.parametrize("size", [4097, 65536, 2**28])
def test_tables_are_no_larger_than_was_said(peer: Any, size: int) -> None:
    out = bytearray(hpack.hpack.encode_integer(size, 5))
    out[0] |= 0x20
    assert peer.fault(hyper.HeadersFrame(1, bytes(out) + b"\x82", flags=["END_HEADERS"])) == 0x9


def test_tables_that_change_in_each_block_stay_small(peer: Any) -> None:
    """Their table goes down and up; their limit for ours goes down and up."""

    def attack() -> None:
        for number, _ in zip(numbers(), range(300), strict=False):
            resized = b"\x20\x3f\xe1\x1f\x82\x86\x84\x01\x01a" + b"\x40\x01x\x7f\x81\x1e" + b"%04d" % number * 992
            peer.codec.receive(peer.wire(
                peer.settings(HEADER_TABLE_SIZE=0), peer.settings(HEADER_TABLE_SIZE=4096),
                hyper.HeadersFrame(number, resized, flags=["END_HEADERS", "END_STREAM"]),
            ))  # fmt: skip
            peer.respond(number, b"", (b"server", b"s" * 100))
            peer.taken()
            peer.codec.refill(1)

    attack()
    assert held(lambda: attack_again(peer)) < 100 * KIB


def attack_again(peer: Any) -> None:
    for number in range(1001, 1101, 2):
        resized = b"\x20\x3f\xe1\x1f\x82\x86\x84\x01\x01a" + b"\x40\x01x\x7f\x81\x1e" + b"%04d" % number * 992
        peer.codec.receive(peer.wire(hyper.HeadersFrame(number, resized, flags=["END_HEADERS", "END_STREAM"])))
        peer.respond(number, b"", (b"server", b"s" * 100))
        peer.taken()


def test_long_names_are_not_kept(peer: Any) -> None:
    def attack() -> None:
        for number, _ in zip(numbers(), range(50), strict=False):
            names = [b"x-%d-%d-" % (number, place) + b"n" * 10_000 for place in range(5)]
            literals = b"".join(b"\x00\x7f" + integer(len(name) - 127) + name + b"\0" for name in names)
            sent = hyper.HeadersFrame(number, b"\x82\x86\x84\x01\x01a" + literals[:16000], flags=["END_STREAM"])
            rest = [literals[at : at + 16000] for at in range(16000, len(literals), 16000)]
            last = hyper.ContinuationFrame(number, b"".join(rest[-1:]), flags=["END_HEADERS"])
            (head,) = peer.heard(sent, *(hyper.ContinuationFrame(number, part) for part in rest[:-1]), last)
            assert len(head.headers) == 6
            peer.respond(number)
            peer.codec.take()

    assert held(attack) < 200 * KIB  # of 250 names of 10 KB


def integer(number: int) -> bytes:
    """What follows on a prefix that is full (RFC 7541 §5.1)."""
    out = bytearray()
    while number >= 128:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    return bytes([*out, number])


# --- windows ---


def test_a_window_dribbled_byte_by_byte(peer: Any) -> None:
    peer.send(peer.settings(INITIAL_WINDOW_SIZE=0), peer.get(1))
    peer.respond(1, b"a" * 100_000)

    def frames() -> Iterator[bytes]:
        while True:
            peer.taken()
            yield peer.wire(peer.window(1, 1))

    assert GLITCHES - 5 <= flood(peer, frames(), 2 * GLITCHES) <= GLITCHES + 2


def test_the_connections_window_dribbled_byte_by_byte(peer: Any) -> None:
    peer.send(peer.get(1))
    peer.respond(1, b"a" * 200_000)
    peer.send(peer.window(1, 200_000))

    def frames() -> Iterator[bytes]:
        while True:
            peer.taken()
            yield peer.wire(peer.window(0, 1))

    assert GLITCHES - 5 <= flood(peer, frames(), 2 * GLITCHES) <= GLITCHES + 2


def test_settings_of_tiny_windows_dribble_too(start: Start) -> None:
    peer = start(glitches=200)
    peer.send(peer.settings(INITIAL_WINDOW_SIZE=1))

    def frames() -> Iterator[bytes]:
        for number in numbers():
            peer.send(peer.get(number))
            peer.respond(number, b"ab")
            peer.taken()
            yield peer.wire(peer.window(number, 1))

    assert flood(peer, frames(), 1000) <= 202


def test_small_responses_into_small_windows_are_no_attack(peer: Any) -> None:
    """What is whole is no crumb, though the window is narrow and the link was busy."""
    peer.send(peer.settings(INITIAL_WINDOW_SIZE=100))
    for number, _ in zip(numbers(), range(2 * GLITCHES), strict=False):
        peer.send(peer.get(number), peer.window(0, 100))
        peer.codec.blocked = True
        peer.respond(number, b"a" * 100)
        peer.codec.blocked = False
        peer.codec.take()
    assert peer.codec.streams == {}


def test_a_client_that_widens_its_window_as_it_reads_is_no_attack(peer: Any) -> None:
    """Whatever its chunks, as long as they are no crumbs."""
    peer.send(peer.get(1))
    peer.respond(1, b"a" * 2_000_000)
    peer.send(peer.window(1, 2_000_000))
    for _ in range(7000):
        peer.taken()
        peer.send(peer.window(0, 256))


def test_windows_of_streams_that_are_no_more_cost_nothing(peer: Any) -> None:
    peer.send(peer.get(1), peer.get(3), peer.reset(3))
    peer.respond(1)
    peer.taken()
    many = peer.wire(*[peer.window(1, 1), peer.window(3, 2**31 - 1), peer.window(3, 0), peer.reset(1), peer.reset(3)])
    data = many * 4000

    def attack() -> Any:
        return peer.codec.receive(data)

    assert held(attack) < 10 * KIB
    assert peer.codec.backlog() == 0
    assert not peer.codec.unread()


def test_windows_of_streams_that_wait_for_nothing_cost_nothing(peer: Any) -> None:
    peer.send(peer.get(1))
    data = peer.wire(peer.window(1, 1), peer.window(0, 1)) * 10_000
    assert held(lambda: peer.codec.receive(data)) < 10 * KIB
    assert peer.codec.backlog() == 0


def test_windows_that_never_open_hold_no_more_than_the_queues(start: Start) -> None:
    """What an application sends beyond 16 KiB waits for `opened`; who waits is told by `stalled`."""
    peer = start()
    peer.send(peer.settings(INITIAL_WINDOW_SIZE=0))
    for number in range(1, 201, 2):
        peer.send(peer.get(number))
        pieces = 0
        while (
            peer.respond(number, b"a" * 1024, end=False) if not pieces else peer.codec.body(number, b"a" * 1024, False)
        ):
            pieces += 1
        assert pieces == 16
    peer.taken()
    assert sum(stream.queued for stream in peer.codec.streams.values()) == 100 * 17 * 1024
    peer.codec.stalled()
    assert peer.codec.stalled() == list(range(1, 201, 2))


def test_content_without_end_is_held_to_the_windows(start: Start) -> None:
    peer = start(stream_window=64 * KIB, connection_window=128 * KIB)
    sent = 0
    with pytest.raises(ConnectionFault) as caught:
        for number in range(1, 200, 2):
            peer.send(peer.post(number))
            for _ in range(4):
                peer.send(peer.data(number, b"a" * 16384))
                sent += 16384
    assert caught.value.code == 0x3
    assert sent == 128 * KIB


# --- memory ---


def test_an_idle_connection_is_small(start: Start) -> None:
    peers = [start() for _ in range(3)]  # what all share is there
    codec = type(peers[0].codec)
    del peers

    from portway.wire.http1.encode import Preamble
    from portway.wire.http2.settings import Terms
    from portway.wire.port import Limits

    limits, preamble, terms = Limits(), Preamble(), Terms()
    assert held(lambda: [codec(limits, preamble, terms) for _ in range(100)]) < 100 * 6 * KIB


def test_nothing_remains_of_requests_that_are_over(peer: Any) -> None:
    def talk(first: int) -> None:
        for number in range(first, first + 4000, 2):
            if number % 10 == 1:
                peer.codec.receive(peer.wire(peer.post(number), peer.data(number, b"a" * 100), peer.reset(number)))
                peer.codec.refill(1)
            else:
                peer.codec.receive(peer.wire(peer.get(number)))
                peer.respond(number)
            peer.codec.take()

    talk(1)
    assert held(lambda: talk(4001)) < 20 * KIB


def test_priorities_of_streams_that_never_come_are_few(start: Start) -> None:
    peer = start(glitches=10**6)
    with pytest.raises(ConnectionFault) as caught:
        for number in numbers():
            peer.codec.receive(peer.update(number, b"u=1"))
    assert caught.value.code == PROTOCOL_ERROR
    assert number == 201


def test_refused_streams_are_not_kept(start: Start) -> None:
    peer = start(streams=1, glitches=10**6)
    peer.send(peer.get(1))
    frames = [peer.wire(peer.post(number), peer.data(number, b"a")) for number in range(3, 6003, 2)]

    def attack() -> None:
        for one in frames:
            peer.codec.receive(one)
            peer.codec.take()

    assert held(attack) < 20 * KIB
