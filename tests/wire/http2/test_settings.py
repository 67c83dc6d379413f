"""What a peer's SETTINGS may say, and what they do."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from portway.wire.http2 import settings
from portway.wire.http2.faults import ConnectionFault
from portway.wire.http2.settings import Terms

Start = Callable[..., Any]

PROTOCOL_ERROR = 0x1
FLOW_CONTROL_ERROR = 0x3
FRAME_SIZE_ERROR = 0x6

RANGES = [
    (0x2, 0, 1, PROTOCOL_ERROR),
    (0x4, 0, 2**31 - 1, FLOW_CONTROL_ERROR),
    (0x5, 16384, 2**24 - 1, PROTOCOL_ERROR),
    (0x8, 0, 1, PROTOCOL_ERROR),
    (0x9, 0, 1, PROTOCOL_ERROR),
]
OPEN = [0x0, 0x1, 0x3, 0x6, 0x7, 0xA, 0x1A1A, 0xFFFF]


def payload(*pairs: tuple[int, int]) -> bytes:
    return b"".join(key.to_bytes(2, "big") + value.to_bytes(4, "big") for key, value in pairs)


@pytest.mark.parametrize(("key", "least", "most", "code"), RANGES)
def test_settings_are_within_their_range(key: int, least: int, most: int, code: int) -> None:
    for value in (least, most):
        assert settings.read(payload((key, value))) == [(key, value)]
    for value in {max(0, least - 1), most + 1, 2**31, 2**32 - 1} - {least}:
        with pytest.raises(ConnectionFault) as caught:
            settings.read(payload((3, 1), (key, value), (3, 2)))
        assert caught.value.code == code


@pytest.mark.parametrize("key", OPEN)
@pytest.mark.parametrize("value", [0, 1, 2**31, 2**32 - 1])
def test_others_may_be_anything(peer: Any, key: int, value: int) -> None:
    assert settings.read(payload((key, value))) == [(key, value)]
    assert peer.send(peer.raw(0x4, 0, 0, payload((key, value))), peer.get(1))
    peer.respond(1)
    assert peer.taken()[0] == ("Settings", {}, True)


@pytest.mark.parametrize("size", [1, 5, 7, 11, 13])
def test_settings_have_six_bytes_each(size: int) -> None:
    with pytest.raises(ConnectionFault) as caught:
        settings.read(bytes(size))
    assert caught.value.code == FRAME_SIZE_ERROR


def test_settings_keep_their_order() -> None:
    pairs = [(4, 1), (1, 2), (4, 3), (99, 4), (1, 5)]
    assert settings.read(payload(*pairs)) == pairs
    assert settings.read(b"") == []


def test_each_settings_frame_is_acknowledged_in_its_turn(peer: Any) -> None:
    peer.send(peer.settings(), peer.ping(b"between!"), peer.settings(INITIAL_WINDOW_SIZE=1))
    assert peer.taken() == [("Settings", {}, True), ("Ping", b"between!", True), ("Settings", {}, True)]


def test_an_ack_is_not_acknowledged(peer: Any) -> None:
    assert peer.send(peer.settings(ack=True), peer.settings(ack=True)) == []
    assert peer.taken() == []


# --- what they do ---


def test_their_frame_size_cuts_content_and_heads(start: Start) -> None:
    peer = start()
    peer.send(peer.settings(MAX_FRAME_SIZE=20_000, INITIAL_WINDOW_SIZE=1 << 20), peer.window(0, 1 << 20), peer.get(1))
    peer.respond(1, b"a" * 50_000)
    assert [len(told[2]) for told in peer.taken() if told[0] == "Data"] == [20_000, 20_000, 10_000]
    peer.send(peer.settings(MAX_FRAME_SIZE=16384), peer.get(3))
    peer.respond(3, b"a" * 50_000)
    assert [len(told[2]) for told in peer.taken() if told[0] == "Data"] == [16384, 16384, 16384, 848]


def test_the_last_of_one_that_comes_twice_holds(peer: Any) -> None:
    peer.send(peer.raw(0x4, 0, 0, payload((4, 5), (4, 3))), peer.get(1))
    assert peer.codec.streams[1].window == 3


def test_their_table_goes_down_and_up_within_one_frame(peer: Any) -> None:
    """RFC 7541 §4.2: the smallest size in between is to be told, or the tables differ."""
    peer.send(peer.get(1))
    peer.respond(1, b"", (b"server", b"a"))
    peer.taken()
    assert len(peer.reader.decoder.header_table.dynamic_entries) == 1
    peer.send(peer.raw(0x4, 0, 0, payload((1, 0), (1, 4096))), peer.get(3))
    peer.reader.decoder.max_allowed_table_size = 4096
    peer.respond(3, b"", (b"server", b"b"))
    assert ("Headers", 3, [(b":status", b"200"), (b"server", b"b"), (b"content-length", b"0")], True) in peer.taken()
    assert [bytes(value) for _, value in peer.reader.decoder.header_table.dynamic_entries] == [b"b"]


def test_no_table_is_used_that_they_do_not_have(peer: Any) -> None:
    peer.send(peer.settings(HEADER_TABLE_SIZE=0))
    peer.reader.decoder.max_allowed_table_size = 0
    for number in (1, 3, 5):
        peer.send(peer.get(number))
        peer.respond(number, b"", (b"server", b"a"))
        assert peer.taken()[-1][2] == [(b":status", b"200"), (b"server", b"a"), (b"content-length", b"0")]
    assert list(peer.reader.decoder.header_table.dynamic_entries) == []


def test_a_table_of_any_size_is_no_larger_than_ours(peer: Any) -> None:
    peer.send(peer.settings(HEADER_TABLE_SIZE=2**32 - 1), peer.get(1))
    peer.respond(1, b"", (b"server", b"a"))
    assert peer.taken()[1][2] == [(b":status", b"200"), (b"server", b"a"), (b"content-length", b"0")]


def test_window_changes_follow_one_another(peer: Any) -> None:
    peer.send(peer.get(1), peer.settings(INITIAL_WINDOW_SIZE=0), peer.get(3), peer.window(3, 7))
    assert [peer.codec.streams[number].window for number in (1, 3)] == [0, 7]
    peer.send(peer.settings(INITIAL_WINDOW_SIZE=2**31 - 1 - 7), peer.get(5))
    assert [peer.codec.streams[number].window for number in (1, 3, 5)] == [2**31 - 8, 2**31 - 1, 2**31 - 8]


def test_a_change_that_makes_a_window_too_large_ends_the_connection(peer: Any) -> None:
    peer.send(peer.get(1), peer.window(1, 1))
    assert peer.fault(peer.settings(INITIAL_WINDOW_SIZE=2**31 - 1)) == FLOW_CONTROL_ERROR


# --- ours ---


def test_our_terms_are_announced() -> None:
    terms = Terms(streams=5, stream_window=1000, frame=17000)
    assert terms.announced(99) == [(3, 5), (4, 1000), (5, 17000), (6, 99), (9, 1)]
    assert Terms(connects=True).announced(1)[-2:] == [(8, 1), (9, 1)]


def test_until_our_settings_are_acknowledged_their_windows_are_those_of_the_rfc(start: Start) -> None:
    peer = start(greet=False, stream_window=1000)
    peer.send(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", peer.settings(), peer.post(1))
    assert [told[:2] for told in peer.send(*[peer.data(1, b"a" * 5000)] * 13)] == [("Body", 1)] * 13
    assert peer.codec.streams[1].theirs == 65535 - 65000
    assert peer.send(peer.settings(ack=True), peer.post(3)) != []
    assert [peer.codec.streams[number].theirs for number in (1, 3)] == [1000 - 65000, 1000]
    # It goes on when what came was consumed.
    peer.taken()
    peer.codec.credit(1, 65000)
    assert peer.taken() == [("WindowUpdate", 1, 65000)]
    assert peer.codec.streams[1].theirs == 1000
    assert peer.send(peer.data(1, b"a" * 1000)) == [("Body", 1, b"a" * 1000, False)]
    assert peer.send(peer.data(1, b"a")) == [("Refusal", 1, FLOW_CONTROL_ERROR, False)]


def test_a_second_ack_changes_nothing(start: Start) -> None:
    peer = start(stream_window=1000)
    peer.send(peer.post(1), peer.settings(ack=True))
    assert peer.codec.streams[1].theirs == 1000


def test_wider_windows_hold_at_once(start: Start) -> None:
    peer = start(greet=False, stream_window=100_000)
    peer.send(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", peer.settings(), peer.post(1))
    assert peer.codec.streams[1].theirs == 100_000
    peer.send(peer.settings(ack=True))
    assert peer.codec.streams[1].theirs == 100_000
