"""Reads a request's head: the request-line and the header section (RFC 9112 §2–§5).

Strict: what a lenient reader would repair is refused, since two readers may repair it differently.
"""

from __future__ import annotations

from portway.wire import fields, grammar, methods, scan
from portway.wire.events import Head
from portway.wire.faults import Preface, ProtocolFault
from portway.wire.port import Limits

TAB = 0x09
LF = 0x0A
CR = 0x0D
SP = 0x20
COLON = 0x3A
SLASH = 0x2F
QUESTION = 0x3F

# What follows the target on its line: a space and "HTTP/1.1".
VERSION_SIZE = 9

UNFINISHED = -1

# A larger header section is not remembered: this is what an idle connection may hold.
REMEMBERED_MOST = 1024


class Section:
    """The last header section of a connection, as it was read and judged.

    Clients send the same fields with request after request. When the same bytes come again they mean the
    same again, and to compare them costs a twentieth of what reading them does.
    """

    __slots__ = ("close", "end", "expect", "forwarded", "length", "pairs", "te_trailers", "text", "upgrade")

    def __init__(self) -> None:
        self.text = b""
        self.pairs: list[tuple[bytes, bytes]] = []
        self.length = 0
        self.end = False
        self.close = False
        self.expect = False
        self.forwarded = False
        self.te_trailers = False
        self.upgrade: bytes | None = None

    def remember(self, text: bytes, head: Head) -> None:
        self.text = text
        self.pairs = head.headers[:]
        self.length = head.length
        self.end = head.end
        self.close = head.close
        self.expect = head.expect
        self.forwarded = head.forwarded
        self.te_trailers = head.te_trailers
        self.upgrade = head.upgrade

    def repeat(self, head: Head) -> None:
        """What `read_fields` and `fields.judge` did to the head that had this section."""
        head.headers = self.pairs[:]
        head.length = self.length
        head.end = self.end
        head.close = self.close
        head.expect = self.expect
        head.forwarded = self.forwarded
        head.te_trailers = self.te_trailers
        head.upgrade = self.upgrade


def read_head(data: bytes, at: int, stream: int, limits: Limits, last: Section) -> Head | None:
    """The head that begins at `at`, or None if its end has not come yet; `ProtocolFault` if it is wrong.

    `last` is what the connection remembers of the one before.
    """
    view = data
    stop = len(data)
    begin = at

    at = scan.token(data, at, stop)
    if at == stop:
        check_method_size(at - begin)
        return None
    if view[at] != SP or at == begin:
        raise strange_start(data, begin, at)
    if at - begin == 3 and view[begin] == 0x47 and view[begin + 1] == 0x45 and view[begin + 2] == 0x54:
        method = "GET"  # most of all requests: 230 instructions less than the look-up
    else:
        method = methods.NAMED.get(view[begin:at]) or rare_method(data, begin, at)

    start = at + 1
    at = scan.target(data, start, stop)
    if at - begin + VERSION_SIZE > limits.line:
        raise ProtocolFault("the request line is longer than is accepted here", 414)
    if at == stop:
        return None
    if view[at] != SP or at == start:
        raise bad_target(data, start, at)

    # The version and its CRLF are eleven bytes: " HTTP/1.1" and then CR LF.
    if stop - at < 11:
        check_unfinished_version(data, at + 1)
        return None
    end = at
    old = not (
        view[at + 8] == 0x31 and view[at + 9] == CR and view[at + 10] == LF and view[at + 6] == 0x31
        and view[at + 7] == 0x2E and view[at + 1] == 0x48 and view[at + 2] == 0x54 and view[at + 3] == 0x54
        and view[at + 4] == 0x50 and view[at + 5] == SLASH
    )  # fmt: skip
    if old:
        old = is_old(data, at + 1)

    head = Head.__new__(Head)
    head.begin(stream)
    head.method = method
    at += 11
    plain = view[start] == SLASH and not old
    if plain and last.text and data.startswith(last.text, at) and at + len(last.text) - begin <= limits.head:
        last.repeat(head)
        head.after = at + len(last.text)
        read_path(head, data, start, end)
        return head

    section = at
    at = read_fields(data, at, begin, limits, head.headers)
    if at == UNFINISHED:
        return None
    head.after = at
    if old:
        head.version = "1.0"
    if view[start] == SLASH:
        read_path(head, data, start, end)
    else:
        other_forms(head, data[start:end])
    fields.judge(head, old)
    if limits.body and head.length > limits.body:
        raise ProtocolFault("the body is larger than is accepted here", 413)
    if plain and at - section <= REMEMBERED_MOST:
        last.remember(data[section:at], head)
    return head


def read_path(head: Head, data: bytes, start: int, end: int) -> None:
    """The origin-form of a request-target (RFC 9112 §3.2.1)."""
    view = data
    at = scan.find(data, QUESTION, start, end)
    head.path = view[start:at]
    if at < end:
        head.query = view[at + 1 : end]


def read_fields(data: bytes, at: int, begin: int, limits: Limits, pairs: list[tuple[bytes, bytes]]) -> int:
    """Read field lines to `pairs`, up to and with the empty line; where that ends, or UNFINISHED."""
    view = data
    stop = len(data)
    if stop - begin > limits.head:
        stop = begin + limits.head
    count = 0
    while at < stop and view[at] != CR:
        start = at
        at = scan.token(data, at, stop)
        if at == stop:
            return unfinished_fields(len(data) - begin, limits)
        if view[at] != COLON or at == start:
            raise bad_name(view[at], at == start)
        name = scan.name(data, start, at)
        at += 1
        while at < stop and (view[at] == SP or view[at] == TAB):
            at += 1
        start = at
        at = scan.text(data, at, stop)
        if at + 1 >= stop:
            if at < stop and view[at] != CR:
                raise bad_value(view[at])
            return unfinished_fields(len(data) - begin, limits)
        if view[at] != CR or view[at + 1] != LF:
            raise bad_value(view[at])
        end = at
        while end > start and (view[end - 1] == SP or view[end - 1] == TAB):
            end -= 1
        count += 1
        if count > limits.fields:
            raise ProtocolFault("there are more header fields than are accepted here", 431)
        pairs.append((name, view[start:end]))
        at += 2
    if at + 1 >= stop:
        return unfinished_fields(len(data) - begin, limits)
    if view[at + 1] != LF:
        raise ProtocolFault("a carriage return stands alone, without a line feed")
    return at + 2


# --- what is rare: it may be slow, and must be clear ---


def unfinished_fields(size: int, limits: Limits) -> int:
    if size > limits.head:
        raise ProtocolFault("the header section is larger than is accepted here", 431)
    return UNFINISHED


def check_method_size(size: int) -> None:
    if size > methods.SIZE_MOST:
        raise ProtocolFault("the method is longer than any that is known", 501)


def strange_start(data: bytes, begin: int, at: int) -> ProtocolFault:
    check_method_size(at - begin)
    if looks_like_tls(data[begin : begin + 2]):
        return ProtocolFault("this port speaks plain HTTP, and what came is the start of TLS (https)")
    return ProtocolFault("the request line does not begin with a method and a space")


def looks_like_tls(start: bytes) -> bool:
    """RFC 8446 §5.1: a handshake record (22), version 3.x, of which the second byte may not be here yet."""
    return start == b"\x16\x03" or start == b"\x16"


def rare_method(data: bytes, begin: int, at: int) -> str:
    check_method_size(at - begin)
    method = data[begin:at].decode("ascii").upper()  # ASGI 13
    if method == "CONNECT":
        raise ProtocolFault("CONNECT is for proxies, and this is none", 501)
    return method


def bad_target(data: bytes, start: int, at: int) -> ProtocolFault:
    if data[at] in (CR, LF) and at > start:
        return ProtocolFault("the request line has no HTTP version (HTTP/0.9 is not spoken here)")
    return ProtocolFault("the request target is empty, or has a character that must be percent-encoded")


def check_unfinished_version(data: bytes, at: int) -> None:
    rest = data[at:]
    if not b"HTTP/".startswith(rest[:5]) or b"\n" in rest:
        raise bad_version(rest)


def is_old(data: bytes, at: int) -> bool:
    """Whether the version is HTTP/1.0, where it is not exactly HTTP/1.1; RFC 9110 §2.5 for 1.2 and on."""
    match = grammar.http_version.match(data, at)
    if match is None or data[at + 8 : at + 10] != b"\r\n":
        raise bad_version(data[at : at + 16])
    if match[1] != b"1":
        if data.startswith(b"PRI * HTTP/2.0"):
            raise Preface()
        raise ProtocolFault("this server speaks HTTP/1.1 and HTTP/1.0", 505)
    return match[2] == b"0"


def bad_version(rest: bytes) -> ProtocolFault:
    if grammar.http_version.match(rest) and rest[8:9] == b"\n":
        return ProtocolFault("a line feed stands alone, without a carriage return before it")
    return ProtocolFault("the request line does not end in an HTTP version")


def bad_name(char: int, at_start: bool) -> ProtocolFault:
    if char in (SP, TAB):
        if at_start:
            return ProtocolFault("a header line begins with white space (obsolete line folding)")
        return ProtocolFault("there is white space before the colon of a header")
    if char == LF:
        return ProtocolFault("a line feed stands alone, without a carriage return before it")
    return ProtocolFault("a header name is empty, or is no token")


def bad_value(char: int) -> ProtocolFault:
    if char == LF:
        return ProtocolFault("a line feed stands alone, without a carriage return before it")
    if char == CR:
        return ProtocolFault("a carriage return stands alone, without a line feed")
    return ProtocolFault("a header value has a control character in it")


def other_forms(head: Head, target: bytes) -> None:
    """The absolute-form and the asterisk-form of a request-target (RFC 9112 §3.2.2, §3.2.4)."""
    if target == b"*" and head.method == "OPTIONS":
        head.path = target
        return
    match = grammar.absolute_form.fullmatch(target)
    if match is None:
        raise ProtocolFault("the request target is neither a path nor an absolute http URI")
    authority, rest = match.groups()
    # RFC 9110 §4.2.1, §4.2.4: an http URI without a host is invalid, and one with userinfo a trap.
    if authority.startswith(b":") or b"@" in authority:
        raise ProtocolFault("the authority of the request target must be a host with an optional port")
    fields.check_host(authority)
    path, _, head.query = rest.partition(b"?")
    head.path = path or (b"*" if head.method == "OPTIONS" and not head.query else b"/")
    # RFC 9112 §3.2.2: the Host field is ignored, and replaced by what the target says. All of them stay
    # in the list, so that a missing or second one is still refused, and §3.2: so is an invalid one.
    hosts = [value for name, value in head.headers if name == b"host"]
    for value in hosts:
        fields.check_host(value)
    if not hosts and head.version == "1.0":
        head.headers.insert(0, (fields.HOST, authority))
    head.headers[:] = [(name, authority if name == b"host" else value) for name, value in head.headers]
