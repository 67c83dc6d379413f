"""A WebSocket for a server, sans-IO: `receive` takes bytes and gives messages, `take` gives bytes to write.

It knows nothing of HTTP: the bytes are those of a stream on any of its versions, after the handshake.

  OPEN ──our close──► OURS ──their close──► CLOSED
    ├──their close, which is answered at once──► CLOSED
    └──their fault, which is answered with a close──► CLOSED
"""

from __future__ import annotations

import codecs
from typing import Any

from portway.wire.websocket import closing, frames
from portway.wire.websocket.deflate import Deflate, too_big
from portway.wire.websocket.faults import FrameFault
from portway.wire.websocket.mask import turned, unmask, unmask_into

COMPILED = not __file__.endswith(".py")

OPEN = 0
OURS = 1  # our close is queued, theirs has not come
CLOSED = 2
NAMES = ("OPEN", "OURS", "CLOSED")

_utf8 = codecs.getincrementaldecoder("utf-8")

# A first byte and the payload's size: see `frames.head`.
TEXT_HEAD = frames.FIN | frames.TEXT
BINARY_HEAD = frames.FIN | frames.BINARY

# No pieces to write: for all, and never added to.
_NOTHING: list[bytes] = []

# A head and so small a payload are copied together at once: the link has one piece to write then, not two.
JOINED_MOST = 4096

# Pieces of a message are joined in such numbers: an object for each byte or two would take twenty times the message.
PIECES_MOST = 1024

# Where at least this part of a frame is here, room is made for all of it, and what comes later is written into it. With
# less, a peer that announces much and sends little would cost more than it spends.
PART_LEAST = 8


class Closed:
    """The peer's close; nothing comes after it."""

    __slots__ = ("code", "reason")

    def __init__(self, code: int, reason: str) -> None:
        self.code = code
        self.reason = reason

    def __repr__(self) -> str:
        return f"<Closed {self.code} {self.reason!r}>"


Event = str | bytes | Closed | FrameFault


class Codec:
    """One WebSocket, after its handshake. A message is an event: a str or bytes, as it was sent."""

    __slots__ = (
        "_decoder", "_deflate", "_inflating", "_joined", "_kept", "_last", "_left", "_mask", "_most", "_opcode", "_out",
        "_pieces", "_size", "_whole", "_wire", "queued", "size", "state",
    )  # fmt: skip

    def __init__(self, most: int, deflate: Deflate | None = None) -> None:
        """`most` is how large a message may be, in bytes, inflated; `deflate` what was agreed on."""
        self._most = most
        self._deflate = deflate
        self._kept = b""
        self._out = _NOTHING
        self._opcode = 0  # of the message that is under way, or 0
        self._inflating = False
        self._decoder: Any = None
        self._pieces: list[Any] = []
        self._joined: list[Any] = []
        self._whole: bytes | None = None  # the payload of the frame that is under way, partly written
        self._size = 0  # of what of it has come
        self._wire = 0  # the same before it was inflated
        self._left = 0  # of the payload of the frame that is under way
        self._last = False  # that frame is the last of its message
        self._mask = 0
        self.size = 0  # of all messages that came
        self.queued = 0  # bytes that `take` would give
        self.state = OPEN

    def __repr__(self) -> str:
        return f"<WebSocket {NAMES[self.state]} kept={len(self._kept)}>"

    # --- theirs ---

    def receive(self, data: bytes, room: int, weight: int) -> list[Event]:
        """Take bytes of the peer, or none to read on in what was kept.

        Reading stops after `room` messages, or when they weigh `weight` bytes, and goes on when this is called
        again; only a frame that is under way is read to its end. Pings are answered, and so is a close; messages
        that come after our own close are dropped. A fault is the last event, and has its answer, too.
        """
        return self._receive(data, len(data), room, weight)

    def receive_from(self, buffer: bytes | bytearray, size: int, room: int, weight: int) -> list[Event]:
        """The same, for the first bytes of a buffer that will be written to again: they are copied once, unmasked."""
        if COMPILED:
            return self._receive(buffer, size, room, weight)
        return self._receive(bytes(buffer[:size]), size, room, weight)

    def _receive(self, view: bytes | bytearray, size: int, room: int, weight: int) -> list[Event]:
        found: list[Event] = []
        try:
            if self._kept:
                data = self._kept + view[0:size]
                self._kept = b""
                self._read(data, len(data), room, self.size + weight, found)
            else:
                self._read(view, size, room, self.size + weight, found)
        except FrameFault as fault:
            self.fail(fault)
            found.append(fault)
        return found

    def _read(self, view: Any, stop: int, room: int, size_most: int, found: list[Event]) -> None:
        at = 0
        while at < stop and self.state != CLOSED:
            if self._left:
                at = self._payload(view, at, stop, found)
                room -= 1 if self._opcode == 0 else 0
                continue
            if (room <= 0 or self.size >= size_most) and not view[at] & 8:
                break
            if stop - at < 2:
                break
            first = view[at]
            size = view[at + 1] & 0x7F
            if not view[at + 1] & frames.MASKED:
                raise FrameFault("a frame is not masked")
            start = at + 6
            if size == 126:
                start = at + 8
            elif size == 127:
                start = at + 14
            if start > stop or size > frames.SIZE_7:
                # Before the size is read, so that what is found does not depend on where the network cuts.
                self._check(first, size)
                if start > stop:
                    break
            if size == 126:
                size = view[at + 2] << 8 | view[at + 3]
                if size < 126:
                    raise too_long_a_form()
            elif size == 127:
                size = large(view, at + 2)
            mask = view[start - 4] | view[start - 3] << 8 | view[start - 2] << 16 | view[start - 1] << 24
            end = start + size
            if end <= stop and self._opcode == 0 and first in (TEXT_HEAD, BINARY_HEAD):
                # Nearly all of them: a message in one frame, not compressed, and here.
                if size > self._most:
                    raise too_big()
                payload = unmask(view, start, end, mask)
                if self.state == OPEN:
                    found.append(payload if first == BINARY_HEAD else text(payload))
                    self.size += size
                    room -= 1
                at = end
                continue
            self._check(first, size)
            if first & 8:
                if end > stop:
                    break
                self._control(first & 0xF, unmask(view, start, end, mask), found)
                at = end
                continue
            self._begin(first, size)
            self._mask = mask
            at = start
            if COMPILED and first == BINARY_HEAD and size <= PART_LEAST * (stop - at):
                self._whole = unwritten(size)  # type: ignore[name-defined]  # noqa: F821  # see the .pxd of `mask`
            if size == 0:
                self._piece(b"", found)
                room -= 1 if self._opcode == 0 else 0
        if self.state != CLOSED and at < stop:
            self._kept = view[at:stop]

    def unread(self) -> bool:
        """Whether `receive` may find something in what was kept."""
        return bool(self._kept)

    def _check(self, first: int, size: int) -> None:
        """The first byte of a frame, and the size as far as it is known (RFC 6455 §5.2, §5.4, §5.5)."""
        opcode = first & 0xF
        if first & frames.RSV2_AND_3:
            raise FrameFault("a reserved bit is set")
        if opcode & 8:
            if opcode > frames.PONG:
                raise FrameFault("a frame has a reserved opcode")
            if first & frames.RSV1:
                raise FrameFault("a control frame is compressed")
            if not first & frames.FIN:
                raise FrameFault("a control frame is fragmented")
            if size > frames.CONTROL_MOST:
                raise FrameFault("a control frame is larger than 125 bytes")
            return
        if opcode > frames.BINARY:
            raise FrameFault("a frame has a reserved opcode")
        if opcode == frames.CONTINUATION:
            if self._opcode == 0:
                raise FrameFault("a continuation frame continues nothing")
            if first & frames.RSV1:
                raise FrameFault("a continuation frame is marked as compressed")
        elif self._opcode:
            raise FrameFault("a new message begins within another one")
        elif first & frames.RSV1 and self._deflate is None:
            raise FrameFault("a frame is compressed, which was not agreed on")

    def _begin(self, first: int, size: int) -> None:
        """The head of a data frame was read."""
        opcode = first & 0xF
        if opcode != frames.CONTINUATION:
            self._opcode = opcode
            self._inflating = bool(first & frames.RSV1)
            self._decoder = _utf8() if opcode == frames.TEXT else None
            self._size = 0
            self._wire = 0
        # What is compressed may be larger than what it holds; by an eighth in the worst case, as zlib's
        # deflateBound has it. Not a sum of the two, which a size of 63 bits would overflow.
        most = self._most + (self._most // 8 + 64 if self._inflating else 0)
        if size > most - self._wire:
            raise too_big()
        self._wire += size
        self._last = bool(first & frames.FIN)
        self._left = size

    def _payload(self, view: Any, at: int, stop: int, found: list[Event]) -> int:
        """More of the payload of the frame that is under way; where it ends."""
        end = min(stop, at + self._left)
        whole = self._whole
        if whole is None:
            piece = unmask(view, at, end, self._mask)
        else:
            piece = whole
            unmask_into(whole, len(whole) - self._left, view, at, end, self._mask)
        self._left -= end - at
        if self._left:
            self._mask = turned(self._mask, end - at)
        else:
            self._whole = None
        if whole is None or not self._left:
            self._piece(piece, found)
        return end

    def _piece(self, piece: bytes, found: list[Event]) -> None:
        if self.state != OPEN:
            if not self._left and self._last:
                self._opcode = 0
            return
        ended = self._last and not self._left
        if self._inflating:
            assert self._deflate is not None
            piece = self._deflate.inflate(piece, self._most - self._size)
            if ended:
                piece += self._deflate.inflated(self._most - self._size - len(piece))
        self._size += len(piece)
        made: str | bytes
        if self._decoder is None:
            made = piece
        else:
            made = more_text(self._decoder, piece, ended)
        pieces = self._pieces
        if made:  # a peer may send empty fragments without end
            pieces.append(made)
        if ended or len(pieces) == PIECES_MOST:
            made = ("" if self._opcode == frames.TEXT else b"").join(pieces)
            pieces.clear()
            self._joined.append(made)
        if ended:
            joined = self._joined
            found.append(joined[0] if len(joined) == 1 else made[:0].join(joined))
            self.size += self._size
            self._opcode = 0
            self._joined = []
            self._decoder = None

    def _control(self, opcode: int, payload: bytes, found: list[Event]) -> None:
        if opcode == frames.PING:
            self._write(frames.FIN | frames.PONG, payload)
        elif opcode == frames.CLOSE:
            code, reason = closing.read(payload)
            self._write(frames.FIN | frames.CLOSE, payload[:2])
            self.state = CLOSED
            found.append(Closed(code, reason))

    # --- ours ---

    def take(self) -> list[bytes]:
        """The bytes to write, in pieces, which are the caller's from now on."""
        out = self._out
        self._out = _NOTHING
        self.queued = 0
        return out if out is not _NOTHING else []

    def send(self, message: str | bytes) -> int:
        """Queue a message; the size of its payload."""
        if isinstance(message, str):
            text_ = message
            payload = text_.encode("utf-8")  # said, and of a str: Cython calls no method for it then
            first = TEXT_HEAD
        else:
            payload = message
            first = BINARY_HEAD
        size = len(payload)
        if self._deflate is not None:
            smaller = self._deflate.deflate(payload)
            if smaller is not None:
                payload = smaller
                first |= frames.RSV1
        self._write(first, payload)
        return size

    def ping(self, payload: bytes = b"") -> None:
        """Queue a ping, of 125 bytes at most."""
        self._write(frames.FIN | frames.PING, payload)

    def close(self, code: int, reason: str = "") -> None:
        """Queue a close. After it nothing is sent, and only the peer's close is heard."""
        if self.state == OPEN:
            self._write(frames.FIN | frames.CLOSE, closing.payload(code, reason))
            self.state = OURS
            self._pieces = []
            self._joined = []
            self._whole = None

    def fail(self, fault: FrameFault) -> None:
        """Queue the close that a fault deserves. Nothing more is read."""
        self.close(fault.code, fault.text)
        self.state = CLOSED
        self._kept = b""

    def _write(self, first: int, payload: bytes) -> None:
        if self.state != OPEN:
            return  # RFC 6455 §5.5.1: nothing follows a close
        size = len(payload)
        head = frames.frame(first, payload) if size < JOINED_MOST else frames.head(first, size)
        self.queued += len(head)
        if self._out is _NOTHING:
            self._out = [head]
        else:
            self._out.append(head)
        if size >= JOINED_MOST:
            self._out.append(payload)
            self.queued += size


def text(payload: bytes) -> str:
    """A whole message; RFC 6455 §8.1 for what is no UTF-8."""
    try:
        return payload.decode()
    except UnicodeDecodeError:
        raise not_utf8() from None


def more_text(decoder: Any, piece: bytes, ended: bool) -> str:
    """A piece of a message; RFC 6455 §8.1 at the first byte that cannot be in any text."""
    try:
        made: str = decoder.decode(piece, ended)
    except UnicodeDecodeError:
        raise not_utf8() from None
    # CPython's decoder waits for a third byte where the second makes a surrogate, or is no continuation.
    begun = decoder.getstate()[0]
    if len(begun) == 2 and begun[0] == 0xED and not 0x80 <= begun[1] <= 0x9F:
        raise not_utf8()
    return made


def large(view: bytes, at: int) -> int:
    """The size in eight bytes; RFC 6455 §5.2: no larger than 63 bits, and in its shortest form."""
    size = int.from_bytes(view[at : at + 8], "big")
    if size >> 63:
        raise FrameFault("a frame has an impossible size")
    if size <= frames.SIZE_16:
        raise too_long_a_form()
    return size


def not_utf8() -> FrameFault:
    return FrameFault("a text message is not UTF-8", 1007)


def too_long_a_form() -> FrameFault:
    return FrameFault("the size of a frame is not in its shortest form")
