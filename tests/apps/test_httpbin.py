"""httpbin, by httpx."""

import json
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest


@pytest.fixture
def client(site: Any, ask: Callable[[str], httpx.Client]) -> httpx.Client:
    return ask(site("bin").url)


def test_what_is_asked_comes_back(client: httpx.Client) -> None:
    found = client.get("/get", params={"a": ["1", "2"], "größe": "ß"}, headers={"x-one": "1"}).json()
    assert found["args"] == {"a": ["1", "2"], "größe": "ß"}
    assert found["headers"]["X-One"] == "1"
    assert found["origin"] == "127.0.0.1"
    assert client.post("/post", data={"a": "ß"}).json()["form"] == {"a": "ß"}
    assert client.put("/put", json={"a": [1, None]}).json()["json"] == {"a": [1, None]}
    assert client.post("/post", files={"file": b"content"}).json()["files"] == {"file": "content"}
    assert client.delete("/delete").status_code == 200


def test_a_chunked_body_is_seen(client: httpx.Client) -> None:
    def pieces() -> Iterator[bytes]:
        for _ in range(100):
            yield b"0123456789" * 1000

    assert client.post("/post", content=pieces()).json()["data"] == "0123456789" * 100_000


def test_answers_stream(client: httpx.Client) -> None:
    with client.stream("GET", "/stream/50") as answer:
        assert [json.loads(line)["id"] for line in answer.iter_lines()] == list(range(50))
    assert len(client.get("/stream-bytes/100000").content) == 100_000
    assert client.get("/drip", params={"duration": 0.1, "numbytes": 5, "delay": 0}).content == b"*" * 5
    assert client.get("/range/1024", headers={"range": "bytes=1-3"}).text == "bcd"


@pytest.mark.parametrize("method", ["GET", "PUT"])
@pytest.mark.parametrize("status", [200, 204, 304, 401, 404, 418, 500, 503])
def test_every_status_arrives(client: httpx.Client, way: str, method: str, status: int) -> None:
    if way == "validated" and status in (204, 401, 418):
        pytest.skip("here httpbin's own Content-Type is amiss")
    assert client.request(method, f"/status/{status}").status_code == status


def test_codings_cookies_redirects_and_credentials_work(client: httpx.Client) -> None:
    assert client.get("/gzip").json()["gzipped"]
    assert client.get("/deflate").json()["deflated"]
    assert client.get("/brotli").status_code == 200
    client.get("/cookies/set", params={"a": "1", "b": "2"})
    assert client.get("/cookies").json()["cookies"] == {"a": "1", "b": "2"}
    assert client.get("/redirect/3", follow_redirects=True).status_code == 200
    assert client.get("/basic-auth/ada/secret", auth=("ada", "secret")).json()["user"] == "ada"
    assert client.get("/digest-auth/auth/ada/secret", auth=httpx.DigestAuth("ada", "secret")).status_code == 200


def test_bytes_come_as_they_are(client: httpx.Client) -> None:
    assert client.get("/image/png").content.startswith(b"\x89PNG")
    assert client.head("/bytes/5000").headers["content-length"] == "5000"
