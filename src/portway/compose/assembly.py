"""Makes one application of all that the settings name: the main one, its fallback, and what is mounted beside it.

Imports what makes one of several only where there are several. Knows no settings: it is handed targets, and a
function that makes ASGI 3 of whatever was loaded.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import Any

from portway.compose.lifespans import Course, Failure, Member
from portway.errors import LoadError, SettingsError
from portway.target import Interface, detect, locate
from portway.types import ASGIApp

# Makes ASGI 3 of an application that speaks this interface.
Adopt = Callable[[Any, Interface], ASGIApp]

CALL = "()"


class Assembly:
    """The applications of one server."""

    def __init__(self, adopt: Adopt, app_dir: str, course: Course, failure: Failure) -> None:
        self._adopt = adopt
        self._app_dir = app_dir
        self._course = course
        self._failure = failure
        self._adopted: dict[int, tuple[object, Interface, ASGIApp]] = {}

    def member(self, app: Any, name: str, where: str, interface: Interface | None = None) -> Member:
        """An application that was loaded already; what is taken in twice is adopted once."""
        if id(app) not in self._adopted:
            found = interface or detect(app)
            self._adopted[id(app)] = app, found, self._adopt(app, found)
        _, spoken, adopted = self._adopted[id(app)]
        return Member(adopted, name, where, spoken, self._course)

    def loaded(self, target: str, where: str) -> Member:
        """The application of a target, which may be a call: `main:create_app()`. LoadError says whose it is."""
        try:
            app = locate(target.removesuffix(CALL), self._app_dir, target.endswith(CALL))
            return self.member(app, target, where)
        except LoadError as fault:
            raise LoadError(f"{where} ({target}): {fault}", fault.cause_traceback) from fault

    def whole(
        self, main: Member, mounts: Collection[str], fallback: str | None, on: Collection[int], buffer: int
    ) -> Member:  # fmt: skip
        """All of them as one; `mounts` are written PREFIX=TARGET."""
        if fallback is not None:
            from portway.compose.fallback import Fallback

            second = self.loaded(fallback, "the fallback")
            both = Fallback(main, second, on, fallback_buffer=buffer, mount_failure=self._failure)
            main = self._of_several(both, f"{main.name}, {second.name}", main.where)
        if not mounts:
            return main
        from portway.compose.mounts import Mounts

        others = dict(self._mount(text) for text in mounts)
        return self._of_several(Mounts({"/": main, **others}, mount_failure=self._failure), "mounts", "all")

    def _mount(self, text: str) -> tuple[str, Member]:
        from portway.compose.keys import Key, parse_key

        key, _, target = (part.strip() for part in text.partition("="))
        if parse_key(key) == Key("", None, ""):
            raise SettingsError("mount: / is the main application's; write another path, or a host before it")
        return key, self.loaded(target, f"the application at {key}")

    def _of_several(self, app: ASGIApp, name: str, where: str) -> Member:
        return Member(app, name, where, course=Course(self._course.mode, 0, 0))  # each of them has its own time
