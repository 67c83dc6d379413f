"""What a request's headers say about its framing, and what an application may send."""

import gc
from collections.abc import Iterable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from portway.errors import MessageError
from portway.wire import fields, scan
from portway.wire.events import Head
from portway.wire.faults import ProtocolFault

Pair = tuple[bytes, bytes]

HOST = (b"host", b"a.example")
UNKNOWN = -1  # `events.UNKNOWN`, which is a C number where it is compiled
NO_LENGTH = -1


def judged(*headers: Pair, old: bool = False, host: bool = True) -> Head:
    head = Head(1)
    named = [(scan.name(name, 0, len(name)), value) for name, value in headers]
    head.headers = [(scan.name(b"host", 0, 4), b"a.example"), *named] if host else named
    fields.judge(head, old)
    return head


def refused(*headers: Pair, old: bool = False, host: bool = True) -> tuple[int, str]:
    with pytest.raises(ProtocolFault) as caught:
        judged(*headers, old=old, host=host)
    assert "\n" not in caught.value.text
    return caught.value.status, caught.value.text


# --- Host (RFC 9112 §3.2) ---


@pytest.mark.parametrize(
    "value",
    [
        b"", b"a", b"a.example", b"A.EXAMPLE:8000", b"a:", b"a:0", b"a:65535", b"127.0.0.1:80", b"[::1]",
        b"[2001:db8::1]:443", b"[::ffff:1.2.3.4]", b"[v1.a:b]", b"%61", b"a_b", b"a;b=c", b":80",
    ],
)  # fmt: skip
def test_a_host_of_the_grammar_is_accepted(value: bytes) -> None:
    for _ in range(2):  # the second time it is remembered
        assert judged((b"host", value), host=False).end


@pytest.mark.parametrize(
    "value",
    [
        b"a b", b"a, b", b"a/b", b"a?b", b"a#b", b"a@b", b"u:p@b", b"http://a", b"a:b", b"a:80:80", b"a:-1",
        b"a:123456", b"[::1", b"::1", b"[]", b"[g::1]", b"[::1]a", b"a[::1]", b"%6", b"%zz", b"a\\b", b'"a"',
        b"a\xe4", b"a\t", b"<a>",
    ],
)  # fmt: skip
def test_an_invalid_host_is_refused(value: bytes) -> None:
    for _ in range(2):
        assert refused((b"host", value), host=False) == (
            400,
            "the Host header is not a host name with an optional port",
        )


def test_a_missing_host_is_refused_but_in_http_1_0() -> None:
    assert refused(host=False) == (400, "the Host header is missing")
    assert judged(host=False, old=True).end


@pytest.mark.parametrize("old", [False, True])
def test_a_second_host_is_refused_even_if_it_is_the_same(old: bool) -> None:
    assert refused(HOST, old=old) == (400, "there must be exactly one Host header")


def test_hosts_that_are_remembered_are_few() -> None:
    for number in range(2000):
        fields.check_host(b"h%d.example" % number)
    with pytest.raises(ProtocolFault):
        fields.check_host(b"h1 .example")
    if hasattr(fields, "HOSTS"):  # where it is interpreted
        assert len(fields.HOSTS) <= 256


def test_a_host_that_is_long_is_accepted_and_not_remembered() -> None:
    host = b"a" * 60_000
    fields.check_host(host)
    if hasattr(fields, "HOSTS"):  # where it is interpreted
        assert host not in fields.HOSTS
    assert not any(each is host for holder in gc.get_referrers(host) if isinstance(holder, set) for each in holder)


# --- framing (RFC 9112 §6.3) ---


def test_a_request_without_framing_has_no_body() -> None:
    head = judged()
    assert (head.length, head.end, head.close, head.expect) == (0, True, False, False)


@pytest.mark.parametrize(
    ("value", "length"),
    [(b"0", 0), (b"00", 0), (b"5", 5), (b"007", 7), (b"9" * 18, 10**18 - 1), (b"0" * 17 + b"1", 1)],
)
def test_a_content_length_is_its_number(value: bytes, length: int) -> None:
    head = judged((b"content-length", value))
    assert (head.length, head.end) == (length, length == 0)


@pytest.mark.parametrize(
    "value",
    [
        b"", b"+5", b"-1", b"-0", b"5 5", b"5, 5", b"5,5", b"5,6", b",", b"5,", b"0x10", b"5_0", b"1e3",
        b"5.0", b"five", b"\xb2", b"\xd9\xa5", b"5;", b'"5"', b"9" * 19, b"0" * 19, b"1" * 5000,
        b"18446744073709551621",
    ],
)  # fmt: skip
def test_a_content_length_that_is_no_decimal_number_is_refused(value: bytes) -> None:
    assert refused((b"content-length", value)) == (
        400,
        "the Content-Length is not a decimal number of reasonable size",
    )


@given(st.binary(max_size=22))
def test_a_content_length_is_digits_or_refused(value: bytes) -> None:
    if value and not value.strip(b"0123456789") and len(value) <= 18:
        assert fields.content_length(value) == int(value)
    else:
        with pytest.raises(ProtocolFault):
            fields.content_length(value)


@pytest.mark.parametrize("second", [b"5", b"6"])
def test_second_content_length_is_refused(second: bytes) -> None:
    assert refused((b"content-length", b"5"), (b"content-length", second)) == (
        400,
        "there is more than one Content-Length header",
    )


@pytest.mark.parametrize("value", [b"chunked", b"Chunked", b"CHUNKED"])
def test_chunked_is_the_one_transfer_coding(value: bytes) -> None:
    head = judged((b"transfer-encoding", value))
    assert (head.length, head.end) == (UNKNOWN, False)


@pytest.mark.parametrize(
    "value",
    [b"gzip, chunked", b"deflate,chunked", b"GZIP , Chunked", b"identity, chunked",
    b"x-gzip, compress, chunked"],
)  # fmt: skip
def test_a_known_coding_below_chunked_is_not_implemented(value: bytes) -> None:
    # RFC 9112 §6.1
    assert refused((b"transfer-encoding", value)) == (
        501,
        "no transfer coding but chunked is understood here",
    )


@pytest.mark.parametrize(
    "value",
    [
        b"", b"xchunked", b"chunkedx", b"chunk", b"chunked,", b",chunked", b", chunked", b"chunked, ",
        b"'chunked'", b'"chunked"', b"chunked;q=1", b"chunked ;", b"chunked, chunked",
        b"chunked, identity", b"chunked, gzip", b"gzip", b"identity", b"gzip, x, chunked", b"chun\tked",
        b"chunked chunked", b"\xa0chunked", b"chunked\xa0", b"c\xc4\xa7unked", b"trailers, chunked",
    ],
)  # fmt: skip
def test_a_transfer_encoding_that_could_be_read_two_ways_is_refused(value: bytes) -> None:
    # RFC 9112 §6.3: where chunked is not the last coding, 400 and not 501.
    assert refused((b"transfer-encoding", value)) == (400, "the Transfer-Encoding is not chunked")


def test_two_transfer_encodings_are_refused() -> None:
    for second in (b"chunked", b"identity", b""):
        assert refused((b"transfer-encoding", b"chunked"), (b"transfer-encoding", second)) == (
            400,
            "there is more than one Transfer-Encoding header",
        )
    assert refused((b"transfer-encoding", b"identity"), (b"transfer-encoding", b"chunked"))[0] == 400


@pytest.mark.parametrize("length", [b"0", b"5"])
def test_both_framings_are_refused_in_either_order(length: bytes) -> None:
    pair = [(b"content-length", length), (b"transfer-encoding", b"chunked")]
    for headers in (pair, pair[::-1]):
        assert refused(*headers) == (400, "Content-Length and Transfer-Encoding exclude each other")


def test_a_transfer_encoding_in_http_1_0_is_refused() -> None:
    # RFC 9112 §6.1
    assert refused((b"transfer-encoding", b"chunked"), old=True) == (
        400,
        "an HTTP/1.0 request cannot have a Transfer-Encoding",
    )


# --- persistence, expectation, upgrade, TE ---


@pytest.mark.parametrize(
    ("values", "new", "old"),
    [
        ([], False, True),
        ([b"close"], True, True),
        ([b"Close"], True, True),
        ([b"keep-alive"], False, False),
        ([b"Keep-Alive"], False, False),
        ([b"keep-alive, close"], True, True),
        ([b"close, keep-alive"], True, True),
        ([b"close", b"keep-alive"], True, True),
        ([b"keep-alive", b"close"], True, True),
        ([b"x", b"y, keep-alive"], False, False),
        ([b"x,close ,y"], True, True),
        ([b"xclose"], False, True),
        ([b"close;x"], False, True),
        ([b""], False, True),
    ],
)
def test_a_connection_ends_as_all_connection_headers_together_say(values: list[bytes], new: bool, old: bool) -> None:
    headers = [(b"connection", value) for value in values]
    assert judged(*headers).close is new
    assert judged(*headers, old=True).close is old


def test_an_expectation_is_for_a_body_that_is_to_come() -> None:
    expect = (b"expect", b"100-Continue")
    assert judged(expect, (b"content-length", b"5")).expect
    assert judged(expect, (b"transfer-encoding", b"chunked")).expect
    assert not judged(expect).expect
    assert not judged(expect, (b"content-length", b"0")).expect


def test_an_expectation_in_http_1_0_is_ignored() -> None:
    # RFC 9110 §10.1.1
    assert not judged((b"expect", b"100-continue"), (b"content-length", b"5"), old=True).expect


@pytest.mark.parametrize("value", [b"", b"200-ok", b"100-continue, x", b"100"])
def test_an_expectation_that_cannot_be_met_is_refused(value: bytes) -> None:
    assert refused((b"expect", value)) == (417, "the only expectation that can be met is 100-continue")


@pytest.mark.parametrize(
    ("connection", "upgrade", "found"),
    [
        ([b"upgrade"], b"websocket", b"websocket"),
        ([b"keep-alive, Upgrade"], b"websocket", b"websocket"),
        ([b"Upgrade", b"HTTP2-Settings"], b"h2c", b"h2c"),
        ([b"upgrade, close"], b"websocket", b"websocket"),
        ([b"keep-alive"], b"websocket", None),
        ([], b"websocket", None),
        ([b"upgrade"], None, None),
    ],
)
def test_an_upgrade_counts_when_connection_names_it(
    connection: list[bytes], upgrade: bytes | None, found: bytes | None
) -> None:
    headers = [(b"connection", value) for value in connection]
    if upgrade is not None:
        headers.insert(0, (b"upgrade", upgrade))
    assert judged(*headers).upgrade == found
    # RFC 9110 §7.8: a server MUST ignore an Upgrade header in an HTTP/1.0 request.
    assert judged(*headers, old=True).upgrade is None


def test_trailers_are_wanted_when_te_says_so() -> None:
    assert not judged().te_trailers
    assert not judged((b"te", b"gzip")).te_trailers
    assert judged((b"te", b"trailers")).te_trailers
    assert judged((b"te", b"gzip;q=0.5, Trailers")).te_trailers
    assert judged((b"te", b"trailers"), (b"te", b"gzip")).te_trailers


@pytest.mark.parametrize(
    "name",
    [b"forwarded", b"x-forwarded-for", b"X-Forwarded-Proto", b"x-forwarded-prefix", b"x-forwarded-port"],
)
def test_forwarding_headers_are_noticed(name: bytes) -> None:
    assert judged((name, b"x")).forwarded
    assert not judged((b"x-forwarded", b"x")).forwarded


# --- what an application sends (ASGI 23, 24, 27) ---


def complaint(*headers: object) -> str:
    with pytest.raises(MessageError) as caught:
        fields.outgoing(headers)  # type: ignore[arg-type]
    return str(caught.value)


def test_headers_go_out_as_they_were_given_and_in_order() -> None:  # ASGI 24
    headers = [
        (b"X-B", b"2"),
        (b"x-a", b"1"),
        (b"set-cookie", b"a"),
        (b"Set-Cookie", b"b"),
        (b"x-empty", b""),
    ]
    assert fields.outgoing(headers).pairs == headers
    assert fields.outgoing([]).pairs == []


def test_any_iterable_of_pairs_will_do() -> None:  # ASGI 24
    pairs: list[Iterable[bytes]] = [(b"a", b"1"), [b"b", b"2"], iter((b"c", b"3"))]
    assert fields.outgoing(iter(pairs)).pairs == [(b"a", b"1"), (b"b", b"2"), (b"c", b"3")]
    assert fields.outgoing({b"a": b"1"}.items()).pairs == [(b"a", b"1")]


def test_other_kinds_of_bytes_become_bytes() -> None:
    pairs = fields.outgoing([(bytearray(b"a"), memoryview(b"1"))]).pairs
    assert pairs == [(b"a", b"1")]
    assert [type(each) for each in pairs[0]] == [bytes, bytes]


@pytest.mark.parametrize(
    ("pair", "kind"),
    [(("a", b"1"), "str"), ((b"a", "1"), "str"), ((b"a", 1), "int"), ((None, b"1"), "NoneType")],
)
def test_what_is_no_bytes_is_refused_by_its_kind(pair: tuple[object, object], kind: str) -> None:
    assert complaint(pair).endswith(f"there is a {kind}")


@pytest.mark.parametrize("char", [b"\r", b"\n", b"\0", b"\x0b", b"\x1f", b"\x7f"])
def test_a_control_character_in_a_value_is_refused(char: bytes) -> None:  # ASGI 24
    for value in (char, b"a" + char, char + b"a", b"a" + char + b"b"):
        assert "has a control character in it" in complaint((b"x-a", value))
        assert "has a control character in it" in complaint((b"connection", value))


def test_tab_and_latin_1_may_stand_in_a_value() -> None:
    assert fields.outgoing([(b"a", b"\t \xe4")]).pairs == [(b"a", b"\t \xe4")]


@pytest.mark.parametrize("name", [b"", b"a b", b"a:", b":a", b"a\r", b"a\n", b"\0", b"a\r\nb: c", b"\xe4", b" a"])
def test_a_name_that_is_no_token_is_refused(name: bytes) -> None:  # ASGI 24
    for _ in range(2):
        assert "a header name must be a token" in complaint((b"x-a", b"1"), (name, b"1"))


def test_a_long_name_or_value_is_cut_in_the_complaint() -> None:
    assert len(complaint((b"a b" * 1000, b"1"))) < 200
    assert len(complaint((b"a", b"\n" * 1000))) < 450
    assert len(complaint((b"content-length", b"a" * 1000))) < 200


def test_connection_specific_headers_are_ours_to_write() -> None:  # ASGI 23
    checked = fields.outgoing(
        [
            (b"Transfer-Encoding", b"chunked"),
            (b"Keep-Alive", b"timeout=5"),
            (b"proxy-connection", b"close"),
            (b"upgrade", b"h2c"),
            (b"connection", b"keep-alive"),
            (b"x-a", b"1"),
        ]
    )
    assert (checked.pairs, checked.close) == ([(b"x-a", b"1")], False)


@pytest.mark.parametrize("value", [b"close", b"Close", b"keep-alive, close"])
def test_an_application_may_ask_for_the_end_of_the_connection(value: bytes) -> None:  # ASGI 23
    checked = fields.outgoing([(b"Connection", value), (b"connection", b"x")])
    assert (checked.pairs, checked.close) == ([], True)


def test_a_content_length_is_known_by_its_number() -> None:  # ASGI 27
    checked = fields.outgoing([(b"Content-Length", b"42")])
    assert (checked.pairs, checked.length) == ([(b"Content-Length", b"42")], 42)
    assert fields.outgoing([(b"content-length", b"0")]).length == 0
    assert fields.outgoing([]).length == NO_LENGTH


def test_a_content_length_that_is_said_twice_is_written_once() -> None:
    checked = fields.outgoing([(b"content-length", b"5"), (b"Content-Length", b"5")])
    assert checked.pairs == [(b"content-length", b"5")]
    assert complaint((b"content-length", b"5"), (b"content-length", b"6")).endswith("headers: 5 and 6")


@pytest.mark.parametrize("value", [b"", b"-1", b"+1", b"1, 1", b"0x1", b" 1", b"1" * 19])
def test_a_content_length_that_is_no_number_is_refused(value: bytes) -> None:
    assert "the content-length must be a decimal number" in complaint((b"content-length", value))


def test_a_date_and_a_server_of_the_application_are_noticed() -> None:
    checked = fields.outgoing([(b"Date", b"x"), (b"SERVER", b"y")])
    assert (checked.dated, checked.served) == (True, True)
    assert checked.pairs == [(b"Date", b"x"), (b"SERVER", b"y")]
    assert (fields.outgoing([]).dated, fields.outgoing([]).served) == (False, False)


def test_a_length_can_be_dropped_whatever_its_spelling() -> None:
    checked = fields.outgoing([(b"a", b"1"), (b"Content-Length", b"5"), (b"b", b"2")])
    checked.drop_length()
    assert (checked.pairs, checked.length) == ([(b"a", b"1"), (b"b", b"2")], NO_LENGTH)


def test_names_that_are_remembered_are_few_and_keep_their_meaning() -> None:
    for number in range(3000):
        fields.outgoing([(b"x-%d" % number, b"1")])
    if hasattr(fields, "SPELLINGS"):  # where it is interpreted
        assert len(fields.SPELLINGS) <= 1024
    assert fields.outgoing([(b"content-length", b"5"), (b"tRANSFER-eNCODING", b"x")]).length == 5
    assert fields.outgoing([(b"tRANSFER-eNCODING", b"x")]).pairs == []


@given(st.binary(max_size=6), st.binary(max_size=6))
def test_no_header_that_is_let_through_can_end_its_line(name: bytes, value: bytes) -> None:
    try:
        pairs = fields.outgoing([(b"x" + name, value)]).pairs
    except MessageError:
        return
    for each in pairs:
        assert not set(b"\r\n\0") & set(each[0] + each[1])
        assert not set(b": \t") & set(each[0])
