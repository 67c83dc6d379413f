"""What every application does every day, in every framework, seen by httpx."""

import asyncio
import hashlib
import random
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import pytest

from portway.testing import Served

FRAMEWORKS = ["starlette", "fastapi", "quart", "django"]

pytestmark = pytest.mark.parametrize("framework", FRAMEWORKS, indirect=True)


def test_json_goes_both_ways(client: httpx.Client, framework: str) -> None:
    assert client.get("/json", params={"name": "wörld & co"}).json() == {"hello": "wörld & co", "from": framework}
    value = {"text": "naïve €", "list": [1, 2.5, None, True], "nested": {"a": {}}}
    assert client.post("/json", json=value).json() == value


def test_a_form_with_a_file_of_a_few_mb_arrives_whole(client: httpx.Client) -> None:
    data = random.Random(1).randbytes(4_000_000)
    for _ in range(2):
        answer = client.post("/upload", data={"note": "große Datei"}, files={"file": ("größe.bin", data)})
        assert answer.json() == {
            "note": "große Datei",
            "name": "größe.bin",
            "sha256": hashlib.sha256(data).hexdigest(),
        }


def test_a_chunked_upload_arrives_whole(client: httpx.Client) -> None:
    pieces = [random.Random(number).randbytes(10_000 * number) for number in range(20)]

    def stream() -> Iterator[bytes]:
        yield from pieces

    answer = client.post("/raw", content=stream())
    assert answer.request.headers["transfer-encoding"] == "chunked"
    assert answer.json() == {"sha256": hashlib.sha256(b"".join(pieces)).hexdigest()}


def test_a_download_streams(client: httpx.Client, version: str) -> None:
    with client.stream("GET", "/download", params={"pieces": 100}) as answer:
        assert answer.status_code == 200
        assert answer.headers["content-type"].startswith("text/plain")
        assert answer.http_version == version
        assert answer.headers.get("transfer-encoding") == ("chunked" if version == "HTTP/1.1" else None)
        digest = hashlib.sha256()
        for piece in answer.iter_bytes():
            digest.update(piece)
    expected = b"".join(b"%07d\n" % number * 8192 for number in range(100))
    assert digest.digest() == hashlib.sha256(expected).digest()


def test_visits_are_counted_in_a_signed_cookie(client: httpx.Client) -> None:
    assert [client.get("/visit").json()["visits"] for _ in range(3)] == [1, 2, 3]
    client.cookies.clear()
    assert client.get("/visit").json() == {"visits": 1}


def test_several_cookies_are_set_and_come_back(client: httpx.Client) -> None:
    first = client.get("/cookies")
    assert first.json() == {}
    assert len(first.headers.get_list("set-cookie")) == 2
    assert client.get("/cookies").json() == {"a": "1", "b": "2"}


def test_a_redirect_leads_on(client: httpx.Client, framework: str) -> None:
    answer = client.get("/redirect", follow_redirects=True)
    assert [each.status_code // 100 for each in answer.history] == [3]
    assert answer.json() == {"hello": "again", "from": framework}


def test_204_has_no_content_and_keeps_the_connection(client: httpx.Client, framework: str) -> None:
    for _ in range(2):
        answer = client.delete("/nothing")
        assert (answer.status_code, answer.content) == (204, b"")
    assert client.get("/json", params={"name": "x"}).json()["from"] == framework


def test_unknown_paths_and_methods_are_told_by_the_framework(client: httpx.Client) -> None:
    assert client.get("/no/such/path").status_code == 404
    assert client.head("/no/such/path").status_code == 404


def test_an_error_is_a_500_and_the_next_request_is_served(client: httpx.Client, framework: str, errors: Any) -> None:
    # Starlette answers and raises again; Quart and Django log by themselves.
    if framework in ("starlette", "fastapi"):
        errors.expect("GET /error: the application raised ZeroDivisionError")
    assert client.get("/error").status_code == 500
    assert client.get("/json", params={"name": "x"}).json()["from"] == framework


def test_requests_share_a_connection(served: Served) -> None:
    opened: list[str] = []

    def trace(name: str, info: object) -> None:
        if name == "connection.connect_tcp.complete":
            opened.append(name)

    with httpx.Client(base_url=served.url) as client:
        for number in range(20):
            params = {"name": str(number)}
            assert client.get("/json", params=params, extensions={"trace": trace}).json()["hello"] == str(number)
            client.post("/json", json=[number], extensions={"trace": trace})
    assert len(opened) == 1


def test_many_requests_are_served_at_once(served: Served, version: str) -> None:
    async def main() -> list[str]:
        two = version == "HTTP/2"
        rest = {"limits": httpx.Limits(max_connections=1 if two else 40), "http1": not two, "http2": two}
        # Tasks, not threads: those of httpx that share a connection of HTTP/2 may send their streams out of order.
        async with httpx.AsyncClient(base_url=served.url, timeout=30, **rest) as client:  # type: ignore[arg-type]
            answers = await asyncio.gather(*(client.get("/meet", params={"of": 40}) for _ in range(40)))
        return [str(answer.json()["id"]) for answer in answers]

    assert len(set(asyncio.run(main()))) == 40


def test_large_answers_do_not_hold_up_small_ones(served: Served, framework: str) -> None:
    begun, may_read = threading.Event(), threading.Event()

    def slow() -> int:
        with httpx.stream("GET", served.url + "/download?pieces=400", timeout=30) as answer:
            begun.set()
            assert may_read.wait(20)
            return sum(len(piece) for piece in answer.iter_bytes())

    with ThreadPoolExecutor(1) as pool:
        size = pool.submit(slow)
        assert begun.wait(20)
        with httpx.Client(base_url=served.url) as client:
            assert client.get("/json", params={"name": "x"}).json()["from"] == framework
        may_read.set()
        assert size.result() == 400 * 65536
