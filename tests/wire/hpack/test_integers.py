"""Integers with a prefix: the examples of RFC 7541 §C.1, every prefix, every split, every cap."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from portway.wire.hpack import integers
from portway.wire.hpack.faults import HpackFault
from portway.wire.hpack.integers import Reader

MASKS = [(1 << bits) - 1 for bits in range(1, 9)]
LARGEST = (1 << 28) - 1  # beyond the prefix


def written(number: int, mask: int = 0x1F, first: int = 0) -> bytes:
    out = bytearray()
    integers.write(out, first, mask, number)
    return bytes(out)


def reference(number: int, mask: int) -> bytes:
    """RFC 7541 §5.1, line by line."""
    if number < mask:
        return bytes([number])
    number -= mask
    octets = [mask]
    while number >= 128:
        octets.append(number % 128 + 128)
        number //= 128
    return bytes([*octets, number])


@pytest.mark.parametrize(
    ("number", "mask", "octets"), [(10, 0x1F, "0a"), (1337, 0x1F, "1f9a0a"), (42, 0xFF, "2a")], ids=["C1", "C2", "C3"]
)
def test_the_examples_of_the_rfc(number: int, mask: int, octets: str) -> None:
    assert written(number, mask).hex() == octets
    assert Reader(bytes.fromhex(octets)).integer(mask) == number


@given(number=st.integers(0, LARGEST) | st.integers(0, 600), mask=st.sampled_from(MASKS), after=st.binary(max_size=3))
def test_numbers_are_written_as_the_rfc_says_and_read_back(number: int, mask: int, after: bytes) -> None:
    octets = written(number, mask)
    assert octets == reference(number, mask)
    reader = Reader(octets + after)
    assert reader.integer(mask) == number
    assert reader.at == len(octets)


@pytest.mark.parametrize("mask", MASKS)
def test_numbers_around_each_boundary(mask: int) -> None:
    boundaries = [0, mask, *(mask + (1 << bits) for bits in (7, 14, 21)), mask + LARGEST]
    for number in {max(0, each + step) for each in boundaries for step in (-1, 0, 1)} - {mask + LARGEST + 1}:
        octets = written(number, mask)
        assert octets == reference(number, mask)
        assert Reader(octets).integer(mask) == number


@pytest.mark.parametrize("mask", MASKS[:-1])
def test_bits_before_the_prefix_are_kept_and_skipped(mask: int) -> None:
    first = 0xFF & ~mask
    for number in (0, mask - 1, mask, 100_000):
        octets = written(number, mask, first)
        assert octets == bytes([reference(number, mask)[0] | first]) + reference(number, mask)[1:]
        assert Reader(octets).integer(mask) == number


@pytest.mark.parametrize("number", [31, 158, 159, 16_414, 2_097_182, LARGEST + 31])
def test_an_integer_that_is_cut_off_anywhere_is_a_fault(number: int) -> None:
    octets = written(number)
    for size in range(len(octets)):
        with pytest.raises(HpackFault, match="ends"):
            Reader(octets[:size]).integer(0x1F)
        # A bytes object ends in a zero in C, and whatever lies behind it is not read.
        with pytest.raises(HpackFault, match="ends"):
            Reader(bytes(bytearray(octets)[:size])).integer(0x1F)


def test_the_largest_integer_has_four_octets_after_the_first() -> None:
    assert Reader(bytes.fromhex("1fffffff7f")).integer(0x1F) == LARGEST + 31
    assert written(LARGEST + 31) == bytes.fromhex("1fffffff7f")


@pytest.mark.parametrize(
    "octets",
    ["1f8080808001", "1fffffffff0f", "1f808080800000", "1f" + "80" * 9 + "01", "1f" + "ff" * 64, "1f" + "80" * 10_000],
    ids=["2**28", "2**32", "zeros", "2**63", "2**448", "endless zeros"],
)
def test_an_integer_of_more_octets_is_a_fault_whatever_its_value(octets: str) -> None:
    reader = Reader(bytes.fromhex(octets))
    with pytest.raises(HpackFault, match="too long"):
        reader.integer(0x1F)
    assert reader.at == 5


def test_a_few_zeros_in_front_are_no_fault() -> None:
    assert Reader(bytes.fromhex("1f00")).integer(0x1F) == 31
    assert Reader(bytes.fromhex("1f80808000")).integer(0x1F) == 31
    assert Reader(bytes.fromhex("1f9a8a8000")).integer(0x1F) == 1337


def test_a_reader_says_how_far_it_is() -> None:
    reader = Reader(b"\x01\x02")
    reader.integer(0x7F)
    assert repr(reader) == "<Reader at=1 of 2>"
