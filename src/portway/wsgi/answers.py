"""What is answered in an application's stead."""

from __future__ import annotations

import contextlib

from portway.types import Send


async def busy(send: Send) -> None:
    """Too many wait for a thread."""
    await refuse(send, 503, b"The server is busy; try again in a moment.\n", (b"retry-after", b"1"))


async def refuse(send: Send, status: int, body: bytes, header: tuple[bytes, bytes]) -> None:
    headers = [(b"content-type", b"text/plain; charset=utf-8"), (b"content-length", b"%d" % len(body)), header]
    with contextlib.suppress(ConnectionError):
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": body})
