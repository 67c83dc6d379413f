"""What a setting's field says beyond its name, type and default, and the root of the groups that fields are in."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal, TypeVar

T = TypeVar("T")


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
        table=table,
        split=split,
        example=example,
    )
    return field(default=default, repr=not secret, metadata={"facts": facts})


@dataclass(frozen=True, kw_only=True)
class Group:
    """A theme of settings; the class name is its title in `--help`."""
