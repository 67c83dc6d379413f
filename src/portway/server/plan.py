"""How a server serves: what its settings come to, for one process."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from portway.asgi.forwarded import Trust
from portway.asgi.websocket import Manner
from portway.hooks import Hooks
from portway.link.context import Deadlines
from portway.server.wear import Span
from portway.wire.http1.encode import Preamble
from portway.wire.http2.settings import Terms
from portway.wire.port import Limits

if TYPE_CHECKING:
    from portway.server.certs import Certificates


@dataclass(frozen=True, slots=True)
class Plan:
    """All times in seconds. `redirects` is what those responses begin with that lead to https, `composed` says that
    the application is several, which say which of them answered; `span` is how long a process serves, `health` the
    path where it tells how it is, and `delay` how long it goes on when it is told to stop.
    """

    limits: Limits
    deadlines: Deadlines
    websockets: Manner | None
    hooks: Hooks
    preamble: Preamble
    trust: Trust | None
    dated: bool
    root_path: str
    lifespan: str
    startup: float
    shutdown: float
    grace: float
    backlog: int
    concurrency: int
    cancel_on_disconnect: bool
    span: Span
    health: str | None = None
    delay: float = 0
    terms: Terms | None = None
    http1: bool = True
    composed: bool = False
    certificates: Certificates | None = None
    redirects: Preamble | None = None
