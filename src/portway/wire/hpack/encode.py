"""Writes header blocks (RFC 7541 §6): pairs to bytes, in as few octets as what repeats allows.

What an encoder adds to the table is its own choice, and this one's are a server's: what is the same in every
response goes in at once, what is the same for a while (`date`) when it comes the second time, and what differs in
each, or is a secret, never.
"""

from __future__ import annotations

from portway.wire.hpack import huffman, integers
from portway.wire.hpack.table import DEFAULT_MOST, PAIRS, EncoderTable, size_of

# When the values of a header go into the table.
AT_ONCE = 0
LATER = 1  # when it comes again
NOT = 2
NEVER = 3  # and nobody else may put it into one (RFC 7541 §7.1.3)

_AT_ONCE = (
    b":status accept-ch accept-ranges access-control-allow-credentials access-control-allow-headers "
    b"access-control-allow-methods access-control-allow-origin access-control-expose-headers access-control-max-age "
    b"allow alt-svc cache-control content-encoding content-language content-type cross-origin-embedder-policy "
    b"cross-origin-opener-policy cross-origin-resource-policy nel origin-agent-cluster permissions-policy pragma "
    b"referrer-policy report-to reporting-endpoints server strict-transport-security timing-allow-origin vary via "
    b"x-content-type-options x-dns-prefetch-control x-frame-options x-powered-by x-xss-protection"
).split()
_NOT = (
    b"age content-length content-range etag request-id server-timing traceparent x-correlation-id x-process-time "
    b"x-request-id x-response-time x-runtime x-trace-id"
).split()
# RFC 7541 §7.1: who can make us write headers beside a secret must not learn from sizes whether he guessed it.
# Any other name with one of these in it may have such values: `set-cookie`, `authorization`, `x-csrf-token`, …
_SECRET = b"api-key apikey auth cookie credential csrf passw secret session token xsrf".split()

# Where each name begins in the static table, and the values it has there.
_FIRST = {name: index for index, (name, _) in reversed(list(enumerate(PAIRS, 1)))}
_VALUES: dict[bytes, dict[bytes, int]] = {name: {} for name in _FIRST}
for _index, (_name, _value) in enumerate(PAIRS, 1):
    if _value:
        _VALUES[_name][_value] = _index

# An entry of more than half the table would drive out what repeats.
SHARE = 2

# Pairs that may come a second time; when there are as many, none is known.
ONCE_MOST = 32


class Rule:
    """How a header's name is written, and when its values go into the table."""

    __slots__ = ("added", "literal", "lowered", "name", "values", "when")

    def __init__(self, spelling: bytes) -> None:
        name = spelling.lower()
        self.name = name
        self.lowered = name != spelling
        if name in _AT_ONCE:
            self.when = AT_ONCE
        elif any(word in name for word in _SECRET):
            self.when = NEVER
        else:
            self.when = NOT if name in _NOT else LATER
        self.values = _VALUES.get(name, {})  # with their indices in the static table
        index = _FIRST.get(name, 0)
        # The first octets of a literal that is added to the table, and of one that is not.
        self.added = _begin(integers.ADDED, integers.ADDED_MASK, index, name)
        bit = integers.NEVER_INDEXED if self.when == NEVER else 0
        self.literal = _begin(bit, integers.LITERAL_MASK, index, name)

    def __repr__(self) -> str:
        return f"<Rule {self.name!r} {('AT_ONCE', 'LATER', 'NOT', 'NEVER')[self.when]}>"


# The rules of names as applications spell them; emptied when full.
RULES: dict[bytes, Rule] = {}
RULES_KEPT = 1024


class Encoder:
    """All header blocks for a peer. Each one must be sent, and in this order, or the tables no longer agree."""

    __slots__ = ("_least", "_once", "_resized", "table")

    def __init__(self) -> None:
        self.table = EncoderTable()
        self._once: set[int] = set()  # hashes: one that is wrong puts a pair into the table too early, and no more
        self._resized = False
        self._least = 0  # of the table's sizes since the last block

    def __repr__(self) -> str:
        return f"<Encoder {self.table!r}>"

    def limit_table(self, most: int) -> None:
        """Take the peer's SETTINGS_HEADER_TABLE_SIZE; more than the 4096 bytes of the default are not made use of."""
        most = min(most, DEFAULT_MOST)
        if most == self.table.most:
            return
        self._least = min(self._least, most) if self._resized else most
        self._resized = True
        self.table.resize(most)

    def encode(self, pairs: list[tuple[bytes, bytes]], status: int = 0) -> bytes:
        """A header block; without a status it is one of trailers. Names are put into lower case (RFC 9113 §8.2.1).

        Names and values must have been checked: an error in the middle would leave a table that the peer does not have.
        """
        out = bytearray()
        self.begin(out, status)
        self.write(out, pairs)
        return bytes(out)

    def begin(self, out: bytearray, status: int) -> None:
        """The same in parts: what comes before all headers."""
        if self._resized:
            self._announce(out)
        if status == 200:  # nearly always
            out.append(0x88)
        elif status:
            self._field(out, (b":status", b"%d" % status))

    def write(self, out: bytearray, pairs: list[tuple[bytes, bytes]]) -> None:
        for pair in pairs:
            self._field(out, pair)

    def _announce(self, out: bytearray) -> None:
        # RFC 7541 §4.2: the smallest size since the last block, then the one that holds.
        if self._least < self.table.most:
            integers.write(out, integers.RESIZED, integers.RESIZED_MASK, self._least)
        integers.write(out, integers.RESIZED, integers.RESIZED_MASK, self.table.most)
        self._resized = False

    def _field(self, out: bytearray, pair: tuple[bytes, bytes]) -> None:
        index = self.table.index(pair)
        if index:
            integers.write(out, integers.INDEXED, integers.INDEXED_MASK, index)
        else:
            self._literal(out, pair)

    def _literal(self, out: bytearray, pair: tuple[bytes, bytes]) -> None:
        """A pair that is not in the dynamic table as it is spelled."""
        rule = RULES.get(pair[0])
        if rule is None:
            rule = _learn(pair[0])
        value = pair[1]
        index = 0
        if rule.lowered:
            pair = (rule.name, value)
            index = self.table.index(pair)
        if rule.values:
            index = rule.values.get(value, index)
        if index:
            integers.write(out, integers.INDEXED, integers.INDEXED_MASK, index)
        elif self._worthy(rule.when, pair):
            out += rule.added
            write_string(out, value)
            self.table.add(pair)
        else:
            out += rule.literal
            write_string(out, value)

    def _worthy(self, when: int, pair: tuple[bytes, bytes]) -> bool:
        """Whether the pair goes into the table."""
        if when >= NOT or size_of(pair) > self.table.most // SHARE:
            return False
        if when == AT_ONCE:
            return True
        seen = hash(pair)
        if seen in self._once:
            self._once.discard(seen)
            return True
        if len(self._once) >= ONCE_MOST:
            self._once.clear()
        self._once.add(seen)
        return False


def write_string(out: bytearray, data: bytes) -> None:
    """RFC 7541 §5.2: coded if that is shorter."""
    size = huffman.encoded_size(data)
    if size < len(data):
        integers.write(out, integers.HUFFMAN, integers.STRING_MASK, size)
        huffman.encode(out, data)
    else:
        integers.write(out, 0, integers.STRING_MASK, len(data))
        out += data


def _learn(spelling: bytes) -> Rule:
    if len(RULES) >= RULES_KEPT:
        RULES.clear()
    rule = RULES[spelling] = Rule(spelling)
    return rule


def _begin(bits: int, mask: int, index: int, name: bytes) -> bytes:
    out = bytearray()
    integers.write(out, bits, mask, index)
    if index == 0:
        write_string(out, name)
    return bytes(out)
