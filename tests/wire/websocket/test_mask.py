"""The mask's two bodies, each held against the other, and both against RFC 6455 §5.3."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from portway import _modes
from portway.wire.websocket import mask

COMPILED = _modes.mode() == "compiled"

MASKS = st.integers(0, 0xFFFFFFFF) | st.sampled_from([0, 1, 0xFF, 0xFF000000, 0x80000000, 0xFFFFFFFF])


@st.composite
def spans(draw: st.DrawFn) -> tuple[bytes, int, int]:
    """Bytes and a span of them."""
    data = draw(st.binary(max_size=100))
    stop = draw(st.integers(0, len(data)))
    return data, draw(st.integers(0, stop)), stop


def by_the_book(data: bytes, key: int) -> bytes:
    """RFC 6455 §5.3, with j = i MOD 4."""
    octets = key.to_bytes(4, "little")
    return bytes(byte ^ octets[at % 4] for at, byte in enumerate(data))


@given(span=spans(), key=MASKS)
def test_both_bodies_take_the_mask_off(span: tuple[bytes, int, int], key: int) -> None:
    data, start, stop = span
    before = bytes(bytearray(data))
    expected = by_the_book(data[start:stop], key)
    assert mask.unmask(data, start, stop, key) == expected
    assert mask.unmask_by_number(data, start, stop, key) == expected
    if COMPILED:  # interpreted, bytes cannot be written to
        assert mask.unmask_by_loop(data, start, stop, key) == expected
    assert data == before


@pytest.mark.parametrize("size", [*range(70), 255, 256, 1000, 65537])
def test_every_remainder_of_the_loop_is_unmasked(size: int) -> None:
    data = bytes(at * 31 & 0xFF for at in range(size + 3))
    for start in range(4):
        stop = start + size if start + size <= len(data) else len(data)
        expected = by_the_book(data[start:stop], 0x9F3A51C7)
        assert mask.unmask(data, start, stop, 0x9F3A51C7) == expected


def test_a_single_byte_does_not_change_the_bytes_that_python_has_once() -> None:
    # b"a"[0:1] is the same object everywhere; a loop that wrote to it would change each b"a" there is.
    once = [bytes([value]) for value in range(256)]
    for value in range(256):
        data = bytes([1, value, 2])
        for key in (0xFF, 0x5A, 0):
            assert mask.unmask(data, 1, 2, key)[0] == value ^ key
            assert mask.unmask(data, 1, 1, key) == b""
    assert [one[0] for one in once] == list(range(256))
    assert [bytes([value])[0] for value in range(256)] == list(range(256))


def test_the_result_is_never_the_data_itself() -> None:
    data = bytes(range(64))
    for size in (2, 16, 64):
        mask.unmask(data, 0, size, 0xFFFFFFFF)
        mask.unmask(data, 0, size, 0)
    assert data == bytes(range(64))


@given(data=st.binary(max_size=60), key=MASKS, cuts=st.lists(st.integers(0, 60), max_size=5))
def test_a_payload_may_be_unmasked_in_pieces(data: bytes, key: int, cuts: list[int]) -> None:
    found, at, turning = b"", 0, key
    for stop in [*sorted(min(cut, len(data)) for cut in cuts), len(data)]:
        found += mask.unmask(data, at, stop, turning)
        turning = mask.turned(turning, stop - at)
        at = stop
    assert found == by_the_book(data, key)


@given(key=MASKS, size=st.integers(0, 1 << 40))
def test_a_mask_turns_by_its_bytes(key: int, size: int) -> None:
    octets = key.to_bytes(4, "little")
    turn = size % 4
    assert mask.turned(key, size) == int.from_bytes(octets[turn:] + octets[:turn], "little")
