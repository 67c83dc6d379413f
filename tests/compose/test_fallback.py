"""What the main application answers with 404 goes to another one, as if the first had never been asked."""

import asyncio
import glob
import json
import os
import tempfile
import threading
from collections.abc import Callable
from contextvars import ContextVar
from pathlib import Path
from typing import Any

import httpx
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


def answers(status: int, body: bytes = b"main's own", before: Any = None, after: Any = None) -> Any:
    """An application that does something before and after its answer."""

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            raise NotImplementedError
        if before is not None:
            await before(scope, receive, send)
        await send({"type": "http.response.start", "status": status, "headers": [(b"x-from", b"main")]})
        await send({"type": "http.response.body", "body": body, "more_body": True})
        await send({"type": "http.response.body"})
        if after is not None:
            await after(scope, receive, send)

    return app


async def read_all(scope: Scope, receive: Receive, send: Send) -> None:
    while (await receive()).get("more_body"):
        pass


async def counting(scope: Scope, receive: Receive, send: Send) -> None:
    """Answers with the length and the hash of what it received, then notes what else it is told."""
    if scope["type"] == "lifespan":
        raise NotImplementedError
    import hashlib

    found, size = hashlib.sha256(), 0
    while True:
        message = await receive()
        found.update(message["body"])
        size += len(message["body"])
        if not message["more_body"]:
            break
    body = json.dumps([size, found.hexdigest()]).encode()
    await send({"type": "http.response.start", "status": 200})
    await send({"type": "http.response.body", "body": body})


def digest(data: bytes) -> list[Any]:
    import hashlib

    return [len(data), hashlib.sha256(data).hexdigest()]


# --- who answers ---


@pytest.mark.parametrize("http2", [False, True])
def test_a_404_goes_to_the_fallback_and_all_else_does_not(tell: Tell, client: Client, http2: bool) -> None:
    for status in (200, 204, 301, 400, 403, 405, 410, 500):
        with client(portway.Fallback(answers(status), tell("legacy")), http2) as http:
            response = http.get("/x")
            assert (response.status_code, response.headers["x-from"]) == (status, "main")
    with client(portway.Fallback(answers(404), tell("legacy")), http2) as http:
        response = http.get("/x/y")
        assert (response.status_code, response.json()["name"], response.json()["path"]) == (200, "legacy", "/x/y")
        assert "x-from" not in response.headers


def test_the_statuses_may_be_others(tell: Tell, client: Client) -> None:
    for status, who in ((404, "main"), (405, "legacy"), (501, "legacy")):
        with client(portway.Fallback(answers(status), tell("legacy"), on=(405, 501))) as http:
            assert http.get("/").headers.get("x-from", "legacy") == who


def test_a_fallback_that_says_404_is_believed(tell: Tell, client: Client) -> None:
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


def test_early_hints_pass(tell: Tell) -> None:
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


def test_what_main_does_to_its_scope_and_context_is_its_own(client: Client) -> None:
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


def test_main_is_in_one_task_with_the_request(client: Client) -> None:
    tasks = []

    async def note(scope: Scope, receive: Receive, send: Send) -> None:
        async with asyncio.timeout(20), asyncio.TaskGroup() as group:
            group.create_task(asyncio.sleep(0))
        tasks.append(asyncio.current_task())

    app = portway.Fallback(answers(404, before=note), answers(200, before=note))
    with client(app) as http:
        assert http.get("/").status_code == 200
    assert tasks[0] is tasks[1]


def test_main_is_let_run_to_its_end_first(tell: Tell, client: Client) -> None:
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


def test_after_the_end_of_its_answer_main_is_told_that_the_client_went(tell: Tell, client: Client) -> None:
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
    tell: Tell, client: Client, said: Said
) -> None:  # fmt: skip
    async def break_down(scope: Scope, receive: Receive, send: Send) -> None:
        raise RuntimeError("in the background")

    with client(portway.Fallback(answers(404, after=break_down), tell("legacy"))) as http:
        assert http.get("/x%0ay").json()["name"] == "legacy"
    assert [line for line in said() if "raised" in line] == [
        r"GET /x\ny: main raised after its answer; the fallback is asked"
    ]


def test_main_that_raises_before_is_a_500(tell: Tell, client: Client, said: Said) -> None:
    async def break_down(scope: Scope, receive: Receive, send: Send) -> None:
        raise RuntimeError("at once")

    with client(portway.Fallback(answers(404, before=break_down), tell("legacy"))) as http:
        assert http.get("/").status_code == 500
    assert "GET /: the application raised RuntimeError" in said()


def test_messages_of_main_are_checked_as_ever(tell: Tell, client: Client, said: Said) -> None:
    async def too_soon(scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.body"})

    with client(portway.Fallback(answers(404, before=too_soon), tell("legacy"))) as http:
        assert http.get("/").status_code == 500
    assert any("http.response.body came out of order" in line for line in said())


def test_a_fallback_that_raises_is_a_500(client: Client) -> None:
    async def break_down(scope: Scope, receive: Receive, send: Send) -> None:
        raise RuntimeError("legacy, too")

    with client(portway.Fallback(answers(404), answers(200, before=break_down))) as http:
        assert http.get("/").status_code == 500


# --- the body ---


@pytest.mark.parametrize("http2", [False, True])
@pytest.mark.parametrize("size", [0, 1, 65536, MiB, MiB + 1, 5 * MiB])
@pytest.mark.parametrize("chunked", [False, True])
def test_the_body_is_replayed_whole(client: Client, size: int, chunked: bool, http2: bool) -> None:
    data = os.urandom(size)
    with client(portway.Fallback(answers(404, before=read_all), counting), http2) as http:
        content = (data[at : at + 50_000] for at in range(0, size, 50_000)) if chunked else data
        assert http.post("/", content=content).json() == digest(data)


def test_what_main_did_not_read_comes_from_the_client(client: Client) -> None:
    async def read_once(scope: Scope, receive: Receive, send: Send) -> None:
        await receive()

    data = os.urandom(5 * MiB)
    for before in (None, read_once):
        app = portway.Fallback(answers(404, before=before), counting, fallback_buffer=MiB)
        with client(app) as http:
            assert http.post("/", content=iter([data])).json() == digest(data)


def test_a_body_too_long_for_the_buffer_stays_with_main_and_one_line_says_why(client: Client, said: Said) -> None:
    data = os.urandom(300_000)
    app = portway.Fallback(answers(404, before=read_all), counting, fallback_buffer=300_000)
    with client(app) as http:
        assert http.post("/x", content=iter([data])).json() == digest(data)
        for content in (data + b"!", iter([data, b"!"])):
            response = http.post("/x", content=content)
            assert (response.status_code, response.text) == (404, "main's own")
    reason = "not handed to the fallback, since its body is longer than the fallback buffer of 300000 bytes"
    assert [line for line in said() if "handed" in line] == [f"POST /x: {reason}"] * 2


def test_main_that_reads_on_after_its_404_fills_no_more_than_the_buffer(client: Client) -> None:
    sizes = []

    async def read_on(scope: Scope, receive: Receive, send: Send) -> None:
        size = 0
        while (message := await receive())["type"] == "http.request":
            size += len(message["body"])
        sizes.append(size)

    async def main(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            raise NotImplementedError
        await send({"type": "http.response.start", "status": 404})
        await read_on(scope, receive, send)
        await send({"type": "http.response.body"})

    data = os.urandom(3 * MiB)
    with client(portway.Fallback(main, counting, fallback_buffer=MiB)) as http:
        assert http.post("/", content=iter([data])).json() == digest(data)
    assert MiB <= sizes[0] < MiB + 100_000


def test_expect_continue_is_answered_once(client: Client) -> None:
    app = portway.Fallback(answers(404, before=read_all), counting)
    with serve(app) as served, Raw(served.host, served.port) as raw:
        raw.send(b"POST / HTTP/1.1\r\nhost: a\r\nexpect: 100-continue\r\ncontent-length: 3\r\n\r\n")
        assert raw.interim().status == 100
        raw.send(b"abc")
        assert raw.interim().status == 200


def test_requests_share_nothing() -> None:
    async def main() -> None:
        app = portway.Fallback(answers(404, before=read_all), counting)
        bodies = [os.urandom(size) for size in (0, 7, 2 * MiB, 3 * MiB, 100_000, 2 * MiB)]
        async with serve(app) as served, httpx.AsyncClient(base_url=served.url, timeout=30) as http:
            found = await asyncio.gather(*[http.post("/", content=data) for data in bodies])
        assert [response.json() for response in found] == [digest(data) for data in bodies]

    asyncio.run(main())


# --- who goes ---


def test_a_client_that_went_is_replayed_too() -> None:
    heard: list[Any] = []
    begun, over = threading.Event(), threading.Event()

    async def until_gone(scope: Scope, receive: Receive, send: Send) -> None:
        begun.set()
        while (await receive())["type"] != "http.disconnect":
            pass

    async def legacy(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            raise NotImplementedError
        for _ in range(3):
            message = await receive()
            heard.append(message.get("body", message["type"]))
        over.set()

    with serve(portway.Fallback(answers(404, before=until_gone), legacy)) as served:
        with Raw(served.host, served.port) as raw:
            raw.send(b"POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 10\r\n\r\nabc")
            assert begun.wait(20)
        assert over.wait(20)
    assert heard == [b"abc", "http.disconnect", "http.disconnect"]


def test_a_client_that_goes_while_the_fallback_works_is_told() -> None:
    begun, over = threading.Event(), threading.Event()

    async def legacy(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            raise NotImplementedError
        assert (await receive())["body"] == b"abc"
        begun.set()
        if (await receive())["type"] == "http.disconnect":
            over.set()

    async def watching(scope: Scope, receive: Receive, send: Send) -> None:
        """Leaves a call of receive under way, which the fallback takes over."""
        await read_all(scope, receive, send)
        watch = asyncio.ensure_future(receive())
        await asyncio.sleep(0)
        watch.cancel()

    for before in (read_all, watching):
        begun.clear()
        over.clear()
        with serve(portway.Fallback(answers(404, before=before), legacy)) as served:
            with Raw(served.host, served.port) as raw:
                raw.send(b"POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 3\r\n\r\nabc")
                assert begun.wait(20)
            assert over.wait(20)


@pytest.mark.parametrize("where", ["main", "legacy"])
def test_a_cancelled_request_leaves_no_task_and_no_file(
    where: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:  # fmt: skip
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    monkeypatch.setattr(tempfile, "_O_TMPFILE_WORKS", False, raising=False)  # so that files would be seen
    opened: list[Any] = []
    make = tempfile.TemporaryFile

    def noted(**rest: Any) -> Any:
        opened.append(make(**rest))
        return opened[-1]

    monkeypatch.setattr(tempfile, "TemporaryFile", noted)
    waiting = asyncio.Event()

    async def wait(scope: Scope, receive: Receive, send: Send) -> None:
        await read_all(scope, receive, send)
        watch = asyncio.ensure_future(receive())
        await asyncio.sleep(0)
        waiting.set()
        try:
            await watch
        finally:
            watch.cancel()

    async def main() -> None:
        in_main = (answers(404, before=wait), counting)
        in_legacy = (answers(404, before=read_all), answers(200, before=wait))
        app = portway.Fallback(*(in_main if where == "main" else in_legacy))
        messages = [{"type": "http.request", "body": b"x" * MiB, "more_body": True}] * 3
        messages.append({"type": "http.request", "body": b"", "more_body": False})

        async def receive() -> Any:
            if messages:
                return messages.pop(0)
            await asyncio.Event().wait()

        async def send(message: Any) -> None: ...

        scope = {"type": "http", "method": "GET", "path": "/", "headers": []}
        task = asyncio.ensure_future(app(scope, receive, send))
        await waiting.wait()
        before = asyncio.all_tasks()
        task.cancel()
        await asyncio.wait([task])
        assert task.cancelled()
        assert asyncio.all_tasks() - before == set()
        await asyncio.sleep(0)
        left = {each.get_name() for each in asyncio.all_tasks()}
        assert "portway-receive" not in left
        await asyncio.get_running_loop().shutdown_default_executor()

    asyncio.run(main())
    assert opened
    assert all(file.closed for file in opened)
    assert glob.glob(str(tmp_path / "*")) == []


def test_a_disk_that_is_full_leaves_the_request_with_main(
    client: Client, said: Said, monkeypatch: pytest.MonkeyPatch
) -> None:  # fmt: skip
    def full(**rest: Any) -> Any:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(tempfile, "TemporaryFile", full)
    with client(portway.Fallback(answers(404, before=read_all), counting)) as http:
        response = http.post("/", content=iter([b"x" * 3 * MiB]))
        assert (response.status_code, response.text) == (404, "main's own")
    assert any("since its body could not be kept: [Errno 28] No space left on device" in line for line in said())


# --- frameworks ---


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
def test_routes_of_a_framework_move_one_at_a_time(client: Client, http2: bool) -> None:
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
