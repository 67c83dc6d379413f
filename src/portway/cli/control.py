"""`portway status`, `reload`, `scale`, `stop` and `upgrade`: what one asks a running server with workers for."""

from __future__ import annotations

import json
import os
import signal
import time
from pathlib import Path
from typing import Any

import click

from portway.config import load
from portway.workers import asking
from portway.workers.info import span
from portway.workers.pidfile import is_server, lives

HEAD = ("worker", "process", "phase", "uptime", "requests", "connections", "lag", "memory")


def option_pid(command: Any) -> Any:
    return click.option(
        "--pid",
        metavar="FILE",
        help="The pid file of the server; otherwise the one that portway.toml names, or the only server that runs.",
    )(command)


def where(pid: str | None) -> Path:
    """The control socket of the server that is meant."""
    return asking.find(pid or load({}).settings.pid)


def ask(pid: str | None, request: dict[str, Any]) -> dict[str, Any]:
    return asking.ask(where(pid), request)


@click.command()
@option_pid
@click.option("--json", "as_json", is_flag=True, help="Print JSON instead of a table.")
def status(pid: str | None, as_json: bool) -> None:
    """Show the workers of a running server."""
    found = ask(pid, {"do": "status"})
    found.pop("ok")
    if as_json:
        click.echo(json.dumps(found, indent=2))
        return
    click.echo(f"Portway {found['version']}, process {found['process']}, serves {found['target']}")
    click.echo(table(found["workers"]))


@click.command()
@option_pid
def reload(pid: str | None) -> None:
    """Replace all workers, so that they run the code and the configuration of now.

    Ends when that is done. Workers whose successors cannot start go on; the exit code is 2 then.
    """
    click.echo(ask(pid, {"do": "reload"})["text"])


@click.command()
@click.argument("count", type=click.IntRange(1, 1024))
@option_pid
def scale(pid: str | None, count: int) -> None:
    """Have COUNT workers."""
    click.echo(ask(pid, {"do": "scale", "count": count})["text"])


@click.command()
@option_pid
def upgrade(pid: str | None) -> None:
    """Start a new server with the same sockets, and end this one when it serves.

    For a new Python or a new Portway. Ends when that is done.
    """
    click.echo(ask(pid, {"do": "upgrade"})["text"])


@click.command()
@option_pid
@click.option("--now", is_flag=True, help="Without waiting for requests to end.")
def stop(pid: str | None, now: bool) -> None:
    """End a server, and wait until it has."""
    file = pid or load({}).settings.pid
    if file is not None and not asking.place(file).exists():  # one process, without a supervisor
        process = asking.process_in(file)
        if not is_server(process):
            raise asking.ControlError(f"{file}: process {process} is no server; the file may be removed")
        try:
            os.kill(process, signal.SIGQUIT if now else signal.SIGTERM)
        except OSError as fault:
            raise asking.ControlError(f"cannot stop process {process}: {fault.strerror}") from None
    else:
        process = ask(pid, {"do": "stop", "now": now})["process"]
    while lives(process):
        time.sleep(0.05)
    click.echo("stopped")


def table(workers: list[dict[str, Any]]) -> str:
    """For people; numbers are on the right."""
    rows = [HEAD, *(row(worker) for worker in workers)]
    widths = [max(len(each[column]) for each in rows) for column in range(len(HEAD))]
    return "\n".join("  ".join(f"{cell:>{wide}}" for cell, wide in zip(each, widths, strict=True)) for each in rows)


def row(worker: dict[str, Any]) -> tuple[str, ...]:
    memory = worker["memory"]
    return (
        str(worker["number"]),
        str(worker["process"]),
        worker["phase"],
        span(worker["uptime"]),
        f"{worker['requests']:,}",
        f"{worker['connections']:,}",
        f"{worker['lag'] * 1000:.0f} ms",
        "?" if memory is None else f"{memory / 2**20:.0f} MiB",
    )
