"""The standard library's own judge of PEP 3333, around applications of every kind, over the wire."""

import io
import sys
from collections.abc import Callable, Iterator
from typing import Any
from wsgiref.simple_server import demo_app
from wsgiref.util import FileWrapper
from wsgiref.validate import validator

import pytest

Environ = dict[str, Any]
Fetch = Callable[..., Any]

PLAIN = [("Content-Type", "text/plain")]
BODY = b"one\ntwo\nthree" * 2000


def listed(environ: Environ, start_response: Any) -> Any:
    start_response("200 OK", PLAIN)
    return [b"hello ", b"world"]


def generated(environ: Environ, start_response: Any) -> Iterator[bytes]:
    start_response("200 OK", PLAIN)
    yield b"hello "
    yield b"world"


def written(environ: Environ, start_response: Any) -> Any:
    write = start_response("200 OK", PLAIN)
    write(b"hello ")
    return [b"world"]


def wrapped(environ: Environ, start_response: Any) -> Any:
    start_response("200 OK", PLAIN)
    return environ["wsgi.file_wrapper"](io.BytesIO(b"hello world"), 4)


def wrapped_by_the_standard_library(environ: Environ, start_response: Any) -> Any:
    start_response("200 OK", PLAIN)
    return FileWrapper(io.BytesIO(b"hello world"), 4)


def corrected(environ: Environ, start_response: Any) -> Any:
    start_response("200 OK", PLAIN)
    try:
        raise KeyError
    except KeyError:
        start_response("200 Well", PLAIN, sys.exc_info())
    return [b"hello world"]


def complaining(environ: Environ, start_response: Any) -> Any:
    errors = environ["wsgi.errors"]
    errors.write("")
    errors.writelines([""])
    errors.flush()
    return listed(environ, start_response)


@pytest.mark.parametrize(
    "app",
    [listed, generated, written, wrapped, wrapped_by_the_standard_library, corrected, complaining],
    ids=lambda app: app.__name__,
)
@pytest.mark.parametrize("method", ["GET", "HEAD", "POST", "DELETE", "OPTIONS"])
def test_pep_3333_is_kept(wsgi: Any, fetch: Fetch, app: Any, method: str, log: Any) -> None:
    with wsgi(validator(app)) as served:
        seen = fetch(served, method=method, path="/a%20b/%FF?c=d", headers=[("cookie", "a=1"), ("x-a", "b")])
    assert (seen.status, seen.cut) == (200, False)
    assert seen.body == (b"" if method == "HEAD" else b"hello world")
    assert log.errors == []


def read(source: Any) -> bytes:
    return source.read(len(BODY))  # type: ignore[no-any-return]


def read_in_blocks(source: Any) -> bytes:
    return b"".join(iter(lambda: source.read(1000), b""))


def read_in_lines(source: Any) -> bytes:
    return b"".join(iter(source.readline, b""))


def read_in_short_lines(source: Any) -> bytes:
    return b"".join(iter(lambda: source.readline(3), b""))


def read_all_lines(source: Any) -> bytes:
    return b"".join(source.readlines())


def read_some_lines(source: Any) -> bytes:
    return b"".join(b"".join(lines) for lines in iter(lambda: source.readlines(100), []))


def iterated(source: Any) -> bytes:
    return b"".join(source)


READERS = [read, read_in_blocks, read_in_lines, read_in_short_lines, read_all_lines, read_some_lines, iterated]


@pytest.mark.parametrize("reader", READERS, ids=lambda reader: reader.__name__)
def test_pep_3333_is_kept_by_the_input(wsgi: Any, fetch: Fetch, reader: Any, log: Any) -> None:
    def app(environ: Environ, start_response: Any) -> Any:
        found = reader(environ["wsgi.input"])
        start_response("200 OK", PLAIN)
        return [found]

    with wsgi(validator(app)) as served:
        seen = fetch(served, method="POST", body=BODY)
    assert (seen.status, seen.body == BODY) == (200, True)
    assert log.errors == []


@pytest.mark.parametrize("status", ["204 No Content", "304 Not Modified"])
def test_pep_3333_is_kept_without_content(wsgi: Any, fetch: Fetch, status: str, log: Any) -> None:
    def app(environ: Environ, start_response: Any) -> Any:
        start_response(status, [])
        return []

    with wsgi(validator(app)) as served:
        seen = fetch(served)
    assert (seen.status, seen.cut) == (int(status[:3]), False)
    assert log.errors == []


def test_the_star_of_options_passes_too(wsgi: Any, fetch: Fetch, log: Any) -> None:
    with wsgi(validator(listed)) as served:
        assert fetch(served, method="OPTIONS", path="*").body == b"hello world"
    assert log.errors == []


def test_below_a_prefix_too(wsgi: Any, fetch: Fetch, log: Any) -> None:
    with wsgi(validator(listed), root_path="/old") as served:
        assert fetch(served, path="/").body == b"hello world"
    assert log.errors == []


def test_the_demonstration_of_the_standard_library_runs(wsgi: Any, fetch: Fetch) -> None:
    with wsgi(validator(demo_app)) as served:
        assert fetch(served).body.startswith(b"Hello world!")
