"""A server and all its processes, on one core: started, frozen, thawed, measured, stopped.

CPU time is read from the kernel's CPU clock of each process (man 3 clock_getcpuclockid): user and system
time of all its threads, those that have ended included, in nanoseconds, where /proc/<pid>/stat counts
ticks of 10 ms.
"""

import os
import signal
import socket
import subprocess
import time
from pathlib import Path

from rows import HOST

START = 40  # seconds until a server must accept connections
STOP = 8  # seconds for a server to end after SIGTERM
LOG = 1  # seconds for its last lines to be in its log


class Broken(Exception):
    """A server does not start, or has ended."""


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        return probe.getsockname()[1]


def parents() -> dict[int, int]:
    """The parent of each process of this machine."""
    found = {}
    for entry in os.scandir("/proc"):
        if entry.name.isdigit():
            try:
                stat = Path(entry.path, "stat").read_text()
            except OSError:
                continue  # it has just ended
            # The second field is the command in parentheses, and may hold anything.
            found[int(entry.name)] = int(stat.rpartition(")")[2].split()[1])
    return found


def descendants(root: int) -> list[int]:
    """The process and all below it, parents first."""
    children: dict[int, list[int]] = {}
    for child, parent in parents().items():
        children.setdefault(parent, []).append(child)
    found = [root]
    for process in found:
        found += children.get(process, [])
    return found


def cpu_clock(process: int) -> int:
    # include/linux/posix-timers.h: ~pid in the upper bits, CPUCLOCK_SCHED in the lower.
    return (~process << 3) | 2


class Group:
    """`command` is run in the current folder, its output kept in `log`."""

    def __init__(self, command: list[str], port: int, core: int, log: Path):
        self.port = port
        self.log = log
        self.logs: bool | None = None  # whether it has a line for each request; None: that is not looked at
        self.rate: float | None = None  # what it answered in a second of the last burst
        log.unlink(missing_ok=True)
        with log.open("ab") as output:  # to be appended to, so that it can be cut short while it is written
            self.process = subprocess.Popen(
                command,
                env=plain_environment(),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                process_group=0,
                preexec_fn=lambda: os.sched_setaffinity(0, {core}),
            )

    def __repr__(self) -> str:
        return f"<Group {self.process.pid} on port {self.port}>"

    def ready(self, patience: float = START) -> None:
        """Wait until the server accepts connections."""
        deadline = time.monotonic() + patience
        while time.monotonic() < deadline:
            if self.process.poll() is not None:
                raise Broken(f"it ended with status {self.process.returncode}: {self.last_words()}")
            try:
                socket.create_connection((HOST, self.port), timeout=1).close()
                return
            except OSError:
                time.sleep(0.05)
        raise Broken(f"it did not listen within {patience:g} s: {self.last_words()}")

    def last_words(self) -> str:
        # Reports must not tell where on this machine the tree stands.
        said = self.log.read_text(errors="replace").replace(f"{Path.cwd()}/", "")
        lines = said.replace(str(Path.home()), "~").strip().splitlines()
        return lines[-1].strip() if lines else "it said nothing"

    def take_log(self, expected: int) -> int:
        """How many lines the log has; it is emptied. They may come late, but those that are expected soon."""
        deadline = time.monotonic() + LOG
        while (found := self.log.read_bytes().count(b"\n")) < expected and time.monotonic() < deadline:
            time.sleep(0.05)
        os.truncate(self.log, 0)
        return found

    def freeze(self) -> None:
        # Parents first, so that none sees its children stop.
        for process in descendants(self.process.pid):
            self._signal(process, signal.SIGSTOP)

    def thaw(self) -> None:
        for process in reversed(descendants(self.process.pid)):
            self._signal(process, signal.SIGCONT)

    def cpu(self) -> dict[int, int]:
        """The CPU time of each process so far, in nanoseconds."""
        if self.process.poll() is not None:
            raise Broken(f"it ended with status {self.process.returncode}: {self.last_words()}")
        spent = {}
        for process in descendants(self.process.pid):
            try:
                spent[process] = time.clock_gettime_ns(cpu_clock(process))
            except OSError:
                continue  # it has just ended
        return spent

    def stop(self) -> None:
        family = descendants(self.process.pid)
        self.thaw()
        self._signal(self.process.pid, signal.SIGTERM)
        try:
            self.process.wait(STOP)
        except subprocess.TimeoutExpired:
            pass
        for process in family:
            if process == self.process.pid or self._ours(process):
                self._signal(process, signal.SIGKILL)
        self.process.wait()

    def _ours(self, process: int) -> bool:
        """Process numbers are used again; ours have kept the group that was made for them."""
        try:
            return os.getpgid(process) == self.process.pid
        except OSError:
            return False

    def _signal(self, process: int, number: int) -> None:
        if process == self.process.pid and self.process.poll() is not None:
            return
        try:
            os.kill(process, number)
        except OSError:
            pass


def plain_environment() -> dict[str, str]:
    """Ours, without what would change how a server runs."""
    kept = ("PATH", "HOME", "LANG", "LC_ALL", "TMPDIR", "LD_LIBRARY_PATH")
    return {name: os.environ[name] for name in kept if name in os.environ}
