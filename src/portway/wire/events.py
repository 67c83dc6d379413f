"""The one alphabet of every HTTP version: what a codec tells of the peer.

Each event has `.stream` (the number of the stream it belongs to; on HTTP/1.1 the number of the
request on its connection) and `.end` (nothing more comes from the peer on this stream).
"""

from __future__ import annotations

from portway.wire.faults import ProtocolFault

# `Head.length` of a body whose length only its end will tell (chunked, or HTTP/2 without the header).
UNKNOWN = -1


class Head:
    """A request's head, checked: what is here may be believed.

    `path` and `query` are the request-target's parts, still encoded. `headers` are pairs of bytes with
    lower-case names, in order; an authority in the target stands there as `host`. `length` is the
    body's, or UNKNOWN. `after` is where the head ended in the data that it was read from; `priority` is the header
    of that name, where a codec has a use for it.
    """

    __slots__ = (
        "after",
        "close",
        "end",
        "expect",
        "forwarded",
        "headers",
        "length",
        "method",
        "path",
        "priority",
        "query",
        "stream",
        "te_trailers",
        "upgrade",
        "version",
    )

    def __init__(self, stream: int) -> None:
        self.begin(stream)

    def begin(self, stream: int) -> None:
        """What `__init__` does; apart, because `Head.__new__(Head)` and this cost half in compiled code."""
        self.stream = stream
        self.after = 0
        self.end = False
        self.method = ""
        self.path = b""
        self.query = b""
        self.version = "1.1"
        self.headers: list[tuple[bytes, bytes]] = []
        self.length = 0
        self.close = False
        self.expect = False
        self.forwarded = False
        self.te_trailers = False
        self.upgrade: bytes | None = None
        self.priority: bytes | None = None

    def repeat(self, other: Head) -> None:
        """Become what the other is, but on a stream of its own."""
        self.end = other.end
        self.method = other.method
        self.path = other.path
        self.query = other.query
        self.version = other.version
        self.headers = other.headers[:]
        self.length = other.length
        self.expect = other.expect
        self.forwarded = other.forwarded
        self.te_trailers = other.te_trailers
        self.upgrade = other.upgrade
        self.priority = other.priority

    def __repr__(self) -> str:
        return f"<Head {self.stream} {self.method} {self.path!r} length={self.length} end={self.end}>"


class Body:
    """A piece of a request's content, transfer codings taken off."""

    __slots__ = ("data", "end", "stream")

    def __init__(self, stream: int, data: bytes, end: bool) -> None:
        self.stream = stream
        self.data = data
        self.end = end

    def __repr__(self) -> str:
        return f"<Body {self.stream} {len(self.data)} bytes end={self.end}>"


class Reset:
    """The peer gave this stream up; nothing more comes from it, and what is sent there is lost."""

    __slots__ = ("end", "reason", "stream")

    def __init__(self, stream: int, reason: str) -> None:
        self.stream = stream
        self.reason = reason
        self.end = True

    def __repr__(self) -> str:
        return f"<Reset {self.stream} {self.reason}>"


class Refusal:
    """The codec gave this stream up, for a fault of the peer's; `answered` says that it was told with a response."""

    __slots__ = ("answered", "end", "fault", "stream")

    def __init__(self, stream: int, fault: ProtocolFault, answered: bool) -> None:
        self.stream = stream
        self.fault = fault
        self.answered = answered
        self.end = True

    def __repr__(self) -> str:
        return f"<Refusal {self.stream} {self.fault}>"
