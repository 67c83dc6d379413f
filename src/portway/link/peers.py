"""Who is at the other end of a socket, and how to end it hard."""

from __future__ import annotations

import os
import select
import socket
import struct
from typing import Any


def address_of(name: Any) -> tuple[str, int] | None:
    """ASGI 20: a client's host and port; None for a Unix socket."""
    return (str(name[0]), int(name[1])) if isinstance(name, tuple) and len(name) >= 2 else None


def server_of(name: Any) -> tuple[str, int | None] | None:
    """ASGI 20: our own host and port, or the path of a Unix socket and None."""
    if isinstance(name, str | bytes) and name:
        return os.fsdecode(name), None
    return address_of(name)


def reset_on_close(transport: Any) -> None:
    """Let the kernel drop what it has not sent, and say so (SO_LINGER of 0 seconds)."""
    sock = transport.get_extra_info("socket")
    if sock is not None and sock.family != getattr(socket, "AF_UNIX", None):
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


# What the kernel knows of a peer.
THERE = 0
HALF = 1  # it will send nothing more, and may still read
GONE = 2


def whether_left(transport: Any) -> int:
    """Whether the peer is still there, without reading; where the kernel cannot be asked, it is."""
    sock = transport.get_extra_info("socket")
    if sock is None or not hasattr(select, "POLLRDHUP") or sock.fileno() < 0:
        return THERE
    asked = select.poll()
    asked.register(sock.fileno(), select.POLLRDHUP)
    found = sum(event for _, event in asked.poll(0))
    if found & (select.POLLHUP | select.POLLERR):
        return GONE
    return HALF if found & select.POLLRDHUP else THERE


def name_of(peer: tuple[str, int | None] | None) -> str:
    return f"{peer[0]}:{peer[1]}" if peer is not None else "a client on a Unix socket"
