"""How many CPUs there are for us, by affinity and by cgroups."""

import os
from pathlib import Path

import pytest

from portway import cpus

HERE = cpus._present()


class Tree:
    """What the kernel shows of cgroups."""

    def __init__(self, folder: Path) -> None:
        self.membership = folder / "cgroup"
        self.mounted = folder / "mounted"

    def member(self, *lines: str) -> None:
        self.membership.write_text("".join(line + "\n" for line in lines))

    def put(self, path: str, text: str) -> None:
        file = self.mounted / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)

    def usable(self) -> int:
        return cpus.usable(self.membership, self.mounted)


@pytest.fixture
def tree(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Tree:
    """On a machine with eight CPUs."""
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: set(range(8)), raising=False)
    return Tree(tmp_path)


def test_the_affinity_counts_where_there_are_no_cgroups(tree: Tree) -> None:
    assert tree.usable() == 8


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="this platform has no affinity")
def test_here(tmp_path: Path) -> None:
    assert 1 <= cpus.usable() <= HERE
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {min(before)})
    try:
        assert cpus.usable() == 1
    finally:
        os.sched_setaffinity(0, before)


@pytest.mark.parametrize(
    ("limit", "count"),
    [
        ("200000 100000", 2),
        ("150000 100000", 2),  # rounded up
        ("10000 100000", 1),
        ("1000000 50000", 8),  # more than there are
        ("max 100000", 8),
        ("", 8),
        ("many", 8),
        ("100000", 8),
        ("100000 0", 8),
        ("0 100000", 8),
        ("-5 100000", 8),
        ("1e5 100000", 8),
        ("100000 100000 1", 8),
        ("9" * 30 + " 1", 8),
    ],
)
def test_version_2(tree: Tree, limit: str, count: int) -> None:
    tree.member("0::/app.slice/app.service")
    tree.put("app.slice/app.service/cpu.max", f"{limit}\n")
    assert tree.usable() == count


def test_a_group_has_no_more_than_those_it_is_in(tree: Tree) -> None:
    tree.member("0::/a/b/c")
    tree.put("a/b/c/cpu.max", "max 100000\n")
    tree.put("a/b/cpu.max", "600000 100000\n")
    tree.put("a/cpu.max", "300000 100000\n")
    assert tree.usable() == 3


def test_in_a_namespace_of_its_own_the_root_is_the_group(tree: Tree) -> None:
    tree.member("0::/")
    tree.put("cpu.max", "100000 100000\n")
    assert tree.usable() == 1


@pytest.mark.parametrize("path", ["/docker/0123", "/../../outside"])
def test_a_path_of_outside_leads_to_the_root(tree: Tree, path: str) -> None:
    tree.member(f"0::{path}")
    tree.put("cpu.max", "100000 100000\n")
    assert tree.usable() == 1


@pytest.mark.parametrize(
    ("controllers", "folder"), [("cpu", "cpu"), ("cpu,cpuacct", "cpu"), ("cpuacct,cpu", "cpuacct,cpu")]
)
def test_version_1(tree: Tree, controllers: str, folder: str) -> None:
    tree.member("5:memory:/x", f"4:{controllers}:/docker/0123", "1:name=systemd:/y", "0::/")
    tree.put(f"{folder}/docker/0123/cpu.cfs_quota_us", "250000\n")
    tree.put(f"{folder}/docker/0123/cpu.cfs_period_us", "100000\n")
    assert tree.usable() == 3


@pytest.mark.parametrize(("quota", "period"), [("-1", "100000"), ("0", "100000"), ("100000", ""), ("", "100000")])
def test_version_1_without_a_limit(tree: Tree, quota: str, period: str) -> None:
    tree.member("4:cpu:/")
    tree.put("cpu/cpu.cfs_quota_us", quota)
    tree.put("cpu/cpu.cfs_period_us", period)
    assert tree.usable() == 8


def test_the_time_of_cpuacct_and_cpuset_is_no_limit(tree: Tree) -> None:
    tree.member("4:cpuset:/", "3:cpuacct:/")
    tree.put("cpu/cpu.cfs_quota_us", "100000")
    tree.put("cpu/cpu.cfs_period_us", "100000")
    assert tree.usable() == 8


def test_version_2_beside_version_1(tree: Tree) -> None:
    tree.member("1:name=systemd:/y", "0::/app")
    tree.put("unified/app/cpu.max", "100000 100000")
    assert tree.usable() == 1


@pytest.mark.parametrize("line", ["", "0", "0:", ":::", "0::\udcff", "x" * 5000])
def test_a_line_that_means_nothing(tree: Tree, line: str) -> None:
    tree.membership.write_bytes(os.fsencode(line))
    assert tree.usable() == 8
