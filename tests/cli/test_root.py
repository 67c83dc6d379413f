"""The command itself: `serve` where nothing else is named, and how errors are shown."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import click
import pytest
from click.shell_completion import ShellComplete
from click.testing import CliRunner, Result

from portway.cli.root import Refusal, Root, root
from portway.errors import BindError, LoadError, PortwayError

Run = Callable[..., Result]


def portway(*args: str, cwd: Path, **env: str) -> subprocess.CompletedProcess[str]:
    """The real command in a process of its own."""
    command = [sys.executable, "-m", "portway", *args]
    clean = {name: value for name, value in os.environ.items() if name not in ("WEB_CONCURRENCY",)}
    return subprocess.run(
        command, cwd=cwd, env={**clean, **env}, capture_output=True, text=True, timeout=60, check=False
    )


def refused_by(fault: PortwayError) -> Root:
    """A root whose only command raises this."""
    group = Root("portway")

    @group.command()
    def serve() -> None:
        raise fault

    return group


def test_the_command_without_arguments_explains_itself(run: Run) -> None:
    assert "Usage: portway [OPTIONS] COMMAND [ARGS]..." in run().output
    assert "portway TARGET" in run("-h").output


@pytest.mark.parametrize(
    "args",
    [
        ("main:app", "--workers", "0"),
        ("--workers", "0", "main:app"),
        ("-w", "0", "main:app"),
        ("--workers=0", "main:app"),
        ("serve", "main:app", "--workers", "0"),
    ],
)
def test_what_is_no_command_is_served(run: Run, args: tuple[str, ...]) -> None:
    result = run(*args)
    assert result.exit_code == 2
    assert result.stderr.startswith("portway: error: --workers: 0 is too small")


def test_a_target_named_like_a_command_is_reached_through_serve(run: Run) -> None:
    assert run("config").stdout.startswith("target")
    assert run("serve", "config", "--workers", "0").stderr.startswith("portway: error: --workers")


def test_an_error_is_one_line_with_exit_code_2(runner: CliRunner) -> None:
    result = runner.invoke(refused_by(BindError("127.0.0.1:80 is taken")), ["serve"])
    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr == "portway: error: 127.0.0.1:80 is taken\n"


def test_the_applications_own_traceback_stands_before_the_error(runner: CliRunner) -> None:
    fault = LoadError("importing main failed", "Traceback …\nValueError: x")
    result = runner.invoke(refused_by(fault), ["serve"])
    assert result.stderr == "Traceback …\nValueError: x\nportway: error: importing main failed\n"


def test_our_traceback_is_shown_on_demand(runner: CliRunner) -> None:
    result = runner.invoke(refused_by(BindError("taken")), ["serve"], env={"PORTWAY_TRACEBACK": "1"})
    assert result.exit_code == 2
    assert result.stderr.startswith("Traceback (most recent call last):")
    assert "raise fault" in result.stderr
    assert result.stderr.endswith("portway.errors.BindError: taken\n\nportway: error: taken\n")


def test_other_exceptions_are_not_ours_to_hide(runner: CliRunner) -> None:
    group = Root("portway")

    @group.command()
    def serve() -> None:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        runner.invoke(group, ["serve"], catch_exceptions=False)


def test_a_refusal_is_an_error_of_clicks() -> None:
    assert issubclass(Refusal, click.ClickException)


def words_for(*args: str, incomplete: str = "") -> list[str]:
    shell = ShellComplete(root, {}, "portway", "_PORTWAY_COMPLETE")
    return [item.value for item in shell.get_completions(list(args), incomplete)]


def test_completion_knows_commands_and_the_options_of_the_default_one() -> None:
    assert words_for() == ["completion", "config", "reload", "routes", "scale", "serve", "status", "stop", "upgrade"]
    assert words_for(incomplete="--por") == ["--port"]
    assert words_for(incomplete="--hel") == ["--help"]
    assert words_for("main:app", incomplete="--no-acc") == ["--no-access-log"]


def test_completion_knows_choices_and_leaves_out_absent_options() -> None:
    assert words_for("main:app", "--log-level", incomplete="d") == ["debug"]
    assert words_for("serve", incomplete="--reset") == []


# The real command


def test_python_m_portway_is_the_command(tmp_path: Path) -> None:
    done = portway("config", "--port", "81", "--json", cwd=tmp_path)
    assert done.returncode == 0
    assert '"origin": "--port"' in done.stdout


def test_the_real_command_ends_with_2_and_one_line(tmp_path: Path) -> None:
    done = portway("main:app", "--port", "x", cwd=tmp_path)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == "portway: error: --port: 'x' is not a whole number; write for example 8000\n"


def test_help_imports_neither_the_server_nor_asyncio(tmp_path: Path) -> None:
    script = (
        "import sys\nfrom portway.cli import main\n"
        "try: main(['serve', '--help'])\n"
        "except SystemExit: pass\n"
        "print(sorted({'asyncio', 'ssl', 'uvloop', 'portway.boot', 'portway.server'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", script], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[]"
