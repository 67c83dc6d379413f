"""Reads header blocks (RFC 7541 §3, §6): bytes to a list of pairs, and the dynamic table in step with the peer's.

What a header may be is decided elsewhere; here, names and values are any bytes. No part of a block costs more than
its own octets do: what an index stands for is handed on, never copied. That a header is never to be indexed is of
no use to a server, which writes nothing of what it has read into another block.
"""

from __future__ import annotations

from portway.wire.hpack import huffman, integers, table
from portway.wire.hpack.faults import HpackFault
from portway.wire.hpack.integers import Reader
from portway.wire.hpack.table import DecoderTable, size_of

NOTHING_OWED = -1


class Decoder:
    """All header blocks of a peer, in their order, each as a whole. After a fault it must not be used again."""

    __slots__ = ("_limit", "_list_most", "_owed", "table", "too_large")

    def __init__(self, list_most: int) -> None:
        """`list_most` is our SETTINGS_MAX_HEADER_LIST_SIZE: names, values, and 32 bytes for each pair."""
        self._list_most = list_most
        self.table = DecoderTable()
        self._limit = self.table.most
        self._owed = NOTHING_OWED
        self.too_large = False  # the last list was

    def __repr__(self) -> str:
        return f"<Decoder {self.table!r} limit={self._limit}>"

    def limit_table(self, most: int) -> None:
        """The peer has acknowledged our SETTINGS_HEADER_TABLE_SIZE; below it, the table's size is the peer's choice."""
        self._limit = most
        # RFC 7541 §4.2: the smallest limit that there was between two blocks is to be met, too.
        if most < self.table.most and (self._owed == NOTHING_OWED or most < self._owed):
            self._owed = most

    def decode(self, data: bytes) -> list[tuple[bytes, bytes]]:
        """The headers of a block; HpackFault if it breaks RFC 7541, which ends the connection.

        A list that is too large is cut off where it becomes so, and an empty one is returned: `too_large` says it.
        The block is read to its end all the same, for the table's sake, and the connection lives on.
        """
        reader = Reader(data)
        view = data
        while reader.at < reader.stop and view[reader.at] & 0xE0 == integers.RESIZED:
            self._resize(reader)
        if self._owed != NOTHING_OWED and reader.stop:
            raise HpackFault("a header block does not begin with the smaller size of the table that was agreed on")
        pairs: list[tuple[bytes, bytes]] = []
        left = self._list_most
        while reader.at < reader.stop:
            pair = self._field(reader, view[reader.at])
            if left >= 0:
                left -= size_of(pair)
                if left >= 0:
                    pairs.append(pair)
                else:
                    pairs = []
        self.too_large = left < 0
        return pairs

    def _resize(self, reader: Reader) -> None:
        # RFC 7541 §6.3
        most = reader.integer(integers.RESIZED_MASK)
        if most > self._limit:
            raise HpackFault("the peer's table is to be larger than it may be")
        if self._owed != NOTHING_OWED:
            if most > self._owed:
                raise HpackFault("the peer's table does not become as small as it must")
            self._owed = NOTHING_OWED
        self.table.resize(most)

    def _field(self, reader: Reader, first: int) -> tuple[bytes, bytes]:
        if first >= integers.INDEXED:
            return self.table.pair(reader.integer(integers.INDEXED_MASK))
        if first >= integers.ADDED:
            pair = self._literal(reader, integers.ADDED_MASK)
            self.table.add(pair)
            return pair
        if first >= integers.RESIZED:
            # RFC 7541 §4.2
            raise HpackFault("the size of the table changes within a header block")
        return self._literal(reader, integers.LITERAL_MASK)

    def _literal(self, reader: Reader, mask: int) -> tuple[bytes, bytes]:
        index = reader.integer(mask)
        if index:
            name = self.table.pair(index)[0]
        else:
            name = _string(reader)
            name = table.NAMES.get(name, name)
        return (name, _string(reader))


def _string(reader: Reader) -> bytes:
    """RFC 7541 §5.2"""
    view = reader.data
    # At the end of the block there is no octet to look at, and `integer` says so.
    coded = reader.at < reader.stop and view[reader.at] >= integers.HUFFMAN
    size = reader.integer(integers.STRING_MASK)
    start = reader.at
    if size > reader.stop - start:
        raise HpackFault("a header block ends within a string")
    reader.at = start + size
    if not coded:
        return view[start : start + size]
    if reader.spare is None:  # the first is the largest: it has the rest of the block before it
        reader.spare = huffman.room(reader.stop - start)
    return huffman.decode(reader.data, start, start + size, reader.spare)
