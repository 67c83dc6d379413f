"""HTTP/2 for a server, sans-IO: `receive` takes bytes and gives events, `take` gives bytes to write.

It knows no time, no socket and no application. The rules of a stream's states are in `states`, what goes out is in
`writer`, what a peer may do how often in `guards`.
"""

from __future__ import annotations

from typing import Any

from portway.wire import events, waits
from portway.wire.events import Head
from portway.wire.faults import ProtocolFault
from portway.wire.hpack.decode import Decoder
from portway.wire.hpack.faults import HpackFault
from portway.wire.http1.encode import Preamble
from portway.wire.http2 import faults, frames, head, priority, states
from portway.wire.http2.control import Control, Event, wrong_size
from portway.wire.http2.faults import ConnectionFault, StreamFault
from portway.wire.http2.settings import Terms
from portway.wire.http2.streams import Stream
from portway.wire.port import Limits

# A header block may be so many times as large as a header list may be: what is over the limit is read all the same,
# for the sake of the tables, and answered with 431. Beyond it the connection ends.
BLOCK_SHARE = 4

# A block that is not larger is remembered.
REMEMBERED_MOST = 1024

# What `receive` gives at once.
EVENTS_MOST = 200

# What was kept, and is larger, is not written to a buffer, but joined with what has come.
RESTORED_MOST = 64 * 1024

# What an entry of a header list counts beside its octets (RFC 9113 §6.5.2).
OVERHEAD = 32

COMPILED = not __file__.endswith(".py")


class Codec(Control):
    """One connection's server side; `requests` counts what came."""

    __slots__ = (
        "_block", "_block_end", "_block_fault", "_block_left", "_block_most", "_block_stream", "_decoder", "_greeted",
        "_kept", "_last", "_last_block", "_last_changes", "_limits", "_steady", "_unread", "requests",
    )  # fmt: skip

    def __init__(self, limits: Limits, preamble: Preamble, terms: Terms) -> None:
        list_most = limits.head + OVERHEAD * limits.fields
        self._begin_control(terms, preamble, list_most)
        self._limits = limits
        self._decoder = Decoder(list_most)
        self._kept = b""
        self._unread = False  # there are whole frames in what is kept
        self._greeted = False  # the preface has come
        self._block: list[bytes] = []  # of a header block that has not ended
        self._block_stream = 0
        self._block_end = False
        self._block_fault = False  # the stream depends on itself
        self._block_most = BLOCK_SHARE * list_most
        self._block_left = 0
        self._last: Head | None = None
        self._last_block = b""
        self._last_changes = -1
        self._steady = False  # the last block left the table as it was
        self.requests = 0

    def __repr__(self) -> str:
        return f"<HTTP/2 streams={len(self.streams)} requests={self.requests} kept={len(self._kept)}>"

    # --- theirs: bytes in, events out ---

    def receive(self, data: bytes) -> list[Event]:
        """Take bytes of the peer, or none to read on in what was kept; ConnectionFault if they end the connection.

        Reading stops after a number of events, so that one peer does not take the whole turn: see `unread`.
        """
        if self._kept:
            data = self._kept + data
        return self._receive(data, len(data))

    def restore(self, buffer: bytearray) -> int:
        """Before a buffer is read into: write to its beginning what was kept, and tell its size."""
        size = len(self._kept)
        if 0 < size <= RESTORED_MOST:
            buffer[:size] = self._kept
            return size
        return 0

    def receive_from(self, buffer: bytearray, size: int) -> list[Event]:
        """`receive` of the first bytes of a buffer that will be written to again. What was kept is among them.

        Of content each byte is copied once so, and not three times: 5 % of a posted 10 KiB.
        """
        if len(self._kept) > RESTORED_MOST:
            return self.receive(bytes(buffer[:size]))
        if COMPILED:
            return self._receive(buffer, size)
        return self._receive(bytes(buffer[:size]), size)

    def _receive(self, view: Any, stop: int) -> list[Event]:
        found: list[Event] = []
        self._kept = b""
        if self.closing:
            return found
        at = 0
        if not self._greeted:
            at = self._greet(view[0:stop])
            if at == 0:
                self._kept = view[0:stop]
                return found
        if self._narrowed:
            narrowed = self._narrowed
            self._narrowed = 0
            self._glitches.spend(narrowed)
        self._unread = False
        while stop - at >= frames.HEAD_SIZE:
            if len(found) >= EVENTS_MOST:
                self._unread = True
                break
            size = view[at] << 16 | view[at + 1] << 8 | view[at + 2]
            if size > self._terms.frame:
                raise ConnectionFault("a frame is larger than may be sent here", faults.FRAME_SIZE_ERROR)
            end = at + frames.HEAD_SIZE + size
            if end > stop:
                break
            stream = frames.number(view, at + 5) & frames.STREAM_MASK
            self._frame_of(view, at + frames.HEAD_SIZE, end, view[at + 3], view[at + 4], stream, found)
            at = end
        if at < stop:
            self._kept = view[at:stop]
        return found

    def unread(self) -> bool:
        """Whether `receive` may find something in what was kept."""
        return self._unread

    def eof(self) -> None:
        """The peer will send nothing more, on no stream."""
        self.leaving = True
        self._kept = b""
        self._unread = False
        for stream in list(self.streams.values()):
            self._heard_all(stream)

    def begun(self) -> bool:
        """Whether the peer has said anything."""
        return self._greeted or bool(self._kept)

    def waiting(self) -> int:
        """Which of the waits in `wire.waits` the connection is in."""
        if self.closing:
            return waits.FOR_END
        if not self._welcomed or self._block_stream:
            return waits.FOR_HEAD
        if self.streams:
            return waits.FOR_US
        return waits.FOR_HEAD if self._kept else waits.FOR_REQUEST

    def fail(self, fault: ProtocolFault) -> None:
        """Queue the good-bye that a fault deserves. Nothing more is read."""
        code = fault.code if isinstance(fault, ConnectionFault) else faults.INTERNAL_ERROR
        self._say_goodbye(code, fault.text)
        self.closing = True
        self._kept = b""
        self._unread = False
        self._block = []
        for stream in list(self.streams.values()):
            self._close(stream, states.DROPPED)

    # --- inside: frames ---

    def _greet(self, data: bytes) -> int:
        """Where the frames begin, behind the preface; 0 if it is not here yet (RFC 9113 §3.4)."""
        size = len(frames.PREFACE)
        if not data.startswith(frames.PREFACE):
            if not frames.PREFACE.startswith(data):
                raise ConnectionFault("the connection does not begin with the preface of HTTP/2")
            return 0
        self._greeted = True
        return size

    def _frame_of(
        self, view: Any, at: int, end: int, kind: int, flags: int, stream: int, found: list[Event]
    ) -> None:  # fmt: skip
        """One frame, whose payload lies between `at` and `end`."""
        if self._block_stream and (kind != frames.CONTINUATION or stream != self._block_stream):
            raise ConnectionFault("a header block is interrupted by another frame")  # §4.3
        if not self._welcomed and kind != frames.SETTINGS:
            raise ConnectionFault("the first frame is no SETTINGS")  # §3.4
        if kind == frames.DATA:
            self._take_data(view, at, end, flags, stream, found)
        elif kind == frames.HEADERS:
            self._take_headers(view, at, end, flags, stream, found)
        elif kind == frames.WINDOW_UPDATE:
            self._take_window(view, at, end, stream, found)
        elif kind == frames.RST_STREAM:
            self._take_reset(view, at, end, stream, found)
        elif kind == frames.CONTINUATION:
            self._take_continuation(view, at, end, flags, stream, found)
        else:
            self._take_rare(view[at:end], kind, flags, stream, found)

    # --- inside: content ---

    def _take_data(self, view: Any, at: int, end: int, flags: int, number: int, found: list[Event]) -> None:
        # §6.1; all of the payload counts for the windows (§6.9.1).
        if number == 0:
            raise ConnectionFault("a DATA frame belongs to no stream")
        size = end - at
        if size > self._their_room:
            raise ConnectionFault("there is more content than the window lets in", faults.FLOW_CONTROL_ERROR)
        self._their_room -= size
        if flags & frames.PADDED:
            padding = unpadded(view, at, end)
            at += 1
            end -= padding
        stream = self._stream_of(number, frames.DATA, found)
        last = flags & frames.END_STREAM != 0
        if at == end and not last:
            self._glitches.spend(1)  # nothing, or padding alone
        if stream is None:
            self._credit_all(size)
            return
        if size > stream.theirs:
            self._credit_all(size)
            fault = StreamFault("there is more content than the stream's window lets in", faults.FLOW_CONTROL_ERROR)
            self._break(number, fault, found)
            return
        stream.theirs -= size
        stream.heard = True
        content = end - at
        stream.came += content
        stream.unread += size
        if stream.state == states.LOCAL:
            self.credit(number, size)  # the response is complete, and nobody reads this
        elif size > content:
            self.credit(number, size - content)
        if stream.left >= 0:
            stream.left -= content
            if stream.left < 0 or (last and stream.left):
                self._break(number, StreamFault("the content is not as long as content-length says"), found)
                return
        if self._limits.body and stream.came > self._limits.body and not stream.tunnel:
            self._answer(number, ProtocolFault("the body is larger than is accepted here", 413), found)
            return
        heard = stream.state != states.LOCAL
        if last:
            self._heard_all(stream)
        if heard and (content or last):
            found.append(events.Body(number, view[at:end], last))

    def _heard_all(self, stream: Stream) -> None:
        """Their END_STREAM has come."""
        if stream.state == states.LOCAL:
            self._close(stream, states.ENDED)
        else:
            stream.state = states.REMOTE

    # --- inside: heads ---

    def _take_headers(self, view: Any, at: int, end: int, flags: int, number: int, found: list[Event]) -> None:
        # §6.2
        if number & 1 == 0:
            raise ConnectionFault("a HEADERS frame is on a stream that a client cannot open")
        if flags & frames.PADDED:
            padding = unpadded(view, at, end)
            at += 1
            end -= padding
        self._block_fault = False
        if flags & frames.WITH_PRIORITY:
            if end - at < frames.PRIORITY_SIZE:
                raise too_long() if flags & frames.PADDED else wrong_size("HEADERS")
            self._block_fault = frames.number(view, at) & frames.STREAM_MASK == number
            at += frames.PRIORITY_SIZE
        self._block_end = flags & frames.END_STREAM != 0
        if flags & frames.END_HEADERS:
            self._take_block(number, view[at:end], found)
        else:
            self._block_stream = number
            self._block = [view[at:end]]
            self._block_left = self._block_most - (end - at)

    def _take_continuation(self, view: Any, at: int, end: int, flags: int, number: int, found: list[Event]) -> None:
        # §6.10
        if self._block_stream == 0:
            raise ConnectionFault("a CONTINUATION frame continues nothing")
        self._glitches.spend(1)
        self._block_left -= end - at
        if self._block_left < 0:
            raise ConnectionFault("a header block is far too large", faults.ENHANCE_YOUR_CALM)
        self._block.append(view[at:end])
        if flags & frames.END_HEADERS:
            block = b"".join(self._block)
            self._block = []
            self._block_stream = 0
            self._take_block(number, block, found)

    def _take_block(self, number: int, block: bytes, found: list[Event]) -> None:
        """A whole header block. It is read whatever becomes of it, for the tables' sake."""
        table = self._decoder.table
        again = (
            self._last is not None
            and block == self._last_block
            and table.changes == self._last_changes
            and self._block_end
            and not self._block_fault
            and number > self._fates.last
        )
        pairs: list[tuple[bytes, bytes]] = []
        if not again:
            changes = table.changes
            try:
                pairs = self._decoder.decode(block)
            except HpackFault as fault:
                raise ConnectionFault(str(fault), faults.COMPRESSION_ERROR) from None
            self._steady = changes == table.changes
        stream = self._stream_of(number, frames.HEADERS, found)
        if stream is not None:
            self._take_trailers(stream, pairs, found)
        elif number > self._fates.last:
            self._open(number, block, pairs, again, found)

    def _open(
        self, number: int, block: bytes, pairs: list[tuple[bytes, bytes]], again: bool, found: list[Event]
    ) -> None:  # fmt: skip
        """A request: its stream, and its head."""
        self._fates.opened(number)
        if self._final >= 0:
            # §6.8: it was begun before our GOAWAY came there, which says that it is not heeded.
            self._fates.closed(number, states.DROPPED)
            return
        if len(self.streams) >= self._terms.streams:
            self._fates.closed(number, states.DROPPED)
            self._glitches.spend(1)
            frames.write_reset(self._small, number, faults.REFUSED_STREAM)
            return
        stream = Stream(number, self._their_window, self._our_window)
        self.streams[number] = stream
        self.requests += 1
        end = self._block_end
        made = Head.__new__(Head)
        made.begin(number)
        try:
            if again:
                made.repeat(self._last)  # type: ignore[arg-type]
            else:
                self._judge(made, block, pairs, end)
        except StreamFault as fault:
            self._break(number, fault, found)
            return
        except ProtocolFault as fault:
            stream.mute = made.method == "HEAD" or not made.method  # what cannot be told may be a HEAD
            if end:
                stream.state = states.REMOTE
            self._answer(number, fault, found)
            return
        if end:
            stream.state = states.REMOTE
        else:
            stream.left = made.length
            stream.asked = not made.expect and made.upgrade is None
        stream.mute = made.method == "HEAD"
        if made.priority:
            urgency, incremental = priority.read(made.priority)
            self._schedule.move(stream, urgency, incremental)
        if self._promised:
            promised = self._promised.pop(number, None)
            if promised is not None:
                self._schedule.move(stream, promised[0], promised[1])
        found.append(made)

    def _judge(self, made: Head, block: bytes, pairs: list[tuple[bytes, bytes]], end: bool) -> None:
        if self._block_fault:
            raise StreamFault("a stream depends on itself")  # RFC 7540 §5.3.1
        if self._decoder.too_large:
            raise ProtocolFault("the header section is larger than is accepted here", 431)
        head.read(made, pairs, end, self._limits, self._terms.connects)
        # A block that adds to the table adds again when it comes again.
        if self._steady and end and len(block) <= REMEMBERED_MOST:
            kept = Head.__new__(Head)
            kept.begin(0)
            kept.repeat(made)
            self._last = kept
            self._last_block = block
            self._last_changes = self._decoder.table.changes

    def _take_trailers(self, stream: Stream, pairs: list[tuple[bytes, bytes]], found: list[Event]) -> None:
        # §8.1
        stream.heard = True
        try:
            if self._block_fault:
                raise StreamFault("a stream depends on itself")
            if stream.tunnel:
                raise StreamFault("a tunnel has no trailers")  # §8.5
            if not self._block_end:
                raise StreamFault("a header block amid the content does not end the stream")
            if stream.left > 0:
                raise StreamFault("the content is not as long as content-length says")
            head.check_trailers(pairs)
        except StreamFault as fault:
            self._break(stream.number, fault, found)
            return
        heard = stream.state != states.LOCAL
        self._heard_all(stream)
        if heard:
            found.append(events.Body(stream.number, b"", True))


def unpadded(view: Any, at: int, end: int) -> int:
    """How many bytes at the end of a padded payload are padding (§6.1)."""
    if at == end or view[at] >= end - at:
        raise too_long() if at < end else wrong_size("padded")
    return int(view[at])


def too_long() -> ConnectionFault:
    return ConnectionFault("the padding is longer than the frame")
