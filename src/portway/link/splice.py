"""A piece of a file, written by the kernel right into the socket (`sendfile`), past the event loop's transport.

uvloop has no `sendfile`, and watches no descriptor that one of its transports owns. So, on any loop: what the
transport still holds is written first; then the bytes go into a duplicate of its descriptor, which the loop watches
when the socket is full. Reading stays the transport's. Nothing here blocks but the disk: who asks for a piece has
seen that it is in memory.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import sys
from typing import Any

from portway.link.requests import WRITE_MOST

try:
    import fcntl
    import termios
except ImportError:  # elsewhere than on Unix
    fcntl = termios = None  # type: ignore[assignment]

_sendfile = getattr(os, "sendfile", None)
_QUEUED = termios.TIOCOUTQ if sys.platform == "linux" else 0  # of a socket it is what was not acknowledged, see tcp(7)


class Splice:
    """One piece on its way: `begin` gives the future of how many bytes of it were written."""

    __slots__ = ("_descriptor", "_flushing", "_future", "_link", "_loop", "_offset", "_sent", "_size", "_socket",
                 "_transport", "_watching")  # fmt: skip

    def __init__(
        self, link: Any, transport: Any, socket: int, loop: asyncio.AbstractEventLoop,
        descriptor: int, offset: int, size: int,
    ) -> None:  # fmt: skip
        """`socket` is the descriptor of the transport's."""
        self._link = link
        self._transport = transport
        self._loop = loop
        self._descriptor = descriptor
        self._offset = offset
        self._size = size
        self._sent = 0
        self._socket = os.dup(socket)
        self._flushing = False  # the transport has yet to write what it holds
        self._watching = False  # the socket is full
        self._future: asyncio.Future[int] = loop.create_future()

    def begin(self) -> asyncio.Future[int]:
        """Write now, or as soon as the transport has written what it holds."""
        self._future.add_done_callback(self._given_up)
        if self._transport.get_write_buffer_size():
            self._flushing = True
            self._transport.set_write_buffer_limits(high=0)  # it tells when it is empty, by `resume_writing`
        else:
            self.go_on()
        return self._future

    def go_on(self) -> None:
        """There is room."""
        if self._flushing:
            self._flushing = False
            self._transport.set_write_buffer_limits(high=WRITE_MOST)
        if self._future.done() or self._transport.is_closing() or self._push():
            self.stop()

    def unsent(self) -> int:
        """What the client has yet to take of what was written. A full socket is large, and counts as full until a
        third of it is free: for a slow client, longer than it may take to read nothing.
        """
        count = bytearray(4)
        if _QUEUED and self._socket >= 0:
            with contextlib.suppress(OSError):
                fcntl.ioctl(self._socket, _QUEUED, count)
        return int.from_bytes(count, sys.byteorder) + int(self._transport.get_write_buffer_size())

    def stop(self) -> None:
        """It is through, or the connection is: tell how far it came."""
        if self._socket < 0:
            return
        if self._watching:
            self._loop.remove_writer(self._socket)
        if self._flushing and not self._transport.is_closing():
            self._transport.set_write_buffer_limits(high=WRITE_MOST)
        self._flushing = False
        os.close(self._socket)
        self._socket = -1
        if not self._future.done():
            self._future.set_result(self._sent)
        self._link.spliced()

    def _push(self) -> bool:
        """Fill the socket; whether there is nothing more to do."""
        before = self._sent
        while self._sent < self._size:
            try:
                count = _sendfile(self._socket, self._descriptor, self._offset + self._sent, self._size - self._sent)  # type: ignore[misc]
            except BlockingIOError:
                self._wait(self._sent > before)
                return False
            except OSError:  # the client has gone, which the transport will tell; or no such file can be sent so
                return True
            if not count:
                return True
            self._sent += count
        return True

    def _wait(self, advanced: bool) -> None:
        if not self._watching:
            self._watching = True
            self._loop.add_writer(self._socket, self.go_on)
            advanced = True
        if advanced:
            self._link.pause_writing()  # the deadline of a client that reads nothing begins anew

    def _given_up(self, future: asyncio.Future[int]) -> None:
        if future.cancelled():
            self.stop()


def open_splice(
    link: Any, transport: Any, loop: asyncio.AbstractEventLoop, descriptor: int, offset: int, size: int
) -> Splice | None:
    """None if the transport is none of a plain socket."""
    if _sendfile is None or transport is None or transport.get_extra_info("ssl_object") is not None:
        return None
    socket = transport.get_extra_info("socket")
    if socket is None or transport.is_closing():
        return None
    try:
        return Splice(link, transport, socket.fileno(), loop, descriptor, offset, size)
    except OSError:  # there are no descriptors left
        return None
