"""Where settings come from, the first found wins:

    1. options                   --port 80
    2. variables                 PORTWAY_PORT, then what a setting names besides it (WEB_CONCURRENCY)
    3. portway.toml              port = 80                            } or the one file of --config
    4. pyproject.toml            [tool.portway]  port = 80            } or PORTWAY_CONFIG
    5. the default

The file of `--env-file` adds variables to the environment, the application's too; it never replaces
one. An empty variable counts as not set, unless an empty text means something for that setting.
A variable that is no setting is warned of; a key of a file that is no setting is refused.
"""

from __future__ import annotations

import os
import re
import tomllib
from collections.abc import Mapping, MutableMapping
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import Any, NamedTuple

from portway.config.check import check, value
from portway.config.envfile import parse_env
from portway.config.facts import PREFIX, Setting
from portway.config.settings import Settings, catalogue
from portway.errors import SettingsError

# Variables that begin like a setting and are none.
CONFIG = "PORTWAY_CONFIG"
NOT_SETTINGS = {
    CONFIG: "the file to read settings from, as --config",
    "PORTWAY_HANDOVER": "set by a server for its successor",
    "PORTWAY_PURE": "1 runs the .py files beside the compiled ones",
    "PORTWAY_TRACEBACK": "1 shows where in Portway an error was raised",
}


@dataclass(frozen=True, slots=True)
class Loaded:
    """The settings in force, the origin of each by name, and what to warn of.

    An origin is an option ("--port"), a variable ("PORTWAY_PORT", "PORTWAY_PORT in .env"), a file
    ("portway.toml", "pyproject.toml [tool.portway]") or "default".
    """

    settings: Settings
    origins: Mapping[str, str]
    warnings: tuple[str, ...] = ()


class Raw(NamedTuple):
    """A value as it was found."""

    value: object
    origin: str


Layer = dict[str, Raw]


def load(
    flags: Mapping[str, object],
    *,
    config: str | None = None,
    environ: MutableMapping[str, str] = os.environ,
    folder: Path | None = None,
) -> Loaded:
    """Collect and check all settings.

    `flags` holds the options that were really given, by the name of their setting; `config` is the
    file of --config. The variables of an env file are added to `environ`. Raises SettingsError.
    """
    folder = folder or Path.cwd()
    given = _of_flags(flags)
    files = _of_files(config or environ.get(CONFIG, ""), "--config" if config else CONFIG, folder)
    added = _add_env_file([given, _of_environ(environ), *files], environ, folder)
    return _settle([given, _of_environ(environ, added), *files], _strangers(environ))


def _settle(layers: list[Layer], warnings: tuple[str, ...]) -> Loaded:
    values: dict[str, Any] = {}
    origins: dict[str, str] = {}
    for name, setting in catalogue().items():
        raw = _first(layers, name) or Raw(setting.default, "default")
        values[name] = value(setting, raw.value, raw.origin)
        origins[name] = raw.origin
    settings = Settings(**values)
    check(settings, origins)
    return Loaded(settings, origins, warnings)


def _first(layers: list[Layer], name: str) -> Raw | None:
    return next((layer[name] for layer in layers if name in layer), None)


# Options


def _of_flags(flags: Mapping[str, object]) -> Layer:
    return {name: Raw(given, _spelling(catalogue()[name], given)) for name, given in flags.items()}


def _spelling(setting: Setting, given: object) -> str:
    """The option as it was written, but for the short ones."""
    off = setting.kind == "switch" and given is False
    return setting.options[-1] if off or setting.name == "target" else setting.option


# Variables


def _of_environ(environ: Mapping[str, str], added: Mapping[str, str] | None = None) -> Layer:
    """What the environment says; `added` maps the variables of an env file to that file."""
    found: Layer = {}
    for name, setting in catalogue().items():
        variable = next((each for each in setting.variables if _says(setting, environ.get(each))), None)
        if variable is not None:
            file = (added or {}).get(variable)
            origin = f"{variable} in {file}" if file else variable
            found[name] = Raw(_split(setting, environ[variable]), origin)
    return found


def _says(setting: Setting, text: str | None) -> bool:
    return text is not None and (text != "" or setting.facts.empty)


def _split(setting: Setting, text: str) -> object:
    if setting.kind != "list":
        return text
    return tuple(part.strip() for part in re.split(setting.facts.split, text) if part.strip())


def _add_env_file(layers: list[Layer], environ: MutableMapping[str, str], folder: Path) -> dict[str, str]:
    """Put the env file's variables into the environment; which were new, and the file they are of."""
    raw = _first(layers, "env_file")
    if raw is None:
        return {}
    setting = catalogue()["env_file"]
    path = str(value(setting, raw.value, raw.origin))
    found = parse_env(_text_of(folder / path, setting.place(raw.origin)), path)
    added = {name: text for name, text in found.items() if name not in environ}
    environ.update(added)
    return dict.fromkeys(added, path)


def _strangers(environ: Mapping[str, str]) -> tuple[str, ...]:
    """A warning for each PORTWAY_ variable that nobody reads."""
    known = {variable for setting in catalogue().values() for variable in setting.variables} | {*NOT_SETTINGS}
    unknown = sorted(name for name in environ if name.startswith(PREFIX) and name not in known)
    return tuple(f"{name} is not a setting{_nearest(name, known)}" for name in unknown)


# Files


def _of_files(config: str, place: str, folder: Path) -> list[Layer]:
    if config:
        if not config.endswith(".toml"):
            raise SettingsError(f"{place}: {config!r} is not TOML; write the path of a .toml file")
        return [_of_file(folder / config, config)]
    return [_of_file(folder / name, name) for name in FILES if (folder / name).is_file()]


FILES = ("portway.toml", "pyproject.toml")


def _of_file(path: Path, name: str) -> Layer:
    document = _document(path, name)
    if path.name != "pyproject.toml":
        return _of_table(document, name)
    tool = document.get("tool", {})
    table = tool.get("portway", {}) if isinstance(tool, dict) else {}
    if not isinstance(table, dict):
        raise SettingsError(f"{name}: tool.portway is not a table; write [tool.portway] above its settings")
    return _of_table(table, f"{name} [tool.portway]")


def _of_table(table: Mapping[str, object], origin: str) -> Layer:
    found: Layer = {}
    for key, given in table.items():
        name = key.replace("-", "_")
        if name not in catalogue():
            raise SettingsError(f"{origin}: {key!r} is not a setting{_nearest(name, catalogue())}")
        if name in found:
            raise SettingsError(f"{origin}: {name} is there twice, with - and with _; write it once")
        found[name] = Raw(given, origin)
    return found


def _document(path: Path, name: str) -> dict[str, Any]:
    try:
        return tomllib.loads(_text_of(path, name))
    except tomllib.TOMLDecodeError as fault:
        raise SettingsError(f"{name} is not TOML: {fault}") from None


def _text_of(path: Path, place: str) -> str:
    try:
        return path.read_text("utf-8")
    except OSError as fault:
        reason = (fault.strerror or str(fault)).lower()
        raise SettingsError(f"{place}: cannot read {str(path)!r}: {reason}") from None
    except UnicodeDecodeError:
        raise SettingsError(f"{place}: {str(path)!r} is not UTF-8; write it in that encoding") from None


def _nearest(name: str, known: Mapping[str, object] | set[str]) -> str:
    close = get_close_matches(name, list(known), n=1)
    return f"; did you mean {close[0]}?" if close else ""
