"""`portway serve TARGET`, which is also `portway TARGET`."""

from __future__ import annotations

import os
import sys
from typing import Any

import click

from portway.cli.options import SettingsCommand, loaded
from portway.config.load import CONFIG, FILES
from portway.errors import SettingsError
from portway.workers import init


@click.command(cls=SettingsCommand)
@click.pass_context
def serve(ctx: click.Context, /, **options: Any) -> None:
    """Serve an application.

    TARGET is module:attribute, a module, a .py file, or the folder of a package.
    """
    environ = dict(os.environ)
    settings = loaded(ctx).settings
    if settings.target is None:
        raise SettingsError("no application; write portway serve main:app, or target = 'main:app' in portway.toml")
    if settings.workers == 1 and not settings.reload:
        init.settle()
    config = ctx.params["config"] or environ.get(CONFIG)
    files = (config,) if config else FILES
    from portway import boot  # every room of the server; --help does without

    sys.exit(boot.main(settings, boot.Origin(environ, lambda added: loaded(ctx, added).settings, files)))
