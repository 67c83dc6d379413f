"""The states of a stream (RFC 9113 §5.1), as a server sees them, and what each frame of the peer's means in it.

                        HEADERS
                  IDLE ─────────► OPEN
                                 │    │
              their END_STREAM ◄─┘    └─► our END_STREAM
                  REMOTE                      LOCAL
              our END_STREAM │            │ their END_STREAM
                             └──► ENDED ◄─┘
   any of them ──their RST_STREAM──► LEFT       any of them ──our RST_STREAM──► DROPPED

Nothing is pushed, so that no stream is ever reserved. A number below one that was opened, and not opened itself, is
SKIPPED: it can be opened no more. What became of streams long ago is not remembered: they are OLD.

A frame has its way (FINE), is passed over (IGNORED: it may have been under way when we ended the stream), or breaks
the rules of the stream or of the connection.
"""

from __future__ import annotations

IDLE = 0
OPEN = 1
REMOTE = 2  # half-closed: the peer has said all
LOCAL = 3  # half-closed: we have
ENDED = 4
LEFT = 5
DROPPED = 6
SKIPPED = 7
OLD = 8
NAMES = ("IDLE", "OPEN", "REMOTE", "LOCAL", "ENDED", "LEFT", "DROPPED", "SKIPPED", "OLD")

FINE = 0
IGNORED = 1
STREAM_IS_CLOSED = 2  # the stream's fault, STREAM_CLOSED
ALL_IS_CLOSED = 3  # the connection's, STREAM_CLOSED
ALL_IS_WRONG = 4  # the connection's, PROTOCOL_ERROR

# The columns, by the types of frames: DATA, HEADERS, PRIORITY, RST_STREAM, and WINDOW_UPDATE at the end.
_TABLE = {
    IDLE: (ALL_IS_WRONG, FINE, FINE, ALL_IS_WRONG, ALL_IS_WRONG),
    OPEN: (FINE, FINE, FINE, FINE, FINE),
    REMOTE: (STREAM_IS_CLOSED, STREAM_IS_CLOSED, FINE, FINE, FINE),
    LOCAL: (FINE, FINE, FINE, FINE, IGNORED),
    ENDED: (ALL_IS_CLOSED, ALL_IS_CLOSED, FINE, IGNORED, IGNORED),
    LEFT: (STREAM_IS_CLOSED, STREAM_IS_CLOSED, FINE, IGNORED, IGNORED),
    DROPPED: (IGNORED, IGNORED, FINE, IGNORED, IGNORED),
    SKIPPED: (ALL_IS_CLOSED, ALL_IS_WRONG, FINE, IGNORED, IGNORED),
    OLD: (IGNORED, IGNORED, FINE, IGNORED, IGNORED),
}
COLUMNS = 5
WINDOW_COLUMN = 4
VERDICTS = bytes(verdict for state in range(len(_TABLE)) for verdict in _TABLE[state])


def verdict(state: int, column: int) -> int:
    """What a frame of this column means in this state."""
    view = VERDICTS
    return view[state * COLUMNS + column]


# What is remembered of streams that are no more: so many of the last ones, a byte for each.
REMEMBERED = 256


class Fates:
    """What became of the streams that a peer may open (odd numbers), in constant space. `last` is the highest."""

    __slots__ = ("_fates", "last")

    def __init__(self) -> None:
        self.last = 0
        self._fates = bytearray(REMEMBERED)

    def __repr__(self) -> str:
        return f"<Fates last={self.last}>"

    def opened(self, stream: int) -> None:
        """A new one, which is above `last`; those in between are SKIPPED."""
        skipped = self.last + 2 if self.last else 1
        if stream - skipped > 2 * REMEMBERED:
            skipped = stream - 2 * REMEMBERED
        while skipped < stream:
            self._fates[(skipped >> 1) % REMEMBERED] = SKIPPED
            skipped += 2
        self.last = stream

    def closed(self, stream: int, state: int) -> None:
        """What became of it: ENDED, LEFT or DROPPED."""
        if self.last - stream < 2 * REMEMBERED:
            self._fates[(stream >> 1) % REMEMBERED] = state

    def of(self, stream: int) -> int:
        """The state of a stream that is not under way."""
        if stream > self.last or not stream & 1:
            return IDLE  # even ones would be ours, and nothing is pushed
        if self.last - stream >= 2 * REMEMBERED:
            return OLD
        return self._fates[(stream >> 1) % REMEMBERED]
