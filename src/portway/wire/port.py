"""What an application's side may ask of the wire, for one stream: the floor that `asgi` stands on.

A link inherits `Port` and answers for all streams of its connection, on any HTTP version.
"""

from __future__ import annotations

from typing import Any

from portway.wire.fields import Outgoing


class Limits:
    """What a codec accepts of a request; sizes in bytes, `body` of 0 is without a limit."""

    __slots__ = ("body", "fields", "head", "line")

    def __init__(self, line: int = 8192, head: int = 65536, fields: int = 100, body: int = 0) -> None:
        self.line = line
        self.head = head
        self.fields = fields
        self.body = body


class Port:
    """Each method names its stream. Those that write return whether there is room for more."""

    def respond(self, stream: int, status: int, fields: Outgoing, body: bytes, end: bool) -> bool:
        """Begin the final response, with the first piece of its body (often all of it)."""
        raise NotImplementedError

    def inform(self, stream: int, status: int, fields: Outgoing | None) -> None:
        """Write an interim (1xx) response."""
        raise NotImplementedError

    def body(self, stream: int, data: bytes, end: bool) -> bool:
        """Write a further piece of the response."""
        raise NotImplementedError

    def splice(self, stream: int, descriptor: int, offset: int, size: int) -> Any:
        """Write a piece of an open file without a copy: a future of how much was written, less than `size` if the
        file is at its end or the kernel refuses. None if that cannot be had here, or not for this response.
        """
        return None

    def trailers(self, stream: int, fields: Outgoing) -> None:
        """Write the trailer section, which ends the response."""
        raise NotImplementedError

    def reset(self, stream: int) -> None:
        """Give the response up so that the peer sees that it is not whole."""
        raise NotImplementedError

    def tunnel(self, stream: int, fields: Outgoing) -> bytes:
        """Answer that the stream carries another protocol from now on; what has come of that already."""
        raise NotImplementedError

    def pour(self, stream: int, parts: list[bytes], end: bool) -> bool:
        """Write bytes of that protocol; `end` closes the stream in good order."""
        raise NotImplementedError

    def credit(self, stream: int, size: int) -> None:
        """So many bytes of the request were consumed, and more may come."""
        raise NotImplementedError
