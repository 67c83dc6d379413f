"""Where an application is mounted: reads the keys of mounts, and finds the one that a request is for.

    /old                       below this path: /old and /old/x, not /older
    api.example.org/           on this host
    api.example.org/v2         below this path of this host
    *.example.org/             on each host below this domain, not on the domain itself
    [::1]:8443/                on this host and port

Paths are compared as ASGI has them: percent-decoded, and without `root_path`. A host is compared without regard
to case, its port only where the key has one. Keys with a host go before all others, a host before a wildcard; then
the longest path wins.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from ipaddress import IPv6Address
from itertools import pairwise
from typing import NamedTuple
from urllib.parse import unquote_to_bytes

from portway.errors import SettingsError
from portway.types import Scope

# RFC 3986 §3.2.2, without what only a URL may have; names are those of DNS, and what containers make of them.
HOST = re.compile(r"(\[[0-9a-f:.]+\]|[a-z0-9_](?:[a-z0-9_.\-]*[a-z0-9_])?)\.?(?::([0-9]{1,5}))?", re.IGNORECASE)
PORTS = {"http": 80, "ws": 80, "https": 443, "wss": 443}
WILD = "*."

Authority = tuple[str, int | None]


class Key(NamedTuple):
    """`host` is empty if any will do, and begins with a dot for those below a domain; `path` ends in no slash."""

    host: str
    port: int | None
    path: str

    def __str__(self) -> str:
        return f"{self.authority}{self.path or '/'}"

    @property
    def authority(self) -> str:
        """Host and port as they are written."""
        host = f"*{self.host}" if self.host.startswith(".") else self.host
        return host if self.port is None else f"{host}:{self.port}"

    @property
    def rank(self) -> tuple[bool, bool, int, bool, int]:
        """The smaller, the sooner it is asked."""
        return not self.host, self.host.startswith("."), -len(self.host), self.port is None, -len(self.path)

    def takes(self, authority: Authority | None, path: str) -> bool:
        """Whether a request is for it."""
        if self.host and not self._has(authority):
            return False
        prefix = self.path
        return path.startswith(prefix) and path[len(prefix) : len(prefix) + 1] in ("", "/") if prefix else True

    def _has(self, authority: Authority | None) -> bool:
        if authority is None or (self.port is not None and self.port != authority[1]):
            return False
        host = authority[0]
        return host.endswith(self.host) and host != self.host if self.host[0] == "." else host == self.host


def parse_key(text: str) -> Key:
    """What a key means; SettingsError if it means nothing."""
    if not isinstance(text, str):
        raise TypeError(f"the key of a mount must be a str such as '/old', and is {text!r:.80}")
    name, slash, path = text.partition("/")
    if not slash:
        hint = f"/{text}" if text and "." not in text else f"{text or '/old'}/" if text else "/old"
        raise _wrong(text, f"has no slash; write for example {hint}")
    host, port = _host_of(text, name) if name else ("", None)
    return Key(host, port, _path_of(text, "/" + path))


def ordered(keys: Iterable[Key]) -> list[Key]:
    """In the order in which they are asked; SettingsError if two mean the same."""
    found = sorted(keys, key=lambda key: key.rank)
    for one, other in pairwise(found):
        if one == other:
            raise SettingsError(f"mount: {one} is there twice; a path has one application")
    return found


def _host_of(text: str, name: str) -> Authority:
    wild = name.startswith(WILD)
    try:
        ascii_name = name.removeprefix(WILD).encode("ascii" if name.isascii() else "idna").decode()
    except UnicodeError:
        ascii_name = ""
    found = authority_of(ascii_name)
    if found is None or (wild and ascii_name.startswith("[")):
        raise _wrong(text, f"{name!r} is no host; write for example api.example.org/, or begin with a slash")
    host, port = found
    return (f".{host}" if wild else host), port


def _path_of(text: str, path: str) -> str:
    if re.search(r"[?#\x00-\x1f\x7f]", path):
        raise _wrong(text, "has a query, a fragment or a control character; write the path alone")
    if re.search(r"%2f", path, re.IGNORECASE):
        raise _wrong(text, "has an encoded slash; paths are compared when they are decoded, so write /")
    try:
        decoded = unquote_to_bytes(path).decode()
    except UnicodeError:
        raise _wrong(text, "is not UTF-8 when it is decoded") from None
    segments = decoded.removesuffix("/").split("/")[1:]
    if not all(segments):
        raise _wrong(text, "has an empty segment; write each slash once")
    if {".", ".."} & set(segments):
        raise _wrong(text, "has a segment of dots, which clients take out of a path; write it without")
    return "".join(f"/{segment}" for segment in segments)


def _wrong(text: str, what: str) -> SettingsError:
    return SettingsError(f"mount: {text!r} {what}")


# --- requests ---


def route_path(scope: Scope) -> str:
    """The path below `root_path`, which is taken off at a segment's border only."""
    path: str = scope["path"]
    root = root_of(scope)
    if root and path.startswith(root) and path[len(root) : len(root) + 1] in ("", "/"):
        return path[len(root) :]
    return path


def root_of(scope: Scope) -> str:
    """Where the application is; empty for the very root."""
    root: str = scope.get("root_path") or ""
    return root.rstrip("/")


def authority_asked(scope: Scope) -> Authority | None:
    """Host and port that a request is for. None if it says none, or more than one: which is meant, nobody knows."""
    hosts = [value for name, value in scope["headers"] if name == b"host"]
    found = authority_of(hosts[0].decode("latin-1")) if len(hosts) == 1 else None
    if found is None or found[1] is not None:
        return found
    return found[0], PORTS.get(scope.get("scheme", "http"))


def authority_of(text: str) -> Authority | None:
    """The host, in one spelling, and the port if there is one; None if it is neither a name nor an address."""
    match = HOST.fullmatch(text)
    if match is None:
        return None
    host, port = match[1].lower(), match[2]
    if host.startswith("["):
        try:
            host = f"[{IPv6Address(host[1:-1])}]"
        except ValueError:
            return None
    return host, None if port is None else int(port)


def find(keys: Sequence[Key], scope: Scope) -> Key | None:
    """The first of the ordered keys that takes a request."""
    authority = authority_asked(scope) if keys[0].host else None
    path = route_path(scope)
    return next((key for key in keys if key.takes(authority, path)), None)
