"""A server is asked over real Unix sockets."""

import asyncio
import json
import os
import re
import socket
import stat
import subprocess
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest

from portway.workers import control
from portway.workers.control import LONGEST_PATH, REQUEST_MOST, Control, ControlError
from portway.workers.info import span

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such sockets for asyncio")


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where control sockets are, for this test."""
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    return tmp_path / "portway"


async def echo(request: Any) -> dict[str, Any]:
    return {"ok": True, "text": "done", "count": int(request["count"])}


@asynccontextmanager
async def opened(path: Path, answer: Callable[[Any], Any] = echo) -> AsyncIterator[Control]:
    server = Control(path, answer)
    await server.open()
    try:
        yield server
    finally:
        await quiet()
        server.close()
        await quiet()


async def quiet() -> None:
    """Let whoever spoke last, and only knocked perhaps, be heard to the end."""
    for _ in range(10):
        await asyncio.sleep(0)
    others = asyncio.all_tasks() - {asyncio.current_task()}
    if others:
        await asyncio.wait(others)
    await asyncio.sleep(0)


async def asked(path: Path, request: dict[str, Any]) -> dict[str, Any]:
    return await asyncio.to_thread(control.ask, path, request)


async def told(path: Path, data: bytes) -> bytes:
    """What is answered to these bytes."""
    reader, writer = await asyncio.open_unix_connection(path)
    writer.write(data)
    with suppress(OSError):
        await writer.drain()
    answer = await reader.read()
    writer.close()
    return answer


def dead(path: Path) -> None:
    """Leave what a killed server leaves."""
    path.parent.mkdir(mode=0o700, exist_ok=True)
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as sock:
        sock.bind(os.fspath(path))


# --- where it is ---


@pytest.mark.parametrize(
    ("pid", "name"),
    [("portway.pid", "portway.control"), ("portway", "portway.control"), ("shop.blue", "shop.blue.control")],
)
def test_it_stands_beside_the_pid_file(tmp_path: Path, pid: str, name: str) -> None:
    assert control.place(str(tmp_path / pid)) == tmp_path / name
    assert control.find(str(tmp_path / pid)) == tmp_path / name


def test_a_pid_file_is_where_it_was_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert control.place("portway.pid") == tmp_path / "portway.control"


def test_without_a_pid_file_it_is_in_a_folder_of_this_user(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert control.place(None) == home / f"{os.getpid()}.control"
    monkeypatch.delenv("XDG_RUNTIME_DIR")
    assert control.place(None).parent.name == f"portway-{os.getuid()}"


# --- the server's side ---


def test_it_answers(tmp_path: Path) -> None:
    async def talk() -> None:
        path = tmp_path / "portway.control"
        async with opened(path):
            assert await asked(path, {"do": "scale", "count": 3}) == {"ok": True, "text": "done", "count": 3}
            assert await asked(path, {"do": "scale", "count": 4}) == {"ok": True, "text": "done", "count": 4}
        assert list(tmp_path.iterdir()) == []

    asyncio.run(talk())


def test_its_owner_alone_may_reach_it(home: Path) -> None:
    async def talk() -> None:
        path = control.place(None)
        before = os.umask(0)
        try:
            async with opened(path):
                assert stat.S_IMODE(path.stat().st_mode) == 0o600
                assert stat.S_IMODE(home.stat().st_mode) == 0o700
            assert os.umask(0) == 0
        finally:
            os.umask(before)

    asyncio.run(talk())


def test_what_a_dead_server_left_is_replaced(tmp_path: Path) -> None:
    async def talk() -> None:
        path = tmp_path / "portway.control"
        dead(path)
        dead(tmp_path / f".{os.getpid()}.control")
        async with opened(path):
            assert (await asked(path, {"count": 1}))["ok"]
            assert list(tmp_path.iterdir()) == [path]

    asyncio.run(talk())


def test_a_predecessor_does_not_take_away_its_successors(tmp_path: Path) -> None:
    async def talk() -> None:
        path = tmp_path / "portway.control"
        async with AsyncExitStack() as stack:
            first = await stack.enter_async_context(opened(path))
            await stack.enter_async_context(opened(path))
            first.close()
            first.close()
            assert (await asked(path, {"count": 2}))["count"] == 2
        assert list(tmp_path.iterdir()) == []

    asyncio.run(talk())


def test_a_file_that_somebody_took_away_is_missed_by_nobody(tmp_path: Path) -> None:
    async def talk() -> None:
        path = tmp_path / "portway.control"
        async with opened(path):
            path.unlink()

    asyncio.run(talk())


@pytest.mark.parametrize(
    "request_",
    [b"scale 3\n", b"\n", b"[]\n", b'"count"\n', b"3\n", b"null\n", b"{}\n", b'{"count": "three"}\n', b"\xff\n",
     b'{"count": null}\n', b'{"count": 1', b"x" * (4 * REQUEST_MOST) + b"\n"],
)  # fmt: skip
def test_what_is_not_understood_is_told(tmp_path: Path, request_: bytes) -> None:
    async def talk() -> None:
        path = tmp_path / "portway.control"
        async with opened(path):
            reader, writer = await asyncio.open_unix_connection(path)
            writer.write(request_)
            writer.write_eof()
            answer = json.loads(await reader.read())
            writer.close()
            assert answer["ok"] is False
            assert answer["text"].startswith("not understood: ")
            assert (await asked(path, {"count": 1}))["ok"]  # the next one is

    asyncio.run(talk())


def test_who_says_nothing_is_answered_nothing(tmp_path: Path) -> None:
    async def talk() -> None:
        path = tmp_path / "portway.control"
        async with opened(path):
            reader, writer = await asyncio.open_unix_connection(path)
            writer.write_eof()
            assert await reader.read() == b""
            writer.close()

    asyncio.run(talk())


def test_who_waits_for_an_answer_keeps_nobody_from_asking(tmp_path: Path) -> None:
    async def talk() -> None:
        done = asyncio.Event()
        waiting = asyncio.Event()

        async def answer(request: Any) -> dict[str, Any]:
            if request["do"] == "reload":
                waiting.set()
                await done.wait()
            return {"ok": True, "text": request["do"]}

        path = tmp_path / "portway.control"
        async with opened(path, answer):
            reload = asyncio.create_task(asked(path, {"do": "reload"}))
            await waiting.wait()
            assert (await asked(path, {"do": "status"}))["text"] == "status"
            assert not reload.done()
            done.set()
            assert (await reload)["text"] == "reload"

    asyncio.run(talk())


def test_who_goes_before_the_answer_harms_nobody(tmp_path: Path) -> None:
    async def talk() -> None:
        gone = asyncio.Event()
        asking = asyncio.Event()
        answered = asyncio.Event()

        async def answer(request: Any) -> dict[str, Any]:
            asking.set()
            await gone.wait()
            answered.set()
            return {"ok": True, "text": "x" * 1_000_000}

        path = tmp_path / "portway.control"
        async with opened(path, answer):
            _, writer = await asyncio.open_unix_connection(path)
            writer.write(b"{}\n")
            await asking.wait()
            writer.close()
            await writer.wait_closed()
            gone.set()
            await answered.wait()
            assert (await asked(path, {}))["ok"]

    asyncio.run(talk())


# --- where it cannot be ---


def refused(path: Path, caplog: pytest.LogCaptureFixture) -> str:
    """What is said of a control socket that cannot be there."""

    async def talk() -> None:
        async with opened(path):
            assert not path.is_socket()

    caplog.clear()
    asyncio.run(talk())
    (record,) = caplog.records
    assert record.levelname == "WARNING"
    return record.getMessage()


def test_a_path_that_is_too_long_is_told(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = tmp_path / ("x" * LONGEST_PATH) / "portway.control"
    assert refused(path, caplog) == (
        f"No control socket at {path}: its path is too long for a Unix socket; choose a shorter one with --pid"
    )


def test_the_longest_path_is_one(tmp_path: Path) -> None:
    room = LONGEST_PATH - len(os.fsencode(tmp_path)) - len("/.control")
    if room < len(f".{os.getpid()}"):
        pytest.skip("the folders of these tests have too long a name")

    async def talk() -> None:
        path = tmp_path / ("x" * room + ".control")
        async with opened(path):
            assert (await asked(path, {"count": 1}))["ok"]

    asyncio.run(talk())


def test_a_folder_that_does_not_exist_is_told(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    assert refused(tmp_path / "nowhere" / "portway.control", caplog).endswith("No such file or directory")


def test_a_folder_that_others_may_write_to_is_refused(home: Path, caplog: pytest.LogCaptureFixture) -> None:
    home.mkdir(mode=0o777)
    home.chmod(0o777)
    assert f"{home} is not a folder of this user's alone; remove it" in refused(control.place(None), caplog)


def test_a_folder_that_leads_elsewhere_is_refused(home: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / "elsewhere").mkdir(mode=0o700)
    home.symlink_to(tmp_path / "elsewhere")
    assert "is not a folder of this user's alone" in refused(control.place(None), caplog)


# --- the other side ---


def test_the_only_server_is_found(home: Path) -> None:
    async def talk() -> None:
        async with opened(control.place(None)):
            assert await asyncio.to_thread(control.find, None) == home / f"{os.getpid()}.control"

    asyncio.run(talk())


def test_dead_servers_are_not_found_and_are_cleared_away(home: Path) -> None:
    dead(home / "1.control")

    async def talk() -> None:
        async with opened(home / "2.control"):
            assert await asyncio.to_thread(control.find, None) == home / "2.control"
            assert list(home.iterdir()) == [home / "2.control"]

    asyncio.run(talk())


def test_a_server_that_comes_up_just_now_is_left_alone(home: Path) -> None:
    dead(home / ".1.control")  # bound, and not renamed yet
    assert control.running() == []
    assert (home / ".1.control").exists()


def test_where_no_server_runs_it_is_told(home: Path) -> None:
    with pytest.raises(ControlError, match="no server with workers runs here; name its pid file with --pid"):
        control.find(None)


def test_of_two_servers_one_is_to_be_named(home: Path) -> None:
    async def talk() -> None:
        async with opened(home / "1.control"), opened(home / "2.control"):
            said = "several servers run: processes 1, 2; give each a --pid file, and name one"
            with pytest.raises(ControlError, match=re.escape(said)):
                await asyncio.to_thread(control.find, None)

    asyncio.run(talk())


def test_two_servers_with_pid_files_are_told_apart(tmp_path: Path) -> None:
    async def talk() -> None:
        blue, green = (control.place(str(tmp_path / name)) for name in ("shop.blue", "shop.green"))

        async def answer(request: Any) -> dict[str, Any]:
            return {"ok": True, "text": "green"}

        async with opened(blue), opened(green, answer):
            assert (await asked(green, {"count": 1}))["text"] == "green"
            assert (await asked(blue, {"count": 1}))["text"] == "done"

    asyncio.run(talk())


def test_a_refusal_is_an_error(tmp_path: Path) -> None:
    async def talk() -> None:
        async def answer(request: Any) -> dict[str, Any]:
            return {"ok": False, "text": "invalid syntax (main.py, line 3)"}

        path = tmp_path / "portway.control"
        async with opened(path, answer):
            with pytest.raises(ControlError, match=re.escape("invalid syntax (main.py, line 3)")):
                await asked(path, {"do": "reload"})

    asyncio.run(talk())


def test_whoever_is_not_there_cannot_be_asked(tmp_path: Path) -> None:
    with pytest.raises(ControlError, match=r"cannot speak to the server at .*: No such file or directory; does it run"):
        control.ask(tmp_path / "portway.control", {"do": "status"})
    dead(tmp_path / "portway.control")
    with pytest.raises(ControlError, match=r"Connection refused; does it run\?"):
        control.ask(tmp_path / "portway.control", {"do": "status"})
    with pytest.raises(ControlError, match=r"too long; does it run\?"):
        control.ask(tmp_path / ("x" * 200), {"do": "status"})


@contextmanager
def silent(path: Path, said: bytes) -> Any:
    """A server in a process of its own, which says so much, and ends."""
    source = (
        "import socket, sys; server = socket.socket(socket.AF_UNIX); server.bind(sys.argv[1]); server.listen();"
        "print(flush=True); sock = server.accept()[0]; sock.recv(100); sock.sendall(bytes.fromhex(sys.argv[2]))"
    )
    command = [sys.executable, "-c", source, str(path), said.hex()]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.readline()
        yield


@pytest.mark.parametrize("said", [b"", b'{"ok"', b'{"ok": true}'])
def test_a_server_that_ends_before_it_has_answered_is_told(tmp_path: Path, said: bytes) -> None:
    path = tmp_path / "portway.control"
    with silent(path, said), pytest.raises(ControlError, match="ended before it answered"):
        control.ask(path, {"do": "stop"})


# --- small things ---


@pytest.mark.parametrize("text", ["", "none", "0", "-1", "-12"])
def test_a_pid_file_without_a_process_is_told(tmp_path: Path, text: str) -> None:
    (tmp_path / "portway.pid").write_text(text)
    with pytest.raises(ControlError, match=r"portway.pid names no process; does the server run\?"):
        control.process_in(str(tmp_path / "portway.pid"))


def test_a_pid_file_names_a_process(tmp_path: Path) -> None:
    (tmp_path / "portway.pid").write_text("123\n")
    assert control.process_in(str(tmp_path / "portway.pid")) == 123
    with pytest.raises(ControlError, match="nowhere names no process"):
        control.process_in(str(tmp_path / "nowhere"))


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0, "0.0 s"), (0.25, "0.2 s"), (59.9, "59.9 s"), (60, "1 min 0 s"), (3599.9, "59 min 59 s"),
     (3600, "1 h 0 min"), (86399, "23 h 59 min"), (86400, "1 d 0 h"), (1e6, "11 d 13 h")],
)  # fmt: skip
def test_a_time_is_for_people(seconds: float, text: str) -> None:
    assert span(seconds) == text
