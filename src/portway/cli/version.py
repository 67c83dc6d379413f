"""`portway --version`: this Portway, the Python, the loop that `--loop auto` takes, and what is compiled."""

from __future__ import annotations

import platform
from importlib import metadata
from importlib.util import find_spec

import click

from portway import __version__, _modes


def version_line() -> str:
    parts = (f"portway {__version__}", _python(), _loop(), _compiled())
    return " · ".join(parts)


def _python() -> str:
    return f"{platform.python_implementation()} {platform.python_version()}"


def _loop() -> str:
    return f"uvloop {metadata.version('uvloop')}" if find_spec("uvloop") else "asyncio"


def _compiled() -> str:
    count, total = len(_modes.compiled_modules()), len(_modes.compilable_modules())
    forced = " (PORTWAY_PURE)" if _modes.forced() else ""
    return f"compiled: {count} of {total} modules{forced}"


def show_version(ctx: click.Context, param: click.Parameter, value: bool) -> None:
    """The callback of --version."""
    if value and not ctx.resilient_parsing:
        click.echo(version_line())
        ctx.exit()
