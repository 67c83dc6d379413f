"""The clients that people have at hand over HTTP/2, as Debian packages them: curl, nghttp and h2load."""

import asyncio
import hashlib
import json
import os
import re
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import aiohttp
import httpx
import pytest

from portway.testing import Served, serve
from portway.types import Receive, Scope, Send

LOOPS = pytest.mark.parametrize("loop", ["uvloop", "asyncio"])
TLS = pytest.mark.parametrize("tls", [False, True], ids=["plain", "TLS"])
PATIENCE = 60


async def app(scope: Scope, receive: Receive, send: Send) -> None:
    """Tells what came; /large brings 10 MB, /hint an early hint, /trailers a trailer."""
    if scope["type"] == "lifespan":
        raise NotImplementedError
    digest, more = hashlib.sha256(), True
    if scope["path"] == "/hint":
        await send({"type": "http.response.early_hint", "links": [b"</a.css>; rel=preload"]})
    while more:
        message = await receive()
        digest.update(message["body"])
        more = message["more_body"]
    start = {"type": "http.response.start", "status": 200, "trailers": scope["path"] == "/trailers"}
    await send(start)
    if scope["path"] == "/large":
        for _ in range(100):
            await send({"type": "http.response.body", "body": bytes(100_000), "more_body": True})
        await send({"type": "http.response.body"})
        return
    found = {"version": scope["http_version"], "scheme": scope["scheme"], "method": scope["method"]}
    found |= {"path": scope["path"], "sha256": digest.hexdigest()}
    await send({"type": "http.response.body", "body": json.dumps(found).encode()})
    if scope["path"] == "/trailers":
        await send({"type": "http.response.trailers", "headers": [(b"x-sum", b"1")]})


def program(name: str, package: str) -> str:
    found = shutil.which(name)
    if found is None:
        why = f"needs {name}; on Debian: apt-get install {package}"
        if os.environ.get("REQUIRE_CLIENTS"):
            pytest.fail(why)
        pytest.skip(why)
    return found


def run(*words: str, **rest: Any) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(words, capture_output=True, timeout=PATIENCE, check=True, **rest)


@pytest.fixture
def served(localhost: dict[str, str], loop: str, tls: bool) -> Iterator[Served]:
    with serve(app, loop=loop, **(localhost if tls else {})) as served:
        yield served


@pytest.fixture
def curl(authority: Any, served: Served, tls: bool) -> Callable[..., bytes]:
    """`curl(path, *options)`: what it writes."""
    found = program("curl", "curl")

    def ask(path: str, *options: str, **rest: Any) -> bytes:
        version = ["--cacert", authority.file] if tls else ["--http2-prior-knowledge"]
        words = [found, "--silent", "--show-error", "--fail", "--max-time", str(PATIENCE), *version]
        return run(*words, *options, served.url + path, **rest).stdout

    return ask


@LOOPS
@TLS
def test_curl_asks_uploads_and_downloads(curl: Callable[..., bytes], tls: bool, tmp_path: Path) -> None:
    found = json.loads(curl("/a%20b?c"))
    assert found["version"] == "2"
    assert (found["scheme"], found["path"]) == ("https" if tls else "http", "/a b")
    data = os.urandom(5_000_000)
    (tmp_path / "data").write_bytes(data)
    for options in (["--upload-file", str(tmp_path / "data")], ["--data-binary", f"@{tmp_path / 'data'}"]):
        assert json.loads(curl("/", *options))["sha256"] == hashlib.sha256(data).hexdigest()
    assert curl("/large") == bytes(10_000_000)
    assert curl("/large", "--head").startswith(b"HTTP/2 200")
    assert b"x-sum: 1" in curl("/trailers", "--dump-header", "-", "--header", "te: trailers")
    hint = curl("/hint", "--dump-header", "-")
    assert hint.index(b"HTTP/2 103") < hint.index(b"link: </a.css>; rel=preload") < hint.index(b"HTTP/2 200")


# Without TLS, curl 7.88 ends with its error 16 before it sends the second request, to any server.
@LOOPS
@pytest.mark.parametrize("tls", [True], ids=["TLS"])
def test_curl_asks_for_many_at_once(curl: Callable[..., bytes], served: Served, tls: bool, tmp_path: Path) -> None:
    config = "".join(f'url = "{served.url}/{at}"\noutput = "{tmp_path / str(at)}"\n' for at in range(50))
    (tmp_path / "config").write_text(config)
    curl("/", "--parallel", "--config", str(tmp_path / "config"), "--output", str(tmp_path / "last"))
    assert [json.loads((tmp_path / str(at)).read_text())["path"] for at in range(50)] == [f"/{at}" for at in range(50)]


@LOOPS
@TLS
def test_nghttp_asks_for_many_at_once_with_priorities(served: Served, tls: bool) -> None:
    nghttp = program("nghttp", "nghttp2-client")
    urls = [f"{served.url}/{at}" for at in range(20)] + [f"{served.url}/large"]
    done = run(nghttp, "--null-out", "--stat", "--no-verify-peer", "--window-bits=16", *urls)
    assert len(re.findall(rb" 200 ", done.stdout)) == 21, done.stdout
    said = run(nghttp, "--verbose", "--no-verify-peer", f"{served.url}/").stdout
    assert b"SETTINGS_ENABLE_CONNECT_PROTOCOL(0x08):1" in said
    assert b"recv GOAWAY" not in said


@LOOPS
@TLS
def test_nghttp_uploads(served: Served, tls: bool, tmp_path: Path) -> None:
    nghttp = program("nghttp", "nghttp2-client")
    data = os.urandom(3_000_000)
    (tmp_path / "data").write_bytes(data)
    for options in ([], ["--expect-continue"], ["--trailer", "x-sum: 1"], ["--padding=100"]):
        found = run(nghttp, "--no-verify-peer", f"--data={tmp_path / 'data'}", *options, f"{served.url}/").stdout
        assert json.loads(found)["sha256"] == hashlib.sha256(data).hexdigest(), options


@LOOPS
@TLS
@pytest.mark.parametrize(("path", "count"), [("/", 3000), ("/large", 30)])
def test_h2load_gets_all_it_asks_for(served: Served, tls: bool, path: str, count: int) -> None:
    h2load = program("h2load", "nghttp2-client")
    words = [h2load, f"--requests={count}", "--clients=3", "--max-concurrent-streams=30", served.url + path]
    said = run(*words).stdout.decode()
    assert f"{count} done, {count} succeeded, 0 failed, 0 errored, 0 timeout" in said, said
    assert f"status codes: {count} 2xx" in said


@LOOPS
@pytest.mark.parametrize("tls", [True], ids=["TLS"])
def test_httpx_and_aiohttp_share_a_port(served: Served, authority: Any, tls: bool) -> None:
    """The one speaks HTTP/2, the other HTTP/1.1."""
    url = f"https://localhost:{served.port}"

    async def two(client: httpx.AsyncClient, number: int) -> None:
        answer = await client.post(f"/{number}", content=b"x" * number)
        assert (answer.http_version, answer.json()["path"], answer.json()["version"]) == ("HTTP/2", f"/{number}", "2")

    async def one(session: aiohttp.ClientSession, number: int) -> None:
        async with session.post(f"/{number}", data=b"x" * number) as answer:
            found = await answer.json(content_type=None)
            assert (found["path"], found["version"]) == (f"/{number}", "1.1")

    async def main() -> None:
        context = authority.context()
        connector = aiohttp.TCPConnector(ssl=authority.context())
        async with (
            httpx.AsyncClient(http2=True, verify=context, base_url=url) as client,
            aiohttp.ClientSession(url, connector=connector) as session,
        ):
            # httpcore that waits for a window reads on even when another request's read has brought it, and then for
            # nothing, until its timeout: so it learns of the windows first, and less is sent than they hold.
            await two(client, 1)
            async with asyncio.TaskGroup() as group:
                for number in range(0, 40_000, 1000):
                    group.create_task(two(client, number))
                    group.create_task(one(session, number))
        await asyncio.sleep(0)  # aiohttp closes its connections in the loop's next turn

    asyncio.run(main())
