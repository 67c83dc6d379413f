"""Each application has a lifespan and a state of its own, whoever serves them."""

import asyncio
import contextlib
import re
import threading
from collections.abc import AsyncIterator, Callable
from typing import Any

import httpx
import pytest
from fastapi import FastAPI, Request
from quart import Quart
from starlette.applications import Starlette
from starlette.routing import Mount
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus

import portway
from portway.testing import serve
from portway.types import Receive, Scope, Send

Client = Callable[..., Any]
Said = Callable[..., list[str]]


# --- their course ---


def test_they_are_started_in_order_and_stopped_in_reverse(living: Any, client: Client) -> None:
    diary: list[str] = []
    names = ("/c", "/a", "b.example/", "/")
    with client(portway.Mounts({name: living(name, diary) for name in names})) as http:
        assert diary == ["/c up", "/a up", "b.example/ up", "/ up"]
        http.get("/a")
    assert diary[4:] == ["/a asked", "/ down", "b.example/ down", "/a down", "/c down"]


def test_each_has_its_own_state_of_which_each_request_has_a_copy(living: Any, client: Client) -> None:
    app = portway.Mounts({"/a": living("a", []), "/": living("main", [])})
    with client(app) as http:
        assert [http.get(path).json()["state"]["of"] for path in ("/a", "/")] == ["a", "main"]

    async def spoils(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await receive()
            scope["state"]["n"] = 0
            await send({"type": "lifespan.startup.complete"})
            await receive()
            await send({"type": "lifespan.shutdown.complete"})
            return
        scope["state"]["n"] += 1
        await send({"type": "http.response.start", "status": 200})
        await send({"type": "http.response.body", "body": b"%d" % scope["state"]["n"]})

    with client(portway.Mounts({"/": spoils})) as http:
        assert [http.get("/").text for _ in range(2)] == ["1", "1"]


def test_an_application_without_a_lifespan_is_served_and_has_no_state(tell: Any, living: Any, client: Client) -> None:
    with client(portway.Mounts({"/none": tell("none"), "/": living("main", [])})) as http:
        found = http.get("/none").json()
        assert (found["name"], found["state"], found["held"]) == ("none", None, "nothing")


def test_context_variables_of_a_startup_are_seen_by_its_own_requests_alone(living: Any, client: Client) -> None:
    with client(portway.Mounts({"/a": living("a", []), "/": living("main", [])})) as http:
        assert [http.get(path).json()["held"] for path in ("/a", "/", "/a")] == ["a", "main", "a"]


def test_one_application_in_two_places_has_one_lifespan(living: Any, client: Client) -> None:
    diary: list[str] = []
    same = living("same", diary)
    with client(portway.Mounts({"/a": same, "/b": same})):
        pass
    assert diary == ["same up", "same down"]


def test_one_application_in_mounts_and_fallbacks_has_one_lifespan(living: Any, client: Client, said: Said) -> None:
    diary: list[str] = []
    legacy, main = living("legacy", diary), living("main", diary, status=404)
    app = portway.Mounts({"/old": legacy, "/": portway.Fallback(main, legacy)})
    with client(app, access_log=True) as http:
        assert [http.get(path).json()["held"] for path in ("/old", "/")] == ["legacy", "legacy"]
    assert [line for line in diary if "asked" not in line] == ["legacy up", "main up", "main down", "legacy down"]
    assert [line.rpartition(" ")[2] for line in said("portway.access")] == ["/old", "fallback"]


def test_mounts_may_be_served_again(living: Any, client: Client) -> None:
    diary: list[str] = []
    app = portway.Mounts({"/": living("main", diary)})
    for _ in range(2):
        with client(app) as http:
            assert http.get("/").json()["state"]["of"] == "main"
    assert diary == ["main up", "main asked", "main down"] * 2


def test_two_loops_have_a_life_each(living: Any, client: Client) -> None:
    diary: list[str] = []
    app = portway.Mounts({"/": living("main", diary)})
    with client(app) as one, client(app) as other:
        assert [http.get("/").status_code for http in (one, other)] == [200, 200]
        assert diary.count("main up") == 2
    assert diary.count("main down") == 2


def test_lifespans_of_frameworks_run(client: Client) -> None:
    diary: list[str] = []

    @contextlib.asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[dict[str, str]]:
        diary.append("fastapi up")
        yield {"pool": "of fastapi"}
        diary.append("fastapi down")

    on_fastapi = FastAPI(lifespan=lifespan)

    @on_fastapi.get("/")
    async def pool(request: Request) -> str:
        return str(request.state.pool)

    on_quart = Quart("quart")

    @on_quart.before_serving
    async def up() -> None:
        diary.append("quart up")

    @on_quart.after_serving
    async def down() -> None:
        diary.append("quart down")

    with client(portway.Mounts({"/q": on_quart, "/": on_fastapi})) as http:
        assert http.get("/").json() == "of fastapi"
    assert diary == ["quart up", "fastapi up", "fastapi down", "quart down"]


# --- their failures ---


def test_one_that_fails_is_named_and_those_before_it_are_stopped(living: Any) -> None:
    diary: list[str] = []
    names = {"/a": "", "/old": "no database", "/": ""}
    app = portway.Mounts(
        {name: living(name, diary, fails) for name, fails in names.items()}, names={"/old": "shop:app"}
    )
    with pytest.raises(portway.LifespanFailed) as caught, serve(app):
        pass
    assert str(caught.value).endswith("the application at /old (shop:app): startup failed: no database")
    assert diary == ["/a up", "/old fails", "/a down"]


def test_one_that_raises_is_named_with_its_traceback(living: Any, said: Said) -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await receive()
        raise ValueError("no port")

    reason = r"at /old .*: startup raised ValueError: no port"
    with pytest.raises(portway.LifespanFailed, match=reason), serve(portway.Mounts({"/old": app})):
        pass
    assert any("raise ValueError" in line for line in said())


def test_isolated_one_answers_503_and_the_others_are_served(living: Any, client: Client, said: Said) -> None:
    diary: list[str] = []
    members = {"/a": living("a", diary), "/old": living("old", diary, "no database"), "/": living("main", diary)}
    with client(portway.Mounts(members, mount_failure="isolate")) as http:
        assert diary == ["a up", "old fails", "main up"]
        response = http.get("/old/x")
        assert (response.status_code, response.headers["retry-after"]) == (503, "30")
        assert response.text.startswith("This application is not available")
        assert [http.get(path).json()["name"] for path in ("/a", "/")] == ["a", "main"]
    assert diary[-2:] == ["main down", "a down"]
    assert [line for line in said() if "503" in line] == [
        "the application at /old (/old): startup failed: no database; it answers 503, the others are served"
    ]


def test_a_websocket_of_an_isolated_one_is_refused_with_503(living: Any) -> None:
    async def main() -> None:
        app = portway.Mounts({"/old": living("old", [], "no database")}, mount_failure="isolate")
        async with serve(app) as served:
            with pytest.raises(InvalidStatus) as refused:
                async with connect(served.url.replace("http", "ws") + "/old"):
                    pass
            assert refused.value.response.status_code == 503

    asyncio.run(main())


def test_a_shutdown_that_fails_is_named_and_the_others_are_stopped(living: Any, client: Client, said: Said) -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await receive()
        await send({"type": "lifespan.startup.complete"})
        await receive()
        await send({"type": "lifespan.shutdown.failed", "message": "still busy"})

    diary: list[str] = []
    with client(portway.Mounts({"/a": living("a", diary), "/b": app})):
        pass
    assert diary == ["a up", "a down"]
    assert any("the application at /b (/b): shutdown failed: still busy" in line for line in said())


def test_a_stop_amid_the_startup_stops_those_that_were_started(living: Any) -> None:
    diary: list[str] = []
    reached = threading.Event()

    async def slow(scope: Scope, receive: Receive, send: Send) -> None:
        await receive()
        reached.set()
        try:
            await asyncio.Event().wait()
        finally:
            diary.append("slow cancelled")

    async def main() -> None:
        app = portway.Mounts({"/a": living("a", diary), "/slow": slow, "/": living("main", diary)})
        server = portway.Server(app, portway.Settings(port=0, timeout_graceful_shutdown=0))
        serving = asyncio.ensure_future(server.serve())
        await asyncio.to_thread(reached.wait, 20)
        server.stop()
        await serving

    asyncio.run(main())
    assert diary == ["a up", "slow cancelled", "a down"]


# --- where no lifespan comes ---


def test_within_starlette_each_starts_at_its_first_request(living: Any, client: Client) -> None:
    diary: list[str] = []
    inner = portway.Mounts({"/a": living("a", diary), "/b": living("b", diary)})
    with client(Starlette(routes=[Mount("/in", inner)])) as http:
        assert diary == []
        for _ in range(2):
            found = http.get("/in/a").json()
            assert (found["state"]["of"], found["held"]) == ("a", "a")
        assert diary == ["a up", "a asked", "a asked"]
        assert http.get("/in/b").json()["state"]["of"] == "b"
    assert sorted(diary[3:]) == ["a down", "b asked", "b down", "b up"]  # with the loop they end


def test_requests_that_come_together_wait_for_one_startup(living: Any) -> None:
    entered, leave = asyncio.Event(), asyncio.Event()
    diary: list[str] = []

    class Slow(living):  # type: ignore[misc]
        async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
            if scope["type"] == "lifespan":
                diary.append("begun")
                entered.set()
                await leave.wait()
            await super().__call__(scope, receive, send)

    async def main() -> None:
        inner = portway.Mounts({"/": Slow("slow", diary)})
        async with (
            serve(Starlette(routes=[Mount("/in", inner)]), cancel_on_disconnect=True) as served,
            httpx.AsyncClient(base_url=served.url, timeout=20) as http,
        ):
            first = asyncio.ensure_future(http.get("/in/"))
            await entered.wait()
            first.cancel()  # its client goes, and the startup goes on for the others
            others = [asyncio.ensure_future(http.get("/in/")) for _ in range(5)]
            await http.get("/nowhere")
            leave.set()
            assert {response.json()["state"]["of"] for response in await asyncio.gather(*others)} == {"slow"}
        assert (diary.count("begun"), diary.count("slow up")) == (1, 1)

    asyncio.run(main())


def test_a_first_request_whose_startup_fails_is_a_503_and_one_line(living: Any, client: Client, said: Said) -> None:
    diary: list[str] = []
    inner = portway.Mounts({"/a": living("a", diary, "no database"), "/b": living("b", diary)})
    with client(Starlette(routes=[Mount("/in", inner)])) as http:
        assert [http.get(f"/in/{name}").status_code for name in "aab"] == [503, 503, 200]
    assert diary.count("a fails") == 1
    lines = [line for line in said() if "the application at /a" in line]
    assert lines == ["the application at /a (/a): startup failed: no database; it answers 503"]


def test_an_outer_lifespan_may_start_and_stop_them(living: Any, client: Client) -> None:
    diary: list[str] = []
    inner = portway.Mounts({"/a": living("a", diary), "/b": living("b", diary)})

    @contextlib.asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        async with inner:
            yield

    with client(Starlette(routes=[Mount("/in", inner)], lifespan=lifespan)) as http:
        assert diary == ["a up", "b up"]
        http.get("/in/a")
    assert diary == ["a up", "b up", "a asked", "b down", "a down"]


def test_a_startup_that_a_request_begins_sees_nothing_of_that_request(client: Client) -> None:
    from contextvars import ContextVar

    mark: ContextVar[str] = ContextVar("mark", default="none")
    seen: list[str] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            seen.append(mark.get())
            raise NotImplementedError
        seen.append(mark.get())
        await send({"type": "http.response.start", "status": 204})
        await send({"type": "http.response.body"})

    inner = portway.Mounts({"/": app})

    async def outer(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            raise NotImplementedError
        mark.set("of the request")
        await inner(scope, receive, send)

    with client(outer) as http:
        http.get("/")
    assert seen == ["none", "of the request"]


# --- from the command line ---

LIVING = """
async def app(scope, receive, send):
    if scope["type"] == "lifespan":
        await receive()
        print(NAME, "up", flush=True)
        if NAME == FAILS:
            raise RuntimeError("no database")
        await send({"type": "lifespan.startup.complete"})
        await receive()
        print(NAME, "down", flush=True)
        await send({"type": "lifespan.shutdown.complete"})
        return
    await send({"type": "http.response.start", "status": 404 if NAME == "main" else 200})
    await send({"type": "http.response.body", "body": NAME.encode()})
"""


def source(name: str, fails: str = "") -> str:
    return LIVING.replace("NAME", repr(name)).replace("FAILS", repr(fails))


def test_a_failing_mount_ends_the_process_with_code_3(portway_command: Any, tmp_path: Any) -> None:
    (tmp_path / "legacy.py").write_text(source("legacy", "legacy"))
    command = portway_command(source("main"), "--port", "0", "--mount", "/old=legacy:app")
    assert command.ends() == 3
    assert command.out.all() == "main up\nlegacy up\nmain down\n"
    assert "the application at /old (legacy:app): startup raised RuntimeError: no database" in command.err.all()


def test_a_failing_fallback_is_named_and_may_be_isolated(portway_command: Any, tmp_path: Any) -> None:
    (tmp_path / "legacy.py").write_text(source("legacy", "legacy"))
    command = portway_command(source("main"), "--port", "0", "--fallback", "legacy:app")
    assert command.ends() == 3
    assert "the fallback (legacy:app): startup raised RuntimeError: no database" in command.err.all()
    args = ("--fallback", "legacy:app", "--mount", "/x=main:app", "--mount-failure", "isolate")
    command = portway_command(source("main"), "--port", "0", *args).up()
    assert httpx.get(command.url).status_code == 503
    assert httpx.get(command.url + "/x").text == "main"
    assert command.ends(15) == 0
    assert command.out.all().count("main up\n") == command.out.all().count("main down\n") == 1


@pytest.mark.parametrize("place", ["mount", "fallback"])
def test_each_has_the_whole_time_for_its_startup(portway_command: Any, tmp_path: Any, place: str) -> None:
    slow = "import asyncio\n" + source("slow").replace("await receive()", "await asyncio.Event().wait()", 1)
    (tmp_path / "slow.py").write_text(slow)
    args = ("--mount", "/s=slow:app") if place == "mount" else ("--fallback", "slow:app")
    command = portway_command(source("main"), "--port", "0", "--timeout-startup", "0.3", *args)
    assert command.ends() == 3
    assert re.search(r"\(slow:app\): did not complete its startup within 0.3 s", command.err.all())
