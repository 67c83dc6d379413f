"""Where a worker writes down what its threads and tasks are doing, when the supervisor asks by SIGUSR2.

Python answers readably, if it comes to run; if something holds it, faulthandler writes what it can from the signal.
"""

from __future__ import annotations

import asyncio
import contextlib
import faulthandler
import os
import signal
import sys
import threading
import traceback
from collections.abc import Iterator
from types import FrameType
from typing import IO, Any

ASKED: int = getattr(signal, "SIGUSR2", 0)

# After what Python wrote: it is whole.
WHOLE = b"\n-- end of stacks --\n"

# Before it; what stands above is faulthandler's.
READABLE = b"\n-- stacks --\n"

MOST = 64 * 1024


class Stacks:
    """The worker's side, which writes to a file that it shares with the supervisor.

    Both have it from one `open`, and with that one place in it: the worker always writes at the end, and the supervisor
    reads without going there.
    """

    def __init__(self, number: int) -> None:
        self._number = number
        self._loop: asyncio.AbstractEventLoop | None = None

    def arm(self) -> None:
        """From now on; in the main thread."""
        if ASKED:
            import fcntl  # where there is no such signal, there is no such module

            fcntl.fcntl(self._number, fcntl.F_SETFL, fcntl.fcntl(self._number, fcntl.F_GETFL) | os.O_APPEND)
            faulthandler.unregister(ASKED)  # in a fork, another's
            signal.signal(ASKED, self._write)
            faulthandler.register(ASKED, file=self._number, all_threads=True, chain=True)

    def attend(self, loop: asyncio.AbstractEventLoop) -> None:
        """Its tasks, too."""
        self._loop = loop

    def _write(self, number: int, frame: FrameType | None) -> None:
        with contextlib.suppress(Exception):  # it would be raised in whatever was interrupted
            text = "\n".join([*threads(frame), *(tasks(self._loop) if self._loop is not None else ())])
            os.write(self._number, READABLE + text.encode("utf-8", "backslashreplace")[:MOST] + WHOLE)


def threads(main: FrameType | None) -> list[str]:
    """The stack of each thread; `main` is where the main thread is."""
    frames = sys._current_frames()
    here = threading.get_ident()
    if main is not None:
        frames[here] = main
    names = {thread.ident: thread.name for thread in threading.enumerate()}
    order = sorted(frames, key=lambda each: each != here)
    return [f"Thread {names.get(each, each)}:\n{_trace(traceback.format_stack(frames[each]))}" for each in order]


def tasks(loop: asyncio.AbstractEventLoop) -> list[str]:
    """Where each task of the loop waits; the running one stands in its thread's stack."""
    running = asyncio.current_task(loop)
    found = []
    for task in asyncio.all_tasks(loop):
        lines = [line for frame in waiting(task.get_coro()) for line in traceback.format_stack(frame, limit=1)]
        found.append(f"Task {task.get_name()}:\n{'  (running)' if task is running else _trace(lines)}")
    return found


def waiting(awaited: Any) -> Iterator[FrameType]:
    """The frames from a coroutine to where it waits: what a task itself tells is the first one alone."""
    while awaited is not None:
        kind = next((kind for kind in ("cr", "gi", "ag") if hasattr(awaited, f"{kind}_frame")), None)
        if kind is None:
            return
        frame = getattr(awaited, f"{kind}_frame")
        if frame is not None:
            yield frame
        awaited = getattr(awaited, "gi_yieldfrom" if kind == "gi" else f"{kind}_await")


def _trace(lines: list[str]) -> str:
    return "".join(lines).rstrip()


def read(file: IO[bytes]) -> tuple[str, bool]:
    """The supervisor's side: what was written since it was last read, and whether it is whole."""
    data = os.pread(file.fileno(), os.fstat(file.fileno()).st_size, 0)
    os.ftruncate(file.fileno(), 0)
    _, marked, readable = data.rpartition(READABLE)
    if marked and readable.endswith(WHOLE):
        return readable.removesuffix(WHOLE).decode("utf-8", "replace"), True
    return data.decode("utf-8", "replace").strip(), False
