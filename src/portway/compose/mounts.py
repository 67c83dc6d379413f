"""Several applications side by side, each below a path, on a host, or both."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from portway.compose.adopt import adopt, spoken
from portway.compose.answers import not_found
from portway.compose.keys import find, ordered, parse_key, root_of
from portway.compose.lifespans import SHUTDOWN, STARTUP, Course, Ensemble, Failure, Member, Mode, Row, rows_of
from portway.errors import SettingsError
from portway.types import ASGIApp, Receive, Scope, Send

# What Starlette leaves in the scope of what it mounts. A whole application would make its URLs by them.
ROUTERS = ("router", "app_root_path")


class Mounts(Ensemble):
    """Several applications as one ASGI application, for this server or any other.

        app = portway.Mounts({"/old": legacy, "api.example.org/": api, "/": main})

    The longest path wins, whole segments only: `/api` takes `/api/x` and not `/apix`. A key may begin with a host,
    `*.` stands for what is below a domain, and those with a host are asked before all others. What no key takes is
    answered with 404; a WebSocket is refused. Each application sees `root_path` with its own path added, and `path`
    as it came; a WSGI application sees the same as SCRIPT_NAME and PATH_INFO.

    Each has a lifespan and a state of its own: started in the order given, stopped in reverse. Where no lifespan
    comes, as within Starlette's `Mount`, each starts at its first request, and `async with app:` in the outer
    lifespan starts and stops them as it should be.
    """

    portway_composed = True  # the server asks which of them has answered

    def __init__(
        self,
        applications: Mapping[str, ASGIApp | Callable[..., Any]],
        *,
        mount_failure: Failure = "stop",
        names: Mapping[str, str] | None = None,
        lifespan: Mode = "auto",
        timeout_startup: float = STARTUP,
        timeout_shutdown: float = SHUTDOWN,
    ) -> None:
        """`applications` maps paths to ASGI or WSGI applications.

        `mount_failure` says what becomes of a startup that fails: it stops the server, or with `isolate` only that
        application answers 503. `names` has what logs call each one, by the same keys; otherwise that is the key.
        `lifespan`, `timeout_startup` and `timeout_shutdown` are for each of them what the settings of these names are
        for one.

        Raises SettingsError for a key that means nothing or is there twice, TypeError for what is no application.
        """
        if not isinstance(applications, Mapping):
            raise TypeError(f"mounts are a dict of paths and applications, and not a {type(applications).__name__}")
        if not applications:
            raise SettingsError("mount: there is no application; write for example {'/': app}")
        names = names or {}
        course = Course(lifespan, timeout_startup, timeout_shutdown)
        self._table = {parse_key(text): _member(text, app, names, course) for text, app in applications.items()}
        self._keys = ordered(parse_key(text) for text in applications)
        super().__init__(self._table.values(), mount_failure)

    def __repr__(self) -> str:
        return f"<Mounts {', '.join(map(str, self._keys))}>"

    def rows(self) -> list[Row]:
        """What is mounted where, in the order in which it is asked."""
        return [row for key in self._keys for row in rows_of(self._table[key], key.authority, key.path)]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self._live(receive, send)
            return
        key = find(self._keys, scope)
        if key is None:
            await not_found(scope, send)
            return
        asked = {**scope, "root_path": root_of(scope) + key.path}
        for name in ROUTERS:
            asked.pop(name, None)
        await self._table[key](asked, receive, send)


def _member(text: str, app: Any, names: Mapping[str, str], course: Course) -> Member:
    if isinstance(app, Member):
        return app
    where = f"the application at {text}"
    interface = spoken(app, f"mount {text}")
    return Member(adopt(app, interface), names.get(text, text), where, interface, course)
