"""How a new supervisor takes the sockets of the one before (SIGUSR2), over a socket pair that it inherits.

    old                                          new
    start it ── sockets, control ──────────────► binds nothing, starts its workers
       ◄──── up ───────────────────────────────── all of them serve
    its workers end; it ends ── (closed) ───────► from now on it is alone

Up to `up` both have the sockets: neither does anything to them that the other would feel. Who tells the old one to
end in this time means the server: its successor ends with it.
"""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress

from portway.workers.channel import Channel, Message
from portway.workers.passing import give, take


class Successor:
    """The old one's side. `done` is called with "" when the new one is up, or with what went wrong."""

    def __init__(
        self,
        variable: str,
        message: Message,
        descriptors: Sequence[int],
        environ: Mapping[str, str],
        loop: asyncio.AbstractEventLoop,
        done: Callable[[str], None],
    ) -> None:
        """`variable` is the one that will tell it of us, by the number of its end (see `predecessor`)."""
        ours, theirs = socket.socketpair()
        self._done: Callable[[str], None] | None = done
        self.dismissed = False
        with theirs:
            self._process = subprocess.Popen(  # noqa: S603  # what started this process, again
                [sys.executable, *sys.orig_argv[1:]],
                env={**environ, variable: str(theirs.fileno())},
                pass_fds=[theirs.fileno()],
            )
        self.pid = self._process.pid
        give(ours, message, descriptors)
        self._channel = Channel(ours, loop, self._heard, self._ended)

    def dismiss(self, hurried: bool) -> None:
        """It is not to come up any more."""
        if self._done is not None:
            self.dismissed = True
            with suppress(ProcessLookupError):
                os.kill(self.pid, signal.SIGQUIT if hurried else signal.SIGTERM)

    def reaped(self, code: int) -> None:
        """It has ended."""
        self._process.returncode = code
        self._finish(f"it ended with exit code {code}" if code >= 0 else f"it was ended by signal {-code}")

    def _heard(self, message: Message) -> None:
        if message.get("tell") == "up":
            self._finish("")

    def _ended(self) -> None:
        """It closed its end before it was up; its exit code is to follow."""

    def _finish(self, error: str) -> None:
        done = self._done
        self._done = None
        if done is not None:
            done(error)


class Predecessor:
    """The new one's side."""

    def __init__(self, sock: socket.socket) -> None:
        self._sock = sock
        self.message, self.descriptors = take(sock)
        self.pid: int = self.message["pid"]
        self._channel: Channel | None = None

    def attend(self, loop: asyncio.AbstractEventLoop, gone: Callable[[], object]) -> None:
        """Be told when it has ended."""
        self._channel = Channel(self._sock, loop, lambda message: None, gone)

    def up(self) -> None:
        """Tell it to end."""
        if self._channel is not None:
            self._channel.send({"tell": "up"})


def predecessor(number: str) -> Predecessor | None:
    """The supervisor that this one is to succeed, if there is one behind that descriptor."""
    if not number.isdigit():
        return None
    with suppress(OSError, ValueError, EOFError):
        os.set_inheritable(int(number), False)
        return Predecessor(socket.socket(fileno=int(number)))
    return None
