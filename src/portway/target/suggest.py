"""What somebody may have meant: the errors for names that are not there, with those that are."""

from __future__ import annotations

import pkgutil
import sys
from collections.abc import Iterable
from difflib import get_close_matches
from inspect import isclass, isroutine
from pathlib import Path
from types import ModuleType

from portway.errors import LoadError
from portway.target.interface import looks_like_one

PATHS = 3  # so many entries of sys.path are named and searched for look-alikes


def missing_module(name: str, absent: str) -> LoadError:
    """`absent` is the part of the dotted name that there is not."""
    parent, _, last = absent.rpartition(".")
    owner = sys.modules.get(parent)
    if owner is not None and not hasattr(owner, "__path__"):
        hint = f"; write {parent}:{name.removeprefix(parent + '.')}" if hasattr(owner, last) else ""
        return LoadError(f"cannot import {name}: {_shown(owner)} is a module, not a package{hint}")
    paths = list(owner.__path__) if owner is not None else _first_paths()
    close = get_close_matches(last, [found.name for found in pkgutil.iter_modules(paths)])
    return LoadError(f"cannot import {name}: there is no {absent} in {', '.join(paths)}{_meant(close)}")


def _first_paths() -> list[str]:
    return list(dict.fromkeys(str(Path(entry).absolute()) for entry in sys.path))[:PATHS]


def missing_attribute(owner: object, name: str, attribute: str) -> LoadError:
    """`name` is how the target calls the owner."""
    public = [each for each in dir(owner) if not each.startswith("_")]
    close = get_close_matches(attribute, public)
    apps = [each for each in candidates(owner) if each not in close] if isinstance(owner, ModuleType) else []
    also = f"; it has what looks like an application: {', '.join(apps)}" if apps else ""
    return LoadError(f"{_shown(owner, name)} has no attribute {attribute}{_meant(close)}{also}")


def no_application(module: ModuleType, names: Iterable[str], makers: Iterable[str]) -> LoadError:
    """The target names no attribute, and none of `names` is there."""
    missing = " and no ".join(names)
    found = list(candidates(module))
    factory = next((each for each in makers if callable(getattr(module, each, None))), None)
    if found:
        hint = f"several objects look like one ({', '.join(found)}); write {module.__name__}:{found[0]}"
    elif factory:
        hint = f"write {module.__name__}:{factory} --factory"
    else:
        hint = f"write {module.__name__}: and the name of the application"
    return LoadError(f"{_shown(module)} has no {missing}; {hint}")


def candidates(module: ModuleType) -> dict[str, object]:
    """Public names of the module that look like applications, imported functions and classes aside."""
    return {
        name: each
        for name, each in vars(module).items()
        if not name.startswith("_") and _belongs(each, module) and looks_like_one(each)
    }


def _belongs(each: object, module: ModuleType) -> bool:
    """Functions and classes are there because they are defined there; any other object is an instance."""
    return not (isclass(each) or isroutine(each)) or getattr(each, "__module__", None) == module.__name__


def _meant(close: list[str]) -> str:
    return f"; did you mean {' or '.join(close)}?" if close else ""


def _shown(owner: object, name: str = "") -> str:
    """A module with its file, anything else by the name that the target gives it."""
    if not isinstance(owner, ModuleType):
        return name
    file = getattr(owner, "__file__", None)
    return f"{owner.__name__} ({file})" if file else owner.__name__
