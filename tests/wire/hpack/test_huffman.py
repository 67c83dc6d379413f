"""The Huffman code: each code, each padding, each fault, and both directions against a slow reading of the RFC."""

import pytest
from hpack.huffman_constants import REQUEST_CODES, REQUEST_CODES_LENGTH
from hypothesis import given
from hypothesis import strategies as st

from portway.wire.hpack import huffman
from portway.wire.hpack.faults import HpackFault

# Symbol to bits, as another implementation has them; 256 is EOS.
BITS = [f"{code:0{length}b}" for code, length in zip(REQUEST_CODES, REQUEST_CODES_LENGTH, strict=True)]
EOS = BITS[256]
SYMBOLS = {bits: symbol for symbol, bits in enumerate(BITS)}

# All bytes, and those of short codes more often.
TEXT = st.lists(st.integers(0, 255) | st.sampled_from(list(b"012aceiost -./:&*")), max_size=60).map(bytes)


def octets(bits: str) -> bytes:
    """Bits without padding; their number must be a multiple of eight."""
    assert len(bits) % 8 == 0
    return bytes(int(bits[at : at + 8], 2) for at in range(0, len(bits), 8))


def padded(bits: str) -> bytes:
    return octets(bits + "1" * (-len(bits) % 8))


def coded(text: bytes) -> bytes:
    out = bytearray(b"before")
    huffman.encode(out, text)
    assert out[:6] == b"before"
    return bytes(out[6:])


def decoded(data: bytes) -> bytes:
    """With bytes before and after, which must not matter."""
    return huffman.decode(b"\xff\x00" + data + b"\x00\xff", 2, 2 + len(data), huffman.room(len(data)))


def slowly(data: bytes) -> bytes | None:
    """RFC 7541 §5.2, a bit at a time; None is a fault."""
    found = bytearray()
    bits = ""
    for bit in "".join(f"{octet:08b}" for octet in data):
        bits += bit
        if bits in SYMBOLS:
            if bits == EOS:
                return None
            found.append(SYMBOLS[bits])
            bits = ""
    return bytes(found) if len(bits) < 8 and "0" not in bits else None


def quickly(data: bytes) -> bytes | None:
    try:
        return decoded(data)
    except HpackFault:
        return None


def test_the_code_is_that_of_the_rfc() -> None:
    assert [
        f"{code:0{length}b}" for code, length in zip(huffman.SYMBOL_CODES, huffman.SYMBOL_LENGTHS, strict=True)
    ] == (BITS[:256])
    assert EOS == "1" * 30
    assert sorted(b"".join(huffman.CODE.values())) == list(range(256))


@pytest.mark.parametrize(
    ("text", "code"),
    [
        (b"www.example.com", "f1e3c2e5f23a6ba0ab90f4ff"),
        (b"no-cache", "a8eb10649cbf"),
        (b"custom-key", "25a849e95ba97d7f"),
        (b"302", "6402"),
        (b"Mon, 21 Oct 2013 20:13:21 GMT", "d07abe941054d444a8200595040b8166e082a62d1bff"),
        (b"", ""),
    ],
    ids=repr,
)
def test_the_strings_of_the_rfc(text: bytes, code: str) -> None:
    assert coded(text).hex() == code
    assert decoded(bytes.fromhex(code)) == text
    assert huffman.encoded_size(text) == len(code) // 2


@pytest.mark.parametrize("symbol", range(256))
def test_each_byte_at_each_offset_of_its_bits(symbol: int) -> None:
    one = bytes([symbol])
    assert coded(one) == padded(BITS[symbol])
    assert decoded(coded(one)) == one
    for count in range(8):  # `0` has five bits, so that the byte begins at each of eight
        for text in (b"0" * count + one, one + b"0" * count, one * count, b"\n" * count + one):
            bits = "".join(BITS[char] for char in text)
            assert coded(text) == padded(bits)
            assert huffman.encoded_size(text) == len(padded(bits))
            assert decoded(padded(bits)) == text


def test_a_long_code_at_each_place_of_the_window() -> None:
    for fives in range(13):
        for sixes in range(11):
            text = b"0" * fives + b" " * sixes + b"\n\x02\xff" + b"0" * 9
            assert decoded(coded(text)) == text


def test_each_pair_of_bytes() -> None:
    for first in range(256):
        text = b"".join(bytes([first, second]) for second in range(256))
        assert decoded(coded(text)) == text


@pytest.mark.parametrize("symbol", range(256))
def test_padding_is_up_to_seven_ones(symbol: int) -> None:
    bits = BITS[symbol]
    whole = bits + "1" * (-len(bits) % 8)
    assert decoded(octets(whole)) == bytes([symbol])
    # A whole octet of padding, or up to four, is too much; with 30 ones, it is EOS.
    for more in (8, 16, 24, 32):
        with pytest.raises(HpackFault):
            decoded(octets(whole + "1" * more))
    # Any other padding is a fault: all bits of it are tried as zeros.
    for at in range(len(bits), len(whole)):
        wrong = whole[:at] + "0" + whole[at + 1 :]
        assert quickly(octets(wrong)) == slowly(octets(wrong))
    for size in range(1, len(bits) // 8 + 1):  # it is cut off within its code
        part = octets(bits[: 8 * size])
        assert quickly(part) == slowly(part)


@pytest.mark.parametrize("count", range(1, 40))
def test_ones_alone_are_a_fault(count: int) -> None:
    # One octet of ones is padding that is too long, four hold EOS.
    with pytest.raises(HpackFault, match="EOS" if count >= 4 else "padding"):
        decoded(b"\xff" * count)


@pytest.mark.parametrize(
    "before", [b"", b"0", b"00", b"a0a", b"&", b"\n", b"\n\n\n", b"!0!", b"www.example.com"], ids=repr
)
@pytest.mark.parametrize("after", [b"", b"0", b"www.example.com"], ids=repr)
def test_eos_in_the_data_is_a_fault(before: bytes, after: bytes) -> None:
    bits = "".join(BITS[char] for char in before) + EOS + "".join(BITS[char] for char in after)
    with pytest.raises(HpackFault, match="EOS"):
        decoded(padded(bits))


def test_padding_of_zeros_is_a_fault() -> None:
    assert decoded(octets("00000" + "111")) == b"0"
    for wrong in ("000", "001", "010", "011", "100", "101", "110"):
        with pytest.raises(HpackFault, match="not padded with ones"):
            decoded(octets("00000" + wrong))


def test_the_last_octets_of_long_codes() -> None:
    # What ends in any two octets, after a code of each length: 30 bits and less, at all places of the window.
    for prefix in (b"", b"a", b"0 ", b"\n", b"\n\r", b"\xff\x01\x02"):
        start = coded(prefix) if len(coded(prefix)) * 8 == sum(len(BITS[c]) for c in prefix) else b""
        for tail in range(0, 1 << 16, 7):
            data = start + tail.to_bytes(2, "big")
            assert quickly(data) == slowly(data)


@given(text=TEXT)
def test_what_is_encoded_is_what_the_rfc_says_and_is_decoded(text: bytes) -> None:
    expected = padded("".join(BITS[char] for char in text))
    assert coded(text) == expected
    assert huffman.encoded_size(text) == len(expected)
    assert decoded(expected) == text


# Ones are likelier than zeros: long codes, padding, EOS.
DATA = st.lists(st.integers(0, 255) | st.sampled_from([0xFF, 0xFE, 0xFC, 0xF8, 0x7F]), max_size=24).map(bytes)


@given(data=DATA)
def test_what_is_decoded_is_what_a_slow_reading_gives(data: bytes) -> None:
    assert quickly(data) == slowly(data)


def test_the_room_is_enough_for_the_shortest_codes() -> None:
    for size in range(1, 50):
        text = b"0" * (size * 8 // 5)
        data = coded(text)
        assert len(data) == size
        assert len(huffman.room(size)) == len(text)
        assert decoded(data) == text
        assert huffman.decode(data, 0, size, bytearray(len(text) - 1)) == text  # it helps itself


def test_a_long_string() -> None:
    text = bytes(range(256)) * 1000
    assert decoded(coded(text)) == text
