"""What a peer can do wrong on an open WebSocket: one exception, which carries the close code to give."""

from __future__ import annotations

from portway.errors import PortwayError


class FrameFault(PortwayError):
    """The peer broke RFC 6455, or a limit: the last that `receive` of the codec finds.

    The text is what was wrong, for the peer and the log, without a byte of the peer's in it.
    """

    def __init__(self, text: str, code: int = 1002) -> None:
        super().__init__(text)
        self.text = text
        self.code = code
