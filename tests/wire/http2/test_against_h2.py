"""Random conversations with python-hyper's h2 as the client: all content arrives whole, and the windows agree."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

import h2.config
import h2.connection
import h2.events
from h2.settings import SettingCodes
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from portway.wire import fields
from portway.wire.events import Body, Head, Reset

Start = Callable[..., Any]

WINDOW = 65535
CANCEL = 0x8
PIECES = [0, 1, 10, 1000, 4096, 5000, 16384, 20_000]


# Drawn byte by byte, such conversations are too large.
WITHOUT_SHRINKING = (Phase.explicit, Phase.reuse, Phase.generate)
CHANCE = st.integers(0, 2**32).map(random.Random)


class Exchange:
    """One request, as each side has it."""

    def __init__(self, upload: bytes) -> None:
        self.upload = upload  # what is to be sent, and how much of it was
        self.sent = 0
        self.sent_all = False
        self.arrived = b""
        self.arrived_all = False
        self.unread = 0
        self.known = False  # to the application
        self.hinted = False  # that a response is to come
        self.begun = False  # the response
        self.ended = False
        self.early = False  # it ended before the request
        self.said = b""
        self.got = b""
        self.got_all = False
        self.got_trailers: list[Any] | None = None
        self.said_trailers: list[Any] | None = None
        self.reset = False


class Talk:
    """A client, a server with an application of moods, and a wire that cuts where it likes."""

    def __init__(self, start: Start, chance: random.Random) -> None:
        self.chance = chance
        # Terms under which all that is credited to the connection is announced at once, and nothing is too much.
        self.codec = start(
            greet=False, connection_window=2, stream_window=chance.choice([1024, 5000, WINDOW, 100_000]),
            frame=chance.choice([16384, 20_000]), resets=10**6, glitches=10**6,
        ).codec  # fmt: skip
        config = h2.config.H2Configuration(client_side=True, header_encoding=None)
        self.client = h2.connection.H2Connection(config)
        self.client.initiate_connection()
        self.window = WINDOW
        self.open: dict[int, Exchange] = {}
        self.all: dict[int, Exchange] = {}
        self.exchange()

    # --- the wire ---

    def exchange(self) -> None:
        """Until both have heard all that the other said."""
        while True:
            theirs = self.client.data_to_send()
            while theirs:
                size = self.chance.choice([1, 9, 100, 5000, 1 << 20])
                self.hear(self.codec.receive(theirs[:size]))
                theirs = theirs[size:]
            while self.codec.unread():
                self.hear(self.codec.receive(b""))
            ours = b"".join(self.codec.take())
            if not ours:
                return
            while ours:
                # Frame by frame, since it looks for new limits of its own only when it is called.
                size = 9 + int.from_bytes(ours[:3], "big")
                cut = min(self.chance.choice([0, 1, 9, 100, size]), size)
                self.see(self.client.receive_data(ours[:cut]))
                self.see(self.client.receive_data(ours[cut:size]))
                ours = ours[size:]

    def hear(self, found: list[Any]) -> None:
        for event in found:
            one = self.all[event.stream]
            if isinstance(event, Head):
                assert dict(event.headers)[b"host"] == b"example"
                assert event.path == b"/%d" % event.stream
                one.known, one.arrived_all = True, event.end
            elif isinstance(event, Body):
                one.arrived += event.data
                one.unread += len(event.data)
                one.arrived_all = event.end
            else:
                assert isinstance(event, Reset), event
                one.reset = True

    def see(self, found: list[Any]) -> None:
        for event in found:
            one = self.all.get(getattr(event, "stream_id", None) or 0)
            if isinstance(event, h2.events.DataReceived):
                assert one is not None
                one.got += event.data
                self.client.acknowledge_received_data(event.flow_controlled_length, event.stream_id)
            elif isinstance(event, h2.events.StreamEnded):
                assert one is not None
                one.got_all = True
            elif isinstance(event, h2.events.TrailersReceived):
                assert one is not None
                one.got_trailers = list(event.headers)
            elif isinstance(event, h2.events.StreamReset):
                assert one is not None
                one.reset = True
            else:
                assert not isinstance(event, h2.events.ConnectionTerminated)

    # --- what the client does ---

    def ask(self) -> None:
        if len(self.open) > 20:
            return
        number = self.client.get_next_available_stream_id()
        one = Exchange(self.chance.randbytes(self.chance.choice(PIECES) * self.chance.randint(0, 4)))
        one.sent_all = not one.upload and self.chance.random() < 0.7
        pairs = [(b":method", b"POST"), (b":scheme", b"http"), (b":authority", b"example"), (b":path", b"/%d" % number)]
        for _ in range(self.chance.randint(0, 3)):
            pairs.append((b"x-%d" % self.chance.randint(0, 5), self.chance.choice([b"", b"a", b"b" * 50, b"c" * 3000])))
        rest = {}
        if self.chance.random() < 0.3:
            rest = {
                "priority_weight": self.chance.randint(1, 256),
                "priority_depends_on": self.chance.choice([0, 1001]),
            }
        if self.chance.random() < 0.3:
            pairs.append((b"priority", b"u=%d, i" % self.chance.randint(0, 7)))
        self.all[number] = self.open[number] = one
        self.client.send_headers(number, pairs, end_stream=one.sent_all, **rest)

    def upload(self, number: int, one: Exchange) -> None:
        if one.sent_all or one.reset:
            return
        left = len(one.upload) - one.sent
        if not left and self.chance.random() < 0.5:
            one.sent_all = True
            if self.chance.random() < 0.5:
                self.client.send_headers(number, [(b"x-trailer", b"a")], end_stream=True)
            else:
                self.client.end_stream(number)
            return
        pad = self.chance.choice([None, None, 0, 5, 255])
        room = min(self.client.local_flow_control_window(number), self.client.max_outbound_frame_size)
        size = min(left, self.chance.choice(PIECES), room - (0 if pad is None else pad + 1))
        if size < 0:
            return
        end = size == left and self.chance.random() < 0.5
        self.client.send_data(number, one.upload[one.sent : one.sent + size], end_stream=end, pad_length=pad)
        one.sent += size
        one.sent_all = end

    def leave(self, number: int, one: Exchange) -> None:
        if self.chance.random() >= 0.2:
            return
        if one.hinted:
            # An interim head that is under way when it resets a stream is an error to it (but RFC 9113 §5.1).
            self.exchange()
        if not one.reset and not (one.sent_all and one.got_all):
            self.client.reset_stream(number, CANCEL)
            one.reset = True

    def change(self) -> None:
        window = self.chance.choice([0, 1, 1000, WINDOW, 1 << 20])
        if any(one.known for one in self.open.values()):
            # Where a window is negative, it takes an empty frame for too much (as RFC 9113 §6.9.1 does not).
            window = max(window, self.window)
        self.window = window
        self.client.update_settings(
            {
                SettingCodes.INITIAL_WINDOW_SIZE: window,
                SettingCodes.MAX_FRAME_SIZE: self.chance.choice([16384, 30_000]),
                SettingCodes.HEADER_TABLE_SIZE: self.chance.choice([0, 100, 4096, 10_000]),
            }
        )

    def widen(self) -> None:
        self.client.increment_flow_control_window(self.chance.randint(1, 100_000))

    def ping(self) -> None:
        self.client.ping(self.chance.randbytes(8))

    # --- what the application does ---

    def read(self, number: int, one: Exchange) -> None:
        self.consume(number, one, self.chance.randint(0, one.unread))

    def consume(self, number: int, one: Exchange, size: int) -> None:
        one.unread -= size
        self.codec.credit(number, size)

    def answer(self, number: int, one: Exchange) -> None:
        if one.reset or one.ended or not one.known:
            return
        piece = self.chance.randbytes(self.chance.choice(PIECES) * self.chance.randint(0, 3))
        end = self.chance.random() < 0.3
        if not one.begun and self.chance.random() < 0.1:
            one.hinted = True
            self.codec.inform(number, 103, fields.outgoing([(b"link", b"<a>")]))
        elif not one.begun:
            one.begun = True
            large = self.chance.choice([b"", b"a" * 100, b"b" * 30_000])
            self.say(one, piece, end)
            self.codec.respond(number, 200, fields.outgoing([(b"x-large", large)]), piece, end)
        elif end and self.chance.random() < 0.5:
            one.said_trailers = [(b"x-trailer", b"t")]
            self.say(one, b"", True)
            self.codec.trailers(number, fields.outgoing(one.said_trailers))
        else:
            self.say(one, piece, end)
            self.codec.body(number, piece, end)

    def say(self, one: Exchange, piece: bytes, end: bool) -> None:
        one.said += piece
        one.ended = end
        one.early = end and not one.arrived_all

    def give_up(self, number: int, one: Exchange) -> None:
        if self.chance.random() < 0.2 and one.known:
            self.codec.reset(number, CANCEL)
            one.reset = one.ended = True

    # --- the end ---

    def step(self) -> None:
        do = self.chance.choice([self.ask, self.ask, self.change, self.widen, self.ping, self.exchange, self.exchange])
        each = self.chance.choice([self.upload] * 4 + [self.read] * 2 + [self.answer] * 4 + [self.leave, self.give_up])
        do()
        if self.open:
            number = self.chance.choice(list(self.open))
            each(number, self.open[number])
        self.forget()

    def forget(self) -> None:
        for number, one in list(self.open.items()):
            if one.reset or (one.sent_all and one.got_all and (one.arrived_all or one.early)):
                self.check(number, one)
                del self.open[number]

    def check(self, number: int, one: Exchange) -> None:
        assert one.upload.startswith(one.arrived)
        assert one.said.startswith(one.got)
        if one.reset:
            return
        assert one.arrived == one.upload or one.early
        assert one.got == one.said
        assert one.got_trailers == one.said_trailers
        assert number not in self.codec.streams

    def finish(self) -> None:
        self.exchange()
        for _ in range(1000):
            self.forget()
            if not self.open:
                return
            for number, one in self.open.items():
                if not one.got_all:
                    self.client.increment_flow_control_window(50_000, number)
                self.upload(number, one)
                self.consume(number, one, one.unread)
            self.exchange()
            for number, one in self.open.items():
                if one.arrived_all:  # a response before it would reset the stream
                    self.answer(number, one)
            self.exchange()
        raise AssertionError(f"it does not come to an end: {self.codec.streams}")


@given(chance=CHANCE, steps=st.integers(1, 120))
@settings(max_examples=150, phases=WITHOUT_SHRINKING)
def test_conversations_are_whole_and_windows_agree(start: Start, chance: random.Random, steps: int) -> None:
    talk = Talk(start, chance)
    for _ in range(steps):
        talk.step()
    talk.finish()
    talk.exchange()
    assert talk.codec.streams == {}
    # Nothing has leaked from the window that the client sends into, nor from the one that we send into.
    assert talk.client.outbound_flow_control_window == WINDOW
    talk.client.update_settings({SettingCodes.INITIAL_WINDOW_SIZE: 1 << 26})
    talk.exchange()
    room = talk.client.inbound_flow_control_window
    number = talk.client.get_next_available_stream_id()
    talk.all[number] = Exchange(b"")
    head = [(b":method", b"GET"), (b":scheme", b"http"), (b":authority", b"example"), (b":path", b"/%d" % number)]
    talk.client.send_headers(number, head, end_stream=True)
    talk.hear(talk.codec.receive(talk.client.data_to_send()))
    assert talk.codec.streams[number].window == 1 << 26
    talk.codec.respond(number, 200, fields.outgoing([]), bytes(room + 1), True)
    sent = b""
    while talk.codec.ready():
        sent += b"".join(talk.codec.take())
    events = talk.client.receive_data(sent)
    assert sum(len(event.data) for event in events if isinstance(event, h2.events.DataReceived)) == room


@given(chance=CHANCE, count=st.integers(1, 5))
@settings(max_examples=30, phases=WITHOUT_SHRINKING)
def test_windows_of_streams_agree(start: Start, chance: random.Random, count: int) -> None:
    talk = Talk(start, chance)
    for _ in range(count):
        talk.ask()
    for _ in range(20):
        talk.chance.choice([talk.change, talk.exchange])()
        for number, one in talk.open.items():
            talk.upload(number, one)
            talk.read(number, one)
            if not one.ended and one.begun:
                talk.codec.body(number, b"abc", False)
            elif one.known:
                one.begun = True
                talk.codec.respond(number, 200, fields.outgoing([]), b"", False)
    talk.exchange()
    for number in talk.open:
        stream = talk.codec.streams[number]
        theirs = talk.client._get_stream_by_id(number)
        assert stream.theirs == theirs.outbound_flow_control_window
        assert stream.window == theirs.inbound_flow_control_window
