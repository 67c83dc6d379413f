"""TLS as a filter between a transport and a link: the protocol of the one, the transport of the other.

Two memory buffers and OpenSSL between them. What is read goes into the first, what the link writes comes out of
the second; no bytes are held here that OpenSSL does not hold. Half as dear as the event loops' own TLS.
"""

from __future__ import annotations

import logging
import ssl
from collections.abc import Callable
from typing import Any

from portway.link.context import READ_MOST, Shared
from portway.link.peers import address_of, name_of
from portway.wire.http1.encode import status_line

log = logging.getLogger("portway")

SHAKING = 0
OPEN = 1
ENDED = 2  # our close_notify is sent
NAMES = ("SHAKING", "OPEN", "ENDED")

# A TLS record holds so much at most (RFC 8446 §5.1).
RECORD_MOST = 16 * 1024

# What a plain HTTP client is told that came to the wrong port.
PLAIN = b"This port speaks https, and what came is plain http.\n"
PLAIN_ANSWER = (
    status_line(400)
    + b"\r\ncontent-type: text/plain; charset=utf-8\r\ncontent-length: %d\r\nconnection: close\r\n\r\n" % len(PLAIN)
    + PLAIN
)


class Filter:
    """One connection. `choose` makes the link for the protocol that was agreed on (ALPN), or None."""

    __slots__ = (
        "__weakref__", "_choose", "_incoming", "_link", "_outgoing", "_paused", "_shared", "_slot", "_ssl", "_transport",
        "peer", "state",
    )  # fmt: skip

    def __init__(self, shared: Shared, context: ssl.SSLContext, choose: Callable[[str | None], Any]) -> None:
        self._shared = shared
        self._choose = choose
        self._incoming = ssl.MemoryBIO()
        self._outgoing = ssl.MemoryBIO()
        self._ssl = context.wrap_bio(self._incoming, self._outgoing, server_side=True)
        self._link: Any = None
        self._transport: Any = None
        self._paused = False
        self._slot = 0
        self.state = SHAKING
        self.peer: tuple[str, int | None] | None = None

    def __repr__(self) -> str:
        return f"<TLS {self.peer} {NAMES[self.state]} {self._link!r}>"

    # --- the transport's calls ---

    def connection_made(self, transport: Any) -> None:
        shared = self._shared
        self._transport = transport
        self.peer = address_of(transport.get_extra_info("peername"))
        shared.counts.links.add(self)
        if shared.deadlines.shake:
            self._slot = shared.clock.now + shared.deadlines.shake
            shared.clock.put(self, self._slot)

    def get_buffer(self, hint: int) -> bytearray:
        return self._shared.buffer

    def buffer_updated(self, size: int) -> None:
        self._incoming.write(self._shared.view[:size])
        if self.state == SHAKING:
            self._shake()
        elif not self._paused:
            self._read()

    def eof_received(self) -> bool:
        """The peer ended without a close_notify, as many do: no harm is done, since HTTP says where things end."""
        if self._link is None:
            return False
        return bool(self._link.eof_received())

    def pause_writing(self) -> None:
        if self._link is not None:
            self._link.pause_writing()

    def resume_writing(self) -> None:
        if self._link is not None:
            self._link.resume_writing()

    def connection_lost(self, error: Exception | None) -> None:
        self._at_rest()
        if self._link is not None:
            self._link.connection_lost(error)
        self._transport = None

    # --- the handshake ---

    def _shake(self) -> None:
        try:
            self._ssl.do_handshake()
        except ssl.SSLWantReadError:
            self._push()
            return
        except ssl.SSLError as error:
            self._refuse(error)
            return
        self._push()
        self.state = OPEN
        link = self._choose(self._ssl.selected_alpn_protocol())
        self._link = link
        link.connection_made(self)
        self._at_rest()
        if self._incoming.pending and not self._paused:
            self._read()

    def _refuse(self, error: ssl.SSLError) -> None:
        reason = error.reason or ""
        if reason in ("HTTP_REQUEST", "HTTPS_PROXY_REQUEST"):
            self._transport.write(PLAIN_ANSWER)
            why = "what came is plain http"
        else:
            self._push()  # the alert
            why = reason.replace("_", " ").lower() or "the peer went"
        log.info("%s: no TLS: %s", name_of(self.peer), why)
        self.state = ENDED
        self._transport.close()

    def _at_rest(self) -> None:
        """The handshake is over, or given up."""
        shared = self._shared
        if self._slot:
            shared.clock.take(self, self._slot)
            self._slot = 0
        counts = shared.counts
        if self in counts.links:
            counts.links.discard(self)
            if not counts.links and counts.on_last_link is not None:
                counts.on_last_link()

    def visit(self, now: int) -> int:
        """The clock's call: the handshake took too long."""
        self._slot = 0
        if self.state == SHAKING and self._transport is not None:
            log.info("%s: no TLS: the handshake was not complete in time", name_of(self.peer))
            self._transport.abort()
        return 0

    # --- reading ---

    def _read(self) -> None:
        """Give the link what came, as many records at once as its buffer holds."""
        shared = self._shared
        tls = self._ssl
        incoming = self._incoming
        while self.state == OPEN and not self._paused:
            at = 0
            ended = False
            try:
                while at <= READ_MOST - RECORD_MOST:
                    size = tls.read(RECORD_MOST, shared.view[at:])
                    at += size
                    if not size:
                        ended = True
                        break
                    if not incoming.pending and not tls.pending():
                        break
            except ssl.SSLWantReadError:
                pass
            except (ssl.SSLZeroReturnError, ssl.SSLEOFError, ssl.SSLSyscallError):
                ended = True
            except ssl.SSLError as error:
                log.info("%s: TLS broken: %s", name_of(self.peer), (error.reason or "").replace("_", " ").lower())
                self._push()
                self._transport.abort()
                return
            if self._outgoing.pending:  # the answer to a change of keys, an alert
                self._push()
            if at:
                self._link.buffer_updated(at)
            if ended:
                if self._transport is not None and not self._link.eof_received():
                    self.close()
                return
            if not incoming.pending and not tls.pending():
                return
            if not at:
                return

    # --- the link's calls: what it takes for a transport ---

    def write(self, data: bytes) -> None:
        if self.state == OPEN:
            self._ssl.write(data)
            self._push()

    def writelines(self, parts: list[bytes]) -> None:
        if self.state == OPEN:
            for part in parts:
                self._ssl.write(part)
            self._push()

    def write_eof(self) -> None:
        """The last of ours; what still comes is of no interest to anyone."""
        self._end()
        if self._transport is not None and self._transport.can_write_eof():
            self._transport.write_eof()

    def close(self) -> None:
        self._end()
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
        self._transport.resume_reading()
        if self._incoming.pending or self._ssl.pending():
            self._shared.loop.call_soon(self._read_on)

    def get_write_buffer_size(self) -> int:
        return int(self._transport.get_write_buffer_size())

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        self._transport.set_write_buffer_limits(high=high, low=low)

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        if name == "ssl_object":
            return self._ssl
        return self._transport.get_extra_info(name, default)

    def is_closing(self) -> bool:
        return self._transport is None or bool(self._transport.is_closing())

    # --- the server's calls, before there is a link ---

    def drain(self) -> None:
        self.abort()

    def disconnect(self) -> None:
        self.abort()

    def sever(self) -> None:
        self.abort()

    # --- inside ---

    def _read_on(self) -> None:
        if self._transport is not None and not self._paused:
            self._read()

    def _push(self) -> None:
        if self._outgoing.pending and self._transport is not None:
            self._transport.write(self._outgoing.read())

    def _end(self) -> None:
        """Say close_notify (RFC 8446 §6.1); the peer's is not waited for."""
        if self.state == OPEN:
            self.state = ENDED
            try:
                self._ssl.unwrap()
            except ssl.SSLError:
                pass
            self._push()
