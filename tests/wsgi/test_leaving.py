"""Clients that go, or do not read: the application stops, `close` runs, and the service answers others (ASGI 59)."""

import contextlib
import contextvars
import gc
import select
import socket
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest

import portway
from portway.errors import ClientDisconnected
from portway.testing import Raw, serve
from portway.wsgi.body import HIGH
from portway.wsgi.threaded import Call

Environ = dict[str, Any]

PATIENCE = 20.0
KIB = 1024
GET = b"GET /a HTTP/1.1\r\nhost: a\r\n\r\n"

mine: contextvars.ContextVar[str] = contextvars.ContextVar("mine", default="nothing")


class Stream:
    """An endless response: as an iterable, or by `write`. Each tells how it ended."""

    def __init__(self, piece: bytes = b"x" * 1000, rests: bool = True) -> None:
        self.piece = piece
        self.rests = rests  # a piece that is empty, each time: the loop is asked for nothing else
        self.began = threading.Semaphore(0)
        self.closed = threading.Semaphore(0)
        self.endings: list[Any] = []
        self.given = 0

    def __call__(self, environ: Environ, start_response: Any) -> Any:
        if environ["PATH_INFO"] == "/good":
            start_response("200 OK", [])
            return [b"ok"]
        mine.set("mine")
        write = start_response("200 OK", [])
        self.began.release()
        return Endless(self) if environ["PATH_INFO"] == "/a" else self.written(write)

    def written(self, write: Callable[[bytes], None]) -> list[bytes]:
        try:
            while True:
                write(self.piece)
        except ConnectionResetError as error:
            self.endings.append(type(error))
            raise
        finally:
            self.closed.release()


class Endless:
    def __init__(self, stream: Stream) -> None:
        self.stream = stream
        self.closes = 0
        self.thread = threading.get_ident()

    def __iter__(self) -> Iterator[bytes]:
        while True:
            self.stream.given += len(self.stream.piece)
            yield self.stream.piece

    def close(self) -> None:
        self.closes += 1
        self.stream.endings.append((self.closes, mine.get(), threading.get_ident() == self.thread))
        self.stream.closed.release()


def ours() -> list[threading.Thread]:
    return [each for each in threading.enumerate() if each.name.startswith("portway-wsgi")]


# --- they go ---


@pytest.mark.parametrize("how", ["reset", "close"])
def test_who_goes_ends_the_iterable_and_close_runs_once(wsgi: Any, reset: Any, how: str, log: Any) -> None:
    stream = Stream()
    with wsgi(stream) as served:
        raw = Raw(served.host, served.port)
        raw.send(GET)
        raw.exactly(10_000)
        reset(raw) if how == "reset" else raw.close()
        assert stream.closed.acquire(timeout=PATIENCE)
    assert stream.endings == [(1, "mine", True)]
    assert log.errors == []


def test_a_stream_that_is_reset_ends_it_too(wsgi: Any, dial: Any, log: Any) -> None:
    stream = Stream()
    with wsgi(stream) as served, dial(served) as client:
        number = client.begin("/a")
        client.until(lambda: len(client.answers[number].body) > 10_000)
        client.talk.h2.reset_stream(number, 8)
        client.flush()
        assert stream.closed.acquire(timeout=PATIENCE)
        assert client.ask("/good").body == b"ok"
    assert stream.endings == [(1, "mine", True)]
    assert log.errors == []


def test_who_goes_makes_write_raise(threaded: Any, reset: Any, log: Any) -> None:
    stream = Stream()
    with threaded(stream) as served:
        raw = Raw(served.host, served.port)
        raw.send(GET.replace(b"/a", b"/written"))
        raw.exactly(10_000)
        reset(raw)
        assert stream.closed.acquire(timeout=PATIENCE)
    assert stream.endings == [ClientDisconnected]
    assert log.errors == []


@pytest.mark.parametrize("path", [b"/a", b"/written"])
def test_who_does_not_read_and_goes_sets_the_thread_free(threaded: Any, reset: Any, path: bytes) -> None:
    stream = Stream()
    with threaded(stream, wsgi_threads=1) as served:
        raw = Raw(served.host, served.port)
        raw.send(GET.replace(b"/a", path))
        until_full()
        reset(raw)
        assert stream.closed.acquire(timeout=PATIENCE)
        with Raw(served.host, served.port, PATIENCE) as another:
            assert another.ask(GET.replace(b"/a", b"/good")).body == b"ok"


def until_full() -> Call:
    """The one call that is under way, when its thread waits for room."""
    for _ in range(400):
        for each in gc.get_objects():
            if type(each) is Call and each.room is not None and not each.room.is_set() and not each.over:
                return each
        threading.Event().wait(0.02)
    raise AssertionError("no call has too much to send")


def test_who_goes_ends_an_iterable_that_only_waits(wsgi: Any, reset: Any) -> None:
    closed = threading.Event()

    class Empty:
        def __iter__(self) -> Iterator[bytes]:
            yield b"a"
            while True:
                yield b""

        def close(self) -> None:
            closed.set()

    def app(environ: Environ, start_response: Any) -> Any:
        start_response("200 OK", [])
        return Empty()

    with wsgi(app) as served:
        raw = Raw(served.host, served.port)
        raw.send(GET)
        raw.until(b"\r\na\r\n")
        reset(raw)
        assert closed.wait(PATIENCE)


def test_an_iterable_that_waits_is_left_when_it_goes_on(threaded: Any, reset: Any) -> None:
    go = threading.Event()
    closed = threading.Event()
    asked: list[int] = []

    class Waiting:
        def __iter__(self) -> Iterator[bytes]:
            yield b"a"
            asked.append(1)
            assert go.wait(PATIENCE)
            yield b"b"
            asked.append(2)  # never

        def close(self) -> None:
            closed.set()

    def app(environ: Environ, start_response: Any) -> Any:
        start_response("200 OK", [])
        return Waiting()

    service = portway.WSGI(app, threads=1)
    with serve(service) as served:
        raw = Raw(served.host, served.port)
        raw.send(GET)
        raw.until(b"\r\na\r\n")
        reset(raw)
        wait_until_gone()
        go.set()
        assert closed.wait(PATIENCE)
    assert asked == [1]


def wait_until_gone() -> None:
    for _ in range(400):
        if any(type(each) is Call and each.gone for each in gc.get_objects()):
            return
        threading.Event().wait(0.02)
    raise AssertionError("nobody noticed")


def test_an_error_of_the_application_about_who_went_is_no_fault(threaded: Any, reset: Any, log: Any) -> None:
    ended = threading.Event()

    class Wrapped(Exception):
        pass

    def app(environ: Environ, start_response: Any) -> Any:
        write = start_response("200 OK", [])
        try:
            while True:
                write(b"x" * 1000)
        except OSError as error:
            raise Wrapped from error
        finally:
            ended.set()

    with threaded(app) as served:
        raw = Raw(served.host, served.port)
        raw.send(GET)
        raw.exactly(1000)
        reset(raw)
        assert ended.wait(PATIENCE)
    assert log.errors == []


@pytest.mark.parametrize("loop", ["uvloop", "asyncio"])
def test_after_a_hundred_endless_streams_the_service_still_answers(mode: str, loop: str, reset: Any) -> None:
    stream = Stream()
    service = portway.WSGI(stream, threads=4 if mode == "threads" else 0)
    with serve(service, loop=loop) as served:
        for number in range(100):
            raw = Raw(served.host, served.port)
            raw.send(GET)
            if number % 2:
                raw.exactly(1000)
            reset(raw) if number % 3 else raw.close()
        for _ in range(100 if mode == "inline" else 1):
            assert stream.closed.acquire(timeout=PATIENCE)
        with Raw(served.host, served.port, PATIENCE) as raw:
            for _ in range(10):
                assert raw.ask(GET.replace(b"/a", b"/good")).body == b"ok"
        if mode == "threads":
            wait = threading.Event()
            while service.figures()[2:4] != (0, 0):  # type: ignore[index]
                wait.wait(0.005)
    assert set(stream.endings) == {(1, "mine", True)}
    assert len(stream.endings) <= 100  # who went while it waited was never run


def test_streams_of_one_connection_are_no_different(mode: str, dial: Any) -> None:
    stream = Stream()
    service = portway.WSGI(stream, threads=4 if mode == "threads" else 0)
    with serve(service) as served:
        with dial(served) as client:
            for _ in range(50):
                client.begin("/a")
        with dial(served) as client:
            assert client.ask("/good").body == b"ok"
        wait = threading.Event()
        while mode == "threads" and service.figures()[2:4] != (0, 0):  # type: ignore[index]
            wait.wait(0.005)
    assert set(stream.endings) <= {(1, "mine", True)}


# --- they do not read ---


def narrow(served: Any) -> Raw:
    """A client that takes little before it reads."""
    raw = Raw.__new__(Raw)
    raw.socket = socket.socket()
    raw.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 8192)
    raw.socket.settimeout(PATIENCE)
    raw.socket.connect((served.host, served.port))
    raw._kept = b""
    return raw


SIZE = 24_000_000  # more than kernels and servers hold


def sized(environ: Environ, start_response: Any, given: list[int]) -> Iterator[bytes]:
    start_response("200 OK", [("content-length", str(SIZE))])
    for _ in range(SIZE // 60_000):
        given.append(60_000)
        yield bytes(60_000)


def test_who_does_not_read_stops_the_application(wsgi: Any, mode: str) -> None:
    given: list[int] = []
    with wsgi(lambda environ, start_response: sized(environ, start_response, given)) as served, narrow(served) as raw:
        raw.send(GET)
        assert stands_still(given)
        assert sum(given) < SIZE
        if mode == "threads":
            call = until_full()
            assert call.queued_in - call.queued_out <= HIGH + 60_000
        assert size_of(raw) == SIZE == sum(given)


def size_of(raw: Raw) -> int:
    """How long the content is, of SIZE at most."""
    raw.until(b"\r\n\r\n")
    size = len(raw._kept)
    while size < SIZE and (data := raw.socket.recv(65536)):
        size += len(data)
    return size


def stands_still(given: list[int]) -> bool:
    """Wait until it has given something, and then for a while nothing more."""
    wait = threading.Event()
    before = -1
    while before != len(given) or not given:
        before = len(given)
        wait.wait(0.25)
    return True


def test_a_stream_whose_window_is_shut_stops_the_application(wsgi: Any, mode: str, dial: Any) -> None:
    given: list[int] = []
    with (
        wsgi(lambda environ, start_response: sized(environ, start_response, given)) as served,
        dial(served, window=65535, wide=True) as client,
    ):
        client.talk.reads = client.reads = False
        number = client.begin("/a")
        client.until(lambda: len(client.answers[number].body) == 65535)
        if mode == "threads":
            call = until_full()
            assert call.queued_in - call.queued_out <= HIGH + 60_000
        else:
            assert stands_still(given)
        assert sum(given) < 2_000_000
        assert not select.select([client.socket], [], [], 0)[0]
        with contextlib.suppress(Exception):
            client.talk.h2.reset_stream(number, 8)
            client.flush()


def test_write_waits_for_who_reads_slowly(threaded: Any) -> None:
    given: list[int] = []

    def app(environ: Environ, start_response: Any) -> list[bytes]:
        write = start_response("200 OK", [("content-length", str(SIZE))])
        for _ in range(SIZE // 60_000):
            given.append(60_000)
            write(bytes(60_000))
        return []

    with threaded(app) as served, narrow(served) as raw:
        raw.send(GET)
        call = until_full()
        assert call.queued_in - call.queued_out <= HIGH + 60_000
        assert sum(given) < SIZE
        assert size_of(raw) == SIZE
