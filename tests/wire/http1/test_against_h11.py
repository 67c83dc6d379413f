"""Generated requests, read by this codec and by h11: both read the same, or both refuse.

Where the two differ, it is on purpose: the tables name each difference, an example, and the rule for it.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import h11
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

Replay = Callable[..., Any]

FIELDS = b"Host: a\r\n\r\n"
GET = b"GET / HTTP/1.1\r\n" + FIELDS
LENGTH = b"POST / HTTP/1.1\r\nContent-Length: 5\r\n"
CHUNKED = b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n" + FIELDS

# What we refuse and h11 does not, by the text of the refusal.
STRICTER: dict[str, tuple[str, bytes]] = {
    "a line feed stands alone, without a carriage return before it": (
        "RFC 9112 §2.2: a recipient MAY end a line at a lone LF; those that do not see other lines",
        b"GET / HTTP/1.1\nHost: a\n\n",
    ),
    "a header line begins with white space (obsolete line folding)": (
        "RFC 9112 §5.2: a server MUST either reject obs-fold or replace it",
        b"GET / HTTP/1.1\r\nX: a\r\n b\r\n" + FIELDS,
    ),
    "a header value has a control character in it": (
        "RFC 9110 §5.5: a recipient MAY keep other controls within a safe context; we know of none",
        b"GET / HTTP/1.1\r\nX: \x01\r\n" + FIELDS,
    ),
    "the request target is empty, or has a character that must be percent-encoded": (
        "RFC 9112 §3.2: no form of a target has a fragment",
        b"GET /#a HTTP/1.1\r\n" + FIELDS,
    ),
    "the request target is neither a path nor an absolute http URI": (
        "RFC 9112 §3.2: a target has one of four forms",
        b"GET a HTTP/1.1\r\n" + FIELDS,
    ),
    "the authority of the request target must be a host with an optional port": (
        "RFC 9110 §4.2.4: userinfo SHOULD be treated as an error",
        b"GET http://a@b/ HTTP/1.1\r\n" + FIELDS,
    ),
    "the Host header is not a host name with an optional port": (
        "RFC 9112 §3.2: an invalid Host MUST be answered with 400",
        b"GET / HTTP/1.1\r\nHost: a/b\r\n\r\n",
    ),
    "the Host header is missing": (
        "RFC 9110 §2.5: a higher minor version is read as HTTP/1.1, also in this",
        b"GET / HTTP/1.2\r\n\r\n",
    ),
    "there is more than one Content-Length header": (
        "RFC 9110 §8.6: a repeated length is to be rejected, or replaced by a single one",
        LENGTH + b"Content-Length: 5\r\n" + FIELDS + b"hello",
    ),
    "the Content-Length is not a decimal number of reasonable size": (
        "RFC 9110 §8.6: so is a list of the same length",
        b"POST / HTTP/1.1\r\nContent-Length: 5, 5\r\n" + FIELDS + b"hello",
    ),
    "Content-Length and Transfer-Encoding exclude each other": (
        "RFC 9112 §6.1: a server MAY reject both together, and ought to fear smuggling",
        LENGTH + b"Transfer-Encoding: chunked\r\n" + FIELDS + b"0\r\n\r\n",
    ),
    "an HTTP/1.0 request cannot have a Transfer-Encoding": (
        "RFC 9112 §6.1: its framing MUST be treated as faulty",
        CHUNKED.replace(b"HTTP/1.1", b"HTTP/1.0") + b"0\r\n\r\n",
    ),
    "the only expectation that can be met is 100-continue": (
        "RFC 9110 §10.1.1: a server MAY answer any other with 417",
        b"GET / HTTP/1.1\r\nExpect: x\r\n" + FIELDS,
    ),
    "this server speaks HTTP/1.1 and HTTP/1.0": (
        "RFC 9110 §15.6.6: a major version that is not spoken",
        b"GET / HTTP/2.0\r\n" + FIELDS,
    ),
    "HTTP/2 is not spoken on this port": (
        "RFC 9113 §3.4: the preface of HTTP/2",
        b"PRI * HTTP/2.0\r\n\r\n",
    ),
    "the method is longer than any that is known": (
        "RFC 9112 §3: such a one SHOULD be answered with 501",
        b"X" * 33 + b" / HTTP/1.1\r\n" + FIELDS,
    ),
    "CONNECT is for proxies, and this is none": (
        "RFC 9110 §9.3.6: its target is an authority, and its success makes a tunnel",
        b"CONNECT a:80 HTTP/1.1\r\n" + FIELDS,
    ),
    "the line of a chunk's size is malformed": (
        "RFC 9112 §7.1.1: no white space but around an extension that is well-formed",
        CHUNKED + b"0 \r\n\r\n",
    ),
    "the extensions of a chunk are longer than is accepted here": (
        "RFC 9112 §7.1.1: the length of extensions SHOULD be limited",
        CHUNKED + b"0;" + b"a" * 1100 + b"\r\n\r\n",
    ),
    "there are more header fields than are accepted here": (
        "RFC 9110 §5.4: a limit is ours to set",
        b"GET / HTTP/1.1\r\n" + b"X: a\r\n" * 100 + FIELDS,
    ),
}

# What h11 refuses and we do not, by the beginning of h11's text.
LENIENT: dict[str, tuple[str, bytes]] = {
    "no request line received": (
        "RFC 9112 §2.2: a server SHOULD ignore at least one empty line before a request",
        b"\r\n" + GET,
    ),
    "illegal chunk header": (
        "RFC 9112 §7.1.1: a recipient MUST parse white space before the semicolon of an extension",
        CHUNKED + b"0 ;a\r\n\r\n",
    ),
}


@dataclass
class Read:
    """A request as it was read; or what was wrong, in `refused`; or neither, if it has not all come."""

    refused: str = ""
    method: str = ""
    target: bytes = b""
    headers: tuple[tuple[bytes, bytes], ...] = ()
    content: bytes = b""


UNFINISHED = Read()


def by_ours(replay: Replay, data: bytes) -> Read:
    told = replay([data])
    if not told.requests:
        return Read(refused=told.text)
    request = told.requests[0]
    target = request.path + b"?" + request.query
    return Read("", request.method, target, tuple(request.headers), request.content)


def by_h11(data: bytes) -> Read:
    connection = h11.Connection(h11.SERVER, max_incomplete_event_size=1 << 20)
    connection.receive_data(data)
    read = UNFINISHED
    try:
        while type(event := connection.next_event()) is not h11.EndOfMessage:
            if type(event) is h11.Request:
                headers = tuple((name, value) for name, value in event.headers)
                read = in_our_words(event.method.decode(), event.target, headers)
            elif type(event) is h11.Data:
                read.content += bytes(event.data)
            else:
                return UNFINISHED
    except h11.RemoteProtocolError as error:
        return Read(refused=str(error))
    return read


def in_our_words(method: str, target: bytes, headers: tuple[tuple[bytes, bytes], ...]) -> Read:
    """What the codec does beyond h11: methods are upper-case (ASGI 13), an authority becomes the Host
    (RFC 9112 §3.2.2).
    """
    absolute = re.fullmatch(rb"(?i:https?)://([^/?#]+)(.*)", target)
    if absolute is not None:
        authority, target = absolute.groups()
        headers = tuple((name, authority if name == b"host" else value) for name, value in headers)
        if b"host" not in dict(headers):  # HTTP/1.0 may leave it out
            headers = ((b"host", authority), *headers)
        target = target or (b"*" if method.upper() == "OPTIONS" else b"/")
        target = target if target[:1] != b"?" else b"/" + target
    path, _, query = target.partition(b"?")
    return Read("", method.upper(), path + b"?" + query, headers)


def lowered(read: Read) -> Read:
    """h11 gives the value of Transfer-Encoding in lower case."""
    headers = [(name, value.lower() if name == b"transfer-encoding" else value) for name, value in read.headers]
    return Read(read.refused, read.method, read.target, tuple(headers), read.content)


def compare(ours: Read, theirs: Read) -> None:
    if ours.refused and theirs.refused:
        return
    if ours.refused:
        # h11 judges nothing before the end of the head has come.
        assert theirs == UNFINISHED or ours.refused in STRICTER
    elif theirs.refused:
        assert theirs.refused.split(":")[0] in LENIENT
    else:
        assert lowered(ours) == theirs


# --- the tables ---


@pytest.mark.parametrize("text", STRICTER)
def test_where_we_are_stricter_there_is_a_rule(replay: Replay, text: str) -> None:
    rule, example = STRICTER[text]
    assert rule.startswith("RFC ")
    assert by_ours(replay, example).refused == text
    theirs = by_h11(example)
    assert not theirs.refused
    assert theirs.method


@pytest.mark.parametrize("text", LENIENT)
def test_where_we_are_more_lenient_there_is_a_rule(replay: Replay, text: str) -> None:
    rule, example = LENIENT[text]
    assert rule.startswith("RFC ")
    assert by_ours(replay, example).method
    assert by_h11(example).refused.split(":")[0] == text


# --- generated requests ---

TOKENS = st.text(st.sampled_from("abcXYZ019-_.!~*'|"), min_size=1, max_size=12).map(str.encode)
METHODS = st.sampled_from([b"GET", b"HEAD", b"POST", b"OPTIONS", b"get", b"CONNECT", b"PRI"]) | TOKENS
TARGETS = st.sampled_from(
    [b"/", b"/a?b=c", b"/?", b"/a??b", b"//a", b"*", b"a", b"/#a", b"http://b", b"http://b/c?d",
    b"HTTPS://b?c", b"http://a@b/", b"http://:80/", b"ftp://a/", b"/%zz", b"/\xe4", b'/"'],
)  # fmt: skip
VERSIONS = st.sampled_from([b"1.1"] * 6 + [b"1.0", b"1.0", b"1.2", b"2.0", b"1", b"1.10"])
VALUES = st.binary(max_size=12) | st.text('abc ,;=\t"', max_size=12).map(str.encode)
LINES = st.sampled_from(
    [b"Connection: close", b"Connection: keep-alive, x", b"connection:", b"Expect: 100-continue",
    b"Expect: x", b"TE: trailers", b"Upgrade: h2c", b"Host: b", b"Host: a b", b"X : a", b" x", b"X",
    b": x", b"X:", b"X:\t a \t", b"Content-Length: 5", b"content-length: 0", b"Content-Length: 5, 5",
    b"Content-Length: +5", b"X: \x01", b"Transfer-Encoding: chunked", b"Transfer-Encoding: Chunked",
    b"Transfer-Encoding: gzip, chunked"],
)  # fmt: skip
GENERATED = st.builds(
    lambda name, space, value: name + b":" + space + value, TOKENS, st.sampled_from([b"", b" "]), VALUES
)
EXTENSIONS = st.sampled_from([b""] * 6 + [b";a", b' ; a = "b"', b";", b" ", b"\t", b";a=b c"])
TRAILERS = st.sampled_from([b""] * 4 + [b"X: a\r\n", b"X:\r\nY: b\r\n", b"X : a\r\n", b"X\r\n"])


@st.composite
def chunked(draw: st.DrawFn) -> bytes:
    coded = b""
    for piece in draw(st.lists(st.binary(min_size=1, max_size=20), max_size=4)):
        zeros = b"0" * draw(st.integers(0, 2))
        coded += zeros + b"%x" % len(piece) + draw(EXTENSIONS) + b"\r\n" + piece + b"\r\n"
    return coded + b"0" + draw(EXTENSIONS) + b"\r\n" + draw(TRAILERS) + b"\r\n"


@st.composite
def requests(draw: st.DrawFn) -> bytes:
    """A request, mostly valid, and another one behind it."""
    lines = draw(st.lists(GENERATED | LINES, max_size=4))
    framing = draw(st.sampled_from(["none", "length", "chunked"]))
    content = draw(chunked() if framing == "chunked" else st.binary(max_size=40))
    if framing == "length":
        lines.append(b"Content-Length: %d" % len(content))
    elif framing == "chunked":
        lines.append(b"Transfer-Encoding: chunked")
    if draw(st.integers(0, 9)):
        lines.append(b"Host: a.example:80")
    line = draw(METHODS) + b" " + draw(TARGETS) + b" HTTP/" + draw(VERSIONS)
    return b"\r\n".join([line, *draw(st.permutations(lines)), b"", content]) + GET


@st.composite
def mutations(draw: st.DrawFn) -> bytes:
    """A request in which a few bytes are wrong."""
    data = draw(requests())
    for _ in range(draw(st.integers(1, 3))):
        at = draw(st.integers(0, len(data)))
        byte = draw(st.sampled_from([b"", b"\r", b"\n", b"\0", b" ", b"\t", b":", b",", b";", b"\x0b", b"\xff", b"0"]))
        data = data[:at] + byte + data[at + draw(st.integers(0, 2)) :]
    return data


@given(requests())
@settings(max_examples=300)
def test_a_request_is_read_as_h11_reads_it(replay: Replay, data: bytes) -> None:
    compare(by_ours(replay, data), by_h11(data))


@given(mutations())
@settings(max_examples=500)
def test_a_request_with_wrong_bytes_is_read_as_h11_reads_it(replay: Replay, data: bytes) -> None:
    compare(by_ours(replay, data), by_h11(data))


@given(st.sampled_from([b"", b"GET ", GET[:-2], LENGTH, CHUNKED]), st.binary(max_size=60))
def test_noise_is_read_as_h11_reads_it(replay: Replay, start: bytes, data: bytes) -> None:
    data = start + data + GET
    compare(by_ours(replay, data), by_h11(data))
