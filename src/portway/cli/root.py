"""The `portway` command: its subcommands, `serve` where none is named, and how errors are shown."""

from __future__ import annotations

import os
import traceback
from importlib import import_module
from typing import IO, Any

import click
from click.shell_completion import CompletionItem

from portway.cli.serve import serve
from portway.errors import LoadError, PortwayError

DEFAULT = serve

# The others, imported when they are asked for: who serves needs none of them.
OTHERS = {
    "completion": "portway.cli.completion",
    "config": "portway.cli.config",
    "reload": "portway.cli.control",
    "routes": "portway.cli.routes",
    "scale": "portway.cli.control",
    "status": "portway.cli.control",
    "stop": "portway.cli.control",
    "upgrade": "portway.cli.control",
}


class Refusal(click.ClickException):
    """An error of Portway's as the command line shows it: one line, exit code 2.

    Before it stands the traceback of the application's own error if there is one, or with
    PORTWAY_TRACEBACK=1 the whole of ours.
    """

    exit_code = 2

    def __init__(self, fault: PortwayError) -> None:
        super().__init__(str(fault))
        self.fault = fault

    def show(self, file: IO[Any] | None = None) -> None:
        if os.environ.get("PORTWAY_TRACEBACK", "0") not in ("", "0"):
            click.echo("".join(traceback.format_exception(self.fault)), file=file, err=True)
        elif isinstance(self.fault, LoadError) and self.fault.cause_traceback:
            click.echo(self.fault.cause_traceback, file=file, err=True)
        click.echo(f"portway: error: {self.message}", file=file, err=True)


class Root(click.Group):
    """A group whose default command is `serve`: what is no command, nor --help, begins its arguments."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return sorted({*self.commands, *OTHERS})

    def get_command(self, ctx: click.Context, name: str) -> click.Command | None:
        if name in self.commands or name not in OTHERS:
            return super().get_command(ctx, name)
        found: click.Command = getattr(import_module(OTHERS[name]), name)
        return found

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        ours = {*self.list_commands(ctx), *(name for param in self.get_params(ctx) for name in param.opts)}
        if args and args[0] not in ours:
            args = [str(DEFAULT.name), *args]
        return super().parse_args(ctx, args)

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except PortwayError as fault:
            raise Refusal(fault) from fault

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        """Our own, and what may follow when `serve` is left out."""
        found = super().shell_complete(ctx, incomplete) + DEFAULT.shell_complete(ctx, incomplete)
        return list({item.value: item for item in found}.values())


def _show_version(ctx: click.Context, param: click.Parameter, value: bool) -> None:
    if value:
        from portway.cli.version import show_version

        show_version(ctx, param, value)


@click.group(cls=Root, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
@click.option(
    "--version",
    is_flag=True,
    expose_value=False,
    is_eager=True,
    callback=_show_version,
    help="Show the version, the Python, the loop, and what is compiled.",
)
def root() -> None:
    """Portway serves Python web applications.

    `portway TARGET` is `portway serve TARGET`; its options are shown by `portway serve --help`.
    """


root.add_command(serve)
