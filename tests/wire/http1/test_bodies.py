"""The chunked transfer coding, taken off: sizes, extensions, trailers, and what a sender may spend."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from portway.wire.faults import ProtocolFault
from portway.wire.http1.bodies import Chunked
from portway.wire.port import Limits

LIMITS = Limits()
FREE = 16  # bytes of framing that each chunk may have
MOST = 16 * 1024  # bytes of framing beyond that, for a whole body
MALFORMED = "the line of a chunk's size is malformed"


def feed(data: bytes, limits: Limits = LIMITS) -> tuple[bytes, int, bool]:
    """The content, where reading stopped, and whether the body is whole."""
    chunked = Chunked(limits)
    content: list[bytes] = []
    at = chunked.feed(data, 0, content)
    return b"".join(content), at, chunked.done


def whole(data: bytes, limits: Limits = LIMITS) -> bytes:
    content, at, done = feed(data, limits)
    assert done
    assert at == len(data)
    return content


def refused(data: bytes, limits: Limits = LIMITS) -> tuple[int, str]:
    with pytest.raises(ProtocolFault) as caught:
        feed(data, limits)
    assert "\n" not in caught.value.text
    return caught.value.status, caught.value.text


def drip(data: bytes, limits: Limits = LIMITS) -> tuple[bytes, bytes, bool]:
    """As `feed`, byte by byte, with what was not read brought again as the codec does; what was left."""
    chunked = Chunked(limits)
    content: list[bytes] = []
    kept = b""
    for i in range(len(data)):
        if chunked.done:
            return b"".join(content), kept + data[i:], True
        kept += data[i : i + 1]
        kept = kept[chunked.feed(kept, 0, content) :]
    return b"".join(content), kept, chunked.done


# --- sizes ---


@pytest.mark.parametrize(
    ("data", "content"),
    [
        (b"0\r\n\r\n", b""),
        (b"5\r\nhello\r\n0\r\n\r\n", b"hello"),
        (b"3\r\nhel\r\n2\r\nlo\r\n0\r\n\r\n", b"hello"),
        (b"a\r\n0123456789\r\n0\r\n\r\n", b"0123456789"),
        (b"A\r\n0123456789\r\n00\r\n\r\n", b"0123456789"),
        (b"000000000000005\r\nhello\r\n000\r\n\r\n", b"hello"),
        (b"2\r\n\r\n\r\n0\r\n\r\n", b"\r\n"),
        (b"5\r\n0\r\n\r\n\r\n0\r\n\r\n", b"0\r\n\r\n"),
    ],
)
def test_chunks_become_content(data: bytes, content: bytes) -> None:
    assert whole(data) == content
    assert drip(data) == (content, b"", True)


def test_what_follows_the_last_chunk_is_left_alone() -> None:
    assert feed(b"1\r\na\r\n0\r\n\r\nGET / HTTP/1.1\r\n") == (b"a", 11, True)
    assert feed(b"0\r\n\r\n\r\n") == (b"", 5, True)


def test_reading_may_begin_anywhere() -> None:
    chunked = Chunked(LIMITS)
    content: list[bytes] = []
    assert chunked.feed(b"GET5\r\nhello\r\n0\r\n\r\n", 3, content) == 18
    assert (b"".join(content), chunked.done) == (b"hello", True)


@pytest.mark.parametrize(
    "line",
    [
        b"+5", b"-5", b"-0", b"0x5", b"0X5", b"5_0", b"5 ", b"5\t", b"5 ;", b"5.", b"5,", b"5h", b"5\0",
        b"5\x0b", b"5\r", b"5\r\r", b"5\xb2", b"0000000000000005", b"1" + b"0" * 16, b"f" * 16, b"f" * 17,
        b"f" * 500, b"0 ", b"0_", b"5;", b"5; ", b"5;;a", b"5;=a", b"5;a=", b"5;a b", b"5 a", b"5;a=b c",
        b'5;a="', b'5;a="b', b'5;a="\\"', b'5;a="b"c', b"5;a\0", b"5;a=\x7f", b"5;a\r;b", b"5;\xe4=1",
        b"5;a:b", b'5;"a"', b"5;a=b;", b'5;a="\x01"',
    ],
)  # fmt: skip
def test_a_size_line_that_could_be_read_two_ways_is_refused(line: bytes) -> None:
    text = "a chunk has no size" if line[:1] in b"+-" else MALFORMED
    for end in (b"\r\nhello\r\n0\r\n\r\n", b"\r\nhello"):
        assert refused(line + end) == (400, text)


@pytest.mark.parametrize("line", [b"", b" 5", b"\t5", b"g", b"x5", b";a", b"\r", b"\0", b"\x0b5", b"\xd9\xa5"])
def test_a_chunk_without_a_size_is_refused(line: bytes) -> None:
    assert refused(line + b"\r\nhello\r\n0\r\n\r\n") == (400, "a chunk has no size")
    assert refused(b"1\r\na\r\n" + line + b"\r\n") == (400, "a chunk has no size")


@pytest.mark.parametrize("data", [b"5\nhello\r\n0\r\n\r\n", b"5;a\nhello\r\n0\r\n\r\n", b"5\n", b"0\n\r\n", b"0\n\n"])
def test_a_bare_line_feed_after_a_size_is_refused(data: bytes) -> None:
    assert refused(data + b" ") == (400, MALFORMED)


@pytest.mark.parametrize(
    "end",
    [b"\n0\r\n\r\n", b"0\r\n\r\n", b"\r0\r\n\r\n", b" \r\n0\r\n\r\n", b"XX0\r\n\r\n", b"\r\r\n", b"!", b"\n"],
)
def test_a_chunk_must_be_followed_by_its_crlf(end: bytes) -> None:
    assert refused(b"5\r\nhello" + end) == (400, "a chunk is not followed by a CRLF")


def test_a_size_that_no_one_has_is_only_a_number() -> None:
    content, at, done = feed(b"f" * 15 + b"\r\nhello")
    assert (content, at, done) == (b"hello", 22, False)


# --- extensions ---


@pytest.mark.parametrize(
    "extension",
    [
        b";a", b";a=b", b";a=b;c=d", b";a;b;c", b' ; a = "b c" ; d', b'\t;\ta\t=\t"\\"\\\\"', b';a=""',
        b";a=1;a=1", b';a="\t\xe4;=,"',
    ],
)  # fmt: skip
def test_extensions_of_the_grammar_are_read_over(extension: bytes) -> None:
    # RFC 9112 §7.1.1
    data = b"5" + extension + b"\r\nhello\r\n0" + extension + b"\r\n\r\n"
    assert whole(data) == b"hello"
    assert drip(data) == (b"hello", b"", True)


def test_extensions_have_an_end() -> None:
    fits = b"5;" + b"a" * 1020 + b"\r\n"  # with the LF, 1024 bytes behind the size
    assert feed(fits + b"hello")[0] == b"hello"
    text = "the extensions of a chunk are longer than is accepted here"
    assert refused(b"5;" + b"a" * 1022 + b"\r\nhello") == (400, text)
    assert refused(b"5;" + b"a" * 1023) == (400, text)
    assert feed(b"5;" + b"a" * 1022)[1:] == (0, False)


@pytest.mark.parametrize(
    "extension",
    [
        b";a" * 500,
        b";" + b"a" * 1000,
        b'; a = "' + b"\\x" * 490,
        b";" + b" " * 1000,
        b";a=" + b"\t " * 500,
        b'";' * 500,
    ],
)
def test_a_malformed_extension_is_refused_soon(extension: bytes) -> None:
    # Were the pattern to try each way of reading it, this would not end.
    assert refused(b"5" + extension + b"\0\r\n") == (400, MALFORMED)


# --- overhead ---


def test_a_body_of_single_bytes_is_accepted() -> None:
    assert len(whole(b"1\r\na\r\n" * 20_000 + b"0\r\n\r\n")) == 20_000


def test_framing_that_its_data_pays_for_is_free() -> None:
    chunk = b"64;" + b"e" * 200 + b"\r\n" + b"d" * 100 + b"\r\n"  # 205 bytes of 16 + 200
    assert len(whole(chunk * 1000 + b"0\r\n\r\n")) == 100_000


def test_more_framing_than_data_is_refused_at_its_bound() -> None:
    # (Go's CVE-2023-39326)
    free = b"1;" + b"e" * (FREE - 2) + b"\r\na\r\n"  # a line of 16 bytes and two for its byte of data
    costs_one = free.replace(b";", b";e")
    text = "the chunks carry more framing than data"
    assert len(feed(free * (MOST + 1))[0]) == MOST + 1
    assert len(feed(costs_one * MOST)[0]) == MOST
    assert refused(costs_one * (MOST + 1)) == (400, text)
    assert refused((b"1;" + b"e" * 1012 + b"\r\na\r\n") * 17) == (400, text)


def test_data_pays_for_framing_only_once() -> None:
    # An honest beginning buys no right to waste.
    honest = b"ffff\r\n" + b"d" * 0xFFFF + b"\r\n"
    chunk = b"1;" + b"e" * 1012 + b"\r\na\r\n"
    assert refused(honest + chunk * 17)[1] == "the chunks carry more framing than data"
    assert feed(honest + chunk * 16 + honest + chunk * 16)[2] is False


# --- trailers ---


@pytest.mark.parametrize(
    "trailers",
    [b"X-A: b\r\n", b"a:\r\nb: c\r\n", b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\nHost: x\r\n"],
)
def test_trailers_are_checked_and_dropped(trailers: bytes) -> None:
    # RFC 9110 §6.5.1
    data = b"5\r\nhello\r\n0\r\n" + trailers + b"\r\n"
    assert whole(data) == b"hello"
    assert drip(data + b"GET") == (b"hello", b"GET", True)


@pytest.mark.parametrize(
    ("trailers", "text"),
    [
        (b"X : b\r\n\r\n", "there is white space before the colon of a header"),
        (b" X: b\r\n\r\n", "a header line begins with white space (obsolete line folding)"),
        (b"X: b\n\r\n", "a line feed stands alone, without a carriage return before it"),
        (b"\n", "a line feed stands alone, without a carriage return before it"),
        (b"X: b\rc\r\n\r\n", "a carriage return stands alone, without a line feed"),
        (b"\rX", "a carriage return stands alone, without a line feed"),
        (b"X: b\0\r\n\r\n", "a header value has a control character in it"),
        (b"GET / HTTP/1.1\r\n\r\n", "there is white space before the colon of a header"),
        (b"hello\r\n\r\n", "a header name is empty, or is no token"),
    ],
)
def test_trailers_are_as_strict_as_headers(trailers: bytes, text: str) -> None:
    assert refused(b"0\r\n" + trailers) == (400, text)


def test_trailers_have_the_limits_of_headers() -> None:
    limits = Limits(head=64, fields=2)
    assert whole(b"0\r\na: b\r\na: b\r\n\r\n", limits) == b""
    assert refused(b"0\r\na: b\r\na: b\r\na: b\r\n\r\n", limits)[0] == 431
    fits = b"X: " + b"a" * 57 + b"\r\n\r\n"
    assert whole(b"0\r\n" + fits, limits) == b""
    assert refused(b"0\r\n" + b"a" + fits, limits)[0] == 431
    assert refused(b"0\r\n" + b"a" * 65, limits)[0] == 431
    assert refused(b"1000\r\n" + b"a" * 4096 + b"\r\n0\r\n" + b"a" + fits, limits)[0] == 431


# --- limits ---


def test_a_body_larger_than_the_limit_is_refused_by_its_sizes() -> None:
    limits = Limits(body=10)
    larger = (413, "the body is larger than is accepted here")
    assert whole(b"a\r\n0123456789\r\n0\r\n\r\n", limits) == b"0123456789"
    assert refused(b"b\r\n", limits) == larger
    assert refused(b"5\r\nhello\r\n6\r\n", limits) == larger
    assert refused(b"f" * 15 + b"\r\n", limits) == larger


# --- what comes in pieces ---

SIZES = st.binary(min_size=1, max_size=30)
EXTENSIONS = st.sampled_from([b"", b"", b";a", b" ; a = b", b';a="b\\"c"'])


@st.composite
def bodies(draw: st.DrawFn) -> tuple[bytes, bytes]:
    """A coded body and its content."""
    pieces = draw(st.lists(SIZES, max_size=5))
    coded = b""
    for piece in pieces:
        size = b"%x" % len(piece)
        size = size.rjust(draw(st.integers(0, 6)), b"0")
        coded += size + draw(EXTENSIONS) + b"\r\n" + piece + b"\r\n"
    trailers = draw(st.sampled_from([b"", b"a: b\r\n", b"a:\r\nb: c d\r\n"]))
    return coded + b"0" + draw(EXTENSIONS) + b"\r\n" + trailers + b"\r\n", b"".join(pieces)


@given(bodies(), st.binary(max_size=5))
def test_a_body_is_the_same_in_one_piece_and_byte_by_byte(body: tuple[bytes, bytes], after: bytes) -> None:
    coded, content = body
    assert feed(coded + after) == (content, len(coded), True)
    assert drip(coded + after) == (content, after, True)


@given(bodies())
def test_no_beginning_of_a_body_is_whole(body: tuple[bytes, bytes]) -> None:
    coded, content = body
    for size in range(len(coded)):
        found, _, done = feed(coded[:size])
        assert not done
        assert content.startswith(found)
