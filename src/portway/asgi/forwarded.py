"""What a trusted proxy says of the client: `X-Forwarded-*`, and `Forwarded` (RFC 7239).

Read from the right, where the nearest proxy wrote: a client can put what it likes at the left. Believed only
from the addresses that the administrator named. A request that has any of `X-Forwarded-*` is read by those
alone: nearly every proxy writes them and passes a `Forwarded` through as the client sent it. A proxy that
writes `Forwarded` must therefore strip `X-Forwarded-*`.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Sequence
from typing import Any

from portway.wire import grammar

Network = ipaddress.IPv4Network | ipaddress.IPv6Network
Headers = list[tuple[bytes, bytes]]
Node = tuple[str, int]

# RFC 7239 §4: forwarded-pair = token "=" value; value = token / quoted-string
_PAIR = re.compile(r'\s*([!#$%&\'*+\-.^_`|~0-9A-Za-z]+)=(?:"((?:[^"\\]|\\.)*)"|([^;,"\s]*))\s*')
_ELEMENT = re.compile(r'(?:[^,"]|"(?:[^"\\]|\\.)*")+')
_CLOSED = re.compile(r'(?:[^"]|"(?:[^"\\]|\\.)*")*')
_WORD = re.compile(r'[^,"]+')
# RFC 7239 §6: node = nodename [ ":" node-port ]; a port may be obfuscated, and is unknown then.
_NODE = re.compile(r"(?:\[([0-9A-Fa-f:.]+)\]|([0-9.]+))(?::(?:([0-9]{1,5})|_[A-Za-z0-9._\-]+))?|([0-9A-Fa-f:.]+)")
# The segments of RFC 3986 §3.3, without what would have to be decoded.
_PREFIX = re.compile(r"(?:/[A-Za-z0-9\-._~!$&'()*+,;=:@]+)*/?")

DEFAULT_PORTS = {"http": "80", "https": "443", "ws": "80", "wss": "443"}
WEBSOCKET = {"http": "ws", "https": "wss"}
SCHEMES = {"http": "http", "https": "https", "ws": "http", "wss": "https"}

X_FORWARDED = frozenset((b"for", b"proto", b"host", b"port", b"prefix"))

# No chain of proxies is longer; what stands further left is not read.
HOPS_MOST = 32

# The longest node is an IPv6 address in brackets with a port. Of those that were found in headers, so many are
# remembered: most clients call again, and reading an address takes longer than all else here.
NODE_MOST = 64
NODES_KEPT = 1024


class Trust:
    """The peers whose word is taken: everybody, those on a Unix socket, those of some networks."""

    def __init__(self, everybody: bool = False, unix: bool = False, networks: Sequence[Network] = ()) -> None:
        self._all = everybody
        self._unix = unix
        self._networks = networks
        self._nodes: dict[str, tuple[Node | None, bool]] = {}

    def believes(self, host: str | None) -> bool:
        """Whether the peer of this address is trusted; None is a Unix socket's."""
        if self._all:
            return True
        if host is None:
            return self._unix
        try:
            address = ipaddress.ip_address(host.partition("%")[0])
        except ValueError:
            return False
        mapped = getattr(address, "ipv4_mapped", None)
        return any((mapped or address) in network for network in self._networks)

    def node(self, text: str) -> tuple[Node | None, bool]:
        """The node that a word of a header names, see `parse_node`, and whether it is trusted in its turn."""
        known = self._nodes.get(text)
        if known is None:
            if len(text) > NODE_MOST:
                return None, False
            node = parse_node(text)
            known = node, node is not None and self.believes(node[0])
            if len(self._nodes) >= NODES_KEPT:
                self._nodes.clear()
            self._nodes[text] = known
        return known


class Hop:
    """What is known of the client's end: each is None or empty if it was not said."""

    __slots__ = ("client", "host", "port", "prefix", "proto")

    def __init__(self) -> None:
        self.client: Node | None = None
        self.host = ""
        self.port = ""
        self.prefix = ""
        self.proto: str | None = None


def apply(scope: dict[str, Any], trust: Trust) -> None:
    """Put into the scope what its headers say. To be called if the peer is believed."""
    headers: Headers = scope["headers"]
    hop = from_x_forwarded(headers, trust) or from_forwarded(headers, trust)
    if hop is None:
        return
    if hop.client is not None:
        scope["client"] = hop.client
    if hop.proto is not None:
        scope["scheme"] = hop.proto if scope["type"] == "http" else WEBSOCKET[hop.proto]
    if hop.prefix:
        scope["root_path"] = hop.prefix + scope["root_path"]
        scope["path"] = hop.prefix + scope["path"]
        scope["raw_path"] = hop.prefix.encode() + scope["raw_path"]
    if hop.host or hop.port:
        _rename(scope, hop)


def from_x_forwarded(headers: Headers, trust: Trust) -> Hop | None:
    """The de-facto headers; None if there is none of them."""
    found: dict[bytes, list[str]] = {}
    for name, value in headers:
        if name.startswith(b"x-forwarded-"):
            found.setdefault(name[12:], []).extend(_words(value))
    if found.keys().isdisjoint(X_FORWARDED):
        return None
    hop = Hop()
    depth = 0
    for word in reversed(found.get(b"for", ())):
        node, trusted = trust.node(word)
        if node is None:
            break
        hop.client = node
        depth += 1
        if not trusted or depth == HOPS_MOST:
            break
    hop.proto = SCHEMES.get(_at(found, b"proto", depth).lower())
    hop.host = _host(_at(found, b"host", depth))
    hop.port = _port(_at(found, b"port", depth))
    hop.prefix = _prefix(_at(found, b"prefix", depth))
    return hop


def from_forwarded(headers: Headers, trust: Trust) -> Hop | None:
    """RFC 7239's header; None if there is none."""
    lines = [value.decode("latin-1") for name, value in headers if name == b"forwarded"]
    if not lines:
        return None
    hop = Hop()
    # Line by line, so that a quotation which a client left open does not swallow what the proxy wrote.
    words = [word for line in lines for word in elements(line)]
    for word in words[: -HOPS_MOST - 1 : -1]:
        element = parse_element(word.strip())
        if element is None:
            break
        hop.proto = SCHEMES.get(element.get("proto", "").lower(), hop.proto)
        hop.host = _host(element.get("host", "")) or hop.host
        node, trusted = trust.node(element.get("for", ""))
        if node is None:
            break
        hop.client = node
        if not trusted:
            break
    return hop


def elements(line: str) -> list[str]:
    """The forwarded-elements of a line. Behind a quotation that is never closed no quotation mark means anything:
    were each looked at, a line of them would take a second.
    """
    closed = _CLOSED.match(line)
    assert closed is not None  # it matches the empty run
    return _ELEMENT.findall(line, 0, closed.end()) + _WORD.findall(line, closed.end())


def parse_element(text: str) -> dict[str, str] | None:
    """One forwarded-element: its pairs by lower-case name."""
    pairs: dict[str, str] = {}
    at = 0
    while at < len(text):
        match = _PAIR.match(text, at)
        if match is None or match[1].lower() in pairs:
            return None
        value = match[3] if match[2] is None else re.sub(r"\\(.)", r"\1", match[2])
        pairs[match[1].lower()] = value
        at = match.end()
        if at < len(text):
            if text[at] != ";":
                return None
            at += 1
    return pairs


def parse_node(text: str) -> Node | None:
    """An address with an optional port; None for `unknown`, an obfuscated name (RFC 7239 §6) or rubbish."""
    match = _NODE.fullmatch(text)
    if match is None:
        return None
    try:
        address = ipaddress.ip_address(match[1] or match[2] or match[4])
    except ValueError:
        return None
    port = int(match[3] or 0)
    return (str(address), port) if port < 65536 else None


# --- what a word may be; empty if it is not ---


def _words(value: bytes) -> list[str]:
    return [word.strip() for word in value.decode("latin-1").split(",")]


def _at(found: dict[bytes, list[str]], name: bytes, depth: int) -> str:
    """The word that the proxy nearest to the client wrote, of those that were believed."""
    words = found.get(name)
    return words[max(0, len(words) - max(depth, 1))] if words else ""


def _host(word: str) -> str:
    return word if grammar.host.fullmatch(word.encode("latin-1", "replace")) else ""


def _port(word: str) -> str:
    return word if word.isascii() and word.isdigit() and len(word) <= 5 and 0 < int(word) < 65536 else ""


def _prefix(word: str) -> str:
    return word.rstrip("/") if _PREFIX.fullmatch(word) else ""


def _rename(scope: dict[str, Any], hop: Hop) -> None:
    """Put the host and the port by which the client called us into the Host header, as its first."""
    headers: Headers = scope["headers"]
    host = hop.host or next((value.decode("latin-1") for name, value in headers if name == b"host"), "")
    has_port = ":" in host.rpartition("]")[2]
    if host and hop.port and not has_port and hop.port != DEFAULT_PORTS.get(scope["scheme"]):
        host = f"{host}:{hop.port}"
    if host:
        scope["headers"] = [
            (b"host", host.encode("latin-1")),
            *(pair for pair in headers if pair[0] != b"host"),
        ]
