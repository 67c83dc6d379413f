"""Sets up logging: our own two loggers as a person at a terminal wants them, or whatever a dictConfig says."""

from __future__ import annotations

import json
import logging
import logging.config
import sys
import tomllib
from pathlib import Path
from typing import Any

from portway.errors import SettingsError

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


class Formatter(logging.Formatter):
    """`INFO:     text`, in uvicorn's columns; coloured where `colors` says so."""

    def __init__(self, colors: bool = False) -> None:
        super().__init__("%(message)s")
        self._heads = {level: self._head(level, colors) for level in LEVELS.values()}

    def format(self, record: logging.LogRecord) -> str:
        head = self._heads.get(record.levelno) or self._head(record.levelno, False)
        return head + super().format(record)

    @staticmethod
    def _head(level: int, colors: bool) -> str:
        name = logging.getLevelName(level)
        space = " " * max(1, 9 - len(name))
        return f"{COLORS.get(level, '')}{name}{PLAIN}:{space}" if colors else f"{name}:{space}"


def set_up(level: str, config: str | None, colors: bool | None) -> None:
    """Configure logging; SettingsError if the file cannot be used."""
    logging.addLevelName(TRACE, "TRACE")
    if config is not None:
        _by_file(Path(config))
    else:
        _ours(colors)
    logging.getLogger("portway").setLevel(LEVELS[level])
    logging.getLogger("portway.access").setLevel(min(LEVELS[level], logging.INFO) if level != "critical" else 60)


def _ours(colors: bool | None) -> None:
    """Events to standard error, access lines to standard output, as uvicorn has them."""
    for name, stream in (("portway", sys.stderr), ("portway.access", sys.stdout)):
        logger = logging.getLogger(name)
        handler = logging.StreamHandler(stream)
        handler.setFormatter(Formatter(stream.isatty() if colors is None else colors))
        logger.handlers[:] = [handler]
        logger.propagate = False


def _by_file(path: Path) -> None:
    try:
        config = read(path)
        config.setdefault("version", 1)
        logging.config.dictConfig(config)
    except OSError as error:
        raise SettingsError(f"log_config: cannot read {path}: {error.strerror}") from None
    except (ValueError, TypeError, AttributeError, ImportError) as error:
        why = error.__cause__ or error
        raise SettingsError(f"log_config: {path} is no dictConfig: {error} ({why})") from None


def read(path: Path) -> dict[str, Any]:
    """The dict in a TOML, JSON or YAML file."""
    text = path.read_text("utf-8")
    if path.suffix == ".json":
        return dict(json.loads(text))
    if path.suffix in (".yaml", ".yml"):
        import yaml  # an extra: portway[yaml]

        return dict(yaml.safe_load(text))
    return tomllib.loads(text)
