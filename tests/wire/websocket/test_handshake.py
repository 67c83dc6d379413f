"""The opening handshake: which requests are met, what is refused with which status, what is agreed on."""

import base64
import re
from collections.abc import Collection
from time import perf_counter

import pytest

from portway.wire.events import Head
from portway.wire.http1.head import Section, read_head
from portway.wire.port import Limits
from portway.wire.websocket.handshake import (
    Handshake,
    HandshakeFault,
    accept,
    asked_for,
    extensions,
    open_http1,
    protocols,
)

KEY = b"dGhlIHNhbXBsZSBub25jZQ=="


def request(
    *more: bytes,
    method: bytes = b"GET",
    connection: bytes | None = b"Upgrade",
    upgrade: bytes | None = b"websocket",
    version: bytes | None = b"13",
    key: bytes | None = KEY,
) -> Head:
    """A request for a WebSocket with further lines; a header that is None is left out."""
    headers = {
        b"Host": b"a",
        b"Connection": connection,
        b"Upgrade": upgrade,
        b"Sec-WebSocket-Version": version,
        b"Sec-WebSocket-Key": key,
    }
    lines = [name + b": " + value for name, value in headers.items() if value is not None]
    data = b"\r\n".join([method + b" /chat HTTP/1.1", *lines, *more, b"", b""])
    head = read_head(data, 0, 1, Limits(), Section())
    assert head is not None
    return head


def met(head: Head, origins: Collection[str] = (), deflates: bool = True) -> Handshake:
    return open_http1(head, origins, deflates)


def refused(head: Head, origins: Collection[str] = ()) -> tuple[int, str, dict[bytes, bytes]]:
    with pytest.raises(HandshakeFault) as caught:
        open_http1(head, origins, True)
    return caught.value.status, caught.value.text, dict(caught.value.headers)


# --- the request (RFC 6455 §4.2.1) ---


def test_the_sample_key_of_rfc_6455_is_accepted() -> None:  # §1.3
    assert accept(KEY) == b"s3pPLMBiTxaQ9kYGzzhZRbK+xOo="
    opened = met(request())
    assert opened.headers == [(b"sec-websocket-accept", b"s3pPLMBiTxaQ9kYGzzhZRbK+xOo=")]
    assert opened.subprotocols == []
    assert opened.deflate is None


@pytest.mark.parametrize("upgrade", [b"websocket", b"WebSocket", b"WEBSOCKET", b"h2c, websocket", b"websocket ,x"])
def test_a_websocket_is_asked_for_by_its_name_in_a_list(upgrade: bytes) -> None:
    assert asked_for(request(upgrade=upgrade))


@pytest.mark.parametrize("upgrade", [b"h2c", b"websockets", b"web socket", b"websocket/13", b"xwebsocket", b""])
def test_another_protocol_is_no_websocket(upgrade: bytes) -> None:
    assert not asked_for(request(upgrade=upgrade))


def test_without_the_connection_option_nothing_is_asked_for() -> None:
    assert not asked_for(request(connection=None))
    assert not asked_for(request(connection=b"keep-alive"))
    assert asked_for(request(connection=b"keep-alive, Upgrade"))
    assert not asked_for(request(upgrade=None))


@pytest.mark.parametrize("method", [b"POST", b"HEAD", b"PUT", b"OPTIONS"])
def test_another_method_is_not_allowed(method: bytes) -> None:
    assert refused(request(method=method)) == (405, "a WebSocket is opened by GET", {b"allow": b"GET"})


@pytest.mark.parametrize("line", [b"Content-Length: 5", b"Transfer-Encoding: chunked"])
def test_a_request_with_a_body_is_refused(line: bytes) -> None:
    assert refused(request(line)) == (400, "the request for a WebSocket has a body", {})


def test_a_body_of_no_bytes_is_none() -> None:
    assert met(request(b"Content-Length: 0"))


def test_a_request_without_a_version_is_refused() -> None:
    assert refused(request(version=None)) == (400, "the header Sec-WebSocket-Version is missing", {})


@pytest.mark.parametrize("version", [b"12", b"8", b"14", b"013", b"13, 8", b"8, 13", b"13,13", b"", b"x"])
def test_another_version_is_told_which_one_is_spoken(version: bytes) -> None:  # §4.4
    assert refused(request(version=version)) == (
        426,
        "only version 13 of the WebSocket protocol is spoken here",
        {b"sec-websocket-version": b"13", b"upgrade": b"websocket"},
    )


def test_two_versions_are_none() -> None:
    assert refused(request(b"Sec-WebSocket-Version: 13"))[0] == 426


@pytest.mark.parametrize(
    "key",
    [
        None, b"", b"a", b"dGhlIHNhbXBsZSBub25jZQ=", b"dGhlIHNhbXBsZSBub25jZQ", b"dGhlIHNhbXBsZSBub25jZQ===",
        b"dGhlIHNhbXBsZSBub25j", b"dGhlIHNhbXBsZSBub25jZTE=", b"dGhlIHNhbXBsZSBub25jZTEy", b"dGhl IHNhbXBsZSBub25jZQ==",
        b"dGhlIHNhbXBsZSBub25j*Q==", b"dGhlIHNhbXBsZSBub25jZQ==, x", b"\xe4GhlIHNhbXBsZSBub25jZQ==",
        b"_-hlIHNhbXBsZSBub25jZQ==", b"==dGhlIHNhbXBsZSBub25jZQ",
    ],
)  # fmt: skip
def test_a_key_is_16_bytes_in_base64(key: bytes | None) -> None:
    assert refused(request(key=key)) == (
        400,
        "there must be one Sec-WebSocket-Key, of 16 bytes in base64",
        {},
    )


def test_two_keys_are_refused() -> None:
    assert refused(request(b"Sec-WebSocket-Key: " + KEY))[0] == 400


def test_any_16_bytes_are_a_key() -> None:
    for data in (bytes(16), b"\xff" * 16, bytes(range(16))):
        key = base64.b64encode(data)
        assert met(request(key=key)).headers == [(b"sec-websocket-accept", accept(key))]


# --- origins (RFC 6455 §10.2) ---

ORIGINS = {"https://a.example", "http://b.example:8000"}


@pytest.mark.parametrize("origin", [b"https://a.example", b"HTTPS://A.Example", b"http://b.example:8000"])
def test_an_origin_that_is_named_is_let_in(origin: bytes) -> None:
    assert met(request(b"Origin: " + origin), ORIGINS)


@pytest.mark.parametrize(
    "origin",
    [
        b"http://a.example", b"https://a.example:443", b"https://a.example.evil", b"https://evil", b"null", b"",
        b"http://b.example", b"https://a.example/", b"https://a.example https://evil", b"https://\xe4.example",
    ],
)  # fmt: skip
def test_an_origin_that_is_not_named_is_not_let_in(origin: bytes) -> None:
    assert refused(request(b"Origin: " + origin), ORIGINS) == (403, "this origin is not let in", {})


def test_without_origins_all_are_let_in() -> None:
    assert met(request(b"Origin: https://evil"))


def test_what_is_no_browser_has_no_origin_and_is_let_in() -> None:
    assert met(request(), ORIGINS)


def test_of_two_origins_both_must_be_named() -> None:
    assert refused(request(b"Origin: https://a.example", b"Origin: https://evil"), ORIGINS)[0] == 403
    assert refused(request(b"Origin: https://evil", b"Origin: https://a.example"), ORIGINS)[0] == 403


def test_what_is_malformed_is_told_before_the_origin() -> None:
    assert refused(request(b"Origin: https://evil", key=None), ORIGINS)[0] == 400


# --- subprotocols (RFC 6455 §11.3.4) ---


@pytest.mark.parametrize(
    ("lines", "names"),
    [
        ([], []),
        ([b"chat"], ["chat"]),
        ([b"chat, superchat"], ["chat", "superchat"]),
        ([b"chat", b"superchat"], ["chat", "superchat"]),
        ([b"b,a", b"c\t , d", b"a"], ["b", "a", "c", "d", "a"]),
        ([b"", b",", b", a,,b ,"], ["a", "b"]),
        ([b"v1.a!#$%&'*+-^_`|~"], ["v1.a!#$%&'*+-^_`|~"]),
        ([b"Chat, chat"], ["Chat", "chat"]),
    ],
)
def test_subprotocols_are_told_in_the_clients_order(lines: list[bytes], names: list[str]) -> None:
    assert met(request(*(b"Sec-WebSocket-Protocol: " + line for line in lines))).subprotocols == names


@pytest.mark.parametrize("line", [b"a b", b"a;b", b'"a"', b"a, (b)", b"\xe4", b"a/b", b"a,b=c"])
def test_a_subprotocol_that_is_no_token_is_refused(line: bytes) -> None:
    assert refused(request(b"Sec-WebSocket-Protocol: a", b"Sec-WebSocket-Protocol: " + line)) == (
        400,
        "the header Sec-WebSocket-Protocol is not a list of tokens",
        {},
    )


# --- extensions (RFC 6455 §9.1, RFC 7692 §7.1) ---

NAME = "permessage-deflate"
ANSWER = NAME + "; server_max_window_bits=12"

# The parameters of an offer, and those of the answer beside our window if that is 12.
MET = {
    "": "server_max_window_bits=12",
    "; client_max_window_bits": "client_max_window_bits=12; server_max_window_bits=12",
    ";client_max_window_bits=8": "client_max_window_bits=8; server_max_window_bits=12",
    "; client_max_window_bits=10": "client_max_window_bits=10; server_max_window_bits=12",
    "; client_max_window_bits=15": "client_max_window_bits=12; server_max_window_bits=12",
    '; client_max_window_bits="10"': "client_max_window_bits=10; server_max_window_bits=12",
    "; server_max_window_bits=9": "server_max_window_bits=9",
    "; server_max_window_bits=15": "server_max_window_bits=12",
    " ;\tserver_max_window_bits = 10 ": "server_max_window_bits=10",
    '; server_max_window_bits="10"': "server_max_window_bits=10",
    "; server_no_context_takeover": "server_no_context_takeover; server_max_window_bits=12",
    "; client_no_context_takeover": "client_no_context_takeover; server_max_window_bits=12",
}

# What cannot be met is as if it had not been offered.
NOT_MET = [
    "; server_max_window_bits=8",  # zlib cannot deflate with it
    "; server_max_window_bits", "; server_max_window_bits=7", "; server_max_window_bits=16",
    "; server_max_window_bits=010", "; server_max_window_bits=09", "; server_max_window_bits=+9",
    "; server_max_window_bits=1_0", "; client_max_window_bits=7", "; client_max_window_bits=16",
    "; client_max_window_bits=08", "; client_max_window_bits=x", "; client_max_window_bits=150",
    "; client_no_context_takeover=1", "; server_no_context_takeover=true", "; unknown", "; unknown=1",
    "; Client_No_Context_Takeover", "; client_max_window_bits; client_max_window_bits",
    "; server_no_context_takeover; server_no_context_takeover",
    "; server_max_window_bits=9; server_max_window_bits=10", "; server_max_window_bits=9; unknown",
]  # fmt: skip

# P is the name.
LISTS = {
    "": None,
    "x-webkit-deflate-frame": None,
    "permessage-deflat": None,
    "Permessage-Deflate": ANSWER,
    "permessage-bzip2, P": ANSWER,
    'foo; bar=baz; a="b", P': ANSWER,
    ", ,P,,": ANSWER,
    "P; unknown, P": ANSWER,
    "P; server_max_window_bits=8, P; server_max_window_bits=11": NAME + "; server_max_window_bits=11",
    "P; server_max_window_bits=10, P": NAME + "; server_max_window_bits=10",
    "P, P; server_max_window_bits=10": ANSWER,
}


def answer_to(offers: str, *more: bytes) -> str | None:
    opened = met(request(b"Sec-WebSocket-Extensions: " + offers.encode(), *more))
    found = dict(opened.headers).get(b"sec-websocket-extensions")
    assert (opened.deflate is None) is (found is None)
    return None if found is None else found.decode()


@pytest.mark.parametrize(("parameters", "answer"), MET.items())
def test_an_offer_that_can_be_met_is_agreed_on(parameters: str, answer: str) -> None:
    assert answer_to(NAME + parameters) == f"{NAME}; {answer}"


@pytest.mark.parametrize("parameters", NOT_MET)
def test_an_offer_that_cannot_be_met_is_passed_over(parameters: str) -> None:
    assert answer_to(NAME + parameters) is None
    assert answer_to(f"{NAME}{parameters}, {NAME}") == ANSWER


@pytest.mark.parametrize(("offers", "answer"), LISTS.items())
def test_the_first_offer_that_can_be_met_is_taken(offers: str, answer: str | None) -> None:
    assert answer_to(re.sub(r"\bP\b", NAME, offers)) == answer


def test_all_parameters_may_be_agreed_on_at_once() -> None:
    line = b"permessage-deflate; client_no_context_takeover; server_max_window_bits=10; "
    line += b"client_max_window_bits=9; server_no_context_takeover"
    answer = dict(met(request(b"Sec-WebSocket-Extensions: " + line)).headers)[b"sec-websocket-extensions"]
    assert set(answer.split(b"; ")) == {
        b"permessage-deflate", b"client_no_context_takeover", b"server_no_context_takeover",
        b"client_max_window_bits=9", b"server_max_window_bits=10",
    }  # fmt: skip


def test_offers_in_several_headers_are_one_list() -> None:
    lines = [b"Sec-WebSocket-Extensions: permessage-deflate; unknown", b"Sec-WebSocket-Extensions: permessage-deflate"]
    assert dict(met(request(*lines)).headers)[b"sec-websocket-extensions"] == ANSWER.encode()


def test_without_compression_nothing_is_agreed_on() -> None:
    opened = met(request(b"Sec-WebSocket-Extensions: permessage-deflate"), deflates=False)
    assert opened.deflate is None
    assert [name for name, _ in opened.headers] == [b"sec-websocket-accept"]


@pytest.mark.parametrize(
    "line",
    [
        b"permessage-deflate; ", b"permessage-deflate;; a", b"; a", b"permessage-deflate; =1", b"a; b=", b'a; b=""',
        b'a; b="c', b'a; b="c d"', b'a; b="c"d', b"a b", b"a, b c", b"a; b c", b"a; b=c d", b"\xe4", b'"a"', b"a=b",
        b"a/b", b"permessage-deflate; a=(b)", b'a; b="c\\d"',
    ],
)  # fmt: skip
def test_extensions_that_are_malformed_are_refused(line: bytes) -> None:
    assert refused(request(b"Sec-WebSocket-Extensions: " + line)) == (
        400,
        "the header Sec-WebSocket-Extensions is malformed",
        {},
    )


def test_parameters_are_read_in_order_with_their_values() -> None:
    found = extensions([b'x; y, permessage-deflate; a; b=1 ;c = "2"', b"permessage-deflate"])
    assert found == [[("a", None), ("b", "1"), ("c", "2")], []]


def test_no_more_than_16_offers_are_looked_at() -> None:
    assert len(extensions([b"permessage-deflate, " * 40])) == 16
    many = b"permessage-deflate; unknown, " * 16 + b"permessage-deflate"
    assert met(request(b"Sec-WebSocket-Extensions: " + many)).deflate is None


@pytest.mark.parametrize(
    "line",
    [
        b"a" + b" " * 60_000 + b"," + b" " * 3 + b"b", b"," + b" " * 60_000 + b",a", b", " * 30_000 + b"a",
        b"a;b" * 20_000 + b"!", b'a;b="' + b"c" * 60_000, b"a;b =" + b" " * 60_000 + b"(", b"a" * 60_000 + b"(",
        b"a" + b" ;b" * 20_000 + b" (",
        b"," + b" " * 60_000 + b"(", b", " * 30_000 + b"(", b"a;b=" * 15_000, b"a," * 30_000,
    ],
    ids=lambda line: line[:6],
)  # fmt: skip
def test_a_long_header_takes_no_more_time_than_its_length(line: bytes) -> None:
    # A second is a thousand times what it takes; in the square of the length it would be ten.
    start = perf_counter()
    for read in (extensions, protocols):
        try:
            read([line])
        except HandshakeFault:
            pass
    assert perf_counter() - start < 1
