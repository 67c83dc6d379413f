"""TLS as a filter between a transport and a link: the protocol of the one, the transport of the other.

Two memory buffers with OpenSSL between them, half as dear as the event loops' own TLS. What came sealed goes into
the one buffer and is read, record by record, right into the link's; what the link writes comes out of the other.

  WAITING ──► SHAKING ──► OPEN ──► ENDED        ENDED comes from each of the others, too

A deadline holds until the handshake is complete; from then on time is the link's. An end without close_notify
does no harm (RFC 8446 §6.1): HTTP and WebSocket say themselves where a message ends.
"""

from __future__ import annotations

import ssl
from collections.abc import Callable
from typing import Any

from portway.link.context import Shared
from portway.link.credentials import tls_extension
from portway.link.deadline import Deadline
from portway.link.drain import SILENCE, arrived
from portway.link.peers import address_of
from portway.wire.http1.encode import status_line

WAITING = 0  # nothing has come yet
SHAKING = 1
OPEN = 2
ENDED = 3  # our close_notify is sent, or TLS failed: what still comes is thrown away
NAMES = ("WAITING", "SHAKING", "OPEN", "ENDED")

# RFC 8446 §5.1: a record holds so much at most. OpenSSL's buffers, which never shrink, are filled with one at a time:
# a connection that once carried much does not keep much.
RECORD_MOST = 16 * 1024
SEALED_MOST = 17 * 1024

SLICED_MOST = 2048

# What is joined to be written, so that most records are full.
JOINED_MOST = 4 * RECORD_MOST

# So many records are written together.
RECORDS_TOGETHER = 64

# Changes of keys without any data between them (BoringSSL allows as many), and what may wait to be written then.
ANSWERS_MOST = 32
WRITE_MOST = 64 * 1024

COMPILED = not __file__.endswith(".py")

# What is not the number of bytes in a record.
END = 0
HALF = -1
BROKEN = -2

# What a plain HTTP client is told that came to the wrong port.
PLAIN = b"This port speaks https, and what came is plain http.\n"
PLAIN_ANSWER = (
    status_line(400)
    + b"\r\ncontent-type: text/plain; charset=utf-8\r\ncontent-length: %d\r\nconnection: close\r\n\r\n" % len(PLAIN)
    + PLAIN
)


class Filter(Deadline):
    """One connection. `choose` makes the link for the protocol that was agreed on (ALPN), or for None."""

    __slots__ = (
        "_answers", "_choose", "_incoming", "_left", "_link", "_open", "_outgoing", "_paused", "_shared", "_tls",
        "_told", "_transport", "_write", "peer", "state",
    )  # fmt: skip

    def __init__(self, shared: Shared, context: ssl.SSLContext, choose: Callable[[str | None], Any]) -> None:
        self._begin_time(shared.clock)
        self._shared = shared
        self._choose = choose
        self._incoming = ssl.MemoryBIO()
        self._outgoing = ssl.MemoryBIO()
        self._tls = context.wrap_bio(self._incoming, self._outgoing, server_side=True)
        # What SSLObject wraps in Python, of every CPython since 3.7: a call less for each record.
        records = getattr(self._tls, "_sslobj", self._tls)
        self._open: Any = records.read
        self._write: Any = records.write
        self._link: Any = None
        self._transport: Any = None
        self._paused = False  # the link wants nothing now
        self._left = False  # the peer will send nothing more
        self._answers = 0
        self._told = False  # and the link knows it
        self.state = WAITING
        self.peer: tuple[str, int | None] | None = None

    def __repr__(self) -> str:
        return f"<TLS {self.peer} {NAMES[self.state]} {self._link!r}>"

    # --- the transport's calls ---

    def connection_made(self, transport: Any) -> None:
        shared = self._shared
        self._transport = transport
        self.peer = address_of(transport.get_extra_info("peername"))
        shared.counts.links.add(self)
        self._arm(shared.deadlines.handshake)
        if shared.counts.draining:
            self.drain()

    def get_buffer(self, hint: int) -> memoryview:
        return self._shared.sealed

    def buffer_updated(self, size: int) -> None:
        state = self.state
        if state == OPEN:
            self._read(size)
        elif state != ENDED:
            self._shake(size)

    def eof_received(self) -> bool:
        """The end of the stream, whether close_notify came before it or not."""
        if self.state == ENDED or self._link is None:
            return self._link is not None and bool(self._link.eof_received())
        self._left = True
        self._read(0)
        return self.state == OPEN

    def pause_writing(self) -> None:
        if self._link is not None:
            self._link.pause_writing()

    def resume_writing(self) -> None:
        if self._link is not None:
            self._link.resume_writing()

    def connection_lost(self, error: Exception | None) -> None:
        link = self._link
        self.state = ENDED
        self._link = None
        if link is None:
            self._end_time()
            self._shared.counts.forget(self)
        else:
            link.connection_lost(error)
        self._transport = None

    # --- the handshake ---

    def _shake(self, size: int) -> None:
        sealed = self._shared.sealed
        if self.state == WAITING:
            if 0x41 <= sealed[0] <= 0x5A:  # a method; no record of TLS begins with a letter
                self._transport.write(PLAIN_ANSWER)
                self._refuse("what came is plain http")
                return
            self.state = SHAKING
        self._incoming.write(sealed[:size])
        try:
            self._tls.do_handshake()
        except ssl.SSLWantReadError:
            self._push()
            return
        except ssl.SSLError as error:
            self._push()  # the alert
            self._refuse(reason(error))
            return
        self._push()
        self._end_time()
        self.state = OPEN
        link = self._link = self._choose(self._tls.selected_alpn_protocol())
        link.connection_made(self)
        self._shared.counts.forget(self)
        if self._incoming.pending:
            self._read(0)

    def _refuse(self, why: str) -> None:
        """There will be no TLS. The peer may still be writing: a close now could take the answer from its hands."""
        self._shared.refusals.mention(self.peer, "no TLS: " + why)
        self.state = ENDED
        self._transport.write_eof()
        self._arm(self._shared.deadlines.linger)

    def _expire(self) -> None:
        draining = self._shared.counts.draining
        if draining and self.state < OPEN and arrived(self._transport):
            self._arm(1)  # the loop is about to read it
            return
        if self.state != ENDED and not draining:
            self._shared.refusals.mention(self.peer, "no TLS: the handshake was not complete in time")
        self.abort()

    # --- reading ---

    def _read(self, size: int) -> None:
        """Give the link what came: as many records at once as it has room for. So many bytes are yet to be fed."""
        incoming = self._incoming
        fed = 0
        while self.state == OPEN and not self._paused and not self._told:
            room = self._link.get_buffer(-1)
            most = len(room) - RECORD_MOST
            at = 0
            got = HALF
            more = True
            while at <= most:
                if not incoming.pending:
                    if fed == size:
                        more = False
                        break
                    fed = self._feed(fed, size)
                got = self._open_record(room if at == 0 else memoryview(room)[at:])
                if got > 0:
                    at += got
                elif got != HALF:
                    break
            if got == BROKEN:
                return
            if at:
                self._link.buffer_updated(at)
            if got == END or (self._left and not at):
                self._tell()
            elif not more and not self._left:
                return
        if fed < size and self.state == OPEN and not self._told:
            incoming.write(self._shared.sealed[fed:size])

    def _feed(self, fed: int, size: int) -> int:
        end = min(size, fed + SEALED_MOST)
        source: bytearray = self._shared.sealed.obj  # type: ignore[assignment]
        buffer = source
        if COMPILED and end - fed < SLICED_MOST:
            # A slice of a C pointer is a bytes object: cheaper than one of a memoryview, as long as it is small.
            piece: bytes = buffer[fed:end]  # type: ignore[assignment]
            self._incoming.write(piece)
        else:
            self._incoming.write(self._shared.sealed[fed:end])
        return end

    def _open_record(self, room: Any) -> int:
        """The next record's content into `room`, which has enough: its size, or HALF, END, or BROKEN."""
        try:
            got: int = self._open(RECORD_MOST, room)
        except ssl.SSLWantReadError:
            got = HALF
        except ssl.SSLZeroReturnError:
            got = END
        except ssl.SSLError as error:
            self._break_off(reason(error))
            return BROKEN
        if got > 0:
            self._answers = 0
        return BROKEN if self._outgoing.pending and not self._answer() else got

    def _answer(self) -> bool:
        """OpenSSL has something to say to the peer, who asked for new keys (RFC 8446 §4.6.3) or to negotiate anew."""
        self._answers += 1
        if self._tls.version() == "TLSv1.2":
            self._break_off("renegotiation is refused")
        elif self._answers > ANSWERS_MOST or self._transport.get_write_buffer_size() > WRITE_MOST:
            self._break_off("the peer asks for new keys again and again")
        else:
            self._push()
        return self.state == OPEN

    def _break_off(self, why: str) -> None:
        self._shared.refusals.mention(self.peer, "TLS ended: " + why)
        self._push()
        self.state = ENDED
        self._transport.close()

    def _tell(self) -> None:
        """All was read; the link may still have something to write."""
        self._told = True
        if not self._link.eof_received():
            self.close()

    # --- the link's calls: what it takes for a transport ---

    def write(self, data: bytes) -> None:
        if self.state != OPEN:
            return
        if len(data) > RECORD_MOST:
            self._seal([data])
        elif data:
            self._write(data)
            self._transport.write(self._outgoing.read())

    def writelines(self, parts: list[bytes]) -> None:
        if self.state == OPEN:
            self._seal(together(parts))

    def write_eof(self) -> None:
        self._say_goodbye()
        if self._transport is not None:
            self._transport.write_eof()

    def close(self) -> None:
        self._say_goodbye()
        if self._transport is not None:
            self._transport.close()

    def abort(self) -> None:
        self.state = ENDED
        if self._transport is not None:
            self._transport.abort()

    def pause_reading(self) -> None:
        self._paused = True
        self._transport.pause_reading()

    def resume_reading(self) -> None:
        self._paused = False
        if not self._left:
            self._transport.resume_reading()
        if self._left or self._incoming.pending:
            self._shared.loop.call_soon(self._read_on)

    def get_write_buffer_size(self) -> int:
        return int(self._transport.get_write_buffer_size())

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        self._transport.set_write_buffer_limits(high=high, low=low)

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        """What the transport knows; `tls` is the extension of ASGI 53."""
        if name == "tls":
            return tls_extension(self._tls)
        if name == "ssl_object":
            return self._tls
        if name == "unread":
            return self._incoming.pending
        return self._transport.get_extra_info(name, default)

    def is_closing(self) -> bool:
        return self._transport is None or bool(self._transport.is_closing())

    # --- the server's calls, as long as there is no link ---

    def drain(self) -> None:
        if self.state == ENDED:
            self.abort()
        elif not self._deadline or self._deadline > self._clock.now + SILENCE:
            self._arm(SILENCE)  # the handshake is under way, and a request to follow

    def disconnect(self) -> None:
        self.abort()

    def sever(self) -> None:
        self.abort()

    # --- inside ---

    def _read_on(self) -> None:
        """What had come when the link paused."""
        self._read(0)

    def _push(self) -> None:
        if self._outgoing.pending:
            self._transport.write(self._outgoing.read())

    def _seal(self, parts: list[bytes]) -> None:
        sealed: list[bytes] = []
        for part in parts:
            view = memoryview(part)
            for at in range(0, len(part), RECORD_MOST):
                self._write(view[at : at + RECORD_MOST])
                sealed.append(self._outgoing.read())
                if len(sealed) == RECORDS_TOGETHER:
                    self._send(sealed)
                    sealed = []
        if sealed:
            self._send(sealed)

    def _send(self, sealed: list[bytes]) -> None:
        if self._shared.gathers:
            self._transport.writelines(sealed)
        else:
            self._transport.write(b"".join(sealed))

    def _say_goodbye(self) -> None:
        """Our close_notify (RFC 8446 §6.1); the peer's is not waited for."""
        if self.state == OPEN:
            self.state = ENDED
            try:
                self._tls.unwrap()
            except ssl.SSLError:
                pass
            self._push()


def together(parts: list[bytes]) -> list[bytes]:
    """The parts, of which small neighbours are joined: a record of its own costs 8,000 instructions, and the head of a
    frame is a part, too.
    """
    joined: list[bytes] = []
    few: list[bytes] = []
    size = 0
    for part in parts:
        large = len(part) > RECORD_MOST
        if few and (large or size + len(part) > JOINED_MOST):
            joined.append(b"".join(few))
            few = []
            size = 0
        if large:
            joined.append(part)
        else:
            few.append(part)
            size += len(part)
    if few:
        joined.append(b"".join(few))
    return joined


def reason(error: ssl.SSLError) -> str:
    """OpenSSL's word for it."""
    return (error.reason or "the peer broke it off").replace("_", " ").lower()
