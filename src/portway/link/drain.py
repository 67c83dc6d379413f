"""When the server stops: whether a connection on which nothing is under way is closed, or kept for what is coming.

A client that sends its next request just as the server closes gets no answer, and cannot know whether the request was
heeded. So a connection stays while bytes of it wait in the kernel. And it stays until it has been silent for a second
if it has not had a request yet, as its client was told just now that it is connected; if the server stops patiently,
any other does, too.
"""

from __future__ import annotations

import select
from typing import Any

from portway.link.clock import ticks
from portway.link.context import Shared
from portway.link.flow import Flow

SILENCE = ticks(1.0)


class Drain(Flow):
    """What all links have in common for that."""

    __slots__ = ("_draining", "_since")

    def _begin_drain(self, shared: Shared) -> None:
        self._begin_flow(shared)
        self._draining = False
        self._since = shared.clock.now  # the tick of the last response, or of the connection's begin

    def _patience(self, fresh: bool) -> int:
        """For so many ticks more the peer may send something; `fresh` says that it never did."""
        if not (fresh or self._shared.counts.patient):
            return 0
        return max(0, self._since + SILENCE - self._clock.now)

    def _stays(self, fresh: bool) -> bool:
        """Whether the connection is to be kept: the deadline asks again."""
        patience = self._patience(fresh)
        if not patience and self._arrived():
            patience = 1  # the loop is about to read it
        if patience:
            self._arm(patience)
        return patience > 0

    def _arrived(self) -> bool:
        """Whether something waits to be read; the peer's end does not count if it is known."""
        return not self._left and arrived(self._transport)


def arrived(transport: Any) -> bool:
    """Whether something waits to be read, be it the peer's end."""
    if transport.get_extra_info("unread"):
        return True  # the filter of TLS has part of a record
    sock = transport.get_extra_info("socket")
    if sock is None or sock.fileno() < 0:
        return False
    if not hasattr(select, "poll"):
        return bool(select.select([sock], [], [], 0)[0])
    asked = select.poll()
    asked.register(sock.fileno(), select.POLLIN)
    return bool(asked.poll(0))
