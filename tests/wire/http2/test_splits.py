"""Where the network cuts a conversation must not change what it says."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable
from itertools import pairwise
from typing import Any

import h2.config
import h2.connection
import pytest
from hyperframe import frame as hyper
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from portway.wire.http2.faults import ConnectionFault

Start = Callable[..., Any]
Told = dict[str, Any]


WITHOUT_SHRINKING = (Phase.explicit, Phase.reuse, Phase.generate)
CHANCE = st.integers(0, 2**32).map(random.Random)


BUFFER = bytearray(b"\xff") * 200_000


def by_value(codec: Any, piece: bytes) -> list[Any]:
    return list(codec.receive(piece))


def by_buffer(codec: Any, piece: bytes) -> list[Any]:
    """As a link does it whose transport writes into one buffer for all connections."""
    kept = codec.restore(BUFFER)
    BUFFER[kept : kept + len(piece)] = piece
    found = codec.receive_from(BUFFER, kept + len(piece))
    BUFFER[:] = bytes(len(BUFFER))
    return list(found)


def replay(
    start: Start,
    words: Callable[[Any], Any],
    pieces: Iterable[bytes],
    receive: Callable[[Any, bytes], list[Any]] = by_value,
) -> Told:
    """What becomes of a conversation. All streams are answered when it is over."""
    peer = start(greet=False, body=50_000, head=2000, streams=20)
    events: list[Any] = []
    fault = None
    try:
        for piece in pieces:
            events += receive(peer.codec, piece)
            while peer.codec.unread():
                events += peer.codec.receive(b"")
    except ConnectionFault as caught:
        fault = (caught.code, caught.text)
        peer.codec.fail(caught)
    end = repr(peer.codec), repr(list(peer.codec.streams.values())), peer.codec.waiting()
    for number in list(peer.codec.streams):
        peer.respond(number, b"a" * 10_000)
    # What came before a fault in the same piece is not told: the connection is over.
    return {
        "events": None if fault else [words(event) for event in events],
        "fault": fault,
        "written": peer.taken(),
        "end": end,
    }


def cut(data: bytes, places: Iterable[int]) -> list[bytes]:
    return [data[one:two] for one, two in pairwise([0, *sorted(places), len(data)])]


def conversation(chance: random.Random, preamble: bytes) -> bytes:
    """What h2 says as a client that has heard the server's SETTINGS."""
    client = h2.connection.H2Connection(h2.config.H2Configuration(client_side=True, header_encoding=None))
    client.initiate_connection()
    client.receive_data(preamble)
    head = [(b":method", b"POST"), (b":scheme", b"http"), (b":authority", b"example"), (b":path", b"/")]
    open_ones: list[int] = []
    for _ in range(chance.randint(1, 12)):
        do = chance.choice(["ask", "ask", "data", "data", "end", "trailers", "reset", "ping", "set", "widen", "update"])
        number = chance.choice(open_ones) if open_ones else 0
        if do == "ask" and len(open_ones) < 9:
            number = client.get_next_available_stream_id()
            more = [(b"x-a", b"b" * chance.choice([0, 10, 1000]))] * chance.randint(0, 2)
            end = chance.random() < 0.5
            client.send_headers(number, [*head, *more], end_stream=end, priority_weight=chance.choice([None, 7]))
            if not end:
                open_ones.append(number)
        elif do == "ping":
            client.ping(chance.randbytes(8))
        elif do == "set":
            client.update_settings({4: chance.choice([0, 1, 100, 70_000]), 1: chance.choice([0, 100, 4096])})
        elif do == "update":
            client._data_to_send += b"\0\0\7\x10\0\0\0\0\0" + (number or 1).to_bytes(4, "big") + b"u=1"
        elif number and do == "data":
            client.send_data(number, bytes(chance.choice([0, 1, 10, 500])), pad_length=chance.choice([None, 0, 9]))
        elif number and do == "widen":
            client.increment_flow_control_window(chance.randint(1, 1000), chance.choice([None, number]))
        elif number and do in ("end", "trailers", "reset"):
            open_ones.remove(number)
            if do == "end":
                client.end_stream(number)
            elif do == "trailers":
                client.send_headers(number, [(b"x-a", b"b")], end_stream=True)
            else:
                client.reset_stream(number)
    return client.data_to_send()


@pytest.fixture(scope="module")
def preamble(start: Start) -> bytes:
    return b"".join(start(greet=False, body=50_000, head=2000, streams=20).codec.take())


@given(chance=CHANCE)
@settings(max_examples=25, phases=WITHOUT_SHRINKING)
def test_a_conversation_is_the_same_cut_in_two_anywhere(
    start: Start, words: Any, preamble: bytes, chance: random.Random
) -> None:
    data = conversation(chance, preamble)
    whole = replay(start, words, [data])
    assert whole["fault"] is None
    for at in {*range(min(len(data), 150)), *range(max(0, len(data) - 200), len(data)), *range(0, len(data), 97)}:
        assert replay(start, words, cut(data, [at])) == whole, at


@given(chance=CHANCE, size=st.sampled_from([1, 2, 3, 7, 10]))
@settings(max_examples=40, phases=WITHOUT_SHRINKING)
def test_a_conversation_is_the_same_in_small_pieces(
    start: Start, words: Any, preamble: bytes, chance: random.Random, size: int
) -> None:
    data = conversation(chance, preamble)
    whole = replay(start, words, [data])
    assert replay(start, words, cut(data, range(size, len(data), size))) == whole
    assert replay(start, words, cut(data, range(90 * size, len(data), 90 * size)), by_buffer) == whole


ODD = [
    hyper.DataFrame(1, b"abc", flags=["PADDED"], pad_length=7).serialize(),
    hyper.DataFrame(1, b"", flags=["END_STREAM"]).serialize(),
    hyper.DataFrame(3, b"a" * 200).serialize(),
    hyper.HeadersFrame(1, b"\x83\x86\x84\x01\x01a", flags=["END_HEADERS"]).serialize(),
    hyper.HeadersFrame(3, b"\x82\x86\x84\x01\x01a", flags=["END_HEADERS", "END_STREAM"]).serialize(),
    hyper.HeadersFrame(5, b"\x82\x86", flags=["END_STREAM"]).serialize(),
    hyper.HeadersFrame(7, b"\x82\x86\x84\x01\x01a\x00\x01x\x7f\x00" + b"v" * 127, flags=["END_HEADERS"]).serialize(),
    hyper.HeadersFrame(7, b"\x82", flags=["END_HEADERS"]).serialize(),
    hyper.HeadersFrame(9, b"\x82\x80", flags=["END_HEADERS"]).serialize(),
    hyper.ContinuationFrame(5, b"\x84\x01\x01a", flags=["END_HEADERS"]).serialize(),
    hyper.ContinuationFrame(5, b"\x84\x01").serialize(),
    hyper.PriorityFrame(1, 3, 5).serialize(),
    hyper.RstStreamFrame(1, 8).serialize(),
    hyper.SettingsFrame(0, {4: 1}).serialize(),
    hyper.PingFrame(0, b"12345678").serialize(),
    hyper.GoAwayFrame(0, 0, 0).serialize(),
    hyper.WindowUpdateFrame(0, 1000).serialize(),
    hyper.WindowUpdateFrame(1, 2**31 - 1).serialize(),
    b"\0\0\0\x08\0\0\0\0\1",
    b"\0\0\3\xff\0\0\0\0\0abc",
    b"\0\0\0\x05\0\0\0\0\1",
    b"\0\0\1\0\x08\0\0\0\1\5",
    b"\0\x40\1\0\0\0\0\0\1",
]
OPENING = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + hyper.SettingsFrame(0).serialize()


@given(frames=st.lists(st.sampled_from(ODD), max_size=10), opened=st.booleans(), data=st.data())
@settings(max_examples=200)
def test_any_frames_are_the_same_cut_anywhere(
    start: Start, words: Any, frames: list[bytes], opened: bool, data: st.DataObject
) -> None:
    text = OPENING + (ODD[3] + ODD[4] if opened else b"") + b"".join(frames)
    whole = replay(start, words, [text])
    places = data.draw(st.lists(st.integers(0, len(text)), max_size=8))
    assert replay(start, words, cut(text, places)) == whole
    assert replay(start, words, cut(text, places), by_buffer) == whole
    assert replay(start, words, [text[at : at + 1] for at in range(len(text))]) == whole


@given(data=st.binary(max_size=80), opened=st.booleans(), places=st.lists(st.integers(0, 80), max_size=6))
def test_noise_is_the_same_cut_anywhere(start: Start, words: Any, data: bytes, opened: bool, places: list[int]) -> None:
    text = OPENING + data if opened else data
    assert replay(start, words, cut(text, [min(at, len(text)) for at in places])) == replay(start, words, [text])


def test_what_is_kept_may_be_larger_than_a_buffer_takes(start: Start, words: Any) -> None:
    many = b"".join(hyper.HeadersFrame(n, b"\x82\x86\x84", flags=["END_HEADERS"]).serialize() for n in range(1, 41, 2))
    frames = OPENING + many + hyper.DataFrame(1, bytes(90)).serialize() * 1000 + ODD[14]
    assert replay(start, words, [frames[:99_000], frames[99_000:]], by_buffer) == replay(start, words, [frames])
