"""How `portway reload`, `stop`, `scale`, `status` and `upgrade` ask a running server, by its control socket.

A Unix socket that its owner alone may reach. A request is a line of JSON, {"do": "scale", "count": 3}; the answer is
one too, {"ok": true, "text": …}, when the thing is done. What answers is `control`.
"""

from __future__ import annotations

import contextlib
import json
import os
import socket
import sys
import tempfile
from pathlib import Path
from typing import Any

from portway.errors import PortwayError
from portway.workers.pidfile import is_server

SUFFIX = ".control"

Message = dict[str, Any]


class ControlError(PortwayError):
    """No server could be asked, or it could not do what it was asked for."""


def folder() -> Path:
    """Where control sockets are of servers that have no --pid: a folder of this user's own."""
    base = os.environ.get("XDG_RUNTIME_DIR")
    return Path(base) / "portway" if base else Path(tempfile.gettempdir()) / f"portway-{os.getuid()}"


def place(pid_file: str | None) -> Path:
    """Where the control socket of this process is to be: beside its pid file, if it has one."""
    if pid_file is not None:
        path = Path(os.path.abspath(pid_file))
        return path.with_name(path.name.removesuffix(".pid") + SUFFIX)
    return folder() / f"{os.getpid()}{SUFFIX}"


def running() -> list[Path]:
    """The control sockets of this user's servers that have no --pid, and live."""
    return [path for path in sorted(folder().glob(f"[0-9]*{SUFFIX}")) if _lives(path)]


def _lives(path: Path) -> bool:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        try:
            probe.connect(os.fspath(path))
        except ConnectionRefusedError:
            with contextlib.suppress(OSError):
                path.unlink()  # of a server that was killed
            return False
        except OSError:
            return False
    return True


def find(pid_file: str | None) -> Path:
    """The control socket to speak to: that beside the pid file, or that of the only server there is."""
    if sys.platform == "win32":
        raise ControlError("on Windows a server is one process, and has no supervisor to ask")
    if pid_file is not None:
        path = place(pid_file)
        if not path.exists() and _runs(pid_file):
            raise ControlError(f"the server of {pid_file} is one process, and has no supervisor to ask")
        return path
    found = running()
    if len(found) == 1:
        return found[0]
    if not found:
        raise ControlError(
            "no server with workers runs here; name its pid file with --pid if it has one "
            "(a server that is one process has no supervisor to ask)"
        )
    numbers = ", ".join(path.stem for path in found)
    raise ControlError(f"several servers run: processes {numbers}; give each a --pid file, and name one")


def ask(path: Path, request: Message) -> Message:
    """Ask a server, and wait until it has done what is asked; ControlError if it cannot be reached, or fails."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as sock:
        try:
            sock.connect(os.fspath(path))
            sock.sendall(json.dumps(request).encode() + b"\n")
            with sock.makefile("rb") as file:
                answer = file.readline()
        except OSError as error:
            why = error.strerror or str(error)
            raise ControlError(f"cannot speak to the server at {path}: {why}; does it run?") from None
    if not answer.endswith(b"\n"):
        raise ControlError(f"the server at {path} ended before it answered")
    found: Message = json.loads(answer)
    if not found.get("ok"):
        raise ControlError(found.get("text", "the server refused"))
    return found


def _runs(pid_file: str) -> bool:
    try:
        return is_server(process_in(pid_file))
    except ControlError:
        return False


def process_in(pid_file: str) -> int:
    """The number in a pid file; ControlError if it holds none."""
    with contextlib.suppress(OSError, ValueError):
        number = int(Path(pid_file).read_text().strip())
        if number > 0:  # others are groups, and -1 is everybody
            return number
    raise ControlError(f"{pid_file} names no process; does the server run?")
