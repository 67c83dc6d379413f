"""The lines of HTTP/2 in the access log: one for each stream, whatever became of it."""

import logging
import re
import threading
from typing import Any

import pytest

from portway.testing import serve
from portway.types import Receive, Scope, Send


def test_each_stream_has_its_line(dial: Any, caplog: pytest.LogCaptureFixture) -> None:
    waiting, gone = threading.Event(), threading.Event()

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "websocket":
            await receive()
            await send({"type": "websocket.accept"})
            await receive()
            return
        if scope["path"] == "/gone":
            waiting.set()
            while (await receive())["type"] != "http.disconnect":
                pass
            gone.set()
            return
        await send({"type": "http.response.start", "status": 200})
        await send({"type": "http.response.body", "body": b"12345", "more_body": True})
        if scope["path"] == "/breaks":
            raise RuntimeError("on purpose")
        await send({"type": "http.response.body", "body": b"678"})

    caplog.set_level(logging.INFO, "portway.access")
    with (
        serve(app, lifespan="off", access_log=True, limit_request_line=100) as served,
        dial(served) as client,
    ):
        client.ask("/a?b")
        client.ask("/head", method="HEAD")
        client.ask("/breaks")
        stream = client.begin("/gone")
        assert waiting.wait(10)
        client.talk.h2.reset_stream(stream)
        client.flush()
        assert gone.wait(10)
        assert client.ask("/" + "x" * 200).status == 414  # nobody was asked: it stands in the other log
        stream = client.talk.connect("/socket")
        client.flush()
        client.until(lambda: client.answers[stream].status)
        client.talk.h2.reset_stream(stream)
        client.flush()
        client.ping()
    said = [each.getMessage() for each in caplog.records if each.name == "portway.access"]
    assert [re.sub(r"^.*? - | [\d.]+m?s\b", "", line) for line in said] == LINES


LINES = [
    '"GET /a?b HTTP/2" 200 8',
    '"HEAD /head HTTP/2" 200 0',
    '"GET /breaks HTTP/2" 200 5 (cut off)',
    '"GET /gone HTTP/2" 499 0 (cut off)',
    '"WebSocket /socket" open',
    '"WebSocket /socket" closed 1006 in 0/0 out 0/0',
]
