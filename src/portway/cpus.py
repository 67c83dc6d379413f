"""How many CPUs there are for us: what numbers of threads and processes are derived from."""

from __future__ import annotations

import os


def usable() -> int:
    """The CPUs that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
