"""permessage-deflate (RFC 7692): the examples of the RFC, peers made of zlib, and bombs."""

import random
import tracemalloc
import zlib
from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from portway.wire.websocket.codec import Codec
from portway.wire.websocket.deflate import Deflate
from portway.wire.websocket.faults import FrameFault

Frame = Callable[..., bytes]
Hear = Callable[..., list[object]]

# First bytes; RSV1, 0x40, says that a message is compressed.
TEXT, BINARY, CONTINUATION, PING = 0xC1, 0xC2, 0x80, 0x89
TEXT_BEGINS, BINARY_BEGINS, GOES_ON = 0x41, 0x42, 0x00

MOST = 1 << 20
TOO_BIG = ("fault", 1009, "a message is larger than is accepted here")
BROKEN = ("fault", 1002, "a compressed message cannot be inflated")
GOES_ON_AFTER = ("fault", 1002, "a compressed message goes on after its final block")

HELLO = bytes.fromhex("f248cdc9c90700")
TAIL = b"\x00\x00\xff\xff"

WORDS = "".join(f"the quick brown fox {number} jumps over the lazy dog; " for number in range(200)).encode()
NOISE = random.Random(7692).randbytes(200_000)


class Peer:
    """The client's side, by zlib alone."""

    def __init__(self, bits: int = 15, reset: bool = False, level: int = 6, memory: int = 8) -> None:
        self._make = lambda: zlib.compressobj(level, zlib.DEFLATED, -bits, memory)
        self._deflater = self._make()
        self._reset = reset

    def deflate(self, data: bytes) -> bytes:
        if self._reset:
            self._deflater = self._make()
        made = self._deflater.compress(data) + self._deflater.flush(zlib.Z_SYNC_FLUSH)
        assert made.endswith(TAIL)
        return made[:-4]


class Reader:
    """Reads what the codec writes, with a window of so many bits."""

    def __init__(self, bits: int = 15, reset: bool = False) -> None:
        self._bits = bits
        self._reset = reset
        self._inflater = zlib.decompressobj(-bits)

    def read(self, data: bytes) -> list[tuple[bool, bytes]]:
        """Whether each message was compressed, and what it is."""
        messages = []
        while data:
            size, start = data[1], 2
            if size == 126:
                size, start = int.from_bytes(data[2:4], "big"), 4
            elif size == 127:
                size, start = int.from_bytes(data[2:10], "big"), 10
            payload = data[start : start + size]
            assert data[0] & 0xBC == 0x80
            compressed = bool(data[0] & 0x40)
            messages.append((compressed, self.inflate(payload) if compressed else payload))
            data = data[start + size :]
        return messages

    def inflate(self, payload: bytes) -> bytes:
        if self._reset:
            self._inflater = zlib.decompressobj(-self._bits)
        # Byte by byte, since zlib looks further back than its window in what it gives at once.
        payload += TAIL
        return b"".join(self._inflater.decompress(payload[at : at + 1]) for at in range(len(payload)))


def sent(codec: Codec, *messages: str | bytes) -> bytes:
    for message in messages:
        codec.send(message)
    return b"".join(codec.take())


# --- the examples of RFC 7692 §7.2.3 ---


@pytest.mark.parametrize(
    ("payloads", "messages"),
    [
        pytest.param(["f248cdc9c90700"], ["Hello"], id="§7.2.3.1"),
        pytest.param(["f248cdc9c90700", "f200110000"], ["Hello", "Hello"], id="§7.2.3.2"),
        pytest.param(["f248cdc9c90700", "f248cdc9c90700"], ["Hello", "Hello"], id="§7.2.3.2 without takeover"),
        pytest.param(["000500faff48656c6c6f00"], ["Hello"], id="§7.2.3.3"),
        pytest.param(["f348cdc9c9070000"], ["Hello"], id="§7.2.3.4"),
        pytest.param(["f24805000000ffffcac9c90700"], ["Hello"], id="§7.2.3.5"),
        pytest.param(["00"], [""], id="§7.2.3.6"),
    ],
)
def test_the_examples_of_rfc_7692_are_read(frame: Frame, hear: Hear, payloads: list[str], messages: list[str]) -> None:
    codec = Codec(MOST, Deflate())
    data = b"".join(frame(TEXT, bytes.fromhex(payload)) for payload in payloads)
    assert hear(codec, data) == messages
    assert codec.size == sum(map(len, messages))
    byte_by_byte = Codec(MOST, Deflate())
    assert [event for at in range(len(data)) for event in hear(byte_by_byte, data[at : at + 1])] == messages


def test_the_fragments_of_rfc_7692_are_read(frame: Frame, hear: Hear) -> None:  # §7.2.3.1
    data = frame(TEXT_BEGINS, HELLO[:3]) + frame(CONTINUATION, HELLO[3:])
    assert hear(Codec(MOST, Deflate()), data) == ["Hello"]


@pytest.mark.parametrize("at", range(9))
def test_messages_with_a_final_block_may_follow_each_other(frame: Frame, hear: Hear, at: int) -> None:
    # §7.2.3.4: the final block ends a stream of DEFLATE, and another one begins with the next message.
    final = HELLO[:1].replace(b"\xf2", b"\xf3") + HELLO[1:] + b"\0"
    codec = Codec(MOST, Deflate())
    for _ in range(3):
        assert hear(codec, frame(TEXT_BEGINS, final[:at]) + frame(CONTINUATION, final[at:])) == ["Hello"]
    assert hear(codec, frame(TEXT, HELLO)) == ["Hello"]
    assert hear(codec, frame(TEXT, bytes.fromhex("f200110000"))) == ["Hello"]


def test_a_final_block_without_the_byte_behind_it_is_read(frame: Frame, hear: Hear) -> None:
    codec = Codec(MOST, Deflate())
    deflater = zlib.compressobj(wbits=-15)
    final = deflater.compress(b"Hello") + deflater.flush(zlib.Z_FINISH)
    assert hear(codec, frame(TEXT, final) + frame(TEXT, final) + frame(TEXT, HELLO)) == ["Hello"] * 3


def test_what_follows_a_final_block_is_refused_and_not_lost(frame: Frame, hear: Hear) -> None:
    final = bytes.fromhex("f348cdc9c90700")
    for rest in (HELLO, final + b"\0", b"\0\0", b"\0" * 5000):
        data = frame(TEXT, final + rest)
        assert hear(Codec(MOST, Deflate()), data) == [GOES_ON_AFTER]
        codec = Codec(MOST, Deflate())
        found = [event for at in range(len(data)) for event in hear(codec, data[at : at + 1])]
        assert found == [GOES_ON_AFTER]


# --- theirs ---


@pytest.mark.parametrize("memory", [1, 5, 8, 9])
@pytest.mark.parametrize("bits", range(9, 16))
def test_messages_of_every_window_are_read(frame: Frame, hear: Hear, bits: int, memory: int) -> None:
    codec = Codec(MOST, Deflate(their_window=bits))
    peer = Peer(bits, memory=memory)
    # Repeated at distances up to and beyond the window.
    for message in (WORDS, NOISE[:40_000], NOISE[:40_000], NOISE[:300] * 20, b"", WORDS):
        assert hear(codec, frame(BINARY, peer.deflate(message))) == [message]


def test_a_window_of_8_bits_is_read(frame: Frame, hear: Hear) -> None:
    # zlib cannot deflate with it; nothing in these refers further back than 256 bytes.
    codec = Codec(MOST, Deflate(their_window=8))
    for _ in range(3):
        assert hear(codec, frame(TEXT, HELLO) + frame(BINARY, Peer().deflate(b"ab" * 5000))) == ["Hello", b"ab" * 5000]


@pytest.mark.parametrize("size", [1, 7, 100, 5000])
def test_a_message_may_be_cut_into_fragments_anywhere(frame: Frame, hear: Hear, size: int) -> None:
    codec = Codec(MOST, Deflate())
    peer = Peer()
    for message in (WORDS, WORDS, NOISE[:5000]):
        payload = peer.deflate(message)
        pieces = [payload[at : at + size] for at in range(0, len(payload), size)]
        data = frame(BINARY_BEGINS, pieces[0]) + b"".join(frame(PING) + frame(GOES_ON, piece) for piece in pieces[1:])
        assert hear(codec, data) == []
        assert hear(codec, frame(CONTINUATION)) == [message]


def test_messages_that_are_not_compressed_may_stand_among_others(frame: Frame, hear: Hear) -> None:
    codec = Codec(MOST, Deflate())
    peer = Peer()
    for _ in range(3):
        assert hear(codec, frame(TEXT, peer.deflate(WORDS))) == [WORDS.decode()]
        assert hear(codec, frame(0x81, b"plain") + frame(0x01, b"pl") + frame(0x80, b"ain")) == ["plain", "plain"]


def test_without_context_takeover_each_message_stands_alone(frame: Frame, hear: Hear) -> None:
    codec = Codec(MOST, Deflate(their_reset=True))
    peer = Peer(reset=True)
    for message in (WORDS, WORDS, NOISE[:2000], WORDS):
        assert hear(codec, frame(BINARY, peer.deflate(message))) == [message]
    # RFC 7692 §7.2.3.2: this one refers to the message before.
    assert hear(codec, frame(TEXT, HELLO) + frame(TEXT, bytes.fromhex("f200110000"))) == ["Hello", BROKEN]


def test_text_is_checked_after_it_was_inflated(frame: Frame, hear: Hear) -> None:
    wrong = ("fault", 1007, "a text message is not UTF-8")
    assert hear(Codec(MOST, Deflate()), frame(TEXT, Peer().deflate("aé€😀".encode() * 100))) == ["aé€😀" * 100]
    assert hear(Codec(MOST, Deflate()), frame(BINARY, Peer().deflate(b"\xff" * 100))) == [b"\xff" * 100]
    for data in (b"\xff", b"a\xc3", b"\xed\xa0\x80", WORDS + b"\xc3"):
        assert hear(Codec(MOST, Deflate()), frame(TEXT, Peer().deflate(data))) == [wrong]
    early = Peer().deflate(b"\xff" + NOISE)
    assert hear(Codec(MOST, Deflate()), frame(TEXT_BEGINS, early[:1000])) == [wrong]


@pytest.mark.parametrize("data", [b"\xff", b"\x07", b"\x01\x05\x00\x00\x00", b"\xf2\x00\x11\x00\x00"])
def test_what_is_no_deflate_is_refused(frame: Frame, hear: Hear, data: bytes) -> None:
    assert hear(Codec(MOST, Deflate()), frame(BINARY, data + b"\0" * 10)) == [BROKEN]


def test_after_our_close_nothing_is_inflated(frame: Frame, hear: Hear) -> None:
    codec = Codec(MOST, Deflate())
    codec.close(1000)
    assert hear(codec, frame(TEXT, b"\xff" * 50) + frame(0x88)) == [("closed", 1005, "")]


# --- bombs ---


@pytest.mark.parametrize("most", [0, 1, 100, 65536])
@pytest.mark.parametrize("size", [1, 13, 1000, 1 << 20])
def test_a_message_is_as_large_as_it_may_be_inflated(frame: Frame, hear: Hear, most: int, size: int) -> None:
    payload = Peer().deflate(b"a" * most)
    beyond = Peer().deflate(b"a" * (most + 1))
    for first, rest in ((payload, [b"a" * most]), (beyond, [TOO_BIG])):
        data = frame(BINARY, first)
        codec = Codec(most, Deflate())
        found = [event for at in range(0, len(data), size) for event in hear(codec, data[at : at + size])]
        assert found == rest


@pytest.mark.parametrize("size", [10, 1 << 20])
@pytest.mark.parametrize("fragment", [50, 1 << 20])
def test_a_bomb_is_cut_off_at_the_limit(frame: Frame, hear: Hear, size: int, fragment: int) -> None:
    bomb = Peer(level=9).deflate(bytes(50_000_000))
    assert len(bomb) < 60_000
    pieces = [bomb[at : at + fragment] for at in range(0, len(bomb), fragment)]
    data = frame(BINARY_BEGINS, pieces[0]) + b"".join(frame(GOES_ON, piece) for piece in pieces[1:])
    codec = Codec(100_000, Deflate())
    cut = [data[at : at + size] for at in range(0, len(data), size)]
    tracemalloc.start()
    found = [event for piece in cut for event in hear(codec, piece)]
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert found == [TOO_BIG]
    assert peak < 1_000_000


def test_a_bomb_over_many_messages_is_none(frame: Frame, hear: Hear) -> None:
    codec = Codec(1000, Deflate())
    peer = Peer()
    for _ in range(50):
        assert hear(codec, frame(BINARY, peer.deflate(bytes(1000)))) == [bytes(1000)]
    assert hear(codec, frame(BINARY, peer.deflate(bytes(1001)))) == [TOO_BIG]


def test_what_the_end_of_a_message_brings_counts_too(frame: Frame, hear: Hear) -> None:
    # A block without compression, of which four bytes are missing: those that are added at the end complete it.
    block = b"\0" + (14).to_bytes(2, "little") + (0xFFFF - 14).to_bytes(2, "little") + b"a" * 10
    assert hear(Codec(14, Deflate()), frame(BINARY, block)) == [b"a" * 10 + TAIL]
    assert hear(Codec(13, Deflate()), frame(BINARY, block)) == [TOO_BIG]
    assert hear(Codec(13, Deflate()), frame(BINARY_BEGINS, block) + frame(CONTINUATION)) == [TOO_BIG]


@pytest.mark.parametrize("most", [0, 1, 1000])
def test_no_more_is_inflated_than_may_be(most: int) -> None:
    bomb = Peer().deflate(bytes(1_000_000))
    with pytest.raises(FrameFault) as caught:
        Deflate().inflate(bomb, most)
    assert caught.value.code == 1009
    assert Deflate().inflate(Peer().deflate(bytes(most)), most) == bytes(most)


def test_the_compressed_size_has_a_limit_too(frame: Frame, hear: Hear) -> None:
    # A stream of empty blocks inflates to nothing, for as long as it likes.
    empty = b"\x00\x00\x00\xff\xff" * 1000
    codec = Codec(10_000, Deflate())
    found: list[object] = hear(codec, frame(BINARY_BEGINS, empty))
    for _ in range(10):
        found += hear(codec, frame(GOES_ON, empty))
    assert found == [TOO_BIG]
    assert hear(Codec(10_000, Deflate()), frame(BINARY, empty * 3)[:10]) == [TOO_BIG]


@pytest.mark.parametrize("size", [0, 1, 100, 5000, 200_000])
@pytest.mark.parametrize("memory", [1, 2, 8])
def test_what_only_grows_when_it_is_deflated_may_be_as_large_as_it_may_be(
    frame: Frame, hear: Hear, size: int, memory: int
) -> None:
    noise = NOISE[:size]
    payload = Peer(9, memory=memory).deflate(noise)
    assert len(payload) > size
    assert hear(Codec(size, Deflate()), frame(BINARY, payload)) == [noise]
    assert hear(Codec(size, Deflate()), frame(BINARY_BEGINS, payload) + frame(CONTINUATION)) == [noise]


# --- ours ---


@pytest.mark.parametrize("reset", [False, True])
@pytest.mark.parametrize("bits", range(9, 16))
def test_what_is_sent_can_be_read_with_the_window_agreed_on(bits: int, reset: bool) -> None:
    codec = Codec(MOST, Deflate(our_window=bits, our_reset=reset))
    reader = Reader(bits, reset)
    # Blocks of the size of each window, twice, so that a larger window would be made use of.
    far = b"".join(WORDS[: 1 << size] + NOISE[: 1 << size] + WORDS[: 1 << size] for size in range(8, 13))
    for message in (WORDS, WORDS, far, far + WORDS):
        [(compressed, found)] = reader.read(sent(codec, message))
        assert found == message
        assert compressed is True


def test_what_came_before_makes_a_message_smaller_unless_that_was_agreed_away() -> None:
    codec = Codec(MOST, Deflate())
    text = WORDS[:2000].decode()
    once, again = len(sent(codec, text)), len(sent(codec, text))
    assert again < once / 2
    codec = Codec(MOST, Deflate(our_reset=True))
    assert sent(codec, text) == sent(codec, text)


def test_messages_below_1_kib_and_above_4_mib_are_sent_as_they_are() -> None:
    codec = Codec(MOST, Deflate())
    for size, compressed in (
        (0, False),
        (1, False),
        (1023, False),
        (1024, True),
        (1 << 22, True),
        (1 << 22 | 1, False),
    ):
        assert bool(sent(codec, b"a" * size)[0] & 0x40) is compressed, size
        assert bool(sent(codec, "a" * size)[0] & 0x40) is compressed, size


def test_the_size_that_counts_is_in_bytes() -> None:
    codec = Codec(MOST, Deflate())
    assert sent(codec, "€" * 342)[0] == 0xC1
    assert sent(codec, "€" * 341)[0] == 0x81
    assert codec.send("€" * 342) == 1026


def test_a_message_that_does_not_shrink_by_a_tenth_is_sent_as_it_is() -> None:
    codec = Codec(MOST, Deflate())
    assert sent(codec, NOISE[:2000]) == b"\x82\x7e\x07\xd0" + NOISE[:2000]
    codec = Codec(MOST, Deflate())
    assert sent(codec, NOISE[:2000] + b"a" * 100)[0] == 0x82
    codec = Codec(MOST, Deflate())
    assert sent(codec, NOISE[:2000] + b"a" * 300)[0] == 0xC2


def tried(count: int) -> bool:
    """Whether a message is deflated after so many that do not shrink."""
    deflate = Deflate()
    for _ in range(count):
        assert deflate.deflate(NOISE[:2000]) is None
    return deflate.deflate(WORDS) is not None


def test_after_messages_that_do_not_shrink_1_2_4_and_at_most_64_are_not_tried() -> None:
    assert [count for count in range(270) if tried(count)] == [0, 2, 5, 10, 19, 36, 69, 134, 199, 264]


def test_after_a_message_that_shrinks_it_begins_again_with_1() -> None:
    deflate = Deflate()
    for _ in range(5):
        assert deflate.deflate(NOISE[:2000]) is None
    assert deflate.deflate(WORDS) is not None
    assert deflate.deflate(NOISE[:2000]) is None
    assert deflate.deflate(WORDS) is None
    assert deflate.deflate(WORDS) is not None
    assert deflate.deflate(WORDS) is not None


def test_small_messages_are_not_counted_among_those_that_are_not_tried() -> None:
    deflate = Deflate()
    assert deflate.deflate(NOISE[:2000]) is None
    for _ in range(5):
        assert deflate.deflate(b"small") is None
    assert deflate.deflate(WORDS) is None
    assert deflate.deflate(WORDS) is not None


def test_nothing_refers_to_a_message_whose_compression_was_dropped() -> None:
    codec = Codec(MOST, Deflate())
    reader = Reader(12)
    secret = NOISE[:2000]
    # The last ones would be smallest as a reference to what the peer has never inflated.
    for message in (WORDS, secret, WORDS, secret[:1500] + WORDS, WORDS, secret + WORDS):
        [(_, found)] = reader.read(sent(codec, message))
        assert found == message


MESSAGES = st.builds(
    lambda kind, start, size: {"words": WORDS, "noise": NOISE}[kind][start : start + size],
    st.sampled_from(["words", "noise"]),
    st.integers(0, 500),
    st.sampled_from([0, 1, 500, 1023, 1024, 1500, 3000, 6000]),
)


@given(st.lists(MESSAGES | st.builds(bytes.__add__, MESSAGES, MESSAGES), max_size=12), st.booleans())
@settings(max_examples=60)
def test_any_messages_are_read_by_the_peer_as_they_were_sent(messages: list[bytes], reset: bool) -> None:
    codec = Codec(MOST, Deflate(our_reset=reset))
    assert [found for _, found in Reader(12, reset).read(sent(codec, *messages))] == messages


@given(
    messages=st.lists(MESSAGES | st.binary(max_size=50), max_size=8),
    bits=st.integers(9, 15),
    reset=st.booleans(),
    sizes=st.lists(st.integers(1, 3000), min_size=1, max_size=5),
)
@settings(max_examples=60)
def test_any_messages_of_the_peer_are_read_as_they_were_sent(
    frame: Frame, hear: Hear, messages: list[bytes], bits: int, reset: bool, sizes: list[int]
) -> None:
    peer = Peer(bits, reset)
    data = b"".join(frame(BINARY, peer.deflate(message)) for message in messages)
    codec = Codec(MOST, Deflate(their_window=bits, their_reset=reset))
    found: list[object] = []
    at = turn = 0
    while at < len(data):
        found += hear(codec, data[at : at + sizes[turn % len(sizes)]])
        at += sizes[turn % len(sizes)]
        turn += 1
    assert found == messages
