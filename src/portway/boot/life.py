"""The life of a server that is one process, as the log, systemd and the hooks of a project are told of it."""

from __future__ import annotations

import asyncio
import logging
import os
import platform
import sys
import time
from typing import TYPE_CHECKING, Any

import portway
from portway import _modes
from portway.boot.applications import named
from portway.boot.callbacks import Callbacks
from portway.boot.process import ENDED, NO_START, announce
from portway.boot.systemd import told
from portway.memory import resident
from portway.workers.info import WorkerInfo
from portway.workers.once import Once
from portway.workers.systemd import Notifier

if TYPE_CHECKING:
    from portway.boot.serve import Server

log = logging.getLogger("portway")


class Life:
    """Of the one worker that there is, with all that goes with it."""

    def __init__(self, server: Server, app: Any, callbacks: Callbacks, notifier: Notifier) -> None:
        """`app` is what was asked to be served: a target, or the application."""
        self._server = server
        self._app = app
        self._callbacks = callbacks
        self._notifier = notifier
        self._since = time.monotonic()
        self._once: Once | None = None

    async def lead(self) -> None:
        log.info("%s", ours())
        self._callbacks.call("on_worker_started", self._info("starting"))
        ending = asyncio.create_task(self._end())
        code = NO_START
        try:
            async with told(self._notifier, self._server.service):
                await self._server.serve(self._up)
            code = ENDED
        finally:
            ending.cancel()
            if self._once is not None:
                self._once.stop()
            self._callbacks.call("on_worker_exit", self._info("leaving")._replace(exit_code=code))
        log.info("Stopped")

    def _up(self) -> None:
        server = self._server
        announce(named(self._app), server.urls, server.redirects)
        self._notifier.ready(f"Serving on {', '.join(server.urls)}")
        self._callbacks.call("on_worker_ready", self._info("ready"))
        if self._callbacks.once is not None:
            self._once = Once(self._callbacks.once, asyncio.get_running_loop(), self._again)
            self._once.start()

    async def _end(self) -> None:
        await self._server.service.ending()
        self._callbacks.call("on_stopping")
        if self._once is not None:
            self._once.stop()

    def _again(self, done: bool, pause: float) -> None:
        """What runs once has ended."""
        if not done and self._once is not None:
            asyncio.get_running_loop().call_later(pause, self._once.start)

    def _info(self, phase: str) -> WorkerInfo:
        uptime = time.monotonic() - self._since
        return WorkerInfo(1, os.getpid(), phase, uptime, *self._figures(), lag=0.0, memory=resident())

    def _figures(self) -> tuple[int, int, int]:
        figures = self._server.figures()
        return figures.requests, figures.connections, figures.running


def ours() -> str:
    """What runs: this Portway, the Python, the loop, whether it is compiled, and the process."""
    name = type(asyncio.get_running_loop()).__module__.partition(".")[0]
    loop = f"uvloop {sys.modules['uvloop'].__version__}" if name == "uvloop" else name
    python = f"{platform.python_implementation()} {platform.python_version()}"
    return f"Portway {portway.__version__}, {python}, {loop}, {_modes.mode()}, process {os.getpid()}"
