"""--reload: the worker is replaced when a file changes, and whoever asks meanwhile is answered."""

import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx

Served = Any  # see conftest
Serve = Callable[..., Served]


def until_it_says(served: Served, version: str) -> None:
    """Ask until the code is the new one: no request fails on the way."""
    for _ in range(10_000):
        response = served.ask()
        assert response.status_code == 200
        if response.text.startswith(version):
            return
    raise AssertionError(served.err.so_far())


def test_changed_code_is_served_and_no_request_is_refused_meanwhile(serve: Serve) -> None:
    served = serve("--reload").up()
    for old, new in (("1", "2"), ("2", "3")):
        served.change(f'VERSION = "{old}"', f'VERSION = "{new}"')
        until_it_says(served, new)
    assert "Restarting: main.py changed" in served.err.so_far()
    assert served.command.ends(signal.SIGINT) == 0


def test_open_streams_do_not_hold_it_up(serve: Serve) -> None:
    served = serve("--reload").up()
    with httpx.stream("GET", f"http://127.0.0.1:{served.command.port}/wait", timeout=30) as response:
        stream = response.iter_raw()
        next(stream)
        (old,) = served.pids(1)
        served.change('VERSION = "1"', 'VERSION = "2"')
        until_it_says(served, "2")
        served.err.wait_for(f"(process {old}) ended with exit code 0")
        try:
            assert list(stream) == []
        except httpx.RemoteProtocolError:
            pass  # cut off: it can be seen that it is not whole


def test_a_syntax_error_is_shown_and_the_next_save_is_tried_again(serve: Serve) -> None:
    served = serve("--reload").up()
    served.change('VERSION = "1"', 'VERSION = "2" +')
    served.err.wait_for("SyntaxError: invalid syntax")
    served.err.wait_for("The code from before goes on; mend this, and save")
    assert served.version() == {"1"}
    served.change('"2" +', '"3"')
    until_it_says(served, "3")


def test_code_that_never_loaded_is_waited_for(serve: Serve) -> None:
    served = serve("--reload", source="VERSION = \n")
    served.err.wait_for("SyntaxError: invalid syntax")
    assert served.command.process.poll() is None
    served.change("VERSION = \n", SOURCE)
    served.up()
    assert served.ask().text == "here"


SOURCE = """
async def app(scope, receive, send):
    assert scope["type"] == "http"
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"4")]})
    await send({"type": "http.response.body", "body": b"here"})
"""


def test_variables_and_configuration_count_as_well_as_included_files(serve: Serve, tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("MARK=one\n")
    (tmp_path / "portway.toml").write_text('env-file = ".env"\nreload-include = ["*.html"]\n')
    (tmp_path / "page.html").write_text("old")
    served = serve("--reload").up()
    assert served.ask().text.split()[2] == "one"
    (tmp_path / ".env").write_text("MARK=two\n")
    served.err.wait_for("Restarting: .env changed")
    served.err.wait_for("Restarted", 1)
    assert served.ask().text.split()[2] == "two"
    (tmp_path / "page.html").write_text("new")
    served.err.wait_for("Restarting: page.html changed")
    served.err.wait_for("Restarted", 2)
    (tmp_path / "portway.toml").write_text('env-file = ".env"\nreload-include = ["*.html"]\nroot-path = "/api"\n')
    served.err.wait_for("Restarting: portway.toml changed")
    served.err.wait_for("Restarted", 3)
    assert served.command.ends(signal.SIGTERM) == 0
