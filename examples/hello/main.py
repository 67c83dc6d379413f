"""A small application that shows what a server is asked for: a page, JSON, an upload, a stream of events.

portway serve examples/hello/main.py
"""

from __future__ import annotations

import asyncio
import hashlib
import html
import json
import time
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypedDict

from fastapi import BackgroundTasks, FastAPI, Request
from fastapi.responses import HTMLResponse, StreamingResponse

PAGE = Path(__file__).with_name("page.html")

# A stream of events ends after so many, and the browser asks for the next one. So the server, when it is told
# to stop, need not wait for somebody to close the page.
EVENTS = 10


class State(TypedDict):
    """What startup leaves for the requests, as `request.state`."""

    page: str
    began: float
    uploads: deque[dict[str, Any]]


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[State]:
    yield {"page": PAGE.read_text("utf-8"), "began": time.monotonic(), "uploads": deque(maxlen=5)}


app = FastAPI(title="Hello from Portway", lifespan=lifespan)


@app.get("/", response_class=HTMLResponse)
async def page(request: Request) -> str:
    """The page, with what the server knows of who asks for it."""
    rows = "".join(f"<dt>{html.escape(name)}</dt><dd>{html.escape(text)}</dd>" for name, text in caller(request))
    return str(request.state.page).replace("<!-- caller -->", rows)


def caller(request: Request) -> list[tuple[str, str]]:
    """Taken from the ASGI scope."""
    scope = request.scope
    client, server = scope["client"], scope["server"]
    return [
        ("Client", f"{client[0]}, port {client[1]}" if client else "a Unix socket"),
        ("Server", f"{server[0]}, port {server[1]}" if server[1] is not None else server[0]),
        ("Protocol", f"{scope['scheme']}, HTTP/{scope['http_version']}"),
        ("Extensions", ", ".join(scope["extensions"]) or "none"),
        ("Browser", request.headers.get("user-agent", "unknown")),
    ]


@app.get("/api/hello")
async def hello(name: str = "world") -> dict[str, str]:
    """JSON."""
    return {"hello": name}


@app.post("/upload")
async def upload(request: Request, background: BackgroundTasks, name: str = "unnamed") -> dict[str, Any]:
    """Take the body of the request piece by piece: a file of any size needs no memory."""
    size, digest = 0, hashlib.sha256()
    async for piece in request.stream():
        size += len(piece)
        digest.update(piece)
    found = {"name": name, "size": size, "sha256": digest.hexdigest()}
    background.add_task(remember, request.state.uploads, found)
    return found


async def remember(uploads: deque[dict[str, Any]], found: dict[str, Any]) -> None:
    """Runs when the response is sent."""
    uploads.appendleft(found)


@app.get("/api/uploads")
async def uploads(request: Request) -> list[dict[str, Any]]:
    """The last uploads, as the background task remembers them."""
    return list(request.state.uploads)


@app.get("/events")
async def events(request: Request) -> StreamingResponse:
    """Server-sent events: the time, once a second."""
    return StreamingResponse(
        ticks(request.state.began), media_type="text/event-stream", headers={"cache-control": "no-store"}
    )


async def ticks(began: float) -> AsyncIterator[str]:
    yield "retry: 100\n\n"
    for _ in range(EVENTS):
        now = {"time": f"{datetime.now(UTC):%H:%M:%S}", "up": round(time.monotonic() - began)}
        yield f"data: {json.dumps(now)}\n\n"
        await asyncio.sleep(1)
