"""The file with the number of the server's process."""

import os
import re
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from portway import BindError
from portway.workers.pidfile import PidFile

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="Windows has no signals to send to a number")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "portway.pid"


@pytest.fixture
def another() -> Iterator[int]:
    """A process that runs, of the same name as this one."""
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as process:
        yield process.pid
        process.kill()


def dead() -> int:
    with subprocess.Popen([sys.executable, "-c", ""]) as process:
        pass
    return process.pid


def test_it_names_this_process_until_it_is_removed(path: Path) -> None:
    file = PidFile(str(path))
    before = os.umask(0o077)
    try:
        file.take()
    finally:
        os.umask(before)
    assert path.read_text() == f"{os.getpid()}\n"
    assert stat.S_IMODE(path.stat().st_mode) == 0o644
    file.take()  # it is ours
    file.remove()
    assert list(path.parent.iterdir()) == []


def test_a_server_that_runs_keeps_it(path: Path, another: int) -> None:
    path.write_text(f"{another}\n")
    said = re.escape(f"{path}: a server runs already, process {another}; stop it")
    with pytest.raises(BindError, match=said):
        PidFile(str(path)).take()
    assert path.read_text() == f"{another}\n"


def test_a_server_hands_it_over(path: Path, another: int) -> None:
    path.write_text(f"{another}\n")
    PidFile(str(path)).take(over=another)
    assert path.read_text() == f"{os.getpid()}\n"


def test_it_is_handed_over_by_nobody_else(path: Path, another: int) -> None:
    path.write_text(f"{another}\n")
    with pytest.raises(BindError):
        PidFile(str(path)).take(over=os.getppid())


@pytest.mark.parametrize("text", ["", "not a number\n", "-1\n", "0\n", "9" * 40, "\xff"])
def test_what_names_nobody_is_replaced(path: Path, text: str) -> None:
    path.write_text(text, "latin-1")
    PidFile(str(path)).take()
    assert path.read_text() == f"{os.getpid()}\n"


def test_what_a_dead_server_left_is_replaced(path: Path) -> None:
    path.write_text(f"{dead()}\n")
    PidFile(str(path)).take()
    assert path.read_text() == f"{os.getpid()}\n"


@pytest.mark.skipif(sys.platform != "linux", reason="needs /proc")
def test_a_number_that_another_program_has_now_is_replaced(path: Path) -> None:
    with subprocess.Popen(["cat"], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(b"x")
        process.stdin.flush()
        process.stdout.read(1)  # from here on it is called so
        path.write_text(f"{process.pid}\n")
        PidFile(str(path)).take()
        process.kill()
    assert path.read_text() == f"{os.getpid()}\n"


def test_it_is_removed_by_whom_it_names_only(path: Path, another: int) -> None:
    file = PidFile(str(path))
    file.take()
    path.write_text(f"{another}\n")
    file.remove()
    assert path.read_text() == f"{another}\n"
    path.unlink()
    file.remove()  # somebody did already


def test_a_file_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    with pytest.raises(BindError, match=r"cannot write .*: No such file or directory; choose another --pid"):
        PidFile(str(tmp_path / "nowhere" / "portway.pid")).take()
    (tmp_path / "folder").mkdir()
    with pytest.raises(BindError, match="cannot write"):
        PidFile(str(tmp_path / "folder")).take()
    assert [each.name for each in tmp_path.iterdir()] == ["folder"]  # nothing half done is left


def test_a_changed_folder_changes_nothing(path: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    file = PidFile("portway.pid")
    monkeypatch.chdir("/")
    file.take()
    assert file.held == os.getpid()
    assert path.exists()
