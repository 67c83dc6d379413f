"""Content goes out as the peer's windows let it, and in the order of its urgency."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

Start = Callable[..., Any]

CANCEL = 0x8
WINDOW = 65535
FRAME = 16384
QUEUED_FEW = 16 * 1024
TAKEN_MOST = 256 * 1024


def asked(peer: Any, *numbers: int) -> Any:
    for number in numbers:
        peer.send(peer.get(number))
    return peer


def sizes(told: list[Any], number: int | None = None) -> list[int]:
    return [len(one[2]) for one in told if one[0] == "Data" and number in (None, one[1])]


# --- content and windows ---


@pytest.mark.parametrize("size", [1, 4095, 4096, 4097, 16383, 16384, 16385, 65534, 65535])
@pytest.mark.parametrize("end", [True, False])
def test_content_of_any_size_within_the_window(peer: Any, size: int, end: bool) -> None:
    asked(peer, 1)
    body = bytes(range(256)) * 256
    peer.respond(1, body[:size], end=end)
    told = peer.taken()
    assert b"".join(one[2] for one in told[1:]) == body[:size]
    assert [one[3] for one in told[1:]] == [False] * (len(told) - 2) + [end]
    assert len(told) == 1 + -(-size // FRAME)
    assert (1 in peer.codec.streams) is not end
    if not end:
        assert peer.codec.streams[1].window == WINDOW - size


def test_a_large_piece_is_not_copied(peer: Any) -> None:
    asked(peer, 1)
    peer.codec.take()
    body = b"a" * 4097
    peer.respond(1, body)
    assert [part for part in peer.codec.take() if part is body] == [body]


def test_small_pieces_are_joined_to_one(peer: Any) -> None:
    asked(peer, 1)
    peer.codec.take()
    peer.respond(1, b"a" * 4096)
    assert len(peer.codec.take()) == 1


def test_content_waits_for_the_streams_window(peer: Any) -> None:
    peer.send(peer.settings(INITIAL_WINDOW_SIZE=5))
    asked(peer, 1)
    assert peer.respond(1, b"hello world")
    assert sizes(peer.taken()) == [5]
    assert not peer.codec.ready()
    peer.send(peer.window(1, 3))
    assert peer.codec.ready()
    assert peer.taken() == [("Data", 1, b" wo", False)]
    peer.send(peer.window(1, 3))
    assert peer.taken() == [("Data", 1, b"rld", True)]


def test_content_waits_for_the_connections_window(peer: Any) -> None:
    asked(peer, 1, 3)
    peer.respond(1, b"a" * WINDOW)
    peer.respond(3, b"hello")
    assert sum(sizes(peer.taken())) == WINDOW
    assert not peer.codec.ready()
    peer.send(peer.window(3, 100))
    assert peer.taken() == []
    peer.send(peer.window(0, 4))
    assert peer.taken() == [("Data", 3, b"hell", False)]
    peer.send(peer.window(0, 1))
    assert peer.taken() == [("Data", 3, b"o", True)]


def test_content_waits_for_a_connections_window_that_is_too_narrow(peer: Any) -> None:
    asked(peer, 1, 3, 5)
    peer.respond(1, b"a" * (WINDOW - 4))
    peer.taken()
    peer.respond(3, b"hello")
    assert peer.taken()[1:] == [("Data", 3, b"hell", False)]
    peer.respond(5, b"x")
    assert len(peer.taken()) == 1
    peer.send(peer.window(0, 2))
    assert peer.taken() == [("Data", 3, b"o", True), ("Data", 5, b"x", True)]


@pytest.mark.parametrize("size", [0, 1])
def test_windows_of_nearly_nothing(peer: Any, size: int) -> None:
    peer.send(peer.settings(INITIAL_WINDOW_SIZE=size))
    asked(peer, 1, 3)
    peer.respond(1, b"abc")
    peer.respond(3, b"")  # needs no window
    assert sizes(peer.taken(), 1) == [1] * size
    assert 3 not in peer.codec.streams
    for _ in range(3 - size):
        peer.send(peer.window(1, 1))
        assert sizes(peer.taken()) == [1]
    assert peer.codec.streams == {}


def test_settings_widen_the_windows_of_streams_that_wait(peer: Any) -> None:
    peer.send(peer.settings(INITIAL_WINDOW_SIZE=0))
    asked(peer, 1)
    peer.respond(1, b"abc")
    peer.taken()
    for size in (1, 2, 3):
        peer.send(peer.settings(INITIAL_WINDOW_SIZE=size))
        assert sizes(peer.taken()) == [1]


def test_an_end_needs_no_window(peer: Any) -> None:
    asked(peer, 1, 3)
    peer.respond(1, b"a" * WINDOW, end=False)
    peer.respond(3, b"", end=False)
    peer.taken()
    peer.send(peer.settings(INITIAL_WINDOW_SIZE=0))
    assert peer.codec.streams[1].window == -WINDOW
    peer.codec.body(1, b"", True)
    peer.codec.body(3, b"", True)
    assert peer.taken() == [("Settings", {}, True), ("Data", 1, b"", True), ("Data", 3, b"", True)]


def test_a_window_may_become_negative(peer: Any) -> None:
    asked(peer, 1)
    peer.respond(1, b"a" * 1000, end=False)
    peer.send(peer.settings(INITIAL_WINDOW_SIZE=10))
    assert peer.codec.streams[1].window == 10 - 1000
    peer.taken()
    assert peer.codec.body(1, b"more", True)
    peer.send(peer.window(1, 990))
    assert peer.taken() == []
    peer.send(peer.window(1, 1))
    assert peer.taken() == [("Data", 1, b"m", False)]
    peer.send(peer.settings(INITIAL_WINDOW_SIZE=12))
    assert peer.taken() == [("Settings", {}, True), ("Data", 1, b"or", False)]
    peer.send(peer.settings(INITIAL_WINDOW_SIZE=WINDOW))
    assert peer.taken() == [("Settings", {}, True), ("Data", 1, b"e", True)]


def test_room_is_told_and_told_again(peer: Any) -> None:
    peer.send(peer.settings(INITIAL_WINDOW_SIZE=0))
    asked(peer, 1)
    assert peer.respond(1, b"a" * QUEUED_FEW, end=False)
    assert not peer.codec.body(1, b"a", False)
    assert peer.taken() != []
    assert peer.codec.opened() == []
    peer.send(peer.window(1, 1))
    peer.taken()
    assert peer.codec.opened() == [1]
    assert peer.codec.opened() == []
    peer.send(peer.window(1, 10))
    peer.taken()
    assert peer.codec.opened() == []


def test_a_blocked_link_takes_heads_and_no_content(peer: Any) -> None:
    asked(peer, 1, 3)
    peer.codec.blocked = True
    assert peer.respond(1, b"hello")
    assert peer.respond(3, b"", end=False)
    peer.codec.body(3, b"", True)
    peer.send(peer.ping())
    assert [told[0] for told in peer.taken()] == ["Headers", "Headers", "Ping"]
    assert not peer.codec.ready()
    peer.codec.blocked = False
    assert peer.codec.ready()
    assert peer.taken() == [("Data", 1, b"hello", True), ("Data", 3, b"", True)]


def test_a_blocked_links_empty_end_follows_what_is_queued(peer: Any) -> None:
    asked(peer, 1)
    peer.codec.blocked = True
    peer.respond(1, b"hello", end=False)
    peer.codec.body(1, b"", True)
    peer.codec.blocked = False
    assert peer.taken()[1:] == [("Data", 1, b"hello", True)]


def test_not_all_is_taken_at_once(peer: Any) -> None:
    peer.send(peer.settings(INITIAL_WINDOW_SIZE=2**31 - 1), peer.window(0, 1 << 30))
    asked(peer, 1)
    peer.respond(1, b"a" * (3 * TAKEN_MOST))
    first = peer.reader.read(b"".join(peer.codec.take()))
    assert sum(sizes(first)) == TAKEN_MOST
    assert peer.codec.ready()
    assert sum(sizes(peer.taken())) == 2 * TAKEN_MOST


def test_what_waits_and_is_no_content_is_counted(peer: Any) -> None:
    assert peer.codec.backlog() == 0
    peer.send(peer.ping())
    assert peer.codec.backlog() == 17
    assert peer.codec.ready()
    peer.taken()
    assert peer.codec.backlog() == 0
    assert not peer.codec.ready()
    assert peer.codec.take() == []


def test_a_queue_is_dropped_with_its_stream(peer: Any) -> None:
    peer.send(peer.settings(INITIAL_WINDOW_SIZE=1))
    asked(peer, 1, 3)
    peer.respond(1, b"a" * 100_000)
    peer.respond(3, b"ab")
    peer.taken()
    peer.codec.reset(1, CANCEL)
    assert peer.taken() == [("RstStream", 1, CANCEL)]
    peer.send(peer.window(1, 100), peer.window(3, 100))
    assert peer.taken() == [("Data", 3, b"b", True)]


# --- order ---


def queued(peer: Any, **priorities: bytes) -> Any:
    """Requests s1, s3, … whose responses all wait for the connection's window."""
    peer.send(peer.settings(INITIAL_WINDOW_SIZE=1 << 20), peer.get(999))
    peer.respond(999, b"a" * WINDOW)
    peer.taken()
    for name, field in priorities.items():
        number = 1000 + int(name[1:])
        peer.send(peer.get(number, *([(b"priority", field)] if field else [])))
        peer.respond(number, b"x" * (2 * FRAME))
    peer.taken()
    return peer


def order(peer: Any) -> list[int]:
    peer.send(peer.window(0, 1 << 20))
    return [told[1] - 1000 for told in peer.taken() if told[0] == "Data"]


def test_urgent_content_comes_first(peer: Any) -> None:
    assert order(queued(peer, s1=b"u=7", s3=b"", s5=b"u=0", s7=b"u=4")) == [5, 5, 3, 3, 7, 7, 1, 1]


def test_of_the_same_urgency_one_comes_after_the_other(peer: Any) -> None:
    assert order(queued(peer, s1=b"", s3=b"", s5=b"")) == [1, 1, 3, 3, 5, 5]


def test_content_of_use_in_parts_is_mixed(peer: Any) -> None:
    assert order(queued(peer, s1=b"i", s3=b"i", s5=b"i")) == [1, 3, 5, 1, 3, 5]
    other = type(peer)()
    assert order(queued(other, s1=b"i", s3=b"u=2, i", s5=b"u=2, i")) == [3, 5, 3, 5, 1, 1]


def test_a_new_priority_orders_what_is_queued(peer: Any) -> None:
    queued(peer, s1=b"", s3=b"", s5=b"")
    peer.send(peer.update(1005, b"u=1"), peer.update(1001, b"u=5"))
    assert order(peer) == [5, 5, 3, 3, 1, 1]


def test_new_content_does_not_overtake_what_is_queued(peer: Any) -> None:
    queued(peer, s1=b"u=1")
    peer.send(peer.get(1003))
    peer.respond(1003, b"y")
    peer.send(peer.window(0, 10))
    assert {told[1] for told in peer.taken() if told[0] == "Data"} == {1001}
    assert order(peer) == [1, 1, 3]


def test_a_stream_without_a_window_lets_others_pass(peer: Any) -> None:
    asked(peer, 1, 3)
    peer.respond(1, b"a" * WINDOW, end=False)
    peer.taken()
    peer.send(peer.window(0, WINDOW))
    peer.codec.body(1, b"more", True)
    peer.respond(3, b"b" * 30_000)
    assert sizes(peer.taken(), 3) == [FRAME, 30_000 - FRAME]
    peer.send(peer.window(1, 100))
    assert peer.taken() == [("Data", 1, b"more", True)]


def test_many_streams_at_once(start: Start) -> None:
    peer = start(streams=1000)
    numbers = range(1, 2001, 2)
    asked(peer, *numbers)
    peer.send(peer.settings(INITIAL_WINDOW_SIZE=300))
    for number in numbers:
        peer.respond(number, b"%d" % number * 100)
    found: dict[int, bytes] = dict.fromkeys(numbers, b"")
    for _ in range(100):
        for told in peer.taken():
            if told[0] == "Data":
                found[told[1]] += told[2]
        open_ones = list(peer.codec.streams)
        if not open_ones:
            break
        peer.send(peer.window(0, 50_000), *(peer.window(number, 100) for number in open_ones))
        peer.codec.refill(20)
    assert found == {number: b"%d" % number * 100 for number in numbers}


@given(
    window=st.integers(0, 40_000), frame=st.integers(16384, 30_000),
    pieces=st.lists(st.integers(0, 50_000), min_size=1, max_size=6), trailers=st.booleans(),
    widths=st.lists(st.integers(1, 60_000), max_size=5), block=st.lists(st.booleans(), min_size=6, max_size=6),
)  # fmt: skip
def test_content_is_whole_however_the_windows_open(
    start: Start, window: int, frame: int, pieces: list[int], trailers: bool, widths: list[int], block: list[bool]
) -> None:
    peer = start()
    peer.send(peer.settings(INITIAL_WINDOW_SIZE=window, MAX_FRAME_SIZE=frame), peer.get(1))
    content = [bytes([65 + place]) * size for place, size in enumerate(pieces)]
    peer.respond(1, content[0], end=False)
    found: list[Any] = []
    room, widths = window, list(widths)
    for piece, blocked in zip(content[1:], block, strict=False):
        peer.codec.blocked = blocked
        peer.codec.body(1, piece, False)
        found += peer.taken()
        if widths:
            width = widths.pop()
            room += width
            peer.send(peer.window(1, width), peer.window(0, width))
    peer.codec.blocked = False
    if trailers:
        peer.trailers(1, (b"x-a", b"b"))
    else:
        peer.codec.body(1, b"", True)
    found += peer.taken()
    assert sum(sizes(found)) <= room
    peer.send(peer.window(1, 1 << 20), peer.window(0, 1 << 20))
    found += peer.taken()
    assert b"".join(told[2] for told in found if told[0] == "Data") == b"".join(content)
    assert max(sizes(found), default=0) <= frame
    assert found[-1] == ("Headers", 1, [(b"x-a", b"b")], True) if trailers else found[-1][3] is True
    assert [told for told in found if told[0] in ("Data", "Headers") and told[3]] == found[-1:]
    assert peer.codec.streams == {}
