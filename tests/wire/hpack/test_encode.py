"""The encoder: what goes into the table and when, what never does, and the sizes that the peer asks for."""

import tracemalloc

import pytest
from hypothesis import given
from hypothesis import strategies as st

from portway.wire.hpack import encode
from portway.wire.hpack.decode import Decoder
from portway.wire.hpack.encode import Encoder, Rule
from portway.wire.hpack.table import PAIRS

Pair = tuple[bytes, bytes]

ENOUGH = 1 << 20
SERVER = (b"server", b"portway")
HTML = (b"content-type", b"text/html; charset=utf-8")
DATE = (b"date", b"Mon, 21 Oct 2013 20:13:21 GMT")
LENGTH = (b"content-length", b"1234")
COOKIE = (b"set-cookie", b"a=1")


class Both:
    """An encoder and the decoder at the other end; whatever is sent arrives, and their tables agree."""

    def __init__(self) -> None:
        self.encoder = Encoder()
        self.decoder = Decoder(ENOUGH)

    def send(self, *pairs: Pair, status: int = 0) -> bytes:
        block = self.encoder.encode(list(pairs), status)
        expected = [(b":status", b"%d" % status)] if status else []
        assert self.decoder.decode(block) == expected + [(name.lower(), value) for name, value in pairs]
        assert self.decoder.table.entries() == self.encoder.table.entries()
        assert self.decoder.table.size == self.encoder.table.size
        assert self.decoder.table.most == self.encoder.table.most
        return block

    def limit(self, *sizes: int) -> None:
        """The peer's SETTINGS, which it holds its encoder's peer to once they are acknowledged."""
        for size in sizes:
            self.encoder.limit_table(size)
            self.decoder.limit_table(size)

    @property
    def table(self) -> list[Pair]:
        return self.encoder.table.entries()


@pytest.fixture
def both() -> Both:
    return Both()


# --- statuses ---


@pytest.mark.parametrize("status", [200, 204, 206, 304, 400, 404, 500])
def test_the_statuses_of_the_static_table_are_one_octet(both: Both, status: int) -> None:
    for _ in range(2):
        assert both.send(status=status) == bytes([0x80 | 1 + PAIRS.index((b":status", b"%d" % status))])
    assert both.table == []


@pytest.mark.parametrize("status", [100, 101, 103, 201, 301, 302, 418, 503, 599])
def test_any_other_status_is_added_and_then_one_octet(both: Both, status: int) -> None:
    assert both.send(status=status)[0] == 0x48  # `:status` is the name of index 8
    assert both.send(status=status) == b"\xbe"


def test_trailers_have_no_status(both: Both) -> None:
    assert both.send() == b""
    assert both.send((b"grpc-status", b"0"))[0] == 0x00


# --- what goes into the table ---


def test_a_response_that_repeats_is_an_octet_for_each_header(both: Both) -> None:
    headers = [DATE, SERVER, HTML, (b"vary", b"accept-encoding"), (b"x-frame-options", b"DENY")]
    sizes = [len(both.send(*headers, status=200)) for _ in range(4)]
    assert sizes[0] > 70
    assert 30 > sizes[1] > sizes[2]  # the date's second time adds it
    assert sizes[2:] == [6, 6]


def test_pairs_are_found_by_what_they_are_and_not_by_which_objects_they_are(both: Both) -> None:
    both.send(SERVER, HTML)
    copies = [(bytes(bytearray(name)), bytes(bytearray(value))) for name, value in (SERVER, HTML)]
    assert len(both.send(*copies)) == 2


@pytest.mark.parametrize("name", encode._AT_ONCE, ids=bytes.decode)
def test_what_repeats_is_added_at_once(both: Both, name: bytes) -> None:
    both.send((name, b"a value"))
    assert both.table == [(name, b"a value")]
    assert both.send((name, b"a value")) == b"\xbe"


def test_the_date_is_added_when_it_comes_again(both: Both) -> None:
    # A connection of one request in a second would fill its table with dates.
    for second in range(100):
        both.send((b"date", b"Mon, 21 Oct 2013 20:%02d:%02d GMT" % (second // 60, second % 60)), SERVER)
    assert both.table == [SERVER]
    both.send(DATE)
    both.send(DATE)
    assert both.table == [DATE, SERVER]
    assert both.send(DATE, SERVER) == b"\xbe\xbf"


@pytest.mark.parametrize(
    "name", [b"x-unknown", b"last-modified", b"location", b"content-security-policy"], ids=bytes.decode
)
def test_what_is_not_known_to_repeat_is_added_when_it_does(both: Both, name: bytes) -> None:
    both.send((name, b"first"))
    both.send((name, b"second"))
    assert both.table == []
    both.send((name, b"first"))
    assert both.table == [(name, b"first")]
    assert both.send((name, b"first")) == b"\xbe"


def test_what_came_again_makes_room_for_others_to_wait(both: Both) -> None:
    both.send((b"x-unknown", b"waits"))
    for number in range(50):
        for _ in range(2):
            both.send((b"x-unknown", b"%d" % number))
    both.send((b"x-unknown", b"waits"))
    assert both.table[0] == (b"x-unknown", b"waits")
    assert len(both.table) == 51


def test_values_that_never_come_again_are_forgotten(both: Both) -> None:
    for number in range(10_000):
        both.send((b"x-unknown", b"%d" % number))
    both.send((b"x-unknown", b"0"))
    assert both.table == []


@pytest.mark.parametrize("name", encode._NOT, ids=bytes.decode)
def test_what_differs_each_time_is_never_added(both: Both, name: bytes) -> None:
    blocks = {both.send((name, b"1234")) for _ in range(4)}
    assert both.table == []
    assert [block[0] & 0xF0 for block in blocks] == [0x00]


SECRETS = [
    b"set-cookie",
    b"cookie",
    b"authorization",
    b"proxy-authorization",
    b"www-authenticate",
    b"authentication-info",
    b"x-csrf-token",
    b"x-xsrf",
    b"x-api-key",
    b"x-session-id",
    b"x-amz-security-token",
]


@pytest.mark.parametrize("value", [b"", b"a=1", b"a=" + b"s" * 100], ids=len)
@pytest.mark.parametrize("name", SECRETS, ids=bytes.decode)
def test_secrets_are_marked_as_never_to_be_indexed(both: Both, name: bytes, value: bytes) -> None:
    # RFC 7541 §7.1.3: neither by us nor by anyone between.
    for spelling in (name, name.title(), name.upper()):
        for _ in range(3):
            assert both.send((spelling, value))[0] & 0xF0 == 0x10
    assert both.table == []


def test_headers_about_credentials_are_no_secrets(both: Both) -> None:
    both.send((b"access-control-allow-credentials", b"true"))
    assert len(both.table) == 1


def test_an_entry_of_more_than_half_the_table_is_not_added(both: Both) -> None:
    name = b"permissions-policy"
    fits = (name, b"v" * (2048 - 32 - len(name)))
    both.send(fits)
    assert both.table == [fits]
    both.send((name, b"w" * (2049 - 32 - len(name))))
    assert both.table == [fits]


def test_old_entries_make_room_for_new_ones(both: Both) -> None:
    for number in range(500):
        both.send((b"cache-control", b"max-age=%d" % number), SERVER)
        assert both.encoder.table.size <= 4096
    assert 50 < len(both.table) < 100
    assert both.table[0] == (b"cache-control", b"max-age=499")
    assert SERVER in both.table
    assert both.send((b"cache-control", b"max-age=499")) == b"\xbe"


def test_indices_beyond_one_octet(both: Both) -> None:
    pairs = [(b"vary", b"%d" % number) for number in range(100)]
    both.send(*pairs)
    block = both.send(*pairs)
    assert len(block) == 65 + 2 * 35


# --- names and strings ---


def test_names_are_sent_in_lower_case(both: Both) -> None:
    # RFC 9113 §8.2.1; `Both` compares.
    first = both.send((b"Content-Type", b"text/plain"), (b"X-Custom", b"1"), (b"Content-Length", b"5"))
    assert b"C" not in first
    assert both.send((b"content-type", b"text/plain")) == b"\xbe"
    assert both.send((b"CONTENT-TYPE", b"text/plain"), (b"Content-Type", b"text/plain")) == b"\xbe\xbe"
    assert len(both.table) == 1


@given(data=st.binary(max_size=300) | st.text("0123456789abc{}|~", max_size=200).map(str.encode))
def test_a_string_is_written_in_the_shorter_form(data: bytes) -> None:
    out = bytearray()
    encode.write_string(out, data)
    raw = bytearray()
    encode.integers.write(raw, 0, 0x7F, len(data))
    raw += data
    assert len(out) <= len(raw)
    assert bool(out[0] & 0x80) == (encode.huffman.encoded_size(data) < len(data))
    assert Decoder(ENOUGH).decode(b"\x00" + out + out) == [(data, data)]


def test_rules_are_kept_for_so_many_names_and_no_more(both: Both) -> None:
    tracemalloc.start()
    try:
        for number in range(20_000):
            both.send((b"x-%d" % number, b""))
        kept, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert kept < 2_000_000  # those of all would be five times as large
    assert both.send(SERVER)[0] == 0x76


def test_a_rule_shows_its_name_and_when_values_are_added() -> None:
    assert repr(Rule(b"Set-Cookie")) == "<Rule b'set-cookie' NEVER>"
    assert repr(Rule(b"server")) == "<Rule b'server' AT_ONCE>"


# --- the size of the table ---


def sizes(block: bytes) -> list[int]:
    """The changes of the table's size that a block begins with."""
    found = []
    reader = encode.integers.Reader(block)
    while reader.at < reader.stop and block[reader.at] & 0xE0 == 0x20:
        found.append(reader.integer(0x1F))
    return found


@pytest.mark.parametrize(
    ("limits", "announced"),
    [
        ((), []),
        ((4096,), []),
        ((65_536,), []),
        ((1 << 32,), []),
        ((65_536, 4096, 8192), []),
        ((100,), [100]),
        ((0,), [0]),
        ((0, 4096), [0, 4096]),
        ((0, 1 << 31), [0, 4096]),
        ((100, 50, 200), [50, 200]),
        ((200, 50), [50]),
        ((50, 50), [50]),
        ((0, 4096, 0), [0]),
        ((300, 200, 300, 100, 4096), [100, 4096]),
    ],
    ids=repr,
)
def test_changed_sizes_are_announced_at_the_next_block(
    both: Both, limits: tuple[int, ...], announced: list[int]
) -> None:
    # RFC 7541 §4.2: the smallest in between, and the last.
    both.send(SERVER, HTML)
    both.limit(*limits)
    assert sizes(both.send(SERVER, status=200)) == announced
    assert sizes(both.send(SERVER, status=200)) == []


def test_a_table_that_shrinks_to_nothing_and_grows_again_is_empty(both: Both) -> None:
    both.send(SERVER, HTML)
    both.limit(0, 4096)
    assert both.table == []
    assert len(both.send(SERVER)) > 5
    assert both.send(SERVER) == b"\xbe"


def test_a_smaller_table_keeps_its_newest_entries(both: Both) -> None:
    both.send(SERVER, HTML, (b"vary", b"*"))
    both.limit(110)
    assert both.table == [(b"vary", b"*"), HTML][: 1 + (37 + 68 <= 110)]
    both.send(SERVER)
    assert both.encoder.table.size <= 110


def test_without_a_table_all_is_literal(both: Both) -> None:
    both.limit(0)
    for _ in range(3):
        block = both.send(SERVER, HTML, DATE, status=302)
        assert len(block) > 20
    assert both.table == []


def test_the_table_never_grows_beyond_4096_bytes_whatever_the_peer_allows(both: Both) -> None:
    both.limit(1 << 30)
    both.send(*[(b"vary", b"%d" % number) for number in range(1000)])
    assert both.encoder.table.size <= 4096


# --- all at once ---

NAMES = st.sampled_from([*encode._AT_ONCE[:5], *encode._NOT[:3], *SECRETS[:2], b"date", b"x-a", b"X-B", b"Vary"])
VALUES = st.sampled_from([b"", b"1", b"2", b"text/html", b"v" * 100, b"w" * 2000]) | st.binary(max_size=40)
BLOCKS = st.lists(
    st.tuples(
        st.lists(st.integers(0, 5000), max_size=2),
        st.integers(100, 599) | st.just(0),
        st.lists(st.tuples(NAMES, VALUES), max_size=8),
    ),
    max_size=12,
)


@given(blocks=BLOCKS)
def test_whatever_is_sent_arrives_and_the_tables_agree(blocks: list[tuple[list[int], int, list[Pair]]]) -> None:
    both = Both()
    for limits, status, pairs in blocks:
        both.limit(*limits)
        both.send(*pairs, status=status)


def test_an_encoder_shows_its_state(both: Both) -> None:
    both.send(SERVER)
    assert repr(both.encoder) == "<Encoder <EncoderTable entries=1 size=45 of 4096>>"
