"""One burst of load, from a core of its own: wrk over keep-alive connections, h2load over HTTP/2, wsload over
WebSockets."""

import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

import h2load
from rows import Echoes, Requests, Row, Streams

SCRIPT = Path("bench", "wrk.lua")
WSLOAD = Path("bench", "wsload.py")
ERRORS = ("connect", "read", "write", "timeout", "status")
# What h2load asks a server whose speed is not known: the slowest has answered in some seconds.
FIRST_REQUESTS = 2048
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
    p50: int | None  # microseconds; h2load does not tell
    p99: int | None
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


# Each program that asks, and the Debian package that brings it.
PACKAGES = {"wrk": "wrk", "h2load": h2load.PACKAGE}


def ensure(rows: list[Row]) -> str:
    """Install what the rows need and what is missing; return names and versions."""
    needed = ["h2load"] if any(isinstance(row, Streams) for row in rows) else []
    if any(isinstance(row, Requests) for row in rows):
        needed.insert(0, "wrk")
    for program in needed:
        if not shutil.which(program):
            install(PACKAGES[program])
    return ", ".join(map(version, needed))


def version(program: str) -> str:
    # wrk -v prints its version, and exits with 1.
    word = "-v" if program == "wrk" else "--version"
    first = subprocess.run([program, word], capture_output=True, text=True).stdout.partition("\n")[0]
    return first.partition(" [")[0].strip()


def install(package: str) -> None:
    if not shutil.which("apt-get"):
        raise Missing(f"bench needs {package}; install what your system calls {package}, and run it again")
    sudo = [] if os.geteuid() == 0 else ["sudo"]
    print(f"installing the Debian package {package} …", flush=True)
    command = [*sudo, "apt-get", "install", "-qq", "--yes", "--no-install-recommends", package]
    if not quietly(command):
        quietly([*sudo, "apt-get", "update", "-qq"])
        if not quietly(command):
            raise Missing(f"bench needs {package}; please run: {' '.join(command)}")


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

    def command(self, row: Row, port: int, seconds: int, requests: int | str, file: str) -> list[str]:
        """How long it takes is given by seconds, or by requests where the row is of HTTP/2."""
        if isinstance(row, Streams):
            return row.shape.command(row.url(port), requests, file if row.posted else None)
        return self._wsload(row, port, seconds) if isinstance(row, Echoes) else self._wrk(row, port, seconds)

    def shown(self, row: Row, seconds: int) -> str:
        """The command as the report prints it."""
        words = ["PORT" if word == "0" else word for word in self.command(row, 0, seconds, "NUMBER", "FILE")]
        return " ".join(words).replace(":0/", ":PORT/").replace(sys.executable, "python3")

    def _wrk(self, row: Row, port: int, seconds: int) -> list[str]:
        # One thread: one core is all it has.
        return ["wrk", "--threads", "1", "--connections", str(self.connections), "--duration", f"{seconds}s",
                "--script", str(SCRIPT), row.url(port)]  # fmt: skip

    def _wsload(self, row: Echoes, port: int, seconds: int) -> list[str]:
        return [sys.executable, str(WSLOAD), "--port", str(port), "--connections", str(row.connections),
                "--in-flight", str(row.in_flight), "--size", str(row.size), "--seconds", str(seconds),
                *(["--binary"] if row.binary else [])]  # fmt: skip

    def burst(self, row: Row, port: int, seconds: int, rate: float | None = None, raw: Path | None = None) -> Outcome:
        """`rate` is what the last burst found, and says how many requests will take the seconds."""
        requests = FIRST_REQUESTS
        if isinstance(row, Streams):
            if rate is None:
                first = self._run(row, port, seconds, requests, raw)
                if first.fault(row):
                    return first
                rate = first.rate
            requests = max(FIRST_REQUESTS, round(rate * seconds))
        return self._run(row, port, seconds, requests, raw)

    def _run(self, row: Row, port: int, seconds: int, requests: int, raw: Path | None) -> Outcome:
        with tempfile.NamedTemporaryFile(suffix=".sent") as file:
            file.write(row.sent)
            file.flush()
            try:
                ran = subprocess.run(
                    self.command(row, port, seconds, requests, file.name),
                    env={**h2load.environment(), "REQUEST": file.name},
                    preexec_fn=lambda: os.sched_setaffinity(0, {self.core}),
                    capture_output=True,
                    text=True,
                    timeout=seconds + PATIENCE,
                )
            except subprocess.TimeoutExpired:
                return Outcome(0, 0, seconds, {}, None, None, f"the burst did not end within {seconds + PATIENCE} s")
        if raw:
            raw.write_text(ran.stdout + ran.stderr)
        return outcome(ran.stdout, row, seconds)


def outcome(said: str, row: Row, seconds: int) -> Outcome:
    if isinstance(row, Streams):
        told = h2load.outcome(said, row.smallest)
    else:
        found = re.search(r"^OUTCOME (.*)$", said, re.MULTILINE)
        if not found:
            return Outcome(0, 0, seconds, {}, None, None)
        told = json.loads(found[1])
    return Outcome(
        told["requests"],
        told["bytes"],
        seconds=told["microseconds"] / 1e6 or seconds,
        errors={name: told[name] for name in ERRORS if told.get(name)},
        p50=told.get("p50"),
        p99=told.get("p99"),
        told=told.get("fault"),
    )
