"""A WebSocket on one stream of a connection that has many (RFC 8441): its Port, and its deadlines."""

from __future__ import annotations

from typing import Any

from portway.asgi import websocket
from portway.asgi.websocket import WebSocket
from portway.link.context import Shared
from portway.link.deadline import Deadline
from portway.wire import waits
from portway.wire.fields import Outgoing
from portway.wire.websocket import closing


class Tunnel(Deadline):
    """`link` is the connection's, and writes; `socket` is to be set at once. `draining` says that the server stops."""

    __slots__ = ("_draining", "_early", "_held", "_left", "_link", "_open", "_shared", "_stream", "_waiting", "socket")

    def __init__(self, shared: Shared, link: Any, stream: int, draining: bool) -> None:
        self._begin_time(shared.clock)
        self._shared = shared
        self._link = link
        self._stream = stream
        self._early: list[bytes] = []  # what came before the handshake was answered
        self._held = 0  # bytes that came and were not credited
        self._open = False
        self._left = False  # nothing more comes
        self._draining = draining
        self._waiting = waits.FOR_US
        self.socket: WebSocket | None = None

    def __repr__(self) -> str:
        return f"<Tunnel {self._stream} {self.socket!r}>"

    # --- what the link tells ---

    def deliver(self, data: bytes, end: bool) -> None:
        """Bytes of the stream have come."""
        socket = self.socket
        assert socket is not None
        self._held += len(data)
        if self._open:
            socket.deliver(data, len(data))
            self._settle()
        else:
            self._early.append(data)
        if end:
            self.leave()

    def leave(self) -> None:
        """The peer will send nothing more; but an answer that is no WebSocket may be under way."""
        socket = self.socket
        assert socket is not None
        if self._open:
            self._left = True
            self._settle()
        elif socket.state != websocket.DENIED:
            self._link.give_up(self._stream, "")

    def gone(self) -> None:
        """Nothing more comes."""
        self._end_time()
        socket = self.socket
        assert socket is not None
        if not socket.lost:
            socket.gone()
            if self._shared.cancel_on_disconnect and socket.task is not None:
                socket.task.cancel()

    def drain(self) -> None:
        """The server stops."""
        self._draining = True
        if self._open:
            self._settle()

    def writable(self) -> None:
        socket = self.socket
        assert socket is not None
        socket.writable()

    # --- what the WebSocket asks of the wire ---

    def tunnel(self, stream: int, headers: Outgoing) -> bytes:
        self._open = True
        self._link.open_tunnel(stream, headers)
        early = b"".join(self._early)
        self._early = []
        return early

    def pour(self, stream: int, parts: list[bytes], end: bool) -> bool:
        socket = self.socket
        if end:
            self._end_time()
            if socket is not None and socket.fault is not None:
                self._shared.refusals.say(self._link.peer, socket.fault.code, socket.fault.text)
        room: bool = self._link.pour(stream, parts, end)
        return room

    def credit(self, stream: int, size: int) -> None:
        if self._open:
            self._settle()

    # --- inside ---

    def _settle(self) -> None:
        """After anything happened: let more come, or not, and wait for what."""
        socket = self.socket
        assert socket is not None
        if self._left and not socket.behind():
            self.gone()
            return
        if self._draining:
            socket.close(closing.RESTART, "")
        if self._held and not socket.crowded():
            held = self._held
            self._held = 0
            self._link.credit(self._stream, held)
        if not socket.lost:
            self._wait(socket.waiting())

    def _wait(self, what: int) -> None:
        if what == waits.FOR_CLOSE and self._waiting == waits.FOR_CLOSE and self._deadline:
            return  # what else the peer still sends does not move it
        # Until it is open, and after its end, the deadlines are the stream's.
        self._arm(0 if what == waits.FOR_END else self._shared.deadlines.of(what))
        self._waiting = what

    def _expire(self) -> None:
        if self._waiting == waits.FOR_PING:
            self.socket.ping()  # type: ignore[union-attr]
            self._wait(waits.FOR_PONG)
        else:
            why = "no answer came to a ping" if self._waiting == waits.FOR_PONG else ""
            self._link.give_up(self._stream, why)
