"""One connection: bytes from its transport to the codec, events to the request under way, one write back.

A duck-typed asyncio.BufferedProtocol (a compiled class can inherit none). HTTP/1.1 has one request at a
time; it is `_cycle` from its head to the end of its response. Its Task may live longer.
"""

from __future__ import annotations

from typing import Any

from portway.asgi import http
from portway.asgi.http import Cycle
from portway.asgi.websocket import WebSocket
from portway.link import flow, outbox
from portway.link.clock import ticks
from portway.link.context import READ_MOST, Shared
from portway.link.peers import reset_on_close
from portway.link.plain import Small, speak_to
from portway.link.requests import Requests
from portway.link.splice import Splice, open_splice
from portway.wire import events, waits
from portway.wire.faults import Preface, ProtocolFault
from portway.wire.fields import Outgoing
from portway.wire.http1.codec import Codec
from portway.wire.websocket import closing, handshake

HELD_MOST = READ_MOST  # of content of a request that the application has not asked for
HELD_FEW = 16 * 1024  # when so much of it is left, reading goes on
COUNTED_LEAST = 2048  # what a response counts at least among those that are given in one turn of the loop
READ_LEAST = 16 * 1024  # the least that is worth a read: below it, reading stops
LARGE_READ = 16 * 1024  # from so large a read on, a tunnel reads into the buffer, which saves a copy: see `plain.Small`
LOOK = ticks(5.0)  # how often a client is looked for that is not read from

COMPILED = not __file__.endswith(".py")


class Link(Requests):
    """HTTP/1.1, one request at a time, and the tunnel that it may become."""

    __slots__ = (
        "_answered", "_codec", "_corked", "_cycle", "_heads", "_held", "_later", "_socket", "_splice",
        "_tunnel", "_waiting",
    )  # fmt: skip

    def __init__(self, shared: Shared) -> None:
        self._begin_requests(shared)
        self._codec = Codec(shared.limits, shared.preamble)
        self._cycle: Cycle | None = None
        self._socket: WebSocket | None = None  # that the request under way asked for
        self._tunnel: WebSocket | None = None  # what all bytes belong to, since it was accepted
        self._splice: Splice | None = None  # a piece of a file that is being written past the transport
        self._corked = False  # what is queued is written when the bytes at hand have been looked at
        self._answered = False  # the response of `_cycle` is complete
        self._later = False  # the loop will call `data_received`, for what the codec has kept
        self._held = 0
        self._heads = 0
        self._waiting = waits.FOR_HEAD

    def __repr__(self) -> str:
        return f"<Link {self.peer} {self._codec!r} {self._cycle!r}>"

    # --- the transport's calls ---

    def connection_made(self, transport: Any) -> None:
        self._meet(transport)
        self._wait(waits.FOR_HEAD)
        if self._shared.counts.draining:
            self.drain()

    def get_buffer(self, hint: int) -> memoryview | bytearray:
        if self._held:
            return self._shared.view[: HELD_MOST - self._held]
        return self._shared.view if self._tunnel is None else self._shared.buffer

    def buffer_updated(self, size: int) -> None:
        read = self._shared.buffer
        if self._tunnel is not None:
            self._deliver(read, size)
            return
        buffer = read
        if COMPILED:
            # A slice of a C pointer is a bytes object already: saves 900 instructions of 40,000.
            data: bytes = buffer[0:size]  # type: ignore[assignment]
        else:
            data = bytes(buffer[0:size])
        self.data_received(data)

    def data_received(self, data: bytes) -> None:
        if self._transport is None:  # `_turn` asked for this, and the connection went in between
            return
        if self._tunnel is not None:
            if len(data) >= LARGE_READ:
                speak_to(self._transport, self._shared.protocol(self))
            self._deliver(data, len(data))
            return
        self._corked = True
        self._later = False
        answered = False
        queued = 0
        turning: Preface | None = None
        try:
            self._take_in(self._codec.receive(data))
            while self._answered:
                answered = True
                self._answered = False
                if self._cycle is not None:
                    queued += max(self._cycle.size, COUNTED_LEAST)
                    self._cycle = None
                if not self._codec.turn():
                    break
                if queued > flow.JOIN_MOST:
                    self._flush()
                    if not self._full:  # else `resume_writing` goes on
                        self._go_on_later()
                    break
                self._take_in(self._codec.receive(b""))
        except Preface as preface:
            turning = preface
        except ProtocolFault as fault:
            self._refuse(fault)
        if turning is not None and self._turn_to_http2(turning):
            return  # not from within the `except`: what applications raise would be told as if it came of this
        self._corked = False
        if not answered or self._cycle is not None or queued > outbox.LARGEST or not self._shared.outbox.takes(self):
            self._flush()
        self._settle()

    def eof_received(self) -> bool:
        """The peer will send nothing more; it may still read what it asked for."""
        while self._cycle is None and self._codec.begun() and self._transport is not None:
            self.data_received(b"")  # what was put off may be whole
            if not self._later:
                break
        self._left = True
        self._flush()
        if self._lingering:
            return False
        if self._tunnel is not None:
            self._tunnel.gone()
            return False
        truncated = bool(self._codec.eof())
        cycle = self._cycle
        if cycle is None:
            return False
        if truncated:
            self._cycle = None
            cycle.gone()
        else:
            cycle.leave()
            if self._socket is not None:
                self._socket.leave()
        self._call_off(cycle)
        return not truncated

    def resume_writing(self) -> None:
        self._full = False
        if self._splice is not None:
            self._splice.go_on()
            return
        self._settle()
        if self._lingering:
            self._wait(waits.FOR_END)
        elif self._tunnel is not None:
            self._tunnel.writable()
        elif self._cycle is not None:
            self._cycle.writable()
        elif self._codec.begun():
            self._shared.loop.call_soon(self.data_received, b"")

    def connection_lost(self, error: Exception | None) -> None:
        self._let_go()  # before anyone is told
        if self._splice is not None:
            self._splice.stop()
        socket = self._socket
        self._socket = self._tunnel = None
        if socket is not None:
            self._lose(socket)
        cycle = self._cycle
        self._cycle = None
        if cycle is not None:
            self._lose(cycle)

    # --- events of the codec ---

    def _take_in(self, found: list[Any]) -> None:
        unbegun = None
        for event in found:
            if type(event) is events.Head:
                unbegun = self._begin(event)
            elif self._cycle is not None:
                body = event
                self._held = self._cycle.deliver(body.data, body.end)
                if self._held > HELD_MOST - READ_LEAST:
                    self._pause()
        if unbegun is not None:
            # Not before: the application finds there what of the content came along with the head.
            self._start(unbegun, self._asked)

    def _begin(self, head: events.Head) -> Cycle | None:
        """The request, if its application is yet to be called."""
        cycle = self._cycle = self._cycle_of(head)
        self._held = 0  # what an earlier request left unread is gone
        if cycle.state == http.DONE:
            return None
        if head.upgrade is not None and self._shared.websockets is not None and handshake.asked_for(head):
            socket = self._socket_of(cycle, self, handshake.open_http1)
            if socket is not None:
                self._socket = socket
                self._open(socket, self._asked)
            return None
        return cycle

    # --- what the request under way asks of the wire ---

    def respond(self, stream: int, status: int, headers: Outgoing, body: bytes, end: bool) -> bool:
        if self._draining and not self._codec.behind() and not self._arrived():
            headers.close = True  # with the last of those that have come (RFC 9112 §9.6)
        self._codec.respond(status, headers, body, end)
        return self._sent(end, len(body) <= outbox.LARGEST)

    def inform(self, stream: int, status: int, headers: Outgoing | None) -> None:
        self._codec.inform(status, headers)
        self._flush()

    def body(self, stream: int, data: bytes, end: bool) -> bool:
        self._codec.body(data, end)
        return self._sent(end, False)

    def splice(self, stream: int, descriptor: int, offset: int, size: int) -> Any:
        if not self._lingering and self._codec.unframed():
            self._splice = open_splice(self, self._transport, self._shared.loop, descriptor, offset, size)
        return None if self._splice is None else self._splice.begin()

    def spliced(self) -> None:
        self._splice = None
        if self._transport is not None:
            self.resume_writing()

    def trailers(self, stream: int, headers: Outgoing) -> None:
        self._codec.trailers(headers)
        self._sent(True, False)

    def reset(self, stream: int) -> None:
        # The framing was left open, so that closing tells the peer that something is missing (ASGI 7).
        self._cycle = None
        self._flush()
        self._codec.closing = True
        if self._codec.until_close():
            self._cut_off()
        else:
            self._lingering = True
            self._transport.close()
            self._wait(waits.FOR_END)

    def tunnel(self, stream: int, headers: Outgoing) -> bytes:
        kept = self._codec.tunnel(headers, b"websocket")
        self._cycle = None
        self._tunnel = self._socket
        speak_to(self._transport, Small(self))
        if not self._corked:
            self._flush()
            if not self._left:  # else `credit` sees to it, when what was kept has been read
                self._settle()
        return kept

    def pour(self, stream: int, parts: list[bytes], end: bool) -> bool:
        if self._transport is None or self._lingering:
            return True
        self._codec.pour(parts)
        self._poured += flow.weigh(parts)
        tunnel = self._tunnel
        if end:
            fault = None if tunnel is None else tunnel.fault
            if fault is not None:
                self._shared.refusals.say(self.peer, fault.code, fault.text)
            self._close(fault is None)
        elif self._corked and self._poured <= flow.JOIN_MOST:
            return not self._full
        else:
            if self._full or self._poured > outbox.LARGEST or not self._shared.outbox.takes(self):
                self._flush()
            if tunnel is not None and tunnel.waiting() == waits.FOR_CLOSE and self._waiting != waits.FOR_CLOSE:
                self._wait(waits.FOR_CLOSE)
        return self._roomy()

    def credit(self, stream: int, size: int) -> None:
        if self._tunnel is not None:
            if (self._paused or self._left) and not self._corked:
                self._settle()
            return
        self._held = max(0, self._held - size)
        if self._paused and self._held <= HELD_FEW:
            self._resume()

    def _deliver(self, buffer: bytes | bytearray, size: int) -> None:
        """Bytes of the tunnel."""
        tunnel = self._tunnel
        if tunnel is None or self._lingering:
            return
        self._corked = True
        tunnel.deliver(buffer, size)
        self._corked = False
        if self._poured and (self._poured > outbox.LARGEST or not self._shared.outbox.takes(self)):
            self._flush()
        self._settle()

    def _sent(self, end: bool, whole: bool) -> bool:
        """A piece is queued: write it now, unless bytes are being looked at and the response is complete."""
        if end:
            self._answered = True
            self._since = self._clock.now
            if not self._corked:
                self._turn(whole)
            return True
        self._flush()
        return self._roomy()

    def _turn(self, whole: bool) -> None:
        """The response ended apart from any bytes that came: turn to what the codec kept."""
        self._answered = False
        self._cycle = None
        more = self._codec.turn()
        if more or not whole or not self._shared.outbox.takes(self):
            self._flush()
        if more and not self._full:
            # Not from here: the next application would run inside this one's `send`.
            self._go_on_later()
        else:
            self._settle()

    def _go_on_later(self) -> None:
        """There are further requests in what was kept, but others have their turn first."""
        self._later = True
        self._shared.loop.call_soon(self.data_received, b"")

    # --- reading, waiting and closing ---

    def _settle(self) -> None:
        """After anything happened: read or not, wait for what, close or stay."""
        codec = self._codec
        if self._transport is None or self._lingering:
            return
        tunnel = self._tunnel
        if tunnel is not None:
            if self._left:
                tunnel.gone()
                return
            if self._draining:
                tunnel.close(closing.RESTART, "")
            if tunnel.crowded() or self._full:
                self._pause()
            elif self._paused:
                self._resume()
            self._wait(waits.FOR_US if self._paused else tunnel.waiting())
            return
        if self._cycle is None:
            self._held = 0
            if self._later:
                self._pause()
                return
            if codec.closing or self._left:
                self._close(codec.heard and not (self._draining and self._arrived()))
                return
            if self._draining and codec.idle():
                self._part()
                return
        if codec.crowded() or (self._full and self._cycle is None):
            # A client that does not take its responses is not asked for more requests.
            self._pause()
        elif self._paused and self._held <= HELD_FEW:
            self._resume()
        self._wait(codec.waiting())

    def _part(self) -> None:
        """Nothing is under way, and the server stops: close, unless something is coming."""
        if self._paused:
            self._resume()
        self._waiting = waits.FOR_REQUEST
        if not self._stays(self._codec.requests == 0):
            self._flush()
            self._transport.close()

    def _turn_to_http2(self, preface: Preface) -> bool:
        """The client speaks HTTP/2 by prior knowledge (RFC 9113 §3.3): another link takes over, if it may."""
        shared = self._shared
        transport = self._transport
        if shared.terms is None or self._codec.requests or not hasattr(transport, "set_protocol"):
            self._refuse(preface)
            return False
        self._let_go()
        from portway.link.http2 import take_over  # few plain ports ever meet it

        take_over(shared, transport, preface.data)
        return True

    def _refuse(self, fault: ProtocolFault) -> None:
        """Give the one answer that the fault carries, and end the connection."""
        cycle = self._cycle
        self._cycle = None
        self._shared.refusals.tell(self.peer, fault)
        answered = self._codec.fail(fault)
        if cycle is not None:
            if answered:
                cycle.refused(fault.status)
            else:
                cycle.gone()
        if not answered:
            self._cut_off()

    def _cut_off(self) -> None:
        """End the connection amid a response. Where a close is a good end of it, only a TCP reset tells."""
        self._lingering = True  # no orderly end may follow
        if self._codec.until_close():
            reset_on_close(self._transport)
        self._transport.abort()

    def _queued(self) -> list[bytes]:
        return self._codec.take()

    def _awaited(self) -> int:
        return self._codec.waiting() if self._tunnel is None else self._tunnel.waiting()

    def _wait(self, what: int) -> None:
        """Set the deadline for what the connection waits for."""
        if self._full:
            return
        if what == waits.FOR_HEAD:
            # The whole head has one deadline: bytes that drip in do not move it.
            if self._waiting == waits.FOR_HEAD and self._heads == self._codec.requests and self._deadline:
                return
            self._heads = self._codec.requests
        elif what == waits.FOR_CLOSE and self._waiting == waits.FOR_CLOSE and self._deadline:
            return  # what else the peer still sends does not move it
        if self._paused and what == waits.FOR_US:
            self._arm(LOOK)
        elif self._paused and what == waits.FOR_BODY:
            self._deadline = 0
        else:
            self._arm(self._shared.deadlines.of(what))
        self._waiting = what

    def _unsent(self) -> int:
        return Requests._unsent(self) if self._splice is None else self._splice.unsent()

    def _expire(self) -> None:
        self._flush()
        unwritten = self._unsent()
        if unwritten and unwritten < self._unwritten:
            self._unwritten = unwritten
            self._arm(self._shared.deadlines.write)
        elif self._full:
            self._give_up("the client read nothing of its response in time")
        elif self._draining and self._waiting == waits.FOR_REQUEST:
            self._settle()
        elif self._waiting == waits.FOR_PING:
            self._tunnel.ping()  # type: ignore[union-attr]
            self._flush()
            self._wait(waits.FOR_PONG)
        elif self._waiting == waits.FOR_PONG:
            self._give_up("no answer came to a ping")
        elif self._waiting == waits.FOR_CLOSE:
            self._transport.abort()
        elif self._waiting == waits.FOR_US and not self._transport.is_closing():
            self._look()
        elif unwritten or self._waiting == waits.FOR_END or self._waiting == waits.FOR_REQUEST:
            self._abort_or_close(unwritten)
        elif self._waiting == waits.FOR_HEAD and not self._codec.begun():
            self._transport.close()
        else:
            what = "head" if self._waiting == waits.FOR_HEAD else "body"
            self._refuse(ProtocolFault(f"the request's {what} did not come in time", 408))
            self._flush()
            self._settle()

    def _look(self) -> None:
        if self._half_left() and self._tunnel is None and self._cycle is not None:
            self._cycle.leave()
            if self._socket is not None:
                self._socket.leave()
        self._wait(waits.FOR_US)

    # --- the server's calls ---

    def drain(self) -> None:
        """Take no further request than those that have come: close if idle, else with the last of their responses."""
        self._draining = True
        if self._transport is not None and (self._tunnel is not None or self._cycle is None):
            self._settle()

    def disconnect(self) -> None:
        """Tell the request under way that its client has gone, and close."""
        self._flush()
        if self._socket is not None:
            self._socket.gone()
        cycle = self._cycle
        self._cycle = None
        if cycle is not None:
            cycle.gone()
        if self._transport is not None:
            self._transport.close()
