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
COLON = b": "
LAST_CHUNK = b"0\r\n\r\n"
PHRASES = {status.value: status.phrase.encode() for status in HTTPStatus}


class Preamble:
    """What every response begins with: the status line, Date and Server.

    One for a worker. The clock renews `date` once a second; heads in between share their first bytes.
    """

    __slots__ = ("_date", "_extra", "_known", "_server")

    def __init__(self, server: bytes = b"", extra: bytes = b"") -> None:
        """`server` is the value of the Server header, or empty; `extra` are whole lines to add to each."""
        self._server = b"server: " + server + CRLF if server else b""
        self._extra = extra
        self._date = b""
        self._known: dict[int, bytes] = {}

    def renew(self, date: bytes) -> None:
        """Take the time, as an IMF-fixdate (RFC 9110 §5.6.7), or nothing to send no Date."""
        self._date = b"date: " + date + CRLF if date else b""
        self._known.clear()

    def lines(self, status: int) -> bytes:
        """The status line, Date, Server and the configured headers."""
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


def status_line(status: int) -> bytes:
    return b"HTTP/1.1 %d %b\r\n" % (status, PHRASES.get(status, b""))


def bodiless(status: int, method: str) -> bool:
    """RFC 9112 §6.3: responses that end with their head, whatever it says."""
    return method == "HEAD" or status == 204 or status == 304 or status < 200


def framing(headers: Outgoing, old: bool, end: bool) -> int:
    """How a response with a body is framed; `end` means that its first piece is its last."""
    if headers.length != fields.NO_LENGTH or end:
        return LENGTH
    # RFC 9112 §6.1: Transfer-Encoding is not for HTTP/1.0.
    return CLOSE if old else CHUNKED


def write_fields(out: list[bytes], headers: Outgoing) -> None:
    for pair in headers.pairs:
        out.append(pair[0])
        out.append(COLON)
        out.append(pair[1])
        out.append(CRLF)


def write_chunk(out: list[bytes], data: bytes) -> None:
    out.append(b"%x\r\n" % len(data))
    out.append(data)
    out.append(CRLF)
