"""The types of ASGI and WSGI, by the names that its specification and every framework use."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, MutableMapping
from typing import Any

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]

# Host and port of a peer; a Unix socket's has none.
Client = tuple[str, int | None] | None

# A whole response in one: status, headers and body. What a server may offer beside `send` (see `asgi.call.Prompt`).
Respond = Callable[[int, list[tuple[bytes, bytes]], bytes], None]

ASGIApp = Callable[[Scope, Receive, Send], Awaitable[None]]
ASGI2App = Callable[[Scope], Callable[[Receive, Send], Awaitable[None]]]

# PEP 3333
StartResponse = Callable[..., Callable[[bytes], None]]
WSGIApp = Callable[[dict[str, Any], StartResponse], Iterable[bytes]]
