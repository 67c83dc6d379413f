"""What a response's head is made of."""

import pytest

from portway.wire import fields
from portway.wire.http1 import encode
from portway.wire.http1.encode import Preamble

FRAMINGS = ["NOTHING", "LENGTH", "CHUNKED", "CLOSE"]  # by number; where it is compiled, C has the names
DATE = b"Sun, 06 Nov 1994 08:49:37 GMT"


def preamble(server: bytes = b"", extra: bytes = b"", date: bytes = b"") -> Preamble:
    made = Preamble(server, extra)
    made.renew(date)
    return made


# Every line is written with the CRLF that ends the line before it.


def test_a_response_begins_with_its_status_and_nothing_more() -> None:
    assert Preamble().lines(200) == b"HTTP/1.1 200 OK"


def test_date_server_and_extra_lines_follow_the_status() -> None:
    made = preamble(b"portway", b"\r\nx-a: b\r\nx-c: d", DATE)
    assert made.lines(404) == (b"HTTP/1.1 404 Not Found\r\ndate: " + DATE + b"\r\nserver: portway\r\nx-a: b\r\nx-c: d")


def test_a_new_date_is_in_every_head_from_then_on() -> None:
    made = preamble(date=b"then")
    for date in (b"then", b"now", b"later"):
        made.renew(date)
        for _ in range(2):
            assert made.lines(200) == b"HTTP/1.1 200 OK\r\ndate: " + date
            assert made.lines(404) == b"HTTP/1.1 404 Not Found\r\ndate: " + date
    made.renew(b"")
    assert made.lines(200) == b"HTTP/1.1 200 OK"


def test_a_date_or_server_of_the_application_replaces_ours() -> None:
    made = preamble(b"portway", b"\r\nx-a: b", b"now")
    line, date, server, extra = b"HTTP/1.1 200 OK", b"\r\ndate: now", b"\r\nserver: portway", b"\r\nx-a: b"
    given = fields.outgoing([(b"Date", b"then")])
    assert made.lines_beside(200, given) == line + server + extra
    given = fields.outgoing([(b"server", b"mine")])
    assert made.lines_beside(200, given) == line + date + extra
    given = fields.outgoing([(b"server", b"mine"), (b"date", b"then")])
    assert made.lines_beside(200, given) == line + extra


@pytest.mark.parametrize(
    ("status", "line"),
    [
        (100, b"HTTP/1.1 100 Continue"),
        (204, b"HTTP/1.1 204 No Content"),
        (418, b"HTTP/1.1 418 I'm a Teapot"),
        (299, b"HTTP/1.1 299 "),  # RFC 9112 §4: the space stays where there is no phrase
        (999, b"HTTP/1.1 999 "),
    ],
)
def test_a_status_line_has_its_phrase_if_there_is_one(status: int, line: bytes) -> None:
    assert encode.status_line(status) == line


@pytest.mark.parametrize(
    ("status", "method", "bodiless"),
    [
        (200, "GET", False),
        (200, "HEAD", True),
        (404, "HEAD", True),
        (204, "GET", True),
        (304, "GET", True),
        (100, "GET", True),
        (103, "POST", True),
        (303, "POST", False),
    ],
)
def test_some_responses_end_with_their_head(status: int, method: str, bodiless: bool) -> None:
    # RFC 9112 §6.3
    assert bool(encode.bodiless(status, method)) is bodiless


@pytest.mark.parametrize(
    ("length", "old", "end", "framing"),
    [
        (b"5", False, False, "LENGTH"),
        (b"5", False, True, "LENGTH"),
        (b"5", True, False, "LENGTH"),
        (None, False, True, "LENGTH"),
        (None, True, True, "LENGTH"),
        (None, False, False, "CHUNKED"),
        (None, True, False, "CLOSE"),  # RFC 9112 §6.1: no transfer coding to HTTP/1.0
    ],
)
def test_a_body_is_framed_by_what_is_known_of_it(length: bytes | None, old: bool, end: bool, framing: str) -> None:
    given = fields.outgoing([] if length is None else [(b"content-length", length)])
    assert FRAMINGS[encode.framing(given, old, end)] == framing


def test_fields_are_written_as_they_are_spelled() -> None:
    out = [b"before"]
    for _ in range(2):
        encode.write_fields(out, fields.outgoing([(b"X-A", b"b"), (b"set-cookie", b""), (b"te", b"\xe4")]))
    assert b"".join(out) == b"before" + b"\r\nX-A: b\r\nset-cookie: \r\nte: \xe4" * 2


def test_names_that_are_remembered_are_few() -> None:
    for number in range(3000):
        out: list[bytes] = []
        encode.write_fields(out, fields.outgoing([(b"x-%d" % number, b"a")]))
        assert b"".join(out) == b"\r\nx-%d: a" % number
    if hasattr(encode, "LINE_BEGINS"):  # where it is interpreted
        assert len(encode.LINE_BEGINS) <= 1024


@pytest.mark.parametrize(("size", "line"), [(1, b"1"), (10, b"a"), (255, b"ff"), (65536, b"10000")])
def test_a_chunk_has_its_size_in_hex_before_it(size: int, line: bytes) -> None:
    out: list[bytes] = []
    data = b"d" * size
    encode.write_chunk(out, data)
    assert b"".join(out) == line + b"\r\n" + data + b"\r\n"
    assert any(piece is data for piece in out)  # large pieces are not copied
