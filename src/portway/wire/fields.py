"""Header lists: what a request's say about its framing, and what an application's may say.

The first half judges what the peer sent and raises `ProtocolFault`; the second checks what the
application sends and raises `MessageError`. Names that `scan.name` knows are compared by identity.
"""

from __future__ import annotations

from collections.abc import Iterable

from portway.errors import MessageError
from portway.wire import events, grammar, scan
from portway.wire.events import Head
from portway.wire.faults import ProtocolFault

_known = scan.KNOWN
HOST = _known[b"host"]
CONTENT_LENGTH = _known[b"content-length"]
TRANSFER_ENCODING = _known[b"transfer-encoding"]
CONNECTION = _known[b"connection"]
EXPECT = _known[b"expect"]
UPGRADE = _known[b"upgrade"]
TE = _known[b"te"]

FORWARDED = frozenset(
    _known[name]
    for name in (
        b"forwarded",
        b"x-forwarded-for",
        b"x-forwarded-host",
        b"x-forwarded-port",
        b"x-forwarded-prefix",
        b"x-forwarded-proto",
    )
)

# The headers that `judge` has something to do for; all others cost it one look-up.
DECIDING = FORWARDED | {HOST, CONTENT_LENGTH, TRANSFER_ENCODING, CONNECTION, EXPECT, UPGRADE, TE}

# RFC 9112 §7: what a sender may know and this server does not decode, as against what is no coding.
_OTHER_CODINGS = frozenset((b"compress", b"deflate", b"gzip", b"x-compress", b"x-gzip", b"identity"))

# Hosts that were found well-formed; emptied when full, so that a peer cannot make it grow. None is longer than
# a name of RFC 1035 §2.3.4 with a port: 256 as long as a head may be would take 16 MB.
HOSTS: set[bytes] = set()
HOSTS_KEPT = 256
HOST_MOST = 261


def judge(head: Head, old: bool) -> None:
    """Decide framing, persistence and the rest from the headers of an HTTP/1 request.

    `old` is HTTP/1.0. Whatever could be read in two ways is refused (RFC 9112 §6.3, §11.2).
    """
    hosts = 0
    lengths = 0
    coded = False
    upgrade = None
    connection = None
    head.close = old
    for pair in head.headers:
        name = pair[0]
        if name not in DECIDING:
            continue
        value = pair[1]
        if name is HOST:
            hosts += 1
            check_host(value)
        elif name is CONNECTION:
            connection = value if connection is None else connection + b"," + value
        elif name is CONTENT_LENGTH:
            lengths += 1
            head.length = content_length(value)
        elif name is TRANSFER_ENCODING:
            _check_coding(value, coded, old)
            coded = True
        elif name is EXPECT:
            _expectation(head, value, old)
        elif name is UPGRADE:
            upgrade = value
        elif name is TE:
            head.te_trailers = head.te_trailers or b"trailers" in _tokens(value)
        else:
            head.forwarded = True
    if hosts != 1 and (hosts or not old):
        raise ProtocolFault("there must be exactly one Host header" if hosts else "the Host header is missing")
    if lengths > 1:
        raise ProtocolFault("there is more than one Content-Length header")
    if coded:
        if lengths:
            raise ProtocolFault("Content-Length and Transfer-Encoding exclude each other")
        head.length = events.UNKNOWN
    if connection is not None and _persistence(head, connection, old) and not old:
        head.upgrade = upgrade
    head.end = head.length == 0
    head.expect = head.expect and not head.end


def check_host(value: bytes) -> None:
    """RFC 9112 §3.2: an invalid Host is answered with 400."""
    if value in HOSTS:
        return
    if grammar.host.fullmatch(value) is None:
        raise ProtocolFault("the Host header is not a host name with an optional port")
    if len(value) > HOST_MOST:
        return
    if len(HOSTS) >= HOSTS_KEPT:
        HOSTS.clear()
    HOSTS.add(value)


def content_length(value: bytes) -> int:
    """The number; RFC 9110 §8.6 allows digits and nothing else."""
    length = scan.decimal(value)
    if length < 0:
        raise ProtocolFault("the Content-Length is not a decimal number of reasonable size")
    return length


def _persistence(head: Head, value: bytes, old: bool) -> bool:
    """Apply all that the Connection headers say (RFC 9112 §9.3); whether they name `upgrade`."""
    if value == b"keep-alive":  # nearly always
        options = [value]
    else:
        options = _tokens(value)
    if b"close" in options:
        head.close = True
    elif old and b"keep-alive" in options:
        head.close = False
    return b"upgrade" in options


def _check_coding(value: bytes, again: bool, old: bool) -> None:
    # RFC 9112 §6.1: a Transfer-Encoding in HTTP/1.0 is faulty framing.
    if old:
        raise ProtocolFault("an HTTP/1.0 request cannot have a Transfer-Encoding")
    if again:
        raise ProtocolFault("there is more than one Transfer-Encoding header")
    if value.lower() == b"chunked":
        return
    # RFC 9112 §6.3: without chunked as the last coding the length cannot be told, which is 400.
    *others, last = _tokens(value)
    if last == b"chunked" and others and all(coding in _OTHER_CODINGS for coding in others):
        raise ProtocolFault("no transfer coding but chunked is understood here", 501)
    raise ProtocolFault("the Transfer-Encoding is not chunked")


def _expectation(head: Head, value: bytes, old: bool) -> None:
    # RFC 9110 §10.1.1: ignored from HTTP/1.0; anything but 100-continue cannot be met.
    if value.lower() != b"100-continue":
        raise ProtocolFault("the only expectation that can be met is 100-continue", 417)
    head.expect = not old


def _tokens(value: bytes) -> list[bytes]:
    return [part.strip(b" \t") for part in value.lower().split(b",")]


# --- what an application sends ---

PLAIN = 0
IS_LENGTH = 1
IS_CODING = 2
IS_CONNECTION = 3
IS_HOP = 4
IS_DATE = 5
IS_SERVER = 6

_SPECIAL = {
    b"content-length": IS_LENGTH,
    b"transfer-encoding": IS_CODING,
    b"connection": IS_CONNECTION,
    b"keep-alive": IS_HOP,
    b"proxy-connection": IS_HOP,
    b"upgrade": IS_HOP,
    b"date": IS_DATE,
    b"server": IS_SERVER,
}

# Names that applications sent before, in the spelling they used, and what they mean; saves the checks.
SPELLINGS: dict[bytes, int] = dict(_SPECIAL)
SPELLINGS_KEPT = 1024

NO_LENGTH = -1


class Outgoing:
    """A response's headers, checked once for every HTTP version (ASGI 23, 24, 27).

    `pairs` are what is written; the connection-specific ones are gone from it and have become
    `close`. `length` is the Content-Length, or NO_LENGTH.
    """

    __slots__ = ("close", "dated", "length", "pairs", "served")

    def __init__(self) -> None:
        self.begin()

    def begin(self) -> None:
        """What `__init__` does; see `events.Head.begin`."""
        self.pairs: list[tuple[bytes, bytes]] = []
        self.length = NO_LENGTH
        self.close = False
        self.dated = False
        self.served = False

    def drop_length(self) -> None:
        """RFC 9110 §8.6: a 1xx or 204 response has no Content-Length."""
        self.pairs = [pair for pair in self.pairs if pair[0].lower() != b"content-length"]
        self.length = NO_LENGTH


def outgoing(headers: Iterable[Iterable[bytes]]) -> Outgoing:
    """Check the headers that an application sends; MessageError says which one is wrong, and how."""
    checked = Outgoing.__new__(Outgoing)
    checked.begin()
    pairs = checked.pairs
    for pair in headers:
        name, value = pair
        if type(name) is not bytes or type(value) is not bytes:
            name, value = _as_bytes(name, value)
        kind = SPELLINGS.get(name)
        if kind is None:
            kind = _spelling(name)
        size = len(value)
        if scan.text(value, 0, size) != size:
            raise MessageError(f"the value of header {name!r} has a control character in it: {value[:80]!r}")
        if kind == PLAIN:
            pairs.append((name, value))
        elif kind == IS_LENGTH:
            _length(checked, name, value)
        elif kind == IS_CONNECTION:
            checked.close = checked.close or b"close" in _tokens(value)
        elif kind == IS_DATE:
            checked.dated = True
            pairs.append((name, value))
        elif kind == IS_SERVER:
            checked.served = True
            pairs.append((name, value))
    return checked


def _length(checked: Outgoing, name: bytes, value: bytes) -> None:
    length = scan.decimal(value)
    if length < 0:
        raise MessageError(f"the content-length must be a decimal number, and is {value[:80]!r}")
    if checked.length != NO_LENGTH:
        if checked.length != length:
            raise MessageError(f"there are two content-length headers: {checked.length} and {length}")
        return
    checked.length = length
    checked.pairs.append((name, value))


def _spelling(name: bytes) -> int:
    size = len(name)
    if size == 0 or scan.token(name, 0, size) != size:
        raise MessageError(f"a header name must be a token (RFC 9110 §5.6.2), and one is {name[:80]!r}")
    kind = _SPECIAL.get(name.lower(), PLAIN)
    if len(SPELLINGS) >= SPELLINGS_KEPT:
        SPELLINGS.clear()
        SPELLINGS.update(_SPECIAL)
    SPELLINGS[name] = kind
    return kind


def _as_bytes(name: object, value: object) -> tuple[bytes, bytes]:
    if isinstance(name, bytes | bytearray | memoryview) and isinstance(value, bytes | bytearray | memoryview):
        return bytes(name), bytes(value)
    wrong = value if isinstance(name, bytes) else name
    raise MessageError(
        f"header names and values must be bytes, and in ({name!r:.80}, {value!r:.80}) there is a {type(wrong).__name__}"
    )
