"""Click options from the settings: one for each field, in the sections of its groups. No second list.

Click only splits the command line here. Values pass through it as texts and are read where those of
files and variables are read too, in `config.check`, so that a wrong one is refused in the same words.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, MutableMapping
from itertools import groupby
from typing import Any

import click
from click.core import ParameterSource
from click.shell_completion import CompletionItem

from portway.config.check import OFF, ON
from portway.config.facts import PREFIX, Setting
from portway.config.load import NOT_SETTINGS, Loaded, load
from portway.config.settings import catalogue
from portway.errors import SettingsError

# uvicorn's options that Portway has no answer to: refused by name rather than as a typing error.
ABSENT_SWITCHES = ("--http2", "--reset-contextvars")
ABSENT_OPTIONS = ("--h11-max-incomplete-event-size",)

# Switches that are followed by true or false on uvicorn's command line.
WORDY_SWITCHES = ("--ws-per-message-deflate",)

PATHS = {"FILE": "file", "PATH": "file", "FOLDER": "dir"}
UNITS = {"size": " bytes", "seconds": " seconds"}


class Words(click.ParamType):  # type: ignore[type-arg]  # generic since click 8.4 only
    """A text as it was written; completion knows its choices."""

    name = "text"

    def __init__(self, setting: Setting) -> None:
        self.setting = setting

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        return value

    def shell_complete(self, ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
        path = PATHS.get(self.setting.facts.metavar)
        if path:
            return [CompletionItem(incomplete, type=path)]
        return [CompletionItem(choice) for choice in self.setting.choices if choice.startswith(incomplete)]


class SettingOption(click.Option):
    """The option of one setting."""

    def __init__(self, setting: Setting) -> None:
        self.group = setting.group
        switch = setting.kind == "switch"
        names = [
            *setting.facts.flags,
            f"{setting.option}/--no-{setting.option[2:]}" if switch else setting.option,
        ]
        super().__init__(
            [*names, setting.name],
            type=click.BOOL if switch else Words(setting),
            default=None,
            multiple=setting.kind == "list",
            metavar=None if switch else setting.facts.metavar or f"[{'|'.join(setting.choices)}]",
            help=setting.facts.help + _default(setting),
        )


def _default(setting: Setting) -> str:
    if setting.default in (None, "", ()):
        return ""
    words = {True: "on", False: "off"} if setting.kind == "switch" else {}
    if setting.kind == "numbers":
        return f"  [default: {','.join(map(str, setting.default))}]"
    text = words.get(setting.default, f"{setting.default}{UNITS.get(setting.kind, '')}")
    return f"  [default: {text}]"


class SettingsCommand(click.Command):
    """A command that takes every setting, and shows them in sections."""

    def __init__(self, name: str | None, params: Iterable[click.Parameter] = (), **rest: Any) -> None:
        super().__init__(name, params=[*setting_parameters(), *params], epilog=EPILOG, **rest)

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        return super().parse_args(ctx, plain_switches(args))

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        visible = [each for each in self.get_params(ctx) if isinstance(each, click.Option) and not each.hidden]
        for title, params in groupby(visible, _section):
            with formatter.section(title):
                formatter.write_dl([record for param in params if (record := param.get_help_record(ctx))])


def plain_switches(args: list[str]) -> list[str]:
    """The arguments with each of uvicorn's switches that take a word as Portway's switch, which takes none."""
    plain: list[str] = []
    for arg in args:
        name, _, word = arg.partition("=")
        if plain and plain[-1] in WORDY_SWITCHES and arg.lower() in ON | OFF:
            name, word = plain.pop(), arg
        if name in WORDY_SWITCHES and word.lower() in ON | OFF:
            arg = name if word.lower() in ON else f"--no-{name[2:]}"
        plain.append(arg)
    return plain


def _section(param: click.Parameter) -> str:
    return param.group if isinstance(param, SettingOption) else "Other"


def setting_parameters() -> list[click.Parameter]:
    """TARGET, --config, an option for each setting, and the refusals of the absent ones."""
    settings = [SettingOption(setting) for setting in catalogue().values() if setting.name != "target"]
    config = click.Option(
        ["-c", "--config", "config"],
        metavar="FILE",
        type=click.Path(),
        help="Read settings from this TOML file instead of portway.toml and pyproject.toml.",
    )
    absent = [_absent(name, is_flag=True) for name in ABSENT_SWITCHES] + [_absent(name) for name in ABSENT_OPTIONS]
    return [click.Argument(["target"], required=False), *settings, config, *absent]


def _absent(name: str, is_flag: bool = False) -> click.Option:
    return click.Option([name], is_flag=is_flag, hidden=True, expose_value=False, callback=_refuse)


def _refuse(ctx: click.Context, param: click.Parameter, value: object) -> None:
    if _was_given(ctx, param.name) and not ctx.resilient_parsing:
        raise SettingsError(f"{param.opts[0]} is not available in this version of Portway")


def _was_given(ctx: click.Context, name: str | None) -> bool:
    return name is not None and ctx.get_parameter_source(name) is ParameterSource.COMMANDLINE


def loaded(ctx: click.Context, environ: MutableMapping[str, str] = os.environ) -> Loaded:
    """The settings for this command line; warnings go to stderr. Raises SettingsError."""
    flags = {name: value for name, value in ctx.params.items() if name in catalogue() and _was_given(ctx, name)}
    found = load(flags, config=ctx.params["config"], environ=environ)
    for warning in found.warnings:
        click.echo(f"portway: warning: {warning}", err=True)
    return found


def _variables() -> str:
    """Every variable, once."""
    names = dict.fromkeys(name for setting in catalogue().values() for name in setting.variables)
    return ", ".join([*names, *NOT_SETTINGS])


EPILOG = f"""\
\b
Examples:
  portway main:app
  portway serve main:create_app --factory --port 80 --log-level warning
  portway examples/hello/main.py -b 127.0.0.1:8000 -b unix:/run/hello.sock
  portway config --port 80          the settings in force and where each comes from

An option wins over its variable ({PREFIX} and the name of the option), that over portway.toml, that over
[tool.portway] in pyproject.toml. In a file a setting is written as the option is: timeout-keep-alive = 5.

Variables: {_variables()}.
"""
