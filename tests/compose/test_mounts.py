"""Several applications on one port: which one is asked, and what it sees."""

import asyncio
import json
from collections.abc import Callable
from typing import Any

import httpx
import pytest
from fastapi import FastAPI, Request, WebSocket
from quart import Quart, websocket
from starlette.applications import Starlette
from starlette.responses import JSONResponse
from starlette.routing import Mount, Route
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus

import portway
from portway.testing import Raw, serve
from portway.types import Receive, Scope, Send

Tell = Callable[..., Any]
Client = Callable[..., Any]


def asked(http: httpx.Client, path: str, **rest: Any) -> dict[str, Any]:
    found: dict[str, Any] = http.get(path, **rest).json()
    return found


async def first_word(url: str, **rest: Any) -> dict[str, Any]:
    async with connect(url, **rest) as socket:
        await socket.send("who?")
        found: dict[str, Any] = json.loads(await socket.recv())
        return found


# --- what an application sees ---


@pytest.mark.parametrize("http2", [False, True])
def test_each_sees_its_own_root_and_the_path_as_it_came(tell: Tell, client: Client, http2: bool) -> None:
    app = portway.Mounts({"/old": tell("old"), "/old/er": tell("older"), "/": tell("main")})
    with client(app, http2) as http:
        found = asked(http, "/old/x%20y?z")
        assert (found["name"], found["root_path"], found["path"]) == ("old", "/old", "/old/x y")
        assert found["raw_path"] == "/old/x%20y"
        assert (asked(http, "/old/er")["name"], asked(http, "/old/er/")["root_path"]) == ("older", "/old/er")
        found = asked(http, "/older")
        assert (found["name"], found["root_path"], found["path"]) == ("main", "", "/older")


def test_root_path_and_mounts_add_up(tell: Tell, client: Client) -> None:
    app = portway.Mounts({"/old": tell("old"), "/": tell("main")})
    with client(app, root_path="/shop") as http:
        found = asked(http, "/old/x")
        assert (found["root_path"], found["path"], found["raw_path"]) == ("/shop/old", "/shop/old/x", "/shop/old/x")
        assert asked(http, "/x")["root_path"] == "/shop"
    with client(app, root_path="/") as http:
        assert asked(http, "/old/x")["root_path"] == "/old"


def test_prefixes_are_compared_decoded(tell: Tell, client: Client) -> None:
    app = portway.Mounts({"/caf%C3%A9": tell("coffee"), "/": tell("main")})
    with client(app) as http:
        found = asked(http, "/café/x")
        assert (found["name"], found["root_path"], found["raw_path"]) == ("coffee", "/café", "/caf%C3%A9/x")


@pytest.mark.parametrize(
    ("target", "name", "path"),
    [
        ("/old%2Fx", "old", "/old/x"),  # an application could not tell it from /old/x: `path` is decoded
        ("/%6fld", "old", "/old"),
        ("//old", "main", "//old"),
        ("/old/../x", "old", "/old/../x"),  # as it came: what is in it is the application's to judge
        ("/old/%2e%2e/x", "old", "/old/../x"),
        ("/x/../old", "main", "/x/../old"),
        ("/old%00", "main", "/old\0"),
        ("/old;x", "main", "/old;x"),
        ("http://other.example/old/x", "old", "/old/x"),
    ],
)
def test_odd_targets_reach_one_application_and_say_what_they_said(
    tell: Tell, target: str, name: str, path: str
) -> None:
    app = portway.Mounts({"/old": tell("old"), "/": tell("main")})
    with serve(app) as served, Raw(served.host, served.port) as raw:
        found = json.loads(raw.ask(f"GET {target} HTTP/1.1\r\nhost: other.example\r\n\r\n".encode()).body)
    assert (found["name"], found["path"]) == (name, path)


def test_hosts_are_told_apart_on_both_versions(tell: Tell, client: Client) -> None:
    app = portway.Mounts({"api.example.org/": tell("api"), "*.example.org/": tell("any"), "/": tell("main")})
    for http2 in (False, True):
        with client(app, http2) as http:
            for host, name in (("API.example.org:81", "api"), ("x.example.org", "any"), ("example.org", "main")):
                assert asked(http, "/", headers={"host": host})["name"] == name


def test_what_no_key_takes_is_a_404(tell: Tell, client: Client) -> None:
    app = portway.Mounts({"/old": tell("old")})
    with client(app) as http:
        response = http.get("/older")
        assert (response.status_code, response.text) == (404, "Not Found\n")
        assert response.headers["content-type"] == "text/plain; charset=utf-8"
        assert http.request("HEAD", "/").status_code == 404


def test_nothing_of_one_request_is_another_ones(client: Client) -> None:
    seen = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            raise NotImplementedError
        seen.append(dict(scope))
        scope["root_path"] = "/changed"
        await send({"type": "http.response.start", "status": 204})
        await send({"type": "http.response.body"})

    with client(portway.Mounts({"/a": app})) as http:
        http.get("/a")
        http.get("/a")
    assert [scope["root_path"] for scope in seen] == ["/a", "/a"]


# --- WebSockets ---


def test_websockets_are_mounted_too(tell: Tell) -> None:
    async def main() -> None:
        app = portway.Mounts({"/old": tell("old"), "a.example/": tell("host"), "/": tell("main")})
        async with serve(app) as served:
            url = served.url.replace("http", "ws")
            found = await first_word(f"{url}/old/chat")
            assert (found["name"], found["root_path"], found["path"]) == ("old", "/old", "/old/chat")
            assert (await first_word(f"{url}/older"))["name"] == "main"
            port = served.port
            found = await first_word(f"ws://a.example:{port}/old", host=served.host, port=port)
            assert (found["name"], found["root_path"]) == ("host", "")

    asyncio.run(main())


def test_a_websocket_that_no_key_takes_is_refused(tell: Tell) -> None:
    async def main() -> None:
        async with serve(portway.Mounts({"/old": tell("old")})) as served:
            with pytest.raises(InvalidStatus) as refused:
                await first_word(served.url.replace("http", "ws") + "/older")
            assert refused.value.response.status_code == 403

    asyncio.run(main())


# --- frameworks ---


def on_fastapi() -> FastAPI:
    app = FastAPI()

    @app.get("/where/{name}")
    async def where(name: str, request: Request) -> dict[str, str]:
        return {"of": "fastapi", "name": name, "url": str(request.url_for("where", name="x").path)}

    @app.websocket("/chat")
    async def chat(socket: WebSocket) -> None:
        await socket.accept()
        await socket.send_json({"of": "fastapi", "heard": await socket.receive_text()})
        await socket.close()

    return app


def on_starlette() -> Starlette:
    async def where(request: Request) -> JSONResponse:
        name = request.path_params["name"]
        return JSONResponse({"of": "starlette", "name": name, "url": request.url_for("where", name="x").path})

    return Starlette(routes=[Route("/where/{name}", where)])


def on_quart() -> Quart:
    app = Quart("on_quart")

    @app.get("/where/<name>")
    async def where(name: str) -> dict[str, str]:
        from quart import url_for

        return {"of": "quart", "name": name, "url": url_for("where", name="x")}

    @app.websocket("/chat")
    async def chat() -> None:
        await websocket.send_json({"of": "quart", "heard": await websocket.receive()})

    return app


FRAMEWORKS = {"/f": "fastapi", "/s/t": "starlette", "/q": "quart"}


def frameworks() -> portway.Mounts:
    return portway.Mounts({"/f": on_fastapi(), "/s/t": on_starlette(), "/q": on_quart()})


def test_frameworks_route_and_make_urls_below_their_mount(client: Client) -> None:
    with client(frameworks()) as http:
        for prefix, name in FRAMEWORKS.items():
            assert asked(http, f"{prefix}/where/x") == {"of": name, "name": "x", "url": f"{prefix}/where/x"}
            assert http.get(f"{prefix}/nowhere").status_code == 404


def test_websockets_of_frameworks_are_mounted_too() -> None:
    async def main() -> None:
        async with serve(frameworks()) as served:
            for prefix, name in (("/f", "fastapi"), ("/q", "quart")):
                found = await first_word(served.url.replace("http", "ws") + f"{prefix}/chat")
                assert found == {"of": name, "heard": "who?"}

    asyncio.run(main())


def test_mounts_may_be_mounted_in_starlette(tell: Tell, client: Client) -> None:
    inner = portway.Mounts({"/old": tell("old"), "/": on_starlette()})
    with client(Starlette(routes=[Mount("/in", inner)])) as http:
        found = asked(http, "/in/old/x")
        assert (found["root_path"], found["path"]) == ("/in/old", "/in/old/x")
        assert asked(http, "/in/where/x")["of"] == "starlette"


def test_mounts_may_be_mounted_in_mounts(tell: Tell, client: Client) -> None:
    app = portway.Mounts({"/a": portway.Mounts({"/b": tell("inner"), "/": tell("between")}), "/": tell("main")})
    with client(app) as http:
        assert asked(http, "/a/b/c")["root_path"] == "/a/b"
        assert [asked(http, path)["name"] for path in ("/a/b", "/a/x", "/b")] == ["inner", "between", "main"]


# --- under other servers ---


async def on_hypercorn(app: Any, port: int, until: asyncio.Event) -> None:
    from hypercorn.asyncio import serve as hypercorn_serve
    from hypercorn.config import Config

    config = Config()
    config.bind = [f"127.0.0.1:{port}"]
    await hypercorn_serve(app, config, shutdown_trigger=until.wait)  # type: ignore[arg-type]


async def on_uvicorn(app: Any, port: int, until: asyncio.Event) -> None:
    import uvicorn

    server = uvicorn.Server(uvicorn.Config(app, port=port, log_config=None, ws="none"))
    server.install_signal_handlers = lambda: None  # type: ignore[attr-defined]
    serving = asyncio.ensure_future(server._serve() if hasattr(server, "_serve") else server.serve())
    await until.wait()
    server.should_exit = True
    await serving


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("server", ["hypercorn", "uvicorn"])
def test_mounts_are_plain_asgi_under_any_server(living: Any, unused_port: int, server: str) -> None:
    pytest.importorskip(server)
    diary: list[str] = []
    app = portway.Mounts({"/old": living("old", diary), "/": living("main", diary)})
    run = {"hypercorn": on_hypercorn, "uvicorn": on_uvicorn}[server]

    async def main() -> None:
        until = asyncio.Event()
        serving = asyncio.ensure_future(run(app, unused_port, until))
        transport = httpx.AsyncHTTPTransport(retries=8)
        async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{unused_port}", transport=transport) as http:
            found = (await http.get("/old/x")).json()
            assert (found["name"], found["root_path"], found["path"]) == ("old", "/old", "/old/x")
            assert (found["state"]["of"], found["held"]) == ("old", "old")
            assert (await http.get("/x")).json()["held"] == "main"
        until.set()
        await serving

    asyncio.run(main())
    assert diary == ["old up", "main up", "old asked", "main asked", "main down", "old down"]


# --- what is no mount ---


def test_wrong_applications_are_said_with_their_path(tell: Tell) -> None:
    with pytest.raises(TypeError, match="mount /old: int object cannot be called"):
        portway.Mounts({"/old": 3})  # type: ignore[dict-item]
    with pytest.raises(TypeError, match="dict of paths and applications, and not a list"):
        portway.Mounts([tell("a")])  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="must be a str"):
        portway.Mounts({1: tell("a")})  # type: ignore[dict-item]
    with pytest.raises(portway.SettingsError, match="there is no application"):
        portway.Mounts({})
    with pytest.raises(portway.SettingsError, match="/old is there twice"):
        portway.Mounts({"/old": tell("a"), "/old/": tell("b")})
    with pytest.raises(portway.SettingsError, match="mount_failure: 'no' is not one of the choices"):
        portway.Mounts({"/": tell("a")}, mount_failure="no")  # type: ignore[arg-type]


def test_asgi2_applications_are_mounted(client: Client) -> None:
    def app(scope: Scope) -> Any:
        async def instance(receive: Receive, send: Send) -> None:
            await send({"type": "http.response.start", "status": 200})
            await send({"type": "http.response.body", "body": scope["root_path"].encode()})

        if scope["type"] == "lifespan":
            raise NotImplementedError
        return instance

    with client(portway.Mounts({"/two": app})) as http:
        assert http.get("/two/x").text == "/two"


def test_mounts_say_what_they_are(tell: Tell) -> None:
    app = portway.Mounts({"/": tell("a"), "h.example/x": tell("b"), "/old": tell("c")})
    assert repr(app) == "<Mounts h.example/x, /old, />"
