"""The composition root: the only room that knows every other. Settings become objects here, and are run.

Its names are imported when they are asked for: a supervisor needs no room that serves.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from portway.boot.applications import routes
    from portway.boot.binding import bind
    from portway.boot.objects import loop_factory, settled
    from portway.boot.process import Origin, main
    from portway.boot.serve import Server, run

__all__ = ["Origin", "Server", "bind", "loop_factory", "main", "routes", "run", "settled"]

HOMES = {
    "Origin": "process",
    "Server": "serve",
    "bind": "binding",
    "loop_factory": "objects",
    "main": "process",
    "routes": "applications",
    "run": "serve",
    "settled": "objects",
}


def __getattr__(name: str) -> Any:
    if name not in HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{HOMES[name]}"), name)
