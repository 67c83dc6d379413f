"""Budgets against a peer that makes us work for nothing: what it does within the rules, too often.

1. Each connection has two budgets. One is for requests that came to nothing: those that the peer resets before they
   are answered (CVE-2023-44487), and those that it makes us reset by breaking a rule (CVE-2025-8671).
2. The other is for glitches: frames that carry nothing, or that make us answer, or cut what we send into crumbs.
   SETTINGS, PING, PRIORITY and PRIORITY_UPDATE, empty DATA, each CONTINUATION, a frame on a stream that is closed,
   a stream beyond those that are allowed, a DATA frame that a narrow window makes tiny (CVE-2019-9511 and on).
3. Time refills them, a twentieth each second: it is the link that knows time, and says when.
4. When one is used up the connection ends with ENHANCE_YOUR_CALM (RFC 9113 §10.5).
"""

from __future__ import annotations

from portway.wire.http2 import faults
from portway.wire.http2.faults import ConnectionFault

SHARE = 20


class Budget:
    """So many at once, and a twentieth of it in each second that follows."""

    __slots__ = ("_left", "_most", "_what")

    def __init__(self, most: int, what: str) -> None:
        self._most = most
        self._left = most
        self._what = what

    def __repr__(self) -> str:
        return f"<Budget {self._left} of {self._most}>"

    def spend(self, count: int) -> None:
        """ConnectionFault if there is nothing left."""
        self._left -= count
        if self._left < 0:
            raise ConnectionFault(f"there are too many {self._what}", faults.ENHANCE_YOUR_CALM)

    def refill(self, seconds: int) -> None:
        self._left = min(self._most, self._left + seconds * max(1, self._most // SHARE))
