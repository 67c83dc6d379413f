"""Frames (RFC 9113 §4, §6): their types and flags, and how those are written that are not of one request."""

from __future__ import annotations

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"  # §3.4

HEAD_SIZE = 9
BLANK = bytes(HEAD_SIZE)
PAYLOAD_LEAST = 16384  # §4.2: what any peer must take
PAYLOAD_MOST = 2**24 - 1
STREAM_MASK = 0x7FFFFFFF
WINDOW_MOST = 2**31 - 1  # §6.9.1
WINDOW_BEFORE = 65535  # §6.9.2: until SETTINGS say otherwise

DATA = 0x0
HEADERS = 0x1
PRIORITY = 0x2
RST_STREAM = 0x3
SETTINGS = 0x4
PUSH_PROMISE = 0x5
PING = 0x6
GOAWAY = 0x7
WINDOW_UPDATE = 0x8
CONTINUATION = 0x9
PRIORITY_UPDATE = 0x10  # RFC 9218 §7.1

ACK = 0x1
END_STREAM = 0x1
END_HEADERS = 0x4
PADDED = 0x8
WITH_PRIORITY = 0x20

# Their sizes, where they have one.
PRIORITY_SIZE = 5
NUMBER_SIZE = 4
PING_SIZE = 8
SETTING_SIZE = 6
GOAWAY_LEAST = 8


def number(view: bytes | bytearray, at: int) -> int:
    """The four bytes that begin at `at`."""
    # In halves: four shifted bytes are more than a C int holds.
    high = view[at] << 8 | view[at + 1]
    return high << 16 | view[at + 2] << 8 | view[at + 3]


def write_head(out: bytearray, size: int, kind: int, flags: int, stream: int) -> None:
    at = len(out)
    out += BLANK  # at once: nine calls of append are 600 instructions more
    write_size(out, at, size)
    out[at + 3] = kind
    out[at + 4] = flags
    out[at + 5] = stream >> 24
    out[at + 6] = stream >> 16 & 0xFF
    out[at + 7] = stream >> 8 & 0xFF
    out[at + 8] = stream & 0xFF


def write_number(out: bytearray, value: int) -> None:
    out.append(value >> 24)
    out.append(value >> 16 & 0xFF)
    out.append(value >> 8 & 0xFF)
    out.append(value & 0xFF)


def write_size(out: bytearray, at: int, size: int) -> None:
    """Mend the size in the frame's head that begins at `at`."""
    out[at] = size >> 16
    out[at + 1] = size >> 8 & 0xFF
    out[at + 2] = size & 0xFF


def write_reset(out: bytearray, stream: int, code: int) -> None:
    write_head(out, NUMBER_SIZE, RST_STREAM, 0, stream)
    write_number(out, code)


def write_window(out: bytearray, stream: int, size: int) -> None:
    write_head(out, NUMBER_SIZE, WINDOW_UPDATE, 0, stream)
    write_number(out, size)


def write_ping(out: bytearray, flags: int, payload: bytes) -> None:
    write_head(out, PING_SIZE, PING, flags, 0)
    out += payload


def write_goaway(out: bytearray, last: int, code: int, text: bytes) -> None:
    write_head(out, GOAWAY_LEAST + len(text), GOAWAY, 0, 0)
    write_number(out, last)
    write_number(out, code)
    out += text


def write_settings(out: bytearray, settings: list[tuple[int, int]]) -> None:
    write_head(out, SETTING_SIZE * len(settings), SETTINGS, 0, 0)
    for key, value in settings:
        out.append(key >> 8)
        out.append(key & 0xFF)
        write_number(out, value)


def write_ack(out: bytearray) -> None:
    write_head(out, 0, SETTINGS, ACK, 0)
