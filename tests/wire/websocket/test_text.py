"""Text is UTF-8, which is checked as it arrives (RFC 6455 §8.1): the first impossible byte ends the connection."""

import re
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from portway.wire.websocket.codec import Codec

Frame = Callable[..., bytes]
Hear = Callable[..., list[object]]

TEXT, CONTINUATION, PING = 0x81, 0x80, 0x89
TEXT_BEGINS, BINARY_BEGINS, GOES_ON = 0x01, 0x02, 0x00

MOST = 1 << 20
NOT_UTF8 = ("fault", 1007, "a text message is not UTF-8")

TAIL = rb"[\x80-\xbf]"
# RFC 3629 §4: UTF8-2 to UTF8-4, each with a way to stop early, which is only allowed at the end.
WHOLE = (
    rb"[\x00-\x7f]|[\xc2-\xdf]" + TAIL + rb"|(?:\xe0[\xa0-\xbf]|[\xe1-\xec\xee\xef]" + TAIL + rb"|\xed[\x80-\x9f])"
    + TAIL + rb"|(?:\xf0[\x90-\xbf]|[\xf1-\xf3]" + TAIL + rb"|\xf4[\x80-\x8f])" + TAIL + TAIL
)  # fmt: skip
BEGUN = (
    rb"[\xc2-\xf4]|\xe0[\xa0-\xbf]|[\xe1-\xec\xee\xef]" + TAIL + rb"|\xed[\x80-\x9f]"
    rb"|(?:\xf0[\x90-\xbf]|[\xf1-\xf3]" + TAIL + rb"|\xf4[\x80-\x8f])" + TAIL + rb"?"
)  # fmt: skip
POSSIBLE = re.compile(rb"(?:" + WHOLE + rb")*(?:" + BEGUN + rb")?", re.DOTALL)


def first_impossible(data: bytes) -> int:
    """Where the first byte is that no text can have there, or the size."""
    return next((at for at in range(len(data)) if POSSIBLE.fullmatch(data[: at + 1]) is None), len(data))


IMPOSSIBLE = [
    (b"\x80", 0), (b"\xbf", 0), (b"\xc0", 0), (b"\xc1", 0), (b"\xf5", 0), (b"\xfe", 0), (b"\xff", 0),
    (b"a\x80", 1), (b"\xc2A", 1), (b"\xc3\xc3", 1), (b"\xdf\x7f", 1), (b"\xe0\x80", 1), (b"\xe0\x9f", 1),
    (b"\xe1A", 1), (b"\xed\xa0", 1), (b"\xed\xbf", 1), (b"\xed\x41", 1), (b"\xed\xff", 1), (b"\xed\xed", 1),
    (b"\xef\xc0", 1), (b"\xf0\x80", 1), (b"\xf0\x8f", 1), (b"\xf0A", 1), (b"\xf4\x90", 1), (b"\xf4\xbf", 1),
    (b"\xe2\x82A", 2), (b"\xe2\x82\xc0", 2), (b"\xed\x9fA", 2), (b"\xf0\x9fA", 2), (b"\xf4\x8f\x7f", 2),
    (b"\xf0\x9f\x98A", 3), (b"\xf0\x9f\x98\xf0", 3), ("κόσμε".encode() + b"\xed\xa0\x80", 11),
    ("κόσμε".encode() + b"\xf4\x90\x80\x80", 11), (b"\xf0\x9f\x98\x80\x80", 4), (b"a" * 200 + b"\xff", 200),
]  # fmt: skip


def test_the_table_says_what_the_grammar_says() -> None:
    for data, at in IMPOSSIBLE:
        assert first_impossible(data + b"after") == at, data
    for data in ("aé€😀\ud7ff\ue000\uffff\U00010000\U0010ffff\0\x7f".encode(), b""):
        assert first_impossible(data) == len(data)


@pytest.mark.parametrize(("data", "at"), IMPOSSIBLE, ids=lambda value: repr(value)[:20])
def test_text_is_refused_at_its_first_impossible_byte(frame: Frame, hear: Hear, data: bytes, at: int) -> None:
    text = data + b"after"
    one = frame(TEXT, text)
    start = len(one) - len(text)

    byte_by_byte = Codec(MOST)
    assert hear(byte_by_byte, one[:start]) == []
    for place in range(at):
        assert hear(byte_by_byte, one[start + place : start + place + 1]) == []
    assert hear(byte_by_byte, one[start + at : start + at + 1]) == [NOT_UTF8]

    assert hear(Codec(MOST), one[: start + at]) == []
    assert hear(Codec(MOST), one[: start + at + 1]) == [NOT_UTF8]
    assert hear(Codec(MOST), one) == [NOT_UTF8]

    fragments = Codec(MOST)
    assert hear(fragments, frame(TEXT_BEGINS)) == []
    for place in range(at):
        assert hear(fragments, frame(GOES_ON, text[place : place + 1])) == []
    assert hear(fragments, frame(GOES_ON, text[at : at + 1])) == [NOT_UTF8]

    assert hear(Codec(MOST), frame(TEXT_BEGINS, text[:at])) == []
    assert hear(Codec(MOST), frame(TEXT_BEGINS, text[: at + 1])) == [NOT_UTF8]


@given(
    st.lists(
        st.sampled_from(list(b"a\x7f\x80\x8f\x90\x9f\xa0\xbf\xc1\xc2\xe0\xe1\xed\xef\xf0\xf3\xf4\xf5")), max_size=6
    )
)
def test_a_byte_is_refused_exactly_if_the_grammar_has_no_place_for_it(
    frame: Frame, hear: Hear, places: list[int]
) -> None:
    data = bytes(places)
    at = first_impossible(data)
    codec = Codec(MOST)
    hear(codec, frame(TEXT_BEGINS, b""))
    for place in range(at):
        assert hear(codec, frame(GOES_ON, data[place : place + 1])) == []
    if at < len(data):
        assert hear(codec, frame(GOES_ON, data[at : at + 1])) == [NOT_UTF8]
        assert hear(Codec(MOST), frame(TEXT_BEGINS, data)) == [NOT_UTF8]
        assert hear(Codec(MOST), frame(TEXT, data)) == [NOT_UTF8]


@pytest.mark.parametrize("text", ["é", "€", "😀", "a\ud7ffb", "\ue000", "\U0010ffff", "\0", "\ufeffx"])
def test_a_character_may_be_cut_anywhere(frame: Frame, hear: Hear, text: str) -> None:
    data = text.encode()
    for at in range(len(data) + 1):
        fragments = frame(TEXT_BEGINS, data[:at]) + frame(PING) + frame(CONTINUATION, data[at:])
        assert hear(Codec(MOST), fragments) == [text]
        one = frame(TEXT, data)
        codec = Codec(MOST)
        assert hear(codec, one[: len(one) - at]) + hear(codec, one[len(one) - at :]) == [text]


@pytest.mark.parametrize("data", [b"\xc3", b"\xe2\x82", b"\xed\x9f", b"\xf0\x9f\x98", b"text\xf0"])
def test_a_text_does_not_end_within_a_character(frame: Frame, hear: Hear, data: bytes) -> None:
    assert hear(Codec(MOST), frame(TEXT, data)) == [NOT_UTF8]
    assert hear(Codec(MOST), frame(TEXT_BEGINS, data)) == []
    assert hear(Codec(MOST), frame(TEXT_BEGINS, data) + frame(CONTINUATION)) == [NOT_UTF8]
    codec = Codec(MOST)
    one = frame(TEXT, data)
    assert hear(codec, one[:-1]) == []
    assert hear(codec, one[-1:]) == [NOT_UTF8]


def test_the_beginning_of_a_character_is_not_kept_for_the_next_message(frame: Frame, hear: Hear) -> None:
    codec = Codec(MOST)
    assert hear(codec, frame(BINARY_BEGINS, b"\xc3") + frame(CONTINUATION, b"\xff")) == [b"\xc3\xff"]
    assert hear(codec, frame(TEXT_BEGINS, "é".encode()[:1]) + frame(CONTINUATION, "é".encode()[1:])) == ["é"]
    assert hear(codec, frame(TEXT_BEGINS, b"\xa9")) == [NOT_UTF8]
