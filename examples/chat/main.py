"""A chat: one page, and a WebSocket for each window that shows it.

portway serve examples/chat/main.py
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import secrets
import time
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any, TypedDict

from fastapi import FastAPI, Request, WebSocket, WebSocketDisconnect, WebSocketException
from fastapi.responses import HTMLResponse

PAGE = Path(__file__).with_name("page.html")

# What a newcomer is shown, and what a person may write, in characters; the page knows these two as well.
HISTORY = 50
NAME_MOST = 30
TEXT_MOST = 2000

# What is said waits for each window on its own, so that one on a slow line holds up nobody. It is given up
# when so much waits for it.
WAITING_MOST = 200

# Close codes: what the page must not send again, and what it may try again later.
REFUSED = 1008
TOO_SLOW = 1013


class Window:
    """One that is open somewhere: whose it is, and what it is still to be told."""

    def __init__(self, socket: WebSocket, who: str, name: str) -> None:
        self.who = who
        self.name = name
        self._socket = socket
        self._waiting: asyncio.Queue[str] = asyncio.Queue(WAITING_MOST)
        self._ending: asyncio.Task[None] | None = None

    def tell(self, text: str) -> None:
        """Have it told, without waiting."""
        if self._ending is None:
            try:
                self._waiting.put_nowait(text)
            except asyncio.QueueFull:
                self._ending = asyncio.create_task(self._socket.close(TOO_SLOW, "this line is too slow"))

    async def pass_on(self) -> None:
        """Tell it what waits; runs for as long as it is open. `send_text` waits while the line is full."""
        while True:
            await self._socket.send_text(await self._waiting.get())


class Room:
    """Who is there, and what was said last."""

    def __init__(self) -> None:
        self._windows: list[Window] = []
        self._said: deque[dict[str, Any]] = deque(maxlen=HISTORY)

    def enter(self, window: Window) -> None:
        self._windows.append(window)
        window.tell(json.dumps({"type": "welcome", "you": window.who, "said": list(self._said)}))
        self.tell_who_is_there()

    def leave(self, window: Window) -> None:
        self._windows.remove(window)
        self.tell_who_is_there()

    def say(self, window: Window, text: str) -> None:
        said = {"id": secrets.token_hex(6), "who": window.who, "name": window.name, "text": text, "time": time.time()}
        self._said.append(said)
        self._tell_all({"type": "said", **said})

    def tell_who_is_there(self) -> None:
        # Somebody who comes back is there once, even if the connection that was lost is not yet known to be so.
        names = {window.who: window.name for window in self._windows}
        self._tell_all({"type": "people", "people": [{"who": who, "name": name} for who, name in names.items()]})

    def _tell_all(self, message: dict[str, Any]) -> None:
        text = json.dumps(message)
        for window in self._windows:
            window.tell(text)


class State(TypedDict):
    """What startup leaves for the requests, as `request.state`."""

    page: str
    room: Room


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[State]:
    yield {"page": PAGE.read_text("utf-8"), "room": Room()}


app = FastAPI(title="Chat", lifespan=lifespan)


@app.get("/", response_class=HTMLResponse)
async def page(request: Request) -> str:
    return str(request.state.page)


@app.websocket("/chat")
async def chat(socket: WebSocket) -> None:
    """The first message brings a name; each further one says something, or changes the name."""
    room: Room = socket.state.room
    await socket.accept()
    with suppress(WebSocketDisconnect):
        heard = await hear(socket)
        window = Window(socket, public(short(heard, "key", 100)), short(heard, "name", NAME_MOST))
        passing_on = asyncio.create_task(window.pass_on())
        room.enter(window)
        try:
            while True:
                answer(room, window, await hear(socket))
        finally:
            room.leave(window)
            passing_on.cancel()
            await asyncio.gather(passing_on, return_exceptions=True)


def answer(room: Room, window: Window, heard: dict[str, Any]) -> None:
    if "name" in heard:
        window.name = short(heard, "name", NAME_MOST)
        room.tell_who_is_there()
    else:
        room.say(window, short(heard, "text", TEXT_MOST))


async def hear(socket: WebSocket) -> dict[str, Any]:
    """The next message; WebSocketDisconnect when there will be none. Who writes something else is shown out."""
    try:
        heard = json.loads(await socket.receive_text())
    except (KeyError, ValueError, RecursionError):  # bytes; no JSON; JSON made to hurt
        heard = None
    if not isinstance(heard, dict):
        raise WebSocketException(REFUSED, "a message must be a JSON object")
    return heard


def short(heard: dict[str, Any], key: str, most: int) -> str:
    """A text that must be there, and not too long."""
    text = heard.get(key)
    if not isinstance(text, str) or not 0 < len(text.strip()) <= most:
        raise WebSocketException(REFUSED, f"{key} must be a text of 1 to {most} characters")
    return text.strip()


def public(key: str) -> str:
    """What others may know of the key by which a window is recognised when it comes back."""
    return hashlib.sha256(key.encode("utf-8", "replace")).hexdigest()[:12]
