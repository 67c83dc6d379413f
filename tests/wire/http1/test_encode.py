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


def test_a_response_begins_with_its_status_and_nothing_more() -> None:
    assert Preamble().lines(200) == b"HTTP/1.1 200 OK\r\n"


def test_date_server_and_extra_lines_follow_the_status() -> None:
    made = preamble(b"portway", b"x-a: b\r\nx-c: d\r\n", DATE)
    assert made.lines(404) == (
        b"HTTP/1.1 404 Not Found\r\ndate: " + DATE + b"\r\nserver: portway\r\nx-a: b\r\nx-c: d\r\n"
    )


def test_a_new_date_is_in_every_head_from_then_on() -> None:
    made = preamble(date=b"then")
    assert (made.lines(200), made.lines(404)) == (
        b"HTTP/1.1 200 OK\r\ndate: then\r\n",
        b"HTTP/1.1 404 Not Found\r\ndate: then\r\n",
    )
    made.renew(b"now")
    assert (made.lines(200), made.lines(404)) == (
        b"HTTP/1.1 200 OK\r\ndate: now\r\n",
        b"HTTP/1.1 404 Not Found\r\ndate: now\r\n",
    )
    made.renew(b"")
    assert made.lines(200) == b"HTTP/1.1 200 OK\r\n"


def test_a_date_or_server_of_the_application_replaces_ours() -> None:
    made = preamble(b"portway", b"x-a: b\r\n", b"now")
    line, date, server, extra = b"HTTP/1.1 200 OK\r\n", b"date: now\r\n", b"server: portway\r\n", b"x-a: b\r\n"
    given = fields.outgoing([(b"Date", b"then")])
    assert made.lines_beside(200, given) == line + server + extra
    given = fields.outgoing([(b"server", b"mine")])
    assert made.lines_beside(200, given) == line + date + extra
    given = fields.outgoing([(b"server", b"mine"), (b"date", b"then")])
    assert made.lines_beside(200, given) == line + extra


@pytest.mark.parametrize(
    ("status", "line"),
    [
        (100, b"HTTP/1.1 100 Continue\r\n"),
        (204, b"HTTP/1.1 204 No Content\r\n"),
        (418, b"HTTP/1.1 418 I'm a Teapot\r\n"),
        (299, b"HTTP/1.1 299 \r\n"),  # RFC 9112 §4: the space stays where there is no phrase
        (999, b"HTTP/1.1 999 \r\n"),
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
        (205, "GET", False),
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
def test_a_body_is_framed_by_what_is_known_of_it(
    length: bytes | None, old: bool, end: bool, framing: str
) -> None:
    given = fields.outgoing([] if length is None else [(b"content-length", length)])
    assert FRAMINGS[encode.framing(given, old, end)] == framing


def test_fields_are_written_as_they_are_spelled() -> None:
    out = [b"before"]
    encode.write_fields(out, fields.outgoing([(b"X-A", b"b"), (b"set-cookie", b""), (b"te", b"\xe4")]))
    assert b"".join(out) == b"beforeX-A: b\r\nset-cookie: \r\nte: \xe4\r\n"


@pytest.mark.parametrize(("size", "line"), [(1, b"1"), (10, b"a"), (255, b"ff"), (65536, b"10000")])
def test_a_chunk_has_its_size_in_hex_before_it(size: int, line: bytes) -> None:
    out: list[bytes] = []
    data = b"d" * size
    encode.write_chunk(out, data)
    assert b"".join(out) == line + b"\r\n" + data + b"\r\n"
    assert any(piece is data for piece in out)  # large pieces are not copied
