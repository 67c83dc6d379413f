"""The examples work, by every route that they have."""

import hashlib
import importlib.util
import json
import ssl
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from portway.testing import Raw, Served, serve

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


# --- certs.py ---


def test_a_certificate_for_this_machine(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = tmp_path / "certs"
    script = load(EXAMPLES / "certs.py")
    script.main(folder)
    assert f"portway serve main:app --ssl-certfile {folder}/localhost.pem" in capsys.readouterr().out
    assert {stat.S_IMODE(file.stat().st_mode) for file in folder.glob("*.key")} == {0o600}
    before = (folder / "localhost.pem").read_bytes()
    context = ssl.create_default_context(cafile=str(folder / "ca.pem"))
    script.main(folder)  # the authority stays, so that it is trusted once
    assert (folder / "localhost.pem").read_bytes() != before
    files = {"ssl_certfile": str(folder / "localhost.pem"), "ssl_keyfile": str(folder / "localhost.key")}
    with serve(load(EXAMPLES / "hello" / "main.py").app, **files) as served:
        for name in ("localhost", "127.0.0.1", "::1"):
            with Raw(served.host, served.port, tls=context, name=name) as raw:
                assert raw.ask(b"GET /api/hello HTTP/1.1\r\nhost: a\r\n\r\n").status == 200
