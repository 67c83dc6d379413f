"""`portway routes`: which application is served where."""

from __future__ import annotations

import json
from typing import Any

import click

from portway.cli.options import SettingsCommand, loaded
from portway.errors import SettingsError

HEAD = ("host", "path", "application", "interface", "")


@click.command(
    cls=SettingsCommand,
    params=[click.Option(["--json", "as_json"], is_flag=True, help="Print JSON instead of a table.")],
)
@click.pass_context
def routes(ctx: click.Context, /, as_json: bool, **options: Any) -> None:
    """Load the applications as serve would with the same options, and print what is mounted where.

    They stand in the order in which they are asked.
    """
    settings = loaded(ctx).settings
    if settings.target is None:
        raise SettingsError("no application; write portway routes main:app, or target = 'main:app' in portway.toml")
    from portway import boot  # every room of the server; --help does without

    found = boot.routes(settings)
    click.echo(json.dumps([_as_dict(row) for row in found], indent=2) if as_json else _table(found))


def _as_dict(row: Any) -> dict[str, Any]:
    return {
        "host": row.host or None,
        "path": row.prefix,
        "application": row.name,
        "interface": row.interface,
        "fallback_on": list(row.statuses) or None,
    }


def _table(found: list[Any]) -> str:
    rows = [HEAD, *((row.host or "*", row.prefix, row.name, row.interface, _note(row)) for row in found)]
    widths = [max(len(row[column]) for row in rows) for column in range(len(HEAD))]
    lines = ("  ".join(f"{cell:{wide}}" for cell, wide in zip(row, widths, strict=True)) for row in rows)
    return "\n".join(line.rstrip() for line in lines)


def _note(row: Any) -> str:
    return f"fallback on {', '.join(map(str, row.statuses))}" if row.statuses else ""
