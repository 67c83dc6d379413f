"""The same applications, seen by another client: aiohttp, many requests at once."""

import asyncio
import hashlib
import random
from collections.abc import AsyncIterator, Awaitable, Callable

import aiohttp
import pytest

from portway.testing import Served

FRAMEWORKS = ["starlette", "fastapi", "quart", "django"]

pytestmark = pytest.mark.parametrize("framework", FRAMEWORKS, indirect=True)


def run(served: Served, talk: Callable[[aiohttp.ClientSession], Awaitable[None]]) -> None:
    """Let a client talk in a loop of its own."""

    async def main() -> None:
        async with aiohttp.ClientSession(served.url, timeout=aiohttp.ClientTimeout(30)) as http:
            await talk(http)
        await asyncio.sleep(0)  # aiohttp closes its connections in the loop's next turn

    asyncio.run(main())


def test_a_hundred_requests_over_ten_connections(served: Served, framework: str) -> None:
    async def talk(http: aiohttp.ClientSession) -> None:
        async def one(number: int) -> None:
            async with limit, http.get("/json", params={"name": str(number)}) as answer:
                assert await answer.json() == {"hello": str(number), "from": framework}

        limit = asyncio.Semaphore(10)
        async with asyncio.TaskGroup() as group:
            for number in range(100):
                group.create_task(one(number))

    run(served, talk)


def test_uploads_and_downloads_side_by_side(served: Served) -> None:
    data = random.Random(3).randbytes(1_000_000)

    async def pieces() -> AsyncIterator[bytes]:
        for at in range(0, len(data), 50_000):
            yield data[at : at + 50_000]

    async def talk(http: aiohttp.ClientSession) -> None:
        async def up() -> None:
            async with http.post("/raw", data=pieces()) as answer:
                assert await answer.json() == {"sha256": hashlib.sha256(data).hexdigest()}

        async def form() -> None:
            parts = aiohttp.FormData({"note": "a note"})
            parts.add_field("file", data, filename="a.bin")
            async with http.post("/upload", data=parts) as answer:
                assert (await answer.json())["sha256"] == hashlib.sha256(data).hexdigest()

        async def down() -> None:
            async with http.get("/download", params={"pieces": "50"}) as answer:
                assert len(await answer.read()) == 50 * 65536

        async with asyncio.TaskGroup() as group:
            for _ in range(3):
                group.create_task(up())
                group.create_task(form())
                group.create_task(down())

    run(served, talk)


def test_cookies_come_back(served: Served) -> None:
    async def talk(http: aiohttp.ClientSession) -> None:
        for visits in (1, 2, 3):
            async with http.get("/visit") as answer:
                assert await answer.json() == {"visits": visits}

    async def main() -> None:
        jar = aiohttp.CookieJar(unsafe=True)  # as for an address instead of a name
        async with aiohttp.ClientSession(served.url, cookie_jar=jar) as http:
            await talk(http)

    asyncio.run(main())


def test_a_client_that_expects_100_is_told_to_go_on(served: Served) -> None:
    async def talk(http: aiohttp.ClientSession) -> None:
        async with http.post("/raw", data=b"x" * 100_000, expect100=True) as answer:
            assert await answer.json() == {"sha256": hashlib.sha256(b"x" * 100_000).hexdigest()}

    run(served, talk)
