"""dulwich's server, by git."""

import random
from pathlib import Path
from typing import Any

import pytest

DATA = random.Random(2).randbytes(3_000_000)


@pytest.fixture
def url(site: Any, tool: Any) -> str:
    """That of a repository with one commit in it."""
    tool("git", "init", "-q", "--bare", "repo")
    tool("git", "clone", "-q", "repo", "first")
    tool("git", "-C", "first", "commit", "-q", "--allow-empty", "-m", "the first")
    tool("git", "-C", "first", "push", "-q")
    return f"{site('git').url}/repo"


def commit(folder: Path, data: bytes, tool: Any) -> None:
    (folder / "file").write_bytes(data)
    tool("git", "-C", str(folder), "add", "file")
    tool("git", "-C", str(folder), "commit", "-q", "-m", "a file")


def test_git_clones(url: str, tool: Any, tmp_path: Path) -> None:
    tool("git", "clone", "-q", url, "clone")
    assert "the first" in tool("git", "-C", "clone", "log")


@pytest.mark.parametrize("version", ["HTTP/1.1", "HTTP/2"])
def test_git_pushes_three_megabytes_in_chunks(url: str, tool: Any, tmp_path: Path, version: str) -> None:
    tool("git", "config", "--global", "http.version", version)
    tool("git", "config", "--global", "http.postBuffer", "65536")  # what is larger is chunked
    tool("git", "clone", "-q", url, "clone")
    commit(tmp_path / "clone", DATA, tool)
    said = tool("git", "-C", "clone", "push", GIT_CURL_VERBOSE="1")
    assert "Transfer-Encoding: chunked" in said
    tool("git", "clone", "-q", url, "again")
    assert (tmp_path / "again" / "file").read_bytes() == DATA
    tool("git", "-C", "again", "fsck", "--strict")


def test_git_pushes_with_a_length_and_pulls(url: str, tool: Any, tmp_path: Path) -> None:
    tool("git", "config", "--global", "http.postBuffer", "10000000")
    tool("git", "clone", "-q", url, "clone")
    tool("git", "clone", "-q", url, "other")
    commit(tmp_path / "clone", DATA, tool)
    said = tool("git", "-C", "clone", "push", GIT_CURL_VERBOSE="1")
    assert "Content-Length: 30" in said
    tool("git", "-C", "other", "pull", "-q")
    assert (tmp_path / "other" / "file").read_bytes() == DATA


def test_a_shallow_clone_is_one(url: str, tool: Any, tmp_path: Path) -> None:
    for each in (b"one", b"two", b"three"):
        commit(tmp_path / "first", each, tool)
    tool("git", "-C", "first", "push", "-q", url, "main")
    tool("git", "clone", "-q", "--depth", "1", url, "clone")
    assert tool("git", "-C", "clone", "rev-list", "--count", "HEAD").strip() == "1"
