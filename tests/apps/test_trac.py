"""Trac, as a person meets it in a browser."""

import random
import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest

DATA = random.Random(4).randbytes(200_000)
ADMIN = str(Path(sys.executable).with_name("trac-admin"))


@pytest.fixture
def client(site: Any, tool: Any, ask: Callable[[str], httpx.Client]) -> httpx.Client:
    tool(ADMIN, "project", "initenv", "Example", "sqlite:db/trac.db")
    tool(ADMIN, "project", "permission", "add", "anonymous", "TRAC_ADMIN")
    return ask(site("trac").url)


def token(page: httpx.Response) -> str:
    found = re.search(r'name="__FORM_TOKEN"[^>]*value="(\w+)"', page.text)
    assert found is not None, page.text
    return found[1]


def test_pages_are_seen(client: httpx.Client) -> None:
    for path in ("/wiki", "/timeline", "/roadmap", "/report", "/newticket", "/admin/general/basics", "/about"):
        page = client.get(path, follow_redirects=True)
        assert page.status_code == 200, path
        assert page.text.rstrip().endswith("</html>")
    assert client.get("/absent").status_code == 404


def test_files_are_sent(client: httpx.Client) -> None:
    first = client.get("/chrome/common/css/trac.css")
    assert "@charset" in first.text or "body" in first.text
    assert len(first.content) == int(first.headers["content-length"])
    again = client.get("/chrome/common/css/trac.css", headers={"if-modified-since": first.headers["last-modified"]})
    assert again.status_code == 304


def test_a_ticket_is_filed_and_found(client: httpx.Client) -> None:
    form = client.get("/newticket")
    fields = {"__FORM_TOKEN": token(form), "field_summary": "Größe", "field_type": "defect", "submit": "Create ticket"}
    filed = client.post("/newticket", data=fields)
    assert filed.status_code in (302, 303), filed.text
    assert "/ticket/1" in filed.headers["location"]
    assert "Größe" in client.get("/ticket/1").text
    listed = client.get("/ticket/1", params={"format": "csv"})
    assert listed.headers["content-type"].startswith("text/csv")
    assert "Größe" in listed.text


def test_a_file_is_attached_and_comes_back(client: httpx.Client) -> None:
    form = client.get("/attachment/wiki/WikiStart/", params={"action": "new"})
    fields = {"__FORM_TOKEN": token(form), "action": "new", "realm": "wiki", "id": "WikiStart", "description": ""}
    answer = client.post("/attachment/wiki/WikiStart/", data=fields, files={"attachment": ("größe.bin", DATA)})
    assert answer.status_code in (302, 303), answer.text
    assert client.get("/raw-attachment/wiki/WikiStart/größe.bin").content == DATA
