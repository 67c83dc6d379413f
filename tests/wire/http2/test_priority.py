"""The field `priority` (RFC 9218 §4, RFC 8941), and what PRIORITY_UPDATE does with it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from portway.wire.http2 import priority

Start = Callable[..., Any]

PROTOCOL_ERROR = 0x1

FIELDS = [
    (b"", 3, False),
    (b"u=0", 0, False),
    (b"u=7", 7, False),
    (b"i", 3, True),
    (b"i=?1", 3, True),
    (b"i=?0", 3, False),
    (b"u=5, i", 5, True),
    (b"u=5,i", 5, True),
    (b"i,u=5", 5, True),
    (b"u=5 \t,\t  i", 5, True),
    (b"  u=5", 5, False),
    (b"u=5  ", 5, False),
    # members that mean nothing here, and parameters
    (b"a, u=1", 1, False),
    (b"a=1, u=1, b=?0, i, c", 1, True),
    (b"u=1;x=2, i;y", 1, True),
    (b"i;y=1, u=2", 2, True),
    (b"foo=u, ui=3, ii", 3, False),
    (b"xu=1, xi", 3, False),
    (b"*=1, a.b-c_d*=2, u=2", 2, False),
    # the last of those that come twice
    (b"u=1, u=2", 2, False),
    (b"i, i=?0", 3, False),
    (b"i=?0, i", 3, True),
    # out of its range, or of another type: ignored
    (b"u=8", 3, False),
    (b"u=9, i", 3, True),
    (b"u=-1", 3, False),
    (b"u=10", 3, False),
    (b"u=1.0", 3, False),
    (b"u=?1", 3, False),
    (b'u="1"', 3, False),
    (b"u", 3, False),
    (b"u=", 3, False),
    (b"u=a", 3, False),
    (b"u=1x", 3, False),
    (b"i=1", 3, False),
    (b"i=0", 3, False),
    (b"i=?2", 3, False),
    (b"i=?", 3, False),
    (b"ix", 3, False),
    (b"U=1, I", 3, False),
    (b"u =1", 3, False),
    (b"u= 1", 3, False),
    (b"\xff\x00", 3, False),
]


@pytest.mark.parametrize(("field", "urgency", "incremental"), FIELDS)
def test_fields_are_read(field: bytes, urgency: int, incremental: bool) -> None:
    assert priority.read(field) == (urgency, incremental)


@given(urgency=st.integers(0, 7), incremental=st.booleans(), space=st.sampled_from([b"", b" ", b"\t "]),
       other=st.sampled_from([b"", b"a=1,", b'x="y";z,', b"(1 2),"]))  # fmt: skip
def test_what_a_client_writes_is_read(urgency: int, incremental: bool, space: bytes, other: bytes) -> None:
    field = other + space + b"u=%d" % urgency + (space + b"," + space + b"i" if incremental else b"")
    assert priority.read(field) == (urgency, incremental)


@given(field=st.binary(max_size=40) | st.text("ui=?017,; ", max_size=20).map(str.encode))
def test_anything_is_a_priority(field: bytes) -> None:
    urgency, incremental = priority.read(field)
    assert 0 <= urgency <= 7
    assert incremental in (False, True)


def test_a_long_field_takes_no_longer_than_its_length() -> None:
    for part in (b" ", b"u=", b"i ", b"u=1 ", b"i" + b" " * 100, b",", b", ", b"\t"):
        assert priority.read(part * (60_000 // len(part))) in ((3, False), (3, True))


# --- on the wire ---


def of(peer: Any, number: int) -> tuple[int, bool]:
    stream = peer.codec.streams[number]
    return stream.urgency, bool(stream.incremental)


def test_a_request_without_a_priority_has_the_default(peer: Any) -> None:
    peer.send(peer.get(1))
    assert of(peer, 1) == (3, False)


def test_the_header_sets_it_and_is_told_to_the_application(peer: Any) -> None:
    (head,) = peer.heard(peer.get(1, (b"priority", b"u=1, i")))
    assert of(peer, 1) == (1, True)
    assert head.headers[-1] == (b"priority", b"u=1, i")


def test_an_update_sets_all_of_it_anew(peer: Any) -> None:
    assert peer.send(peer.get(1, (b"priority", b"u=1, i")), peer.update(1, b"u=6")) == [("Head", 1, "GET", b"/", True)]
    assert of(peer, 1) == (6, False)
    peer.send(peer.update(1, b""))
    assert of(peer, 1) == (3, False)
    assert peer.taken() == []


def test_an_update_that_comes_first_waits_for_its_stream(peer: Any) -> None:
    peer.send(peer.update(3, b"u=1"), peer.update(3, b"u=2, i"), peer.get(1))
    assert of(peer, 1) == (3, False)
    peer.send(peer.get(3, (b"priority", b"u=5")))
    assert of(peer, 3) == (2, True)
    peer.send(peer.get(5))
    assert of(peer, 5) == (3, False)


@pytest.mark.parametrize("end", ["respond", "reset"])
def test_an_update_for_a_stream_that_is_no_more_is_passed_over(peer: Any, end: str) -> None:
    peer.send(peer.get(1))
    if end == "respond":
        peer.respond(1)
    else:
        peer.send(peer.reset(1))
    peer.taken()
    assert peer.send(peer.update(1, b"u=1")) == []
    assert peer.taken() == []


@pytest.mark.parametrize("number", [0, 2, 100])
def test_an_update_is_for_a_stream_of_the_clients(peer: Any, number: int) -> None:
    """RFC 9218 §7.1: nothing is pushed, so that an even number is idle."""
    assert peer.fault(peer.update(number, b"u=1")) == PROTOCOL_ERROR


def test_the_reserved_bit_of_the_number_is_ignored(peer: Any) -> None:
    peer.send(peer.get(1), peer.update(2**31 + 1, b"u=1"))
    assert of(peer, 1) == (1, False)
    peer.send(peer.update(2**32 - 1, b"u=1"))


def test_updates_are_for_no_more_streams_than_may_be_open(start: Start) -> None:
    """RFC 9218 §7.1"""
    peer = start(streams=3)
    peer.send(peer.get(1), peer.update(3, b"u=1"), peer.update(5, b"u=1"), peer.update(3, b"u=2"))
    assert peer.fault(peer.update(7, b"u=1")) == PROTOCOL_ERROR


def test_streams_that_were_skipped_are_not_counted(start: Start) -> None:
    peer = start(streams=3)
    peer.send(*(peer.update(number, b"u=1") for number in (3, 5, 7)), peer.get(5))
    assert of(peer, 5) == (1, False)
    peer.send(peer.update(9, b"u=2"))
    assert peer.fault(peer.update(11, b"u=2")) == PROTOCOL_ERROR


def test_promises_are_kept_for_those_that_are_not_open_yet(start: Start) -> None:
    peer = start(streams=2)
    for number in range(1, 2001, 2):
        peer.send(peer.update(number, b"u=%d" % (number % 8)), peer.get(number))
        assert of(peer, number) == (number % 8, False)
        peer.respond(number)
        peer.codec.refill(1)


def test_a_promise_to_the_last_stream_that_was_refused_is_not_counted(start: Start) -> None:
    peer = start(streams=1)
    peer.send(peer.update(1, b"u=1"), peer.head(1, [(b"x", b"y")]))
    assert peer.send(peer.update(3, b"u=2"), peer.get(3)) == [("Head", 3, "GET", b"/", True)]
    assert of(peer, 3) == (2, False)


def test_a_refused_stream_leaves_no_promise_behind(start: Start) -> None:
    peer = start(streams=2)
    for number in range(1, 101, 4):
        peer.send(peer.update(number, b"u=1"), peer.head(number, [(b"x", b"y")]))  # malformed
        peer.send(peer.update(number + 2, b"u=1"), peer.get(number + 2))
        assert of(peer, number + 2) == (1, False)
        peer.respond(number + 2)
