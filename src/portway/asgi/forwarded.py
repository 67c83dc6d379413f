"""What a trusted proxy says of the client: `X-Forwarded-*`, and `Forwarded` (RFC 7239).

Read from the right, where the nearest proxy wrote: a client can put what it likes at the left. Believed only
from the addresses that the administrator named, and only if the two families do not contradict each other: a
proxy that writes the one often passes the other one through as the client sent it.
"""

from __future__ import annotations

import ipaddress
import re
from typing import Any

from portway.wire import grammar

Network = ipaddress.IPv4Network | ipaddress.IPv6Network
Headers = list[tuple[bytes, bytes]]

# RFC 7239 §4: forwarded-pair = token "=" value; value = token / quoted-string
_PAIR = re.compile(r'\s*([!#$%&\'*+\-.^_`|~0-9A-Za-z]+)=(?:"((?:[^"\\]|\\.)*)"|([^;,"\s]*))\s*')
_PORT = re.compile(r"[0-9]{1,5}")
_PREFIX = re.compile(r"(?:/[A-Za-z0-9\-._~!$&'()*+,;=:@%]+)*/?")

DEFAULT_PORTS = {"http": "80", "https": "443"}


class Trust:
    """The peers whose word is taken: addresses, networks in CIDR, `unix`, or `*` for all."""

    def __init__(self, allowed: str) -> None:
        """ValueError if a word of `allowed` (comma-separated) is neither."""
        words = [word.strip() for word in allowed.split(",") if word.strip()]
        self._all = "*" in words
        self._unix = self._all or "unix" in words
        self._networks: list[Network] = [
            ipaddress.ip_network(word, strict=False) for word in words if word not in ("*", "unix")
        ]

    def __bool__(self) -> bool:
        return self._all or self._unix or bool(self._networks)

    def believes(self, host: str | None) -> bool:
        """Whether the peer of this address is trusted; None is a Unix socket's."""
        if host is None:
            return self._unix
        if self._all:
            return True
        try:
            address = ipaddress.ip_address(host.partition("%")[0])
        except ValueError:
            return False
        mapped = getattr(address, "ipv4_mapped", None)
        return any((mapped or address) in network for network in self._networks)


class Hop:
    """What is known of the client's end: each is None if it was not said."""

    __slots__ = ("client", "host", "port", "prefix", "proto")

    def __init__(self) -> None:
        self.client: tuple[str, int] | None = None
        self.host: str | None = None
        self.port: str | None = None
        self.prefix: str | None = None
        self.proto: str | None = None


def apply(scope: dict[str, Any], trust: Trust) -> None:
    """Put into the scope what its headers say, if they may be believed."""
    headers: Headers = scope["headers"]
    old = from_x_forwarded(headers, trust)
    new = from_forwarded(headers, trust)
    if old is not None and new is not None and old.client != new.client:
        return
    hop = old or new
    if hop is None:
        return
    if hop.client is not None:
        scope["client"] = hop.client
    if hop.proto is not None:
        scope["scheme"] = hop.proto
    if hop.prefix:
        scope["root_path"] = hop.prefix + scope["root_path"]
        scope["path"] = hop.prefix + scope["path"]
        scope["raw_path"] = hop.prefix.encode() + scope["raw_path"]
    host = _authority(hop, scope)
    if host is not None:
        kept = [pair for pair in headers if pair[0] != b"host"]
        scope["headers"] = [(b"host", host), *kept]


def from_x_forwarded(headers: Headers, trust: Trust) -> Hop | None:
    """The de-facto headers; None if there is none of them."""
    found = {name: _list(headers, b"x-forwarded-" + name) for name in (b"for", b"proto", b"host", b"port", b"prefix")}
    if not any(found.values()):
        return None
    hop = Hop()
    depth = 0
    for word in reversed(found[b"for"]):
        node = parse_node(word)
        if node is None:
            break
        hop.client = node
        depth += 1
        if not trust.believes(node[0]):
            break
    hop.proto = _proto(_at(found[b"proto"], depth))
    hop.host = _host(_at(found[b"host"], depth))
    port = _at(found[b"port"], depth)
    hop.port = port if port is not None and _PORT.fullmatch(port) else None
    hop.prefix = _prefix(_at(found[b"prefix"], depth))
    return hop


def from_forwarded(headers: Headers, trust: Trust) -> Hop | None:
    """RFC 7239's header; None if there is none, or the nearest element is malformed."""
    elements = [parse_element(word) for word in _elements(headers)]
    if not elements:
        return None
    hop = Hop()
    for element in reversed(elements):
        if element is None:
            break
        node = parse_node(element.get("for", ""))
        hop.proto = _proto(element.get("proto")) or hop.proto
        hop.host = _host(element.get("host")) or hop.host
        if node is None:
            break
        hop.client = node
        if not trust.believes(node[0]):
            break
    return hop


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


def parse_node(text: str) -> tuple[str, int] | None:
    """An address with an optional port; None for `unknown`, an obfuscated name (RFC 7239 §6) or rubbish."""
    text = text.strip()
    host, port = text, ""
    if text.startswith("["):
        host, _, rest = text[1:].partition("]")
        port = rest.removeprefix(":")
    elif text.count(":") == 1:
        host, _, port = text.partition(":")
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return None
    return str(address), int(port) if _PORT.fullmatch(port) and int(port) < 65536 else 0


def _list(headers: Headers, name: bytes) -> list[str]:
    words = [value.decode("latin-1") for key, value in headers if key == name]
    return [word.strip() for word in ",".join(words).split(",")] if words else []


def _elements(headers: Headers) -> list[str]:
    """The elements of all Forwarded headers: split at commas that stand in no quotes."""
    text = ",".join(value.decode("latin-1") for key, value in headers if key == b"forwarded")
    parts = re.findall(r'((?:[^,"]|"(?:[^"\\]|\\.)*")+)', text)
    return [part.strip() for part in parts]


def _at(words: list[str], depth: int) -> str | None:
    """The word that the proxy nearest to the client wrote, of those that were believed."""
    if not words:
        return None
    return words[max(0, len(words) - max(depth, 1))]


def _proto(word: str | None) -> str | None:
    word = (word or "").lower()
    return {"http": "http", "https": "https", "ws": "http", "wss": "https"}.get(word)


def _host(word: str | None) -> str | None:
    return word if word and grammar.host.fullmatch(word.encode("latin-1", "replace")) else None


def _prefix(word: str | None) -> str | None:
    return word.rstrip("/") if word and _PREFIX.fullmatch(word) else None


def _authority(hop: Hop, scope: dict[str, Any]) -> bytes | None:
    if hop.host is None:
        return None
    host = hop.host
    has_port = re.search(r":[0-9]*$", host) is not None and not host.endswith("]")
    if hop.port is not None and not has_port and hop.port != DEFAULT_PORTS.get(scope["scheme"]):
        host = f"{host}:{hop.port}"
    return host.encode("latin-1")
