"""The frames that are written, byte for byte, and what any frame's head may be."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from portway.wire.http2 import frames

Start = Callable[..., Any]

PROTOCOL_ERROR = 0x1
FLOW_CONTROL_ERROR = 0x3
FRAME_SIZE_ERROR = 0x6

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"

NUMBERS = [0, 1, 0x7F, 0x80, 0xFF, 0x100, 0x7FFF, 0x8000, 0xFFFF, 0x10000, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF]


@pytest.mark.parametrize("value", NUMBERS)
def test_numbers_of_four_bytes_are_never_negative(value: int) -> None:
    assert frames.number(b"\xff" + value.to_bytes(4, "big") + b"\xff", 1) == value


@pytest.mark.parametrize("value", NUMBERS)
def test_numbers_are_written(value: int) -> None:
    out = bytearray(b"before")
    frames.write_number(out, value)
    assert out == b"before" + value.to_bytes(4, "big")


def written(write: Callable[..., None], *args: Any) -> bytes:
    out = bytearray(b"x")
    write(out, *args)
    return bytes(out[1:])


def test_frames_are_written() -> None:
    assert written(frames.write_head, 0x123456, 0x9, 0x24, 0x7FFFFFFF) == bytes.fromhex("123456 09 24 7fffffff")
    assert written(frames.write_reset, 3, 0xB) == bytes.fromhex("000004 03 00 00000003 0000000b")
    assert written(frames.write_window, 0, 2**31 - 1) == bytes.fromhex("000004 08 00 00000000 7fffffff")
    assert written(frames.write_ping, 1, b"12345678") == bytes.fromhex("000008 06 01 00000000") + b"12345678"
    assert (
        written(frames.write_goaway, 5, 2, b"why") == bytes.fromhex("00000b 07 00 00000000 00000005 00000002") + b"why"
    )
    assert written(frames.write_settings, []) == bytes.fromhex("000000 04 00 00000000")
    assert written(frames.write_settings, [(3, 100), (0x1234, 2**32 - 1)]) == bytes.fromhex(
        "00000c 04 00 00000000 0003 00000064 1234 ffffffff"
    )
    assert written(frames.write_ack) == bytes.fromhex("000000 04 01 00000000")


@pytest.mark.parametrize("size", [0, 1, 255, 256, 65535, 65536, 2**24 - 1])
def test_a_size_is_mended(size: int) -> None:
    out = bytearray(b"before" + bytes(9))
    frames.write_size(out, 6, size)
    assert out == b"before" + size.to_bytes(3, "big") + bytes(6)


# --- what comes ---


def test_a_frame_may_be_as_large_as_was_said(start: Start) -> None:
    peer = start(frame=20000)
    assert peer.send(peer.post(1), peer.data(1, b"a" * 20000)) == [
        ("Head", 1, "POST", b"/", False),
        ("Body", 1, b"a" * 20000, False),
    ]
    assert peer.fault(peer.raw(0x0, 0, 1, b"", size=20001)) == FRAME_SIZE_ERROR


@pytest.mark.parametrize("kind", [*range(11), 0x10, 0xFF])
def test_a_frame_that_is_too_large_is_known_by_its_head(peer: Any, kind: int) -> None:
    peer.send(peer.post(1))
    assert peer.fault(peer.raw(kind, 0, 1, b"", size=16385)) == FRAME_SIZE_ERROR


SIZES: dict[str, tuple[int, int, list[int]]] = {
    "PRIORITY": (0x2, 1, [0, 4, 6, 16384]),
    "RST_STREAM": (0x3, 1, [0, 3, 5, 16384]),
    "SETTINGS": (0x4, 0, [1, 5, 7, 16384]),
    "PING": (0x6, 0, [0, 7, 9, 16384]),
    "GOAWAY": (0x7, 0, [0, 7]),
    "WINDOW_UPDATE": (0x8, 1, [0, 3, 5, 16384]),
    "WINDOW_UPDATE of all": (0x8, 0, [0, 3, 5, 16384]),
    "PRIORITY_UPDATE": (0x10, 0, [0, 3]),
}


@pytest.mark.parametrize(
    ("kind", "stream", "size"), [(kind, stream, size) for kind, stream, sizes in SIZES.values() for size in sizes]
)
def test_frames_have_the_sizes_that_they_must(start: Start, kind: int, stream: int, size: int) -> None:
    peer = start()
    peer.send(peer.post(1))
    peer.taken()
    frame = peer.raw(kind, 0, stream, bytes(size))
    if kind == 0x2:  # §6.3: this one is the stream's alone
        assert peer.send(frame) == [("Refusal", 1, FRAME_SIZE_ERROR, False)]
        assert peer.taken() == [("RstStream", 1, FRAME_SIZE_ERROR)]
    else:
        assert peer.fault(frame) == FRAME_SIZE_ERROR


def test_an_ack_has_no_settings(peer: Any) -> None:
    assert peer.fault(peer.raw(0x4, 0x1, 0, bytes(6))) == FRAME_SIZE_ERROR


@pytest.mark.parametrize("kind", [0x4, 0x6, 0x7, 0x10])
def test_frames_of_the_connection_are_on_no_stream(peer: Any, kind: int) -> None:
    peer.send(peer.post(1))
    size = {0x4: 6, 0x6: 8, 0x7: 8, 0x10: 5}[kind]
    assert peer.fault(peer.raw(kind, 0, 1, bytes(size))) == PROTOCOL_ERROR


@pytest.mark.parametrize(("kind", "size"), [(0x0, 5), (0x1, 5), (0x2, 5), (0x3, 4), (0x9, 5)])
def test_frames_of_a_stream_are_on_one(peer: Any, kind: int, size: int) -> None:
    assert peer.fault(peer.raw(kind, 0x4, 0, bytes(size))) == PROTOCOL_ERROR


def test_a_client_pushes_nothing(peer: Any) -> None:
    peer.send(peer.post(1))
    assert peer.fault(peer.raw(0x5, 0x4, 1, bytes(4))) == PROTOCOL_ERROR


@pytest.mark.parametrize("kind", [0xA, 0xB, 0xC, 0x11, 0x21, 0xFF])
@pytest.mark.parametrize("stream", [0, 1, 2, 77])
def test_unknown_frames_are_passed_over(peer: Any, kind: int, stream: int) -> None:
    assert peer.send(peer.raw(kind, 0xFF, stream, b"whatever"), peer.get(1)) == [("Head", 1, "GET", b"/", True)]
    assert peer.taken() == []


@pytest.mark.parametrize("kind", ["DATA", "HEADERS", "PRIORITY", "RST_STREAM", "PING", "WINDOW_UPDATE", "CONTINUATION"])
def test_flags_that_mean_nothing_are_passed_over(peer: Any, kind: str) -> None:
    """§4.1"""
    peer.send(peer.post(1))
    peer.taken()
    if kind == "HEADERS":
        frame = peer.get(3).serialize()
        assert peer.send(frame[:4] + bytes([frame[4] | 0xD2]) + frame[5:]) == [("Head", 3, "GET", b"/", True)]
    elif kind == "CONTINUATION":
        frame = peer.get(3).serialize()
        begun = peer.raw(0x1, 0x1, 3, frame[9:11])
        assert peer.send(begun, peer.raw(0x9, 0xFF, 3, frame[11:])) == [("Head", 3, "GET", b"/", True)]
    elif kind == "DATA":
        assert peer.send(peer.raw(0x0, 0xF6, 1, b"a")) == [("Body", 1, b"a", False)]
    elif kind == "PING":
        assert peer.send(peer.raw(0x6, 0xFE, 0, b"12345678")) == []
        assert peer.taken() == [("Ping", b"12345678", True)]
    else:
        code = {"PRIORITY": (0x2, bytes(5)), "RST_STREAM": (0x3, bytes(4)), "WINDOW_UPDATE": (0x8, b"\0\0\0\1")}[kind]
        assert peer.send(peer.raw(code[0], 0xFF, 1, code[1])) == ([("Reset", 1)] if kind == "RST_STREAM" else [])


# --- padding ---


@pytest.mark.parametrize("pad", [0, 1, 100, 255])
def test_padding_is_no_content(peer: Any, pad: int) -> None:
    peer.send(peer.post(1))
    assert peer.send(peer.data(1, b"hello", pad=pad, end=True)) == [("Body", 1, b"hello", True)]
    frame = peer.head(3, flags=["PADDED", "PRIORITY"], pad_length=pad, stream_weight=5)
    assert peer.send(frame) == [("Head", 3, "GET", b"/", True)]


def test_padding_may_be_all_there_is(peer: Any) -> None:
    peer.send(peer.post(1))
    assert peer.send(peer.raw(0x0, 0x8, 1, b"\x03\0\0\0")) == []
    assert peer.send(peer.raw(0x0, 0x9, 1, b"\x00")) == [("Body", 1, b"", True)]


WRONG_PADDING = [
    (0x0, 0x8, b"\x01", PROTOCOL_ERROR),
    (0x0, 0x8, b"\x05abcd", PROTOCOL_ERROR),
    (0x0, 0x9, b"\xffabcd", PROTOCOL_ERROR),
    (0x0, 0x8, b"", FRAME_SIZE_ERROR),
    (0x1, 0xC, b"\x05abcd", PROTOCOL_ERROR),
    (0x1, 0xC, b"", FRAME_SIZE_ERROR),
    # RFC 9113 §6.2: more than is left for the block, though not more than the frame
    (0x1, 0x2C, b"\x04\0\0\0\0\x10abc", PROTOCOL_ERROR),
    (0x1, 0x2C, b"\x01\0\0\0\0\x10", PROTOCOL_ERROR),
    (0x1, 0x24, b"\0\0\0\0", FRAME_SIZE_ERROR),
]


@pytest.mark.parametrize(("kind", "flags", "payload", "code"), WRONG_PADDING)
def test_padding_is_within_its_frame(peer: Any, kind: int, flags: int, payload: bytes, code: int) -> None:
    peer.send(peer.post(1))
    assert peer.fault(peer.raw(kind, flags, 3 if kind else 1, payload)) == code


# --- the beginning ---


def test_ours_begins_with_settings_and_a_window(start: Start) -> None:
    peer = start(greet=False, streams=7, stream_window=70_000, connection_window=100_000, frame=20_000, connects=True)
    settings = {3: 7, 4: 70_000, 5: 20_000, 6: 65536 + 3200, 8: 1, 9: 1}
    assert peer.taken() == [("Settings", settings, False), ("WindowUpdate", 0, 100_000 - 65535)]
    assert peer.taken() == []


def test_a_connection_window_that_is_no_wider_is_not_announced(start: Start) -> None:
    assert start(greet=False, connection_window=65535).taken() == [
        ("Settings", {3: 100, 4: 256 * 1024, 5: 16384, 6: 65536 + 3200, 9: 1}, False)
    ]


@pytest.mark.parametrize("size", range(1, len(PREFACE)))
def test_the_preface_may_come_in_pieces(start: Start, size: int) -> None:
    peer = start(greet=False)
    assert peer.send(PREFACE[:size]) == []
    assert peer.send(PREFACE[size:], peer.settings(), peer.get(1)) == [("Head", 1, "GET", b"/", True)]


@pytest.mark.parametrize("at", range(len(PREFACE)))
def test_a_preface_that_differs_ends_the_connection(start: Start, at: int) -> None:
    peer = start(greet=False)
    wrong = PREFACE[:at] + b"x" + PREFACE[at + 1 :]
    assert peer.fault(wrong) == PROTOCOL_ERROR
    again = start(greet=False)
    assert again.fault(wrong[: at + 1]) == PROTOCOL_ERROR


@pytest.mark.parametrize("first", [
    bytes.fromhex("000008 06 00 00000000") + bytes(8),
    bytes.fromhex("000000 00 00 00000001"),
    bytes.fromhex("000001 ff 00 00000000 00"),
    bytes.fromhex("000000 04 01 00000000"),
    bytes.fromhex("000000 04 00 00000001"),
])  # fmt: skip
def test_the_first_frame_is_settings(start: Start, first: bytes) -> None:
    assert start(greet=False).fault(PREFACE, first) == PROTOCOL_ERROR


def test_first_settings_are_acknowledged_and_may_be_empty(start: Start) -> None:
    peer = start(greet=False)
    peer.taken()
    assert peer.send(PREFACE, peer.settings()) == []
    assert peer.taken() == [("Settings", {}, True)]
