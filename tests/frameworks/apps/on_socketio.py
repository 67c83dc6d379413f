"""What people build, with python-socketio."""

import socketio

# A client that polls and leaves waits until its last poll is answered: as long as both of these together.
server = socketio.AsyncServer(async_mode="asgi", ping_interval=0.2, ping_timeout=1)
app = socketio.ASGIApp(server)


@server.event
async def connect(sid: str, environ: dict[str, object], auth: dict[str, str] | None) -> None:
    if auth is None:
        raise ConnectionRefusedError("no ticket")
    await server.save_session(sid, {"name": auth["name"]})
    await server.emit("welcome", {"to": auth["name"]}, to=sid)


@server.event
async def add(sid: str, numbers: list[int]) -> dict[str, int]:
    return {"sum": sum(numbers)}


@server.event
async def image(sid: str, data: bytes) -> bytes:
    return data[::-1]


@server.event
async def join(sid: str, room: str) -> str:
    await server.enter_room(sid, room)
    return "in"


@server.event
async def say(sid: str, room: str, text: str) -> None:
    name = (await server.get_session(sid))["name"]
    await server.emit("said", (name, text), room=room)
