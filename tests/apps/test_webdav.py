"""WsgiDAV, by webdav4 and by requests that clients of WebDAV make."""

import hashlib
import random
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from webdav4.client import Client

DATA = random.Random(1).randbytes(3_000_000)
PROPFIND = b'<?xml version="1.0"?><propfind xmlns="DAV:"><prop><getcontentlength/></prop></propfind>'
LOCK = (
    b'<?xml version="1.0"?><lockinfo xmlns="DAV:"><lockscope><exclusive/></lockscope>'
    b"<locktype><write/></locktype><owner>ada</owner></lockinfo>"
)


@pytest.fixture
def client(site: Any, ask: Callable[[str], httpx.Client]) -> httpx.Client:
    return ask(site("dav").url)


def test_a_client_of_webdav_keeps_files(site: Any, tmp_path: Path) -> None:
    (tmp_path / "local").write_bytes(DATA)
    with httpx.Client(base_url=site("dav").url) as connection:
        client = Client(str(connection.base_url), http_client=connection)
        client.mkdir("größe")
        client.upload_file(tmp_path / "local", "größe/daten.bin")
        assert client.content_length("größe/daten.bin") == len(DATA)
        client.copy("größe/daten.bin", "copy.bin")
        client.move("copy.bin", "moved.bin")
        assert sorted(client.ls("/", detail=False)) == ["größe", "moved.bin"]
        client.download_file("moved.bin", tmp_path / "back")
        assert (tmp_path / "back").read_bytes() == DATA
        client.remove("größe")
        assert client.ls("/", detail=False) == ["moved.bin"]


def test_a_file_put_in_chunks_arrives_whole(client: httpx.Client) -> None:
    def pieces() -> Iterator[bytes]:
        for at in range(0, len(DATA), 50_000):
            yield DATA[at : at + 50_000]

    answer = client.put("/chunked.bin", content=pieces())
    assert answer.status_code == 201
    assert hashlib.sha256(client.get("/chunked.bin").content).digest() == hashlib.sha256(DATA).digest()


def test_a_part_of_a_file_is_had(client: httpx.Client) -> None:
    client.put("/file.bin", content=DATA)
    answer = client.get("/file.bin", headers={"range": "bytes=1000000-1999999"})
    assert answer.status_code == 206
    assert answer.content == DATA[1_000_000:2_000_000]
    assert client.head("/file.bin").headers["content-length"] == str(len(DATA))


def test_properties_are_found(client: httpx.Client) -> None:
    for name in ("one", "two", "drei ß"):
        client.put(f"/{name}", content=name.encode())
    answer = client.request("PROPFIND", "/", headers={"depth": "1"}, content=PROPFIND)
    assert answer.status_code == 207
    assert answer.text.count("<D:response>") == 4 or answer.text.count("response>") == 8
    assert "/drei%20%C3%9F" in answer.text
    assert client.options("/").headers["dav"].startswith("1,2")


def test_a_locked_file_is_written_by_its_owner_alone(client: httpx.Client) -> None:
    client.put("/file", content=b"before")
    token = client.request("LOCK", "/file", content=LOCK).headers["lock-token"]
    assert client.put("/file", content=b"after").status_code == 423
    assert client.put("/file", content=b"after", headers={"if": f"({token})"}).status_code == 204
    assert client.request("UNLOCK", "/file", headers={"lock-token": token}).status_code == 204
    assert client.get("/file").content == b"after"
