"""How a conversation ends: their close, ours, and a fault (RFC 6455 §5.5.1, §7)."""

from collections.abc import Callable

import pytest

from portway.wire.websocket.codec import Codec
from portway.wire.websocket.deflate import Deflate
from portway.wire.websocket.faults import FrameFault

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


@pytest.mark.parametrize("code", [1000, 1001, 1011, 1014, 3000, 4999])
def test_a_close_is_answered_with_its_code(frame: Frame, hear: Hear, code: int) -> None:
    codec = Codec(MOST)
    body = code.to_bytes(2, "big")
    assert hear(codec, frame(TEXT, b"a") + frame(CLOSE, body + "für".encode())) == ["a", ("closed", code, "für")]
    assert written(codec) == b"\x88\x02" + body
    assert repr(codec) == "<WebSocket CLOSED kept=0>"


def test_a_close_without_a_code_is_answered_without_one(frame: Frame, hear: Hear) -> None:
    codec = Codec(MOST)
    assert hear(codec, frame(CLOSE)) == [("closed", 1005, "")]
    assert written(codec) == b"\x88\x00"


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (b"\x03", fault("a close frame has half a code")),
        (b"\x00\x00", fault("a close frame has a code that must not be sent")),
        (b"\x03\xed", fault("a close frame has a code that must not be sent")),
        (b"\xff\xff", fault("a close frame has a code that must not be sent")),
        (b"\x03\xe8\xff", ("fault", 1007, "the reason in a close frame is not UTF-8")),
        (b"\x03\xe8" + "é".encode()[:1], ("fault", 1007, "the reason in a close frame is not UTF-8")),
    ],
)
def test_a_close_that_is_wrong_is_answered_with_a_close(
    frame: Frame, hear: Hear, body: bytes, expected: tuple[str, int, str]
) -> None:
    codec = Codec(MOST)
    assert hear(codec, frame(CLOSE, body)) == [expected]
    _, code, text = expected
    assert written(codec) == bytes([0x88, 2 + len(text)]) + code.to_bytes(2, "big") + text.encode()
    codec = Codec(MOST)
    codec.close(1000)
    written(codec)
    assert hear(codec, frame(CLOSE, body)) == [expected]
    assert written(codec) == b""


def test_nothing_is_read_after_a_close(frame: Frame, hear: Hear) -> None:
    codec = Codec(MOST)
    assert hear(codec, frame(CLOSE) + frame(TEXT, b"a") + b"\xff\xff") == [("closed", 1005, "")]
    assert not codec.unread()
    assert hear(codec, frame(TEXT, b"a") + frame(PING) + frame(CLOSE)) == []
    assert written(codec) == b"\x88\x00"


def test_nothing_is_read_after_a_fault(frame: Frame, hear: Hear) -> None:
    codec = Codec(MOST)
    assert hear(codec, frame(TEXT, b"a") + frame(0x83) + frame(TEXT, b"b")) == [
        "a",
        fault("a frame has a reserved opcode"),
    ]
    assert repr(codec) == "<WebSocket CLOSED kept=0>"
    assert not codec.unread()
    assert hear(codec, frame(TEXT, b"a") + frame(PING) + frame(CLOSE)) == []
    assert written(codec) == b"\x88\x1f\x03\xeaa frame has a reserved opcode"


def test_what_was_kept_is_not_read_after_a_fault_from_outside(frame: Frame, hear: Hear) -> None:
    codec = Codec(MOST)
    assert hear(codec, frame(TEXT, b"a") + frame(TEXT, b"b"), 1) == ["a"]
    codec.fail(FrameFault("the peer is too slow", 1008))
    assert written(codec) == b"\x88\x16\x03\xf0the peer is too slow"
    assert not codec.unread()
    assert hear(codec, b"") == []


def test_after_our_close_messages_are_dropped_until_theirs(frame: Frame, hear: Hear) -> None:
    codec = Codec(MOST)
    codec.close(1001, "bye")
    assert written(codec) == b"\x88\x05\x03\xe9bye"
    assert repr(codec) == "<WebSocket OURS kept=0>"
    data = frame(TEXT, b"a") + frame(PING, b"p") + frame(BINARY_BEGINS, b"a") + frame(GOES_ON) + frame(PONG)
    assert hear(codec, data + frame(CONTINUATION, b"b") + frame(BINARY)) == []
    assert codec.size == 0
    assert hear(codec, frame(CLOSE, b"\x03\xe9")) == [("closed", 1001, "")]
    assert repr(codec) == "<WebSocket CLOSED kept=0>"
    assert written(codec) == b""


def test_a_message_that_is_under_way_at_our_close_is_dropped(frame: Frame, hear: Hear) -> None:
    one = frame(TEXT, b"hello")
    for begun, rest in ((frame(TEXT_BEGINS, b"a"), frame(CONTINUATION, b"b")), (one[:-2], one[-2:])):
        for deflate in (None, Deflate()):
            codec = Codec(MOST, deflate)
            assert hear(codec, begun) == []
            codec.close(1000)
            assert hear(codec, rest + frame(TEXT, b"c") + frame(CLOSE)) == [("closed", 1005, "")]


def test_what_has_no_room_at_our_close_is_dropped(frame: Frame, hear: Hear) -> None:
    codec = Codec(MOST)
    assert hear(codec, frame(TEXT, b"a") + frame(TEXT, b"b") + frame(CLOSE, b"\x03\xe8"), 1) == ["a"]
    codec.close(1000)
    assert hear(codec, b"") == [("closed", 1000, "")]


def test_a_fault_after_our_close_has_no_second_close(frame: Frame, hear: Hear) -> None:
    for wrong in (frame(0x83), frame(CONTINUATION), frame(BINARY, b"a" * 11)):
        codec = Codec(10)
        codec.close(1000)
        assert written(codec) == b"\x88\x02\x03\xe8"
        found = hear(codec, wrong)
        assert [event[0] for event in found] == ["fault"]  # type: ignore[index]
        assert written(codec) == b""
        assert repr(codec) == "<WebSocket CLOSED kept=0>"


def test_only_the_first_close_is_sent_and_nothing_after_it(frame: Frame, hear: Hear) -> None:
    codec = Codec(MOST, Deflate())
    codec.send("a")
    codec.close(1000)
    codec.close(1001)
    codec.send("b")
    codec.send(b"b" * 5000)
    codec.ping()
    hear(codec, frame(PING))
    assert written(codec) == b"\x81\x01a\x88\x02\x03\xe8"
    for end in (frame(CLOSE), frame(0x83)):
        codec = Codec(MOST)
        hear(codec, end)
        written(codec)
        codec.send("b")
        codec.ping()
        codec.close(1000)
        assert written(codec) == b""


def test_a_reason_that_is_too_long_is_cut(hear: Hear) -> None:
    codec = Codec(MOST)
    codec.close(1000, "€" * 50)
    assert written(codec) == b"\x88\x7d\x03\xe8" + ("€" * 41).encode()
