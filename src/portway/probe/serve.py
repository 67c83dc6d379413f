"""Serves an application on a free port for as long as a block lasts."""

from __future__ import annotations

import asyncio
import threading
from types import TracebackType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from portway.boot import Server

# What differs from a server in production: a free port, no access lines, no long good-bye.
DEFAULTS: dict[str, Any] = {"access_log": False, "timeout_graceful_shutdown": 5.0}


class Served:
    """A server that is up: `url` without a slash at its end, `host`, `port`, and the `server` itself."""

    def __init__(self, server: Server) -> None:
        self.server = server
        self.url = server.urls[0]
        name = server.sockets[0].getsockname()
        tcp = isinstance(name, tuple)
        self.host: str = name[0] if tcp else name
        self.port: int = name[1] if tcp else 0

    def __repr__(self) -> str:
        return f"<Served {self.url}>"


class serve:
    """`with serve(app) as served:` or `async with serve(app) as served:`.

    In a `with`, the server runs in a thread with a loop of its own; in an `async with`, in the running loop.
    `settings` are those of `portway.Settings`, by name. The block begins when the server accepts connections
    and ends when it has ended; what kept it from starting is raised.
    """

    def __init__(self, app: Any, *, ssl_context_factory: Any = None, **settings: Any) -> None:
        from portway.boot import Server, loop_factory, settled

        port = {} if settings.keys() & {"bind", "fd", "uds"} else {"port": 0}
        chosen = settled(None, DEFAULTS | port | settings, ssl_context_factory is not None)
        self.server = Server(app, chosen, ssl_context_factory=ssl_context_factory)
        self._loop_factory = loop_factory(chosen.loop)
        self._thread: threading.Thread | None = None
        self._task: asyncio.Task[None] | None = None
        self._failure: BaseException | None = None

    # --- in a thread ---

    def __enter__(self) -> Served:
        up = threading.Event()
        self._thread = threading.Thread(target=self._run, args=(up,), name="portway-serve", daemon=True)
        self._thread.start()
        up.wait()
        if self._failure is not None:
            self._thread.join()
            raise self._failure
        return Served(self.server)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._thread is not None
        self.server.stop()
        self._thread.join()
        if self._failure is not None and error is None:
            raise self._failure

    def _run(self, up: threading.Event) -> None:
        try:
            with asyncio.Runner(loop_factory=self._loop_factory) as runner:
                runner.run(self.server.serve(up.set))
        except BaseException as failure:
            self._failure = failure
        finally:
            up.set()

    # --- in the running loop ---

    async def __aenter__(self) -> Served:
        up = asyncio.Event()
        self._task = asyncio.create_task(self.server.serve(up.set), name="portway-serve")
        started = asyncio.create_task(up.wait())
        await asyncio.wait([self._task, started], return_when=asyncio.FIRST_COMPLETED)
        if not up.is_set():
            started.cancel()
            await self._task
        return Served(self.server)

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._task is not None
        self.server.stop()
        await self._task
