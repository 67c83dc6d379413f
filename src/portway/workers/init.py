"""Process 1 of a container, where the server is one process.

The kernel has duties for process 1 that no server thinks of: it inherits every orphan and must wait for it
when it ends, or zombies pile up; and a signal that it has no handler for does not reach it. So a child becomes
the server, and process 1 does what an init does, and nothing else.

This is called before anything heavy is imported: process 1 keeps the memory that it has now.
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Set
from contextlib import suppress

# The kernel sends these for what the process itself did, and it could not go on.
FAULTS = ("SIGSEGV", "SIGBUS", "SIGFPE", "SIGILL", "SIGTRAP", "SIGABRT", "SIGSYS")

# What names process 1 to the server means the server: of systemd's protocols, which Podman speaks.
NAMED = ("LISTEN_PID", "WATCHDOG_PID")


def settle() -> None:
    """As process 1, fork: only the child returns from here. Any other process is not concerned."""
    if os.getpid() != 1 or sys.platform != "linux":
        return
    ours = signal.valid_signals() - {getattr(signal, name) for name in FAULTS}
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)  # ignored, there would be no exit codes
    before = signal.pthread_sigmask(signal.SIG_BLOCK, ours)
    terminal = _in_foreground()
    child = os.fork()
    if child:
        os._exit(_live(child, ours))
    _lead(terminal)
    for name in NAMED:
        if os.environ.get(name) == "1":
            os.environ[name] = str(os.getpid())
    signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _live(server: int, ours: Set[int]) -> int:
    """Pass signals on, and wait for whoever ends, up to the end of the server. Its exit code."""
    while True:
        number = signal.sigwait(ours)
        if number != signal.SIGCHLD:
            os.kill(server, number)
        elif (code := _reap(server)) is not None:
            return code


def _reap(server: int) -> int | None:
    """Wait for all who have ended; several may have sent one signal. The server's exit code, if it is among them."""
    while True:
        try:
            pid, status = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return None
        if pid == 0:
            return None
        if pid == server:
            code = os.waitstatus_to_exitcode(status)
            return code if code >= 0 else 128 - code  # as a shell has it


def _in_foreground() -> bool:
    try:
        return os.tcgetpgrp(0) == os.getpgrp()
    except OSError:  # no terminal
        return False


def _lead(terminal: bool) -> None:
    """A group of its own, to which the terminal belongs: Ctrl+C would come twice, else, once by way of process 1."""
    with suppress(OSError):
        os.setpgid(0, 0)
        if terminal:
            os.tcsetpgrp(0, os.getpid())  # SIGTTOU is blocked
