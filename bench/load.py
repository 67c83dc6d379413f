"""One burst of load, from a core of its own: wrk over keep-alive connections, wsload over WebSockets."""

import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

from rows import HOST, Echoes, Requests, Row

SCRIPT = Path("bench", "wrk.lua")
WSLOAD = Path("bench", "wsload.py")
ERRORS = ("connect", "read", "write", "timeout", "status")
# They end by themselves; this much longer than asked for means that one hangs.
PATIENCE = 30


class Missing(Exception):
    """A tool that the harness needs is not there; the message says how to get it."""


@dataclass(frozen=True)
class Outcome:
    requests: int
    bytes: int
    seconds: float
    errors: dict[str, int]
    p50: int  # microseconds
    p99: int
    told: str | None = None  # the fault in words, where there are any

    @property
    def rate(self) -> float:
        return self.requests / self.seconds

    def fault(self, row: Row) -> str | None:
        if self.told:
            return self.told
        if self.errors:
            return ", ".join(f"{count} {name} errors" for name, count in self.errors.items())
        if not self.requests:
            return f"no {row.unit} was answered"
        if self.bytes / self.requests < row.smallest:
            return f"the answers are too short: {self.bytes / self.requests:.0f} bytes"
        return None


def ensure_wrk() -> str:
    """Install wrk where it is missing; return its version."""
    if not shutil.which("wrk"):
        install_wrk()
    # wrk -v prints its version, and exits with 1.
    first = subprocess.run(["wrk", "-v"], capture_output=True, text=True).stdout.partition("\n")[0]
    found = re.search(r"wrk (\S+)", first)
    return found[1] if found else first.strip()


def install_wrk() -> None:
    if not shutil.which("apt-get"):
        raise Missing("bench needs wrk; install what your system calls wrk, and run it again")
    sudo = [] if os.geteuid() == 0 else ["sudo"]
    print("installing the Debian package wrk …", flush=True)
    install = [*sudo, "apt-get", "install", "-qq", "--yes", "wrk"]
    if not quietly(install):
        quietly([*sudo, "apt-get", "update", "-qq"])
        if not quietly(install):
            raise Missing(f"bench needs wrk; please run: {' '.join(install)}")


def quietly(command: list[str]) -> bool:
    try:
        return subprocess.run(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL).returncode == 0
    except OSError:
        return False


@dataclass(frozen=True)
class Load:
    """What asks, as it is run for every burst."""

    core: int
    connections: int  # wrk's

    def command(self, row: Row, seconds: int, port: int) -> list[str]:
        return self._wsload(row, seconds, port) if isinstance(row, Echoes) else self._wrk(seconds, port)

    def shown(self, row: Row, seconds: int) -> str:
        """The command as the report prints it."""
        words = ["PORT" if word == "0" else word for word in self.command(row, seconds, 0)]
        return " ".join(words).replace(":0/", ":PORT/").replace(sys.executable, "python3")

    def _wrk(self, seconds: int, port: int) -> list[str]:
        # One thread: one core is all it has.
        return ["wrk", "--threads", "1", "--connections", str(self.connections), "--duration", f"{seconds}s",
                "--script", str(SCRIPT), f"http://{HOST}:{port}/"]  # fmt: skip

    def _wsload(self, row: Echoes, seconds: int, port: int) -> list[str]:
        return [sys.executable, str(WSLOAD), "--port", str(port), "--connections", str(row.connections),
                "--in-flight", str(row.in_flight), "--size", str(row.size), "--seconds", str(seconds),
                *(["--binary"] if row.binary else [])]  # fmt: skip

    def burst(self, row: Row, port: int, seconds: int, raw: Path | None = None) -> Outcome:
        with tempfile.NamedTemporaryFile(suffix=".request") as file:
            if isinstance(row, Requests):
                file.write(row.request)
                file.flush()
            ran = subprocess.run(
                self.command(row, seconds, port),
                env={**os.environ, "REQUEST": file.name},
                preexec_fn=lambda: os.sched_setaffinity(0, {self.core}),
                capture_output=True,
                text=True,
                timeout=seconds + PATIENCE,
            )
        if raw:
            raw.write_text(ran.stdout + ran.stderr)
        found = re.search(r"^OUTCOME (.*)$", ran.stdout, re.MULTILINE)
        if not found:
            return Outcome(0, 0, seconds, {}, 0, 0)
        told = json.loads(found[1])
        return Outcome(
            told["requests"],
            told["bytes"],
            seconds=told["microseconds"] / 1e6 or seconds,
            errors={name: told[name] for name in ERRORS if told[name]},
            p50=told["p50"],
            p99=told["p99"],
            told=told.get("fault"),
        )
