"""Options derived from the settings, and nothing forgotten."""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click
import pytest
from click.testing import CliRunner, Result

from portway.cli.options import ABSENT_OPTIONS, ABSENT_SWITCHES, SettingsCommand, loaded
from portway.config import Loaded, catalogue
from portway.config.load import NOT_SETTINGS

Run = Callable[..., Result]


def settings_for(run: Run, *args: str, **env: str) -> Loaded:
    """What a command gets for these arguments; `run` has made the folder and the environment clean."""
    found: list[Loaded] = []

    @click.command(cls=SettingsCommand)
    @click.pass_context
    def command(ctx: click.Context, /, **options: Any) -> None:
        found.append(loaded(ctx))

    result = CliRunner().invoke(command, args, env=env, catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return found[0]


def test_every_setting_can_be_given_by_its_option(run: Run, tmp_path: Path) -> None:
    for name in ("logging.toml", ".env", "cert.pem", "key.pem", "ca.pem"):
        (tmp_path / name).touch()
    (tmp_path / "src").mkdir()
    for name, setting in catalogue().items():
        if name == "target":
            continue
        args = [setting.option] if setting.kind == "switch" else [setting.option, setting.example]
        if setting.group == "TLS" and name != "ssl_certfile":
            args += ["--ssl-certfile", "cert.pem"]
        assert settings_for(run, *args).origins[name] == setting.option


def test_the_target_is_the_argument(run: Run) -> None:
    result = settings_for(run, "main:app", "--port", "1")
    assert (result.settings.target, result.origins["target"]) == ("main:app", "TARGET")


def test_only_options_that_were_given_are_taken_from_the_command_line(run: Run) -> None:
    result = settings_for(run, "--no-access-log", PORTWAY_PORT="81", PORTWAY_SERVER_HEADER="no")
    settings = result.settings
    assert (settings.access_log, settings.server_header, settings.port) == (False, False, 81)
    assert {origin for origin in result.origins.values() if origin != "default"} == {
        "--no-access-log",
        "PORTWAY_PORT",
        "PORTWAY_SERVER_HEADER",
    }


def test_an_option_equal_to_its_default_is_still_given(run: Run, tmp_path: Path) -> None:
    (tmp_path / "portway.toml").write_text("port = 81")
    assert settings_for(run, "--port", "8000").settings.port == 8000


def test_gunicorns_short_options(run: Run, tmp_path: Path) -> None:
    (tmp_path / "other.toml").write_text("backlog = 5")
    settings = settings_for(run, "-b", "127.0.0.1:1", "-b", "unix:x", "-w", "1", "-c", "other.toml").settings
    assert (settings.bind, settings.workers, settings.backlog) == (("127.0.0.1:1", "unix:x"), 1, 5)


def test_repeatable_options_keep_their_order_and_commas(run: Run) -> None:
    settings = settings_for(run, "--header", "x-b: 1, 2", "--header", "x-a: 3").settings
    assert settings.header == ("x-b: 1, 2", "x-a: 3")


def test_a_command_line_of_uvicorns_means_the_same(run: Run) -> None:
    line = (
        "--host 0.0.0.0 --port 80 --root-path /api --lifespan on --loop asyncio --log-level warning "
        "--no-access-log --use-colors --proxy-headers --forwarded-allow-ips * --header X-A:1 "
        "--no-server-header --no-date-header --limit-concurrency 10 --limit-max-requests 20 --backlog 5 "
        "--timeout-keep-alive 6 --timeout-graceful-shutdown 7 --interface wsgi --factory "
        "--workers 1 main:make"
    )
    given = settings_for(run, *line.split()).settings
    assert (given.host, given.port, given.root_path) == ("0.0.0.0", 80, "/api")
    assert (given.lifespan, given.loop, given.log_level, given.interface) == (
        "on",
        "asyncio",
        "warning",
        "wsgi",
    )
    assert (given.access_log, given.use_colors, given.proxy_headers, given.factory) == (
        False,
        True,
        True,
        True,
    )
    assert (given.forwarded_allow_ips, given.header) == ("*", ("X-A:1",))
    assert (given.server_header, given.date_header, given.workers) == (False, False, 1)
    assert (given.limit_concurrency, given.limit_max_requests, given.backlog) == (10, 20, 5)
    assert (given.timeout_keep_alive, given.timeout_graceful_shutdown, given.target) == (
        6.0,
        7.0,
        "main:make",
    )


def test_every_option_of_uvicorn_is_known(run: Run) -> None:
    uvicorn = pytest.importorskip("uvicorn.main")
    ours = {name for setting in catalogue().values() for name in setting.options}
    theirs = {name for param in uvicorn.main.params for name in (*param.opts, *param.secondary_opts)}
    assert theirs - ours - {*ABSENT_SWITCHES, *ABSENT_OPTIONS} == {"app", "--version"}


@pytest.mark.parametrize("name", [*ABSENT_SWITCHES, *ABSENT_OPTIONS])
def test_an_option_of_uvicorn_that_we_lack_is_refused_by_name(run: Run, name: str) -> None:
    args = [name] if name in ABSENT_SWITCHES else [name, "x"]
    for command in ("serve", "config"):
        result = run(command, "main:app", *args)
        assert result.exit_code == 2
        assert result.stderr == f"portway: error: {name} is not available in this version of Portway\n"


def test_an_unknown_option_is_a_usage_error(run: Run) -> None:
    result = run("main:app", "--prot", "80")
    assert result.exit_code == 2
    assert "--port" in result.stderr  # click offers it


def test_warnings_go_to_stderr(run: Run) -> None:
    result = run("config", "--json", PORTWAY_PROT="80")
    assert result.stderr == "portway: warning: PORTWAY_PROT is not a setting; did you mean PORTWAY_PORT?\n"
    assert result.stdout.startswith("{")


# Help


def test_help_is_in_sections(run: Run) -> None:
    lines = run("serve", "--help").stdout.splitlines()
    titles = [line for line in lines if line.endswith(":") and not line.startswith(" ")]
    assert titles == [
        *(
            "Application:",
            "Mounts:",
            "Binding:",
            "Workers:",
            "Reload:",
            "HTTP:",
            "HTTP2:",
            "WebSocket:",
            "WSGI:",
            "TLS:",
            "Limits:",
            "Timeouts:",
            "Logs:",
            "Process:",
            "Other:",
        ),
    ]


def test_help_shows_every_option_and_no_absent_one(run: Run) -> None:
    words = run("serve", "--help").stdout.replace(",", " ").split()
    for setting in catalogue().values():
        for option in setting.options:
            assert option in words or option == "TARGET", option
    assert not {*ABSENT_SWITCHES, *ABSENT_OPTIONS} & set(words)


def test_help_shows_every_default_that_is_something(run: Run) -> None:
    text = " ".join(run("serve", "--help").stdout.split())
    for default in ("127.0.0.1", "8000", "65536 bytes", "75 seconds", "on", "off", "info", "auto"):
        assert f"[default: {default}]" in text
    count = sum(setting.default not in (None, "", ()) for setting in catalogue().values())
    assert text.count("[default: ") == count


def test_help_names_every_variable_once(run: Run) -> None:
    text = run("serve", "--help").stdout
    words = text[text.index("Variables:") :].replace(",", " ").replace(".", " ").split()
    variables = [name for setting in catalogue().values() for name in setting.variables]
    assert sorted(words[1:]) == sorted([*variables, *NOT_SETTINGS])


@pytest.mark.parametrize(
    ("words", "found"),
    [
        ("--ws-per-message-deflate", "true"),
        ("--no-ws-per-message-deflate", "false"),
        ("--ws-per-message-deflate false", "false"),
        ("--ws-per-message-deflate=False", "false"),
        ("--ws-per-message-deflate true", "true"),
        ("--ws-per-message-deflate=1", "true"),
        ("--ws-per-message-deflate --port 1", "true"),
    ],
)
def test_a_switch_of_uvicorns_may_have_its_word(run: Run, words: str, found: str) -> None:
    lines = run("config", *words.split()).stdout.splitlines()
    line = next(line for line in lines if line.startswith("ws_per_message_deflate"))
    assert line.split()[1] == found


@pytest.mark.parametrize(
    ("origin", "hint"),
    [
        ("*", "leave it out to let all in"),
        ("example.org", "write scheme and host, as in https://example.org"),
        ("https://example.org/", "write scheme and host, as in https://example.org"),
    ],
)
def test_an_origin_must_be_one(run: Run, origin: str, hint: str) -> None:
    result = run("config", "--ws-origins", origin)
    assert result.exit_code == 2
    assert result.stderr == f"portway: error: --ws-origins: {origin!r} is no origin; {hint}\n"


def test_the_options_of_tls_that_uvicorn_has(run: Run, tmp_path: Path) -> None:
    for name in ("cert.pem", "key.pem", "ca.pem"):
        (tmp_path / name).touch()
    line = (
        "--ssl-keyfile key.pem --ssl-certfile cert.pem --ssl-keyfile-password secret --ssl-version 17 "
        "--ssl-cert-reqs 2 --ssl-ca-certs ca.pem --ssl-ciphers TLSv1"
    )
    given = settings_for(run, *line.split()).settings
    assert (given.ssl_certfile, given.ssl_keyfile) == (("cert.pem",), ("key.pem",))
    assert (given.ssl_keyfile_password, given.ssl_version, given.ssl_cert_reqs) == ("secret", 17, 2)
    assert (given.ssl_ca_certs, given.ssl_ciphers) == ("ca.pem", "TLSv1")


@pytest.mark.parametrize("option", ["--ssl-keyfile", "--hsts", "--redirect-http"])
def test_what_needs_tls_says_so_on_one_line(run: Run, tmp_path: Path, option: str) -> None:
    (tmp_path / "80").touch()
    result = run("serve", "main:app", option, "80")
    assert result.exit_code == 2
    assert re.fullmatch(rf"portway: error: {option}: [^\n]*--ssl-certfile[^\n]*\n", result.stderr)
