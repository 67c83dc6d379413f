"""What is read of a process that hangs: it asks nobody, and is asked by a signal."""

import contextlib
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO

import pytest

import portway
from portway.workers.stacks import WHOLE, read

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="it has no such signal")

PATIENCE = 20.0

BEGIN = """
import asyncio, collections, itertools, os, re, signal, socket, sys, threading, time
from portway.workers.stacks import Stacks

stacks = Stacks(int(sys.argv[1]))
stacks.arm()

"""

STUCK = """
def outer():
    print("here", flush=True)
    {}

outer()
"""

# What does not end, as it stands in the source, if Python can still answer.
ANSWERED = {
    "a loop": "while True: pass",
    "a sleep": "time.sleep(1000)",
    "a socket": 'socket.create_server(("127.0.0.1", 0)).accept()',
    "a lock": "threading.Event().wait()",
    "a pattern": 're.match(r"(a+)+$", "a" * 50 + "b")',
}

# And what holds the interpreter.
UNANSWERED = {
    "an iteration": "collections.deque(itertools.repeat(0), maxlen=0)",
    "a sum": "sum(itertools.repeat(0))",
}


class Hanging:
    """A process that has come to say that it is here."""

    def __init__(self, path: Path) -> None:
        self.stacks: IO[bytes] = tempfile.TemporaryFile()  # noqa: SIM115  # it lives as long as this does
        number = self.stacks.fileno()
        environ = {**os.environ, "PYTHONPATH": str(Path(portway.__file__).parents[1])}
        self.process = subprocess.Popen(
            [sys.executable, str(path), str(number)],
            env=environ,
            pass_fds=[number],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self.says("here")

    def says(self, text: str) -> None:
        assert self.process.stdout is not None
        assert self.process.stdout.readline() == f"{text}\n"

    def asked(self, shows: str) -> tuple[str, bool]:
        """For its stacks, until they show that it has come to this: it may be on its way."""
        text, whole = "", False
        for _ in range(100):
            if shows in text:
                break
            self.process.send_signal(signal.SIGUSR2)
            self._until(WHOLE, shows.encode())
            text, whole = read(self.stacks)
        return text, whole

    def _until(self, *any_of: bytes) -> None:
        """Until one of these was written, and no longer than a moment."""
        for _ in range(20):
            written = os.pread(self.stacks.fileno(), 2**20, 0)
            if any(each in written for each in any_of):
                return
            with contextlib.suppress(subprocess.TimeoutExpired):
                self.process.wait(0.02)

    def close(self) -> None:
        self.process.kill()
        self.process.wait()
        self.stacks.close()
        for stream in (self.process.stdin, self.process.stdout):
            if stream is not None:
                stream.close()


@pytest.fixture
def hanging(tmp_path: Path) -> Iterator[Callable[[str], Hanging]]:
    """Start a process with this source."""
    started: list[Hanging] = []

    def start(source: str) -> Hanging:
        path = tmp_path / "worker.py"
        path.write_text(BEGIN + source)
        started.append(Hanging(path))
        return started[-1]

    yield start
    for each in started:
        each.close()


Start = Callable[[str], Hanging]


@pytest.mark.parametrize("code", ANSWERED.values(), ids=ANSWERED)
def test_a_line_that_blocks_is_shown_with_its_source(hanging: Start, code: str) -> None:
    text, whole = hanging(STUCK.format(code)).asked(code)
    assert whole
    assert text.startswith("Thread MainThread:\n")
    assert f"in outer\n    {code}" in text
    assert "most recent call first" not in text  # it is told once


@pytest.mark.parametrize("code", UNANSWERED.values(), ids=UNANSWERED)
def test_a_line_that_holds_the_interpreter_is_shown_without_its_source(hanging: Start, code: str) -> None:
    text, whole = hanging(STUCK.format(code)).asked("line 11 in outer")
    assert not whole
    assert "most recent call first" in text
    assert 'worker.py", line 11 in outer' in text


def test_other_threads_are_shown_by_name(hanging: Start) -> None:
    text, whole = hanging("""
def elsewhere():
    print("here", flush=True)
    time.sleep(1000)

threading.Thread(target=elsewhere, name="a reader").start()
time.sleep(1000)
""").asked("in elsewhere\n    time.sleep")
    assert whole
    main, other = text.split("\nThread ")
    assert main.startswith("Thread MainThread:\n")
    assert other.startswith("a reader:\n")
    assert "in elsewhere\n" in other


def test_tasks_are_shown_by_name_and_where_they_wait(hanging: Start) -> None:
    text, whole = hanging("""
async def waits():
    await asyncio.Event().wait()

async def main():
    stacks.attend(asyncio.get_running_loop())
    waiter = asyncio.create_task(waits(), name="a waiter")
    await asyncio.sleep(0)
    print("here", flush=True)
    time.sleep(1000)

asyncio.run(main())
""").asked("time.sleep(1000)")
    assert whole
    assert "in main\n    time.sleep(1000)" in text
    task = text[text.index("Task a waiter:\n") :]
    assert "in waits\n" in task
    assert "await asyncio.Event().wait()" in task


def test_who_was_asked_goes_on_and_may_be_asked_again(hanging: Start) -> None:
    process = hanging("""
def first():
    print("here", flush=True)
    input()

def second():
    print("there", flush=True)
    input()

first()
second()
""")
    text, _ = process.asked("input()")
    assert "in first\n" in text
    assert read(process.stacks) == ("", False)  # it was read
    assert process.process.stdin is not None
    process.process.stdin.write("\n")
    process.process.stdin.flush()
    process.says("there")
    text, whole = process.asked("input()")
    assert whole
    assert "in second\n" in text
    assert "in first\n" not in text
    process.process.stdin.write("\n")
    process.process.stdin.flush()
    assert process.process.wait(PATIENCE) == 0


def test_where_nothing_can_be_written_nothing_is_raised(hanging: Start) -> None:
    process = hanging("""
import resource
resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
signal.raise_signal(signal.SIGUSR2)
print("here", flush=True)
""")
    assert process.process.wait(PATIENCE) == 0
    assert read(process.stacks) == ("", False)


def test_who_did_not_answer_has_nothing_to_read() -> None:
    with tempfile.TemporaryFile() as file:
        assert read(file) == ("", False)
