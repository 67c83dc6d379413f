"""What all other signals do to `portway serve`: SIGQUIT, SIGUSR1, SIGHUP, and those that are for several processes."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from portway.testing import Raw

Portway = Callable[..., Any]

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="Windows has no signals to send")

GET = b"GET %b HTTP/1.1\r\nhost: a\r\n\r\n"
LOOPS = pytest.mark.parametrize("loop", ["uvloop", "asyncio"])

APP = """
import signal, sys, time

async def app(scope, receive, send):
    if scope["type"] == "lifespan":
        assert (await receive())["type"] == "lifespan.startup"
        await send({"type": "lifespan.startup.complete"})
        assert (await receive())["type"] == "lifespan.shutdown"
        print("lifespan ended", flush=True)
        await send({"type": "lifespan.shutdown.complete"})
        return
    while scope["path"] == "/block":
        print("blocking", file=sys.stderr)
        time.sleep(60)
    await send({"type": "http.response.start", "status": 200})
    await send({"type": "http.response.body", "body": b"hello"})
"""


def serves(command: Any) -> bool:
    with Raw("127.0.0.1", command.port) as raw:
        return bool(raw.ask(GET % b"/").body == b"hello")


# --- SIGQUIT ---


@LOOPS
def test_quit_ends_at_once_even_while_the_application_blocks(portway_command: Portway, loop: str) -> None:
    command = portway_command(APP, "--port", "0", "--loop", loop).up()
    with Raw("127.0.0.1", command.port) as raw:
        raw.send(GET % b"/" + GET % b"/block")
        command.err.wait_for("blocking")
        assert command.ends(signal.SIGQUIT) == 131
    assert '"GET / HTTP/1.1" 200' in command.out.all()  # no line is lost
    assert "lifespan ended" not in command.out.all()
    assert "Ended at once (SIGQUIT)" in command.err.all()


def test_a_shell_that_had_it_ignored_did_not_mean_us(portway_command: Portway) -> None:
    # As it does for what it starts in the background.
    before = ("sh", "-c", 'trap "" INT QUIT; exec "$@"', "sh")
    assert portway_command(APP, "--port", "0", before=before).up().ends(signal.SIGQUIT) == 131


# --- SIGHUP ---


@LOOPS
@pytest.mark.parametrize("number", [signal.SIGHUP, signal.SIGUSR2], ids=["SIGHUP", "SIGUSR2"])
def test_one_process_cannot_replace_itself_and_says_so(
    portway_command: Portway, loop: str, number: signal.Signals
) -> None:
    command = portway_command(APP, "--port", "0", "--loop", loop).up()
    command.process.send_signal(number)
    command.err.wait_for(f"WARNING:  {number.name} does nothing to a server that is one process: it cannot replace")
    assert serves(command)
    assert command.ends(signal.SIGTERM) == 0
    assert "--workers 2" in command.err.all()


@pytest.mark.parametrize("number", [signal.SIGTTIN, signal.SIGTTOU], ids=["SIGTTIN", "SIGTTOU"])
def test_a_worker_that_cannot_be_added_is_told_once(portway_command: Portway, number: signal.Signals) -> None:
    command = portway_command(APP, "--port", "0").up()
    command.process.send_signal(number)
    command.err.wait_for(f"{number.name} does nothing to a server that is one process: it cannot have workers added")
    command.process.send_signal(number)  # as a terminal does, for the line just written
    assert serves(command)
    assert command.ends(signal.SIGTERM) == 0
    assert command.err.all().count(number.name) == 1


def test_nohup_stays(portway_command: Portway) -> None:
    command = portway_command(APP, "--port", "0", before=("nohup",), stdin=subprocess.DEVNULL).up()
    command.process.send_signal(signal.SIGHUP)
    assert serves(command)
    assert command.ends(signal.SIGTERM) == 0
    assert "SIGHUP" not in command.err.all()


@LOOPS
def test_a_terminal_that_is_closed_ends_the_server_in_good_order(portway_command: Portway, loop: str) -> None:
    import fcntl
    import pty
    import termios

    master, slave = pty.openpty()

    def own_terminal() -> None:
        fcntl.ioctl(slave, termios.TIOCSCTTY, 0)

    rest = {"stdin": slave, "start_new_session": True, "pass_fds": [slave], "preexec_fn": own_terminal}
    command = portway_command(APP, "--port", "0", "--loop", loop, **rest).up()
    os.close(slave)
    os.close(master)
    assert command.ends() == 0
    assert command.out.all() == "lifespan ended\n"
    assert "Stopping (SIGHUP): the terminal was closed" in command.err.all()


SILENT = """
async def app(scope, receive, send):
    pass
"""


def test_a_log_that_goes_to_the_closed_terminal_holds_nothing_up(portway_command: Portway) -> None:
    import fcntl
    import pty
    import termios

    master, slave = pty.openpty()

    def own_terminal() -> None:
        fcntl.ioctl(0, termios.TIOCSCTTY, 0)

    rest = {"stdin": slave, "stdout": slave, "stderr": slave}
    command = portway_command(SILENT, "--port", "0", **rest, start_new_session=True, preexec_fn=own_terminal)
    os.close(slave)
    said = b""
    while b"Serving" not in said:
        said += os.read(master, 4096)
    os.close(master)
    assert command.ends() == 0


# --- before it serves ---

SLOW = """
import os, signal

if os.path.exists("own"):
    signal.signal(signal.SIGUSR1, lambda number, frame: print("mine", flush=True))
print("loading", flush=True)
with open("go") as go:
    go.read()
"""


def test_no_signal_for_a_server_ends_one_that_loads_its_application(portway_command: Portway, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "go")
    command = portway_command(SLOW + APP, "--port", "0")
    command.out.wait_for("loading")
    for number in (signal.SIGUSR1, signal.SIGUSR2, signal.SIGTTIN, signal.SIGTTOU):
        command.process.send_signal(number)
    (tmp_path / "go").write_text("on")
    command.up()
    for name in ("SIGUSR2", "SIGTTIN", "SIGTTOU"):
        command.err.wait_for(f"{name} does nothing")  # what came meanwhile is heeded now
    assert command.ends(signal.SIGTERM) == 0


def test_a_handler_of_the_application_is_left_alone(portway_command: Portway, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "go")
    (tmp_path / "own").touch()
    command = portway_command(SLOW + APP, "--port", "0")
    (tmp_path / "go").write_text("on")
    command.up().process.send_signal(signal.SIGUSR1)
    command.out.wait_for("mine")
    assert command.ends(signal.SIGTERM) == 0


# --- SIGUSR1 ---

LOGGING = """
[handlers.events]
class = "logging.FileHandler"
filename = "events.log"

[handlers.access]
class = "logging.FileHandler"
filename = "access.log"

[loggers.portway]
level = "INFO"
handlers = ["events"]

[loggers."portway.access"]
level = "INFO"
propagate = false
handlers = ["access"]
"""


@LOOPS
def test_log_files_are_opened_again(portway_command: Portway, tmp_path: Path, loop: str) -> None:
    (tmp_path / "log.toml").write_text(LOGGING)
    command = portway_command(APP, "--uds", "app.sock", "--loop", loop, "--log-config", "log.toml", "--pid", "app.pid")
    # Its own lines go to files: that it serves is seen by who asks it.
    wait_for(tmp_path / "events.log", "Serving")
    ask(tmp_path)
    for name in ("events", "access"):
        (tmp_path / f"{name}.log").rename(tmp_path / f"{name}.log.1")
    command.process.send_signal(signal.SIGUSR1)
    wait_for(tmp_path / "access.log", "")
    ask(tmp_path)
    assert command.ends(signal.SIGTERM) == 0
    assert (tmp_path / "access.log.1").read_text().count("GET /") == 1
    assert (tmp_path / "access.log").read_text().count("GET /") == 1
    assert "Serving" in (tmp_path / "events.log.1").read_text()
    assert "Stopping (SIGTERM)" in (tmp_path / "events.log").read_text()


def ask(folder: Path) -> None:
    import socket

    with socket.socket(socket.AF_UNIX) as sock:
        sock.settimeout(20)
        sock.connect(str(folder / "app.sock"))
        sock.sendall(b"GET / HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n")
        while sock.recv(4096):
            pass


def wait_for(file: Path, text: str) -> None:
    """Wait until this is written there."""
    until = time.monotonic() + 20
    while not file.exists() or text not in file.read_text():
        assert time.monotonic() < until, file
        time.sleep(0.01)
