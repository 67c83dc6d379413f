"""What a connection takes while nothing happens on it."""

from __future__ import annotations

import sys
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from portway import _modes
from portway.testing import Raw

pytestmark = [
    pytest.mark.skipif(sys.platform != "linux", reason="the memory of a process is read from /proc"),
    pytest.mark.skipif(_modes.mode() != "compiled", reason="interpreted objects have dicts and are larger"),
]

APP = """
async def app(scope, receive, send):
    assert scope["type"] == "websocket"
    await receive()
    await send({"type": "websocket.accept"})
    while (await receive())["type"] != "websocket.disconnect":
        pass
"""

# What Chromium sends.
OPEN = (
    b"GET /chat HTTP/1.1\r\nHost: 127.0.0.1:8000\r\nConnection: Upgrade\r\nPragma: no-cache\r\n"
    b"Cache-Control: no-cache\r\nUser-Agent: Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) "
    b"Chrome/142.0.0.0 Safari/537.36\r\nUpgrade: websocket\r\nOrigin: http://127.0.0.1:8000\r\n"
    b"Sec-WebSocket-Version: 13\r\nAccept-Encoding: gzip, deflate, br, zstd\r\nAccept-Language: en-GB,en;q=0.9\r\n"
    b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
    b"Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits\r\n\r\n"
)


def resident(process: int) -> int:
    """Bytes."""
    for line in Path(f"/proc/{process}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) * 1024
    raise AssertionError("no VmRSS")


def test_an_idle_websocket_that_agreed_on_compression_takes_less_than_10_kib(
    portway_command: Callable[..., Any],
) -> None:
    command = portway_command(APP, "--port", "0", "--lifespan", "off", "--no-access-log").up()

    def open_one() -> Raw:
        raw = stack.enter_context(Raw("127.0.0.1", command.port))
        raw.send(OPEN)
        assert b"permessage-deflate" in raw.until(b"\r\n\r\n")
        return raw

    with ExitStack() as stack:
        for _ in range(100):
            open_one()
        before = resident(command.process.pid)
        for _ in range(400):
            open_one()
        assert (resident(command.process.pid) - before) / 400 < 10 * 1024
