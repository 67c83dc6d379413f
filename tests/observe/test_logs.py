"""Setting up the logs, and what a bad stream does to them."""

import io
import json
import logging
import sys
from pathlib import Path
from typing import Any

import pytest

from portway import SettingsError, boot
from portway.boot.serve import prepare
from portway.observe import logs

pytestmark = pytest.mark.usefixtures("loggers")

EVENTS, ACCESS = logging.getLogger("portway"), logging.getLogger("portway.access")


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


class Bad(io.StringIO):
    """A stream that cannot be written to, until `fault` is None."""

    def __init__(self, fault: Exception | None) -> None:
        super().__init__()
        self.fault = fault

    def write(self, text: str) -> int:
        if self.fault is not None:
            raise self.fault
        return super().write(text)


# --- our own setup ---


def test_events_go_to_standard_error_and_access_lines_to_standard_output(capsys: pytest.CaptureFixture[str]) -> None:
    logs.set_up("info", None, None)
    EVENTS.info("an event")
    ACCESS.info("a line")
    assert capsys.readouterr() == ("INFO:     a line\n", "INFO:     an event\n")


@pytest.mark.parametrize(
    ("level", "events", "access"),
    [
        ("trace", ["TRACE", "DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL"], True),
        ("debug", ["DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL"], True),
        ("info", ["INFO", "WARNING", "ERROR", "CRITICAL"], True),
        ("warning", ["WARNING", "ERROR", "CRITICAL"], False),
        ("error", ["ERROR", "CRITICAL"], False),
        ("critical", ["CRITICAL"], False),
    ],
)
def test_the_level_is_that_of_both_loggers(
    capsys: pytest.CaptureFixture[str], level: str, events: list[str], access: bool
) -> None:
    # As in uvicorn: from warning on, there are no access lines.
    logs.set_up(level, None, None)
    for number in logs.LEVELS.values():
        EVENTS.log(number, "x")
    ACCESS.info("x")
    out, err = capsys.readouterr()
    assert sorted(line.split(":")[0] for line in err.splitlines()) == sorted(events)
    assert bool(out) is access


def test_setting_up_again_does_not_double_the_lines(capsys: pytest.CaptureFixture[str]) -> None:
    for _ in range(2):
        logs.set_up("info", None, None)
    EVENTS.info("once")
    assert capsys.readouterr().err == "INFO:     once\n"


def test_bare_lines_have_nothing_before_them(capsys: pytest.CaptureFixture[str]) -> None:
    logs.set_up("info", None, True, bare=True)
    ACCESS.info("{}")
    assert capsys.readouterr().out == "{}\n"


@pytest.mark.parametrize(
    ("terminal", "wanted", "no_color", "colored"),
    [
        (True, None, "", True),
        (True, None, "1", False),
        (True, False, "", False),
        (False, None, "", False),
        (False, True, "1", True),
    ],
)
def test_colors_are_for_terminals_unless_somebody_says_so(
    monkeypatch: pytest.MonkeyPatch, terminal: bool, wanted: bool | None, no_color: str, colored: bool
) -> None:
    monkeypatch.setenv("NO_COLOR", no_color)
    stream = Terminal() if terminal else io.StringIO()
    monkeypatch.setattr(sys, "stderr", stream)
    logs.set_up("info", None, wanted)
    EVENTS.warning("x")
    assert ("\x1b[33mWARNING\x1b[0m:  x" in stream.getvalue()) is colored


def test_an_exception_smuggles_no_terminal_commands(capsys: pytest.CaptureFixture[str]) -> None:
    logs.set_up("info", None, None)
    try:
        raise ValueError("\x1b[2J\x9b2J\r\x07 a\tb")
    except ValueError:
        EVENTS.exception("it raised")
    written = capsys.readouterr().err
    assert "ValueError: \\x1b[2J\\x9b2J\\x0d\\x07 a\tb\n" in written
    assert all(character.isprintable() or character in "\t\n" for character in written)


# --- a file ---

CONFIG = {
    "version": 1,
    "formatters": {"plain": {"format": "%(name)s %(levelname)s %(message)s"}},
    "handlers": {"file": {"class": "logging.FileHandler", "filename": "", "formatter": "plain"}},
    "loggers": {"portway": {"level": "ERROR", "handlers": ["file"], "propagate": False}},
}


def as_toml(config: dict[str, Any]) -> str:
    lines = ["version = 1"]
    for title in ("formatters", "handlers", "loggers"):
        for name, table in config[title].items():
            lines += [f"[{title}.{name}]", *(f"{key} = {json.dumps(value)}" for key, value in table.items())]
    return "\n".join(lines)


def as_yaml(config: dict[str, Any]) -> str:
    return pytest.importorskip("yaml").safe_dump(config)  # type: ignore[no-any-return]


@pytest.mark.parametrize(
    ("suffix", "write"),
    [("toml", as_toml), ("json", json.dumps), ("JSON", json.dumps), ("yaml", as_yaml), ("yml", as_yaml)],
)
@pytest.mark.parametrize(("level", "lines"), [(None, ["ERROR"]), ("warning", ["WARNING", "ERROR"])])
def test_logging_is_configured_by_a_file(
    tmp_path: Path, suffix: str, write: Any, level: str | None, lines: list[str]
) -> None:
    target = tmp_path / "log"
    config = json.loads(json.dumps(CONFIG))
    config["handlers"]["file"]["filename"] = str(target)
    path = tmp_path / f"logging.{suffix}"
    path.write_text(write(config))
    logs.set_up(level, str(path), None)
    for each in ("info", "warning", "error"):
        getattr(EVENTS, each)("x")
    for handler in EVENTS.handlers:
        handler.close()
    assert target.read_text().splitlines() == [f"portway {each} x" for each in lines]


@pytest.mark.parametrize(("given", "level"), [({}, "ERROR"), ({"log_level": "debug"}, "DEBUG")])
def test_the_levels_of_a_file_hold_unless_another_one_is_asked_for(
    tmp_path: Path, given: dict[str, str], level: str
) -> None:
    path = tmp_path / "logging.toml"
    path.write_text("[loggers.portway]\nlevel = 'ERROR'\n")
    prepare(boot.settled(None, {"log_config": str(path), **given}))
    assert logging.getLevelName(EVENTS.level) == level


def test_a_file_that_names_other_loggers_silences_nobody(tmp_path: Path) -> None:
    path = tmp_path / "logging.toml"
    path.write_text("[root]\nlevel = 'INFO'\n")
    logs.set_up(None, str(path), None)
    assert not EVENTS.disabled
    assert not ACCESS.disabled


@pytest.mark.parametrize(
    ("name", "text", "words"),
    [
        ("a.toml", "version = ", "is no dictConfig"),
        ("a.json", "[1, 2", "is no dictConfig"),
        ("a.json", "[1, 2]", "is no dictConfig"),
        ("a.yaml", "a: [", "is no dictConfig"),
        ("a.json", '{"handlers": {"x": {"class": "no.such.thing"}}}', "No module named 'no'"),
        ("absent.toml", None, "cannot read"),
    ],
)
def test_a_file_that_cannot_be_used_is_said_so(tmp_path: Path, name: str, text: str | None, words: str) -> None:
    path = tmp_path / name
    if text is not None:
        path.write_text(text)
    with pytest.raises(SettingsError, match=f"log_config: .*{words}"):
        logs.set_up("info", str(path), None)


# --- bad streams ---


@pytest.mark.parametrize("fault", [OSError(28, "No space left on device"), ValueError("I/O on closed file")])
def test_what_cannot_be_written_is_lost_and_told_once(monkeypatch: pytest.MonkeyPatch, fault: Exception) -> None:
    out, err = Bad(fault), io.StringIO()
    monkeypatch.setattr(sys, "stdout", out)
    monkeypatch.setattr(sys, "stderr", err)
    logs.set_up("info", None, None)
    for _ in range(3):
        ACCESS.info("lost")
    assert err.getvalue() == f"ERROR:    The access log cannot be written: {fault}\n"
    out.fault = None  # somebody made room
    ACCESS.info("written")
    assert out.getvalue() == "INFO:     written\n"


def test_events_that_cannot_be_written_are_lost(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stderr", Bad(OSError(28, "No space left on device")))
    logs.set_up("info", None, None)
    EVENTS.error("lost")


def test_a_process_without_streams_logs_to_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdout", None)
    monkeypatch.setattr(sys, "stderr", None)
    logs.set_up("info", None, None)
    EVENTS.info("x")
    ACCESS.info("x")


def test_what_a_stream_cannot_encode_is_escaped(monkeypatch: pytest.MonkeyPatch) -> None:
    raw = io.BytesIO()
    monkeypatch.setattr(sys, "stderr", io.TextIOWrapper(raw, "ascii"))
    logs.set_up("info", None, None)
    EVENTS.info("grün")
    assert raw.getvalue() == b"INFO:     gr\\xfcn\n"
