"""Conversations with the codec, their side: requests become events, and windows open as content is consumed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from hyperframe import frame as hyper

from portway.wire import fields, waits
from portway.wire.faults import ProtocolFault
from portway.wire.http2.faults import ConnectionFault

Start = Callable[..., Any]

NO_ERROR = 0x0
PROTOCOL_ERROR = 0x1
FLOW_CONTROL_ERROR = 0x3
CANCEL = 0x8
COMPRESSION_ERROR = 0x9
ENHANCE_YOUR_CALM = 0xB

WINDOW = 65535
EVENTS_MOST = 200

# By number; where it is compiled, C has the names.
FOR_REQUEST, FOR_HEAD, FOR_US, FOR_END = 0, 1, 3, 4

# Terms under which all that is credited to the connection is announced at once.
EXACT = {"connection_window": 2}


# --- requests ---


def test_a_request(peer: Any) -> None:
    assert peer.send(peer.get(1)) == [("Head", 1, "GET", b"/", True)]
    assert peer.codec.requests == 1
    assert repr(peer.codec) == "<HTTP/2 streams=1 requests=1 kept=0>"
    assert peer.taken() == []


def test_a_request_with_content(peer: Any) -> None:
    sent = peer.post(1), peer.data(1, b"a"), peer.data(1), peer.data(1, b"b"), peer.data(1, end=True)
    assert peer.send(*sent) == [
        ("Head", 1, "POST", b"/", False), ("Body", 1, b"a", False), ("Body", 1, b"b", False), ("Body", 1, b"", True),
    ]  # fmt: skip


def test_a_request_with_trailers(peer: Any) -> None:
    assert peer.send(peer.post(1), peer.data(1, b"a"), peer.head(1, [(b"x-a", b"b")])) == [
        ("Head", 1, "POST", b"/", False), ("Body", 1, b"a", False), ("Body", 1, b"", True),
    ]  # fmt: skip


def test_requests_are_mixed(peer: Any) -> None:
    sent = peer.post(1), peer.get(3), peer.data(1, b"a"), peer.post(5), peer.data(5, b"b"), peer.data(1, b"c", end=True)
    assert [told[:2] for told in peer.send(*sent)] == [
        ("Head", 1), ("Head", 3), ("Body", 1), ("Head", 5), ("Body", 5), ("Body", 1),
    ]  # fmt: skip


@pytest.mark.parametrize("trailers", [
    [(b":status", b"200")], [(b"X-A", b"b")], [(b"connection", b"close")], [(b"x-a", b"b\0")], [(b"", b"b")],
])  # fmt: skip
def test_malformed_trailers_end_the_stream(peer: Any, trailers: list[tuple[bytes, bytes]]) -> None:
    peer.send(peer.post(1))
    assert peer.send(peer.head(1, trailers)) == [("Refusal", 1, PROTOCOL_ERROR, False)]
    assert peer.taken() == [("RstStream", 1, PROTOCOL_ERROR)]


def test_trailers_end_the_request(peer: Any) -> None:
    peer.send(peer.post(1))
    assert peer.send(peer.head(1, [(b"x-a", b"b")], end=False)) == [("Refusal", 1, PROTOCOL_ERROR, False)]


def test_trailers_that_are_too_many_are_passed_over(start: Start) -> None:
    peer = start(head=1000, fields=10)
    peer.send(peer.post(1))
    assert peer.send(peer.head(1, [(b"x-a", b"b" * 3000)])) == [("Body", 1, b"", True)]


def test_a_tunnel_has_no_trailers(start: Start) -> None:
    """RFC 9113 §8.5"""
    peer = start(connects=True)
    peer.send(peer.connect(1))
    peer.codec.tunnel(1, fields.outgoing([]))
    assert peer.send(peer.head(1, [(b"x-a", b"b")])) == [("Refusal", 1, PROTOCOL_ERROR, False)]


# --- refusals ---


def refused(peer: Any, *sent: Any) -> tuple[Any, list[Any]]:
    """The refusal and what is written."""
    found = peer.send(*sent)
    assert [told[0] for told in found if told[0] != "Head"] == ["Refusal"]
    return found[-1], peer.taken()


def test_malformed_requests_are_reset(peer: Any) -> None:
    refusal, written = refused(peer, peer.head(1, [*peer.GET, (b"Upper", b"a")]))
    assert refusal == ("Refusal", 1, PROTOCOL_ERROR, False)
    assert written == [("RstStream", 1, PROTOCOL_ERROR)]
    assert peer.codec.streams == {}
    assert peer.send(peer.get(3)) == [("Head", 3, "GET", b"/", True)]


UNMET = {
    414: [(b":method", b"GET"), (b":scheme", b"http"), (b":authority", b"a"), (b":path", b"/" * 101)],
    417: [*[(b":method", b"GET"), (b":scheme", b"http"), (b":authority", b"a"), (b":path", b"/")], (b"expect", b"a")],
    501: [(b":method", b"CONNECT"), (b":authority", b"a")],
    400: [(b":method", b"GET"), (b":scheme", b"http"), (b":path", b"/")],
}


@pytest.mark.parametrize("status", UNMET)
@pytest.mark.parametrize("end", [True, False])
def test_requests_that_cannot_be_met_are_answered(start: Start, status: int, end: bool) -> None:
    peer = start(line=100)
    refusal, written = refused(peer, peer.head(1, UNMET[status], end=end))
    assert refusal == ("Refusal", 1, status, True)
    assert written[0][2][0] == (b":status", b"%d" % status)
    assert written[1][0] == "Data"
    assert written[2:] == ([] if end else [("RstStream", 1, NO_ERROR)])
    assert peer.codec.streams == {}


@pytest.mark.parametrize("end", [True, False])
def test_a_header_list_that_is_too_large_is_answered(start: Start, end: bool) -> None:
    peer = start(head=1000, fields=10)
    frame = peer.head(1, [*peer.GET, (b"x-a", b"b" * 1500)], end=end)
    refusal, written = refused(peer, frame)
    assert refusal == ("Refusal", 1, 431, True)
    # Whether it was a HEAD is not known, so that there is no content.
    assert written[0][2:] == ([(b":status", b"431"), (b"content-type", b"text/plain; charset=utf-8")], True)
    assert peer.send(peer.get(3, (b"x-a", b"b" * 500))) == [("Head", 3, "GET", b"/", True)]


def test_too_many_headers_are_answered(start: Start) -> None:
    peer = start(fields=10)
    refusal, _ = refused(peer, peer.get(1, *[(b"x-a", b"b")] * 10))
    assert refusal == ("Refusal", 1, 431, True)


def test_a_head_that_cannot_be_met_has_no_content(start: Start) -> None:
    peer = start(fields=10)
    pairs = [(b":method", b"HEAD"), *peer.GET[1:], *[(b"x-a", b"b")] * 10]
    _, written = refused(peer, peer.head(1, pairs))
    assert written[0][3] is True
    assert len(written) == 1


def test_a_block_that_is_far_too_large_ends_the_connection(start: Start) -> None:
    peer = start(head=1000, fields=10)  # four times 1320
    first = hyper.HeadersFrame(1, bytes(5000))
    assert peer.send(first, hyper.ContinuationFrame(1, bytes(280))) == []
    assert peer.fault(hyper.ContinuationFrame(1, bytes(1))) == ENHANCE_YOUR_CALM


@pytest.mark.parametrize("block", [b"\x80", b"\xff\xff\xff\xff\xff\xff", b"\xc6", b"\x00\x85a", b"\x82\x3f\xe1\x1f"])
def test_blocks_that_cannot_be_read_end_the_connection(peer: Any, block: bytes) -> None:
    assert peer.fault(hyper.HeadersFrame(1, block, flags=["END_HEADERS"])) == COMPRESSION_ERROR


def test_blocks_are_read_on_streams_that_are_no_more(peer: Any) -> None:
    peer.send(peer.get(1))
    peer.codec.reset(1, CANCEL)
    peer.send(peer.head(1, [(b"x-a", b"b")]))
    (event,) = peer.heard(peer.get(3, (b"x-a", b"b")))
    assert event.headers == [(b"host", b"a"), (b"x-a", b"b")]
    peer.codec.reset(3, CANCEL)
    assert peer.fault(hyper.HeadersFrame(3, b"\x80", flags=["END_HEADERS"])) == COMPRESSION_ERROR


def test_a_block_is_not_interrupted(start: Start) -> None:
    for between in ("ping", "get", "data", "settings", "unknown", "other"):
        peer = start()
        peer.send(peer.post(1))
        begun = peer.get(3)
        begun.flags.discard("END_HEADERS")
        frames = {
            "ping": peer.ping(), "get": peer.get(5), "data": peer.data(1, b"a"), "settings": peer.settings(),
            "unknown": peer.raw(0xFF), "other": hyper.ContinuationFrame(1, b"", flags=["END_HEADERS"]),
        }  # fmt: skip
        assert peer.send(begun) == []
        assert peer.fault(frames[between]) == PROTOCOL_ERROR


@pytest.mark.parametrize("number", [0, 1, 2, 3])
def test_a_continuation_continues_a_block(peer: Any, number: int) -> None:
    peer.send(peer.post(1))
    assert peer.fault(peer.raw(0x9, 0x4, number, b"\x82")) == PROTOCOL_ERROR


# --- content-length ---


@pytest.mark.parametrize(("length", "pieces", "end", "ok"), [
    (5, [5], True, True), (5, [2, 3], True, True), (5, [2, 3, 0], True, True), (0, [0], True, True),
    (5, [6], False, False), (5, [2, 4], False, False), (5, [4], True, False), (5, [0], True, False),
    (0, [1], False, False),
])  # fmt: skip
def test_content_is_as_long_as_was_said(peer: Any, length: int, pieces: list[int], end: bool, ok: bool) -> None:
    peer.send(peer.post(1, (b"content-length", b"%d" % length)))
    frames = [peer.data(1, b"a" * size, pad=3) for size in pieces]
    if end:
        frames[-1].flags.add("END_STREAM")
    found = peer.send(*frames)
    refusals = [told for told in found if told[0] == "Refusal"]
    assert refusals == ([] if ok else [("Refusal", 1, PROTOCOL_ERROR, False)])
    assert sum(told[3] for told in found if told[0] == "Body") == (1 if ok else 0)
    assert (1 in peer.codec.streams) is ok


@pytest.mark.parametrize(("sent", "ok"), [(5, True), (4, False)])
def test_trailers_come_when_all_content_has(peer: Any, sent: int, ok: bool) -> None:
    peer.send(peer.post(1, (b"content-length", b"5")), peer.data(1, b"a" * sent))
    found = peer.send(peer.head(1, [(b"x-a", b"b")]))
    assert found == [("Body", 1, b"", True) if ok else ("Refusal", 1, PROTOCOL_ERROR, False)]


def test_content_over_the_limit_is_answered(start: Start) -> None:
    peer = start(body=10, **EXACT)
    peer.send(peer.post(1))
    assert peer.send(peer.data(1, b"a" * 10)) == [("Body", 1, b"a" * 10, False)]
    refusal, written = refused(peer, peer.data(1, b"a"))
    assert refusal == ("Refusal", 1, 413, True)
    assert [told[0] for told in written] == ["Headers", "Data", "WindowUpdate", "RstStream"]
    assert peer.reader.room == WINDOW + 11
    peer.send(peer.post(3))
    peer.respond(3, b"", end=False)
    refusal, written = refused(peer, peer.data(3, b"a" * 11))
    assert refusal == ("Refusal", 3, 413, False)
    assert ("RstStream", 3, CANCEL) in written


def test_content_over_the_limit_after_the_response_is_cut_off(start: Start) -> None:
    peer = start(body=10)
    peer.send(peer.post(1, (b"content-length", b"10")), peer.data(1, b"a" * 9))
    peer.respond(1)
    assert peer.send(peer.data(1, b"a", end=True)) == []
    assert peer.codec.streams == {}


def test_a_tunnel_has_no_limit(start: Start) -> None:
    peer = start(body=10, connects=True)
    peer.send(peer.connect(1))
    peer.codec.tunnel(1, fields.outgoing([]))
    assert peer.send(peer.data(1, b"a" * 100)) == [("Body", 1, b"a" * 100, False)]


# --- windows ---


def test_content_beyond_the_streams_window_ends_the_stream(start: Start) -> None:
    peer = start(stream_window=1000, **EXACT)
    peer.send(peer.post(1), peer.data(1, b"a" * 990, pad=9))
    assert peer.codec.streams[1].theirs == 0
    assert peer.send(peer.data(1)) == []
    refusal, written = refused(peer, peer.data(1, b"a"))
    assert refusal == ("Refusal", 1, FLOW_CONTROL_ERROR, False)
    assert ("RstStream", 1, FLOW_CONTROL_ERROR) in written
    assert peer.reader.room == WINDOW + 1001


def test_content_beyond_the_connections_window_ends_the_connection(start: Start) -> None:
    peer = start(connection_window=WINDOW)
    peer.send(peer.post(1), peer.post(3))
    for number, size in ((1, 16384), (3, 16384), (1, 16384), (3, 16383)):
        assert len(peer.send(peer.data(number, b"a" * size))) == 1
    assert peer.fault(peer.data(1, b"a")) == FLOW_CONTROL_ERROR


def test_a_window_opens_when_half_of_it_was_consumed(start: Start) -> None:
    peer = start(stream_window=1000, connection_window=80_000)
    peer.send(peer.post(1), peer.data(1, b"a" * 900))
    assert peer.taken() == []
    peer.codec.credit(1, 499)
    assert peer.taken() == []
    peer.codec.credit(1, 1)
    assert peer.taken() == [("WindowUpdate", 1, 500)]
    peer.codec.credit(1, 400)
    assert peer.taken() == []
    assert peer.codec.streams[1].theirs == 600


def test_the_connections_window_opens_when_half_of_it_was_consumed(start: Start) -> None:
    peer = start(connection_window=WINDOW)
    peer.send(peer.post(1), *(peer.data(1, b"a" * 16384) for _ in range(2)))
    peer.codec.credit(1, 32766)
    assert peer.taken() == []
    peer.codec.credit(1, 1)
    assert peer.taken() == [("WindowUpdate", 0, 32767), ("WindowUpdate", 1, 32767)]
    peer.codec.credit(1, 1)
    assert peer.taken() == []


def test_it_opens_earlier_where_less_is_left_than_what_was_consumed(start: Start) -> None:
    peer = start(connection_window=WINDOW)
    peer.send(peer.post(1), *(peer.data(1, b"a" * 16000) for _ in range(4)))
    peer.codec.credit(1, WINDOW - 64000)
    assert peer.taken() == []
    peer.codec.credit(1, 1)
    assert peer.taken() == [("WindowUpdate", 0, WINDOW - 64000 + 1)]


def test_no_window_opens_on_a_stream_that_has_ended(start: Start) -> None:
    peer = start(stream_window=1000, **EXACT)
    peer.send(peer.post(1), peer.data(1, b"a" * 900, end=True))
    peer.codec.credit(1, 900)
    assert peer.taken() == [("WindowUpdate", 0, 900)]


@pytest.mark.parametrize("pad", [0, 1, 10, 255])
def test_padding_is_credited_at_once(start: Start, pad: int) -> None:
    peer = start(**EXACT)
    peer.send(peer.post(1), peer.data(1, b"abc", pad=pad))
    assert peer.taken() == [("WindowUpdate", 0, pad + 1)]
    assert peer.codec.streams[1].unread == 3
    assert peer.codec.streams[1].credit == pad + 1


def test_nothing_is_credited_twice(start: Start) -> None:
    peer = start(**EXACT)
    peer.send(peer.post(1, (b"content-length", b"100")), peer.data(1, b"a" * 50))
    peer.respond(1)
    peer.codec.credit(1, 50)
    assert [told for told in peer.taken() if told[0] == "WindowUpdate"] == [("WindowUpdate", 0, 50)]
    peer.send(peer.post(3), peer.data(3, b"abc"))
    peer.codec.credit(3, 100)
    peer.codec.credit(3, 100)
    assert peer.taken() == [("WindowUpdate", 0, 3)]


ENDS: dict[str, Callable[[Any], Any]] = {
    "response": lambda peer: peer.respond(1),
    "response and end": lambda peer: (peer.respond(1), peer.send(peer.data(1, end=True))),
    "our reset": lambda peer: peer.codec.reset(1, CANCEL),
    "their reset": lambda peer: peer.send(peer.reset(1)),
    "refusal": lambda peer: peer.codec.refuse(1, ProtocolFault("why", 408)),
    "fault": lambda peer: peer.send(peer.window(1, 0)),
}


@pytest.mark.parametrize("end", ENDS)
def test_content_that_nobody_read_is_credited_at_the_end(start: Start, end: str) -> None:
    peer = start(**EXACT)
    peer.send(peer.post(1), peer.data(1, b"a" * 1000, pad=5))
    ENDS[end](peer)
    peer.taken()
    assert peer.reader.room == WINDOW + 1006


@pytest.mark.parametrize("end", ["our reset", "refusal", "fault"])
def test_content_of_streams_that_were_dropped_is_credited(start: Start, end: str) -> None:
    peer = start(**EXACT)
    peer.send(peer.post(1))
    ENDS[end](peer)
    assert peer.send(peer.data(1, b"a" * 1000, pad=5), peer.data(1, b"b", end=True)) == []
    peer.taken()
    assert peer.reader.room == WINDOW + 1007


def test_content_of_streams_that_they_reset_is_credited_with_the_reset(start: Start) -> None:
    peer = start(**EXACT)
    peer.send(peer.post(1), peer.reset(1))
    assert peer.send(peer.data(1, b"abc")) == [("Refusal", 1, 0x5, False)]
    peer.taken()
    assert peer.reader.room == WINDOW + 3


def test_content_after_the_response_keeps_both_windows_open(start: Start) -> None:
    """A peer that has less window than it has still to send would wait for ever."""
    peer = start(stream_window=4096, **EXACT)
    peer.send(peer.post(1, (b"content-length", b"60000")), peer.data(1, b"a" * 4096))
    peer.respond(1)
    assert ("WindowUpdate", 1, 4096) in peer.taken()
    left = 60000 - 4096
    while left:
        room = min(peer.codec.streams[1].theirs, left)
        assert room
        left -= room
        assert peer.send(peer.data(1, b"a" * room, end=not left)) == []
    assert peer.codec.streams == {}
    peer.taken()
    assert peer.reader.room == WINDOW + 60000


# --- reading on ---


def test_so_many_events_at_once_and_no_more(peer: Any) -> None:
    sent = [peer.post(1), *(peer.data(1, b"a") for _ in range(2 * EVENTS_MOST))]
    first = peer.codec.receive(peer.wire(*sent))
    assert len(first) == EVENTS_MOST
    assert peer.codec.unread()
    second = peer.codec.receive(b"")
    assert len(second) == EVENTS_MOST
    assert peer.codec.unread()
    assert len(peer.codec.receive(peer.wire(peer.data(1, b"b")))) == 2
    assert not peer.codec.unread()
    assert peer.codec.receive(b"") == []


def test_the_end_comes_after_all_that_was_read(peer: Any) -> None:
    peer.codec.receive(peer.wire(peer.post(1), *(peer.data(1, b"a") for _ in range(EVENTS_MOST)), b"\0\0"))
    assert peer.codec.unread()
    peer.codec.eof()
    assert not peer.codec.unread()
    assert peer.codec.receive(b"") == []
    assert repr(peer.codec.streams[1]).startswith("<Stream 1 REMOTE")


def test_the_end(peer: Any) -> None:
    peer.send(peer.get(1), b"\0\0\0")
    peer.codec.eof()
    assert "kept=0" in repr(peer.codec)
    assert peer.codec.leaving
    peer.respond(1)
    assert [told[0] for told in peer.taken()] == ["Headers", "Data"]


def test_what_it_waits_for(start: Start) -> None:
    assert (waits.__name__, FOR_US) == ("portway.wire.waits", 3)
    peer = start(greet=False)
    assert peer.codec.waiting() == FOR_HEAD
    peer.send(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n")
    assert peer.codec.waiting() == FOR_HEAD
    peer.send(peer.settings())
    assert peer.codec.waiting() == FOR_REQUEST
    peer.send(b"\0\0")
    assert peer.codec.waiting() == FOR_HEAD
    frame = peer.get(1)
    frame.flags.discard("END_HEADERS")
    peer.send(peer.wire(frame)[2:])
    assert peer.codec.waiting() == FOR_HEAD
    peer.send(peer.raw(0x9, 0x4, 1))
    assert peer.codec.waiting() == FOR_US
    begun = peer.get(3)
    begun.flags.discard("END_HEADERS")
    peer.send(begun)
    assert peer.codec.waiting() == FOR_HEAD
    peer.codec.fail(ConnectionFault("why"))
    assert peer.codec.waiting() == FOR_END
