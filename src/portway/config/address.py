"""What an address of `--bind` means; also the header of `--header` and the peers to trust. Pure.

    127.0.0.1:8000   localhost:0   :8000 (all of IPv4, as gunicorn has it)   [::1]:8000
    unix:path        unix:///path                                            fd://3

Everything here raises ValueError with the end of a sentence that begins "'text' is ".
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from ipaddress import IPv4Network, IPv6Address, IPv6Network, ip_network

TOKEN = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")  # RFC 9110 §5.6.2
# RFC 9112 §6, RFC 9110 §7.6.1: these say where a message ends or belong to the connection.
OURS = frozenset({"connection", "content-length", "keep-alive", "transfer-encoding", "upgrade"})


@dataclass(frozen=True, slots=True)
class Tcp:
    """An address and a port; port 0 is a free one."""

    host: str
    port: int

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


@dataclass(frozen=True, slots=True)
class Unix:
    """The path of a Unix socket."""

    path: str

    def __str__(self) -> str:
        return f"unix:{self.path}"


@dataclass(frozen=True, slots=True)
class Fd:
    """A listening socket that somebody else opened."""

    number: int

    def __str__(self) -> str:
        return f"fd://{self.number}"


Address = Tcp | Unix | Fd


@dataclass(frozen=True, slots=True)
class Peers:
    """Who may tell us about the client: everybody, those on a Unix socket, those of some networks."""

    everybody: bool = False
    unix: bool = False
    networks: tuple[IPv4Network | IPv6Network, ...] = ()


def parse_bind(text: str) -> Address:
    """The address that a value of `--bind` names."""
    for prefix, parse in SCHEMES.items():
        if text.startswith(prefix):
            return parse(text.removeprefix(prefix))
    return _tcp(text)


def _tcp(text: str) -> Tcp:
    if text.startswith("["):
        host, bracket, port = text[1:].partition("]:")
        if not bracket:
            raise ValueError(f"an IPv6 address without a port; write {text.partition(']')[0]}]:8000")
        _require_v6(host)
        return Tcp(host, _port(port))
    host, colon, port = text.rpartition(":")
    if not colon:
        raise ValueError(f"without a port; write {_guess(text)}")
    if ":" in host:
        raise ValueError(f"an IPv6 address without brackets; write [{host}]:{port}")
    if not re.fullmatch(r"[^\s/\[\]]*", host):
        raise ValueError("not an address; write host:port, [v6]:port, unix:path or fd://3")
    return Tcp(host or "0.0.0.0", _port(port))


def _guess(text: str) -> str:
    """What somebody may have meant who left out the colon."""
    if text.isdigit():
        return f"127.0.0.1:{text}"
    return f"unix:{text}" if "/" in text else f"{text or '127.0.0.1'}:8000"


def _unix(path: str) -> Unix:
    path = path.removeprefix("//")
    if not path or "\0" in path:
        raise ValueError("a Unix socket without a path; write unix:/run/portway.sock")
    return Unix(path)


def _fd(number: str) -> Fd:
    if not (number.isascii() and number.isdigit()):
        raise ValueError("not a file descriptor; write fd:// and its number, as in fd://3")
    return Fd(int(number))


SCHEMES: dict[str, Callable[[str], Address]] = {"unix:": _unix, "fd://": _fd, "tcp://": _tcp}


def _require_v6(host: str) -> None:
    try:
        IPv6Address(host)
    except ValueError:
        raise ValueError("not an IPv6 address; brackets are for those, write host:port for a name") from None


def _port(text: str) -> int:
    if not (text.isascii() and text.isdigit() and int(text) <= 65535):
        raise ValueError(f"not an address: the port is {text!r} where a number from 0 to 65535 belongs")
    return int(text)


def parse_header(text: str) -> tuple[bytes, bytes]:
    """Name (in lower case) and value of a `Name:Value`, as they go to the wire. RFC 9110 §5.5."""
    name, colon, value = text.partition(":")
    name, value = name.strip().lower(), value.strip(" \t")
    if not colon or not TOKEN.fullmatch(name):
        raise ValueError("not a header; write Name:Value")
    if name in OURS:
        raise ValueError(f"not possible: {name} is set by the server for each response; leave it out")
    if any(char in value for char in "\r\n\0"):
        raise ValueError("not a header: its value holds CR, LF or NUL; write it on one line")
    try:
        return name.encode("ascii"), value.encode("latin-1")
    except UnicodeEncodeError:
        raise ValueError("not a header: its value is not Latin-1; percent-encode it") from None


def parse_peers(text: str) -> Peers:
    """The proxies that `--forwarded-allow-ips` names."""
    words = [word.strip() for word in text.split(",") if word.strip()]
    networks = tuple(_network(word) for word in words if word not in ("*", "unix"))
    return Peers(everybody="*" in words, unix="unix" in words, networks=networks)


def _network(word: str) -> IPv4Network | IPv6Network:
    try:
        return ip_network(word)
    except ValueError:
        pass
    try:
        meant = ip_network(word, strict=False)
    except ValueError:
        raise ValueError(f"not a list of proxies: {word!r} is neither an address, a network, unix nor *") from None
    raise ValueError(f"not a list of proxies: {word!r} has bits beyond its mask; write {meant}")
