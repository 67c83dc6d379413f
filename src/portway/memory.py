"""How much memory this process has."""

from __future__ import annotations

import os


def resident() -> int | None:
    """Its resident set in bytes; None where the system does not tell."""
    try:
        with open("/proc/self/statm", "rb") as file:
            return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except (OSError, ValueError, IndexError):
        return None
