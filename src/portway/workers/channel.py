"""What a supervisor and a worker say to each other: JSON, a line each, over a socket pair, and open files beside it."""

from __future__ import annotations

import asyncio
import json
import os
import socket
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any

from portway.workers.passing import SPACE, files_of

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
        self._files: list[int] = []  # that came, and are not told of yet
        self._unsent: deque[tuple[bytes, list[int]]] = deque()
        self._open = True
        loop.add_reader(sock, self._read)

    def send(self, message: Message, descriptors: Sequence[int] = ()) -> None:
        """Say it; what the other end does not take now is kept, what it never can is dropped. Copies of `descriptors`
        are the other end's, as `files` of the message.
        """
        if self._open:
            copies = [os.dup(each) for each in descriptors]
            self._unsent.append((line({**message, "files": len(copies)} if copies else message), copies))
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
            self._drop()

    def _read(self) -> None:
        """Hear all that has come: of an end that was torn off, uvloop tells once, with its last words."""
        while self._open:
            try:
                data, ancillary, _, _ = self._sock.recvmsg(READ_MOST, SPACE)
            except (BlockingIOError, InterruptedError):
                return
            except OSError:
                data, ancillary = b"", []
            self._files += files_of(ancillary)
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
            if "files" in message:
                count = message["files"]
                message["files"], self._files = self._files[:count], self._files[count:]
        except (ValueError, TypeError):  # whoever wrote this, it is not the other end that we know
            self._end()
        else:
            self._on_message(message)

    def _end(self) -> None:
        self.close()
        self._on_end()

    def _write(self) -> None:
        while self._unsent:
            data, copies = self._unsent[0]
            try:
                sent = socket.send_fds(self._sock, [data], copies) if copies else self._sock.send(data)
            except (BlockingIOError, InterruptedError):
                self._loop.add_writer(self._sock, self._write)
                return
            except OSError:  # it is gone; `_read` will see that, too
                self._drop()
                break
            for each in copies:
                os.close(each)
            self._unsent[0] = (data[sent:], [])
            if sent == len(data):
                self._unsent.popleft()
        self._loop.remove_writer(self._sock)

    def _drop(self) -> None:
        """Nothing of this will be said or heard any more."""
        for each in [*self._files, *(each for _, copies in self._unsent for each in copies)]:
            os.close(each)
        self._files.clear()
        self._unsent.clear()


def line(message: Message) -> bytes:
    """As it is sent."""
    return json.dumps(message).encode() + b"\n"
