"""Where the network cuts a conversation must not change what it says."""

import random
import zlib
from collections.abc import Callable
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from portway.wire.websocket.deflate import Deflate

Frame = Callable[..., bytes]
Replay = Callable[..., Any]

# A frame is its first byte, its payload, and what is unusual about it; or it is bytes.
Spec = list[tuple[Any, ...] | bytes]

HELLO = bytes.fromhex("f248cdc9c90700")

VALID: dict[str, Spec] = {
    "text": [(0x81, b"hello"), (0x81, "aé€😀".encode()), (0x81, b"")],
    "binary": [(0x82, bytes(range(256))), (0x82, b""), (0x82, b"\xff" * 125)],
    "fragments": [(0x01, b"He"), (0x00, b""), (0x00, b"ll"), (0x80, b"o"), (0x02, b""), (0x80, b"")],
    "characters": [(0x01, b"\xf0"), (0x00, b"\x9f\x98"), (0x89, b"p"), (0x80, b"\x80\xe2\x82\xac")],
    "controls": [(0x89, b""), (0x8A, b"x"), (0x01, b"a"), (0x89, b"p" * 125), (0x80, b"b"), (0x89, b"q")],
    "compressed": [(0xC1, HELLO), (0xC1, bytes.fromhex("f200110000")), (0xC1, bytes.fromhex("f348cdc9c9070000"))],
    "compressed_fragments": [(0x41, HELLO[:3]), (0x89, b"p"), (0x00, b""), (0x80, HELLO[3:]), (0x82, b"plain")],
    "closed": [(0x81, b"a"), (0x88, b"\x03\xe8bye"), (0x81, b"b"), b"\xff\xff"],
    "closed_without_code": [(0x01, b"a"), (0x88, b""), (0x80, b"b")],
    "unfinished_head": [(0x82, b"a"), b"\x82\xfe\x01"],
    "unfinished_payload": [(0x82, b"a", {"size": 100})],
    "unfinished_message": [(0x01, b"a"), (0x00, b"b")],
    "sizes": [(0x82, b"a" * 126), (0x82, b"a" * 65535), (0x82, b"a" * 65536)],
}

INVALID: dict[str, Spec] = {
    "reserved_bit": [(0x91, b"a")],
    "reserved_bit_and_more": [(0x91, b"a" * 10, {"form": 64})],
    "opcode": [(0x83, b"a")],
    "opcode_of_control": [(0x8B, b"a" * 200)],
    "not_masked": [b"\x81\x05hello"],
    "not_masked_and_more": [b"\xf3\x7f" + b"\xff" * 8],
    "shortest_16": [(0x81, b"a", {"form": 16})],
    "shortest_64": [(0x81, b"a", {"form": 64})],
    "shortest_of_control": [(0x89, b"a", {"form": 16})],
    "shortest_of_continuation": [(0x80, b"a", {"form": 16})],
    "impossible_size": [(0x82, b"a", {"form": 64, "size": 1 << 63})],
    "impossible_size_within": [(0x02, b"a"), (0x82, b"a", {"form": 64, "size": 1 << 63})],
    "large_control": [(0x89, b"a" * 126)],
    "fragmented_control": [(0x09, b"a")],
    "fragmented_large_control": [(0x09, b"a" * 126)],
    "compressed_control": [(0xC9, b"a")],
    "nothing_continued": [(0x80, b"a")],
    "within": [(0x01, b"a"), (0x82, b"a" * 200)],
    "compressed_continuation": [(0x01, b"a"), (0xC0, b"a")],
    "utf8": [(0x81, b"ab\xffc")],
    "utf8_surrogate": [(0x81, b"ab\xed\xa0\x80c")],
    "utf8_at_the_end": [(0x81, b"ab\xc3")],
    "utf8_in_fragments": [(0x01, b"\xed"), (0x00, b"\xa0"), (0x80, b"\x80")],
    "close_code": [(0x88, b"\x03\xed")],
    "close_half": [(0x88, b"\x03")],
    "close_reason": [(0x88, b"\x03\xe8\xff")],
    "too_big": [(0x82, b"a" * 70_001)],
    "too_big_by_far": [(0x82, b"a", {"form": 64, "size": (1 << 63) - 1})],
    "too_big_in_fragments": [(0x02, b"a" * 60_000), (0x89, b"p"), (0x80, b"a" * 10_001)],
    "too_big_by_far_in_fragments": [(0x02, b"a"), (0x80, b"a", {"form": 64, "size": (1 << 63) - 1})],
    "bomb": [(0xC2, zlib.compress(bytes(100_000), wbits=-15))],
    "no_deflate": [(0xC2, b"\x07" * 10)],
    "beyond_final_block": [(0xC2, bytes.fromhex("f348cdc9c90700") + b"a" * 20)],
}

MOST = 70_000
BEFORE: Spec = [(0x81, b"before"), (0x89, b"p")]
AFTER: Spec = [(0x81, b"after"), (0x88, b"")]

ALL = [pytest.param(spec, False, id=name) for name, spec in VALID.items()] + [
    pytest.param([*BEFORE, *spec, *AFTER], True, id=f"not_{name}") for name, spec in INVALID.items()
]


def stream(frame: Frame, spec: Spec) -> bytes:
    data = b""
    for one in spec:
        if isinstance(one, bytes):
            data += one
        else:
            first, payload, *rest = one
            data += frame(first, payload, **(rest[0] if rest else {}))
    return data


def cut(data: bytes, places: list[int]) -> list[bytes]:
    bounds = [0, *sorted(places), len(data)]
    return [data[one:two] for one, two in pairwise(bounds)]


@pytest.mark.parametrize(("spec", "wrong"), ALL)
def test_a_conversation_is_the_same_cut_in_two_anywhere(frame: Frame, replay: Replay, spec: Spec, wrong: bool) -> None:
    data = stream(frame, spec)
    whole = replay([data], MOST, Deflate())
    assert ("fault" in str(whole.events)) is wrong
    # Everywhere, but in the middle of what is long.
    for at in {*range(min(len(data), 300)), *range(max(0, len(data) - 300), len(data)), *range(0, len(data), 997)}:
        assert replay(cut(data, [at]), MOST, Deflate()) == whole, at


@pytest.mark.parametrize("size", [1, 2, 3, 7])
@pytest.mark.parametrize(("spec", "wrong"), ALL)
def test_a_conversation_is_the_same_in_small_pieces(
    frame: Frame, replay: Replay, spec: Spec, wrong: bool, size: int
) -> None:
    data = stream(frame, spec)[:5000] if not wrong else stream(frame, spec)
    pieces = [data[at : at + size] for at in range(0, len(data), size)]
    told = replay(pieces, MOST, Deflate())
    assert told == replay([data], MOST, Deflate())
    assert ("fault" in str(told.events)) is wrong


PAYLOADS = st.binary(max_size=12) | st.text(max_size=6).map(str.encode) | st.binary(min_size=120, max_size=130)
SIZES = st.fixed_dictionaries({}, optional={"form": st.sampled_from([16, 64])}) | st.just({})
FRAMES = st.tuples(st.sampled_from([0x81, 0x82, 0x01, 0x02, 0x00, 0x80, 0x80, 0x89, 0x8A]), PAYLOADS)
ODD = st.tuples(st.integers(0, 255).filter(lambda first: not first & 0x40), PAYLOADS, SIZES)
CLOSES = st.tuples(st.just(0x88), st.sampled_from([b"", b"\x03\xe8", b"\x03\xe9bye", b"\x03", b"\x03\xe8\xff"]))
MESSAGES = st.sampled_from(
    [
        [(0x81, b"hi")], [(0x82, b"\xff")], [(0x01, b"\xe2"), (0x80, b"\x82\xac")], [(0x02, b""), (0x80, b"a")],
        [(0xC1, HELLO)], [(0x41, HELLO[:2]), (0x8A, b""), (0x80, HELLO[2:])], [(0x89, b"ping")],
        [(0x82, b"a" * 126)],
    ],
)  # fmt: skip


@given(st.data())
@settings(max_examples=300)
def test_any_frames_are_the_same_cut_anywhere(frame: Frame, replay: Replay, data: st.DataObject) -> None:
    """Those of any kind are soon at a fault; whole messages before them go further."""
    before = data.draw(st.lists(MESSAGES, max_size=5))
    spec = [one for message in before for one in message] + data.draw(st.lists(FRAMES | ODD | CLOSES, max_size=6))
    text = stream(frame, spec)
    places = data.draw(st.lists(st.integers(0, len(text)), max_size=8))
    most = data.draw(st.sampled_from([5, 128, 1 << 20]))
    assert replay(cut(text, places), most, Deflate()) == replay([text], most, Deflate())


@given(st.data())
@settings(max_examples=60)
def test_any_messages_are_the_same_cut_in_two_everywhere(frame: Frame, replay: Replay, data: st.DataObject) -> None:
    before = data.draw(st.lists(MESSAGES, min_size=1, max_size=4))
    text = stream(frame, [one for message in before for one in message])
    whole = replay([text], 1 << 20, Deflate())
    for at in range(len(text) + 1):
        assert replay(cut(text, [at]), 1 << 20, Deflate()) == whole


@given(st.data())
def test_a_large_message_is_the_same_cut_anywhere(frame: Frame, replay: Replay, data: st.DataObject) -> None:
    # Room is made for all of a frame where enough of it is here: from one byte in eight to all but the last.
    payload = random.Random(data.draw(st.integers(0, 9))).randbytes(
        data.draw(st.sampled_from([3, 17, 300, 5000, 70_000]))
    )
    mask = data.draw(st.binary(min_size=4, max_size=4))
    text = frame(0x82, payload, mask=mask) + frame(0x82, payload[1:], mask=mask) + frame(0x89, b"p")
    eighth = len(payload) // 8
    near = st.sampled_from([eighth, len(payload), len(text) - eighth]).flatmap(lambda at: st.integers(at - 9, at + 22))
    places = data.draw(st.lists(st.integers(0, len(text)) | near, max_size=5))
    told = replay(cut(text, [min(max(at, 0), len(text)) for at in places]))
    assert told.events == [payload, payload[1:]]
    assert told.written == b"\x8a\x01p"


@given(data=st.binary(max_size=60), places=st.lists(st.integers(0, 60), max_size=6))
def test_noise_is_the_same_cut_anywhere(replay: Replay, data: bytes, places: list[int]) -> None:
    pieces = cut(data, [min(at, len(data)) for at in places])
    assert replay(pieces) == replay([data])
