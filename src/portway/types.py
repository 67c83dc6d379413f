"""The types of ASGI and WSGI, by the names that its specification and every framework use."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, MutableMapping
from typing import Any, Protocol

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]

# Host and port of a peer; a Unix socket's has none.
Client = tuple[str, int | None] | None

ASGIApp = Callable[[Scope, Receive, Send], Awaitable[None]]
ASGI2App = Callable[[Scope], Callable[[Receive, Send], Awaitable[None]]]


class Dialogue(Protocol):
    """What an application has of one request beside its scope."""

    @property
    def receive(self) -> Receive: ...

    @property
    def send(self) -> Send: ...

    @property
    def respond(self) -> Callable[[int, list[tuple[bytes, bytes]], bytes], None] | None:
        """Gives a whole response in one: status, headers and body. It acts when it is called, on the loop."""


# PEP 3333
StartResponse = Callable[..., Callable[[bytes], None]]
WSGIApp = Callable[[dict[str, Any], StartResponse], Iterable[bytes]]
