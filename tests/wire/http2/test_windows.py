"""Nothing leaks: whatever becomes of the streams, the connection's window is whole when all of them are over."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from portway.wire.faults import ProtocolFault

Start = Callable[..., Any]

WINDOW = 65535
CANCEL = 0x8

STREAMS = st.sampled_from([1, 3, 5, 7])
SIZES = st.sampled_from([0, 1, 5, 6, 100, 1000, 1024, 1025, 3000])
STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("data"), STREAMS, SIZES, st.sampled_from([-1, -1, 0, 9, 255]), st.booleans()),
        st.tuples(st.just("data"), STREAMS, SIZES, st.just(-1), st.booleans()),
        st.tuples(st.just("credit"), STREAMS, SIZES),
        st.tuples(
            st.sampled_from(["trailers", "reset", "cancel", "respond", "begin", "end", "refuse", "zero"]), STREAMS
        ),
    ),
    max_size=40,
)


@given(
    steps=STEPS, length=st.sampled_from([None, 5, 1000, 3000, 70_000]), body=st.sampled_from([0, 2000]),
    window=st.sampled_from([1024, 4096, 1 << 20]),
)  # fmt: skip
@settings(max_examples=400)
def test_the_connections_window_is_whole_in_the_end(
    start: Start, steps: list[Any], length: int | None, body: int, window: int
) -> None:
    # Terms under which all that is credited is announced at once, and nothing is too much.
    peer = start(connection_window=2, stream_window=window, body=body, resets=10**6, glitches=10**6)
    more = [] if length is None or (body and length > body) else [(b"content-length", b"%d" % length)]
    for number in (1, 3, 5, 7):
        peer.send(peer.post(number, *more))
    sent = 0
    over: set[int] = set()  # those on which they may send no more
    for kind, number, *rest in steps:
        codec = peer.codec
        if kind == "data":
            size, pad, end = rest
            frame = peer.data(number, bytes(size), pad=pad, end=end)
            if number in over or sent + frame.flow_controlled_length > peer.reader.room:
                continue
            sent += frame.flow_controlled_length
            peer.send(frame)
            if end:
                over.add(number)
        elif kind == "credit":
            codec.credit(number, rest[0])
        elif kind == "trailers" and number not in over:
            over.add(number)
            peer.send(peer.head(number, [(b"x-a", b"b")]))
        elif kind == "reset":
            over.add(number)
            peer.send(peer.reset(number))
        elif kind == "zero":
            peer.send(peer.window(number, 0))
        elif kind == "cancel":
            codec.reset(number, CANCEL)
        elif kind == "respond" and number in codec.streams and not codec.streams[number].answered:
            peer.respond(number)
        elif kind == "begin" and number in codec.streams and not codec.streams[number].answered:
            peer.respond(number, b"a", end=False)
        elif kind == "end" and number in codec.streams and codec.streams[number].answered:
            codec.body(number, b"a", True)
        elif kind == "refuse":
            codec.refuse(number, ProtocolFault("why", 408))
        held = sum(stream.unread for stream in codec.streams.values())
        peer.taken()
        assert peer.reader.room - sent == WINDOW - held
        for stream in codec.streams.values():
            # What they may send, what came and waits, and what is to be announced are always the whole.
            assert stream.theirs + stream.unread + stream.credit == window or "REMOTE" in repr(stream)
    for number in (1, 3, 5, 7):
        peer.codec.reset(number, CANCEL)
    peer.taken()
    assert peer.reader.room - sent == WINDOW
