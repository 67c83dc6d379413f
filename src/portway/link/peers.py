"""Who is at the other end of a socket, and how to end it hard."""

from __future__ import annotations

import os
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


def name_of(peer: tuple[str, int | None] | None) -> str:
    return f"{peer[0]}:{peer[1]}" if peer is not None else "a client on a Unix socket"
