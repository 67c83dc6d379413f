"""A terminal that goes, and one that never was."""

import os
import subprocess
import sys

import pytest

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="Windows has no controlling terminals")

SESSION = """
import os, resource, signal, sys
from portway.workers.terminal import Terminal, is_there

def say(text):
    os.write(pipe, f"{text}\\n".encode())

pipe = int(sys.argv[3])
os.setsid()
if "terminal" in sys.argv:
    os.close(os.open(sys.argv[2], os.O_RDWR))  # the first one that a session opens is its terminal
terminal = Terminal()
came = []
signal.signal(signal.SIGHUP, lambda number, frame: came.append(terminal.gone))

if "full" in sys.argv:
    resource.setrlimit(resource.RLIMIT_NOFILE, (0, resource.getrlimit(resource.RLIMIT_NOFILE)[1]))
    say(terminal.gone)
    sys.exit()

os.kill(os.getpid(), signal.SIGHUP)
say(came)
if "terminal" in sys.argv:
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGHUP})
    say("close it")
    signal.sigwait({signal.SIGHUP})
    say(terminal.gone)
"""


class Session:
    """A process with a session of its own, and the other end of its terminal."""

    def __init__(self, *args: str) -> None:
        import pty

        self.master, self.slave = pty.openpty()
        reading, writing = os.pipe()
        command = [sys.executable, "-c", SESSION, args[0], os.ttyname(self.slave), str(writing), *args[1:]]
        self.process = subprocess.Popen(command, pass_fds=[writing])
        os.close(writing)
        self.said = os.fdopen(reading)

    def __enter__(self) -> "Session":
        return self

    def __exit__(self, *exit: object) -> None:
        self.process.kill()
        self.process.wait()
        self.said.close()
        self.hang_up()

    def hang_up(self) -> None:
        for number in (self.slave, self.master):
            if number >= 0:
                os.close(number)
        self.master = self.slave = -1


def test_a_terminal_that_is_closed_is_gone() -> None:
    with Session("terminal") as session:
        assert session.said.readline() == "[False]\n"  # a signal alone takes nothing away
        assert session.said.readline() == "close it\n"
        session.hang_up()
        assert session.said.readline() == "True\n"


def test_a_service_has_none_that_could_go() -> None:
    with Session("none") as session:
        assert session.said.readline() == "[False]\n"


def test_a_terminal_is_not_gone_because_nothing_can_be_opened() -> None:
    with Session("terminal", "full") as session:
        assert session.said.readline() == "False\n"
