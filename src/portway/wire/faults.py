"""What a peer can do wrong: one exception, which carries the answer to give."""

from __future__ import annotations

from portway.errors import PortwayError


class ProtocolFault(PortwayError):
    """The peer broke the protocol, or a limit; `receive` of a codec raises it, and nothing else does.

    `status` is the HTTP status of the refusal; the text is what was wrong, in one line for a person,
    without a byte of the peer's in it. `seen` are the first bytes of what was wrong, for the log alone.
    """

    def __init__(self, text: str, status: int = 400) -> None:
        super().__init__(text)
        self.text = text
        self.status = status
        self.seen = b""


class Preface(ProtocolFault):
    """What came is HTTP/2, or meant to be, where HTTP/1.1 was expected; `data` is all of it."""

    def __init__(self, text: str = "HTTP/2 is not spoken on this port", status: int = 505) -> None:
        super().__init__(text, status)
        self.data = b""
