"""What the server tells of its work, to whoever listens: access logs, metrics, counters.

The rooms below call these at the right moments and know nothing of who listens.
"""

from __future__ import annotations

from typing import Protocol


class Request(Protocol):
    """What a client asked for; path and query as they came, header names in lower case."""

    @property
    def method(self) -> str: ...

    @property
    def path(self) -> bytes: ...

    @property
    def query(self) -> bytes: ...

    @property
    def version(self) -> str: ...

    @property
    def headers(self) -> list[tuple[bytes, bytes]]: ...


class Exchange(Protocol):
    """A request and what became of it. Listeners read it while they are told, and keep nothing of it.

    `status` is 499 if the client went before a response began (nginx' convention), `size` the bytes of
    content sent, `seconds` the time since the request came, `lost` whether the response was cut off, `application`
    the name of the one that answered, of several.
    """

    @property
    def head(self) -> Request: ...

    @property
    def client(self) -> tuple[str, int | None] | None: ...

    @property
    def status(self) -> int: ...

    @property
    def size(self) -> int: ...

    @property
    def seconds(self) -> float: ...

    @property
    def lost(self) -> bool: ...

    @property
    def application(self) -> str | None: ...


class Conversation(Protocol):
    """A WebSocket that was accepted. `code` and `reason` are those of its close, `seconds` its age; sizes are
    in bytes of what messages hold; `application` is the name of the one that it is of, of several.
    """

    @property
    def head(self) -> Request: ...

    @property
    def client(self) -> tuple[str, int | None] | None: ...

    @property
    def subprotocol(self) -> str | None: ...

    @property
    def code(self) -> int: ...

    @property
    def reason(self) -> str: ...

    @property
    def seconds(self) -> float: ...

    @property
    def messages_in(self) -> int: ...

    @property
    def messages_out(self) -> int: ...

    @property
    def bytes_in(self) -> int: ...

    @property
    def bytes_out(self) -> int: ...

    @property
    def application(self) -> str | None: ...


class Hooks:
    """The null object: does nothing, and says so by `active`, so that no one need call it."""

    active = False

    def ended(self, exchange: Exchange) -> None:
        """A response is complete, or will never be."""

    def opened(self, conversation: Conversation) -> None:
        """A WebSocket was accepted."""

    def closed(self, conversation: Conversation) -> None:
        """It is closed, or lost."""


class Chorus(Hooks):
    """Several hooks as one."""

    active = True

    def __init__(self, voices: list[Hooks]) -> None:
        self._voices = voices

    def ended(self, exchange: Exchange) -> None:
        for voice in self._voices:
            voice.ended(exchange)

    def opened(self, conversation: Conversation) -> None:
        for voice in self._voices:
            voice.opened(conversation)

    def closed(self, conversation: Conversation) -> None:
        for voice in self._voices:
            voice.closed(conversation)


def together(voices: list[Hooks]) -> Hooks:
    """One hook of many; the null object of none."""
    if not voices:
        return Hooks()
    return voices[0] if len(voices) == 1 else Chorus(voices)
