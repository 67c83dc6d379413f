"""What a target says: which module and attribute, and where to look. Sees files, imports nothing."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path

from portway.errors import LoadError

# A drive letter is no module, so `C:\app\main.py:app` has its colon where it should.
TARGET = re.compile(r"(?P<where>(?:[A-Za-z]:[\\/])?[^:]*)(?P<colon>:)?(?P<attribute>.*)", re.DOTALL)
DOTTED = re.compile(r"[^\W\d]\w*(?:\.[^\W\d]\w*)*")
ENTRIES = ("main", "app", "asgi")  # modules that stand for the folder they are in


@dataclass(frozen=True, slots=True)
class Place:
    """Where the application is: `attribute` is empty when the target names none."""

    module: str
    attribute: str
    root: Path  # belongs first on sys.path
    file: Path | None = None  # the module must come from here
    folder: bool = False  # the target is a folder: its ENTRIES may stand for it


def place(target: str, home: Path) -> Place:
    """The place that a target names; LoadError if it names none. `home` is the absolute --app-dir."""
    match = TARGET.fullmatch(target)
    assert match is not None  # the pattern matches every text
    where, attribute = match["where"], match["attribute"]
    if match["colon"] or attribute:
        _require_attribute(target, where, attribute)
    if _is_path(where, home):
        return _of_path(where, attribute, home)
    if not all(where.split(".")):
        raise LoadError(f"{target!r} names no module; write module:attribute, or the path of a .py file")
    return Place(where, attribute, home)


def _require_attribute(target: str, where: str, attribute: str) -> None:
    if DOTTED.fullmatch(attribute):
        return
    called = attribute.removesuffix("()")
    if called != attribute and DOTTED.fullmatch(called):
        raise LoadError(f"{target!r} is a call; write {where}:{called} --factory")
    raise LoadError(f"{target!r} has no name after the colon; write {where or 'module'}:app")


def _is_path(where: str, home: Path) -> bool:
    if where.endswith(".py") or where in (".", "..") or "/" in where or os.sep in where:
        return True
    plain = bool(where) and (home / where).is_dir() and not (home / f"{where}.py").exists()
    return plain and not _is_package(home / where) and _entry(home / where) is not None


def _of_path(where: str, attribute: str, home: Path) -> Place:
    path = _existing(where, home)
    folder = path.is_dir()
    file = _file_of(path) if folder else path
    if file.suffix != ".py":
        raise LoadError(f"{file} is not a Python file; write the path of a .py file, or module:attribute")
    name, root = _dotted(file)
    return Place(name, attribute, root, file, folder)


def _existing(where: str, home: Path) -> Path:
    tried = dict.fromkeys(Path(os.path.abspath(base / where)) for base in (Path.cwd(), home))
    for path in tried:
        if path.exists():
            return path
    raise LoadError(f"there is no {' and no '.join(str(path) for path in tried)}")


def _file_of(folder: Path) -> Path:
    file = folder / "__init__.py" if _is_package(folder) else _entry(folder)
    if file is None:
        wanted = ", ".join(f"{entry}.py" for entry in ENTRIES)
        raise LoadError(f"{folder} has none of __init__.py, {wanted}; write the path of a file in it")
    return file


def _dotted(file: Path) -> tuple[str, Path]:
    """The dotted name of a file, and the folder from which that name can be imported."""
    package = file.parent
    names = [] if file.name == "__init__.py" else [file.stem]
    while _is_package(package):
        names.insert(0, package.name)
        package = package.parent
    if any("." in name for name in names):
        raise LoadError(f"{file} cannot be imported, its name has a dot; give it another name")
    return ".".join(names), package


def _is_package(folder: Path) -> bool:
    return (folder / "__init__.py").is_file()


def _entry(folder: Path) -> Path | None:
    files = (folder / f"{entry}.py" for entry in ENTRIES)
    return next((file for file in files if file.is_file()), None)
