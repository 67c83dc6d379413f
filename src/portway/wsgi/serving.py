"""What the loop does for a `Call` while its thread is at work: sends what comes of it, and receives for it.

Interpreted on purpose: a compiled coroutine is slower than an interpreted one since CPython 3.12.
"""

from __future__ import annotations

import asyncio
import io
import os
import sys
from collections.abc import Coroutine
from typing import TYPE_CHECKING, Any

from portway.types import Send
from portway.wsgi.body import LOW, Inbox, streamed
from portway.wsgi.files import Region

if TYPE_CHECKING:
    from portway.wsgi.threaded import Call

EAGER = sys.version_info >= (3, 12)


def begin(loop: asyncio.AbstractEventLoop, coroutine: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
    """Run it in a Task, whose first step is taken at once where Python can."""
    if EAGER and loop.get_task_factory() is None:
        return asyncio.Task(coroutine, loop=loop, eager_start=True)  # type: ignore[call-arg]  # from 3.12 on
    return loop.create_task(coroutine)


async def expect(call: Call, length: int) -> None:
    """A body of so many bytes is to come. The application gets what is there, and the rest while it runs."""
    inbox = call.input = Inbox(length, call.ask)
    call.expects = "HTTP_EXPECT" in call.environ
    if not call.expects:  # ASGI 32: else it is asked for when the application reads
        call.listener = begin(call.desk.loop, listen(call))
        for _ in range(2):  # once for what came with the head to be put there, and once for the listener to take it
            if not call.listener.done():
                await asyncio.sleep(0)
    body = inbox.whole()
    if body is None:
        call.file = streamed(inbox)
    else:
        call.input = None
        call.file = io.BytesIO(body)
    call.environ["wsgi.input"] = call.file


async def listen(call: Call) -> None:
    """Receive what the client sends, until it goes."""
    inbox = call.input
    while True:
        while inbox is not None and inbox.full():  # even if it is to be heard whether the client goes
            call.paused = call.desk.loop.create_future()
            if inbox.full():
                await call.paused
            call.paused = None
        try:
            message = await call.dialogue.receive()
        except Exception as fault:
            if not call.reply.whole:
                call.fault = fault
            call.leave()
            return
        if message["type"] != "http.request":
            call.leave()
            return
        if inbox is not None:
            more = message.get("more_body", False)
            inbox.put(message.get("body", b""), more)
            if not more and not call.watching:
                return


async def serve(call: Call) -> None:
    """Send what the thread brings; returns, or raises what the application raised, when it is through."""
    try:
        await _pass_on(call, call.dialogue.send)
    except BaseException:  # it was cancelled, or what stands between here and the client has raised
        call.leave()
        raise
    finally:
        call.close()
    call.conclude()


async def _pass_on(call: Call, send: Send) -> None:
    reply = call.reply
    started = ended = False
    while True:
        if not call.told:
            call.word = call.desk.loop.create_future()
            await call.word
        call.told = False
        # First: what is over has all its pieces here. The end is told of when the thread is through, and not when
        # the last piece has come: else the next request of the same client would find it still at `close`.
        over = call.over
        if reply.begun:
            call.expects = False  # no 100 comes after the head
        last = over and reply.whole
        if reply.begun and not ended and not call.gone:
            try:
                if not started:
                    started = True
                    await send({"type": "http.response.start", "status": reply.status, "headers": reply.headers})
                await _send_pieces(call, send, last)
            except ConnectionError:
                call.leave()
            ended = last
        if over:
            return
        call.listen()


async def _send_pieces(call: Call, send: Send, last: bool) -> None:
    pieces = call.pieces
    while True:
        data = call.joined()
        if type(data) is Region:
            await _send_file(send, data)
            continue
        end = last and not pieces
        await send({"type": "http.response.body", "body": data, "more_body": not end})
        call.queued_out += len(data)
        room = call.room
        if room is not None and call.queued_in - call.queued_out <= LOW:
            room.set()
        if not pieces:
            return


async def _send_file(send: Send, region: Region) -> None:
    try:
        await send(
            {
                "type": "http.response.zerocopysend",
                "file": region.descriptor,
                "offset": region.offset,
                "count": region.size,
                "more_body": True,
            }
        )
    finally:
        os.close(region.descriptor)
