"""A client of the codec that sends any frames it likes, made by hyperframe, and reads what comes back with it."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import hpack
import pytest
from hyperframe import frame as hyper

from portway.wire import fields
from portway.wire.events import Body, Head, Refusal, Reset
from portway.wire.http1.encode import Preamble
from portway.wire.http2.codec import Codec
from portway.wire.http2.faults import ConnectionFault
from portway.wire.http2.settings import Terms
from portway.wire.port import Limits

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
WINDOW = 65535

Pair = tuple[bytes, bytes]
Told = tuple[Any, ...]
Sent = hyper.Frame | bytes

ENOUGH = 1 << 24


def in_words(event: Any) -> Told:
    """An event as a tuple; a refusal has its code, or the status of its answer."""
    if isinstance(event, Head):
        return ("Head", event.stream, event.method, event.path, event.end)
    if isinstance(event, Body):
        return ("Body", event.stream, event.data, event.end)
    if isinstance(event, Reset):
        return ("Reset", event.stream)
    assert isinstance(event, Refusal)
    return ("Refusal", event.stream, getattr(event.fault, "code", event.fault.status), event.answered)


class Reader:
    """Reads what a server writes, as a client does, and keeps the counters that a client keeps."""

    def __init__(self) -> None:
        self.decoder = hpack.Decoder(max_header_list_size=ENOUGH)
        self.kept = b""
        self.block: tuple[int, bytes, bool] | None = None
        self.room = WINDOW  # what may be sent on the connection
        self.rooms: dict[int, int] = {}  # what was added to that of each stream
        self.last = -1  # of the last GOAWAY
        self.frame_most = 0  # the largest payload that came

    def read(self, data: bytes) -> list[Told]:
        self.kept += data
        found: list[Told] = []
        while len(self.kept) >= 9:
            frame, size = hyper.Frame.parse_frame_header(memoryview(self.kept)[:9])
            if len(self.kept) < 9 + size:
                break
            frame.parse_body(memoryview(self.kept[9 : 9 + size]))
            self.frame_most = max(self.frame_most, size)
            self.kept = self.kept[9 + size :]
            found += self._told(frame)
        return found

    def _told(self, frame: Any) -> list[Told]:
        kind, number, flags = type(frame).__name__.removesuffix("Frame"), frame.stream_id, frame.flags
        if isinstance(frame, hyper.HeadersFrame | hyper.ContinuationFrame):
            assert isinstance(frame, hyper.HeadersFrame) == (self.block is None)
            before = (number, b"", "END_STREAM" in flags) if self.block is None else self.block
            assert before[0] == number
            self.block = (number, before[1] + frame.data, before[2])
            if "END_HEADERS" not in flags:
                return []
            _, block, end = self.block
            self.block = None
            return [("Headers", number, [(bytes(n), bytes(v)) for n, v in self.decoder.decode(block, raw=True)], end)]
        assert self.block is None, "a header block is interrupted"
        if isinstance(frame, hyper.DataFrame):
            return [(kind, number, frame.data, "END_STREAM" in flags)]
        if isinstance(frame, hyper.WindowUpdateFrame):
            if number:
                self.rooms[number] = self.rooms.get(number, 0) + frame.window_increment
            else:
                self.room += frame.window_increment
            return [(kind, number, frame.window_increment)]
        if isinstance(frame, hyper.RstStreamFrame):
            return [(kind, number, frame.error_code)]
        if isinstance(frame, hyper.PingFrame):
            return [(kind, frame.opaque_data, "ACK" in flags)]
        if isinstance(frame, hyper.GoAwayFrame):
            assert self.last < 0 or frame.last_stream_id <= self.last, "the last stream has grown"
            self.last = frame.last_stream_id
            return [(kind, frame.last_stream_id, frame.error_code)]
        assert isinstance(frame, hyper.SettingsFrame)
        return [(kind, dict(frame.settings), "ACK" in flags)]


class Peer:
    """A client and its codec. What is sent is heard at once; what is written waits for `taken`.

    `greet=False` leaves even the preface to the test. Limits and Terms are given by the names of their parameters.
    """

    GET = ((b":method", b"GET"), (b":scheme", b"http"), (b":authority", b"a"), (b":path", b"/"))
    POST = ((b":method", b"POST"), *GET[1:])

    def __init__(self, *, greet: bool = True, preamble: Preamble | None = None, **given: Any) -> None:
        limits = {name: given.pop(name) for name in ("line", "head", "fields", "body") if name in given}
        self.codec = Codec(Limits(**limits), preamble or Preamble(), Terms(**given))
        self.encoder = hpack.Encoder()
        self.reader = Reader()
        if greet:
            self.greet()

    def greet(self, **settings: int) -> None:
        """Preface, SETTINGS and the ACK of theirs; whatever the codec says to it is forgotten."""
        assert self.send(PREFACE, self.settings(**settings), self.settings(ack=True)) == []
        self.taken()

    # --- frames ---

    def head(
        self, stream: int, pairs: Iterable[Pair] = GET, *, end: bool = True, flags: Iterable[str] = (), **rest: Any
    ) -> hyper.HeadersFrame:
        """A whole header block in one frame."""
        block = self.encoder.encode(list(pairs))
        return hyper.HeadersFrame(
            stream, block, flags=["END_HEADERS", *flags, *(["END_STREAM"] if end else [])], **rest
        )

    def get(self, stream: int, *more: Pair, path: bytes = b"/") -> hyper.HeadersFrame:
        return self.head(stream, (*self.GET[:3], (b":path", path), *more))

    def post(self, stream: int, *more: Pair) -> hyper.HeadersFrame:
        return self.head(stream, (*self.POST, *more), end=False)

    def connect(self, stream: int, *, end: bool = False) -> hyper.HeadersFrame:
        pairs = [(b":method", b"CONNECT"), (b":protocol", b"websocket"), *self.GET[1:]]
        return self.head(stream, pairs, end=end)

    @staticmethod
    def data(stream: int, data: bytes = b"", *, end: bool = False, pad: int = -1) -> hyper.DataFrame:
        flags = (["END_STREAM"] if end else []) + (["PADDED"] if pad >= 0 else [])
        return hyper.DataFrame(stream, data, flags=flags, pad_length=max(pad, 0))

    @staticmethod
    def reset(stream: int, code: int = 8) -> hyper.RstStreamFrame:
        return hyper.RstStreamFrame(stream, code)

    @staticmethod
    def window(stream: int, size: int) -> hyper.WindowUpdateFrame:
        frame = hyper.WindowUpdateFrame(stream, 1)
        frame.window_increment = size
        return frame

    @staticmethod
    def settings(*, ack: bool = False, **settings: int) -> hyper.SettingsFrame:
        """`settings(INITIAL_WINDOW_SIZE=1)`"""
        numbers = {getattr(hyper.SettingsFrame, name): value for name, value in settings.items()}
        return hyper.SettingsFrame(0, numbers, flags=["ACK"] if ack else [])

    @staticmethod
    def ping(payload: bytes = b"12345678", *, ack: bool = False) -> hyper.PingFrame:
        return hyper.PingFrame(0, payload, flags=["ACK"] if ack else [])

    @classmethod
    def update(cls, stream: int, priority: bytes) -> bytes:
        """PRIORITY_UPDATE, which hyperframe does not know."""
        return cls.raw(0x10, 0, 0, stream.to_bytes(4, "big") + priority)

    @staticmethod
    def raw(kind: int, flags: int = 0, stream: int = 0, payload: bytes = b"", size: int = -1) -> bytes:
        """Any frame, which may be wrong; `size` need not be true."""
        size = len(payload) if size < 0 else size
        return size.to_bytes(3, "big") + bytes([kind, flags]) + stream.to_bytes(4, "big") + payload

    # --- conversation ---

    @staticmethod
    def wire(*sent: Sent) -> bytes:
        return b"".join(one if isinstance(one, bytes) else one.serialize() for one in sent)

    def send(self, *sent: Sent) -> list[Told]:
        """What the codec makes of these, read to the end."""
        return [in_words(event) for event in self.heard(*sent)]

    def heard(self, *sent: Sent) -> list[Any]:
        """The same, as it is."""
        found = self.codec.receive(self.wire(*sent))
        while self.codec.unread():
            found += self.codec.receive(b"")
        return found

    def taken(self) -> list[Told]:
        """What the codec writes, as far as it can."""
        data = b"".join(self.codec.take())
        while self.codec.ready():
            data += b"".join(self.codec.take())
        return self.reader.read(data)

    def fault(self, *sent: Sent) -> int:
        """The code of the fault by which these end the connection, as it stands in the GOAWAY."""
        with pytest.raises(ConnectionFault) as caught:
            self.send(*sent)
        self.codec.fail(caught.value)
        said = [told for told in self.taken() if told[0] == "GoAway"][-1]
        assert said[2] == caught.value.code
        assert self.codec.closing
        assert not self.codec.streams
        return caught.value.code

    # --- what an application does ---

    def respond(self, stream: int, body: bytes = b"ok", *headers: Pair, status: int = 200, end: bool = True) -> bool:
        return self.codec.respond(stream, status, fields.outgoing(headers), body, end)

    def trailers(self, stream: int, *headers: Pair) -> None:
        self.codec.trailers(stream, fields.outgoing(headers))

    def body(self, stream: int) -> bytes:
        """The content that `taken` brings for a stream."""
        return b"".join(told[2] for told in self.taken() if told[:2] == ("Data", stream))


@pytest.fixture(scope="session")
def start() -> Callable[..., Peer]:
    """`peer = start()` is a client that has shaken hands; further arguments are those of Limits and of Terms."""
    return Peer


@pytest.fixture
def peer() -> Peer:
    return Peer()


@pytest.fixture(scope="session")
def words() -> Callable[[Any], Told]:
    return in_words
