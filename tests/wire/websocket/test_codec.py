"""A stream of frames to messages and back: what is read, what is refused with which close code, what is written."""

import tracemalloc
from collections.abc import Callable

import pytest

from portway.wire.websocket.codec import Codec
from portway.wire.websocket.deflate import Deflate

Frame = Callable[..., bytes]
Hear = Callable[..., list[object]]

# First bytes: FIN is 0x80, the opcode the lower half.
TEXT, BINARY, CONTINUATION, CLOSE, PING, PONG = 0x81, 0x82, 0x80, 0x88, 0x89, 0x8A
TEXT_BEGINS, BINARY_BEGINS, GOES_ON = 0x01, 0x02, 0x00

MOST = 1 << 20
TOO_BIG = ("fault", 1009, "a message is larger than is accepted here")
NOT_SHORTEST = ("fault", 1002, "the size of a frame is not in its shortest form")


def fault(text: str) -> tuple[str, int, str]:
    return ("fault", 1002, text)


def written(codec: Codec) -> bytes:
    queued = codec.queued
    data = b"".join(codec.take())
    assert queued == len(data)
    assert codec.queued == 0
    return data


# --- the form of a frame (RFC 6455 §5.2) ---


@pytest.mark.parametrize("size", [0, 1, 2, 124, 125, 126, 127, 128, 255, 256, 65535, 65536, 65537, 200_000])
def test_a_message_of_any_size_is_read(frame: Frame, hear: Hear, size: int) -> None:
    codec = Codec(MOST)
    data = bytes(at * 7 & 0xFF for at in range(size))
    assert hear(codec, frame(BINARY, data)) == [data]
    assert hear(codec, frame(TEXT, b"a" * size)) == ["a" * size]
    assert codec.size == 2 * size
    assert written(codec) == b""


def test_the_samples_of_rfc_6455_are_read(hear: Hear) -> None:  # §5.7
    codec = Codec(MOST)
    assert hear(codec, bytes.fromhex("818537fa213d7f9f4d5158")) == ["Hello"]
    assert hear(codec, bytes.fromhex("898537fa213d7f9f4d5158")) == []
    assert written(codec) == bytes.fromhex("8a0548656c6c6f")


@pytest.mark.parametrize(("form", "size"), [(16, 0), (16, 1), (16, 125), (64, 0), (64, 125), (64, 126), (64, 65535)])
@pytest.mark.parametrize("first", [TEXT, BINARY, TEXT_BEGINS])
def test_a_size_that_is_not_in_its_shortest_form_is_refused(
    frame: Frame, hear: Hear, first: int, form: int, size: int
) -> None:
    assert hear(Codec(MOST), frame(first, b"a" * size, form=form)) == [NOT_SHORTEST]
    assert hear(Codec(MOST), frame(first, b"", form=form, size=size)) == [NOT_SHORTEST]
    assert hear(Codec(MOST), frame(TEXT_BEGINS) + frame(GOES_ON, b"a" * size, form=form)) == [NOT_SHORTEST]


@pytest.mark.parametrize("size", [1 << 63, (1 << 63) + 5, (1 << 64) - 1])
def test_a_size_of_64_bits_is_impossible(frame: Frame, hear: Hear, size: int) -> None:
    assert hear(Codec(MOST), frame(BINARY, form=64, size=size)) == [fault("a frame has an impossible size")]


@pytest.mark.parametrize("size", [MOST + 1, 1 << 31, 1 << 32, 1 << 62, (1 << 63) - 1])
@pytest.mark.parametrize("before", [b"", b"a", b"a" * 1000])
def test_a_size_of_63_bits_is_too_big(frame: Frame, hear: Hear, size: int, before: bytes) -> None:
    # In C a sum of it and of what came before would be negative.
    for deflate in (None, Deflate()):
        assert hear(Codec(MOST, deflate), frame(BINARY, form=64, size=size)) == [TOO_BIG]
        codec = Codec(MOST, deflate)
        assert hear(codec, frame(TEXT_BEGINS, before)) == []
        assert hear(codec, frame(CONTINUATION, b"more", form=64, size=size)) == [TOO_BIG]
        codec = Codec(MOST, deflate)
        assert hear(codec, frame(TEXT_BEGINS, before) + frame(GOES_ON, b"more", form=64, size=size)) == [TOO_BIG]


@pytest.mark.parametrize("first", [TEXT, BINARY, TEXT_BEGINS, GOES_ON, CLOSE, PING, PONG, 0xFF])
def test_a_frame_that_is_not_masked_is_refused(hear: Hear, first: int) -> None:  # §5.1
    for size in (0, 5, 126, 127):
        assert hear(Codec(MOST), bytes([first, size])) == [fault("a frame is not masked")]


def test_a_mask_of_zeros_is_a_mask(frame: Frame, hear: Hear) -> None:
    assert hear(Codec(MOST), frame(TEXT, b"hello", mask=bytes(4))) == ["hello"]


def verdict(first: int, within: bool, deflate: bool) -> str:
    """What RFC 6455 §5.2 and RFC 7692 §6 say of a first byte, in our words; empty if it may be."""
    opcode = first & 15
    if first & 0x30:
        return "a reserved bit is set"
    if 3 <= opcode <= 7 or opcode >= 11:
        return "a frame has a reserved opcode"
    if opcode >= 8:
        if first & 0x40:
            return "a control frame is compressed"
        return "" if first & 0x80 else "a control frame is fragmented"
    if opcode == 0:
        if not within:
            return "a continuation frame continues nothing"
        return "a continuation frame is marked as compressed" if first & 0x40 else ""
    if within:
        return "a new message begins within another one"
    return "a frame is compressed, which was not agreed on" if first & 0x40 and not deflate else ""


@pytest.mark.parametrize("deflate", [False, True])
@pytest.mark.parametrize("within", [False, True])
@pytest.mark.parametrize("size", [0, 1, 4])
def test_every_first_byte_is_let_in_or_refused(
    frame: Frame, hear: Hear, within: bool, deflate: bool, size: int
) -> None:
    for first in range(256):
        codec = Codec(MOST, Deflate() if deflate else None)
        if within:
            assert hear(codec, frame(BINARY_BEGINS, b"begun")) == []
        payload = (b"\x03\xe8ok" if first == CLOSE else b"okay")[:size]
        wrong = verdict(first, within, deflate)
        if first == CLOSE and size == 1:
            wrong = "a close frame has half a code"
        if wrong:
            assert hear(codec, frame(first, payload)) == [fault(wrong)], hex(first)
        elif not first & 0x40:  # what is compressed is looked at elsewhere
            assert ("fault" in str(hear(codec, frame(first, payload)))) is False, hex(first)
            assert ("CLOSED" in repr(codec)) is (first == CLOSE)


@pytest.mark.parametrize("size", [0, 126, 127])
def test_a_wrong_first_byte_is_refused_before_the_rest_of_the_head_has_come(hear: Hear, size: int) -> None:
    for first in range(256):
        wrong = verdict(first, False, False)
        if wrong:
            assert hear(Codec(MOST), bytes([first, 0x80 | size])) == [fault(wrong)]


# --- control frames (§5.5) ---


@pytest.mark.parametrize("size", [0, 1, 4, 124, 125])
def test_a_ping_is_answered_with_its_payload(frame: Frame, hear: Hear, size: int) -> None:
    codec = Codec(MOST)
    payload = bytes(range(100, 100 + size))
    assert hear(codec, frame(PING, payload)) == []
    assert written(codec) == bytes([PONG, size]) + payload


def test_each_ping_is_answered_in_order(frame: Frame, hear: Hear) -> None:
    codec = Codec(MOST)
    assert hear(codec, frame(PING, b"1") + frame(TEXT, b"a") + frame(PING, b"2") + frame(PONG, b"3")) == ["a"]
    assert written(codec) == b"\x8a\x011\x8a\x012"


def test_a_pong_is_passed_over(frame: Frame, hear: Hear) -> None:
    codec = Codec(MOST)
    assert hear(codec, frame(PONG) + frame(PONG, b"x" * 125)) == []
    assert written(codec) == b""
    assert repr(codec) == "<WebSocket OPEN kept=0>"


@pytest.mark.parametrize("first", [CLOSE, PING, PONG])
@pytest.mark.parametrize("size", [126, 127, 65535, 65536])
def test_a_control_frame_above_125_bytes_is_refused_at_its_second_byte(
    frame: Frame, hear: Hear, first: int, size: int
) -> None:
    large = fault("a control frame is larger than 125 bytes")
    assert hear(Codec(MOST), frame(first, b"a" * size)) == [large]
    assert hear(Codec(MOST), frame(first, b"a" * size)[:2]) == [large]


@pytest.mark.parametrize("first", [0x08, 0x09, 0x0A])
def test_a_control_frame_that_is_fragmented_is_refused(frame: Frame, hear: Hear, first: int) -> None:
    assert hear(Codec(MOST), frame(first, b"a")) == [fault("a control frame is fragmented")]


def test_control_frames_may_stand_among_fragments(frame: Frame, hear: Hear) -> None:
    codec = Codec(MOST)
    data = frame(TEXT_BEGINS, b"He") + frame(PING, b"1") + frame(GOES_ON, b"l") + frame(PONG) + frame(PING, b"2")
    assert hear(codec, data + frame(CONTINUATION, b"lo")) == ["Hello"]
    assert written(codec) == b"\x8a\x011\x8a\x012"


def test_a_control_frame_is_not_read_before_all_of_it_has_come(frame: Frame, hear: Hear) -> None:
    codec = Codec(MOST)
    data = frame(PING, b"payload")
    for at in range(len(data)):
        assert hear(codec, data[at : at + 1]) == []
        assert written(codec) == (b"" if at < len(data) - 1 else b"\x8a\x07payload")


# --- fragments (§5.4) ---


@pytest.mark.parametrize("pieces", [(b"a", b"b"), (b"", b""), (b"", b"a", b""), (b"a", b"", b""), (b"ab",) * 50])
def test_fragments_are_put_together(frame: Frame, hear: Hear, pieces: tuple[bytes, ...]) -> None:
    codec = Codec(MOST)
    for first in (BINARY_BEGINS, TEXT_BEGINS):
        data = frame(first, pieces[0])
        data += b"".join(frame(GOES_ON, piece) for piece in pieces[1:-1])
        assert hear(codec, data) == []
        whole = b"".join(pieces)
        assert hear(codec, frame(CONTINUATION, pieces[-1])) == [whole if first == BINARY_BEGINS else whole.decode()]
    assert codec.size == 2 * len(whole)


@pytest.mark.parametrize(("first", "message"), [(TEXT, ""), (BINARY, b"")])
def test_an_empty_message_is_a_message(frame: Frame, hear: Hear, first: int, message: object) -> None:
    found = hear(Codec(0), frame(first) + frame(first & 15) + frame(CONTINUATION))
    assert found == [message, message]
    assert [type(one) for one in found] == [type(message)] * 2


@pytest.mark.parametrize("first", [CONTINUATION, GOES_ON])
def test_a_continuation_needs_something_to_continue(frame: Frame, hear: Hear, first: int) -> None:
    nothing = fault("a continuation frame continues nothing")
    assert hear(Codec(MOST), frame(first, b"a")) == [nothing]
    assert hear(Codec(MOST), frame(TEXT, b"a") + frame(first, b"a")) == ["a", nothing]
    whole = frame(TEXT_BEGINS, b"a") + frame(CONTINUATION, b"b")
    assert hear(Codec(MOST), whole + frame(first, b"c")) == ["ab", nothing]


@pytest.mark.parametrize("first", [TEXT, BINARY, TEXT_BEGINS, BINARY_BEGINS])
def test_a_message_does_not_begin_within_another_one(frame: Frame, hear: Hear, first: int) -> None:
    within = fault("a new message begins within another one")
    for before in (frame(TEXT_BEGINS, b"a"), frame(BINARY_BEGINS), frame(TEXT_BEGINS) + frame(GOES_ON, b"a")):
        for payload in (b"", b"a", b"a" * 126):
            assert hear(Codec(MOST), before + frame(first, payload)) == [within]


def test_empty_fragments_without_end_take_no_memory(frame: Frame, hear: Hear) -> None:
    for first in (TEXT_BEGINS, BINARY_BEGINS):
        codec = Codec(MOST)
        hear(codec, frame(first))
        many = frame(GOES_ON) * 10_000
        tracemalloc.start()
        for _ in range(20):
            hear(codec, many)
        held, _ = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert held < 100_000
        assert len(hear(codec, frame(CONTINUATION))) == 1


def test_a_message_that_comes_byte_by_byte_takes_no_more_memory_than_twice_its_size(frame: Frame, hear: Hear) -> None:
    size = 100_000
    codec = Codec(MOST)
    data = frame(TEXT, b"a" * size)
    bytes_of = [data[at : at + 1] for at in range(len(data))]
    tracemalloc.start()
    for byte in bytes_of[:-1]:
        codec.receive(byte, 1, MOST)
    held, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert held < 2 * size
    assert hear(codec, bytes_of[-1]) == ["a" * size]


# --- how large a message may be ---


@pytest.mark.parametrize("most", [0, 1, 125, 126, 1000, 65535, 65536])
@pytest.mark.parametrize("first", [TEXT, BINARY])
def test_a_message_may_be_as_large_as_it_may_be_and_no_larger(frame: Frame, hear: Hear, first: int, most: int) -> None:
    data = b"a" * most
    message = data.decode() if first == TEXT else data
    assert hear(Codec(most), frame(first, data)) == [message]
    assert hear(Codec(most), frame(first, data + b"a")) == [TOO_BIG]
    for at in {0, most // 2, most}:
        begin = frame(first & 15, data[:at])
        assert hear(Codec(most), begin + frame(CONTINUATION, data[at:])) == [message]
        assert hear(Codec(most), begin + frame(CONTINUATION, data[at:] + b"a")) == [TOO_BIG]


def test_a_message_is_too_big_from_its_head_on(frame: Frame, hear: Hear) -> None:
    for size in (1001, 65536):
        one = frame(BINARY, b"a" * size)
        head = len(one) - size
        codec = Codec(1000)
        assert hear(codec, one[: head - 1]) == []
        assert hear(codec, one[head - 1 : head]) == [TOO_BIG]
        assert written(codec)[:4] == b"\x88\x2b\x03\xf1"


def test_a_fragment_is_too_big_from_its_head_on(frame: Frame, hear: Hear) -> None:
    codec = Codec(1000)
    assert hear(codec, frame(TEXT_BEGINS, b"a" * 600) + frame(GOES_ON, b"a" * 400) + frame(GOES_ON)) == []
    assert hear(codec, frame(GOES_ON, b"a")[:6]) == [TOO_BIG]


def test_the_limit_is_for_each_message(frame: Frame, hear: Hear) -> None:
    codec = Codec(10)
    for _ in range(5):
        assert hear(codec, frame(BINARY, b"a" * 10)) == [b"a" * 10]
        assert hear(codec, frame(BINARY_BEGINS, b"a" * 9) + frame(CONTINUATION, b"a")) == [b"a" * 10]
    assert codec.size == 100


# --- what is written ---


@pytest.mark.parametrize(
    ("size", "length"),
    [(0, "00"), (1, "01"), (125, "7d"), (126, "7e007e"), (127, "7e007f"), (256, "7e0100"), (65535, "7effff"),
    (65536, "7f0000000000010000"), (100_000, "7f00000000000186a0")],
)  # fmt: skip
def test_a_message_is_sent_in_one_frame_without_a_mask(size: int, length: str) -> None:
    codec = Codec(MOST)
    assert codec.send("a" * size) == codec.send(b"\xff" * size) == size
    head = bytes.fromhex(length)
    assert written(codec) == b"\x81" + head + b"a" * size + b"\x82" + head + b"\xff" * size


def test_the_size_of_what_is_sent_is_in_bytes() -> None:
    codec = Codec(MOST)
    assert codec.send("€") == 3
    assert written(codec) == b"\x81\x03\xe2\x82\xac"


def test_a_text_that_cannot_be_utf8_is_not_sent() -> None:
    codec = Codec(MOST)
    with pytest.raises(UnicodeEncodeError):
        codec.send("\ud800")
    assert written(codec) == b""
    codec.send("a")
    assert written(codec) == b"\x81\x01a"


def test_what_is_queued_is_counted_to_the_byte(frame: Frame, hear: Hear) -> None:
    codec = Codec(MOST)
    total = 0
    for size in (0, 125, 126, 65535, 65536):
        codec.send(b"a" * size)
        total += size + (2 if size < 126 else 4 if size < 65536 else 10)
        assert codec.queued == total
    codec.ping(b"abc")
    hear(codec, frame(PING, b"abcd"))
    codec.close(1000, "bye")
    assert codec.queued == total + 5 + 6 + 7
    assert len(written(codec)) == total + 18


def test_what_was_taken_is_the_callers() -> None:
    codec = Codec(MOST)
    codec.send("a")
    taken = codec.take()
    codec.send("b")
    assert b"".join(taken) == b"\x81\x01a"
    assert b"".join(codec.take()) == b"\x81\x01b"
    assert codec.take() == []


def test_a_ping_is_sent_with_its_payload() -> None:
    codec = Codec(MOST)
    codec.ping()
    codec.ping(b"x" * 125)
    assert written(codec) == b"\x89\x00\x89\x7d" + b"x" * 125


def test_the_state_shows_in_the_repr(frame: Frame, hear: Hear) -> None:
    codec = Codec(MOST)
    assert repr(codec) == "<WebSocket OPEN kept=0>"
    hear(codec, frame(PING, b"hello")[:3])
    assert repr(codec) == "<WebSocket OPEN kept=3>"
    assert codec.unread()
    codec.close(1000)
    assert repr(codec) == "<WebSocket OURS kept=3>"
    [closed] = codec.receive(frame(PING, b"hello")[3:] + frame(CLOSE, b"\x03\xe8bye"), 1, 1)
    assert repr(closed) == "<Closed 1000 'bye'>"
    assert repr(codec) == "<WebSocket CLOSED kept=0>"
