"""`wsgi.file_wrapper` (PEP 3333, "Optional Platform-Specific File Handling"): a file that the server may send."""

from __future__ import annotations

import io
import os
import stat
import tempfile
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
    """An iterator over a file's blocks, which knows the file. `close` closes the file, if it can be closed.

    Werkzeug takes `iter(wrapper)` for the ranges of a file: so it must have `close` itself, and be able to seek.
    """

    def __init__(self, filelike: Any, blksize: int = BLOCK) -> None:
        self.filelike = filelike
        self.blksize = blksize
        if hasattr(filelike, "close"):
            self.close = filelike.close

    def __iter__(self) -> Iterator[bytes]:
        return self

    def __next__(self) -> bytes:
        data: bytes = self.filelike.read(self.blksize)
        if data:
            return data
        raise StopIteration

    def seekable(self) -> bool:
        seekable = getattr(self.filelike, "seekable", None)
        return bool(seekable()) if seekable is not None else hasattr(self.filelike, "seek")

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> Any:
        return self.filelike.seek(offset, whence)

    def tell(self) -> Any:
        return self.filelike.tell()


def takes_files(scope: Scope) -> bool:
    """Whether the server can send a file itself (ASGI 57)."""
    return "http.response.zerocopysend" in scope.get("extensions", ())


def region_of(wrapper: FileWrapper, most: int | None) -> Region | None:
    """What is left to read of the file, at most so many bytes; None if it must be read as any iterable.

    The descriptor is a new one: the application's own may be closed at once.
    """
    file = wrapper.filelike
    if type(file) is tempfile._TemporaryFileWrapper:
        file = file.file
    if not is_plain(file):
        return None
    try:
        number = file.fileno()
        offset = file.tell()
        about = os.fstat(number)
    except (OSError, ValueError):  # it is closed, or has no place to be at
        return None
    if not stat.S_ISREG(about.st_mode) or not about.st_size:  # what /proc has is said to be empty
        return None
    count = max(0, about.st_size - offset)
    try:
        return Region(os.dup(number), offset, count if most is None else min(count, most))
    except OSError:  # there are no descriptors left
        return None


def is_plain(file: Any) -> bool:
    """Whether it reads what its descriptor does: gzip's files have the one of what they unpack."""
    if type(file) in (io.BufferedReader, io.BufferedRandom):
        file = file.raw
    return type(file) is io.FileIO
