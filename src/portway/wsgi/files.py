"""`wsgi.file_wrapper` (PEP 3333, "Optional Platform-Specific File Handling"): a file that the server may send."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from typing import Any, NamedTuple

from portway.types import Scope

BLOCK = 256 * 1024


class Region(NamedTuple):
    """A part of an open file, of which the descriptor is ours: it is closed when it has been sent."""

    descriptor: int
    offset: int
    size: int


class FileWrapper:
    """An iterable of a file's blocks, which knows the file. `close` closes the file, if it can be closed."""

    def __init__(self, filelike: Any, blksize: int = BLOCK) -> None:
        self.filelike = filelike
        self.blksize = blksize
        if hasattr(filelike, "close"):
            self.close = filelike.close

    def __iter__(self) -> Iterator[bytes]:
        return iter(self._block, b"")

    def _block(self) -> bytes:
        data: bytes = self.filelike.read(self.blksize)
        return data or b""


def takes_files(scope: Scope) -> bool:
    """Whether the server can send a file itself (ASGI 57)."""
    return "http.response.zerocopysend" in scope.get("extensions", ())


def region_of(wrapper: FileWrapper, most: int | None) -> Region | None:
    """What is left to read of the file, at most so many bytes; None if it must be read as any iterable.

    The descriptor is a new one: the application's own may be closed at once.
    """
    try:
        number = wrapper.filelike.fileno()
        offset = wrapper.filelike.tell()
        about = os.fstat(number)
    except (AttributeError, OSError, ValueError):  # no descriptor, or none that has a place to be at
        return None
    if not stat.S_ISREG(about.st_mode) or type(offset) is not int:
        return None
    count = max(0, about.st_size - offset)
    return Region(os.dup(number), offset, count if most is None else min(count, most))
