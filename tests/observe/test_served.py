"""The logs of a server that serves: what stands in them, and that nothing which happens to them stops it."""

import asyncio
import json
import logging
import os
import re
import signal
import socket
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from portway.testing import Raw, serve
from portway.types import Receive, Scope, Send

Portway = Callable[..., Any]

GET = b"GET / HTTP/1.1\r\nhost: a\r\n\r\n"

APP = """
async def app(scope, receive, send):
    if scope["type"] == "lifespan":
        raise NotImplementedError
    await send({"type": "http.response.start", "status": 200})
    await send({"type": "http.response.body", "body": b"hello"})
"""


class Access:
    """Applications whose responses end in all ways, and the lines that tell of them."""

    def __init__(self, caplog: pytest.LogCaptureFixture) -> None:
        caplog.set_level(logging.INFO, "portway.access")
        self._caplog = caplog
        self.waiting = threading.Event()

    async def app(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            raise NotImplementedError
        start = {"type": "http.response.start", "status": 200}
        path = scope["path"]
        if path == "/gone":
            self.waiting.set()
            while (await receive())["type"] != "http.disconnect":
                pass
            return
        if path == "/raises":
            raise RuntimeError("on purpose")
        await send(start)
        if path == "/held":
            self.waiting.set()
            while (await receive())["type"] != "http.disconnect":
                pass
            return
        await send({"type": "http.response.body", "body": b"12345", "more_body": True})
        if path == "/breaks":
            raise RuntimeError("on purpose")
        await send({"type": "http.response.body", "body": b"678"})

    @property
    def lines(self) -> list[str]:
        """Without the client's port and the duration."""
        said = [each.getMessage() for each in self._caplog.records if each.name == "portway.access"]
        return [re.sub(r"(:\d+)( - .*) [\d.]+ms", r"\2", line) for line in said]

    @property
    def line(self) -> str:
        (only,) = self.lines
        return only


@pytest.fixture
def access(caplog: pytest.LogCaptureFixture) -> Access:
    return Access(caplog)


# --- what stands in them ---


@pytest.mark.parametrize(
    ("request_", "line"),
    [
        (GET, '127.0.0.1 - "GET / HTTP/1.1" 200 8'),
        (b"GET /a%20b?c=%22 HTTP/1.0\r\n\r\n", '127.0.0.1 - "GET /a%20b?c=%22 HTTP/1.0" 200 8'),
        (b'GET /" HTTP/1.1\r\nhost: a\r\n\r\n', '127.0.0.1 - "GET /%22 HTTP/1.1" 200 8'),
        (b"HEAD / HTTP/1.1\r\nhost: a\r\n\r\n", '127.0.0.1 - "HEAD / HTTP/1.1" 200 0'),
        (GET.replace(b"/ ", b"/raises "), '127.0.0.1 - "GET /raises HTTP/1.1" 500 22'),
        (GET.replace(b"/ ", b"/breaks "), '127.0.0.1 - "GET /breaks HTTP/1.1" 200 5 (cut off)'),
    ],
    ids=["whole", "as it came", "quotation mark", "HEAD", "raised", "broken off"],
)
def test_each_response_has_its_line(access: Access, request_: bytes, line: str) -> None:
    with serve(access.app, access_log=True) as served, Raw(served.host, served.port) as raw:
        raw.send(request_)
        raw.half_close()
        raw.rest()
    assert access.line == line


@pytest.mark.parametrize("path", [b"/gone", b"/held"])
def test_a_client_that_goes_before_the_response_begins_is_a_499(access: Access, path: bytes) -> None:
    with serve(access.app, access_log=True) as served, Raw(served.host, served.port) as raw:
        raw.send(b"GET %b HTTP/1.1\r\nhost: a\r\n\r\n" % path)
        assert access.waiting.wait(20)
        raw.close()
    assert access.line == f'127.0.0.1 - "GET {path.decode()} HTTP/1.1" 499 0 (cut off)'


@pytest.mark.parametrize("path", [b"/gone", b"/held"])
def test_a_request_that_is_refused_on_its_way_has_the_status_of_the_refusal(access: Access, path: bytes) -> None:
    head = b"POST %b HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n" % path
    with serve(access.app, access_log=True) as served, Raw(served.host, served.port) as raw:
        raw.send(head)
        assert access.waiting.wait(20)
        assert raw.ask(b"no size\r\n").status == 400
    assert access.line == f'127.0.0.1 - "POST {path.decode()} HTTP/1.1" 400 0 (cut off)'


def test_the_line_is_written_when_the_response_ends_not_when_it_begins(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "portway.access")
    counts: list[int] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            raise NotImplementedError
        await send({"type": "http.response.start", "status": 200})
        await send({"type": "http.response.body", "body": b"x", "more_body": True})
        counts.append(len(caplog.records))
        await send({"type": "http.response.body"})
        counts.append(len(caplog.records))

    with serve(app, access_log=True) as served, Raw(served.host, served.port) as raw:
        raw.ask(GET)
    assert counts == [0, 1]


@pytest.mark.parametrize(
    ("forwarded", "client"),
    [
        (b"203.0.113.9", "203.0.113.9:0"),
        (b'203.0.113.9" 200', "127.0.0.1:"),
        (b"fe80::1%\x9b31m", "127.0.0.1:"),
        (b"unknown\t", "127.0.0.1:"),
    ],
)
def test_no_forwarded_client_forges_a_line(caplog: pytest.LogCaptureFixture, forwarded: bytes, client: str) -> None:
    caplog.set_level(logging.INFO, "portway.access")
    access = Access(caplog)
    with serve(access.app, access_log=True) as served, Raw(served.host, served.port) as raw:
        assert raw.ask(b"GET / HTTP/1.1\r\nhost: a\r\nx-forwarded-for: %b\r\n\r\n" % forwarded).status == 200
    (record,) = (each for each in caplog.records if each.name == "portway.access")
    assert record.getMessage().startswith(client)
    assert record.getMessage().isprintable()


def test_concurrent_requests_are_told_apart(access: Access) -> None:
    async def main() -> None:
        async with serve(access.app, access_log=True) as served:
            links = [await asyncio.open_connection(served.host, served.port) for _ in range(5)]
            for number, (_, writer) in enumerate(links):
                writer.write(b"GET /%d HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n" % number)
            for reader, writer in links:
                await reader.read()
                writer.close()

    asyncio.run(main())
    assert sorted(access.lines) == [f'127.0.0.1 - "GET /{number} HTTP/1.1" 200 8' for number in range(5)]


# --- from the command line ---


def ask(command: Any, times: int = 1) -> None:
    with Raw("127.0.0.1", command.port) as raw:
        for _ in range(times):
            assert raw.ask(GET).body == b"hello"


@pytest.mark.parametrize(
    ("args", "line"),
    [
        ((), r'INFO:     127\.0\.0\.1:\d+ - "GET / HTTP/1\.1" 200 5 \d+\.\dms'),
        (("--access-log-format", "%(method)s:%(status)d"), "GET:200"),
        (("--use-colors",), r"\x1b\[32mINFO\x1b\[0m:     127\.0\.0\.1.*"),
        (("--no-access-log",), ""),
    ],
    ids=["usual", "format", "colors", "none"],
)
def test_access_lines_are_as_the_options_say(portway_command: Portway, args: tuple[str, ...], line: str) -> None:
    command = portway_command(APP, "--port", "0", *args).up()
    ask(command, 2)
    assert command.ends(signal.SIGTERM) == 0
    assert re.fullmatch(f"({line}\n){{2}}" if line else "", command.out.all())


def test_access_lines_may_be_json(portway_command: Portway) -> None:
    command = portway_command(APP, "--port", "0", "--access-log-format", "json").up()
    ask(command, 2)
    assert command.ends(signal.SIGTERM) == 0
    lines = [json.loads(line) for line in command.out.all().splitlines()]
    assert [(line["method"], line["status"], line["size"]) for line in lines] == [("GET", 200, 5)] * 2


def test_a_wrong_format_ends_the_process_with_code_2(portway_command: Portway) -> None:
    command = portway_command(APP, "--port", "0", "--access-log-format", "%(verb)s")
    assert command.ends() == 2
    assert "access_log_format: there is no %(verb)s" in command.err.all()


def test_a_log_config_decides(portway_command: Portway, tmp_path: Path) -> None:
    (tmp_path / "logging.toml").write_text(
        "version = 1\n"
        "[formatters.mine]\n"
        'format = "%(levelname).1s %(name)s %(message)s"\n'
        "[handlers.file]\n"
        'class = "logging.FileHandler"\n'
        'filename = "all.log"\n'
        'formatter = "mine"\n'
        "[loggers.portway]\n"
        'level = "INFO"\n'
        'handlers = ["file"]\n'
    )
    command = portway_command(APP, "--port", "0", "--log-config", "logging.toml")
    log = tmp_path / "all.log"
    while command.process.poll() is None and not (log.exists() and "Serving" in log.read_text()):
        threading.Event().wait(0.02)
    command.port = int(re.findall(r":(\d+) \(press", log.read_text())[0])
    ask(command)
    assert command.ends(signal.SIGTERM) == 0
    lines = log.read_text().splitlines()
    assert lines[0].startswith("I portway Portway ")
    assert [line[:41] for line in lines if "access" in line] == ["I portway.access 127.0.0.1:" + lines[2][27:41]]
    assert lines[-1] == "I portway Stopped"
    assert command.out.all() == command.err.all() == ""


# --- bad streams ---


def test_a_reader_that_leaves_does_not_stop_the_server(portway_command: Portway) -> None:
    reading, writing = os.pipe()
    command = portway_command(APP, "--port", "0", stdout=writing).up()
    os.close(writing)
    ask(command)
    assert os.read(reading, 4) == b"INFO"
    os.close(reading)  # portway … | head -1
    ask(command, 3)
    assert command.ends(signal.SIGTERM) == 0
    assert command.err.all().count("The access log cannot be written: [Errno 32] Broken pipe") == 1


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_a_full_disk_does_not_stop_the_server(portway_command: Portway) -> None:
    with Path("/dev/full").open("w") as full:
        command = portway_command(APP, "--port", "0", stdout=full).up()
    ask(command, 3)
    assert command.ends(signal.SIGTERM) == 0
    assert command.err.all().count("The access log cannot be written: [Errno 28] No space left") == 1


@pytest.mark.skipif(not hasattr(os, "fork"), reason="POSIX")
def test_closed_streams_do_not_stop_the_server(portway_command: Portway, tmp_path: Path) -> None:
    path = tmp_path / "s"
    source = APP + "print('to nobody')\nimport os\nassert os.get_inheritable(1)\n"
    command = portway_command(
        source, "--uds", str(path), stdout=None, stderr=None, preexec_fn=lambda: os.closerange(0, 3)
    )
    with socket.socket(socket.AF_UNIX) as client:
        client.settimeout(20)
        while command.process.poll() is None and client.connect_ex(str(path)):
            threading.Event().wait(0.02)
        client.sendall(GET)
        assert client.recv(65536).startswith(b"HTTP/1.1 200 OK\r\n")  # and nothing that was printed
    assert command.ends(signal.SIGTERM) == 0
