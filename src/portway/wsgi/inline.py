"""A WSGI application on the event loop itself: for one that never waits long, and costs a third of what threads do.

The body is gathered first. The iterable is driven by the loop, which gives the others their turn between two pieces;
what `write` brings, which cannot wait here, is held until the application, or its iterable, returns to the loop.
"""

from __future__ import annotations

import asyncio
import logging
import os
from typing import Any

from portway.types import Receive, Send, WSGIApp
from portway.wsgi.files import FileWrapper, region_of
from portway.wsgi.reply import ANY, Reply

log = logging.getLogger("portway")


async def answer(app: WSGIApp, environ: dict[str, Any], files: bool, receive: Receive, send: Send) -> None:
    """Call the application and send what it gives; raises what it raises. `files`: the server can send files."""
    written: list[bytes] = []
    reply = Reply(environ["REQUEST_METHOD"], written.append)
    result = app(environ, reply.start_response)
    driver = Driver(reply, written, receive, send)
    try:
        await driver.pass_on()
        if not (files and type(result) is FileWrapper and await driver.send_file(result)):
            await driver.iterate(result)
    except ConnectionError:
        if not driver.gone:
            raise
    finally:
        driver.stop()
        close = getattr(result, "close", None)
        if close is not None:
            close()
        if reply.surplus:
            target = ascii(environ.get("REQUEST_URI", "?"))[1:-1]
            log.warning("%s %s: %s", reply.method, target, reply.surplus_text())


class Driver:
    """Sends one response; `written` is what `write` has brought, `gone` says that the client went."""

    def __init__(self, reply: Reply, written: list[bytes], receive: Receive, send: Send) -> None:
        self._reply = reply
        self._written = written
        self._receive = receive
        self._send = send
        self._started = False
        self._ended = False
        self._listener: asyncio.Task[None] | None = None
        self.gone = False

    async def iterate(self, result: Any) -> None:
        reply = self._reply
        alone = hasattr(result, "__len__") and len(result) == 1
        for each in result:
            await self.pass_on()
            piece = reply.piece(each)
            if piece:
                if alone:
                    reply.whole = reply.whole or reply.left == ANY
                await self.send(piece)
            if reply.surplus or (piece and reply.bodiless):
                break  # PEP 3333: there is no more to send
            if not (alone or self._ended or await self._rest()):
                return
        await self.pass_on()
        reply.end()
        if not self._ended:
            await self.send(b"")

    async def pass_on(self) -> None:
        """Send what was written; a generator may write between its pieces."""
        if self._written:
            data = b"".join(self._written)
            self._written.clear()
            await self.send(data)

    async def send(self, data: bytes) -> None:
        reply = self._reply
        if self._ended or self.gone:
            return
        try:
            if not self._started:
                self._started = True
                await self._send({"type": "http.response.start", "status": reply.status, "headers": reply.headers})
            self._ended = reply.whole
            await self._send({"type": "http.response.body", "body": data, "more_body": not self._ended})
        except ConnectionError:
            self.gone = True
            raise

    async def send_file(self, wrapper: FileWrapper) -> bool:
        reply = self._reply
        if reply.begun or not reply.status:
            return False
        region = region_of(wrapper, None if reply.left == ANY else reply.left)
        if region is None:
            return False
        try:
            reply.give(region.size)
            await self._send({"type": "http.response.start", "status": reply.status, "headers": reply.headers})
            self._started = True
            file = {"file": region.descriptor, "offset": region.offset, "count": region.size, "more_body": True}
            await self._send({"type": "http.response.zerocopysend", **file})
        except ConnectionError:
            self.gone = True
            raise
        finally:
            os.close(region.descriptor)
        reply.end()
        await self.send(b"")
        return True

    async def _rest(self) -> bool:
        """Between two pieces: let the others have their turn, and hear whether the client is still there."""
        if self._listener is None:
            self._listener = asyncio.ensure_future(self._listen())
        await asyncio.sleep(0)
        return not self.gone

    async def _listen(self) -> None:
        try:
            while (await self._receive())["type"] == "http.request":
                pass
        finally:
            self.gone = True

    def stop(self) -> None:
        if self._listener is not None:
            self._listener.cancel()
            self._listener = None
