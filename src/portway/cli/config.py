"""`portway config`: the settings in force, and where each came from."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import Any

import click

from portway.cli.options import SettingsCommand, loaded
from portway.config import Loaded, catalogue

HIDDEN = "***"


@click.command(
    cls=SettingsCommand,
    params=[click.Option(["--json", "as_json"], is_flag=True, help="Print JSON instead of a table.")],
)
@click.pass_context
def config(ctx: click.Context, /, as_json: bool, **options: Any) -> None:
    """Print the settings that serve would use with the same options, and where each comes from."""
    found = loaded(ctx)
    click.echo(_json(found) if as_json else _table(found))


def _json(found: Loaded) -> str:
    values = asdict(found.settings)
    values |= dict.fromkeys(_secrets(found), HIDDEN)
    origins = found.origins
    return json.dumps({name: {"value": values[name], "origin": origins[name]} for name in catalogue()}, indent=2)


def _table(found: Loaded) -> str:
    secrets = _secrets(found)
    rows = [
        (name, HIDDEN if name in secrets else _shown(getattr(found.settings, name)), found.origins[name])
        for name in catalogue()
    ]
    wide, wider = (max(len(row[column]) for row in rows) for column in (0, 1))
    return "\n".join(f"{name:{wide}}  {value:{wider}}  {origin}" for name, value, origin in rows)


def _secrets(found: Loaded) -> list[str]:
    """What is set and not for the eyes of whoever looks at the screen."""
    return [name for name, each in catalogue().items() if each.facts.secret and getattr(found.settings, name)]


def _shown(value: object) -> str:
    """As it would be written in portway.toml; a dash is what is left open."""
    if value is None:
        return "-"
    text = json.dumps(value, ensure_ascii=False)
    return text if not isinstance(value, float) else f"{value:g}"
