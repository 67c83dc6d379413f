"""Generated frames, to and from the `hyperframe` package."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from typing import Any

from hyperframe import frame as hyper
from hypothesis import given
from hypothesis import strategies as st

from portway.wire.http2 import frames, settings

Start = Callable[..., Any]

NUMBERS = st.integers(0, 2**31 - 1) | st.sampled_from([0, 1, 2**31 - 1])
STREAMS = st.integers(1, 2**31 - 1)
CODES = st.integers(0, 2**32 - 1)


def parsed(data: bytes) -> Any:
    frame, size = hyper.Frame.parse_frame_header(memoryview(data)[:9])
    assert len(data) == 9 + size
    frame.parse_body(memoryview(data[9:]))
    return frame


def out(write: Callable[..., None], *args: Any) -> bytes:
    found = bytearray()
    write(found, *args)
    return bytes(found)


@given(stream=STREAMS, code=CODES)
def test_resets(stream: int, code: int) -> None:
    ours = out(frames.write_reset, stream, code)
    assert ours == hyper.RstStreamFrame(stream, code).serialize()
    assert (parsed(ours).stream_id, parsed(ours).error_code) == (stream, code)


@given(stream=NUMBERS, size=st.integers(1, 2**31 - 1))
def test_windows(stream: int, size: int) -> None:
    assert out(frames.write_window, stream, size) == hyper.WindowUpdateFrame(stream, size).serialize()


@given(payload=st.binary(min_size=8, max_size=8), ack=st.booleans())
def test_pings(payload: bytes, ack: bool) -> None:
    theirs = hyper.PingFrame(0, payload, flags=["ACK"] if ack else [])
    assert out(frames.write_ping, frames_ack(ack), payload) == theirs.serialize()


def frames_ack(ack: bool) -> int:
    return 0x1 if ack else 0


@given(last=NUMBERS, code=CODES, text=st.binary(max_size=200))
def test_goodbyes(last: int, code: int, text: bytes) -> None:
    assert out(frames.write_goaway, last, code, text) == hyper.GoAwayFrame(0, last, code, text).serialize()


KEYS = st.integers(0, 2**8 - 1)  # of larger ones it writes the lower half


@given(pairs=st.dictionaries(KEYS, CODES, max_size=10))
def test_settings_are_written(pairs: dict[int, int]) -> None:
    ours = out(frames.write_settings, list(pairs.items()))
    assert ours == hyper.SettingsFrame(0, pairs).serialize()
    assert parsed(ours).settings == pairs
    assert out(frames.write_ack) == hyper.SettingsFrame(0, flags=["ACK"]).serialize()


@given(pairs=st.dictionaries(st.integers(10, 2**8 - 1) | st.sampled_from([1, 3, 6]), CODES, max_size=10))
def test_settings_are_read(pairs: dict[int, int]) -> None:
    assert settings.read(hyper.SettingsFrame(0, pairs).serialize_body()) == list(pairs.items())


@given(
    stream=STREAMS,
    size=st.integers(0, 2**24 - 1),
    kind=st.sampled_from([0, 1, 2, 3, 5, 8, 9]),
    flags=st.integers(0, 255),
)
def test_heads(stream: int, size: int, kind: int, flags: int) -> None:
    ours = out(frames.write_head, size, kind, flags, stream)
    frame, told = hyper.Frame.parse_frame_header(memoryview(ours))
    assert (frame.type, frame.stream_id, told) == (kind, stream, size)
    assert ours[4] == flags


ODD = st.integers(0, 2**30 - 1).map(lambda half: 2 * half + 1)
CONTENT = st.binary(max_size=300)


@given(
    stream=ODD, content=CONTENT, pad=st.integers(-1, 255), end=st.booleans(), weight=st.none() | st.integers(0, 255),
    depends=NUMBERS, exclusive=st.booleans(), path=st.integers(0, 10**9),
)  # fmt: skip
def test_heads_and_content_are_read(
    start: Start, stream: int, content: bytes, pad: int, end: bool, weight: int | None, depends: int, exclusive: bool,
    path: int,
) -> None:  # fmt: skip
    peer = start()
    flags = (["PADDED"] if pad >= 0 else []) + (["PRIORITY"] if weight is not None else [])
    pairs = [*peer.POST[:3], (b":path", b"/%d" % path)]
    head = peer.head(
        stream, pairs, end=False, flags=flags, pad_length=max(pad, 0), depends_on=depends,
        stream_weight=weight or 0, exclusive=exclusive,
    )  # fmt: skip
    found = peer.send(head)
    if weight is not None and depends == stream:
        assert found == [("Refusal", stream, 0x1, False)]
        return
    assert found == [("Head", stream, "POST", b"/%d" % path, False)]
    told = [("Body", stream, content, end)] if content or end else []
    assert peer.send(peer.data(stream, content, end=end, pad=pad)) == told
    size = len(content) + (pad + 1 if pad >= 0 else 0)
    assert peer.codec.streams[stream].theirs + peer.codec.streams[stream].credit + len(content) == 256 * 1024
    assert peer.codec.streams[stream].unread + peer.codec.streams[stream].credit == size


@given(
    block=st.integers(0, 300), cuts=st.lists(st.integers(0, 300), max_size=5), pad=st.integers(0, 40)
)  # fmt: skip
def test_blocks_are_read_however_they_are_cut(start: Start, block: int, cuts: list[int], pad: int) -> None:
    peer = start()
    data = peer.encoder.encode([*peer.GET, (b"x-long", b"v" * block)], huffman=False)
    bounds = [0, *sorted(min(cut, len(data)) for cut in cuts), len(data)]
    parts = [data[one:two] for one, two in pairwise(bounds)]
    first = hyper.HeadersFrame(1, parts[0], flags=["PADDED", "END_STREAM"], pad_length=pad)
    sent = [first, *(hyper.ContinuationFrame(1, part) for part in parts[1:])]
    sent[-1].flags.add("END_HEADERS")
    assert [event.headers for event in peer.heard(*sent)] == [[(b"host", b"a"), (b"x-long", b"v" * block)]]


@given(stream=ODD, size=st.integers(1, 2**31 - 1 - 65535), code=CODES)
def test_windows_and_resets_are_read(start: Start, stream: int, size: int, code: int) -> None:
    peer = start()
    peer.send(peer.get(stream))
    assert peer.send(peer.window(stream, size), peer.window(0, size)) == []
    assert peer.codec.streams[stream].window == 65535 + size
    (event,) = peer.heard(peer.reset(stream, code))
    assert event.stream == stream
    assert str(code) in event.reason or code < 14


@given(payload=st.binary(min_size=8, max_size=8))
def test_pings_are_answered(start: Start, payload: bytes) -> None:
    peer = start()
    assert peer.send(peer.ping(payload)) == []
    assert peer.taken() == [("Ping", payload, True)]


@given(last=NUMBERS, code=CODES, text=CONTENT)
def test_goodbyes_are_read(start: Start, last: int, code: int, text: bytes) -> None:
    peer = start()
    assert peer.send(hyper.GoAwayFrame(0, last, code, text)) == []
    assert peer.codec.leaving
    assert not peer.codec.closing
