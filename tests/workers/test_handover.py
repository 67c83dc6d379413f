"""While two supervisors have the same sockets, neither takes them from the other, whatever becomes of it."""

import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest

Serve = Callable[..., Any]

# Startup waits for as long as there is a file named `hold`, and leaves one that says so.
SLOW = """

answers = app


async def app(scope, receive, send):
    while scope["type"] == "lifespan" and os.path.exists("hold"):
        open(f"waits-{os.getpid()}", "w").close()
        await asyncio.sleep(0.01)
    await answers(scope, receive, send)
"""

ASKED = 20


@pytest.fixture
def halfway(serve: Serve, tmp_path: Path) -> Callable[..., Any]:
    """A server with a successor that starts, and does not come up before `come_up`."""

    def begin(*args: str) -> Any:
        served = serve("--workers", "2", "--health-path", "/healthz", *args, more=SLOW).up()
        (tmp_path / "hold").touch()
        served.send(signal.SIGUSR2)
        waiting(served, 2)
        return served

    return begin


def successor(served: Any) -> int:
    said = served.err.so_far()
    return int(said.rpartition(", 2 workers")[0].rpartition("process ")[2])


def waiting(served: Any, count: int) -> None:
    """Wait until the startup of so many workers does."""
    while len(list(served.folder.glob("waits-*"))) < count:
        assert served.command.process.poll() is None


def come_up(served: Any) -> None:
    (served.folder / "hold").unlink()
    served.err.wait_for("(press Ctrl+C to stop)", 2)


def serves(served: Any) -> bool:
    """Whoever connects is answered: the kernel gives some to one of the sockets, some to the other."""
    return all(httpx.get(f"http://127.0.0.1:{served.command.port}/", timeout=5).is_success for _ in range(ASKED))


def test_the_successor_serves_though_the_old_supervisor_was_killed(halfway: Callable[..., Any]) -> None:
    served = halfway()
    served.command.process.kill()
    served.err.wait_for("The supervisor is gone; this worker ends", 2)
    come_up(served)
    assert serves(served)
    assert len(served.status()) == 2
    served.say("stop")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_a_successor_that_is_ended_before_it_was_up_harms_nobody(halfway: Callable[..., Any], number: int) -> None:
    served = halfway()
    os.kill(successor(served), number)
    (served.folder / "hold").unlink()
    served.err.wait_for("No successor")
    assert serves(served)
    served.say("upgrade")
    assert serves(served)
    served.say("stop")


def test_a_unix_socket_outlives_a_successor_that_was_ended(serve: Serve, tmp_path: Path) -> None:
    path = tmp_path / "app.sock"
    served = serve("--workers", "2", "--uds", str(path), more=SLOW)
    served.command = served.command.up()
    (tmp_path / "hold").touch()
    served.send(signal.SIGUSR2)
    waiting(served, 2)
    os.kill(successor(served), signal.SIGTERM)
    (tmp_path / "hold").unlink()
    served.err.wait_for("No successor")
    assert path.exists()
    served.say("stop")
    assert not path.exists()


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 0), (signal.SIGINT, 0), (signal.SIGQUIT, 131)])
def test_the_end_of_the_old_one_is_that_of_its_successor(halfway: Callable[..., Any], number: int, code: int) -> None:
    served = halfway()
    assert served.command.ends(number) == code
    (served.folder / "hold").unlink()
    served.err.all()  # all processes have closed it
    with pytest.raises(httpx.ConnectError):
        served.ask()


def test_workers_are_neither_added_nor_removed_meanwhile(halfway: Callable[..., Any]) -> None:
    served = halfway()
    assert "about to take over" in served.say("scale", "1", code=2)
    served.send(signal.SIGTTOU)
    served.err.wait_for("when the new supervisor has taken over", 2)
    come_up(served)
    assert served.command.ends() == 0
    assert serves(served)
    assert served.say("scale", "1") == "1 worker from now on\n"
    served.say("stop")


@pytest.mark.parametrize("how", ["reload", "upgrade"])
def test_nobody_waits_for_who_starts_while_others_serve(halfway: Callable[..., Any], serve: Serve, how: str) -> None:
    if how == "upgrade":
        served = halfway()
    else:
        served = serve("--workers", "2", "--health-path", "/healthz", more=SLOW).up()
        (served.folder / "hold").touch()
        served.send(signal.SIGHUP)
        waiting(served, 1)
    for _ in range(ASKED):
        # Whoever lets somebody in, and is not ready, says so here.
        assert httpx.get(f"http://127.0.0.1:{served.command.port}/healthz", timeout=5).text == '{"status":"ok"}'
    assert serves(served)
    (served.folder / "hold").unlink()
    served.err.wait_for("All workers are replaced" if how == "reload" else "The successor is up")
    assert serves(served)
    served.say("stop")
