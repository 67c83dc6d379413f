"""The alphabet: what an event says of itself before anyone has filled it in."""

import pytest

from portway.wire.events import Body, Head, Reset


def test_a_new_head_is_of_a_request_without_anything() -> None:
    head = Head(3)
    assert (head.stream, head.method, head.path, head.query, head.version) == (3, "", b"", b"", "1.1")
    assert (head.headers, head.length, head.upgrade) == ([], 0, None)
    flags = (head.end, head.close, head.expect, head.forwarded, head.te_trailers)
    assert not any(flags)
    assert repr(head) == "<Head 3  b'' length=0 end=False>"


def test_no_two_heads_share_their_headers() -> None:
    one, two = Head(1), Head(2)
    one.headers.append((b"a", b"b"))
    assert two.headers == []


def test_a_body_shows_its_size_and_never_its_content() -> None:
    body = Body(2, b"secret", True)
    assert (body.stream, body.data, body.end) == (2, b"secret", True)
    assert repr(body) == "<Body 2 6 bytes end=True>"


def test_nothing_comes_after_a_reset() -> None:
    reset = Reset(4, "the peer went")
    assert (reset.stream, reset.reason, reset.end) == (4, "the peer went", True)
    assert repr(reset) == "<Reset 4 the peer went>"


@pytest.mark.parametrize("event", [Head(1), Body(1, b"", False), Reset(1, "")], ids=repr)
def test_an_event_is_small(event: object) -> None:
    assert not hasattr(event, "__dict__")
