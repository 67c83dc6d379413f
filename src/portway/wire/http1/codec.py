"""HTTP/1.1 for a server, sans-IO: `receive` takes bytes and gives events, `take` gives bytes to write.

It knows no time, no socket and no application. The rules of its states are in `states`.
"""

from __future__ import annotations

from portway.wire import events, fields, grammar, waits
from portway.wire.faults import Preface, ProtocolFault
from portway.wire.fields import Outgoing
from portway.wire.http1 import bodies, encode, states
from portway.wire.http1.encode import Preamble
from portway.wire.http1.head import Section, read_head
from portway.wire.port import Limits

Event = events.Head | events.Body | events.Reset

# Empty lines before a request-line are skipped (RFC 9112 §2.2), so many bytes of them.
EMPTY_LINES = 8

# Unread pipelined bytes after which the link should stop reading.
PIPELINE = 16 * 1024

# The rest of an unread body that is worth reading to keep the connection.
DRAIN = 64 * 1024

# The first bytes of what was wrong, for the log.
SEEN = 64


class Codec:
    """One connection's server side.

    `closing` says that the connection ends when what is queued has been written, `heard` that nothing of
    what the peer sent by then was left unread.
    """

    __slots__ = (
        "_chunked", "_empty", "_framing", "_head", "_kept", "_last", "_left", "_limits", "_old", "_ours", "_out",
        "_preamble", "_theirs", "_unread", "closing", "heard", "requests",
    )  # fmt: skip

    def __init__(self, limits: Limits, preamble: Preamble) -> None:
        self._limits = limits
        self._preamble = preamble
        self._theirs = states.HEAD
        self._ours = states.IDLE
        self._kept: bytes = b""
        self._out: list[bytes] = []
        self._head: events.Head | None = None
        self._last = Section()
        self._old = False
        self._framing = encode.NOTHING
        self._left = 0
        self._chunked: bodies.Chunked | None = None
        self._empty = 0
        self._unread = False
        self.requests = 0
        self.closing = False
        self.heard = False

    def __repr__(self) -> str:
        theirs, ours = states.NAMES[self._theirs], states.NAMES[self._ours]
        return f"<HTTP/1 theirs={theirs} ours={ours} requests={self.requests} kept={len(self._kept)}>"

    # --- theirs: bytes in, events out ---

    def receive(self, data: bytes) -> list[Event]:
        """Take bytes of the peer, or none to read on in what was kept; ProtocolFault if they are wrong."""
        found: list[Event] = []
        if self._kept:
            if data and self._keeps(data):
                return found
            data = self._kept + data
            self._kept = b""
        at = begin = 0
        stop = len(data)
        try:
            while at < stop:
                begin = at
                if self._theirs == states.HEAD:
                    at = self._receive_head(data, at, found)
                elif self._theirs == states.BODY:
                    at = self._receive_body(data, at, found)
                elif self._theirs == states.CHUNKS:
                    at = self._receive_chunks(data, at, found)
                elif self._theirs == states.CLOSED:
                    return found
                if at == begin:
                    self._kept = data[at:] if at else data
                    break
        except ProtocolFault as fault:
            if self.requests == 0 and grammar.preface.match(data, begin):
                fault = Preface(fault.text, fault.status)
            if isinstance(fault, Preface):
                fault.data = data[begin:]
            fault.seen = data[begin : begin + SEEN]
            raise fault from None
        return found

    def eof(self) -> list[Event]:
        """The peer will send nothing more."""
        whole = self._theirs == states.FINISHED
        if not (whole and self._kept):
            # What is kept behind a whole request may be further whole requests: they are still answered.
            self.closing = True
        if whole:
            return []
        lost = (self._theirs == states.BODY or self._theirs == states.CHUNKS) and not self._unread
        self._theirs = states.CLOSED
        self._kept = b""
        return [events.Reset(self.requests, "the client closed the connection within its request")] if lost else []

    def unread(self) -> None:
        """No one wants the rest of this request's body: read it without events."""
        self._unread = True

    def turn(self) -> bool:
        """The response is sent: turn to the next request. Whether there are bytes of it already."""
        self._ours = states.IDLE
        if self.closing or self._costly():
            self.closing = True
            self.heard = self._theirs == states.FINISHED and not self._kept
            self._theirs = states.CLOSED
            self._kept = b""
        elif self._theirs == states.FINISHED:
            self._theirs = states.HEAD
        else:
            self._unread = True
        return bool(self._kept)

    def waiting(self) -> int:
        """Which of the waits in `wire.waits` the connection is in."""
        if self._theirs == states.HEAD:
            return waits.FOR_HEAD if self._kept or self.requests == 0 else waits.FOR_REQUEST
        if self._theirs == states.CLOSED:
            return waits.FOR_END
        return waits.FOR_US if self._theirs == states.FINISHED else waits.FOR_BODY

    def crowded(self) -> bool:
        """So much is kept unread that no more should come."""
        return len(self._kept) > PIPELINE and self._theirs == states.FINISHED

    def idle(self) -> bool:
        """Between requests: no response is owed, and nothing of a request has come."""
        return self._ours == states.IDLE and self._theirs == states.HEAD and not self._kept

    def begun(self) -> bool:
        """Whether anything of a request has come that is not answered yet."""
        return bool(self._kept) or self._theirs != states.HEAD

    def behind(self) -> bool:
        """Whether anything has come behind the request under way."""
        return bool(self._kept)

    def until_close(self) -> bool:
        """Whether the end of the connection is what ends the response under way (HTTP/1.0)."""
        return self._framing == encode.CLOSE

    def unframed(self) -> bool:
        """Whether the body of the response under way stands on the wire as it is, without chunks."""
        return self._framing == encode.LENGTH or self._framing == encode.CLOSE

    def _keeps(self, data: bytes) -> bool:
        """Keep bytes that end no line of a head or of trailers, and read on only when one has ended.

        Else whoever sends single bytes would make us read what is there again for each of them.
        """
        if b"\n" in data:
            return False
        if self._theirs == states.HEAD:
            most = self._limits.head if b"\n" in self._kept else self._limits.line
        elif self._theirs == states.CHUNKS and self._chunked.state == bodies.TRAILERS:  # type: ignore[union-attr]
            most = self._limits.head
        else:
            return False
        if len(self._kept) + len(data) > most:
            return False
        self._kept += data
        return True

    def _receive_head(self, data: bytes, at: int, found: list[Event]) -> int:
        if data[at] == 0x0D:
            at = self._skip_empty_lines(data, at)
            if at == len(data) or data[at] == 0x0D:
                return at
        head = read_head(data, at, self.requests + 1, self._limits, self._last)
        if head is None:
            return at
        self.requests += 1
        self._empty = 0
        self._head = head
        self._ours = states.OWED
        self._unread = False
        self._old = head.version == "1.0"
        if head.end:
            self._theirs = states.FINISHED
        elif head.length == events.UNKNOWN:
            self._chunked = bodies.Chunked(self._limits)
            self._theirs = states.CHUNKS
        else:
            self._left = head.length
            self._theirs = states.BODY
        found.append(head)
        return head.after

    def _skip_empty_lines(self, data: bytes, at: int) -> int:
        while data[at : at + 2] == b"\r\n":
            at += 2
            self._empty += 2
            if self._empty > EMPTY_LINES:
                raise ProtocolFault("there are empty lines where a request should begin")
        if data[at : at + 1] == b"\r" and len(data) > at + 1:
            raise ProtocolFault("a carriage return stands alone, without a line feed")
        return at

    def _receive_body(self, data: bytes, at: int, found: list[Event]) -> int:
        end = min(len(data), at + self._left)
        self._left -= end - at
        last = self._left == 0
        if last:
            self._theirs = states.FINISHED
        if not self._unread:
            found.append(events.Body(self.requests, data[at:end], last))
        elif last:
            self._skipped()
        return end

    def _receive_chunks(self, data: bytes, at: int, found: list[Event]) -> int:
        content: list[bytes] = []
        chunked = self._chunked
        assert chunked is not None
        at = chunked.feed(data, at, content)
        last = chunked.done
        if last:
            self._theirs = states.FINISHED
            self._chunked = None
        if not self._unread:
            if content or last:
                found.append(events.Body(self.requests, b"".join(content), last))
        elif last:
            self._skipped()
        return at

    def _skipped(self) -> None:
        """An unwanted body is through; if its response is sent already, the next request may come."""
        if self._ours == states.IDLE:
            self._theirs = states.HEAD

    # --- ours: what the application answers, bytes out ---

    def take(self) -> list[bytes]:
        """The bytes to write, in pieces, which are the caller's from now on."""
        out = self._out
        self._out = []
        return out

    def respond(self, status: int, outgoing: Outgoing, body: bytes, end: bool) -> None:
        """Queue the final response's head and the first piece of its body."""
        head = self._head
        assert head is not None
        bodiless = encode.bodiless(status, head.method)
        if bodiless:
            framing = encode.NOTHING
            if status == 204:
                outgoing.drop_length()
        else:
            framing = encode.framing(outgoing, self._old, end)
        self._settle_persistence(head, outgoing, framing, end)

        out = self._out
        if outgoing.dated or outgoing.served:
            out.append(self._preamble.lines_beside(status, outgoing))
        else:
            out.append(self._preamble.lines(status))
        encode.write_fields(out, outgoing)
        if outgoing.length == fields.NO_LENGTH:
            self._write_framing(framing, body, end, status)
        if self.closing:
            out.append(b"\r\nconnection: close")
        elif self._old:
            out.append(b"\r\nconnection: keep-alive")
        out.append(encode.END)
        self._framing = framing
        self._ours = states.SENDING
        self.body(body, end)

    def inform(self, status: int, outgoing: Outgoing | None) -> None:
        """Queue an interim response (RFC 9110 §15.2); HTTP/1.0 does not know them."""
        if self._old or self._head is None:
            return
        self._out.append(encode.status_line(status))
        if outgoing is not None:
            encode.write_fields(self._out, outgoing)
        self._out.append(encode.END)
        if status == 100:
            self._head.expect = False

    def body(self, data: bytes, end: bool) -> None:
        """Queue a piece of the response's body."""
        if data and self._framing != encode.NOTHING:
            if self._framing == encode.CHUNKED:
                encode.write_chunk(self._out, data)
            else:
                self._out.append(data)
        if end:
            if self._framing == encode.CHUNKED:
                self._out.append(encode.LAST_CHUNK)
            self._ours = states.SENT

    def trailers(self, outgoing: Outgoing) -> None:
        """Queue the trailer section and end the response; only the chunked coding can carry it."""
        if self._framing == encode.CHUNKED:
            self._out.append(b"0")
            encode.write_fields(self._out, outgoing)
            self._out.append(encode.END)
        self._ours = states.SENT

    def tunnel(self, outgoing: Outgoing, protocol: bytes) -> bytes:
        """Queue 101 and be HTTP no more; what has come of the other protocol already."""
        outgoing.drop_length()
        out = self._out
        out.append(self._preamble.lines_beside(101, outgoing))
        out.append(b"\r\nupgrade: " + protocol + b"\r\nconnection: upgrade")
        encode.write_fields(out, outgoing)
        out.append(encode.END)
        self._theirs = states.TUNNEL
        self._ours = states.TUNNEL
        self._last = Section()
        kept = self._kept
        self._kept = b""
        return kept

    def pour(self, parts: list[bytes]) -> None:
        """Queue bytes of the other protocol; the list is ours from now on."""
        if self._out:
            self._out += parts
        else:
            self._out = parts

    def fail(self, fault: ProtocolFault) -> bool:
        """Queue the refusal, if one can still be given; nothing more is read. Whether one was queued."""
        # IDLE within a body: its response is out already, and a second one would pass for the next.
        possible = self._ours == states.OWED or (self._ours == states.IDLE and self._theirs == states.HEAD)
        if possible:
            text = fault.text.encode() + b"\n"
            method = "" if self._head is None or self._ours == states.IDLE else self._head.method
            self._out.append(self._preamble.lines(fault.status))
            self._out.append(b"\r\ncontent-type: text/plain; charset=utf-8\r\ncontent-length: %d" % len(text))
            self._out.append(b"\r\nconnection: close\r\n\r\n")
            if method != "HEAD":
                self._out.append(text)
        self._theirs = states.CLOSED
        self._ours = states.CLOSED
        self._kept = b""
        self.closing = True
        return possible

    def _settle_persistence(self, head: events.Head, outgoing: Outgoing, framing: int, end: bool) -> None:
        """RFC 9112 §9.3, and whether the rest of the request is worth reading."""
        if head.close or outgoing.close or framing == encode.CLOSE:
            self.closing = True
        elif head.expect:
            # 100 was never sent: whether the body follows is the client's choice (RFC 9110 §10.1.1).
            self.closing = True
        elif end and self._costly():
            self.closing = True

    def _costly(self) -> bool:
        """Whether what is left of the request is too much to be read for nothing."""
        return self._theirs == states.CHUNKS or (self._theirs == states.BODY and self._left > DRAIN)

    def _write_framing(self, framing: int, body: bytes, end: bool, status: int) -> None:
        if framing == encode.CHUNKED:
            self._out.append(b"\r\ntransfer-encoding: chunked")
        elif framing == encode.LENGTH or (body and end and status != 204 and status != 304):
            # Also for HEAD: the length that GET would have had, if the application showed it.
            self._out.append(b"\r\ncontent-length: %d" % len(body))
