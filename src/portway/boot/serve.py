"""A server in a loop of somebody's own, in one that `run` makes, or as the whole of a process."""

from __future__ import annotations

import asyncio
import dataclasses
import logging
import socket
import sys
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from portway.boot.applications import Pools, whole
from portway.boot.binding import bind, bind_redirects
from portway.boot.callbacks import Callbacks
from portway.boot.life import Life
from portway.boot.objects import ContextFactory, loop_factory, plan, settled
from portway.boot.process import IN_WORKER, is_supervised, leave, pid_file, prepare
from portway.boot.signals import Stops
from portway.config import Settings, addresses
from portway.errors import SettingsError
from portway.observe import logs
from portway.server.executor import DefaultExecutor
from portway.server.serve import Figures, Service
from portway.types import ASGIApp
from portway.workers.systemd import Notifier

log = logging.getLogger("portway")


class Server:
    """Serves an application inside a running event loop.

        server = portway.Server(app, portway.Settings(port=8080))
        await server.serve()

    `started` is True while connections are accepted. Signals and logging are left alone; `portway.run`
    takes care of both.
    """

    def __init__(
        self,
        app: ASGIApp | Callable[..., Any] | str,
        settings: Settings | None = None,
        *,
        ssl_context_factory: ContextFactory | None = None,
        on_worn: Callable[[str], None] | None = None,
    ) -> None:
        """`app` is an application (ASGI 3 or 2) or a target such as "main:app".

        `ssl_context_factory(settings, default)` returns the `ssl.SSLContext` to serve with, for all that settings
        cannot say; `default()` is the one that they describe. It is called again when a certificate's file changes.

        `on_worn` is told, once and on the loop, which of the limits of this process is reached (limit_max_requests,
        limit_max_memory, limit_max_age), such as "100000 requests"; without it the server stops then.

        Raises SettingsError for settings that cannot be used, LoadError for a target that cannot be loaded.
        """
        self.settings = settled(settings, {}, ssl_context_factory is not None)
        self._pools = Pools(self.settings)
        served = whole(app, self.settings, self._pools).app
        composed = getattr(served, "portway_composed", False)
        # For this room alone: workers ask of it what no script does.
        self.service = Service(served, plan(self.settings, ssl_context_factory, composed), on_worn)
        self._used = False

    @property
    def started(self) -> bool:
        """Whether connections are accepted."""
        return self.service.started

    @property
    def sockets(self) -> tuple[socket.socket, ...]:
        """The listening sockets, once `serve` was called; with port 0 they know the port."""
        return tuple(self.service.sockets)

    @property
    def urls(self) -> tuple[str, ...]:
        """Where the server is reached, once `serve` was called."""
        return tuple(self.service.urls)

    @property
    def redirects(self) -> tuple[str, ...]:
        """Where plain HTTP is led to https, once `serve` was called."""
        return tuple(self.service.redirects)

    @property
    def left(self) -> int:
        """How many requests did not end with the server, even when they were cancelled."""
        return self.service.left

    async def serve(
        self,
        on_started: Callable[[], None] | None = None,
        sockets: Sequence[socket.socket] | None = None,
        redirect_sockets: Sequence[socket.socket] | None = None,
    ) -> None:
        """Serve until `stop`; once in the life of this object. `on_started` is called when all is up.

        With `sockets`, which are bound, it serves there and binds nothing itself; `redirect_sockets` are then those
        that lead to https. They are closed in the end.

        Raises BindError, and LifespanFailed if the application cannot start. Cancelled, it ends at once.
        """
        if self._used:
            raise RuntimeError("this server has served already; make another one")
        self._used = True
        try:
            if sockets is None:
                sockets = bound = bind(addresses(self.settings))
                redirect_sockets = bind_redirects(self.settings, bound)
            await self.service.serve(sockets, on_started, redirect_sockets or ())
        finally:
            self._pools.close()
            logs.flush()

    def stop(self, force: bool = False, patient: bool = False) -> None:
        """End: accept no more, finish what is under way within the grace; with `force`, without any grace.

        A connection on which nothing is under way is closed at once; if `patient`, only when it has been silent
        for a second, so that who is just about to send a request is answered.

        May be called from any thread, before `serve`, and more than once; the second call ends --drain-delay.
        """
        self.service.stop(force, patient)

    def retire(self) -> None:
        """End, patiently and without delay, while other processes go on with the same listening sockets."""
        self.service.retire()

    def figures(self) -> Figures:
        """`requests` that began so far, those that are `running`, and `connections` that are open."""
        return self.service.figures()


def run(
    app: ASGIApp | Callable[..., Any] | str,
    settings: Settings | None = None,
    *,
    ssl_context_factory: ContextFactory | None = None,
    **changes: Any,
) -> None:
    """Serve `app` until SIGTERM or SIGINT, in a loop of its own, and return when all is ended.

    Both signals are put back as they were then. All others remain what your script makes of them, and so do the
    variables of systemd: the process is yours, and more than a server perhaps. `portway serve` has one to itself.

    `changes` are settings by name: `portway.run(app, port=8080, log_level="debug")`. Raises what
    `Server` and its `serve` raise.

    With `workers` or `reload`, `app` is a target such as "main:app", which each worker loads; this process is
    their supervisor then, takes all signals, and exits with a code if they cannot start.
    """
    chosen = settled(settings, changes, ssl_context_factory is not None)
    if is_supervised(chosen):
        _supervise(app, chosen, ssl_context_factory)
        return
    prepare(chosen)
    callbacks = Callbacks(chosen)
    callbacks.call("on_starting")
    server = Server(app, chosen, ssl_context_factory=ssl_context_factory)
    with pid_file(chosen) as file, asyncio.Runner(loop_factory=loop_factory(chosen.loop)) as runner:
        runner.get_loop().set_default_executor(executor(server))
        stops = Stops(server, runner.get_loop(), partial(leave, file=file))
        stops.listen()
        try:
            runner.run(Life(server, app, callbacks, Notifier({})).lead())
        finally:
            stops.ignore()


def _supervise(app: Any, settings: Settings, factory: ContextFactory | None) -> None:
    from portway.boot.supervise import supervise

    if not isinstance(app, str):
        raise SettingsError("workers: each loads the application by its name; give run a target such as 'main:app'")
    if factory is not None:
        raise SettingsError("workers: ssl_context_factory cannot be handed to other processes; use the ssl settings")
    if IN_WORKER:
        raise SettingsError("portway.run was called as a worker loaded the script; write if __name__ == '__main__':")
    code = supervise(dataclasses.replace(settings, target=app))
    if code:
        sys.exit(code)


def executor(server: Server) -> DefaultExecutor:
    """The default executor of the loop that serves alone."""
    return DefaultExecutor(server.settings.executor_threads, server.service.grace_left)
