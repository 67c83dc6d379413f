"""One message with open files, over a Unix socket that blocks: how a process is told what to begin with."""

from __future__ import annotations

import array
import json
import os
import socket
import struct
from collections.abc import Sequence
from typing import Any

# The most descriptors in one call (SCM_MAX_FD of Linux is 253).
MOST = 200

LENGTHS = struct.Struct("!II")


def give(sock: socket.socket, message: Any, descriptors: Sequence[int] = ()) -> None:
    """Send what JSON can say, and descriptors."""
    data = json.dumps(message).encode()
    sock.sendall(LENGTHS.pack(len(data), len(descriptors)) + data)
    for start in range(0, len(descriptors), MOST):
        socket.send_fds(sock, [b"\0"], list(descriptors[start : start + MOST]))


def take(sock: socket.socket) -> tuple[Any, list[int]]:
    """What `give` sent; EOFError if the other end is gone."""
    size, count = LENGTHS.unpack(_exactly(sock, LENGTHS.size))
    message = json.loads(_exactly(sock, size))
    found: list[int] = []
    while len(found) < count:
        data, ancillary, _, _ = sock.recvmsg(1, socket.CMSG_SPACE(MOST * array.array("i").itemsize))
        if not data:
            raise EOFError
        for level, kind, packed in ancillary:
            if (level, kind) == (socket.SOL_SOCKET, socket.SCM_RIGHTS):
                numbers = array.array("i")
                numbers.frombytes(packed[: len(packed) - len(packed) % numbers.itemsize])
                found.extend(numbers)
    for number in found:
        os.set_inheritable(number, False)
    return message, found


def _exactly(sock: socket.socket, size: int) -> bytes:
    data = b""
    while len(data) < size:
        more = sock.recv(size - len(data))
        if not more:
            raise EOFError
        data += more
    return data
