"""Generated header lists, to and from the `hpack` package, with its tables compared after each block."""

from typing import Any

import hpack
import pytest
from hypothesis import given
from hypothesis import strategies as st

from portway.wire.hpack.decode import Decoder
from portway.wire.hpack.encode import Encoder
from portway.wire.hpack.faults import HpackFault
from portway.wire.hpack.table import PAIRS, size_of

Pair = tuple[bytes, bytes]

ENOUGH = 1 << 20

NAMES = st.sampled_from([name for name, _ in PAIRS] + [b"x-a", b"x-request-id", b"sec-ch-ua"]) | st.binary(max_size=30)
VALUES = (
    st.sampled_from([value for _, value in PAIRS] + [b"text/html; charset=utf-8", b"gzip, deflate, br", b"v" * 1500])
    | st.text("abcdefghijklmnopqrstuvwxyz0123456789 /;=.,-", max_size=80).map(str.encode)
    | st.binary(max_size=40)
)
LISTS = st.lists(st.tuples(NAMES, VALUES), max_size=15)
# Before each block, sizes of the table.
BLOCKS = st.lists(st.tuples(st.lists(st.integers(0, 4096), max_size=2), LISTS), min_size=1, max_size=6)


def plain(pairs: Any) -> list[Pair]:
    return [(bytes(name), bytes(value)) for name, value in pairs]


@given(blocks=BLOCKS, coded=st.booleans(), secret=st.booleans())
def test_what_hpack_writes_is_read(blocks: list[tuple[list[int], list[Pair]]], coded: bool, secret: bool) -> None:
    theirs = hpack.Encoder()
    ours = Decoder(ENOUGH)
    for sizes, pairs in blocks:
        for size in sizes:
            if size != theirs.header_table_size:  # the same twice, and it forgets to announce it
                theirs.header_table_size = size
        block = theirs.encode([(*pair, secret) for pair in pairs], huffman=coded)
        assert ours.decode(block) == pairs
        assert ours.table.entries() == plain(theirs.header_table.dynamic_entries)
        assert ours.table.most == theirs.header_table_size


@given(blocks=BLOCKS, statuses=st.lists(st.integers(100, 599), min_size=6, max_size=6))
def test_what_is_written_is_read_by_hpack(blocks: list[tuple[list[int], list[Pair]]], statuses: list[int]) -> None:
    ours = Encoder()
    theirs = hpack.Decoder(max_header_list_size=ENOUGH)
    for (sizes, pairs), status in zip(blocks, statuses, strict=False):
        for size in sizes:
            ours.limit_table(size)
            theirs.max_allowed_table_size = size
        found = theirs.decode(ours.encode(pairs, status), raw=True)
        expected = [(b":status", b"%d" % status)] + [(name.lower(), value) for name, value in pairs]
        assert plain(found) == expected
        assert plain(theirs.header_table.dynamic_entries) == ours.table.entries()


def their_verdict(block: bytes) -> list[Pair] | None:
    try:
        return plain(hpack.Decoder(max_header_list_size=ENOUGH).decode(block, raw=True))
    except hpack.HPACKError:
        return None


def our_verdict(block: bytes) -> list[Pair] | None:
    try:
        return Decoder(ENOUGH).decode(block)
    except HpackFault:
        return None


BYTES = st.lists(
    st.binary(max_size=4)
    | st.sampled_from([b"\x82", b"\xbe", b"\x40\x01a\x01b", b"\x20", b"\x3f\xe1\x1f", b"\x04\x81\x1f"]),
    max_size=8,
).map(b"".join)


@given(block=BYTES)
def test_any_bytes_have_the_same_verdict(block: bytes) -> None:
    if b"\x80\x80" not in block and b"\xff\xff" not in block:  # it knows no cap on integers
        assert our_verdict(block) == their_verdict(block)


@pytest.mark.parametrize("count", [1, 10, 1000])
def test_both_call_the_same_list_too_large(count: int) -> None:
    pairs = [(b"name", b"%d" % number) for number in range(count)]
    size = sum(map(size_of, pairs))
    for limit in (size, size - 1):
        theirs = hpack.Decoder(max_header_list_size=limit)
        ours = Decoder(limit)
        block = hpack.Encoder().encode(pairs)
        ours.decode(block)
        assert ours.too_large == (limit < size)
        if limit < size:
            with pytest.raises(hpack.OversizedHeaderListError):
                theirs.decode(block, raw=True)
        else:
            assert plain(theirs.decode(block, raw=True)) == pairs
