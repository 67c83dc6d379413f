"""What a connection does with requests, whatever version of HTTP brings them: each gets a scope, a cycle and a Task."""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import Any

from portway.asgi import call, forwarded, scope
from portway.asgi.http import Cycle
from portway.asgi.websocket import WebSocket
from portway.link.context import Shared
from portway.link.drain import Drain
from portway.link.peers import address_of, server_of
from portway.wire.events import Head
from portway.wire.port import Port
from portway.wire.websocket.handshake import Handshake, HandshakeFault

# What the transport may hold before `send` waits.
WRITE_MOST = 64 * 1024


class Requests(Drain):
    """A Port for its requests, and the protocol of its transport."""

    __slots__ = ("_asked", "_scope", "_trusted")

    def _begin_requests(self, shared: Shared) -> None:
        self._begin_drain(shared)
        self._scope: dict[str, Any] = {}
        self._asked: dict[str, Any] = {}  # the scope of the request that is about to be started
        self._trusted = False

    def _meet(self, transport: Any) -> None:
        """Take the transport, and learn from it what all scopes have in common."""
        shared = self._shared
        self._transport = transport
        self._write = transport.write
        transport.set_write_buffer_limits(high=WRITE_MOST)
        client = address_of(transport.get_extra_info("peername"))
        server = server_of(transport.get_extra_info("sockname"))
        self.peer = client
        self._trusted = shared.trust is not None and shared.trust.believes(client[0] if client else None)
        self._scope = scope.template(client, server, shared.root_path, transport.get_extra_info("tls"))
        shared.counts.links.add(self)

    def _cycle_of(self, head: Head) -> Cycle:
        """A new request; if it is for our health, it is answered already."""
        shared = self._shared
        if shared.health_path is not None and head.path == shared.health_path:
            assert shared.health is not None
            cycle = Cycle(head, self, shared.loop, None, self.peer)
            shared.health.answer(cycle)
            return cycle
        asked = scope.http_scope(self._scope, head, shared.state)
        if head.forwarded and self._trusted:
            assert shared.trust is not None
            forwarded.apply(asked, shared.trust)
        self._asked = asked
        cycle = Cycle.__new__(Cycle)
        cycle.begin(head, self, shared.loop, shared.hooks, asked["client"])
        if shared.composed:
            cycle.answered_by = asked["extensions"][scope.APPLICATION] = {}
        return cycle

    def _start(self, cycle: Cycle, asked: dict[str, Any]) -> None:
        """Call the application for it, as soon as that is ready; it may be through when this returns."""
        shared = self._shared
        counts = shared.counts
        app = shared.app
        counts.requests += 1
        if counts.on_request is not None:
            counts.on_request(counts.requests)
        if (shared.concurrency or shared.lobby is not None) and self._is_too_much():
            app = call.unavailable
        elif shared.lobby is not None:
            shared.lobby.keep(cycle, asked)
            return
        shared.starter.start(app, asked, cycle)

    def _open(self, socket: WebSocket, asked: dict[str, Any]) -> None:
        """The same for a WebSocket."""
        shared = self._shared
        if shared.lobby is not None:
            shared.lobby.keep(socket, asked)
        else:
            shared.starter.open(shared.app, asked, socket)

    def _is_too_much(self) -> bool:
        """Whether no further request is served now."""
        shared = self._shared
        kept = 0
        if shared.lobby is not None:
            if shared.lobby.closed:
                return True
            kept = len(shared.lobby)
        return shared.concurrency > 0 and len(shared.counts.running) + kept >= shared.concurrency

    def _let_go(self) -> None:
        """The connection has ended, or is another link's: nothing is written any more, and no deadline set."""
        self._shared.counts.forget(self)
        self._end_time()
        self._transport = None

    def _lose(self, cycle: Cycle | WebSocket) -> None:
        """Its client has gone."""
        cycle.gone()
        self._call_off(cycle)

    def _call_off(self, cycle: Cycle | WebSocket) -> None:
        """Cancel the application's Task, if that is wanted of a client that goes."""
        if self._shared.cancel_on_disconnect and cycle.task is not None:
            cycle.task.cancel()

    def _socket_of(
        self, cycle: Cycle, port: Port, agree: Callable[[Head, Collection[str], bool], Handshake]
    ) -> WebSocket | None:  # fmt: skip
        """The WebSocket that a request asks for; if it cannot be had, the request is answered."""
        shared = self._shared
        counts = shared.counts
        manner = shared.websockets
        assert manner is not None
        head = cycle.head
        counts.requests += 1
        try:
            agreed = agree(head, manner.origins, manner.deflates)
        except HandshakeFault as fault:
            shared.refusals.tell(self.peer, fault)
            cycle.fail(fault.status, fault.text, fault.headers)
            return None
        if (shared.concurrency or shared.lobby is not None) and self._is_too_much():
            cycle.fail(503, "The server is busy; try again in a moment.", ((b"retry-after", b"1"),))
            return None
        if counts.on_request is not None:
            counts.on_request(counts.requests)
        asked = scope.websocket_scope(self._scope, head, shared.state, agreed.subprotocols)
        if head.forwarded and self._trusted:
            forwarded.apply(asked, shared.trust)  # type: ignore[arg-type]
        if shared.composed:
            asked["extensions"][scope.APPLICATION] = cycle.answered_by
        self._asked = asked
        return WebSocket(cycle, agreed, manner, port, shared.hooks, asked["client"])

    # --- the server's calls, for who inherits this to answer ---

    def drain(self) -> None:
        """Take no further request, and close when those that are under way have ended."""
        raise NotImplementedError

    def disconnect(self) -> None:
        """Tell the requests under way that their client has gone, and close."""
        raise NotImplementedError
