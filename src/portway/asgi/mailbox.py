"""What `receive()` waits on: the content of one request, and the news that the client has gone."""

from __future__ import annotations

import asyncio
from typing import Any

from portway.asgi import ready
from portway.wire.port import Port

# So many pieces are kept apart.
PIECES_MOST = 1024


class Mailbox(ready.Source):
    """Pieces of content that came and were not asked for yet.

    `size` is their bytes: the link stops reading when it grows, and learns through `Port.credit` what was
    taken. `told_lost` says that `http.disconnect` was given to the application.
    """

    __slots__ = ("_ended", "_over", "_pieces", "_port", "_stream", "_told_end", "size", "told_lost")

    def __init__(self, loop: asyncio.AbstractEventLoop, port: Port, stream: int, ended: bool) -> None:
        super().__init__(loop)
        self._port = port
        self._stream = stream
        self._pieces: list[bytes] = []
        self._ended = ended
        self._told_end = False
        self._over = False
        self.size = 0
        self.told_lost = False

    def put(self, data: bytes, end: bool) -> None:
        """A piece has come; `end` if it is the last."""
        if data:
            pieces = self._pieces
            if len(pieces) >= PIECES_MOST:  # an object for each byte or two would take twenty times their size
                pieces[:] = [b"".join(pieces)]
            pieces.append(data)
            self.size += len(data)
        self._ended = self._ended or end
        self.wake()

    def leave(self) -> None:
        """The response is complete, or the client has gone: `http.disconnect` is all that comes now.

        Except that a request which came whole is still told whole.
        """
        self._over = True
        if not self._ended:
            self._pieces.clear()
            self.size = 0
        self.wake()

    def discard(self) -> None:
        """The response is complete: no one is told of content any more."""
        self._told_end = True
        self._pieces.clear()
        self.size = 0
        self.leave()

    def settled(self) -> bool:
        return bool(self._pieces) or self._over or (self._ended and not self._told_end)

    def result(self) -> dict[str, Any]:
        if self.lost():
            self.told_lost = True
            return {"type": "http.disconnect"}
        return self._content()

    def lost(self) -> bool:
        """Whether `http.disconnect` is what comes next."""
        return self._over and (self._told_end or not self._ended)

    def _content(self) -> dict[str, Any]:
        pieces = self._pieces
        if len(pieces) == 1:
            data = pieces[0]
        else:
            data = b"".join(pieces)
        pieces.clear()
        self.size = 0
        self._told_end = self._ended
        if data and not self._over:
            self._port.credit(self._stream, len(data))
        return {"type": "http.request", "body": data, "more_body": not self._ended}
