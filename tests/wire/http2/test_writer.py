"""What goes out: heads, content as the windows let it, ends, and in which order."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from portway.wire import fields
from portway.wire.http1.encode import Preamble
from portway.wire.http2 import writer

Start = Callable[..., Any]

NO_ERROR = 0x0
CANCEL = 0x8
FRAME = 16384

STATUS = (b":status", b"200")


def asked(peer: Any, *numbers: int, method: bytes = b"GET") -> Any:
    for number in numbers:
        peer.send(peer.head(number, [(b":method", method), *peer.GET[1:]]))
    return peer


# --- heads ---


def test_a_response(peer: Any) -> None:
    asked(peer, 1)
    assert peer.respond(1, b"hello", (b"X-A", b"b"))
    assert peer.taken() == [
        ("Headers", 1, [STATUS, (b"x-a", b"b"), (b"content-length", b"5")], False),
        ("Data", 1, b"hello", True),
    ]
    assert peer.codec.streams == {}


def test_a_response_without_content_is_one_frame(peer: Any) -> None:
    asked(peer, 1)
    assert peer.respond(1, b"", status=404)
    assert peer.taken() == [("Headers", 1, [(b":status", b"404"), (b"content-length", b"0")], True)]


def test_a_response_in_pieces(peer: Any) -> None:
    asked(peer, 1)
    assert peer.respond(1, b"", end=False)
    assert peer.codec.body(1, b"a", False)
    assert peer.codec.body(1, b"", False)
    assert peer.codec.body(1, b"b", False)
    assert peer.codec.body(1, b"", True)
    assert peer.codec.body(1, b"late", False)
    assert peer.taken() == [
        ("Headers", 1, [STATUS], False), ("Data", 1, b"a", False), ("Data", 1, b"b", False), ("Data", 1, b"", True),
    ]  # fmt: skip


def test_a_content_length_is_the_applications(peer: Any) -> None:
    asked(peer, 1, 3)
    peer.respond(1, b"ab", (b"Content-Length", b"2"))
    peer.respond(3, b"a", (b"content-length", b"2"), end=False)
    heads = [told[2] for told in peer.taken() if told[0] == "Headers"]
    assert heads == [[STATUS, (b"content-length", b"2")]] * 2


@pytest.mark.parametrize(("method", "status"), [(b"HEAD", 200), (b"HEAD", 404), (b"GET", 204), (b"GET", 304)])
@pytest.mark.parametrize("end", [True, False])
def test_some_responses_have_no_content(peer: Any, method: bytes, status: int, end: bool) -> None:
    """ASGI 30"""
    asked(peer, 1, method=method)
    assert peer.respond(1, b"hello", (b"content-length", b"5"), status=status, end=end)
    assert peer.codec.body(1, b"more", True)
    peer.trailers(1, (b"x-a", b"b"))
    length = [] if status == 204 else [(b"content-length", b"5")]
    assert peer.taken() == [("Headers", 1, [(b":status", b"%d" % status), *length], True)]
    assert peer.codec.streams == {}


@pytest.mark.parametrize(("method", "status"), [(b"HEAD", 200), (b"GET", 204), (b"GET", 304)])
def test_their_length_is_not_made_up(peer: Any, method: bytes, status: int) -> None:
    asked(peer, 1, method=method)
    peer.respond(1, b"", status=status)
    assert peer.taken() == [("Headers", 1, [(b":status", b"%d" % status)], True)]


def test_the_preamble_comes_first_and_gives_way_to_the_applications_own(start: Start) -> None:
    preamble = Preamble(b"portway", b"\r\nX-Extra: e")
    preamble.renew(b"now")
    peer = asked(start(preamble=preamble), 1, 3)
    peer.respond(1, b"")
    peer.respond(3, b"", (b"date", b"then"), (b"server", b"mine"))
    ours = [(b"date", b"now"), (b"server", b"portway"), (b"x-extra", b"e")]
    assert [told[2] for told in peer.taken()] == [
        [STATUS, *ours, (b"content-length", b"0")],
        [STATUS, (b"x-extra", b"e"), (b"date", b"then"), (b"server", b"mine"), (b"content-length", b"0")],
    ]


def test_interim_responses(peer: Any) -> None:
    asked(peer, 1)
    peer.codec.inform(1, 100, None)
    peer.codec.inform(1, 103, fields.outgoing([(b"link", b"<a>")]))
    peer.codec.inform(3, 100, None)
    peer.respond(1, b"", end=False)
    peer.codec.inform(1, 103, None)  # too late
    peer.codec.body(1, b"", True)
    peer.codec.inform(1, 103, None)
    assert peer.taken() == [
        ("Headers", 1, [(b":status", b"100")], False),
        ("Headers", 1, [(b":status", b"103"), (b"link", b"<a>")], False),
        ("Headers", 1, [STATUS], False),
        ("Data", 1, b"", True),
    ]


@pytest.mark.parametrize("size", [16370, 16376, 16377, 16378, 16379, 16380, 32768, 50_000, 100_000])
def test_large_heads_go_on_in_further_frames(peer: Any, size: int) -> None:
    """The reader sees to it that nothing comes between."""
    asked(peer, 1, 3)
    value = b"\xff" * size  # which no code makes shorter
    peer.respond(1, b"content", (b"x-long", value))
    peer.respond(3, b"")
    told = peer.taken()
    assert told[0] == ("Headers", 1, [STATUS, (b"x-long", value), (b"content-length", b"7")], False)
    assert told[1] == ("Data", 1, b"content", True)
    assert told[2][0] == "Headers"
    assert peer.reader.frame_most <= FRAME


def test_heads_that_just_fill_their_frames(peer: Any) -> None:
    fillings = set()
    for place, size in enumerate(range(2 * FRAME - 30, 2 * FRAME + 2)):
        number = 2 * place + 1
        asked(peer, number)
        peer.respond(number, b"", (b"x-long", b"\xff" * size))
        data = b"".join(peer.codec.take())
        assert [told[1] for told in peer.reader.read(data)] == [number]
        fillings.add(len(data) % (FRAME + 9))
    assert {0, 10} <= fillings  # two frames that are full, and a third for one byte


def test_large_heads_may_end_the_stream(peer: Any) -> None:
    asked(peer, 1)
    peer.respond(1, b"", (b"x-long", b"\xff" * 40_000))
    data = b"".join(peer.codec.take())
    (told,) = peer.reader.read(data)
    assert told[3] is True
    flags = []
    while data:
        flags.append((data[3], data[4]))
        data = data[9 + int.from_bytes(data[:3], "big") :]
    assert flags == [(0x1, 0x1), (0x9, 0), (0x9, 0x4)]


def test_a_tunnel_has_no_length(start: Start) -> None:
    peer = start(connects=True)
    peer.send(peer.connect(1))
    peer.codec.tunnel(1, fields.outgoing([(b"content-length", b"5"), (b"x-a", b"b")]))
    assert peer.codec.body(1, b"bytes", False)
    peer.codec.tunnel(3, fields.outgoing([]))
    assert peer.taken() == [("Headers", 1, [STATUS, (b"x-a", b"b")], False), ("Data", 1, b"bytes", False)]


# --- trailers ---


def test_trailers_end_a_response(peer: Any) -> None:
    asked(peer, 1)
    peer.respond(1, b"a", end=False)
    peer.trailers(1, (b"x-a", b"b"))
    peer.trailers(1, (b"x-a", b"c"))
    assert peer.taken()[1:] == [("Data", 1, b"a", False), ("Headers", 1, [(b"x-a", b"b")], True)]
    assert peer.codec.streams == {}


def test_trailers_wait_for_content_that_is_queued(peer: Any) -> None:
    peer.send(peer.settings(INITIAL_WINDOW_SIZE=3))
    asked(peer, 1)
    peer.respond(1, b"hello", end=False)
    peer.trailers(1, (b"x-a", b"b"))
    peer.trailers(1, (b"x-a", b"c"))
    peer.codec.body(1, b"late", True)
    assert peer.taken()[2:] == [("Data", 1, b"hel", False)]
    peer.send(peer.window(1, 10))
    assert peer.taken() == [("Data", 1, b"lo", False), ("Headers", 1, [(b"x-a", b"b")], True)]


def test_no_trailers_are_an_end(peer: Any) -> None:
    asked(peer, 1)
    peer.respond(1, b"a", end=False)
    peer.trailers(1)
    assert peer.taken()[1:] == [("Data", 1, b"a", False), ("Data", 1, b"", True)]


def test_no_trailers_are_an_end_behind_what_is_queued(peer: Any) -> None:
    peer.send(peer.settings(INITIAL_WINDOW_SIZE=1))
    asked(peer, 1)
    peer.respond(1, b"ab", end=False)
    peer.trailers(1)
    peer.taken()
    peer.send(peer.window(1, 1))
    assert peer.taken() == [("Data", 1, b"b", True)]


def test_large_trailers_go_on_in_further_frames(peer: Any) -> None:
    asked(peer, 1)
    peer.respond(1, b"a", end=False)
    peer.trailers(1, (b"x-a", b"\xff" * 40_000))
    assert peer.taken()[-1] == ("Headers", 1, [(b"x-a", b"\xff" * 40_000)], True)


# --- ends ---


def test_what_is_asked_of_streams_that_are_no_more_does_nothing(peer: Any) -> None:
    asked(peer, 1)
    peer.send(peer.reset(1))
    peer.taken()
    assert peer.respond(1, b"a", end=False)
    assert peer.codec.body(1, b"a", True)
    peer.trailers(1, (b"x-a", b"b"))
    peer.codec.reset(1, CANCEL)
    peer.codec.credit(1, 10)
    peer.codec.inform(1, 103, None)
    assert peer.taken() == []


@pytest.mark.parametrize(("length", "code"), [(0, None), (1, None), (65536, None), (65537, 0)])
def test_the_rest_of_a_request_is_heard_out_if_it_is_little(peer: Any, length: int, code: int | None) -> None:
    peer.send(peer.post(1, (b"content-length", b"%d" % length)))
    peer.respond(1, b"done")
    told = peer.taken()
    if code is None:
        assert told[-1] == ("Data", 1, b"done", True)
        assert "LOCAL" in repr(peer.codec.streams[1])
        assert peer.send(*(peer.data(1, b"a" * 8192) for _ in range(length // 8192)), peer.data(
            1, b"a" * (length % 8192), end=True)) == []  # fmt: skip
        assert peer.codec.streams == {}
    else:
        assert told[-1] == ("RstStream", 1, NO_ERROR)
        assert peer.codec.streams == {}


def test_a_request_of_unknown_length_is_not_heard_out(peer: Any) -> None:
    peer.send(peer.post(1))
    peer.respond(1, b"done")
    assert peer.taken()[-1] == ("RstStream", 1, NO_ERROR)


def test_a_request_that_waits_for_100_is_not_heard_out(peer: Any) -> None:
    peer.send(peer.post(1, (b"content-length", b"5"), (b"expect", b"100-continue")))
    peer.respond(1, b"done")
    assert peer.taken()[-1] == ("RstStream", 1, NO_ERROR)
    peer.send(peer.post(3, (b"content-length", b"5"), (b"expect", b"100-continue")))
    peer.codec.inform(3, 100, None)
    peer.respond(3, b"done")
    assert peer.taken()[-1] == ("Data", 3, b"done", True)
    peer.send(peer.post(5, (b"content-length", b"5"), (b"expect", b"100-continue")), peer.data(5, b"a"))
    peer.respond(5, b"done")
    assert peer.taken()[-1] == ("Data", 5, b"done", True)


def test_a_tunnel_may_be_closed_on_one_side(start: Start) -> None:
    peer = start(connects=True)
    peer.send(peer.connect(1))
    peer.codec.tunnel(1, fields.outgoing([]))
    peer.codec.body(1, b"bye", True)
    assert peer.taken()[1:] == [("Data", 1, b"bye", True)]
    assert peer.send(peer.data(1, b"a"), peer.data(1, b"", end=True)) == []
    assert peer.codec.streams == {}


def test_a_tunnel_that_is_closed_on_our_side_takes_no_more_than_its_window(start: Start) -> None:
    peer = start(connects=True, stream_window=1024)
    peer.send(peer.connect(1))
    peer.codec.tunnel(1, fields.outgoing([]))
    peer.codec.body(1, b"bye", True)
    assert peer.send(*[peer.data(1, b"a" * 512)] * 2) == []
    assert peer.send(peer.data(1, b"a")) == [("Refusal", 1, 0x3, False)]
    assert [told for told in peer.taken() if told[:2] == ("WindowUpdate", 1)] == []


def test_a_tunnel_that_is_refused_is_reset(start: Start) -> None:
    peer = start(connects=True)
    peer.send(peer.connect(1))
    peer.respond(1, b"no", status=403)
    assert [told[0] for told in peer.taken()] == ["Headers", "Data", "RstStream"]


def test_the_half_that_sends_does_not_know_the_other() -> None:
    assert writer.Writer.__subclasses__()[0].__name__ == "Control"
