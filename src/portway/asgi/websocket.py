"""One WebSocket: its states, and the `receive` and `send` that the application is given (ASGI 33–46).

  CONNECTING ──accept──► OPEN ──close──► CLOSING ──their close──► CLOSED
      │                    └──their close, their fault, lost──► CLOSED
      └──close, denial, an error──► DENIED: the answer is an HTTP response, which the request's cycle gives

It holds the codec over a stream's bytes and speaks to a `Port`: which version of HTTP carries it is unknown here.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Collection
from typing import Any

from portway.asgi import coroutines, ready, values
from portway.asgi.arrivals import Arrivals
from portway.asgi.http import Cycle, Room, as_dict, gone
from portway.errors import MessageError
from portway.hooks import Hooks
from portway.types import Message
from portway.wire import waits
from portway.wire.events import Head
from portway.wire.port import Port
from portway.wire.websocket import closing
from portway.wire.websocket.codec import Closed, Codec
from portway.wire.websocket.faults import FrameFault
from portway.wire.websocket.handshake import Handshake

CONNECTING = 0
OPEN = 1
CLOSING = 2
CLOSED = 3
DENIED = 4
NAMES = ("CONNECTING", "OPEN", "CLOSING", "CLOSED", "DENIED")

_running_loop = asyncio._get_running_loop

# The queue in which nothing waits: for all, and never added to.
_NOTHING: list[str | bytes] = []

# To read on in what was kept.
_NO_BYTES = bytearray()

_SEND = "websocket.send"
_ACCEPT = "websocket.accept"
_CLOSE = "websocket.close"
_DENY = "websocket.http.response."

# Messages that wait for the application: beyond so many bytes of them no further one is read.
HELD_MOST = 1024 * 1024

# What is sent while further messages wait for the application is gathered up to so many bytes.
GATHERED_MOST = 64 * 1024

# So often what was kept is read on in before other connections have their turn: it may be 40,000 messages.
REFILLS_MOST = 8

# After our close everything is read, to find theirs.
ALL = 1 << 40


class Manner:
    """How WebSockets are spoken: the largest message in bytes, how many may wait for the application,
    whether compression is wanted, and which origins are let in (none named: all).
    """

    __slots__ = ("deflates", "max_queue", "max_size", "origins")

    def __init__(self, *, max_size: int, max_queue: int, deflates: bool, origins: Collection[str]) -> None:
        self.max_size = max_size
        self.max_queue = max_queue
        self.deflates = deflates
        self.origins = frozenset(origins)


class WebSocket(Arrivals):
    """`task` runs the application; `ended` says that it has returned. `code` and `reason` are those of the close,
    `fault` is what the peer did wrong.
    """

    __slots__ = (
        "__weakref__", "_codec", "_cycle", "_flushing", "_handshake", "_hooks", "_left", "_next", "_pinged", "_port",
        "_queue", "_queue_most", "_refills", "_room", "_started", "_told", "_told_lost", "_waiting_bytes", "bytes_out",
        "client", "code", "ended", "fault", "head", "messages_in", "messages_out", "reason", "state", "subprotocol",
    )  # fmt: skip

    def __init__(
        self,
        cycle: Cycle,
        handshake: Handshake,
        manner: Manner,
        port: Port,
        hooks: Hooks | None,
        client: tuple[str, int | None] | None,
    ) -> None:
        """`cycle` is the request's, which answers if there will be no WebSocket."""
        self._begin_arrivals(cycle.loop)
        self.head: Head = cycle.head
        self.client = client
        self.ended = False
        self.state = CONNECTING
        self.code = closing.LOST
        self.reason = ""
        self.subprotocol: str | None = None
        self.fault: FrameFault | None = None
        self.messages_in = 0
        self.messages_out = 0
        self.bytes_out = 0
        self._cycle = cycle
        self._handshake: Handshake | None = handshake
        self._codec = Codec(manner.max_size, handshake.deflate)
        self._port = port
        self._hooks = hooks
        self._queue: list[str | bytes] = []
        self._next = 0  # the first of the queue that the application has not got
        self._queue_most = manner.max_queue
        self._waiting_bytes = 0
        self._refills = 0  # beyond REFILLS_MOST the loop will call `_read_on`
        self._flushing = False  # the loop will call `_flush_late`
        self._told = False  # websocket.connect
        self._told_lost = False  # websocket.disconnect
        self._left = False
        self._pinged = False
        self._room: Room | None = None
        self._started = 0.0

    def __repr__(self) -> str:
        return f"<WebSocket {self.head.path!r} {NAMES[self.state]} {self._codec!r}>"

    @property
    def bytes_in(self) -> int:
        """Of the messages that came, inflated."""
        return self._codec.size

    @property
    def application(self) -> str | None:
        """See `Cycle.application`."""
        return self._cycle.application

    @property
    def accepted(self) -> bool:
        return self._started > 0

    @property
    def whole(self) -> bool:
        """Whether there is nothing left to bring to an end."""
        return self.state == CLOSED or self.state == CLOSING or (self.state == DENIED and self._cycle.whole)

    @property
    def lost(self) -> bool:
        """Whether nothing can be sent any more."""
        return self.state == CLOSED or self._cycle.lost

    @property
    def told(self) -> bool:
        """Whether the application knows of the end."""
        return self._told_lost

    @property
    def missing(self) -> int:
        """See `Cycle.missing`: of a denial."""
        return self._cycle.missing

    @property
    def seconds(self) -> float:
        """Since it was accepted."""
        return time.perf_counter() - self._started if self._started else 0.0

    # --- what the link tells ---

    def deliver(self, buffer: bytearray, size: int) -> None:
        """So many bytes of the stream have come; the buffer is not kept."""
        self._pinged = False
        self._delivering = True
        self._absorb(buffer, size)
        self._delivered()

    def crowded(self) -> bool:
        """Whether no more should come before the application has taken something."""
        return self.state == OPEN and self._codec.unread() and not self._may_read()

    def behind(self) -> bool:
        """Whether something has come that is still to be read. What is left when all was read is half a frame."""
        waits_for_room = self._next < len(self._queue) or self._refills > REFILLS_MOST
        return self.state == OPEN and waits_for_room and self._codec.unread()

    def waiting(self) -> int:
        """Which of the waits in `wire.waits` it is in."""
        if self.state == OPEN:
            return waits.FOR_PONG if self._pinged else waits.FOR_PING
        return waits.FOR_CLOSE if self.state == CLOSING else waits.FOR_END

    def ping(self) -> None:
        """Ask whether the peer is there; any bytes are an answer."""
        self._pinged = True
        self._codec.ping()
        self._flush()

    def leave(self) -> None:
        """The peer will send nothing more before the accept; it may have gone, or may still read: see `take`."""
        self._left = True
        self.wake()

    def gone(self) -> None:
        """The connection is lost, or given up."""
        if self.state == CONNECTING or self.state == DENIED:
            self._cycle.gone()
            if self.state == CONNECTING:
                self._end(CLOSED)
            self.wake()
        elif self.state != CLOSED:
            self._end(CLOSED)

    def writable(self) -> None:
        """There is room again for what `send` brings."""
        if self.state == DENIED:
            self._cycle.writable()
        room = self._room
        if room is not None:
            self._room = None
            room.open()

    def close(self, code: int, reason: str) -> None:
        """Begin the closing handshake. What has come until now is still for the application."""
        if self.state == OPEN:
            self.state = CLOSING
            self._codec.close(code, reason)
            self._flush()
            self._absorb(_NO_BYTES, 0)
            self._port.credit(self.head.stream, 0)  # if nothing was read for a while: their close must be

    # --- what the application calls ---

    def take(self) -> dict[str, Any] | None:
        """The next `websocket.connect`, `websocket.receive` or `websocket.disconnect`, or None."""
        if not self._told:
            self._told = True
            return {"type": "websocket.connect"}
        if self._next < len(self._queue):
            return self._take_message()
        if self._left and self.state == CONNECTING:
            self._cycle.abort()  # who waits instead of accepting must be told: nobody may be there
            self._end(CLOSED)
        if self.state == CLOSED or (self.state == DENIED and (self._cycle.whole or self._cycle.lost)):
            self._told_lost = True
            return {"type": "websocket.disconnect", "code": self.code, "reason": self.reason}
        if self._flushing:
            self._flush()
        return None

    def send(self, message: Message) -> Awaitable[None]:
        """Take a message; MessageError if it is wrong, ClientDisconnected if it is too late."""
        if _running_loop() is not self.loop:
            return coroutines.sending(self, message)
        if type(message) is not dict:
            message = as_dict(message)
        return self._heed(message)

    def _heed(self, message: dict[str, Any]) -> Awaitable[None]:
        kind = message.get("type")
        if self.state == OPEN:
            if kind == _SEND:
                return self._send(message)
            if kind == _CLOSE:
                code, reason = values.closing_of(message)
                self._queue = []  # it wants to hear no more
                self._next = 0
                self.close(code, reason)
                return ready.nothing()
        return self._send_rare(kind, message)

    # --- what becomes of the application ---

    def fail(self, status: int, text: str) -> bool:
        """Answer in the application's stead; False if it is accepted, or answered, already."""
        if self.state == CONNECTING or self.state == DENIED:
            self.state = DENIED
            self.wake()
            return self._cycle.fail(status, text)
        return False

    def abort(self) -> None:
        """The application failed (ASGI 44)."""
        if self.state == OPEN:
            self.close(closing.ERROR, "")
        elif self.state == DENIED:
            self._cycle.abort()

    def returned(self) -> None:
        """The application ended in good order (ASGI 44)."""
        self.close(closing.NORMAL, "")

    # --- inside: theirs ---

    def _may_read(self) -> bool:
        queued = len(self._queue) - self._next
        return queued < self._queue_most and self._waiting_bytes < HELD_MOST and self._refills <= REFILLS_MOST

    def _absorb(self, buffer: bytearray, size: int) -> None:
        """Read what came, and what was kept; as far as the application's queue has room."""
        codec = self._codec
        before = codec.size
        if self.state == OPEN:
            room = self._queue_most - (len(self._queue) - self._next)
            found = codec.receive_from(buffer, size, room, HELD_MOST - self._waiting_bytes)
        else:
            found = codec.receive_from(buffer, size, ALL, ALL)
        if found:
            self._arrived(found, codec.size - before)
        if codec.queued and not self._flushing:
            self._flush()

    def _arrived(self, found: list[Any], size: int) -> None:
        last = found[-1]
        end = None
        if type(last) is Closed or type(last) is FrameFault:
            end = last
            found.pop()
        if found and self.state == OPEN:
            self.messages_in += len(found)
            self._waiting_bytes += size
            if self._next < len(self._queue):
                self._queue += found
            else:
                self._queue = found
                self._next = 0
        if end is not None:
            if isinstance(end, FrameFault):
                self.fault = end
                self.reason = end.text
            else:
                self.reason = end.reason
            self.code = end.code
            self._end(CLOSED)
        self.wake()

    def _take_message(self) -> dict[str, Any]:
        queue = self._queue
        found = queue[self._next]
        self._next += 1
        if self._next == len(queue):
            self._queue = _NOTHING
            self._next = 0
            self._waiting_bytes = 0
            if self.state == OPEN:
                self._refill()
        if type(found) is str:
            return {"type": "websocket.receive", "text": found}
        return {"type": "websocket.receive", "bytes": found}

    def _refill(self) -> None:
        """The application has taken all: read on in what was kept, some of it later, and then let the link read on."""
        if self._codec.unread() and self._refills <= REFILLS_MOST:
            self._refills += 1
            if self._refills > REFILLS_MOST:
                self.loop.call_soon(self._read_on)
                return
            self._absorb(_NO_BYTES, 0)
            if self._waiting_bytes >= HELD_MOST:
                self._refills = REFILLS_MOST
        if self._may_read():
            self._port.credit(self.head.stream, 0)

    def _read_on(self) -> None:
        self._refills = 0
        if self.state == OPEN and self._next == len(self._queue):
            self._refill()

    def _end(self, state: int) -> None:
        self.state = state
        if self._codec.queued:
            self._flush()
        if self._room is not None:
            self.writable()
        if self._started:
            self._port.pour(self.head.stream, [], True)
            if self._hooks is not None:
                self._hooks.closed(self)
        self.wake()

    # --- inside: ours ---

    def _send(self, message: dict[str, Any]) -> Awaitable[None]:
        text = message.get("text")
        data = message.get("bytes")
        if (text is None) is (data is None):
            raise MessageError(f"{_SEND}: exactly one of text and bytes must be given")
        if text is None:
            self.bytes_out += self._codec.send(data if type(data) is bytes else values.as_bytes(data))
        else:
            try:
                self.bytes_out += self._codec.send(text if type(text) is str else values.as_str(text))
            except UnicodeEncodeError:
                raise MessageError(f"{_SEND}: text has a lone surrogate in it, which UTF-8 cannot hold") from None
        self.messages_out += 1
        if self._next < len(self._queue) and self._codec.queued < GATHERED_MOST:
            # It has more to read, and so perhaps more to say: one write for all. The loop sees to it if not.
            if not self._flushing:
                self._flushing = True
                self.loop.call_soon(self._flush_late)
            return ready.nothing()
        if self._flush():
            return ready.nothing()
        if self.state == CLOSED:
            raise gone()
        if self._room is None:
            self._room = Room(self.loop, self)
        return coroutines.waiting(self._room)

    def _flush_late(self) -> None:
        if self._flushing:
            self._flush()

    def _flush(self) -> bool:
        """Hand what is queued to the port; whether there is room for more."""
        self._flushing = False
        return self._port.pour(self.head.stream, self._codec.take(), False)

    def _send_rare(self, kind: Any, message: dict[str, Any]) -> Awaitable[None]:
        if type(kind) is not str:
            raise MessageError(f"a message must have the key type, a str, and has {kind!r:.80}")
        if self.state == CLOSED or self.state == CLOSING or self._cycle.lost:
            raise gone()
        if self.state == CONNECTING:
            if kind == _ACCEPT:
                self._accept(message)
                return ready.nothing()
            if kind == _CLOSE:
                self.fail(403, "Forbidden")  # ASGI 34
                return ready.nothing()
        if kind.startswith(_DENY) and self.state != OPEN:
            return self._deny(kind, message)
        if self.state == DENIED and self._cycle.whole:
            raise gone()
        expected = {CONNECTING: f"{_ACCEPT}, {_CLOSE} or {_DENY}start", DENIED: f"{_DENY}body"}
        raise MessageError(f"{kind} came out of order; expected was {expected.get(self.state, f'{_SEND} or {_CLOSE}')}")

    def _deny(self, kind: str, message: Message) -> Awaitable[None]:
        """The application's own answer, which the request's cycle gives (ASGI 46)."""
        try:
            sent = self._cycle.send({**message, "type": kind.removeprefix("websocket.")})
        except MessageError as error:
            raise MessageError(str(error).replace("http.response.", _DENY)) from None
        self.state = DENIED
        if self._cycle.whole:
            self.wake()
        return sent

    def _accept(self, message: Message) -> None:
        handshake = self._handshake
        assert handshake is not None
        subprotocol = message.get("subprotocol")
        if subprotocol is not None and subprotocol not in handshake.subprotocols:
            offered = ", ".join(handshake.subprotocols) or "none"
            raise MessageError(
                f"{_ACCEPT}: the client did not offer the subprotocol {subprotocol!r}; it offered {offered}"
            )
        outgoing = values.outgoing_of(message.get("headers"))
        ours = handshake.headers
        if subprotocol is not None:
            ours = [*ours, (b"sec-websocket-protocol", subprotocol.encode())]
        outgoing.pairs[:0] = ours
        self._handshake = None
        self.subprotocol = subprotocol
        self.state = OPEN
        self._started = time.perf_counter()
        kept = self._port.tunnel(self.head.stream, outgoing)
        if self._hooks is not None:
            self._hooks.opened(self)
        if kept:
            self._absorb(bytearray(kept), len(kept))
        self._port.credit(self.head.stream, 0)
