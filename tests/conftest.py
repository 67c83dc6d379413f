"""What tests of several rooms share: `portway serve` as a process of its own, and loggers as they were."""

import logging
import os
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO

import pytest

import portway

PATIENCE = 20.0
SERVING = re.compile(r"Serving .* on (.*) \(press")


class Stream:
    """What a process writes to one of its streams, as far as it has come."""

    def __init__(self, source: IO[str]) -> None:
        self._text = ""
        self._ended = False
        self._changed = threading.Condition()
        self._source = source
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()

    def _read(self) -> None:
        with self._source:
            for line in self._source:
                with self._changed:
                    self._text += line
                    self._changed.notify_all()
        with self._changed:
            self._ended = True
            self._changed.notify_all()

    def wait_for(self, text: str) -> None:
        """Wait until this was written."""
        with self._changed:
            self._changed.wait_for(lambda: text in self._text or self._ended, PATIENCE)
            assert text in self._text, self._text

    def all(self) -> str:
        """The whole of it; waits for the end of the process."""
        self._thread.join(PATIENCE)
        assert not self._thread.is_alive()
        return self._text


class Command:
    """`portway serve` with these arguments, in a folder with the application in main.py."""

    def __init__(self, folder: Path, args: tuple[str, ...], **rest: object) -> None:
        environ = {name: text for name, text in os.environ.items() if not name.startswith("PORTWAY_")}
        if "PORTWAY_PURE" in os.environ:
            environ["PORTWAY_PURE"] = os.environ["PORTWAY_PURE"]
        environ["PYTHONPATH"] = str(Path(portway.__file__).parents[1])
        environ.pop("PYTHONUNBUFFERED", None)  # streams are as most people have them
        options: dict[str, object] = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE} | rest
        self.process: subprocess.Popen[str] = subprocess.Popen(  # type: ignore[call-overload]
            [sys.executable, "-m", "portway", "serve", *args], cwd=folder, env=environ, text=True, **options
        )
        self.out = Stream(self.process.stdout) if self.process.stdout else None
        self.err = Stream(self.process.stderr) if self.process.stderr else None
        self.url = ""
        self.port = 0

    def up(self) -> "Command":
        """Wait until it serves."""
        assert self.err is not None
        self.err.wait_for("(press Ctrl+C to stop)")
        with self.err._changed:
            found = SERVING.search(self.err._text)
        assert found is not None
        self.url = found[1]
        if self.url.startswith("http://"):
            self.port = int(self.url.split(",")[0].rpartition(":")[2])
        return self

    def ends(self, number: int | None = None) -> int:
        """Send it a signal, if any, and wait for its exit code."""
        if number is not None:
            self.process.send_signal(number)
        return self.process.wait(PATIENCE)


Portway = Callable[..., Command]


@pytest.fixture
def portway_command(tmp_path: Path) -> Iterator[Portway]:
    """Start `portway serve main:app` with further arguments: `portway_command(source, "--port", "0")`."""
    started: list[Command] = []

    def start(source: str, *args: str, **rest: object) -> Command:
        (tmp_path / "main.py").write_text(source)
        started.append(Command(tmp_path, ("main:app", *args), **rest))
        return started[-1]

    yield start
    for command in started:
        if command.process.poll() is None:
            command.process.send_signal(signal.SIGKILL)
        command.process.wait()
        for stream in (command.out, command.err):
            if stream is not None:
                stream.all()


@pytest.fixture(autouse=True)
def loggers_as_they_were() -> Iterator[None]:
    """A server that configures logging does so for the whole process; the next test starts afresh."""
    found = [logging.getLogger(name) for name in ("portway", "portway.access")]
    before = [(each.level, each.propagate, list(each.handlers)) for each in found]
    yield
    for logger, (level, propagate, handlers) in zip(found, before, strict=True):
        logger.setLevel(level)
        logger.propagate = propagate
        logger.handlers[:] = handlers
