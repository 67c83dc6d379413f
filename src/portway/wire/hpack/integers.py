"""Integers with a prefix (RFC 7541 §5.1), and what the bits before the prefix say (§6).

It knows nothing of tables and strings. A prefix is given as its mask, which is also the first number
that does not fit: 0x7F for a prefix of 7 bits.
"""

from __future__ import annotations

from portway.wire.hpack.faults import HpackFault

# The bits before the prefix of a field's first octet (RFC 7541 §6.1–§6.3), and the masks of their prefixes.
INDEXED = 0x80
ADDED = 0x40
RESIZED = 0x20
NEVER_INDEXED = 0x10
INDEXED_MASK = 0x7F
ADDED_MASK = 0x3F
RESIZED_MASK = 0x1F
LITERAL_MASK = 0x0F  # NEVER_INDEXED, or no bit at all

# The same of a string's (§5.2).
HUFFMAN = 0x80
STRING_MASK = 0x7F

# Octets after the first: four, as nginx has it, and a number is below 2**28 + 2**8, which fits a C int.
# Zeros in front of a number count too, or it could be of any length.
SHIFT_MOST = 7 * 3


class Reader:
    """A header block, and how far it is read."""

    __slots__ = ("at", "data", "spare", "stop")

    def __init__(self, data: bytes) -> None:
        self.data = data
        self.at = 0
        self.stop = len(data)
        self.spare: bytearray | None = None  # where a string is unfolded: see `huffman.decode`

    def __repr__(self) -> str:
        return f"<Reader at={self.at} of {self.stop}>"

    def integer(self, mask: int) -> int:
        """The integer that begins here; the bits before its prefix are skipped."""
        if self.at >= self.stop:
            raise HpackFault("a header block ends where an integer should begin")
        view = self.data
        number = view[self.at] & mask
        self.at += 1
        if number < mask:
            return number
        return number + self._rest()

    def _rest(self) -> int:
        view = self.data
        number = 0
        shift = 0
        while self.at < self.stop:
            octet = view[self.at]
            self.at += 1
            number += (octet & 0x7F) << shift
            if octet < 0x80:
                return number
            if shift == SHIFT_MOST:
                raise HpackFault("an integer in a header block is too long")
            shift += 7
        raise HpackFault("a header block ends within an integer")


def write(out: bytearray, first: int, mask: int, number: int) -> None:
    """Append a number; `first` are the bits before its prefix."""
    if number < mask:
        out.append(first | number)
        return
    out.append(first | mask)
    number -= mask
    while number >= 0x80:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    out.append(number)
