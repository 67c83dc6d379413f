"""How many CPUs there are for us: what numbers of threads and processes are derived from."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

# What says of which cgroups we are, and where they are mounted.
MEMBERSHIP = Path("/proc/self/cgroup")
MOUNTED = Path("/sys/fs/cgroup")


def usable(membership: Path = MEMBERSHIP, mounted: Path = MOUNTED) -> int:
    """The CPUs that this process may use: by its affinity, and by the time that its cgroups have, rounded up.

    A container with --cpus 1.5 has two.
    """
    limits = [-(-quota // period) for quota, period in _quotas(membership, mounted) if quota > 0 and period > 0]
    return max(1, min([_present(), *limits]))


def _present() -> int:
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _quotas(membership: Path, mounted: Path) -> Iterator[tuple[int, int]]:
    """Each quota and its period, in microseconds: of our groups and of all that they are in."""
    for line in _words(membership, b"\n"):
        controllers, _, path = os.fsdecode(line).partition(":")[2].partition(":")
        if not controllers:  # version 2; beside version 1 it is mounted apart
            for group in [*_upward(mounted, path), *_upward(mounted / "unified", path)]:
                yield from _numbers(_words(group / "cpu.max"))
        elif "cpu" in controllers.split(","):
            for group in [*_upward(mounted / "cpu", path), *_upward(mounted / controllers, path)]:
                quota, period = _words(group / "cpu.cfs_quota_us"), _words(group / "cpu.cfs_period_us")
                yield from _numbers(quota + period)


def _upward(root: Path, path: str) -> list[Path]:
    """The folder of a group and those above. In a container the path may be that of outside; the root is ours then."""
    parts = [part for part in path.split("/") if part and part != ".."]
    return [root.joinpath(*parts[:count]) for count in range(len(parts), -1, -1)]


def _words(file: Path, separator: bytes | None = None) -> list[bytes]:
    try:
        return file.read_bytes().split(separator)
    except OSError:
        return []


def _numbers(words: list[bytes]) -> list[tuple[int, int]]:
    """Quota and period; nothing for `max`, for -1 (no limit), and for what cannot be read."""
    if len(words) == 2 and all(word.isdigit() and len(word) < 19 for word in words):
        return [(int(words[0]), int(words[1]))]
    return []
