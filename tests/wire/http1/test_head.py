"""The request-line and the header section: what is read, and what is refused with which status."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from portway.wire.events import Head
from portway.wire.faults import ProtocolFault
from portway.wire.http1.head import Section, read_fields, read_head
from portway.wire.port import Limits

LIMITS = Limits()
UNFINISHED = -1
LONE_LF = "a line feed stands alone, without a carriage return before it"
LONE_CR = "a carriage return stands alone, without a line feed"


def read(data: bytes, limits: Limits = LIMITS) -> Head:
    head = read_head(data, 0, 1, limits, Section())
    assert head is not None
    assert head.after == len(data)
    return head


def get(target: bytes = b"/", *lines: bytes, method: bytes = b"GET", version: bytes = b"1.1") -> bytes:
    return b"\r\n".join([method + b" " + target + b" HTTP/" + version, b"Host: a", *lines, b"", b""])


def refused(data: bytes, limits: Limits = LIMITS) -> tuple[int, str]:
    with pytest.raises(ProtocolFault) as caught:
        read_head(data, 0, 1, limits, Section())
    assert "\n" not in caught.value.text
    return caught.value.status, caught.value.text


# --- the request-line ---


def test_a_head_is_read_into_its_parts() -> None:
    data = b"POST /a/b?c=d&e HTTP/1.1\r\nHOST: a.example:80\r\nX-A:  b c \t\r\nx-a:\r\nContent-Length: 5\r\n\r\n"
    head = read(data)
    assert (head.stream, head.method, head.version) == (1, "POST", "1.1")
    assert (head.path, head.query) == (b"/a/b", b"c=d&e")
    assert head.headers == [
        (b"host", b"a.example:80"),
        (b"x-a", b"b c"),
        (b"x-a", b""),
        (b"content-length", b"5"),
    ]
    assert (head.length, head.end, head.after) == (5, False, len(data))
    assert repr(head) == "<Head 1 POST b'/a/b' length=5 end=False>"


def test_a_head_may_stand_amid_other_bytes() -> None:
    data = get(b"/first") + get(b"/second?x") + b"GET /th"
    at = len(get(b"/first"))
    head = read_head(data, at, 7, LIMITS, Section())
    assert head is not None
    assert (head.stream, head.path, head.query) == (7, b"/second", b"x")
    assert data[head.after :] == b"GET /th"
    assert read_head(data, head.after, 8, LIMITS, Section()) is None


METHODS = ["GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "PATCH", "TRACE", "PROPFIND", "REPORT"]


@pytest.mark.parametrize("method", [*METHODS, "QUERY", "M-SEARCH", "!#$%&'*+-.^_`|~", "X" * 32])
def test_any_token_is_a_method(method: str) -> None:
    assert read(get(method=method.encode())).method == method


@pytest.mark.parametrize("method", ["get", "Post", "pRoPfInD"])
def test_a_method_is_told_in_upper_case(method: str) -> None:  # ASGI 13
    assert read(get(method=method.encode())).method == method.upper()


@pytest.mark.parametrize(
    ("data", "text"),
    [
        (get(method=b"X" * 33), "the method is longer than any that is known"),
        (b"X" * 33, "the method is longer than any that is known"),
        (b"X" * 33 + b"\0", "the method is longer than any that is known"),
        (get(b"a:80", method=b"CONNECT"), "CONNECT is for proxies, and this is none"),
        (get(b"a:80", method=b"connect"), "CONNECT is for proxies, and this is none"),
    ],
)  # fmt: skip
def test_a_method_that_no_one_serves_here_is_not_implemented(data: bytes, text: str) -> None:
    # RFC 9112 §3
    assert refused(data) == (501, text)


@pytest.mark.parametrize(
    "data",
    [
        b" GET / HTTP/1.1\r\n", b"\tGET / HTTP/1.1\r\n", b"\nGET / HTTP/1.1\r\n", b"\0",
        b"GET\t/ HTTP/1.1\r\n", b"GET\r\n", b"GET\n", b"G(T / HTTP/1.1\r\n", b"GET\0 / HTTP/1.1\r\n",
        b"\x80", b"G\xc3\x89T / HTTP/1.1\r\n", b"{}", b"GET\x0b/ HTTP/1.1\r\n", b":", b'"GET" / HTTP/1.1\r\n',
    ],
)  # fmt: skip
def test_a_line_that_does_not_begin_with_a_method_is_refused(data: bytes) -> None:
    assert refused(data) == (400, "the request line does not begin with a method and a space")


@pytest.mark.parametrize(
    "data", [b"\x16", b"\x16\x03", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", b"\x16\x03\x03"]
)
def test_a_tls_client_hello_is_recognised(data: bytes) -> None:
    assert refused(data) == (400, "this port speaks plain HTTP, and what came is the start of TLS (https)")


def test_what_begins_like_tls_and_is_not_is_not_called_so() -> None:
    assert "TLS" not in refused(b"\x16\x04")[1]
    assert "TLS" not in refused(b"\x03\x16\x03")[1]


@pytest.mark.parametrize(
    ("target", "path", "query"),
    [
        (b"/", b"/", b""),
        (b"//", b"//", b""),
        (b"/?", b"/", b""),
        (b"/??a", b"/", b"?a"),
        (b"/a?b?c=/", b"/a", b"b?c=/"),
        (b"/%00%zz%", b"/%00%zz%", b""),
        (b"/../a;b@c:d", b"/../a;b@c:d", b""),
        (b'/"<>[]\\^`{|}', b'/"<>[]\\^`{|}', b""),
        (b"//evil.example/a", b"//evil.example/a", b""),
        (b"/http://b/", b"/http://b/", b""),
    ],
)
def test_an_origin_form_is_split_at_its_first_question_mark(target: bytes, path: bytes, query: bytes) -> None:
    head = read(get(target))
    assert (head.path, head.query) == (path, query)


@pytest.mark.parametrize(
    "data",
    [
        b"GET  HTTP/1.1\r\n", b"GET   / HTTP/1.1\r\n", b"GET /a\tb HTTP/1.1\r\n", b"GET /\0 HTTP/1.1\r\n",
        b"GET /#a HTTP/1.1\r\n", b"GET /\xe4 HTTP/1.1\r\n", b"GET /\x7f HTTP/1.1\r\n", b"GET \r\n", b"GET \n",
        b"GET /\x0b HTTP/1.1\r\n",
    ],
)  # fmt: skip
def test_a_target_that_is_empty_or_has_other_characters_is_refused(data: bytes) -> None:
    assert refused(data) == (
        400,
        "the request target is empty, or has a character that must be percent-encoded",
    )


@pytest.mark.parametrize("data", [b"GET /\r\n", b"GET /\n", b"GET /index.html\r\n\r\n"])
def test_http_0_9_is_not_spoken(data: bytes) -> None:
    assert refused(data) == (400, "the request line has no HTTP version (HTTP/0.9 is not spoken here)")


@pytest.mark.parametrize(
    ("version", "found"), [(b"1.1", "1.1"), (b"1.0", "1.0"), (b"1.2", "1.1"), (b"1.9", "1.1")]
)  # fmt: skip
def test_a_minor_version_beyond_ours_is_read_as_ours(version: bytes, found: str) -> None:
    # RFC 9110 §2.5
    assert read(get(version=version)).version == found


@pytest.mark.parametrize("version", [b"2.0", b"3.0", b"0.9", b"9.9"])
def test_another_major_version_is_not_supported(version: bytes) -> None:
    assert refused(get(version=version)) == (505, "this server speaks HTTP/1.1 and HTTP/1.0")


def test_the_preface_of_http_2_is_recognised() -> None:
    assert refused(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n") == (505, "HTTP/2 is not spoken on this port")


@pytest.mark.parametrize(
    "version",
    [b"1.1 ", b"1", b"11", b"1.", b".1", b"1,1", b"1.1x", b"1.10", b"01.1", b"+1.1", b"1.\xb2", b"1.1\0",
    b"\t1.1"],
)  # fmt: skip
def test_a_malformed_version_is_refused(version: bytes) -> None:
    assert refused(get(version=version)) == (400, "the request line does not end in an HTTP version")


@pytest.mark.parametrize("name", [b"http", b"HTTPS", b"Http", b"HTTP ", b"HTTP//", b"FTP", b"HTT", b" HTTP", b""])
def test_a_protocol_that_is_not_http_is_refused(name: bytes) -> None:
    data = b"GET / " + name + b"/1.1\r\nHost: a\r\n\r\n"
    assert refused(data) == (400, "the request line does not end in an HTTP version")


def test_a_request_line_that_ends_in_a_lone_line_feed_is_refused() -> None:
    for rest in (b"", b"H", b"Host: a\n\n", b"Host: a\r\n\r\n"):
        assert refused(b"GET / HTTP/1.1\n" + rest) == (400, LONE_LF)
        assert refused(b"GET / HTTP/1.0\n" + rest) == (400, LONE_LF)


# --- other forms of the target (RFC 9112 §3.2.2, §3.2.4) ---


@pytest.mark.parametrize(
    ("target", "host", "path", "query"),
    [
        (b"http://b.example/c?d", b"b.example", b"/c", b"d"),
        (b"HTTP://b.example:80", b"b.example:80", b"/", b""),
        (b"https://b?c", b"b", b"/", b"c"),
        (b"http://[::1]:8000//c", b"[::1]:8000", b"//c", b""),
    ],
)
def test_an_absolute_form_replaces_the_host(target: bytes, host: bytes, path: bytes, query: bytes) -> None:
    head = read(get(target, b"X-A: b"))
    assert (head.path, head.query) == (path, query)
    assert head.headers == [(b"host", host), (b"x-a", b"b")]


def test_an_absolute_form_brings_the_host_that_http_1_0_may_leave_out() -> None:
    head = read(b"GET http://b/ HTTP/1.0\r\nX-A: b\r\n\r\n")
    assert head.headers == [(b"host", b"b"), (b"x-a", b"b")]
    assert read(b"GET http://b/ HTTP/1.0\r\nHost: a\r\n\r\n").headers == [(b"host", b"b")]


def test_an_absolute_form_excuses_no_wrong_host() -> None:
    # RFC 9112 §3.2
    line = b"GET http://b/ HTTP/1.1\r\n"
    assert refused(line + b"\r\n") == (400, "the Host header is missing")
    assert refused(line + b"Host: b\r\nHost: b\r\n\r\n") == (400, "there must be exactly one Host header")
    invalid = (400, "the Host header is not a host name with an optional port")
    assert refused(line + b"Host: b/c\r\n\r\n") == invalid
    assert refused(b"GET http://b/ HTTP/1.0\r\nHost: b/c\r\n\r\n") == invalid


@pytest.mark.parametrize("target", [b"http://:80/", b"http://u@b/", b"http://u:p@b/", b"http://@/"])
def test_an_authority_without_a_host_or_with_a_user_is_refused(target: bytes) -> None:
    # RFC 9110 §4.2.1, §4.2.4
    assert refused(get(target)) == (
        400,
        "the authority of the request target must be a host with an optional port",
    )


@pytest.mark.parametrize(
    "target", [b"http://b:x/", b"http://b:80:80/", b"http://b\\c/", b"http://[::1/", b"http://b%/"]
)
def test_an_authority_that_is_no_host_is_refused(target: bytes) -> None:
    assert refused(get(target))[0] == 400


@pytest.mark.parametrize(
    "target",
    [b"a", b"a:80", b"?a", b"http:/a", b"http:a", b"http://", b"http:///a", b"http://?a", b"ftp://a/",
    b"ws://a/", b"*", b"*/", b"**", b"\\a", b"%2f", b"javascript:x"],
)  # fmt: skip
def test_a_target_of_no_form_is_refused(target: bytes) -> None:
    assert refused(get(target)) == (400, "the request target is neither a path nor an absolute http URI")


def test_an_asterisk_is_for_options() -> None:
    assert read(get(b"*", method=b"OPTIONS")).path == b"*"
    # RFC 9112 §3.2.4: what a proxy would have made of it
    assert read(get(b"http://b", method=b"OPTIONS")).path == b"*"
    assert read(get(b"http://b/", method=b"OPTIONS")).path == b"/"
    assert read(get(b"http://b?c", method=b"OPTIONS")).path == b"/"
    assert refused(get(b"*?a", method=b"OPTIONS"))[0] == 400


# --- the header section ---


def test_a_request_may_have_no_headers_at_all_in_http_1_0() -> None:
    assert read(b"GET / HTTP/1.0\r\n\r\n").headers == []


@pytest.mark.parametrize(
    ("line", "value"),
    [
        (b"X:a", b"a"),
        (b"X: \t a\t ", b"a"),
        (b"X:", b""),
        (b"X: \t ", b""),
        (b"X: a \t b", b"a \t b"),
        (b"X: \x80\xff\xe4", b"\x80\xff\xe4"),
        (b"X: a: b", b"a: b"),
        (b"X::", b":"),
        (b'X: "a\\"', b'"a\\"'),
    ],
)
def test_white_space_around_a_value_is_no_part_of_it(line: bytes, value: bytes) -> None:
    assert read(get(b"/", line)).headers[1] == (b"x", value)


@pytest.mark.parametrize(
    ("line", "text"),
    [
        (b"X : a", "there is white space before the colon of a header"),
        (b"X\t: a", "there is white space before the colon of a header"),
        (b"X a", "there is white space before the colon of a header"),
        (b" X: a", "a header line begins with white space (obsolete line folding)"),
        (b"\tX: a", "a header line begins with white space (obsolete line folding)"),
        (b" ", "a header line begins with white space (obsolete line folding)"),
        (b": a", "a header name is empty, or is no token"),
        (b"X", "a header name is empty, or is no token"),
        (b"X(: a", "a header name is empty, or is no token"),
        (b"X\0: a", "a header name is empty, or is no token"),
        (b"X\xe4: a", "a header name is empty, or is no token"),
        (b"X\x0b: a", "a header name is empty, or is no token"),
        (b"\nX: a", LONE_LF),
        (b"X\n: a", LONE_LF),
        (b"X:\n a", LONE_LF),
        (b"X: a\nY: b", LONE_LF),
        (b"X: a\n", LONE_LF),
        (b"X: a\rY: b", LONE_CR),
        (b"X: a\r", LONE_CR),
        (b"\rX: a", LONE_CR),
        (b"X: a\0b", "a header value has a control character in it"),
        (b"X: \x0ba", "a header value has a control character in it"),
        (b"X: a\x0c", "a header value has a control character in it"),
        (b"X: a\x7f", "a header value has a control character in it"),
        (b"X: \x1b[2J", "a header value has a control character in it"),
    ],
)
def test_a_header_line_that_could_be_read_two_ways_is_refused(line: bytes, text: str) -> None:
    for lines in ([line], [line, b"Y: b"], [b"Y: b", line]):
        assert refused(get(b"/", *lines)) == (400, text)


@pytest.mark.parametrize("char", [bytes([c]) for c in range(256) if c not in b"\t" and (c < 0x20 or c == 0x7F)])
def test_no_control_stands_in_a_value(char: bytes) -> None:
    assert refused(get(b"/", b"X: a" + char + b"b"))[0] == 400


def test_a_control_at_the_end_of_what_came_is_seen_at_once() -> None:
    data = b"GET / HTTP/1.1\r\nX: a"
    assert refused(data + b"\n") == (400, LONE_LF)
    assert refused(data + b"\0")[0] == 400
    assert read_head(data + b"\r", 0, 1, LIMITS, Section()) is None


# --- what has not come yet ---


@pytest.mark.parametrize(
    "data",
    [
        get(),
        get(b"http://b/", b"X-A: \t b c \t", b"X:", method=b"OPTIONS", version=b"1.0"),
        get(b"/a?b", b"Transfer-Encoding: chunked", method=b"post"),
    ],
)
def test_every_beginning_of_a_head_waits_for_more(data: bytes) -> None:
    for size in range(len(data)):
        assert read_head(data[:size], 0, 1, LIMITS, Section()) is None, data[:size]
        assert read_head(b"xx" + data[:size], 2, 1, LIMITS, Section()) is None
    assert read(data)


@given(st.binary(max_size=60))
def test_anything_is_a_head_or_unfinished_or_a_fault(data: bytes) -> None:
    for start in (
        b"",
        b"GET ",
        b"GET / HTTP/1.1\r\n",
        b"GET / HTTP/1.1\r\nHost: a\r\n",
        b"GET / HTTP/1.1\r\nX:",
    ):
        try:
            head = read_head(start + data, 0, 1, LIMITS, Section())
        except ProtocolFault:
            continue  # no other error comes out of it
        assert head is None or 0 < head.after <= len(start + data)


# --- limits ---


@pytest.mark.parametrize("version", [b"1.0", b"1.1"])
def test_a_request_line_may_be_as_long_as_the_limit(version: bytes) -> None:
    limits = Limits(line=100)
    fits = b"/" + b"a" * (100 - len("GET / HTTP/1.1"))
    assert read(get(fits, version=version), limits).path == fits
    longer = (414, "the request line is longer than is accepted here")
    assert refused(get(fits + b"a", version=version), limits) == longer
    assert refused(b"GET " + fits + b"a", limits) == longer  # before its end has come
    assert refused(get(fits + b"a\0"), limits) == longer
    assert read_head(b"GET " + fits, 0, 1, limits, Section()) is None


def test_a_head_may_be_as_long_as_the_limit() -> None:
    limits = Limits(head=300)
    longer = (431, "the header section is larger than is accepted here")
    fits = get(b"/", b"X: " + b"a" * (300 - len(get(b"/", b"X: "))))
    assert len(fits) == 300
    assert read(fits, limits).after == 300
    assert read_head(b"xxxx" + fits, 4, 1, limits, Section()) is not None
    for more in (
        fits[:-4] + b"a\r\n\r\n",
        fits[:-4] + b"a" * 9,
        fits[:-2] + b"Y: b\r\n\r\n",
        fits[:-2] + b"Y: \0",
    ):
        assert refused(more, limits) == longer
    assert read_head(fits[:-1], 0, 1, limits, Section()) is None
    assert refused(get(b"/" + b"a" * 300), limits) == longer  # the line counts as well


def test_what_follows_a_head_does_not_count_for_it() -> None:
    limits = Limits(line=100, head=300)
    head = read_head(get() + b"a" * 1000, 0, 1, limits, Section())
    assert head is not None
    assert head.after == len(get())


def test_a_head_has_as_many_fields_as_the_limit() -> None:
    limits = Limits(fields=3)
    assert len(read(get(b"/", b"a: b", b"a: b"), limits).headers) == 3
    assert refused(get(b"/", b"a: b", b"a: b", b"a: b"), limits) == (
        431,
        "there are more header fields than are accepted here",
    )


def test_a_body_declared_larger_than_the_limit_is_refused() -> None:
    limits = Limits(body=10)
    assert read(get(b"/", b"Content-Length: 10"), limits).length == 10
    assert refused(get(b"/", b"Content-Length: 11"), limits) == (
        413,
        "the body is larger than is accepted here",
    )
    assert read(get(b"/", b"Content-Length: 999999999999999999")).length == 10**18 - 1


def test_fields_alone_are_read_for_trailers() -> None:
    pairs: list[tuple[bytes, bytes]] = []
    data = b"xxX-A: b\r\nY:\r\n\r\nGET"
    assert read_fields(data, 2, 2, LIMITS, pairs) == len(data) - 3
    assert pairs == [(b"x-a", b"b"), (b"y", b"")]
    assert read_fields(b"\r\n", 0, 0, LIMITS, []) == 2
    assert read_fields(b"\r", 0, 0, LIMITS, []) == UNFINISHED


# --- a section that comes again ---


def everything(head: Head | None) -> object:
    if head is None:
        return None
    names = "method path query version headers length end close expect forwarded te_trailers upgrade after"
    return {name: getattr(head, name) for name in names.split()}


SECTIONS = [
    b"Host: a\r\n\r\n",
    b"Host: a\r\n\r\nHost: b\r\n\r\n",
    b"Host: a\r\nX: y\r\n\r\n",
    b"Host: a\r\nConnection: close\r\n\r\n",
    b"Host: a\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\nHost: ",
    b"Host: a\r\nTransfer-Encoding: chunked\r\nTE: trailers\r\nX-Forwarded-For: b\r\n\r\n",
    b"Host: a\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n",
    b"Host: a\r\nX: " + b"y" * 2000 + b"\r\n\r\n",
    b"\r\n",
    b"Host: a\r\nHost: b\r\n\r\n",
    b"Host: a\r\n",
]
LINES = [
    b"GET / HTTP/1.1\r\n",
    b"GET /" + b"x" * 40 + b" HTTP/1.1\r\n",
    b"POST /b?c HTTP/1.1\r\n",
    b"GET http://c/d HTTP/1.1\r\n",
    b"GET / HTTP/1.0\r\n",
]
FEW_SECTIONS = st.lists(st.sampled_from(SECTIONS), min_size=1, max_size=2)
HEADS = FEW_SECTIONS.flatmap(
    lambda few: st.lists(st.builds(bytes.__add__, st.sampled_from(LINES), st.sampled_from(few)), min_size=2)
)


def outcome(data: bytes, last: Section, limits: Limits) -> object:
    try:
        return everything(read_head(data, 0, 1, limits, last))
    except ProtocolFault as fault:
        return fault.status, fault.text


@given(HEADS, st.sampled_from([LIMITS, Limits(head=60), Limits(body=3)]))
def test_what_is_remembered_changes_no_reading(heads: list[bytes], limits: Limits) -> None:
    last = Section()
    for data in heads:
        assert outcome(data, last, limits) == outcome(data, Section(), limits)


def test_the_headers_of_requests_with_the_same_section_are_lists_of_their_own() -> None:
    last = Section()
    first, second, third = (read_head(get(), 0, 1, LIMITS, last) for _ in range(3))
    assert first is not None
    assert second is not None
    assert third is not None
    first.headers.append((b"x", b"first"))
    second.headers.clear()
    assert third.headers == [(b"host", b"a")]
    again = read_head(get(), 0, 1, LIMITS, last)
    assert again is not None
    assert again.headers == [(b"host", b"a")]
