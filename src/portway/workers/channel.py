"""What a supervisor and a worker say to each other: JSON, a line each, over a socket pair."""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import Callable
from typing import Any

Message = dict[str, Any]

READ_MOST = 64 * 1024


class Channel:
    """One end. `on_message` is called for each that comes, `on_end` once: the other end is gone, or speaks no JSON."""

    def __init__(
        self,
        sock: socket.socket,
        loop: asyncio.AbstractEventLoop,
        on_message: Callable[[Message], object],
        on_end: Callable[[], object],
    ) -> None:
        sock.setblocking(False)
        self._sock = sock
        self._loop = loop
        self._on_message = on_message
        self._on_end = on_end
        self._came = b""
        self._unsent = b""
        self._open = True
        loop.add_reader(sock, self._read)

    def send(self, message: Message) -> None:
        """Say it; what the other end does not take now is kept, what it never can is dropped."""
        if self._open:
            self._unsent += line(message)
            self._write()

    def drain(self) -> None:
        """The other end is gone: hear what it still said, and close."""
        self._read()
        self.close()

    def close(self) -> None:
        """Say and hear nothing more."""
        if self._open:
            self._open = False
            self._loop.remove_reader(self._sock)
            self._loop.remove_writer(self._sock)
            self._sock.close()

    def _read(self) -> None:
        """Hear all that has come: of an end that was torn off, uvloop tells once, with its last words."""
        while self._open:
            try:
                data = self._sock.recv(READ_MOST)
            except (BlockingIOError, InterruptedError):
                return
            except OSError:
                data = b""
            if data:
                self._hear(data)
            else:
                self._end()

    def _hear(self, data: bytes) -> None:
        *lines, self._came = (self._came + data).split(b"\n")
        for each in lines:
            if self._open:  # what was heard before may have closed it
                self._tell(each)

    def _tell(self, text: bytes) -> None:
        try:
            message = json.loads(text)
        except ValueError:  # whoever wrote this, it is not the other end that we know
            self._end()
        else:
            self._on_message(message)

    def _end(self) -> None:
        self.close()
        self._on_end()

    def _write(self) -> None:
        try:
            sent = self._sock.send(self._unsent)
        except (BlockingIOError, InterruptedError):
            sent = 0
        except OSError:  # it is gone; `_read` will see that, too
            sent = len(self._unsent)
        waited = len(self._unsent) > sent
        self._unsent = self._unsent[sent:]
        if waited:
            self._loop.add_writer(self._sock, self._write)
        else:
            self._loop.remove_writer(self._sock)


def line(message: Message) -> bytes:
    """As it is sent."""
    return json.dumps(message).encode() + b"\n"
