"""What systemd is told and what it hands over: sd_notify(3), sd_watchdog_enabled(3), sd_listen_fds(3).

The protocol is a datagram of NAME=VALUE lines to a Unix socket, and numbers in the environment: less than a
library for it would cost. Podman and others speak it, too.
"""

from __future__ import annotations

import os
import socket
import time
from collections.abc import MutableMapping

SOCKET = "NOTIFY_SOCKET"
WATCHDOG = ("WATCHDOG_USEC", "WATCHDOG_PID")
LISTEN = ("LISTEN_FDS", "LISTEN_PID", "LISTEN_FDNAMES", "LISTEN_PIDFDID")
# What is for one process, and not for those that it starts.
VARIABLES = (SOCKET, *WATCHDOG, *LISTEN)

FIRST = 3  # SD_LISTEN_FDS_START

# A queue that is full for longer than this, in seconds, is not waited for: whoever serves has better to do.
PATIENCE = 1.0


class Notifier:
    """Tells systemd how the server is; without a NOTIFY_SOCKET, nobody. What cannot be sent is lost.

    `watchdog` are the seconds between two signs of life, half of what systemd waits for one; None if it wants none.
    """

    def __init__(self, environ: MutableMapping[str, str] = os.environ) -> None:
        """The variables are taken out of `environ`: a child process is not the service.

        Whoever starts a child that is to speak for the service hands on `variables`.
        """
        self._address = _address(environ.pop(SOCKET, ""))
        self.watchdog = _watchdog(*(environ.pop(name, "") for name in WATCHDOG))
        self.variables: dict[str, str] = {}
        if self._address:
            self.variables[SOCKET] = self._address.replace("\0", "@")
            if self.watchdog is not None:
                self.variables[WATCHDOG[0]] = str(round(self.watchdog * 2_000_000))

    def ready(self, status: str = "") -> None:
        """The server serves; or serves anew, after `reloading`."""
        self._tell("READY=1", *_status(status))

    def reloading(self, status: str = "") -> None:
        """It takes in fresh code or settings, up to the next `ready`."""
        # Type=notify-reload wants the time, by CLOCK_MONOTONIC, which Python's clock is on Linux.
        self._tell("RELOADING=1", f"MONOTONIC_USEC={time.monotonic_ns() // 1000}", *_status(status))

    def stopping(self, status: str = "") -> None:
        """It begins to end."""
        self._tell("STOPPING=1", *_status(status))

    def status(self, text: str) -> None:
        """One line for `systemctl status`."""
        self._tell(*_status(text))

    def main_process(self, pid: int) -> None:
        """From now on, this process is the server."""
        self._tell(f"MAINPID={pid}")

    def alive(self) -> None:
        """The sign of life."""
        self._tell("WATCHDOG=1")

    def _tell(self, *lines: str) -> None:
        if not self._address or not lines:
            return
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
                sock.settimeout(PATIENCE)
                sock.sendto("\n".join(lines).encode(errors="replace"), self._address)
        except OSError:  # systemd is gone, or was never there
            pass


def inherited(environ: MutableMapping[str, str] = os.environ) -> list[int]:
    """The descriptors of the sockets that systemd opened for this process.

    The variables that say so are taken out of `environ`, and no child process inherits the sockets.
    """
    count, pid, *_ = (environ.pop(name, "") for name in LISTEN)
    if pid != str(os.getpid()) or not _is_number(count):
        return []
    found = list(range(FIRST, FIRST + int(count)))
    for number in found:
        try:
            os.set_inheritable(number, False)
        except OSError:  # not open: whoever listens there says so
            pass
    return found


def _address(path: str) -> str:
    """An abstract socket is written with an @ (Linux), any other is a path; there is nothing else that we can reach."""
    if not hasattr(socket, "AF_UNIX") or not path.startswith(("/", "@")):
        return ""
    return "\0" + path[1:] if path.startswith("@") else path


def _watchdog(microseconds: str, pid: str) -> float | None:
    if pid not in ("", str(os.getpid())) or not _is_number(microseconds):
        return None
    return int(microseconds) / 2_000_000 or None


def _is_number(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) < 19


def _status(text: str) -> list[str]:
    return [f"STATUS={' '.join(text.split())}"] if text else []
