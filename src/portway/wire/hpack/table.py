"""The tables of RFC 7541 §2.3 and Appendix A: the static one, and what decoder and encoder each keep of the other.

An index counts from 1: first the static table, then the dynamic one, the newest entry first. Both dynamic tables
drop the oldest entries when the sizes of all come to more than `most` (§4).
"""

from __future__ import annotations

from portway.wire import scan
from portway.wire.hpack.faults import HpackFault

# RFC 7541 §4.1: what an entry takes beside its octets; also what RFC 9113 §6.5.2 counts for a header.
OVERHEAD = 32
# RFC 9113 §6.5.2: the table's size before any SETTINGS.
DEFAULT_MOST = 4096

# Appendix A. Names that stand in `scan.KNOWN` are the objects there: `fields` compares by identity.
_STATIC = """
:authority
:method GET
:method POST
:path /
:path /index.html
:scheme http
:scheme https
:status 200
:status 204
:status 206
:status 304
:status 400
:status 404
:status 500
accept-charset
accept-encoding gzip, deflate
accept-language
accept-ranges
accept
access-control-allow-origin
age
allow
authorization
cache-control
content-disposition
content-encoding
content-language
content-length
content-location
content-range
content-type
cookie
date
etag
expect
expires
from
host
if-match
if-modified-since
if-none-match
if-range
if-unmodified-since
last-modified
link
location
max-forwards
proxy-authenticate
proxy-authorization
range
referer
refresh
retry-after
server
set-cookie
strict-transport-security
transfer-encoding
user-agent
vary
via
www-authenticate
"""

# Names whose bytes objects are shared: what the loops of a request compare by identity.
NAMES: dict[bytes, bytes] = dict(scan.KNOWN)


def _static() -> tuple[tuple[bytes, bytes], ...]:
    pairs = (line.partition(" ") for line in _STATIC.split("\n")[1:-1])
    coded = ((name.encode(), value.encode()) for name, _, value in pairs)
    return tuple((NAMES.setdefault(name, name), value) for name, value in coded)


PAIRS = _static()
STATIC = PAIRS  # the same for C alone
STATIC_SIZE = len(PAIRS)


def size_of(pair: tuple[bytes, bytes]) -> int:
    """The size of an entry (RFC 7541 §4.1), and of a header in a list (RFC 9113 §6.5.2)."""
    name, value = pair
    return len(name) + len(value) + OVERHEAD


class DecoderTable:
    """Entries by index."""

    __slots__ = ("_entries", "changes", "most", "size")

    def __init__(self) -> None:
        self._entries: list[tuple[bytes, bytes]] = []  # the oldest first
        self.changes = 0  # how many there were: as long as it is the same, a block means the same
        self.size = 0
        self.most = DEFAULT_MOST

    def __repr__(self) -> str:
        return f"<DecoderTable entries={len(self._entries)} size={self.size} of {self.most}>"

    def entries(self) -> list[tuple[bytes, bytes]]:
        """The dynamic table, in the order of its indices."""
        return self._entries[::-1]

    def pair(self, index: int) -> tuple[bytes, bytes]:
        if index <= STATIC_SIZE:
            # RFC 7541 §6.1: 0 is not used.
            if index < 1:
                raise HpackFault("a header block has the index 0")
            return STATIC[index - 1]
        place = len(self._entries) + STATIC_SIZE - index
        if place < 0:
            raise HpackFault("a header block has an index beyond the end of the table")
        return self._entries[place]

    def add(self, pair: tuple[bytes, bytes]) -> None:
        """Take a new entry. One that is larger than the table empties it, and is no fault (RFC 7541 §4.4)."""
        size = size_of(pair)
        self.changes += 1
        self._shrink(self.most - size)
        if size <= self.most:
            self._entries.append(pair)
            self.size += size

    def resize(self, most: int) -> None:
        self.changes += 1
        self.most = most
        self._shrink(most)

    def _shrink(self, most: int) -> None:
        gone = 0
        while self.size > most and gone < len(self._entries):
            self.size -= size_of(self._entries[gone])
            gone += 1
        # It moves the others: of 4096 bytes, 128 pointers at most.
        if gone:
            del self._entries[0:gone]


class EncoderTable:
    """Indices by entry."""

    __slots__ = ("_added", "_numbers", "most", "size")

    def __init__(self) -> None:
        # Each entry and how many came before it: a dict keeps the order, and no entry comes twice.
        self._numbers: dict[tuple[bytes, bytes], int] = {}
        self._added = 0
        self.size = 0
        self.most = DEFAULT_MOST

    def __repr__(self) -> str:
        return f"<EncoderTable entries={len(self._numbers)} size={self.size} of {self.most}>"

    def entries(self) -> list[tuple[bytes, bytes]]:
        """The dynamic table, in the order of its indices."""
        return list(reversed(self._numbers))

    def index(self, pair: tuple[bytes, bytes]) -> int:
        """The index of an entry; 0 if there is none."""
        number = self._numbers.get(pair)
        return 0 if number is None else STATIC_SIZE + self._added - number

    def add(self, pair: tuple[bytes, bytes]) -> None:
        """Take a new entry, which is not larger than the table."""
        size = size_of(pair)
        self._shrink(self.most - size)
        self._numbers[pair] = self._added
        self._added += 1
        self.size += size

    def resize(self, most: int) -> None:
        self.most = most
        self._shrink(most)

    def _shrink(self, most: int) -> None:
        while self.size > most:
            oldest = next(iter(self._numbers))
            del self._numbers[oldest]
            self.size -= size_of(oldest)
