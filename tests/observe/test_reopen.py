"""Log files are opened again: whatever handler writes them, and whatever stands in the way."""

import logging
import logging.handlers
import queue
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from portway.observe import logs

pytestmark = pytest.mark.usefixtures("loggers")

EVENTS = logging.getLogger("portway")
THEIRS = logging.getLogger("tests.observe.reopen")

Handle = Callable[[logging.Handler], Any]

KINDS: dict[str, Callable[[Path], logging.FileHandler]] = {
    "FileHandler": logging.FileHandler,
    "mode w": lambda path: logging.FileHandler(path, mode="w"),
    "mode x": lambda path: logging.FileHandler(path, mode="x"),
    "WatchedFileHandler": logging.handlers.WatchedFileHandler,
    "RotatingFileHandler": lambda path: logging.handlers.RotatingFileHandler(path, maxBytes=10_000, backupCount=1),
    "TimedRotatingFileHandler": logging.handlers.TimedRotatingFileHandler,
}


@pytest.fixture
def handle() -> Iterator[Handle]:
    """Adds a handler to a logger of an application's."""
    added: list[logging.Handler] = []

    def add(handler: logging.Handler) -> Any:
        added.append(handler)
        THEIRS.addHandler(handler)
        return handler

    THEIRS.propagate = False
    yield add
    for handler in added:
        THEIRS.removeHandler(handler)
        handler.close()


@pytest.mark.skipif(sys.platform == "win32", reason="Windows moves no file that is open")
@pytest.mark.parametrize("kind", KINDS)
def test_what_follows_goes_to_the_new_file(handle: Handle, tmp_path: Path, kind: str) -> None:
    path = tmp_path / "app.log"
    handle(KINDS[kind](path))
    THEIRS.warning("one")
    path.rename(tmp_path / "app.log.1")
    logs.reopen()
    THEIRS.warning("two")
    assert (tmp_path / "app.log.1").read_text() == "one\n"
    assert path.read_text() == "two\n"


@pytest.mark.parametrize("kind", KINDS)
def test_a_file_that_nobody_moved_loses_nothing(handle: Handle, tmp_path: Path, kind: str) -> None:
    handler = handle(KINDS[kind](tmp_path / "app.log"))
    mode = handler.mode
    THEIRS.warning("one")
    logs.reopen()
    THEIRS.warning("two")
    assert (tmp_path / "app.log").read_text() == "one\ntwo\n"
    assert handler.mode == mode


def test_a_file_that_is_not_open_stays_so(handle: Handle, tmp_path: Path) -> None:
    handle(logging.FileHandler(tmp_path / "app.log", delay=True))
    logs.reopen()
    assert not (tmp_path / "app.log").exists()


@pytest.mark.skipif(sys.platform == "win32", reason="Windows moves no file that is open")
def test_handlers_behind_others_are_found(handle: Handle, tmp_path: Path) -> None:
    behind = logging.FileHandler(tmp_path / "behind.log")
    handle(logging.handlers.MemoryHandler(1, target=behind))
    queued = handle(logging.handlers.QueueHandler(queue.SimpleQueue()))
    listening = logging.FileHandler(tmp_path / "listening.log")
    queued.listener = logging.handlers.QueueListener(queued.queue, listening)  # as dictConfig does from Python 3.12 on
    for name in ("behind.log", "listening.log"):
        (tmp_path / name).rename(tmp_path / f"{name}.1")
    logs.reopen()
    assert {each.name for each in tmp_path.iterdir()} >= {"behind.log", "listening.log"}
    behind.close()
    listening.close()


@pytest.mark.skipif(sys.platform == "win32", reason="Windows moves no file that is open")
def test_a_file_that_cannot_be_opened_is_told_once_and_the_old_one_stays(
    handle: Handle, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    logs.set_up("info", None, None)
    folder = tmp_path / "logs"
    folder.mkdir()
    for _ in range(2):
        handle(logging.FileHandler(folder / "app.log"))
    fine = handle(logging.FileHandler(tmp_path / "fine.log"))
    before = fine.stream
    folder.rename(tmp_path / "moved")
    logs.reopen()
    THEIRS.warning("still")
    assert (tmp_path / "moved" / "app.log").read_text() == "still\n" * 2
    assert fine.stream is not before  # one that fails keeps no other from it
    (told,) = capsys.readouterr().err.splitlines()
    assert f"{folder}/app.log cannot be opened again: No such file or directory; the old one stays" in told


def test_standard_streams_stay(capsys: pytest.CaptureFixture[str]) -> None:
    logs.set_up("info", None, None)
    logging.getLogger("tests.observe.reopen.without.handlers.of.its.own")
    logs.reopen()
    EVENTS.info("x")
    assert capsys.readouterr().err == "INFO:     x\n"
