"""How the workers of a supervisor are started, and what each is told: a Python of its own for each, or with --preload a
fork of the one that has loaded the application (see `workers.nursery`).
"""

from __future__ import annotations

import asyncio
import dataclasses
import socket
import sys
from typing import Any

from portway.boot.sockets import Sockets
from portway.config import Settings
from portway.server import listen
from portway.workers.nursery import Ended, Failed, Nursery
from portway.workers.spawn import Spawned, Worker

# What a worker's process runs.
MODULE = "portway.boot.worker"

# In development a worker makes way at once, whoever still listens to it, in seconds.
RELOAD_GRACE = 0.25
RELOAD_SHUTDOWN = 1.0

# A message, and the descriptors that go with it.
Told = tuple[dict[str, Any], list[int]]


class Crew:
    """Those that will be started have the settings and the environment of the last `renew`."""

    def __init__(self, sockets: Sockets, ended: Ended, failed: Failed) -> None:
        """`ended` and `failed` are told of forks, of which the kernel tells only their nursery."""
        self._sockets = sockets
        self._ended = ended
        self._failed = failed
        self._settings = Settings()
        self._environ: dict[str, str] = {}
        self._spare: Spawned | None = None  # with --reload, a process in waiting, for which Python has started already
        self._nursery: Nursery | None = None
        self._nurseries: list[Nursery] = []  # those that live

    def renew(self, settings: Settings, environ: dict[str, str]) -> None:
        """From now on, workers run what the code is now, with these."""
        self._settings, self._environ = settings, environ
        if self._nursery is not None:
            self._nursery.dismiss()
            self._nursery = None

    def start(self, slot: int, shares: bool, others: bool) -> Worker:
        """Start one; `shares`: another supervisor has the same sockets; `others` serve already."""
        described, descriptors = self._described(self._sockets.of(slot, False), self._sockets.of(slot, True))
        message = {
            "settings": vars(of_worker(self._settings)),
            "environ": self._environ,
            "argv": sys.argv,
            "path": sys.path,
            **described,
            "handover": shares,
            "others": others,
        }
        if not self._settings.preload:
            spawned = self._spare or Spawned(MODULE, self._environ)
            self._spare = None
            return spawned.tell(message, descriptors)
        if self._nursery is None or self._nursery.gone:
            loop = asyncio.get_running_loop()
            self._nursery = Nursery(MODULE, message, self._environ, loop, self._ended, self._failed)
            self._nurseries.append(self._nursery)
        return self._nursery.bear(message, descriptors)

    def sockets_of(self, slot: int) -> Told:
        """Those of a slot alone, for a worker that fosters it."""
        return self._described(self._sockets.own(slot, False), self._sockets.own(slot, True))

    def keep_a_spare(self) -> None:
        """With --reload: the next one is to start at once."""
        if self._settings.reload and not self._settings.preload and self._spare is None:
            self._spare = Spawned(MODULE, self._environ)

    def reaped(self, pid: int, code: int) -> None:
        """A child process has ended that is no worker at work."""
        if self._spare is not None and self._spare.pid == pid:
            self._spare.reaped(code)
            self.close()
        for nursery in [each for each in self._nurseries if each.pid == pid]:
            self._nurseries.remove(nursery)
            nursery.reaped(code)

    def close(self) -> None:
        """Let go of the one in waiting: it ends."""
        if self._spare is not None:
            self._spare.close()
            self._spare = None

    def _described(self, main: list[socket.socket], plain: list[socket.socket]) -> Told:
        """Where requests are served, and where they are led to https: what a worker is told of these sockets."""
        shared = self._sockets.shared()
        both = [*main, *plain]
        described = {
            "main": len(main),
            "origins": [listen.origin(sock) for sock in both],
            "shared": [sock.fileno() in shared for sock in both],
        }
        return described, [sock.fileno() for sock in both]


def of_worker(settings: Settings) -> Settings:
    """The settings that a worker gets."""
    if not settings.reload:
        return settings
    grace = min(RELOAD_GRACE, settings.timeout_graceful_shutdown)
    return dataclasses.replace(settings, timeout_graceful_shutdown=grace, timeout_shutdown=RELOAD_SHUTDOWN)
