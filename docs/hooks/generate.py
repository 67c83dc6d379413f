"""A hook of mkdocs: puts what the code knows into the pages, where `<!-- generated: NAME -->` stands.

So the reference keeps no second list of settings, variables, commands or signatures.
"""

from __future__ import annotations

import inspect
import re
import textwrap
from collections.abc import Callable
from functools import partial
from itertools import groupby
from pathlib import Path
from types import ModuleType
from typing import Any

import click

import portway
import portway.testing
from portway.cli.root import root
from portway.config import Setting, catalogue
from portway.config.load import NOT_SETTINGS

DEPLOY = Path(__file__).parents[2] / "deploy"
MARK = re.compile(r"<!-- generated: (\w+) -->")
FORWARD = re.compile(r"ForwardRef\((.*?)\)")  # what a NamedTuple makes of its annotations


def on_page_markdown(markdown: str, **rest: Any) -> str:
    """Called by mkdocs for each page."""
    return MARK.sub(lambda match: GENERATORS[match[1]](), markdown)


# --- settings ---


def settings() -> str:
    """Every setting, in the sections of `--help`."""
    return "\n\n".join(
        f"## {group}\n\n" + "\n\n".join(map(one_setting, members))
        for group, members in groupby(catalogue().values(), lambda setting: setting.group)
    )


def one_setting(setting: Setting) -> str:
    rows = [
        ("Option", ", ".join(f"`{each}`" for each in setting.options)),
        ("Variable", ", ".join(f"`{each}`" for each in setting.variables)),
        ("In a file", f"`{setting.name} = {in_toml(setting)}`"),
        ("Value", values(setting)),
        ("Default", default(setting)),
    ]
    table = "\n".join(f"| {name} | {text} |" for name, text in rows)
    return f"### {setting.name}\n\n{escaped(setting.facts.help)}\n\n| | |\n|---|---|\n{table}"


KINDS = {
    "text": "a text",
    "choice": "one of",
    "integer": "a whole number",
    "size": "bytes; `64KiB`, `10M` and `2GB` are understood",
    "seconds": "seconds; fractions are fine",
    "switch": "`true` or `false`; as an option without a value",
    "list": "a list of texts; the option may be repeated",
    "numbers": "a list of whole numbers; in an option and a variable separated by commas",
}


def values(setting: Setting) -> str:
    facts = setting.facts
    words = KINDS[setting.kind]
    if setting.choices:
        words += " " + ", ".join(f"`{choice}`" for choice in setting.choices)
    if facts.least is not None:
        words += f"; at least {facts.least:g}"
    if facts.most is not None:
        words += f", at most {facts.most:g}"
    return words


def default(setting: Setting) -> str:
    if setting.default in (None, ()):
        return "none"
    if setting.kind == "numbers":
        return f"`{','.join(map(written, setting.default))}`"
    return f"`{written(setting.default)}`" if setting.default != "" else "an empty text"


def in_toml(setting: Setting) -> str:
    if setting.facts.table:
        name, _, text = setting.example.partition("=")
        return f'{{ "{name}" = "{text}" }}'
    if setting.kind == "list":
        return f'["{setting.example}"]'
    if setting.kind == "numbers":
        return f"[{setting.example.replace(',', ', ')}]"
    if setting.kind in ("integer", "seconds", "switch"):
        return setting.facts.example or written(setting.default)
    return f'"{setting.example}"'


def written(value: object) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    return f"{value:g}" if isinstance(value, float) else str(value)


def escaped(text: str) -> str:
    return text.replace("*", r"\*").replace("|", r"\|")


# --- variables ---


def variables() -> str:
    """Every variable, and the setting that it is for."""
    rows = ["| variable | what for |", "|---|---|"]
    rows += [f"| `{name}` | {text} |" for name, text in NOT_SETTINGS.items()]
    for setting in catalogue().values():
        rows += [f"| `{name}` | [{setting.name}](settings.md#{setting.name}) |" for name in setting.variables]
    return "\n".join(rows)


# --- commands ---


def commands() -> str:
    """What `--help` prints, for each command."""
    parts = [f"## portway\n\n{printed(root, 'portway')}"]
    context = click.Context(root)
    commands = {name: root.get_command(context, name) for name in root.list_commands(context)}
    parts += [f"## portway {name}\n\n{printed(each, f'portway {name}')}" for name, each in commands.items() if each]
    return "\n\n".join(parts)


def printed(command: click.Command, path: str) -> str:
    # click remembers the options of a command's help from its first context on.
    names = root.context_settings["help_option_names"]
    with click.Context(
        command, info_name=path, help_option_names=names, max_content_width=110, terminal_width=110
    ) as context:
        text = command.get_help(context)
    return f"```text\n{text.rstrip()}\n```"


# --- the Python API ---


def api() -> str:
    return public(portway)


def testing() -> str:
    return public(portway.testing)


def public(module: ModuleType) -> str:
    """Every public name of a module, from its signature and docstring."""
    names = [name for name in module.__all__ if not name.startswith("__")]
    return "\n\n".join(documented(f"{module.__name__}.{name}", getattr(module, name)) for name in names)


def documented(path: str, thing: Any) -> str:
    parts = [f"## {path}", signature(path, thing), prose(thing)]
    if inspect.isclass(thing) and path not in WITHOUT_MEMBERS and not issubclass(thing, Exception):
        if own(thing, "__init__"):
            parts.append(prose(thing.__init__))
        for name, member in vars(thing).items():
            target = member.fget if isinstance(member, property) else member
            if not name.startswith("_") and inspect.isfunction(target):
                line = signature(name, member) if not isinstance(member, property) else attribute(name, member)
                parts.append(f"### {path.rpartition('.')[2]}.{name}\n\n{line}\n\n{prose(target)}")
    return "\n\n".join(filter(None, parts))


# All that it has are the settings, which have their own page.
WITHOUT_MEMBERS = ("portway.Settings",)


def own(kind: type, name: str) -> bool:
    """Whether it has a docstring of its own, not one that it inherits."""
    return name in vars(kind) and bool(vars(kind)[name].__doc__)


def signature(path: str, thing: Any) -> str:
    if inspect.isclass(thing) and issubclass(thing, Exception):
        bases = ", ".join(base.__name__ for base in thing.__bases__)
        return f"```python\nclass {path}({bases})\n```"
    if path in WITHOUT_MEMBERS:
        return f"```python\n{path}(**settings)\n```"
    text = str(inspect.signature(thing)).replace("(self, ", "(").replace("(self)", "()").replace("'", "")
    text = FORWARD.sub(r"\1", text)
    if inspect.isclass(thing):
        return f"```python\nclass {path}{text.removesuffix(' -> None')}\n```"
    before = "async def " if inspect.iscoroutinefunction(thing) else "def "
    return f"```python\n{before}{path}{text}\n```"


def attribute(name: str, member: property) -> str:
    kind = inspect.signature(member.fget).return_annotation if member.fget else "Any"
    return f"```python\n{name}: {kind}\n```"


def prose(thing: Any) -> str:
    return textwrap.dedent(inspect.getdoc(thing) or "")


# --- files ---


def deployed(name: str, language: str) -> str:
    """A file of deploy/, as it is."""
    return f"```{language}\n{(DEPLOY / name).read_text('utf-8').rstrip()}\n```"


GENERATORS: dict[str, Callable[[], str]] = {
    "settings": settings,
    "variables": variables,
    "commands": commands,
    "api": api,
    "testing": testing,
    "service": partial(deployed, "portway.service", "ini"),
    "socket": partial(deployed, "portway.socket", "ini"),
    "dockerfile": partial(deployed, "Dockerfile", "dockerfile"),
    "compose": partial(deployed, "compose.yaml", "yaml"),
    "kubernetes": partial(deployed, "kubernetes.yaml", "yaml"),
}
