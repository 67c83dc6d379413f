"""What the application is told of a request (PEP 3333 "environ Variables", ASGI 60)."""

import os
import socket
import sys
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from portway.testing import Raw, serve
from portway.types import Scope
from portway.wsgi.environ import base_of, environ_of, path_of, without

Fetch = Callable[..., Any]


class Mirror:
    """An application that keeps each environ that it was given."""

    def __init__(self) -> None:
        self.environs: list[dict[str, Any]] = []

    def __call__(self, environ: dict[str, Any], start_response: Any) -> list[bytes]:
        self.environs.append(dict(environ))
        start_response("200 OK", [("Content-Type", "text/plain")])
        return [b"ok"]

    @property
    def environ(self) -> dict[str, Any]:
        (only,) = self.environs
        return only


@pytest.fixture
def mirror() -> Mirror:
    return Mirror()


def scope_of(**changes: Any) -> Scope:
    scope: dict[str, Any] = {
        "type": "http", "asgi": {"version": "3.0"}, "http_version": "1.1", "method": "GET", "scheme": "http",
        "path": "/", "raw_path": b"/", "query_string": b"", "root_path": "", "headers": [], "client": ("192.0.2.1", 9),
        "server": ("192.0.2.2", 80),
    }  # fmt: skip
    return scope | changes


def environ(**changes: Any) -> dict[str, Any]:
    return environ_of(scope_of(**changes), base_of(True, False))


# --- the path ---


@pytest.mark.parametrize(
    ("target", "path"),
    [
        ("/", "/"),
        ("/a/b", "/a/b"),
        ("/a%2Fb", "/a/b"),
        ("/%FF", "/\xff"),
        ("/caf%C3%A9", "/caf\xc3\xa9"),
        ("/caf%e9", "/caf\xe9"),
        ("/%E0%A4%A", "/\xe0\xa4%A"),
        ("/%25", "/%"),
        ("/a%3Fb?c%20d", "/a?b"),
        ("//a//b/", "//a//b/"),
        ("/a;b=c", "/a;b=c"),
        ("/a+b", "/a+b"),
        ("/../a/./b", "/../a/./b"),
    ],
)
def test_path_info_is_the_bytes_of_the_path_a_character_for_each(  # ASGI 60
    wsgi: Any, fetch: Fetch, mirror: Mirror, target: str, path: str
) -> None:
    with wsgi(mirror) as served:
        fetch(served, path=target)
    assert mirror.environ["PATH_INFO"] == path
    assert mirror.environ["SCRIPT_NAME"] == ""
    assert mirror.environ["REQUEST_URI"] == mirror.environ["RAW_URI"] == target
    assert mirror.environ["QUERY_STRING"] == target.partition("?")[2]


@given(st.binary(max_size=20))
def test_any_bytes_of_a_path_come_back(path: bytes) -> None:  # PEP 3333, "Unicode Issues"
    raw = b"/" + b"".join(b"%%%02x" % each for each in path)
    given = scope_of(path=(b"/" + path).decode("utf-8", "replace"), raw_path=raw)
    assert path_of(given["path"], given.get("raw_path")).encode("latin-1") == b"/" + path


@given(st.text(max_size=20))
def test_without_the_raw_path_it_is_that_of_the_text(path: str) -> None:  # ASGI: raw_path is optional
    try:
        encoded = path.encode("utf-8")
    except UnicodeEncodeError:
        return
    for raw in (None, b"/something%20else"):  # a middleware that changes the path leaves raw_path as it was
        assert path_of("/x" + path, raw).encode("latin-1") == b"/x" + encoded


def test_a_path_whose_bytes_came_bare_is_kept() -> None:
    assert path_of("/\ufffd", b"/\xff") == "/\xff"


def test_the_star_of_options_is_no_path(wsgi: Any, fetch: Fetch, mirror: Mirror) -> None:  # RFC 9110 §9.3.7
    with wsgi(mirror) as served:
        fetch(served, method="OPTIONS", path="*")
    assert (mirror.environ["REQUEST_METHOD"], mirror.environ["PATH_INFO"]) == ("OPTIONS", "")
    assert mirror.environ["REQUEST_URI"] == "*"


def test_a_target_in_absolute_form_has_the_path_alone_in_path_info(wsgi: Any, mirror: Mirror) -> None:
    with wsgi(mirror) as served, Raw(served.host, served.port) as raw:
        raw.ask(b"GET http://a.example/b%2Fc?d HTTP/1.1\r\nhost: a.example\r\n\r\n")
    assert (mirror.environ["PATH_INFO"], mirror.environ["QUERY_STRING"]) == ("/b/c", "d")


@pytest.mark.parametrize(("root", "script"), [("/api", "/api"), ("/api/", "/api"), ("/caf\xe9", "/caf\xc3\xa9")])
def test_a_proxys_prefix_is_the_script_name(  # ASGI 60
    wsgi: Any, fetch: Fetch, mirror: Mirror, root: str, script: str
) -> None:
    with wsgi(mirror, root_path=root) as served:
        fetch(served, path="/caf%C3%A9/%FF")
    assert (mirror.environ["SCRIPT_NAME"], mirror.environ["PATH_INFO"]) == (script, "/caf\xc3\xa9/\xff")


@pytest.mark.parametrize(
    ("root", "path", "script", "rest"),
    [
        ("/api", "/api/a", "/api", "/a"),
        ("/api", "/api", "/api", ""),
        ("/api", "/api/", "/api", "/"),
        ("/api/", "/api/a", "/api", "/a"),
        ("/api", "/apix", "/api", "/apix"),
        ("/api", "/a", "/api", "/a"),
        ("/", "/a", "", "/a"),
        ("/caf\xe9", "/caf\xe9/\xe9", "/caf\xc3\xa9", "/\xc3\xa9"),
    ],
)
def test_the_root_path_is_taken_off_at_a_segments_border(  # ASGI 60
    root: str, path: str, script: str, rest: str
) -> None:
    for raw in (path.encode(), None, path.encode().replace(b"a", b"%61")):
        found = environ(path=path, raw_path=raw, root_path=root)
        assert (found["SCRIPT_NAME"], found["PATH_INFO"]) == (script, rest)


@given(st.text("/ab", max_size=6), st.text("/ab", max_size=3))
def test_script_name_and_path_info_make_the_path(path: str, root: str) -> None:
    script = root.rstrip("/")
    rest = without(path, script)
    assert rest == path or (script + rest == path and rest[:1] in ("", "/"))


# --- headers ---


def test_names_with_an_underscore_are_dropped(wsgi: Any, fetch: Fetch, mirror: Mirror) -> None:  # ASGI 60
    with wsgi(mirror) as served:
        fetch(served, headers=[("x_a", "forged"), ("x-b", "true"), ("content_length", "9"), ("x-b_c", "forged")])
    found = {name: value for name, value in mirror.environ.items() if name.startswith("HTTP_X")}
    assert found == {"HTTP_X_B": "true"}
    assert "CONTENT_LENGTH" not in mirror.environ


def test_a_header_named_proxy_is_dropped(wsgi: Any, fetch: Fetch, mirror: Mirror) -> None:  # CVE-2016-5385
    with wsgi(mirror) as served:
        fetch(served, headers=[("proxy", "http://evil.example"), ("proxy-authorization", "x")])
    assert "HTTP_PROXY" not in mirror.environ
    assert mirror.environ["HTTP_PROXY_AUTHORIZATION"] == "x"


def test_cookies_are_joined_with_semicolons_and_others_with_commas(  # ASGI 60
    wsgi: Any, fetch: Fetch, mirror: Mirror
) -> None:
    twice = [("cookie", "a=1"), ("x-a", "1"), ("cookie", "b=2"), ("x-a", "2"), ("accept", "*/*")]
    with wsgi(mirror) as served:
        fetch(served, headers=twice)
    assert mirror.environ["HTTP_COOKIE"] == "a=1; b=2"
    assert mirror.environ["HTTP_X_A"] == "1,2"
    assert mirror.environ["HTTP_ACCEPT"] == "*/*"


def test_type_and_length_have_no_prefix(wsgi: Any, fetch: Fetch, mirror: Mirror) -> None:
    with wsgi(mirror) as served:
        fetch(served, method="POST", headers=[("content-type", "text/x")], body=b"abc")
    assert (mirror.environ["CONTENT_TYPE"], mirror.environ["CONTENT_LENGTH"]) == ("text/x", "3")
    assert not {"HTTP_CONTENT_TYPE", "HTTP_CONTENT_LENGTH"} & mirror.environ.keys()


def test_without_content_there_is_neither_type_nor_length(wsgi: Any, fetch: Fetch, mirror: Mirror) -> None:
    with wsgi(mirror) as served:
        fetch(served)
    assert not {"CONTENT_TYPE", "CONTENT_LENGTH", "HTTP_TRANSFER_ENCODING"} & mirror.environ.keys()


def test_values_are_latin_1(wsgi: Any, fetch: Fetch, mirror: Mirror) -> None:  # PEP 3333, "Unicode Issues"
    with wsgi(mirror) as served:
        fetch(served, headers=[("x-a", "caf\xe9 \xff")])
    assert mirror.environ["HTTP_X_A"] == "caf\xe9 \xff"


def test_that_clients_invent_names_costs_no_memory() -> None:
    for number in range(1024):  # twice what is remembered
        assert environ(headers=[(b"x-%d" % number, b"a")])[f"HTTP_X_{number}"] == "a"
    assert environ(headers=[(b"x-0", b"a"), (b"x-1023", b"b")]).items() >= {"HTTP_X_0": "a", "HTTP_X_1023": "b"}.items()


def test_the_first_of_two_lengths_counts() -> None:  # a server lets them through only if they are the same
    assert environ(headers=[(b"content-length", b"3"), (b"content-length", b"3")])["CONTENT_LENGTH"] == "3"


# --- who and where ---


def test_the_port_is_a_str(wsgi: Any, fetch: Fetch, mirror: Mirror) -> None:  # ASGI 60
    with wsgi(mirror) as served:
        fetch(served)
    assert mirror.environ["SERVER_PORT"] == str(served.port)
    assert mirror.environ["SERVER_NAME"] == "127.0.0.1"
    assert mirror.environ["REMOTE_ADDR"] == "127.0.0.1"
    assert mirror.environ["REMOTE_PORT"].isdigit()


@pytest.mark.parametrize(
    ("host", "name", "port"),
    [
        (b"a.example", "a.example", "80"),
        (b"a.example:8080", "a.example", "8080"),
        (b"[::1]", "[::1]", "80"),
        (b"[::1]:81", "[::1]", "81"),
        (b"", "localhost", "80"),
    ],
)
def test_on_a_unix_socket_neither_name_nor_port_is_empty(  # PEP 3333: "can never be empty strings"
    wsgi: Any, tmp_path: Path, mirror: Mirror, host: bytes, name: str, port: str
) -> None:
    path = str(tmp_path / "s")
    with wsgi(mirror, uds=path), socket.socket(socket.AF_UNIX) as client:
        client.settimeout(20)
        client.connect(path)
        client.sendall(b"GET / HTTP/1.1\r\nhost: " + host + b"\r\nconnection: close\r\n\r\n")
        while client.recv(65536):
            pass
    assert (mirror.environ["SERVER_NAME"], mirror.environ["SERVER_PORT"]) == (name, port)
    assert mirror.environ["REMOTE_ADDR"] == ""
    assert "REMOTE_PORT" not in mirror.environ


def test_of_https_the_port_is_443_if_it_is_not_known() -> None:
    assert environ(server=("/run/s", None), scheme="https")["SERVER_PORT"] == "443"
    assert environ(server=None, scheme="https", headers=[(b"host", b"a")])["SERVER_NAME"] == "a"


def test_the_version_is_that_of_the_request(wsgi: Any, fetch: Fetch, mirror: Mirror) -> None:
    with wsgi(mirror) as served:
        fetch(served)
        with Raw(served.host, served.port) as raw:
            raw.ask(b"GET / HTTP/1.0\r\n\r\n")
    assert [each["SERVER_PROTOCOL"] for each in mirror.environs] in (["HTTP/1.1", "HTTP/1.0"], ["HTTP/2", "HTTP/1.0"])
    assert mirror.environs[0]["HTTP_HOST"] == "a"
    assert "HTTP_HOST" not in mirror.environs[1]


def test_the_scheme_is_that_of_the_request(
    wsgi: Any, mirror: Mirror, localhost: dict[str, str], authority: Any
) -> None:
    with (
        wsgi(mirror, **localhost) as served,
        Raw(served.host, served.port, tls=authority.context()) as raw,
    ):
        raw.ask(b"GET / HTTP/1.1\r\nhost: a\r\n\r\n")
    assert mirror.environ["wsgi.url_scheme"] == "https"


# --- the rest ---


def test_what_pep_3333_demands_is_there(wsgi: Any, mode: str, fetch: Fetch, mirror: Mirror) -> None:
    with wsgi(mirror) as served:
        fetch(served)
    environ = mirror.environ
    assert type(environ) is dict
    assert environ["wsgi.version"] == (1, 0)
    assert environ["wsgi.url_scheme"] == "http"
    assert environ["wsgi.errors"] is sys.stderr
    assert environ["wsgi.multithread"] is (mode == "threads")
    assert environ["wsgi.multiprocess"] is False
    assert environ["wsgi.run_once"] is False
    assert environ["wsgi.input_terminated"] is True
    assert environ["asgi.scope"]["type"] == "http"
    assert callable(environ["wsgi.file_wrapper"])


def test_each_text_is_a_native_string(wsgi: Any, fetch: Fetch, mirror: Mirror) -> None:  # PEP 3333, "Unicode Issues"
    with wsgi(mirror) as served:
        fetch(served, path="/caf%C3%A9?%C3%A9", headers=[("x-a", "\xe9")])
    for name, value in mirror.environ.items():
        if name.isupper():
            assert type(value) is str, name
            value.encode("latin-1")


def test_nothing_of_the_process_leaks_in(
    wsgi: Any, fetch: Fetch, mirror: Mirror, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HTTP_FORGED", "1")
    monkeypatch.setenv("SCRIPT_NAME", "/forged")
    with wsgi(mirror) as served:
        fetch(served)
    ours = {"REQUEST_METHOD", "SCRIPT_NAME", "PATH_INFO", "QUERY_STRING", "REQUEST_URI", "RAW_URI", "SERVER_PROTOCOL"}
    ours |= {"SERVER_NAME", "SERVER_PORT", "REMOTE_ADDR", "REMOTE_PORT", "HTTP_HOST"}
    assert {name for name in mirror.environ if name.isupper()} == ours
    assert not {name for name in os.environ if name not in ours} & mirror.environ.keys()
    assert mirror.environ["SCRIPT_NAME"] == ""


def test_each_request_has_an_environ_of_its_own(wsgi: Any) -> None:
    seen: list[bool] = []

    def app(environ: dict[str, Any], start_response: Any) -> list[bytes]:
        seen.append("mine" in environ)
        environ["mine"] = 1
        environ["REQUEST_METHOD"] = "PUT"
        start_response("200 OK", [])
        return [b"ok"]

    with wsgi(app) as served, Raw(served.host, served.port) as raw:
        for _ in range(3):
            assert raw.ask(b"GET / HTTP/1.1\r\nhost: a\r\n\r\n").body == b"ok"
    assert seen == [False] * 3


def test_an_application_may_do_with_its_environ_what_it_likes(ask: Any, log: Any) -> None:
    def app(environ: dict[str, Any], start_response: Any) -> list[bytes]:
        start_response("200 OK", [("content-length", "1")])
        environ.clear()
        return [b"ok"]

    assert ask(app).body == b"o"
    assert log.error.startswith("GET ?: 1 bytes were left out")


def test_the_state_of_the_lifespan_is_in_the_scope(mirror: Mirror) -> None:
    with serve(mirror, interface="wsgi") as served, Raw(served.host, served.port) as raw:
        raw.ask(b"GET / HTTP/1.1\r\nhost: a\r\n\r\n")
    assert mirror.environ["asgi.scope"]["state"] == {}


def test_long_names_that_clients_invent_are_not_kept() -> None:
    tracemalloc.start()
    try:
        for number in range(600):
            environ(headers=[(b"x-%d-" % number + b"a" * 30_000, b"1")])
        kept, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert kept < 1_000_000


def test_a_server_need_not_say_the_scheme() -> None:
    scope = scope_of()
    del scope["scheme"]
    assert environ_of(scope, base_of(True, False))["wsgi.url_scheme"] == "http"
