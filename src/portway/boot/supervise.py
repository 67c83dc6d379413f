"""A server of several processes: its sockets, what its workers are told, and who may ask it for something."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import logging
import os
import sys
from collections.abc import Callable
from functools import partial
from typing import Any

from portway import hooks  # noqa: F401
from portway.boot.callbacks import Callbacks
from portway.boot.objects import bind, bind_redirects
from portway.boot.sockets import Sockets, adopted, placed
from portway.config import Fd, Settings, addresses
from portway.errors import SettingsError
from portway.observe import logs
from portway.server import listen
from portway.workers.control import Control, place
from portway.workers.handover import Predecessor, Successor, predecessor
from portway.workers.plan import Plan, Terms
from portway.workers.spawn import Spawned, Worker
from portway.workers.supervisor import Means, Supervisor

log = logging.getLogger("portway")

WORKER = "portway.boot.worker"

# What a worker may need to end beyond what settings say: for requests that are told, and cancelled.
SPARE = 10.0

# In development a worker makes way at once, whoever still listens to it.
RELOAD_GRACE = 0.25

# Reads the configuration again, in an environment as it was at the start; that environment, with what was added.
Fresh = Callable[[], tuple[Settings, dict[str, str]]]


class Supervision:
    """Everything around the supervisor, from settings."""

    def __init__(self, settings: Settings, fresh: Fresh | None) -> None:
        self.settings = settings
        self._fresh = fresh
        self._environ = dict(os.environ)
        self._callbacks = Callbacks(settings)
        self._before: Predecessor | None = predecessor(os.environ)
        self._successor: Successor | None = None
        self._sockets = self._opened()
        self.supervisor = Supervisor(self._plan(), self._means())

    async def run(self) -> bool:
        """Until the end; False if the workers could not start."""
        loop = asyncio.get_running_loop()
        if self._before is not None:
            self._before.attend(loop, self._alone)
        control = Control(place(self.settings.pid), self._answer)
        self._callbacks.call("on_starting")
        await control.open()
        try:
            return await self.supervisor.run()
        finally:
            control.close()
            self._sockets.close(unlink=self._successor is None)

    # --- what the supervisor is made with ---

    def _plan(self) -> Plan:
        settings = self.settings
        several = 1 + len(settings.mount) + (settings.fallback is not None)
        leaving = settings.timeout_graceful_shutdown + several * settings.timeout_shutdown + SPARE
        return Plan(
            settings.workers,
            Terms(
                startup=several * settings.timeout_startup + 1,  # the worker itself tells it better
                blocked=settings.timeout_worker,
                leaving=leaving,
                stopping=leaving + settings.drain_delay,
            ),
            patient=settings.reload,
            elects=self._callbacks.once is not None,
        )

    def _means(self) -> Means:
        return Means(
            start=self._start,
            fresh=self._read_again,
            release=self._release,
            close=lambda: None,
            announce=self._announce,
            call=self._callbacks.call,
            reopen=logs.reopen,
            upgrade=self._upgrade,
            told=lambda what: None,
        )

    def _opened(self) -> Sockets:
        if self._before is not None:
            return adopted(self._before.message["places"], self._before.descriptors, self.settings.workers)
        wanted = addresses(self.settings)
        places = []
        for address in wanted:
            places += placed(bind([address]), isinstance(address, Fd), redirects=False)
        places += placed(bind_redirects(self.settings, []), False, redirects=True)
        return Sockets(places, self.settings.workers)

    # --- what it does with them ---

    def _start(self, slot: int) -> Worker:
        main, plain = self._sockets.of(slot, redirects=False), self._sockets.of(slot, redirects=True)
        message = {
            "settings": vars(told(self.settings)),
            "argv": sys.argv,
            "path": sys.path,
            "main": len(main),
            "own": [listen.own_file(sock) for sock in [*main, *plain]],
        }
        return Spawned(WORKER, message, [sock.fileno() for sock in [*main, *plain]], self._environ)

    def _read_again(self) -> int:
        if self._fresh is not None:
            settings, environ = self._fresh()
            if addresses(settings) != addresses(self.settings):
                log.warning("Other addresses take effect when the server is started anew")
            self.settings, self._environ = settings, environ
        return self.settings.workers

    def _release(self, slot: int) -> None:
        self._sockets.release(slot)

    def _announce(self) -> None:
        """All workers serve."""
        scheme = "https" if self.settings.ssl_certfile else "http"
        urls = [listen.url(sock, scheme) for sock in self._sockets.first(redirects=False)]
        redirects = [listen.url(sock) for sock in self._sockets.first(redirects=True)]
        if redirects:
            log.info("Leading %s to https", ", ".join(redirects))
        log.info("Serving %s on %s (press Ctrl+C to stop)", self.settings.target, ", ".join(urls))
        if self._before is not None:
            self._before.up()

    def _upgrade(self, done: Callable[[str], None]) -> None:
        if os.getpid() == 1:
            done("this is process 1 of a container, which ends with it; reload, or start a new container")
            return
        described, descriptors = self._sockets.describe()
        message = {"pid": os.getpid(), "places": described}
        loop = asyncio.get_running_loop()
        self._successor = Successor(message, descriptors, self._environ, loop, done)

    def _alone(self) -> None:
        """The predecessor has ended."""
        self._before = None

    # --- who asks ---

    async def _answer(self, request: dict[str, Any]) -> dict[str, Any]:
        """The control socket's."""
        supervisor = self.supervisor
        match request["do"]:
            case "status":
                return {"ok": True, **self._status()}
            case "reload":
                return _outcome(await supervisor.roll("asked by portway reload"), "all workers are replaced")
            case "scale":
                supervisor.scale(int(request["count"]))
                return {"ok": True, "text": f"{supervisor.plan.count} workers"}
            case "upgrade":
                return _outcome(await supervisor.upgrade(), "a new supervisor serves")
            case "stop":
                if request.get("now"):
                    supervisor.quit()
                else:
                    supervisor.stop("asked by portway stop")
                return {"ok": True, "process": os.getpid(), "text": "stopping"}
            case other:
                return {"ok": False, "text": f"this server does not know {other!r}; it may be older"}

    def _status(self) -> dict[str, Any]:
        import portway

        return {
            "version": portway.__version__,
            "process": os.getpid(),
            "target": self.settings.target,
            "workers": [worker._asdict() for worker in self.supervisor.infos()],
        }


def _outcome(error: str, text: str) -> dict[str, Any]:
    return {"ok": not error, "text": error or text}


def told(settings: Settings) -> Settings:
    """The settings of one worker."""
    if settings.reload:
        grace = min(RELOAD_GRACE, settings.timeout_graceful_shutdown)
        return dataclasses.replace(settings, timeout_graceful_shutdown=grace, timeout_shutdown=1.0)
    return settings


def several(settings: Settings) -> bool:
    """Whether there is a supervisor."""
    return settings.workers > 1 or settings.reload or predecessor is None


def require(settings: Settings) -> None:
    """SettingsError for what this platform cannot have."""
    if sys.platform == "win32" and (settings.workers > 1 or settings.reload):
        what = "--workers" if settings.workers > 1 else "--reload"
        raise SettingsError(f"{what}: Windows cannot hand sockets to workers in the way that Portway does; leave it out")


_ = contextlib, partial
