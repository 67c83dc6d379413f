"""The file with the number of the server's process, by which others find it."""

from __future__ import annotations

import os
import tempfile
from contextlib import suppress
from pathlib import Path

from portway.errors import BindError

# Whoever may look into the folder may know the number; all can see it in the list of processes.
MODE = 0o644
LONGEST = 64


class PidFile:
    """Written as a whole or not at all; removed by the process that it names."""

    def __init__(self, path: str) -> None:
        self._path = Path(path).absolute()  # whoever changes the folder later means the same file

    def __repr__(self) -> str:
        return f"<PidFile {self._path}: {self.held}>"

    @property
    def held(self) -> int | None:
        """The process that the file names."""
        try:
            with self._path.open("rb") as file:
                text = file.read(LONGEST).strip()
        except OSError:
            return None
        return int(text) if text.isdigit() and len(text) < LONGEST / 2 else None

    def take(self, over: int | None = None) -> None:
        """Let it name this process, if none that runs has it; `over` is the one who hands it over.

        Raises BindError.
        """
        there = self.held
        if there not in (None, os.getpid(), over) and is_server(there):
            raise BindError(
                f"{self._path}: a server runs already, process {there}; stop it, choose another --pid, "
                "or remove the file if that is no server"
            )
        try:
            self._write()
        except OSError as error:
            raise BindError(f"cannot write {self._path}: {error.strerror or error}; choose another --pid") from None

    def remove(self) -> None:
        """Remove it, if it still names this process."""
        if self.held == os.getpid():
            with suppress(OSError):
                self._path.unlink()

    def _write(self) -> None:
        number, name = tempfile.mkstemp(prefix=f".{self._path.name}.", dir=self._path.parent)
        try:
            with os.fdopen(number, "wb") as file:
                file.write(b"%d\n" % os.getpid())
            os.chmod(name, MODE)
            os.replace(name, self._path)
        except OSError:
            os.unlink(name)
            raise


def is_server(pid: int | None) -> bool:
    """Whether this process runs and may be one of ours. Numbers are used again, in containers most of all."""
    if not pid or not lives(pid):
        return False
    return _name(pid) in (None, _name(os.getpid())) or b"portway" in (_read(pid, "cmdline") or b"")


def lives(pid: int) -> bool:
    """Whether this process has not ended; whoever started it may not have noticed yet that it has."""
    if os.name != "posix":  # to Windows, signal 0 is Ctrl+C
        return False
    try:
        os.kill(pid, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except PermissionError:
        pass  # somebody else's
    return b") Z " not in (_read(pid, "stat") or b"")


def _name(pid: int) -> bytes | None:
    return _read(pid, "comm")


def _read(pid: int, what: str) -> bytes | None:
    """From /proc, which not every system has."""
    try:
        return Path(f"/proc/{pid}/{what}").read_bytes()
    except OSError:
        return None
