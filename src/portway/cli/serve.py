"""`portway serve TARGET`, which is also `portway TARGET`."""

from __future__ import annotations

import os
import sys
from functools import partial
from typing import Any

import click

from portway.cli.options import SettingsCommand, loaded
from portway.config import Settings
from portway.errors import SettingsError
from portway.workers import init


@click.command(cls=SettingsCommand)
@click.pass_context
def serve(ctx: click.Context, /, **options: Any) -> None:
    """Serve an application.

    TARGET is module:attribute, a module, a .py file, or the folder of a package.
    """
    environ = dict(os.environ)  # before an env file adds to it
    settings = loaded(ctx).settings
    if settings.target is None:
        raise SettingsError("no application; write portway serve main:app, or target = 'main:app' in portway.toml")
    if settings.workers == 1 and not settings.reload:
        init.settle()
    from portway import boot  # every room of the server; --help does without

    sys.exit(boot.main(settings, partial(fresh, ctx, environ)))


def fresh(ctx: click.Context, environ: dict[str, str]) -> tuple[Settings, dict[str, str]]:
    """The settings for this command line as files are now, and the environment with what an env file adds to it."""
    environ = dict(environ)
    return loaded(ctx, environ).settings, environ
