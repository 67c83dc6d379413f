"""What `--health-path` answers: how the server is, said by itself and not by the application.

For probes of containers and load balancers: 200 when requests are served, else 503 with the reason.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from portway.asgi.http import Cycle

STARTING = "starting", "the application's startup is not complete"
STOPPING = "stopping", "the server was told to stop, and takes no new clients"
FAILED = "stopping", "the application did not start"


class Health:
    """`condition` gives why not, in a word and in a sentence, or None if all is well."""

    def __init__(self, path: str, condition: Callable[[], tuple[str, str] | None]) -> None:
        self.path = path.encode()
        self._condition = condition

    def answer(self, cycle: Cycle) -> None:
        """Give the whole response."""
        allowed = cycle.head.method in ("GET", "HEAD")
        found = self._condition()
        status = 405 if not allowed else 503 if found else 200
        body = said(found) if allowed else b'{"error":"only GET and HEAD are answered here"}'
        headers = [
            (b"content-type", b"application/json"),
            (b"content-length", b"%d" % len(body)),
            (b"cache-control", b"no-store"),
        ]
        if not allowed:
            headers.append((b"allow", b"GET, HEAD"))
        # On the loop they act when they are called, and are done: nothing is awaited.
        send: Any = cycle.send
        send({"type": "http.response.start", "status": status, "headers": headers}).close()
        send({"type": "http.response.body", "body": body}).close()


def said(found: tuple[str, str] | None) -> bytes:
    """A line of JSON."""
    told = {"status": "ok"} if found is None else dict(zip(("status", "reason"), found, strict=True))
    return json.dumps(told, separators=(",", ":")).encode()
