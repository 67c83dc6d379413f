"""Where the network cuts a conversation must not change what it says."""

from collections.abc import Callable
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from portway.wire.port import Limits

Replay = Callable[..., Any]

GET = b"GET /?a=b HTTP/1.1\r\nHost: a\r\n\r\n"
OLD = b"GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n"
POST = b"POST /form HTTP/1.1\r\nHost: a\r\nContent-Length: 12\r\n\r\nhello\r\nworld"
CHUNKED = (
    b"PUT /c HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
    b'5;x="y"\r\nhello\r\n00007\r\n\r\nworld\r\n0\r\nX-T: a\r\nY:\r\n\r\n'
)
FORMS = (
    b"OPTIONS * HTTP/1.1\r\nHost:a\r\nX: \t b c\t \r\n\r\n"
    b"get http://b:80/c?d HTTP/1.1\r\nHost: a\r\nCookie: \xe4;  \r\n\r\n"
)

VALID = {
    "one": GET,
    "body": POST,
    "chunked": CHUNKED,
    "forms": FORMS,
    "http_1_0": OLD + OLD,
    "empty_lines": b"\r\n" + GET + b"\r\n\r\n" + POST + b"\r\n",
    "pipelined": GET + POST + CHUNKED + FORMS + GET,
    "closing": OLD + b"GET / HTTP/1.0\r\n\r\n" + GET + b"\0\r\n",
    "unfinished_head": GET + GET[:-1],
    "unfinished_body": GET + POST[:-1],
    "unfinished_chunk": GET + CHUNKED[:-40],
    "unfinished_trailers": GET + CHUNKED[:-2],
}

# Each ends its lines, since a fault may wait for the end of its line; and each is followed by a request.
INVALID = {
    "tls": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n",
    "start": b"GET(/ HTTP/1.1\r\nHost: a\r\n\r\n",
    "method": b"X" * 40 + b" / HTTP/1.1\r\nHost: a\r\n\r\n",
    "target": b"GET /a\tb HTTP/1.1\r\nHost: a\r\n\r\n",
    "form": b"GET a HTTP/1.1\r\nHost: a\r\n\r\n",
    "http_0_9": b"GET /\r\n",
    "version": b"GET / HTTQ/1.1\r\nHost: a\r\n\r\n",
    "version_word": b"GET / XYZ\nHost: a\r\n\r\n",
    "version_short": b"GET / HTTP/1\r\nHost: a\r\n\r\n",
    "version_2": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    "version_lf": b"GET / HTTP/1.1\nHost: a\r\n\r\n",
    "version_cr": b"GET / HTTP/1.1\rHost: a\r\n\r\n",
    "colon": b"GET / HTTP/1.1\r\nHost : a\r\n\r\n",
    "fold": b"GET / HTTP/1.1\r\nHost: a\r\n b\r\n\r\n",
    "name": b"GET / HTTP/1.1\r\nHo(st: a\r\n\r\n",
    "no_colon": b"GET / HTTP/1.1\r\nHost\r\n\r\n",
    "value": b"GET / HTTP/1.1\r\nHost: a\r\nX: \0\r\n\r\n",
    "value_lf": b"GET / HTTP/1.1\r\nHost: a\nX: b\r\n\r\n",
    "value_cr": b"GET / HTTP/1.1\r\nHost: a\rX: b\r\n\r\n",
    "end_lf": b"GET / HTTP/1.1\r\nHost: a\r\n\n",
    "end_cr": b"GET / HTTP/1.1\r\nHost: a\r\n\rX\r\n",
    "no_host": b"GET / HTTP/1.1\r\nX: a\r\n\r\n",
    "length": POST.replace(b"12", b"1_2"),
    "coding": CHUNKED.replace(b"chunked", b"xchunked"),
    "both": CHUNKED.replace(b"Host: a", b"Host: a\r\nContent-Length: 5"),
    "size": CHUNKED.replace(b"5;", b"0x5;"),
    "size_lf": CHUNKED.replace(b'"y"\r', b'"y"'),
    "extension": CHUNKED.replace(b'"y"', b'"y'),
    "chunk_end": CHUNKED.replace(b"hello\r", b"hello"),
    "chunk_cr": CHUNKED.replace(b"hello\r\n", b"hello\r\r\n"),
    "trailer": CHUNKED.replace(b"X-T:", b"X-T :"),
    "trailer_lf": CHUNKED.replace(b"Y:\r", b"Y:"),
    "empty_lines": b"\r\n" * 5,
    "empty_cr": b"\r\rGET / HTTP/1.1\r\nHost: a\r\n\r\n",
}

LIMITS = Limits(line=100, head=300, fields=5, body=50)
BEYOND = {
    "line": b"GET /" + b"a" * 100 + b" HTTP/1.1\r\nHost: a\r\n\r\n",
    "line_and_more": b"GET /" + b"a" * 100 + b"\0 HTTP/1.1\r\nHost: a\r\n\r\n",
    "head": b"GET / HTTP/1.1\r\nHost: a\r\nX: " + b"a" * 300 + b"\r\n\r\n",
    "head_and_more": b"GET / HTTP/1.1\r\nHost: a\r\nX: " + b"a" * 300 + b"\0\r\n\r\n",
    "heads_of_lines": b"GET / HTTP/1.1\r\nHost: a\r\n" + (b"X: " + b"a" * 95 + b"\r\n") * 3 + b"\0\r\n\r\n",
    "fields": b"GET / HTTP/1.1\r\nHost: a\r\n" + b"X: a\r\n" * 5 + b"\0\r\n\r\n",
    "length": b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 51\r\n\r\n",
    "chunks": b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n20\r\n" + b"a" * 32 + b"\r\n20\r\n",
    "trailers": CHUNKED.replace(b"X-T: a", b"X: " + b"a" * 300),
    "extension": CHUNKED.replace(b'"y"', b"a" * 1100),
    "framing": CHUNKED.replace(b'5;x="y"\r\nhello\r\n', (b"1;" + b"e" * 1000 + b"\r\na\r\n") * 20),
}

ALL = (
    [pytest.param(data, Limits(), False, id=name) for name, data in VALID.items()]
    + [pytest.param(data + GET, Limits(), True, id=f"not_{name}") for name, data in INVALID.items()]
    + [pytest.param(GET + data + GET, LIMITS, True, id=f"too_much_{name}") for name, data in BEYOND.items()]
)


def cut(data: bytes, places: list[int]) -> list[bytes]:
    bounds = [0, *sorted(places), len(data)]
    return [data[one:two] for one, two in pairwise(bounds)]


@pytest.mark.parametrize(("data", "limits", "wrong"), ALL)
def test_a_conversation_is_the_same_cut_in_two_anywhere(
    replay: Replay, data: bytes, limits: Limits, wrong: bool
) -> None:
    whole = replay([data], limits)
    assert bool(whole.status) is wrong
    step = max(1, len(data) // 500)
    for at in range(0, len(data) + 1, step):
        assert replay(cut(data, [at]), limits) == whole, at


@pytest.mark.parametrize("size", [1, 2, 3, 7])
@pytest.mark.parametrize(("data", "limits", "wrong"), ALL)
def test_a_conversation_is_the_same_in_small_pieces(
    replay: Replay, data: bytes, limits: Limits, wrong: bool, size: int
) -> None:
    pieces = [data[at : at + size] for at in range(0, len(data), size)]
    assert replay(pieces, limits) == replay([data], limits)


@given(st.data())
def test_a_conversation_is_the_same_cut_anywhere(replay: Replay, data: st.DataObject) -> None:
    texts = st.sampled_from([*VALID.values(), *INVALID.values()])
    text = b"".join(data.draw(st.lists(texts, min_size=1, max_size=4))) + GET
    places = data.draw(st.lists(st.integers(0, len(text)), max_size=8))
    assert replay(cut(text, places)) == replay([text])


@given(st.data())
def test_a_conversation_with_a_wrong_byte_is_the_same_cut_anywhere(replay: Replay, data: st.DataObject) -> None:
    text = data.draw(st.sampled_from([VALID["pipelined"], VALID["empty_lines"], CHUNKED, FORMS, POST]))
    at = data.draw(st.integers(0, len(text) - 1))
    byte = data.draw(st.sampled_from([b"", b"\r", b"\n", b"\0", b" ", b"\t", b":", b"\x0b", b"\xff", b"5", b"x"]))
    text = text[:at] + byte + text[at + data.draw(st.integers(0, 1)) :] + GET
    places = data.draw(st.lists(st.integers(0, len(text)), max_size=8))
    assert replay(cut(text, places)) == replay([text])
