"""A message with open files, over a real socket pair."""

import os
import socket
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import portway
from portway.workers.passing import LENGTHS, MOST, give, take

resource = pytest.importorskip("resource")

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="Windows passes no open files")

Pair = tuple[socket.socket, socket.socket]


@pytest.fixture
def pair() -> Iterator[Pair]:
    left, right = socket.socketpair()
    with left, right:
        yield left, right


@pytest.fixture
def files(tmp_path: Path) -> Iterator[list[int]]:
    """More than fit into one call; each holds its number."""
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(before[0], 6 * MOST), before[1]))
    numbers = []
    for number in range(2 * MOST + 1):
        path = tmp_path / str(number)
        path.write_text(str(number))
        numbers.append(os.open(path, os.O_RDONLY))
    yield numbers
    for number in numbers:
        os.close(number)
    resource.setrlimit(resource.RLIMIT_NOFILE, before)


def passed(pair: Pair, message: Any, descriptors: list[int]) -> tuple[Any, list[int]]:
    """What comes out; given in a thread, because a great message waits to be taken."""
    giver = threading.Thread(target=give, args=(pair[0], message, descriptors))
    giver.start()
    found = take(pair[1])
    giver.join()
    return found


@pytest.mark.parametrize("message", [None, {}, [1, "zwei", None], {"ü": "\0\n" * 10}, "x" * 1_000_000])
def test_a_message_comes_as_it_was_given(pair: Pair, message: Any) -> None:
    assert passed(pair, message, []) == (message, [])


@pytest.mark.parametrize("count", [1, MOST - 1, MOST, MOST + 1, 2 * MOST, 2 * MOST + 1])
def test_files_come_open_and_in_their_order(pair: Pair, files: list[int], count: int) -> None:
    message, numbers = passed(pair, {"count": count}, files[:count])
    try:
        assert message == {"count": count}
        assert [os.pread(number, 10, 0) for number in numbers] == [b"%d" % each for each in range(count)]
        assert not any(os.get_inheritable(number) for number in numbers)
        assert not set(numbers) & set(files)
    finally:
        for number in numbers:
            os.close(number)


def test_what_is_said_afterwards_is_left_for_others(pair: Pair, files: list[int]) -> None:
    give(pair[0], "first", files[:1])
    give(pair[0], "second", files[1:3])
    pair[0].sendall(b"and more")
    first, second = take(pair[1]), take(pair[1])
    assert (first[0], len(first[1]), second[0], len(second[1])) == ("first", 1, "second", 2)
    assert pair[1].recv(100) == b"and more"
    for number in first[1] + second[1]:
        os.close(number)


@pytest.mark.parametrize(
    "sent", [b"", b"\0\0", LENGTHS.pack(10, 0), LENGTHS.pack(2, 0) + b"{", LENGTHS.pack(2, 1) + b"{}"]
)
def test_an_end_in_the_middle_is_told(pair: Pair, sent: bytes) -> None:
    pair[0].sendall(sent)
    pair[0].close()
    with pytest.raises(EOFError):
        take(pair[1])


def test_an_end_among_the_files_leaves_none_open(pair: Pair, files: list[int]) -> None:
    pair[0].sendall(LENGTHS.pack(2, MOST + 1) + b"{}")
    socket.send_fds(pair[0], [b"\0"], files[:MOST])
    pair[0].close()
    before = next_number()
    with pytest.raises(EOFError):
        take(pair[1])
    assert next_number() == before


def test_too_many_files_for_this_process_are_told(pair: Pair, files: list[int]) -> None:
    give(pair[0], {}, files[: MOST + 10])
    before = next_number()
    limits = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (before + MOST + 5, limits[1]))
    try:
        with pytest.raises(OSError, match="Too many open files"):
            take(pair[1])
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, limits)
    assert next_number() == before


def next_number() -> int:
    """What the next file would get: what was opened and left open raises it."""
    with tempfile.TemporaryFile() as file:
        return file.fileno()


CHILD = """
import os, socket, sys
from portway.workers.passing import give, take
sock = socket.socket(fileno=int(sys.argv[1]))
message, descriptors = take(sock)
give(sock, [message, [os.pread(each, 10, 0).decode() for each in descriptors]])
"""


def test_it_reaches_another_process(pair: Pair, files: list[int]) -> None:
    ours, theirs = pair
    environ = {**os.environ, "PYTHONPATH": str(Path(portway.__file__).parents[1])}
    number = theirs.fileno()
    with subprocess.Popen([sys.executable, "-c", CHILD, str(number)], pass_fds=[number], env=environ):
        theirs.close()
        give(ours, {"settings": {}}, files[:3])
        assert take(ours) == ([{"settings": {}}, ["0", "1", "2"]], [])


def test_whoever_is_gone_is_given_nothing(pair: Pair) -> None:
    pair[1].close()
    with pytest.raises(OSError, match="Broken pipe"):
        give(pair[0], {})
