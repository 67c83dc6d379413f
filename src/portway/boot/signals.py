"""What signals do to a server that is one process.

    SIGTERM, SIGINT    end in good order; a second SIGINT: at once
    SIGQUIT            end at once
    SIGUSR1            open log files again, after logrotate has moved them
    SIGHUP             the terminal went: as SIGTERM
    SIGHUP, SIGUSR2    otherwise ) are for a server of several processes: a line in the log says so,
    SIGTTIN, SIGTTOU             ) and nothing ends

Handlers of Python's own, not the loop's: they run even while the application blocks the loop. What they
interrupt may hold a lock, so they take none: the loop tells the log.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import signal
import sys
import threading
from collections.abc import Callable
from types import FrameType
from typing import TYPE_CHECKING, Any, NoReturn

from portway.observe import logs
from portway.workers.terminal import Terminal

if TYPE_CHECKING:
    from portway.boot.serve import Server

log = logging.getLogger("portway")

# As a shell says it: 128 and the number of the signal.
INTERRUPTED = 130
QUIT = 131

ENDING = [signal.SIGINT, signal.SIGTERM]
if sys.platform == "win32":
    ENDING.append(signal.SIGBREAK)

# Their default is the end of the process, or its halt: they must do nothing while the application is loaded, either.
FROM_THE_START = ("SIGUSR1", "SIGUSR2", "SIGTTIN", "SIGTTOU")
ONCE_SERVING = ("SIGHUP", "SIGQUIT")

ELSEWHERE = "%s does nothing to a server that is one process: %s"
ROLL = "it cannot replace itself without a pause; serve with --workers 2, or restart it"
SCALE = "it cannot have workers added or removed; serve with --workers 2"
HINTS = {"SIGHUP": ROLL, "SIGUSR2": ROLL, "SIGTTIN": SCALE, "SIGTTOU": SCALE}


class Stops:
    """What ends the server. `leave` ends the process with an exit code."""

    def __init__(
        self, server: Server, loop: asyncio.AbstractEventLoop, leave: Callable[[int], NoReturn]
    ) -> None:  # fmt: skip
        self._server = server
        self._loop = loop
        self._leave = leave
        self._interrupted = False
        self._before: dict[int, Any] = {}

    def listen(self) -> None:
        """From now on; outside the main thread, where signals do not come, this does nothing."""
        if threading.current_thread() is threading.main_thread():
            self._before = {number: signal.signal(number, self._heed) for number in ENDING}

    def ignore(self) -> None:
        """Put back what was there before."""
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def surrender(self) -> None:
        """All is ended and written: what may keep the process, a thread perhaps, is for the next signal."""
        for number in self._before:
            signal.signal(number, signal.SIG_DFL)

    def _heed(self, number: int, frame: FrameType | None) -> None:
        if number == signal.SIGINT:
            if self._interrupted:
                signal.signal(number, signal.SIG_DFL)  # should the log be stuck, a third one helps
                os.write(2, b"Ended at once\n")
                self._leave(INTERRUPTED)
            self._interrupted = True
        self._server.stop(patient=number != signal.SIGINT)
        hint = "; press Ctrl+C again to end at once" if self._interrupted else ""
        with contextlib.suppress(RuntimeError):  # the loop has ended
            self._loop.call_soon_threadsafe(log.info, "Stopping (%s)%s", signal.Signals(number).name, hint)


class Orders:
    """All others, for a process that is the server and nothing else.

    Handlers that the application installs while it is loaded win, and so does nohup.
    """

    def __init__(self, leave: Callable[[int], NoReturn]) -> None:
        """Before the application is loaded. What comes then waits for `serve`."""
        self._leave = leave
        self._terminal = Terminal()
        self._waiting: list[int] = []
        self._server: Server | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._take(FROM_THE_START)

    def serve(self, server: Server, loop: asyncio.AbstractEventLoop) -> None:
        """From now on they are heeded."""
        self._server, self._loop = server, loop
        self._take(ONCE_SERVING)
        for number in self._waiting:
            loop.call_soon(self._obey, number)

    def surrender(self) -> None:
        """The server has ended."""
        for name in ONCE_SERVING:
            if hasattr(signal, name) and signal.getsignal(getattr(signal, name)) == self._heed:
                signal.signal(getattr(signal, name), signal.SIG_DFL)

    def _take(self, names: tuple[str, ...]) -> None:
        if threading.current_thread() is not threading.main_thread():  # where signals do not come
            return
        for name in names:
            # A shell lets what it starts in the background ignore SIGQUIT, as SIGINT: that is not meant for `kill`.
            free = [signal.SIG_DFL] if name == "SIGHUP" else [signal.SIG_DFL, signal.SIG_IGN]
            if hasattr(signal, name) and signal.getsignal(getattr(signal, name)) in free:
                signal.signal(getattr(signal, name), self._heed)

    def _heed(self, number: int, frame: FrameType | None) -> None:
        name = signal.Signals(number).name
        if name == "SIGQUIT":
            signal.signal(number, signal.SIG_DFL)  # should the log be stuck, another one helps
            os.write(2, b"Ended at once (SIGQUIT)\n")
            self._leave(QUIT)
        if name in ("SIGTTIN", "SIGTTOU"):
            # A terminal sends them to who reads or writes in the background, and again for what is written of it.
            signal.signal(number, signal.SIG_IGN)
        if self._loop is None:
            self._waiting.append(number)
        else:
            with contextlib.suppress(RuntimeError):  # the loop has ended
                self._loop.call_soon_threadsafe(self._obey, number)

    def _obey(self, number: int) -> None:
        """On the loop."""
        name = signal.Signals(number).name
        if name == "SIGUSR1":
            logs.reopen()
        elif name == "SIGHUP" and self._terminal.gone:
            assert self._server is not None
            self._server.stop(patient=True)
            log.info("Stopping (SIGHUP): the terminal was closed")
        else:
            log.warning(ELSEWHERE, name, HINTS[name])
