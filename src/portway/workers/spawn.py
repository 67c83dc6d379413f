"""Starts workers: each a Python of its own, which is told over its channel what to serve."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from typing import IO, Protocol

from portway.workers.channel import Message
from portway.workers.passing import give

# Not -m, which looks for modules where we are before anywhere else: a project may have a select.py of its own.
BEGIN = "import sys; sys.path[:] = {path!r}; import runpy; runpy.run_module({module!r}, None, '__main__', True)"


class Worker(Protocol):
    """A process that was started: `sock` is the channel to it, `stacks` the file that it writes its stacks into.

    `pid` is 0 as long as there is none.
    """

    @property
    def pid(self) -> int: ...

    @property
    def sock(self) -> socket.socket: ...

    @property
    def stacks(self) -> IO[bytes]: ...

    def signal(self, number: int) -> None:
        """Send it a signal, if it still lives."""

    def silent(self) -> None:
        """Its channel has ended."""

    def reaped(self, code: int) -> None:
        """It has ended; `code` is negative for a signal."""


class Spawned:
    """A child process that waits to be told what to begin with. Ours to wait for, not subprocess': a supervisor waits
    for all of its children at once.
    """

    def __init__(self, module: str, environ: Mapping[str, str]) -> None:
        """Run `module`, with the numbers of its channel and of the file for its stacks as arguments."""
        self.sock, theirs = socket.socketpair()
        self.stacks = scratch()
        numbers = [theirs.fileno(), self.stacks.fileno()]
        begin = BEGIN.format(path=sys.path, module=module)
        command = [sys.executable, *interpreter_options(), "-c", begin, *map(str, numbers)]
        try:
            self._process = subprocess.Popen(  # noqa: S603  # it is ours
                command, env=dict(environ), pass_fds=numbers
            )
        except BaseException:
            self.close()
            raise
        finally:
            theirs.close()
        self.pid = self._process.pid

    def tell(self, message: Message, descriptors: Sequence[int]) -> Spawned:
        """What to begin with (see `passing`)."""
        with suppress(OSError):  # it is dead already, and will be reaped
            give(self.sock, message, descriptors)
        return self

    def close(self) -> None:
        """Let go of it; if it was told nothing, it ends."""
        self.sock.close()
        self.stacks.close()

    def signal(self, number: int) -> None:
        with suppress(ProcessLookupError):
            os.kill(self.pid, number)

    def silent(self) -> None:
        """How it ended, the kernel will tell."""

    def reaped(self, code: int) -> None:
        self._process.returncode = code


def scratch() -> IO[bytes]:
    """A file for the stacks of a worker. Where it can be, on no disk: that may be full, or not to be written to."""
    if sys.platform == "linux":
        with suppress(OSError):  # not permitted here
            return os.fdopen(os.memfd_create("stacks"), "w+b")
    return tempfile.TemporaryFile()


def interpreter_options() -> list[str]:
    """Those that this Python was started with: -X dev, -W error, -O and the like."""
    return list(subprocess._args_from_interpreter_flags())  # type: ignore[attr-defined]  # multiprocessing uses it too


def reap(ended: Callable[[int, int], object]) -> None:
    """Tell of each child process that has ended: its number, and its code, negative for a signal.

    All of them: as process 1 of a container, also those whose parents have gone.
    """
    with suppress(ChildProcessError):
        while True:
            pid, status = os.waitpid(-1, os.WNOHANG)
            if not pid:
                return
            ended(pid, os.waitstatus_to_exitcode(status))
