"""Whether the shop is up, for who watches over it: an ASGI application without a framework.

portway serve shop.new:app --mount /health=shop.health:app
"""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Awaitable, Callable
from typing import Any

log = logging.getLogger("shop")


async def app(
    scope: dict[str, Any], receive: Callable[[], Awaitable[Any]], send: Callable[[Any], Awaitable[None]]
) -> None:
    if scope["type"] == "lifespan":
        await live(scope["state"], receive, send)
    elif scope["type"] == "http":
        up = round(time.monotonic() - scope["state"]["began"], 3)
        headers = [(b"content-type", b"application/json"), (b"cache-control", b"no-store")]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": json.dumps({"up": up}).encode()})


async def live(
    state: dict[str, Any], receive: Callable[[], Awaitable[Any]], send: Callable[[Any], Awaitable[None]]
) -> None:
    await receive()
    state["began"] = time.monotonic()
    log.info("shop.health opens")
    await send({"type": "lifespan.startup.complete"})
    await receive()
    log.info("shop.health closes")
    await send({"type": "lifespan.shutdown.complete"})
