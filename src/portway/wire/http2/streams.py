"""One stream: its state, its windows, and what waits to be sent on it. And in which order the streams' turns come."""

from __future__ import annotations

from portway.wire import events
from portway.wire.fields import Outgoing
from portway.wire.http2 import priority, states


class Stream:
    """A stream that is under way. What it means is for the codec to say.

    `window` is what may be sent, `theirs` what the peer may still send, `unread` what of that came and was not
    consumed, `credit` what was consumed and not announced; `left` is what of a content-length has not come.
    `asked` says that the peer is to send its content, and waits for no word of ours.
    `ending` says that an END_STREAM follows what is queued, `trailers` what comes before it; `full` that someone
    waits for the queue to become short; `moved` and `heard` that bytes went, or came, since somebody looked.
    """

    __slots__ = (
        "answered", "asked", "at", "came", "credit", "ending", "full", "heard", "incremental", "left", "moved", "mute",
        "number", "queue", "queued", "scheduled", "state", "theirs", "trailers", "tunnel", "unread", "urgency",
        "window",
    )  # fmt: skip

    def __init__(self, number: int, window: int, theirs: int) -> None:
        self.number = number
        self.state = states.OPEN
        self.window = window
        self.theirs = theirs
        self.unread = 0
        self.credit = 0
        self.came = 0
        self.left = events.UNKNOWN
        self.queue: list[bytes] | None = None
        self.at = 0  # how much of the first of the queue is sent
        self.queued = 0
        self.ending = False
        self.trailers: Outgoing | None = None
        self.answered = False
        self.asked = True
        self.mute = False  # the response has no body, whatever is sent
        self.tunnel = False  # another protocol's bytes, which no one counts
        self.full = False
        self.moved = True
        self.heard = True
        self.urgency = priority.URGENCY
        self.incremental = False
        self.scheduled = False

    def __repr__(self) -> str:
        return f"<Stream {self.number} {states.NAMES[self.state]} window={self.window} queued={self.queued}>"

    def put(self, data: bytes) -> None:
        """Queue bytes."""
        if self.queue is None:
            self.queue = []
        self.queue.append(data)
        self.queued += len(data)

    def pull(self, size: int) -> bytes:
        """So many of the queued bytes, or fewer, where a piece of the queue ends."""
        queue = self.queue
        assert queue is not None
        first = queue[0]
        start = self.at
        stop = min(start + size, len(first))
        if stop == len(first):
            del queue[0]
            self.at = 0
        else:
            self.at = stop
        self.queued -= stop - start
        return first if stop - start == len(first) else first[start:stop]

    def drop(self) -> None:
        """Forget what is queued."""
        self.queue = None
        self.queued = 0
        self.at = 0
        self.trailers = None


class Schedule:
    """The streams that have something to send and a window for it, by urgency (RFC 9218 §10).

    Of the same urgency one comes after the other, as they came; those whose responses are of use in parts take turns.
    """

    __slots__ = ("_ready", "count")

    def __init__(self) -> None:
        self._ready: list[list[Stream]] = [[] for _ in range(priority.LEAST_URGENT + 1)]
        self.count = 0

    def add(self, stream: Stream) -> None:
        if not stream.scheduled:
            stream.scheduled = True
            self._ready[stream.urgency].append(stream)
            self.count += 1

    def take_out(self, stream: Stream) -> None:
        if stream.scheduled:
            stream.scheduled = False
            self._ready[stream.urgency].remove(stream)
            self.count -= 1

    def first(self) -> Stream | None:
        """Whose turn it is; it is still in."""
        if self.count:
            for ready in self._ready:
                if ready:
                    return ready[0]
        return None

    def turned(self, stream: Stream) -> None:
        """It has sent one frame: others of its urgency come first, if it shares."""
        ready = self._ready[stream.urgency]
        if stream.incremental and len(ready) > 1:
            ready.remove(stream)
            ready.append(stream)

    def move(self, stream: Stream, urgency: int, incremental: bool) -> None:
        """Take a new priority."""
        scheduled = stream.scheduled
        self.take_out(stream)
        stream.urgency = urgency
        stream.incremental = incremental
        if scheduled:
            self.add(stream)
