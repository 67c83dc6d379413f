"""What is said in an application's stead, over any server."""

from __future__ import annotations

from portway.types import Scope, Send

Header = tuple[bytes, bytes]

# For an application that could not start: nginx and others have no better number; it is no promise.
RETRY_AFTER = b"30"


async def not_found(scope: Scope, send: Send) -> None:
    """No application is mounted there. A WebSocket is refused before it is one (ASGI 34)."""
    if scope["type"] == "websocket":
        await send({"type": "websocket.close"})
    else:
        await answer(send, "http.response", 404, "Not Found\n")


async def unavailable(scope: Scope, send: Send) -> None:
    """The application could not start."""
    text = "This application is not available: it could not start. The others are.\n"
    if scope["type"] == "http":
        await answer(send, "http.response", 503, text, (b"retry-after", RETRY_AFTER))
    elif "websocket.http.response" in (scope.get("extensions") or {}):
        await answer(send, "websocket.http.response", 503, text, (b"retry-after", RETRY_AFTER))
    else:
        await send({"type": "websocket.close"})


async def answer(send: Send, kind: str, status: int, text: str, *more: Header) -> None:
    """A response of plain text."""
    body = text.encode()
    headers = [(b"content-type", b"text/plain; charset=utf-8"), (b"content-length", b"%d" % len(body)), *more]
    await send({"type": f"{kind}.start", "status": status, "headers": headers})
    await send({"type": f"{kind}.body", "body": body})
