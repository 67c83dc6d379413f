"""One row of the table: all servers started, each asked for a burst in turn, round after round.

Only the server being measured runs, the others are stopped by signal. Turns and rounds are
interleaved so that a slow minute of the machine falls on all alike, and who begins changes
from round to round.
"""

import os
import statistics
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path

from environments import Python
from group import Broken, Group, free_port
from load import Load
from peers import Server
from rows import Row

HEATS = 2  # bursts of one second to choose between a server's ways
SLOW_EVERY = 3  # slow peers take part in every third round
IDLE_LIMIT = 0.02  # of a core; an idle server that takes more is reported
FOREIGN_LIMIT = 0.05  # of the server's core; more makes a burst noisy
TRIES = 3  # to get a burst that is not noisy; the quietest counts
TICKS = os.sysconf("SC_CLK_TCK")


@dataclass
class Burst:
    round: int
    requests: int  # or messages
    seconds: float
    cpu_seconds: float
    foreign: float  # the share of the core that others took
    p50_us: int | None
    p99_us: int | None
    fault: str | None = None

    @property
    def cost(self) -> float:
        """Microseconds of CPU for a request or a message."""
        return self.cpu_seconds / max(self.requests, 1) * 1e6

    @property
    def rate(self) -> float:
        return self.requests / self.seconds

    def plain(self) -> dict:
        return asdict(self) | {"cost_us": round(self.cost, 3), "rate": round(self.rate, 1)}


@dataclass
class Entry:
    """One server in one row: what it was, and all that was measured."""

    row: str
    server: str
    version: str
    command: str
    bursts: list[Burst] = field(default_factory=list)
    fault: str | None = None
    idle: float | None = None
    heats: dict[str, float] = field(default_factory=dict)  # microseconds of CPU, by way
    lacks: str = ""  # what the row needs and it does not speak

    @property
    def valid(self) -> bool:
        return not self.fault and bool(self.bursts)

    def plain(self) -> dict:
        return asdict(self) | {"bursts": [burst.plain() for burst in self.bursts]}


def core_busy(core: int) -> float:
    """Seconds in which the core was not idle, since boot."""
    for line in Path("/proc/stat").read_text().splitlines():
        if line.startswith(f"cpu{core} "):
            user, nice, system, _idle, _wait, *interrupts = map(int, line.split()[1:9])
            return (user + nice + system + sum(interrupts)) / TICKS
    return 0.0


@dataclass
class Contest:
    python: Python
    row: Row
    load: Load
    core: int  # the servers'
    rounds: int
    seconds: int
    logs: Path
    raw: Path | None = None
    say: Callable[[str], None] = print

    def absent(self, server: Server) -> Entry:
        """Of a server that cannot run in the row."""
        return Entry(self.row.name, server.name, server.version(self.python), "", lacks=server.lacks(self.row))

    def run(self, servers: list[Server]) -> list[Entry]:
        self.running: dict[str, tuple[Entry, Group]] = {}
        entries = []
        try:
            for server in servers:
                entries.append(self._enter(server))
            self._note_idle()
            for number in range(self.rounds):
                self._round(number, servers)
        finally:
            for _, group in self.running.values():
                group.stop()
        return entries

    # -- before the rounds

    def _enter(self, server: Server) -> Entry:
        """Start each way of running the server, keep the cheapest, and warm it up."""
        entry = Entry(self.row.name, server.name, server.version(self.python), server.shown(self.row))
        started: dict[tuple[str, ...], Group] = {}
        faults = []
        for way in server.ways(self.row):
            try:
                started[way] = self._start(server, way)
            except Broken as error:
                faults.append(f"{' '.join(way)}: {error}" if way else str(error))
                self.say(f"  {' '.join((server.name, *way))}: {error}")
        if not started:
            entry.fault = "; ".join(faults)
            return entry
        try:
            best = self._heats(entry, started)
        except BaseException:
            for group in started.values():
                group.stop()
            raise
        for way, group in started.items():
            if way != best:
                group.stop()
        entry.command = server.shown(self.row, best)
        self.running[server.name] = entry, started[best]
        return entry

    def _start(self, server: Server, way: tuple[str, ...]) -> Group:
        if not server.installed(self.python):
            raise Broken("not installed")
        port = free_port()
        number = server.ways(self.row).index(way)
        log = self.logs / f"{self.python.name}-{self.row.name}-{server.name}-{number}.log"
        group = Group(server.command(self.python, self.row, port, way), port, self.core, log)
        try:
            group.ready()
            if not server.floor and (fault := self.row.fault(port)):
                raise Broken(fault)
            if self.row.logged:
                group.logs = server.logs
                group.take_log(expected=2 if server.logs else 0)  # of the probe
            group.freeze()
        except BaseException:
            group.stop()
            raise
        return group

    def _heats(self, entry: Entry, started: dict[tuple[str, ...], Group]) -> tuple[str, ...]:
        """Warm up; where there is a choice, measure each way and return the cheapest."""
        costs: dict[tuple[str, ...], list[float]] = {way: [] for way in started}
        for heat in range(HEATS + 1 if len(started) > 1 else 1):
            for way, group in started.items():
                try:
                    burst = self._quiet_burst(group, 0, seconds=1)
                except Broken as error:
                    entry.fault = str(error)
                    continue
                if burst.fault:
                    self.say(f"  {' '.join((entry.server, *way))}: {burst.fault}")
                if heat:  # the first is the warm-up
                    costs[way].append(float("inf") if burst.fault else burst.cost)
        if len(started) == 1:
            return next(iter(started))
        medians = {way: statistics.median(found) for way, found in costs.items() if found}
        entry.heats = {" ".join(way) or "plain": round(cost, 2) for way, cost in medians.items()}
        best = min(medians, key=medians.__getitem__, default=next(iter(started)))
        told = ", ".join(f"{way} {cost:.1f}" for way, cost in entry.heats.items())
        self.say(f"  {entry.server} runs best with {' '.join(best) or 'its defaults'} (µs: {told})")
        return best

    def _note_idle(self) -> None:
        """A server that burns CPU while it waits has something to hide in its other numbers."""
        for entry, group in self.running.values():
            group.thaw()
            time.sleep(0.5)  # it has yet to see that the warm-up's connections are closed
            before, started = group.cpu(), time.monotonic()
            time.sleep(0.5)
            spent = sum(group.cpu().values()) - sum(before.values())
            entry.idle = round(spent / 1e9 / (time.monotonic() - started), 4)
            group.freeze()
            if entry.idle > IDLE_LIMIT:
                self.say(f"  {entry.server} takes {entry.idle:.1%} of a core while idle")

    # -- the rounds

    def _round(self, number: int, servers: list[Server]) -> None:
        names = [server.name for server in servers if not server.slow or number % SLOW_EVERY == 0]
        begin = number % max(len(names), 1)
        costs = {}
        for name in names[begin:] + names[:begin]:
            if name not in self.running:
                continue
            entry, group = self.running[name]
            try:
                burst = self._quiet_burst(group, number + 1, self.seconds, name)
            except Broken as error:
                entry.fault = str(error)
                self.say(f"  {name} is out: {error}")
                group.stop()
                del self.running[name]
                continue
            entry.bursts.append(burst)
            if burst.fault:
                entry.fault = burst.fault
            costs[name] = f"{name} {burst.cost:.1f}" + (f" ({burst.fault})" if burst.fault else "")
        told = "  ".join(costs[name] for name in names if name in costs)
        self.say(f"  {self.python.name} {self.row.name}, round {number + 1}/{self.rounds}, µs: {told}")

    def _quiet_burst(self, group: Group, number: int, seconds: int, name: str = "") -> Burst:
        """A burst, repeated while others use the server's core. It is chosen by their use of it,
        never by its own cost, so the choice favours nobody; and a fault is never repeated away."""
        tried = []
        while len(tried) < TRIES:
            tried.append(self._burst(group, number, seconds, name))
            if tried[-1].fault or tried[-1].foreign <= FOREIGN_LIMIT:
                return tried[-1]
        return min(tried, key=lambda burst: burst.foreign)

    def _burst(self, group: Group, number: int, seconds: int, name: str = "") -> Burst:
        raw = None
        if self.raw and name:
            raw = self.raw / f"{self.python.name}-{self.row.name}-{name}-{number}.txt"
        group.thaw()
        try:
            core, before, started = core_busy(self.core), group.cpu(), time.monotonic()
            outcome = self.load.burst(self.row, group.port, seconds, group.rate, raw)
            group.rate = outcome.rate or group.rate
            fault = outcome.fault(self.row) or self._log_fault(group, outcome.requests)
            after, took, core = group.cpu(), time.monotonic() - started, core_busy(self.core) - core
        finally:
            group.freeze()
        cpu = sum(spent - before.get(process, 0) for process, spent in after.items()) / 1e9
        if before.keys() - after.keys():
            fault = fault or "a process of it ended meanwhile"
        return Burst(
            number,
            outcome.requests,
            outcome.seconds,
            cpu_seconds=round(cpu, 6),
            foreign=round(max(0.0, core - cpu) / took, 3),
            p50_us=outcome.p50,
            p99_us=outcome.p99,
            fault=fault,
        )

    def _log_fault(self, group: Group, requests: int) -> str | None:
        """A line for each request, where there is to be an access log; and none where there is not."""
        if group.logs is None:
            return None
        lines = group.take_log(requests if group.logs else 0)
        if group.logs and lines < requests:
            return f"its log has {lines} lines for {requests} requests"
        return f"its log has {lines} lines, and was to be off" if lines and not group.logs else None
