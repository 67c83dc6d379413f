"""The heads that are written: RFC 6455 §5.2, from the server's side."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from portway.wire.websocket import frames

FIRSTS = [0x81, 0x82, 0xC1, 0xC2, 0x88, 0x89, 0x8A]


@pytest.mark.parametrize("first", FIRSTS)
def test_a_size_up_to_125_is_in_the_second_byte(first: int) -> None:
    for size in range(126):
        assert frames.head(first, size) == bytes((first, size))


@pytest.mark.parametrize("first", FIRSTS)
@pytest.mark.parametrize("size", [126, 127, 128, 255, 256, 257, 0x1234, 65534, 65535])
def test_a_size_of_16_bits_follows_126(first: int, size: int) -> None:
    assert frames.head(first, size) == bytes((first, 126)) + size.to_bytes(2, "big")


@pytest.mark.parametrize("first", FIRSTS)
@pytest.mark.parametrize("size", [65536, 65537, 0x12345678, 1 << 32, (1 << 63) - 1])
def test_a_larger_size_follows_127(first: int, size: int) -> None:
    assert frames.head(first, size) == bytes((first, 127)) + size.to_bytes(8, "big")


@given(st.integers(0, (1 << 63) - 1))
def test_no_head_is_masked_and_each_is_in_its_shortest_form(size: int) -> None:
    head = frames.head(0x82, size)
    assert head[0] == 0x82
    assert head[1] < 0x80
    assert len(head) == (2 if size < 126 else 4 if size < 65536 else 10)
    assert int.from_bytes(head[2:] or head[1:], "big") == size
