"""Find the application that a target names.

    package.module:attribute.of.it      package.module
    path/to/main.py:attribute           path/to/main.py
    path/to/package/:attribute          path/to/folder      (its __init__.py, main.py, app.py or asgi.py)

Without an attribute the module's `app` or `application` is taken, or else the one object in it that
looks like an application. Whatever is wrong is one LoadError: which import failed, where it was looked
for, which names are there instead; an error of the application's own comes with its traceback.
"""

from __future__ import annotations

import importlib
import importlib.util
import logging
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType

from portway.errors import LoadError
from portway.target.interface import is_async, is_factory, needs
from portway.target.place import ENTRIES, Place, place
from portway.target.suggest import candidates, missing_attribute, missing_module, no_application
from portway.target.trace import own_traceback, reached_application

log = logging.getLogger("portway")

NAMES = ("app", "application")
MAKERS = ("create_app", "make_app")


def locate(target: str, app_dir: str = ".", factory: bool = False) -> object:
    """The application; with `factory`, what the named function returns.

    Puts the absolute `app_dir` first on sys.path (and before it the folder of a target that is a
    file), imports, and calls factories. Raises LoadError.
    """
    home = Path(app_dir).absolute()
    where = place(target, home)
    for folder in (home, where.root):
        _put_first(str(folder))
    module = _module(where)
    name, found = _attribute(where, module) if where.attribute else _application(module, factory)
    if factory or _only_a_factory(name, found):
        found = _made(name, found)
    if not callable(found):
        raise LoadError(f"{name} is of type {type(found).__name__} and cannot be called: it is no application")
    return found


def _put_first(folder: str) -> None:
    if sys.path[:1] != [folder]:
        sys.path.insert(0, folder)


# Modules


def _module(where: Place) -> ModuleType:
    """The module of the target, and not another one of the same name."""
    module = _import(where.module)
    theirs = getattr(module, "__file__", None)
    if where.file and not (theirs and Path(theirs).exists() and where.file.samefile(theirs)):
        raise LoadError(
            f"{where.file} would be imported as {where.module}, and that is {theirs or 'built into Python'}; "
            "give the file another name"
        )
    return module


def _import(name: str) -> ModuleType:
    importlib.invalidate_caches()
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as fault:
        absent = fault.name or ""
        if f"{name}.".startswith(f"{absent}.") and not reached_application(fault):
            raise missing_module(name, absent) from None
        raise _own_fault(f"importing {name} failed", fault) from fault
    except (Exception, SystemExit) as fault:
        raise _own_fault(f"importing {name} failed", fault) from fault


def _family(module: ModuleType) -> Iterator[ModuleType]:
    """The module, and if it is a package those in it that stand for it; each imported when asked for."""
    yield module
    for entry in ENTRIES if hasattr(module, "__path__") else ():
        name = f"{module.__name__}.{entry}"
        if importlib.util.find_spec(name) is not None:
            yield _import(name)


# Names in them


def _attribute(where: Place, module: ModuleType) -> tuple[str, object]:
    """The attribute that the target names; of a folder, also one of the modules that stand for it."""
    first, *rest = where.attribute.split(".")
    owners = _family(module) if where.folder else iter([module])
    owner = next((each for each in owners if _has(each, first)), module)
    found, name = _get(owner, first, owner.__name__), f"{owner.__name__}:{first}"
    for part in rest:
        found, name = _get(found, part, name), f"{name}.{part}"
    return name, found


def _has(module: ModuleType, name: str) -> bool:
    try:
        return hasattr(module, name)
    except Exception:  # a module's own __getattr__ may raise anything; _get will say what
        return True


def _get(owner: object, part: str, name: str) -> object:
    try:
        return getattr(owner, part)
    except AttributeError as fault:
        if reached_application(fault) and not isinstance(owner, ModuleType):
            raise _own_fault(f"{name} failed to give its {part}", fault) from fault
        raise missing_attribute(owner, name, part) from None
    except Exception as fault:
        raise _own_fault(f"{name} failed to give its {part}", fault) from fault


def _application(module: ModuleType, factory: bool) -> tuple[str, object]:
    """The application of a module when the target names no attribute."""
    for each in _family(module):
        found = _named(each, factory) or _single(candidates(each))
        if found:
            name = f"{each.__name__}:{found[0]}"
            log.info("the application is %s", name)
            return name, found[1]
    raise no_application(module, NAMES, MAKERS)


def _named(module: ModuleType, factory: bool) -> tuple[str, object] | None:
    names = (*MAKERS, *NAMES) if factory else NAMES
    found = ((name, getattr(module, name, None)) for name in names)
    return next(((name, each) for name, each in found if callable(each)), None)


def _single(found: dict[str, object]) -> tuple[str, object] | None:
    """The first name of the one object; None if there are none or several."""
    return next(iter(found.items())) if len({id(each) for each in found.values()}) == 1 else None


# Factories


def _only_a_factory(name: str, found: object) -> bool:
    if not is_factory(found):
        return False
    log.warning("%s takes no argument, so it is taken for a factory; say --factory to mean it", name)
    return True


def _made(name: str, maker: object) -> object:
    """What the factory returns."""
    if not callable(maker):
        raise LoadError(f"{name} is of type {type(maker).__name__} and cannot be called; leave out --factory")
    _require_factory(name, maker)
    try:
        return maker()
    except (Exception, SystemExit) as fault:
        raise _own_fault(f"the factory {name} failed", fault) from fault


def _require_factory(name: str, maker: Callable[..., object]) -> None:
    needed = needs(maker)
    if needed:
        raise LoadError(f"{name} is no factory, it needs {', '.join(needed)}; leave out --factory")
    if is_async(maker):
        raise LoadError(f"{name} is async; a factory is a plain function that returns the application")


def _own_fault(what: str, fault: BaseException) -> LoadError:
    """The application's own error, with its traceback."""
    if isinstance(fault, SystemExit):
        return LoadError(f"{what}: the application called sys.exit({fault.code!r})", own_traceback(fault))
    reason = next(iter(str(fault).splitlines()), "")
    return LoadError(f"{what}: {type(fault).__name__}{reason and ': ' + reason}", own_traceback(fault))
