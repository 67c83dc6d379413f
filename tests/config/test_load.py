"""Where settings come from, in which order, and how each origin is named."""

from pathlib import Path

import pytest

from portway.config import Loaded, load
from portway.errors import SettingsError


def loaded(folder: Path, flags: dict[str, object] | None = None, config: str | None = None, **environ: str) -> Loaded:
    return load(flags or {}, config=config, environ=environ, folder=folder)


def found(result: Loaded, name: str) -> tuple[object, str]:
    return getattr(result.settings, name), result.origins[name]


def write(folder: Path, name: str, text: str) -> None:
    (folder / name).write_text(text, "utf-8")


def test_a_setting_that_nobody_gives_is_the_default(tmp_path: Path) -> None:
    assert found(loaded(tmp_path), "port") == (8000, "default")


def test_each_source_wins_over_those_after_it(tmp_path: Path) -> None:
    write(tmp_path, "pyproject.toml", "[tool.portway]\nport = 1")
    assert found(loaded(tmp_path), "port") == (1, "pyproject.toml [tool.portway]")
    write(tmp_path, "portway.toml", "port = 2")
    assert found(loaded(tmp_path), "port") == (2, "portway.toml")
    assert found(loaded(tmp_path, PORTWAY_PORT="3"), "port") == (3, "PORTWAY_PORT")
    assert found(loaded(tmp_path, {"port": "4"}, PORTWAY_PORT="3"), "port") == (4, "--port")


def test_sources_are_merged_setting_by_setting(tmp_path: Path) -> None:
    write(tmp_path, "pyproject.toml", '[tool.portway]\nport = 1\nhost = "::1"')
    write(tmp_path, "portway.toml", "port = 2")
    result = loaded(tmp_path)
    assert (result.settings.port, result.settings.host) == (2, "::1")


def test_the_origin_of_a_switch_is_the_option_as_it_was_written(tmp_path: Path) -> None:
    assert found(loaded(tmp_path, {"access_log": False}), "access_log") == (False, "--no-access-log")
    assert found(loaded(tmp_path, {"access_log": True}), "access_log") == (True, "--access-log")


# Variables


def test_a_further_variable_is_read_after_portways_own(tmp_path: Path) -> None:
    assert found(loaded(tmp_path, WEB_CONCURRENCY="1"), "workers") == (1, "WEB_CONCURRENCY")
    both = loaded(tmp_path, FORWARDED_ALLOW_IPS="::1", PORTWAY_FORWARDED_ALLOW_IPS="*")
    assert found(both, "forwarded_allow_ips") == ("*", "PORTWAY_FORWARDED_ALLOW_IPS")


def test_an_empty_variable_counts_as_not_set(tmp_path: Path) -> None:
    assert found(loaded(tmp_path, PORTWAY_PORT="", PORTWAY_UDS=""), "port") == (8000, "default")


def test_an_empty_variable_counts_where_an_empty_text_means_something(tmp_path: Path) -> None:
    assert found(loaded(tmp_path, FORWARDED_ALLOW_IPS=""), "forwarded_allow_ips") == (
        "",
        "FORWARDED_ALLOW_IPS",
    )


@pytest.mark.parametrize("text", ["[::1]:1,unix:x", "[::1]:1 unix:x", " [::1]:1,\n unix:x, "])
def test_the_addresses_of_a_variable_are_separated_by_commas_or_blanks(tmp_path: Path, text: str) -> None:
    assert loaded(tmp_path, PORTWAY_BIND=text).settings.bind == ("[::1]:1", "unix:x")


def test_the_headers_of_a_variable_stand_on_lines(tmp_path: Path) -> None:
    result = loaded(tmp_path, PORTWAY_HEADER="Cache-Control: no-cache, private\nX-A: 1\n")
    assert result.settings.header == ("Cache-Control: no-cache, private", "X-A: 1")


def test_an_unknown_variable_is_warned_of_with_the_nearest_name(tmp_path: Path) -> None:
    result = loaded(tmp_path, PORTWAY_PROT="80", PORTABLE="1", PATH="/bin")
    assert result.warnings == ("PORTWAY_PROT is not a setting; did you mean PORTWAY_PORT?",)


def test_variables_that_are_known_and_no_settings_are_not_warned_of(tmp_path: Path) -> None:
    write(tmp_path, "x.toml", "")
    assert loaded(tmp_path, PORTWAY_PURE="1", PORTWAY_TRACEBACK="1", PORTWAY_CONFIG="x.toml").warnings == ()


def test_a_wrong_variable_is_named(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"^PORTWAY_PORT: 'tcp://10.0.0.1:80' is not a whole number"):
        loaded(tmp_path, PORTWAY_PORT="tcp://10.0.0.1:80")


# The env file


def test_the_env_file_fills_the_environment_and_replaces_nothing(tmp_path: Path) -> None:
    write(tmp_path, "deploy.env", "SECRET=file\nPORTWAY_PORT=81\nHOME=/nowhere\n")
    environ = {"HOME": "/home"}
    result = load({"env_file": "deploy.env"}, environ=environ, folder=tmp_path)
    assert environ == {"HOME": "/home", "SECRET": "file", "PORTWAY_PORT": "81"}
    assert found(result, "port") == (81, "PORTWAY_PORT in deploy.env")


def test_a_variable_that_was_set_before_wins_over_the_env_file(tmp_path: Path) -> None:
    write(tmp_path, ".env", "PORTWAY_PORT=81")
    result = loaded(tmp_path, {"env_file": ".env"}, PORTWAY_PORT="82")
    assert found(result, "port") == (82, "PORTWAY_PORT")


def test_the_env_file_may_be_named_by_a_file_or_a_variable(tmp_path: Path) -> None:
    write(tmp_path, "one.env", "PORTWAY_PORT=81")
    write(tmp_path, "two.env", "PORTWAY_PORT=82")
    write(tmp_path, "portway.toml", 'env-file = "one.env"')
    assert loaded(tmp_path).settings.port == 81
    assert loaded(tmp_path, PORTWAY_ENV_FILE="two.env").settings.port == 82


def test_a_wrong_value_in_the_env_file_is_named_with_the_file(tmp_path: Path) -> None:
    write(tmp_path, ".env", "PORTWAY_PORT=x")
    with pytest.raises(SettingsError, match=r"^PORTWAY_PORT in .env: 'x'"):
        loaded(tmp_path, {"env_file": ".env"})


def test_a_missing_env_file_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"^--env-file: cannot read '.*missing.env': no such file"):
        loaded(tmp_path, {"env_file": "missing.env"})


# Files


@pytest.mark.parametrize("key", ["timeout-keep-alive", "timeout_keep_alive"])
def test_a_file_may_spell_a_setting_with_dashes_or_underscores(tmp_path: Path, key: str) -> None:
    write(tmp_path, "portway.toml", f"{key} = 5")
    assert found(loaded(tmp_path), "timeout_keep_alive") == (5.0, "portway.toml")


def test_a_file_that_spells_a_setting_both_ways_is_refused(tmp_path: Path) -> None:
    write(tmp_path, "portway.toml", "log-level = 'info'\nlog_level = 'debug'")
    with pytest.raises(SettingsError, match="log_level is there twice"):
        loaded(tmp_path)


def test_toml_types_are_taken_as_they_are(tmp_path: Path) -> None:
    write(
        tmp_path,
        "portway.toml",
        'bind = ["[::1]:1", "fd://3"]\naccess-log = false\ntimeout-response = 2.5\nlimit-request-body = "10M"',
    )
    settings = loaded(tmp_path).settings
    assert (settings.bind, settings.access_log) == (("[::1]:1", "fd://3"), False)
    assert (settings.timeout_response, settings.limit_request_body) == (2.5, 10 * 1024**2)


def test_an_unknown_key_is_refused_with_the_nearest_name(tmp_path: Path) -> None:
    write(tmp_path, "portway.toml", "prot = 80")
    with pytest.raises(SettingsError, match=r"^portway.toml: 'prot' is not a setting; did you mean port\?$"):
        loaded(tmp_path)


def test_a_wrong_type_in_a_file_is_refused_with_its_place(tmp_path: Path) -> None:
    write(tmp_path, "pyproject.toml", '[tool.portway]\naccess-log = "perhaps"')
    with pytest.raises(SettingsError, match=r"^access_log in pyproject.toml \[tool.portway\]: 'perhaps' is neither"):
        loaded(tmp_path)


def test_a_pyproject_of_other_tools_says_nothing(tmp_path: Path) -> None:
    write(tmp_path, "pyproject.toml", "[tool.ruff]\nline-length = 100")
    assert found(loaded(tmp_path), "port") == (8000, "default")


def test_tool_portway_must_be_a_table(tmp_path: Path) -> None:
    write(tmp_path, "pyproject.toml", "[tool]\nportway = 3")
    with pytest.raises(SettingsError, match=r"write \[tool.portway\] above its settings"):
        loaded(tmp_path)


def test_broken_toml_is_named_with_its_line(tmp_path: Path) -> None:
    write(tmp_path, "portway.toml", "port = \n")
    with pytest.raises(SettingsError, match=r"^portway.toml is not TOML: .*line 1"):
        loaded(tmp_path)


def test_a_file_that_is_not_utf8_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "portway.toml").write_bytes(b"host = '\xff'")
    with pytest.raises(SettingsError, match=r"^portway.toml: .* is not UTF-8"):
        loaded(tmp_path)


def test_the_config_file_is_read_instead_of_those_in_the_folder(tmp_path: Path) -> None:
    write(tmp_path, "portway.toml", "port = 1\nbacklog = 1")
    write(tmp_path, "other.toml", "port = 2")
    result = loaded(tmp_path, config="other.toml")
    assert (found(result, "port"), found(result, "backlog")) == ((2, "other.toml"), (2048, "default"))


def test_the_config_file_may_be_named_by_a_variable_and_the_option_wins(tmp_path: Path) -> None:
    write(tmp_path, "one.toml", "port = 1")
    write(tmp_path, "two.toml", "port = 2")
    assert loaded(tmp_path, PORTWAY_CONFIG="one.toml").settings.port == 1
    assert loaded(tmp_path, config="two.toml", PORTWAY_CONFIG="one.toml").settings.port == 2


def test_a_pyproject_given_as_config_is_read_as_one(tmp_path: Path) -> None:
    (tmp_path / "sub").mkdir()
    write(tmp_path / "sub", "pyproject.toml", "[tool.portway]\nport = 1")
    result = loaded(tmp_path, config="sub/pyproject.toml")
    assert found(result, "port") == (1, "sub/pyproject.toml [tool.portway]")


def test_a_config_file_that_is_not_toml_by_name_is_refused(tmp_path: Path) -> None:
    write(tmp_path, "gunicorn.conf.py", "")
    with pytest.raises(
        SettingsError, match=r"^--config: 'gunicorn.conf.py' is not TOML; write the path of a .toml file"
    ):
        loaded(tmp_path, config="gunicorn.conf.py")
    with pytest.raises(SettingsError, match=r"^PORTWAY_CONFIG: "):
        loaded(tmp_path, PORTWAY_CONFIG="gunicorn.conf.py")


def test_a_config_file_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"^missing.toml: cannot read '.*': no such file"):
        loaded(tmp_path, config="missing.toml")


# Between sources


def test_a_contradiction_names_both_places(tmp_path: Path) -> None:
    write(tmp_path, "portway.toml", 'bind = ["127.0.0.1:1"]')
    with pytest.raises(SettingsError, match=r"^--port and bind in portway.toml both say where to listen"):
        loaded(tmp_path, {"port": "80"})
