"""The sockets of the addresses that settings name."""

from __future__ import annotations

import socket
from collections.abc import Iterable

from portway.config import Address, Fd, Settings, Tcp, Unix, addresses
from portway.errors import BindError
from portway.server import listen


def bind(wanted: Iterable[Address]) -> list[socket.socket]:
    """A bound socket for each address; all or none."""
    bound: list[socket.socket] = []
    try:
        for address in wanted:
            bound += bind_one(address)
    except BindError:
        for sock in bound:
            listen.close(sock)
        raise
    return bound


def bind_redirects(settings: Settings, bound: list[socket.socket]) -> list[socket.socket]:
    """The sockets that lead to https, on the hosts where that is spoken; if they cannot be had, all are closed."""
    port = settings.redirect_http
    if port is None:
        return []
    hosts = dict.fromkeys(each.host for each in addresses(settings) if isinstance(each, Tcp)) or [settings.host]
    try:
        return bind([Tcp(host, port) for host in hosts])
    except BindError:
        for sock in bound:
            listen.close(sock)
        raise


def bind_one(address: Address) -> list[socket.socket]:
    if isinstance(address, Unix):
        return [listen.unix(address.path)]
    if isinstance(address, Fd):
        return [listen.inherited(address.number)]
    return listen.tcp(address.host, address.port)
