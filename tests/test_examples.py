"""The examples work, by every route that they have."""

import hashlib
import importlib.util
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from portway.testing import Served, serve

EXAMPLES = Path(__file__).parent.parent / "examples"


def load(path: Path) -> Any:
    """The module of a file, under a name that nothing else has."""
    spec = importlib.util.spec_from_file_location(f"example_{path.parent.name}", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def hello() -> Iterator[Served]:
    with serve(load(EXAMPLES / "hello" / "main.py").app) as served:
        yield served


@pytest.fixture
def client(hello: Served) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=hello.url) as found:
        yield found


def test_the_page_tells_who_is_calling(client: httpx.Client) -> None:
    response = client.get("/", headers={"user-agent": "<script>"})
    assert response.headers["content-type"] == "text/html; charset=utf-8"
    assert "<dd>127.0.0.1, port " in response.text
    assert "<dd>http, HTTP/1.1</dd>" in response.text
    assert "&lt;script&gt;</dd>" in response.text


@pytest.mark.parametrize("example", ["hello", "chat"])
def test_the_page_needs_nothing_from_elsewhere(example: str) -> None:
    page = (EXAMPLES / example / "page.html").read_text("utf-8").replace("http://www.w3.org/2000/svg", "")
    assert "http://" not in page
    assert "https://" not in page


def test_hello_is_said_to_whoever_is_named(client: httpx.Client) -> None:
    assert client.get("/api/hello").json() == {"hello": "world"}
    assert client.get("/api/hello", params={"name": "Zoë & co"}).json() == {"hello": "Zoë & co"}


def test_an_upload_is_counted_and_remembered(client: httpx.Client) -> None:
    pieces = [b"portway " * 8192] * 5
    response = client.post("/upload", params={"name": "big"}, content=iter(pieces))
    whole = b"".join(pieces)
    found = {"name": "big", "size": len(whole), "sha256": hashlib.sha256(whole).hexdigest()}
    assert response.json() == found
    # The background task follows the response without a pause, so that no request comes in between.
    assert client.get("/api/uploads").json()[0] == found


def test_events_come_one_by_one(client: httpx.Client) -> None:
    with client.stream("GET", "/events") as response:
        assert response.headers["content-type"].startswith("text/event-stream")
        data = (line.removeprefix("data: ") for line in response.iter_lines() if line.startswith("data: "))
        first, second = json.loads(next(data)), json.loads(next(data))
    assert first.keys() == {"time", "up"}
    assert second["up"] > first["up"]
