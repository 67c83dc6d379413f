"""The opening handshake (RFC 6455 §4.2, RFC 7692 §5): is this a request for a WebSocket, and what does it offer?

A fault carries the answer: 400 for what is malformed, 405 for a method, 426 for another version, 403 for an
origin that is not let in.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
from collections.abc import Collection

from portway.wire import grammar
from portway.wire.events import Head
from portway.wire.faults import ProtocolFault
from portway.wire.websocket import deflate
from portway.wire.websocket.deflate import Deflate, Parameters

VERSION = b"13"
GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"  # RFC 6455 §1.3

# RFC 6455 §9.1: extension = token *( ";" extension-param ), each param a token with an optional token or quoted
# token. One extension with what may stand before it, and one parameter.
_WORD = r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+"
_EXTENSION = re.compile(rf"[ \t,]*({_WORD})((?:[ \t]*;[ \t]*{_WORD}(?:[ \t]*=[ \t]*(?:{_WORD}|\"{_WORD}\"))?)*)[ \t]*")
_PARAMETER = re.compile(rf";[ \t]*({_WORD})(?:[ \t]*=[ \t]*\"?({_WORD})\"?)?")

# More than any client offers; what a list of thousands would cost is not spent.
OFFERS_MOST = 16


class HandshakeFault(ProtocolFault):
    """`headers` belong to the answer."""

    def __init__(self, text: str, status: int = 400, *headers: tuple[bytes, bytes]) -> None:
        super().__init__(text, status)
        self.headers = headers


class Handshake:
    """A request for a WebSocket that can be met.

    `headers` are what the answer must have, `subprotocols` what the client offers, `deflate` is what was agreed
    on, or None.
    """

    __slots__ = ("deflate", "headers", "subprotocols")

    def __init__(self, headers: list[tuple[bytes, bytes]], subprotocols: list[str], agreed: Deflate | None) -> None:
        self.headers = headers
        self.subprotocols = subprotocols
        self.deflate = agreed


def asked_for(head: Head) -> bool:
    """Whether an HTTP/1.1 request asks for a WebSocket (RFC 9110 §7.8: a list, in the client's order)."""
    return head.upgrade is not None and b"websocket" in [name.strip() for name in head.upgrade.lower().split(b",")]


def open_http1(head: Head, origins: Collection[str], deflates: bool) -> Handshake:
    """Check an HTTP/1.1 request that asks for a WebSocket; HandshakeFault if it cannot be met.

    `origins` are those that are let in, or empty for all; `deflates` says whether compression is wanted.
    """
    if head.method != "GET":
        raise HandshakeFault("a WebSocket is opened by GET", 405, (b"allow", b"GET"))
    if not head.end:
        raise HandshakeFault("the request for a WebSocket has a body")
    versions = values(head, b"sec-websocket-version")
    if versions != [VERSION]:
        if not versions:
            raise HandshakeFault("the header Sec-WebSocket-Version is missing")
        raise HandshakeFault(
            "only version 13 of the WebSocket protocol is spoken here",
            426, (b"sec-websocket-version", VERSION), (b"upgrade", b"websocket"),
        )  # fmt: skip
    keys = values(head, b"sec-websocket-key")
    if len(keys) != 1 or not is_key(keys[0]):
        raise HandshakeFault("there must be one Sec-WebSocket-Key, of 16 bytes in base64")
    return agree(head, [(b"sec-websocket-accept", accept(keys[0]))], origins, deflates)


def open_http2(head: Head, origins: Collection[str], deflates: bool) -> Handshake:
    """The same of an extended CONNECT (RFC 8441 §5): the stream is the key, and the answer is 200."""
    versions = values(head, b"sec-websocket-version")
    if versions != [VERSION]:
        raise HandshakeFault("only version 13 of the WebSocket protocol is spoken here", 400)
    return agree(head, [], origins, deflates)


def agree(
    head: Head, headers: list[tuple[bytes, bytes]], origins: Collection[str], deflates: bool
) -> Handshake:  # fmt: skip
    """What has nothing to do with the version of HTTP."""
    if origins:
        check_origin(values(head, b"origin"), origins)
    subprotocols = protocols(values(head, b"sec-websocket-protocol"))
    agreed = deflate.agree(extensions(values(head, b"sec-websocket-extensions"))) if deflates else None
    if agreed is None:
        return Handshake(headers, subprotocols, None)
    return Handshake([*headers, (b"sec-websocket-extensions", agreed[1].encode())], subprotocols, agreed[0])


def values(head: Head, name: bytes) -> list[bytes]:
    return [value for other, value in head.headers if other == name]


def is_key(value: bytes) -> bool:
    try:
        return len(base64.b64decode(value, validate=True)) == 16
    except binascii.Error:
        return False


def accept(key: bytes) -> bytes:
    """RFC 6455 §4.2.2."""
    return base64.b64encode(hashlib.sha1(key + GUID, usedforsecurity=False).digest())


def check_origin(found: list[bytes], origins: Collection[str]) -> None:
    """Only browsers send an Origin, and they always do: a request without one is no page's (RFC 6455 §10.2)."""
    for value in found:
        if value.decode("latin-1").lower() not in origins:
            raise HandshakeFault("this origin is not let in", 403)


def protocols(found: list[bytes]) -> list[str]:
    """The subprotocols that are offered, in the client's order."""
    names = [name.strip(b" \t") for value in found for name in value.split(b",")]
    offered = []
    for name in names:
        if name and grammar.token.fullmatch(name) is None:
            raise HandshakeFault("the header Sec-WebSocket-Protocol is not a list of tokens")
        if name:
            offered.append(name.decode())
    return offered


def extensions(found: list[bytes]) -> list[Parameters]:
    """The offers of permessage-deflate; other extensions are unknown here, and passed over."""
    text = b",".join(found).decode("latin-1").rstrip(", \t")
    offers: list[Parameters] = []
    at = 0
    while at < len(text):
        match = _EXTENSION.match(text, at)
        if match is None:
            raise malformed()
        at = match.end()
        if at < len(text) and text[at] != ",":
            raise malformed()
        if match[1].lower() == deflate.NAME and len(offers) < OFFERS_MOST:
            offers.append([(pair[1], pair[2]) for pair in _PARAMETER.finditer(match[2])])
    return offers


def malformed() -> HandshakeFault:
    return HandshakeFault("the header Sec-WebSocket-Extensions is malformed")
