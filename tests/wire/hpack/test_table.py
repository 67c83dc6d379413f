"""The static table of RFC 7541 Appendix A, and the two dynamic ones against a plain model."""

from collections.abc import Callable

import pytest
from hpack.table import HeaderTable
from hypothesis import given
from hypothesis import strategies as st

from portway.wire import scan
from portway.wire.hpack.faults import HpackFault
from portway.wire.hpack.table import PAIRS, DecoderTable, EncoderTable, size_of

Pair = tuple[bytes, bytes]
Table = DecoderTable | EncoderTable
both = pytest.mark.parametrize("table", [DecoderTable, EncoderTable])


def test_the_static_table_is_that_of_the_rfc() -> None:
    assert list(PAIRS) == list(HeaderTable.STATIC_TABLE)
    table = DecoderTable()
    assert [table.pair(index) for index in range(1, 62)] == list(PAIRS)


def test_names_are_the_objects_that_other_rooms_know() -> None:
    known = {name: name for name in scan._KNOWN}
    shared = [name for name, _ in PAIRS if name in known]
    assert len(shared) > 20
    assert all(name is known[name] for name in shared)
    by_name = {name: name for name, _ in PAIRS}
    assert all(name is by_name[name] for name, _ in PAIRS)


def test_an_entry_takes_32_bytes_more_than_it_has() -> None:
    assert size_of((b"", b"")) == 32
    assert size_of((b"custom-key", b"custom-header")) == 55


@pytest.mark.parametrize("index", [0, 62, 63, 1 << 28])
def test_an_index_that_is_not_there_is_a_fault(index: int) -> None:
    with pytest.raises(HpackFault, match="index"):
        DecoderTable().pair(index)


def test_the_newest_entry_has_the_first_index() -> None:
    table = DecoderTable()
    for number in range(3):
        table.add((b"n", b"%d" % number))
    assert [table.pair(index)[1] for index in (62, 63, 64)] == [b"2", b"1", b"0"]
    with pytest.raises(HpackFault, match="beyond"):
        table.pair(65)
    assert table.entries() == [(b"n", b"2"), (b"n", b"1"), (b"n", b"0")]


@both
def test_the_oldest_entries_go_when_it_is_full(table: Callable[[], Table]) -> None:
    each = table()
    each.resize(100)
    for number in range(5):
        each.add((b"n", b"%d" % number))  # 34 bytes: two are 68, three 102
        assert each.size == min(68, 34 * (number + 1))
    assert each.entries() == [(b"n", b"4"), (b"n", b"3")]
    each.add((b"n", b"5" * 34))  # 67: beside it there is room for 33
    assert each.entries() == [(b"n", b"5" * 34)]
    assert each.size == 67


@both
def test_it_is_full_only_above_its_size(table: Callable[[], Table]) -> None:
    each = table()
    each.resize(68)
    each.add((b"n", b"0"))
    each.add((b"n", b"1"))
    assert len(each.entries()) == 2
    each.resize(67)
    assert each.entries() == [(b"n", b"1")]
    each.resize(34)
    assert each.size == 34
    each.resize(33)
    assert (each.entries(), each.size) == ([], 0)


def test_an_entry_that_is_too_large_empties_the_table() -> None:
    # RFC 7541 §4.4
    table = DecoderTable()
    table.resize(100)
    table.add((b"n", b"0"))
    table.add((b"n", b"1" * 68))
    assert (table.entries(), table.size) == ([], 0)
    table.add((b"n", b"1" * 67))
    assert table.size == 100


@both
def test_a_table_of_no_size_keeps_nothing(table: Callable[[], Table]) -> None:
    each = table()
    each.add((b"n", b"v"))
    each.resize(0)
    assert (each.entries(), each.size) == ([], 0)
    each.resize(4096)
    each.add((b"n", b"w"))
    assert each.entries() == [(b"n", b"w")]


def test_the_encoder_finds_what_it_has() -> None:
    table = EncoderTable()
    table.resize(100)
    assert table.index((b"n", b"0")) == 0
    for number in range(5):
        table.add((b"n", b"%d" % number))
        assert table.index((b"n", b"%d" % number)) == 62
    assert [table.index((b"n", b"%d" % number)) for number in range(5)] == [0, 0, 0, 63, 62]


@both
def test_a_table_shows_its_state(table: Callable[[], Table]) -> None:
    each = table()
    each.add((b"n", b"v"))
    assert repr(each) == f"<{type(each).__name__} entries=1 size=34 of 4096>"


STEPS = st.lists(st.integers(0, 300) | st.tuples(st.just(b"n"), st.binary(max_size=120)), max_size=40)


@given(steps=STEPS)
def test_both_tables_do_as_a_plain_list_does(steps: list[int | Pair]) -> None:
    theirs, ours = DecoderTable(), EncoderTable()
    model: list[Pair] = []
    most = 4096
    for number, step in enumerate(steps):
        if isinstance(step, int):
            most = step
            theirs.resize(most)
            ours.resize(most)
        else:
            pair = (step[0] + b"%d" % number, step[1])  # the encoder never adds one twice
            model.insert(0, pair)
            theirs.add(pair)
            if size_of(pair) <= most:
                ours.add(pair)
            else:
                ours.resize(0)
                ours.resize(most)
        while sum(map(size_of, model)) > most:
            model.pop()
        assert theirs.entries() == ours.entries() == model
        assert theirs.size == ours.size == sum(map(size_of, model))
        assert [theirs.pair(62 + place) for place in range(len(model))] == model
        assert [ours.index(pair) for pair in model] == list(range(62, 62 + len(model)))
