"""What passes between systemd and a server that is one process."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import logging
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING

from portway.config import Settings
from portway.workers.systemd import Notifier, inherited

if TYPE_CHECKING:
    from portway.server.serve import Service  # a supervisor does without

log = logging.getLogger("portway")

WHERE = ("bind", "host", "port", "uds", "fd")


def with_sockets(settings: Settings) -> Settings:
    """Settings that listen on the sockets which systemd opened, if there are any.

    Settings that say where to listen are left as they are: who writes --fd 3 has named the sockets already.
    """
    found = [f"fd://{number}" for number in inherited()]
    given = [name for name in WHERE if getattr(settings, name) != getattr(Settings, name)]
    if found and not given:
        log.info("Listening on what systemd opened: %s", ", ".join(found))
        return dataclasses.replace(settings, bind=tuple(found))
    return settings


@contextlib.asynccontextmanager
async def told(notifier: Notifier, service: Service) -> AsyncIterator[None]:
    """Tell systemd that the server lives and when it begins to end.

    The signs of life come from the loop: an application that blocks it is one for systemd to kill.
    """
    tasks = [asyncio.create_task(_tell_end(notifier, service))]
    if notifier.watchdog is not None:
        tasks.append(asyncio.create_task(_beat(notifier, notifier.watchdog)))
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks)


async def _tell_end(notifier: Notifier, service: Service) -> None:
    await service.ending()
    notifier.stopping("Stopping")


async def _beat(notifier: Notifier, seconds: float) -> None:
    while True:
        notifier.alive()
        await asyncio.sleep(seconds)
