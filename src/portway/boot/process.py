"""What every process of a server begins and ends with, and which kind of server it is. Imports none of the rooms that
serve: a supervisor does without them.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import NamedTuple, NoReturn

from portway.config import Settings
from portway.observe import logs
from portway.workers.pidfile import PidFile

log = logging.getLogger("portway")

# Set by a supervisor for its successor (see `workers.handover`).
HANDOVER = "PORTWAY_HANDOVER"

# The number of this process, if it is a worker: that is no place for another supervisor.
IN_WORKER: list[int] = []

# Exit codes: 1 and 3 are uvicorn's, 2 is click's for a wrong call (wrong settings, nothing to load); those of signals
# stand beside these.
ENDED = 0
NO_ADDRESS = 1
NO_START = 3


class Origin(NamedTuple):
    """Where settings came from: the environment as it was before anything was added to it, how to read them again in
    one like it, to which an env file adds its variables, and the files of settings that there are, or may be.
    """

    environ: dict[str, str]
    read: Callable[[dict[str, str]], Settings]
    files: tuple[str, ...]


def main(settings: Settings, origin: Origin | None = None) -> int:
    """Serve the target of the settings; the exit code for the process, which is over then.

    With an `origin`, workers that are started after a change have the settings of then.
    """
    if is_supervised(settings):
        from portway.boot.supervise import supervise  # what one process does without

        return supervise(settings, origin)
    from portway.boot.alone import alone

    return alone(settings)


def is_supervised(settings: Settings) -> bool:
    """Whether several processes are asked for, or one that succeeds another."""
    return settings.workers > 1 or settings.reload or HANDOVER in os.environ


@contextmanager
def pid_file(settings: Settings) -> Iterator[PidFile | None]:
    """The file of --pid, for as long as the block lasts; BindError if it cannot be had."""
    if settings.pid is None:
        yield None
        return
    file = PidFile(settings.pid)
    file.take()
    try:
        yield file
    finally:
        file.remove()


def occupy_standard_descriptors() -> None:
    """Let no socket become standard output, where that was closed: prints would go to a client.

    libuv, besides, ends a process that closes one of the three.
    """
    while (number := os.open(os.devnull, os.O_RDWR)) <= 2:
        os.set_inheritable(number, True)  # as the other two are, for the application's child processes
    os.close(number)


def prepare(settings: Settings) -> None:
    """Set up logging."""
    by_file = settings.log_config is not None and settings.log_level == Settings.log_level
    logs.set_up(
        None if by_file else settings.log_level,
        settings.log_config,
        settings.use_colors,
        bare=settings.access_log_format is not None,
    )


def announce(what: str, urls: Iterable[str], redirects: Sequence[str]) -> None:
    """What is served, and where; and where plain HTTP is led to https."""
    if redirects:
        log.info("Leading %s to https", ", ".join(redirects))
    log.info("Serving %s on %s (press Ctrl+C to stop)", what, ", ".join(urls))


def leave(code: int, file: PidFile | None = None) -> NoReturn:
    """End the process now, whatever still runs in it; its pid file goes with it."""
    try:
        if file is not None:
            file.remove()
        logs.flush()
        logging.shutdown()
    finally:
        os._exit(code)
