"""Files as responses: `http.response.pathsend` and `http.response.zerocopysend` (ASGI 56, 57)."""

import asyncio
import hashlib
import os
import random
import select
import socket
import struct
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import portway
from portway.testing import Raw, Response, serve
from portway.types import ASGIApp, Receive, Scope, Send

pytestmark = pytest.mark.parametrize("loop", ["uvloop", "asyncio"])

GET = b"GET / HTTP/1.1\r\nhost: a\r\n\r\n"
HEAD = GET.replace(b"GET", b"HEAD")
OLD = b"GET / HTTP/1.0\r\n\r\n"
OK = {"type": "http.response.start", "status": 200}
MORE = {"type": "http.response.body", "body": b"<", "more_body": True}
LAST = {"type": "http.response.body", "body": b">"}
PATHSEND = "http.response.pathsend"
ZEROCOPYSEND = "http.response.zerocopysend"

SIZES = [0, 1, 5000, 64 * 1024, 300_000, 3 * 1024 * 1024 + 17]
BIG = 50 * 1024 * 1024


def length(size: int) -> dict[str, Any]:
    return OK | {"headers": [(b"content-length", b"%d" % size)]}


def sends(*messages: Any) -> ASGIApp:
    """An application that sends these."""

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        for message in messages:
            await send(message)

    return app


def sends_path(path: Path | str, start: dict[str, Any] = OK) -> ASGIApp:
    return sends(start, {"type": PATHSEND, "path": str(path)})


def content(size: int) -> bytes:
    return random.Random(size).randbytes(size)


def reset(raw: Raw) -> None:
    """Go as a crashed client does."""
    raw.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    raw.close()


def body_of(raw: Raw) -> bytes:
    """The body of a response with a content-length; large ones, too, are read in no time."""
    head = raw.interim()
    assert head.status == 200
    body = bytearray(raw.exactly(len(raw._kept)))
    size = int(head.header("content-length") or 0)
    while len(body) < size:
        body += raw.socket.recv(min(1 << 20, size - len(body))) or b"the end" * size
    return bytes(body)


def descriptors() -> set[str]:
    """Those of this process that lead to files and sockets, and where."""
    found = set()
    for number in os.listdir("/proc/self/fd"):
        try:
            found.add(os.readlink(f"/proc/self/fd/{number}"))
        except OSError:
            continue
    return found


@pytest.fixture
def file(tmp_path: Path) -> Callable[[int], Path]:
    """Make a file of this size."""

    def make(size: int) -> Path:
        path = tmp_path / f"file-{size}"
        path.write_bytes(content(size))
        return path

    return make


@pytest.fixture(scope="module")
def big(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """50 MiB."""
    path = tmp_path_factory.mktemp("big") / "file"
    path.write_bytes(content(BIG))
    yield path
    path.unlink()


Make = Callable[[int], Path]


# --- whole files ---


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("declared", [True, False])
def test_a_path_is_sent(loop: str, file: Make, size: int, declared: bool) -> None:  # ASGI 56
    app = sends_path(file(size), length(size) if declared else OK)
    with serve(app, lifespan="off", loop=loop) as served, Raw(served.host, served.port) as raw:
        for _ in range(3):
            response = raw.ask(GET)
            assert (response.status, response.header("content-length")) == (200, str(size))
            assert response.header("transfer-encoding") is None
            assert response.body == content(size)


@pytest.mark.parametrize("size", SIZES)
def test_an_old_client_gets_the_file_too(loop: str, file: Make, size: int) -> None:  # ASGI 56, 57
    with open(file(size), "rb") as opened:
        both = (
            {"type": PATHSEND, "path": opened.name},
            {"type": ZEROCOPYSEND, "file": opened.fileno(), "offset": 0},
        )
        for message in both:
            with serve(sends(OK, message), lifespan="off", loop=loop) as served, Raw(served.host, served.port) as raw:
                assert raw.ask(OLD).body == content(size)
                assert raw.rest() == b""


def test_an_old_client_reads_to_the_end_where_no_length_is_known(loop: str, file: Make) -> None:  # ASGI 57
    with open(file(3_000_000), "rb") as opened:
        message = {"type": ZEROCOPYSEND, "file": opened.fileno(), "offset": 0}
        app = sends(OK, MORE, message | {"more_body": True}, message)
        with serve(app, lifespan="off", loop=loop) as served, Raw(served.host, served.port) as raw:
            response = raw.ask(OLD)
        assert response.header("content-length") is None
        assert response.body == b"<" + content(3_000_000) * 2


def test_a_large_file_is_the_same_on_the_other_side(loop: str, big: Path) -> None:  # ASGI 56
    with serve(sends_path(big), lifespan="off", loop=loop) as served, Raw(served.host, served.port) as raw:
        raw.send(GET * 2)
        for _ in range(2):
            assert hashlib.sha256(body_of(raw)).digest() == hashlib.sha256(content(BIG)).digest()


@pytest.mark.parametrize("secure", [True, False])
@pytest.mark.parametrize("kind", [PATHSEND, ZEROCOPYSEND])
@pytest.mark.parametrize("size", [0, 5000, 3_000_000])
def test_it_is_sent_by_http2(
    loop: str, file: Make, dial: Any, localhost: Any, authority: Any, size: int, kind: str, secure: bool
) -> None:  # ASGI 56, 57
    with open(file(size), "rb") as opened:
        message = {"type": kind, "path": opened.name, "file": opened, "offset": 0}
        settings = localhost if secure else {}
        tls = authority.context() if secure else None
        app = sends(OK, message)
        with serve(app, lifespan="off", loop=loop, **settings) as served, dial(served, tls=tls) as client:
            streams = [client.begin() for _ in range(3)]
            for answer in map(client.answer, streams):
                assert (answer.status, answer.header("content-length")) == (200, str(size))
                assert answer.body == content(size)


@pytest.mark.parametrize("size", SIZES)
def test_it_is_sent_over_tls(loop: str, file: Make, localhost: Any, authority: Any, size: int) -> None:  # ASGI 56
    with (
        serve(sends_path(file(size)), lifespan="off", loop=loop, **localhost) as served,
        Raw(served.host, served.port, tls=authority.context()) as raw,
    ):
        for _ in range(2):
            assert raw.ask(GET).body == content(size)


def test_it_is_sent_through_a_unix_socket(loop: str, file: Make, tmp_path: Path) -> None:  # ASGI 56
    path = str(tmp_path / "s")
    app = sends_path(file(3_000_000))
    with serve(app, lifespan="off", loop=loop, uds=path), socket.socket(socket.AF_UNIX) as client:
        client.settimeout(20)
        client.connect(path)
        client.sendall(GET.replace(b"\r\n\r\n", b"\r\nconnection: close\r\n\r\n"))
        found = b""
        while data := client.recv(1 << 16):
            found += data
    assert found.endswith(content(3_000_000))


def test_the_extensions_are_offered_to_every_request(loop: str) -> None:  # ASGI 9, 56, 57
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        body = ",".join(sorted(scope["extensions"])).encode()
        await send(OK)
        await send(LAST | {"body": body})

    with serve(app, lifespan="off", loop=loop) as served:
        for request in (GET, OLD):
            with Raw(served.host, served.port) as raw:
                assert raw.ask(request).body.endswith(b"http.response.pathsend,http.response.zerocopysend")


def test_a_file_that_the_disk_has_yet_to_bring_is_the_same(loop: str, file: Make) -> None:  # ASGI 56
    path = file(5_000_000)
    with open(path, "rb") as opened:
        os.fsync(opened.fileno())
        with serve(sends_path(path), lifespan="off", loop=loop) as served, Raw(served.host, served.port) as raw:
            for piece in (0, 2_000_000):
                os.posix_fadvise(opened.fileno(), piece, 0, os.POSIX_FADV_DONTNEED)
                raw.send(GET)
                assert body_of(raw) == content(5_000_000)


@pytest.mark.parametrize("secure", [True, False])
def test_others_have_their_turn_while_a_file_is_sent(
    loop: str, big: Path, localhost: Any, authority: Any, secure: bool
) -> None:  # ASGI 2, 56
    turns = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        running = asyncio.get_running_loop()

        def turn() -> None:
            turns.append(turn)
            if not sending.done():
                running.call_soon(turn)

        await send(OK)
        sending = asyncio.ensure_future(send({"type": PATHSEND, "path": str(big)}))
        running.call_soon(turn)
        await sending

    tls = authority.context() if secure else None
    settings = localhost if secure else {}
    with (
        serve(app, lifespan="off", loop=loop, **settings) as served,
        Raw(served.host, served.port, tls=tls) as raw,
    ):
        raw.send(GET)
        assert len(body_of(raw)) == BIG
    assert len(turns) >= BIG // (1024 * 1024)


# --- pieces of files ---


@pytest.mark.parametrize("size", [5000, 3_000_000])
@pytest.mark.parametrize(
    ("offset", "count"),
    [(None, None), (0, None), (7, None), (7, 100), (0, 0), (4990, 10), (4990, None), (1000, 2500)],
)
def test_offset_and_count_choose_a_piece(
    loop: str, file: Make, size: int, offset: int | None, count: int | None
) -> None:  # ASGI 57
    start = offset or 0
    with open(file(size), "rb") as opened:
        message: dict[str, Any] = {"type": ZEROCOPYSEND, "file": opened}
        message |= {} if offset is None else {"offset": offset}
        message |= {} if count is None else {"count": count}
        with serve(sends(OK, message), lifespan="off", loop=loop) as served, Raw(served.host, served.port) as raw:
            assert raw.ask(GET).body == content(size)[start : None if count is None else start + count]
        assert not opened.closed
        os.fstat(opened.fileno())  # it is open


@pytest.mark.parametrize(("offset", "count"), [(5000, None), (6000, None), (6000, 10), (4000, 5000), (1 << 62, 1)])
def test_beyond_the_end_of_a_file_there_is_nothing(
    loop: str, file: Make, offset: int, count: int | None
) -> None:  # ASGI 57
    with open(file(5000), "rb") as opened:
        message = {"type": ZEROCOPYSEND, "file": opened.fileno(), "offset": offset, "count": count}
        with serve(sends(OK, message), lifespan="off", loop=loop) as served, Raw(served.host, served.port) as raw:
            assert raw.ask(GET).body == content(5000)[offset:]


@pytest.mark.parametrize("declared", [True, False])
def test_files_and_bodies_may_be_mixed(loop: str, file: Make, declared: bool) -> None:  # ASGI 57
    size = 1_500_000
    whole = b"<" + content(size)[100_000:600_000] + b"<" + content(size) + content(size)[:3] + b">"
    with open(file(size), "rb") as opened:
        piece = {"type": ZEROCOPYSEND, "file": opened.fileno(), "more_body": True}
        app = sends(
            length(len(whole)) if declared else OK,
            MORE,
            piece | {"offset": 100_000, "count": 500_000},
            MORE,
            piece | {"offset": 0},
            piece | {"offset": 0, "count": 3},
            LAST,
        )
        with serve(app, lifespan="off", loop=loop) as served, Raw(served.host, served.port) as raw:
            for _ in range(2):
                assert raw.ask(GET).body == whole


@pytest.mark.parametrize("buffered", [True, False])
def test_without_an_offset_it_goes_on_where_the_file_stands(loop: str, file: Make, buffered: bool) -> None:  # ASGI 57
    size = 1_000_000
    places = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        with open(file(size), "rb") as opened:
            its = opened if buffered else opened.fileno()
            piece = {"type": ZEROCOPYSEND, "file": its, "count": 300_000, "more_body": True}
            first = opened.read(10) if buffered else os.read(opened.fileno(), 10)
            await send(OK)
            await send(MORE | {"body": first})
            await send(piece)
            await send(piece)
            places.append(opened.tell() if buffered else os.lseek(opened.fileno(), 0, os.SEEK_CUR))
            await send(piece | {"count": None, "more_body": False})

    with serve(app, lifespan="off", loop=loop) as served, Raw(served.host, served.port) as raw:
        assert raw.ask(GET).body == content(size)
    assert places == [600_010]


def test_trailers_follow_a_file(loop: str, file: Make) -> None:  # ASGI 54, 56
    app = sends(
        OK | {"trailers": True},
        {"type": PATHSEND, "path": str(file(300_000))},
        {"type": "http.response.trailers", "headers": [(b"x-sum", b"1")]},
    )
    with serve(app, lifespan="off", loop=loop) as served, Raw(served.host, served.port) as raw:
        for _ in range(2):
            response = raw.ask(b"GET / HTTP/1.1\r\nhost: a\r\nte: trailers\r\n\r\n")
            assert (response.body, response.trailers) == (content(300_000), [("x-sum", "1")])


# --- responses without a body ---


@pytest.mark.parametrize("size", [0, 5000, 3_000_000])
def test_head_brings_what_get_would_without_the_body(loop: str, file: Make, size: int) -> None:  # ASGI 30, 56
    with serve(sends_path(file(size)), lifespan="off", loop=loop) as served, Raw(served.host, served.port) as raw:
        for _ in range(2):
            raw.send(HEAD)
            response = raw.response(head_only=True)
            assert (response.status, response.header("content-length")) == (200, str(size))
            assert raw.ask(GET).body == content(size)


@pytest.mark.parametrize("status", [204, 304])
@pytest.mark.parametrize("kind", [PATHSEND, ZEROCOPYSEND])
def test_where_there_is_no_body_no_file_is_asked_for(
    loop: str, ask: Callable[..., Response], status: int, kind: str
) -> None:  # ASGI 30
    message = {"type": kind, "path": "/nowhere/at/all", "file": 1 << 20}
    response = ask(sends(OK | {"status": status}, message), lifespan="off", loop=loop)
    assert (response.status, response.body) == (status, b"")


# --- what cannot be sent ---


def wrong(kind: str, folder: Path) -> tuple[str, str]:
    """A path that cannot be sent, and why."""
    path = folder / kind
    if kind == "directory":
        path.mkdir()
        return str(path), "Is a directory"
    if kind == "FIFO":
        os.mkfifo(path)
        return str(path), "Not a regular file"
    if kind == "device":
        return "/dev/zero", "Not a regular file"
    if kind == "loop":
        path.symlink_to(path)
        return str(path), "symbolic links"
    return str(path), "No such file"


@pytest.mark.parametrize("method", [GET, HEAD])
@pytest.mark.parametrize("kind", ["missing", "directory", "FIFO", "device", "loop"])
def test_a_file_that_cannot_be_opened_is_a_500_and_the_log_says_why(
    loop: str, tmp_path: Path, log: Any, kind: str, method: bytes
) -> None:  # ASGI 26, 56
    path, why = wrong(kind, tmp_path)
    with serve(sends_path(path), lifespan="off", loop=loop) as served, Raw(served.host, served.port) as raw:
        raw.send(method)
        assert raw.interim().status == 500
    assert [word for word in (PATHSEND, path, why) if word not in log.error] == []


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_file_that_may_not_be_read_is_a_500(loop: str, file: Make, log: Any) -> None:  # ASGI 56
    path = file(10)
    path.chmod(0)
    with serve(sends_path(path), lifespan="off", loop=loop) as served, Raw(served.host, served.port) as raw:
        assert raw.ask(GET).status == 500
    assert "Permission denied" in log.error


def test_the_application_may_answer_otherwise_when_a_file_is_not_there(loop: str, log: Any) -> None:  # ASGI 56
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await send(OK)
        with pytest.raises(portway.MessageError, match="No such file") as caught:
            await send({"type": PATHSEND, "path": "/nowhere"})
        assert isinstance(caught.value.__cause__, FileNotFoundError)
        await send(LAST)

    with serve(app, lifespan="off", loop=loop) as served, Raw(served.host, served.port) as raw:
        assert raw.ask(GET).body == b">"
    assert log.errors == []


@pytest.mark.parametrize(
    ("message", "words"),
    [
        ({"type": PATHSEND}, ["path", "missing"]),
        ({"type": PATHSEND, "path": None}, ["path", "str", "None"]),
        ({"type": PATHSEND, "path": b"/etc/passwd"}, ["path", "str", "passwd"]),
        ({"type": PATHSEND, "path": ""}, ["path"]),
        ({"type": PATHSEND, "path": "/etc\0passwd"}, ["path"]),
        ({"type": ZEROCOPYSEND}, ["file", "missing"]),
        ({"type": ZEROCOPYSEND, "file": None}, ["file", "fileno"]),
        ({"type": ZEROCOPYSEND, "file": "/etc/passwd"}, ["file", "fileno"]),
        ({"type": ZEROCOPYSEND, "file": True}, ["file", "fileno"]),
        ({"type": ZEROCOPYSEND, "file": -1}, ["file"]),
        ({"type": ZEROCOPYSEND, "file": 1 << 20}, ["Bad file descriptor"]),
        ({"type": ZEROCOPYSEND, "file": 1 << 80}, ["file"]),
        ({"type": ZEROCOPYSEND, "file": 0, "offset": -1}, ["offset", "-1"]),
        ({"type": ZEROCOPYSEND, "file": 0, "offset": "1"}, ["offset", "'1'"]),
        ({"type": ZEROCOPYSEND, "file": 0, "offset": 1 << 63}, ["offset"]),
        ({"type": ZEROCOPYSEND, "file": 0, "count": 1.5}, ["count", "1.5"]),
        ({"type": ZEROCOPYSEND, "file": 0, "count": True}, ["count", "True"]),
        ({"type": ZEROCOPYSEND, "file": 0, "more_body": 1}, ["more_body", "bool"]),
    ],
)
def test_a_wrong_message_says_what_is_wrong(
    loop: str, log: Any, message: dict[str, Any], words: list[str]
) -> None:  # ASGI 5, 56, 57
    with serve(sends(OK, message), lifespan="off", loop=loop) as served, Raw(served.host, served.port) as raw:
        assert raw.ask(GET).status == 500
    assert [word for word in (message["type"], *words) if word not in log.error] == []


@pytest.mark.parametrize("messages", [[], [OK, MORE], [OK, LAST]])
def test_a_path_is_the_whole_body_or_none_of_it(loop: str, file: Make, messages: list[Any]) -> None:  # ASGI 5, 56
    seen: list[str] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        for message in messages:
            await send(message)
        with pytest.raises(portway.MessageError, match="out of order"):
            await send({"type": PATHSEND, "path": str(file(10))})
        seen.append("raised")

    with serve(app, lifespan="off", loop=loop) as served, Raw(served.host, served.port) as raw:
        raw.send(GET.replace(b"\r\n\r\n", b"\r\nconnection: close\r\n\r\n"))
        raw.rest()
    assert seen == ["raised"]


def test_what_is_no_file_is_refused_before_anything_is_sent(loop: str) -> None:  # ASGI 57
    seen: list[str] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        ours, theirs = os.pipe()
        await send(OK)
        with pytest.raises(portway.MessageError, match="Not a regular file"):
            await send({"type": ZEROCOPYSEND, "file": ours})
        os.close(ours)
        os.close(theirs)
        await send(LAST)
        seen.append("raised")

    with serve(app, lifespan="off", loop=loop) as served, Raw(served.host, served.port) as raw:
        assert raw.ask(GET).body == b">"
    assert seen == ["raised"]


@pytest.mark.parametrize("size", [100, 1_000_000])
def test_a_descriptor_that_is_not_for_reading_is_refused(loop: str, file: Make, log: Any, size: int) -> None:  # ASGI 57
    opened = os.open(file(size), os.O_WRONLY)
    app = sends(OK, {"type": ZEROCOPYSEND, "file": opened, "offset": 0})
    with serve(app, lifespan="off", loop=loop) as served, Raw(served.host, served.port) as raw:
        raw.send(GET)
        assert len(raw.rest()) < size + 1000
    os.close(opened)
    assert "cannot be sent: Bad file descriptor" in log.error


# --- lengths that are not kept ---


@pytest.mark.parametrize("size", [0, 10, 3_000_000])
@pytest.mark.parametrize("kind", [PATHSEND, ZEROCOPYSEND])
def test_a_file_shorter_than_the_content_length_breaks_the_response_off(
    loop: str, file: Make, log: Any, size: int, kind: str
) -> None:  # ASGI 27
    with open(file(size), "rb") as opened:
        app = sends(length(size + 5), {"type": kind, "path": opened.name, "file": opened.fileno(), "offset": 0})
        with serve(app, lifespan="off", loop=loop) as served, Raw(served.host, served.port) as raw:
            raw.send(GET)
            head = raw.interim()
            assert head.header("content-length") == str(size + 5)
            assert raw.rest() == content(size)
    assert "ended 5 bytes short of the content-length" in log.error


@pytest.mark.parametrize("size", [10, 3_000_000])
@pytest.mark.parametrize("kind", [PATHSEND, ZEROCOPYSEND])
def test_of_a_longer_file_only_the_content_length_is_sent(
    loop: str, file: Make, log: Any, size: int, kind: str
) -> None:  # ASGI 27
    with open(file(size), "rb") as opened:
        app = sends(length(size - 5), {"type": kind, "path": opened.name, "file": opened.fileno(), "offset": 0})
        with serve(app, lifespan="off", loop=loop) as served, Raw(served.host, served.port) as raw:
            for _ in range(2):
                assert raw.ask(GET).body == content(size)[:-5]
    assert log.errors == []


def test_a_count_beyond_the_content_length_raises_as_a_body_would(loop: str, file: Make) -> None:  # ASGI 27
    seen: list[str] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        with open(file(100), "rb") as opened:
            await send(length(50))
            piece = {"type": ZEROCOPYSEND, "file": opened, "offset": 0, "count": 40, "more_body": True}
            await send(piece)
            with pytest.raises(portway.MessageError, match="30 bytes more than the content-length"):
                await send(piece)
            await send(piece | {"count": 10, "more_body": False})
        seen.append("raised")

    with serve(app, lifespan="off", loop=loop) as served, Raw(served.host, served.port) as raw:
        assert raw.ask(GET).body == content(100)[:40] + content(100)[:10]
    assert seen == ["raised"]


def test_the_access_log_counts_the_bytes_of_the_file(loop: str, file: Make, portway_command: Any) -> None:
    path = file(3_000_000)
    source = (
        "async def app(scope, receive, send):\n"
        "    await send({'type': 'http.response.start', 'status': 200})\n"
        f"    await send({{'type': 'http.response.pathsend', 'path': {str(path)!r}}})\n"
    )
    format_ = "%(path)s %(status)s %(size)s end"
    command = portway_command(
        source, "--port", "0", "--loop", loop, "--lifespan", "off", "--access-log-format", format_
    ).up()
    with Raw("127.0.0.1", command.port) as raw:
        raw.ask(GET)
        raw.send(HEAD)
        raw.response(head_only=True)
    command.ends(15)
    logged = command.out.all() + command.err.all()
    assert "/ 200 3000000 end" in logged
    assert "/ 200 0 end" in logged


# --- clients that go, and clients that wait ---


class Sender:
    """An application that sends one large file, and keeps what becomes of it."""

    def __init__(self, path: Path, kind: str = PATHSEND) -> None:
        self.path = path
        self.kind = kind
        self.outcome: list[Any] = []
        self.over = threading.Event()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await send(OK)
        with open(self.path, "rb") as opened:
            try:
                await send({"type": self.kind, "path": str(self.path), "file": opened, "offset": 0})
            except BaseException as error:
                self.outcome.append(type(error))
                raise
            finally:
                os.fstat(opened.fileno())  # it is the application's, and open
                self.over.set()
        self.outcome.append("sent")


@pytest.mark.parametrize("kind", [PATHSEND, ZEROCOPYSEND])
@pytest.mark.parametrize("secure", [True, False])
@pytest.mark.parametrize("leave", [reset, Raw.close])
def test_a_client_that_goes_ends_the_transfer(
    loop: str, big: Path, log: Any, localhost: Any, authority: Any, kind: str, secure: bool, leave: Any
) -> None:  # ASGI 28, 56, 57
    app = Sender(big, kind)
    before = descriptors()
    with serve(app, lifespan="off", loop=loop, **(localhost if secure else {})) as served:
        raw = Raw(served.host, served.port, tls=authority.context() if secure else None)
        raw.send(GET)
        raw.exactly(1_000_000)
        leave(raw)
    assert app.outcome == [portway.ClientDisconnected]
    assert log.errors == []
    assert str(big) not in descriptors() - before


def test_a_client_of_http2_that_gives_the_stream_up_ends_the_transfer(
    loop: str, big: Path, log: Any, dial: Any
) -> None:  # ASGI 28, 56
    app = Sender(big)
    with serve(app, lifespan="off", loop=loop) as served, dial(served) as client:
        stream = client.begin()
        client.until(lambda: len(client.answers[stream].body) > 100_000)
        client.talk.h2.reset_stream(stream, 8)
        client.flush()
        client.ping()
    assert app.outcome == [portway.ClientDisconnected]
    assert log.errors == []


@pytest.mark.parametrize("kind", [PATHSEND, ZEROCOPYSEND])
def test_a_client_that_reads_nothing_is_given_up(loop: str, big: Path, log: Any, kind: str) -> None:
    app = Sender(big, kind)
    with serve(app, lifespan="off", loop=loop, timeout_response=0.5) as served, Raw(served.host, served.port) as raw:
        raw.send(GET)
        raw.interim()
        assert app.over.wait(20)
    assert app.outcome == [portway.ClientDisconnected]
    assert any("read nothing of its response in time" in line for line in log.lines)


@pytest.mark.parametrize("kind", [PATHSEND, ZEROCOPYSEND])
def test_a_client_that_reads_a_little_now_and_then_is_not(loop: str, big: Path, kind: str) -> None:
    app = Sender(big, kind)
    with serve(app, lifespan="off", loop=loop, timeout_response=1.0) as served, socket.socket() as client:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65536)
        client.settimeout(20)
        client.connect((served.host, served.port))
        client.sendall(GET)
        for _ in range(10):  # three times as long as it may read nothing; the kernel tells of no room meanwhile
            assert client.recv(60_000)
            assert not app.over.wait(0.4)
    assert app.outcome == [portway.ClientDisconnected]


def test_a_cancelled_transfer_breaks_the_response_off(loop: str, big: Path) -> None:  # ASGI 7, 56
    outcome: list[str] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await send(OK)
        sending = asyncio.ensure_future(send({"type": PATHSEND, "path": str(big)}))
        await receive()
        await receive()  # the byte that the client sends when it has seen the head
        sending.cancel()
        try:
            await sending
        except asyncio.CancelledError:
            outcome.append("cancelled")
        try:
            await send(LAST)
        except portway.ClientDisconnected:
            outcome.append("gone")

    with serve(app, lifespan="off", loop=loop) as served, Raw(served.host, served.port) as raw:
        raw.send(b"POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 2\r\n\r\na")
        raw.interim()
        raw.send(b"b")
        assert len(raw.rest()) < BIG
    assert outcome == ["cancelled", "gone"]
    assert str(big) not in descriptors()


def test_nothing_comes_between_while_a_file_is_sent(loop: str, big: Path) -> None:  # ASGI 5, 56, 57
    refused: list[str] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await send(OK)
        sending = asyncio.ensure_future(send({"type": PATHSEND, "path": str(big)}))
        await receive()
        await receive()  # the byte that the client sends when it has seen the head
        with open(big, "rb") as opened:
            for message in (MORE, LAST, OK, {"type": ZEROCOPYSEND, "file": opened}, {"type": PATHSEND, "path": "/"}):
                try:
                    await send(message)
                except portway.MessageError as error:
                    refused.append(str(error))
        await sending

    with serve(app, lifespan="off", loop=loop) as served, Raw(served.host, served.port) as raw:
        raw.send(b"POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 2\r\n\r\na")
        select.select([raw.socket], [], [])  # its head has come
        raw.send(b"b")
        body = body_of(raw)
        assert hashlib.sha256(body).digest() == hashlib.sha256(content(BIG)).digest()
    assert [text for text in refused if "until the file is sent" not in text] == []
    assert len(refused) == 5


def test_pipelined_files_come_in_their_order(loop: str, tmp_path: Path) -> None:  # ASGI 11, 56
    sizes = [3, 2_000_000, 70_000, 0, 300_000, 1, 1_100_000]
    for number, size in enumerate(sizes):
        (tmp_path / str(number)).write_bytes(content(size))

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await send(OK)
        if scope["path"] == "/text":
            await send(LAST | {"body": b"text"})
        else:
            await send({"type": PATHSEND, "path": str(tmp_path / scope["path"][1:])})

    with serve(app, lifespan="off", loop=loop) as served, Raw(served.host, served.port) as raw:
        for number in range(len(sizes)):
            raw.send(b"GET /%d HTTP/1.1\r\nhost: a\r\n\r\nGET /text HTTP/1.1\r\nhost: a\r\n\r\n" % number)
        for size in sizes:
            assert raw.response().body == content(size)
            assert raw.response().body == b"text"


def test_a_server_that_stops_lets_a_transfer_end(loop: str, big: Path) -> None:
    with serve(sends_path(big), lifespan="off", loop=loop) as served, Raw(served.host, served.port) as raw:
        raw.send(GET)
        select.select([raw.socket], [], [])  # its head has come
        served.server.stop()
        body = body_of(raw)
        assert hashlib.sha256(body).digest() == hashlib.sha256(content(BIG)).digest()
        assert raw.rest() == b""


# --- files that change while they are sent ---


@pytest.mark.parametrize("kind", [PATHSEND, ZEROCOPYSEND])
@pytest.mark.parametrize("secure", [True, False])
def test_a_file_that_is_truncated_meanwhile_breaks_the_response_off(
    loop: str, file: Make, log: Any, localhost: Any, authority: Any, kind: str, secure: bool
) -> None:  # ASGI 7, 27
    path = file(40_000_000)
    app = Sender(path, kind)
    tls = authority.context() if secure else None
    with (
        serve(app, lifespan="off", loop=loop, **(localhost if secure else {})) as served,
        Raw(served.host, served.port, tls=tls) as raw,
    ):
        raw.send(GET)
        raw.exactly(1000)
        os.truncate(path, 1_000_000)
        assert len(raw.rest()) < 40_000_000 - 1000
    assert app.outcome == [portway.MessageError]
    assert "bytes shorter while it was sent" in log.error


def test_a_file_that_is_deleted_meanwhile_is_sent_all_the_same(loop: str, file: Make) -> None:  # ASGI 56
    path = file(20_000_000)
    with serve(sends_path(path), lifespan="off", loop=loop) as served, Raw(served.host, served.port) as raw:
        raw.send(GET)
        select.select([raw.socket], [], [])  # its head has come
        path.unlink()
        assert body_of(raw) == content(20_000_000)


def test_what_is_added_to_a_file_meanwhile_is_not_sent(loop: str, file: Make) -> None:  # ASGI 56
    path = file(20_000_000)
    with serve(sends_path(path), lifespan="off", loop=loop) as served, Raw(served.host, served.port) as raw:
        raw.send(GET)
        select.select([raw.socket], [], [])  # its head has come
        with open(path, "ab") as opened:
            opened.write(b"more")
        assert body_of(raw) == content(20_000_000)
        raw.send(GET)
        assert body_of(raw) == content(20_000_000) + b"more"
