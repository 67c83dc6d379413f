"""What `portway serve` as one process owes to whoever started it: a pid file, and what systemd wants to know."""

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from portway.testing import Raw

Portway = Callable[..., Any]

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="Windows has neither")

GET = b"GET %b HTTP/1.1\r\nhost: a\r\n\r\n"
LOOPS = pytest.mark.parametrize("loop", ["uvloop", "asyncio"])

APP = """
import os, time

async def app(scope, receive, send):
    if scope["type"] == "lifespan":
        assert (await receive())["type"] == "lifespan.startup"
        if "FAIL" in os.environ:
            return await send({"type": "lifespan.startup.failed", "message": "no"})
        await send({"type": "lifespan.startup.complete"})
        await receive()
        print("pid file:", os.path.exists("app.pid"), flush=True)
        await send({"type": "lifespan.shutdown.complete"})
        return
    if scope["path"] == "/block":
        print("blocking", flush=True)
        time.sleep(3600)
    body = " ".join(sorted(name for name in os.environ if name.split("_")[0] in ("LISTEN", "NOTIFY", "WATCHDOG")))
    await send({"type": "http.response.start", "status": 200})
    await send({"type": "http.response.body", "body": b"[" + body.encode() + b"]"})
"""

# --- the pid file ---


def test_the_pid_file_is_there_while_the_process_is(portway_command: Portway, tmp_path: Path) -> None:
    command = portway_command(APP, "--port", "0", "--pid", "app.pid").up()
    assert (tmp_path / "app.pid").read_text() == f"{command.process.pid}\n"
    assert command.ends(signal.SIGTERM) == 0
    assert "pid file: True" in command.out.all()  # up to the end
    assert not (tmp_path / "app.pid").exists()


@pytest.mark.parametrize("number", [signal.SIGQUIT, signal.SIGINT], ids=["SIGQUIT", "SIGINT"])
def test_who_ends_at_once_leaves_no_pid_file(portway_command: Portway, tmp_path: Path, number: signal.Signals) -> None:
    command = portway_command(APP, "--port", "0", "--pid", "app.pid").up()
    with Raw("127.0.0.1", command.port) as raw:
        raw.send(GET % b"/block")
        command.out.wait_for("blocking")
        while command.process.poll() is None:  # of SIGINT it takes two
            command.process.send_signal(number)
            try:
                command.process.wait(0.2)
            except subprocess.TimeoutExpired:
                continue
    assert command.process.returncode == 128 + number
    assert not (tmp_path / "app.pid").exists()


def test_what_cannot_start_leaves_no_pid_file(
    portway_command: Portway, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FAIL", "1")
    assert portway_command(APP, "--port", "0", "--pid", "app.pid").ends() == 3
    assert portway_command("1 / 0", "--port", "0", "--pid", "app.pid").ends() == 2
    assert not (tmp_path / "app.pid").exists()


def test_a_second_server_is_refused_before_it_loads_anything(portway_command: Portway, tmp_path: Path) -> None:
    first = portway_command(APP, "--port", "0", "--pid", "app.pid").up()
    second = portway_command("print('loaded')\n" + APP, "--port", "0", "--pid", "app.pid")
    assert second.ends() == 1
    assert second.out.all() == ""
    assert f"app.pid: a server runs already, process {first.process.pid}; stop it" in second.err.all()
    assert (tmp_path / "app.pid").exists()


# --- systemd ---


@pytest.fixture
def manager(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[socket.socket]:
    """What the server tells goes here."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
        sock.bind(str(tmp_path / "notify"))
        sock.settimeout(20)
        monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "notify"))
        yield sock


@LOOPS
def test_systemd_is_told_what_happens(portway_command: Portway, manager: socket.socket, loop: str) -> None:
    command = portway_command(APP, "--port", "0", "--loop", loop).up()
    assert manager.recv(4096).decode() == f"READY=1\nSTATUS=Serving on http://127.0.0.1:{command.port}"
    with Raw("127.0.0.1", command.port) as raw:
        assert raw.ask(GET % b"/").body == b"[]"  # none of its variables is left to the application
    command.process.send_signal(signal.SIGTERM)
    assert manager.recv(4096) == b"STOPPING=1\nSTATUS=Stopping"
    assert command.ends() == 0


def test_an_end_of_another_kind_is_told_as_well(portway_command: Portway, manager: socket.socket) -> None:
    command = portway_command(APP, "--port", "0", "--limit-max-requests", "1").up()
    assert manager.recv(4096).startswith(b"READY=1")
    with Raw("127.0.0.1", command.port) as raw:
        raw.ask(GET % b"/")
    assert manager.recv(4096).startswith(b"STOPPING=1")
    assert command.ends() == 0


def test_what_cannot_start_is_never_ready(
    portway_command: Portway, manager: socket.socket, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FAIL", "1")
    assert portway_command(APP, "--port", "0").ends() == 3
    manager.setblocking(False)
    with pytest.raises(BlockingIOError):
        manager.recv(4096)


@LOOPS
def test_signs_of_life_come_while_the_loop_turns(
    portway_command: Portway, manager: socket.socket, monkeypatch: pytest.MonkeyPatch, loop: str
) -> None:
    monkeypatch.setenv("WATCHDOG_USEC", "40000")
    command = portway_command(APP, "--port", "0", "--loop", loop).up()
    while not manager.recv(4096).startswith(b"READY=1"):  # while it starts, too
        pass
    assert {manager.recv(4096) for _ in range(9)} == {b"WATCHDOG=1"}
    with Raw("127.0.0.1", command.port) as raw:
        raw.send(GET % b"/block")
        command.out.wait_for("blocking")
        manager.settimeout(1)
        with pytest.raises(TimeoutError):  # a blocked loop is not alive
            while True:
                manager.recv(4096)


# Starts what follows with the sockets of these descriptors, as systemd does.
START = """
import os, sys
numbers = [int(each) for each in sys.argv[1].split(",")]
copies = [os.dup2(number, 100 + number) for number in numbers]
for at, copy in enumerate(copies):
    os.dup2(copy, 3 + at)
os.environ.update(LISTEN_PID=str(os.getpid()), LISTEN_FDS=str(len(numbers)), LISTEN_FDNAMES="app.socket")
os.execv(sys.argv[2], sys.argv[2:])
"""


@pytest.fixture
def opened() -> Iterator[list[socket.socket]]:
    """Two sockets on which somebody listens already."""
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(2)]
    yield sockets
    for sock in sockets:
        sock.close()


def hand(sockets: list[socket.socket]) -> dict[str, Any]:
    numbers = [sock.fileno() for sock in sockets]
    return {"before": (sys.executable, "-c", START, ",".join(map(str, numbers))), "pass_fds": numbers}


def test_sockets_of_systemd_are_served(portway_command: Portway, opened: list[socket.socket]) -> None:
    waiting = Raw(*opened[0].getsockname())  # connected before anybody is there to accept
    waiting.send(GET % b"/")
    command = portway_command(APP, **hand(opened)).up()
    with waiting:
        assert waiting.response().body == b"[]"
    with Raw(*opened[1].getsockname()) as raw:
        assert raw.ask(GET % b"/").status == 200
    assert command.ends(signal.SIGTERM) == 0
    assert "Listening on what systemd opened: fd://3, fd://4\n" in command.err.all()


def test_settings_that_say_where_to_listen_win(portway_command: Portway, opened: list[socket.socket]) -> None:
    command = portway_command(APP, "--port", "0", **hand(opened[:1])).up()
    assert command.port != opened[0].getsockname()[1]
    assert command.ends(signal.SIGTERM) == 0
    assert "systemd" not in command.err.all()


def test_the_number_may_be_named_as_before(portway_command: Portway, opened: list[socket.socket]) -> None:
    command = portway_command(APP, "--fd", "3", **hand(opened[:1])).up()
    assert command.port == opened[0].getsockname()[1]
    assert command.ends(signal.SIGTERM) == 0


def test_sockets_of_another_process_are_not_ours(
    portway_command: Portway, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("LISTEN_FDS", "1")
    monkeypatch.setenv("LISTEN_PID", str(os.getpid()))
    command = portway_command(APP, "--port", "0").up()
    with Raw("127.0.0.1", command.port) as raw:
        assert raw.ask(GET % b"/").body == b"[]"
    assert command.ends(signal.SIGTERM) == 0
