"""What every application does every day, in Flask and in Django as they speak WSGI: on threads, and inline."""

import hashlib
import random
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from portway.testing import Raw, Served, serve

APPS = Path(__file__).parent / "apps"

pytestmark = pytest.mark.parametrize("framework", ["flask", "django_wsgi"], indirect=True)

Until = Callable[[str, str], None]


@pytest.fixture(params=[8, 0], ids=["threads", "inline"])
def served(request: Any, framework: str, errors: Any, monkeypatch: pytest.MonkeyPatch) -> Iterator[Served]:
    monkeypatch.setattr(sys, "path", sys.path[:])
    with serve(str(APPS / f"on_{framework}.py"), app_dir=str(APPS), wsgi_threads=request.param) as served:
        yield served


def test_json_goes_both_ways(client: httpx.Client, framework: str) -> None:
    found = client.get("/json", params={"name": "wörld & co"}).json()
    assert (found["hello"], found["from"]) == ("wörld & co", framework)
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


@pytest.mark.parametrize("size", [0, 10, 200_000, 3_000_000])
def test_a_chunked_body_arrives_whole_and_its_length_is_known(client: httpx.Client, size: int) -> None:
    data = random.Random(size).randbytes(size)

    def pieces() -> Iterator[bytes]:
        for at in range(0, size, 50_000):
            yield data[at : at + 50_000]

    answer = client.post("/raw", content=pieces())
    assert answer.request.headers["transfer-encoding"] == "chunked"
    assert answer.json() == {"length": size, "sha256": hashlib.sha256(data).hexdigest()}


@pytest.mark.parametrize("chunked", [False, True])
def test_a_body_is_read_line_by_line(client: httpx.Client, chunked: bool) -> None:
    lines = [b"x" * length + b"\n" for length in (0, 1, 80, 70_000, 300_000, 5)] + [b"no end"]
    content = iter(lines) if chunked else b"".join(lines)
    assert client.post("/lines", content=content).json() == [len(line) for line in lines]


def test_a_download_streams(client: httpx.Client, version: str) -> None:
    digest = hashlib.sha256()
    with client.stream("GET", "/download", params={"pieces": 100}) as answer:
        assert answer.headers.get("transfer-encoding") == ("chunked" if version == "HTTP/1.1" else None)
        for piece in answer.iter_bytes():
            digest.update(piece)
    assert digest.digest() == hashlib.sha256(b"".join(b"%07d\n" % number * 8192 for number in range(100))).digest()


def test_a_file_is_sent(client: httpx.Client, tmp_path: Path) -> None:
    data = random.Random(2).randbytes(1_500_000)
    (tmp_path / "größe.bin").write_bytes(data)
    for _ in range(2):
        answer = client.get("/file", params={"path": str(tmp_path / "größe.bin")})
        assert answer.headers["content-length"] == str(len(data))
        assert answer.content == data
    assert client.head("/file", params={"path": str(tmp_path / "größe.bin")}).headers["content-length"] == str(
        len(data)
    )


def test_a_part_of_a_file_is_sent(client: httpx.Client, framework: str, tmp_path: Path) -> None:
    if framework != "flask":
        pytest.skip("Django's FileResponse knows no ranges")
    (tmp_path / "file").write_bytes(bytes(range(256)) * 4000)
    params = {"path": str(tmp_path / "file")}
    answer = client.get("/file", params=params, headers={"range": "bytes=256000-256511"})
    assert (answer.status_code, answer.content) == (206, bytes(range(256)) * 2)
    again = client.get("/file", params=params, headers={"if-none-match": answer.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")


def test_visits_are_counted_in_a_signed_cookie(client: httpx.Client) -> None:
    assert [client.get("/visit").json()["visits"] for _ in range(3)] == [1, 2, 3]
    client.cookies.clear()
    assert client.get("/visit").json() == {"visits": 1}


def test_several_cookies_are_set_and_come_back(client: httpx.Client) -> None:
    assert len(client.get("/cookies").headers.get_list("set-cookie")) == 2
    assert client.get("/cookies").json() == {"a": "1", "b": "2"}


def test_redirects_empty_answers_and_unknown_paths(client: httpx.Client) -> None:
    assert client.get("/redirect", follow_redirects=True).json()["hello"] == "again"
    assert client.delete("/nothing").status_code == 204
    assert client.get("/no/such/path").status_code == 404
    assert client.head("/no/such/path").content == b""


def test_an_error_is_a_500_and_the_next_request_is_served(client: httpx.Client) -> None:
    assert client.get("/error").status_code == 500  # both frameworks log it themselves
    assert client.get("/json", params={"name": "x"}).json()["hello"] == "x"


def test_an_error_in_the_middle_of_an_answer_is_seen(client: httpx.Client, errors: Any) -> None:
    errors.expect("GET /broken: the application raised ZeroDivisionError")
    with pytest.raises(httpx.RemoteProtocolError):
        client.get("/broken")


def test_threads_have_names_of_their_own_and_the_loop_has_none(client: httpx.Client, request: Any) -> None:
    name = client.get("/json", params={"name": "x"}).json()["thread"]
    inline = "inline" in request.node.name
    assert name.startswith("portway-serve" if inline else "portway-wsgi-")


def test_100_clients_leave_endless_streams_and_each_is_closed(
    client: httpx.Client, served: Served, framework: str, until: Until
) -> None:
    for crowd in range(20):
        keys = [f"{crowd}-{number}-of-{served.port}" for number in range(5)]
        raws = [Raw(served.host, served.port) for _ in keys]
        for key, raw in zip(keys, raws, strict=True):
            raw.send(f"GET /events?key={key} HTTP/1.1\r\nhost: a\r\n\r\n".encode())
        for raw in raws:
            assert raw.interim().status == 200
            raw.close()
        for key in keys:
            until("/events/left", key)
    assert client.get("/json", params={"name": "x"}).json()["hello"] == "x"
