"""`wsgi.file_wrapper`: files as they are, from where they stand, and closed (PEP 3333, ASGI 57, 59)."""

import contextlib
import gzip
import io
import os
import tempfile
import threading
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from portway.testing import Raw, serve
from portway.types import Message, Receive, Scope, Send
from portway.wsgi import WSGI
from portway.wsgi.files import FileWrapper, region_of

Environ = dict[str, Any]
Fetch = Callable[..., Any]

DATA = b"".join(b"%07d\n" % number for number in range(50_000))  # 400 KB


class Sends:
    """Gives the application's server the extension for files, by reading them."""

    def __init__(self, app: Any) -> None:
        self.app = app
        self.sent = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def sends(message: Message) -> None:
            if message["type"] == "http.response.zerocopysend":
                self.sent += 1
                data = os.pread(message["file"], message["count"], message["offset"])
                await send({"type": "http.response.body", "body": data, "more_body": message["more_body"]})
            else:
                await send(message)

        if scope["type"] == "http":
            scope["extensions"] = {**scope.get("extensions", {}), "http.response.zerocopysend": {}}
        await self.app(scope, receive, sends)


def reads(app: Any) -> Any:
    """Takes the extension for files away from the application's server."""

    async def outer(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            scope["extensions"] = {}
        await app(scope, receive, send)

    return outer


@pytest.fixture(params=["read", "handed over", "sent by us"])
def wsgi(mode: str, request: pytest.FixtureRequest) -> Callable[..., serve]:
    """Servers that read files, and servers that are handed them: one that tells what it gets, and our own."""
    threads = 2 if mode == "threads" else 0
    outer = {"read": reads, "handed over": Sends, "sent by us": lambda app: app}[request.param]
    return lambda app, **settings: serve(outer(WSGI(app, threads=threads)), **settings)


def test_our_server_sends_the_file_and_nobody_reads_it(mode: str, path: Path, fetch: Fetch) -> None:
    with path.open("rb") as file, contextlib.closing(os.fdopen(os.dup(file.fileno()), "rb")) as same:

        def app(environ: Environ, start_response: Any) -> Any:
            start_response("200 OK", [("content-type", "text/plain")])
            return environ["wsgi.file_wrapper"](file)

        with serve(WSGI(app, threads=2 if mode == "threads" else 0)) as served:
            seen = fetch(served)
        assert seen.body == DATA
        assert os.lseek(same.fileno(), 0, os.SEEK_CUR) == 0  # a reader would have moved it


@pytest.fixture
def path(tmp_path: Path) -> Path:
    (tmp_path / "data").write_bytes(DATA)
    return tmp_path / "data"


class Kept:
    """An application that gives a file, and keeps it to see whether it was closed."""

    def __init__(self, open_: Callable[[], Any], headers: Any = (), size: tuple[int, ...] = ()) -> None:
        self.open = open_
        self.headers = list(headers)
        self.size = size
        self.files: list[Any] = []

    def __call__(self, environ: Environ, start_response: Any) -> Any:
        self.files.append(self.open())
        start_response("200 OK", self.headers)
        return environ["wsgi.file_wrapper"](self.files[-1], *self.size)


def open_files() -> list[str]:
    """What this process holds open of the disk."""
    found = []
    for each in os.listdir("/proc/self/fd"):
        with contextlib.suppress(OSError):
            found.append(os.readlink(f"/proc/self/fd/{each}"))
    return sorted(name for name in found if name.startswith("/"))


def given(wsgi: Any, fetch: Fetch, app: Kept, method: str = "GET") -> Any:
    """What a client sees of the file; nothing of it stays open."""
    before = open_files()
    with wsgi(app) as served:
        for _ in range(2):
            seen = fetch(served, method=method)
    assert all(file.closed for file in app.files)
    assert open_files() == before
    return seen


def at(path: Path, offset: int, **rest: Any) -> Callable[[], Any]:
    def opened() -> Any:
        file = open(path, "rb", **rest)  # noqa: SIM115
        file.seek(offset)
        return file

    return opened


@pytest.mark.parametrize("offset", [0, 12_345, len(DATA), len(DATA) + 10])
@pytest.mark.parametrize("buffering", [-1, 0])
def test_a_file_is_given_from_where_it_stands(
    wsgi: Any, fetch: Fetch, path: Path, offset: int, buffering: int, log: Any
) -> None:
    seen = given(wsgi, fetch, Kept(at(path, offset, buffering=buffering)))
    assert (seen.status, seen.cut) == (200, False)
    assert seen.body == DATA[offset:]
    assert log.errors == []


def test_a_file_that_was_read_of_is_given_from_there(wsgi: Any, fetch: Fetch, path: Path) -> None:
    def opened() -> Any:
        file = open(path, "rb")  # noqa: SIM115
        file.readline()  # has read ahead
        return file

    assert given(wsgi, fetch, Kept(opened)).body == DATA[8:]


@pytest.mark.parametrize("declared", [100, len(DATA)])
def test_no_more_of_a_file_is_given_than_is_declared(  # as Whitenoise gives ranges
    wsgi: Any, fetch: Fetch, path: Path, declared: int, log: Any
) -> None:
    seen = given(wsgi, fetch, Kept(at(path, 0), [("content-length", str(declared))]))
    assert (seen.header("content-length"), seen.cut) == (str(declared), False)
    assert seen.body == DATA[:declared]


def test_a_file_that_is_shorter_than_declared_aborts(wsgi: Any, fetch: Fetch, path: Path, log: Any) -> None:
    app = Kept(at(path, 0), [("content-length", str(len(DATA) + 7))])
    with wsgi(app) as served:
        seen = fetch(served)
    assert seen.cut
    assert DATA.startswith(seen.body)  # a reset may overtake what was sent
    assert app.files[0].closed
    assert "ended 7 bytes short" in log.error


@pytest.mark.parametrize(("open_", "handed"), [(partial(open, mode="rb"), 1), (lambda path: io.BytesIO(DATA), 0)])
def test_a_server_that_sends_files_is_handed_plain_ones(mode: str, path: Path, open_: Any, handed: int) -> None:
    sends = Sends(WSGI(Kept(lambda: open_(path)), threads=2 if mode == "threads" else 0))
    with serve(sends) as served, Raw(served.host, served.port) as raw:
        response = raw.ask(b"GET / HTTP/1.1\r\nhost: a\r\n\r\n")
    assert sends.sent == handed
    assert response.header("content-length") == (str(len(DATA)) if handed else None)
    assert response.body == DATA


def test_an_empty_file_is_an_empty_response(wsgi: Any, fetch: Fetch, tmp_path: Path, log: Any) -> None:
    (tmp_path / "empty").touch()
    seen = given(wsgi, fetch, Kept(at(tmp_path / "empty", 0)))
    assert (seen.status, seen.body, seen.cut) == (200, b"", False)
    assert log.errors == []


def test_head_of_a_file_has_no_content(wsgi: Any, fetch: Fetch, path: Path, log: Any) -> None:
    app = Kept(at(path, 0), [("content-length", str(len(DATA)))])
    seen = given(wsgi, fetch, app, method="HEAD")
    assert (seen.status, seen.header("content-length"), seen.body) == (200, str(len(DATA)), b"")
    assert log.errors == []


def memory(path: Path) -> Any:
    return io.BytesIO(DATA)


def spooled(path: Path) -> Any:
    file = tempfile.SpooledTemporaryFile(1_000_000)  # noqa: SIM115
    file.write(DATA)
    file.seek(0)
    return file


def temporary(path: Path) -> Any:
    file = tempfile.NamedTemporaryFile()  # noqa: SIM115
    file.write(DATA)
    file.seek(0)
    return file


def unpacked(path: Path) -> Any:
    packed = path.with_suffix(".gz")
    if not packed.exists():
        packed.write_bytes(gzip.compress(DATA))
    return gzip.open(packed)


class Upper(io.FileIO):
    """A file that reads otherwise than its descriptor does."""

    def read(self, size: int | None = -1) -> bytes:
        return super().read(-1 if size is None else size).replace(b"0", b"x")


class Decoding:
    """Another, which holds a plain one."""

    def __init__(self, path: Path) -> None:
        self.file = open(path, "rb")  # noqa: SIM115

    @property
    def closed(self) -> bool:
        return self.file.closed

    def __getattr__(self, name: str) -> Any:
        return getattr(self.file, name)

    def read(self, size: int = -1) -> bytes:
        return self.file.read(size).replace(b"0", b"x")


@pytest.mark.parametrize(
    ("open_", "data"),
    [
        (memory, DATA),
        (spooled, DATA),
        (temporary, DATA),
        (unpacked, DATA),
        (Upper, DATA.replace(b"0", b"x")),
        (Decoding, DATA.replace(b"0", b"x")),
    ],
)
@pytest.mark.parametrize("size", [(), (1000,)])
def test_what_is_given_is_what_read_gives(
    wsgi: Any, fetch: Fetch, path: Path, open_: Any, data: bytes, size: tuple[int, ...], log: Any
) -> None:
    seen = given(wsgi, fetch, Kept(lambda: open_(path), size=size))
    assert (seen.body, seen.cut) == (data, False)
    assert log.errors == []


def pipe() -> Any:
    reading, writing = os.pipe()
    with open(writing, "wb") as file:
        file.write(DATA[:5000])
    return open(reading, "rb")


@pytest.mark.parametrize("headers", [[], [("content-length", "5000")], [("content-length", "100")]])
def test_a_pipe_is_read_to_its_end(wsgi: Any, fetch: Fetch, headers: Any) -> None:
    seen = given(wsgi, fetch, Kept(pipe, headers))
    assert (seen.body, seen.cut) == (DATA[: int(headers[0][1]) if headers else 5000], False)


@pytest.mark.skipif(not os.path.exists("/proc/version"), reason="there is no /proc")
def test_what_is_said_to_be_empty_is_read(wsgi: Any, fetch: Fetch) -> None:
    seen = given(wsgi, fetch, Kept(at(Path("/proc/version"), 0)))
    assert seen.body == Path("/proc/version").read_bytes()


def test_something_that_only_reads_is_enough(wsgi: Any, fetch: Fetch) -> None:  # PEP 3333
    class Bare:
        def __init__(self) -> None:
            self.rest = [b"ab", b"cd"]

        def read(self, size: int) -> bytes:
            return self.rest.pop(0) if self.rest else b""

    def app(environ: Environ, start_response: Any) -> Any:
        start_response("200 OK", [])
        return environ["wsgi.file_wrapper"](Bare(), 10)

    with wsgi(app) as served:
        assert fetch(served).body == b"abcd"
    assert not hasattr(FileWrapper(Bare()), "close")


def test_over_tls_a_file_is_the_same(wsgi: Any, path: Path, localhost: dict[str, str], authority: Any) -> None:
    with (
        wsgi(Kept(at(path, 9)), **localhost) as served,
        Raw(served.host, served.port, tls=authority.context()) as raw,
    ):
        for _ in range(2):
            assert raw.ask(b"GET / HTTP/1.1\r\nhost: a\r\n\r\n").body == DATA[9:]


def test_after_write_the_file_is_the_rest(wsgi: Any, fetch: Fetch, path: Path) -> None:
    def app(environ: Environ, start_response: Any) -> Any:
        start_response("200 OK", [])(b"first ")
        return environ["wsgi.file_wrapper"](open(path, "rb"))

    with wsgi(app) as served:
        assert fetch(served).body == b"first " + DATA


def test_a_wrapper_within_another_iterable_is_iterated(wsgi: Any, fetch: Fetch, path: Path) -> None:
    def app(environ: Environ, start_response: Any) -> Iterator[bytes]:
        start_response("200 OK", [])
        with open(path, "rb") as file:
            yield from environ["wsgi.file_wrapper"](file, 10_000)

    with wsgi(app) as served:
        assert fetch(served).body == DATA


def test_a_file_that_is_closed_already_is_an_error(wsgi: Any, fetch: Fetch, path: Path, log: Any) -> None:
    def app(environ: Environ, start_response: Any) -> Any:
        start_response("200 OK", [])
        with open(path, "rb") as file:
            return environ["wsgi.file_wrapper"](file)

    with wsgi(app) as served:
        assert fetch(served).status == 500
    assert "ValueError" in log.error


def test_who_goes_within_a_file_leaves_nothing_open(wsgi: Any, reset: Any, tmp_path: Path) -> None:
    with open(tmp_path / "large", "wb") as file:
        file.truncate(50_000_000)
    closed = threading.Semaphore(0)

    def app(environ: Environ, start_response: Any) -> Any:
        start_response("200 OK", [])
        file = open(tmp_path / "large", "rb")  # noqa: SIM115
        wrapper = environ["wsgi.file_wrapper"](file)
        wrapper.close = lambda: (file.close(), closed.release())
        return wrapper

    with wsgi(app) as served:
        for _ in range(5):
            raw = Raw(served.host, served.port)
            raw.send(b"GET / HTTP/1.1\r\nhost: a\r\n\r\n")
            raw.exactly(100)
            reset(raw)
            assert closed.acquire(timeout=20)
    assert not [name for name in open_files() if name.endswith("/large")]


# --- what can be handed over ---


def test_a_plain_file_can_be_handed_over(path: Path) -> None:
    with open(path, "rb") as file:
        file.seek(10)
        for most, size in ((None, len(DATA) - 10), (5, 5), (10**9, len(DATA) - 10), (0, 0)):
            region = region_of(FileWrapper(file), most)
            assert region is not None
            os.close(region.descriptor)
            assert region.descriptor != file.fileno()
            assert (region.offset, region.size) == (10, size)


@pytest.mark.parametrize("open_", [memory, spooled, unpacked, Upper, Decoding, lambda path: pipe(), Path.open])
def test_what_reads_otherwise_cannot(path: Path, open_: Any) -> None:
    file = open_(path)
    assert region_of(FileWrapper(file), None) is None
    file.close()


def test_without_a_descriptor_left_it_is_read(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def none_left(number: int) -> int:
        raise OSError(24, "Too many open files")

    monkeypatch.setattr(os, "dup", none_left)
    with open(path, "rb") as file:
        assert region_of(FileWrapper(file), None) is None
