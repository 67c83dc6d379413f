"""The control socket: what `portway reload`, `stop`, `scale`, `status` and `upgrade` speak through.

A Unix socket that its owner alone may reach. A request is a line of JSON, {"do": "scale", "count": 3}; the answer is
one too, {"ok": true, "text": …}, when the thing is done.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import os
import socket
import tempfile
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from portway.errors import PortwayError

log = logging.getLogger("portway")

SUFFIX = ".control"

# sun_path has 108 bytes on Linux and 104 on macOS, with a NUL.
LONGEST_PATH = 103

REQUEST_MOST = 4096

Message = dict[str, Any]
Answer = Callable[[Message], Awaitable[Message]]


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


class Control:
    """The server's side. `answer` does what a request asks for."""

    def __init__(self, path: Path, answer: Answer) -> None:
        self.path = path
        self._answer = answer
        self._server: asyncio.Server | None = None
        self._file: tuple[int, int] | None = None

    async def open(self) -> None:
        """Listen; where that cannot be, it is said, and the server goes on without."""
        try:
            if self.path.parent == folder():
                _own_folder(self.path.parent)
            self._server = await asyncio.start_unix_server(self._converse, sock=self._bound(), limit=REQUEST_MOST)
        except OSError as error:
            log.warning("No control socket at %s: %s", self.path, error.strerror or error)

    def close(self) -> None:
        """Listen no more; the file goes, unless a successor has put its own in its place."""
        if self._server is not None:
            self._server.close()
            self._server = None
            if self._file == _which(self.path):
                with contextlib.suppress(OSError):
                    self.path.unlink()

    def _bound(self) -> socket.socket:
        """Bound beside, and renamed then: a predecessor's, or a dead server's, is replaced."""
        temporary = self.path.with_name(f".{os.getpid()}{SUFFIX}")
        if len(os.fsencode(self.path)) > LONGEST_PATH or len(os.fsencode(temporary)) > LONGEST_PATH:
            raise OSError(None, "its path is too long for a Unix socket; choose a shorter one with --pid")
        with contextlib.suppress(FileNotFoundError):
            temporary.unlink()
        sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            before = os.umask(0o177)
            try:
                sock.bind(os.fspath(temporary))
            finally:
                os.umask(before)
            sock.listen()  # from here on, who finds it is not refused
            temporary.rename(self.path)
        except OSError:
            sock.close()
            raise
        self._file = _which(self.path)
        return sock

    async def _converse(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            with contextlib.suppress(OSError):
                request = await self._request(reader)
                if request:
                    writer.write(json.dumps(await self._answered(request)).encode() + b"\n")
                    await writer.drain()
        finally:
            writer.close()

    async def _request(self, reader: asyncio.StreamReader) -> bytes:
        """A line; nothing, if nobody speaks."""
        try:
            return await reader.readline()
        except ValueError:  # it is longer than anything that there is to ask
            return b"{}"

    async def _answered(self, request: bytes) -> Message:
        try:
            return await self._answer(json.loads(request))
        except (ArithmeticError, LookupError, RecursionError, TypeError, ValueError) as error:
            return {"ok": False, "text": f"not understood: {error!r}"}


def _own_folder(path: Path) -> None:
    """Make it; OSError if somebody else could write into it."""
    path.mkdir(mode=0o700, exist_ok=True)
    found = path.lstat()
    if found.st_uid != os.getuid() or found.st_mode & 0o077 or path.is_symlink():
        raise OSError(None, f"{path} is not a folder of this user's alone; remove it")


def _which(path: Path) -> tuple[int, int] | None:
    try:
        found = path.lstat()
    except OSError:
        return None
    return found.st_dev, found.st_ino


# --- the other side ---


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
    if pid_file is not None:
        return place(pid_file)
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


def process_in(pid_file: str) -> int:
    """The number in a pid file; ControlError if it holds none."""
    with contextlib.suppress(OSError, ValueError):
        number = int(Path(pid_file).read_text().strip())
        if number > 0:  # others are groups, and -1 is everybody
            return number
    raise ControlError(f"{pid_file} names no process; does the server run?")
