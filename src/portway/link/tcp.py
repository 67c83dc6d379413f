"""One connection: bytes from its transport to the codec, events to the request under way, one write back.

A duck-typed asyncio.BufferedProtocol (a compiled class can inherit none). HTTP/1.1 has one request at a
time; it is `_cycle` from its head to the end of its response. Its Task may live longer.
"""

from __future__ import annotations

import logging
from typing import Any

from portway.asgi import call, forwarded, http, scope
from portway.asgi.http import Cycle
from portway.link import outbox
from portway.link.context import READ_MOST, Shared
from portway.link.peers import address_of, name_of, reset_on_close, server_of
from portway.wire import events
from portway.wire.faults import ProtocolFault
from portway.wire.fields import Outgoing
from portway.wire.http1 import states
from portway.wire.http1.codec import Codec
from portway.wire.port import Port

log = logging.getLogger("portway")

# Content of a request that the application has not asked for: at most so many bytes are held, and
# reading goes on when it has taken so much that this is left.
HELD_MOST = READ_MOST
HELD_FEW = 16 * 1024

# The least that is worth a read: below it, reading stops.
READ_LEAST = 16 * 1024

# A write of so many bytes goes out in its pieces; below, copying them together is cheaper.
JOIN_MOST = 64 * 1024

# What the transport may hold before `send` waits.
WRITE_MOST = 64 * 1024

COMPILED = not __file__.endswith(".py")


class Link(Port):
    """A Port for its requests, and the protocol of its transport."""

    __slots__ = (
        "_answered", "_codec", "_corked", "_cycle", "_deadline", "_draining", "_full", "_heads", "_held", "_left",
        "_lingering", "_paused", "_scope", "_shared", "_slot", "_transport", "_trusted", "_unwritten", "_waiting",
        "_write", "peer",
    )  # fmt: skip

    def __init__(self, shared: Shared) -> None:
        self._shared = shared
        self._codec = Codec(shared.limits, shared.preamble)
        self._cycle: Cycle | None = None
        self._transport: Any = None
        self._write: Any = None
        self._scope: dict[str, Any] = {}
        self._trusted = False
        self._corked = False  # what is queued is written when the bytes at hand have been looked at
        self._answered = False  # the response of `_cycle` is complete
        self._full = False  # the transport has no room
        self._paused = False  # nothing is read
        self._left = False  # the peer will send nothing more
        self._lingering = False  # our last word is written, and what still comes is thrown away
        self._draining = False
        self._held = 0
        self._heads = 0
        self._waiting = states.FOR_HEAD
        self._deadline = 0
        self._slot = 0
        self._unwritten = 0
        self.peer: tuple[str, int | None] | None = None

    def __repr__(self) -> str:
        return f"<Link {self.peer} {self._codec!r} {self._cycle!r}>"

    # --- the transport's calls ---

    def connection_made(self, transport: Any) -> None:
        shared = self._shared
        self._transport = transport
        self._write = transport.write
        transport.set_write_buffer_limits(high=WRITE_MOST)
        client = address_of(transport.get_extra_info("peername"))
        server = server_of(transport.get_extra_info("sockname"))
        self.peer = client
        self._trusted = shared.trust is not None and shared.trust.believes(client[0] if client else None)
        self._scope = scope.template("http", client, server, shared.root_path)
        shared.counts.links.add(self)
        self._wait(states.FOR_HEAD)

    def get_buffer(self, hint: int) -> memoryview | bytearray:
        if self._held:
            return self._shared.view[: HELD_MOST - self._held]
        return self._shared.buffer

    def buffer_updated(self, size: int) -> None:
        read = self._shared.buffer
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
        self._corked = True
        answered = False
        queued = 0
        try:
            self._take_in(self._codec.receive(data))
            while self._answered:
                answered = True
                self._answered = False
                if self._cycle is not None:
                    queued += self._cycle.size
                    self._cycle = None
                if not self._codec.turn():
                    break
                if queued > JOIN_MOST:
                    queued = 0
                    self._flush()
                    if self._full:  # `resume_writing` goes on
                        break
                self._take_in(self._codec.receive(b""))
        except ProtocolFault as fault:
            self._refuse(fault)
        self._corked = False
        if not answered or self._cycle is not None or queued > outbox.LARGEST or not self._shared.outbox.takes(self):
            self._flush()
        self._settle()

    def eof_received(self) -> bool:
        """The peer will send nothing more; it may still read what it asked for."""
        if self._cycle is None and self._codec.begun():
            self.data_received(b"")  # what `_turn` put off may be whole
        self._left = True
        self._flush()
        if self._lingering:
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
        if self._shared.cancel_on_disconnect and cycle.task is not None:
            cycle.task.cancel()
        return not truncated

    def pause_writing(self) -> None:
        self._full = True
        self._unwritten = self._transport.get_write_buffer_size()
        self._arm(self._shared.deadlines.write)

    def resume_writing(self) -> None:
        self._full = False
        self._settle()
        if self._lingering:
            self._wait(states.FOR_END)
        elif self._cycle is not None:
            self._cycle.writable()
        elif self._codec.begun():
            self._shared.loop.call_soon(self.data_received, b"")

    def connection_lost(self, error: Exception | None) -> None:
        shared = self._shared
        counts = shared.counts
        counts.links.discard(self)
        if not counts.links and counts.on_last_link is not None:
            counts.on_last_link()
        self._deadline = 0
        if self._slot:
            shared.clock.take(self, self._slot)
            self._slot = 0
        cycle = self._cycle
        self._cycle = None
        self._transport = None
        if cycle is not None:
            cycle.gone()
            if shared.cancel_on_disconnect and cycle.task is not None:
                cycle.task.cancel()

    # --- events of the codec ---

    def _take_in(self, found: list[Any]) -> None:
        for event in found:
            if type(event) is events.Head:
                self._begin(event)
            elif self._cycle is not None:
                body = event
                self._held = self._cycle.deliver(body.data, body.end)
                if self._held > HELD_MOST - READ_LEAST:
                    self._pause()

    def _begin(self, head: events.Head) -> None:
        """A request: give it a scope, a cycle and a Task."""
        shared = self._shared
        counts = shared.counts
        counts.requests += 1
        scope_ = scope.http_scope(self._scope, head, shared.state)
        if head.forwarded and self._trusted:
            assert shared.trust is not None
            forwarded.apply(scope_, shared.trust)
        cycle = Cycle.__new__(Cycle)
        cycle.begin(head, self, shared.loop, shared.hooks, scope_["client"])
        self._cycle = cycle
        app = shared.app
        if head.upgrade is not None and head.upgrade.lower() == b"websocket":
            cycle.fail(501, "WebSocket is not spoken here")
            return
        if shared.concurrency and len(counts.running) >= shared.concurrency:
            app = call.unavailable
        if counts.on_request is not None:
            counts.on_request(counts.requests)
        shared.starter.start(app, scope_, cycle)

    # --- what the request under way asks of the wire ---

    def respond(self, stream: int, status: int, headers: Outgoing, body: bytes, end: bool) -> bool:
        if self._draining:
            headers.close = True
        self._codec.respond(status, headers, body, end)
        return self._sent(end, len(body) <= outbox.LARGEST)

    def inform(self, stream: int, status: int, headers: Outgoing | None) -> None:
        self._codec.inform(status, headers)
        self._flush()

    def body(self, stream: int, data: bytes, end: bool) -> bool:
        self._codec.body(data, end)
        return self._sent(end, False)

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
            self._wait(states.FOR_END)

    def credit(self, stream: int, size: int) -> None:
        self._held = max(0, self._held - size)
        if self._paused and self._held <= HELD_FEW:
            self._resume()

    def _sent(self, end: bool, whole: bool) -> bool:
        """A piece is queued: write it now, unless bytes are being looked at and the response is complete."""
        if end:
            self._answered = True
            if not self._corked:
                self._turn(whole)
            return True
        self._flush()
        return not self._full

    def _turn(self, whole: bool) -> None:
        """The response ended apart from any bytes that came: turn to what the codec kept."""
        self._answered = False
        self._cycle = None
        more = self._codec.turn()
        if more or not whole or not self._shared.outbox.takes(self):
            self._flush()
        if more and not self._full:
            # Not from here: the next application would run inside this one's `send`.
            self._shared.loop.call_soon(self.data_received, b"")
        else:
            self._settle()

    def write_out(self) -> None:
        """The outbox' call: the turn is over."""
        self._flush()
        if self._full:
            self._settle()

    def _flush(self) -> None:
        parts = self._codec.take()
        if not parts or self._transport is None:
            return
        if len(parts) == 1:
            self._write(parts[0])
            return
        size = 0
        for part in parts:
            size += len(part)
        if size <= JOIN_MOST or not self._shared.gathers:
            self._write(b"".join(parts))
        else:
            self._transport.writelines(parts)

    # --- reading, waiting and closing ---

    def _settle(self) -> None:
        """After anything happened: read or not, wait for what, close or stay."""
        codec = self._codec
        if self._transport is None or self._lingering:
            return
        if self._cycle is None:
            self._held = 0
            if codec.closing or self._left:
                self._close()
                return
            if self._draining and codec.idle():
                self._flush()
                self._transport.close()
                return
        if codec.crowded() or (self._full and self._cycle is None):
            # A client that does not take its responses is not asked for more requests.
            self._pause()
        elif self._paused and self._held <= HELD_FEW:
            self._resume()
        self._wait(codec.waiting())

    def _pause(self) -> None:
        if not self._paused:
            self._paused = True
            self._transport.pause_reading()
            self._wait(states.FOR_US)

    def _resume(self) -> None:
        self._paused = False
        if self._transport is not None and not self._left:
            self._transport.resume_reading()
            self._wait(self._codec.waiting())

    def _close(self) -> None:
        """Say good-bye: at once if the peer has nothing more to say, else after hearing it out.

        A close with unread bytes would be a reset, and could take the response from the peer's hands.
        """
        self._flush()
        if self._left or self._codec.heard:
            self._unwritten = self._transport.get_write_buffer_size()
            if self._unwritten:
                self._arm(self._shared.deadlines.write)
            self._transport.close()
            return
        self._lingering = True
        if self._paused:
            self._resume()
        self._transport.write_eof()
        self._wait(states.FOR_END)

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

    # --- time ---

    def _wait(self, what: int) -> None:
        """Set the deadline for what the connection waits for."""
        if self._full:
            return
        deadlines = self._shared.deadlines
        if what == states.FOR_HEAD:
            # The whole head has one deadline: bytes that drip in do not move it.
            if self._waiting == states.FOR_HEAD and self._heads == self._codec.requests and self._deadline:
                return
            self._heads = self._codec.requests
            self._arm(deadlines.head)
        elif what == states.FOR_REQUEST:
            self._arm(deadlines.idle)
        elif what == states.FOR_BODY and not self._paused:
            self._arm(deadlines.body)
        elif what == states.FOR_END:
            self._arm(deadlines.linger)
        else:
            self._deadline = 0
        self._waiting = what

    def _arm(self, span: int) -> None:
        if not span:
            self._deadline = 0
            return
        clock = self._shared.clock
        deadline = clock.now + span
        self._deadline = deadline
        slot = self._slot
        if slot == 0 or deadline < slot:
            if slot:
                clock.take(self, slot)
            self._slot = deadline
            clock.put(self, deadline)

    def visit(self, now: int) -> int:
        """The clock's call, see `clock.Timed`."""
        self._slot = 0
        if self._deadline and now < self._deadline:
            self._slot = self._deadline
        elif self._deadline:
            self._deadline = 0
            self._expire()
        return self._slot

    def _expire(self) -> None:
        self._flush()
        transport = self._transport
        unwritten = transport.get_write_buffer_size()
        if unwritten and unwritten < self._unwritten:
            self._unwritten = unwritten
            self._arm(self._shared.deadlines.write)
        elif self._full:
            self._give_up("the client read nothing of its response in time")
        elif unwritten or self._waiting == states.FOR_END or self._waiting == states.FOR_REQUEST:
            self._abort_or_close(unwritten)
        elif self._waiting == states.FOR_HEAD and not self._codec.begun():
            transport.close()
        else:
            what = "head" if self._waiting == states.FOR_HEAD else "body"
            self._refuse(ProtocolFault(f"the request's {what} did not come in time", 408))
            self._flush()
            self._settle()

    def _abort_or_close(self, unwritten: int) -> None:
        if unwritten or self._lingering:
            reset_on_close(self._transport)
            self._transport.abort()
        else:
            self._transport.close()

    def _give_up(self, why: str) -> None:
        log.info("%s: connection closed: %s", name_of(self.peer), why)
        reset_on_close(self._transport)
        self._transport.abort()

    # --- the server's calls ---

    def drain(self) -> None:
        """Take no further request: close now if idle, else with the response under way."""
        self._draining = True
        if self._transport is None:
            return
        if self._cycle is None and self._codec.idle():
            self._flush()
            self._transport.close()
        elif self._cycle is None or self._cycle.state < http.BODY:
            pass  # `respond` will say `connection: close`
        else:
            self._codec.closing = True

    def disconnect(self) -> None:
        """Tell the request under way that its client has gone, and close."""
        self._flush()
        cycle = self._cycle
        self._cycle = None
        if cycle is not None:
            cycle.gone()
        if self._transport is not None:
            self._transport.close()

    def sever(self) -> None:
        """Close without writing what the client did not read."""
        if self._transport is not None:
            self._transport.abort()
