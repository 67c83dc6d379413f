"""What systemd is told, and what is taken from it."""

import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from portway.workers import systemd
from portway.workers.systemd import Notifier, inherited

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="Windows has no systemd")


class Manager:
    """The other end: what it was told."""

    def __init__(self, address: str) -> None:
        self.variable = address.replace("\0", "@")
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.settimeout(20)
        self.socket.bind(address)

    def heard(self) -> str:
        return self.socket.recv(4096).decode()


@pytest.fixture(params=["path", "abstract"])
def manager(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Manager]:
    if request.param == "abstract" and sys.platform != "linux":
        pytest.skip("only Linux has abstract sockets")
    found = Manager(str(tmp_path / "notify") if request.param == "path" else f"\0portway-{os.getpid()}")
    yield found
    found.socket.close()


def test_each_state_has_its_words(manager: Manager) -> None:
    notifier = Notifier({"NOTIFY_SOCKET": manager.variable})
    notifier.ready("Serving\non two lines")
    assert manager.heard() == "READY=1\nSTATUS=Serving on two lines"
    notifier.stopping()
    assert manager.heard() == "STOPPING=1"
    notifier.status("4 workers")
    assert manager.heard() == "STATUS=4 workers"
    notifier.main_process(4711)
    assert manager.heard() == "MAINPID=4711"
    notifier.alive()
    assert manager.heard() == "WATCHDOG=1"


def test_a_reload_says_when_it_began(manager: Manager) -> None:
    before = time.monotonic_ns() // 1000
    Notifier({"NOTIFY_SOCKET": manager.variable}).reloading("Rolling over")
    word, clock, status = manager.heard().split("\n")
    name, _, microseconds = clock.partition("=")
    assert (word, name, status) == ("RELOADING=1", "MONOTONIC_USEC", "STATUS=Rolling over")
    assert before <= int(microseconds) <= time.monotonic_ns() // 1000


def test_an_empty_status_is_not_sent(manager: Manager) -> None:
    notifier = Notifier({"NOTIFY_SOCKET": manager.variable})
    notifier.status("")
    notifier.alive()
    assert manager.heard() == "WATCHDOG=1"


@pytest.mark.parametrize("variable", ["", "vsock:2:1234", "relative", "/nowhere/at/all", "/" + "x" * 200])
def test_nobody_who_listens_hurts_nobody(variable: str) -> None:
    Notifier({"NOTIFY_SOCKET": variable}).ready("Serving")
    Notifier({}).ready("Serving")


def test_a_queue_that_stays_full_is_not_waited_for(manager: Manager, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(systemd, "PATIENCE", 0.01)
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
        sock.setblocking(False)
        with pytest.raises(BlockingIOError):
            while True:
                sock.sendto(b"WATCHDOG=1", manager.socket.getsockname())
        Notifier({"NOTIFY_SOCKET": manager.variable}).alive()


@pytest.mark.parametrize(
    ("variables", "seconds"),
    [
        ({}, None),
        ({"WATCHDOG_USEC": "3000000"}, 1.5),
        ({"WATCHDOG_USEC": "3000000", "WATCHDOG_PID": str(os.getpid())}, 1.5),
        ({"WATCHDOG_USEC": "3000000", "WATCHDOG_PID": str(os.getppid())}, None),
        ({"WATCHDOG_USEC": "0"}, None),
        ({"WATCHDOG_USEC": "soon"}, None),
    ],
)
def test_signs_of_life_come_twice_as_often_as_they_must(variables: dict[str, str], seconds: float | None) -> None:
    assert Notifier(dict(variables)).watchdog == seconds


def test_children_are_not_told_but_a_successor_may_be(manager: Manager) -> None:
    environ = {"NOTIFY_SOCKET": manager.variable, "WATCHDOG_USEC": "3000000", "WATCHDOG_PID": str(os.getpid())}
    variables = Notifier(environ).variables
    assert environ == {}
    assert variables == {"NOTIFY_SOCKET": manager.variable, "WATCHDOG_USEC": "3000000"}
    successor = Notifier(dict(variables))
    successor.main_process(1)
    assert manager.heard() == "MAINPID=1"
    assert successor.watchdog == 1.5


def test_the_environment_is_that_of_the_process(manager: Manager, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NOTIFY_SOCKET", manager.variable)
    Notifier().alive()
    assert manager.heard() == "WATCHDOG=1"
    assert "NOTIFY_SOCKET" not in os.environ


# --- sockets ---


def test_sockets_are_for_the_process_that_is_named() -> None:
    environ = {"LISTEN_FDS": "2", "LISTEN_PID": str(os.getppid()), "LISTEN_FDNAMES": "a:b", "HOME": "/"}
    assert inherited(environ) == []
    assert environ == {"HOME": "/"}  # nor for its children


@pytest.mark.parametrize("count", ["", "many", "-1", "0"])
def test_a_count_that_is_none_gives_no_sockets(count: str) -> None:
    assert inherited({"LISTEN_FDS": count, "LISTEN_PID": str(os.getpid())}) == []
    assert inherited({}) == []


CHILD = """
import os
from portway.workers.systemd import inherited

os.dup2(int(os.environ["SOCKET"]), 3)
os.environ["LISTEN_PID"] = str(os.getpid())
print(inherited(), os.get_inheritable(3), sorted(name for name in os.environ if name.startswith("LISTEN")))
"""


def test_sockets_are_numbered_from_three_on_and_stay_in_the_process() -> None:
    with socket.socket() as sock:
        number = str(sock.fileno())
        environ = os.environ | {"SOCKET": number, "LISTEN_FDS": "1"}
        command = [sys.executable, "-c", CHILD]
        said = subprocess.run(
            command, env=environ, pass_fds=[sock.fileno()], capture_output=True, text=True, check=True
        )
    assert said.stdout == "[3] False []\n"


def test_a_descriptor_that_is_not_open_is_left_to_whoever_listens_there() -> None:
    found = inherited({"LISTEN_FDS": "4000", "LISTEN_PID": str(os.getpid())})
    assert found[-1] == 4002
