"""`portway serve`, up to where the server begins."""

from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import Result

Run = Callable[..., Result]


@pytest.mark.parametrize("args", [("serve",), ("--port", "81")])
def test_no_application_is_said_with_what_to_write(run: Run, args: tuple[str, ...]) -> None:
    result = run(*args)
    assert result.exit_code == 2
    assert result.stderr == (
        "portway: error: no application; write portway serve main:app, or target = 'main:app' in portway.toml\n"
    )


def test_an_application_that_cannot_be_loaded_is_one_line(run: Run, tmp_path: Path) -> None:
    pytest.importorskip("portway.boot", exc_type=ImportError)
    result = run("absent_module:app")
    assert result.exit_code == 2
    assert result.stderr.startswith("portway: error: cannot import absent_module: there is no absent_module in ")
    assert result.stderr.count("\n") == 1


def test_the_applications_own_import_error_is_shown_from_its_first_frame_on(run: Run, tmp_path: Path) -> None:
    pytest.importorskip("portway.boot", exc_type=ImportError)
    (tmp_path / "broken_application.py").write_text("1 / 0\n")
    result = run("broken_application.py")
    lines = result.stderr.splitlines()
    assert result.exit_code == 2
    assert lines[1] == f'  File "{tmp_path}/broken_application.py", line 1, in <module>'
    assert lines[-1] == "portway: error: importing broken_application failed: ZeroDivisionError: division by zero"
