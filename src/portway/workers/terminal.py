"""Whether the terminal that a process was started in is still there.

SIGHUP means two things: the terminal was closed, or somebody wants fresh settings. By the time that the
signal comes for the first reason, the kernel has taken the terminal away from the session (tty_ioctl(4)).
"""

from __future__ import annotations

import errno
import os

CONTROLLING = "/dev/tty"

# No terminal, or no such device; all other errors (no descriptor is free, perhaps) say nothing about it.
ABSENT = (errno.ENXIO, errno.EIO, errno.ENOENT, errno.ENODEV)


class Terminal:
    """That of this process, if it has one at the time that this is made."""

    def __init__(self) -> None:
        self._was_there = is_there()

    @property
    def gone(self) -> bool:
        """Whether there was one, and is no more."""
        return self._was_there and not is_there()


def is_there() -> bool:
    """Whether this process has a controlling terminal."""
    if os.name != "posix":
        return False
    try:
        os.close(os.open(CONTROLLING, os.O_RDWR | os.O_NOCTTY | os.O_CLOEXEC))
    except OSError as error:
        return error.errno not in ABSENT
    return True
