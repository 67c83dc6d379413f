"""One response of a WSGI application: `start_response`, and what becomes of each piece (PEP 3333).

  start_response ──► held ──the first piece that is not empty, or `write`, or the end──► begun
      └── once more with exc_info: another head ┘                  └── with exc_info: raises it

Knows neither threads nor loops: `sink` is called with what `write` brings.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from portway.errors import WSGIError

# The length is not declared, or does not count.
ANY = -1

TOKEN = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")
CONTROL = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")

# The server's own business: how a message is framed, and what becomes of the connection (PEP 3333, "Other HTTP
# Features"; RFC 9110 §7.6.1). Applications of old set them all the same, so they are left out and not refused.
HOP_BY_HOP = frozenset({b"keep-alive", b"proxy-connection", b"te", b"trailer", b"transfer-encoding", b"upgrade"})

NAMES_MOST = 512
NAME_MOST = 64

_names: dict[str, bytes] = {}

# Applications say the same again and again: a header of these that was found to be right is not looked at twice.
REPEATED = frozenset({b"content-type", b"cache-control", b"vary", b"x-frame-options", b"x-content-type-options"})
PAIRS_MOST = 256
VALUE_MOST = 64

_pairs: dict[Any, tuple[bytes, bytes]] = {}

# And a status: to read "200 OK" again costs 2,400 instructions.
CODES_MOST = 128
REASON_MOST = 64

_codes: dict[Any, int] = {}


class Reply:
    """`status` is 0 until `start_response`; `left` is what is still due of a declared length, or ANY.

    `begun` says that the head is final, `whole` that all of the content is there, `surplus` how much more came and was
    cut off.
    """

    __slots__ = ("_declared", "begun", "bodiless", "headers", "left", "method", "sink", "status", "surplus", "whole")

    def __init__(self, method: str, sink: Callable[[bytes], None]) -> None:
        self.method = method
        self.sink = sink
        self.status = 0
        self.headers: list[tuple[bytes, bytes]] = []
        self.left = ANY
        self._declared = ANY
        self.begun = False
        self.bodiless = False  # what the application gives as content is not sent
        self.whole = False
        self.surplus = 0

    def start_response(self, status: str, response_headers: Any, exc_info: Any = None) -> Callable[[bytes], None]:
        """PEP 3333's; gives `write`. WSGIError if the head cannot be sent, or it is the second without `exc_info`."""
        if exc_info is not None:
            if self.begun:
                raise exc_info[1].with_traceback(exc_info[2])
        elif self.status:
            raise WSGIError("start_response was called a second time, without exc_info")
        self._take_head(status, response_headers)
        return self.write

    def _take_head(self, status: str, response_headers: Any) -> None:
        code = code_of(status)
        length = ANY
        headers: list[tuple[bytes, bytes]] = []
        for pair in response_headers if type(response_headers) is list else listed(response_headers):
            known = known_of(pair)
            if known is not None:
                headers.append(known)
                continue
            known = header_of(pair)
            name = known[0]
            if name == b"content-length":
                length = length_of(known[1], length)
            elif name in HOP_BY_HOP or (name == b"connection" and known[1].lower() != b"close"):
                continue
            headers.append(known)
        self.status = code
        self.headers = headers
        self.bodiless = self.method == "HEAD" or code == 204 or code == 304
        self.left = self._declared = ANY if self.bodiless else length
        self.whole = self.left == 0

    def write(self, data: bytes) -> None:
        """PEP 3333's imperative way to send; returns when there is room for more."""
        piece = self.piece(data)
        self.begin()
        if piece:
            self.sink(piece)

    def piece(self, data: Any) -> bytes:
        """What of a piece is to be sent; for one that is not empty the head must be there."""
        if type(data) is not bytes:
            data = as_bytes(data)
        size = len(data)
        if not size:
            return data  # type: ignore[no-any-return]
        self.begin()
        if self.left == ANY:
            return data  # type: ignore[no-any-return]
        if size > self.left:
            self.surplus += size - self.left
            data = data[: self.left]
            size = self.left
        self.left -= size
        self.whole = self.left == 0
        return data  # type: ignore[no-any-return]

    def begin(self) -> None:
        """The head is final: something of the response goes out."""
        if not self.status:
            raise WSGIError("the application gave content before it called start_response")
        self.begun = True

    def give(self, count: int) -> None:
        """So many bytes are given by a file, in one."""
        self.begin()
        if self.bodiless:
            return
        if self.left == ANY:
            self.headers.append((b"content-length", b"%d" % count))
        else:
            self.left -= count

    def end(self) -> None:
        """The iterable is at its end; WSGIError if the response cannot be whole."""
        if not self.status:
            raise WSGIError("the application returned and never called start_response")
        if self.left > 0:
            raise WSGIError(
                f"the response ended {self.left} bytes short of its content-length, which says {self._declared}"
            )
        self.begun = True  # not before: if nothing has gone out, the error may still have a head of its own
        self.whole = True

    def surplus_text(self) -> str:
        return f"{self.surplus} bytes were left out: the response declares a content-length of {self._declared}"


# --- the parts of a head ---


def code_of(status: Any) -> int:
    known = _codes.get(status) if type(status) is str else None
    if known is not None:
        return known
    if not isinstance(status, str):
        raise WSGIError(f'start_response: status must be a str such as "200 OK", and is {status!r:.80}')
    digits = status[:3]
    if len(digits) < 3 or not digits.isdecimal() or not digits.isascii() or status[3:4] not in (" ", ""):
        raise WSGIError(f'start_response: status must begin with three digits, as "200 OK" does, and is {status!r:.80}')
    code = int(digits)
    if code < 200:
        raise WSGIError(f"start_response: status must be a final one, 200 to 999, and is {code}")
    if len(_codes) < CODES_MOST and len(status) <= REASON_MOST:
        _codes[str(status)] = code
    return code


def listed(headers: Any) -> list[Any]:
    if isinstance(headers, str | bytes | dict):
        raise WSGIError(f"start_response: headers must be a list of pairs, and is {headers!r:.80}")
    try:
        return list(headers)
    except TypeError:
        raise WSGIError(f"start_response: headers must be a list of pairs, and is {headers!r:.80}") from None


def known_of(pair: Any) -> tuple[bytes, bytes] | None:
    """The same header, if it was given before."""
    try:
        return _pairs.get(pair)
    except TypeError:  # it cannot be hashed
        return None


def header_of(pair: Any) -> tuple[bytes, bytes]:
    """A header as ASGI has it; WSGIError if it cannot be one."""
    try:
        given, text = pair
    except (TypeError, ValueError):
        raise WSGIError(f"start_response: a header must be a pair of str, and is {pair!r:.80}") from None
    name = name_of(given)
    header = (name, value_of(given, text))
    if name in REPEATED and type(pair) is tuple and len(text) <= VALUE_MOST and len(_pairs) < PAIRS_MOST:
        _pairs[pair] = header
    return header


def name_of(name: Any) -> bytes:
    known = _names.get(name) if type(name) is str else None
    if known is not None:
        return known
    if not isinstance(name, str) or not TOKEN.fullmatch(name):
        raise WSGIError(f"start_response: {name!r:.80} is no name of a header")
    found = name.lower().encode("latin-1")
    if len(_names) < NAMES_MOST and len(found) <= NAME_MOST:
        _names[str(name)] = found
    return found


def value_of(name: str, value: Any) -> bytes:
    if not isinstance(value, str):
        raise WSGIError(f"start_response: the value of {name} must be a str, and is {value!r:.80}")
    if not value.isprintable() and CONTROL.search(value):
        raise WSGIError(f"start_response: the value of {name} has a control character in it: {value!r:.80}")
    try:
        found = value.encode("latin-1")
    except UnicodeEncodeError:
        raise WSGIError(f"start_response: the value of {name} must be latin-1, and is {value!r:.80}") from None
    return found.strip(b" \t")


def length_of(value: bytes, before: int) -> int:
    if not value.isdigit() or len(value) > 18:
        raise WSGIError(f"start_response: Content-Length must be a number, and is {value.decode('latin-1')!r:.80}")
    length = int(value)
    if before not in (ANY, length):
        raise WSGIError(f"start_response: there are two Content-Length headers, {before} and {length}")
    return length


def as_bytes(data: Any) -> bytes:
    if isinstance(data, bytes | bytearray | memoryview):
        return bytes(data)
    raise WSGIError(f"content must be bytes, and the application gave a {type(data).__name__}: {data!r:.80}")
