"""A server that is one process, and the process that is a server and nothing else: what `portway serve` runs."""

from __future__ import annotations

import asyncio
import logging
import os
import time
from collections.abc import Callable
from functools import partial
from typing import NoReturn

from portway.boot.callbacks import Callbacks
from portway.boot.objects import loop_factory
from portway.boot.process import ENDED, NO_ADDRESS, NO_START, leave, occupy_standard_descriptors, prepare
from portway.boot.serve import Server, announce, executor, ours
from portway.boot.signals import Orders, Stops
from portway.boot.systemd import told, with_sockets
from portway.config import Settings
from portway.errors import BindError, LifespanFailed
from portway.memory import resident
from portway.workers.info import WorkerInfo
from portway.workers.once import Once
from portway.workers.pidfile import PidFile
from portway.workers.systemd import Notifier

log = logging.getLogger("portway")


def alone(settings: Settings) -> int:
    """Serve the target of the settings; the exit code."""
    occupy_standard_descriptors()
    prepare(settings)
    file = PidFile(settings.pid) if settings.pid else None
    try:
        if file is not None:
            file.take()
        return _alone(with_sockets(settings), partial(leave, file=file))
    except BindError as failed:
        log.error("%s", failed)
        return NO_ADDRESS
    finally:
        if file is not None:
            file.remove()


def _alone(settings: Settings, end: Callable[[int], NoReturn]) -> int:
    notifier = Notifier()
    orders = Orders(end)
    callbacks = Callbacks(settings)
    callbacks.call("on_starting")
    server = Server(settings.target or "", settings)
    threads = executor(server)
    code = ENDED
    try:
        with asyncio.Runner(loop_factory=loop_factory(settings.loop)) as runner:
            loop = runner.get_loop()
            loop.set_default_executor(threads)
            stops = Stops(server, loop, end)
            stops.listen()
            orders.serve(server, loop)
            runner.run(Life(server, callbacks, notifier).lead())
            stops.surrender()
            orders.surrender()
            if server.left:  # the loop, and Python, would wait for them for ever
                end(ENDED)
    except (BindError, LifespanFailed) as failed:
        log.error("%s", failed)
        code = NO_ADDRESS if isinstance(failed, BindError) else NO_START
    if threads.left:  # Python would wait for them for ever
        end(code)
    return code


class Life:
    """Of the one worker that there is, with all that goes with it."""

    def __init__(self, server: Server, callbacks: Callbacks, notifier: Notifier) -> None:
        self._server = server
        self._callbacks = callbacks
        self._notifier = notifier
        self._since = time.monotonic()
        self._once: Once | None = None

    async def lead(self) -> None:
        log.info("%s", ours())
        self._callbacks.call("on_worker_started", self._info("starting"))
        ending = asyncio.create_task(self._end())
        try:
            async with told(self._notifier, self._server):
                await self._server.serve(self._up)
        finally:
            ending.cancel()
            if self._once is not None:
                self._once.stop()
        self._callbacks.call("on_worker_exit", self._info("leaving")._replace(exit_code=ENDED))
        log.info("Stopped")

    def _up(self) -> None:
        server = self._server
        announce(server, server.settings.target)
        self._notifier.ready(f"Serving on {', '.join(server.urls)}")
        self._callbacks.call("on_worker_ready", self._info("ready"))
        if self._callbacks.once is not None:
            self._once = Once(self._callbacks.once, asyncio.get_running_loop(), self._again)
            self._once.start()

    async def _end(self) -> None:
        await self._server.ending()
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
