"""What an operator asks of a server of several workers beyond its life: health, logs, recycling, configuration."""

import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest

Served = Any  # see conftest
Serve = Callable[..., Served]


def test_health_is_503_while_it_drains_and_requests_are_still_served(serve: Serve) -> None:
    served = serve("--workers", "2", "--health-path", "/healthz", "--drain-delay", "60").up()
    assert served.ask("/healthz").json() == {"status": "ok"}
    served.send(signal.SIGTERM)
    served.err.wait_for("Serving on for 60 s, as --drain-delay says", 2)
    for _ in range(10):
        answer = served.ask("/healthz")
        assert (answer.status_code, answer.json()["status"]) == (503, "stopping")
    assert served.ask().status_code == 200
    served.send(signal.SIGQUIT)
    assert served.command.ends() == 131


def test_a_rollover_does_not_make_it_unhealthy(serve: Serve) -> None:
    served = serve("--workers", "2", "--health-path", "/healthz").up()
    served.send(signal.SIGHUP)
    while "All workers are replaced" not in served.err.so_far():
        assert served.ask("/healthz").status_code == 200


LOGGING = """
version = 1

[handlers.file]
class = "logging.FileHandler"
filename = "server.log"

[loggers."portway.access"]
level = "INFO"
handlers = ["file"]

[loggers.portway]
level = "INFO"
handlers = ["file", "screen"]

[handlers.screen]
class = "logging.StreamHandler"
"""


def test_log_files_are_opened_again_by_the_supervisor_and_by_each_worker(serve: Serve, tmp_path: Path) -> None:
    (tmp_path / "logging.toml").write_text(LOGGING)
    served = serve("--workers", "2", "--log-config", "logging.toml").up()
    served.pids(2)
    file = tmp_path / "server.log"
    file.rename(tmp_path / "server.log.1")
    served.send(signal.SIGUSR1)
    served.err.wait_for("Log files are opened anew")
    for _ in range(1000):
        served.pids(2)
        if file.exists() and "GET / " in file.read_text():
            break
    before = (tmp_path / "server.log.1").stat().st_size
    served.pids(2)
    served.pids(2)
    assert served.command.ends(signal.SIGTERM) == 0
    assert "Stopped" in file.read_text()
    assert (tmp_path / "server.log.1").stat().st_size == before


GROWS = """
held = []


async def app(scope, receive, send):
    assert scope["type"] == "http"
    if scope["path"] == "/grow":
        held.append(b"x" * 200_000_000)
    import os
    body = f"1 {os.getpid()}".encode()
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"%d" % len(body))]})
    await send({"type": "http.response.body", "body": body})
"""


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells how much memory a process has")
def test_a_worker_that_holds_too_much_memory_is_replaced(serve: Serve) -> None:
    served = serve("--workers", "2", "--limit-max-memory", "150M", source=GROWS).up()
    before = served.pids(2)
    grown = int(served.ask("/grow").text.split()[1])
    served.err.wait_for("MiB of memory")
    served.err.wait_for(f"(process {grown}) ended with exit code 0")
    assert served.pids(2) & before == before - {grown}


def test_workers_are_replaced_when_they_are_old(serve: Serve) -> None:
    served = serve("--workers", "2", "--limit-max-age", "1").up()
    before = served.pids(2)
    served.err.wait_for("is replaced: 1 s", 2)
    for pid in before:
        served.err.wait_for(f"(process {pid}) ended with exit code 0")
    assert served.ask().status_code == 200


def test_a_configuration_that_cannot_be_used_replaces_nothing(serve: Serve, tmp_path: Path) -> None:
    (tmp_path / "portway.toml").write_text("timeout-keep-alive = 5\n")
    served = serve().up()
    before = served.pids(2)
    (tmp_path / "portway.toml").write_text('timeout-keep-alive = "soon"\n')
    assert "timeout_keep_alive in portway.toml: 'soon' is not a number of seconds" in served.say("reload", code=2)
    assert served.pids(2) == before
    (tmp_path / "portway.toml").write_text("workers = 3\n")
    served.command.ends(signal.SIGTERM)


def test_workers_in_the_configuration_are_heeded_at_a_reload(serve: Serve, tmp_path: Path) -> None:
    (tmp_path / "portway.toml").write_text("workers = 2\n")
    served = serve("--backlog", "100").up()
    served.pids(2)
    (tmp_path / "portway.toml").write_text("workers = 3\n")
    served.say("reload")
    assert len(served.pids(3)) == 3
    (tmp_path / "portway.toml").write_text("workers = 2\n")
    served.say("reload")
    assert len(served.status()) >= 2
    served.err.wait_for("Worker 3 (process")


def test_wsgi_is_told_of_the_other_processes(serve: Serve) -> None:
    source = (
        "def app(environ, start_response):\n    start_response('200 OK', [])\n"
        "    return [b'%r %r' % (environ['wsgi.multiprocess'], environ['wsgi.multithread'])]\n"
    )
    served = serve("--workers", "2", source=source).up()
    assert served.ask().text == "True True"


@pytest.mark.parametrize("command", ["status", "reload", "upgrade", "stop"])
def test_a_command_without_a_server_says_so(serve: Serve, command: str) -> None:
    served = serve().up()
    served.say("stop")
    said = served.say(command, code=2)
    assert said.startswith("portway: error: ")
    assert "does " in said


def test_a_stream_is_finished_when_its_worker_is_replaced(serve: Serve, tmp_path: Path) -> None:
    source = (
        "import asyncio\n\n\nasync def app(scope, receive, send):\n    assert scope['type'] == 'http'\n"
        "    await send({'type': 'http.response.start', 'status': 200, 'headers': []})\n"
        "    await send({'type': 'http.response.body', 'body': b'a', 'more_body': True})\n"
        "    await asyncio.to_thread(open, 'go')\n"  # until somebody opens the other end
        "    await send({'type': 'http.response.body', 'body': b'b'})\n"
    )
    os.mkfifo(tmp_path / "go")
    served = serve(source=source).up()
    with httpx.stream("GET", f"http://127.0.0.1:{served.command.port}/", timeout=30) as response:
        stream = response.iter_raw()
        assert next(stream) == b"a"
        served.send(signal.SIGHUP)
        served.err.wait_for("All workers are replaced")
        served.err.wait_for("Waiting for 1 request to end")
        (served.folder / "go").write_text("")
        assert b"".join(stream) == b"b"
