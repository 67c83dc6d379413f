"""What a request's header list may be (RFC 9113 §8.2, §8.3), and the head that becomes of it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from portway.wire.events import Head
from portway.wire.faults import ProtocolFault
from portway.wire.http2 import head
from portway.wire.http2.faults import StreamFault
from portway.wire.port import Limits

Pair = tuple[bytes, bytes]
Start = Callable[..., Any]

METHOD = (b":method", b"GET")
SCHEME = (b":scheme", b"https")
AUTHORITY = (b":authority", b"a.example")
PATH = (b":path", b"/")
GET = [METHOD, SCHEME, AUTHORITY, PATH]
WEBSOCKET = [(b":method", b"CONNECT"), (b":protocol", b"websocket"), *GET[1:]]


def read(pairs: list[Pair], *, end: bool = True, connects: bool = True, **limits: int) -> Head:
    made = Head(1)
    head.read(made, pairs, end, Limits(**limits), connects)
    return made


def verdict(pairs: list[Pair], **rest: Any) -> int:
    """0 for a head, 1 for a stream's fault, or the status of the answer."""
    try:
        read(pairs, **rest)
    except StreamFault as fault:
        return fault.code
    except ProtocolFault as fault:
        return fault.status
    return 0


def but(pair: Pair) -> list[Pair]:
    """GET, with one of the pseudo-headers in this way."""
    return [pair if one[0] == pair[0] else one for one in GET]


def test_a_head() -> None:
    made = read([*GET[:3], (b":path", b"/a%20b?c=d?e"), (b"x-a", b"b"), (b"x-a", b"c"), (b"te", b"trailers")])
    assert (made.method, made.path, made.query, made.version) == ("GET", b"/a%20b", b"c=d?e", "2")
    assert made.headers == [(b"host", b"a.example"), (b"x-a", b"b"), (b"x-a", b"c"), (b"te", b"trailers")]
    assert (made.length, made.end, made.expect, made.upgrade, made.close) == (0, True, False, None, False)
    assert made.te_trailers
    assert not made.forwarded


def test_a_head_with_content_to_come() -> None:
    assert read(GET, end=False).length == -1
    made = read([*GET, (b"content-length", b"12")], end=False)
    assert (made.length, made.end) == (12, False)


# --- pseudo-headers ---


@pytest.mark.parametrize("order", [[0, 1, 2, 3], [3, 2, 1, 0], [2, 0, 3, 1]])
def test_pseudo_headers_may_come_in_any_order(order: list[int]) -> None:
    assert read([GET[place] for place in order]).headers == [(b"host", b"a.example")]


@pytest.mark.parametrize("place", [0, 1, 3])
def test_pseudo_headers_that_must_be_there(place: int) -> None:
    assert verdict(GET[:place] + GET[place + 1 :]) == 1


@pytest.mark.parametrize("pair", [*GET, (b":protocol", b"websocket")])
def test_pseudo_headers_come_once(pair: Pair) -> None:
    pairs = WEBSOCKET if pair[0] == b":protocol" else GET
    assert verdict([*pairs, pair], end=False) == 1


@pytest.mark.parametrize("name", [b":status", b":foo", b":", b":Method", b":method ", b"::method", b":host"])
def test_unknown_pseudo_headers_are_malformed(name: bytes) -> None:
    assert verdict([(name, b"200"), *GET]) == 1


@pytest.mark.parametrize("place", range(4))
def test_pseudo_headers_come_before_all_others(place: int) -> None:
    pairs = GET[:place] + GET[place + 1 :] + [(b"x-a", b"b"), GET[place]]
    assert verdict(pairs) == 1
    pairs = [*GET[:3], (b"cookie", b"a"), PATH]
    assert verdict(pairs) == 1


@pytest.mark.parametrize(("method", "expected"), [
    (b"GET", "GET"), (b"get", "GET"), (b"OPTIONS", "OPTIONS"), (b"PURGE", "PURGE"),
    (b"x!#$%&'*+-.^_`|~9", "X!#$%&'*+-.^_`|~9"),
])  # fmt: skip
def test_methods(method: bytes, expected: str) -> None:
    assert read(but((b":method", method))).method == expected


@pytest.mark.parametrize("method", [b"", b"G T", b"GET ", b"\xc3\xa9", b"G\0", b"GET\r\n", b"(", b'"', b":", b"/"])
def test_methods_are_tokens(method: bytes) -> None:
    assert verdict(but((b":method", method))) == 1


def test_a_method_that_is_too_long_is_not_implemented() -> None:
    assert verdict(but((b":method", b"A" * 1000))) == 501


@pytest.mark.parametrize("scheme", [b"http", b"https", b"HTTP", b"HtTpS"])
def test_schemes(scheme: bytes) -> None:
    assert verdict(but((b":scheme", scheme))) == 0


@pytest.mark.parametrize("scheme", [b"", b"ftp", b"ws", b"wss", b"http:", b"https ", b"h\0"])
def test_other_schemes_are_malformed(scheme: bytes) -> None:
    assert verdict(but((b":scheme", scheme))) == 1


@pytest.mark.parametrize(("path", "parts"), [
    (b"/", (b"/", b"")), (b"//", (b"//", b"")), (b"/?", (b"/", b"")), (b"/?a", (b"/", b"a")),
    (b"/a/../b;c=d", (b"/a/../b;c=d", b"")), (b"/%00", (b"/%00", b"")), (b"/?a?b=/", (b"/", b"a?b=/")),
])  # fmt: skip
def test_paths(path: bytes, parts: tuple[bytes, bytes]) -> None:
    made = read(but((b":path", path)))
    assert (made.path, made.query) == parts


@pytest.mark.parametrize("path", [
    b"", b"a", b"?a", b"*", b"http://a.example/", b"/ a", b"/a b", b"/\0", b"/\x7f", b"/\t", b"/\r\n", b"/#a", b" /",
])  # fmt: skip
def test_paths_that_are_malformed(path: bytes) -> None:
    assert verdict(but((b":path", path))) == 1


def test_the_server_as_a_whole_has_options() -> None:
    assert read([(b":method", b"OPTIONS"), *GET[1:3], (b":path", b"*")]).path == b"*"
    assert verdict([(b":method", b"OPTIONS"), *GET[1:3], (b":path", b"**")]) == 1


def test_a_path_has_a_limit() -> None:
    assert verdict(but((b":path", b"/" * 20)), line=20) == 0
    assert verdict(but((b":path", b"/" * 21)), line=20) == 414


# --- the host ---


@pytest.mark.parametrize("host", [b"a", b"a.example:8000", b"127.0.0.1", b"[::1]", b"[::1]:80", b"A.Example"])
def test_the_authority_is_the_first_header(host: bytes) -> None:
    made = read([*but((b":authority", host)), (b"x-a", b"b")])
    assert made.headers == [(b"host", host), (b"x-a", b"b")]


def test_a_host_alone_is_as_good() -> None:
    made = read([METHOD, SCHEME, PATH, (b"x-a", b"b"), (b"host", b"a.example")])
    assert made.headers == [(b"x-a", b"b"), (b"host", b"a.example")]


def test_both_may_be_there_if_they_agree() -> None:
    assert read([*GET, (b"host", b"a.example")]).headers == [(b"host", b"a.example")]
    assert read([*GET, (b"host", b"A.Example")]).headers == [(b"host", b"A.Example")]
    for other in (b"b.example", b"a.example:80", b"", b"a.example."):
        assert verdict([*GET, (b"host", other)]) == 1


def test_a_host_comes_once() -> None:
    assert verdict([*GET, (b"host", b"a.example"), (b"host", b"a.example")]) == 1
    assert verdict([METHOD, SCHEME, PATH, (b"host", b"a"), (b"host", b"a")]) == 1


def test_without_a_host_there_is_no_request() -> None:
    assert verdict([METHOD, SCHEME, PATH]) == 400


@pytest.mark.parametrize("host", [b"user@a", b"a:b", b"a/b", b"a b", b"a\0", b"[::1", b"", b"\xc3\xa9", b"a:80:80"])
def test_an_authority_is_a_host_with_a_port(host: bytes) -> None:
    assert verdict(but((b":authority", host))) == 1
    assert verdict([METHOD, SCHEME, PATH, (b"host", host)]) == 1


# --- headers ---


@pytest.mark.parametrize("name", [
    b"", b"X-A", b"x-A", b"x a", b"x:a", b"x\0", b"x\xff", b"x(", b" x", b"x ", b"x\r", b"x\n", b"x/", b"{x}", b"\x7f",
])  # fmt: skip
def test_names_are_tokens_in_lower_case(name: bytes) -> None:
    assert verdict([*GET, (name, b"a")]) == 1
    assert verdict([*GET, (name, b"a")]) == 1  # it is not remembered as a good one


@pytest.mark.parametrize("name", [b"connection", b"keep-alive", b"proxy-connection", b"transfer-encoding", b"upgrade"])
def test_connection_specific_headers_are_malformed(name: bytes) -> None:
    assert verdict([*GET, (name, b"a")]) == 1
    assert verdict([*GET, (name, b"")], end=False) == 1


@pytest.mark.parametrize("value", [
    b" a", b"a ", b"\ta", b"a\t", b" ", b"\t", b"a\0b", b"a\rb", b"a\nb", b"\n", b"a\r\nx: y", b"\x01", b"\x7f",
    b"\x1f",
])  # fmt: skip
def test_values_have_no_control_characters_and_no_space_around(value: bytes) -> None:
    assert verdict([*GET, (b"x-a", value)]) == 1
    assert verdict([*GET, (b"cookie", value)]) == 1


@pytest.mark.parametrize("value", [b"", b"a", b"a b", b"a\tb", b"\x80\xff", "é".encode(), b"a" * 10_000])
def test_values_may_be_anything_else(value: bytes) -> None:
    assert read([*GET, (b"x-a", value)]).headers[-1] == (b"x-a", value)


def test_more_names_than_are_remembered_are_checked_all_the_same() -> None:
    for number in range(3000):
        assert verdict([*GET, (b"x-%d" % number, b"")]) == 0
    assert verdict([*GET, (b"X-1", b"")]) == 1
    assert verdict([*GET, (b"connection", b"")]) == 1


def test_te_says_trailers_or_nothing() -> None:
    assert read([*GET, (b"te", b"Trailers")]).te_trailers
    assert not read(GET).te_trailers
    for value in (b"gzip", b"trailers, gzip", b"trailers;q=1", b""):
        assert verdict([*GET, (b"te", value)]) == 1


def test_expectations() -> None:
    assert read([*GET, (b"expect", b"100-Continue")], end=False).expect
    assert not read([*GET, (b"expect", b"100-continue")]).expect
    assert not read(GET, end=False).expect
    assert verdict([*GET, (b"expect", b"200-ok")], end=False) == 417


def test_what_proxies_say_is_marked() -> None:
    assert read([*GET, (b"x-forwarded-for", b"a")]).forwarded
    assert read([*GET, (b"forwarded", b"a")]).forwarded
    assert not read([*GET, (b"x-forwarded", b"a")]).forwarded


@pytest.mark.parametrize(("crumbs", "cookie"), [
    ([b"a=b"], b"a=b"), ([b"a=b", b"c=d"], b"a=b; c=d"), ([b"", b""], b"; "), ([b"a", b"b", b"c"], b"a; b; c"),
])  # fmt: skip
def test_cookies_are_one_header(crumbs: list[bytes], cookie: bytes) -> None:
    """§8.2.3"""
    pairs = [(b"cookie", crumb) for crumb in crumbs]
    assert read([*GET, (b"x-a", b"b"), *pairs]).headers == [
        (b"host", b"a.example"),
        (b"x-a", b"b"),
        (b"cookie", cookie),
    ]
    apart = [(b"x-a", b"b"), *(pair for crumb in pairs for pair in (crumb, (b"x-c", b"d")))]
    assert read([*GET, *apart]).headers == [
        (b"host", b"a.example"), (b"x-a", b"b"), (b"cookie", cookie), *[(b"x-c", b"d")] * len(crumbs),
    ]  # fmt: skip


def test_cookies_do_not_change_the_pairs_that_were_given() -> None:
    """They may be entries of a table."""
    pairs = [*GET, (b"cookie", b"a"), (b"cookie", b"b")]
    before = list(pairs)
    read(pairs)
    assert pairs == before


def test_headers_are_counted() -> None:
    more = [(b"x-a", b"b")] * 9  # and the host
    assert verdict([*GET, *more], fields=10) == 0
    assert verdict([*GET, *more, (b"x-a", b"b")], fields=10) == 431
    assert verdict([*GET, *[(b"cookie", b"a")] * 100], fields=10) == 0


# --- content-length ---


@pytest.mark.parametrize("value", [b"", b"-1", b"+1", b"1 ", b"0x1", b"1,1", b"a", b"1" * 30, b"\xb2"])
def test_a_content_length_is_a_number(value: bytes) -> None:
    assert verdict([*GET, (b"content-length", value)], end=False) == 1


def test_a_content_length_comes_once() -> None:
    assert verdict([*GET, (b"content-length", b"1"), (b"content-length", b"1")], end=False) == 1


def test_a_content_length_needs_content() -> None:
    assert verdict([*GET, (b"content-length", b"1")]) == 1
    assert verdict([*GET, (b"content-length", b"0")]) == 0
    assert read([*GET, (b"content-length", b"0")], end=False).length == 0


def test_a_content_length_over_the_limit_is_answered() -> None:
    assert verdict([*GET, (b"content-length", b"11")], end=False, body=10) == 413
    assert verdict([*GET, (b"content-length", b"10")], end=False, body=10) == 0
    assert verdict([*GET, (b"content-length", b"11")], end=False) == 0


# --- CONNECT ---


def test_connect_is_for_proxies() -> None:
    assert verdict([(b":method", b"CONNECT"), AUTHORITY], end=False) == 501


@pytest.mark.parametrize("more", [[SCHEME], [PATH], [SCHEME, PATH]])
def test_connect_has_no_scheme_and_no_path(more: list[Pair]) -> None:
    assert verdict([(b":method", b"CONNECT"), AUTHORITY, *more], end=False) == 1


def test_connect_has_an_authority() -> None:
    assert verdict([(b":method", b"CONNECT"), (b"host", b"a")], end=False) == 1


def test_a_websocket() -> None:
    made = read(WEBSOCKET, end=False)
    assert (made.method, made.upgrade, made.path, made.end) == ("CONNECT", b"websocket", b"/", False)
    assert read([(name, value.replace(b"websocket", b"WebSocket")) for name, value in WEBSOCKET], end=False).upgrade


@pytest.mark.parametrize("missing", [b":scheme", b":authority", b":path", b":method"])
def test_a_websocket_has_all_pseudo_headers(missing: bytes) -> None:
    """RFC 8441 §4"""
    assert verdict([pair for pair in WEBSOCKET if pair[0] != missing], end=False) == 1


def test_a_websocket_is_refused_where_there_are_none() -> None:
    assert verdict(WEBSOCKET, end=False, connects=False) == 1


def test_other_protocols_are_not_implemented() -> None:
    pairs = [(name, value.replace(b"websocket", b"connect-udp")) for name, value in WEBSOCKET]
    assert verdict(pairs, end=False) == 501


def test_only_connect_has_a_protocol() -> None:
    assert verdict([(b":protocol", b"websocket"), *GET], end=False) == 1


def test_a_websocket_does_not_end_where_it_begins() -> None:
    assert verdict(WEBSOCKET) == 1


# --- trailers ---


def test_trailers_are_headers() -> None:
    head.check_trailers([(b"x-a", b"b"), (b"grpc-status", b"0")])
    for pair in [
        (b":status", b"200"),
        (b":path", b"/"),
        (b"X-A", b"b"),
        (b"x-a", b" b"),
        (b"", b""),
        (b"upgrade", b"a"),
    ]:
        with pytest.raises(StreamFault):
            head.check_trailers([(b"x-a", b"b"), pair])


# --- anything ---

NAMES = st.sampled_from([
    b":method", b":scheme", b":authority", b":path", b":protocol", b":status", b"host", b"cookie", b"content-length",
    b"te", b"expect", b"connection", b"x-a", b"X-A", b"priority", b"x-forwarded-for",
]) | st.binary(max_size=4)  # fmt: skip
VALUES = st.sampled_from([
    b"GET", b"CONNECT", b"OPTIONS", b"https", b"a.example", b"/", b"*", b"/?", b"websocket", b"trailers", b"1", b"0",
    b"100-continue", b"u=1",
]) | st.binary(max_size=4)  # fmt: skip
PAIRS = st.lists(st.tuples(NAMES, VALUES), max_size=8)


@given(before=st.sampled_from([[], GET, GET[:3], WEBSOCKET]), pairs=PAIRS, end=st.booleans())
def test_any_list_becomes_a_head_or_a_fault(before: list[Pair], pairs: list[Pair], end: bool) -> None:
    made = Head(1)
    try:
        head.read(made, [*before, *pairs], end, Limits(), True)
    except ProtocolFault:
        return
    assert made.end is end
    assert made.method
    assert made.path[:1] in (b"/", b"*")
    hosts = [value for name, value in made.headers if name == b"host"]
    assert len(hosts) == 1
    for name, value in made.headers:
        assert name == name.lower()
        assert not name.startswith(b":")
        assert name not in (b"connection", b"transfer-encoding", b"upgrade")
        assert value == value.strip(b" \t")
        assert not set(value) & {0, 10, 13}
    assert sum(name == b"cookie" for name, _ in made.headers) <= 1
    # Nothing but a second cookie is lost.
    theirs = [pair for pair in [*before, *pairs] if pair[0][:1] != b":" and pair[0] != b"cookie"]
    ours = [pair for pair in made.headers if pair[0] != b"cookie"]
    assert ours == theirs or ours[1:] == theirs
