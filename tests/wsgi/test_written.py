"""What `write` brings comes between the pieces that it was written between, on threads and inline."""

from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from portway import WSGI
from portway.testing import serve


@pytest.mark.parametrize("length", [True, False], ids=["declared", "not declared"])
@pytest.mark.parametrize("threads", [1, 0], ids=["threads", "inline"])
def test_a_generator_may_write(threads: int, length: bool) -> None:
    def app(environ: dict[str, Any], start_response: Any) -> Iterator[bytes]:
        write = start_response("200 OK", [("Content-Length", "5")] if length else [])
        write(b"1")
        yield b""
        write(b"2")
        yield b"3"
        yield b"4"
        write(b"5")

    with serve(WSGI(app, threads=threads)) as served:
        assert httpx.get(served.url).content == b"12345"


@pytest.mark.parametrize("threads", [1, 0], ids=["threads", "inline"])
def test_a_generator_may_only_write(threads: int) -> None:
    def app(environ: dict[str, Any], start_response: Any) -> Iterator[bytes]:
        start_response("200 OK", [])(b"all of it")
        yield from ()

    with serve(WSGI(app, threads=threads)) as served:
        assert httpx.get(served.url).content == b"all of it"


@pytest.mark.parametrize("threads", [1, 0], ids=["threads", "inline"])
def test_what_is_written_comes_before_the_piece_that_makes_the_content_whole(threads: int) -> None:
    def app(environ: dict[str, Any], start_response: Any) -> Iterator[bytes]:
        write = start_response("200 OK", [("Content-Length", "2")])
        write(b"1")
        yield b"2"

    with serve(WSGI(app, threads=threads)) as served:
        assert httpx.get(served.url).content == b"12"
