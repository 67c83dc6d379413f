"""Which of its two modes Portway runs in: compiled, or interpreted from the same source.

A module that can be compiled has a `.pxd` beside its `.py`. Compiled modules know each other's
C types, so that all of them are compiled or none is. PORTWAY_PURE=1 runs the `.py` beside each
compiled file, so that a debugger steps through everything.
"""

import sys
from collections.abc import Sequence
from importlib.machinery import EXTENSION_SUFFIXES, SOURCE_SUFFIXES, FileFinder, ModuleSpec, SourceFileLoader
from pathlib import Path
from types import ModuleType
from typing import Literal

PACKAGE = "portway"
HOME = Path(__file__).parent

Mode = Literal["compiled", "interpreted", "interpreted (forced)"]


class SourceFirst:
    """Finds Portway's modules as `.py` files only, and no one else's."""

    @staticmethod
    def find_spec(name: str, path: Sequence[str] | None = None, target: ModuleType | None = None) -> ModuleSpec | None:
        if not name.startswith(PACKAGE + "."):
            return None
        for folder in path or ():
            spec = FileFinder(folder, (SourceFileLoader, SOURCE_SUFFIXES)).find_spec(name, target)
            if spec is not None and spec.loader is not None:
                return spec
        return None


def prefer_source() -> None:
    """From now on, import Portway's modules from their `.py`."""
    if not forced():
        sys.meta_path.insert(0, SourceFirst)


def forced() -> bool:
    return SourceFirst in sys.meta_path


def compilable_modules() -> list[str]:
    """The modules that have a `.pxd` beside them, by name."""
    paired = (pxd.with_suffix("") for pxd in HOME.rglob("*.pxd") if pxd.with_suffix(".py").exists())
    return sorted(".".join((PACKAGE, *stem.relative_to(HOME).parts)) for stem in paired)


def compiled_modules() -> list[str]:
    """Those of the modules above that run compiled, or will when they are imported."""
    return [name for name in compilable_modules() if _is_compiled(name)]


def mode() -> Mode:
    """The mode Portway runs in; ImportError if some of its modules are compiled and some are not."""
    compiled = compiled_modules()
    missing = sorted(set(compilable_modules()) - set(compiled))
    if compiled and missing:
        raise ImportError(
            f"portway is half compiled: {missing[0]} is interpreted ({len(missing)} in all), "
            f"{compiled[0]} is not ({len(compiled)} in all); install it again, or set PORTWAY_PURE=1"
        )
    if compiled:
        return "compiled"
    return "interpreted (forced)" if forced() else "interpreted"


def _is_compiled(name: str) -> bool:
    if name in sys.modules:
        return str(sys.modules[name].__file__).endswith(tuple(EXTENSION_SUFFIXES))
    stem = HOME.joinpath(*name.split(".")[1:])
    return not forced() and any(stem.with_name(stem.name + suffix).exists() for suffix in EXTENSION_SUFFIXES)
