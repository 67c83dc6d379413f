"""What people build, in FastAPI."""

import asyncio
import contextvars
import hashlib
import threading
import uuid
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from typing import Annotated, Any

from fastapi import (
    BackgroundTasks,
    Cookie,
    Depends,
    FastAPI,
    Form,
    Query,
    Request,
    Response,
    UploadFile,
    WebSocket,
    WebSocketDisconnect,
    WebSocketException,
)
from fastapi.responses import RedirectResponse, StreamingResponse
from pydantic import BaseModel
from starlette.middleware.sessions import SessionMiddleware

done: list[str] = []
closed: list[str] = []
name_of_request: contextvars.ContextVar[str] = contextvars.ContextVar("name_of_request")


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[dict[str, str]]:
    yield {"name": "fastapi"}


app = FastAPI(lifespan=lifespan)
app.add_middleware(SessionMiddleware, secret_key="a secret for tests")


class Item(BaseModel):
    """Something with a price."""

    name: str
    price: float


@app.get("/json")
async def get_json(name: str, request: Request) -> dict[str, str]:
    return {"hello": name, "from": request.state.name}


@app.post("/json")
async def post_json(body: dict[str, Any]) -> dict[str, Any]:
    return body


@app.post("/item")
def post_item(item: Item) -> Item:
    return item


@app.post("/upload")
async def upload(file: UploadFile, note: Annotated[str, Form()]) -> dict[str, str | None]:
    digest = hashlib.sha256(await file.read()).hexdigest()
    return {"note": note, "name": file.filename, "sha256": digest}


@app.post("/raw")
async def raw(request: Request) -> dict[str, str]:
    digest = hashlib.sha256()
    async for piece in request.stream():
        digest.update(piece)
    return {"sha256": digest.hexdigest()}


@app.get("/download")
def download(pieces: int) -> StreamingResponse:
    def each() -> Iterator[bytes]:  # a plain generator: Starlette runs it in threads
        for number in range(pieces):
            yield b"%07d\n" % number * 8192

    return StreamingResponse(each(), media_type="text/plain")


@app.get("/background", status_code=202)
async def background(key: str, tasks: BackgroundTasks) -> None:
    async def later() -> None:
        await asyncio.sleep(0.05)
        done.append(key)

    tasks.add_task(later)


@app.get("/background/done")
async def background_done() -> list[str]:
    return done


@app.get("/visit")
async def visit(request: Request) -> dict[str, int]:
    request.session["visits"] = request.session.get("visits", 0) + 1
    return {"visits": request.session["visits"]}


@app.get("/cookies")
async def cookies(
    response: Response, a: Annotated[str | None, Cookie()] = None, b: Annotated[str | None, Cookie()] = None
) -> dict[str, str]:
    response.set_cookie("a", "1")
    response.set_cookie("b", "2", httponly=True)
    return {name: value for name, value in (("a", a), ("b", b)) if value is not None}


@app.get("/error")
async def error() -> None:
    raise ZeroDivisionError("on purpose")


waiting = 0
all_here = asyncio.Event()


@app.get("/meet")
async def meet(of: int) -> dict[str, str]:
    """Answers when as many requests are in it as each of them says."""
    global waiting, all_here
    waiting += 1
    here_now = all_here
    if waiting == of:
        waiting, all_here = 0, asyncio.Event()
        here_now.set()
    await here_now.wait()
    return {"id": str(uuid.uuid4())}


@app.delete("/nothing", status_code=204)
async def nothing() -> None:
    """No content."""


@app.get("/redirect")
async def redirect() -> RedirectResponse:
    return RedirectResponse("/json?name=again")


async def resource(key: str) -> AsyncIterator[str]:
    try:
        yield key
    finally:
        closed.append(key)


@app.get("/with/dependency")
async def with_dependency(key: Annotated[str, Depends(resource)]) -> dict[str, Any]:
    return {"key": key, "closed": list(closed)}


@app.get("/closed")
async def get_closed() -> list[str]:
    return closed


async def named(name: str) -> None:
    name_of_request.set(name)


@app.get("/in/thread", dependencies=[Depends(named)])
def in_thread() -> dict[str, Any]:
    """A plain function: FastAPI runs it in a thread, with the request's context."""
    return {"name": name_of_request.get(), "thread": threading.current_thread().name}


left: list[str] = []


@app.get("/events/left")
async def events_left() -> list[str]:
    return left


@app.websocket("/ws/echo")
async def echo(socket: WebSocket, key: str = "") -> None:
    offered = socket.scope["subprotocols"]
    await socket.accept(offered[-1] if offered else None, [(b"x-name", socket.state.name.encode())])
    try:
        while True:
            message = await socket.receive()
            if message["type"] == "websocket.disconnect":
                raise WebSocketDisconnect(message["code"])
            await socket.send({**message, "type": "websocket.send"})
    except WebSocketDisconnect as gone:
        left.append(f"{gone.code} {key}")


@app.websocket("/ws/count")
async def count(socket: WebSocket) -> None:
    await socket.accept()
    async for value in socket.iter_json():
        await socket.send_json({"next": value["n"] + 1})


class Room:
    """As in FastAPI's documentation."""

    def __init__(self) -> None:
        self.sockets: list[WebSocket] = []

    async def broadcast(self, text: str) -> None:
        for socket in self.sockets:
            await socket.send_text(text)


room = Room()


@app.websocket("/ws/chat")
async def chat(socket: WebSocket) -> None:
    await socket.accept()
    room.sockets.append(socket)
    await socket.send_text("in")
    try:
        while True:
            await room.broadcast(await socket.receive_text())
    except WebSocketDisconnect:
        room.sockets.remove(socket)


@app.websocket("/ws/push")
async def push(socket: WebSocket, key: str) -> None:
    await socket.accept()
    try:
        while True:
            await socket.send_text("tick")
            await asyncio.sleep(0.01)
    finally:
        left.append(key)


@app.websocket("/ws/bye")
async def bye(socket: WebSocket) -> None:
    await socket.accept()
    await socket.close(4001, "enough")


async def ticket(socket: WebSocket, ticket: Annotated[str | None, Query()] = None) -> str:
    if ticket is None:
        raise WebSocketException(1008, "no ticket")
    return ticket


@app.websocket("/ws/refuse")
async def refuse(socket: WebSocket, ticket: Annotated[str, Depends(ticket)]) -> None:
    await socket.accept()


@app.websocket("/ws/deny")
async def deny(socket: WebSocket) -> None:
    await socket.send_denial_response(Response('{"why": "no ticket"}', 401, media_type="application/json"))


@app.websocket("/ws/error")
async def fail(socket: WebSocket) -> None:
    await socket.accept()
    raise ZeroDivisionError("on purpose")
