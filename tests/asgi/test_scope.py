"""What an application is told of a request before it reads anything."""

import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest

from portway.testing import Raw, Response, serve
from portway.types import ASGIApp, Receive, Scope, Send

Ask = Callable[..., Response]

GET = b"GET / HTTP/1.1\r\nhost: a\r\n\r\n"
OK = {"type": "http.response.start", "status": 200}
DONE = {"type": "http.response.body", "body": b"ok"}


def keeper(scopes: list[Scope]) -> ASGIApp:
    """An application that keeps the scopes it is called with."""

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            raise NotImplementedError
        scopes.append(scope)
        await send(OK)
        await send(DONE)

    return app


@pytest.fixture
def scope_of(ask: Ask) -> Callable[..., Scope]:
    """The scope of one request: `scope_of(request, **settings)`; it must be answered with 200."""

    def scope_of(request: bytes = GET, **settings: Any) -> Scope:
        scopes: list[Scope] = []
        assert ask(keeper(scopes), request, **settings).status == 200
        (scope,) = scopes
        return scope

    return scope_of


ScopeOf = Callable[..., Scope]


def with_headers(*lines: bytes) -> bytes:
    return b"\r\n".join([b"GET / HTTP/1.1", b"host: a", *lines, b"", b""])


# --- its shape ---


def test_the_scope_is_a_dict_that_names_type_and_versions(scope_of: ScopeOf) -> None:  # ASGI 1
    scope = scope_of()
    assert type(scope) is dict
    assert scope["type"] == "http"
    assert scope["asgi"] == {"version": "3.0", "spec_version": "2.5"}


FILES = {"http.response.pathsend", "http.response.zerocopysend"}
HINTS = {"http.response.early_hint"} | FILES
TRAILERS = {"http.response.trailers"} | HINTS


@pytest.mark.parametrize(
    ("request_", "extensions"),
    [
        (GET, HINTS),
        (with_headers(b"te: trailers"), TRAILERS),
        (with_headers(b"te: gzip, Trailers"), TRAILERS),
        (with_headers(b"te: gzip"), HINTS),
        (b"GET / HTTP/1.0\r\nte: trailers\r\n\r\n", FILES),
    ],
)
def test_extensions_are_those_of_this_very_request(  # ASGI 9
    scope_of: ScopeOf, request_: bytes, extensions: set[str]
) -> None:
    assert set(scope_of(request_)["extensions"]) == extensions


def test_each_request_has_a_scope_that_shares_nothing_with_another() -> None:  # ASGI 11
    seen: list[Any] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            raise NotImplementedError
        seen.append((sorted(scope), dict(scope["asgi"]), dict(scope["extensions"]), list(scope["headers"])))
        scope["mine"] = scope["asgi"]["mine"] = scope["extensions"]["mine"] = True
        scope["headers"].append((b"mine", b"1"))
        await send(OK)
        await send(DONE)

    with serve(app) as served, Raw(served.host, served.port) as raw:
        raw.ask(GET)
        raw.ask(GET)
        raw.send(GET + GET)
        raw.response()
        raw.response()
    assert seen == [seen[0]] * 4


def test_responses_of_pipelined_requests_come_in_their_order() -> None:  # ASGI 11
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            raise NotImplementedError
        await send(OK)
        await send(DONE | {"body": scope["raw_path"]})

    with serve(app) as served, Raw(served.host, served.port) as raw:
        paths = [b"/%d" % number for number in range(20)]
        raw.send(b"".join(GET.replace(b"/", path, 1) for path in paths))
        assert [raw.response().body for _ in paths] == paths


# --- the request line ---


@pytest.mark.parametrize("version", ["1.0", "1.1"])
def test_the_version_is_the_one_of_the_request(scope_of: ScopeOf, version: str) -> None:  # ASGI 12
    assert scope_of(GET.replace(b"1.1", version.encode()))["http_version"] == version


@pytest.mark.parametrize("method", ["GET", "POST", "PATCH", "PROPFIND", "M-SEARCH", "get", "Purge"])
def test_the_method_is_upper_case(scope_of: ScopeOf, method: str) -> None:  # ASGI 13
    assert scope_of(GET.replace(b"GET", method.encode()))["method"] == method.upper()


def test_the_scheme_is_http_without_tls(scope_of: ScopeOf) -> None:  # ASGI 14
    assert scope_of(GET.replace(b"/ ", b"https://a/ "))["scheme"] == "http"


@pytest.mark.parametrize(("said", "scheme"), [(b"https", "https"), (b"wss", "https"), (b"gopher", "http")])
def test_the_scheme_behind_a_trusted_proxy_is_http_or_https(  # ASGI 14
    scope_of: ScopeOf, said: bytes, scheme: str
) -> None:
    assert scope_of(with_headers(b"x-forwarded-proto: " + said))["scheme"] == scheme


@pytest.mark.parametrize(
    ("target", "path"),
    [
        ("/", "/"),
        ("/a/b", "/a/b"),
        ("/a%20b", "/a b"),
        ("/a%2Fb%3Fc", "/a/b?c"),
        ("/%E2%82%AC", "/€"),
        ("/%e2%82%ac", "/€"),
        ("/%F0%9F%90%8D", "/\N{SNAKE}"),
        ("/%FF", "/\ufffd"),
        ("/a%E2%82", "/a\ufffd"),
        ("/%C0%AF", "/\ufffd\ufffd"),  # an overlong slash is none
        ("/%00", "/\0"),
        ("/%zz%4", "/%zz%4"),
        ("/a+b", "/a+b"),
        ("//a", "//a"),
        ("/a/../b", "/a/../b"),
        ("/a%25b", "/a%b"),
        ("/?%E2%82%AC", "/"),
    ],
)
def test_the_path_is_decoded_twice(scope_of: ScopeOf, target: str, path: str) -> None:  # ASGI 15
    assert scope_of(GET.replace(b"/", target.encode(), 1))["path"] == path


@pytest.mark.parametrize(
    ("target", "raw_path", "query"),
    [
        (b"/", b"/", b""),
        (b"/a%2fb", b"/a%2fb", b""),
        (b"/%ff/%E2", b"/%ff/%E2", b""),
        (b"/?a=%20b&c=+d", b"/", b"a=%20b&c=+d"),
        (b"/a?", b"/a", b""),
        (b"/a?b?c", b"/a", b"b?c"),
        (b"/?%ff", b"/", b"%ff"),
    ],
)
def test_raw_path_and_query_are_the_bytes_as_received(  # ASGI 16, 17
    scope_of: ScopeOf, target: bytes, raw_path: bytes, query: bytes
) -> None:
    scope = scope_of(GET.replace(b"/", target, 1))
    assert (scope["raw_path"], scope["query_string"]) == (raw_path, query)


def test_a_root_path_stands_before_the_path(scope_of: ScopeOf) -> None:  # ASGI 15, 16
    scope = scope_of(GET.replace(b"/", b"/a%20b", 1), root_path="/api")
    assert scope["root_path"] == "/api"
    assert scope["path"] == "/api/a b"
    assert scope["raw_path"] == b"/api/a%20b"


def test_without_a_proxy_the_root_path_is_empty(scope_of: ScopeOf) -> None:
    assert scope_of()["root_path"] == ""


def test_the_target_of_a_whole_server_is_an_asterisk(scope_of: ScopeOf) -> None:  # ASGI 15, 16
    scope = scope_of(b"OPTIONS * HTTP/1.1\r\nhost: a\r\n\r\n")
    assert (scope["path"], scope["raw_path"]) == ("*", b"*")


# --- headers ---


def test_headers_are_lower_case_in_order_with_duplicates(scope_of: ScopeOf) -> None:  # ASGI 18
    scope = scope_of(with_headers(b"X-B: 2", b"COOKIE: a=1", b"x-a: 1", b"cookie: b=2", b"x-b: 3"))
    assert scope["headers"] == [
        (b"host", b"a"),
        (b"x-b", b"2"),
        (b"cookie", b"a=1"),
        (b"x-a", b"1"),
        (b"cookie", b"b=2"),
        (b"x-b", b"3"),
    ]


@pytest.mark.parametrize(
    ("line", "value"),
    [
        (b"x:", b""),
        (b"x: ", b""),
        (b"x:1", b"1"),
        (b"x: \t 1 \t ", b"1"),
        (b"x: 1  2", b"1  2"),
        (b"x: caf\xe9", b"caf\xe9"),
        (b"x: \xe2\x82\xac", b"\xe2\x82\xac"),
    ],
)
def test_header_values_are_bytes_without_white_space_around(  # ASGI 18
    scope_of: ScopeOf, line: bytes, value: bytes
) -> None:
    assert scope_of(with_headers(line))["headers"][1] == (b"x", value)


def test_a_name_with_an_underscore_passes_through(scope_of: ScopeOf) -> None:  # ASGI 18
    assert scope_of(with_headers(b"x-a: 1", b"x_a: 2"))["headers"][1:] == [(b"x-a", b"1"), (b"x_a", b"2")]


def test_a_pseudo_header_never_reaches_the_application(ask: Ask) -> None:  # ASGI 19
    scopes: list[Scope] = []
    assert ask(keeper(scopes), with_headers(b":authority: b")).status == 400
    assert scopes == []


def test_the_authority_of_the_target_replaces_the_host(scope_of: ScopeOf) -> None:  # ASGI 19
    scope = scope_of(b"GET http://b:81/c?d HTTP/1.1\r\naccept: */*\r\nhost: a\r\n\r\n")
    assert scope["headers"] == [(b"accept", b"*/*"), (b"host", b"b:81")]
    assert (scope["path"], scope["raw_path"], scope["query_string"]) == ("/c", b"/c", b"d")


def test_the_authority_of_the_target_becomes_the_first_header(scope_of: ScopeOf) -> None:  # ASGI 19
    scope = scope_of(b"GET http://b/c HTTP/1.0\r\naccept: */*\r\n\r\n")
    assert scope["headers"] == [(b"host", b"b"), (b"accept", b"*/*")]


# --- the two ends of the connection ---


def test_client_and_server_are_host_and_port() -> None:  # ASGI 20
    scopes: list[Scope] = []
    with serve(keeper(scopes)) as served, Raw(served.host, served.port) as raw:
        raw.ask(GET)
        own = raw.socket.getsockname()
    assert scopes[0]["client"] == own
    assert scopes[0]["server"] == (served.host, served.port)
    assert [type(part) for part in (*scopes[0]["client"], *scopes[0]["server"])] == [str, int, str, int]


def test_an_ipv6_address_has_two_parts_as_well() -> None:  # ASGI 20
    scopes: list[Scope] = []
    try:
        socket.create_server(("::1", 0), family=socket.AF_INET6).close()
    except OSError:
        pytest.skip("this machine has no IPv6")
    with serve(keeper(scopes), host="::1") as served, Raw(served.host, served.port) as raw:
        raw.ask(GET)
        own = raw.socket.getsockname()[:2]
    assert scopes[0]["client"] == own
    assert scopes[0]["server"] == ("::1", served.port)


@pytest.mark.skipif(not hasattr(socket, "AF_UNIX"), reason="this system has no Unix sockets")
def test_a_client_on_a_unix_socket_is_none_and_the_server_a_path(tmp_path: Path) -> None:  # ASGI 20
    scopes: list[Scope] = []
    path = str(tmp_path / "s")
    with (
        serve(keeper(scopes), uds=path),
        httpx.Client(transport=httpx.HTTPTransport(uds=path)) as client,
    ):
        assert client.get("http://a/").text == "ok"
    assert scopes[0]["client"] is None
    assert scopes[0]["server"] == (path, None)


# --- state ---


def test_state_is_a_shallow_copy_for_each_request() -> None:  # ASGI 21
    states: list[dict[str, Any]] = []
    shared: list[int] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await receive()
            scope["state"].update(number=1, shared=shared)
            await send({"type": "lifespan.startup.complete"})
            await receive()
            await send({"type": "lifespan.shutdown.complete"})
            return
        states.append(dict(scope["state"]))
        scope["state"]["number"] = 2
        scope["state"]["mine"] = True
        scope["state"]["shared"].append(1)
        await send(OK)
        await send(DONE)

    with serve(app) as served, Raw(served.host, served.port) as raw:
        raw.ask(GET)
        raw.send(GET + GET)
        raw.response()
        raw.response()
    assert states == [{"number": 1, "shared": shared}] * 3
    assert shared == [1, 1, 1]
    assert states[0]["shared"] is shared


def test_without_a_lifespan_there_is_no_state(scope_of: ScopeOf) -> None:  # ASGI 21
    assert "state" not in scope_of(lifespan="off")
