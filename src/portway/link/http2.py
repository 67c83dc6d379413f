"""One HTTP/2 connection: many requests at once, each on a stream of its own, and WebSockets among them.

What the peer sends in one read is looked at to its end before anything is written, and what applications answer in
one turn of the loop is written together, at its end.
"""

from __future__ import annotations

import time
from typing import Any

from portway.asgi.http import Cycle
from portway.link import flow, outbox
from portway.link.clock import TICKS_A_SECOND, ticks
from portway.link.context import Shared
from portway.link.requests import Requests
from portway.link.tunnel import Tunnel
from portway.wire import events, waits
from portway.wire.faults import ProtocolFault
from portway.wire.fields import Outgoing
from portway.wire.http2 import faults
from portway.wire.http2.codec import Codec
from portway.wire.http2.faults import ConnectionFault
from portway.wire.websocket import handshake

_now = time.perf_counter

# What is read at once: with it what the filter of TLS reads at once fits in, and most content comes with its head.
ROOM = 160 * 1024

# A peer that reads nothing is not asked for more, when so many bytes of answers wait that are not content.
BACKLOG_MOST = 64 * 1024

# For the answer to our last ping, in seconds: requests that were sent before it are still taken.
TURN = 1.0


class Http2Link(Requests):
    """A Port for all requests of a connection, and the protocol of its transport."""

    __slots__ = (
        "_codec", "_corked", "_cycles", "_held_up", "_kept", "_late", "_late_since", "_reading_on",
        "_refilled", "_silence_at", "_stall_at", "_tunnels", "_unbegun", "_waiting",
    )  # fmt: skip

    def __init__(self, shared: Shared) -> None:
        self._begin_requests(shared)
        assert shared.terms is not None
        self._codec = Codec(shared.limits, shared.preamble, shared.terms)
        self._cycles: dict[int, Cycle] = {}  # those whose response is not complete
        self._tunnels: dict[int, Tunnel] = {}
        self._corked = False  # what is queued is written when the bytes at hand have been looked at
        self._late = False  # the loop will call `write_out`
        self._late_since = 0.0
        self._kept = 0  # bytes that the codec has written to the buffer, before what is read next
        self._reading_on = False  # the loop will call `_read_on`
        self._held_up: list[int] = []  # streams that wait for the transport to have room
        self._stall_at = 0  # the ticks at which streams are looked for on which nothing goes, and nothing comes
        self._silence_at = 0
        self._refilled = shared.clock.now
        self._unbegun: list[tuple[Cycle, dict[str, Any]]] = []  # requests whose application is yet to be called
        self._waiting = waits.FOR_US

    def __repr__(self) -> str:
        return f"<Http2Link {self.peer} {self._codec!r}>"

    # --- the transport's calls ---

    def connection_made(self, transport: Any) -> None:
        self._meet(transport)
        self._gather()  # our SETTINGS
        self._wait(self._codec.waiting())
        if self._shared.counts.draining:
            self.drain()

    def get_buffer(self, hint: int) -> memoryview:
        kept = self._kept = self._codec.restore(self._shared.buffer)
        return memoryview(self._shared.buffer)[kept : kept + ROOM]

    def buffer_updated(self, size: int) -> None:
        self._take_in(None, self._kept + size)

    def data_received(self, data: bytes) -> None:
        self._take_in(data, 0)

    def _take_in(self, data: bytes | None, size: int) -> None:
        """Bytes have come, or so many are in the buffer, together with what was kept."""
        if self._transport is None or self._lingering:
            return
        seconds = (self._clock.now - self._refilled) // TICKS_A_SECOND
        if seconds:
            self._refilled += seconds * TICKS_A_SECOND
            self._codec.refill(seconds)
        self._corked = True
        try:
            codec = self._codec
            for event in codec.receive_from(self._shared.buffer, size) if data is None else codec.receive(data):
                self._heed(event)
        except ConnectionFault as fault:
            self._refuse(fault)
        if self._unbegun:
            self._begin_all()
        self._corked = False
        self._write_all()
        if self._codec.unread() and not self._reading_on:
            # In the next turn, so that others have theirs.
            self._reading_on = True
            self._shared.loop.call_soon(self._read_on)
        self._settle()

    def eof_received(self) -> bool:
        """The peer will send nothing more; it may still read what it asked for."""
        while self._codec.unread() and not self._lingering and self._transport is not None:
            self.data_received(b"")
        self._left = True
        self._codec.eof()
        for tunnel in list(self._tunnels.values()):
            tunnel.leave()
        for cycle in list(self._cycles.values()):
            cycle.leave()
            self._call_off(cycle)
        self._write_all()
        self._settle()
        return bool(self._codec.streams) and not self._lingering

    def pause_writing(self) -> None:
        Requests.pause_writing(self)
        self._codec.blocked = True

    def resume_writing(self) -> None:
        self._full = False
        self._codec.blocked = False
        self._deadline = 0  # it was for writing
        self._write_all()
        if not self._full:
            held_up = self._held_up
            self._held_up = []
            for number in held_up:
                self._let_on(number)
        if self._lingering:
            self._wait(waits.FOR_END)
        else:
            self._settle()

    def connection_lost(self, error: Exception | None) -> None:
        self._let_go()
        self._end_all()

    # --- events of the codec ---

    def _heed(self, event: Any) -> None:
        if type(event) is events.Head:
            self._begin(event)
            return
        if type(event) is events.Body:
            self._deliver(event)
            return
        number = event.stream
        tunnel = self._tunnels.get(number)
        cycle = self._cycles.pop(number, None)
        if type(event) is events.Refusal:
            self._shared.refusals.tell(self.peer, event.fault)
            if event.answered and cycle is not None:
                cycle.refused(event.fault.status)
        if tunnel is not None:
            self._tunnels.pop(number, None)
            tunnel.gone()
        if cycle is not None:
            self._lose(cycle)

    def _deliver(self, body: events.Body) -> None:
        tunnel = self._tunnels.get(body.stream) if self._tunnels else None
        cycle = self._cycles.get(body.stream)
        if tunnel is not None:
            tunnel.deliver(body.data, body.end)
        elif cycle is not None:
            cycle.deliver(body.data, body.end)

    def _begin(self, head: events.Head) -> None:
        cycle = self._cycle_of(head)
        if cycle.whole:
            return
        if head.upgrade is None:
            self._cycles[head.stream] = cycle
            if head.end:
                self._start(cycle, self._asked)
            else:
                self._unbegun.append((cycle, self._asked))
            return
        tunnel = Tunnel(self._shared, self, head.stream, self._draining)
        self._cycles[head.stream] = cycle
        socket = self._socket_of(cycle, tunnel, handshake.open_http2)
        if socket is not None:
            tunnel.socket = socket
            self._tunnels[head.stream] = tunnel
            self._open(socket, self._asked)

    def _begin_all(self) -> None:
        """Call the applications whose requests have content: they find there what of it came along with the head."""
        unbegun = self._unbegun
        self._unbegun = []
        for cycle, asked in unbegun:
            if not cycle.lost:
                self._start(cycle, asked)

    # --- what requests ask of the wire ---

    def respond(self, stream: int, status: int, headers: Outgoing, body: bytes, end: bool) -> bool:
        self._codec.respond(stream, status, headers, body, end)
        return self._sent(stream, len(body), end)

    def inform(self, stream: int, status: int, headers: Outgoing | None) -> None:
        self._codec.inform(stream, status, headers)
        if not self._corked:
            self._write_all()

    def body(self, stream: int, data: bytes, end: bool) -> bool:
        self._codec.body(stream, data, end)
        return self._sent(stream, len(data), end)

    def trailers(self, stream: int, headers: Outgoing) -> None:
        self._codec.trailers(stream, headers)
        self._sent(stream, 0, True)

    def reset(self, stream: int) -> None:
        self._cycles.pop(stream, None)
        self._codec.reset(stream, faults.INTERNAL_ERROR)
        self._gather()

    def credit(self, stream: int, size: int) -> None:
        self._codec.credit(stream, size)
        if self._codec.backlog():
            self._gather()

    # --- what tunnels ask of the wire ---

    def open_tunnel(self, stream: int, headers: Outgoing) -> None:
        self._cycles.pop(stream, None)
        self._codec.tunnel(stream, headers)
        self._gather()

    def pour(self, stream: int, parts: list[bytes], end: bool) -> bool:
        data = parts[0] if len(parts) == 1 else b"".join(parts)
        self._codec.body(stream, data, end)
        if end:
            self._tunnels.pop(stream, None)
        self._poured += len(data)
        self._gather()
        return self._room(stream)

    def give_up(self, stream: int, why: str) -> None:
        """End a stream on which the peer does nothing."""
        if why:
            self._shared.refusals.mention(self.peer, "stream reset: " + why)
        self._codec.reset(stream, faults.CANCEL)
        tunnel = self._tunnels.pop(stream, None)
        if tunnel is not None:
            tunnel.gone()
        cycle = self._cycles.pop(stream, None)
        if cycle is not None:
            self._lose(cycle)
        self._gather()

    # --- writing ---

    def _sent(self, stream: int, size: int, end: bool) -> bool:
        """A piece is queued: with what else this turn brings it is written if its response is complete, else now."""
        self._poured += size
        if end:
            self._since = self._clock.now
            self._cycles.pop(stream, None)
            if self._tunnels:
                self._tunnels.pop(stream, None)  # it was denied
            self._gather()
            return True
        if not self._corked or self._poured > flow.JOIN_MOST:
            self._write_all()
            self._settle()
        return self._room(stream)

    def _room(self, stream: int) -> bool:
        """Whether more may be sent on a stream, as things stand now: if not, it will be let on."""
        if not self._codec.room(stream):
            return False
        if self._transport is None or self._roomy():
            return True
        self._held_up.append(stream)
        return False

    def _let_on(self, stream: int) -> None:
        tunnel = self._tunnels.get(stream)
        cycle = self._cycles.get(stream)
        if tunnel is not None:
            tunnel.writable()
        elif cycle is not None:
            cycle.writable()

    def _gather(self) -> None:
        if self._corked:
            if self._poured > flow.JOIN_MOST and not self._full:
                self._write_all()
        elif not self._late:
            self._late = True
            self._late_since = _now()
            self._shared.loop.call_soon(self.write_out)
        elif self._poured > flow.JOIN_MOST or _now() - self._late_since > outbox.LONGEST:
            self._late_since = _now()
            self._write_all()

    def write_out(self) -> None:
        """The loop's call: the turn is over."""
        self._late = False
        if self._transport is not None:
            self._write_all()
            self._settle()

    def _write_all(self) -> None:
        """Write what is queued, as far as the transport and the peer's windows let it."""
        codec = self._codec
        if not self._full:
            self._flush()
        while not self._full and codec.ready() and self._transport is not None:
            self._flush()
        for number in codec.opened():
            self._let_on(number)

    # --- reading, waiting and closing ---

    def _settle(self) -> None:
        """After anything happened: read or not, wait for what, close or stay."""
        codec = self._codec
        if self._transport is None or self._lingering:
            return
        if self._left:
            for number in codec.stuck():
                self.give_up(number, "")  # no window will open any more
        if codec.closing:
            self._close(False)
            return
        if codec.leaving and not codec.streams and not codec.unread():
            self._close(False)  # requests may be on their way that our GOAWAY has crossed
            return
        if codec.unread() or (self._full and codec.backlog() > BACKLOG_MOST):
            self._pause()
        elif self._paused:
            self._resume()
        self._wait(codec.waiting())

    def _read_on(self) -> None:
        """There is more of what came."""
        self._reading_on = False
        self.data_received(b"")

    def _refuse(self, fault: ConnectionFault) -> None:
        """End the connection with the GOAWAY that the fault deserves."""
        self._shared.refusals.say(self.peer, fault.code, fault.text)
        self._codec.fail(fault)
        self._end_all()

    def _end_all(self) -> None:
        """All requests lose their client."""
        tunnels = self._tunnels
        cycles = self._cycles
        self._tunnels = {}
        self._cycles = {}
        for tunnel in tunnels.values():
            tunnel.gone()
        for cycle in cycles.values():
            self._lose(cycle)

    # --- time ---

    def _queued(self) -> list[bytes]:
        return self._codec.take()

    def _awaited(self) -> int:
        return self._codec.waiting()

    def _wait(self, what: int) -> None:
        """Set the deadline for what the connection waits for."""
        if self._full:
            return
        deadlines = self._shared.deadlines
        if self._draining and not self._codec.leaving:
            if not self._deadline or self._waiting != waits.FOR_PONG:
                self._arm(ticks(TURN))
            self._waiting = waits.FOR_PONG
            return
        if what == waits.FOR_REQUEST:
            self._stall_at = self._silence_at = 0
            self._arm(deadlines.idle)
        elif what != self._waiting or not self._deadline:
            # What comes meanwhile moves none of these.
            if what != waits.FOR_US:
                self._arm(deadlines.of(what))
            else:
                now = self._clock.now
                # One that is over already holds: else who begins a header block, or fills the transport, just when it
                # comes would put it off for ever.
                self._stall_at = renewed(self._stall_at, now, deadlines.write)
                self._silence_at = renewed(self._silence_at, now, deadlines.body)
                first = sooner(self._stall_at, self._silence_at)
                self._arm(max(1, first - now) if first else 0)
        self._waiting = what

    def _expire(self) -> None:
        waiting = self._waiting
        unwritten = self._transport.get_write_buffer_size()
        if unwritten and unwritten < self._unwritten:
            self._unwritten = unwritten
            self._arm(self._shared.deadlines.write)
        elif self._full:
            self._give_up("the client read nothing of its responses in time")
        elif self._lingering or waiting == waits.FOR_END:
            self._abort_or_close(unwritten)
        elif waiting == waits.FOR_HEAD and self._codec.begun():
            self._refuse(ConnectionFault("a preface or a header block did not come in time"))
            self._write_all()
            self._settle()
        elif waiting == waits.FOR_US:
            self._sweep()
        elif self._draining and not self._codec.leaving and self._arrived():
            self._arm(1)  # the loop is about to read what may be a request
        else:
            self._codec.end()
            self._write_all()
            self._settle()

    def _sweep(self) -> None:
        """Give up the streams on which the peer does nothing, neither reads nor writes."""
        now = self._clock.now
        if 0 < self._stall_at <= now:
            self._stall_at = 0
            for number in self._codec.stalled():
                self.give_up(number, "the client opened no window for its response in time")
        if 0 < self._silence_at <= now:
            self._silence_at = 0
            for number in self._codec.silent():
                self._hush(number)
        self._write_all()
        self._settle()

    def _hush(self, number: int) -> None:
        """Nothing came of a request that is not whole."""
        cycle = self._cycles.get(number)
        if number in self._tunnels:
            return  # that is not accepted yet: nothing is expected
        if cycle is None:
            self._codec.reset(number, faults.NO_ERROR)  # its response is complete
            return
        del self._cycles[number]
        fault = ProtocolFault("the request's body did not come in time", 408)
        self._shared.refusals.tell(self.peer, fault)
        if self._codec.refuse(number, fault):
            cycle.refused(fault.status)
        else:
            cycle.gone()
        self._call_off(cycle)

    # --- the server's calls ---

    def drain(self) -> None:
        """Take no further request: say so, and close when those that are under way have ended."""
        if self._transport is None or self._lingering:
            return
        self._draining = True
        codec = self._codec
        if (codec.begun() and codec.waiting() != waits.FOR_REQUEST) or self._stays(codec.requests == 0):
            codec.announce_end()
        else:
            codec.end()
        for tunnel in list(self._tunnels.values()):
            tunnel.drain()
        self._write_all()
        self._settle()

    def disconnect(self) -> None:
        """Tell the requests under way that their client has gone, and close."""
        self._end_all()
        self._flush()
        if self._transport is not None:
            self._transport.close()


def renewed(at: int, now: int, span: int) -> int:
    """The next tick to look at something every so often: the one that is set, or a new one; 0 is never."""
    return at if at or not span else now + span


def sooner(one: int, other: int) -> int:
    """Of two ticks, where 0 is never."""
    return min(one, other) or max(one, other)


def take_over(shared: Shared, transport: Any, data: bytes) -> None:
    """Go on with a connection whose client turned out to speak HTTP/2, and with what came of it."""
    link = Http2Link(shared)
    transport.set_protocol(shared.protocol(link))
    link.connection_made(transport)
    link.data_received(data)
