"""A fallback receives the body from its start, and hears of a client that went; nothing is left of a request."""

import asyncio
import glob
import os
import tempfile
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest

import portway
from portway.testing import Raw, serve
from portway.types import Receive, Scope, Send

Client = Callable[..., Any]
Said = Callable[..., list[str]]

MiB = 1024 * 1024


# --- the body ---


@pytest.mark.parametrize("http2", [False, True])
@pytest.mark.parametrize("size", [0, 1, 65536, MiB, MiB + 1, 5 * MiB])
@pytest.mark.parametrize("chunked", [False, True])
def test_the_body_is_replayed_whole(
    client: Client, size: int, chunked: bool, http2: bool, answers: Any, read_all: Any, counting: Any, digest: Any
) -> None:
    data = os.urandom(size)
    with client(portway.Fallback(answers(404, before=read_all), counting), http2) as http:
        content = (data[at : at + 50_000] for at in range(0, size, 50_000)) if chunked else data
        assert http.post("/", content=content).json() == digest(data)


def test_what_main_did_not_read_comes_from_the_client(client: Client, answers: Any, counting: Any, digest: Any) -> None:
    async def read_once(scope: Scope, receive: Receive, send: Send) -> None:
        await receive()

    data = os.urandom(5 * MiB)
    for before in (None, read_once):
        app = portway.Fallback(answers(404, before=before), counting, fallback_buffer=MiB)
        with client(app) as http:
            assert http.post("/", content=iter([data])).json() == digest(data)


def test_a_body_too_long_for_the_buffer_stays_with_main_and_one_line_says_why(
    client: Client, said: Said, answers: Any, read_all: Any, counting: Any, digest: Any
) -> None:
    data = os.urandom(300_000)
    app = portway.Fallback(answers(404, before=read_all), counting, fallback_buffer=300_000)
    with client(app) as http:
        assert http.post("/x", content=iter([data])).json() == digest(data)
        for content in (data + b"!", iter([data, b"!"])):
            response = http.post("/x", content=content)
            assert (response.status_code, response.text) == (404, "main's own")
    reason = "not handed to the fallback, since its body is longer than the fallback buffer of 300000 bytes"
    assert [line for line in said() if "handed" in line] == [f"POST /x: {reason}"] * 2


def test_main_that_reads_on_after_its_404_fills_no_more_than_the_buffer(
    client: Client, counting: Any, digest: Any
) -> None:
    sizes = []

    async def read_on(scope: Scope, receive: Receive, send: Send) -> None:
        size = 0
        while (message := await receive())["type"] == "http.request":
            size += len(message["body"])
        sizes.append(size)

    async def main(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            raise NotImplementedError
        await send({"type": "http.response.start", "status": 404})
        await read_on(scope, receive, send)
        await send({"type": "http.response.body"})

    data = os.urandom(3 * MiB)
    with client(portway.Fallback(main, counting, fallback_buffer=MiB)) as http:
        assert http.post("/", content=iter([data])).json() == digest(data)
    assert MiB <= sizes[0] < MiB + 100_000


def test_expect_continue_is_answered_once(client: Client, answers: Any, read_all: Any, counting: Any) -> None:
    app = portway.Fallback(answers(404, before=read_all), counting)
    with serve(app) as served, Raw(served.host, served.port) as raw:
        raw.send(b"POST / HTTP/1.1\r\nhost: a\r\nexpect: 100-continue\r\ncontent-length: 3\r\n\r\n")
        assert raw.interim().status == 100
        raw.send(b"abc")
        assert raw.interim().status == 200


def test_requests_share_nothing(answers: Any, read_all: Any, counting: Any, digest: Any) -> None:
    async def main() -> None:
        app = portway.Fallback(answers(404, before=read_all), counting)
        bodies = [os.urandom(size) for size in (0, 7, 2 * MiB, 3 * MiB, 100_000, 2 * MiB)]
        async with serve(app) as served, httpx.AsyncClient(base_url=served.url, timeout=30) as http:
            found = await asyncio.gather(*[http.post("/", content=data) for data in bodies])
        assert [response.json() for response in found] == [digest(data) for data in bodies]

    asyncio.run(main())


# --- who goes ---


def test_a_client_that_went_is_replayed_too(answers: Any) -> None:
    heard: list[Any] = []
    begun, over = threading.Event(), threading.Event()

    async def until_gone(scope: Scope, receive: Receive, send: Send) -> None:
        begun.set()
        while (await receive())["type"] != "http.disconnect":
            pass

    async def legacy(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            raise NotImplementedError
        for _ in range(3):
            message = await receive()
            heard.append(message.get("body", message["type"]))
        over.set()

    with serve(portway.Fallback(answers(404, before=until_gone), legacy)) as served:
        with Raw(served.host, served.port) as raw:
            raw.send(b"POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 10\r\n\r\nabc")
            assert begun.wait(20)
        assert over.wait(20)
    assert heard == [b"abc", "http.disconnect", "http.disconnect"]


def test_a_disconnect_that_a_server_tells_once_is_told_to_both(answers: Any) -> None:
    heard = []

    async def until_gone(scope: Scope, receive: Receive, send: Send) -> None:
        while (await receive())["type"] != "http.disconnect":
            pass

    async def legacy(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            raise NotImplementedError
        heard.extend([await receive(), await receive()])

    messages = [{"type": "http.request", "body": b"abc", "more_body": True}, {"type": "http.disconnect"}]

    async def receive() -> Any:
        return messages.pop(0)

    async def send(message: Any) -> None: ...

    scope = {"type": "http", "method": "GET", "path": "/", "headers": []}
    asyncio.run(portway.Fallback(answers(404, before=until_gone), legacy)(scope, receive, send))
    assert heard == [{"type": "http.request", "body": b"abc", "more_body": True}, {"type": "http.disconnect"}]


def test_a_client_that_goes_while_the_fallback_works_is_told(answers: Any, read_all: Any) -> None:
    begun, over = threading.Event(), threading.Event()

    async def legacy(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            raise NotImplementedError
        assert (await receive())["body"] == b"abc"
        begun.set()
        if (await receive())["type"] == "http.disconnect":
            over.set()

    async def watching(scope: Scope, receive: Receive, send: Send) -> None:
        """Leaves a call of receive under way, which the fallback takes over."""
        await read_all(scope, receive, send)
        watch = asyncio.ensure_future(receive())
        await asyncio.sleep(0)
        watch.cancel()

    for before in (read_all, watching):
        begun.clear()
        over.clear()
        with serve(portway.Fallback(answers(404, before=before), legacy)) as served:
            with Raw(served.host, served.port) as raw:
                raw.send(b"POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 3\r\n\r\nabc")
                assert begun.wait(20)
            assert over.wait(20)


@pytest.mark.parametrize("where", ["main", "legacy"])
def test_a_cancelled_request_leaves_no_task_and_no_file(
    where: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, answers: Any, read_all: Any, counting: Any
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    monkeypatch.setattr(tempfile, "_O_TMPFILE_WORKS", False, raising=False)  # so that files would be seen
    opened: list[Any] = []
    make = tempfile.TemporaryFile

    def noted(**rest: Any) -> Any:
        opened.append(make(**rest))
        return opened[-1]

    monkeypatch.setattr(tempfile, "TemporaryFile", noted)
    waiting = asyncio.Event()

    async def wait(scope: Scope, receive: Receive, send: Send) -> None:
        await read_all(scope, receive, send)
        watch = asyncio.ensure_future(receive())
        await asyncio.sleep(0)
        waiting.set()
        try:
            await watch
        finally:
            watch.cancel()

    async def main() -> None:
        in_main = (answers(404, before=wait), counting)
        in_legacy = (answers(404, before=read_all), answers(200, before=wait))
        app = portway.Fallback(*(in_main if where == "main" else in_legacy))
        messages = [{"type": "http.request", "body": b"x" * MiB, "more_body": True}] * 3
        messages.append({"type": "http.request", "body": b"", "more_body": False})

        async def receive() -> Any:
            if messages:
                return messages.pop(0)
            await asyncio.Event().wait()

        async def send(message: Any) -> None: ...

        scope = {"type": "http", "method": "GET", "path": "/", "headers": []}
        task = asyncio.ensure_future(app(scope, receive, send))
        await waiting.wait()
        before = asyncio.all_tasks()
        task.cancel()
        await asyncio.wait([task])
        assert task.cancelled()
        assert asyncio.all_tasks() - before == set()
        await asyncio.sleep(0)
        left = {each.get_name() for each in asyncio.all_tasks()}
        assert "portway-receive" not in left
        await asyncio.get_running_loop().shutdown_default_executor()

    asyncio.run(main())
    assert opened
    assert all(file.closed for file in opened)
    assert glob.glob(str(tmp_path / "*")) == []


def test_a_disk_that_is_full_leaves_the_request_with_main(
    client: Client, said: Said, monkeypatch: pytest.MonkeyPatch, answers: Any, read_all: Any, counting: Any
) -> None:
    def full(**rest: Any) -> Any:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(tempfile, "TemporaryFile", full)
    with client(portway.Fallback(answers(404, before=read_all), counting)) as http:
        response = http.post("/", content=iter([b"x" * 3 * MiB]))
        assert (response.status_code, response.text) == (404, "main's own")
    assert any("since its body could not be kept: [Errno 28] No space left on device" in line for line in said())
