"""The loop's default executor: its size, its names, and how it ends."""

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest

import portway
from portway.cpus import usable
from portway.server.executor import DefaultExecutor
from portway.testing import Raw, serve
from portway.types import Receive, Scope, Send

Portway = Callable[..., Any]

PATIENCE = 20.0
LOOPS = pytest.mark.parametrize("loop", ["uvloop", "asyncio"])

posix = pytest.mark.skipif(sys.platform == "win32", reason="Windows has no signals to send")

APP = """
import asyncio, threading

barrier = threading.Barrier(2)
ended = threading.Event()
tasks = []

def say(text):
    print(text, flush=True)

def meet():
    barrier.wait(20)
    return threading.current_thread().name

def stick():
    say("stuck")
    threading.Event().wait()

def outlive():
    say("working")
    ended.wait(20)
    say("work done")

async def tidy():
    try:
        await asyncio.Event().wait()
    finally:
        await asyncio.to_thread(say, "tidied up")

async def app(scope, receive, send):
    if scope["type"] == "lifespan":
        assert (await receive())["type"] == "lifespan.startup"
        if STUCK:
            loop.run_in_executor(None, stick)
        await send({"type": "lifespan.startup.failed" if STUCK else "lifespan.startup.complete"})
        assert (await receive())["type"] == "lifespan.shutdown"
        await send({"type": "lifespan.shutdown.complete"})
        ended.set()
        return
    body = b""
    if scope["path"] == "/meet":
        names = await asyncio.gather(*(asyncio.to_thread(meet) for _ in range(4)))
        body = " ".join(sorted(set(names))).encode()
    elif scope["path"] == "/tidy":
        tasks.append(asyncio.create_task(tidy()))
        await asyncio.sleep(0)
    else:
        asyncio.get_running_loop().run_in_executor(None, {"/stick": stick, "/outlive": outlive}[scope["path"]])
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"%d" % len(body))]})
    await send({"type": "http.response.body", "body": body})
"""
SOURCE = "STUCK = False" + APP


def ask(served: Any, path: str) -> str:
    with Raw("127.0.0.1", served.port) as raw:
        raw.send(f"GET {path} HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n".encode())
        return str(raw.response().body.decode())


@LOOPS
def test_as_many_threads_as_told_and_named(loop: str, portway_command: Portway) -> None:
    served = portway_command(SOURCE, "--port", "0", "--loop", loop, "--executor-threads", "2").up()
    assert ask(served, "/meet") == "portway-executor-1 portway-executor-2"


def test_by_default_as_many_as_python_would_have_for_the_cpus_of_the_process() -> None:
    assert DefaultExecutor(None, lambda: 0.0)._max_workers == min(32, usable() + 4)


def test_a_loop_of_someone_elses_keeps_its_executor() -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        import asyncio
        import threading

        name = await asyncio.to_thread(lambda: threading.current_thread().name)
        await send({"type": "http.response.start", "status": 200})
        await send({"type": "http.response.body", "body": name.encode()})

    with serve(app, lifespan="off") as served:
        assert not httpx.get(served.url).text.startswith("portway")


@posix
@LOOPS
def test_work_that_outlives_its_request_may_end(loop: str, portway_command: Portway) -> None:
    served = portway_command(SOURCE, "--port", "0", "--loop", loop).up()
    ask(served, "/outlive")
    served.out.wait_for("working")
    assert served.ends(signal.SIGTERM) == 0
    assert "work done" in served.out.all()


@posix
@LOOPS
def test_a_task_that_is_cancelled_at_the_end_may_still_use_it(loop: str, portway_command: Portway) -> None:
    served = portway_command(SOURCE, "--port", "0", "--loop", loop).up()
    ask(served, "/tidy")
    assert served.ends(signal.SIGTERM) == 0
    assert "tidied up" in served.out.all()


@posix
@LOOPS
def test_a_thread_that_is_stuck_does_not_keep_the_process(loop: str, portway_command: Portway) -> None:
    served = portway_command(SOURCE, "--port", "0", "--loop", loop, "--timeout-graceful-shutdown", "2").up()
    ask(served, "/stick")
    served.out.wait_for("stuck")
    assert served.ends(signal.SIGTERM) == 0
    log = served.err.all()
    assert "Waiting for portway-executor-1 to end (up to " in log
    assert "Still running at the end: portway-executor-1" in log


@posix
def test_one_that_is_stuck_at_a_failed_startup_neither(portway_command: Portway) -> None:
    served = portway_command("STUCK = True" + APP.replace("loop.run", "asyncio.get_running_loop().run"), "--port", "0")
    assert served.ends() == 3
    log = served.err.all()
    assert "Still running at the end: portway-executor-1" in log
    assert "Waiting" not in log


def test_run_returns_with_a_thread_that_is_stuck(tmp_path: Path) -> None:
    source = (
        SOURCE
        + """
import os, portway
portway.run(app, port=0, limit_max_requests=1, timeout_graceful_shutdown=0, access_log=False)
say("returned")
os._exit(7)
"""
    )
    (tmp_path / "script.py").write_text(source)
    env = os.environ | {"PYTHONPATH": str(Path(portway.__file__).parents[1])}
    with subprocess.Popen([sys.executable, "script.py"], cwd=tmp_path, env=env, stderr=-1, stdout=-1, text=True) as run:
        assert run.stderr is not None
        while "Serving" not in (line := run.stderr.readline()):
            assert line

        class Found:
            port = int(line.partition("127.0.0.1:")[2].split()[0])

        ask(Found, "/stick")
        out, log = run.communicate(timeout=60)
    assert run.returncode == 7
    assert "returned" in out
    assert "Still running at the end: portway-executor-1" in log
