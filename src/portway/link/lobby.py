"""Where requests wait that come before the application is ready: with a path for its health a server listens earlier.

Each waits as its application would be called, and its client may go meanwhile.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from portway.asgi.http import Cycle
from portway.asgi.websocket import WebSocket

if TYPE_CHECKING:
    from portway.link.context import Shared

# Those whose client has gone are forgotten when so many wait, or twice as many as there were then.
LOOKED_AT = 64

NOT_STARTED = "The application did not start; try again in a moment."


class Lobby:
    """`closed` says that the application will never be ready."""

    def __init__(self) -> None:
        self.closed = False
        self._waiting: list[tuple[Cycle | WebSocket, dict[str, Any]]] = []
        self._look_at = LOOKED_AT

    def __len__(self) -> int:
        return len(self._waiting)

    def keep(self, request: Cycle | WebSocket, asked: dict[str, Any]) -> None:
        """Until `open` or `close`; `asked` is its scope."""
        self._waiting.append((request, asked))
        if len(self._waiting) >= self._look_at:
            self._waiting = [each for each in self._waiting if not each[0].lost]
            self._look_at = max(LOOKED_AT, 2 * len(self._waiting))

    def open(self, shared: Shared) -> None:
        """The application is ready: call it for those who wait, in the order they came in."""
        waiting, self._waiting = self._waiting, []
        for request, asked in waiting:
            if request.lost:
                continue
            if shared.state is not None:
                asked["state"] = shared.state.copy()
            if isinstance(request, WebSocket):
                shared.starter.open(shared.app, asked, request)
            else:
                shared.starter.start(shared.app, asked, request)

    def close(self) -> None:
        """It will never be ready: they are told, and those who still come as well."""
        self.closed = True
        waiting, self._waiting = self._waiting, []
        for request, _ in waiting:
            if not request.lost:
                request.fail(503, NOT_STARTED)
