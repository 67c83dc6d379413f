"""What a peer can do wrong in a header block: one exception, which ends the connection."""

from __future__ import annotations

from portway.errors import PortwayError


class HpackFault(PortwayError):
    """The peer broke RFC 7541, and the two tables no longer agree: COMPRESSION_ERROR (RFC 9113 §4.3).

    The text is what was wrong, in one line for a person, without a byte of the peer's in it.
    """

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self.text = text
