"""One request: its states, and the `receive` and `send` that the application is given.

  START ──response.start──► HELD ──first body──► BODY ──last body──► DONE
                              └──only body──► DONE      └──► TRAILERS ──trailers──► DONE
  HELD, BODY ──a file──► FILE ──its end──► BODY, or what the last body leads to
  any ──the client went, or the response was given up──► GONE

`response.start` is held until the first body, so that an error in between is a clean 500 (ASGI 26).
The object is made for each request and knows nothing of HTTP versions: it speaks to a `Port`.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable
from typing import Any

from portway.asgi import coroutines, files, messages, ready
from portway.asgi.mailbox import Mailbox
from portway.errors import ClientDisconnected, MessageError
from portway.hooks import Hooks
from portway.types import Client, Message
from portway.wire import fields
from portway.wire.events import Head
from portway.wire.fields import Outgoing
from portway.wire.port import Port

START = 0
HELD = 1
BODY = 2
FILE = 3
TRAILERS = 4
DONE = 5
GONE = 6
NAMES = ("START", "HELD", "BODY", "FILE", "TRAILERS", "DONE", "GONE")

_running_loop = asyncio._get_running_loop

NO_STATUS = 0
CLIENT_WENT = 499  # nginx' number for it

_START = "http.response.start"
_BODY = "http.response.body"
_TRAILERS = "http.response.trailers"
_EARLY_HINT = "http.response.early_hint"
_PATHSEND = "http.response.pathsend"
_ZEROCOPYSEND = "http.response.zerocopysend"


class Room(ready.Source):
    """Waits until the transport, or the window, has room again."""

    __slots__ = ("_open", "_owner")

    def __init__(self, loop: asyncio.AbstractEventLoop, owner: Any) -> None:
        """`owner.lost` says that there will be none: the client has gone."""
        super().__init__(loop)
        self._owner = owner
        self._open = False

    def open(self) -> None:
        self._open = True
        self.wake()

    def settled(self) -> bool:
        return self._open or self._owner.lost

    def result(self) -> None:
        if self._owner.lost:
            raise gone()


class Cycle:
    """One request and its response. `task` runs the application; `ended` says that it has returned.

    `missing` is how many bytes of its content-length an ended response has not brought.
    """

    __slots__ = (
        "_hooks", "_left", "_mailbox", "_outgoing", "_port", "_room", "_started", "_trailers",
        "answered_by", "client", "ended", "head", "loop", "missing", "size", "state", "status", "task",
    )  # fmt: skip

    def __init__(
        self, head: Head, port: Port, loop: asyncio.AbstractEventLoop, hooks: Hooks | None, client: Client
    ) -> None:
        self.begin(head, port, loop, hooks, client)

    def begin(
        self, head: Head, port: Port, loop: asyncio.AbstractEventLoop, hooks: Hooks | None, client: Client
    ) -> None:
        """What `__init__` does; see `events.Head.begin`."""
        self.head = head
        self.client = client
        self.state = START
        self.status = NO_STATUS
        self.size = 0
        self.task: Any = None  # a Task, or the Errand in its place
        self.ended = False
        self.missing = 0
        self.answered_by: dict[str, str] | None = None  # see `scope.APPLICATION`
        self._port = port
        self.loop = loop
        self._hooks = hooks
        self._mailbox: Mailbox | None = None
        self._room: Room | None = None
        self._outgoing: Outgoing | None = None
        self._left = fields.NO_LENGTH
        self._trailers = False
        self._started = time.perf_counter() if hooks is not None else 0.0

    def __repr__(self) -> str:
        return f"<Cycle {self.head.method} {self.head.path!r} {NAMES[self.state]}>"

    @property
    def whole(self) -> bool:
        """Whether the response is complete."""
        return self.state == DONE

    @property
    def lost(self) -> bool:
        """Whether the client has gone, or the response was cut off."""
        return self.state == GONE

    @property
    def told(self) -> bool:
        """Whether the application knows that the client has gone: it was given `http.disconnect`."""
        return self._mailbox is not None and self._mailbox.told_lost

    @property
    def application(self) -> str | None:
        """The name of the application that answers, of several."""
        return None if self.answered_by is None else self.answered_by.get("name")

    @property
    def seconds(self) -> float:
        """The time since the request came, if anyone listens."""
        return time.perf_counter() - self._started

    # --- what the link tells ---

    def deliver(self, data: bytes, end: bool) -> int:
        """A piece of the request's content has come; how many bytes are waiting to be received now."""
        if self.state >= DONE:
            return 0
        mailbox = self._mail()
        mailbox.put(data, end)
        return mailbox.size

    def leave(self) -> None:
        """The client will send nothing more; it may have gone, or may still read."""
        self._mail().leave()

    def gone(self) -> None:
        """The client has gone: whoever waits is told, and what is sent from now on raises."""
        if self.state >= DONE:
            return
        self._end(GONE)

    def refused(self, status: int) -> None:
        """The link has answered in our stead: the request broke the protocol, or a limit."""
        if self.state < DONE:
            self.status = status
            self._outgoing = None
            self._end(GONE)

    def writable(self) -> None:
        """There is room again for what `send` brings."""
        room = self._room
        if room is not None:
            self._room = None
            room.open()

    # --- what the application calls ---

    def receive(self) -> Awaitable[dict[str, Any]]:
        """The next `http.request` or `http.disconnect` (ASGI 22, 29)."""
        return coroutines.receiving(self)

    def take(self) -> dict[str, Any] | None:
        """What `receive` gives if it is there, or None; `arrival` tells when it is worth while to ask again."""
        if self.head.expect and self.state <= HELD:
            # ASGI 32: the client waits to be told that its body is wanted.
            self.head.expect = False
            self._port.inform(self.head.stream, 100, None)
        mailbox = self._mailbox
        if mailbox is None:
            mailbox = self._mail()
        return mailbox.result() if mailbox.settled() else None

    def arrival(self) -> asyncio.Future[None]:
        """Done when something has come."""
        return self._mail().watch()

    def send(self, message: Message) -> Awaitable[None]:
        """Take a message of the response; MessageError if it is wrong, ClientDisconnected if it is too late."""
        if _running_loop() is not self.loop:
            return coroutines.sending(self, message)  # another thread's: done when it runs on the loop (ASGI 10)
        if type(message) is not dict:
            message = messages.as_dict(message)
        kind = message.get("type")
        state = self.state
        if state in (HELD, BODY) and kind == _BODY:
            return self._send_body(message)
        if state == START and kind == _START:
            self._hold(message.get("status"), message.get("headers"), message.get("trailers", False))
            return ready.nothing()
        return self._send_rare(kind, message)

    def respond(self, status: int, headers: list[tuple[bytes, bytes]], body: bytes) -> None:
        """The whole response: what `send` makes of two messages, for 4,800 instructions less."""
        if self.state != START:
            raise gone() if self.state == GONE else out_of_order(_START, self.state)
        self._hold(status, headers, False)
        self._bring(body, True).close()  # type: ignore[attr-defined]  # it is done

    # --- what a file asks, while it is sent (see `files`) ---

    @property
    def bare(self) -> bool:
        """Whether the response has no body, whatever is sent for it (ASGI 30)."""
        return self.head.method == "HEAD" or self.status == 304 or self.status == 204

    @property
    def promised(self) -> int | None:
        """How much of its content-length the response has yet to bring, if it has one."""
        return None if self._left == fields.NO_LENGTH else self._left

    def occupy(self, kind: str) -> None:
        """From now on only the file is sent, until `vacate`."""
        if self.state == GONE:
            raise gone()
        if self.state != HELD and (self.state != BODY or kind == _PATHSEND):
            raise out_of_order(kind, self.state)
        self.state = FILE

    def vacate(self, whole: bool) -> None:
        """The file is through; if not `whole`, no one can tell what is missing, unless nothing was sent at all."""
        if self.state == FILE:
            self.state = BODY if self._outgoing is None else HELD
            if self.state == BODY and not whole:
                self.abort()

    def declare(self, size: int) -> None:
        """The response is so long in all: it gets a content-length if it has none, and can have one."""
        outgoing = self._outgoing
        if outgoing is not None and outgoing.length == fields.NO_LENGTH and not self._trailers:
            outgoing.length = size
            outgoing.pairs.append((b"content-length", b"%d" % size))
            self._left = fields.NO_LENGTH if self.bare else size

    def bring(self, data: bytes, end: bool) -> Awaitable[None]:
        """A piece of the file, or nothing but the end of the response."""
        if self.state != FILE:
            raise gone()
        self.state = BODY
        waiting = self._bring(data, end)
        if self.state == BODY:
            self.state = FILE
        return waiting

    @property
    def begun(self) -> bool:
        """Whether the head is sent."""
        return self._outgoing is None

    def splice(self, descriptor: int, offset: int, size: int) -> asyncio.Future[int] | None:
        """See `Port.splice`; the head must have been sent."""
        if self.state != FILE:
            raise gone()
        if self.told:
            self.abort()
            raise gone()
        splicing: asyncio.Future[int] | None = self._port.splice(self.head.stream, descriptor, offset, size)
        return splicing

    def spliced(self, size: int) -> None:
        """So much was."""
        self.size += size
        if self._left != fields.NO_LENGTH:
            self._left -= size
        if self.state != FILE:
            raise gone()

    # --- what becomes of the application ---

    def fail(self, status: int, text: str, more: tuple[tuple[bytes, bytes], ...] = ()) -> bool:
        """Answer in the application's stead, with `more` headers if any are needed; False if its response has
        begun (or is over) already.
        """
        if self.state > HELD:
            return False
        body = text.encode() + b"\n"
        headers = [
            (b"content-type", b"text/plain; charset=utf-8"),
            (b"content-length", b"%d" % len(body)),
            (b"connection", b"close"),
            *more,
        ]
        self.status = status
        self.size = len(body)
        self._port.respond(self.head.stream, status, fields.outgoing(headers), body, True)
        self._end(DONE)
        return True

    def abort(self) -> None:
        """Cut the response off, so that the client sees that it is not whole (ASGI 7)."""
        if self.state < DONE:
            self._port.reset(self.head.stream)
            self._end(GONE)

    # --- inside ---

    def _mail(self) -> Mailbox:
        mailbox = self._mailbox
        if mailbox is None:
            mailbox = Mailbox(self.loop, self._port, self.head.stream, self.head.end)
            if self.state == DONE:
                mailbox.discard()
            elif self.state == GONE:
                mailbox.leave()
            self._mailbox = mailbox
        return mailbox

    def _hold(self, status: Any, headers: Any, trailers: Any) -> None:
        if type(status) is not int:
            status = messages.as_status(_START, status)
        if status < 200 or status > 999:
            raise MessageError(f"{_START}: status must be a final one, 200 to 999, and is {status}")
        if trailers is not True and trailers is not False:
            raise MessageError(f"{_START}: trailers must be a bool, and is {trailers!r:.80}")
        self._outgoing = _checked(_START, "headers", headers)
        self._left = self._outgoing.length
        if self.head.method == "HEAD" or status == 304 or status == 204:
            self._left = fields.NO_LENGTH  # no body will follow, whatever is declared (ASGI 30)
        self._trailers = trailers
        self.status = status
        self.state = HELD

    def _send_body(self, message: dict[str, Any]) -> Awaitable[None]:
        data = message.get("body", b"")
        if type(data) is not bytes:
            data = messages.as_bytes(_BODY, data)
        more = message.get("more_body", False)
        if more is not True and more is not False:
            raise MessageError(f"{_BODY}: more_body must be a bool, and is {more!r:.80}")
        return self._bring(data, more is False)

    def _bring(self, data: bytes, end: bool) -> Awaitable[None]:
        if self._mailbox is not None and self._mailbox.told_lost:
            # The client closed its side, and the application knows: what it still sends is for no one.
            self.abort()
            raise gone()
        size = len(data)
        if self._left != fields.NO_LENGTH:
            if size > self._left:
                raise MessageError(
                    f"{_BODY}: {size - self._left} bytes more than the content-length of the response declares"
                )
            self._left -= size
            if end and self._left:
                return self._too_short(data)
        self.size += size
        last = end and not self._trailers
        stream = self.head.stream
        outgoing = self._outgoing
        if outgoing is not None:
            self._outgoing = None
            self.state = BODY
            room = self._port.respond(stream, self.status, outgoing, data, last)
        else:
            room = self._port.body(stream, data, last)
        if end:
            if last:
                self._end(DONE)
            elif self.state == BODY:
                self.state = TRAILERS
        elif self.state == GONE:
            raise gone()
        elif not room:
            return self._wait_for_room()
        return ready.nothing()

    def _wait_for_room(self) -> Awaitable[None]:
        if self._room is None:
            self._room = Room(self.loop, self)
        return coroutines.waiting(self._room)

    def _too_short(self, data: bytes) -> Awaitable[None]:
        # ASGI 27: what was promised cannot be kept; the client must see that the response is not whole.
        outgoing = self._outgoing
        if outgoing is not None:
            self._outgoing = None
            self._port.respond(self.head.stream, self.status, outgoing, data, False)
        else:
            self._port.body(self.head.stream, data, False)
        self.missing = self._left
        self.abort()
        raise too_short(self.missing)

    def _send_rare(self, kind: Any, message: dict[str, Any]) -> Awaitable[None]:
        if self.state == GONE:
            raise gone()
        if type(kind) is not str:
            raise messages.no_type(kind, message)
        if kind == _TRAILERS and self.state == TRAILERS:
            return self._send_trailers(message)
        if kind == _EARLY_HINT and self.state == START:
            return self._send_early_hint(message)
        if kind == _PATHSEND and self.state == HELD:
            return files.send_path(self, message)
        if kind == _ZEROCOPYSEND and self.state in (HELD, BODY):
            return files.send_open(self, message)
        raise out_of_order(kind, self.state)

    def _send_trailers(self, message: dict[str, Any]) -> Awaitable[None]:
        outgoing = _checked(_TRAILERS, "headers", message.get("headers"))
        if message.get("more_trailers", False):
            raise MessageError(f"{_TRAILERS}: more_trailers is not supported, send all of them in one message")
        if outgoing.length != fields.NO_LENGTH:
            raise MessageError(f"{_TRAILERS}: headers: a content-length has no place in trailers")  # RFC 9110 §6.5.1
        if not self.head.te_trailers:
            outgoing = fields.outgoing(())  # ASGI 54: the client did not ask for them, and may not know them
        self._port.trailers(self.head.stream, outgoing)
        self._end(DONE)
        return ready.nothing()

    def _send_early_hint(self, message: dict[str, Any]) -> Awaitable[None]:
        links = message.get("links")
        if links is None:
            raise MessageError(f"{_EARLY_HINT}: the key links is missing")
        hints = _checked(_EARLY_HINT, "links", links)
        if self.head.version != "1.0":
            self._port.inform(self.head.stream, 103, hints)
        return ready.nothing()

    def _end(self, state: int) -> None:
        """Nothing more is sent: tell whoever waits, and those who keep accounts."""
        self.state = state
        mailbox = self._mailbox
        if mailbox is not None:
            if state == DONE:
                mailbox.discard()
            else:
                mailbox.leave()
        if self._room is not None:
            self.writable()
        if self._hooks is not None:
            if state == GONE and (self.status == NO_STATUS or self._outgoing is not None):
                self.status = CLIENT_WENT
            elif self.head.method == "HEAD" or self.status == 204 or self.status == 304:
                self.size = 0
            self._hooks.ended(self)


# --- what is rare, and the texts of errors ---


def gone() -> ClientDisconnected:
    return ClientDisconnected("the client has gone; nothing more can be sent to it")


def too_short(missing: int) -> MessageError:
    return MessageError(f"{_BODY}: the response ended {missing} bytes short of its content-length")


def out_of_order(kind: str, state: int) -> MessageError:
    expected = {
        START: _START,
        HELD: _BODY,
        BODY: _BODY,
        FILE: "nothing until the file is sent",
        TRAILERS: _TRAILERS,
        DONE: "nothing more: the response is complete",
    }[state]
    known = (_START, _BODY, _TRAILERS, _EARLY_HINT, _PATHSEND, _ZEROCOPYSEND)
    if kind not in known:
        return MessageError(f"{kind!r} is no message type of an HTTP response; expected was {expected}")
    return MessageError(f"{kind} came out of order; expected was {expected}")


def _checked(kind: str, key: str, values: Any) -> Outgoing:
    """The headers in a message; what is wrong with them is told with the names of message and key."""
    if values is None:
        values = ()
    try:
        return fields.outgoing([(b"link", link) for link in values] if key == "links" else values)
    except MessageError as error:
        raise MessageError(f"{kind}: {key}: {error}") from error
    except (TypeError, ValueError) as error:
        shape = "bytes" if key == "links" else "pairs of bytes"
        raise MessageError(f"{kind}: {key} must be a list of {shape}, and is {values!r:.80}") from error
