"""The clients that people use, over TLS: httpx, aiohttp, websockets, curl, asyncio and urllib."""

import asyncio
import io
import socket
import ssl
import subprocess
import urllib.request
from collections.abc import Iterator
from typing import Any

import aiohttp
import httpx
import pytest
import websockets

from portway.testing import Served, serve
from portway.types import Receive, Scope, Send

BODY = bytes(range(251)) * 8000  # two megabytes


async def echo(scope: Scope, receive: Receive, send: Send) -> None:
    """Gives back bodies piece by piece, and messages."""
    if scope["type"] == "lifespan":
        raise NotImplementedError
    if scope["type"] == "websocket":
        await receive()
        await send({"type": "websocket.accept"})
        while (message := await receive())["type"] == "websocket.receive":
            await send({"type": "websocket.send", "bytes": message.get("bytes"), "text": message.get("text")})
        return
    headers = [(b"x-scheme", scope["scheme"].encode())]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    more = True
    while more:
        message = await receive()
        more = message["more_body"]
        await send({"type": "http.response.body", "body": message["body"], "more_body": more})


@pytest.fixture(scope="module", params=["uvloop", "asyncio"])
def served(request: pytest.FixtureRequest, localhost: dict[str, str]) -> Iterator[Served]:
    with serve(echo, loop=request.param, **localhost) as found:
        yield found


def test_httpx(served: Served, authority: Any) -> None:
    with httpx.Client(verify=authority.context(), base_url=served.url) as client:
        for _ in range(3):
            response = client.post("/", content=BODY)
            assert (response.content, response.headers["x-scheme"]) == (BODY, "https")
        response = client.post("/", content=iter([BODY, BODY]))
        assert response.content == BODY + BODY


def test_aiohttp(served: Served, authority: Any) -> None:
    async def main() -> list[bytes]:
        connector = aiohttp.TCPConnector(ssl=authority.context())
        async with aiohttp.ClientSession(connector=connector) as session:

            async def one(number: int) -> bytes:
                async with session.post(served.url, data=io.BytesIO(BODY[number:])) as response:
                    return await response.read()

            return await asyncio.gather(*map(one, range(10)))

    assert asyncio.run(main()) == [BODY[number:] for number in range(10)]


def test_websockets(served: Served, authority: Any) -> None:
    async def main() -> None:
        url = served.url.replace("https", "wss")
        async with websockets.connect(url, ssl=authority.context(), max_size=None) as socket:
            for message in ("hello", BODY, "", b"", "ä" * 100_000):
                await socket.send(message)
                assert await socket.recv() == message
            messages = [b"%d" % number * 1000 for number in range(300)]
            sender = asyncio.create_task(asyncio.wait_for(send_all(socket, messages), 20))
            assert [await socket.recv() for _ in messages] == messages
            await sender
        assert (socket.close_code, socket.close_reason) == (1000, "")

    async def send_all(socket: Any, messages: list[bytes]) -> None:
        for message in messages:
            await socket.send(message)

    asyncio.run(main())


@pytest.mark.parametrize("version", ["--tlsv1.3", "--tls-max=1.2"])
def test_curl(served: Served, authority: Any, version: str) -> None:
    words = [
        "curl",
        "-sS",
        "--http1.1",
        "--max-time",
        "20",
        "--cacert",
        authority.file,
        *version.split("="),
        "--data-binary",
        "@-",
    ]
    result = subprocess.run([*words, served.url, served.url], input=BODY, capture_output=True, check=True)
    assert (result.stdout[: len(BODY)], result.stderr) == (BODY, b"")


def test_curl_without_the_authority_refuses_us(served: Served) -> None:
    result = subprocess.run(["curl", "-sS", served.url], capture_output=True)
    assert result.returncode == 60  # the peer's certificate cannot be authenticated
    assert subprocess.run(["curl", "-sSk", served.url], capture_output=True).returncode == 0


def test_urllib(served: Served, authority: Any) -> None:
    with urllib.request.urlopen(served.url, BODY, context=authority.context()) as response:
        assert response.read() == BODY


def test_asyncio_streams(served: Served, authority: Any) -> None:
    async def main() -> bytes:
        reader, writer = await asyncio.open_connection(
            served.host, served.port, ssl=authority.context(), server_hostname="localhost"
        )
        writer.write(b"POST / HTTP/1.0\r\ncontent-length: %d\r\n\r\n" % len(BODY) + BODY)
        data = await reader.read()
        writer.close()
        await writer.wait_closed()
        return data

    assert asyncio.run(main()).partition(b"\r\n\r\n")[2] == BODY


def test_a_unix_socket_speaks_tls_as_well(
    authority: Any, localhost: dict[str, str], tmp_path: Any
) -> None:  # fmt: skip
    path = str(tmp_path / "s")
    with serve(echo, uds=path, **localhost), socket.socket(socket.AF_UNIX) as plain:
        plain.connect(path)
        with authority.context().wrap_socket(plain, server_hostname="localhost") as tls:
            assert isinstance(tls, ssl.SSLSocket)
            tls.sendall(b"POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 2\r\nconnection: close\r\n\r\nhi")
            data = b""
            while more := tls.recv(65536):
                data += more
    assert b"\r\nx-scheme: https\r\n" in data
