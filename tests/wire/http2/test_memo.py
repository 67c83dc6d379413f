"""A header block that comes again is not read again, and yet means what it would mean if it were."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import hpack
import pytest
from hyperframe import frame as hyper
from hypothesis import given, settings
from hypothesis import strategies as st

from portway.wire.http2.faults import ConnectionFault

Pair = tuple[bytes, bytes]
Start = Callable[..., Any]

COMPRESSION_ERROR = 0x9
PROTOCOL_ERROR = 0x1

# GET http :path / and a :authority, all of which stand in tables or literally; the table does not change.
PLAIN = b"\x82\x86\x84" + b"\x01\x01a"
ADDS = b"\x40\x01x\x01"  # and a value of one byte: x: ? goes into the table


def block(peer: Any, number: int, data: bytes, *flags: str) -> list[Any]:
    frame = hyper.HeadersFrame(number, data, flags=["END_HEADERS", *(flags or ["END_STREAM"])])
    return [getattr(event, "headers", event) for event in peer.heard(frame)]


def test_the_same_again(peer: Any) -> None:
    for number in range(1, 21, 2):
        assert block(peer, number, PLAIN + b"\x00\x01y\x01z") == [[(b"host", b"a"), (b"y", b"z")]]
    heads = peer.heard(hyper.HeadersFrame(21, PLAIN, flags=["END_HEADERS", "END_STREAM"]))
    assert [(head.stream, head.end, head.length, head.method) for head in heads] == [(21, True, 0, "GET")]


def test_one_head_is_not_the_other(peer: Any) -> None:
    """An application may change the headers of its scope."""
    block(peer, 1, PLAIN)
    first, second = (block(peer, number, PLAIN)[0] for number in (3, 5))
    first.append((b"x", b"y"))
    assert second == block(peer, 7, PLAIN)[0] == [(b"host", b"a")]


def test_a_block_that_adds_to_the_table_adds_each_time(peer: Any) -> None:
    for number in (1, 3, 5):
        assert block(peer, number, PLAIN + ADDS + b"1") == [[(b"host", b"a"), (b"x", b"1")]]
    block(peer, 7, PLAIN + ADDS + b"2")
    # Now the table is: 2 1 1 1.
    assert block(peer, 9, PLAIN + b"\xbe\xbf\xc0\xc1") == [
        [(b"host", b"a"), *[(b"x", v) for v in (b"2", b"1", b"1", b"1")]]
    ]
    assert peer.fault(hyper.HeadersFrame(11, PLAIN + b"\xc2", flags=["END_HEADERS"])) == COMPRESSION_ERROR


BETWEEN = {
    "a request": lambda peer: block(peer, 11, PLAIN + ADDS + b"2"),
    "a malformed request": lambda peer: block(peer, 11, ADDS + b"2"),
    "a head that is too large": lambda peer: block(peer, 11, PLAIN + ADDS + b"2" + b"\xbe" * 300),
    "a stream on itself": lambda peer: peer.heard(
        hyper.HeadersFrame(11, PLAIN + ADDS + b"2", flags=["END_HEADERS", "PRIORITY"], depends_on=11)
    ),
    "trailers": lambda peer: block(peer, 1, ADDS + b"2"),
    "a head on a stream that was dropped": lambda peer: (peer.codec.reset(3, 8), block(peer, 3, ADDS + b"2")),
    "a head on a stream that they reset": lambda peer: (peer.send(peer.reset(3)), block(peer, 3, ADDS + b"2")),
    "a head on a stream that has ended": lambda peer: block(peer, 5, ADDS + b"2"),
}


@pytest.mark.parametrize("between", BETWEEN)
def test_a_table_that_changed_in_between_changes_what_a_block_means(start: Start, between: str) -> None:
    peer = start(head=2000, fields=100)
    block(peer, 1, PLAIN + ADDS + b"1", "END_HEADERS")
    block(peer, 3, PLAIN, "END_HEADERS")
    for number in (5, 7, 9):
        assert block(peer, number, PLAIN + b"\xbe") == [[(b"host", b"a"), (b"x", b"1")]]
    BETWEEN[between](peer)
    assert block(peer, 13, PLAIN + b"\xbe") == [[(b"host", b"a"), (b"x", b"2")]]


def test_a_table_that_changed_with_a_refused_stream_changes_what_a_block_means(start: Start) -> None:
    peer = start(streams=3)
    block(peer, 1, PLAIN + ADDS + b"1")
    for number in (3, 5):
        block(peer, number, PLAIN + b"\xbe")
    assert block(peer, 7, PLAIN + ADDS + b"2") == []
    peer.respond(1)
    assert block(peer, 9, PLAIN + b"\xbe") == [[(b"host", b"a"), (b"x", b"2")]]


def test_a_table_that_became_smaller_changes_what_a_block_means(peer: Any) -> None:
    block(peer, 1, PLAIN + ADDS + b"1")
    for number in (3, 5):
        block(peer, number, PLAIN + b"\xbe")
    block(peer, 7, b"\x20\x3f\xe1\x1f" + PLAIN)
    assert peer.fault(hyper.HeadersFrame(9, PLAIN + b"\xbe", flags=["END_HEADERS"])) == COMPRESSION_ERROR


def test_sizes_of_the_table_are_set_each_time(peer: Any) -> None:
    resized = b"\x20\x3f\xe1\x1f" + PLAIN  # to nothing, and to 4096 again
    block(peer, 1, resized)
    block(peer, 3, PLAIN + ADDS + b"1")
    block(peer, 5, resized)
    assert peer.fault(hyper.HeadersFrame(7, PLAIN + b"\xbe", flags=["END_HEADERS"])) == COMPRESSION_ERROR


def test_the_end_of_the_stream_is_not_remembered(peer: Any) -> None:
    frames = [
        hyper.HeadersFrame(number, PLAIN, flags=["END_HEADERS", *(["END_STREAM"] if end else [])])
        for number, end in zip(range(1, 99, 2), [True, True, False, True, False, False, True], strict=False)
    ]
    heads = peer.heard(*frames)
    assert [(head.end, head.length) for head in heads] == [
        (True, 0), (True, 0), (False, -1), (True, 0), (False, -1), (False, -1), (True, 0),
    ]  # fmt: skip


def test_a_stream_that_depends_on_itself_is_seen_each_time(peer: Any) -> None:
    block(peer, 1, PLAIN)
    block(peer, 3, PLAIN)
    frame = hyper.HeadersFrame(5, PLAIN, flags=["END_HEADERS", "END_STREAM", "PRIORITY"], depends_on=5)
    assert peer.send(frame) == [("Refusal", 5, PROTOCOL_ERROR, False)]
    assert len(block(peer, 7, PLAIN)) == 1


def test_a_block_on_an_old_stream_is_no_request(peer: Any) -> None:
    block(peer, 1, PLAIN, "END_HEADERS")
    for number in (3, 5):
        block(peer, number, PLAIN)
    assert [event.fault.code for event in block(peer, 1, PLAIN)] == [PROTOCOL_ERROR]


def test_a_block_that_was_refused_is_refused_again(peer: Any) -> None:
    block(peer, 1, PLAIN)
    for number in (3, 5, 7):
        (event,) = block(peer, number, PLAIN + b"\x00\x01X\x01y")
        assert event.fault.code == PROTOCOL_ERROR
    assert block(peer, 9, PLAIN) == [[(b"host", b"a")]]


def test_priorities_are_those_of_their_streams(peer: Any) -> None:
    urgent = PLAIN + b"\x00\x08priority\x03u=1"
    block(peer, 1, urgent)
    peer.send(peer.update(1, b"u=6"), peer.update(5, b"u=2"))
    for number in (3, 5, 7):
        block(peer, number, urgent)
    assert [peer.codec.streams[number].urgency for number in (1, 3, 5, 7)] == [6, 1, 2, 1]


def test_a_head_request_that_comes_again_has_no_content_again(peer: Any) -> None:
    pairs = [(b":method", b"HEAD"), *peer.GET[1:]]
    for number in (1, 3, 5, 7):
        peer.send(peer.head(number, pairs))
        peer.respond(number, b"content")
    assert {told[0] for told in peer.taken()} == {"Headers"}


@pytest.mark.parametrize("size", [900, 1100])
def test_large_blocks_are_read_each_time(peer: Any, size: int) -> None:
    data = PLAIN + b"\x00\x01y\x7f" + bytes([(size - 127) & 0x7F | 0x80, (size - 127) >> 7]) + b"v" * size
    for number in (1, 3, 5):
        assert block(peer, number, data) == [[(b"host", b"a"), (b"y", b"v" * size)]]


PIECES = st.sampled_from([
    b"\x82\x86\x84", b"\x01\x01a", b"\x41\x01b", PLAIN, PLAIN, PLAIN, b"\x83", b"\xbe", b"\xbf", b"\xc0", ADDS + b"1",
    ADDS + b"2", b"\x00\x01y\x01z", b"\x10\x01y\x01z", b"\x40\x06cookie\x01c", b"\x00\x08priority\x03u=1",
    b"\x7e\x01w", b"\x00\x01Y\x01z", b"\x5c\x015", b"\x20", b"\x3f\xe1\x1f", b"\x3e",
])  # fmt: skip
BLOCKS = st.lists(PIECES, min_size=1, max_size=5).map(b"".join)
SIZES = st.sampled_from([b"", b"", b"", b"\x20\x3f\xe1\x1f", b"\x20", b"\x3f\xe1\x1f", b"\x3f\x11"])


@given(st.data())
@settings(max_examples=400)
def test_any_blocks_mean_what_hpack_says(start: Start, data: st.DataObject) -> None:
    """A few blocks that come again and again, on streams of all kinds."""
    peer = start(streams=5, resets=10**6, glitches=10**6)
    theirs = hpack.Decoder()
    stock = [size + one for size, one in data.draw(st.lists(st.tuples(SIZES, BLOCKS), min_size=1, max_size=4))]
    number = 1
    for _ in range(data.draw(st.integers(1, 15))):
        one = data.draw(st.sampled_from(stock))
        end = data.draw(st.sampled_from([True, True, True, False]))
        old = data.draw(st.sampled_from([False, False, False, True])) and number > 1
        frame = hyper.HeadersFrame(number - 2 if old else number, one, flags=["END_HEADERS"])
        if end:
            frame.flags.add("END_STREAM")
        number += 0 if old else 2
        try:
            expected = [(bytes(name), bytes(value)) for name, value in theirs.decode(one, raw=True)]
        except hpack.HPACKError:
            assert peer.fault(frame) in (COMPRESSION_ERROR,)
            return
        try:
            found = peer.heard(frame)
        except ConnectionFault:
            assert old
            return
        # Another codec, which has seen nothing, is told the same list with no table at all.
        fresh = start()
        literal = b"".join(b"\x00" + bytes([len(n)]) + n + bytes([len(v)]) + v for n, v in expected)
        told = fresh.heard(hyper.HeadersFrame(1, literal, flags=frame.flags))
        if not old and len(found) == 1 and hasattr(found[0], "headers"):
            assert told[0].headers == found[0].headers
            for name in ("method", "path", "query", "end", "length", "priority", "expect", "te_trailers"):
                assert getattr(told[0], name) == getattr(found[0], name), name
            if data.draw(st.booleans()):
                peer.respond(frame.stream_id)
        elif not old and found:
            assert found[0].fault.text == told[0].fault.text
