"""The numbers put into words: the table on the terminal, and the files under bench/results."""

import json
import operator
import os
import platform
import statistics
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from contest import FOREIGN_LIMIT, Entry
from environments import Python, fingerprint
from peers import OURS, SERVERS, THREADED, UNLOGGED
from rows import ROWS

CHEAPER = "**peer is cheaper**"
HEAD = ("row", "server", "µs CPU", "min–max", "per second", "ratio", "")


@dataclass(frozen=True)
class Line:
    """One server in one row, summed up."""

    row: str
    unit: str
    server: str
    cost: float
    lowest: float
    highest: float
    rate: float
    ratio: float | None  # of its cost to Portway's: above 1, Portway is cheaper
    noisy: int

    @property
    def verdict(self) -> str:
        name = self.server.removesuffix(THREADED)
        peer = name in SERVERS and name != OURS and not SERVERS[name].floor
        return CHEAPER if peer and self.ratio is not None and self.ratio < 1 else ""

    def cells(self) -> tuple[str, ...]:
        ratio = "" if self.ratio is None else f"{self.ratio:.2f}"
        spread = f"{self.lowest:.1f}–{self.highest:.1f}"
        return (self.row, self.server, f"{self.cost:.1f}", spread, f"{self.rate:,.0f}", ratio, self.verdict)


def cells(entries: list[Entry]) -> list[tuple[str, ...]]:
    """The table without its head; a row ends with those that do not speak what it needs."""
    found = []
    for row in dict.fromkeys(entry.row for entry in entries):
        of_row = [entry for entry in entries if entry.row == row]
        found += [line.cells() for line in lines(of_row)]
        found += [(row, entry.server, "—", "", "", "", f"no {entry.lacks}") for entry in of_row if entry.lacks]
    return found


def paired_ratio(entry: Entry, ours: Entry | None) -> float | None:
    """The median of the ratios round by round: what slows one round slows both sides of it."""
    if ours is None or not ours.valid:
        return None
    ratios = paired(entry, ours, operator.truediv)
    return statistics.median(ratios) if ratios else None


def paired(entry: Entry, other: Entry, compare: Callable[[float, float], float]) -> list[float]:
    """The costs of both, compared in each round in which both took part."""
    costs = {burst.round: burst.cost for burst in other.bursts}
    return [compare(burst.cost, costs[burst.round]) for burst in entry.bursts if burst.round in costs]


def lines(entries: list[Entry]) -> list[Line]:
    """Row by row, the cheapest first."""
    found = []
    for row in dict.fromkeys(entry.row for entry in entries):
        valid = [entry for entry in entries if entry.row == row and entry.valid]
        ours = next((entry for entry in valid if entry.server == OURS), None)
        of_row = [
            Line(
                row,
                ROWS[row].unit,
                entry.server,
                cost=statistics.median(burst.cost for burst in entry.bursts),
                lowest=min(burst.cost for burst in entry.bursts),
                highest=max(burst.cost for burst in entry.bursts),
                rate=statistics.median(burst.rate for burst in entry.bursts),
                ratio=paired_ratio(entry, ours),
                noisy=sum(burst.foreign > FOREIGN_LIMIT for burst in entry.bursts),
            )
            for entry in valid
        ]
        found += sorted(of_row, key=lambda line: line.cost)
    return found


def log_costs(entries: list[Entry]) -> str:
    """What the access log adds to each server, in the rows where each runs with it and without."""
    told = []
    for logged in entries:
        for plain in entries:
            if plain.row == logged.row and plain.server == logged.server + UNLOGGED and plain.valid and logged.valid:
                ratio = paired_ratio(logged, plain)
                more = statistics.median(paired(logged, plain, operator.sub) or [0])
                told.append(f"{logged.server} ×{ratio:.2f} ({more:+.1f} µs)")
    return f"The access log: {', '.join(told)}." if told else ""


def faults(entries: list[Entry]) -> list[str]:
    return [f"{entry.row}, {entry.server}: {entry.fault}" for entry in entries if entry.fault]


def noise(entries: list[Entry]) -> str:
    bursts = [burst for entry in entries for burst in entry.bursts]
    noisy = sum(burst.foreign > FOREIGN_LIMIT for burst in bursts)
    if not noisy:
        return ""
    return (
        f"Noise: in {noisy} of {len(bursts)} bursts something else took more than {FOREIGN_LIMIT:.0%} "
        "of the servers' core."
    )


def table(entries: list[Entry]) -> str:
    """For a terminal: columns in line, no markup."""
    rows = [HEAD, *cells(entries)]
    widths = [max(len(row[column]) for row in rows) for column in range(len(HEAD))]
    text = []
    for row in rows:
        left = [cell.ljust(width) for cell, width in zip(row[:2], widths, strict=False)]
        right = [cell.rjust(width) for cell, width in zip(row[2:6], widths[2:], strict=False)]
        text.append("  ".join([*left, *right, row[6].strip("*")]).rstrip())
    text += [f"invalid: {fault}" for fault in faults(entries)]
    return "\n".join([*text, *below(entries)])


def below(entries: list[Entry]) -> list[str]:
    """What stands under a table."""
    messages = [row for row in dict.fromkeys(entry.row for entry in entries) if ROWS[row].unit != "request"]
    units = f"The unit is the request; in {', '.join(messages)} the message." if messages else ""
    return [*filter(None, [units, log_costs(entries), noise(entries)])]


def markdown_table(entries: list[Entry]) -> list[str]:
    text = ["| " + " | ".join(HEAD) + " |", "|---|---|---:|---:|---:|---:|---|"]
    for row in cells(entries):
        if row[1] == OURS:
            row = tuple(f"**{cell}**" if cell else "" for cell in row)
        text.append("| " + " | ".join(row) + " |")
    text += ["", *(f"- invalid: {fault}" for fault in faults(entries))]
    return text


def picture(name: str) -> str:
    return (
        f'<picture><source media="(prefers-color-scheme: dark)" srcset="{name}-dark.svg">'
        f'<img src="{name}.svg" alt="The table below as bars"></picture>'
    )


# -- the header


def machine() -> dict[str, str]:
    model = "unknown"
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            model = line.partition(":")[2].strip()
            break
    return {
        "CPU": f"{model}, {os.cpu_count()} cores",
        "kernel": f"{platform.system()} {platform.release()}",
    }


def revision() -> str:
    """Portway's commit, where there is one, and the digest of what was built."""
    git = ["git", "--no-optional-locks"]
    asked = subprocess.run([*git, "rev-parse", "--short", "HEAD"], capture_output=True, text=True)
    digest = f"sources {fingerprint()}"
    return f"{asked.stdout.strip()}, {digest}" if asked.returncode == 0 else digest


@dataclass
class Result:
    """What came out on one Python."""

    python: Python
    picture: str  # the names of its pictures begin so
    entries: list[Entry] = field(default_factory=list)
    unmasking: dict[str, float] = field(default_factory=dict)  # GB/s, by the bytes of a message

    @property
    def unmasked(self) -> str:
        told = ", ".join(f"{speed:.1f} GB/s for {size} bytes at once" for size, speed in self.unmasking.items())
        return f"Portway takes masks off, in cache, at {told}." if told else ""


@dataclass
class Report:
    """What was run, and for each Python what came out of it."""

    arguments: str
    tools: str  # that were used, with their versions
    commands: list[str]  # of wrk, h2load and wsload, those that were used
    rounds: int
    seconds: int
    results: list[Result]

    def header(self) -> dict[str, str]:
        return {
            "date": time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime()),
            **machine(),
            "Portway": revision(),
            "load": ", ".join([*filter(None, [self.tools]), *(f"`{command}`" for command in self.commands)]),
            "rounds": f"{self.rounds}, one burst of {self.seconds} s for each server in each",
            "run as": f"`bench/run.py {self.arguments}`".replace(" `", "`"),
        }

    def markdown(self) -> str:
        text = ["# CPU time per request and message", ""]
        text += ["How it is measured and how to read it: [README](../README.md).", ""]
        text += [f"- {name}: {value}" for name, value in self.header().items()]
        for result in self.results:
            python, entries = result.python, result.entries
            versions: dict[str, str] = {}
            for entry in entries:
                if (name := entry.server.removesuffix(THREADED)) in SERVERS:
                    versions.setdefault(name, entry.version)
            text += ["", f"## CPython {python.full_name}", ""]
            text += [picture(result.picture), ""]
            text += markdown_table(entries)
            for line in filter(None, [*below(entries), result.unmasked]):
                text += ["", line]
            text.append("")
            told = ", ".join(f"{name} {version}" for name, version in versions.items())
            text += [f"Versions: {told}.", ""]
            text += self._commands(entries)
        text += ["## Rows", ""]
        text += [f"- `{row.name}`: {row.about}" for row in ROWS.values() if self._has(row.name)]
        return "\n".join(text) + "\n"

    def _commands(self, entries: list[Entry]) -> list[str]:
        """Each server's command in each row; the rows that share it on one line."""
        rows: dict[tuple[str, str], list[str]] = {}
        for entry in entries:
            if entry.lacks:
                continue
            rows.setdefault((entry.server, entry.command), []).append(entry.row)
        text = ["| server | rows | command |", "|---|---|---|"]
        text += [f"| {server} | {', '.join(of)} | `{command}` |" for (server, command), of in rows.items()]
        text.append("")
        heats = [entry for entry in entries if entry.heats]
        if heats:
            text += ["Heats, to find how a server runs best:", ""]
        for entry in heats:
            tried = ", ".join(f"`{way}` {cost} µs" for way, cost in entry.heats.items())
            text.append(f"- {entry.row}: {entry.server} with {tried}")
        return [*text, ""] if heats else text

    def _has(self, row: str) -> bool:
        return any(entry.row == row for result in self.results for entry in result.entries)

    def plain(self) -> dict:
        results = [
            {
                "python": result.python.full_name,
                "name": result.python.name,
                "lines": [line.__dict__ for line in lines(result.entries)],
                "picture": result.picture,
                "unmasking": result.unmasking,
                "entries": [entry.plain() for entry in result.entries],
            }
            for result in self.results
        ]
        return {"header": self.header(), "results": results}

    def write(self, folder: Path, name: str) -> list[Path]:
        folder.mkdir(parents=True, exist_ok=True)
        words, numbers = folder / f"{name}.md", folder / f"{name}.json"
        words.write_text(self.markdown())
        numbers.write_text(json.dumps(self.plain(), indent=1, ensure_ascii=False) + "\n")
        return [words, numbers]
