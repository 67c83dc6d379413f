"""One message with open files, over a Unix socket that blocks: how a process is told what to begin with."""

from __future__ import annotations

import array
import errno
import json
import os
import socket
import struct
from collections.abc import Iterable, Sequence
from typing import Any

# The most descriptors in one call (SCM_MAX_FD of Linux is 253).
MOST = 200

# For as many descriptors, in bytes.
SPACE = socket.CMSG_SPACE(MOST * array.array("i").itemsize) if hasattr(socket, "CMSG_SPACE") else 0

LENGTHS = struct.Struct("!II")


def give(sock: socket.socket, message: Any, descriptors: Sequence[int] = ()) -> None:
    """Send what JSON can say, and descriptors."""
    data = json.dumps(message).encode()
    sock.sendall(LENGTHS.pack(len(data), len(descriptors)) + data)
    for start in range(0, len(descriptors), MOST):
        socket.send_fds(sock, [b"\0"], list(descriptors[start : start + MOST]))


def take(sock: socket.socket) -> tuple[Any, list[int]]:
    """What `give` sent; EOFError if the other end is gone, OSError if this process may not open so many files."""
    size, count = LENGTHS.unpack(_exactly(sock, LENGTHS.size))
    message = json.loads(_exactly(sock, size))
    found: list[int] = []
    try:
        while len(found) < count:
            found += _descriptors(sock, min(MOST, count - len(found)))
    except BaseException:
        for number in found:
            os.close(number)
        raise
    return message, found


def _descriptors(sock: socket.socket, count: int) -> list[int]:
    """So many, which came with one byte."""
    data, ancillary, _, _ = sock.recvmsg(1, SPACE)
    numbers = files_of(ancillary)
    if len(numbers) == count:
        return numbers
    for number in numbers:
        os.close(number)
    if data:  # the system keeps back those that pass the limit of this process, and nothing is to follow
        raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))
    raise EOFError


def files_of(ancillary: Iterable[tuple[int, int, bytes]]) -> list[int]:
    """The descriptors in what `recvmsg` gives beside data; none of them is inherited."""
    numbers = array.array("i")
    for level, kind, packed in ancillary:
        if (level, kind) == (socket.SOL_SOCKET, socket.SCM_RIGHTS):
            numbers.frombytes(packed[: len(packed) - len(packed) % numbers.itemsize])
    for number in numbers:
        os.set_inheritable(number, False)
    return list(numbers)


def _exactly(sock: socket.socket, size: int) -> bytes:
    data = b""
    while len(data) < size:
        more = sock.recv(size - len(data))
        if not more:
            raise EOFError
        data += more
    return data
