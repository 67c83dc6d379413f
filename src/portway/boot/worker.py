"""A worker process, as a `crew` starts it: `main`, with the numbers of its channel and of the file for its stacks."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import sys
from collections.abc import Sequence
from functools import partial
from typing import Any

from portway.boot.callbacks import Callbacks
from portway.boot.objects import loop_factory, settled
from portway.boot.process import ENDED, IN_WORKER, NO_START, leave, occupy_standard_descriptors, prepare
from portway.boot.serve import Server, executor
from portway.boot.wards import Wards, sockets_of
from portway.config import Settings
from portway.errors import LoadError, PortwayError
from portway.observe import logs
from portway.server import listen
from portway.workers.channel import line
from portway.workers.child import Child
from portway.workers.nursery import tend
from portway.workers.passing import take
from portway.workers.stacks import Stacks


class Worn:
    """Passes on that this process has served long enough; made with the server, before the worker is."""

    def __init__(self) -> None:
        self.child: Child | None = None

    def __call__(self, reason: str) -> None:
        if self.child is not None:
            self.child.worn(reason)


def main() -> int:
    """Serve what the supervisor says; the exit code."""
    channel, number = map(int, sys.argv[1:3])
    IN_WORKER.append(os.getpid())
    for each in (channel, number):
        os.set_inheritable(each, False)  # whatever the application forks holds neither
    sock = socket.socket(fileno=channel)
    stacks = Stacks(number)
    quieten()
    stacks.arm()
    try:
        message, descriptors = take(sock)
    except EOFError:
        return ENDED  # the supervisor is gone
    os.environ.clear()
    os.environ.update(message["environ"])
    sys.argv[:], sys.path[:] = message["argv"], message["path"]
    occupy_standard_descriptors()
    try:
        settings = settings_of(message)
        prepare(settings)
        worn = Worn()
        server = Server(settings.target or "", settings, on_worn=worn)
    except PortwayError as fault:
        return refuse(sock, fault)
    if message.get("nursery"):
        birth = tend(socket.socket(fileno=descriptors[0]), sock)
        if birth is None:
            return ENDED
        sock, stacks = socket.socket(fileno=birth.channel), Stacks(birth.stacks)
        stacks.arm()
        message, descriptors = take(sock)
    return serve(server, worn, message, descriptors, sock, stacks)


def serve(
    server: Server, worn: Worn, message: dict[str, Any], descriptors: Sequence[int], sock: socket.socket, stacks: Stacks
) -> int:  # fmt: skip
    """Serve in a loop until the supervisor says so; the exit code."""
    settings = server.settings
    main, plain = sockets_of(message, descriptors)
    common = [each for each, shared in zip([*main, *plain], message["shared"], strict=True) if shared]
    try:
        once = Callbacks(settings).once
    except PortwayError as fault:
        return refuse(sock, fault)
    child = Child(sock, partial(disown, common), logs.reopen, once, message["handover"])
    worn.child = child
    if message["others"]:
        server.service.wait()
    threads = executor(server)
    code = ENDED
    with asyncio.Runner(loop_factory=loop_factory(settings.loop)) as runner:
        loop = runner.get_loop()
        loop.set_default_executor(threads)
        stacks.attend(loop)
        child.serve(server, Wards(server.service), loop)
        try:
            runner.run(server.serve(child.ready, sockets=main, redirect_sockets=plain))
        except PortwayError as fault:
            child.failed(str(fault))
            code = NO_START
        child.close()
        if server.left:  # the loop, and Python, would wait for them for ever
            leave(code)
    if threads.left:
        leave(code)
    return code


def disown(sockets: list[socket.socket]) -> None:
    """Leave these to the other workers."""
    for sock in sockets:
        if isinstance(sock, listen.Own):
            sock.disown()


def settings_of(message: dict[str, Any]) -> Settings:
    return settled(None, message["settings"])


def quieten() -> None:
    """What a terminal sends to all of its processes is for the supervisor to heed; SIGTERM is until we serve."""
    for name in ("SIGINT", "SIGHUP", "SIGUSR1", "SIGTTIN", "SIGTTOU"):
        signal.signal(getattr(signal, name), lambda number, frame: None)


def refuse(sock: socket.socket, fault: PortwayError) -> int:
    """Tell the supervisor why this worker cannot start."""
    why = str(fault)
    if isinstance(fault, LoadError) and fault.cause_traceback:
        why = f"{why}\n{fault.cause_traceback.rstrip()}"
    sock.setblocking(True)
    sock.sendall(line({"tell": "failed", "why": why}))
    logs.flush()
    return NO_START


if __name__ == "__main__":
    sys.exit(main())
