"""The codec with a small application behind it, as the link drives it."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

import pytest

from portway.wire import fields
from portway.wire.events import Body, Head
from portway.wire.faults import ProtocolFault
from portway.wire.http1.codec import Codec
from portway.wire.http1.encode import Preamble
from portway.wire.port import Limits


@dataclass
class Request:
    """A request that came whole."""

    method: str
    path: bytes
    query: bytes
    version: str
    headers: list[tuple[bytes, bytes]]
    content: bytes = b""


@dataclass
class Told:
    """What became of a connection: the whole requests, the fault if there was one, what was written."""

    requests: list[Request] = field(default_factory=list)
    status: int = 0
    text: str = ""
    written: bytes = b""
    end: str = ""


Replay = Callable[..., Told]


class Talk:
    """Answers each whole request with 200, and turns to the next."""

    def __init__(self, limits: Limits) -> None:
        self.codec = Codec(limits, Preamble())
        self.told = Told()
        self._request: Request | None = None
        self._stream = 0

    def hear(self, data: bytes) -> None:
        self._take_in(self.codec.receive(data))
        while "ours=SENT" in repr(self.codec) and self.codec.turn():
            self._take_in(self.codec.receive(b""))

    def _take_in(self, found: list[Head | Body]) -> None:
        for event in found:
            if isinstance(event, Head):
                assert self._request is None, "a request began within another one"
                assert event.stream == self._stream + 1
                self._stream = event.stream
                self._request = Request(event.method, event.path, event.query, event.version, list(event.headers))
            else:
                assert self._request is not None, "content came for no request"
                assert event.stream == self._stream
                self._request.content += event.data
            if event.end:
                self.told.requests.append(self._request)
                self._request = None
                self.codec.respond(200, fields.outgoing([]), b"ok", True)


@pytest.fixture(scope="session")
def replay() -> Replay:
    """Feed the pieces of a conversation to a codec; what became of it."""

    def play(pieces: Iterable[bytes], limits: Limits | None = None) -> Told:
        talk = Talk(Limits() if limits is None else limits)
        told = talk.told
        try:
            for piece in pieces:
                talk.hear(piece)
        except ProtocolFault as fault:
            told.status, told.text = fault.status, fault.text
            talk.codec.fail(fault)
        told.written = b"".join(talk.codec.take())
        told.end = repr(talk.codec)
        return told

    return play
