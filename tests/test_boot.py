"""Settings become a server; `run` and the command line take care of loop, log and exit code."""

import asyncio
import os
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from ipaddress import ip_network
from pathlib import Path
from typing import Any

import pytest

import portway
from portway import Server, Settings, SettingsError, boot
from portway.boot import objects
from portway.boot.applications import named
from portway.boot.process import announce
from portway.testing import Raw, serve
from portway.types import Receive, Scope, Send

Portway = Callable[..., Any]

GET = b"GET / HTTP/1.1\r\nhost: a\r\n\r\n"


async def app(scope: Scope, receive: Receive, send: Send) -> None:
    if scope["type"] == "lifespan":
        raise NotImplementedError
    loop = type(asyncio.get_running_loop()).__module__
    await send({"type": "http.response.start", "status": 200})
    await send({"type": "http.response.body", "body": loop.encode()})


def python(script: str, *args: str) -> subprocess.CompletedProcess[str]:
    """Run a script in a fresh interpreter."""
    environ = os.environ | {"PYTHONPATH": str(Path(portway.__file__).parents[1])}
    command = [sys.executable, "-W", "error", "-c", script, *args]
    return subprocess.run(command, env=environ, capture_output=True, text=True, timeout=30)


# --- settings by name ---


def test_settings_by_name_become_what_their_fields_promise() -> None:
    chosen = boot.settled(None, {"port": "80", "bind": ["127.0.0.1:1"], "limit_request_body": "1M"} | {"port": 8000})
    assert (chosen.port, chosen.bind, chosen.limit_request_body) == (8000, ("127.0.0.1:1",), 1024**2)


def test_changes_win_over_settings_and_leave_the_rest() -> None:
    chosen = boot.settled(Settings(port=1, backlog=7), {"port": 2})
    assert (chosen.port, chosen.backlog) == (2, 7)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"prot": 80}, "prot is not a setting; did you mean port?"),
        ({"zzz": 1}, "zzz is not a setting"),
        ({"port": 99999}, "port: 99999 is too large"),
        ({"bind": ["127.0.0.1:1"], "port": 1}, "both say where to listen"),
        ({"loop": "tokio"}, "loop: 'tokio' is not one of the choices"),
    ],
)
def test_settings_that_cannot_be_used_are_refused(changes: dict[str, Any], words: str) -> None:
    for attempt in (lambda: boot.settled(None, changes), lambda: portway.run(app, **changes)):
        with pytest.raises(SettingsError, match=re.escape(words)):
            attempt()


def test_a_server_checks_its_settings() -> None:
    with pytest.raises(SettingsError, match="port"):
        Server(app, Settings(port=-1))


def test_the_proxies_to_trust_are_those_of_the_setting() -> None:
    def trust(**changes: Any) -> Any:
        return objects.trust(boot.settled(None, changes))

    assert trust(forwarded_allow_ips="") is None
    assert trust(forwarded_allow_ips="*", proxy_headers=False) is None
    unix = trust(forwarded_allow_ips="unix, 10.0.0.0/8")
    assert [unix.believes(each) for each in (None, "10.1.1.1", "11.1.1.1")] == [True, True, False]
    assert ip_network("10.0.0.0/8") in unix._networks


def test_headers_of_the_setting_are_in_every_response() -> None:
    settings: dict[str, Any] = {"header": ("X-A: 1", "X-B:2"), "server_header": False, "date_header": False}
    with serve(app, **settings) as served, Raw(served.host, served.port) as raw:
        response = raw.ask(GET)
    assert response.headers == [("x-a", "1"), ("x-b", "2"), *response.headers[2:]]
    assert response.header("date") is response.header("server") is None


# --- the loop ---


@pytest.mark.parametrize(("loop", "name"), [("uvloop", "uvloop"), ("asyncio", "asyncio"), ("auto", "uvloop")])
def test_the_loop_is_the_one_asked_for(loop: str, name: str) -> None:
    with serve(app, loop=loop) as served, Raw(served.host, served.port) as raw:
        assert raw.ask(GET).body.startswith(name.encode())


WITHOUT_UVLOOP = """
import sys
sys.modules["uvloop"] = None
import asyncio
from portway import SettingsError, boot
assert boot.loop_factory("auto") is asyncio.new_event_loop
try:
    boot.loop_factory("uvloop")
except SettingsError as fault:
    print(fault)
"""


def test_without_uvloop_auto_is_asyncio_and_uvloop_is_refused() -> None:
    result = python(WITHOUT_UVLOOP)
    assert result.stdout == "loop: uvloop is not installed; pip install uvloop, or choose asyncio\n", result.stderr


# --- run ---

RUN = """
import os, signal, sys, threading
import portway

async def app(scope, receive, send):
    if scope["type"] == "lifespan":
        await receive()
        await send({"type": "lifespan.startup.complete"})
        os.kill(os.getpid(), signal.SIGTERM)
        await receive()
        await send({"type": "lifespan.shutdown.complete"})

mine = lambda number, frame: None
signal.signal(signal.SIGTERM, mine)
portway.run(app, port=0, loop=sys.argv[1])
assert signal.getsignal(signal.SIGTERM) is mine
assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
print("returned")
"""


@pytest.mark.parametrize("loop", ["uvloop", "asyncio"])
def test_run_returns_after_a_signal_and_puts_the_handlers_back(loop: str) -> None:
    result = python(RUN, loop)
    assert result.stdout == "returned\n", result.stderr
    assert "Stopping (SIGTERM)" in result.stderr


IN_A_THREAD = """
import socket, sys, threading, time
import portway

async def app(scope, receive, send):
    if scope["type"] == "lifespan":
        raise NotImplementedError
    await send({"type": "http.response.start", "status": 200})
    await send({"type": "http.response.body", "body": b"ok"})

path = sys.argv[1]
thread = threading.Thread(target=portway.run, args=(app,), kwargs={"uds": path, "limit_max_requests": 1})
thread.start()
with socket.socket(socket.AF_UNIX) as client:
    while thread.is_alive() and client.connect_ex(path):
        time.sleep(0.02)
    client.sendall(b"GET / HTTP/1.1\\r\\nhost: a\\r\\n\\r\\n")
    assert client.recv(1000).endswith(b"ok")
thread.join()
"""


@pytest.mark.skipif(sys.platform == "win32", reason="Unix sockets are POSIX")
def test_run_works_in_a_thread_where_no_signals_come(tmp_path: Path) -> None:
    result = python(IN_A_THREAD, str(tmp_path / "s"))
    assert result.returncode == 0, result.stderr
    assert result.stderr.endswith("Stopped\n")


# --- the terminal ---

SOURCE = """
async def app(scope, receive, send):
    if scope["type"] == "lifespan":
        raise NotImplementedError
"""


def test_the_terminal_is_told_what_is_served_where_and_how(portway_command: Portway, tmp_path: Path) -> None:
    command = portway_command(SOURCE, "-b", "127.0.0.1:0", "-b", f"unix:{tmp_path}/s").up()
    assert command.ends(signal.SIGTERM) == 0
    version, serving, stopping, stopped = command.err.all().splitlines()
    assert re.fullmatch(
        rf"INFO:     Portway {re.escape(portway.__version__)}, \w+ {sys.version.split()[0]}, uvloop [\d.]+, "
        rf"(compiled|interpreted|interpreted \(forced\)), process {command.process.pid}",
        version,
    )
    assert re.fullmatch(
        rf"INFO:     Serving main:app on http://127\.0\.0\.1:\d+, unix:{tmp_path}/s \(press Ctrl\+C to stop\)",
        serving,
    )
    assert (stopping, stopped) == ("INFO:     Stopping (SIGTERM)", "INFO:     Stopped")


class Callable_:
    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None: ...


@pytest.mark.parametrize(
    ("served", "name"),
    [("main:app", "main:app"), (app, "app"), (Callable_(), "Callable_")],
    ids=["target", "function", "object"],
)
def test_an_application_is_called_by_its_name(caplog: pytest.LogCaptureFixture, served: Any, name: str) -> None:
    caplog.set_level("INFO", "portway")
    announce(named(served), ["http://127.0.0.1:8000"], ())
    assert caplog.messages == [f"Serving {name} on http://127.0.0.1:8000 (press Ctrl+C to stop)"]


def test_a_server_leaves_signals_and_logging_alone(capfd: pytest.CaptureFixture[str]) -> None:
    before = signal.getsignal(signal.SIGTERM), signal.getsignal(signal.SIGINT)
    seen: list[Any] = []

    async def main() -> None:
        server = Server(app, Settings(port=0))

        def up() -> None:
            seen.append((signal.getsignal(signal.SIGTERM), signal.getsignal(signal.SIGINT)))
            threading.Thread(target=server.stop).start()

        await server.serve(up)

    with asyncio.Runner() as runner:
        runner.run(main())
    assert seen[0][0] is before[0]
    assert capfd.readouterr().err == ""
