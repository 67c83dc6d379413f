"""Workers by fork (--preload): one process loads the application, and workers are born of it, with its memory.

  supervisor ── born: key, what to serve, open files ──► nursery ── fork ──► worker
     ◄──── pid, and how it ended ─────────────────────────   │
     ◄──── beats, ready, … (the worker's own channel) ───────────────────────┘

The supervisor still runs nothing of the application, and a fresh nursery is what makes fresh code.
"""

from __future__ import annotations

import asyncio
import gc
import os
import select
import signal
import socket
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from typing import IO, NamedTuple

from portway.workers.channel import Channel, Message, line
from portway.workers.passing import give, take
from portway.workers.spawn import Spawned, reap, scratch


class Born:
    """A worker that a nursery makes: see `spawn.Worker`. As long as it is unborn, the nursery stands for it."""

    def __init__(self, nursery: Nursery, sock: socket.socket, stacks: IO[bytes]) -> None:
        self.pid = 0
        self.sock = sock
        self.own_stacks = stacks
        self.silenced = False
        self._nursery = nursery

    @property
    def stacks(self) -> IO[bytes]:
        return self.own_stacks if self.pid else self._nursery.stacks

    def signal(self, number: int) -> None:
        try:
            os.kill(self.pid or self._nursery.pid, number)
        except ProcessLookupError:
            self.silent()  # the nursery may have had no time to tell

    def silent(self) -> None:
        self.silenced = True
        self._nursery.lost(self)

    def reaped(self, code: int) -> None:
        """The nursery has seen to it."""


Ended = Callable[[Born, "int | None"], object]
Failed = Callable[[Born, str], object]


class Nursery:
    """The supervisor's side. `ended` is told of each worker that has, with its exit code, or None if nobody knows;
    `failed`, before that, of one that never was, with the reason.
    """

    def __init__(
        self,
        module: str,
        message: Message,
        environ: Mapping[str, str],
        loop: asyncio.AbstractEventLoop,
        ended: Ended,
        failed: Failed,
    ) -> None:
        self._orders, theirs = socket.socketpair()
        with theirs:
            self._process = Spawned(module, environ).tell({**message, "nursery": True}, [theirs.fileno()])
        self._channel = Channel(self._process.sock, loop, self._heard, lambda: None)
        self._ended = ended
        self._failed = failed
        self._born: dict[int, Born] = {}
        self._keys = 0
        self._reason = ""
        self.gone = False

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def stacks(self) -> IO[bytes]:
        return self._process.stacks

    def bear(self, message: Message, descriptors: Sequence[int]) -> Born:
        """Have a worker made, that begins with this."""
        self._keys += 1
        sock, theirs = socket.socketpair()
        stacks = scratch()
        born = self._born[self._keys] = Born(self, sock, stacks)
        with theirs:
            give(sock, message, descriptors)
            with suppress(OSError):  # it has ended; `reaped` is to follow
                give(self._orders, {"bear": self._keys}, [theirs.fileno(), stacks.fileno()])
        return born

    def dismiss(self) -> None:
        """No more will be asked for: it ends with the last of its workers."""
        self._orders.close()

    def reaped(self, code: int) -> None:
        """The nursery has ended; how its workers will, nobody is going to know."""
        self.gone = True
        self._process.reaped(code)
        self._channel.drain()
        self._orders.close()
        self.stacks.close()
        for key, born in list(self._born.items()):
            if not born.pid:
                self._failed(born, self._reason or f"the process that loads the application ended with code {code}")
                self._forget(key, code)
            elif born.silenced:  # both ended at once, and this one first
                self._forget(key, None)

    def lost(self, born: Born) -> None:
        """Its channel has ended: if there is no nursery to tell how it did, that is all there is to know."""
        if self.gone:
            for key in [key for key, each in self._born.items() if each is born]:
                self._forget(key, None)

    def _heard(self, message: Message) -> None:
        match message["tell"]:
            case "failed":
                self._reason = message["why"]
            case "born" if message["key"] in self._born:
                self._born[message["key"]].pid = message["pid"]
            case "gone":
                self._forget(message["key"], message["code"])

    def _forget(self, key: int, code: int | None) -> None:
        born = self._born.pop(key, None)
        if born is not None:
            self._ended(born, code)
            born.own_stacks.close()


# --- the nursery's own side ---


class Birth(NamedTuple):
    """What a new worker has in its hands: the channel to the supervisor, and the file for its stacks."""

    channel: int
    stacks: int


def tend(orders: socket.socket, channel: socket.socket) -> Birth | None:
    """Bear workers, once the application is loaded. Returns in each of them; in the nursery with None, when all is
    over.
    """
    gc.collect()
    gc.freeze()  # what is there is shared with the workers, as long as nobody touches it
    woken, waker = socket.socketpair()
    waker.setblocking(False)
    signal.signal(signal.SIGCHLD, lambda number, frame: None)
    signal.set_wakeup_fd(waker.fileno(), warn_on_full_buffer=False)
    keys: dict[int, int] = {}
    orders_end = False

    def ended(pid: int, code: int) -> None:
        tell(channel, {"tell": "gone", "key": keys.pop(pid, 0), "code": code})

    while not orders_end or keys:
        ready, _, _ = select.select([woken] if orders_end else [woken, orders], [], [])
        if woken in ready:
            woken.recv(4096)
            reap(ended)
        if orders in ready:
            try:
                order, descriptors = take(orders)
            except (EOFError, OSError):
                orders_end = True
                continue
            pid = os.fork()
            if not pid:
                signal.set_wakeup_fd(-1)
                signal.signal(signal.SIGCHLD, signal.SIG_DFL)
                for each in (woken, waker, orders, channel):
                    each.close()
                return Birth(*descriptors)
            keys[pid] = order["bear"]
            for number in descriptors:
                os.close(number)
            tell(channel, {"tell": "born", "key": order["bear"], "pid": pid})
    return None


def tell(channel: socket.socket, message: Message) -> None:
    """To the supervisor, if it is still there."""
    with suppress(OSError):
        channel.sendall(line(message))
