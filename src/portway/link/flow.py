"""What a connection does with its transport, whatever it speaks: write, pause, resume, and end."""

from __future__ import annotations

import logging
from typing import Any

from portway.link.context import Shared
from portway.link.deadline import Deadline
from portway.link.peers import GONE, HALF, name_of, reset_on_close, whether_left
from portway.wire import waits

log = logging.getLogger("portway")

# A write of so many bytes goes out in its pieces; below, copying them together is cheaper.
JOIN_MOST = 64 * 1024


class Flow(Deadline):
    """The rules of reading and writing. What is queued, and what is waited for, is for who inherits this to say."""

    __slots__ = (
        "_full", "_left", "_lingering", "_paused", "_poured", "_shared", "_transport", "_unwritten", "_write", "peer",
    )  # fmt: skip

    def _begin_flow(self, shared: Shared) -> None:
        self._begin_time(shared.clock)
        self._shared = shared
        self._transport: Any = None
        self._write: Any = None
        self._full = False  # the transport has no room
        self._paused = False  # nothing is read
        self._left = False  # the peer will send nothing more
        self._lingering = False  # our last word is written, and what still comes is thrown away
        self._poured = 0  # bytes that were queued and not written
        self._unwritten = 0
        self.peer: tuple[str, int | None] | None = None

    # --- for who inherits this to say ---

    def _queued(self) -> list[bytes]:
        """The bytes to write, in pieces; they are ours then."""
        raise NotImplementedError

    def _awaited(self) -> int:
        """Which of the waits in `wire.waits` the connection is in."""
        raise NotImplementedError

    def _wait(self, what: int) -> None:
        """Set the deadline for what the connection waits for."""
        raise NotImplementedError

    def _settle(self) -> None:
        """After anything happened: read or not, wait for what, close or stay."""
        raise NotImplementedError

    # --- writing ---

    def pause_writing(self) -> None:
        self._full = True
        self._unwritten = self._unsent()
        self._arm(self._shared.deadlines.write)

    def _unsent(self) -> int:
        """How much waits to be written: a client that takes of it has the time for more."""
        return int(self._transport.get_write_buffer_size())

    def write_out(self) -> None:
        """The outbox' call: the turn is over."""
        self._flush()
        if self._full:
            self._settle()

    def _flush(self) -> None:
        self._poured = 0
        parts = self._queued()
        if not parts or self._transport is None:
            return
        if len(parts) == 1:
            self._write(parts[0])
            return
        if weigh(parts) <= JOIN_MOST or not self._shared.gathers:
            self._write(b"".join(parts))
        else:
            self._transport.writelines(parts)

    def _roomy(self) -> bool:
        """Whether more may be written. A transport whose peer has gone takes everything at once, and would let an
        application that does nothing but write go on for ever: the loop could not tell it of the end.
        """
        return not self._full and not self._transport.is_closing()

    # --- reading ---

    def _pause(self) -> None:
        if not self._paused:
            self._paused = True
            self._transport.pause_reading()
            self._wait(waits.FOR_US)

    def _resume(self) -> None:
        self._paused = False
        if self._transport is not None and not self._left:
            self._transport.resume_reading()
            self._wait(self._awaited())

    def _half_left(self) -> bool:
        """Whether the client will send nothing more, where nothing is read that would tell. One that has gone
        altogether ends the connection.
        """
        left = whether_left(self._transport)
        if left == GONE:
            self._transport.abort()
        return left == HALF

    # --- ending ---

    def _close(self, heard: bool) -> None:
        """Say good-bye: at once if the peer has nothing more to say (`heard`), else after hearing it out.

        A close with unread bytes would be a reset, and could take the response from the peer's hands.
        """
        self._flush()
        if self._left or heard:
            self._unwritten = self._transport.get_write_buffer_size()
            if self._unwritten:
                self._arm(self._shared.deadlines.write)
            self._transport.close()
            return
        self._lingering = True
        if self._paused:
            self._resume()
        try:
            self._transport.write_eof()
        except OSError:  # from asyncio's own, which asks the kernel at once: the client has gone
            self._transport.abort()
        self._wait(waits.FOR_END)

    def _abort_or_close(self, unwritten: int) -> None:
        if unwritten or self._lingering:
            reset_on_close(self._transport)
            self._transport.abort()
        else:
            self._transport.close()

    def _give_up(self, why: str) -> None:
        log.info("%s: connection closed: %s", name_of(self.peer), why)
        reset_on_close(self._transport)
        self._transport.abort()

    def sever(self) -> None:
        """Close without writing what the client did not read."""
        if self._transport is not None:
            self._transport.abort()


def weigh(parts: list[bytes]) -> int:
    size = 0
    for part in parts:
        size += len(part)
    return size
