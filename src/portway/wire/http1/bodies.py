"""Takes the chunked transfer coding off a request's body (RFC 9112 §7.1).

What is sent besides the data (sizes, extensions, trailers) is bounded: a sender of one-byte chunks
with long extensions would otherwise cost more than it brings. (Go's net/http does the same since
CVE-2023-39326; the allowance for each chunk is its.)
"""

from __future__ import annotations

import string

from portway.wire import grammar
from portway.wire.faults import ProtocolFault
from portway.wire.http1 import head
from portway.wire.port import Limits

# What the decoder waits for.
SIZE_LINE = 0
DATA = 1
DATA_END = 2
TRAILERS = 3
DONE = 4

# A size line with its extensions: 8 bytes of size and CRLF are usual, hex digits beyond 15 would
# pass 2**60, and no extension is in use.
LINE_MOST = 1024
HEX_DIGITS_MOST = 15

# Bytes of a chunk's framing that its own data pays for, and what a body may spend beyond that.
FRAMING_FREE = 16
FRAMING_MOST = 16 * 1024

# The value of a hex digit, or NO_DIGIT.
NO_DIGIT = 255
_HEX = bytes(int(chr(c), 16) if chr(c) in string.hexdigits else NO_DIGIT for c in range(256))
HEX = _HEX


class Chunked:
    """One body. `feed` takes bytes and appends content to a list; `done` tells that the body is whole."""

    __slots__ = ("excess", "left", "limits", "state", "total")

    def __init__(self, limits: Limits) -> None:
        self.limits = limits
        self.state = SIZE_LINE
        self.left = 0
        self.total = 0
        self.excess = 0

    @property
    def done(self) -> bool:
        return self.state == DONE

    def feed(self, data: bytes, at: int, content: list[bytes]) -> int:
        """Read on from `at`; where reading stopped, which is the end of `data` or of the body, or before
        a line whose end has not come yet.
        """
        stop = len(data)
        while self.state != DONE:
            begin = at
            if self.state == DATA:
                at = self._data(data, at, stop, content)
            elif self.state == SIZE_LINE:
                at = self._size_line(data, at, stop)
            elif self.state == DATA_END:
                at = self._data_end(data, at, stop)
            else:
                at = self._trailers(data, at)
            if at == begin:
                break
        return at

    def _size_line(self, data: bytes, at: int, stop: int) -> int:
        view = data
        i = at
        size = 0
        while i < stop and HEX[view[i]] != NO_DIGIT and i - at < HEX_DIGITS_MOST:
            size = size * 16 + HEX[view[i]]
            i += 1
        if i + 1 >= stop:
            return at
        if i == at:
            raise ProtocolFault("a chunk has no size")
        if view[i] != 0x0D or view[i + 1] != 0x0A:
            i = self._extensions(data, i)
            if i < 0:
                return at
        self._spend(i + 2 - at, size)
        self.total += size
        if self.limits.body and self.total > self.limits.body:
            raise ProtocolFault("the body is larger than is accepted here", 413)
        self.left = size
        self.state = DATA if size else TRAILERS
        return i + 2

    def _extensions(self, data: bytes, at: int) -> int:
        """Check chunk extensions, which mean nothing here; where the line's CRLF is, or -1."""
        end = data.find(b"\n", at, at + LINE_MOST)
        if end < 0:
            if len(data) - at >= LINE_MOST:
                raise ProtocolFault("the extensions of a chunk are longer than is accepted here")
            return -1
        if data[end - 1] != 0x0D or grammar.chunk_extensions.fullmatch(data, at, end - 1) is None:
            raise ProtocolFault("the line of a chunk's size is malformed")
        return end - 1

    def _spend(self, line: int, size: int) -> None:
        self.excess = max(0, self.excess + line - FRAMING_FREE - 2 * size)
        if self.excess > FRAMING_MOST:
            raise ProtocolFault("the chunks carry more framing than data")

    def _data(self, data: bytes, at: int, stop: int, content: list[bytes]) -> int:
        end = min(stop, at + self.left)
        if end > at:
            content.append(data[at:end])
            self.left -= end - at
        if self.left == 0:
            self.state = DATA_END
        return end

    def _data_end(self, data: bytes, at: int, stop: int) -> int:
        if at + 1 >= stop and data[at:stop] in (b"", b"\r"):
            return at
        if data[at : at + 2] != b"\r\n":
            raise ProtocolFault("a chunk is not followed by a CRLF")
        self.state = SIZE_LINE
        return at + 2

    def _trailers(self, data: bytes, at: int) -> int:
        # RFC 9110 §6.5.1: trailers may be dropped; they are checked and never mixed into the headers.
        end = head.read_fields(data, at, at, self.limits, [])
        if end < 0:
            return at
        self.state = DONE
        return end
