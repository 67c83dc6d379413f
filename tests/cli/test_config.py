"""`portway config`: the settings in force, and where each came from."""

import json
from collections.abc import Callable
from pathlib import Path

from click.testing import Result

from portway.config import catalogue

Run = Callable[..., Result]


def test_the_table_has_a_line_for_each_setting_in_aligned_columns(run: Run) -> None:
    result = run("config")
    lines = result.stdout.splitlines()
    assert result.exit_code == 0
    assert [line.split()[0] for line in lines] == list(catalogue())
    assert len({line.rindex("default") for line in lines}) == 1


def test_the_table_names_the_origin_of_each_value(run: Run, tmp_path: Path) -> None:
    (tmp_path / "portway.toml").write_text("backlog = 5\nbind = ['fd://3']\nheader = ['X-A: é']")
    (tmp_path / "pyproject.toml").write_text("[tool.portway]\ntimeout-keep-alive = 2.5")
    result = run("config", "main:app", "--no-access-log", "--log-level", "debug", PORTWAY_FACTORY="yes")
    rows = {tuple(line.split(maxsplit=2)) for line in result.stdout.splitlines()}
    assert {
        ("target", '"main:app"', "TARGET"),
        ("access_log", "false", "--no-access-log"),
        ("log_level", '"debug"', "--log-level"),
        ("factory", "true", "PORTWAY_FACTORY"),
        ("backlog", "5", "portway.toml"),
        ("bind", '["fd://3"]', "portway.toml"),
        ("timeout_keep_alive", "2.5", "pyproject.toml [tool.portway]"),
        ("uds", "-", "default"),
    } <= rows
    assert '["X-A: é"]' in result.stdout


def test_json_has_value_and_origin_of_each_setting(run: Run) -> None:
    found = json.loads(run("config", "--json", WEB_CONCURRENCY="1").stdout)
    assert list(found) == list(catalogue())
    assert found["workers"] == {"value": 1, "origin": "WEB_CONCURRENCY"}
    assert found["uds"] == {"value": None, "origin": "default"}
    assert found["bind"] == {"value": [], "origin": "default"}


def test_settings_that_cannot_be_used_are_refused_as_serve_would(run: Run, tmp_path: Path) -> None:
    (tmp_path / "portway.toml").write_text("prot = 5")
    result = run("config")
    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr == "portway: error: portway.toml: 'prot' is not a setting; did you mean port?\n"


def test_what_is_printed_can_be_written_back(run: Run, tmp_path: Path) -> None:
    before = json.loads(run("config", "--json").stdout)
    rows = [line.split() for line in run("config").stdout.splitlines()]
    (tmp_path / "portway.toml").write_text(
        "\n".join(f"{name} = {value}" for name, value, _ in rows if value not in ("-", "[]"))
    )
    after = json.loads(run("config", "--json").stdout)
    assert after["port"]["origin"] == "portway.toml"
    assert {name: each["value"] for name, each in after.items()} == {
        name: each["value"] for name, each in before.items()
    }


def test_a_password_is_not_printed(run: Run, tmp_path: Path) -> None:
    (tmp_path / "cert.pem").touch()
    args = ("config", "--ssl-certfile", "cert.pem", "--ssl-keyfile-password", "sesame")
    for more in ((), ("--json",)):
        shown = run(*args, *more).stdout
        assert "sesame" not in shown
        assert "***" in shown
