"""What a setting is: the facts about a field of a group, and how its annotation is read."""

from __future__ import annotations

from dataclasses import dataclass, field
from types import UnionType
from typing import Any, Literal, TypeVar, get_args, get_origin

T = TypeVar("T")

Kind = Literal["text", "choice", "integer", "size", "seconds", "switch", "list", "numbers"]

PREFIX = "PORTWAY_"


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """What a field says about its setting beyond its name, type and default."""

    help: str
    flags: tuple[str, ...] = ()  # short ones; --the-name is always there
    env: tuple[str, ...] = ()  # variables read after PORTWAY_<NAME>
    metavar: str = ""
    unit: Literal["", "bytes"] = ""  # bytes may be written 10M or 64KiB
    least: float | None = None
    most: float | None = None
    empty: bool = False  # an empty text means something
    secret: bool = False  # never shown
    auto: bool = False  # the word auto is a number: that of the CPUs
    table: bool = False  # a list of NAME=VALUE, in a file a table, too
    split: str = ""  # what separates the values of a list in a variable: a regular expression
    example: str = ""  # shown when a value is refused; the default if there is none


def setting(
    default: T,
    help: str,
    *,
    flags: tuple[str, ...] = (),
    env: tuple[str, ...] = (),
    metavar: str = "",
    unit: Literal["", "bytes"] = "",
    least: float | None = None,
    most: float | None = None,
    empty: bool = False,
    secret: bool = False,
    auto: bool = False,
    table: bool = False,
    split: str = "",
    example: str = "",
) -> T:
    """A field of a group, with its facts."""
    facts = Facts(
        help=help,
        flags=flags,
        env=env,
        metavar=metavar,
        unit=unit,
        least=least,
        most=most,
        empty=empty,
        secret=secret,
        auto=auto,
        table=table,
        split=split,
        example=example,
    )
    return field(default=default, repr=not secret, metadata={"facts": facts})


@dataclass(frozen=True, kw_only=True)
class Group:
    """A theme of settings; the class name is its title in `--help`."""


@dataclass(frozen=True, slots=True)
class Setting:
    """One setting, as options, variables, files and checks see it."""

    name: str
    group: str
    kind: Kind
    optional: bool
    choices: tuple[str, ...]
    default: Any
    facts: Facts

    @property
    def option(self) -> str:
        return "--" + self.name.replace("_", "-")

    @property
    def options(self) -> tuple[str, ...]:
        """All its options; the target has none, it is the argument TARGET."""
        if self.name == "target":
            return ("TARGET",)
        off = ("--no-" + self.option[2:],) if self.kind == "switch" else ()
        return (*self.facts.flags, self.option, *off)

    @property
    def variables(self) -> tuple[str, ...]:
        """The environment variables that it is read from, the first found wins."""
        return (PREFIX + self.name.upper(), *self.facts.env)

    @property
    def example(self) -> str:
        """A value that would do."""
        return self.facts.example or (self.choices[0] if self.choices else str(self.default))

    def place(self, origin: str) -> str:
        """How an error names the setting: --port, PORTWAY_PORT, `port in portway.toml`, or port."""
        if origin == "default":
            return self.name
        if origin.split(" ")[0] in (*self.options, *self.variables):
            return origin
        return f"{self.name} in {origin}"


def read(hint: Any, unit: str) -> tuple[Kind, bool, tuple[str, ...]]:
    """Kind, optional and choices, from the annotation of a field."""
    if isinstance(hint, UnionType):  # X | None
        kind, _, choices = read(get_args(hint)[0], unit)
        return kind, True, choices
    if get_origin(hint) is Literal:
        return "choice", False, get_args(hint)
    if hint is int and unit == "bytes":
        return "size", False, ()
    return KINDS[hint], False, ()


KINDS: dict[Any, Kind] = {
    str: "text",
    int: "integer",
    float: "seconds",
    bool: "switch",
    tuple[str, ...]: "list",
    tuple[int, ...]: "numbers",
}
