"""Sets up logging: our own two loggers as a person at a terminal wants them, or whatever a dictConfig says.

`portway` tells what happens, on standard error; `portway.access` has a line for each response, on standard
output. Nothing that happens to these streams (a full disk, a closed pipe) may stop the server.
"""

from __future__ import annotations

import contextlib
import json
import logging
import logging.handlers
import os
import re
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, TextIO

from portway.errors import SettingsError

log = logging.getLogger("portway")

TRACE = 5
LEVELS = {
    "critical": logging.CRITICAL,
    "error": logging.ERROR,
    "warning": logging.WARNING,
    "info": logging.INFO,
    "debug": logging.DEBUG,
    "trace": TRACE,
}
COLORS = {
    TRACE: "\x1b[34m",
    logging.DEBUG: "\x1b[36m",
    logging.INFO: "\x1b[32m",
    logging.WARNING: "\x1b[33m",
    logging.ERROR: "\x1b[31m",
    logging.CRITICAL: "\x1b[1;31m",
}
PLAIN = "\x1b[0m"

LOGGERS = ("portway", "portway.access")

# What a terminal takes for a command: the control characters but for the tabulator and the line feed.
CONTROLS = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")


class Formatter(logging.Formatter):
    """`INFO:     text`, in uvicorn's columns; coloured where `colors` says so."""

    def __init__(self, colors: bool = False) -> None:
        super().__init__("%(message)s")
        self._colors = colors

    def format(self, record: logging.LogRecord) -> str:
        # An application may put into its exception what a client sent.
        text = CONTROLS.sub(lambda match: f"\\x{ord(match[0]):02x}", super().format(record))
        return self.head(record.levelno) + text

    def head(self, level: int) -> str:
        """What a line of this level begins with."""
        name = logging.getLevelName(level)
        space = " " * max(1, 9 - len(name))
        color = COLORS.get(level) if self._colors else None
        return f"{color}{name}{PLAIN}:{space}" if color else f"{name}:{space}"


class Bare(Formatter):
    """The text alone, for lines that have a form of their own."""

    def head(self, level: int) -> str:
        return ""


class Lines(logging.Handler):
    """Writes to a standard stream.

    `kept` are lines of the level INFO that the next `flush`, or record, writes. A stream that cannot be written
    to loses its lines, and no more: that is told once, on standard error.
    """

    def __init__(self, stream: TextIO | None, formatter: Formatter) -> None:
        """`stream` is None if the process was started without one."""
        super().__init__()
        self.setFormatter(formatter)
        self._formatter = formatter
        self._stream = stream
        self._head = formatter.head(logging.INFO)
        self.kept: list[str] = []
        self._failing = False

    @property
    def untouched(self) -> bool:
        """Whether a record would be written as a line that is kept."""
        return self.formatter is self._formatter and not self.filters and self.level <= logging.INFO

    def flush(self) -> None:
        """Write the lines that are kept."""
        self.acquire()
        try:
            # Another thread, or what a signal interrupts, may add to them meanwhile.
            size = len(self.kept)
            if size:
                text = f"\n{self._head}".join(self.kept[:size])
                del self.kept[:size]
                self._write(f"{self._head}{text}\n")
        finally:
            self.release()

    def emit(self, record: logging.LogRecord) -> None:
        """logging.Handler's."""
        try:
            text = self.format(record)
        except Exception:
            self.handleError(record)
        else:
            self.flush()
            self._write(f"{text}\n")

    def close(self) -> None:
        """logging.Handler's; called when the process ends."""
        self.flush()
        if self._failing and self._stream is not None:
            _lead_to_nowhere(self._stream)
        super().close()

    def _write(self, text: str) -> None:
        stream = self._stream
        if stream is None:
            return
        try:
            try:
                stream.write(text)
            except UnicodeEncodeError:
                stream.write(text.encode("ascii", "backslashreplace").decode())
            stream.flush()
            self._failing = False
        except (
            OSError,
            ValueError,
            RuntimeError,
        ) as error:  # full or broken; closed; in the midst of a write
            self._fail(stream, error)

    def _fail(self, stream: TextIO, error: Exception) -> None:
        if isinstance(error, BrokenPipeError):  # nobody will ever read it
            self._stream = None
            _lead_to_nowhere(stream)
        told, self._failing = self._failing, True
        if not told and stream is not sys.stderr:
            log.error("The access log cannot be written: %s", error)


def _lead_to_nowhere(stream: TextIO) -> None:
    """What is still written here is dropped.

    Else Python would fail to write out its buffer when it ends, and make the exit code 120 of it.
    """
    try:
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, stream.fileno())
        os.close(nowhere)
    except (OSError, ValueError):  # closed, or not a file
        pass


def set_up(level: str | None, config: str | None, colors: bool | None, bare: bool = False) -> None:
    """Configure logging; SettingsError if the file cannot be used.

    `level` of None leaves the levels to the file; `bare` access lines have no level before them.
    """
    logging.addLevelName(TRACE, "TRACE")
    if config is not None:
        _by_file(Path(config))
    else:
        _ours(sys.stderr, "portway", Formatter(_colors(sys.stderr, colors)))
        _ours(sys.stdout, "portway.access", Bare() if bare else Formatter(_colors(sys.stdout, colors)))
    if level is not None:
        for name in LOGGERS:
            logging.getLogger(name).setLevel(LEVELS[level])


def flush() -> None:
    """Write what is kept, for somebody who will not wait for the next turn of the loop."""
    for name in LOGGERS:
        for handler in logging.getLogger(name).handlers:
            if isinstance(handler, Lines):
                handler.flush()


def reopen() -> None:
    """Open the files of all handlers again, by their names: logrotate may have moved them.

    One that cannot be opened is told, and written to as before.
    """
    failed: dict[str, OSError] = {}
    for handler in set(_handlers()):
        if isinstance(handler, logging.FileHandler):
            try:
                _open_again(handler)
            except OSError as error:
                failed[handler.baseFilename] = error
    for path, why in failed.items():
        log.error("The log file %s cannot be opened again: %s; the old one stays", path, why.strerror or why)


def _handlers() -> Iterator[logging.Handler]:
    """Those of every logger, and those that they pass records on to."""
    known = [logging.root, *logging.root.manager.loggerDict.values()]
    waiting = [handler for logger in known if isinstance(logger, logging.Logger) for handler in logger.handlers]
    while waiting:
        handler = waiting.pop()
        yield handler
        if isinstance(handler, logging.handlers.MemoryHandler) and handler.target is not None:
            waiting.append(handler.target)
        elif (listener := getattr(handler, "listener", None)) is not None:  # a QueueHandler's, from Python 3.12 on
            waiting += listener.handlers


def _open_again(handler: logging.FileHandler) -> None:
    handler.acquire()
    mode = handler.mode
    try:
        old = handler.stream
        if old is None:  # it opens its file when it has something to write
            return
        # Another mode would empty a file that nobody has moved, or refuse it.
        handler.mode = mode.replace("w", "a").replace("x", "a")
        handler.stream = handler._open()
        with contextlib.suppress(OSError):  # a full disk loses what was not written yet
            old.close()
    finally:
        handler.mode = mode
        handler.release()


def _ours(stream: TextIO | None, name: str, formatter: Formatter) -> None:
    logger = logging.getLogger(name)
    logger.handlers[:] = [Lines(stream, formatter)]
    logger.propagate = False


def _colors(stream: TextIO | None, wanted: bool | None) -> bool:
    if wanted is not None:
        return wanted
    return stream is not None and stream.isatty() and not os.environ.get("NO_COLOR")  # no-color.org


def _by_file(path: Path) -> None:
    try:
        config = read(path)
        config.setdefault("version", 1)
        # The loggers of an application that was imported first, and ours, are not for the file to silence.
        config.setdefault("disable_existing_loggers", False)
        from logging.config import dictConfig

        dictConfig(config)
    except SettingsError:
        raise
    except OSError as error:
        raise SettingsError(f"log_config: cannot read {path}: {error.strerror or error}") from None
    except Exception as error:  # whatever a parser, or the handlers that the file names, may raise
        why = f" ({error.__cause__})" if error.__cause__ else ""
        raise SettingsError(f"log_config: {path} is no dictConfig: {error}{why}") from None


def read(path: Path) -> dict[str, Any]:
    """The dict in a TOML, JSON or YAML file."""
    text = path.read_text("utf-8")
    suffix = path.suffix.lower()
    if suffix == ".json":
        return dict(json.loads(text))
    if suffix in (".yaml", ".yml"):
        try:
            import yaml
        except ImportError:
            raise SettingsError(f"log_config: {path} is YAML; pip install portway[yaml]") from None
        return dict(yaml.safe_load(text))
    return tomllib.loads(text)
