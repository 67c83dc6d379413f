"""Shapes that make two servers disagree about where a request ends.

Each is refused with the status that fits, over a real socket and however it is cut; the connection ends,
and the request behind it never reaches the application.
"""

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from portway.testing import Raw, Served, serve

Replay = Callable[..., Any]

SMUGGLED = b"GET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n"
CODED = b"5\r\nhello\r\n0\r\n\r\n"
LENGTH = b"Content-Length: 5"
CODING = b"Transfer-Encoding: chunked"


def post(*lines: bytes, body: bytes = CODED, version: bytes = b"1.1") -> bytes:
    return b"\r\n".join([b"POST / HTTP/" + version, b"Host: a", *lines, b"", body])


def chunks(coded: bytes) -> bytes:
    return post(CODING, body=coded)


def each(name: str, make: Callable[[bytes], bytes], values: tuple[bytes, ...]) -> dict[str, tuple[int, bytes]]:
    """Shapes that differ in one place."""
    return {f"{name}_{number}_{value[:24]!r}": (400, make(value)) for number, value in enumerate(values)}


HEADS: dict[str, tuple[int, bytes]] = {
    # which of the two framings counts?
    "cl_te": (400, post(LENGTH, CODING)),
    "te_cl": (400, post(CODING, LENGTH)),
    "cl_0_te": (400, post(b"Content-Length: 0", CODING)),
    "te_cl_malformed": (400, post(CODING, b"Content-Length: x")),
    "cl_te_malformed": (400, post(LENGTH, b"Transfer-Encoding: xchunked", body=b"hello")),
    "cl_te_identity": (400, post(LENGTH, b"Transfer-Encoding: identity", body=b"hello")),
    "cl_te_empty": (400, post(LENGTH, b"Transfer-Encoding:", body=b"hello")),
    # which of several counts?
    "cl_cl": (400, post(LENGTH, b"Content-Length: 6", body=b"hello")),
    "cl_cl_same": (400, post(LENGTH, LENGTH, body=b"hello")),
    "cl_cl_other_case": (400, post(LENGTH, b"CONTENT-LENGTH: 0", body=b"hello")),
    "te_te": (400, post(CODING, CODING)),
    "te_te_identity": (400, post(CODING, b"Transfer-Encoding: identity")),
    "te_identity_te": (400, post(b"Transfer-Encoding: identity", CODING)),
    "te_te_other_case": (400, post(CODING, b"transfer-encoding: x")),
    # is the coding chunked?
    **each(
        "te",
        lambda value: post(b"Transfer-Encoding: " + value),
        (
            b"", b"xchunked", b"chunkedx", b"chunke", b"identity", b"gzip", b"chunked, identity", b"chunked,",
            b",chunked", b"chunked, chunked", b"chunked;x=y", b"chunked ;", b'"chunked"', b"'chunked'",
            b"chun ked", b"\x0bchunked", b"\x0cchunked", b"chunked\x0b", b"\xa0chunked", b"\0chunked",
            b"chunked\0", b"ch\0unked", b"\x7fchunked", b"chunked\x08", b"\x1fchunked", b"x, y, chunked",
            b"chunked\xc2\x85", b"\xe1\xa0\x8echunked", b"[chunked]", b"c\xe4unked", b"chunked\r",
            b"\rchunked", b"\nchunked", b"chunked\n", b"\r\n chunked", b"\r\n\tchunked",
            b"identity\r\n , chunked",
        ),
    ),
    "te_gzip_chunked": (501, post(b"Transfer-Encoding: gzip, chunked")),
    "te_identity_chunked": (501, post(b"Transfer-Encoding: identity, chunked")),
    "te_http_1_0": (400, post(CODING, version=b"1.0")),
    "te_http_1_0_keep_alive": (400, post(CODING, b"Connection: keep-alive", version=b"1.0")),
    # is it a header, and which?
    **each(
        "name",
        lambda name: post(name + b": chunked"),
        (
            b"Transfer-Encoding ", b"Transfer-Encoding\t", b" Transfer-Encoding", b"\tTransfer-Encoding",
            b"Transfer-Encoding\x0b", b"Transfer-Encoding\0", b"\0Transfer-Encoding", b"Transfer\0-Encoding",
            b"Transfer Encoding", b"Transfer-Encoding\xa0", b"\xefTransfer-Encoding", b"Transfer-Encoding\r",
            b"Transfer-Encoding\n", b"Transfer-Encoding\r\n ", b"X: y\nTransfer-Encoding",
            b"X: y\rTransfer-Encoding", b"X: y\r\r\nTransfer-Encoding", b"X: y\n\rTransfer-Encoding",
            b"X: y\r\n Transfer-Encoding", b"", b"X: y\r\n\nTransfer-Encoding",
            b"X: y\n\nTransfer-Encoding", b"(Transfer-Encoding)", b'"Transfer-Encoding"',
            b"X\r\nTransfer-Encoding", b"Transfer\x85Encoding", b"\x0bTransfer-Encoding",
            b"X: \0\r\nTransfer-Encoding",
        ),
    ),
    "cl_space": (400, post(b"Content-Length : 5", body=b"hello")),
    "cl_fold": (400, post(b"Content-Length:", b" 5", body=b"hello")),
    "cl_folded_on": (400, post(LENGTH, b" 5", body=b"hello")),
    "cl_lf": (400, post(b"X: y\nContent-Length: 5", body=b"hello")),
    "all_lf": (400, post(LENGTH, body=b"hello").replace(b"\r", b"")),
    "end_lf": (400, post(LENGTH, body=b"hello").replace(b"\r\n\r\n", b"\r\n\n")),
    "end_lf_lf": (400, post(LENGTH, body=b"hello").replace(b"\r\n\r\n", b"\n\n")),
    "end_cr": (400, post(LENGTH, body=b"hello").replace(b"\r\n\r\n", b"\r\n\r\r\n")),
    # how long is it?
    **each(
        "cl",
        lambda value: post(b"Content-Length: " + value, body=b"hello"),
        (
            b"", b"+5", b"-1", b"-0", b"0x5", b"0x10", b"5_0", b"1e1", b"5.0", b"5 ,", b"5, 5", b"5,5",
            b"5, 6", b"5 5", b"five", b"5;", b'"5"', b"\x0b5", b"5\x0b", b"5\0", b"\xb9", b"\xd9\xa5",
            b"9" * 19, b"18446744073709551621", b"4294967301" * 3, b"0" * 30 + b"5", b"5\r\n 0", b"5\n",
            b"(5)", b"5\xa0",
        ),
    ),
    # where does the request-line end, and whose is the request?
    "line_lf": (400, b"GET / HTTP/1.1\nHost: a\r\n\r\n"),
    "line_cr": (400, b"GET / HTTP/1.1\rHost: a\r\n\r\n"),
    "line_crcrlf": (400, b"GET / HTTP/1.1\r\r\nHost: a\r\n\r\n"),
    "line_space": (400, b"GET / HTTP/1.1 \r\nHost: a\r\n\r\n"),
    "line_two_versions": (400, b"GET / HTTP/1.1 HTTP/1.0\r\nHost: a\r\n\r\n"),
    "line_two_spaces": (400, b"GET  / HTTP/1.1\r\nHost: a\r\n\r\n"),
    "line_tab": (400, b"GET\t/ HTTP/1.1\r\nHost: a\r\n\r\n"),
    "line_tab_target": (400, b"GET /\tHTTP/1.1\r\nHost: a\r\n\r\n"),
    "line_ff": (400, b"GET /\x0cHTTP/1.1\r\nHost: a\r\n\r\n"),
    "line_case": (400, b"GET / http/1.1\r\nHost: a\r\n\r\n"),
    "line_0_9": (400, b"GET /\r\n\r\n"),
    "line_version_2": (505, b"GET / HTTP/2.0\r\nHost: a\r\n\r\n"),
    "line_version_long": (400, b"GET / HTTP/1.10\r\nHost: a\r\n\r\n"),
    "line_space_first": (400, b" GET / HTTP/1.1\r\nHost: a\r\n\r\n"),
    "fields_space_first": (400, b"GET / HTTP/1.1\r\n X: y\r\nHost: a\r\n\r\n"),
    "no_host": (400, b"GET / HTTP/1.1\r\n\r\n"),
    "two_hosts": (400, b"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n"),
    "two_hosts_same": (400, b"GET / HTTP/1.1\r\nHost: a\r\nhost: a\r\n\r\n"),
    "two_hosts_http_1_0": (400, b"GET / HTTP/1.0\r\nHost: a\r\nHost: b\r\n\r\n"),
    "host_list": (400, b"GET / HTTP/1.1\r\nHost: a, b\r\n\r\n"),
    "host_user": (400, b"GET / HTTP/1.1\r\nHost: a@b\r\n\r\n"),
    "host_path": (400, b"GET / HTTP/1.1\r\nHost: a/b\r\n\r\n"),
    "host_space": (400, b"GET / HTTP/1.1\r\nHost: a b\r\n\r\n"),
    "host_space_name": (400, b"GET / HTTP/1.1\r\nHost : a\r\n\r\n"),
    "host_absolute_none": (400, b"GET http://a/ HTTP/1.1\r\n\r\n"),
    "host_absolute_two": (400, b"GET http://a/ HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n"),
    "host_absolute_user": (400, b"GET http://a@b/ HTTP/1.1\r\nHost: a\r\n\r\n"),
    "connect": (501, b"CONNECT a:80 HTTP/1.1\r\nHost: a\r\n\r\n"),
    "expect": (417, post(b"Expect: 100-continue, x", LENGTH, body=b"hello")),
}  # fmt: skip

CHUNKS: dict[str, tuple[int, bytes]] = {
    # how long is the chunk?
    **each(
        "size",
        lambda size: chunks(size + b"\r\nhello\r\n0\r\n\r\n"),
        (
            b"", b"+5", b"-1", b"-5", b"0x5", b"0x10", b"5_0", b"0_5", b" 5", b"\t5", b"5 ", b"5\t",
            b"5\x0b", b"5\0", b"5,", b"5.0", b"5h", b"h", b"\x0b5", b"5\r", b"\r5", b"5\r\r", b"5\xa0",
            b'"5"', b"5 5", b"5\x85", b"f" * 16, b"f" * 17, b"10000000000000005", b"100000005" * 2,
            b"0" * 40 + b"5", b"5\n", b"5;\n", b"\n5", b"ffffffffffffffff" * 100,
        ),
    ),
    # where does the extension end?
    **each(
        "extension",
        lambda extension: chunks(b"5" + extension + b"\r\nhello\r\n0\r\n\r\n"),
        (
            b";", b"; ", b";a=", b";=a", b";a\n", b";a\nx", b";a\rx", b";a\r", b";a\r\r", b";\rx", b';a="',
            b';a="\n"', b';a="\r\n', b';a="\x01"', b";a\0", b";a b", b" a", b";a;", b";\x0b", b";a=b=c",
            b";a," , b";" + b"a" * 2000,
        ),
    ),
    "extension_lf_hides_chunk": (400, chunks(b"2;\nxx\r\n4c\r\n0\r\n\r\n")),
    "extension_cr_hides_chunk": (400, chunks(b"2;a\rxx\r\n4c\r\n0\r\n\r\n")),
    # where does the data end?
    "end_missing": (400, chunks(b"5\r\nhello0\r\n\r\n")),
    "end_lf": (400, chunks(b"5\r\nhello\n0\r\n\r\n")),
    "end_cr": (400, chunks(b"5\r\nhello\r0\r\n\r\n")),
    "end_any_two": (400, chunks(b"5\r\nhelloXX0\r\n\r\n")),
    "end_space": (400, chunks(b"5\r\nhello \r\n0\r\n\r\n")),
    "end_crcrlf": (400, chunks(b"5\r\nhello\r\r\n0\r\n\r\n")),
    "end_crlfcrlf": (400, chunks(b"5\r\nhello\r\n\r\n0\r\n\r\n")),
    "size_lf_data": (400, chunks(b"5\nhello\r\n0\r\n\r\n")),
    # which chunk is the last, and where do the trailers end?
    "last_lf": (400, chunks(b"5\r\nhello\r\n0\n\r\n")),
    "last_lf_lf": (400, chunks(b"5\r\nhello\r\n0\n\n")),
    "last_end_lf": (400, chunks(b"5\r\nhello\r\n0\r\n\n")),
    "last_end_cr": (400, chunks(b"5\r\nhello\r\n0\r\n\r")),
    "last_missing_end": (400, chunks(b"5\r\nhello\r\n0\r\n")),
    "last_x": (400, chunks(b"5\r\nhello\r\n0x\r\n\r\n")),
    "last_minus": (400, chunks(b"5\r\nhello\r\n-0\r\n\r\n")),
    "trailer_space": (400, chunks(b"0\r\nX : y\r\n\r\n")),
    "trailer_fold": (400, chunks(b"0\r\nX: y\r\n z\r\n\r\n")),
    "trailer_lf": (400, chunks(b"0\r\nX: y\n\r\n")),
    "trailer_cr": (400, chunks(b"0\r\nX: y\rZ: z\r\n\r\n")),
    "trailer_nul": (400, chunks(b"0\r\nX: \0\r\n\r\n")),
    "trailer_no_colon": (400, chunks(b"0\r\nX\r\n\r\n")),
}  # fmt: skip

SHAPES = [pytest.param(data, status, id=name) for name, (status, data) in (HEADS | CHUNKS).items()]

# What looks like one of them, and has one reading only: the content, and then the next request.
HARMLESS = {
    "tab_before_chunked": (post(b"Transfer-Encoding:\tchunked\t "), b"hello"),
    "no_space": (post(b"Transfer-Encoding:chunked"), b"hello"),
    "upper_case": (post(b"TRANSFER-ENCODING: CHUNKED"), b"hello"),
    "underscore": (post(b"Transfer_Encoding: chunked", LENGTH, body=b"hello"), b"hello"),
    "prefix": (post(b"X-Transfer-Encoding: chunked", LENGTH, body=b"hello"), b"hello"),
    "suffix": (post(b"Content-Length-X: 9", LENGTH, body=b"hello"), b"hello"),
    "te_header": (post(b"TE: chunked", LENGTH, body=b"hello"), b"hello"),
    "zeros": (post(b"Content-Length: 0005", body=b"hello"), b"hello"),
    "length_covers": (post(b"Content-Length: %d" % len(SMUGGLED), body=SMUGGLED), SMUGGLED),
    "chunk_covers": (chunks(b"%x\r\n%b\r\n0\r\n\r\n" % (len(SMUGGLED), SMUGGLED)), SMUGGLED),
    "get_with_body": (post(LENGTH, body=b"hello").replace(b"POST", b"GET"), b"hello"),
    "trailer_length": (chunks(b"5\r\nhello\r\n0\r\nContent-Length: 99\r\n\r\n"), b"hello"),
    "trailer_coding": (chunks(b"5\r\nhello\r\n0\r\nTransfer-Encoding: x\r\n\r\n"), b"hello"),
}  # fmt: skip


class Recorder:
    """An application that notes the path and the content of each request, and answers with the content."""

    def __init__(self) -> None:
        self.seen: list[tuple[str, bytes]] = []

    async def __call__(self, scope: dict[str, Any], receive: Any, send: Any) -> None:
        if scope["type"] != "http":
            raise RuntimeError("no lifespan here")
        content = b""
        while scope["path"] != "/unread":
            message = await receive()
            content += message.get("body", b"")
            if not message.get("more_body"):
                break
        self.seen.append((scope["path"], content))
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": content})


@pytest.fixture(scope="module")
def recorder() -> Recorder:
    return Recorder()


@pytest.fixture(scope="module")
def served(recorder: Recorder) -> Iterator[Served]:
    with serve(recorder) as server:
        yield server


@pytest.mark.parametrize(("data", "status"), SHAPES)
def test_a_shape_is_refused_and_nothing_behind_it_is_served(
    served: Served, recorder: Recorder, data: bytes, status: int
) -> None:
    recorder.seen.clear()
    with Raw(served.host, served.port) as raw:
        response = raw.ask(data + SMUGGLED)
        assert (response.status, response.header("connection")) == (status, "close")
        assert response.header("content-type") == "text/plain; charset=utf-8"
        assert response.body.endswith(b"\n")
        assert raw.rest() == b""
    assert "/smuggled" not in [path for path, _ in recorder.seen]


@pytest.mark.parametrize(("data", "status"), SHAPES)
def test_a_shape_is_refused_alike_however_it_is_cut(replay: Replay, data: bytes, status: int) -> None:
    data += SMUGGLED
    whole = replay([data])
    assert (whole.status, whole.requests) == (status, [])
    assert replay([bytes([byte]) for byte in data]) == whole
    for at in range(1, len(data), max(1, len(data) // 200)):
        assert replay([data[:at], data[at:]]) == whole, at


@pytest.mark.parametrize(("data", "status"), SHAPES)
def test_a_shape_behind_a_good_request_is_refused_after_its_response(replay: Replay, data: bytes, status: int) -> None:
    told = replay([SMUGGLED + data + SMUGGLED])
    assert (told.status, len(told.requests)) == (status, 1)
    assert told.written.startswith(b"HTTP/1.1 200 OK\r\n")
    assert b"\r\n\r\nokHTTP/1.1 %d " % status in told.written


@pytest.mark.parametrize(("data", "content"), HARMLESS.values(), ids=HARMLESS)
def test_a_shape_with_one_reading_is_read_so(served: Served, recorder: Recorder, data: bytes, content: bytes) -> None:
    recorder.seen.clear()
    with Raw(served.host, served.port) as raw:
        assert raw.ask(data + b"GET /next HTTP/1.1\r\nHost: a\r\n\r\n").body == content
        assert raw.response().status == 200
    assert recorder.seen == [("/", content), ("/next", b"")]


@pytest.mark.parametrize(
    "lines",
    [
        [b"Content-Length: %d" % len(SMUGGLED)],
        [b"Content-Length: %d" % len(SMUGGLED), b"Expect: 100-continue"],
        [b"Content-Length: %d" % (1 << 20)],
    ],
    ids=["small", "expected", "large"],
)
def test_content_that_no_one_read_is_never_a_request(served: Served, recorder: Recorder, lines: list[bytes]) -> None:
    recorder.seen.clear()
    with Raw(served.host, served.port) as raw:
        assert raw.ask(post(*lines, body=SMUGGLED).replace(b"/ ", b"/unread ", 1)).status == 200
        raw.send(b"GET /next HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
        raw.rest()
    assert [path for path, _ in recorder.seen if path != "/next"] == ["/unread"]


def test_chunks_that_no_one_read_are_never_a_request(served: Served, recorder: Recorder) -> None:
    recorder.seen.clear()
    with Raw(served.host, served.port) as raw:
        raw.send(chunks(b"").replace(b"/ ", b"/unread ", 1))
        assert raw.response().status == 200
        raw.send(b"%x\r\n%b\r\n0\r\n\r\n" % (len(SMUGGLED), SMUGGLED) + SMUGGLED)
        assert raw.rest() == b""
    assert [path for path, _ in recorder.seen] == ["/unread"]
