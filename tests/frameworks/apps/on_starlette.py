"""What people build, in Starlette."""

import asyncio
import contextlib
import hashlib
import uuid
from collections.abc import AsyncIterator
from pathlib import Path

from starlette.applications import Starlette
from starlette.background import BackgroundTask
from starlette.endpoints import WebSocketEndpoint
from starlette.middleware import Middleware
from starlette.middleware.base import BaseHTTPMiddleware, RequestResponseEndpoint
from starlette.middleware.gzip import GZipMiddleware
from starlette.middleware.sessions import SessionMiddleware
from starlette.requests import Request
from starlette.responses import FileResponse, JSONResponse, RedirectResponse, Response, StreamingResponse
from starlette.routing import Mount, Route, WebSocketRoute
from starlette.staticfiles import StaticFiles
from starlette.websockets import WebSocket, WebSocketDisconnect

here = Path(__file__)
done: list[str] = []
left: list[str] = []


@contextlib.asynccontextmanager
async def lifespan(app: Starlette) -> AsyncIterator[dict[str, str]]:
    yield {"name": "starlette"}


async def json(request: Request) -> Response:
    if request.method == "POST":
        return JSONResponse(await request.json())
    return JSONResponse({"hello": request.query_params["name"], "from": request.state.name})


async def upload(request: Request) -> Response:
    async with request.form() as form:
        digest = hashlib.sha256(await form["file"].read()).hexdigest()
        return JSONResponse({"note": form["note"], "name": form["file"].filename, "sha256": digest})


async def raw(request: Request) -> Response:
    digest = hashlib.sha256()
    async for piece in request.stream():
        digest.update(piece)
    return JSONResponse({"sha256": digest.hexdigest()})


async def download(request: Request) -> Response:
    async def pieces() -> AsyncIterator[bytes]:
        for number in range(int(request.query_params["pieces"])):
            yield b"%07d\n" % number * 8192

    return StreamingResponse(pieces(), media_type="text/plain")


async def background(request: Request) -> Response:
    async def later(key: str) -> None:
        await asyncio.sleep(0.05)
        done.append(key)

    return Response(status_code=202, background=BackgroundTask(later, request.query_params["key"]))


async def background_done(request: Request) -> Response:
    return JSONResponse(done)


async def visit(request: Request) -> Response:
    request.session["visits"] = request.session.get("visits", 0) + 1
    return JSONResponse({"visits": request.session["visits"]})


async def cookies(request: Request) -> Response:
    response = JSONResponse(request.cookies)
    response.set_cookie("a", "1")
    response.set_cookie("b", "2", httponly=True)
    return response


async def error(request: Request) -> Response:
    raise ZeroDivisionError("on purpose")


async def error_in_stream(request: Request) -> Response:
    async def pieces() -> AsyncIterator[bytes]:
        yield b"begun"
        raise ZeroDivisionError("on purpose")

    return StreamingResponse(pieces())


waiting = 0
all_here = asyncio.Event()


async def meet(request: Request) -> Response:
    """Answers when as many requests are in it as each of them says."""
    global waiting, all_here
    waiting += 1
    here_now = all_here
    if waiting == int(request.query_params["of"]):
        waiting, all_here = 0, asyncio.Event()
        here_now.set()
    await here_now.wait()
    return JSONResponse({"id": str(uuid.uuid4())})


async def nothing(request: Request) -> Response:
    return Response(status_code=204)


async def redirect(request: Request) -> Response:
    return RedirectResponse(request.url_for("json").include_query_params(name="again"))


async def file(request: Request) -> Response:
    return FileResponse(here, filename="source.py")


async def events(request: Request) -> Response:
    async def ticks() -> AsyncIterator[str]:
        number = 0
        try:
            while True:
                yield f"data: {number}\n\n"
                number += 1
                await asyncio.sleep(0.01)
        finally:
            left.append(request.query_params["key"])

    return StreamingResponse(ticks(), media_type="text/event-stream")


async def events_left(request: Request) -> Response:
    return JSONResponse(left)


class Echo(WebSocketEndpoint):
    async def on_connect(self, socket: WebSocket) -> None:
        offered = socket.scope["subprotocols"]
        await socket.accept(offered[-1] if offered else None, [(b"x-name", socket.state.name.encode())])

    async def on_receive(self, socket: WebSocket, data: str | bytes) -> None:
        if isinstance(data, str):
            await socket.send_text(data)
        else:
            await socket.send_bytes(data)

    async def on_disconnect(self, socket: WebSocket, code: int) -> None:
        left.append(f"{code} {socket.query_params.get('key')}")


async def count(socket: WebSocket) -> None:
    await socket.accept()
    async for value in socket.iter_json():
        await socket.send_json({"next": value["n"] + 1})


room: set[WebSocket] = set()


async def chat(socket: WebSocket) -> None:
    await socket.accept()
    room.add(socket)
    try:
        await socket.send_text("in")
        async for text in socket.iter_text():
            for each in room:
                await each.send_text(text)
    finally:
        room.discard(socket)


async def push(socket: WebSocket) -> None:
    await socket.accept()
    try:
        while True:
            await socket.send_text("tick")
            await asyncio.sleep(0.01)
    except WebSocketDisconnect:
        left.append(socket.query_params["key"])


async def bye(socket: WebSocket) -> None:
    await socket.accept()
    await socket.close(4001, "enough")


async def refuse(socket: WebSocket) -> None:
    await socket.close()


async def deny(socket: WebSocket) -> None:
    await socket.send_denial_response(JSONResponse({"why": "no ticket"}, status_code=401))


async def fail(socket: WebSocket) -> None:
    await socket.accept()
    raise ZeroDivisionError("on purpose")


class Stamp(BaseHTTPMiddleware):
    """As half of all applications have one."""

    async def dispatch(self, request: Request, call_next: RequestResponseEndpoint) -> Response:
        response = await call_next(request)
        response.headers["x-stamp"] = "1"
        return response


async def body_twice(request: Request) -> Response:
    """Read through the middleware, and again below it."""
    return JSONResponse({"sizes": [len(await request.body()), len(await request.body())]})


inner = Starlette(
    routes=[
        Route("/json", json, methods=["GET", "POST"]),
        Route("/download", download),
        Route("/background", background),
        Route("/error", error),
        Route("/body", body_twice, methods=["POST"]),
        Route("/events", events),
    ],
    middleware=[Middleware(Stamp), Middleware(GZipMiddleware, minimum_size=500)],
)

app = Starlette(
    routes=[
        Route("/json", json, methods=["GET", "POST"]),
        Route("/upload", upload, methods=["POST"]),
        Route("/raw", raw, methods=["POST"]),
        Route("/download", download),
        Route("/background", background),
        Route("/background/done", background_done),
        Route("/visit", visit),
        Route("/cookies", cookies),
        Route("/error", error),
        Route("/error/in/stream", error_in_stream),
        Route("/meet", meet),
        Route("/nothing", nothing, methods=["DELETE"]),
        Route("/redirect", redirect),
        Route("/file", file),
        Route("/events", events),
        Route("/events/left", events_left),
        WebSocketRoute("/ws/echo", Echo),
        WebSocketRoute("/ws/count", count),
        WebSocketRoute("/ws/chat", chat),
        WebSocketRoute("/ws/push", push),
        WebSocketRoute("/ws/bye", bye),
        WebSocketRoute("/ws/refuse", refuse),
        WebSocketRoute("/ws/deny", deny),
        WebSocketRoute("/ws/error", fail),
        Mount("/static", StaticFiles(directory=here.parent)),
        Mount("/with/middleware", inner),
    ],
    middleware=[Middleware(SessionMiddleware, secret_key="a secret for tests")],
    lifespan=lifespan,
)
