"""Generated conversations with wsproto as the client, and as another server that reads the same bytes.

Where the two differ, it is on purpose: the tables name each difference, an example, and the rule for it.
"""

import zlib
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from wsproto.connection import Connection, ConnectionType
from wsproto.events import BytesMessage, CloseConnection, Message, Ping, Pong, TextMessage
from wsproto.extensions import PerMessageDeflate

from portway.wire.websocket import deflate, handshake
from portway.wire.websocket.codec import Codec
from portway.wire.websocket.deflate import Deflate

Frame = Callable[..., bytes]
Hear = Callable[..., list[object]]

# A frame is its first byte, its payload, and what is unusual about it.
Spec = list[tuple[Any, ...]]

MOST = 1 << 20
HELLO = bytes.fromhex("f248cdc9c90700")
FINAL = bytes.fromhex("f348cdc9c90700")

# What we refuse, and how wsproto reads it, by the text of the refusal.
STRICTER: dict[str, tuple[str, Spec, list[object]]] = {
    "a message is larger than is accepted here": (
        "RFC 6455 §10.4: an implementation SHOULD limit the size of frames and messages; wsproto leaves it to its user",
        [(0x82, bytes(MOST + 1))],
        [bytes(MOST + 1)],
    ),
    "a compressed message goes on after its final block": (
        "RFC 7692 §7.2.1: further blocks may follow a final one; zlib does not read them, and wsproto loses them",
        [(0xC1, FINAL + HELLO)],
        ["Hello"],
    ),
}

# What we read and wsproto does not, or does otherwise, with how we read it, by a name.
LENIENT: dict[str, tuple[str, Spec, list[object]]] = {
    "the code 1014": (
        "RFC 6455 §11.7: the registry of codes grows, and has 1014 by now",
        [(0x88, b"\x03\xf6")],
        [("closed", 1014, "")],
    ),
    "a message after a final block": (
        "RFC 7692 §7.2.3.4: a message may end in a final block, and others may follow",
        [(0xC1, FINAL + b"\0"), (0xC1, HELLO)],
        ["Hello", "Hello"],
    ),
    "a ping among compressed fragments": (
        "RFC 6455 §5.4: control frames may be injected in the middle of a fragmented message",
        [(0x41, HELLO[:3]), (0x89, b""), (0x80, HELLO[3:])],
        ["Hello"],
    ),
}

# What both refuse, with another code: ours and that of wsproto.
CODES: dict[str, tuple[str, Spec, int]] = {
    "a compressed message cannot be inflated": (
        "RFC 6455 §7.4.1: 1007 is for data that is not of the message's type; no type is known of what is no DEFLATE",
        [(0xC2, b"\x07" * 10)],
        1007,
    ),
}


def agreed(**parameters: Any) -> tuple[PerMessageDeflate, Deflate]:
    """The client's side of what is agreed on, and ours."""
    client = PerMessageDeflate(**parameters)
    offers = handshake.extensions([f"{client.name}; {client.offer()}".encode()])
    met = deflate.agree(offers)
    assert met is not None
    client.finalize(met[1])
    return client, met[0]


def stream(frame: Frame, spec: Spec) -> bytes:
    return b"".join(frame(first, payload, **(rest[0] if rest else {})) for first, payload, *rest in spec)


@dataclass
class Read:
    """Whole messages, and the end: a close or a fault; or neither, if it has not come."""

    events: list[object] = field(default_factory=list)
    refused: int = 0
    text: str = ""


def by_ours(hear: Hear, data: bytes) -> Read:
    read = Read(hear(Codec(MOST, Deflate()), data))
    if read.events and type(read.events[-1]) is tuple and read.events[-1][0] == "fault":
        _, read.refused, read.text = read.events.pop()  # type: ignore[misc]
    return read


def by_wsproto(data: bytes) -> Read:
    extension = PerMessageDeflate()
    extension.accept("permessage-deflate")
    connection = Connection(ConnectionType.SERVER, [extension])
    connection.receive_data(data)
    return messages_of(connection)


def messages_of(connection: Connection) -> Read:
    read = Read()
    pieces: list[Any] = []
    for event in connection.events():
        if isinstance(event, Message):
            pieces.append(event.data)
            if event.message_finished:
                read.events.append(pieces[0][:0].join(pieces))
                pieces = []
        elif isinstance(event, CloseConnection):
            if connection.state.name == "OPEN":  # the close is its own
                read.refused, read.text = int(event.code), event.reason or ""
            else:
                read.events.append(("closed", int(event.code), event.reason or ""))
    return read


def compare(ours: Read, theirs: Read) -> None:
    if ours.refused and theirs.refused:
        assert ours.events == theirs.events
        assert ours.refused == theirs.refused or CODES[ours.text][2] == theirs.refused
    elif ours.refused:
        # wsproto judges a frame when something of its payload has come, or all of its head.
        assert ours.events == theirs.events or ours.text in STRICTER
    else:
        assert not theirs.refused
        assert ours.events == theirs.events


# --- the tables ---


@pytest.mark.parametrize("text", STRICTER)
def test_where_we_are_stricter_there_is_a_rule(frame: Frame, hear: Hear, text: str) -> None:
    rule, spec, theirs = STRICTER[text]
    assert rule.startswith("RFC ")
    data = stream(frame, spec)
    assert by_ours(hear, data).text == text
    assert by_wsproto(data) == Read(theirs)


@pytest.mark.parametrize("name", LENIENT)
def test_where_we_are_more_lenient_there_is_a_rule(frame: Frame, hear: Hear, name: str) -> None:
    rule, spec, ours = LENIENT[name]
    assert rule.startswith("RFC ")
    data = stream(frame, spec)
    assert by_ours(hear, data) == Read(ours)
    assert by_wsproto(data) != Read(ours)


@pytest.mark.parametrize("text", CODES)
def test_where_our_code_is_another_there_is_a_rule(frame: Frame, hear: Hear, text: str) -> None:
    rule, spec, code = CODES[text]
    assert rule.startswith("RFC ")
    data = stream(frame, spec)
    assert by_ours(hear, data).text == text
    assert by_wsproto(data).refused == code


# --- generated frames, read by both ---

PAYLOADS = st.binary(max_size=12) | st.text(max_size=6).map(str.encode) | st.binary(min_size=120, max_size=130)
UNUSUAL = st.fixed_dictionaries({}, optional={"form": st.sampled_from([16, 64])})
CODES_SENT = st.integers(0, 6000).filter(lambda code: code != 1014) | st.integers(995, 1013)
CLOSES = st.builds(
    lambda code, reason: (0x88, code.to_bytes(2, "big") + reason), CODES_SENT, PAYLOADS
) | st.sampled_from([(0x88, b""), (0x88, b"\x03")])  # fmt: skip
ANY = st.tuples(st.integers(0, 255).filter(lambda first: not first & 0x40), PAYLOADS, UNUSUAL)


def deflated(data: bytes) -> bytes:
    deflater = zlib.compressobj(wbits=-15)
    return (deflater.compress(data) + deflater.flush(zlib.Z_SYNC_FLUSH))[:-4]


COMPRESSED = st.tuples(
    st.sampled_from([0xC1, 0xC2, 0xC9, 0xC0, 0xE1]), PAYLOADS.map(deflated) | st.just(b"\x07" * 10)
)  # fmt: skip


@st.composite
def wholes(draw: st.DrawFn) -> Spec:
    """A message in fragments, or a control frame; all as it should be."""
    kind = draw(st.sampled_from(["text", "binary", "compressed", "ping", "pong"]))
    if kind == "ping" or kind == "pong":
        return [(0x89 if kind == "ping" else 0x8A, draw(st.binary(max_size=125)))]
    first, payload = {"text": 0x01, "binary": 0x02, "compressed": 0x42}[kind], draw(PAYLOADS)
    if kind == "text":
        payload = draw(st.text(max_size=20)).encode()
    elif kind == "compressed":
        payload = deflated(payload)
    places = sorted(draw(st.lists(st.integers(0, len(payload)), max_size=3)))
    bounds = [0, *places, len(payload)]
    spec: Spec = []
    for number, (one, two) in enumerate(pairwise(bounds)):
        last = 0x80 if number == len(places) else 0
        spec.append((last | (0 if number else first), payload[one:two]))
        if kind != "compressed" and not last and draw(st.booleans()):
            spec.append((draw(st.sampled_from([0x89, 0x8A])), b"amid"))
    return spec


@given(st.lists(wholes(), max_size=6), st.none() | CLOSES)
@settings(max_examples=200)
def test_messages_are_read_as_wsproto_reads_them(
    frame: Frame, hear: Hear, messages: list[Spec], close: tuple[int, bytes] | None
) -> None:
    spec = [one for message in messages for one in message]
    data = stream(frame, spec + ([close] if close else []))
    ours, theirs = by_ours(hear, data), by_wsproto(data)
    compare(ours, theirs)
    assert bool(ours.refused) is bool(theirs.refused)


@given(st.lists(wholes(), max_size=3), st.lists(ANY | CLOSES | COMPRESSED, min_size=1, max_size=4))
@settings(max_examples=400)
def test_frames_of_any_kind_are_read_as_wsproto_reads_them(
    frame: Frame, hear: Hear, messages: list[Spec], odd: Spec
) -> None:
    data = stream(frame, [one for message in messages for one in message] + odd)
    compare(by_ours(hear, data), by_wsproto(data))


@given(st.lists(wholes(), min_size=1, max_size=3), st.data())
@settings(max_examples=200)
def test_frames_with_a_wrong_byte_are_read_as_wsproto_reads_them(
    frame: Frame, hear: Hear, messages: list[Spec], data: st.DataObject
) -> None:
    spec = [one for message in messages for one in message if not one[0] & 0x40]
    text = bytearray(stream(frame, [*spec, (0x81, b"end")]))
    at = data.draw(st.integers(0, len(text) - 1))
    text[at] = data.draw(st.integers(0, 255).filter(lambda byte: not byte & 0x40))
    compare(by_ours(hear, bytes(text)), by_wsproto(bytes(text)))


# --- wsproto as the client ---


def send_all(client: Connection, messages: list[str | bytes], cuts: list[int]) -> bytes:
    """Each message in as many fragments as its number says."""
    data = b""
    for number, message in enumerate(messages):
        kind: Any = TextMessage if isinstance(message, str) else BytesMessage
        step = max(1, len(message) // (cuts[number % len(cuts)] + 1) + 1)
        pieces = [message[at : at + step] for at in range(0, len(message), step)] or [message]
        for place, piece in enumerate(pieces):
            data += client.send(kind(data=piece, message_finished=place == len(pieces) - 1))
    return data


MESSAGE = (
    st.text(max_size=50)
    | st.binary(max_size=50)
    | st.builds(lambda text, times: text * times, st.text(max_size=20), st.integers(0, 500))
    | st.builds(lambda data, times: data * times, st.binary(max_size=20), st.integers(0, 500))
    | st.binary(min_size=1024, max_size=1100)
)
BITS = st.integers(9, 15)
PARAMETERS = st.none() | st.fixed_dictionaries(
    {
        "client_no_context_takeover": st.booleans(),
        "server_no_context_takeover": st.booleans(),
        "client_max_window_bits": BITS,
        "server_max_window_bits": BITS,
    }
)


@given(parameters=PARAMETERS, theirs=st.lists(MESSAGE, max_size=6), ours=st.lists(MESSAGE, max_size=6), data=st.data())
@settings(max_examples=200)
def test_a_conversation_with_wsproto_says_what_was_said(
    hear: Hear,
    parameters: dict[str, Any] | None,
    theirs: list[str | bytes],
    ours: list[str | bytes],
    data: st.DataObject,
) -> None:
    extension, met = (None, None) if parameters is None else agreed(**parameters)
    client = Connection(ConnectionType.CLIENT, [extension] if extension else [])
    codec = Codec(MOST, met)
    cuts = data.draw(st.lists(st.integers(0, 3), min_size=1, max_size=3))
    text = send_all(client, theirs, cuts)
    at = data.draw(st.integers(0, len(text)))
    assert hear(codec, text[:at]) + hear(codec, text[at:]) == theirs
    for message in ours:
        codec.send(message)
    client.receive_data(b"".join(codec.take()))
    assert messages_of(client) == Read(list(ours))


def test_wsproto_and_we_answer_each_others_pings(hear: Hear) -> None:
    client = Connection(ConnectionType.CLIENT)
    codec = Codec(MOST)
    assert hear(codec, client.send(Ping(payload=b"theirs"))) == []
    codec.ping(b"ours")
    client.receive_data(b"".join(codec.take()))
    pong, ping = client.events()
    assert pong == Pong(payload=bytearray(b"theirs"))
    assert isinstance(ping, Ping)
    assert hear(codec, client.send(ping.response())) == []
    assert codec.take() == []


@pytest.mark.parametrize("code", [1000, 1001, 1011, 3000, 4999])
def test_wsproto_closes_and_is_answered(hear: Hear, code: int) -> None:
    client = Connection(ConnectionType.CLIENT)
    codec = Codec(MOST)
    assert hear(codec, client.send(CloseConnection(code=code, reason="für"))) == [("closed", code, "für")]
    client.receive_data(b"".join(codec.take()))
    assert messages_of(client).events == [("closed", code, "")]
    assert client.state.name == "CLOSED"


@pytest.mark.parametrize("code", [1000, 1001, 1011, 3000, 4999])
def test_we_close_and_wsproto_answers(hear: Hear, code: int) -> None:
    client = Connection(ConnectionType.CLIENT)
    codec = Codec(MOST)
    codec.close(code, "für")
    client.receive_data(b"".join(codec.take()))
    [event] = client.events()
    assert isinstance(event, CloseConnection)
    assert (event.code, event.reason) == (code, "für")
    assert hear(codec, client.send(event.response())) == [("closed", code, "für")]


def test_a_fault_of_the_peer_is_told_to_wsproto(frame: Frame, hear: Hear) -> None:
    client = Connection(ConnectionType.CLIENT)
    codec = Codec(MOST)
    hear(codec, frame(0x83))
    client.receive_data(b"".join(codec.take()))
    assert messages_of(client).events == [("closed", 1002, "a frame has a reserved opcode")]
