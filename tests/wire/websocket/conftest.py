"""A peer of the codec: it makes a client's frames, and keeps what became of them."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

import pytest

from portway.wire.websocket.codec import Closed, Codec
from portway.wire.websocket.deflate import Deflate
from portway.wire.websocket.faults import FrameFault

MASK = b"\x12\x34\x56\x78"

# Room and weight that nothing here fills.
ALL = 1 << 40


def masked(payload: bytes, mask: bytes = MASK) -> bytes:
    return bytes(byte ^ mask[at % 4] for at, byte in enumerate(payload))


def frame(first: int, payload: bytes = b"", *, form: int = 0, size: int = -1, mask: bytes = MASK) -> bytes:
    """A client's frame, which may be wrong: `form` is 7, 16 or 64 bits for the size, `size` need not be true."""
    size = len(payload) if size < 0 else size
    form = form or (7 if size < 126 else 16 if size < 1 << 16 else 64)
    if form == 7:
        length = bytes([0x80 | size])
    elif form == 16:
        length = b"\xfe" + size.to_bytes(2, "big")
    else:
        length = b"\xff" + size.to_bytes(8, "big")
    return bytes([first]) + length + mask + masked(payload, mask)


@dataclass
class Told:
    """What became of a conversation: messages and the end, in order, with faults in words; and what was written."""

    events: list[object] = field(default_factory=list)
    written: bytes = b""
    end: str = ""


def in_words(event: object) -> object:
    if isinstance(event, FrameFault):
        return ("fault", event.code, event.text)
    if isinstance(event, Closed):
        return ("closed", event.code, event.reason)
    return event


Frame = Callable[..., bytes]
Hear = Callable[..., list[object]]
Replay = Callable[..., Told]


@pytest.fixture(name="frame", scope="session")
def frame_maker() -> Frame:
    """`frame(first, payload)` is a client's frame with this first byte."""
    return frame


@pytest.fixture(scope="session")
def hear() -> Hear:
    """Feed bytes to a codec, with room for everything; the events, those that are objects in words."""

    def hear(codec: Codec, data: bytes, room: int = ALL, weight: int = ALL) -> list[object]:
        return [in_words(event) for event in codec.receive(data, room, weight)]

    return hear


@pytest.fixture(scope="session")
def replay() -> Replay:
    """Feed the pieces of a conversation to a new codec; what became of it."""

    def play(pieces: Iterable[bytes], most: int = 1 << 20, deflate: Deflate | None = None) -> Told:
        codec = Codec(most, deflate)
        told = Told()
        for piece in pieces:
            told.events += [in_words(event) for event in codec.receive(piece, ALL, ALL)]
        queued = codec.queued
        told.written = b"".join(codec.take())
        assert queued == len(told.written)
        told.end = repr(codec)
        return told

    return play
