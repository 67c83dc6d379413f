"""What goes out on an HTTP/2 connection: responses, as far as the peer's windows let them, and in which order.

Heads go out as they come, for their order is the order of the header tables. Content goes out at once where there is
a window and nothing else waits; else it is queued at its stream, and `take` sends of that what it may.
"""

from __future__ import annotations

from portway.wire import fields
from portway.wire.fields import Outgoing
from portway.wire.hpack.encode import Encoder
from portway.wire.http1.encode import Preamble
from portway.wire.http2 import faults, frames, states
from portway.wire.http2.guards import Budget
from portway.wire.http2.settings import Terms
from portway.wire.http2.states import Fates
from portway.wire.http2.streams import Schedule, Stream

# A piece of content that is not larger is copied behind its frame's head: one piece to write, not three.
JOINED_MOST = 4096

# What `take` gives of queued content at once.
TAKEN_MOST = 256 * 1024

# A stream with so little in its queue has room for more.
QUEUED_FEW = 16 * 1024

# The rest of an unread body that is worth hearing out, rather than to reset a stream whose response is complete.
DRAIN = 64 * 1024

# What was consumed is announced when it comes to so much.
CREDIT_MOST = frames.WINDOW_BEFORE >> 1

# A frame that a narrow window makes smaller than this is a glitch.
CRUMB = 256


class Writer:
    """The sending half of a codec; `blocked` says that the link can take no content now."""

    __slots__ = (
        "_encoder", "_fates", "_frame", "_glitches", "_kept_credit", "_moved", "_narrowed", "_opened", "_parts",
        "_preamble", "_schedule", "_small", "_terms", "_their_room", "_their_window", "_window", "blocked", "streams",
    )  # fmt: skip

    def _begin(self, terms: Terms, preamble: Preamble) -> None:
        self._terms = terms
        self._preamble = preamble
        self._encoder = Encoder()
        self._small = bytearray()
        self._parts: list[bytes] = []
        self._schedule = Schedule()
        self._fates = Fates()
        self._glitches = Budget(terms.glitches, "frames that are of no use")
        self._opened: list[int] = []
        self._frame = frames.PAYLOAD_LEAST  # of the peer's
        self._their_window = frames.WINDOW_BEFORE  # how large those of new streams are
        self._window = frames.WINDOW_BEFORE  # of the connection
        self._their_room = frames.WINDOW_BEFORE  # what the peer may send on all streams
        self._kept_credit = 0  # of the connection: consumed, and not announced
        self._narrowed = 0
        self._moved = False  # content went on some stream since somebody looked
        self.streams: dict[int, Stream] = {}
        self.blocked = False

    # --- what the link asks for ---

    def take(self) -> list[bytes]:
        """The bytes to write, in pieces, which are the caller's from now on. There may be more: see `ready`."""
        if self._schedule.count and not self.blocked:
            self._pump()
        parts = self._parts
        if self._small:
            parts.append(bytes(self._small))
            self._small = bytearray()
        if parts:
            self._parts = []
        return parts

    def ready(self) -> bool:
        """Whether `take` would give something."""
        return bool(self._small) or (self._schedule.count > 0 and self._window > 0 and not self.blocked)

    def backlog(self) -> int:
        """Bytes that are not content and wait to be taken."""
        return len(self._small)

    def room(self, number: int) -> bool:
        """Whether the stream has room for more; if not, it will be among `opened`."""
        stream = self.streams.get(number)
        if stream is None:
            return True
        stream.full = stream.queued > QUEUED_FEW
        return not stream.full

    def opened(self) -> list[int]:
        """The streams that had no room, and have it again."""
        opened = self._opened
        if opened:
            self._opened = []
        return opened

    # --- what an application sends ---

    def respond(self, number: int, status: int, outgoing: Outgoing, body: bytes, end: bool) -> bool:
        """Queue the final response's head and the first piece of its body; whether there is room for more."""
        stream = self.streams.get(number)
        if stream is None:
            return True
        mute = stream.mute or status == 204 or status == 304
        if mute and status == 204:
            outgoing.drop_length()
        elif end and not mute and outgoing.length == fields.NO_LENGTH:
            outgoing.pairs.append((b"content-length", b"%d" % len(body)))
        stream.mute = mute
        stream.answered = True
        last = mute or (end and not body)
        if outgoing.dated or outgoing.served:
            begin = self._preamble.pairs_beside(outgoing)
        else:
            begin = self._preamble.pairs
        self._head(number, status, begin, outgoing.pairs, last)
        if last:
            self._said_all(stream)
            return True
        return self._content(stream, body, end)

    def inform(self, number: int, status: int, outgoing: Outgoing | None) -> None:
        """Queue an interim response (RFC 9110 §15.2), unless the final one has begun."""
        stream = self.streams.get(number)
        if stream is not None and not stream.answered:
            stream.asked = stream.asked or status == 100
            self._head(number, status, [] if outgoing is None else outgoing.pairs, [], False)

    def body(self, number: int, data: bytes, end: bool) -> bool:
        """Queue a piece of the response's body; whether there is room for more."""
        stream = self.streams.get(number)
        if stream is None or stream.mute or stream.ending:
            return True
        return self._content(stream, data, end)

    def trailers(self, number: int, outgoing: Outgoing) -> None:
        """Queue the trailer section, which ends the response."""
        stream = self.streams.get(number)
        if stream is None or stream.mute or stream.ending:
            return
        if not outgoing.pairs:
            self._content(stream, b"", True)
        elif stream.queued:
            stream.trailers = outgoing
            stream.ending = True
        else:
            self._trail(stream, outgoing)

    def tunnel(self, number: int, outgoing: Outgoing) -> None:
        """Queue the 200 after which the stream is another protocol's (RFC 8441 §5)."""
        stream = self.streams.get(number)
        if stream is None:
            return
        outgoing.drop_length()
        stream.answered = True
        stream.tunnel = True
        self._head(number, 200, self._preamble.pairs_beside(outgoing), outgoing.pairs, False)

    def reset(self, number: int, code: int) -> None:
        """Give a stream up; what is queued for it is dropped."""
        stream = self.streams.get(number)
        if stream is not None:
            self._reset(stream, code)

    def credit(self, number: int, size: int) -> None:
        """So many bytes of the stream's content were consumed."""
        stream = self.streams.get(number)
        if stream is None or stream.unread == 0:
            return  # they were credited when it, or our side of it, ended
        size = min(size, stream.unread)
        stream.unread -= size
        self._credit_all(size)
        if stream.state == states.OPEN or (stream.state == states.LOCAL and not stream.tunnel):
            stream.credit += size
            # An update for each frame would cost more than the content; but each window that a client begins with is
            # updated before it is used up: curl 7.88 does not go on when SETTINGS alone have made it wider.
            if stream.credit >= min(self._terms.stream_window >> 1, CREDIT_MOST):
                frames.write_window(self._small, number, stream.credit)
                stream.theirs += stream.credit
                stream.credit = 0

    # --- inside: heads ---

    def _head(
        self, number: int, status: int, begin: list[tuple[bytes, bytes]], pairs: list[tuple[bytes, bytes]], last: bool
    ) -> None:  # fmt: skip
        out = self._small
        at = len(out)
        flags = frames.END_HEADERS | (frames.END_STREAM if last else 0)
        frames.write_head(out, 0, frames.HEADERS, flags, number)
        self._encoder.begin(out, status)
        self._encoder.write(out, begin)
        self._encoder.write(out, pairs)
        size = len(out) - at - frames.HEAD_SIZE
        if size <= self._frame:
            frames.write_size(out, at, size)
        else:
            self._in_parts(number, at, flags)

    def _in_parts(self, number: int, at: int, flags: int) -> None:
        """A header block that is too large for one frame (RFC 9113 §6.10)."""
        out = self._small
        block = bytes(out[at + frames.HEAD_SIZE :])
        del out[at:]
        kind = frames.HEADERS
        flags &= ~frames.END_HEADERS
        for start in range(0, len(block), self._frame):
            part = block[start : start + self._frame]
            if start + self._frame >= len(block):
                flags |= frames.END_HEADERS
            frames.write_head(out, len(part), kind, flags, number)
            out += part
            kind = frames.CONTINUATION
            flags = 0

    def _trail(self, stream: Stream, outgoing: Outgoing) -> None:
        self._head(stream.number, 0, outgoing.pairs, [], True)
        self._said_all(stream)

    # --- inside: content ---

    def _content(self, stream: Stream, data: bytes, end: bool) -> bool:
        size = len(data)
        stream.ending = end
        if (
            stream.queued == 0
            and self._schedule.count == 0
            and not self.blocked
            and size <= stream.window
            and size <= self._window
            and size <= self._frame
        ):
            if size or end:
                self._data(stream, data, end)
            return True
        if size == 0 and stream.queued == 0 and not self.blocked:
            # An end without content needs no window.
            if end:
                self._data(stream, data, True)
            return True
        if size or end:
            stream.put(data)
        if stream.window > 0 or stream.queued == 0:
            self._schedule.add(stream)
        stream.full = stream.queued > QUEUED_FEW
        return not stream.full

    def _data(self, stream: Stream, data: bytes, end: bool) -> None:
        """A DATA frame, for which there is a window."""
        size = len(data)
        stream.window -= size
        self._window -= size
        stream.moved = self._moved = True
        frames.write_head(self._small, size, frames.DATA, frames.END_STREAM if end else 0, stream.number)
        if size <= JOINED_MOST:
            self._small += data
        else:
            self._parts.append(bytes(self._small))
            self._parts.append(data)
            self._small = bytearray()
        if end:
            self._said_all(stream)

    def _pump(self) -> None:
        """Send what is queued, as far as the windows go."""
        left = TAKEN_MOST
        while left > 0:
            stream = self._schedule.first()
            if stream is None:
                return
            most = min(self._frame, min(stream.window, self._window))
            if most <= 0 and stream.queued:
                if stream.window > 0:
                    return  # it is the connection's window that is closed
                self._schedule.take_out(stream)
                continue
            if most < CRUMB and most < stream.queued:
                self._narrowed += 1
            piece = stream.pull(max(most, 0))
            left -= len(piece)
            if stream.queued:
                self._data(stream, piece, False)
                self._schedule.turned(stream)
            else:
                self._schedule.take_out(stream)
                self._last_of(stream, piece)
            if stream.full and stream.queued <= QUEUED_FEW:
                stream.full = False
                self._opened.append(stream.number)

    def _last_of(self, stream: Stream, piece: bytes) -> None:
        """The last that was queued, and what follows on it."""
        trailers = stream.trailers
        if trailers is None:
            self._data(stream, piece, stream.ending)
        else:
            self._data(stream, piece, False)
            self._trail(stream, trailers)

    # --- inside: ends ---

    def _said_all(self, stream: Stream) -> None:
        """Our END_STREAM is queued."""
        stream.drop()
        if stream.state == states.REMOTE:
            self._close(stream, states.ENDED)
            return
        self.credit(stream.number, stream.unread)
        stream.state = states.LOCAL
        stream.ending = True
        invited = stream.asked or stream.came
        if (stream.left > DRAIN or stream.left < 0 or not invited) and not stream.tunnel:
            # RFC 9113 §8.1: the response is complete, and the rest of the request is of no use.
            frames.write_reset(self._small, stream.number, faults.NO_ERROR)
            self._close(stream, states.DROPPED)

    def _reset(self, stream: Stream, code: int) -> None:
        frames.write_reset(self._small, stream.number, code)
        self._close(stream, states.DROPPED)

    def _close(self, stream: Stream, state: int) -> None:
        self._schedule.take_out(stream)
        stream.drop()
        stream.state = state
        self._consume(stream)
        self._fates.closed(stream.number, state)
        del self.streams[stream.number]

    def _consume(self, stream: Stream) -> None:
        """Nobody will read what has come: give the connection its window back."""
        if stream.unread:
            self._credit_all(stream.unread)
            stream.unread = 0

    def _credit_all(self, size: int) -> None:
        kept = self._kept_credit + size
        # At half of the window; earlier where unread streams hold much of it, and what is left to the peer is less.
        if kept and (kept >= self._terms.connection_window >> 1 or kept > self._their_room):
            frames.write_window(self._small, 0, kept)
            self._their_room += kept
            kept = 0
        self._kept_credit = kept
