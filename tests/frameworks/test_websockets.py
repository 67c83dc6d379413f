"""WebSockets of what people build, seen by the clients that people use, on either event loop."""

import asyncio
import contextlib
import json
import random
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import aiohttp
import httpx
import pytest
import websockets
from websockets.asyncio.client import ClientConnection
from websockets.asyncio.client import connect as websockets_connect

from portway.testing import Served

FRAMEWORKS = ["starlette", "fastapi", "quart", "django"]
ALL = pytest.mark.parametrize("framework", FRAMEWORKS, indirect=True)
Until = Callable[[str, str], None]


@pytest.fixture
def version() -> str:
    """These clients open WebSockets by HTTP/1.1."""
    return "HTTP/1.1"


class Refused(Exception):
    """The handshake was not answered with 101."""

    def __init__(self, status: int) -> None:
        super().__init__(status)
        self.status = status


class Websockets:
    """The client of the library `websockets`."""

    def __init__(self, socket: ClientConnection) -> None:
        self._socket = socket
        assert socket.response is not None
        self.subprotocol = socket.subprotocol
        self.headers = socket.response.headers

    async def say(self, data: str | bytes) -> None:
        await self._socket.send(data)

    async def hear(self) -> str | bytes:
        return await self._socket.recv()

    async def ping(self) -> None:
        await (await self._socket.ping(b"hello?"))

    async def leave(self, code: int) -> None:
        await self._socket.close(code)

    async def end(self) -> tuple[int | None, str | None]:
        """Hear it out; how the server closed."""
        with contextlib.suppress(websockets.ConnectionClosed):
            while True:
                await self._socket.recv()
        return self._socket.close_code, self._socket.close_reason


@contextlib.asynccontextmanager
async def by_websockets(url: str, subprotocols: list[str] | None = None) -> AsyncIterator[Websockets]:
    try:
        socket = await websockets_connect(url, subprotocols=subprotocols, proxy=None)  # type: ignore[arg-type]
    except websockets.InvalidStatus as refused:
        raise Refused(refused.response.status_code) from None
    try:
        yield Websockets(socket)
    finally:
        await socket.close()


class Aiohttp:
    """The client of aiohttp."""

    def __init__(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        self._socket = socket
        self.subprotocol = socket.protocol
        self.headers = socket._response.headers

    async def say(self, data: str | bytes) -> None:
        await (self._socket.send_str(data) if isinstance(data, str) else self._socket.send_bytes(data))

    async def hear(self) -> str | bytes:
        message = await self._socket.receive()
        assert message.type in (aiohttp.WSMsgType.TEXT, aiohttp.WSMsgType.BINARY), message
        return message.data  # type: ignore[no-any-return]

    async def ping(self) -> None:
        await self._socket.ping(b"hello?")

    async def leave(self, code: int) -> None:
        await self._socket.close(code=code)

    async def end(self) -> tuple[int | None, str | None]:
        while (message := await self._socket.receive()).type is not aiohttp.WSMsgType.CLOSE:
            assert message.type in (aiohttp.WSMsgType.TEXT, aiohttp.WSMsgType.BINARY), message
        return message.data, message.extra


@contextlib.asynccontextmanager
async def by_aiohttp(url: str, subprotocols: list[str] | None = None) -> AsyncIterator[Aiohttp]:
    async with aiohttp.ClientSession() as http:
        try:
            socket = await http.ws_connect(url, protocols=subprotocols or (), compress=15)
        except aiohttp.WSServerHandshakeError as refused:
            raise Refused(refused.status) from None
        async with socket:
            yield Aiohttp(socket)
    await asyncio.sleep(0)  # aiohttp closes its connections in the loop's next turn


Connect = Callable[..., contextlib.AbstractAsyncContextManager[Any]]


@pytest.fixture(params=[by_websockets, by_aiohttp])
def connect(request: pytest.FixtureRequest) -> Connect:
    return request.param  # type: ignore[no-any-return]


def run(main: Callable[[], Awaitable[None]], seconds: float = 30) -> None:
    """Let clients talk in a loop of their own."""

    async def within() -> None:
        async with asyncio.timeout(seconds):
            await main()

    asyncio.run(within())


def url(served: Served, path: str) -> str:
    return served.url.replace("http", "ws", 1) + path


@ALL
def test_messages_of_all_kinds_come_back(served: Served, framework: str, connect: Connect) -> None:
    text, data = "a line that comes again\n" * 5000, random.Random(1).randbytes(200_000)
    messages = ["", "wörld 🥇", bytes(range(256)), text, data]
    if framework != "quart":  # which has no place for it: it takes `bytes or text`
        messages.append(b"")

    async def main() -> None:
        async with connect(url(served, "/ws/echo")) as client:
            for message in messages:
                await client.say(message)
                assert await client.hear() == message
            for message in messages:
                await client.say(message)
            await client.ping()
            assert [await client.hear() for _ in messages] == messages

    run(main)


@ALL
def test_a_subprotocol_and_headers_come_with_the_accept(served: Served, framework: str, connect: Connect) -> None:
    async def main() -> None:
        async with connect(url(served, "/ws/echo"), ["chat.v1", "chat.v2"]) as client:
            assert client.subprotocol == "chat.v2"
            assert client.headers["x-name"] == framework
            await client.say("hello")
            assert await client.hear() == "hello"

    run(main)


@ALL
def test_json_goes_both_ways(served: Served, connect: Connect) -> None:
    async def main() -> None:
        async with connect(url(served, "/ws/count")) as client:
            for number in range(50):
                await client.say(json.dumps({"n": number}))
                assert json.loads(await client.hear()) == {"next": number + 1}

    run(main)


@ALL
def test_what_one_says_all_hear(served: Served, connect: Connect) -> None:
    async def main() -> None:
        entered = asyncio.Barrier(10)

        async def one(number: int) -> None:
            async with connect(url(served, "/ws/chat")) as client:
                assert await client.hear() == "in"
                await entered.wait()
                await client.say(f"{number} was here")
                heard = {await client.hear() for _ in range(10)}
                assert heard == {f"{each} was here" for each in range(10)}
                await entered.wait()

        async with asyncio.TaskGroup() as group:
            for number in range(10):
                group.create_task(one(number))

    run(main)


@ALL
def test_the_application_learns_of_the_clients_close(
    served: Served, framework: str, connect: Connect, until: Until
) -> None:
    async def main() -> None:
        async with connect(url(served, f"/ws/echo?key=close-{served.port}")) as client:
            await client.leave(4242)

    run(main)
    code = "gone" if framework == "quart" else "4242"
    until("/events/left", f"{code} close-{served.port}")


@ALL
def test_a_push_ends_without_an_error_when_its_client_leaves(served: Served, connect: Connect, until: Until) -> None:
    async def main() -> None:
        async with connect(url(served, f"/ws/push?key=push-{served.port}")) as client:
            for _ in range(3):
                assert await client.hear() == "tick"

    run(main)
    until("/events/left", f"push-{served.port}")


@ALL
def test_the_client_learns_of_the_applications_close(served: Served, connect: Connect) -> None:
    async def main() -> None:
        async with connect(url(served, "/ws/bye")) as client:
            assert await client.end() == (4001, "enough")

    run(main)


@ALL
def test_who_is_not_accepted_gets_403(served: Served, connect: Connect) -> None:
    async def main() -> None:
        with pytest.raises(Refused) as refused:
            async with connect(url(served, "/ws/refuse")):
                pass
        assert refused.value.status == 403

    run(main)


@pytest.mark.parametrize("framework", ["starlette", "fastapi", "quart"], indirect=True)
def test_a_denial_is_the_frameworks_own_response(served: Served, connect: Connect, client: httpx.Client) -> None:
    async def main() -> None:
        with pytest.raises(Refused) as refused:
            async with connect(url(served, "/ws/deny")):
                pass
        assert refused.value.status == 401

    run(main)
    headers = {
        "connection": "upgrade",
        "upgrade": "websocket",
        "sec-websocket-key": "dGhlIHNhbXBsZSBub25jZQ==",
        "sec-websocket-version": "13",
    }
    assert client.get("/ws/deny", headers=headers).json() == {"why": "no ticket"}


@ALL
def test_an_error_closes_with_1011(served: Served, framework: str, connect: Connect, errors: Any) -> None:
    if framework != "quart":  # which logs by itself
        errors.expect("WebSocket /ws/error: the application raised ZeroDivisionError")

    async def main() -> None:
        async with connect(url(served, "/ws/error")) as client:
            code, _ = await client.end()
            assert code == (1000 if framework == "quart" else 1011)

    run(main)


@ALL
def test_http_is_served_beside_it(served: Served, framework: str, connect: Connect) -> None:
    async def main() -> None:
        async with connect(url(served, "/ws/echo")) as client, httpx.AsyncClient(base_url=served.url) as http:
            for number in range(5):
                await client.say(str(number))
                answer = await http.get("/json", params={"name": "x"})
                assert answer.json() == {"hello": "x", "from": framework}
                assert await client.hear() == str(number)

    run(main)


# asgiref knows by its flags what is a coroutine function, and a compiled one has none.
@pytest.mark.filterwarnings("ignore:async_to_sync was passed a non-async-marked callable:UserWarning")
@pytest.mark.parametrize("framework", ["django"], indirect=True)
def test_a_consumer_without_async_talks_from_a_thread(served: Served, connect: Connect) -> None:
    async def main() -> None:
        async with connect(url(served, "/ws/in/thread")) as client:
            for message in ("one", b"two", "three"):
                await client.say(message)
                assert await client.hear() == message

    run(main)
