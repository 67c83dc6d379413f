"""Conversations with the codec, our side: what an application answers, and a fault, become bytes."""

import pytest

from portway.wire import fields
from portway.wire.faults import ProtocolFault
from portway.wire.http1.codec import Codec
from portway.wire.http1.encode import Preamble
from portway.wire.port import Limits

GET = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"
OLD = b"GET / HTTP/1.0\r\n\r\n"
POST = b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\n"
CHUNKED = b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
EXPECT = b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\n"

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


# --- persistence (RFC 9112 §9.3) ---


def test_a_client_that_asks_to_close_is_closed_and_not_heard_further() -> None:
    codec = start(b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n" + GET)
    assert respond(codec) == OK_CLOSE
    assert codec.closing
    assert not codec.turn()
    assert repr(codec) == "<HTTP/1 theirs=CLOSED ours=IDLE requests=1 kept=0>"
    assert codec.receive(GET) == []
    assert not codec.heard


def test_an_application_that_asks_to_close_is_heeded() -> None:
    codec = start(GET)
    assert respond(codec, b"ok", (b"Connection", b"close")) == OK_CLOSE
    codec.turn()
    assert codec.closing
    assert codec.heard


def test_http_1_0_closes_unless_it_asks_to_stay() -> None:
    codec = start(OLD)
    assert respond(codec) == OK_CLOSE
    assert codec.closing
    codec = start(b"GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n")
    assert respond(codec) == b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\nconnection: keep-alive\r\n\r\nok"
    codec.turn()
    assert not codec.closing
    assert [event.stream for event in codec.receive(GET)] == [2]


# --- framing of responses ---


def test_a_streamed_response_is_chunked() -> None:
    codec = start(GET)
    head = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n"
    assert respond(codec, b"", end=False) == head
    assert repr(codec) == "<HTTP/1 theirs=FINISHED ours=SENDING requests=1 kept=0>"
    assert sent(codec, b"hello", False) == b"5\r\nhello\r\n"
    assert sent(codec, b"", False) == b""  # it would have been the last chunk
    assert sent(codec, b"x" * 10, True) == b"a\r\nxxxxxxxxxx\r\n0\r\n\r\n"
    assert repr(codec) == "<HTTP/1 theirs=FINISHED ours=SENT requests=1 kept=0>"
    codec = start(GET)
    assert respond(codec, b"hello", end=False) == head + b"5\r\nhello\r\n"
    assert sent(codec, b"", True) == b"0\r\n\r\n"


def test_a_streamed_response_of_declared_length_is_sent_as_it_is() -> None:
    codec = start(GET)
    assert respond(codec, b"he", (b"content-length", b"5"), end=False) == (
        b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhe"
    )
    assert sent(codec, b"llo", True) == b"llo"


def test_a_streamed_response_to_http_1_0_ends_with_the_connection() -> None:
    codec = start(b"GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n")
    assert not codec.until_close()
    assert respond(codec, b"he", end=False) == b"HTTP/1.1 200 OK\r\nconnection: close\r\n\r\nhe"
    assert codec.until_close()
    assert sent(codec, b"llo", True) == b"llo"
    assert codec.closing


def test_an_empty_response_says_so() -> None:
    assert respond(start(GET), b"") == b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n"
    assert respond(start(GET), b"", status=404).startswith(b"HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\n")


HEAD = b"HEAD / HTTP/1.1\r\nHost: a\r\n\r\n"


def test_a_response_to_head_has_the_length_and_not_the_body() -> None:  # ASGI 30
    assert respond(start(HEAD)) == b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n"
    assert respond(start(HEAD), b"", (b"content-length", b"5")) == b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\n"
    assert respond(start(HEAD), b"") == b"HTTP/1.1 200 OK\r\n\r\n"
    codec = start(HEAD)
    assert respond(codec, b"he", end=False) == b"HTTP/1.1 200 OK\r\n\r\n"
    assert sent(codec, b"llo", True) == b""


def test_no_content_and_not_modified_have_no_body() -> None:  # ASGI 30
    # RFC 9110 §8.6: no Content-Length in a 204; in a 304 it is that of the representation.
    for body in (b"", b"ok"):
        assert respond(start(GET), body, status=204) == b"HTTP/1.1 204 No Content\r\n\r\n"
        assert respond(start(GET), body, status=304) == b"HTTP/1.1 304 Not Modified\r\n\r\n"
    length = (b"content-length", b"5")
    assert respond(start(GET), b"", length, status=204) == b"HTTP/1.1 204 No Content\r\n\r\n"
    assert respond(start(GET), b"", length, status=304) == b"HTTP/1.1 304 Not Modified\r\ncontent-length: 5\r\n\r\n"


def test_the_methods_of_one_request_do_not_frame_the_next() -> None:
    codec = start(HEAD + GET)
    respond(codec)
    codec.turn()
    codec.receive(b"")
    assert respond(codec) == OK


def test_a_date_or_server_of_the_application_replaces_ours() -> None:
    preamble = Preamble(b"portway")
    preamble.renew(b"now")
    codec = Codec(Limits(), preamble)
    codec.receive(GET + GET)
    assert respond(codec, b"", (b"Date", b"then"), (b"Server", b"mine"), (b"content-length", b"0")) == (
        b"HTTP/1.1 200 OK\r\nDate: then\r\nServer: mine\r\ncontent-length: 0\r\n\r\n"
    )
    codec.turn()
    codec.receive(b"")
    assert respond(codec, b"") == b"HTTP/1.1 200 OK\r\ndate: now\r\nserver: portway\r\ncontent-length: 0\r\n\r\n"


def test_a_date_of_the_application_leaves_our_server_and_the_other_way_round() -> None:
    preamble = Preamble(b"portway")
    preamble.renew(b"now")
    for name, ours in ((b"Date", b"server: portway"), (b"Server", b"date: now")):
        codec = Codec(Limits(), preamble)
        codec.receive(GET)
        assert respond(codec, b"", (name, b"a")).split(b"\r\n")[1:3] == [ours, name + b": a"]


def test_trailers_end_a_chunked_response() -> None:
    codec = start(GET)
    respond(codec, b"hello", end=False)
    codec.trailers(fields.outgoing([(b"x-a", b"b")]))
    assert b"".join(codec.take()) == b"0\r\nx-a: b\r\n\r\n"
    assert "ours=SENT" in repr(codec)


@pytest.mark.parametrize(("data", "length"), [(OLD, None), (GET, b"5"), (HEAD, None)])
def test_trailers_that_no_one_could_read_are_dropped(data: bytes, length: bytes | None) -> None:
    codec = start(data)
    headers = [] if length is None else [(b"content-length", length)]
    respond(codec, b"hello", *headers, end=False)
    codec.trailers(fields.outgoing([(b"x-a", b"b")]))
    assert codec.take() == []
    assert "ours=SENT" in repr(codec)


def test_what_is_taken_is_gone() -> None:
    codec = start(GET)
    codec.respond(200, fields.outgoing([]), b"ok", True)
    assert b"".join(codec.take()) == OK
    assert codec.take() == []


# --- interim responses (RFC 9110 §15.2) ---


def test_an_interim_response_is_a_head_alone() -> None:
    codec = start(GET)
    codec.inform(103, fields.outgoing([(b"link", b"</a>")]))
    codec.inform(102, None)
    assert b"".join(codec.take()) == b"HTTP/1.1 103 Early Hints\r\nlink: </a>\r\n\r\nHTTP/1.1 102 Processing\r\n\r\n"
    assert respond(codec) == OK


def test_http_1_0_gets_no_interim_response() -> None:
    codec = start(OLD)
    codec.inform(100, None)
    assert codec.take() == []


def test_a_connection_stays_when_the_body_was_asked_for() -> None:
    codec = start(EXPECT)
    codec.inform(100, None)
    assert b"".join(codec.take()) == b"HTTP/1.1 100 Continue\r\n\r\n"
    codec.receive(b"hello")
    assert respond(codec) == OK


@pytest.mark.parametrize("follows", [b"", b"hello"])
def test_a_connection_ends_when_no_one_asked_for_the_body(follows: bytes) -> None:
    # RFC 9110 §10.1.1: whether the body follows is up to the client; what comes next might be either.
    codec = start(EXPECT)
    assert respond(codec) == OK_CLOSE
    assert not codec.turn()
    assert codec.receive(follows + GET) == []


# --- the one answer to a fault ---


def fault(codec: Codec, data: bytes) -> ProtocolFault:
    with pytest.raises(ProtocolFault) as caught:
        codec.receive(data)
    return caught.value


def refusal(line: bytes, text: bytes) -> bytes:
    body = text + b"\n"
    return (
        b"HTTP/1.1 " + line + b"\r\ncontent-type: text/plain; charset=utf-8\r\n"
        b"content-length: %d\r\nconnection: close\r\n\r\n" % len(body) + body
    )  # fmt: skip


def test_a_fault_is_answered_and_ends_the_connection() -> None:
    codec = start()
    assert codec.fail(fault(codec, b"GET / HTTP/1.1\r\n\r\n" + GET))
    assert b"".join(codec.take()) == refusal(b"400 Bad Request", b"the Host header is missing")
    assert repr(codec) == "<HTTP/1 theirs=CLOSED ours=CLOSED requests=0 kept=0>"
    assert codec.closing
    assert codec.receive(GET) == []
    assert codec.eof() == []
    assert not codec.turn()


def test_a_fault_in_a_body_is_answered_if_nothing_else_was() -> None:
    codec = start(CHUNKED)
    assert codec.fail(fault(codec, b"x\r\n"))
    assert b"".join(codec.take()) == refusal(b"400 Bad Request", b"a chunk has no size")


def test_a_head_that_did_not_come_in_time_is_answered_and_forgotten() -> None:
    codec = start(GET[:-2])
    assert codec.fail(ProtocolFault("the request's head did not come in time", 408))
    assert b"".join(codec.take()) == refusal(b"408 Request Timeout", b"the request's head did not come in time")
    assert repr(codec) == "<HTTP/1 theirs=CLOSED ours=CLOSED requests=0 kept=0>"
    assert codec.receive(GET[-2:]) == []


def test_a_fault_in_the_body_of_a_head_request_is_answered_without_content() -> None:
    codec = start(CHUNKED.replace(b"POST", b"HEAD"))
    assert codec.fail(fault(codec, b"x\r\n"))
    assert (
        b"".join(codec.take()) == refusal(b"400 Bad Request", b"a chunk has no size")[: -len("a chunk has no size\n")]
    )


def test_a_fault_behind_a_head_request_is_answered_in_full() -> None:
    codec = start(HEAD)
    respond(codec)
    codec.turn()
    assert codec.fail(fault(codec, b"\0"))
    assert b"".join(codec.take()).endswith(b"\r\n\r\nthe request line does not begin with a method and a space\n")


def test_a_response_that_has_begun_is_not_followed_by_a_refusal() -> None:
    codec = start(CHUNKED)
    respond(codec, b"ok", end=False)
    assert not codec.fail(fault(codec, b"x\r\n"))
    assert codec.take() == []
    assert repr(codec) == "<HTTP/1 theirs=CLOSED ours=CLOSED requests=1 kept=0>"


def test_a_response_that_is_complete_is_not_followed_by_a_refusal() -> None:
    # It would be taken for the answer to the next request.
    codec = start(POST)
    respond(codec)
    codec.turn()
    assert not codec.fail(ProtocolFault("the request's body did not come in time", 408))
    assert codec.take() == []
