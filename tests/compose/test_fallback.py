"""What the main application answers with 404 goes to another one, as if the first had never been asked."""

import asyncio
import json
import os
import threading
from collections.abc import Callable
from contextvars import ContextVar
from typing import Any

import pytest
from fastapi import FastAPI, Request
from fastapi.responses import StreamingResponse
from starlette.middleware.base import BaseHTTPMiddleware
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus

import portway
from portway.testing import Raw, serve
from portway.types import Receive, Scope, Send

Client = Callable[..., Any]
Tell = Callable[..., Any]
Said = Callable[..., list[str]]

MiB = 1024 * 1024


# --- who answers ---


@pytest.mark.parametrize("http2", [False, True])
def test_a_404_goes_to_the_fallback_and_all_else_does_not(
    tell: Tell, client: Client, http2: bool, answers: Any
) -> None:
    for status in (200, 204, 301, 400, 403, 405, 410, 500):
        with client(portway.Fallback(answers(status), tell("legacy")), http2) as http:
            response = http.get("/x")
            assert (response.status_code, response.headers["x-from"]) == (status, "main")
    with client(portway.Fallback(answers(404), tell("legacy")), http2) as http:
        response = http.get("/x/y")
        assert (response.status_code, response.json()["name"], response.json()["path"]) == (200, "legacy", "/x/y")
        assert "x-from" not in response.headers


def test_the_statuses_may_be_others(tell: Tell, client: Client, answers: Any) -> None:
    for status, on, who in ((404, [405, 501], "main"), (405, 405, "legacy"), (501, {405, 501}, "legacy")):
        with client(portway.Fallback(answers(status), tell("legacy"), on)) as http:
            assert http.get("/").headers.get("x-from", "legacy") == who


def test_a_fallback_that_says_404_is_believed(tell: Tell, client: Client, answers: Any) -> None:
    with client(portway.Fallback(answers(404), tell("legacy", 404))) as http:
        response = http.get("/")
        assert (response.status_code, response.json()["name"]) == (404, "legacy")


def test_what_is_no_error_leads_to_no_fallback(tell: Tell) -> None:
    for status in (200, 302, 600, -1):
        with pytest.raises(portway.SettingsError, match=f"fallback_on: {status} is no error of HTTP"):
            portway.Fallback(tell("a"), tell("b"), on=(status,))
    with pytest.raises(TypeError, match="the fallback: NoneType object cannot be called"):
        portway.Fallback(tell("a"), None)  # type: ignore[arg-type]
    assert repr(portway.Fallback(tell("a"), tell("b"), (405, 404))) == "<Fallback main to fallback on 404, 405>"


def test_websockets_are_for_the_main_application(tell: Tell) -> None:
    async def main() -> None:
        async with (
            serve(portway.Fallback(tell("main"), tell("legacy"))) as served,
            connect(served.url.replace("http", "ws")) as socket,
        ):
            await socket.send("who?")
            assert json.loads(await socket.recv())["name"] == "main"
        async with serve(portway.Fallback(FastAPI(), tell("legacy"))) as served:
            with pytest.raises(InvalidStatus):
                async with connect(served.url.replace("http", "ws")):
                    pass

    asyncio.run(main())


def test_early_hints_pass(tell: Tell, answers: Any) -> None:
    async def hints(scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.early_hint", "links": [b"</a.css>; rel=preload"]})

    app = portway.Fallback(answers(404, before=hints), tell("legacy"))
    with serve(app) as served, Raw(served.host, served.port) as raw:
        raw.send(b"GET / HTTP/1.1\r\nhost: a\r\n\r\n")
        assert raw.interim().status == 103
        assert json.loads(raw.response().body)["name"] == "legacy"


# --- as if it had never been asked ---


def test_both_lifespans_run_and_each_has_its_state_and_context(living: Any, client: Client) -> None:
    diary: list[str] = []
    with client(portway.Fallback(living("main", diary, status=404), living("legacy", diary))) as http:
        found = http.get("/").json()
        assert (found["name"], found["state"], found["held"]) == ("legacy", {"of": "legacy", "list": []}, "legacy")
    assert diary == ["main up", "legacy up", "main asked", "legacy asked", "legacy down", "main down"]


def test_what_main_does_to_its_scope_and_context_is_its_own(client: Client, answers: Any) -> None:
    mark: ContextVar[str] = ContextVar("mark", default="clean")

    async def spoil(scope: Scope, receive: Receive, send: Send) -> None:
        mark.set("main was here")
        await asyncio.sleep(0)
        assert mark.get() == "main was here"
        scope["path"] = "/spoiled"
        scope["headers"].clear()
        scope["extensions"].clear()
        scope["router"] = object()

    async def legacy(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            raise NotImplementedError
        seen = [mark.get(), scope["path"], "router" in scope, bool(scope["headers"]), "http.response.early_hint"]
        assert seen[-1] in scope["extensions"]
        await send({"type": "http.response.start", "status": 200})
        await send({"type": "http.response.body", "body": json.dumps(seen[:-1]).encode()})

    with client(portway.Fallback(answers(404, before=spoil), legacy)) as http:
        assert http.get("/x").json() == ["clean", "/x", False, True]


def test_main_is_in_one_task_with_the_request(client: Client, answers: Any) -> None:
    tasks = []

    async def note(scope: Scope, receive: Receive, send: Send) -> None:
        async with asyncio.timeout(20), asyncio.TaskGroup() as group:
            group.create_task(asyncio.sleep(0))
        tasks.append(asyncio.current_task())

    app = portway.Fallback(answers(404, before=note), answers(200, before=note))
    with client(app) as http:
        assert http.get("/").status_code == 200
    assert tasks[0] is tasks[1]


def test_main_is_let_run_to_its_end_first(tell: Tell, client: Client, answers: Any) -> None:
    diary = []

    async def background(scope: Scope, receive: Receive, send: Send) -> None:
        await asyncio.sleep(0)
        diary.append("after main's answer")

    async def legacy(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "lifespan":
            diary.append("legacy")
        await tell("legacy")(scope, receive, send)

    with client(portway.Fallback(answers(404, after=background), legacy)) as http:
        http.get("/")
    assert diary == ["after main's answer", "legacy"]


def test_after_the_end_of_its_answer_main_is_told_that_the_client_went(
    tell: Tell, client: Client, answers: Any, read_all: Any
) -> None:
    kinds = []

    async def watch(scope: Scope, receive: Receive, send: Send) -> None:
        kinds.append((await receive())["type"])

    async def both(scope: Scope, receive: Receive, send: Send) -> None:
        """Waits for the end in one task, and answers in another."""
        if scope["type"] == "lifespan":
            raise NotImplementedError
        await read_all(scope, receive, send)
        async with asyncio.TaskGroup() as group:
            group.create_task(watch(scope, receive, send))
            await asyncio.sleep(0)
            await answers(404)(scope, receive, send)

    for main in (answers(404, before=read_all, after=watch), both):
        with client(portway.Fallback(main, tell("legacy"))) as http:
            assert http.post("/", content=b"abc").json()["body"] == "abc"
            assert http.get("/").json()["name"] == "legacy"
    assert kinds == ["http.disconnect"] * 4


# --- errors of main ---


def test_main_that_raises_after_its_404_is_logged_and_the_fallback_answers(
    tell: Tell, client: Client, said: Said, answers: Any
) -> None:
    async def break_down(scope: Scope, receive: Receive, send: Send) -> None:
        raise RuntimeError("in the background")

    with client(portway.Fallback(answers(404, after=break_down), tell("legacy"))) as http:
        assert http.get("/x%0ay").json()["name"] == "legacy"
    assert [line for line in said() if "raised" in line] == [
        r"GET /x\ny: main raised after its answer; the fallback is asked"
    ]


def test_an_answer_without_an_end_that_goes_nowhere_is_ended(tell: Tell, client: Client, said: Said) -> None:
    turns: list[int] = []

    async def main(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            raise NotImplementedError
        await send({"type": "http.response.start", "status": 404})
        for number in range(1000):
            asyncio.get_running_loop().call_soon(turns.append, number)
            await send({"type": "http.response.body", "body": bytes(64 * 1024), "more_body": True})

    with client(portway.Fallback(main, tell("legacy"))) as http:
        assert http.get("/").json()["name"] == "legacy"
    assert 200 < len(turns) < 300
    assert any("raised after its answer; the fallback is asked" in line for line in said())


def test_main_that_raises_before_is_a_500(tell: Tell, client: Client, said: Said, answers: Any) -> None:
    async def break_down(scope: Scope, receive: Receive, send: Send) -> None:
        raise RuntimeError("at once")

    with client(portway.Fallback(answers(404, before=break_down), tell("legacy"))) as http:
        assert http.get("/").status_code == 500
    assert "GET /: the application raised RuntimeError" in said()


def test_messages_of_main_are_checked_as_ever(tell: Tell, client: Client, said: Said, answers: Any) -> None:
    async def too_soon(scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.body"})

    with client(portway.Fallback(answers(404, before=too_soon), tell("legacy"))) as http:
        assert http.get("/").status_code == 500
    assert any("http.response.body came out of order" in line for line in said())


def test_a_fallback_that_raises_is_a_500(client: Client, answers: Any) -> None:
    async def break_down(scope: Scope, receive: Receive, send: Send) -> None:
        raise RuntimeError("legacy, too")

    with client(portway.Fallback(answers(404), answers(200, before=break_down))) as http:
        assert http.get("/").status_code == 500


# --- frameworks ---


def test_polling_for_a_disconnect_takes_nothing_away(client: Client) -> None:
    """As Starlette does it: a receive that is cancelled at once, if there is nothing."""
    polled = threading.Event()

    async def polls(request: Request) -> None:
        await request.body()
        for _ in range(3):
            assert not await request.is_disconnected()
        polled.set()
        while not await request.is_disconnected():
            await asyncio.sleep(0.01)
        from fastapi import HTTPException

        raise HTTPException(404)

    heard: list[Any] = []
    over = threading.Event()

    async def legacy(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            raise NotImplementedError
        heard.extend([(await receive())["body"], (await receive())["type"]])
        over.set()

    app = FastAPI()
    app.post("/")(polls)
    with serve(portway.Fallback(app, legacy)) as served:
        with Raw(served.host, served.port) as raw:
            raw.send(b"POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 3\r\n\r\nabc")
            assert polled.wait(20)
        assert over.wait(20)
    assert heard == [b"abc", "http.disconnect"]


def moved() -> FastAPI:
    """Half of the routes, and a middleware that reads and wraps everything."""
    app = FastAPI()

    async def timed(request: Request, call_next: Any) -> Any:
        response = await call_next(request)
        response.headers["x-new"] = "yes"
        return response

    app.add_middleware(BaseHTTPMiddleware, dispatch=timed)

    @app.post("/new")
    async def new(request: Request) -> int:
        return len(await request.body())

    @app.get("/stream")
    async def stream() -> StreamingResponse:
        return StreamingResponse(iter([b"a", b"b"]))

    @app.post("/reads-then-404")
    async def reads(request: Request) -> None:
        from fastapi import HTTPException

        await request.body()
        raise HTTPException(404)

    return app


@pytest.mark.parametrize("http2", [False, True])
def test_routes_of_a_framework_move_one_at_a_time(client: Client, http2: bool, counting: Any, digest: Any) -> None:
    data = os.urandom(2 * MiB)
    with client(portway.Fallback(moved(), counting), http2) as http:
        assert http.post("/new", content=data).json() == len(data)
        assert http.get("/stream").content == b"ab"
        for path in ("/basket", "/reads-then-404"):
            response = http.post(path, content=data)
            assert response.json() == digest(data)
            assert "x-new" not in response.headers
        assert http.put("/new").status_code == 405


def test_fallback_below_a_mount_and_mounts_below_a_fallback(tell: Tell, client: Client) -> None:
    inner = portway.Fallback(FastAPI(), tell("legacy"))
    with client(portway.Mounts({"/in": inner, "/": tell("main")})) as http:
        found = http.get("/in/x").json()
        assert (found["name"], found["root_path"]) == ("legacy", "/in")
    outer = portway.Fallback(portway.Mounts({"/a": tell("a")}), tell("legacy"))
    with client(outer) as http:
        assert [http.get(path).json()["name"] for path in ("/a", "/b")] == ["a", "legacy"]
