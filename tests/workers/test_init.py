"""`portway serve` as process 1 of a PID namespace, as it is in a container."""

import contextlib
import fcntl
import os
import shutil
import signal
import subprocess
import sys
import termios
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import portway
from portway.testing import Raw

Portway = Callable[..., Any]

SOURCE = str(Path(portway.__file__).parents[1])
GET = b"GET %b HTTP/1.1\r\nhost: a\r\n\r\n"

ALONE = ("unshare", "--pid", "--fork", "--mount-proc", "--kill-child")

APP = """
import asyncio, os, signal, subprocess

async def app(scope, receive, send):
    if scope["type"] == "lifespan":
        assert (await receive())["type"] == "lifespan.startup"
        await send({"type": "lifespan.startup.complete"})
        assert (await receive())["type"] == "lifespan.shutdown"
        print("lifespan ended", flush=True)
        await send({"type": "lifespan.shutdown.complete"})
        return
    await send({"type": "http.response.start", "status": 200})
    await send({"type": "http.response.body", "body": await PATHS[scope["path"]]()})

async def processes():
    return f"{os.getpid()} {os.getppid()}".encode()

async def orphan():
    # The shell ends and leaves its child to process 1.
    said = subprocess.check_output(["sh", "-c", "sleep 0.01 >&- & echo $!"])
    while os.path.exists(f"/proc/{int(said)}"):
        await asyncio.sleep(0.01)
    return b"gone"

async def die():
    os.kill(os.getpid(), signal.SIGKILL)

PATHS = {"/processes": processes, "/orphan": orphan, "/die": die}
"""


@pytest.fixture(scope="session", autouse=True)
def namespaces() -> None:
    """Skip all of this where there are none."""
    if shutil.which("unshare") is None:
        pytest.skip("there is no unshare")
    tried = subprocess.run([*ALONE, "true"], capture_output=True, text=True)
    if tried.returncode:
        pytest.skip(f"a PID namespace cannot be had: {tried.stderr.strip()}")


class Container:
    """A process 1 with `portway serve` in it, which `ends` when it is sent a signal."""

    def __init__(self, folder: Path, *args: str, **rest: Any) -> None:
        (folder / "main.py").write_text(APP)
        environ = os.environ | {"PYTHONPATH": SOURCE}
        command = [*ALONE, sys.executable, "-m", "portway", "serve", *(args or ("main:app",)), "--port", "0"]
        pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE} | rest
        self.process = subprocess.Popen(command, cwd=folder, env=environ, text=True, **pipes)
        self.port = 0

    def up(self) -> "Container":
        assert self.process.stderr is not None
        for line in self.process.stderr:
            if "Serving" in line:
                self.port = int(line.split(":")[-1].split()[0])
                return self
        raise AssertionError("it does not serve")

    @property
    def first(self) -> int:
        """The number of process 1, seen from outside."""
        number = self.process.pid
        return int(Path(f"/proc/{number}/task/{number}/children").read_text())

    def ask(self, path: bytes) -> bytes:
        with Raw("127.0.0.1", self.port) as raw:
            return bytes(raw.ask(GET % path).body)

    def ends(self, number: int | None = None) -> tuple[int, str, str]:
        """Its exit code, and the rest of what it wrote."""
        if number is not None:
            os.kill(self.first, number)
        out, err = self.process.communicate(timeout=20)
        return self.process.returncode, out, err


@pytest.fixture
def container(tmp_path: Path) -> Iterator[Callable[..., Container]]:
    started: list[Container] = []

    def start(*args: str, **rest: Any) -> Container:
        started.append(Container(tmp_path, *args, **rest))
        return started[-1]

    yield start
    for each in started:
        each.process.kill()
        each.process.communicate()


def test_the_server_is_a_child_of_process_1(container: Callable[..., Container]) -> None:
    served = container().up()
    own, parent = served.ask(b"/processes").split()
    assert (int(own) > 1, parent) == (True, b"1")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT], ids=["SIGTERM", "SIGINT"])
def test_a_signal_to_process_1_ends_the_server_in_good_order(
    container: Callable[..., Container], number: signal.Signals
) -> None:
    code, out, err = container().up().ends(number)
    assert (code, out) == (0, "lifespan ended\n")
    assert f"Stopping ({number.name})" in err


def test_an_orphan_is_reaped(container: Callable[..., Container]) -> None:
    served = container().up()
    assert served.ask(b"/orphan") == b"gone"
    assert served.ends(signal.SIGTERM)[0] == 0


def test_the_exit_code_is_that_of_the_server(container: Callable[..., Container]) -> None:
    assert container("main:missing").ends()[0] == 2


def test_a_server_that_was_killed_says_so_by_its_exit_code(container: Callable[..., Container]) -> None:
    served = container().up()
    with contextlib.suppress(OSError, EOFError, AssertionError):
        served.ask(b"/die")
    assert served.ends()[0] == 128 + signal.SIGKILL


def test_what_names_process_1_means_the_server() -> None:
    script = (
        "import os; from portway.workers import init; init.settle();"
        "print(os.environ['LISTEN_PID'] == str(os.getpid()) != '1', os.environ['WATCHDOG_PID'])"
    )
    environ = os.environ | {"PYTHONPATH": SOURCE, "LISTEN_PID": "1", "WATCHDOG_PID": "2"}
    command = [*ALONE, sys.executable, "-c", script]
    assert subprocess.check_output(command, env=environ, text=True) == "True 2\n"


def test_one_ctrl_c_is_one_interrupt(container: Callable[..., Container]) -> None:
    import pty

    master, slave = pty.openpty()

    def own_terminal() -> None:
        fcntl.ioctl(0, termios.TIOCSCTTY, 0)

    served = container(stdin=slave, start_new_session=True, preexec_fn=own_terminal).up()
    os.write(master, b"\x03")
    code, out, err = served.ends()
    os.close(master)
    os.close(slave)
    assert (code, out) == (0, "lifespan ended\n")
    assert "Stopping (SIGINT)" in err
