"""What a trusted proxy says of the client, and what nobody else can say."""

import json
from ipaddress import ip_network
from typing import Any

import pytest

from portway.asgi.forwarded import Trust, apply, parse_element, parse_node
from portway.testing import Raw, serve
from portway.types import Receive, Scope, Send

Pairs = list[tuple[bytes, bytes]]

PEER = ("10.0.0.1", 50000)
NEAR = Trust(networks=[ip_network("10.0.0.0/8")])


def told(*pairs: tuple[str, str], trust: Trust = NEAR, root_path: str = "") -> dict[str, Any]:
    """The scope after a believed peer sent these headers; names without `x-forwarded-` before them."""
    prefixed = [("forwarded" if name == "forwarded" else f"x-forwarded-{name}", value) for name, value in pairs]
    headers: Pairs = [(b"host", b"inner:8000"), (b"accept", b"*/*")]
    headers += [(name.encode(), value.encode("latin-1")) for name, value in prefixed]
    scope: dict[str, Any] = {
        "type": "http",
        "client": PEER,
        "scheme": "http",
        "path": f"{root_path}/a",
        "raw_path": f"{root_path}/a".encode(),
        "root_path": root_path,
        "headers": headers,
    }
    apply(scope, trust)
    return scope


def host_of(scope: dict[str, Any]) -> str:
    (host,) = (value for name, value in scope["headers"] if name == b"host")
    return str(host.decode("latin-1"))


# --- who is believed ---


@pytest.mark.parametrize(
    ("trust", "host", "believed"),
    [
        (Trust(), "10.0.0.1", False),
        (Trust(), None, False),
        (Trust(everybody=True), "203.0.113.9", True),
        (Trust(everybody=True), None, True),
        (Trust(unix=True), None, True),
        (Trust(unix=True), "127.0.0.1", False),
        (NEAR, "10.255.0.1", True),
        (NEAR, "11.0.0.1", False),
        (NEAR, None, False),
        (NEAR, "::ffff:10.0.0.1", True),  # the same, on a socket of both families
        (NEAR, "fe80::1%eth0", False),
        (NEAR, "rubbish", False),
        (Trust(networks=[ip_network("fe80::/10")]), "fe80::1%eth0", True),
        (Trust(networks=[ip_network("2001:db8::1")]), "2001:db8:0::1", True),
    ],
)
def test_peers_are_believed_by_address_network_and_kind(trust: Trust, host: str | None, believed: bool) -> None:
    assert trust.believes(host) is believed


# --- X-Forwarded-For ---


@pytest.mark.parametrize(
    ("text", "client"),
    [
        ("203.0.113.9", ("203.0.113.9", 0)),
        ("203.0.113.9:1234", ("203.0.113.9", 1234)),
        ("2001:db8::1", ("2001:db8::1", 0)),
        ("[2001:db8::1]:1234", ("2001:db8::1", 1234)),
        ("2001:DB8:0:0::1", ("2001:db8::1", 0)),
        # What stands left of the first stranger is what that stranger says.
        ("1.1.1.1, 203.0.113.9", ("203.0.113.9", 0)),
        ("1.1.1.1, 203.0.113.9, 10.0.0.7", ("203.0.113.9", 0)),
        ("1.1.1.1,203.0.113.9,10.0.0.7 , 10.0.0.8", ("203.0.113.9", 0)),
        ("10.0.0.9, 10.0.0.8", ("10.0.0.9", 0)),  # a client within our own network
        # What cannot be read ends the reading.
        ("203.0.113.9, unknown", PEER),
        ("203.0.113.9, rubbish, 10.0.0.8", ("10.0.0.8", 0)),
        ("", PEER),
        (",", PEER),
    ],
)
def test_the_client_is_the_first_stranger_from_the_right(text: str, client: tuple[str, int]) -> None:
    assert told(("for", text))["client"] == client


def test_several_headers_are_one_list() -> None:
    assert told(("for", "1.1.1.1"), ("for", "203.0.113.9, 10.0.0.7"))["client"] == ("203.0.113.9", 0)


def test_if_everybody_is_believed_the_client_is_the_leftmost() -> None:
    scope = told(("for", "1.1.1.1, 203.0.113.9"), trust=Trust(everybody=True))
    assert scope["client"] == ("1.1.1.1", 0)


def test_a_chain_that_no_proxies_make_is_not_read_to_its_end() -> None:
    scope = told(("for", ", ".join(["1.1.1.1", *["10.0.0.1"] * 10_000])))
    assert scope["client"] == ("10.0.0.1", 0)


def test_what_is_remembered_of_addresses_is_bounded() -> None:
    trust = Trust(everybody=True)
    for number in range(5000):
        told(("for", f"10.{number // 256}.{number % 256}.1"), trust=trust)
    told(("for", "1" * 60_000), trust=trust)
    assert len(trust._nodes) <= 1024
    assert max(map(len, trust._nodes)) <= 64


@pytest.mark.parametrize(
    "text",
    [
        "fe80::1%eth0",
        "fe80::1%\x9b31m",
        "1.2.3.4:junk",
        "1.2.3.4:70000",
        "1.2.3.4:",
        "1.2.3",
        "1.2.3.4.5",
        "[::1",
        "::1]",
        "[::1]junk",
        "[1.2.3.4]x",
        "\u0661.\u0662.\u0663.\u0664",
        "_hidden",
        "unknown",
        "",
        " ",
    ],
)
def test_what_is_no_address_is_no_node(text: str) -> None:
    assert parse_node(text) is None


def test_an_obfuscated_port_is_an_unknown_one() -> None:  # RFC 7239 §6.3
    assert parse_node("1.2.3.4:_x7.y") == ("1.2.3.4", 0)


# --- the other X-Forwarded headers ---


@pytest.mark.parametrize(
    ("text", "scheme"),
    [
        ("https", "https"),
        ("HTTPS", "https"),
        ("http", "http"),
        ("wss", "https"),
        ("ftp", "http"),
        ("", "http"),
        ("http, https", "https"),  # the last is our own proxy's
    ],
)
def test_the_scheme_is_that_of_the_clients_connection(text: str, scheme: str) -> None:
    assert told(("proto", text))["scheme"] == scheme


def test_the_scheme_is_told_by_the_proxy_that_saw_the_client() -> None:
    scope = told(("for", "9.9.9.9, 203.0.113.9, 10.0.0.7"), ("proto", "http, https, http"))
    assert (scope["client"], scope["scheme"]) == (("203.0.113.9", 0), "https")


@pytest.mark.parametrize(
    ("pairs", "host"),
    [
        ([("host", "example.com")], "example.com"),
        ([("host", "example.com:8443")], "example.com:8443"),
        ([("host", "[2001:db8::1]")], "[2001:db8::1]"),
        ([("host", "evil.com, example.com")], "example.com"),
        ([("host", "example.com"), ("port", "8080")], "example.com:8080"),
        ([("host", "[2001:db8::1]"), ("port", "8080")], "[2001:db8::1]:8080"),
        ([("host", "example.com:81"), ("port", "8080")], "example.com:81"),
        ([("host", "example.com"), ("port", "80")], "example.com"),
        ([("host", "example.com"), ("port", "443"), ("proto", "https")], "example.com"),
        ([("host", "example.com"), ("port", "443")], "example.com:443"),
        ([("port", "8080")], "inner:8000"),
        ([("host", "exa mple.com")], "inner:8000"),
        ([("host", "example.com/x")], "inner:8000"),
        ([("host", "")], "inner:8000"),
        ([("host", "example.com"), ("port", "99999")], "example.com"),
        ([("host", "example.com"), ("port", "0")], "example.com"),
        ([("host", "example.com"), ("port", "8o")], "example.com"),
        ([("host", "example.com"), ("port", "²")], "example.com"),
    ],
)
def test_the_host_is_the_one_that_the_client_called(pairs: list[tuple[str, str]], host: str) -> None:
    scope = told(*pairs)
    assert host_of(scope) == host
    assert (b"accept", b"*/*") in scope["headers"]


def test_a_port_alone_completes_a_host_without_one() -> None:
    scope: dict[str, Any] = {"scheme": "http", "headers": [(b"x-forwarded-port", b"81"), (b"host", b"a.b")]}
    apply(scope, NEAR)
    assert scope["headers"] == [(b"host", b"a.b:81"), (b"x-forwarded-port", b"81")]


@pytest.mark.parametrize(
    ("text", "root_path"),
    [
        ("/app", "/app"),
        ("/app/", "/app"),
        ("/a/b~c", "/a/b~c"),
        ("/", ""),
        ("", ""),
        ("app", ""),
        ("/a b", ""),
        ("//evil.com", ""),
        ("/a%2fb", ""),
        ("https://evil.com", ""),
        ("/a?b", ""),
    ],
)
def test_a_prefix_that_a_proxy_took_off_is_put_back(text: str, root_path: str) -> None:
    scope = told(("prefix", text))
    assert scope["root_path"] == root_path
    assert scope["path"] == f"{root_path}/a"
    assert scope["raw_path"] == f"{root_path}/a".encode()


def test_a_prefix_stands_before_the_configured_root_path() -> None:
    scope = told(("prefix", "/outer"), root_path="/inner")
    assert (scope["root_path"], scope["path"]) == ("/outer/inner", "/outer/inner/a")


# --- Forwarded ---


@pytest.mark.parametrize(
    ("text", "client", "scheme", "host"),
    [
        ("for=203.0.113.9", ("203.0.113.9", 0), "http", "inner:8000"),
        ("For=203.0.113.9;Proto=HTTPS;Host=a.b", ("203.0.113.9", 0), "https", "a.b"),
        ('for="[2001:db8::1]:4711"', ("2001:db8::1", 4711), "http", "inner:8000"),
        ('for="203.0.113.9:_x"; proto="https"', ("203.0.113.9", 0), "https", "inner:8000"),
        (r'for="203.0.113.\9"', ("203.0.113.9", 0), "http", "inner:8000"),
        ("for=1.1.1.1;host=evil, for=203.0.113.9;host=a.b", ("203.0.113.9", 0), "http", "a.b"),
        ("for=203.0.113.9;proto=https;host=a.b, for=10.0.0.7", ("203.0.113.9", 0), "https", "a.b"),
        ("for=203.0.113.9;proto=https, for=10.0.0.7;proto=http", ("203.0.113.9", 0), "https", "inner:8000"),
        ("for=unknown;proto=https", PEER, "https", "inner:8000"),
        ("for=_hidden", PEER, "http", "inner:8000"),
        ("proto=https", PEER, "https", "inner:8000"),
        ('for=203.0.113.9;host="a,b"', ("203.0.113.9", 0), "http", "a,b"),
        # What is malformed is not guessed at.
        ("for=203.0.113.9;for=1.1.1.1", PEER, "http", "inner:8000"),
        ("for=203.0.113.9 proto=https", PEER, "http", "inner:8000"),
        ("203.0.113.9", PEER, "http", "inner:8000"),
        ('for="203.0.113.9', PEER, "http", "inner:8000"),
        ("", PEER, "http", "inner:8000"),
    ],
)
def test_forwarded_is_read_as_rfc_7239_has_it(text: str, client: tuple[str, int], scheme: str, host: str) -> None:
    scope = told(("forwarded", text))
    assert (scope["client"], scope["scheme"], host_of(scope)) == (client, scheme, host)


def test_a_quotation_that_a_client_left_open_swallows_no_other_line() -> None:
    scope = told(("forwarded", 'for="1.1.1.1'), ("forwarded", 'for="203.0.113.9"'))
    assert scope["client"] == ("203.0.113.9", 0)


def test_a_quotation_that_a_client_left_open_does_not_swallow_what_a_proxy_wrote_behind_it() -> None:
    scope = told(("forwarded", 'for="1.1.1.1, for="203.0.113.9", for="10.0.0.1, for=10.0.0.2'))
    assert scope["client"] == ("10.0.0.2", 0)
    scope = told(("forwarded", 'for="1.1.1.1\\", for=203.0.113.9'))
    assert scope["client"] == ("203.0.113.9", 0)


def test_quotations_that_are_never_closed_are_looked_at_once() -> None:
    """Looked at from each mark anew, this line would take minutes."""
    scope = told(("forwarded", '"' + '\\"' * 50_000 + ", for=203.0.113.9"))
    assert scope["client"] == ("203.0.113.9", 0)


def test_a_long_chain_of_elements_is_not_read_to_its_end() -> None:
    scope = told(("forwarded", ", ".join(["for=1.1.1.1", *["for=10.0.0.1"] * 10_000])))
    assert scope["client"] == ("10.0.0.1", 0)


def test_x_forwarded_excludes_forwarded() -> None:
    """Nearly every proxy writes the one, and passes the other through as the client sent it."""
    lie = ("forwarded", "for=127.0.0.1;host=evil;proto=https")
    for truth in (("for", "203.0.113.9"), ("proto", "http")):
        scope = told(lie, truth)
        assert scope["client"] == (("203.0.113.9", 0) if truth[0] == "for" else PEER)
        assert (scope["scheme"], host_of(scope)) == ("http", "inner:8000")


def test_other_headers_of_that_prefix_say_nothing() -> None:
    scope = told(("server", "x"), ("forwarded", "for=203.0.113.9"))
    assert scope["client"] == ("203.0.113.9", 0)


@pytest.mark.parametrize("text", ["a", "a=b;", "=b", "a=b;;c=d", "a=b c", 'a="b"c'])
def test_what_is_no_element_is_none(text: str) -> None:
    assert parse_element(text) in (None, {"a": "b"} if text == "a=b;" else None)


# --- on the wire ---


async def app(scope: Scope, receive: Receive, send: Send) -> None:
    if scope["type"] == "lifespan":
        raise NotImplementedError
    host = dict(scope["headers"])[b"host"].decode()
    body = json.dumps([scope["client"], scope["scheme"], host]).encode()
    await send({"type": "http.response.start", "status": 200})
    await send({"type": "http.response.body", "body": body})


ASK = b"GET / HTTP/1.1\r\nhost: inner\r\nx-forwarded-for: 203.0.113.9\r\nx-forwarded-proto: https\r\n\r\n"


@pytest.mark.parametrize(
    ("settings", "believed"),
    [
        ({}, True),  # by default, a proxy on this machine
        ({"forwarded_allow_ips": "127.0.0.0/8"}, True),
        ({"forwarded_allow_ips": "10.0.0.1, *"}, True),
        ({"forwarded_allow_ips": "10.0.0.1"}, False),
        ({"forwarded_allow_ips": "unix"}, False),
        ({"forwarded_allow_ips": ""}, False),
        ({"proxy_headers": False}, False),
    ],
)
def test_a_peer_is_believed_if_the_administrator_named_it(settings: dict[str, Any], believed: bool) -> None:
    with serve(app, **settings) as served, Raw(served.host, served.port) as raw:
        client, scheme, _ = json.loads(raw.ask(ASK).body)
        assert (client == ["203.0.113.9", 0]) is believed
        assert (scheme == "https") is believed


def test_one_request_of_a_connection_says_nothing_of_the_next() -> None:
    with serve(app) as served, Raw(served.host, served.port) as raw:
        raw.ask(ASK)
        client, scheme, host = json.loads(raw.ask(b"GET / HTTP/1.1\r\nhost: inner\r\n\r\n").body)
        assert (client[0], scheme, host) == ("127.0.0.1", "http", "inner")
