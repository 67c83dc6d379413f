"""Takes the mask off a payload (RFC 6455 §5.3). Two bodies, as in `scan`: a loop for C, long numbers for Python.

The mask is a number of four bytes, of which the lowest is for the first byte of the payload.
"""

from __future__ import annotations

COMPILED = not __file__.endswith(".py")


def unmask(data: bytes, start: int, stop: int, mask: int) -> bytes:
    """The bytes from `start` to `stop`, which lie under the mask."""
    if COMPILED:
        return unmask_by_loop(data, start, stop, mask)
    return unmask_by_number(data, start, stop, mask)


def turned(mask: int, size: int) -> int:
    """The mask for what follows after so many bytes."""
    shift = 8 * (size & 3)
    return ((mask >> shift) | (mask << (32 - shift))) & 0xFFFFFFFF if shift else mask


def unmask_by_loop(data: bytes, start: int, stop: int, mask: int) -> bytes:
    view = data
    size = stop - start
    if size < 2:  # CPython has each of these bytes objects once, for all
        return bytes((view[start] ^ (mask & 0xFF),)) if size else b""
    k0 = mask & 0xFF
    k1 = (mask >> 8) & 0xFF
    k2 = (mask >> 16) & 0xFF
    k3 = mask >> 24
    # A new object, of which nobody else knows yet: it may be written to.
    made = view[start:stop]
    out = made
    at = 0
    whole = size & ~15
    # Sixteen statements, because C compilers make a single one of them: 30 GB/s, where a loop over bytes with
    # `mask >> 8 * (at & 3)` does 1.
    while at < whole:
        out[at] ^= k0  # type: ignore[index]
        out[at + 1] ^= k1  # type: ignore[index]
        out[at + 2] ^= k2  # type: ignore[index]
        out[at + 3] ^= k3  # type: ignore[index]
        out[at + 4] ^= k0  # type: ignore[index]
        out[at + 5] ^= k1  # type: ignore[index]
        out[at + 6] ^= k2  # type: ignore[index]
        out[at + 7] ^= k3  # type: ignore[index]
        out[at + 8] ^= k0  # type: ignore[index]
        out[at + 9] ^= k1  # type: ignore[index]
        out[at + 10] ^= k2  # type: ignore[index]
        out[at + 11] ^= k3  # type: ignore[index]
        out[at + 12] ^= k0  # type: ignore[index]
        out[at + 13] ^= k1  # type: ignore[index]
        out[at + 14] ^= k2  # type: ignore[index]
        out[at + 15] ^= k3  # type: ignore[index]
        at += 16
    while at < size:
        out[at] ^= (mask >> (8 * (at & 3))) & 0xFF  # type: ignore[index]
        at += 1
    return made


def unmask_by_number(data: bytes, start: int, stop: int, mask: int) -> bytes:
    size = stop - start
    key = mask.to_bytes(4, "little") * (size // 4 + 1)
    number = int.from_bytes(data[start:stop], "little") ^ int.from_bytes(key[:size], "little")
    return number.to_bytes(size, "little")
