"""The decoder: representations, faults, the limit on lists, and the size of the table."""

import tracemalloc
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from portway.wire import scan
from portway.wire.hpack import huffman, integers
from portway.wire.hpack.decode import Decoder
from portway.wire.hpack.faults import HpackFault
from portway.wire.hpack.table import PAIRS, size_of

Pair = tuple[bytes, bytes]

ENOUGH = 1 << 20
AUTHORITY, GET = PAIRS[0], PAIRS[1]


def number(value: int, first: int, mask: int) -> bytes:
    out = bytearray()
    integers.write(out, first, mask, value)
    return bytes(out)


def string(text: bytes, coded: bool = False) -> bytes:
    if not coded:
        return number(len(text), 0, 0x7F) + text
    out = bytearray()
    huffman.encode(out, text)
    return number(len(out), 0x80, 0x7F) + out


def indexed(index: int) -> bytes:
    return number(index, 0x80, 0x7F)


def resized(most: int) -> bytes:
    return number(most, 0x20, 0x1F)


def literal(name: bytes | int, value: bytes, first: int = 0, coded: bool = False) -> bytes:
    mask = 0x3F if first == 0x40 else 0x0F
    if isinstance(name, int):
        return number(name, first, mask) + string(value, coded)
    return number(0, first, mask) + string(name, coded) + string(value, coded)


def added(name: bytes | int, value: bytes, coded: bool = False) -> bytes:
    return literal(name, value, 0x40, coded)


KINDS = {"added": 0x40, "not added": 0x00, "never indexed": 0x10}
kinds = pytest.mark.parametrize("first", KINDS.values(), ids=KINDS)
plain_or_coded = pytest.mark.parametrize("coded", [False, True], ids=["plain", "coded"])


# --- what is read ---


def test_an_empty_block_has_no_headers() -> None:
    decoder = Decoder(ENOUGH)
    assert decoder.decode(b"") == []
    assert not decoder.too_large


def test_each_index_of_the_static_table() -> None:
    block = b"".join(indexed(index) for index in range(1, 62))
    found = Decoder(ENOUGH).decode(block)
    assert found == list(PAIRS)
    assert all(one is other for one, other in zip(found, PAIRS, strict=True))


@kinds
@plain_or_coded
def test_a_literal_with_a_name_of_its_own(first: int, coded: bool) -> None:
    decoder = Decoder(ENOUGH)
    assert decoder.decode(literal(b"x-name", b"value", first, coded)) == [(b"x-name", b"value")]
    assert decoder.table.entries() == ([(b"x-name", b"value")] if first == 0x40 else [])


@kinds
@plain_or_coded
@pytest.mark.parametrize("index", range(1, 62))
def test_a_literal_with_a_name_of_the_static_table(first: int, coded: bool, index: int) -> None:
    [(name, value)] = Decoder(ENOUGH).decode(literal(index, b"value", first, coded))
    assert name is PAIRS[index - 1][0]
    assert value == b"value"


@kinds
@plain_or_coded
def test_a_literal_with_a_name_of_the_dynamic_table(first: int, coded: bool) -> None:
    decoder = Decoder(ENOUGH)
    decoder.decode(added(b"x-old", b"") + added(b"x-name", b"1"))
    assert decoder.decode(literal(62, b"2", first, coded) + indexed(62)) == [
        (b"x-name", b"2"),
        (b"x-name", b"2" if first == 0x40 else b"1"),
    ]


@kinds
@plain_or_coded
def test_names_and_values_are_any_bytes(first: int, coded: bool) -> None:
    every = bytes(range(256))
    pairs = [(b"", b""), (every, every), (b"UPPER", b""), (b"", b"\0"), (b"a\0b", b"\r\n")]
    block = b"".join(literal(name, value, first, coded) for name, value in pairs)
    assert Decoder(ENOUGH).decode(block) == pairs


def test_indices_beyond_the_first_octet() -> None:
    decoder = Decoder(ENOUGH)
    pairs = [(b"%d" % place, b"") for place in range(100)]
    decoder.decode(b"".join(added(*pair) for pair in pairs))
    block = b"".join(indexed(62 + place) for place in range(100))
    assert decoder.decode(block) == pairs[::-1]
    assert decoder.decode(literal(62 + 99, b"v") + literal(62 + 98, b"w", 0x10)) == [(b"0", b"v"), (b"1", b"w")]


@plain_or_coded
def test_known_names_are_the_objects_that_other_rooms_compare_with(coded: bool) -> None:
    names = [*scan._KNOWN, *{name for name, _ in PAIRS}]
    found = Decoder(ENOUGH).decode(b"".join(literal(name, b"v", 0, coded) for name in names))
    again = Decoder(ENOUGH).decode(b"".join(literal(name, b"v", 0, coded) for name in names))
    assert [name for name, _ in found] == names
    assert all(one[0] is other[0] for one, other in zip(found, again, strict=True))
    known = {name: scan.name(name, 0, len(name)) for name in scan._KNOWN}
    assert all(name is known[name] for name, _ in found if name in known)


def test_long_and_short_strings_share_the_room_in_which_they_are_unfolded() -> None:
    # The first is short, and what follows is much longer and of the shortest codes.
    pairs = [(b"a", b"0"), (b"n", b"0" * 5000), (b"", b"1" * 16), (b"\n" * 300, b"a" * 8000), (b"", b"")]
    block = b"".join(literal(name, value, 0, True) for name, value in pairs)
    assert Decoder(ENOUGH).decode(block) == pairs


# --- faults ---

FAULTS: dict[str, tuple[bytes, str]] = {
    "index 0": (indexed(0), "index 0"),
    "index beyond the static table": (indexed(62), "beyond the end"),
    "index beyond the dynamic table": (added(b"n", b"v") + indexed(63), "beyond the end"),
    "name's index beyond the table": (literal(62, b"v"), "beyond the end"),
    "name's index beyond it, to be added": (added(62, b"v"), "beyond the end"),
    "name's index beyond it, never to be": (literal(62, b"v", 0x10), "beyond the end"),
    "a huge index": (b"\xff\xff\xff\xff\x7f", "beyond the end"),
    "too long an index": (b"\xff\x80\x80\x80\x80\x00", "too long"),
    "cut off in an index": (b"\xff", "ends within an integer"),
    "cut off before a name": (b"\x40", "ends where"),
    "cut off in a name": (b"\x40\x05nam", "ends within a string"),
    "cut off before a value": (b"\x40\x04name", "ends where"),
    "cut off before a coded value": (b"\x40\x84\xff", "ends within a string"),
    "cut off in a value": (b"\x40\x04name\x05valu", "ends within a string"),
    "a huge string": (b"\x00\x7f\xff\xff\xff\x7f", "ends within a string"),
    "too long a length": (b"\x00\x7f\xff\xff\xff\xff\x01", "too long"),
    "resized above our limit": (resized(4097), "larger than it may be"),
    "resized to a huge size": (b"\x3f\xff\xff\xff\x7f", "larger than it may be"),
    "resized after a header": (indexed(2) + resized(0), "within a header block"),
    "resized after a literal": (literal(b"n", b"v") + resized(4096), "within a header block"),
    "resized, a header, resized": (resized(0) + indexed(2) + resized(0), "within a header block"),
    "cut off in a size": (b"\x3f", "ends within an integer"),
    "EOS": (b"\x00\x84\xff\xff\xff\xff\x00", "EOS"),
    "long padding": (b"\x00\x82\x07\xff\x00", "more than 7 bits"),
    "wrong padding": (b"\x00\x81\x00\x00", "padded with ones"),
    "a fault in a value": (b"\x00\x01n\x81\x00", "padded with ones"),
}


@pytest.mark.parametrize(("block", "text"), FAULTS.values(), ids=FAULTS)
def test_a_block_that_breaks_the_rules_is_a_fault(block: bytes, text: str) -> None:
    for before in (b"", resized(0) + resized(4096)):
        with pytest.raises(HpackFault, match=text) as caught:
            Decoder(ENOUGH).decode(before + block)
        assert caught.value.text == str(caught.value)


@pytest.mark.parametrize(("block", "text"), FAULTS.values(), ids=FAULTS)
def test_a_fault_after_the_limit_is_a_fault_all_the_same(block: bytes, text: str) -> None:
    if block[0] & 0xE0 != 0x20:  # a size must stand at the beginning
        block = indexed(2) * 3 + block
    with pytest.raises(HpackFault, match=text):
        Decoder(0).decode(block)


@plain_or_coded
def test_a_block_cut_off_anywhere_is_a_fault_or_the_headers_that_are_whole(coded: bool) -> None:
    parts = [
        resized(100),
        indexed(2),
        added(b"x-name", b"value", coded),
        literal(62, b"v" * 200, 0x10, coded),
        indexed(62),
        literal(b"n" * 150, b"", 0, coded),
    ]
    block = b"".join(parts)
    whole = Decoder(ENOUGH).decode(block)
    ends = {sum(map(len, parts[:count])): count - 1 for count in range(1, len(parts) + 1)} | {0: 0}
    for stop in range(len(block)):
        decoder = Decoder(ENOUGH)
        if stop in ends:
            assert decoder.decode(block[:stop]) == whole[: ends[stop]]
        else:
            with pytest.raises(HpackFault):
                decoder.decode(block[:stop])


@given(data=st.binary(max_size=60))
def test_any_bytes_are_headers_or_a_fault(data: bytes) -> None:
    decoder = Decoder(200)
    try:
        pairs = decoder.decode(data)
    except HpackFault:
        return
    assert sum(map(size_of, pairs)) <= 200
    assert decoder.table.size <= decoder.table.most <= 4096


# --- the limit on lists ---


def lists(limit: int, *blocks: bytes) -> tuple[Decoder, list[list[Pair] | None]]:
    """What a decoder gives for each block; None is too large."""
    decoder = Decoder(limit)
    found: list[list[Pair] | None] = []
    for block in blocks:
        pairs = decoder.decode(block)
        assert pairs == [] or not decoder.too_large
        found.append(None if decoder.too_large else pairs)
    return decoder, found


def test_a_list_may_be_as_large_as_the_limit_and_no_larger() -> None:
    block = literal(b"name", b"value") + indexed(2)
    size = size_of((b"name", b"value")) + size_of(GET)
    for limit, fits in ((size + 1, True), (size, True), (size - 1, False), (33, False), (0, False)):
        assert lists(limit, block)[1] == [[(b"name", b"value"), GET] if fits else None]


@pytest.mark.parametrize("kind", ["added", "not added", "indexed"])
def test_every_kind_of_header_counts(kind: str) -> None:
    one: Callable[[], bytes]
    one = {"added": lambda: added(2, b"GET"), "not added": lambda: literal(2, b"GET"), "indexed": lambda: indexed(2)}[
        kind
    ]
    assert lists(42 * 5, one() * 5, one() * 6, one() * 5)[1] == [[GET] * 5, None, [GET] * 5]


def test_sizes_of_tables_do_not_count() -> None:
    assert lists(42, resized(0) * 100 + indexed(2))[1] == [[GET]]


def test_an_empty_block_fits_any_limit() -> None:
    assert lists(0, b"", resized(0))[1] == [[], []]


def test_a_list_that_is_too_large_leaves_the_table_in_step() -> None:
    block = (
        added(b"first", b"1") + added(b"large", b"v" * 500) + added(b"last", b"2") + indexed(62) + literal(b"n", b"v")
    )
    after = indexed(62) + indexed(64) + added(b"more", b"3")
    decoder, found = lists(300, block, after)
    assert found == [None, [(b"last", b"2"), (b"first", b"1"), (b"more", b"3")]]
    reference = Decoder(ENOUGH)
    reference.decode(block)
    reference.decode(after)
    assert decoder.table.entries() == reference.table.entries()
    assert decoder.table.size == reference.table.size


def test_a_bomb_of_references_is_cut_off_at_the_limit() -> None:
    # One entry of 4 kB, referred to a quarter of a million times: a list of a gigabyte.
    entry = added(b"bomb", b"v" * 4000)
    bomb = indexed(62) * 250_000
    decoder = Decoder(65_536)
    decoder.decode(entry)
    tracemalloc.start()
    try:
        assert decoder.decode(bomb) == []
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert decoder.too_large
    assert peak < 16_384  # the list of what was kept until the limit, and no more
    assert decoder.decode(indexed(62)) == [(b"bomb", b"v" * 4000)]
    assert not decoder.too_large


def test_a_bomb_of_names_is_cut_off_and_keeps_the_table_bounded() -> None:
    # Each literal takes its name, of 3 kB, from the entry before it, and pushes that out.
    decoder = Decoder(65_536)
    block = added(b"n" * 3000, b"") + added(62, b"") * 50_000
    tracemalloc.start()
    try:
        assert decoder.decode(block) == []
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert decoder.too_large
    assert peak < 32_768
    assert decoder.table.entries() == [(b"n" * 3000, b"")]


def test_what_an_index_stands_for_is_never_copied() -> None:
    decoder = Decoder(ENOUGH)
    [first] = decoder.decode(added(b"n" * 100, b"v" * 1000))
    pairs = decoder.decode(indexed(62) * 10 + literal(62, b"") * 10)
    assert all(pair is first for pair in pairs[:10])
    assert all(pair[0] is first[0] for pair in pairs[10:])


# --- the size of the table ---


def test_the_peer_makes_its_table_smaller_and_larger_at_the_beginning_of_a_block() -> None:
    decoder = Decoder(ENOUGH)
    decoder.decode(added(b"a", b"1") + added(b"b", b"2"))
    assert decoder.decode(resized(34) + indexed(62)) == [(b"b", b"2")]
    assert decoder.table.entries() == [(b"b", b"2")]
    assert decoder.decode(resized(0) + resized(4096) + added(b"c", b"3")) == [(b"c", b"3")]
    assert decoder.table.entries() == [(b"c", b"3")]
    assert decoder.table.most == 4096
    assert decoder.decode(resized(0)) == []
    with pytest.raises(HpackFault, match="beyond the end"):
        decoder.decode(indexed(62))


def test_the_table_may_be_as_large_as_we_allow() -> None:
    decoder = Decoder(ENOUGH)
    decoder.limit_table(10_000)
    assert decoder.decode(resized(10_000) + added(b"n", b"v" * 9_000)) == [(b"n", b"v" * 9_000)]
    assert decoder.table.size == 9_033
    with pytest.raises(HpackFault, match="larger than it may be"):
        decoder.decode(resized(10_001))


def test_a_larger_limit_asks_for_nothing() -> None:
    decoder = Decoder(ENOUGH)
    decoder.limit_table(10_000)
    decoder.decode(added(b"n", b"v"))
    assert decoder.table.most == 4096


def test_a_smaller_limit_must_be_met_at_the_beginning_of_the_next_block() -> None:
    for begin in (b"", resized(101), resized(101) + resized(100), resized(4096) + resized(0)):
        decoder = Decoder(ENOUGH)
        decoder.limit_table(100)
        with pytest.raises(HpackFault):
            decoder.decode(begin + indexed(2))
    for begin in (resized(100), resized(0), resized(0) + resized(100), resized(50) + resized(60) + resized(70)):
        decoder = Decoder(ENOUGH)
        decoder.limit_table(100)
        assert decoder.decode(begin + indexed(2)) == [GET]
        assert decoder.decode(indexed(2)) == [GET]  # once is enough
        with pytest.raises(HpackFault, match="larger than it may be"):
            decoder.decode(resized(101))


def test_the_smallest_of_several_limits_must_be_met_and_then_the_last_one_holds() -> None:
    def limited(*limits: int) -> Decoder:
        decoder = Decoder(ENOUGH)
        decoder.decode(added(b"n", b"v"))
        for most in limits:
            decoder.limit_table(most)
        return decoder

    for limits in ((1000, 0, 4096), (0, 1000), (1000, 0, 1000), (0, 4096)):
        for begin in (b"", resized(4096), resized(1000), resized(1) + resized(0)):
            with pytest.raises(HpackFault):
                limited(*limits).decode(begin + indexed(2))
        decoder = limited(*limits)
        assert decoder.decode(resized(0) + resized(limits[-1]) + added(b"m", b"w")) == [(b"m", b"w")]
        assert decoder.table.entries() == [(b"m", b"w")]
        with pytest.raises(HpackFault, match="larger than it may be"):
            decoder.decode(resized(limits[-1] + 1))


def test_a_limit_that_the_table_already_meets_asks_for_nothing() -> None:
    decoder = Decoder(ENOUGH)
    decoder.decode(resized(50))
    decoder.limit_table(100)
    assert decoder.decode(indexed(2)) == [GET]


def test_an_empty_block_need_not_meet_the_limit() -> None:
    decoder = Decoder(ENOUGH)
    decoder.limit_table(0)
    assert decoder.decode(b"") == []
    assert decoder.decode(resized(0) + indexed(2)) == [GET]


def test_a_decoder_shows_its_state() -> None:
    decoder = Decoder(ENOUGH)
    decoder.decode(added(b"n", b"v"))
    decoder.limit_table(100)
    assert repr(decoder) == "<Decoder <DecoderTable entries=1 size=34 of 4096> limit=100>"
