"""Writes response heads (RFC 9112 §4–§7): which framing a response gets, and its bytes."""

from __future__ import annotations

from http import HTTPStatus

from portway.wire import fields
from portway.wire.fields import Outgoing

# How the end of a response's body is told.
NOTHING = 0  # it has none
LENGTH = 1
CHUNKED = 2
CLOSE = 3

CRLF = b"\r\n"
END = b"\r\n\r\n"
LAST_CHUNK = b"0\r\n\r\n"
PHRASES = {status.value: status.phrase.encode() for status in HTTPStatus}


class Preamble:
    """What every response begins with: the status line, Date and Server.

    One for a worker. The clock renews `date` once a second; heads in between share their first bytes.
    """

    __slots__ = ("_date", "_extra", "_known", "_server", "pairs")

    def __init__(self, server: bytes = b"", extra: bytes = b"") -> None:
        """`server` is the value of the Server header, or empty; `extra` are lines to add, each after its CRLF."""
        self._server = CRLF + b"server: " + server if server else b""
        self._extra = extra
        self._date = b""
        self._known: dict[int, bytes] = {}
        self.pairs = self._pairs(b"", self._server)  # what HTTP/2 needs: Date, Server and the configured headers

    def renew(self, date: bytes) -> None:
        """Take the time, as an IMF-fixdate (RFC 9110 §5.6.7), or nothing to send no Date."""
        self._date = CRLF + b"date: " + date if date else b""
        self._known.clear()
        self.pairs = self._pairs(self._date, self._server)

    def lines(self, status: int) -> bytes:
        """The status line, Date, Server and the configured headers; the CRLF of the last one is still to come."""
        known = self._known.get(status)
        if known is None:
            known = status_line(status) + self._date + self._server + self._extra
            self._known[status] = known
        return known

    def lines_beside(self, status: int, headers: Outgoing) -> bytes:
        """The same for a response that brings a Date or a Server of its own."""
        date = b"" if headers.dated else self._date
        server = b"" if headers.served else self._server
        return status_line(status) + date + server + self._extra

    def pairs_beside(self, headers: Outgoing) -> list[tuple[bytes, bytes]]:
        """`pairs`, likewise."""
        return self._pairs(b"" if headers.dated else self._date, b"" if headers.served else self._server)

    def _pairs(self, date: bytes, server: bytes) -> list[tuple[bytes, bytes]]:
        lines = (line.partition(b":") for line in (date + server + self._extra).split(CRLF)[1:])
        pairs = [(name.lower(), value.strip(b" \t")) for name, _, value in lines]
        return fields.outgoing(pairs).pairs  # without those that are a connection's


def status_line(status: int) -> bytes:
    return b"HTTP/1.1 %d %b" % (status, PHRASES.get(status, b""))


def bodiless(status: int, method: str) -> bool:
    """RFC 9112 §6.3: responses that end with their head, whatever it says."""
    return method == "HEAD" or status == 204 or status == 304 or status < 200


def framing(headers: Outgoing, old: bool, end: bool) -> int:
    """How a response with a body is framed; `end` means that its first piece is its last."""
    if headers.length != fields.NO_LENGTH or end:
        return LENGTH
    # RFC 9112 §6.1: Transfer-Encoding is not for HTTP/1.0.
    return CLOSE if old else CHUNKED


# `name: `, by name: two pieces for a header instead of four. Emptied when full.
LINE_BEGINS: dict[bytes, bytes] = {}
LINE_BEGINS_KEPT = 1024


def write_fields(out: list[bytes], headers: Outgoing) -> None:
    """Each field line as a CRLF that ends the line before, then name and value."""
    for pair in headers.pairs:
        begin = LINE_BEGINS.get(pair[0])
        if begin is None:
            begin = line_begin(pair[0])
        out.append(begin)
        out.append(pair[1])


def line_begin(name: bytes) -> bytes:
    if len(LINE_BEGINS) >= LINE_BEGINS_KEPT:
        LINE_BEGINS.clear()
    begin = LINE_BEGINS[name] = CRLF + name + b": "
    return begin


def write_chunk(out: list[bytes], data: bytes) -> None:
    out.append(b"%x\r\n" % len(data))
    out.append(data)
    out.append(CRLF)
