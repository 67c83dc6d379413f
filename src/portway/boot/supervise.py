"""A server of several processes: its sockets, what its workers are told, and who may ask it for something."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterable
from typing import Any

import portway
from portway.boot.binding import bind, bind_redirects
from portway.boot.callbacks import Callbacks
from portway.boot.crew import Crew, of_worker
from portway.boot.process import (
    ENDED,
    HANDOVER,
    NO_ADDRESS,
    NO_START,
    Origin,
    announce,
    occupy_standard_descriptors,
    prepare,
)
from portway.boot.signals import INTERRUPTED, QUIT
from portway.boot.sockets import Place, Sockets, adopted, placed
from portway.boot.systemd import with_sockets
from portway.config import Fd, Settings, addresses
from portway.errors import BindError, SettingsError
from portway.observe import logs
from portway.server import listen
from portway.workers import systemd
from portway.workers.actions import Terms
from portway.workers.asking import place
from portway.workers.control import Control
from portway.workers.handover import Predecessor, Successor, predecessor
from portway.workers.pidfile import PidFile
from portway.workers.plan import Plan
from portway.workers.spawn import Worker
from portway.workers.supervisor import Means, Supervisor, Words
from portway.workers.systemd import Notifier

log = logging.getLogger("portway")

# What a worker may need to end beyond what settings say, in seconds: for requests that are told, and cancelled.
SPARE = 10.0

RELOADING = Words("Restarting", "Restarted", "The code from before goes on; mend this, and save")


def supervise(settings: Settings, origin: Origin | None = None) -> int:
    """Serve the target of the settings in several processes; the exit code for this one, which is over then.

    Raises SettingsError where workers cannot be had, and LoadError for hooks that cannot.
    """
    if sys.platform == "win32":
        what = "reload" if settings.reload else "workers"
        raise SettingsError(f"{what}: Windows hands no sockets to child processes as this needs; leave it out")
    if settings.target is None:
        raise SettingsError("workers: each loads the application by its name; give a target such as 'main:app'")
    occupy_standard_descriptors()
    prepare(settings)
    defer_orders()
    try:
        supervision = Supervision(settings, origin)
    except BindError as failed:
        log.error("%s", failed)
        return NO_ADDRESS
    try:
        return asyncio.run(supervision.run())
    finally:
        supervision.close()
        logs.flush()


def defer_orders() -> None:
    """Let nothing end this process, or halt it, that asks a server for something else: it is not one yet. Settings
    were read just now, and no log is older.
    """
    if threading.current_thread() is not threading.main_thread():
        raise SettingsError("workers: signals come to the main thread; call run there, or leave workers out")
    for name in ("SIGHUP", "SIGUSR1", "SIGUSR2", "SIGTTIN", "SIGTTOU"):
        number = getattr(signal, name)
        if signal.getsignal(number) == signal.SIG_DFL:
            signal.signal(number, lambda number, frame: None)


class Supervision:
    """Everything around the supervisor."""

    def __init__(self, settings: Settings, origin: Origin | None) -> None:
        self._where = list(map(str, addresses(settings)))
        self.settings = settings = with_sockets(settings)
        self._origin = origin
        self._notifier = Notifier(os.environ)
        self._before: Predecessor | None = predecessor(os.environ.pop(HANDOVER, ""))
        self._guest = self._before is not None  # up to when this is the server
        self._environ = dict(os.environ)
        self._callbacks = Callbacks(settings)
        self._successor: Successor | None = None
        self._pid = PidFile(settings.pid) if settings.pid is not None else None
        self._watcher = watcher(settings, origin.files if origin else ()) if settings.reload else None
        if self._pid is not None and self._before is None:
            self._pid.take()
        try:
            self._sockets = self._opened()
        except BindError:
            if self._pid is not None:
                self._pid.remove()
            raise
        # A predecessor may still run what runs once.
        elects = self._callbacks.once is not None and self._before is None
        plan = Plan(
            settings.workers,
            terms_of(settings),
            patient=settings.reload,
            elects=elects,
            fosters=self._sockets.spread,
        )
        self.supervisor = Supervisor(plan, self._means())
        self._crew = Crew(self._sockets, self.supervisor.ended, self.supervisor.failed)
        self._crew.renew(settings, self._environ)

    async def run(self) -> int:
        """Until the end; the exit code."""
        loop = asyncio.get_running_loop()
        log.info("%s", ours(self.settings))
        if self._before is not None:
            self._before.attend(loop, self._alone)
        self._callbacks.call("on_starting")
        self._watch_over(loop)
        if self.settings.reload:  # whoever comes before the code loads waits for it to be mended
            self._sockets.listen(self.settings.backlog)
        control = Control(place(self.settings.pid), self._answer)
        if self._before is None:
            await control.open()
        self._control = control
        watching = loop.create_task(self._watch()) if self._watcher is not None else None
        try:
            started = await self.supervisor.run()
        finally:
            if watching is not None:
                watching.cancel()
            control.close()
        log.info("Stopped")
        return exit_code(started, self.supervisor.hurried)

    def close(self) -> None:
        """Put away what a process leaves behind."""
        self._sockets.close(unlink=not self._shares())
        self._crew.close()
        if self._pid is not None:
            self._pid.remove()

    # --- what the supervisor is made with ---

    def _means(self) -> Means:
        return Means(
            start=self._start,
            reaped=self._reaped,
            fresh=self._read_again,
            release=self._sockets.release,
            sockets=lambda slot: self._crew.sockets_of(slot),
            announce=self._announce,
            call=self._call,
            reopen=logs.reopen,
            upgrade=self._upgrade,
            told=self._notify,
            dismiss=self._dismiss,
            shares=self._shares,
            words=RELOADING if self.settings.reload else Words(),
        )

    def _opened(self) -> Sockets:
        settings = self.settings
        if self._before is not None:
            self._where = self._before.message["where"]
            self._compare(settings)
            return adopted(self._before.message["places"], self._before.descriptors, settings.workers)
        places: list[Place] = []
        for address in addresses(settings):
            places += placed(bind([address]), isinstance(address, Fd), redirects=False)
        return Sockets(places + placed(bind_redirects(settings, []), False, redirects=True), settings.workers)

    def _start(self, slot: int) -> Worker:
        return self._crew.start(slot, self._shares(), self._guest or self.supervisor.plan.up)

    def _call(self, name: str, *args: object) -> None:
        """Call a hook. When a worker is ready, or never will be, it is time to start the one in waiting."""
        self._callbacks.call(name, *args)
        if name in ("on_worker_ready", "on_worker_exit") and not self.supervisor.plan.stopping:
            self._crew.keep_a_spare()

    def _reaped(self, pid: int, code: int) -> None:
        """A child process has ended that is no worker."""
        self._crew.reaped(pid, code)
        if self._successor is not None and self._successor.pid == pid:
            successor, self._successor = self._successor, None
            successor.reaped(code)

    def _read_again(self) -> int:
        if self._origin is not None:
            environ = self._bare_environ()
            settings = self._origin.read(environ)
            self._compare(settings)
            self.settings, self._environ = settings, environ
            self.supervisor.plan.terms = terms_of(settings)
        self._crew.renew(self.settings, self._environ)
        return self.settings.workers

    def _compare(self, settings: Settings) -> None:
        """Sockets are those of the first supervisor, whatever settings say later."""
        if list(map(str, addresses(settings))) != self._where:
            log.warning("It goes on listening where it does: other addresses take effect when the server is restarted")

    def _bare_environ(self) -> dict[str, str]:
        """The environment without what an env file has added."""
        environ = dict(self._environ if self._origin is None else self._origin.environ)
        for name in (HANDOVER, *systemd.VARIABLES):
            environ.pop(name, None)
        return environ

    def _announce(self) -> None:
        """All workers serve."""
        scheme = "https" if self.settings.ssl_certfile else "http"
        urls = [listen.url(sock, scheme) for sock in self._sockets.first(redirects=False)]
        redirects = [listen.url(sock) for sock in self._sockets.first(redirects=True)]
        announce(str(self.settings.target), urls, redirects)
        if self._before is not None:
            self._take_over(self._before)
        self._notifier.ready(f"Serving {self.settings.target} on {', '.join(urls)}")

    def _take_over(self, before: Predecessor) -> None:
        """From now on, this is the server."""
        self._notifier.main_process(os.getpid())
        if self._pid is not None:
            with contextlib.suppress(BindError):
                self._pid.take(over=before.pid)
        self._opening = asyncio.get_running_loop().create_task(self._control.open())
        self._guest = False
        self.supervisor.order("own")
        before.up()

    def _alone(self) -> None:
        """The predecessor has ended."""
        if self._callbacks.once is not None:
            self.supervisor.elect()

    def _upgrade(self, done: Callable[[str], None]) -> None:
        if os.getpid() == 1:
            done("this is process 1 of a container, which ends with it; reload, or start a new container")
            return
        described, descriptors = self._sockets.describe()
        message = {"pid": os.getpid(), "places": described, "where": self._where}
        environ = {**self._bare_environ(), **self._notifier.variables}
        self._successor = Successor(HANDOVER, message, descriptors, environ, asyncio.get_running_loop(), done)

    def _notify(self, what: str) -> None:
        if not self._guest:  # until then, the service is the one before
            getattr(self._notifier, what)()

    def _dismiss(self, hurried: bool) -> None:
        if self._successor is not None:
            self._successor.dismiss(hurried)

    def _shares(self) -> bool:
        return self._guest or (self._successor is not None and not self._successor.dismissed)

    # --- what comes from outside ---

    def _watch_over(self, loop: asyncio.AbstractEventLoop) -> None:
        """Give systemd's watchdog its signs of life."""
        if self._notifier.watchdog is not None:
            self._notifier.alive()
            loop.call_later(self._notifier.watchdog, self._watch_over, loop)

    async def _watch(self) -> None:
        assert self._watcher is not None
        async for changes in self._watcher:
            self.supervisor.roll(f"{in_words(changes)} changed")

    async def _answer(self, request: dict[str, Any]) -> dict[str, Any]:
        """The control socket's."""
        supervisor = self.supervisor
        match request["do"]:
            case "status":
                return {"ok": True, **self._status()}
            case "reload":
                return _outcome(await supervisor.roll("asked by portway reload"), "all workers are replaced")
            case "scale":
                return _outcome(supervisor.scale(int(request["count"])), f"{supervisor.wanted} from now on")
            case "upgrade":
                return _outcome(await supervisor.upgrade(), "a new supervisor serves")
            case "stop":
                if request.get("now"):
                    supervisor.quit("")
                else:
                    supervisor.stop("asked by portway stop")
                return {"ok": True, "process": os.getpid(), "text": "stopping"}
            case other:
                return _outcome(f"this server does not know {other!r}; it may be older", "")

    def _status(self) -> dict[str, Any]:
        return {
            "version": portway.__version__,
            "process": os.getpid(),
            "target": self.settings.target,
            "workers": [worker._asdict() for worker in self.supervisor.infos()],
        }


def exit_code(started: bool, hurried: str) -> int:
    """Whether the workers could start; the signal that ended all at once, if any."""
    if not started:
        return NO_START
    return {"SIGINT": INTERRUPTED, "SIGQUIT": QUIT}.get(hurried, ENDED)


def in_words(paths: Iterable[str]) -> str:
    """The first of some files, as seen from here, and how many others there are."""
    first, *others = sorted(map(os.path.relpath, paths))
    return f"{first} and {len(others)} more" if others else first


def _outcome(error: str, text: str) -> dict[str, Any]:
    return {"ok": not error, "text": error or text}


def terms_of(settings: Settings) -> Terms:
    """How much time a worker has."""
    several = 1 + len(settings.mount) + (settings.fallback is not None)
    worker = of_worker(settings)
    leaving = worker.timeout_graceful_shutdown + several * worker.timeout_shutdown + SPARE
    return Terms(
        startup=several * settings.timeout_startup + 1,  # the worker itself can tell it better
        blocked=settings.timeout_worker,
        leaving=leaving,
        stopping=leaving + settings.drain_delay,
    )


def watcher(settings: Settings, files: Iterable[str]) -> Any:
    """Of what --reload watches; `files` are those that settings came from."""
    from portway.workers.watch import Watcher

    folders = settings.reload_dir or (settings.app_dir,)
    files = [*files, *([settings.env_file] if settings.env_file is not None else ())]
    return Watcher(folders, settings.reload_include, settings.reload_exclude, files, settings.reload_delay)


def ours(settings: Settings) -> str:
    """What runs."""
    count = settings.workers
    return f"Portway {portway.__version__}, process {os.getpid()}, {count} worker{'s'[: count > 1]}"
