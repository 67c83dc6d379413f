"""Judges a request's header list (RFC 9113 §8.2, §8.3) and makes a `Head` of it, the same that HTTP/1.1 makes.

Whatever is malformed is a StreamFault, since an intermediary that lets it through may read it in another way; what is
well made and cannot be met is a ProtocolFault, which is an answer.
"""

from __future__ import annotations

from portway.wire import events, fields, methods, scan
from portway.wire.events import Head
from portway.wire.faults import ProtocolFault
from portway.wire.http2.faults import StreamFault
from portway.wire.port import Limits

COLON = 0x3A
SP = 0x20
TAB = 0x09
SLASH = 0x2F
QUESTION = 0x3F

METHOD = b":method"
SCHEME = b":scheme"
AUTHORITY = b":authority"
PATH = b":path"
PROTOCOL = b":protocol"
COOKIE = b"cookie"
PRIORITY = b"priority"

# RFC 9113 §8.2.2
CONNECTION_SPECIFIC = frozenset((b"connection", b"keep-alive", b"proxy-connection", b"transfer-encoding", b"upgrade"))

# Names that were found well-formed; emptied when full, and with no long ones, so that a peer cannot make it grow.
NAMES: set[bytes] = set()
NAMES_KEPT = 1024
NAME_MOST = 64


def read(head: Head, pairs: list[tuple[bytes, bytes]], end: bool, limits: Limits, connects: bool) -> None:
    """Fill in the head; `connects` says that CONNECT may name a protocol (RFC 8441)."""
    head.version = "2"
    method = scheme = authority = path = protocol = None
    headers = head.headers
    crumbs: list[bytes] | None = None
    cookie = 0
    for pair in pairs:
        name = pair[0]
        value = pair[1]
        if name and name[0] == COLON:
            if headers:
                raise StreamFault("a pseudo-header follows a header")
            if name == METHOD and method is None:
                method = value
            elif name == PATH and path is None:
                path = value
            elif name == SCHEME and scheme is None:
                scheme = value
            elif name == AUTHORITY and authority is None:
                authority = value
            elif name == PROTOCOL and protocol is None and connects:
                protocol = value
            else:
                raise StreamFault("a pseudo-header is unknown, or comes twice")
            continue
        check(name, value)
        if name == PRIORITY:
            head.priority = value
        elif name == COOKIE:
            # RFC 9113 §8.2.3: they may come apart, and are one field to everybody else.
            if crumbs is not None:
                crumbs.append(value)
                continue
            crumbs = [value]
            cookie = len(headers)
        headers.append(pair)
    if crumbs is not None and len(crumbs) > 1:
        headers[cookie] = (COOKIE, b"; ".join(crumbs))
    if method is None:
        raise StreamFault("the pseudo-header :method is missing")
    head.method = methods.NAMED.get(method) or rare_method(method)
    head.length = 0 if end else events.UNKNOWN
    if method == b"CONNECT":
        connect(head, scheme, authority, path, protocol, end)
    elif protocol is not None:
        raise StreamFault("only CONNECT names a protocol")
    if scheme is None or path is None:
        raise StreamFault("the pseudo-header :scheme or :path is missing")
    check_scheme(scheme)
    read_path(head, path, limits)
    judge(head, authority, end)
    if len(headers) > limits.fields:
        raise ProtocolFault("there are more header fields than are accepted here", 431)
    if limits.body and head.length > limits.body:
        raise ProtocolFault("the body is larger than is accepted here", 413)


def check(name: bytes, value: bytes) -> None:
    """One header (RFC 9113 §8.2.1)."""
    view = value
    size = len(value)
    if name not in NAMES:
        check_name(name)
    if size:
        if view[0] == SP or view[0] == TAB or view[size - 1] == SP or view[size - 1] == TAB:
            raise StreamFault("there is white space at the end of a header value")
        if scan.text(value, 0, size) != size:
            raise StreamFault("a header value has a control character in it")


def check_name(name: bytes) -> None:
    size = len(name)
    if size == 0 or scan.token(name, 0, size) != size or name != name.lower():
        raise StreamFault("a header name is empty, is no token, or has capital letters")
    if name in CONNECTION_SPECIFIC:
        raise StreamFault("there is a connection-specific header, which HTTP/2 does not have")
    if size <= NAME_MOST:
        if len(NAMES) >= NAMES_KEPT:
            NAMES.clear()
        NAMES.add(name)


def check_trailers(pairs: list[tuple[bytes, bytes]]) -> None:
    """RFC 9113 §8.1: they are headers, without pseudo-headers."""
    for pair in pairs:
        name = pair[0]
        if name and name[0] == COLON:
            raise StreamFault("there is a pseudo-header among the trailers")
        check(name, pair[1])


def judge(head: Head, authority: bytes | None, end: bool) -> None:
    """What the headers say of the request; see `fields.judge`, which does it for HTTP/1."""
    host = None
    lengths = 0
    for pair in head.headers:
        name = pair[0]
        if name not in fields.DECIDING:
            continue
        value = pair[1]
        if name == fields.HOST:
            if host is not None:
                raise StreamFault("there is more than one Host header")
            host = value
        elif name == fields.CONTENT_LENGTH:
            lengths += 1
            head.length = scan.decimal(value)
            if lengths > 1 or head.length < 0:
                raise StreamFault("there is more than one Content-Length, or it is no decimal number")
        elif name == fields.EXPECT:
            # RFC 9110 §10.1.1
            if value.lower() != b"100-continue":
                raise ProtocolFault("the only expectation that can be met is 100-continue", 417)
            head.expect = not end
        elif name == fields.TE:
            if value.lower() != b"trailers":
                raise StreamFault("the header TE says more than trailers")
            head.te_trailers = True
        else:
            head.forwarded = True
    if end and head.length > 0:
        raise StreamFault("there is a Content-Length, and no content")
    head.end = end
    place_host(head, authority, host)


def place_host(head: Head, authority: bytes | None, host: bytes | None) -> None:
    """ASGI 19, RFC 9113 §8.3.1: the authority is the host, and where both are there they agree."""
    found = host if authority is None else authority
    if found is None:
        raise ProtocolFault("the pseudo-header :authority is missing, and so is the Host header")
    if host is not None and authority is not None and host.lower() != authority.lower():
        raise StreamFault("the Host header is another one than :authority")
    check_authority(found)
    if host is None:
        head.headers.insert(0, (fields.HOST, found))


def check_authority(value: bytes) -> None:
    if not value:
        raise StreamFault("the :authority is empty, and http has none such")  # RFC 9110 §4.2.1
    try:
        fields.check_host(value)
    except ProtocolFault:
        raise StreamFault("the :authority is not a host name with an optional port") from None


def check_scheme(scheme: bytes) -> None:
    # A proxy that ends TLS may say https on a plain connection; the scope says what the connection is.
    if scheme not in (b"https", b"http") and scheme.lower() not in (b"https", b"http"):
        raise StreamFault("the :scheme is neither http nor https")


def read_path(head: Head, path: bytes, limits: Limits) -> None:
    size = len(path)
    if size > limits.line:
        raise ProtocolFault("the request target is longer than is accepted here", 414)
    if path == b"*" and head.method == "OPTIONS":
        head.path = path
        return
    if size == 0 or path[0] != SLASH or scan.target(path, 0, size) != size:
        raise StreamFault("the :path is no path, or has a character that must be percent-encoded")
    at = scan.find(path, QUESTION, 0, size)
    head.path = path[0:at]
    if at < size:
        head.query = path[at + 1 : size]


def connect(
    head: Head, scheme: bytes | None, authority: bytes | None, path: bytes | None, protocol: bytes | None, end: bool
) -> None:  # fmt: skip
    """CONNECT, of which only the extended one can be met."""
    if protocol is None:
        if scheme is not None or path is not None or authority is None:
            raise StreamFault("the pseudo-headers are not those of CONNECT")  # RFC 9113 §8.5
        raise ProtocolFault("CONNECT is for proxies, and this is none", 501)
    # RFC 8441 §4
    if authority is None:
        raise StreamFault("an extended CONNECT has no :authority")
    if end:
        raise StreamFault("an extended CONNECT ends its stream, so that there is nothing to connect")
    if protocol.lower() != b"websocket":
        raise ProtocolFault("no protocol but websocket can be had by CONNECT", 501)
    head.upgrade = b"websocket"


def rare_method(method: bytes) -> str:
    size = len(method)
    if size == 0 or scan.token(method, 0, size) != size:
        raise StreamFault("the :method is no token")
    if size > methods.SIZE_MOST:
        raise ProtocolFault("the method is longer than any that is known", 501)
    return method.decode("ascii").upper()  # ASGI 13
