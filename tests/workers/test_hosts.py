"""A server of several workers in the hands of systemd, of a container, and of a script."""

import os
import queue
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest

Served = Any  # see conftest
Serve = Callable[..., Served]


class Systemd:
    """The socket that a service reports to. It is read all the time, as systemd does: the kernel keeps ten reports."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "notify"
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.sock.bind(str(self.path))
        self._lines: queue.Queue[str] = queue.Queue()
        threading.Thread(target=self._read, daemon=True).start()

    def until(self, text: str) -> None:
        """Wait for a line, that comes after those that were waited for before."""
        deadline = time.monotonic() + 30
        while self._lines.get(timeout=max(0.0, deadline - time.monotonic())) != text:
            pass

    def close(self) -> None:
        self._lines.put("closed")
        self.sock.shutdown(socket.SHUT_RDWR)
        self.sock.close()

    def _read(self) -> None:
        while data := self.sock.recv(4096):
            for line in data.decode().splitlines():
                self._lines.put(line)


@pytest.fixture
def systemd(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    found = Systemd(tmp_path)
    monkeypatch.setenv("NOTIFY_SOCKET", str(found.path))
    yield found
    found.close()


def test_systemd_is_told_how_the_server_is(serve: Serve, systemd: Systemd, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WATCHDOG_USEC", "200000")
    served = serve("--workers", "2").up()
    systemd.until("READY=1")
    systemd.until("WATCHDOG=1")
    served.send(signal.SIGHUP)
    systemd.until("RELOADING=1")
    systemd.until("READY=1")
    served.say("upgrade")
    systemd.until(f"MAINPID={served.file.read_text().strip()}")
    systemd.until("READY=1")
    served.send(signal.SIGTERM)
    systemd.until("STOPPING=1")


def test_workers_do_not_speak_for_the_service(serve: Serve, systemd: Systemd) -> None:
    served = serve("--workers", "2").up()
    for pid in served.pids(2):
        assert b"NOTIFY_SOCKET" not in Path(f"/proc/{pid}/environ").read_bytes()


def test_sockets_of_systemd_are_shared_by_the_workers_and_stay_open(serve: Serve, tmp_path: Path) -> None:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        sock.listen()
        port = sock.getsockname()[1]
        served = serve("--workers", "2", "--fd", str(sock.fileno()), pass_fds=[sock.fileno()]).up()
        assert served.command.port == port
        served.pids(2)
        assert served.command.ends(signal.SIGTERM) == 0
        with socket.create_connection(("127.0.0.1", port)):  # it waits for the next server
            pass


def test_a_unix_socket_is_one_for_all_workers_and_is_removed_in_the_end(serve: Serve, tmp_path: Path) -> None:
    path = tmp_path / "web.sock"
    served = serve("--workers", "2", "--uds", str(path)).up()

    def ask() -> str:
        with httpx.Client(transport=httpx.HTTPTransport(uds=str(path))) as client:
            return client.get("http://x/").text.split()[1]

    assert len({ask() for _ in range(200)}) <= 2
    served.send(signal.SIGHUP)
    served.err.wait_for("All workers are replaced")
    served.say("scale", "1")
    served.err.wait_for("Worker 2 (process", 2)
    assert ask()
    served.say("upgrade")
    served.command.process.wait(30)
    assert ask()
    served.say("stop")
    assert not path.exists()


def test_as_process_1_of_a_container_it_reaps_orphans_and_ends_by_sigterm(tmp_path: Path) -> None:
    unshare = shutil.which("unshare")
    command = [str(unshare), "--user", "--map-root-user", "--pid", "--fork", "--mount-proc", "--kill-child"]
    if unshare is None or subprocess.run([*command, "true"], capture_output=True).returncode:
        pytest.skip("no process namespaces here")
    (tmp_path / "main.py").write_text(ORPHANS)
    environ = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2] / "src")}
    with subprocess.Popen(
        [*command, sys.executable, "-m", "portway", "serve", "main:app", "-w", "2", "--uds", str(tmp_path / "s")],
        cwd=tmp_path, env=environ, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True,
    ) as process:  # fmt: skip
        assert process.stderr is not None
        for line in process.stderr:
            if "press Ctrl+C" in line:
                break
        with httpx.Client(transport=httpx.HTTPTransport(uds=str(tmp_path / "s"))) as client:
            orphan = client.get("http://x/leave").text
            for _ in range(1000):
                if client.get(f"http://x/{orphan}").text == "gone":
                    break
            else:
                raise AssertionError("a zombie is left")
            client.get("http://x/stop")
        assert process.wait(30) == 0
        rest = process.stderr.read()
    assert "Stopping (SIGTERM)" in rest


ORPHANS = """
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

LEAVES = "import os, sys; pid = os.fork(); print(pid, end='', flush=True) if pid else None"


async def app(scope, receive, send):
    assert scope["type"] == "http"
    path = scope["path"][1:]
    if path == "leave":
        body = subprocess.run([sys.executable, "-c", LEAVES], capture_output=True).stdout
    elif path == "stop":
        os.kill(1, signal.SIGTERM)
        body = b""
    else:
        body = b"there" if Path("/proc", path).exists() else b"gone"
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": body})
"""

SCRIPT = """
import portway

if __name__ == "__main__":
    portway.run("main:app", port=0, workers=2)
"""


def run_script(folder: Path, text: str) -> "subprocess.Popen[str]":
    (folder / "script.py").write_text(text)
    environ = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2] / "src")}
    return subprocess.Popen(
        [sys.executable, "script.py"], cwd=folder, env=environ, text=True, stderr=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
    )  # fmt: skip


def test_run_has_workers_for_a_target(tmp_path: Path) -> None:
    (tmp_path / "main.py").write_text(ORPHANS)
    with run_script(tmp_path, SCRIPT) as process:
        assert process.stderr is not None
        for line in process.stderr:
            if "press Ctrl+C" in line:
                break
        process.send_signal(signal.SIGTERM)
        assert process.wait(30) == 0
        process.stderr.read()


def test_run_says_what_workers_need(tmp_path: Path) -> None:
    text = SCRIPT.replace('"main:app"', "print")
    with run_script(tmp_path, text) as process:
        assert process.stderr is not None
        assert "give run a target such as 'main:app'" in process.stderr.read()
        assert process.wait() == 1


def test_a_script_that_workers_load_must_not_run_a_server_again(tmp_path: Path) -> None:
    text = 'import portway\n\nportway.run("script:app", port=0, workers=2)\n'
    with run_script(tmp_path, text) as process:
        assert process.stderr is not None
        assert "write if __name__ == '__main__':" in process.stderr.read()
        assert process.wait() == 3
