"""The applications that settings name, as the one that is served."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from portway.compose.adopt import adopt
from portway.compose.lifespans import Course, Member, Row, rows_of
from portway.compose.sensitive import ThreadSensitive, made
from portway.config import Settings
from portway.target import Interface, locate
from portway.types import ASGIApp

if TYPE_CHECKING:
    from portway.wsgi.threads import Threads


class Pools:
    """The threads of one server, for all of its applications: those of WSGI, if there are any, and those that
    thread-sensitive code is lent.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._wsgi: Threads | None = None
        self.lent = made()

    @property
    def wsgi(self) -> Threads | None:
        """Of all WSGI applications; None if they run on the loop."""
        from portway.wsgi.threads import Threads, usual

        most = usual() if self._settings.wsgi_threads is None else self._settings.wsgi_threads
        if self._wsgi is None and most:
            self._wsgi = Threads(most, self._settings.wsgi_queue)
        return self._wsgi

    def close(self) -> None:
        """Let them end when they are through with what they do."""
        if self._wsgi is not None:
            self._wsgi.stop()
        self.lent.close()


def whole(app: Any, settings: Settings, pools: Pools) -> Member:
    """What is served: the application, with others beside it all of them as one."""
    name = named(app)
    if isinstance(app, str):
        app = locate(app, settings.app_dir, settings.factory)
    elif settings.factory:
        app = app()
    spoken = None if settings.interface == "auto" else settings.interface
    course = Course(settings.lifespan, settings.timeout_startup, settings.timeout_shutdown)
    ours = partial(as_asgi3, settings=settings, pools=pools)
    from portway.compose.assembly import Assembly

    assembly = Assembly(ours, settings.app_dir, course, settings.mount_failure)
    main = assembly.member(app, name, "the application at /" if settings.mount else "the main application", spoken)
    return assembly.whole(main, settings.mount, settings.fallback, settings.fallback_on, settings.fallback_buffer)


def as_asgi3(app: Any, spoken: Interface, settings: Settings, pools: Pools) -> ASGIApp:
    """What was loaded, as ASGI 3: the way of every application that the settings name."""
    if spoken == "wsgi":
        from portway.wsgi import WSGI

        return WSGI(app, threads=pools.wsgi or 0, timeout=settings.wsgi_timeout, multiprocess=settings.workers > 1)
    plain = adopt(app, spoken)
    wrapped = ThreadSensitive(plain, settings.thread_sensitive, pools.lent)
    return plain if wrapped.mode == "off" else wrapped


def routes(settings: Settings) -> list[Row]:
    """What would be served where."""
    return rows_of(whole(settings.target, settings, Pools(settings)), "", "")


def named(app: Any) -> str:
    """What logs call an application: its target, or what it is called itself."""
    if isinstance(app, str):
        return app
    return getattr(app, "__qualname__", type(app).__qualname__)
