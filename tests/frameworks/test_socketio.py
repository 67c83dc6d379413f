"""python-socketio's server, with its own client: over long polling, over WebSocket, and from the one to the other."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
import socketio

from portway.testing import Served

FRAMEWORK = "socketio"
TRANSPORTS = pytest.mark.parametrize("transports", [["websocket"], ["polling"], ["polling", "websocket"]])


def run(main: Callable[[], Awaitable[None]]) -> None:
    async def within() -> None:
        async with asyncio.timeout(30):
            await main()
        await asyncio.sleep(0)  # aiohttp closes its connections in the loop's next turn

    asyncio.run(within())


class Client:
    """One that has connected, and keeps what it is told."""

    def __init__(self) -> None:
        self.io = socketio.AsyncClient(reconnection=False)
        self.told: asyncio.Queue[Any] = asyncio.Queue()
        self.io.on("welcome", self.told.put)
        self.io.on("said", self._said)

    async def _said(self, name: str, text: str) -> None:
        await self.told.put((name, text))

    async def enter(self, served: Served, name: str, transports: list[str]) -> None:
        await self.io.connect(served.url, auth={"name": name}, transports=transports)


@TRANSPORTS
def test_events_have_answers(served: Served, transports: list[str]) -> None:
    async def main() -> None:
        client = Client()
        await client.enter(served, "ann", transports)
        assert client.io.transport() == transports[-1]
        assert await client.told.get() == {"to": "ann"}
        assert await client.io.call("add", [1, 2, 3]) == {"sum": 6}
        assert await client.io.call("image", bytes(range(256)) * 400) == bytes(range(255, -1, -1)) * 400
        await client.io.disconnect()

    run(main)


@TRANSPORTS
def test_what_is_said_in_a_room_is_heard_there(served: Served, transports: list[str]) -> None:
    async def main() -> None:
        clients = {name: Client() for name in ("ann", "bob", "eve")}
        for name, client in clients.items():
            await client.enter(served, name, transports)
            assert await client.told.get() == {"to": name}
        for name in ("ann", "bob"):
            assert await clients[name].io.call("join", "kitchen") == "in"
        await clients["ann"].io.emit("say", ("kitchen", "soup!"))
        for name in ("ann", "bob"):
            assert await clients[name].told.get() == ("ann", "soup!")
        assert await clients["eve"].io.call("add", [1]) == {"sum": 1}
        assert clients["eve"].told.empty()
        await asyncio.gather(*[client.io.disconnect() for client in clients.values()])

    run(main)


@TRANSPORTS
def test_who_is_refused_is_told_so(served: Served, transports: list[str]) -> None:
    async def main() -> None:
        client = socketio.AsyncClient(reconnection=False)
        with pytest.raises(socketio.exceptions.ConnectionError):
            await client.connect(served.url, transports=transports)

    run(main)
