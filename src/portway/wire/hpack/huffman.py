"""The Huffman code of RFC 7541 §5.2 and Appendix B.

The code is canonical: codes of the same length are consecutive numbers, in the order of their symbols, and
a longer code is a larger number. All tables follow from which symbols have how many bits.
"""

from __future__ import annotations

from portway.wire.hpack.faults import HpackFault

# Appendix B, by length. EOS is the last of the 30 bits, all of them ones.
CODE = {
    5: b"012aceiost",
    6: b" %-./3456789=A_bdfghlmnpru",
    7: b":BCDEFGHIJKLMNOPQRSTUVWYjkqvwxyz",
    8: b"&*,;XZ",
    10: b'!"()?',
    11: b"'+|",
    12: b"#>",
    13: b"\x00$@[]~",
    14: b"^}",
    15: b"<`{",
    19: b"\\\xc3\xd0",
    20: b"\x80\x82\x83\xa2\xb8\xc2\xe0\xe2",
    21: b"\x99\xa1\xa7\xac\xb0\xb1\xb3\xd1\xd8\xd9\xe3\xe5\xe6",
    22: b"\x81\x84\x85\x86\x88\x92\x9a\x9c\xa0\xa3\xa4\xa9\xaa\xad\xb2\xb5\xb9\xba\xbb\xbd\xbe\xc4\xc6\xe4\xe8\xe9",
    23: b"\x01\x87\x89\x8a\x8b\x8c\x8d\x8f\x93\x95\x96\x97\x98\x9b\x9d\x9e\xa5\xa6\xa8\xae\xaf\xb4\xb6\xb7\xbc\xbf"
    b"\xc5\xe7\xef",
    24: b"\x09\x8e\x90\x91\x94\x9f\xab\xce\xd7\xe1\xec\xed",
    25: b"\xc7\xcf\xea\xeb",
    26: b"\xc0\xc1\xc8\xc9\xca\xcd\xd2\xd5\xda\xdb\xee\xf0\xf2\xf3\xff",
    27: b"\xcb\xcc\xd3\xd4\xd6\xdd\xde\xdf\xf1\xf4\xf5\xf6\xf7\xf8\xfa\xfb\xfc\xfd\xfe",
    28: b"\x02\x03\x04\x05\x06\x07\x08\x0b\x0c\x0e\x0f\x10\x11\x12\x13\x14\x15\x17\x18\x19\x1a\x1b\x1c\x1d\x1e\x1f"
    b"\x7f\xdc\xf9",
    30: b"\x0a\x0d\x16",
}
SHORTEST = 5
LONGEST = 30
# Codes of up to 8 bits, which are nearly all that occur, are found by one look; the next have 10.
QUICK_BITS = 8
LONG_LEAST = 10

# The decoder's window has 64 bits: so many may be in it when 8 are added.
UNREAD_BITS = 48
UNREAD = (1 << UNREAD_BITS) - 1


def _codes() -> list[tuple[int, int, int]]:
    """Each code, its length and its symbol, in ascending order."""
    found = []
    code = 0
    for length in range(SHORTEST, LONGEST + 1):
        for symbol in CODE.get(length, b""):
            found.append((code, length, symbol))
            code += 1
        code <<= 1
    return found


def _quick(codes: list[tuple[int, int, int]]) -> list[int]:
    """For each 8 bits: length and symbol of the code they begin with, or 0 if it is longer."""
    found = [0] * (1 << QUICK_BITS)
    for code, length, symbol in codes:
        if length <= QUICK_BITS:
            free = QUICK_BITS - length
            for rest in range(1 << free):
                found[code << free | rest] = length << 8 | symbol
    return found


def _limits() -> list[int]:
    """For each length: the first number that is too large for a code of it."""
    found = [0] * (LONGEST + 1)
    for length in range(SHORTEST, LONGEST + 1):
        found[length] = 2 * found[length - 1] + len(CODE.get(length, b""))
    return found


def _ranks(limits: list[int]) -> list[int]:
    """For each length: what to add to a code of it to have its place in ORDERED."""
    place = 0
    found = [0] * (LONGEST + 1)
    for length in range(SHORTEST, LONGEST + 1):
        place += len(CODE.get(length, b""))
        found[length] = place - limits[length]
    return found


_CODES = sorted(_codes(), key=lambda each: each[2])
SYMBOL_CODES = [code for code, _, _ in _CODES]
CODES = SYMBOL_CODES
SYMBOL_LENGTHS = bytes(length for _, length, _ in _CODES)
_LENGTHS = SYMBOL_LENGTHS
LENGTHS = _LENGTHS
_ORDERED = b"".join(CODE.values())
ORDERED = _ORDERED
QUICK = _quick(_CODES)
_LIMITS = _limits()
LIMITS = _LIMITS
RANKS = _ranks(_LIMITS)


def room(size: int) -> bytearray:
    """Where a string of so many octets can be unfolded: no symbol has fewer than 5 bits."""
    return bytearray(size * 8 // SHORTEST)


def decode(data: bytes, at: int, stop: int, spare: bytearray) -> bytes:
    """The string from `at` to `stop`, unfolded in `spare`, which should have `room` for it."""
    if len(spare) * SHORTEST < (stop - at) * 8 - SHORTEST + 1:
        spare = room(stop - at)
    view = data
    out = spare
    size = 0
    window = 0
    count = 0  # of the bits at the lower end of the window that are still to be read
    while True:
        while count <= UNREAD_BITS and at < stop:
            window = (window & UNREAD) << 8 | view[at]
            count += 8
            at += 1
        found = 1
        while count >= QUICK_BITS:
            found = QUICK[(window >> (count - QUICK_BITS)) & 0xFF]
            if found == 0:
                break
            out[size] = found & 0xFF
            size += 1
            count -= found >> 8
        if found == 0 and (count >= LONGEST or at == stop):
            found = _long(window, count)
            out[size] = found & 0xFF
            size += 1
            count -= found >> 8
        elif found and at == stop:
            break
    return bytes(out[0 : _end(window, count, out, size)])


def _long(window: int, count: int) -> int:
    """Length and symbol of a code that is too long for QUICK."""
    for length in range(LONG_LEAST, LONGEST + 1):
        if length > count:
            raise HpackFault("a Huffman-coded string ends within a code, or with more than 7 bits of padding")
        code = (window >> (count - length)) & ((1 << length) - 1)
        if code < LIMITS[length]:
            return length << 8 | ORDERED[code + RANKS[length]]
    raise HpackFault("a Huffman-coded string has the EOS symbol in it")


def _end(window: int, count: int, out: bytearray, size: int) -> int:
    """Read the last 7 bits or fewer; the size of the whole string."""
    while count:
        found = QUICK[(window << (QUICK_BITS - count) | 0xFF >> count) & 0xFF]
        length = found >> 8
        if found == 0 or length > count:
            break
        out[size] = found & 0xFF
        size += 1
        count -= length
    # RFC 7541 §5.2: padding is the beginning of EOS.
    if ~window & ((1 << count) - 1):
        raise HpackFault("a Huffman-coded string is not padded with ones")
    return size


def encoded_size(data: bytes) -> int:
    """How many octets the string has when it is coded."""
    view = data
    bits = 0
    for i in range(len(data)):
        bits += LENGTHS[view[i]]
    return (bits + 7) >> 3


def encode(out: bytearray, data: bytes) -> None:
    """Append the string, coded."""
    view = data
    window = 0
    count = 0
    for i in range(len(data)):
        char = view[i]
        window = (window & 0xFF) << LENGTHS[char] | CODES[char]
        count += LENGTHS[char]
        while count >= 8:
            count -= 8
            out.append((window >> count) & 0xFF)
    if count:
        out.append((window << (8 - count) | 0xFF >> count) & 0xFF)
