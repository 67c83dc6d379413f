"""What the settings name beside the main application: loaded, served, told in the log and by `portway routes`."""

import asyncio
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest
from click.testing import CliRunner, Result
from websockets.asyncio.client import connect

import portway
from portway import Settings
from portway.cli.root import root
from portway.config.load import load
from portway.testing import serve

Said = Callable[..., list[str]]
Client = Callable[..., Any]

TELLER = """
async def app(scope, receive, send):
    if scope["type"] == "lifespan":
        raise NotImplementedError
    if scope["type"] == "websocket":
        await receive()
        await send({"type": "websocket.accept"})
        await receive()
        return
    status = 404 if NAME == "main" and "basket" in scope["path"] else 200
    await send({"type": "http.response.start", "status": status})
    await send({"type": "http.response.body", "body": f"{NAME} {scope['root_path']} {scope['path']}".encode()})

def two(scope):
    async def instance(receive, send):
        await app(scope, receive, send)
    return instance

def make():
    return app

def legacy_wsgi(environ, start_response):
    return []
"""


@pytest.fixture
def shop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with applications, each in a module of its own; the current one."""
    monkeypatch.chdir(tmp_path)
    for name in ("main", "legacy", "api"):
        # Modules stay imported, so that each test's have names of their own.
        (tmp_path / f"{name}_{tmp_path.name}.py").write_text(TELLER.replace("NAME", repr(name)))
    return tmp_path


@pytest.fixture
def named(shop: Path) -> Callable[[str], str]:
    """A target in the folder."""
    return lambda target: re.sub(r"\b(main|legacy|api)(?=:)", rf"\1_{shop.name}", target)


def test_settings_name_what_is_served_beside_the_application(named: Any, client: Client) -> None:
    mounts = ("/old=legacy:app", "/two = api:two", "/made=api:make()", "api.example.org/=api:app")
    with client(named("main:app"), mount=tuple(map(named, mounts))) as http:
        for path, text in (
            ("/x", "main  /x"),
            ("/old/x", "legacy /old /old/x"),
            ("/two", "api /two /two"),
            ("/made", "api /made /made"),
        ):
            assert http.get(path).text == text
        assert http.get("/old", headers={"host": "api.example.org"}).text == "api  /old"
    with client(named("main:app"), fallback=named("legacy:app"), root_path="/r") as http:
        assert [http.get(path).text for path in ("/", "/basket")] == ["main /r /r/", "legacy /r /r/basket"]


def test_an_object_may_have_others_beside_it(tell: Any, named: Any, client: Client) -> None:
    with client(tell("mine"), mount=(named("/old=legacy:app"),)) as http:
        assert http.get("/").json()["name"] == "mine"
        assert http.get("/old").text.startswith("legacy")


def test_mount_and_fallback_of_one_application_have_one_lifespan(living: Any, shop: Path, client: Client) -> None:
    (shop / f"living_{shop.name}.py").write_text("app = None")
    import importlib
    import sys

    sys.path.insert(0, str(shop))
    diary: list[str] = []
    importlib.import_module(f"living_{shop.name}").app = living("old", diary)  # type: ignore[attr-defined]
    target = f"living_{shop.name}:app"
    with client(living("main", diary, status=404), mount=(f"/old={target}",), fallback=target) as http:
        assert [http.get(path).json()["name"] for path in ("/", "/old")] == ["old", "old"]
    assert [line for line in diary if "asked" not in line] == ["main up", "old up", "old down", "main down"]


# --- what is refused ---


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"mount": ("/old",)}, "mount: '/old' is no mount; write path and target"),
        ({"mount": ("=main:app",)}, "is no mount"),
        ({"mount": ("/old=",)}, "is no mount"),
        ({"mount": ("old=legacy:app",)}, "has no slash in its path; write /old=legacy:app, or old/=legacy:app"),
        ({"mount": ("/a=x:app", "/a=y:app")}, "mount: /a is there twice"),
        ({"mount": {"/a": 3}}, "mount: /a = 3 is not a text"),
        ({"mount_failure": "ignore"}, "mount_failure: 'ignore' is not one of the choices; write stop or isolate"),
        ({"fallback_on": (404, 200)}, "fallback_on: 200 is no error of HTTP"),
        ({"fallback_on": "404;405"}, "fallback_on: '404;405' is not a whole number"),
        ({"fallback_buffer": "lots"}, "fallback_buffer: 'lots' is not a size"),
    ],
)
def test_settings_that_cannot_be_used(settings: dict[str, Any], words: str, tell: Any) -> None:
    with pytest.raises(portway.SettingsError, match=re.escape(words)):
        portway.Server(tell("main"), portway.boot.settled(None, settings))  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("mount", "words"),
    [
        ("/=legacy:app", "mount: / is the main application's"),
        ("/a?=legacy:app", "'/a?' has a query"),
        ("/a/=legacy:app,/a=legacy:app", "mount: /a is there twice"),
    ],
)
def test_paths_that_cannot_be_used(mount: str, words: str, tell: Any, named: Any) -> None:
    with pytest.raises(portway.SettingsError, match=re.escape(words)):
        portway.Server(tell("main"), Settings(mount=tuple(map(named, mount.split(",")))))


def test_what_cannot_be_loaded_says_which_it_is(tell: Any, named: Any, shop: Path) -> None:
    (shop / f"broken_{shop.name}.py").write_text("1 / 0")
    for settings, words in (
        ({"mount": ("/old=absent_module:app",)}, "the application at /old (absent_module:app): cannot import"),
        ({"fallback": "absent_module:app"}, "the fallback (absent_module:app): cannot import"),
        ({"mount": (named("/old=legacy:nobody"),)}, "the application at /old"),
    ):
        with pytest.raises(portway.LoadError, match=re.escape(words)):
            portway.Server(tell("main"), Settings(**settings))  # type: ignore[arg-type]
    with pytest.raises(portway.LoadError, match="ZeroDivisionError") as caught:
        portway.Server(tell("main"), Settings(mount=(f"/old=broken_{shop.name}:app",)))
    assert "1 / 0" in (caught.value.cause_traceback or "")


# --- where they are said ---


def mounts_of(folder: Path, *options: tuple[str, Any], **environ: str) -> tuple[Any, str]:
    found = load(dict(options), environ=environ, folder=folder)
    return found.settings.mount, found.origins["mount"]


def test_mounts_are_a_table_in_a_file(tmp_path: Path) -> None:
    (tmp_path / "portway.toml").write_text('[mount]\n"/old" = "legacy:app"\n"api.example.org/" = "api:app"\n')
    assert mounts_of(tmp_path) == (("/old=legacy:app", "api.example.org/=api:app"), "portway.toml")
    (tmp_path / "portway.toml").write_text('mount = ["/old=legacy:app"]')
    assert mounts_of(tmp_path)[0] == ("/old=legacy:app",)
    (tmp_path / "portway.toml").unlink()
    (tmp_path / "pyproject.toml").write_text('[tool.portway.mount]\n"/old" = "legacy:app"\n')
    assert mounts_of(tmp_path) == (("/old=legacy:app",), "pyproject.toml [tool.portway]")
    (tmp_path / "pyproject.toml").write_text('[tool.portway.mount]\napi.example.org = "api:app"\n')
    with pytest.raises(portway.SettingsError, match=r"mount in pyproject.toml .*: api = .* is not a text"):
        mounts_of(tmp_path)


def test_mounts_are_a_variable_of_commas_or_lines(tmp_path: Path) -> None:
    both = ("/a=x:app", "b.example/=y:app")
    for text in ("/a=x:app, b.example/=y:app", "/a=x:app\nb.example/=y:app\n"):
        assert mounts_of(tmp_path, PORTWAY_MOUNT=text) == (both, "PORTWAY_MOUNT")
    assert mounts_of(tmp_path, ("mount", ("/c=z:app",)), PORTWAY_MOUNT="/a=x:app")[0] == ("/c=z:app",)


def test_statuses_are_a_list_of_numbers_everywhere(tmp_path: Path) -> None:
    def statuses(**environ: str) -> Any:
        return load({}, environ=environ, folder=tmp_path).settings.fallback_on

    assert statuses() == (404,)
    assert statuses(PORTWAY_FALLBACK_ON="404, 405") == (404, 405)
    for text in ("404", "[404]", '"404"', '["404"]'):
        (tmp_path / "portway.toml").write_text(f"fallback-on = {text}")
        assert statuses() == (404,)


# --- the access log ---


def lines_of(said: Said) -> list[str]:
    return [re.sub(r"^\S+ - |[\d.]+m?s\b ?", "", line) for line in said("portway.access")]


@pytest.mark.parametrize("http2", [False, True])
def test_the_access_log_says_which_application_answered(named: Any, client: Client, said: Said, http2: bool) -> None:
    mounts = (named("/old=legacy:app"), named("api.example.org/v2=api:app"))
    with client(named("main:app"), http2, mount=mounts, fallback=named("legacy:app"), access_log=True) as http:
        for path in ("/", "/old/x", "/basket"):
            http.get(path)
        http.get("/v2", headers={"host": "api.example.org"})
    version = 2 if http2 else 1.1
    assert lines_of(said) == [
        f'"GET / HTTP/{version}" 200 7 {named("main:app")}',
        f'"GET /old/x HTTP/{version}" 200 18 {named("legacy:app")}',
        f'"GET /basket HTTP/{version}" 200 15 {named("legacy:app")}',
        f'"GET /v2 HTTP/{version}" 200 11 {named("api:app")}',
    ]


def test_with_portway_mounts_it_says_the_key(tell: Any, client: Client, said: Said) -> None:
    with client(portway.Mounts({"/old": tell("a")}, names={"/old": "shop"}), access_log=True) as http:
        http.get("/old")
        http.get("/")
    assert [line.rpartition(" ")[2] for line in lines_of(said)] == ["shop", "-"]
    with client(portway.Fallback(tell("a", 404), tell("b")), access_log=True) as http:
        http.get("/")
    assert lines_of(said)[-1].endswith(" fallback")


def test_json_and_formats_have_it_as_a_field(tell: Any, client: Client, said: Said) -> None:
    app = portway.Mounts({"/old": tell("a")})
    for format, told in (("json", ["/old", None]), ("%(status)d %(application)s", ["200 /old", "404 -"])):
        with client(app, access_log=True, access_log_format=format) as http:
            http.get("/old")
            http.get("/")
        lines = said("portway.access")[-2:]
        assert told == ([json.loads(line)["application"] for line in lines] if format == "json" else lines)


def test_alone_an_application_has_no_name_and_no_extension(client: Client, said: Said) -> None:
    seen: list[Any] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "lifespan":
            raise NotImplementedError
        seen.append(scope["extensions"])
        await send({"type": "http.response.start", "status": 204})
        await send({"type": "http.response.body"})

    for format in (None, "json"):
        with client(app, access_log=True, access_log_format=format) as http:
            http.get("/")
    assert seen == [{"http.response.early_hint": {}}] * 2
    text, as_json = said("portway.access")
    assert text.endswith("ms")
    assert "application" not in json.loads(as_json)


@pytest.mark.parametrize("format", [None, "json"])
def test_websockets_have_it_in_both_lines(named: Any, said: Said, format: str | None) -> None:
    async def main() -> None:
        mount = (named("/old=legacy:app"),)
        async with (
            serve(named("main:app"), mount=mount, access_log=True, access_log_format=format) as served,
            connect(served.url.replace("http", "ws") + "/old") as socket,
        ):
            await socket.send("hello")

    asyncio.run(main())
    opened, closed = said("portway.access")
    if format == "json":
        assert [json.loads(line)["application"] for line in (opened, closed)] == [named("legacy:app")] * 2
    else:
        assert opened.endswith(f' - "WebSocket /old" open {named("legacy:app")}')
        assert closed.endswith(f" out 0/0 {named('legacy:app')}")


# --- portway routes ---


@pytest.fixture
def routes() -> Callable[..., Result]:
    """Run `portway routes` with these arguments."""
    return lambda *args: CliRunner().invoke(root, ["routes", *args], prog_name="portway")


def test_routes_lists_what_is_mounted_where(named: Any, routes: Any) -> None:
    args = ("--mount", "/old=legacy:app", "--mount", "*.example.org:81/v2=api:two", "--fallback", "legacy:app")
    result = routes(*map(named, (*args, "--fallback-on", "404,405", "main:app")))
    assert result.exit_code == 0, result.output
    assert [re.split(r"  +", line) for line in result.output.splitlines()] == [
        ["host", "path", "application", "interface"],
        ["*.example.org:81", "/v2", named("api:two"), "asgi2"],
        ["*", "/old", named("legacy:app"), "asgi3"],
        ["*", "/", named("main:app"), "asgi3"],
        ["*", "/", named("legacy:app"), "asgi3", "fallback on 404, 405"],
    ]


def test_routes_may_be_json(named: Any, routes: Any) -> None:
    result = routes("--json", named("main:app"), "--mount", named("a.example/=legacy:app"))
    assert json.loads(result.output) == [
        {
            "host": "a.example",
            "path": "/",
            "application": named("legacy:app"),
            "interface": "asgi3",
            "fallback_on": None,
        },
        {"host": None, "path": "/", "application": named("main:app"), "interface": "asgi3", "fallback_on": None},
    ]


def test_routes_look_into_mounts_of_python(named: Any, routes: Any, shop: Path) -> None:
    (shop / f"whole_{shop.name}.py").write_text(
        f"import portway, main_{shop.name} as main, legacy_{shop.name} as legacy\n"
        "inner = portway.Mounts({'/b': main.app, 'h.example/': main.app})\n"
        "app = portway.Mounts({'/a': inner, '/': portway.Fallback(main.app, legacy.two, on=[405])})\n"
    )
    result = routes(f"whole_{shop.name}:app")
    assert [re.split(r"  +", line) for line in result.output.splitlines()[1:]] == [
        ["h.example", "/a", "h.example/", "asgi3"],
        ["*", "/a/b", "/b", "asgi3"],
        ["*", "/", "main", "asgi3"],
        ["*", "/", "fallback", "asgi2", "fallback on 405"],
    ]


def test_routes_of_one_application_and_of_none(named: Any, routes: Any) -> None:
    assert routes(named("main:app")).output.splitlines()[1].split() == ["*", "/", named("main:app"), "asgi3"]
    result = routes()
    assert result.exit_code == 2
    assert "no application; write portway routes main:app" in result.output
    result = routes(named("main:app"), "--mount", "/old=absent_module:app")
    assert result.exit_code == 2
    assert "the application at /old (absent_module:app): cannot import absent_module" in result.output


def test_a_command_line_serves_them_all(portway_command: Any, tmp_path: Path) -> None:
    (tmp_path / "legacy.py").write_text(TELLER.replace("NAME", repr("legacy")))
    (tmp_path / "portway.toml").write_text('[mount]\n"/old" = "legacy:app"\n')
    command = portway_command(TELLER.replace("NAME", repr("main")), "--port", "0", "--fallback", "legacy:app").up()
    assert [httpx.get(command.url + path).text for path in ("/old", "/basket", "/")] == [
        "legacy /old /old",
        "legacy  /basket",
        "main  /",
    ]
    assert command.ends(15) == 0
    assert re.findall(r" (\S+:app)$", command.out.all(), re.MULTILINE) == ["legacy:app", "legacy:app", "main:app"]
