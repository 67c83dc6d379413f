"""What a supervisor and those who ask it for something make of what is wrong around them."""

import fcntl
import os
import pty
import signal
import socket
import subprocess
import sys
import termios
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from portway.workers.pidfile import PidFile, is_server

Serve = Callable[..., Any]

HOOKS = """
import os
import sys


def on_starting():
    if os.path.exists("go"):
        with open("go") as go:
            go.read()


def on_worker_exit(worker):
    sys.exit(9)
"""


def test_a_reload_that_comes_to_nothing_is_over_for_systemd(
    serve: Serve, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as systemd:
        systemd.bind(str(tmp_path / "notify"))
        systemd.settimeout(20)
        monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "notify"))
        (tmp_path / "portway.toml").write_text("workers = 2\n")
        served = serve("--no-access-log").up()
        assert systemd.recv(999).startswith(b"READY=1")
        (tmp_path / "portway.toml").write_text("workers = [")
        served.send(signal.SIGHUP)
        served.err.wait_for("Nothing is replaced")
        assert systemd.recv(999).startswith(b"RELOADING=1")
        assert systemd.recv(999) == b"READY=1"
        served.send(signal.SIGTERM)
        assert systemd.recv(999).startswith(b"STOPPING=1")


def test_a_pid_file_goes_with_a_server_that_found_no_port(serve: Serve, portway_in: Callable[..., Any]) -> None:
    served = serve().up()
    other = served.folder / "other.pid"
    args = ("main:app", "--port", str(served.command.port), "--workers", "2", "--pid", str(other))
    assert portway_in(served.folder, *args).ends() == 1
    assert not other.exists()


def test_stop_ends_no_other_program(serve: Serve) -> None:
    served = serve("--workers", "2")
    served.command.up()
    served.say("stop")
    with subprocess.Popen(["sleep", "1000"]) as process:
        served.file.write_text(f"{process.pid}\n")
        while b"sleep" not in Path(f"/proc/{process.pid}/cmdline").read_bytes():
            pass
        assert "is no server" in served.say("stop", code=2)
        assert process.poll() is None
        process.kill()
    assert "is no server" in served.say("stop", code=2)  # and none at all
    served.file.unlink()


@pytest.mark.skipif(sys.platform != "linux", reason="needs /proc")
def test_a_server_that_nobody_has_waited_for_runs_no_more(tmp_path: Path) -> None:
    process = subprocess.Popen([sys.executable, "-c", ""])
    os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
    assert not is_server(process.pid)
    (tmp_path / "pid").write_text(f"{process.pid}\n")
    PidFile(str(tmp_path / "pid")).take()
    process.wait()


def test_a_hook_does_not_end_the_server(serve: Serve, tmp_path: Path) -> None:
    (tmp_path / "project.py").write_text(HOOKS)
    served = serve("--workers", "2", "--hooks", "project").up()
    os.kill(served.status()[0]["process"], signal.SIGKILL)
    served.err.wait_for("on_worker_exit of project raised")
    assert len(served.pids(2)) == 2
    served.say("stop")


@pytest.mark.parametrize("name", ["SIGHUP", "SIGUSR1", "SIGUSR2", "SIGTTIN", "SIGTTOU"])
def test_who_asks_too_early_for_something_ends_nothing(serve: Serve, tmp_path: Path, name: str) -> None:
    (tmp_path / "project.py").write_text(HOOKS)
    os.mkfifo(tmp_path / "go")
    served = serve("--workers", "2", "--hooks", "project")
    with (tmp_path / "go").open("w"):  # from here on it waits in on_starting
        served.send(getattr(signal, name))
    served.command.up()
    served.say("stop")


THREAD = """
import threading

import portway

run = portway.run


def begin():
    try:
        run("main:app", workers=2, port=0)
    except portway.SettingsError as fault:
        print(fault)


thread = threading.Thread(target=begin)
thread.start()
thread.join()
"""


def test_workers_are_for_the_main_thread() -> None:
    environ = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2] / "src")}
    ran = subprocess.run([sys.executable, "-c", THREAD], env=environ, capture_output=True, text=True, timeout=30)
    assert ran.stdout.startswith("workers: signals come to the main thread"), ran.stderr


def without_hangup() -> None:
    """As nohup starts it, in a terminal of its own."""
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    fcntl.ioctl(0, termios.TIOCSCTTY, 0)


def test_what_nohup_started_outlives_its_terminal(serve: Serve) -> None:
    ours, theirs = pty.openpty()
    served = serve("--workers", "2", stdin=theirs, start_new_session=True, preexec_fn=without_hangup).up()
    os.close(theirs)
    os.close(ours)
    served.err.wait_for("All workers are replaced")
    assert len(served.pids(2)) == 2
    served.send(signal.SIGHUP)
    served.err.wait_for("All workers are replaced", 2)
    served.say("stop")


def test_a_module_of_the_project_stands_in_nobodys_way(tmp_path: Path, serve: Serve) -> None:
    """Where Portway is a command, a folder is looked into after all has been imported that a server needs."""
    (tmp_path / "select.py").write_text("")
    start = "import sys; sys.path.remove(''); from portway.cli import main; main()"
    environ = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2] / "src")}
    command = [sys.executable, "-c", start, "serve", "main:app", "--port", "0", "--workers", "2"]
    served = serve("--workers", "2")
    served.command.ends(signal.SIGKILL)
    with subprocess.Popen(command, cwd=tmp_path, env=environ, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        said = []
        for line in process.stderr:
            said.append(line)
            if "press Ctrl+C" in line:
                process.terminate()
        assert process.wait() == 0, said
