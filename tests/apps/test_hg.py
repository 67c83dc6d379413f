"""Mercurial's hgweb, by hg."""

import random
import sys
from pathlib import Path
from typing import Any

import httpx
import pytest

DATA = random.Random(3).randbytes(3_000_000)
HG = str(Path(sys.executable).with_name("hg"))  # that of the same installation


@pytest.fixture
def url(site: Any, tool: Any, tmp_path: Path) -> str:
    """That of a repository with one commit in it, which lets everybody push."""
    repo = tmp_path / "repo"
    tool(HG, "init", "repo")
    (repo / ".hg" / "hgrc").write_text("[web]\nallow-push = *\npush_ssl = no\nallow-archive = zip\n")
    (repo / "readme").write_text("hello\n")
    tool(HG, "-R", "repo", "commit", "-q", "-A", "-m", "the first")
    return str(site("hg").url)


def test_hg_clones_and_pushes(url: str, tool: Any, tmp_path: Path) -> None:
    tool(HG, "clone", "-q", url, "clone")
    assert (tmp_path / "clone" / "readme").read_text() == "hello\n"
    (tmp_path / "clone" / "file").write_bytes(DATA)
    tool(HG, "-R", "clone", "commit", "-q", "-A", "-m", "a file")
    tool(HG, "-R", "clone", "push", "-q")
    tool(HG, "clone", "-q", url, "again")
    assert (tmp_path / "again" / "file").read_bytes() == DATA
    assert "no changes found" in tool(HG, "-R", "clone", "pull")


def test_its_pages_are_seen(url: str) -> None:
    page = httpx.get(f"{url}/log")
    assert page.status_code == 200
    assert "the first" in page.text
    archive = httpx.get(f"{url}/archive/tip.zip")
    assert archive.headers["content-type"] == "application/zip"
    assert archive.content.startswith(b"PK")
    assert httpx.get(f"{url}/static/style-paper.css").status_code == 200
    assert httpx.get(f"{url}/rev/absent").status_code == 404
