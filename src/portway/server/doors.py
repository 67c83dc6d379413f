"""Where connections come in: the loop's servers on the listening sockets, and how these are closed so that nobody who
has come is sent away.

The kernel tells a client that it is connected before the server accepts it. So first the kernel is told to let
nobody else in (`listen.stem`), then those who wait are accepted, and only then the sockets are closed.
"""

from __future__ import annotations

import asyncio
import contextlib
import inspect
import socket
import time
from collections.abc import Callable
from typing import Any

from portway.server import listen

# For those who wait to be accepted, in seconds; where nobody can be kept from coming, they do not end.
EMPTYING = 1.0

# How often a handshake under way is looked after, in seconds; nobody tells that it is over.
HANDSHAKE = 0.02

# The turns of the loop between accepting a connection and its link's first call (asyncio: three).
TURNS = 5

AF_UNIX = getattr(socket, "AF_UNIX", None)


class Doors:
    """The listening sockets of one server on one loop."""

    def __init__(self, loop: asyncio.AbstractEventLoop, backlog: int) -> None:
        self._loop = loop
        self._backlog = backlog
        self._servers: list[asyncio.Server] = []
        self._sockets: list[socket.socket] = []

    @property
    def opened(self) -> bool:
        """Whether anybody was let in."""
        return bool(self._servers)

    async def open(self, sockets: list[socket.socket], make: Callable[[], Any]) -> None:
        """Let them in: each gets a protocol that `make` gives. Raises BindError if somebody else listens there."""
        loop = self._loop
        # The file of a Unix socket is removed by who made it, which the loop cannot know.
        known = inspect.signature(loop.create_unix_server).parameters
        kept: dict[str, Any] = {"cleanup_socket": False} if "cleanup_socket" in known else {}
        for sock in sockets:
            listen.begin(sock, self._backlog)
            if sock.family == AF_UNIX:
                server = await loop.create_unix_server(make, sock=sock, backlog=self._backlog, **kept)
            else:
                server = await loop.create_server(make, sock=sock, backlog=self._backlog)
            self._servers.append(server)
            self._sockets.append(sock)

    async def shut(self, sockets: list[socket.socket], last: bool) -> None:
        """Let nobody in by these any more; who waits there is, if it is the `last` chance."""
        these = Doors(self._loop, self._backlog)
        for sock in sockets:
            at = self._sockets.index(sock)
            these._sockets.append(self._sockets.pop(at))
            these._servers.append(self._servers.pop(at))
        if last:
            these.narrow()
            await these.empty()
        await these.close()

    def narrow(self) -> None:
        """Let nobody else into the sockets that are ours alone; those who wait may come."""
        for sock in self._sockets:
            if isinstance(sock, listen.Own) and sock.ours:
                listen.stem(sock)

    async def empty(self) -> None:
        """Accept those who wait, and those who are about to."""
        until = time.monotonic() + EMPTYING
        while time.monotonic() < until:
            coming = any(listen.half_open(sock) for sock in self._sockets)  # asked first: who comes now waits then
            if any(listen.waiting(sock) for sock in self._sockets):
                await asyncio.sleep(0)  # the loop accepts
            elif coming:
                await asyncio.sleep(HANDSHAKE)
            else:
                return

    async def close(self) -> None:
        """Accept no more; when this returns, the links of all that were accepted have begun."""
        for sock in self._sockets:
            # asyncio's own server drops who was accepted and has no transport yet, if it is closed at once. uvloop
            # has no reader there, and makes the transport as it accepts.
            with contextlib.suppress(NotImplementedError):  # Windows
                self._loop.remove_reader(sock)
        for _ in range(TURNS):
            await asyncio.sleep(0)
        for server in self._servers:
            server.close()
