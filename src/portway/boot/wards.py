"""The slots of other workers that this one accepts for, besides its own (see `workers.fosters`)."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable, Sequence
from typing import Any

from portway.server import listen
from portway.server.serve import Service

Both = tuple[list[socket.socket], list[socket.socket]]


class Wards:
    """On the loop that serves; the service does one thing after the other."""

    def __init__(self, service: Service) -> None:
        self._service = service
        self._sockets: dict[int, list[socket.socket]] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    def foster(self, message: dict[str, Any]) -> None:
        """Accept from the sockets of a slot, which came with the message."""
        main, plain = sockets_of(message, message["files"])
        self._begin(self._foster, message["slot"], main, plain)

    def unfoster(self, message: dict[str, Any]) -> None:
        """Its own worker is there, or, with `last`, nobody will be any more."""
        self._begin(self._unfoster, message["slot"], message["last"])

    async def _foster(self, slot: int, main: list[socket.socket], plain: list[socket.socket]) -> None:
        self._sockets[slot] = [*main, *plain]
        if not await self._service.admit(main, plain):  # it is about to end
            for sock in self._sockets.pop(slot, []):
                sock.close()

    async def _unfoster(self, slot: int, last: bool) -> None:
        await self._service.dismiss(self._sockets.pop(slot, []), last)

    def _begin(self, what: Callable[..., Any], *args: Any) -> None:
        task = asyncio.get_running_loop().create_task(what(*args), name="portway-wards")
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


def sockets_of(message: dict[str, Any], descriptors: Sequence[int]) -> Both:
    """Where requests are served, and where they are led to https; of what a supervisor describes."""
    found = [listen.adopted(*each) for each in zip(descriptors, message["origins"], strict=True)]
    return found[: message["main"]], found[message["main"] :]
