"""permessage-deflate (RFC 7692): what is agreed on, and the two streams of compressed bytes.

Windows are small, and neither stream exists before its first compressed message: a connection that only
agreed on compression costs nothing.
"""

from __future__ import annotations

import zlib

from portway.wire.websocket.faults import FrameFault

NAME = "permessage-deflate"

# 4 KiB of window, as the library `websockets` has it: 32 KiB for a deflater, where zlib's default takes 268.
WINDOW = 12
MEMORY = 5

# The smallest and the largest window that RFC 7692 §7.1.2 knows; zlib cannot deflate with the smallest.
WINDOW_LEAST = 8
WINDOW_MOST = 15

# The fastest, as nginx' gzip_comp_level: the next ones save little of the size for twice the time.
LEVEL = 1

# Smaller messages are sent as they are, and so are larger ones: a loop does not stand still for so long.
WORTH_LEAST = 1024
WORTH_MOST = 4 * 1024 * 1024

# A message pays if it shrinks by a tenth. After one that does not, one is sent as it is, then two, four, …
PAYS = 0.9
SKIPPED_MOST = 64

# RFC 7692 §7.2.1: what a sync flush ends with, and is not sent.
TAIL = b"\x00\x00\xff\xff"

# RFC 7692 §7.2.3.4: after a final block stands one byte and this; zlib reads nothing that comes there.
AFTER_FINAL = 1 + len(TAIL)

Parameters = list[tuple[str, str | None]]


class Deflate:
    """What both sides agreed on, and its state."""

    __slots__ = (
        "_deflater", "_inflater", "_misses", "_our_reset", "_our_window", "_skip", "_their_reset", "_their_window",
    )  # fmt: skip

    def __init__(
        self,
        our_window: int = WINDOW,
        their_window: int = WINDOW_MOST,
        our_reset: bool = False,
        their_reset: bool = False,
    ) -> None:
        """Windows in bits; `reset` says that every message begins with an empty one (no context takeover)."""
        self._our_window = our_window
        self._their_window = their_window
        self._our_reset = our_reset
        self._their_reset = their_reset
        self._deflater: zlib._Compress | None = None
        self._inflater: zlib._Decompress | None = None
        self._misses = 0
        self._skip = 0

    def inflate(self, data: bytes, most: int) -> bytes:
        """A piece of a message; FrameFault as soon as it is larger than `most` bytes."""
        inflater = self._inflater
        if inflater is None:
            inflater = self._inflater = zlib.decompressobj(wbits=-self._their_window)
        try:
            made = inflater.decompress(data, most + 1)
        except zlib.error:
            raise FrameFault("a compressed message cannot be inflated") from None
        if len(made) > most:
            raise too_big()
        if len(inflater.unused_data) > AFTER_FINAL:
            raise FrameFault("a compressed message goes on after its final block")
        return made

    def inflated(self, most: int) -> bytes:
        """The rest of a message whose last piece has come."""
        made = self.inflate(TAIL, most)
        if self._their_reset or (self._inflater is not None and self._inflater.eof):
            self._inflater = None  # RFC 7692 §7.2.3.4: a final block is an end, too
        return made

    def deflate(self, data: bytes) -> bytes | None:
        """A whole message; None if it is better sent as it is."""
        size = len(data)
        if size < WORTH_LEAST or size > WORTH_MOST:
            return None
        if self._skip:
            self._skip -= 1
            return None
        deflater = self._deflater
        if deflater is None:
            deflater = zlib.compressobj(LEVEL, zlib.DEFLATED, -self._our_window, MEMORY)
            if not self._our_reset:
                self._deflater = deflater
        made = deflater.compress(data) + deflater.flush(zlib.Z_SYNC_FLUSH)
        if len(made) > PAYS * size:
            # The peer will not see it, so that what follows must not refer to it.
            self._deflater = None
            self._misses = min(2 * self._misses, SKIPPED_MOST) or 1
            self._skip = self._misses
            return None
        self._misses = 0
        return made[:-4]


def too_big() -> FrameFault:
    return FrameFault("a message is larger than is accepted here", 1009)


def agree(offers: list[Parameters]) -> tuple[Deflate, str] | None:
    """The first offer that can be met (RFC 7692 §7.1), and the words to answer it with."""
    for parameters in offers:
        agreed = _meet(parameters)
        if agreed is not None:
            return agreed
    return None


def _meet(parameters: Parameters) -> tuple[Deflate, str] | None:
    ours, theirs = WINDOW, WINDOW_MOST
    our_reset = their_reset = False
    answer = [NAME]
    seen = set()
    for name, value in parameters:
        if name in seen:
            return None
        seen.add(name)
        if name == "server_no_context_takeover" and value is None:
            our_reset = True
            answer.append(name)
        elif name == "client_no_context_takeover" and value is None:
            their_reset = True
            answer.append(name)
        elif name == "server_max_window_bits" and _bits(value) > WINDOW_LEAST:
            ours = min(ours, _bits(value))
        elif name == "client_max_window_bits" and (value is None or _bits(value)):
            theirs = min(WINDOW, _bits(value) or WINDOW)
            answer.append(f"{name}={theirs}")
        else:
            return None
    answer.append(f"server_max_window_bits={ours}")
    return Deflate(ours, theirs, our_reset, their_reset), "; ".join(answer)


def _bits(value: str | None) -> int:
    """The number of bits, or 0 if it is none (RFC 7692 §7.1.2: decimal, without leading zeros)."""
    bits = {str(number): number for number in range(WINDOW_LEAST, WINDOW_MOST + 1)}
    return bits.get(value or "", 0)
