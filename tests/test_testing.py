"""`portway.testing`: a server for the length of a block, the raw client, and the fixture of pytest."""

import asyncio
import os
import socket
import subprocess
import sys
import threading
import tomllib
from collections.abc import Callable
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any

import pytest

import portway
from portway import BindError, LifespanFailed, SettingsError
from portway.testing import Raw, Response, Served, serve
from portway.types import Receive, Scope, Send

GET = b"GET / HTTP/1.1\r\nhost: a\r\n\r\n"


async def app(scope: Scope, receive: Receive, send: Send) -> None:
    if scope["type"] == "lifespan":
        raise NotImplementedError
    await send({"type": "http.response.start", "status": 200})
    await send({"type": "http.response.body", "body": scope["path"].encode()})


async def hopeless(scope: Scope, receive: Receive, send: Send) -> None:
    await receive()
    raise RuntimeError("no database")


# --- serve ---


def test_with_serves_in_a_thread_until_the_block_ends() -> None:
    with serve(app) as served:
        assert served.url == f"http://127.0.0.1:{served.port}"
        assert repr(served) == f"<Served {served.url}>"
        assert served.server.started
        with Raw(served.host, served.port) as raw:
            assert raw.ask(GET).body == b"/"
    assert not served.server.started
    assert "portway-serve" not in [thread.name for thread in threading.enumerate()]
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection((served.host, served.port))


def test_async_with_serves_in_the_running_loop() -> None:
    async def main() -> None:
        async with serve(app) as served:
            reader, writer = await asyncio.open_connection(served.host, served.port)
            writer.write(GET)
            assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 200")
            writer.close()
            assert threading.active_count() == threads
        with pytest.raises(ConnectionRefusedError):
            await asyncio.open_connection(served.host, served.port)

    threads = threading.active_count()
    asyncio.run(main())


def test_two_servers_do_not_read_each_others_bytes() -> None:
    """Their threads read at the same time."""

    async def echo(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            raise NotImplementedError
        body, more = b"", True
        while more:
            message = await receive()
            body, more = body + message["body"], message["more_body"]
        await send({"type": "http.response.start", "status": 200})
        await send({"type": "http.response.body", "body": body})

    client = (
        "import sys; from portway.testing import Raw; raw = Raw('127.0.0.1', int(sys.argv[1]))\n"
        "body = sys.argv[2].encode() * 3000\n"
        "request = b'POST / HTTP/1.1\\r\\nhost: a\\r\\ncontent-length: 3000\\r\\n\\r\\n' + body\n"
        "for _ in range(1000): assert raw.ask(request).body == body\n"
    )
    environ = os.environ | {"PYTHONPATH": str(Path(portway.__file__).parents[1])}
    with serve(echo) as one, serve(echo) as two:
        clients = [
            subprocess.Popen([sys.executable, "-c", client, str(port), letter], env=environ)
            for port, letter in zip([one.port, two.port] * 2, "abcd", strict=True)
        ]
        assert [each.wait(60) for each in clients] == [0, 0, 0, 0]


@pytest.mark.parametrize(
    ("application", "settings", "fault"),
    [
        (hopeless, {}, LifespanFailed),
        (app, {"host": "192.0.2.1"}, BindError),
        (app, {"prot": 1}, SettingsError),
    ],
)
def test_what_keeps_it_from_starting_is_raised(
    application: Any, settings: dict[str, Any], fault: type[Exception]
) -> None:
    async def main() -> None:
        async with serve(application, **settings):
            pass

    with pytest.raises(fault), serve(application, **settings):
        pass
    with pytest.raises(fault):
        asyncio.run(main())


def test_the_error_of_the_block_comes_through_and_the_server_ends() -> None:
    with pytest.raises(ZeroDivisionError), serve(app) as served:
        raise ZeroDivisionError
    assert not served.server.started


def test_a_target_is_served_as_well_as_an_application(tmp_path: Path) -> None:
    (tmp_path / "of_this_test.py").write_text(
        "async def app(scope, receive, send):\n"
        "    await send({'type': 'http.response.start', 'status': 204})\n"
        "    await send({'type': 'http.response.body'})\n"
    )
    target = serve("of_this_test:app", app_dir=str(tmp_path), lifespan="off")
    with target as served, Raw(served.host, served.port) as raw:
        assert raw.ask(GET).status == 204


@pytest.mark.skipif(sys.platform == "win32", reason="Unix sockets are POSIX")
def test_a_unix_socket_has_its_path_for_a_host(tmp_path: Path) -> None:
    with serve(app, uds=str(tmp_path / "s")) as served:
        assert (served.host, served.port) == (str(tmp_path / "s"), 0)


# --- the raw client ---


@pytest.fixture
def told() -> Any:
    """A raw client, and a function that tells it what bytes it likes."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        raw = Raw(*listening.getsockname(), patience=5)
        peer, _ = listening.accept()
        with raw, peer:

            def tell(data: bytes, end: bool = True) -> Raw:
                peer.sendall(data)
                if end:
                    peer.shutdown(socket.SHUT_WR)
                return raw

            yield tell


def parts(response: Response) -> tuple[int, str, bytes]:
    return response.status, response.reason, response.body


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok", (200, "OK", b"ok")),
        (b"HTTP/1.1 200 Very Well\r\n\r\nto the end", (200, "Very Well", b"to the end")),
        (b"HTTP/1.1 200 \r\ntransfer-encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n", (200, "", b"ok")),
        (b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 204 No Content\r\n\r\n", (204, "No Content", b"")),
    ],
)
def test_a_response_is_read_by_its_framing(
    told: Callable[..., Raw], data: bytes, expected: tuple[int, str, bytes]
) -> None:
    raw = told(data)
    assert parts(raw.response()) == expected
    assert raw.rest() == b""


def test_interim_responses_trailers_and_repeated_headers_can_be_seen(told: Callable[..., Raw]) -> None:
    raw = told(
        b"HTTP/1.1 103 Early Hints\r\nlink: a\r\nLink: b\r\n\r\n"
        b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n0\r\nx-t: 1\r\n\r\n"
    )
    hint = raw.interim()
    assert (hint.status, hint.header("link"), hint.header("absent")) == (103, "a, b", None)
    assert raw.response().trailers == [("x-t", "1")]


def test_a_response_to_head_has_no_body(told: Callable[..., Raw]) -> None:
    raw = told(b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\n")
    assert raw.response(head_only=True).body == b""


@pytest.mark.parametrize(
    "data", [b"", b"HTTP/1.1 200 OK\r\ncontent-le", b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\n1234"]
)
def test_a_response_that_is_cut_off_is_an_eof_error(told: Callable[..., Raw], data: bytes) -> None:
    with pytest.raises(EOFError, match="the connection ended"):
        told(data).response()


def test_its_patience_ends(told: Callable[..., Raw]) -> None:
    raw = told(b"HTTP/1.1 200 OK\r\n", end=False)
    raw.socket.settimeout(0.1)
    with pytest.raises(TimeoutError):
        raw.response()


# --- the fixture ---

TEST = """
from portway.testing import Raw

async def app(scope, receive, send):
    await send({"type": "http.response.start", "status": 200})
    await send({"type": "http.response.body", "body": b"ok"})

served = []

def test_it(portway_serve):
    for _ in range(2):
        served.append(portway_serve(app, lifespan="off"))
    for each in served:
        with Raw(each.host, each.port) as raw:
            assert raw.ask(b"GET / HTTP/1.1\\r\\nhost: a\\r\\n\\r\\n").body == b"ok"

def test_they_have_ended():
    assert [each.server.started for each in served] == [False, False]
"""


def test_the_fixture_serves_until_its_test_ends(tmp_path: Path) -> None:
    (tmp_path / "test_it.py").write_text(TEST)
    environ = os.environ | {
        "PYTHONPATH": str(Path(portway.__file__).parents[1]),
        "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1",  # else an installed Portway would bring it a second time
    }
    command = [sys.executable, "-m", "pytest", "-q", "-p", "portway.pytest_plugin", "-p", "no:cacheprovider"]
    result = subprocess.run(command, cwd=tmp_path, env=environ, capture_output=True, text=True, timeout=60)
    assert "2 passed" in result.stdout, result.stdout + result.stderr


def test_pytest_finds_the_fixture_by_itself() -> None:
    project = Path(portway.__file__).parents[2] / "pyproject.toml"
    if project.is_file() and Path(portway.__file__).parent.parent.name == "src":
        found = tomllib.loads(project.read_text())["project"]["entry-points"]["pytest11"]
    else:
        found = {each.name: each.value for each in entry_points(group="pytest11")}
    assert found["portway"] == "portway.pytest_plugin"


def test_what_it_promises_is_all_there() -> None:
    assert {Raw, Response, Served, serve} == {getattr(portway.testing, name) for name in portway.testing.__all__}
