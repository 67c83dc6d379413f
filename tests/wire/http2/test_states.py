"""Every cell of the table of a stream's states (RFC 9113 §5.1), by frames; and what is remembered of closed ones."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from portway.wire.http2 import states
from portway.wire.http2.states import Fates

Start = Callable[..., Any]

PROTOCOL_ERROR = 0x1
STREAM_CLOSED = 0x5
CANCEL = 0x8

NUMBER = 1001  # of the stream that is looked at; far from the first


def idle(peer: Any) -> None:
    peer.send(peer.get(NUMBER - 2))


def opened(peer: Any) -> None:
    peer.send(peer.post(NUMBER, (b"content-length", b"5")))


def remote(peer: Any) -> None:
    peer.send(peer.get(NUMBER))


def local(peer: Any) -> None:
    opened(peer)
    peer.respond(NUMBER)


def ended(peer: Any) -> None:
    remote(peer)
    peer.respond(NUMBER)


def left(peer: Any) -> None:
    remote(peer)
    peer.send(peer.reset(NUMBER))


def dropped(peer: Any) -> None:
    remote(peer)
    peer.codec.reset(NUMBER, CANCEL)


def skipped(peer: Any) -> None:
    peer.send(peer.get(NUMBER + 2))


def old(peer: Any) -> None:
    ended(peer)
    peer.send(peer.get(NUMBER + 512))


STATES = {"IDLE": idle, "OPEN": opened, "REMOTE": remote, "LOCAL": local, "ENDED": ended, "LEFT": left,
          "DROPPED": dropped, "SKIPPED": skipped, "OLD": old}  # fmt: skip

FRAMES = {
    "DATA": lambda peer, number: peer.data(number, b"hello", end=True),
    "HEADERS": lambda peer, number: peer.head(number),
    "TRAILERS": lambda peer, number: peer.head(number, [(b"x-a", b"b")]),
    "PRIORITY": lambda peer, number: peer.raw(0x2, 0, number, bytes(5)),
    "RST_STREAM": lambda peer, number: peer.reset(number),
    "WINDOW_UPDATE": lambda peer, number: peer.window(number, 10),
}

# What becomes of each: the events; or the code of the connection's end; or ("stream", code) for a stream's.
HEAD = [("Head", NUMBER, "GET", b"/", True)]
HEARD = [("Body", NUMBER, b"hello", True)]
RESET = [("Reset", NUMBER)]
CLOSED = ("stream", STREAM_CLOSED)
WRONG = ("stream", PROTOCOL_ERROR)
TABLE: dict[str, dict[str, Any]] = {
    "IDLE": {
        "DATA": PROTOCOL_ERROR, "HEADERS": HEAD, "TRAILERS": WRONG, "PRIORITY": [],
        "RST_STREAM": PROTOCOL_ERROR, "WINDOW_UPDATE": PROTOCOL_ERROR,
    },
    "OPEN": {
        "DATA": HEARD, "HEADERS": WRONG, "TRAILERS": WRONG, "PRIORITY": [], "RST_STREAM": RESET, "WINDOW_UPDATE": [],
    },
    "REMOTE": {
        "DATA": CLOSED, "HEADERS": CLOSED, "TRAILERS": CLOSED, "PRIORITY": [], "RST_STREAM": RESET, "WINDOW_UPDATE": [],
    },
    "LOCAL": {
        "DATA": [], "HEADERS": WRONG, "TRAILERS": WRONG, "PRIORITY": [], "RST_STREAM": RESET, "WINDOW_UPDATE": [],
    },
    "ENDED": {
        "DATA": STREAM_CLOSED, "HEADERS": STREAM_CLOSED, "TRAILERS": STREAM_CLOSED, "PRIORITY": [],
        "RST_STREAM": [], "WINDOW_UPDATE": [],
    },
    "LEFT": {
        "DATA": CLOSED, "HEADERS": CLOSED, "TRAILERS": CLOSED, "PRIORITY": [], "RST_STREAM": [], "WINDOW_UPDATE": [],
    },
    "DROPPED": {
        "DATA": [], "HEADERS": [], "TRAILERS": [], "PRIORITY": [], "RST_STREAM": [], "WINDOW_UPDATE": [],
    },
    "SKIPPED": {
        "DATA": STREAM_CLOSED, "HEADERS": PROTOCOL_ERROR, "TRAILERS": PROTOCOL_ERROR, "PRIORITY": [],
        "RST_STREAM": [], "WINDOW_UPDATE": [],
    },
    "OLD": {
        "DATA": [], "HEADERS": [], "TRAILERS": [], "PRIORITY": [], "RST_STREAM": [], "WINDOW_UPDATE": [],
    },
}  # fmt: skip
CELLS = [(state, kind, TABLE[state][kind]) for state in STATES for kind in FRAMES]


@pytest.mark.parametrize(("state", "kind", "expected"), CELLS)
def test_a_frame_means_in_each_state_what_the_table_says(start: Start, state: str, kind: str, expected: Any) -> None:
    peer = start()
    STATES[state](peer)
    peer.taken()
    frame = FRAMES[kind](peer, NUMBER)
    if isinstance(expected, int):
        assert peer.fault(frame) == expected
        return
    found = peer.send(frame)
    if isinstance(expected, tuple):
        assert found == [("Refusal", NUMBER, expected[1], False)]
        assert peer.taken() == [("RstStream", NUMBER, expected[1])]
        assert NUMBER not in peer.codec.streams
    else:
        assert found == expected
        assert peer.taken() == []
    # Whatever it was, the connection lives on, and its tables of headers agree.
    assert peer.send(peer.get(NUMBER + 1000, (b"x-a", b"b"))) == [("Head", NUMBER + 1000, "GET", b"/", True)]
    assert peer.respond(NUMBER + 1000)


def test_the_table_of_the_test_has_all_states() -> None:
    assert list(STATES) == list(TABLE) == list(states.NAMES)


WHERE_NUMBER_IS_NOW = [
    ("IDLE", "HEADERS", "REMOTE"), ("OPEN", "DATA", "REMOTE"), ("LOCAL", "DATA", None), ("OPEN", "RST_STREAM", None),
    ("OPEN", "WINDOW_UPDATE", "OPEN"), ("REMOTE", "WINDOW_UPDATE", "REMOTE"), ("LOCAL", "WINDOW_UPDATE", "LOCAL"),
    ("LOCAL", "RST_STREAM", None), ("REMOTE", "RST_STREAM", None),
]  # fmt: skip


@pytest.mark.parametrize(("state", "kind", "then"), WHERE_NUMBER_IS_NOW)
def test_a_frame_moves_a_stream_to_its_next_state(start: Start, state: str, kind: str, then: str | None) -> None:
    peer = start()
    STATES[state](peer)
    peer.send(FRAMES[kind](peer, NUMBER))
    stream = peer.codec.streams.get(NUMBER)
    assert (states.NAMES[stream.state] if stream is not None else None) == then


def test_trailers_end_a_stream_of_unknown_length(peer: Any) -> None:
    peer.send(peer.post(1), peer.data(1, b"a"))
    assert peer.send(peer.head(1, [(b"x-a", b"b")])) == [("Body", 1, b"", True)]
    assert "REMOTE" in repr(peer.codec.streams[1])
    peer.respond(1)
    assert peer.codec.streams == {}


def test_trailers_after_a_complete_response_end_the_stream_without_an_event(peer: Any) -> None:
    peer.send(peer.post(1, (b"content-length", b"1")))
    peer.respond(1)
    assert peer.send(peer.data(1, b"a"), peer.head(1, [(b"x-a", b"b")])) == []
    assert peer.codec.streams == {}
    assert peer.fault(peer.data(1)) == STREAM_CLOSED


# --- numbers ---


@pytest.mark.parametrize("number", [0, 2, 1000, 2**31 - 2])
def test_heads_on_even_numbers_end_the_connection(peer: Any, number: int) -> None:
    frame = peer.head(1).serialize()
    assert peer.fault(frame[:5] + number.to_bytes(4, "big") + frame[9:]) == PROTOCOL_ERROR


@pytest.mark.parametrize("after", [idle, ended, left, dropped, skipped, old])
@pytest.mark.parametrize("number", [NUMBER - 1, NUMBER + 1, NUMBER + 3])
@pytest.mark.parametrize("kind", ["DATA", "RST_STREAM", "WINDOW_UPDATE"])
def test_even_numbers_are_idle_for_ever(start: Start, after: Any, number: int, kind: str) -> None:
    peer = start()
    after(peer)
    assert peer.fault(FRAMES[kind](peer, number)) == PROTOCOL_ERROR


def test_a_priority_for_an_even_number_is_passed_over(peer: Any) -> None:
    ended(peer)
    peer.taken()
    assert peer.send(peer.raw(0x2, 0, NUMBER - 1, bytes(5))) == []
    assert peer.taken() == []


def test_the_reserved_bit_of_a_number_is_ignored(peer: Any) -> None:
    frame = peer.get(1).serialize()
    assert peer.send(frame[:5] + b"\x80" + frame[6:]) == [("Head", 1, "GET", b"/", True)]


def test_the_largest_number_has_its_reserved_bit_ignored(peer: Any) -> None:
    frame = peer.get(1).serialize()
    assert peer.send(frame[:5] + b"\xff\xff\xff\xff" + frame[9:]) == [("Head", 2**31 - 1, "GET", b"/", True)]
    peer.respond(2**31 - 1)
    assert peer.taken()[-1] == ("Data", 2**31 - 1, b"ok", True)


@pytest.mark.parametrize("number", [493, 777, 1001])
def test_all_numbers_below_one_that_was_opened_are_skipped(peer: Any, number: int) -> None:
    skipped(peer)
    assert peer.fault(peer.head(number)) == PROTOCOL_ERROR


@pytest.mark.parametrize("number", [1, 3, 491])
def test_numbers_far_below_are_too_old_to_be_judged(peer: Any, number: int) -> None:
    skipped(peer)
    assert peer.send(peer.data(number), peer.reset(number), peer.window(number, 1)) == []
    assert peer.taken() == []


# --- memory ---


def test_what_became_of_the_last_256_streams_is_remembered() -> None:
    fates = Fates()
    fate = {}
    for place, number in enumerate(range(1, 2001, 2)):
        fates.opened(number)
        fate[number] = 4 + place % 3
        fates.closed(number, fate[number])
    assert [fates.of(number) for number in range(1999 - 510, 2001, 2)] == list(fate.values())[-256:]
    assert {fates.of(number) for number in range(1, 1999 - 510, 2)} == {8}
    assert {fates.of(number) for number in range(2001, 4001, 2)} == {0}
    assert {fates.of(number) for number in range(0, 4000, 2)} == {0}


def test_skipped_numbers_do_not_take_what_others_were() -> None:
    fates = Fates()
    fates.opened(1)
    fates.closed(1, 4)
    fates.opened(9)
    fates.closed(9, 6)
    assert [fates.of(number) for number in (1, 3, 5, 7, 9, 11)] == [4, 7, 7, 7, 6, 0]


@pytest.mark.parametrize("step", [2, 4, 510, 512, 514, 1024, 2**31 - 4])
def test_a_leap_of_any_size_costs_no_more_than_the_memory(step: int) -> None:
    fates = Fates()
    fates.opened(1)
    fates.closed(1, 4)
    fates.opened(1 + step)
    fates.closed(1 + step, 5)
    assert fates.last == 1 + step
    assert fates.of(1) == (4 if step < 512 else 8)
    assert fates.of(1 + step) == 5
    for number in range(max(3, step - 509), 1 + step, 2):
        assert fates.of(number) == 7, number
    if step > 600:
        assert fates.of(step - 511) == 8


def test_a_stream_that_ends_long_after_the_others_is_old() -> None:
    fates = Fates()
    fates.opened(1)
    for number in range(3, 2003, 2):
        fates.opened(number)
        fates.closed(number, 6)
    fates.closed(1, 4)
    assert fates.of(1) == 8
    assert {fates.of(number) for number in range(2001 - 510, 2003, 2)} == {6}


def test_an_old_stream_does_not_take_the_place_of_the_last() -> None:
    fates = Fates()
    fates.opened(1)
    fates.opened(513)
    fates.closed(513, 5)
    fates.closed(1, 4)
    assert (fates.of(1), fates.of(513)) == (8, 5)


def test_a_stream_that_is_open_for_long_is_heard(peer: Any) -> None:
    peer.send(peer.post(1))
    for number in range(3, 1203, 2):
        peer.send(peer.get(number))
        peer.respond(number)
    assert peer.send(peer.data(1, b"late", end=True)) == [("Body", 1, b"late", True)]
    peer.respond(1)
    assert peer.send(peer.data(1)) == []  # too old to know


def test_states_show() -> None:
    fates = Fates()
    fates.opened(7)
    assert repr(fates) == "<Fates last=7>"
