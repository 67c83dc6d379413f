"""The scanners' two bodies, each held against the other, and both against the grammar."""

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from portway.wire import grammar, scan

Scanner = Callable[[bytes, int, int], int]

BYTES = [bytes([char]) for char in range(256)]

TWINS = {
    "token": (scan.token_by_loop, scan.token_by_pattern, grammar.TCHAR),
    "text": (scan.text_by_loop, scan.text_by_pattern, grammar.FIELD_TEXT),
    "target": (scan.target_by_loop, scan.target_by_pattern, grammar.TARGET_TEXT),
}
twins = pytest.mark.parametrize(("loop", "pattern", "allowed"), TWINS.values(), ids=TWINS)

# Bytes where the two could differ: letters in plenty, what ends a run, and NUL, which ends a C string.
LIKELY = st.sampled_from(list(b"aZ09-_~!#?/%:;=\"\\@()<>{}[]|^`'*+., \t\r\n\x00\x0b\x0c\x1f\x7f\x80\xff"))
DATA = st.lists(LIKELY | st.integers(0, 255), max_size=40).map(bytes)


@st.composite
def spans(draw: st.DrawFn) -> tuple[bytes, int, int]:
    """Bytes and a span of them."""
    data = draw(DATA)
    stop = draw(st.integers(0, len(data)))
    return data, draw(st.integers(0, stop)), stop


@twins
def test_every_byte_is_allowed_or_not_as_the_grammar_says(loop: Scanner, pattern: Scanner, allowed: bytes) -> None:
    assert [one for one in BYTES if loop(one, 0, 1)] == [one for one in BYTES if one in allowed]
    assert [one for one in BYTES if pattern(one, 0, 1)] == [one for one in BYTES if one in allowed]


@twins
@given(span=spans())
def test_the_bodies_of_a_scanner_agree(
    loop: Scanner, pattern: Scanner, allowed: bytes, span: tuple[bytes, int, int]
) -> None:
    data, at, stop = span
    expected = at + len(data[at:stop]) - len(data[at:stop].lstrip(allowed))
    assert loop(data, at, stop) == pattern(data, at, stop) == expected


@twins
def test_a_scan_passes_neither_its_stop_nor_a_zero_byte(loop: Scanner, pattern: Scanner, allowed: bytes) -> None:
    for scanner in (loop, pattern):
        assert scanner(b"aaaa", 1, 3) == 3
        assert scanner(b"aa\x00aa", 0, 5) == 2
        assert scanner(b"aa\x00aa", 2, 5) == 2
        assert scanner(b"aaaa", 4, 4) == 4
        assert scanner(b"", 0, 0) == 0


@given(span=spans(), char=LIKELY)
def test_the_bodies_of_find_agree(span: tuple[bytes, int, int], char: int) -> None:
    data, at, stop = span
    found = data[at:stop].find(char)
    expected = stop if found < 0 else at + found
    assert scan.find_by_loop(data, char, at, stop) == expected
    assert scan.find_by_method(data, char, at, stop) == expected
    assert scan.find(data, char, at, stop) == expected


@pytest.mark.parametrize("name", ["token", "text", "target"])
def test_the_chosen_body_is_one_of_the_two(name: str) -> None:
    loop, pattern, _ = TWINS[name]
    for data in (b"", b"abc", b"abc def", b"\r\n"):
        size = len(data)
        assert getattr(scan, name)(data, 0, size) == loop(data, 0, size) == pattern(data, 0, size)


DIGITS = st.text("0123456789", max_size=20).map(str.encode)


@given(data=DIGITS | DATA | st.builds(lambda one, two, three: one + two + three, DIGITS, DATA, DIGITS))
def test_the_bodies_of_decimal_agree(data: bytes) -> None:
    is_number = bool(data) and not data.strip(b"0123456789") and len(data) <= 18
    expected = int(data) if is_number else -1
    assert scan.decimal_by_loop(data) == scan.decimal_by_method(data) == scan.decimal(data) == expected


def test_a_number_has_digits_only() -> None:
    for char in BYTES:
        for data in (char, b"1" + char, char + b"1", b"1" + char + b"1"):
            expected = int(data) if char in b"0123456789" else -1
            assert scan.decimal_by_loop(data) == scan.decimal_by_method(data) == expected


@pytest.mark.parametrize(
    ("data", "number"),
    [(b"0", 0), (b"9" * 18, 10**18 - 1), (b"0" * 18, 0), (b"0" * 19, -1), (b"1" + b"0" * 18, -1), (b"", -1)],
)
def test_a_number_has_at_most_18_digits(data: bytes, number: int) -> None:
    # They fit a C integer of 64 bits, and so does any sum of a few of them.
    assert scan.decimal_by_loop(data) == scan.decimal_by_method(data) == number


NAMES = st.text(st.sampled_from(grammar.TCHAR.decode()), min_size=1, max_size=30).map(str.encode)


@st.composite
def spelled(draw: st.DrawFn) -> bytes:
    """A known name, or one that is nearly known, in letters of either case."""
    name = draw(st.sampled_from(scan._KNOWN) | NAMES)
    if draw(st.booleans()):
        at = draw(st.integers(0, len(name) - 1))
        name = name[:at] + draw(NAMES)[:1] + name[at + 1 :]
    return bytes(c ^ 0x20 if draw(st.booleans()) and bytes([c]).isalpha() else c for c in name)


@given(name=NAMES | spelled(), before=DATA, after=DATA)
def test_the_bodies_of_name_agree_and_give_lower_case(name: bytes, before: bytes, after: bytes) -> None:
    data = before + name + after
    at, stop = len(before), len(before) + len(name)
    assert scan.name_by_loop(data, at, stop) == name.lower()
    assert scan.name_by_lookup(data, at, stop) == name.lower()
    assert scan.name(data, at, stop) == name.lower()


@pytest.mark.parametrize("known", scan._KNOWN, ids=bytes.decode)
def test_a_known_name_is_always_the_same_object(known: bytes) -> None:
    size = len(known)
    for spelling in (known, known.upper(), known.title(), b"\0" + known + b":"):
        at = spelling.find(b"\0") + 1
        for name in (scan.name, scan.name_by_loop, scan.name_by_lookup):
            assert name(spelling, at, at + size) is known


def test_a_name_in_the_slot_of_a_known_one_is_not_taken_for_it() -> None:
    twin = b"referg0"  # 33 * 2 more, and 66 less
    assert scan._slot(twin) == scan._slot(b"referer")
    assert scan.name_by_loop(twin, 0, 7) == scan.name_by_lookup(twin, 0, 7) == twin
