"""The load over HTTP/2, which wrk does not know: what h2load is told, and what it tells.

h2load is told a number of requests and not of seconds, for only then does it count what is lost with a connection.
It looks at the status of each answer and at its length, not at what it holds. The answers that are compared byte for
byte are fetched by nghttp, of the same package, before anything is measured.
"""

import os
import re
import subprocess
import tempfile
from collections.abc import Callable
from dataclasses import dataclass

from certificate import CLIENTS
from wsload import Wrong

PACKAGE = "nghttp2-client"  # Debian's
PROBE_PATIENCE = 10  # seconds


@dataclass(frozen=True)
class Shape:
    """Over how many connections is asked, and how many streams each has open."""

    connections: int
    streams: int

    def command(self, url: str, requests: int | str, posted: str | None) -> list[str]:
        """`posted` is the name of a file."""
        return ["h2load", "--clients", str(self.connections), "--max-concurrent-streams", str(self.streams),
                "--requests", str(requests), "--npn-list", "h2", *(["--data", posted] if posted else []),
                url]  # fmt: skip


def environment() -> dict[str, str]:
    """Of wrk and h2load, and ignored by those that ask without TLS."""
    return {**os.environ, "OPENSSL_CONF": str(CLIENTS.resolve())}


def outcome(said: str, size: int) -> dict:
    """What wrk.lua tells too, in the same words, from what h2load prints for a person.

    Answers shall have `size` bytes each. Latencies are not told: h2load knows their mean only.
    """
    counts = _counts(said, "requests")
    statuses = _counts(said, "status codes")
    number, bad = counts.get("succeeded", 0), statuses.get("4xx", 0) + statuses.get("5xx", 0)
    rate = float(_found(said, r"^finished in .* ([\d.]+) req/s") or 0)
    told = {
        "requests": number,
        "bytes": int(_found(said, r"^traffic: .*\((\d+)\) data") or 0),
        "microseconds": round(number / rate * 1e6) if rate else 0,
        "status": statuses.get("3xx", 0) + bad,
        "timeout": counts.get("timeout", 0),
        # By its status, or with a stream or connection: both are failed.
        "read": counts.get("failed", 0) - bad,
    }
    if not counts:
        told["fault"] = "h2load told nothing"
    elif not any(told[kind] for kind in ("status", "timeout", "read")) and told["bytes"] != number * size:
        told["fault"] = f"{number} answers have {told['bytes']} bytes, not {size} each"
    return told


def _found(said: str, pattern: str) -> str | None:
    found = re.search(pattern, said, re.MULTILINE)
    return found[1] if found else None


def _counts(said: str, name: str) -> dict[str, int]:
    """Of a line such as `requests: 35 total, 35 done`."""
    line = _found(said, rf"^{name}: (.*)$") or ""
    return {kind: int(number) for number, kind in re.findall(r"(\d+) (\w+)", line)}


def ask(requests: int, shape: Shape, url: str, posted: bytes, size: int, patience: float) -> None:
    """Ask exactly so many times, over connections of their own; raises Wrong."""
    said = _run(lambda file: shape.command(url, requests, file), posted, patience).decode()
    told = outcome(said, size)
    right = told["requests"] - told["status"]
    if "fault" in told or right != requests:
        raise Wrong(told.get("fault") or f"{right} of {requests} requests were answered")


def probe(url: str, posted: bytes, body: bytes) -> None:
    """Ask twice on one connection, and compare what is answered; raises Wrong."""
    twice = ["nghttp", "--no-verify-peer", "--multiply=2"]
    came = _run(lambda file: [*twice, *(["--data", file] if file else []), url], posted, PROBE_PATIENCE)
    if came != body * 2:
        raise Wrong(f"the bodies of two answers are {came[:80]!r}, {len(came)} bytes")


def _run(command: Callable[[str | None], list[str]], posted: bytes, patience: float) -> bytes:
    """What is printed by a command that is made from the name of the file to be posted."""
    with tempfile.NamedTemporaryFile(suffix=".posted") as file:
        file.write(posted)
        file.flush()
        words = command(file.name if posted else None)
        try:
            ran = subprocess.run(words, env=environment(), capture_output=True, timeout=patience)
        except subprocess.TimeoutExpired:
            raise Wrong(f"{words[0]} had no answer within {patience:g} s") from None
    said = ran.stderr.decode(errors="replace").strip()
    if ran.returncode or said:
        raise Wrong(f"{words[0]} failed: {said.partition(chr(10))[0]}")
    return ran.stdout
