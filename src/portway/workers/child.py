"""A worker's side of its channel: it tells that it lives, and obeys.

    tells    beat (figures) · ready · worn (why) · failed (why) · resigned
    obeys    retire (others have its sockets) · leave (they have those that are shared) · stop · elect · reopen
             share (another server has the sockets, too) · own (it has not, any more)
             foster (accept for another slot, too) · unfoster

It decides nothing: who is replaced, and when, is the plan's.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import signal
import socket
from collections.abc import Callable
from types import FrameType
from typing import Any, Protocol

from portway.memory import resident
from portway.workers.channel import Channel, Message
from portway.workers.once import Function, Once

log = logging.getLogger("portway")

# From one beat to the next, in seconds.
BEAT = 0.5

# After so many beats it is said again that this worker is worn: the first replacement may have failed.
AGAIN = 120


class Served(Protocol):
    """The server that this worker is."""

    def stop(self, force: bool = False, patient: bool = False) -> None: ...

    def retire(self) -> None: ...

    def figures(self) -> Any: ...


class Fostering(Protocol):
    """What accepts for other slots, too; it is given the messages that say so."""

    def foster(self, message: Message) -> None: ...

    def unfoster(self, message: Message) -> None: ...


class Child:
    """On the loop that serves; made before the server is, and bound to it by `serve`."""

    def __init__(
        self, sock: socket.socket, disown: Callable[[], None], reopen: Callable[[], None], function: Function | None,
        shares: bool = False,
    ) -> None:  # fmt: skip
        """`disown` leaves the sockets that all workers have to the others; `reopen` opens the log files anew;
        `function` is what one worker runs for all; with `shares`, another server has the sockets, too.
        """
        self._sock = sock
        self._disown = disown
        self._reopen = reopen
        self._function = function
        self._once: Once | None = None
        self._server: Served | None = None
        self._wards: Fostering | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._channel: Channel | None = None
        self._due = 0.0
        self._beats = 0
        self._worn = ""
        self._worn_at = 0
        self._leaving = False
        self._shares = shares

    def serve(self, server: Served, wards: Fostering, loop: asyncio.AbstractEventLoop) -> None:
        """Begin to beat, and to obey."""
        self._server = server
        self._wards = wards
        self._loop = loop
        self._channel = Channel(self._sock, loop, self._obey, self._orphaned)
        if self._function is not None:
            self._once = Once(self._function, loop, self._resign)
        self._due = loop.time()
        signal.signal(signal.SIGTERM, self._terminate)
        self._beat()

    def ready(self) -> None:
        """The application is up, and connections are accepted."""
        self._tell({"tell": "ready"})

    def worn(self, reason: str) -> None:
        """This worker should be replaced."""
        self._worn = reason
        self._worn_at = self._beats
        self._tell({"tell": "worn", "why": reason})

    def failed(self, reason: str) -> None:
        """It cannot start; the process ends next."""
        self._tell({"tell": "failed", "why": reason})

    def close(self) -> None:
        """The loop is about to end."""
        if self._channel is not None:
            self._tell_figures()
            self._channel.close()

    # --- it lives ---

    def _beat(self) -> None:
        assert self._loop is not None
        now = self._loop.time()
        self._tell_figures(max(0.0, now - self._due))
        self._beats += 1
        if self._worn and not self._leaving and self._beats - self._worn_at >= AGAIN:
            self.worn(self._worn)
        self._due = now + BEAT
        self._loop.call_at(self._due, self._beat)

    def _tell_figures(self, lag: float = 0.0) -> None:
        assert self._server is not None
        self._tell({"tell": "beat", **self._server.figures()._asdict(), "lag": lag, "memory": resident()})

    def _tell(self, message: Message) -> None:
        if self._channel is not None:
            self._channel.send(message)

    # --- it obeys ---

    def _obey(self, message: Message) -> None:
        order = message.get("do")
        assert self._wards is not None
        if order == "foster":
            self._wards.foster(message)
        elif order == "unfoster":
            self._wards.unfoster(message)
        elif order in ("retire", "leave", "stop"):
            self._leave(order)
        elif order == "reopen":
            self._reopen()
        elif order == "elect":
            self._elected()
        elif order in ("share", "own"):
            self._shares = order == "share"

    def _orphaned(self) -> None:
        if not self._leaving:
            log.error("The supervisor is gone; this worker ends")
            self._leave("retire" if self._shares else "stop")

    def _leave(self, order: str) -> None:
        assert self._server is not None
        self._leaving = True
        if self._once is not None:
            self._once.stop()
        if order == "retire":
            self._server.retire()
            return
        if order == "leave":
            self._disown()
            self._server.stop(patient=True)  # and the second time without --drain-delay: the server goes on
        self._server.stop(patient=True)

    def _terminate(self, number: int, frame: FrameType | None) -> None:
        """Who wants one worker to end asks the supervisor: it knows whether the whole server does."""
        if self._loop is not None:
            with contextlib.suppress(RuntimeError):
                self._loop.call_soon_threadsafe(self.worn, "it got SIGTERM")

    # --- what runs once ---

    def _elected(self) -> None:
        if self._once is None or self._leaving:
            self._resign(done=self._once is None, pause=0.0)
        else:
            self._once.start()

    def _resign(self, done: bool, pause: float) -> None:
        self._tell({"tell": "resigned", "done": done, "pause": pause})
