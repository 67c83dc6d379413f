"""Frames of the connection, and how streams and connections end."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from hyperframe.frame import GoAwayFrame

from portway.wire import fields
from portway.wire.faults import ProtocolFault
from portway.wire.http2.faults import ConnectionFault

Start = Callable[..., Any]

NO_ERROR = 0x0
PROTOCOL_ERROR = 0x1
INTERNAL_ERROR = 0x2
FLOW_CONTROL_ERROR = 0x3
FRAME_SIZE_ERROR = 0x6
REFUSED_STREAM = 0x7
CANCEL = 0x8
ENHANCE_YOUR_CALM = 0xB

WINDOW = 65535
LAST_PING = b"goodbye!"
FAULT = ProtocolFault("the request's body did not come in time", 408)


# --- pings ---


def test_pings_are_answered_in_their_order(peer: Any) -> None:
    assert peer.send(peer.ping(b"11111111"), peer.ping(b"22222222"), peer.ping(b"33333333", ack=True)) == []
    assert peer.taken() == [("Ping", b"11111111", True), ("Ping", b"22222222", True)]


# --- windows ---


@pytest.mark.parametrize("size", [1, 2**31 - 1 - WINDOW])
def test_windows_are_widened_to_their_end(peer: Any, size: int) -> None:
    peer.send(peer.get(1))
    assert peer.send(peer.window(1, size), peer.window(0, size)) == []
    assert peer.codec.streams[1].window == WINDOW + size


def test_a_streams_window_that_is_too_large_ends_the_stream(peer: Any) -> None:
    peer.send(peer.get(1))
    assert peer.send(peer.window(1, 2**31 - WINDOW)) == [("Refusal", 1, FLOW_CONTROL_ERROR, False)]
    assert peer.taken() == [("RstStream", 1, FLOW_CONTROL_ERROR)]


def test_a_connections_window_that_is_too_large_ends_the_connection(peer: Any) -> None:
    assert peer.fault(peer.window(0, 2**31 - WINDOW)) == FLOW_CONTROL_ERROR


def test_a_window_is_not_widened_by_nothing(peer: Any) -> None:
    peer.send(peer.get(1))
    assert peer.send(peer.window(1, 0)) == [("Refusal", 1, PROTOCOL_ERROR, False)]
    assert peer.fault(peer.window(0, 0)) == PROTOCOL_ERROR


def test_the_reserved_bit_of_a_window_is_ignored(peer: Any) -> None:
    peer.send(peer.get(1), peer.raw(0x8, 0, 1, b"\x80\0\0\5"))
    assert peer.codec.streams[1].window == WINDOW + 5
    assert peer.send(peer.raw(0x8, 0, 1, b"\x80\0\0\0")) == [("Refusal", 1, PROTOCOL_ERROR, False)]
    peer.send(peer.get(3), peer.raw(0x8, 0, 3, b"\xff\xff\xff\xff"))
    assert 3 not in peer.codec.streams


# --- priorities of old ---


@pytest.mark.parametrize("number", [1, 3, 99])
def test_priorities_of_old_mean_nothing(peer: Any, number: int) -> None:
    peer.send(peer.get(1))
    assert peer.send(peer.raw(0x2, 0, number, b"\x80\0\0\5\xff")) == []
    assert peer.taken() == []


def test_a_stream_that_depends_on_itself_is_reset(peer: Any) -> None:
    peer.send(peer.get(1))
    assert peer.send(peer.raw(0x2, 0, 1, b"\x80\0\0\1\0")) == [("Refusal", 1, PROTOCOL_ERROR, False)]
    assert peer.send(peer.head(3, flags=["PRIORITY"], depends_on=3)) == [("Refusal", 3, PROTOCOL_ERROR, False)]
    peer.send(peer.post(5))
    trailers = peer.head(5, [(b"x-a", b"b")], flags=["PRIORITY"], depends_on=5)
    assert peer.send(trailers) == [("Refusal", 5, PROTOCOL_ERROR, False)]
    assert peer.taken() == [("RstStream", number, PROTOCOL_ERROR) for number in (1, 3, 5)]
    assert peer.fault(peer.raw(0x2, 0, 7, b"\0\0\0\7\0")) == PROTOCOL_ERROR


def test_a_priority_of_a_wrong_size_on_an_idle_stream_ends_the_connection(peer: Any) -> None:
    """Since an idle stream cannot be reset (RFC 9113 §6.4)."""
    peer.send(peer.get(5))
    assert peer.send(peer.raw(0x2, 0, 3, bytes(4))) == [("Refusal", 3, FRAME_SIZE_ERROR, False)]
    other = type(peer)()
    other.send(other.get(5))
    assert other.fault(other.raw(0x2, 0, 4, bytes(4))) == FRAME_SIZE_ERROR
    again = type(peer)()
    assert again.fault(again.raw(0x2, 0, 7, bytes(4))) == FRAME_SIZE_ERROR


# --- resets ---


def test_their_reset_ends_a_stream_and_says_why(peer: Any) -> None:
    peer.send(peer.get(1), peer.get(3), peer.get(5))
    events = peer.heard(peer.reset(1, CANCEL), peer.reset(3, NO_ERROR), peer.reset(5, 2**32 - 1))
    assert [event.reason for event in events] == [
        "the client reset the stream (CANCEL)", "the client reset the stream (NO_ERROR)",
        "the client reset the stream (4294967295)",
    ]  # fmt: skip
    assert peer.codec.streams == {}
    assert peer.taken() == []


def test_their_reset_drops_what_is_queued(peer: Any) -> None:
    peer.send(peer.settings(INITIAL_WINDOW_SIZE=1), peer.get(1))
    peer.respond(1, b"abc")
    peer.taken()
    assert peer.send(peer.reset(1)) == [("Reset", 1)]
    peer.send(peer.window(0, 100))
    assert peer.taken() == []


def test_our_reset(peer: Any) -> None:
    peer.send(peer.get(1))
    peer.codec.reset(1, INTERNAL_ERROR)
    peer.codec.reset(1, INTERNAL_ERROR)
    assert peer.taken() == [("RstStream", 1, INTERNAL_ERROR)]
    assert peer.codec.streams == {}


# --- too many ---


def test_streams_beyond_those_allowed_are_refused(start: Start) -> None:
    peer = start(streams=2)
    assert len(peer.send(peer.post(1), peer.get(3))) == 2
    assert peer.send(peer.post(5), peer.data(5, b"under way"), peer.window(5, 1), peer.reset(5)) == []
    assert peer.taken() == [("RstStream", 5, REFUSED_STREAM)]
    peer.respond(3)
    assert peer.send(peer.get(7, (b"x-a", b"b"))) == [("Head", 7, "GET", b"/", True)]
    assert peer.codec.requests == 3


def test_a_stream_whose_client_has_not_ended_counts(start: Start) -> None:
    peer = start(streams=1)
    peer.send(peer.post(1, (b"content-length", b"1")))
    peer.respond(1)
    peer.taken()
    assert peer.send(peer.get(3)) == []
    assert peer.taken() == [("RstStream", 3, REFUSED_STREAM)]
    assert peer.send(peer.data(1, b"a", end=True), peer.get(5)) == [("Head", 5, "GET", b"/", True)]


# --- answers to faults ---


def test_a_refused_request_is_told_why(peer: Any) -> None:
    peer.send(peer.get(1))
    assert peer.codec.refuse(1, FAULT)
    text = b"the request's body did not come in time\n"
    pairs = [
        (b":status", b"408"),
        (b"content-type", b"text/plain; charset=utf-8"),
        (b"content-length", b"%d" % len(text)),
    ]
    assert peer.taken() == [("Headers", 1, pairs, False), ("Data", 1, text, True)]
    assert peer.codec.streams == {}


def test_a_refused_request_that_has_not_ended_is_reset(peer: Any) -> None:
    peer.send(peer.post(1), peer.post(3, (b"content-length", b"3")))
    assert peer.codec.refuse(1, FAULT)
    assert peer.codec.refuse(3, FAULT)
    assert [told[:2] for told in peer.taken()] == [
        (kind, number) for number in (1, 3) for kind in ("Headers", "Data", "RstStream")
    ]
    assert peer.codec.streams == {}
    assert peer.send(peer.data(3, b"a" * 1000)) == []


def test_a_request_that_was_answered_is_reset_instead(peer: Any) -> None:
    peer.send(peer.get(1))
    peer.respond(1, b"a", end=False)
    assert not peer.codec.refuse(1, FAULT)
    assert not peer.codec.refuse(1, FAULT)
    assert not peer.codec.refuse(99, FAULT)
    assert peer.taken()[-1] == ("RstStream", 1, CANCEL)


@pytest.mark.parametrize("which", ["stream", "connection"])
def test_a_refusal_says_no_more_than_the_window_lets_it(peer: Any, which: str) -> None:
    if which == "stream":
        peer.send(peer.settings(INITIAL_WINDOW_SIZE=20), peer.get(1))
    else:
        peer.send(peer.get(1), peer.get(3))
        peer.respond(3, b"a" * (WINDOW - 20))
    peer.taken()
    assert peer.codec.refuse(1, FAULT)
    (told,) = peer.taken()
    assert told[2][-1] == (b"content-length", b"0")
    assert told[3] is True


def test_a_refused_head_has_no_content(peer: Any) -> None:
    peer.send(peer.head(1, [(b":method", b"HEAD"), *peer.GET[1:]]))
    assert peer.codec.refuse(1, FAULT)
    assert [told[1:] for told in peer.taken()] == [
        (1, [(b":status", b"408"), (b"content-type", b"text/plain; charset=utf-8")], True)
    ]


def test_a_refusal_drops_what_waits(start: Start) -> None:
    peer = start()
    peer.send(peer.settings(INITIAL_WINDOW_SIZE=100), peer.get(1))
    peer.codec.blocked = True
    assert peer.codec.refuse(1, FAULT)  # an answer to a fault does not wait
    assert len(peer.taken()) == 3


# --- who waits for whom ---


def test_streams_that_get_no_window_are_stalled(peer: Any) -> None:
    peer.send(peer.settings(INITIAL_WINDOW_SIZE=1), peer.get(1), peer.get(3), peer.get(5))
    assert peer.codec.stalled() == []
    peer.respond(1, b"abc")
    peer.respond(3, b"a", end=False)
    assert peer.codec.stalled() == []  # it may still go
    peer.taken()
    assert peer.codec.stalled() == []  # it went since
    assert peer.codec.stalled() == [1]
    peer.send(peer.window(1, 1))
    peer.taken()
    assert peer.codec.stalled() == []
    assert peer.codec.stalled() == [1]


def test_all_streams_are_stalled_if_the_connection_is(peer: Any) -> None:
    peer.send(peer.get(1), peer.get(3))
    peer.respond(1, b"a" * WINDOW, end=False)
    peer.respond(3, b"abc")
    peer.taken()
    peer.codec.stalled()
    assert peer.codec.stalled() == [3]


def test_a_stream_is_not_stalled_that_others_keep_waiting(peer: Any) -> None:
    peer.send(peer.settings(INITIAL_WINDOW_SIZE=1 << 24), peer.window(0, 1 << 24))
    peer.send(peer.get(1, (b"priority", b"u=7")), peer.get(3, (b"priority", b"u=0")))
    peer.codec.blocked = True
    peer.respond(1, b"a" * 10)
    peer.respond(3, b"b" * (1 << 20))
    peer.codec.blocked = False
    for _ in range(3):
        peer.reader.read(b"".join(peer.codec.take()))
        assert peer.codec.stalled() == []


def test_a_stream_is_stalled_from_when_something_waits(peer: Any) -> None:
    peer.send(peer.settings(INITIAL_WINDOW_SIZE=0), peer.get(1))
    for _ in range(3):
        assert peer.codec.stalled() == []
    peer.respond(1, b"abc")
    peer.taken()
    assert peer.codec.stalled() == []
    assert peer.codec.stalled() == [1]


def test_streams_of_which_content_is_expected_are_silent(peer: Any) -> None:
    peer.send(peer.post(1), peer.get(3), peer.post(5))
    assert peer.codec.silent() == []
    peer.send(peer.data(5, b"a"))
    peer.codec.credit(5, 1)
    assert peer.codec.silent() == [1]
    assert peer.codec.silent() == [1, 5]


def test_a_complete_response_waits_for_the_end_of_the_request(peer: Any) -> None:
    peer.send(peer.post(1, (b"content-length", b"5")))
    peer.respond(1)
    assert peer.codec.silent() == []
    assert peer.codec.silent() == [1]


def test_nothing_is_expected_while_we_hold_content(peer: Any) -> None:
    peer.send(peer.post(1), peer.data(1, b"abc"))
    for _ in range(3):
        assert peer.codec.silent() == []
    peer.codec.credit(1, 3)
    assert peer.codec.silent() == []  # from here on it is their turn
    assert peer.codec.silent() == [1]


def test_nothing_is_expected_without_a_window(start: Start) -> None:
    peer = start(stream_window=1024)
    peer.send(peer.post(1), peer.data(1, b"a" * 1024))
    for _ in range(3):
        assert peer.codec.silent() == []


def test_nothing_is_expected_before_it_was_asked_for(peer: Any) -> None:
    peer.send(peer.post(1, (b"expect", b"100-continue")))
    for _ in range(3):
        assert peer.codec.silent() == []
    peer.codec.inform(1, 103, None)
    assert peer.codec.silent() == []
    peer.codec.inform(1, 100, None)
    assert peer.codec.silent() == []
    assert peer.codec.silent() == [1]


def test_a_websocket_may_be_silent(start: Start) -> None:
    peer = start(connects=True)
    peer.send(peer.connect(1))
    for _ in range(3):
        assert peer.codec.silent() == []
    peer.codec.tunnel(1, fields.outgoing([]))
    for _ in range(3):
        assert peer.codec.silent() == []
    peer.send(peer.data(1, b"abc"))
    peer.codec.credit(1, 3)
    for _ in range(3):
        assert peer.codec.silent() == []
    peer.codec.body(1, b"", True)
    assert peer.codec.silent() == []
    assert peer.codec.silent() == [1]


# --- good-byes ---


def test_a_fault_says_goodbye(peer: Any) -> None:
    peer.send(peer.get(1), peer.get(3))
    peer.respond(1)
    peer.taken()
    peer.codec.fail(ConnectionFault("why", ENHANCE_YOUR_CALM))
    data = b"".join(peer.codec.take())
    assert data.endswith(b"why")
    assert peer.reader.read(data) == [("GoAway", 3, ENHANCE_YOUR_CALM)]
    assert peer.codec.streams == {}
    assert peer.codec.closing
    assert peer.send(peer.get(5), peer.ping()) == []
    assert peer.taken() == []


def test_any_other_fault_is_ours(peer: Any) -> None:
    peer.codec.fail(ProtocolFault("why"))
    assert peer.taken() == [("GoAway", 0, INTERNAL_ERROR)]


def test_shutdown_has_two_steps(peer: Any) -> None:
    peer.send(peer.get(1))
    peer.codec.announce_end()
    peer.codec.announce_end()
    assert peer.taken() == [("GoAway", 2**31 - 1, NO_ERROR), ("Ping", LAST_PING, False)]
    assert not peer.codec.leaving
    # What was sent before the ping came there is taken.
    assert peer.send(peer.get(3), peer.ping(b"whatever", ack=True)) == [("Head", 3, "GET", b"/", True)]
    assert not peer.codec.leaving
    assert peer.send(peer.ping(LAST_PING, ack=True)) == []
    assert peer.taken() == [("GoAway", 3, NO_ERROR)]
    assert peer.codec.leaving
    assert peer.send(peer.post(5), peer.data(5, b"a"), peer.reset(5), peer.window(5, 1)) == []
    assert peer.taken() == []
    peer.respond(1)
    peer.respond(3)
    assert len(peer.taken()) == 4
    assert peer.codec.streams == {}
    assert not peer.codec.closing


def test_shutdown_may_be_at_once(peer: Any) -> None:
    peer.send(peer.get(1))
    peer.codec.end()
    peer.codec.end()
    assert peer.taken() == [("GoAway", 1, NO_ERROR)]
    assert peer.codec.leaving


def test_an_answer_to_a_ping_that_was_not_sent_ends_nothing(peer: Any) -> None:
    peer.send(peer.ping(LAST_PING, ack=True))
    assert not peer.codec.leaving
    assert peer.taken() == []


def test_content_goes_on_after_our_goodbye(peer: Any) -> None:
    peer.send(peer.post(1))
    peer.codec.end()
    assert peer.send(peer.data(1, b"a"), peer.head(3, [(b"x", b"y")]), peer.data(1, b"b", end=True)) == [
        ("Body", 1, b"a", False), ("Body", 1, b"b", True),
    ]  # fmt: skip


def test_tables_stay_in_step_with_heads_that_are_not_heeded(peer: Any) -> None:
    peer.send(peer.post(1))
    peer.codec.end()
    peer.send(peer.get(3, (b"x-a", b"b")), peer.get(5, (b"x-c", b"d")))
    (event,) = peer.heard(peer.head(1, [(b"x-a", b"b"), (b"x-c", b"d")]))
    assert event.end


def test_the_last_stream_never_grows(peer: Any) -> None:
    """RFC 9113 §6.8; the reader looks at it, too."""
    peer.send(peer.get(1))
    peer.codec.end()
    peer.send(peer.get(3), peer.get(5))
    peer.codec.announce_end()
    assert peer.fault(peer.window(0, 0)) == PROTOCOL_ERROR
    assert peer.reader.last == 1


def test_after_a_fault_there_is_no_further_goodbye(peer: Any) -> None:
    peer.codec.fail(ConnectionFault("why"))
    peer.codec.end()
    peer.codec.announce_end()
    assert peer.taken() == [("GoAway", 0, PROTOCOL_ERROR)]


def test_their_goodbye_begins_the_end(peer: Any) -> None:
    peer.send(peer.get(1))
    assert peer.send(GoAwayFrame(0, 0, NO_ERROR, b"bye")) == []
    assert peer.codec.leaving
    assert not peer.codec.closing
    # It speaks of what we begin, and may go on itself: nobody told it that it is not heard.
    assert peer.send(peer.get(3)) == [("Head", 3, "GET", b"/", True)]
    for number in (1, 3):
        peer.respond(number)
    assert [told[0] for told in peer.taken()] == ["Headers", "Data"] * 2
    peer.codec.end()
    assert peer.taken() == [("GoAway", 3, NO_ERROR)]
    assert peer.send(peer.get(5)) == []
