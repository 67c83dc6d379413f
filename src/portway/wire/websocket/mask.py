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
    made: bytes = unwritten(stop - start)  # type: ignore[name-defined]  # noqa: F821  # see the .pxd
    unmask_into(made, 0, data, start, stop, mask)
    return made


def unmask_into(made: bytes, after: int, data: bytes, start: int, stop: int, mask: int) -> None:
    """Write what lies under the mask into an object that is `unwritten`, behind its first so many bytes."""
    out = made
    end = after + stop - start
    k0 = mask & 0xFF
    k1 = (mask >> 8) & 0xFF
    k2 = (mask >> 16) & 0xFF
    k3 = mask >> 24
    at = after
    whole = end - 15
    # Sixteen statements, because C compilers make vectors of them: 30 GB/s, where a loop over bytes with
    # `mask >> 8 * (at & 3)` does 1.
    while at < whole:
        out[at] = data[start] ^ k0  # type: ignore[index]
        out[at + 1] = data[start + 1] ^ k1  # type: ignore[index]
        out[at + 2] = data[start + 2] ^ k2  # type: ignore[index]
        out[at + 3] = data[start + 3] ^ k3  # type: ignore[index]
        out[at + 4] = data[start + 4] ^ k0  # type: ignore[index]
        out[at + 5] = data[start + 5] ^ k1  # type: ignore[index]
        out[at + 6] = data[start + 6] ^ k2  # type: ignore[index]
        out[at + 7] = data[start + 7] ^ k3  # type: ignore[index]
        out[at + 8] = data[start + 8] ^ k0  # type: ignore[index]
        out[at + 9] = data[start + 9] ^ k1  # type: ignore[index]
        out[at + 10] = data[start + 10] ^ k2  # type: ignore[index]
        out[at + 11] = data[start + 11] ^ k3  # type: ignore[index]
        out[at + 12] = data[start + 12] ^ k0  # type: ignore[index]
        out[at + 13] = data[start + 13] ^ k1  # type: ignore[index]
        out[at + 14] = data[start + 14] ^ k2  # type: ignore[index]
        out[at + 15] = data[start + 15] ^ k3  # type: ignore[index]
        at += 16
        start += 16
    while at < end:
        out[at] = data[start] ^ (mask & 0xFF)  # type: ignore[index]
        mask = mask >> 8 | (mask & 0xFF) << 24
        at += 1
        start += 1


def unmask_by_number(data: bytes, start: int, stop: int, mask: int) -> bytes:
    size = stop - start
    key = mask.to_bytes(4, "little") * (size // 4 + 1)
    number = int.from_bytes(data[start:stop], "little") ^ int.from_bytes(key[:size], "little")
    return number.to_bytes(size, "little")
