#!/usr/bin/env python3
"""CPU time per request or message, Portway against the newest releases of its peers. See bench/README.md."""

import argparse
import json
import os
import shlex
import subprocess
import sys
import tempfile
from pathlib import Path

import environments
import peers
import report
from contest import Contest
from environments import Failed, Python
from load import Load, Missing, ensure
from rows import DEFAULT_ROWS, ROWS, Row

RESULTS = Path("bench", "results")
LATEST = "latest"
UNMASK = Path("bench", "unmask.py")


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="bench/run.py", description=__doc__)
    option = parser.add_argument
    option("--rows", default=",".join(DEFAULT_ROWS), help=f"of {', '.join(ROWS)} (default: %(default)s)")
    option("--servers", default=",".join(peers.SERVERS), help="(default: %(default)s)")
    option("--pythons", help="versions or paths (default: the newest from 3.12 on, and 3.11)")
    option("--rounds", type=int, default=7, help="bursts for each server in each row (default: 7)")
    option("--seconds", type=int, default=2, help="the length of a burst (default: 2)")
    option("--connections", type=int, default=64, help="kept alive by wrk (default: 64)")
    option("--cores", default="", help="the servers' and the client's, as in 0,1 (default: the first two)")
    option("--quick", action="store_true", help="3 rounds of 1 second, without the slow peers")
    option("--upgrade", action="store_true", help="install newer releases of the peers first")
    option("--keep-raw", action="store_true", help="keep the clients' output and the servers' logs")
    option("--name", default=LATEST, help="of the files under bench/results (default: %(default)s)")
    option("--instructions", action="store_true", help="count instructions by callgrind instead")
    parsed = parser.parse_args()
    if parsed.quick:
        parsed.rounds, parsed.seconds = 3, 1
    parsed.rows = pick(parser, "row", parsed.rows, ROWS)
    parsed.servers = pick(parser, "server", parsed.servers, peers.SERVERS)
    if parsed.quick:
        parsed.servers = [server for server in parsed.servers if not server.slow]
    return parsed


def pick(parser: argparse.ArgumentParser, kind: str, names: str, known: dict) -> list:
    unknown = [name for name in names.split(",") if name not in known]
    if unknown:
        parser.error(f"no {kind} {', '.join(unknown)}; there are {', '.join(known)}")
    return [known[name] for name in names.split(",")]


def cores(asked: str) -> tuple[int, int]:
    usable = sorted(os.sched_getaffinity(0))
    picked = [int(core) for core in asked.split(",")] if asked else usable[:2]
    if len(picked) != 2 or not set(picked) <= set(usable) or picked[0] == picked[1]:
        raise Failed(f"bench needs two cores, one for the servers and one for the client; usable here: {usable}")
    return picked[0], picked[1]


def prepare(python: Python, servers: list[peers.Server], upgrade: bool) -> None:
    """Make the environments. What cannot be installed is said here, and skipped later."""
    wanted = peers.wanted_packages(servers)
    failed = environments.peers_environment(python, wanted, upgrade) if wanted else {}
    if any(server.environment == "portway" for server in servers):
        fault = environments.portway_environment(python, peers.companions(servers), upgrade)
        if fault:
            failed["portway"] = fault
    for name, fault in failed.items():
        print(f"  {name} cannot be installed: {fault}", flush=True)


def unmasking(python: Python, core: int) -> dict[str, float]:
    """GB/s of WebSocket messages by their size; nothing where Portway is not built."""
    program = environments.Environment(python, "portway").bin / "python"
    try:
        return json.loads(environments.run(["taskset", "-c", str(core), str(program), str(UNMASK)]))
    except (Failed, OSError) as error:
        print(f"  how fast masks are taken off is not measured: {error}", flush=True)
        return {}


def draw(numbers: Path) -> None:
    try:
        environments.run_tool("matplotlib", "bench/picture.py", str(numbers))
    except Failed as error:
        print(f"no picture: {error}")


def equip(rows: list[Row]) -> str:
    """What asks, and the certificate of those who answer; return the versions of what asks."""
    tools = ensure(rows)
    if any(row.tls for row in rows):
        environments.run_tool("trustme", "bench/certificate.py")
    return tools


def measure(asked: argparse.Namespace) -> None:
    tools = equip(asked.rows)
    server_core, client_core = cores(asked.cores)
    load = Load(client_core, asked.connections)
    results: list[report.Result] = []
    written = report.Report(
        arguments=shlex.join(sys.argv[1:]),
        tools=tools,
        commands=list(dict.fromkeys(load.shown(row, asked.seconds) for row in asked.rows)),
        rounds=asked.rounds,
        seconds=asked.seconds,
        results=results,
    )
    raw = RESULTS / "raw" if asked.keep_raw else None
    if raw:
        raw.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as logs:
        for python in environments.chosen(asked.pythons):
            print(f"\nCPython {python.full_name}", flush=True)
            prepare(python, asked.servers, asked.upgrade)
            # A trial does not draw over the pictures of the last full run.
            result = report.Result(python, python.name if asked.name == LATEST else f"{asked.name}-{python.name}")
            results.append(result)
            if any(row.unit == "message" for row in asked.rows):
                result.unmasking = unmasking(python, server_core)
            for row in asked.rows:
                contest = Contest(
                    python,
                    row,
                    load,
                    server_core,
                    rounds=asked.rounds,
                    seconds=asked.seconds,
                    logs=raw or Path(logs),
                    raw=raw,
                    say=say,
                )
                result.entries += contest.run(peers.contestants(asked.servers, row))
                result.entries += map(contest.absent, peers.lacking(asked.servers, row))
                files = written.write(RESULTS, asked.name)  # what is known so far outlives an interrupt
            print(f"\nCPython {python.full_name}\n{report.table(result.entries)}\n{result.unmasked}\n", flush=True)
    draw(files[1])
    print("written: " + ", ".join(map(str, files)))


def say(text: str) -> None:
    print(text, flush=True)


def main() -> None:
    os.chdir(Path(__file__).resolve().parent.parent)
    asked = arguments()
    try:
        if asked.instructions:
            import instructions

            equip(asked.rows[:1])
            for python in environments.chosen(asked.pythons):
                prepare(python, asked.servers, asked.upgrade)
                instructions.count(python, asked.servers, asked.rows[0])
        else:
            measure(asked)
    except (Failed, Missing, subprocess.TimeoutExpired) as error:
        sys.exit(f"bench: {error}")
    except KeyboardInterrupt:
        sys.exit("bench: interrupted")


if __name__ == "__main__":
    main()
