"""Conversations with the codec, their side: what the peer sends becomes events, however it comes."""

from typing import Any

import pytest

from portway.wire import fields
from portway.wire.events import Body, Head, Reset
from portway.wire.faults import ProtocolFault
from portway.wire.http1.codec import Codec
from portway.wire.http1.encode import Preamble
from portway.wire.port import Limits

GET = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"
POST = b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\n"
CHUNKED = b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"

PIPELINE = 16 * 1024
DRAIN = 64 * 1024

# By number; where it is compiled, C has the names.
WAITS = ["FOR_REQUEST", "FOR_HEAD", "FOR_BODY", "FOR_US", "FOR_END"]

OK = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"
OK_CLOSE = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\nconnection: close\r\n\r\nok"


def start(data: bytes = b"", **limits: int) -> Codec:
    codec = Codec(Limits(**limits), Preamble())
    if data:
        codec.receive(data)
    return codec


def respond(
    codec: Codec, body: bytes = b"ok", *headers: tuple[bytes, bytes], status: int = 200, end: bool = True
) -> bytes:
    codec.respond(status, fields.outgoing(headers), body, end)
    return b"".join(codec.take())


def sent(codec: Codec, body: bytes, end: bool) -> bytes:
    codec.body(body, end)
    return b"".join(codec.take())


def told(found: list[Any]) -> list[tuple[Any, ...]]:
    """Events as tuples."""
    parts: dict[type, tuple[str, ...]] = {
        Head: ("stream", "method", "path", "end"),
        Body: ("stream", "data", "end"),
        Reset: ("stream", "reason"),
    }
    return [tuple(getattr(event, name) for name in parts[type(event)]) for event in found]


def wait(codec: Codec) -> str:
    return WAITS[codec.waiting()]


def fault(codec: Codec, *pieces: bytes) -> ProtocolFault:
    """The fault that one of these brings; what comes after it is not sent."""
    with pytest.raises(ProtocolFault) as caught:
        for piece in pieces:
            codec.receive(piece)
    return caught.value


# --- one request after the other ---


def test_a_request_and_its_response() -> None:
    codec = start()
    assert repr(codec) == "<HTTP/1 theirs=HEAD ours=IDLE requests=0 kept=0>"
    assert told(codec.receive(GET)) == [(1, "GET", b"/", True)]
    assert repr(codec) == "<HTTP/1 theirs=FINISHED ours=OWED requests=1 kept=0>"
    assert codec.take() == []
    assert respond(codec) == OK
    assert repr(codec) == "<HTTP/1 theirs=FINISHED ours=SENT requests=1 kept=0>"
    assert not codec.turn()
    assert repr(codec) == "<HTTP/1 theirs=HEAD ours=IDLE requests=1 kept=0>"
    assert not codec.closing


def test_requests_are_numbered_on_their_connection() -> None:
    codec = start()
    for number in (1, 2, 3):
        assert told(codec.receive(GET)) == [(number, "GET", b"/", True)]
        respond(codec)
        codec.turn()
    assert codec.requests == 3


def test_a_head_may_come_in_pieces() -> None:
    codec = start()
    assert codec.receive(GET[:5]) == []
    assert repr(codec) == "<HTTP/1 theirs=HEAD ours=IDLE requests=0 kept=5>"
    assert codec.receive(GET[5:-1]) == []
    assert told(codec.receive(GET[-1:])) == [(1, "GET", b"/", True)]


def test_a_head_is_read_again_only_when_a_line_of_it_has_ended() -> None:
    # Else each of an attacker's single bytes would cost as much as all before it.
    codec = start(b"GET / HTTP/1.1\r\nX: a")
    for _ in range(3):
        assert codec.receive(b"\0") == []
    with pytest.raises(ProtocolFault, match="control character"):
        codec.receive(b"\n")


def test_trailers_are_read_again_only_when_a_line_of_them_has_ended() -> None:
    codec = start(CHUNKED + b"0\r\nX: a")
    for _ in range(3):
        assert codec.receive(b"\0") == []
    with pytest.raises(ProtocolFault, match="control character"):
        codec.receive(b"\n")


@pytest.mark.parametrize(
    ("begun", "more", "status"),
    [
        (b"GET /", b"a" * 200, 414),
        (b"GET / HTTP/1.1\r\nX: ", b"a" * 400, 431),
        (CHUNKED + b"0\r\nX: ", b"a" * 400, 431),
    ],
)
def test_what_is_kept_is_never_more_than_its_limit(begun: bytes, more: bytes, status: int) -> None:
    for size in (1, 7, 400):
        codec = start(begun, line=100, head=300)
        assert fault(codec, *(more[at : at + size] for at in range(0, len(more), size))).status == status


@pytest.mark.parametrize("lines", [b"\r\n", b"\r\n\r\n\r\n\r\n"])
def test_a_few_empty_lines_before_a_request_are_skipped(lines: bytes) -> None:
    # RFC 9112 §2.2
    codec = start()
    for number in (1, 2):
        assert told(codec.receive(lines + GET)) == [(number, "GET", b"/", True)]
        respond(codec)
        codec.turn()
    for i in range(len(lines)):
        assert codec.receive(lines[i : i + 1]) == []
    assert told(codec.receive(GET)) == [(3, "GET", b"/", True)]


@pytest.mark.parametrize("size", [1, 2, 3, 10])
def test_many_empty_lines_are_refused_however_they_come(size: int) -> None:
    data = b"\r\n" * 5
    found = fault(start(), *(data[at : at + size] for at in range(0, len(data), size)))
    assert found.text == "there are empty lines where a request should begin"


def test_an_empty_line_is_no_beginning_of_a_request() -> None:
    codec = start(b"\r\n")
    assert codec.idle()
    assert not codec.begun()
    with pytest.raises(ProtocolFault, match="a carriage return stands alone"):
        codec.receive(b"\rGET / HTTP/1.1\r\n")


# --- bodies ---


def test_a_body_of_known_length_ends_with_its_last_byte() -> None:
    codec = start()
    assert told(codec.receive(POST + b"he")) == [(1, "POST", b"/", False), (1, b"he", False)]
    assert repr(codec) == "<HTTP/1 theirs=BODY ours=OWED requests=1 kept=0>"
    assert told(codec.receive(b"l")) == [(1, b"l", False)]
    assert told(codec.receive(b"loGET")) == [(1, b"lo", True)]
    assert repr(codec) == "<HTTP/1 theirs=FINISHED ours=OWED requests=1 kept=3>"


def test_a_chunked_body_ends_with_its_trailers() -> None:
    codec = start()
    assert told(codec.receive(CHUNKED + b"2\r\nhe\r\n3\r\nl")) == [
        (1, "POST", b"/", False),
        (1, b"hel", False),
    ]
    assert repr(codec) == "<HTTP/1 theirs=CHUNKS ours=OWED requests=1 kept=0>"
    assert told(codec.receive(b"lo\r\n0\r\nX: a\r\n\r")) == [(1, b"lo", False)]
    assert told(codec.receive(b"\nGET")) == [(1, b"", True)]
    assert repr(codec) == "<HTTP/1 theirs=FINISHED ours=OWED requests=1 kept=3>"


def test_framing_alone_is_no_event() -> None:
    codec = start(CHUNKED)
    assert codec.receive(b"5") == []
    assert codec.receive(b";a\r") == []
    assert codec.receive(b"\n") == []


def test_the_response_may_come_before_the_body_has() -> None:
    codec = start(POST + b"he")
    assert respond(codec) == OK
    assert repr(codec) == "<HTTP/1 theirs=BODY ours=SENT requests=1 kept=0>"


# --- pipelining (RFC 9112 §9.3.2) ---


def test_pipelined_requests_are_read_one_at_a_time() -> None:
    codec = start()
    assert told(codec.receive(GET + POST + b"hello" + GET)) == [(1, "GET", b"/", True)]
    assert codec.receive(b"") == []
    respond(codec)
    assert codec.turn()
    assert told(codec.receive(b"")) == [(2, "POST", b"/", False), (2, b"hello", True)]
    respond(codec)
    assert codec.turn()
    assert told(codec.receive(b"")) == [(3, "GET", b"/", True)]
    respond(codec)
    assert not codec.turn()


def test_a_fault_in_the_second_request_waits_for_the_first_response() -> None:
    codec = start(GET + b"GET / HTTP/1.1\r\n\r\n")
    assert respond(codec) == OK
    assert codec.turn()
    with pytest.raises(ProtocolFault, match="Host header is missing") as caught:
        codec.receive(b"")
    assert caught.value.seen == b"GET / HTTP/1.1\r\n\r\n"
    assert codec.fail(caught.value)


def test_too_much_pipelined_is_crowded() -> None:
    codec = start(GET)
    codec.receive(b"x" * PIPELINE)
    assert not codec.crowded()
    codec.receive(b"x")
    assert codec.crowded()


def test_a_large_head_is_not_crowded() -> None:
    codec = start(b"GET / HTTP/1.1\r\nX: " + b"x" * (PIPELINE + 1))
    assert not codec.crowded()


# --- bodies that no one wants ---


@pytest.mark.parametrize("end", [True, False])
def test_the_small_rest_of_a_body_is_thrown_away(end: bool) -> None:
    codec = start(POST + b"he")
    response = respond(codec, b"ok", (b"content-length", b"2"), end=end)
    if not end:
        sent(codec, b"", True)
    assert response == OK
    assert not codec.turn()
    assert repr(codec) == "<HTTP/1 theirs=BODY ours=IDLE requests=1 kept=0>"
    assert wait(codec) == "FOR_BODY"
    assert codec.receive(b"l") == []
    assert told(codec.receive(b"lo" + POST + b"hello")) == [(2, "POST", b"/", False), (2, b"hello", True)]


def large(size: int) -> bytes:
    return b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n" % size


def test_how_much_of_a_body_is_thrown_away_has_a_bound() -> None:
    assert respond(start(large(DRAIN))) == OK
    assert respond(start(large(DRAIN + 1))) == OK_CLOSE
    assert respond(start(large(DRAIN + 1) + b"x")) == OK


@pytest.mark.parametrize("data", [large(DRAIN + 1), CHUNKED, CHUNKED + b"5\r\nhello\r\n"])
def test_a_streamed_response_does_not_make_us_read_a_large_body(data: bytes) -> None:
    # When its head went out it was not known yet that the body is not wanted.
    codec = start(data)
    assert b"connection" not in respond(codec, b"ok", end=False)
    sent(codec, b"", True)
    assert not codec.closing
    assert not codec.turn()
    assert codec.closing
    assert repr(codec) == "<HTTP/1 theirs=CLOSED ours=IDLE requests=1 kept=0>"
    assert codec.receive(b"x" * 100) == []


def test_a_chunked_body_that_is_not_whole_ends_the_connection() -> None:
    assert respond(start(CHUNKED + b"5\r\nhel")) == OK_CLOSE
    assert respond(start(CHUNKED + b"5\r\nhello\r\n0\r\n\r\n")) == OK


def test_an_unread_body_gives_no_events() -> None:
    codec = start(CHUNKED)
    codec.unread()
    assert codec.receive(b"5\r\nhello\r\n") == []
    assert codec.receive(b"0\r\n\r\n") == []
    assert "theirs=FINISHED ours=OWED" in repr(codec)
    assert respond(codec) == OK


# --- the peer's end ---


def test_the_end_between_requests_is_a_good_end() -> None:
    for data in (b"", b"\r\n", b"GET / HT"):
        codec = start(data)
        assert codec.eof() == []
        assert codec.closing
        assert repr(codec) == "<HTTP/1 theirs=CLOSED ours=IDLE requests=0 kept=0>"


@pytest.mark.parametrize("data", [POST, POST + b"hell", CHUNKED, CHUNKED + b"0\r\n\r", CHUNKED + b"5\r\nhello\r\n"])
def test_the_end_within_a_body_is_a_reset(data: bytes) -> None:
    codec = start(data)
    found = codec.eof()
    assert [type(event) for event in found] == [Reset]
    assert told(found) == [(1, "the client closed the connection within its request")]
    assert codec.closing
    assert codec.eof() == []


def test_the_end_behind_a_whole_request_leaves_its_response_possible() -> None:
    codec = start(GET)
    assert codec.eof() == []
    assert respond(codec) == OK_CLOSE
    assert not codec.turn()
    assert codec.heard


def test_the_end_behind_pipelined_requests_leaves_all_responses_possible() -> None:
    codec = start(GET + GET)
    assert codec.eof() == []
    assert respond(codec) == OK
    assert codec.turn()
    assert told(codec.receive(b"")) == [(2, "GET", b"/", True)]
    assert respond(codec) == OK


def test_the_end_within_an_unwanted_body_is_no_news() -> None:
    codec = start(POST)
    respond(codec)
    codec.turn()
    assert codec.eof() == []
    assert codec.closing


# --- what the link asks ---


def test_which_deadline_applies() -> None:
    codec = start()
    assert wait(codec) == "FOR_HEAD"
    codec.receive(POST[:7])
    assert wait(codec) == "FOR_HEAD"
    codec.receive(POST[7:])
    assert wait(codec) == "FOR_BODY"
    codec.receive(b"hello")
    assert wait(codec) == "FOR_US"
    respond(codec)
    codec.turn()
    assert wait(codec) == "FOR_REQUEST"
    codec.receive(CHUNKED[:1])
    assert wait(codec) == "FOR_HEAD"
    codec.receive(CHUNKED[1:])
    assert wait(codec) == "FOR_BODY"
    codec.eof()
    assert wait(codec) == "FOR_END"


def test_a_connection_is_idle_between_requests_only() -> None:
    codec = start()
    assert (codec.idle(), codec.begun()) == (True, False)
    codec.receive(b"GET")
    assert (codec.idle(), codec.begun()) == (False, True)
    codec.receive(GET[3:])
    assert (codec.idle(), codec.begun()) == (False, True)
    respond(codec)
    assert (codec.idle(), codec.begun()) == (False, True)
    codec.turn()
    assert (codec.idle(), codec.begun()) == (True, False)


@pytest.mark.parametrize(
    ("pieces", "seen"),
    [
        ([b"\x16\x03\x01" + b"x" * 100], b"\x16\x03\x01" + b"x" * 61),
        ([b"GET / HTT", b"P/1.1\r\nX", b" : a\r\n"], b"GET / HTTP/1.1\r\nX : a\r\n"),
        ([CHUNKED, b"5\r\nhel", b"lo!\r\n"], b"lo!\r\n"),
        ([GET[:-2], b"X\0" + b"x" * 64 + b"\n"], (GET[:-2] + b"X\0" + b"x" * 64)[:64]),
    ],
)
def test_a_fault_shows_the_first_bytes_of_what_was_wrong(pieces: list[bytes], seen: bytes) -> None:
    assert fault(start(), *pieces).seen == seen
