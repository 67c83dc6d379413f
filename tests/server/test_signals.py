"""What SIGTERM and SIGINT do to `portway serve`, on either loop."""

import signal
import socket
import subprocess
import sys
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import pytest

from portway.testing import Raw

Portway = Callable[..., Any]

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="Windows has no signals to send")

GET = b"GET %b HTTP/1.1\r\nhost: a\r\n\r\n"
LOOPS = pytest.mark.parametrize("loop", ["uvloop", "asyncio"])
SIGNALS = pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT], ids=["SIGTERM", "SIGINT"])

APP = """
import asyncio, sys, time

def say(text):
    print(text, flush=True)

async def app(scope, receive, send):
    if scope["type"] == "lifespan":
        assert (await receive())["type"] == "lifespan.startup"
        await send({"type": "lifespan.startup.complete"})
        assert (await receive())["type"] == "lifespan.shutdown"
        say("lifespan ended")
        await send({"type": "lifespan.shutdown.complete"})
        return
    await PATHS[scope["path"]](receive, send)

async def answer(send, body):
    await send({"type": "http.response.start", "status": 200})
    await send({"type": "http.response.body", "body": body})

async def hello(receive, send):
    await answer(send, b"hello")

async def echo(receive, send):
    say("reading")
    body, more = b"", True
    while more:
        message = await receive()
        body, more = body + message["body"], message["more_body"]
    await answer(send, body)

async def block(receive, send):
    say("blocking")
    while True:
        time.sleep(60)

async def stream(receive, send):
    await send({"type": "http.response.start", "status": 200})
    await send({"type": "http.response.body", "body": b"data: 1\\n\\n", "more_body": True})
    while (await receive())["type"] != "http.disconnect":
        pass
    say("the stream was told")

async def deaf(receive, send):
    say("deaf")
    try:
        await asyncio.sleep(3600)
    finally:
        say("cancelled")

async def background(receive, send):
    await answer(send, b"soon")
    await asyncio.sleep(0.3)
    say("background done")

async def stubborn(receive, send):
    say("stubborn")
    while True:
        try:
            await asyncio.sleep(3600)
        except asyncio.CancelledError:
            say("never mind")

async def thread(receive, send):
    say("in a thread")
    await asyncio.to_thread(time.sleep, 3600)

PATHS = {"/": hello, "/echo": echo, "/block": block, "/stream": stream, "/deaf": deaf, "/later": background,
         "/stubborn": stubborn, "/thread": thread}
"""


@LOOPS
@SIGNALS
def test_a_signal_ends_the_server_in_good_order(portway_command: Portway, loop: str, number: signal.Signals) -> None:
    command = portway_command(APP, "--port", "0", "--loop", loop).up()
    idle, busy = Raw("127.0.0.1", command.port), Raw("127.0.0.1", command.port)
    with idle, busy:
        assert idle.ask(GET % b"/").body == b"hello"
        busy.send(b"POST /echo HTTP/1.1\r\nhost: a\r\ncontent-length: 4\r\n\r\nab")
        command.out.wait_for("reading")
        command.process.send_signal(number)
        assert idle.rest() == b""  # an idle connection is closed
        with pytest.raises(ConnectionRefusedError):  # nobody is let in
            socket.create_connection(("127.0.0.1", command.port))
        busy.send(b"cd")
        response = busy.response()  # a request under way is answered
        assert (response.status, response.body, response.header("connection")) == (200, b"abcd", "close")
    assert command.ends() == 0
    assert command.out.all().endswith("lifespan ended\n")
    assert f"Stopping ({number.name})" in command.err.all()


@LOOPS
def test_who_is_about_to_ask_when_sigterm_comes_is_answered(portway_command: Portway, loop: str) -> None:
    command = portway_command(APP, "--port", "0", "--loop", loop).up()
    with Raw("127.0.0.1", command.port) as watch, Raw("127.0.0.1", command.port) as late:
        assert late.ask(GET % b"/").status == 200
        command.process.send_signal(signal.SIGTERM)
        while watch.ask(GET % b"/").header("connection") != "close":
            pass
        response = late.ask(GET % b"/")
        assert (response.body, response.header("connection")) == (b"hello", "close")
    assert command.ends() == 0


@LOOPS
def test_a_second_interrupt_ends_at_once_even_while_the_application_blocks(portway_command: Portway, loop: str) -> None:
    command = portway_command(APP, "--port", "0", "--loop", loop).up()
    with Raw("127.0.0.1", command.port) as raw:
        # The first one's line waits for the turn of the loop to end, which the second one blocks.
        raw.send(GET % b"/" + GET % b"/block")
        command.out.wait_for("blocking")
        for _ in range(50):  # two that come as one are one
            command.process.send_signal(signal.SIGINT)
            try:
                command.process.wait(0.2)
            except subprocess.TimeoutExpired:
                continue
            break
    assert command.process.returncode == 130
    assert '"GET / HTTP/1.1" 200' in command.out.all()  # no line is lost
    assert "Ended at once" in command.err.all()


@LOOPS
def test_one_interrupt_is_not_two(portway_command: Portway, loop: str) -> None:
    command = portway_command(APP, "--port", "0", "--loop", loop).up()
    command.process.send_signal(signal.SIGTERM)
    assert command.ends(signal.SIGINT) == 0


@LOOPS
def test_a_stream_is_told_after_the_grace_and_holds_nothing_up(portway_command: Portway, loop: str) -> None:
    command = portway_command(
        APP, "--port", "0", "--loop", loop, "--no-access-log", "--timeout-graceful-shutdown", "0.1"
    ).up()
    with Raw("127.0.0.1", command.port) as raw:
        raw.send(GET % b"/stream")
        raw.until(b"data: 1")
        assert command.ends(signal.SIGTERM) == 0
    assert command.out.all().endswith("the stream was told\nlifespan ended\n")
    assert "Cancelled" not in command.err.all()


def test_a_request_that_does_not_listen_is_cancelled_and_named(portway_command: Portway) -> None:
    command = portway_command(APP, "--port", "0", "--no-access-log", "--timeout-graceful-shutdown", "0.1").up()
    with Raw("127.0.0.1", command.port) as raw:
        raw.send(GET % b"/deaf")
        command.out.wait_for("deaf")
        assert command.ends(signal.SIGTERM) == 0
    assert "Cancelled after the grace: GET /deaf" in command.err.all()
    assert command.out.all() == "deaf\ncancelled\nlifespan ended\n"


def test_a_request_that_outlives_its_cancellation_does_not_outlive_the_process(
    portway_command: Portway,
) -> None:
    hurry = "import portway.server.serve as room\nroom.TOLD = room.CANCELLED = 0.1\n"
    command = portway_command(hurry + APP, "--port", "0", "--timeout-graceful-shutdown", "0.1").up()
    with Raw("127.0.0.1", command.port) as raw:
        raw.send(GET % b"/stubborn")
        command.out.wait_for("stubborn")
        assert command.ends(signal.SIGTERM) == 0
    assert "Still running after it was cancelled: GET /stubborn" in command.err.all()
    assert "lifespan ended" in command.out.all()


def test_a_thread_that_keeps_the_process_is_left_to_the_next_signal(portway_command: Portway) -> None:
    command = portway_command(APP, "--port", "0", "--timeout-graceful-shutdown", "0.1").up()
    with Raw("127.0.0.1", command.port) as raw:
        raw.send(GET % b"/thread")
        command.out.wait_for("in a thread")
        command.process.send_signal(signal.SIGTERM)
        command.err.wait_for("Stopped")
    for _ in range(100):
        command.process.send_signal(signal.SIGTERM)
        with suppress(subprocess.TimeoutExpired):
            command.process.wait(0.1)
            break
    assert command.process.returncode == -signal.SIGTERM
    assert "lifespan ended" in command.out.all()


def test_a_background_task_is_waited_for(portway_command: Portway) -> None:
    command = portway_command(APP, "--port", "0").up()
    with Raw("127.0.0.1", command.port) as raw:
        assert raw.ask(GET % b"/later").body == b"soon"
        assert command.ends(signal.SIGTERM) == 0
    assert "background done\nlifespan ended\n" in command.out.all()


SLOW_START = """
import asyncio

async def app(scope, receive, send):
    await receive()
    print("starting", flush=True)
    await asyncio.sleep(3600)
"""


@LOOPS
def test_a_startup_that_hangs_does_not_hold_up_the_end(portway_command: Portway, loop: str) -> None:
    command = portway_command(SLOW_START, "--port", "0", "--loop", loop, "--timeout-graceful-shutdown", "0.1")
    command.out.wait_for("starting")
    assert command.ends(signal.SIGTERM) == 0
    assert "Stopped before the application's startup was complete" in command.err.all()


STARTING = """
import asyncio

async def app(scope, receive, send):
    await receive()
    print("starting", flush=True)
    await asyncio.sleep(0.5)
    await send({"type": "lifespan.startup.complete"})
    await receive()
    print("put away", flush=True)
    await send({"type": "lifespan.shutdown.complete"})
"""


def test_a_stop_during_the_startup_lets_the_application_put_its_things_away(portway_command: Portway) -> None:
    command = portway_command(STARTING, "--port", "0")
    command.out.wait_for("starting")
    assert command.ends(signal.SIGTERM) == 0
    assert command.out.all() == "starting\nput away\n"
    assert "Serving" not in command.err.all()
