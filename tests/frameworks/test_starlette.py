"""What Starlette does beyond the everyday: files, compression, middleware of both kinds, mounts."""

import gzip
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest

from portway.testing import Raw, Served

FRAMEWORK = "starlette"
SOURCE = Path(__file__).parent / "apps" / "on_starlette.py"


def test_a_file_has_its_length_and_can_be_asked_for_in_parts(client: httpx.Client) -> None:
    whole = client.get("/file")
    assert whole.content == SOURCE.read_bytes()
    assert whole.headers["content-length"] == str(SOURCE.stat().st_size)
    assert whole.headers["content-disposition"] == 'attachment; filename="source.py"'
    part = client.get("/file", headers={"range": "bytes=10-19"})
    assert (part.status_code, part.content) == (206, whole.content[10:20])
    parts = client.get("/file", headers={"range": "bytes=0-4,20-24"})
    assert parts.status_code == 206
    assert whole.content[20:25] in parts.content
    assert client.get("/file", headers={"range": "bytes=999999-"}).status_code == 416


def test_head_of_a_file_has_its_length_and_no_content(client: httpx.Client) -> None:
    for _ in range(2):
        answer = client.head("/file")
        assert (answer.status_code, answer.content) == (200, b"")
        assert answer.headers["content-length"] == str(SOURCE.stat().st_size)


def test_a_static_file_is_not_sent_again(client: httpx.Client) -> None:
    first = client.get("/static/on_starlette.py")
    assert first.content == SOURCE.read_bytes()
    again = client.get("/static/on_starlette.py", headers={"if-none-match": first.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")
    assert client.get("/static/on_starlette.py").status_code == 200


def test_gzip_compresses_streams_and_leaves_small_answers_alone(client: httpx.Client) -> None:
    stream = client.get("/with/middleware/download", params={"pieces": 20})
    assert stream.headers["content-encoding"] == "gzip"
    assert stream.content == b"".join(b"%07d\n" % number * 8192 for number in range(20))
    assert "content-encoding" not in client.get("/with/middleware/json", params={"name": "x"}).headers
    large = client.post("/with/middleware/json", json=["x" * 10_000])
    assert large.headers["content-encoding"] == "gzip"
    assert large.json() == ["x" * 10_000]


def test_gzip_of_a_stream_is_whole_on_the_wire(served: Served) -> None:
    with Raw(served.host, served.port) as raw:
        raw.send(b"GET /with/middleware/download?pieces=3 HTTP/1.1\r\nhost: a\r\naccept-encoding: gzip\r\n\r\n")
        answer = raw.response()
    assert answer.header("transfer-encoding") == "chunked"
    assert gzip.decompress(answer.body) == b"".join(b"%07d\n" % number * 8192 for number in range(3))


def test_the_middleware_of_half_the_world_works(
    client: httpx.Client, served: Served, until: Callable[[str, str], None]
) -> None:
    assert client.get("/with/middleware/json", params={"name": "x"}).headers["x-stamp"] == "1"
    sizes = client.post("/with/middleware/body", content=b"x" * 300_000).json()
    assert sizes == {"sizes": [300_000, 300_000]}
    key = f"behind middleware on {served.port}"
    assert client.get("/with/middleware/background", params={"key": key}).status_code == 202
    until("/background/done", key)


def test_events_through_that_middleware_end_when_the_client_leaves(
    served: Served, until: Callable[[str, str], None]
) -> None:
    key = f"middleware-{served.port}"
    with Raw(served.host, served.port) as raw:
        raw.send(f"GET /with/middleware/events?key={key} HTTP/1.1\r\nhost: a\r\n\r\n".encode())
        assert raw.interim().header("x-stamp") == "1"
        raw.until(b"\n\n")
    until("/events/left", key)


def test_an_error_behind_that_middleware_is_a_500(client: httpx.Client, errors: Any) -> None:
    errors.expect("GET /with/middleware/error: the application raised ZeroDivisionError")
    assert client.get("/with/middleware/error").status_code == 500


def test_an_error_within_a_stream_cuts_it_off(client: httpx.Client, errors: Any) -> None:
    errors.expect("GET /error/in/stream: the application raised ZeroDivisionError")
    with pytest.raises(httpx.RemoteProtocolError):
        client.get("/error/in/stream")
