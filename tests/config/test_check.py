"""Whether values can be used, and what is said of those that cannot."""

from pathlib import Path
from typing import Any

import pytest

from portway import cpus
from portway.config import Fd, Settings, Tcp, Unix, addresses, catalogue, check
from portway.config.check import value
from portway.errors import SettingsError


def read(name: str, raw: object) -> object:
    return value(catalogue()[name], raw, "default")


@pytest.mark.parametrize(
    ("name", "raw", "result"),
    [
        ("port", "80", 80),
        ("port", 80, 80),
        ("port", " 80 ", 80),
        ("timeout_keep_alive", "2.5", 2.5),
        ("timeout_keep_alive", 5, 5.0),
        ("access_log", "no", False),
        ("access_log", "1", True),
        ("access_log", " OFF ", False),
        ("access_log", "yes", True),
        ("access_log", True, True),
        ("log_level", "INFO", "info"),
        ("limit_request_body", "1", 1),
        ("limit_request_body", "64KiB", 65536),
        ("limit_request_body", "10M", 10 * 1024**2),
        ("limit_request_body", "10 MB", 10 * 1000**2),
        ("limit_request_body", "1g", 1024**3),
        ("limit_request_body", "100B", 100),
        ("limit_request_body", 1024, 1024),
        ("limit_request_body", None, None),
        ("bind", "127.0.0.1:1", ("127.0.0.1:1",)),
        ("bind", ["fd://3", "fd://4"], ("fd://3", "fd://4")),
        ("root_path", "", ""),
    ],
)
def test_texts_and_toml_values_become_what_the_field_promises(name: str, raw: object, result: object) -> None:
    found = read(name, raw)
    assert found == result
    assert type(found) is type(result)


@pytest.mark.parametrize(
    ("name", "raw", "words"),
    [
        ("port", "abc", "'abc' is not a whole number; write for example 8000"),
        ("port", "80.0", "not a whole number"),
        ("port", "8_0", "not a whole number"),
        ("port", 80.0, "not a whole number"),
        ("port", True, "True is not a whole number"),
        ("port", None, "None is not a whole number"),
        ("port", "65536", "65536 is too large; write at most 65535"),
        ("port", -1, "-1 is too small; write at least 0"),
        ("workers", "0", "write at least 1"),
        ("limit_concurrency", "0", "write at least 1"),
        ("limit_request_fields", 0, "write at least 1"),
        ("timeout_keep_alive", "soon", "'soon' is not a number of seconds; write for example 75"),
        ("timeout_keep_alive", "inf", "not a number of seconds"),
        ("timeout_keep_alive", "nan", "not a number of seconds"),
        ("timeout_keep_alive", False, "not a number of seconds"),
        ("timeout_keep_alive", "-1", "write at least 0"),
        ("timeout_response", 0, "write at least 0.1"),
        ("limit_request_body", "10X", "'10X' is not a size in bytes; write for example 10M"),
        ("limit_request_body", "-1", "not a size"),
        ("limit_request_body", "0", "write at least 1"),
        ("limit_request_body", 1.5, "not a whole number"),
        ("limit_request_body", "99999999999G", "too large"),
        ("access_log", "maybe", "'maybe' is neither on nor off; write true or false"),
        ("access_log", 1, "neither on nor off"),
        ("log_level", "loud", "write critical, error, warning, info, debug or trace"),
        ("interface", 3, "write auto, asgi3, asgi2 or wsgi"),
        ("bind", 80, 'write for example ["127.0.0.1:8000"]'),
        ("bind", [80], "not a list of texts"),
        ("bind", ["localhost"], "'localhost' is without a port; write localhost:8000"),
        ("header", ["x-a: b\r\nc: d"], "CR, LF or NUL"),
        ("forwarded_allow_ips", "proxy", "'proxy' is neither"),
        ("host", "", "the text is empty"),
        ("host", "[::1]", "write ::1"),
        ("host", "unix:/run/x", "use --bind"),
        ("host", 1, "not a text"),
        ("uds", "a\0b", "NUL"),
        ("root_path", "api", "write /api"),
        ("app_dir", "no/such/folder", "there is no folder"),
        ("log_config", "logging.ini", "write a dictConfig as .toml, .json or .yaml"),
        ("log_config", "no-such.toml", "there is no file"),
    ],
)
def test_a_wrong_value_is_refused_with_what_to_write(name: str, raw: object, words: str) -> None:
    with pytest.raises(SettingsError) as caught:
        read(name, raw)
    message = str(caught.value)
    assert words in message
    assert message.startswith(f"{name}: ")
    assert "\n" not in message


def test_the_refusal_says_where_the_value_came_from() -> None:
    with pytest.raises(SettingsError, match=r"^port in portway.toml: 'x' is not"):
        value(catalogue()["port"], "x", "portway.toml")


def test_the_defaults_can_be_used() -> None:
    check(Settings())


def test_the_example_of_every_setting_can_be_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("src").mkdir()
    for name in ("logging.toml", "cert.pem", "key.pem", "ca.pem"):
        Path(name).touch()
    for setting in catalogue().values():
        if setting.kind != "switch":
            value(setting, setting.example, "default")


def test_settings_made_in_python_are_checked_like_all_others() -> None:
    with pytest.raises(SettingsError, match=r"^port: 65536 is too large"):
        check(Settings(port=65536))
    with pytest.raises(SettingsError, match=r"^port: 'x' is not a whole number"):
        check(Settings(port="x"))  # type: ignore[arg-type]


@pytest.mark.parametrize("other", [{"host": "::1"}, {"port": 80}, {"uds": "/run/x"}, {"fd": 3}])
def test_bind_and_another_way_to_say_where_contradict_each_other(other: dict[str, Any]) -> None:
    (name,) = other
    with pytest.raises(SettingsError, match=rf"^{name} and bind both say where to listen; write all of it as bind"):
        check(Settings(bind=("127.0.0.1:1",), **other))


def test_bind_and_a_default_given_on_purpose_contradict_each_other() -> None:
    origins = {"bind": "--bind", "port": "PORTWAY_PORT"}
    with pytest.raises(SettingsError, match=r"^PORTWAY_PORT and --bind both"):
        check(Settings(bind=("127.0.0.1:1",), port=8000), origins)


def test_a_unix_socket_and_a_descriptor_contradict_each_other() -> None:
    with pytest.raises(SettingsError, match="write --bind unix:/run/x --bind fd://3 to have both"):
        check(Settings(uds="/run/x", fd=3))


def test_auto_is_a_worker_for_each_cpu() -> None:
    assert value(catalogue()["workers"], "auto", "--workers") == cpus.usable()
    with pytest.raises(SettingsError, match=r"^--port: 'auto' is not a whole number"):
        value(catalogue()["port"], "auto", "--port")


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        (Settings(), (Tcp("127.0.0.1", 8000),)),
        (Settings(host="::1", port=0), (Tcp("::1", 0),)),
        (Settings(uds="/run/x", port=80), (Unix("/run/x"),)),  # as in uvicorn, host and port stand aside
        (Settings(fd=0), (Fd(0),)),
        (Settings(bind=("[::1]:1", "unix:x", "fd://3")), (Tcp("::1", 1), Unix("x"), Fd(3))),
    ],
)
def test_addresses_are_where_to_listen(settings: Settings, expected: tuple[object, ...]) -> None:
    assert addresses(settings) == expected


# --- TLS ---


@pytest.fixture
def pem(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Files, as far as settings look at them."""
    monkeypatch.chdir(tmp_path)
    for name in ("cert.pem", "key.pem", "ca.pem"):
        Path(name).touch()


@pytest.mark.usefixtures("pem")
@pytest.mark.parametrize(
    "given",
    [
        {"ssl_certfile": ("cert.pem",)},  # the key is in it
        {"ssl_certfile": ("cert.pem", "cert.pem")},
        {"ssl_certfile": ("cert.pem",) * 2, "ssl_keyfile": ("key.pem",) * 2},
        {"ssl_certfile": ("cert.pem",), "hsts": 0, "redirect_http": 80},
        {"ssl_certfile": ("cert.pem",), "ssl_cert_reqs": 1, "ssl_ca_certs": "ca.pem"},
        {"ssl_certfile": ("cert.pem",), "redirect_http": 0, "port": 0},
    ],
)
def test_settings_of_tls_that_go_together(given: dict[str, Any]) -> None:
    check(Settings(**given))


@pytest.mark.usefixtures("pem")
@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"ssl_keyfile": ("key.pem",)}, "ssl_keyfile: a key without a certificate; add --ssl-certfile"),
        (
            {"ssl_certfile": ("cert.pem",) * 2, "ssl_keyfile": ("key.pem",)},
            "ssl_keyfile: keys: 1, certificates: 2; write one for each, or none if each file holds both",
        ),
        ({"ssl_certfile": ("no.pem",)}, "ssl_certfile: there is no file '{}/no.pem'; write the path of one"),
        (
            {"ssl_certfile": ("cert.pem",), "ssl_keyfile": ("no.pem",)},
            "ssl_keyfile: there is no file '{}/no.pem'; write the path of one",
        ),
        ({"hsts": 1}, "hsts: this needs TLS; add --ssl-certfile and --ssl-keyfile"),
        ({"hsts": 0}, "hsts: this needs TLS; add --ssl-certfile and --ssl-keyfile"),
        ({"redirect_http": 80}, "redirect_http: this needs TLS; add --ssl-certfile and --ssl-keyfile"),
        ({"ssl_ca_certs": "ca.pem"}, "ssl_ca_certs: this needs TLS; add --ssl-certfile and --ssl-keyfile"),
        ({"ssl_keyfile_password": "x"}, "ssl_keyfile_password: this needs TLS; add --ssl-certfile and --ssl-keyfile"),
        ({"ssl_ciphers": "x"}, "ssl_ciphers: this needs TLS; add --ssl-certfile and --ssl-keyfile"),
        ({"ssl_cert_reqs": 2}, "ssl_cert_reqs: this needs TLS; add --ssl-certfile and --ssl-keyfile"),
        (
            {"ssl_certfile": ("cert.pem",), "ssl_cert_reqs": 2},
            "ssl_cert_reqs: no certificate of a client could be believed; "
            "add --ssl-ca-certs with the authorities that they are of",
        ),
        (
            {"ssl_certfile": ("cert.pem",), "redirect_http": 8000},
            "redirect_http: https is spoken on port 8000; write another one, for example 80",
        ),
        ({"ssl_version": 3}, "ssl_version: 3 is older than TLS 1.2 and not safe; write 17, or leave it out"),
        ({"ssl_version": 16}, "ssl_version: 16 is no protocol of a server; write 17, or leave it out"),
        ({"ssl_cert_reqs": 3}, "ssl_cert_reqs: 3 is too large; write at most 2"),
        ({"hsts": -1}, "hsts: -1 is too small; write at least 0"),
    ],
)
def test_settings_of_tls_that_do_not(given: dict[str, Any], message: str) -> None:
    with pytest.raises(SettingsError) as refusal:
        check(Settings(**given))
    assert str(refusal.value) == message.format(Path.cwd())


@pytest.mark.usefixtures("pem")
def test_with_a_context_of_ones_own_no_certificate_is_needed() -> None:
    check(Settings(hsts=1, redirect_http=80, ssl_cert_reqs=2), secured=True)


def test_a_password_is_not_shown() -> None:
    assert "sesame" not in repr(Settings(ssl_keyfile_password="sesame"))
