"""A server of several workers, as a person at a terminal meets it: real processes, signals and connections."""

import os
import re
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest

PATIENCE = 30.0
Served = Any  # see conftest
Serve = Callable[..., Served]


def test_workers_are_processes_of_their_own_and_the_supervisor_is_none_of_them(serve: Serve) -> None:
    served = serve().up()
    pids = served.pids(2)
    assert int(served.file.read_text()) == served.command.process.pid
    assert served.command.process.pid not in pids
    children = Path(f"/proc/{served.command.process.pid}/task/{served.command.process.pid}/children")
    if children.exists():
        assert set(map(int, children.read_text().split())) == pids
    assert served.command.ends(signal.SIGTERM) == 0
    assert not served.file.exists()
    assert "Stopping (SIGTERM)" in served.err.all()


def test_one_worker_has_no_supervisor(serve: Serve) -> None:
    served = serve("--workers", "1").up()
    assert served.pids(1) == {served.command.process.pid}


def test_the_supervisor_loads_nothing_of_the_application(serve: Serve) -> None:
    served = serve(more="\nopen(f'loaded.{os.getpid()}', 'w').close()\n").up()
    pids = served.pids(2)
    assert {int(file.suffix[1:]) for file in served.folder.glob("loaded.*")} == pids


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere the kernel does not spread connections")
def test_each_worker_has_a_listening_socket_of_its_own(serve: Serve) -> None:
    served = serve().up()
    pids = served.pids(2)
    sockets = [listening(pid, served.command.port) for pid in pids]
    assert [len(each) for each in sockets] == [1, 1]
    assert not sockets[0] & sockets[1]
    assert listening(served.command.process.pid, served.command.port) == sockets[0] | sockets[1]


def listening(pid: int, port: int) -> set[str]:
    """The inodes of a process' sockets that listen on a port."""
    lines = [line.split() for line in Path(f"/proc/{pid}/net/tcp").read_text().splitlines()[1:]]
    inodes = {line[9] for line in lines if line[1].endswith(f":{port:04X}") and line[3] == "0A"}
    held = {os.readlink(fd) for fd in Path(f"/proc/{pid}/fd").iterdir() if fd.is_symlink()}
    return {inode for inode in inodes if f"socket:[{inode}]" in held}


def test_hup_rolls_over_to_fresh_code_and_configuration(serve: Serve, tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("MARK=one\n")
    served = serve("--workers", "2", "--env-file", ".env").up()
    old = served.pids(2)
    served.change('"1"', '"2"')
    (served.folder / ".env").write_text("MARK=two\n")
    served.send(signal.SIGHUP)
    served.err.wait_for("All workers are replaced")
    for pid in old:
        served.err.wait_for(f"(process {pid}) ended with exit code 0")
    assert {tuple(served.ask().text.split()[::2]) for _ in range(20)} == {("2", "two")}


def test_a_reload_that_cannot_start_leaves_the_old_workers_and_says_why(serve: Serve) -> None:
    served = serve().up()
    old = served.pids(2)
    served.change('VERSION = "1"', 'VERSION = "2" +')
    said = served.say("reload", code=2)
    assert "Worker 1 could not be replaced: importing main failed: SyntaxError" in said
    assert served.pids(2) == old
    served.change('"2" +', '"3"')
    assert served.say("reload") == "all workers are replaced\n"
    assert served.version() == {"3"}


def test_a_worker_that_dies_is_told_of_and_replaced(serve: Serve) -> None:
    served = serve().up()
    before = served.pids(2)
    with pytest.raises(httpx.RemoteProtocolError):
        served.ask("/crash")
    served.err.wait_for("ended with exit code 7")
    after = served.pids(2)
    assert len(before & after) == 1
    (died,) = before - after
    assert re.search(
        rf"ERROR: +Worker [12] \(process {died}\) ended with exit code 7 after [\d.]+ s: \d+ requests, \d+ MiB\n",
        served.err.so_far(),
    )


@pytest.mark.parametrize(
    ("source", "reason"),
    [
        ("import nothing_of_that_name\n", "ModuleNotFoundError: No module named 'nothing_of_that_name'"),
        (
            "async def app(scope, receive, send):\n    await receive()\n    await send("
            "{'type': 'lifespan.startup.failed', 'message': 'no database'})\n",
            "the application's startup failed: no database",
        ),
        ("import os\nos._exit(9)\n", "ended with exit code 9"),
    ],
)
def test_workers_that_cannot_start_end_the_server_with_the_reason(serve: Serve, source: str, reason: str) -> None:
    served = serve("--workers", "3", source=source)
    assert served.command.ends() == 3
    assert reason in served.err.all()
    assert served.err.all().count("ERROR:    importing main failed") <= 1
    assert not served.file.exists()


def test_a_port_that_is_taken_is_exit_code_1(serve: Serve, tmp_path: Path, portway_in: Callable[..., Any]) -> None:
    served = serve().up()
    other = portway_in(tmp_path, "main:app", "--workers", "2", "--port", str(served.command.port))
    assert other.ends() == 1
    assert "another program is listening there" in other.err.all()


@pytest.mark.parametrize("path", ["/block", "/spin"])
def test_a_blocked_worker_is_replaced_and_its_stacks_are_in_the_log(serve: Serve, path: str) -> None:
    served = serve("--workers", "2", "--timeout-worker", "2").up()
    served.pids(2)
    with pytest.raises(httpx.HTTPError):
        served.ask(path)
    served.err.wait_for("was ended by SIGKILL")
    said = served.err.so_far()
    assert said.count("its event loop has been blocked for 2 s") == 1
    assert said.count("was here:") == 1
    assert "time.sleep(1000)" in said if path == "/block" else "while True:" in said
    assert "Thread MainThread:" in said
    if path == "/spin":
        assert "Task idler:" in said
        assert "await asyncio.sleep(1000)" in said
    served.pids(2)


def test_a_worker_that_is_not_ready_in_time_ends_the_server_and_tells_where_it_hung(serve: Serve) -> None:
    source = "import time\n\n\ndef connects():\n    time.sleep(1000)\n\n\nconnects()\n"
    served = serve("--workers", "2", "--timeout-startup", "1", source=source)
    assert served.command.ends() == 3
    said = served.err.all()
    assert "it was not ready within 2 s" in said
    assert "in connects" in said


def test_workers_are_added_and_removed_one_by_one(serve: Serve) -> None:
    served = serve().up()
    served.send(signal.SIGTTIN)
    served.err.wait_for("3 workers from now on")
    assert len(served.pids(3)) == 3
    served.send(signal.SIGTTOU)
    served.err.wait_for("2 workers from now on")
    served.err.wait_for("Worker 3 (process")
    assert len(served.status()) == 2
    assert served.say("scale", "1") == "1 worker from now on\n"
    served.err.wait_for("Worker 2 (process")
    served.send(signal.SIGTTOU)  # one is the least
    assert len(served.pids(1)) == 1


def test_an_upgrade_puts_a_new_supervisor_in_the_place_of_the_old_one(serve: Serve) -> None:
    served = serve().up()
    old, before = int(served.file.read_text()), served.pids(2)
    assert served.say("upgrade") == "a new supervisor serves\n"
    assert served.command.process.wait(PATIENCE) == 0
    assert int(served.file.read_text()) != old
    assert not served.pids(2) & before
    assert len(served.status()) == 2
    served.say("stop")
    assert not served.file.exists()


def test_an_upgrade_that_does_not_come_up_changes_nothing(serve: Serve) -> None:
    served = serve().up()
    before = served.pids(2)
    served.change("import asyncio", "import nothing_of_that_name")
    assert "ended with exit code 3" in served.say("upgrade", code=2)
    assert int(served.file.read_text()) == served.command.process.pid
    assert served.pids(2) == before
    served.change("import nothing_of_that_name", "import asyncio")
    assert served.say("upgrade") == "a new supervisor serves\n"


def test_status_shows_a_table(serve: Serve) -> None:
    served = serve().up()
    pids = served.pids(2)
    lines = served.say("status").splitlines()
    assert re.fullmatch(r"Portway \S+, process \d+, serves main:app", lines[0])
    assert lines[1].split() == ["worker", "process", "phase", "uptime", "requests", "connections", "lag", "memory"]
    assert {int(line.split()[1]) for line in lines[2:]} == pids
    assert all(re.fullmatch(r" +[12] +\d+ +ready +[\d.]+ s +\d+ +\d+ +\d+ ms +\d+ MiB", line) for line in lines[2:])
    control = served.file.with_suffix(".control")
    assert control.stat().st_mode & 0o777 == 0o600


def test_stop_waits_until_the_server_has_ended(serve: Serve) -> None:
    served = serve().up()
    served.say("stop")
    assert served.command.process.wait(PATIENCE) == 0
    said = served.say("status", code=2)
    assert "does it run?" in said


def test_ctrl_c_ends_in_good_order_and_a_second_one_at_once(serve: Serve) -> None:
    served = serve().up()
    pids = served.pids(2)
    with httpx.stream("GET", f"http://127.0.0.1:{served.command.port}/wait", timeout=PATIENCE) as response:
        next(response.iter_raw())
        served.command.process.send_signal(signal.SIGINT)
        served.err.wait_for("press Ctrl+C again to end at once")
        assert served.command.ends(signal.SIGINT) == 130
    assert not any(Path(f"/proc/{pid}").exists() for pid in pids)


def test_workers_end_in_good_order_when_their_supervisor_is_killed(serve: Serve) -> None:
    served = serve().up()
    served.pids(2)
    served.command.ends(signal.SIGKILL)
    served.err.wait_for("The supervisor is gone; this worker ends", 2)
    served.err.all()  # both have closed it
    with pytest.raises(httpx.ConnectError):
        served.ask()
    served.file.unlink()


def test_sigterm_to_a_worker_replaces_it(serve: Serve) -> None:
    served = serve().up()
    before = served.pids(2)
    victim = min(before)
    os.kill(victim, signal.SIGTERM)
    served.err.wait_for(f"(process {victim}) ended with exit code 0")
    after = served.pids(2)
    assert after & before == before - {victim}


def test_workers_are_replaced_after_so_many_requests_one_by_one(serve: Serve) -> None:
    served = serve("--workers", "2", "--limit-max-requests", "20").up()
    before = served.pids(2)
    for _ in range(60):
        assert served.ask().status_code == 200
    served.err.wait_for("is replaced: 20 requests", 2)
    for pid in before:
        served.err.wait_for(f"(process {pid}) ended with exit code 0")
    assert not served.pids(2) & before


def test_preloaded_workers_are_forks_of_one_process_and_still_take_fresh_code(serve: Serve) -> None:
    more = "\nLOADED = os.getpid()\nopen(f'loaded.{LOADED}', 'w').close()\n"
    served = serve("--workers", "3", "--preload", more=more).up()
    old = served.pids(3)
    (loaded,) = served.folder.glob("loaded.*")
    assert int(loaded.suffix[1:]) not in {*old, served.command.process.pid}
    served.change('"1"', '"2"')
    assert served.say("reload") == "all workers are replaced\n"
    assert served.version() == {"2"}
    assert len(list(served.folder.glob("loaded.*"))) == 2
    with pytest.raises(httpx.RemoteProtocolError):
        served.ask("/crash")
    served.err.wait_for("ended with exit code 7")
    assert len(served.pids(3)) == 3
    served.change('"2"', '"2" +')
    assert "SyntaxError" in served.say("reload", code=2)
    assert served.command.ends(signal.SIGTERM) == 0


HOOKS = """
import asyncio
import os


def write(*words):
    with open("hooks.txt", "a") as file:
        print(*words, os.getpid(), file=file)


def on_starting():
    write("starting")


def on_worker_started(worker):
    write("started", worker.number)


def on_worker_ready(worker):
    write("ready", worker.number)


def on_worker_exit(worker):
    write("exit", worker.number, worker.exit_code)


def on_stopping():
    write("stopping")
    raise RuntimeError("a hook that fails")


async def once_per_server():
    write("once")
    try:
        await asyncio.sleep(1000)
    finally:
        write("once ended")
"""


def test_hooks_run_in_the_supervisor_and_what_runs_once_in_one_worker_at_a_time(serve: Serve, tmp_path: Path) -> None:
    (tmp_path / "project_hooks.py").write_text(HOOKS)
    served = serve("--workers", "2", "--hooks", "project_hooks").up()
    pids = served.pids(2)

    def lines() -> list[list[str]]:
        return [line.rsplit(" ", 1) for line in (tmp_path / "hooks.txt").read_text().splitlines()]

    def until(*words: str) -> str:
        for _ in range(1000):
            found = [pid for what, pid in lines() if what == " ".join(words)]
            if found:
                return found[-1]
            served.ask()
        raise AssertionError(lines())

    first = int(until("once"))
    assert first in pids
    os.kill(first, signal.SIGKILL)
    served.err.wait_for("was ended by SIGKILL")
    for _ in range(1000):
        if sum(what == "once" for what, _ in lines()) == 2:
            break
        served.ask()
    second = int(lines()[-1][1] if lines()[-1][0] == "once" else until("once"))
    assert second != first
    served.say("stop")
    said = "a hook that fails"
    served.err.wait_for(said)
    what = [each for each, _ in lines()]
    supervisor = {pid for each, pid in lines() if not each.startswith("once")}
    assert supervisor == {str(served.command.process.pid)}
    assert what[0] == "starting"
    assert {"started 1", "started 2", "ready 1", "ready 2", "stopping", "exit 1 0", "exit 2 0"} <= set(what)
    assert what.count("once") == 2
    assert what.count("once ended") == 1  # the killed one could not
    assert what.index("stopping") < what.index("once ended")


def test_one_process_has_the_same_hooks(serve: Serve, tmp_path: Path) -> None:
    (tmp_path / "project_hooks.py").write_text(HOOKS)
    served = serve("--hooks", "project_hooks").up()
    for _ in range(1000):
        if "once" in (tmp_path / "hooks.txt").read_text():
            break
        served.ask()
    served.command.ends(signal.SIGTERM)
    lines = [line.rsplit(" ", 1) for line in (tmp_path / "hooks.txt").read_text().splitlines()]
    assert [what for what, _ in lines] == [
        "starting", "started 1", "ready 1", "once", "stopping", "once ended", "exit 1 0",
    ]  # fmt: skip
    assert {pid for _, pid in lines} == {str(served.command.process.pid)}


def test_hooks_that_cannot_be_are_refused(serve: Serve, tmp_path: Path) -> None:
    (tmp_path / "project_hooks.py").write_text("def once_per_server():\n    pass\n")
    served = serve("--workers", "2", "--hooks", "project_hooks")
    assert served.command.ends() == 2
    assert "write async def once_per_server()" in served.err.all()


@pytest.mark.skipif(sys.platform != "linux", reason="the limits of another process can be set on Linux")
def test_a_process_that_cannot_be_had_now_is_tried_for_again(serve: Serve) -> None:
    import resource

    served = serve().up()
    pid = served.command.process.pid
    usual = resource.prlimit(pid, resource.RLIMIT_NOFILE)
    resource.prlimit(pid, resource.RLIMIT_NOFILE, (len(os.listdir(f"/proc/{pid}/fd")) - 2, usual[1]))
    os.kill(served.pids(2).pop(), signal.SIGKILL)
    served.err.wait_for("could not start: no process could be started: ")
    resource.prlimit(pid, resource.RLIMIT_NOFILE, usual)
    assert len(served.pids(2)) == 2
    served.say("stop")


def test_workers_are_started_though_no_temporary_file_can_be_made(
    serve: Serve, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "temporary"
    folder.mkdir()
    monkeypatch.setenv("TMPDIR", str(folder))
    served = serve().up()
    folder.rmdir()
    before = served.pids(2)
    served.say("reload")
    assert not served.pids(2) & before
    served.say("stop")


def test_a_preloaded_worker_that_ends_with_the_process_that_bore_it_is_replaced(serve: Serve) -> None:
    served = serve("--workers", "2", "--preload").up()
    worker = served.status()[0]["process"]
    nursery = int(Path(f"/proc/{worker}/stat").read_text().rpartition(")")[2].split()[1])
    supervisor = served.command.process.pid
    os.kill(supervisor, signal.SIGSTOP)
    for pid in (nursery, worker):  # the nursery tells nobody of the worker's end
        os.kill(pid, signal.SIGKILL)
    os.kill(supervisor, signal.SIGCONT)
    served.err.wait_for("is gone after")
    assert len(served.pids(2)) == 2
    served.say("stop")
