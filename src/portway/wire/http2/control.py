"""The frames of HTTP/2 that carry no message, and how streams and connections end for a fault."""

from __future__ import annotations

from typing import Any

from portway.wire import events
from portway.wire.faults import ProtocolFault
from portway.wire.http1.encode import Preamble
from portway.wire.http2 import faults, frames, priority, settings, states
from portway.wire.http2.faults import ConnectionFault, StreamFault
from portway.wire.http2.guards import Budget
from portway.wire.http2.settings import Terms
from portway.wire.http2.streams import Stream
from portway.wire.http2.writer import Writer

Event = events.Head | events.Body | events.Reset | events.Refusal

# The payload of the ping after which no request is under way that was sent before our first GOAWAY.
LAST_PING = b"goodbye!"


class Control(Writer):
    """`closing` says that a GOAWAY ended the connection, and that it closes when what is queued has been written;
    `leaving` that the peer, or we, begin nothing new, and that it closes when the streams that are open have ended.
    """

    __slots__ = (
        "_announced_end", "_final", "_our_window", "_promised", "_resets", "_welcomed", "closing", "leaving",
    )  # fmt: skip

    def _begin_control(self, terms: Terms, preamble: Preamble, list_most: int) -> None:
        self._begin(terms, preamble)
        self._resets = Budget(terms.resets, "requests that came to nothing")
        self._our_window = max(terms.stream_window, frames.WINDOW_BEFORE)  # how large theirs are, of new streams
        self._promised: dict[int, tuple[int, bool]] = {}  # priorities of streams that are still to come
        self._announced_end = False
        self._final = -1  # the last stream that is heeded, as a GOAWAY said
        self._welcomed = False  # the peer's first SETTINGS have come
        self.closing = False
        self.leaving = False
        frames.write_settings(self._small, terms.announced(list_most))
        wider = terms.connection_window - self._their_room
        if wider > 0:
            frames.write_window(self._small, 0, wider)
            self._their_room += wider

    # --- what the link asks for ---

    def refill(self, seconds: int) -> None:
        """So much time has gone by: the peer may do again what is limited."""
        self._glitches.refill(seconds)
        self._resets.refill(seconds)

    def announce_end(self) -> None:
        """Shut down in good order (RFC 9113 §6.8): first say so, and with the answer to a ping take no more."""
        if not self._announced_end and self._final < 0:
            self._announced_end = True
            frames.write_goaway(self._small, frames.STREAM_MASK, faults.NO_ERROR, b"")
            frames.write_ping(self._small, 0, LAST_PING)

    def end(self) -> None:
        """Take no more streams; those that are open are brought to their end."""
        if self._final < 0:
            self.leaving = True
            self._say_goodbye(faults.NO_ERROR, "")

    def stalled(self) -> list[int]:
        """The streams that have something queued and got no window for it, since this was asked last.

        One that has a window waits for streams that are more urgent.
        """
        found = []
        # Who only waits for its turn is not stalled, and nor is anyone while some go on in a narrow connection.
        shut = self._window <= 0 and not self._moved
        for stream in self.streams.values():
            if stream.queued and not stream.moved and (stream.window <= 0 or shut):
                found.append(stream.number)
            stream.moved = stream.queued == 0
        self._moved = False
        return found

    def stuck(self) -> list[int]:
        """The streams on which something is queued that no window lets out."""
        return [each.number for each in self.streams.values() if each.queued and min(each.window, self._window) <= 0]

    def silent(self) -> list[int]:
        """The streams of which something is expected and nothing came, since this was asked last."""
        found: list[int] = []
        if self._their_room <= 0:
            return found  # it is all streams together that may send nothing
        for stream in self.streams.values():
            if stream.state == states.REMOTE:
                continue
            # It is our turn while we have not asked for content, or have some that nobody read, without which a window
            # is open. After our END_STREAM it is never: all that comes is credited at once.
            ours = stream.state == states.OPEN and (not stream.asked or stream.unread > 0)
            if not ours and not stream.heard:
                found.append(stream.number)
            stream.heard = ours
        return found

    def refuse(self, number: int, fault: ProtocolFault) -> bool:
        """Answer a request with the status of the fault, or reset its stream; whether there was an answer."""
        stream = self.streams.get(number)
        if stream is None or stream.answered:
            self.reset(number, faults.CANCEL)
            return False
        text = fault.text.encode() + b"\n"
        if stream.mute or len(text) > min(stream.window, self._window):
            text = b""
        pairs = [(b"content-type", b"text/plain; charset=utf-8")]
        if not stream.mute:
            pairs.append((b"content-length", b"%d" % len(text)))
        stream.answered = True
        self._head(number, fault.status, self._preamble.pairs, pairs, not text)
        if text:
            self._data(stream, text, True)
        else:
            self._said_all(stream)
        if number in self.streams:
            self._reset(stream, faults.NO_ERROR)
        return True

    # --- inside: frames ---

    def _take_rare(self, payload: bytes, kind: int, flags: int, stream: int, found: list[Event]) -> None:
        if kind == frames.SETTINGS:
            self._take_settings(payload, flags, stream)
        elif kind == frames.PING:
            self._take_ping(payload, flags, stream)
        elif kind == frames.PRIORITY:
            self._take_priority(payload, stream, found)
        elif kind == frames.PRIORITY_UPDATE:
            self._take_priority_update(payload, stream)
        elif kind == frames.GOAWAY:
            if stream or len(payload) < frames.GOAWAY_LEAST:
                raise wrong_size("GOAWAY") if not stream else on_a_stream("GOAWAY")
            self.leaving = True
        elif kind == frames.PUSH_PROMISE:
            raise ConnectionFault("a client cannot push")  # §8.4
        else:
            self._glitches.spend(1)  # §5.5: ignored

    def _stream_of(self, number: int, column: int, found: list[Event]) -> Stream | None:
        """The stream that a frame is for, or None if it is to be passed over."""
        stream = self.streams.get(number)
        state = self._fates.of(number) if stream is None else stream.state
        verdict = states.verdict(state, column)
        if verdict == states.FINE:
            return stream
        if column == frames.DATA or column == frames.HEADERS:
            self._glitches.spend(1)
        if verdict == states.STREAM_IS_CLOSED:
            self._break(number, StreamFault("a frame came on a stream that is closed", faults.STREAM_CLOSED), found)
        elif verdict == states.ALL_IS_CLOSED:
            raise ConnectionFault("a frame came on a stream that is closed", faults.STREAM_CLOSED)
        elif verdict == states.ALL_IS_WRONG:
            raise ConnectionFault("a frame came on a stream that cannot be opened so")
        return None

    def _break(self, number: int, fault: StreamFault, found: list[Event]) -> None:
        """Reset a stream for a fault of the peer's."""
        stream = self.streams.get(number)
        if stream is None:
            frames.write_reset(self._small, number, fault.code)
        else:
            self._resets.spend(1)
            self._reset(stream, fault.code)
        found.append(events.Refusal(number, fault, False))

    def _answer(self, number: int, fault: ProtocolFault, found: list[Event]) -> None:
        """A request that cannot be met."""
        self._resets.spend(1)
        answered = self.refuse(number, fault)
        found.append(events.Refusal(number, fault, answered))

    def _take_window(self, view: Any, at: int, end: int, number: int, found: list[Event]) -> None:
        # §6.9
        if end - at != frames.NUMBER_SIZE:
            raise wrong_size("WINDOW_UPDATE")
        size = frames.number(view, at) & frames.STREAM_MASK
        if number == 0:
            if size == 0:
                raise ConnectionFault("a WINDOW_UPDATE is of no size")
            self._window += size
            if self._window > frames.WINDOW_MOST:
                raise ConnectionFault("the connection's window is too large", faults.FLOW_CONTROL_ERROR)
            return
        stream = self._stream_of(number, states.WINDOW_COLUMN, found)
        if stream is None:
            return
        if size == 0:
            self._break(number, StreamFault("a WINDOW_UPDATE is of no size"), found)
            return
        self._widen(stream, size, found)

    def _widen(self, stream: Stream, size: int, found: list[Event]) -> None:
        stream.window += size
        if stream.window > frames.WINDOW_MOST:
            self._break(stream.number, StreamFault("a window is too large", faults.FLOW_CONTROL_ERROR), found)
        elif stream.queued and stream.window > 0:
            self._schedule.add(stream)

    def _take_reset(self, view: Any, at: int, end: int, number: int, found: list[Event]) -> None:
        # §6.4
        if end - at != frames.NUMBER_SIZE:
            raise wrong_size("RST_STREAM")
        if number == 0:
            raise ConnectionFault("a RST_STREAM frame belongs to no stream")
        stream = self._stream_of(number, frames.RST_STREAM, found)
        if stream is None:
            return
        if not stream.ending:
            self._resets.spend(1)
        code = frames.number(view, at)
        self._close(stream, states.LEFT)
        found.append(events.Reset(number, f"the client reset the stream ({faults.NAMES.get(code, code)})"))

    def _take_settings(self, payload: bytes, flags: int, number: int) -> None:
        # §6.5
        if number:
            raise on_a_stream("SETTINGS")
        if flags & frames.ACK:
            if payload:
                raise wrong_size("SETTINGS")
            if not self._welcomed:
                raise ConnectionFault("the first frame acknowledges SETTINGS, and has none")  # §3.4
            self._agree()
            return
        self._welcomed = True
        theirs = settings.read(payload)
        self._glitches.spend(1 + len(payload) // (8 * frames.SETTING_SIZE))
        for key, value in theirs:
            if key == settings.MAX_FRAME_SIZE:
                self._frame = value
            elif key == settings.HEADER_TABLE_SIZE:
                self._encoder.limit_table(value)
            elif key == settings.INITIAL_WINDOW_SIZE:
                self._change_windows(value)
        frames.write_ack(self._small)

    def _agree(self) -> None:
        """The peer knows our SETTINGS; before, its windows were those of the RFC (§6.9.2)."""
        narrower = self._our_window - self._terms.stream_window
        self._our_window = self._terms.stream_window
        if narrower:
            for stream in self.streams.values():
                stream.theirs -= narrower

    def _change_windows(self, size: int) -> None:
        # §6.9.2: also of the streams that are open, which may become negative.
        wider = size - self._their_window
        self._their_window = size
        for stream in self.streams.values():
            stream.window += wider
            if stream.window > frames.WINDOW_MOST:
                raise ConnectionFault("a window is too large", faults.FLOW_CONTROL_ERROR)
            if stream.queued and stream.window > 0:
                self._schedule.add(stream)

    def _take_ping(self, payload: bytes, flags: int, number: int) -> None:
        # §6.7
        if number:
            raise on_a_stream("PING")
        if len(payload) != frames.PING_SIZE:
            raise wrong_size("PING")
        self._glitches.spend(1)
        if not flags & frames.ACK:
            frames.write_ping(self._small, frames.ACK, payload)
        elif payload == LAST_PING and self._announced_end:
            self.end()

    def _take_priority(self, payload: bytes, number: int, found: list[Event]) -> None:
        # §6.3: it has no meaning any more, but a form.
        if number == 0:
            raise ConnectionFault("a PRIORITY frame belongs to no stream")
        self._glitches.spend(1)
        fault = None
        if len(payload) != frames.PRIORITY_SIZE:
            fault = StreamFault("a PRIORITY frame is not five bytes long", faults.FRAME_SIZE_ERROR)
        elif frames.number(payload, 0) & frames.STREAM_MASK == number:
            fault = StreamFault("a stream depends on itself")
        if fault is not None:
            if number not in self.streams and self._fates.of(number) == states.IDLE:
                raise ConnectionFault(fault.text, fault.code)
            self._break(number, fault, found)

    def _take_priority_update(self, payload: bytes, number: int) -> None:
        # RFC 9218 §7.1
        if number:
            raise on_a_stream("PRIORITY_UPDATE")
        if len(payload) < frames.NUMBER_SIZE:
            raise wrong_size("PRIORITY_UPDATE")
        self._glitches.spend(1)
        number = frames.number(payload, 0) & frames.STREAM_MASK
        if number == 0:
            raise ConnectionFault("a PRIORITY_UPDATE frame is for no stream")
        if number & 1 == 0:
            raise ConnectionFault("a PRIORITY_UPDATE frame is for a stream that was never pushed")
        urgency, incremental = priority.read(payload[frames.NUMBER_SIZE :])
        stream = self.streams.get(number)
        if stream is not None:
            self._schedule.move(stream, urgency, incremental)
        elif number > self._fates.last:
            self._promise(number, urgency, incremental)

    def _promise(self, number: int, urgency: int, incremental: bool) -> None:
        """Keep a priority until its stream is opened."""
        promised = self._promised
        if number not in promised and len(promised) + len(self.streams) >= self._terms.streams:
            for skipped in [one for one in promised if one <= self._fates.last]:
                del promised[skipped]
            if len(promised) + len(self.streams) >= self._terms.streams:
                raise ConnectionFault("priorities come for more streams than may be open")
        promised[number] = urgency, incremental

    def _say_goodbye(self, code: int, text: str) -> None:
        if self._final < 0:
            self._final = self._fates.last  # RFC 9113 §6.8: it must not grow
        frames.write_goaway(self._small, self._final, code, text.encode())


def wrong_size(kind: str) -> ConnectionFault:
    return ConnectionFault(f"a {kind} frame has a size that it cannot have", faults.FRAME_SIZE_ERROR)


def on_a_stream(kind: str) -> ConnectionFault:
    return ConnectionFault(f"a {kind} frame belongs to the connection, and came on a stream")
