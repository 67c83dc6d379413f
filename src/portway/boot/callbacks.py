"""The functions of the module that --hooks names: what a project does when its server and its workers come and go."""

from __future__ import annotations

import importlib
import inspect
import logging
import os
import sys
import traceback
from collections.abc import Callable, Coroutine
from typing import Any

from portway.config import Settings
from portway.errors import LoadError

log = logging.getLogger("portway")

NAMES = ("on_starting", "on_worker_started", "on_worker_ready", "on_worker_exit", "on_stopping")
ONCE = "once_per_server"


class Callbacks:
    """Of a module, or none at all. `once` is the coroutine function that one worker runs for all."""

    def __init__(self, settings: Settings) -> None:
        """Import the module; LoadError if that cannot be, or if what it holds cannot be called."""
        self.name = settings.hooks
        self._found: dict[str, Callable[..., object]] = {}
        self.once: Callable[[], Coroutine[Any, Any, object]] | None = None
        if self.name is not None:
            module = _imported(self.name, settings.app_dir)
            self._found = {name: getattr(module, name) for name in NAMES if hasattr(module, name)}
            self.once = getattr(module, ONCE, None)
            self._check()

    def call(self, name: str, *args: object) -> None:
        """Call one, if it is there; what it raises is logged. `on_starting` alone may sys.exit: nothing runs yet."""
        function = self._found.get(name)
        if function is not None:
            try:
                function(*args)
            except Exception:
                log.exception("%s of %s raised", name, self.name)
            except SystemExit:
                if name == NAMES[0]:
                    raise
                log.exception("%s of %s raised; `portway stop` ends a server", name, self.name)

    def _check(self) -> None:
        for name, function in self._found.items():
            if inspect.iscoroutinefunction(function):
                raise LoadError(f"hooks: {name} of {self.name} is no plain function; write def {name}(…)")
        if self.once is not None and not inspect.iscoroutinefunction(self.once):
            raise LoadError(f"hooks: {ONCE} of {self.name} is no coroutine function; write async def {ONCE}()")
        if not self._found and self.once is None:
            raise LoadError(f"hooks: {self.name} has none of {', '.join(NAMES)} and {ONCE}")


def _imported(name: str, folder: str) -> Any:
    where = os.path.abspath(folder)
    if where not in sys.path:
        sys.path.insert(0, where)
    try:
        return importlib.import_module(name)
    except Exception as error:
        trace = "".join(traceback.format_exception(error))
        raise LoadError(f"hooks: {name} cannot be imported: {type(error).__name__}: {error}", trace) from error
