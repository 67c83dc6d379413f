"""`wsgi.input`: exact however it is read and however it comes, bounded, and never at an end that is none (ASGI 59)."""

import asyncio
import contextlib
import gc
import io
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import portway
from portway.errors import ClientDisconnected
from portway.testing import Raw, serve
from portway.types import Message
from portway.wsgi import body as room
from portway.wsgi.body import HIGH, MEMORY_MOST, Inbox, gather, streamed

Environ = dict[str, Any]
Reader = Callable[[Any], bytes]
Flood = Callable[[Raw, bytes], int]

PATIENCE = 20.0
KIB = 1024
POST = b"POST /a HTTP/1.1\r\nhost: a\r\n"


def lines(source: Any) -> bytes:
    return b"".join(iter(source))


def exactly(source: Any) -> bytes:
    return b"".join(iter(lambda: source.read(7), b""))


def in_pieces(source: Any) -> bytes:
    found = b""
    while piece := source.read1(100):
        found += piece
    return found


def into(source: Any) -> bytes:
    buffer = bytearray(10)
    found = b""
    while count := source.readinto(buffer):
        found += buffer[:count]
    return found


READERS: dict[str, Reader] = {
    "read()": lambda source: source.read(),
    "read(-1)": lambda source: source.read(-1),
    "read(None)": lambda source: source.read(None),
    "read(7)": exactly,
    "read(10**9)": lambda source: source.read(10**9),
    "readline()": lambda source: b"".join(iter(source.readline, b"")),
    "readline(3)": lambda source: b"".join(iter(lambda: source.readline(3), b"")),
    "readlines()": lambda source: b"".join(source.readlines()),
    "readlines(20)": lambda source: b"".join(b"".join(each) for each in iter(lambda: source.readlines(20), [])),
    "iteration": lines,
    "read1": in_pieces,
    "readinto": into,
    "TextIOWrapper": lambda source: io.TextIOWrapper(source, "latin-1", newline="").read().encode("latin-1"),
}


def echo(reader: Reader) -> Any:
    def app(environ: Environ, start_response: Any) -> list[bytes]:
        found = reader(environ["wsgi.input"])
        start_response("200 OK", [("x-length", environ.get("CONTENT_LENGTH", "none"))])
        return [found]

    return app


def chunked(*pieces: bytes) -> bytes:
    return b"".join(b"%x\r\n%s\r\n" % (len(piece), piece) for piece in pieces if piece) + b"0\r\n\r\n"


# --- exact ---


@pytest.mark.parametrize("reader", READERS)
@pytest.mark.parametrize("framing", ["length", "chunked"])
def test_a_body_is_the_same_however_it_is_read(wsgi: Any, reader: str, framing: str) -> None:
    pieces = [b"one\ntwo", b"\n", b"three\r\n\n", b"x" * 3000, b"\nthe end"]
    body = b"".join(pieces)
    with wsgi(echo(READERS[reader])) as served, Raw(served.host, served.port) as raw:
        for _ in range(2):
            if framing == "length":
                raw.send(POST + b"content-length: %d\r\n\r\n" % len(body))
                for piece in pieces:
                    raw.send(piece)
            else:
                raw.send(POST + b"transfer-encoding: chunked\r\n\r\n" + chunked(*pieces))
            response = raw.response()
            assert response.body == body
            assert response.header("x-length") == str(len(body))


@pytest.mark.parametrize("length", [True, False])
def test_over_http2_a_body_is_the_same_with_and_without_a_length(wsgi: Any, dial: Any, length: bool) -> None:
    body = b"0123456789\n" * 30000  # more than a window
    headers = [("content-length", str(len(body)))] if length else []
    with wsgi(echo(READERS["iteration"])) as served, dial(served) as client:
        answer = client.ask("/", *headers, body=body, method="POST")
    assert answer.body == body
    assert answer.header("x-length") == str(len(body))


@pytest.fixture(scope="module")
def reader_by_path() -> Iterator[Any]:
    """A server whose application reads as the path says."""

    def app(environ: Environ, start_response: Any) -> list[bytes]:
        found = READERS[environ["PATH_INFO"].lstrip("/")](environ["wsgi.input"])
        start_response("200 OK", [])
        return [found]

    with serve(app, interface="wsgi", wsgi_threads=2) as served:
        yield served


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.sampled_from(sorted(READERS)),
    st.lists(st.one_of(st.binary(max_size=30), st.just(b"\n"), st.just(b"ab" * 40000)), max_size=6),
)
def test_a_body_is_exact_over_any_splits_of_the_wire(reader_by_path: Any, reader: str, pieces: list[bytes]) -> None:
    body = b"".join(pieces)
    target = reader.replace("(", "%28").replace(")", "%29").encode()
    with Raw(reader_by_path.host, reader_by_path.port, PATIENCE) as raw:
        raw.send(b"POST /%s HTTP/1.1\r\nhost: a\r\ncontent-length: %d\r\n\r\n" % (target, len(body)))
        for piece in pieces:
            raw.send(piece)
        assert raw.response().body == body


READS = st.one_of(
    st.tuples(st.just("read"), st.integers(-1, 40)),
    st.tuples(st.just("readline"), st.integers(-1, 40)),
    st.tuples(st.just("readlines"), st.integers(0, 40)),
    st.tuples(st.just("peek"), st.integers(0, 9)),
)


@settings(deadline=None)
@given(st.lists(st.binary(min_size=1, max_size=20)), st.lists(READS, max_size=12))
def test_any_reads_give_what_a_file_gives(pieces: list[bytes], reads: list[tuple[str, int]]) -> None:
    # A loop of pieces and a thread that reads: here the pieces come whenever the inbox asks.
    rest = list(pieces)

    def ask() -> None:
        if rest:
            piece = rest.pop(0)
            inbox.put(piece, bool(rest))

    inbox = Inbox(len(b"".join(pieces)), ask)
    source = streamed(inbox)
    file = io.BytesIO(b"".join(pieces))
    for name, size in reads:
        if name == "peek":  # may give less, and moves nothing
            assert file.getvalue().startswith(source.peek(size), file.tell())
        elif name == "readlines":  # the hint is one: files differ in whether to stop at it or after it
            assert all(line == file.readline() for line in source.readlines(size))
        else:
            assert getattr(source, name)(size) == getattr(file, name)(size)
    assert source.read() == file.read()
    assert source.read() == b""
    assert source.read(1) == b""


@pytest.mark.parametrize("request_", [b"content-length: 0\r\n", b"", b"content-length: 00\r\n"])
def test_without_a_body_it_is_at_its_end(wsgi: Any, request_: bytes) -> None:
    with wsgi(echo(READERS["read()"])) as served, Raw(served.host, served.port) as raw:
        assert raw.ask(POST + request_ + b"\r\n").body == b""
        assert raw.ask(POST.replace(b"1.1", b"1.0") + request_ + b"\r\n").body == b""


def test_an_empty_chunked_body_has_a_length(wsgi: Any) -> None:
    with wsgi(echo(READERS["read()"])) as served, Raw(served.host, served.port) as raw:
        response = raw.ask(POST + b"transfer-encoding: chunked\r\n\r\n0\r\n\r\n")
    assert (response.body, response.header("x-length")) == (b"", "0")


def test_a_body_without_a_length_has_one_and_no_coding(wsgi: Any) -> None:  # as Flask and dulwich want it
    environs: list[Environ] = []

    def app(environ: Environ, start_response: Any) -> list[bytes]:
        environs.append(dict(environ))
        start_response("200 OK", [])
        return [environ["wsgi.input"].read(int(environ["CONTENT_LENGTH"]))]

    with wsgi(app) as served, Raw(served.host, served.port) as raw:
        assert raw.ask(POST + b"transfer-encoding: chunked\r\n\r\n" + chunked(b"abc", b"de")).body == b"abcde"
    assert environs[0]["CONTENT_LENGTH"] == "5"
    assert "HTTP_TRANSFER_ENCODING" not in environs[0]
    assert environs[0]["wsgi.input_terminated"] is True


def test_a_small_body_that_is_there_is_in_memory(wsgi: Any) -> None:
    kinds: list[type] = []

    def app(environ: Environ, start_response: Any) -> list[bytes]:
        kinds.append(type(environ["wsgi.input"]))
        start_response("200 OK", [])
        return [environ["wsgi.input"].read()]

    with wsgi(app) as served, Raw(served.host, served.port) as raw:
        assert raw.ask(POST + b"content-length: 3\r\n\r\nabc").body == b"abc"
    assert kinds == [io.BytesIO]


# --- while it comes ---


def test_the_application_begins_before_the_body_is_there(threaded: Any) -> None:
    began = threading.Event()

    def app(environ: Environ, start_response: Any) -> list[bytes]:
        began.set()
        start_response("200 OK", [])
        return [environ["wsgi.input"].read()]

    with threaded(app) as served, Raw(served.host, served.port) as raw:
        raw.send(POST + b"content-length: 6\r\n\r\nabc")
        assert began.wait(PATIENCE)
        raw.send(b"def")
        assert raw.response().body == b"abcdef"


def test_it_may_answer_and_read_in_turns(threaded: Any) -> None:
    def app(environ: Environ, start_response: Any) -> Iterator[bytes]:
        start_response("200 OK", [])
        yield from iter(environ["wsgi.input"].readline, b"")

    with threaded(app) as served, Raw(served.host, served.port) as raw:
        raw.send(POST + b"content-length: 6\r\n\r\n")
        for line in (b"a\n", b"b\n", b"c\n"):
            raw.send(line)
            assert raw.until(line + b"\r\n")
        assert raw.until(b"0\r\n\r\n")


def held() -> Inbox:
    """The inbox of the one call that is under way."""
    gc.collect()
    (only,) = (each for each in gc.get_objects() if type(each) is Inbox and each._whole > HIGH)
    return only


def test_a_client_is_stopped_when_the_application_does_not_read(threaded: Any, flood: Flood) -> None:
    go = threading.Event()
    size = 40_000_000  # more than any kernel buffers

    def app(environ: Environ, start_response: Any) -> list[bytes]:
        go.wait(PATIENCE)
        count = 0
        while piece := environ["wsgi.input"].read(100_000):
            count += len(piece)
        start_response("200 OK", [])
        return [b"%d" % count]

    body = bytes(size)
    with threaded(app) as served, Raw(served.host, served.port, PATIENCE) as raw:
        raw.send(POST + b"content-length: %d\r\n\r\n" % size)
        sent = flood(raw, body)
        assert sent < size
        inbox = held()
        assert inbox._put - inbox._taken <= HIGH + 64 * KIB
        go.set()
        raw.send(body[sent:])
        assert raw.response().body == b"%d" % size


def test_words_of_the_application_let_no_more_of_its_body_in(threaded: Any, flood: Flood) -> None:
    went_on = threading.Semaphore(0)
    size = 40_000_000

    def app(environ: Environ, start_response: Any) -> Iterator[bytes]:
        start_response("200 OK", [])
        for _ in range(100):
            yield b"x"
        went_on.acquire(timeout=PATIENCE)
        yield environ["wsgi.input"].read(3)

    with threaded(app) as served, Raw(served.host, served.port, PATIENCE) as raw:
        raw.send(POST + b"content-length: %d\r\n\r\n" % size)
        assert flood(raw, bytes(size)) < size
        inbox = held()
        assert inbox._put - inbox._taken <= HIGH + 64 * KIB
        went_on.release()
        raw.until(b"\0\0\0")


def test_a_call_that_is_looked_at_takes_no_more_of_its_body(
    threaded: Any, monkeypatch: pytest.MonkeyPatch, flood: Flood
) -> None:
    from portway.wsgi import desk

    looks = threading.Semaphore(0)
    monkeypatch.setattr(desk, "LOOK", 0.001)
    before = desk.Desk._look

    def look(self: Any) -> None:
        before(self)
        looks.release()

    monkeypatch.setattr(desk.Desk, "_look", look)
    go = threading.Event()
    size = 40_000_000

    def app(environ: Environ, start_response: Any) -> list[bytes]:
        go.wait(PATIENCE)
        start_response("200 OK", [("connection", "close")])
        return [b"ok"]

    with threaded(app) as served, Raw(served.host, served.port, PATIENCE) as raw:
        raw.send(POST + b"content-length: %d\r\n\r\n" % size)
        flood(raw, bytes(size))
        for _ in range(200):
            assert looks.acquire(timeout=PATIENCE)
        inbox = held()
        assert inbox._put - inbox._taken <= HIGH + 64 * KIB
        go.set()
        assert raw.response().body == b"ok"


@pytest.mark.parametrize("framing", ["content-length: %d", "transfer-encoding: chunked"])
def test_a_large_body_is_on_disk_and_not_in_memory(
    wsgi: Any, mode: str, framing: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    spooled_by: list[str] = []
    write = room._spool

    def spool(file: Any, pieces: list[bytes]) -> Any:
        spooled_by.append(threading.current_thread().name)
        return write(file, pieces)

    monkeypatch.setattr(room, "_spool", spool)
    kinds: list[str] = []

    def app(environ: Environ, start_response: Any) -> list[bytes]:
        source = environ["wsgi.input"]
        kinds.append(type(source).__name__)
        found = source.read()
        start_response("200 OK", [])
        return [b"%d %s" % (len(found), found[-3:])]

    body = b"x" * (3 * MEMORY_MOST) + b"end"
    with wsgi(app) as served, Raw(served.host, served.port, PATIENCE) as raw:
        raw.send(POST + (framing % len(body) if "%" in framing else framing).encode() + b"\r\n\r\n")
        raw.send(body if "%" in framing else chunked(*[body[at : at + 100_000] for at in range(0, len(body), 100_000)]))
        assert raw.response().body == b"%d end" % len(body)
    streams = mode == "threads" and "%" in framing
    assert bool(spooled_by) is not streams
    assert not any(name.startswith(("portway-serve", "MainThread")) for name in spooled_by)  # off the loop
    assert kinds == ["BufferedReader" if streams else "BufferedRandom"]


def test_when_the_disk_is_full_the_client_is_told(wsgi: Any, monkeypatch: pytest.MonkeyPatch, log: Any) -> None:
    def full(*args: Any, **rest: Any) -> Any:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(room.tempfile, "TemporaryFile", full)
    body = bytes(2 * MEMORY_MOST)
    with wsgi(echo(READERS["read()"])) as served, Raw(served.host, served.port, PATIENCE) as raw:
        raw.send(POST + b"transfer-encoding: chunked\r\n\r\n")
        with contextlib.suppress(ConnectionError):
            raw.send(chunked(body))
        assert raw.response().status == 507
    assert log.error.startswith("POST /a: its body could not be kept on disk: ")
    assert log.error.endswith("; make room where temporary files are, or set TMPDIR to another place")


# --- a client that goes ---


@pytest.mark.parametrize("reader", sorted(set(READERS) - {"TextIOWrapper"}))  # which closes what it wraps
@pytest.mark.parametrize("how", ["half_close", "reset"])
def test_a_client_that_goes_is_an_error_for_who_reads_and_no_end(
    threaded: Any, reset: Any, reader: str, how: str, log: Any
) -> None:
    outcomes: list[Any] = []
    began, through = threading.Event(), threading.Event()

    def app(environ: Environ, start_response: Any) -> list[bytes]:
        try:
            environ["wsgi.input"].read(3)
            began.set()
            for _ in range(2):  # and again
                try:
                    outcomes.append(READERS[reader](environ["wsgi.input"]))
                except ConnectionResetError as error:
                    outcomes.append(type(error))
        finally:
            through.set()
        start_response("200 OK", [])
        return []

    with threaded(app) as served, Raw(served.host, served.port) as raw:
        raw.send(POST + b"content-length: 100\r\n\r\nabcdefg\nhijk")
        assert began.wait(PATIENCE)
        reset(raw) if how == "reset" else raw.half_close()
        assert through.wait(PATIENCE)
    assert outcomes == [ClientDisconnected] * 2
    assert log.errors == []


def test_a_stream_that_is_reset_is_one_too(threaded: Any, dial: Any, log: Any) -> None:
    outcomes: list[Any] = []
    began, through = threading.Event(), threading.Event()

    def app(environ: Environ, start_response: Any) -> list[bytes]:
        began.set()
        try:
            outcomes.append(environ["wsgi.input"].read())
        except ConnectionResetError as error:
            outcomes.append(type(error))
            raise
        finally:
            through.set()
        return []

    with threaded(app) as served, dial(served) as client:
        stream = client.begin("/", ("content-length", "100"), method="POST", end=False)
        client.content(stream, b"abc")
        assert began.wait(PATIENCE)
        client.talk.h2.reset_stream(stream, 8)
        client.flush()
        assert through.wait(PATIENCE)
        assert client.ask("/").body is not None  # the connection lives
    assert outcomes[0] is ClientDisconnected


@pytest.mark.parametrize(
    "framing", [b"content-length: 100\r\n\r\nabc", b"transfer-encoding: chunked\r\n\r\n3\r\nabc\r\n"]
)
@pytest.mark.parametrize("how", ["half_close", "reset"])
def test_an_application_is_not_called_for_a_body_that_is_gathered_and_never_whole(
    wsgi: Any, mode: str, reset: Any, framing: bytes, how: str, log: Any
) -> None:
    calls: list[str] = []

    def app(environ: Environ, start_response: Any) -> list[bytes]:
        calls.append(environ["PATH_INFO"])
        if environ["PATH_INFO"] == "/a":
            environ["wsgi.input"].read()
        start_response("200 OK", [])
        return [b"ok"]

    with wsgi(app) as served:
        with Raw(served.host, served.port) as raw:
            raw.send(POST + framing)
            reset(raw) if how == "reset" else raw.half_close()
            if how != "reset":
                raw.rest()
        with Raw(served.host, served.port) as raw:
            assert raw.ask(b"GET /b HTTP/1.1\r\nhost: a\r\n\r\n").body == b"ok"
    if mode == "inline" or b"chunked" in framing:
        assert calls == ["/b"]
    assert log.errors == []


def test_a_body_that_is_cut_is_dropped_from_the_disk() -> None:
    files: list[Any] = []
    before = room._spool

    def spool(file: Any, pieces: list[bytes]) -> Any:
        files.append(before(file, pieces))
        return files[-1]

    messages = [
        {"type": "http.request", "body": bytes(2 * MEMORY_MOST), "more_body": True},
        {"type": "http.disconnect"},
    ]

    async def receive() -> Message:
        return messages.pop(0)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(room, "_spool", spool)
        with pytest.raises(ClientDisconnected):
            asyncio.run(gather(receive))
    assert [file.closed for file in files] == [True]


# --- Expect ---


def interim(raw: Raw) -> bytes:
    return raw.until(b"\r\n\r\n").split(b"\r\n")[0]


EXPECTING = POST + b"expect: 100-continue\r\ncontent-length: 3\r\n\r\n"


def test_who_waits_to_be_asked_is_asked_when_the_application_reads(wsgi: Any) -> None:  # ASGI 32
    with wsgi(echo(READERS["read()"])) as served, Raw(served.host, served.port) as raw:
        for _ in range(2):
            raw.send(EXPECTING)
            assert interim(raw) == b"HTTP/1.1 100 Continue"
            assert raw.ask(b"abc").body == b"abc"


@pytest.mark.parametrize("pieces", [[b"no"], [b"n", b"o"]])
def test_who_waits_to_be_asked_is_not_if_nobody_reads(threaded: Any, pieces: list[bytes]) -> None:  # ASGI 32
    def app(environ: Environ, start_response: Any) -> Any:
        start_response("403 No", [])
        return iter(pieces)

    with threaded(app) as served, Raw(served.host, served.port) as raw:
        raw.send(EXPECTING)
        assert interim(raw) == b"HTTP/1.1 403 Forbidden"
        assert b"100" not in raw.rest()


def test_a_look_at_who_takes_long_asks_for_nothing(threaded: Any, monkeypatch: pytest.MonkeyPatch) -> None:  # ASGI 32
    from portway.wsgi import desk

    monkeypatch.setattr(desk, "LOOK", 0.001)
    looks = threading.Semaphore(0)
    before = desk.Desk._look

    def look(self: Any) -> None:
        before(self)
        looks.release()

    monkeypatch.setattr(desk.Desk, "_look", look)

    def app(environ: Environ, start_response: Any) -> Any:
        for _ in range(20):
            assert looks.acquire(timeout=PATIENCE)
        start_response("403 No", [])
        return [b"no"]

    with threaded(app) as served, Raw(served.host, served.port) as raw:
        raw.send(EXPECTING)
        assert interim(raw) == b"HTTP/1.1 403 Forbidden"


def test_one_that_does_not_read_may_be_asked_again(wsgi: Any) -> None:
    def app(environ: Environ, start_response: Any) -> list[bytes]:
        start_response("200 OK", [("content-length", "2")])
        return [b"ok"]

    with wsgi(app) as served, Raw(served.host, served.port) as raw:
        for _ in range(3):
            assert raw.ask(POST + b"content-length: 3\r\n\r\nabc").body == b"ok"
            assert raw.ask(POST + b"transfer-encoding: chunked\r\n\r\n" + chunked(b"a", b"bc")).body == b"ok"


def test_an_answer_to_half_a_body_comes_at_once(threaded: Any) -> None:
    def app(environ: Environ, start_response: Any) -> list[bytes]:
        start_response("413 Too much", [("content-length", "2")])
        return [b"no"]

    with threaded(app) as served, Raw(served.host, served.port) as raw:
        assert raw.ask(POST + b"content-length: 1000000\r\n\r\nabc").status == 413


def test_the_input_is_closed_afterwards_even_if_another_has_its_place(wsgi: Any) -> None:
    kept: list[Any] = []

    def app(environ: Environ, start_response: Any) -> list[bytes]:
        kept.append(environ["wsgi.input"])
        if environ["PATH_INFO"] == "/a":
            environ["wsgi.input"] = object()
        else:
            del environ["wsgi.input"]
        start_response("200 OK", [])
        return [b"ok"]

    with wsgi(app) as served, Raw(served.host, served.port) as raw:
        for path in (b"/a", b"/b"):
            asked = POST.replace(b"/a", path) + b"transfer-encoding: chunked\r\n\r\n"
            assert raw.ask(asked + chunked(bytes(2 * MEMORY_MOST))).body == b"ok"
    assert [each.closed for each in kept] == [True, True]


def test_an_input_that_the_application_still_looks_into_hurts_nobody(wsgi: Any, log: Any) -> None:
    kept: list[memoryview] = []

    def app(environ: Environ, start_response: Any) -> list[bytes]:
        kept.append(environ["wsgi.input"].getbuffer())
        start_response("200 OK", [("content-length", "2")])
        return [b"ok"]

    with wsgi(app) as served, Raw(served.host, served.port) as raw:
        assert raw.ask(POST + b"content-length: 3\r\n\r\nabc").body == b"ok"
        assert raw.ask(POST + b"content-length: 3\r\n\r\nabc").body == b"ok"
    assert log.errors == []
    for each in kept:  # Python would complain of them when it collects both together
        each.release()


def test_a_thread_that_still_reads_does_not_hold_up_the_server(threaded: Any) -> None:  # it may feed a CGI program
    readers: list[threading.Thread] = []
    errors: list[BaseException] = []

    def feed(source: Any) -> None:
        try:
            source.read()
        except (ConnectionResetError, ValueError) as error:
            errors.append(error)

    def app(environ: Environ, start_response: Any) -> list[bytes]:
        source = environ["wsgi.input"]
        if environ["REQUEST_METHOD"] == "POST":
            readers.append(threading.Thread(target=feed, args=(source,), daemon=True))
            readers[0].start()
            until(lambda: source.raw._inbox._came._cond._waiters)
        start_response("200 OK", [("content-length", "2")])
        return [b"ok"]

    with threaded(app) as served, Raw(served.host, served.port, PATIENCE) as raw:
        assert raw.ask(POST + b"content-length: 1000000\r\n\r\nabc").body == b"ok"
        with Raw(served.host, served.port, PATIENCE) as other:
            assert other.ask(b"GET / HTTP/1.1\r\nhost: a\r\n\r\n").body == b"ok"
        readers[0].join(PATIENCE)
    assert len(errors) == 1


def until(holds: Callable[[], object]) -> None:
    for _ in range(int(PATIENCE * 1000)):
        if holds():
            return
        threading.Event().wait(0.001)
    raise TimeoutError


def test_a_limit_on_bodies_holds(wsgi: Any, log: Any) -> None:
    with wsgi(echo(READERS["read()"]), limit_request_body=10) as served, Raw(served.host, served.port) as raw:
        raw.send(POST + b"transfer-encoding: chunked\r\n\r\n")
        with contextlib.suppress(ConnectionError):
            raw.send(chunked(b"x" * 100))
        assert raw.response().status == 413


def test_the_error_of_who_reads_too_late_is_public() -> None:
    assert issubclass(portway.ClientDisconnected, ConnectionResetError)
