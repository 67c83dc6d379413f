"""The control socket, which `portway reload` and its like speak to: see `asking`."""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import os
import socket
from collections.abc import Awaitable, Callable
from pathlib import Path

from portway.workers.asking import SUFFIX, Message, folder

log = logging.getLogger("portway")

# sun_path has 108 bytes on Linux and 104 on macOS, with a NUL.
LONGEST_PATH = 103

REQUEST_MOST = 4096

Answer = Callable[[Message], Awaitable[Message]]


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
