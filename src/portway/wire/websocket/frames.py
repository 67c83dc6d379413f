"""The frames of RFC 6455 §5.2: opcodes, and the heads that a server writes (it never masks)."""

from __future__ import annotations

CONTINUATION = 0x0
TEXT = 0x1
BINARY = 0x2
CLOSE = 0x8
PING = 0x9
PONG = 0xA

FIN = 0x80
RSV1 = 0x40  # RFC 7692 §6: this message is compressed
RSV2_AND_3 = 0x30
MASKED = 0x80

# RFC 6455 §5.5: the payload of a control frame.
CONTROL_MOST = 125

# The size itself, up to here; else 126 and two bytes, or 127 and eight.
SIZE_7 = 125
SIZE_16 = 0xFFFF

# Heads of small frames, by their first byte and their size.
SHORT = {first: tuple(bytes((first, size)) for size in range(126)) for first in (FIN | TEXT, FIN | BINARY)}
SHORT_TEXT = SHORT[FIN | TEXT]
SHORT_BINARY = SHORT[FIN | BINARY]

COMPILED = not __file__.endswith(".py")


def head(first: int, size: int) -> bytes:
    """The head of a frame that begins with the byte `first` and has so many bytes of payload."""
    if size <= SIZE_7:
        if first == FIN | TEXT:
            return SHORT_TEXT[size]
        if first == FIN | BINARY:
            return SHORT_BINARY[size]
        return bytes((first, size))
    if size <= SIZE_16:
        return bytes((first, 126, size >> 8, size & 0xFF))
    return bytes((first, 127)) + size.to_bytes(8, "big")


def frame(first: int, payload: bytes) -> bytes:
    """The whole of a frame that is not large."""
    before = head(first, len(payload))
    if COMPILED:
        return joined(before, payload)  # type: ignore[name-defined, no-any-return]  # noqa: F821  # see the .pxd
    return before + payload
