"""Room and weight: where reading stops, and that it goes on there."""

from collections.abc import Callable

from hypothesis import given
from hypothesis import strategies as st

from portway.wire.websocket.codec import Codec
from portway.wire.websocket.deflate import Deflate

Frame = Callable[..., bytes]
Hear = Callable[..., list[object]]

TEXT, BINARY, CONTINUATION, CLOSE, PING, PONG = 0x81, 0x82, 0x80, 0x88, 0x89, 0x8A
TEXT_BEGINS, BINARY_BEGINS, GOES_ON = 0x01, 0x02, 0x00

MOST = 1 << 20


def fault(text: str) -> tuple[str, int, str]:
    return ("fault", 1002, text)


def written(codec: Codec) -> bytes:
    queued = codec.queued
    data = b"".join(codec.take())
    assert queued == len(data)
    assert codec.queued == 0
    return data


def test_reading_stops_when_there_is_no_room_and_goes_on_later(frame: Frame, hear: Hear) -> None:
    codec = Codec(MOST)
    data = b"".join(frame(TEXT, b"%d" % number) for number in range(10))
    assert hear(codec, data, 0) == []
    assert codec.unread()
    assert hear(codec, b"", 3) == ["0", "1", "2"]
    assert hear(codec, frame(TEXT, b"10"), 0) == []
    assert hear(codec, b"", 1) == ["3"]
    assert hear(codec, frame(TEXT, b"11"), 6) == ["4", "5", "6", "7", "8", "9"]
    assert codec.unread()
    assert hear(codec, b"", 5) == ["10", "11"]
    assert not codec.unread()
    assert codec.size == 14


def test_reading_stops_when_enough_bytes_have_come(frame: Frame, hear: Hear) -> None:
    codec = Codec(MOST)
    data = b"".join(frame(BINARY, b"%d" % number * 100) for number in range(6))
    assert hear(codec, data, 100, 0) == []
    assert hear(codec, b"", 100, 1) == [b"0" * 100]
    assert hear(codec, b"", 100, 100) == [b"1" * 100]
    assert hear(codec, b"", 100, 101) == [b"2" * 100, b"3" * 100]
    assert hear(codec, b"", 100, -1) == []
    assert hear(codec, b"", 1, 1000) == [b"4" * 100]
    assert hear(codec, b"", 100, 1000) == [b"5" * 100]


def test_fragments_and_compressed_messages_take_room_and_weight(frame: Frame, hear: Hear) -> None:
    hello = bytes.fromhex("f248cdc9c90700")
    data = frame(TEXT_BEGINS, b"He") + frame(CONTINUATION, b"llo") + frame(0xC1, hello) + frame(BINARY)
    for room, weight in ((1, 100), (100, 5)):
        codec = Codec(MOST, Deflate())
        assert hear(codec, data, room, weight) == ["Hello"]
        assert hear(codec, b"", room, weight) == ["Hello"]
        assert hear(codec, b"", room, weight) == [b""]
        assert codec.size == 10


def test_empty_messages_take_room(frame: Frame, hear: Hear) -> None:
    codec = Codec(MOST)
    data = frame(TEXT) + frame(TEXT_BEGINS) + frame(CONTINUATION) + frame(BINARY)
    assert [hear(codec, data, 1), hear(codec, b"", 1), hear(codec, b"", 1)] == [[""], [""], [b""]]


def test_control_frames_need_no_room_but_stay_in_order(frame: Frame, hear: Hear) -> None:
    codec = Codec(MOST)
    data = frame(PING, b"1") + frame(PONG) + frame(TEXT, b"a") + frame(PING, b"2") + frame(CLOSE)
    assert hear(codec, data, 0) == []
    assert written(codec) == b"\x8a\x011"
    assert hear(codec, b"", 1) == ["a", ("closed", 1005, "")]
    assert written(codec) == b"\x8a\x012\x88\x00"


def test_a_fault_behind_what_has_no_room_waits(frame: Frame, hear: Hear) -> None:
    codec = Codec(MOST)
    assert hear(codec, frame(TEXT, b"a") + frame(TEXT, b"b") + b"\xff\x80", 1) == ["a"]
    assert repr(codec) == "<WebSocket OPEN kept=9>"
    assert hear(codec, b"", 5) == ["b", fault("a reserved bit is set")]


def test_a_frame_that_is_under_way_is_read_to_its_end_without_room(frame: Frame, hear: Hear) -> None:
    codec = Codec(MOST)
    one = frame(TEXT, b"hello")
    assert hear(codec, one[:-2], 1) == []
    assert hear(codec, one[-2:] + one, 0) == ["hello"]
    assert codec.unread()
    assert hear(codec, b"", 1) == ["hello"]


@given(st.data())
def test_with_any_room_and_weight_nothing_is_lost_and_the_order_is_kept(
    frame: Frame, hear: Hear, data: st.DataObject
) -> None:
    spec = data.draw(st.lists(st.tuples(st.sampled_from("twfp"), st.binary(max_size=5)), max_size=12))
    stream, expected, pongs = b"", [], b""
    for kind, payload in spec:
        if kind == "p":
            stream += frame(PING, payload)
            pongs += bytes([PONG, len(payload)]) + payload
            continue
        expected.append(payload)
        if kind == "f":
            stream += frame(BINARY_BEGINS, payload[:2]) + frame(GOES_ON, b"") + frame(CONTINUATION, payload[2:])
        else:
            stream += frame(BINARY, payload)
    codec = Codec(MOST)
    found = []
    at = 0
    while at < len(stream) or len(found) < len(expected) or codec.unread():
        size = data.draw(st.integers(0, 20))
        room, weight = data.draw(st.integers(0, 3)), data.draw(st.integers(0, 8))
        if at >= len(stream):
            room, weight = room + 1, weight + 1
        some = hear(codec, stream[at : at + size], room, weight)
        at += size
        assert len(some) <= max(room, 1)
        assert sum(map(len, some[:-1])) < max(weight, 1)  # type: ignore[arg-type]
        found += some
    assert found == expected
    assert written(codec) == pongs
