"""A WSGI application on the event loop itself: for one that never waits long, and costs a third of what threads do.

`prompt` calls it, and gives what is whole at once; all else is driven from here, by the loop, which gives the others
their turn between two pieces. What `write` brings, which cannot wait here, is held until the application, or its
iterable, returns to the loop.
"""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import Iterator
from typing import Any

from portway.types import Dialogue, Message, Send
from portway.wsgi.files import FileWrapper, region_of
from portway.wsgi.reply import ANY, Reply

log = logging.getLogger("portway")


# A whole response: status, headers, body.
Answer = tuple[int, list[tuple[bytes, bytes]], bytes]


async def send_whole(send: Send, answer: Answer) -> None:
    status, headers, body = answer
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body, "more_body": False})


async def send_and_raise(send: Send, answer: Answer, error: Exception) -> None:
    """An error of `close` takes nothing from a response that is whole."""
    await send_whole(send, answer)
    raise error


def start_of(reply: Reply) -> Message:
    return {"type": "http.response.start", "status": reply.status, "headers": reply.headers}


def warn_of_surplus(reply: Reply, environ: dict[str, Any]) -> None:
    target = ascii(environ.get("REQUEST_URI", "?"))[1:-1]
    log.warning("%s %s: %s", reply.method, target, reply.surplus_text())


class Driver:
    """Sends a response that cannot be sent at once; `written` is what `write` has brought."""

    def __init__(self, reply: Reply, result: Any, written: list[bytes], dialogue: Dialogue) -> None:
        self._reply = reply
        self._result = result
        self._written = written
        self._receive = dialogue.receive
        self._send = dialogue.send
        self._started = False
        self._ended = False
        self._gone = False
        self._listener: asyncio.Task[None] | None = None

    async def drive(
        self, first: bytes, pieces: Iterator[Any] | None, files: bool, environ: dict[str, Any]
    ) -> None:  # fmt: skip
        """From the first piece on, which `pieces` has given already; close the iterable in the end."""
        result = self._result
        try:
            await self._pass_on()
            if not (files and type(result) is FileWrapper and await self._give_file(result)):
                await self._iterate(first, iter(result) if pieces is None else pieces)
        except ConnectionError:
            if not self._gone:
                raise
        finally:
            if self._listener is not None:
                self._listener.cancel()
                self._listener = None
            close = getattr(result, "close", None)
            if close is not None:
                close()
            if self._reply.surplus:
                warn_of_surplus(self._reply, environ)

    async def _iterate(self, first: bytes, pieces: Iterator[Any]) -> None:
        reply = self._reply
        if not await self._give(first):
            return
        for each in pieces if not (first and reply.bodiless) else ():
            await self._pass_on()
            piece = reply.piece(each)
            if reply.surplus or (piece and reply.bodiless):
                await self._give(piece)
                break  # PEP 3333: there is no more to send
            if not await self._give(piece):
                return
        await self._pass_on()
        reply.end()
        await self._send_piece(b"")

    async def _pass_on(self) -> None:
        """Send what was written; a generator may write between its pieces."""
        if self._written:
            data = b"".join(self._written)
            self._written.clear()
            await self._send_piece(data)

    async def _give(self, piece: bytes) -> bool:
        """Send a piece, then let the others have their turn; whether the client is still there."""
        if piece:
            await self._send_piece(piece)
        if not self._ended:
            if self._listener is None:
                self._listener = asyncio.ensure_future(self._listen())
            await asyncio.sleep(0)
        return not self._gone

    async def _send_piece(self, data: bytes) -> None:
        reply = self._reply
        if self._ended or self._gone:
            return
        try:
            if not self._started:
                self._started = True
                await self._send(start_of(reply))
            self._ended = reply.whole
            await self._send({"type": "http.response.body", "body": data, "more_body": not self._ended})
        except ConnectionError:
            self._gone = True
            raise

    async def _give_file(self, wrapper: FileWrapper) -> bool:
        reply = self._reply
        if reply.begun or not reply.status or reply.bodiless:
            return False
        region = region_of(wrapper, None if reply.left == ANY else reply.left)
        if region is None:
            return False
        try:
            reply.give(region.size)
            await self._send(start_of(reply))
            self._started = True
            file = {"file": region.descriptor, "offset": region.offset, "count": region.size, "more_body": True}
            await self._send({"type": "http.response.zerocopysend", **file})
        except ConnectionError:
            self._gone = True
            raise
        finally:
            os.close(region.descriptor)
        reply.end()
        await self._send_piece(b"")
        return True

    async def _listen(self) -> None:
        """The body was received, or there is none: at most its end comes, and then that the client has gone."""
        try:
            for _ in range(2):
                if (await self._receive())["type"] != "http.request":
                    self._gone = True
                    break
        except Exception:  # what stands between here and the client has broken
            self._gone = True
            raise
