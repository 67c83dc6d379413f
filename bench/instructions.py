"""Counts the user-space instructions of a request or a message, exactly, with valgrind's callgrind.

CPU time is what users pay, but it is noisy; instructions repeat to the last digit but one, and tell
whether a change made the path shorter. They say nothing about the kernel, caches or branches.
The server runs under callgrind, answers FEW and then MANY requests over kept-alive connections,
and the difference of the two counts, divided by that of the requests, leaves out all that
is not a request. It is counted over one connection, where each request has a turn of the event loop
to itself, and over many, where they share turns as they do under load.
"""

import re
import shutil
import socket
import subprocess
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from http.client import HTTPException
from pathlib import Path

import environments
import h2load
from environments import Environment, Failed, Python
from group import Broken, Group, descendants, free_port
from load import Missing
from peers import Server, contestants
from rows import Row, Streams
from wsload import Wrong

WARM_UP, FEW, MANY = 320, 192, 1216  # multiples of MANY_CONNECTIONS
MANY_CONNECTIONS = 64
PATIENCE = 240  # a Python starts some fifty times slower under valgrind
TOP = 25


@dataclass
class Profile:
    """Instructions by function, and by the library or program that holds it."""

    functions: Counter = field(default_factory=Counter)
    objects: Counter = field(default_factory=Counter)

    @property
    def total(self) -> int:
        return sum(self.objects.values())

    def less(self, other: "Profile") -> "Profile":
        functions, objects = self.functions.copy(), self.objects.copy()
        functions.subtract(other.functions)
        objects.subtract(other.objects)
        return Profile(functions, objects)


def read(dump: str, profile: Profile) -> None:
    """Add one dump. The format: valgrind's manual, Callgrind Format Specification.

    A line with a name changes where the costs of the next lines go; `(7) name` gives a name
    its number, `(7)` uses it. What follows a line with `calls=` is the callee's, and counted there.
    """
    names: dict[tuple[str, str], str] = {}
    current = {"ob": "", "fn": ""}
    callee = False
    for line in dump.splitlines():
        named = re.match(r"(c?)(ob|fn)=\((\d+)\)(?: (.*))?$", line)
        if named:
            of_callee, kind, number, name = named.groups()
            if name:
                names[kind, number] = re.sub(r"'\d+$", "", name)  # f'2 is f, called by itself
            if not of_callee:
                current[kind] = names[kind, number]
        elif line.startswith("calls="):
            callee = True
        elif cost := re.match(r"[+\-*\d]\S* (\d+)$", line):
            if not callee:
                place = Path(current["ob"]).name
                profile.functions[current["fn"], place] += int(cost[1])
                profile.objects[place] += int(cost[1])
            callee = False


class Counting:
    """A server under callgrind, counting from `begin()` on."""

    def __init__(self, command: list[str], port: int, core: int, folder: Path):
        self.folder = folder
        callgrind = ["valgrind", "--tool=callgrind", "--quiet", "--trace-children=yes", "--instr-atstart=no",
                     f"--callgrind-out-file={folder}/out.%p"]  # fmt: skip
        self.group = Group([*callgrind, *command], port, core, folder / "log")

    def begin(self) -> None:
        self._control("--instr=on")

    def taken(self) -> Profile:
        """What was counted since the last call."""
        before = set(self.folder.glob("out.*"))
        self._control("--dump")
        profile = Profile()
        for dump in set(self.folder.glob("out.*")) - before:
            read(dump.read_text(), profile)
        return profile

    def _control(self, order: str) -> None:
        for process in descendants(self.group.process.pid):
            command = ["callgrind_control", order, str(process)]
            ran = subprocess.run(command, capture_output=True, text=True, timeout=60)
            told = (ran.stdout + ran.stderr).strip()
            if "Error" in told:
                raise Broken(f"{' '.join(command)} failed: {told}")


@contextmanager
def client(row: Row, port: int, width: int) -> Iterator[Callable[[int], None]]:
    """What asks exactly so many times as it is called with, over so many connections.

    That is ours and not wrk, which knows seconds only; or h2load, whose connections are new each time: what
    opening them costs is in the count of FEW and in that of MANY, and leaves with the difference.
    """
    if isinstance(row, Streams):
        shape = replace(row.shape, connections=width)
        yield partial(h2load.ask, shape=shape, url=row.url(port), posted=row.posted, size=row.smallest,
                      patience=PATIENCE)  # fmt: skip
        return
    with ExitStack() as opened:
        yield partial(ask, [opened.enter_context(row.connect(port, PATIENCE)) for _ in range(width)], row)


def ask(connections: list[socket.socket], row: Row, times: int) -> None:
    for _ in range(times // (len(connections) * row.at_once)):
        for connection in connections:
            row.ask(connection)
        for connection in connections:
            row.check(connection)


def made_readable(python: Python, server: Server, folder: Path) -> Server:
    """Valgrind gives up on debug information that it cannot read: serve from a copy that has none."""
    environment = Environment(python, server.environment)
    for installed in environment.folder.glob(f"lib/python*/site-packages/{server.unreadable}"):
        copy = folder / "stripped" / server.unreadable
        shutil.copytree(installed, copy)
        libraries = [str(path) for path in copy.rglob("*.so")]
        environments.run(["strip", "--strip-debug", *libraries])
        return replace(server, setting=(*server.setting, f"PYTHONPATH={copy.parent}"))
    return server


def profile(python: Python, server: Server, row: Row, core: int, width: int) -> Profile:
    """Of MANY - FEW requests, to the server run in the first of its ways."""
    port = free_port()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        if server.unreadable:
            server = made_readable(python, server, folder)
        counting = Counting(server.command(python, row, port, server.ways(row)[0]), port, core, folder)
        try:
            counting.group.ready(PATIENCE)
            with client(row, port, width) as asks:
                asks(WARM_UP)  # not counted yet: a worker may be born after its port listens
                counting.begin()
                asks(WARM_UP)
                counting.taken()
                asks(FEW)
                few = counting.taken()
                asks(MANY)
                many = counting.taken()
        finally:
            counting.group.stop()
    return many.less(few)


def count(python: Python, servers: list[Server], row: Row, core: int = 0) -> None:
    """Print the instructions of a request for each server, and where they go."""
    if not shutil.which("valgrind"):
        raise Missing("counting instructions needs valgrind; install what your system calls valgrind")
    for server in contestants(servers, row):
        if not server.installed(python):
            print(f"\n{server.name}: not installed", flush=True)
            continue
        began = time.monotonic()
        try:
            alone = profile(python, server, row, core, width=1)
            together = profile(python, server, row, core, width=max(1, MANY_CONNECTIONS // row.at_once))
        except (Broken, Failed, Wrong, HTTPException, OSError, subprocess.TimeoutExpired) as error:
            print(f"\n{server.name}: {error}", flush=True)
            continue
        title = f"CPython {python.full_name}, {row.name}, {server.name} {server.version(python)}"
        show(alone, together, title, row)
        print(f"  ({time.monotonic() - began:.0f} s)", flush=True)


def show(found: Profile, together: Profile, title: str, row: Row) -> None:
    scale = MANY - FEW
    print(f"\n{title}")
    print(f"  {found.total / scale:,.0f} instructions a {row.unit} over one connection")
    print(f"  {together.total / scale:,.0f} over {max(1, MANY_CONNECTIONS // row.at_once)}; where they go, over one:")
    for place, cost in found.objects.most_common(8):
        if cost > 0:
            print(f"  {cost / scale:10,.0f}  {cost / found.total:6.1%}  {place}")
    print(f"  the {TOP} functions that take most, without what they call:")
    for (function, place), cost in found.functions.most_common(TOP):
        print(f"  {cost / scale:10,.0f}  {cost / found.total:6.1%}  {function}  [{place}]")
