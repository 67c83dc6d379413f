"""What people build, in Quart."""

import asyncio
import hashlib
import uuid
from collections.abc import AsyncIterator
from typing import Any

from quart import Quart, Response, abort, current_app, jsonify, redirect, request, session, url_for, websocket

app = Quart(__name__)
app.secret_key = "a secret for tests"
done: list[str] = []
left: list[str] = []


@app.before_serving
async def startup() -> None:
    app.config["NAME"] = "quart"


@app.get("/json")
async def get_json() -> dict[str, str]:
    return {"hello": request.args["name"], "from": current_app.config["NAME"]}


@app.post("/json")
async def post_json() -> Any:
    return await request.get_json()


@app.post("/upload")
async def upload() -> dict[str, str | None]:
    form, files = await request.form, await request.files
    file = files["file"]
    return {"note": form["note"], "name": file.filename, "sha256": hashlib.sha256(file.read()).hexdigest()}


@app.post("/raw")
async def raw() -> dict[str, str]:
    digest = hashlib.sha256()
    async for piece in request.body:
        digest.update(piece)
    return {"sha256": digest.hexdigest()}


@app.get("/download")
async def download() -> tuple[Any, dict[str, str]]:
    count = int(request.args["pieces"])

    async def pieces() -> AsyncIterator[bytes]:
        for number in range(count):
            yield b"%07d\n" % number * 8192

    return pieces(), {"content-type": "text/plain"}


@app.get("/background")
async def background() -> tuple[str, int]:
    async def later(key: str) -> None:
        await asyncio.sleep(0.05)
        done.append(key)

    app.add_background_task(later, request.args["key"])
    return "", 202


@app.get("/background/done")
async def background_done() -> Response:
    return jsonify(done)


@app.get("/visit")
async def visit() -> dict[str, int]:
    session["visits"] = session.get("visits", 0) + 1
    return {"visits": session["visits"]}


@app.get("/cookies")
async def cookies() -> Response:
    response = jsonify(dict(request.cookies))
    response.set_cookie("a", "1")
    response.set_cookie("b", "2", httponly=True)
    return response


@app.get("/error")
async def error() -> str:
    raise ZeroDivisionError("on purpose")


waiting = 0
all_here = asyncio.Event()


@app.get("/meet")
async def meet() -> dict[str, str]:
    """Answers when as many requests are in it as each of them says."""
    global waiting, all_here
    waiting += 1
    here_now = all_here
    if waiting == int(request.args["of"]):
        waiting, all_here = 0, asyncio.Event()
        here_now.set()
    await here_now.wait()
    return {"id": str(uuid.uuid4())}


@app.delete("/nothing")
async def nothing() -> tuple[str, int]:
    return "", 204


@app.get("/redirect")
async def to_json() -> Any:
    return redirect(url_for("get_json", name="again"))


@app.get("/events")
async def events() -> tuple[Any, dict[str, str]]:
    key = request.args["key"]

    async def ticks() -> AsyncIterator[bytes]:
        try:
            while True:
                yield b"data: tick\n\n"
                await asyncio.sleep(0.01)
        finally:
            left.append(key)

    return ticks(), {"content-type": "text/event-stream"}


@app.get("/events/left")
async def events_left() -> Response:
    return jsonify(left)


@app.websocket("/ws/echo")
async def echo() -> None:
    offered = websocket.requested_subprotocols
    await websocket.accept({"x-name": current_app.config["NAME"]}, offered[-1] if offered else None)
    try:
        while True:
            await websocket.send(await websocket.receive())
    finally:
        left.append(f"gone {websocket.args.get('key')}")


@app.websocket("/ws/count")
async def count() -> None:
    while True:
        value = await websocket.receive_json()
        await websocket.send_json({"next": value["n"] + 1})


room: set[asyncio.Queue[str]] = set()


@app.websocket("/ws/chat")
async def chat() -> None:
    """As in Quart's documentation: one task that sends, and one that receives."""
    texts: asyncio.Queue[str] = asyncio.Queue()
    room.add(texts)

    async def sending() -> None:
        while True:
            await websocket.send(await texts.get())

    async def receiving() -> None:
        while True:
            text = await websocket.receive()
            for each in room:
                each.put_nowait(text)

    try:
        await websocket.send("in")
        await asyncio.gather(sending(), receiving())
    finally:
        room.discard(texts)


@app.websocket("/ws/push")
async def push() -> None:
    try:
        while True:
            await websocket.send("tick")
            await asyncio.sleep(0.01)
    finally:
        left.append(websocket.args["key"])


@app.websocket("/ws/bye")
async def bye() -> None:
    await websocket.accept()
    await websocket.close(4001, "enough")


@app.websocket("/ws/refuse")
async def refuse() -> None:
    abort(403)


@app.websocket("/ws/deny")
async def deny() -> tuple[dict[str, str], int]:
    return {"why": "no ticket"}, 401


@app.websocket("/ws/error")
async def fail() -> None:
    await websocket.accept()
    raise ZeroDivisionError("on purpose")
