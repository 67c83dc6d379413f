"""What people are told of a worker: hooks, `portway status`, and the log when it has ended."""

from __future__ import annotations

import signal
from typing import NamedTuple


class WorkerInfo(NamedTuple):
    """What hooks and `portway status` are told of a worker. `exit_code` is None while it lives, and negative for a
    signal; `uptime` and `lag` are seconds, `memory` bytes (None where the system does not tell).
    """

    number: int
    process: int
    phase: str
    uptime: float
    requests: int
    connections: int
    running: int
    lag: float
    memory: int | None
    exit_code: int | None = None


def how_it_ended(info: WorkerInfo) -> str:
    """For the log: its signal or exit code, uptime, requests, memory."""
    code = info.exit_code
    if code is None:
        end = "is gone"
    elif code < 0:
        end = f"was ended by {name_of(-code)}"
    else:
        end = f"ended with exit code {code}"
    memory = f", {info.memory / 2**20:.0f} MiB" if info.memory is not None else ""
    requests = f"{info.requests} request{'s'[: info.requests != 1]}"
    return f"(process {info.process}) {end} after {span(info.uptime)}: {requests}{memory}"


def span(seconds: float) -> str:
    """A time for people."""
    minutes, rest = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    days, hours = divmod(hours, 24)
    if days:
        return f"{days} d {hours} h"
    if hours:
        return f"{hours} h {minutes} min"
    return f"{minutes} min {rest} s" if minutes else f"{seconds:.1f} s"


def name_of(number: int) -> str:
    """What a signal is called."""
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"
