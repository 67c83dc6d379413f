"""A server that is one process, and the process that is a server and nothing else: what `portway serve` runs."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from functools import partial
from typing import NoReturn

from portway.boot.callbacks import Callbacks
from portway.boot.life import Life
from portway.boot.objects import loop_factory
from portway.boot.process import ENDED, NO_ADDRESS, NO_START, leave, occupy_standard_descriptors, pid_file, prepare
from portway.boot.serve import Server, executor
from portway.boot.signals import Orders, Stops
from portway.boot.systemd import with_sockets
from portway.config import Settings
from portway.errors import BindError, LifespanFailed
from portway.workers.systemd import Notifier

log = logging.getLogger("portway")


def alone(settings: Settings) -> int:
    """Serve the target of the settings; the exit code."""
    occupy_standard_descriptors()
    prepare(settings)
    try:
        with pid_file(settings) as file:
            return _alone(with_sockets(settings), partial(leave, file=file))
    except BindError as failed:
        log.error("%s", failed)
        return NO_ADDRESS


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
            runner.run(Life(server, settings.target, callbacks, notifier).lead())
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
