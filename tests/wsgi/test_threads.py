"""The threads that applications run on: few, long-lived, bounded, and free again whatever becomes of a request."""

import asyncio
import contextvars
import gc
import sys
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest

import portway
from portway.cpus import usable
from portway.errors import SettingsError
from portway.testing import Raw, serve
from portway.types import Receive, Scope, Send
from portway.wsgi.body import Inbox
from portway.wsgi.inline import Driver
from portway.wsgi.reply import Reply
from portway.wsgi.threaded import Call
from portway.wsgi.threads import NAME, Threads, usual

Environ = dict[str, Any]

PATIENCE = 20.0
GET = b"GET /a HTTP/1.1\r\nhost: a\r\n\r\n"


class Work:
    """A job that waits to be let go on."""

    def __init__(self, pool: Threads, *, waits: bool = True) -> None:
        self.pool = pool
        self.submitted = 0.0
        self.thread: threading.Thread | None = None
        self.began, self.go, self.done = threading.Event(), threading.Event(), threading.Event()
        if not waits:
            self.go.set()

    def run(self) -> None:
        self.thread = threading.current_thread()
        self.began.set()
        assert self.go.wait(PATIENCE)
        self.pool.freed()
        self.done.set()


def on(pool: Threads, **rest: Any) -> Work:
    work = Work(pool, **rest)
    assert pool.submit(work)
    return work


def all_ended(threads: list[threading.Thread]) -> bool:
    for each in threads:
        each.join(PATIENCE)
    return not any(each.is_alive() for each in threads)


def ours() -> list[threading.Thread]:
    return [each for each in threading.enumerate() if each.name.startswith(NAME)]


@pytest.fixture
def pool() -> Iterator[Callable[..., Threads]]:
    """Makes pools, which are stopped when the test ends."""
    made: list[Threads] = []

    def make(*args: int) -> Threads:
        made.append(Threads(*args))
        return made[-1]

    yield make
    for each in made:
        each.stop()


def until(condition: Callable[[], Any]) -> None:
    """Something that another thread does, and tells nobody of."""
    for _ in range(1000):
        if condition():
            return
        threading.Event().wait(0.01)
    raise AssertionError("it never came")


# --- the pool ---


def test_one_job_after_the_other_meets_one_thread(pool: Any) -> None:
    threads = pool(8)
    met = set()
    for _ in range(50):
        work = on(threads, waits=False)
        assert work.done.wait(PATIENCE)
        met.add(work.thread)
    assert len(met) == 1
    assert threads.figures().threads == 1


def test_jobs_at_once_meet_a_thread_each_up_to_the_most(pool: Any) -> None:
    threads = pool(3)
    first = [on(threads) for _ in range(3)]
    assert all(work.began.wait(PATIENCE) for work in first)
    last = on(threads)
    assert threads.figures()[:4] == (3, 3, 3, 1)
    assert not last.began.is_set()
    for work in [*first, last]:
        work.go.set()
        assert work.done.wait(PATIENCE)
    assert len({work.thread for work in [*first, last]}) == 3
    assert last.thread in {work.thread for work in first}
    assert threads.figures()[:4] == (3, 3, 0, 0)


def test_the_last_thread_to_fall_asleep_is_the_first_to_be_woken(pool: Any) -> None:
    threads = pool(4)
    works = [on(threads) for _ in range(4)]
    assert all(work.began.wait(PATIENCE) for work in works)
    for number, work in enumerate(works):
        work.go.set()
        while len(threads._asleep) <= number:  # it has fallen asleep
            assert work.done.wait(PATIENCE)
    for _ in range(10):
        again = on(threads, waits=False)
        while len(threads._asleep) < 4:
            assert again.done.wait(PATIENCE)
        assert again.thread is works[-1].thread


def test_threads_have_names_and_end_with_the_process(pool: Any) -> None:
    threads = pool(2)
    works = [on(threads), on(threads)]
    assert all(work.began.wait(PATIENCE) for work in works)
    assert sorted(work.thread.name for work in works) == [f"{NAME}-1", f"{NAME}-2"]
    assert all(work.thread.daemon for work in works)
    for work in works:
        work.go.set()


def test_no_more_wait_than_the_queue_has_room_for(pool: Any) -> None:
    threads = pool(1, 2)
    running, *waiting = [on(threads) for _ in range(3)]
    assert not threads.submit(Work(threads))
    running.go.set()
    assert waiting[0].began.wait(PATIENCE)
    waiting.append(on(threads))
    assert not threads.submit(Work(threads))
    for work in waiting:
        work.go.set()
        assert work.done.wait(PATIENCE)


def test_a_small_queue_refuses_nobody_while_there_are_threads(pool: Any) -> None:
    threads = pool(4, 1)
    works = [on(threads) for _ in range(5)]  # at once: none has been taken yet
    assert not threads.submit(Work(threads))
    for work in works:
        work.go.set()
        assert work.done.wait(PATIENCE)


def test_a_job_that_waits_may_be_taken_back(pool: Any) -> None:
    threads = pool(1)
    running, waiting = on(threads), on(threads)
    assert running.began.wait(PATIENCE)
    assert threads.figures().longest_wait > 0.0
    assert threads.withdraw(waiting)
    assert not threads.withdraw(waiting)
    assert not threads.withdraw(running)
    assert threads.figures()[2:] == (1, 0, 0.0)
    running.go.set()
    last = on(threads, waits=False)
    assert last.done.wait(PATIENCE)
    assert not waiting.began.is_set()


def test_stop_ends_the_threads_that_sleep_and_then_the_others(pool: Any) -> None:
    threads = pool(3)
    works = [on(threads) for _ in range(3)]
    assert all(work.began.wait(PATIENCE) for work in works)
    sleepers = works[:2]
    for work in sleepers:
        work.go.set()
    threads.stop()
    assert all_ended([work.thread for work in sleepers if work.thread])
    assert works[2].thread.is_alive()
    works[2].go.set()
    assert all_ended([works[2].thread])
    assert threads.figures().threads == 0


def test_what_waits_is_run_after_a_stop(pool: Any) -> None:
    threads = pool(1)
    running, waiting = on(threads), on(threads)
    threads.stop()
    running.go.set()
    waiting.go.set()
    assert waiting.done.wait(PATIENCE)
    assert all_ended([waiting.thread])


def test_after_a_stop_there_may_be_another_day(pool: Any) -> None:
    threads = pool(2)
    for _ in range(3):
        work = on(threads, waits=False)
        assert work.done.wait(PATIENCE)
        threads.stop()


def test_a_thread_that_cannot_be_had_harms_no_one(pool: Any, monkeypatch: pytest.MonkeyPatch, log: Any) -> None:
    def refuse(self: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    threads = pool(4)
    with monkeypatch.context() as patch:
        patch.setattr(threading.Thread, "start", refuse)
        assert not threads.submit(Work(threads))
    first = on(threads)
    assert first.began.wait(PATIENCE)
    with monkeypatch.context() as patch:
        patch.setattr(threading.Thread, "start", refuse)
        second = on(threads)  # which waits for the one there is
    first.go.set()
    second.go.set()
    assert second.done.wait(PATIENCE)
    assert threads.figures()[:4] == (1, 4, 0, 0)
    assert log.errors == [f"no more than {number} WSGI threads: can't start new thread" for number in (0, 1)]


def test_a_crowd_is_served_and_every_job_once(pool: Any) -> None:
    threads = pool(4, 100_000)
    ran: list[int] = []
    through = threading.Semaphore(0)

    class Quick(Work):
        def run(self) -> None:
            ran.append(id(self))
            self.pool.freed()
            through.release()

    works = [Quick(threads) for _ in range(2000)]

    def submit(share: list[Quick]) -> None:
        assert all(threads.submit(work) for work in share)

    crowd = [threading.Thread(target=submit, args=(works[start::4],)) for start in range(4)]
    for each in crowd:
        each.start()
    for _ in works:
        assert through.acquire(timeout=PATIENCE)
    assert sorted(ran) == sorted(map(id, works))
    assert threads.figures()[2:4] == (0, 0)
    assert all_ended(crowd)


def test_by_default_there_are_four_for_each_cpu() -> None:
    assert usual() == min(32, 4 * usable())
    assert portway.WSGI(print).figures()[:2] == (0, usual())  # type: ignore[index]
    assert portway.WSGI(print, threads=0).figures() is None


@pytest.mark.parametrize("wrong", [{"threads": -1}, {"queue": 0}])
def test_numbers_that_cannot_be_are_refused(wrong: dict[str, int]) -> None:
    with pytest.raises(SettingsError, match="threads must be 0 or more"):
        portway.WSGI(print, **wrong)  # type: ignore[arg-type]


# --- one thread for each request ---


seen: contextvars.ContextVar[str] = contextvars.ContextVar("seen", default="nothing")


@pytest.mark.parametrize("how", ["returned", "generator", "written"])
def test_a_request_runs_in_one_thread_and_one_context_to_its_close(wsgi: Any, mode: str, how: str) -> None:
    notes: list[tuple[str, str, int]] = []
    closed = threading.Event()

    def note(where: str) -> None:
        notes.append((where, seen.get(), threading.get_ident()))

    class Result:
        def __iter__(self) -> Iterator[bytes]:
            note("iter")
            yield b"a"
            note("next")
            seen.set(seen.get() + "+")
            yield b"b"

        def close(self) -> None:
            note("close")
            closed.set()

    def app(environ: Environ, start_response: Any) -> Any:
        note("app")
        seen.set(environ["PATH_INFO"])
        write = start_response("200 OK", [])
        if how == "written":
            write(b"w")
        return Result()

    with wsgi(app) as served, Raw(served.host, served.port) as raw:
        for _ in range(2):
            raw.ask(GET)
            assert closed.wait(PATIENCE)
            closed.clear()
    first, second = notes[:4], notes[4:]
    for request in (first, second):
        assert [(where, value) for where, value, _ in request] == [
            ("app", "nothing"), ("iter", "/a"), ("next", "/a"), ("close", "/a+"),
        ]  # fmt: skip
        assert len({thread for _, _, thread in request}) == 1


def test_the_context_is_that_of_who_called(mode: str) -> None:  # contextvars carried
    def app(environ: Environ, start_response: Any) -> list[bytes]:
        start_response("200 OK", [])
        return [seen.get().encode()]

    inner = portway.WSGI(app, threads=2 if mode == "threads" else 0)

    async def middleware(scope: Scope, receive: Receive, send: Send) -> None:
        seen.set(scope.get("path", "lifespan"))
        await inner(scope, receive, send)

    with serve(middleware) as served, Raw(served.host, served.port) as raw:
        assert raw.ask(GET).body == b"/a"


@pytest.mark.parametrize("most", [1, 3])
@pytest.mark.parametrize("version", ["HTTP/1.1", "HTTP/2"])
def test_so_many_clients_meet_no_more_threads(most: int, version: str, dial: Any) -> None:
    # Each client has all that it was promised before `close` is called.
    class Result:
        def __iter__(self) -> Iterator[bytes]:
            yield b"o"
            yield b"k"

        def close(self) -> None:
            sum(range(300_000))  # takes its time

    def app(environ: Environ, start_response: Any) -> Any:
        start_response("200 OK", [("content-length", "2")])
        return Result()

    def drive(served: Any) -> None:
        if version == "HTTP/2":
            with dial(served) as client:
                assert all(client.ask("/").body == b"ok" for _ in range(30))
        else:
            with Raw(served.host, served.port) as raw:
                assert all(raw.ask(GET).body == b"ok" for _ in range(30))

    service = portway.WSGI(app, threads=16)
    with serve(service) as served:
        crowd = [threading.Thread(target=drive, args=(served,)) for _ in range(most)]
        for each in crowd:
            each.start()
        assert all_ended(crowd)
        assert 1 <= service.figures().threads <= most  # type: ignore[union-attr]


def test_a_response_whose_length_is_reached_has_all_its_pieces() -> None:
    # The last piece makes it whole, and must not be overtaken by that word: here the loop has its turns after the
    # piece has been counted, and before it is given to the loop.
    loops: list[asyncio.AbstractEventLoop] = []

    def trace(frame: Any, event: str, arg: Any) -> None:
        if frame.f_code.co_name == "_put" and frame.f_locals["piece"] == b"ef":
            for _ in range(5):
                asyncio.run_coroutine_threadsafe(asyncio.sleep(0), loops[0]).result(PATIENCE)

    def app(environ: Environ, start_response: Any) -> Iterator[bytes]:
        start_response("200 OK", [("content-length", "6")])
        sys.settrace(trace)
        try:
            yield from (b"ab", b"cd", b"ef")
        finally:
            sys.settrace(None)

    inner = portway.WSGI(app, threads=1)

    async def outer(scope: Scope, receive: Receive, send: Send) -> None:
        loops.append(asyncio.get_running_loop())
        await inner(scope, receive, send)

    with serve(outer) as served, Raw(served.host, served.port) as raw:
        for _ in range(3):
            assert raw.ask(GET).body == b"abcdef"


def leftovers() -> list[Any]:
    """What is still there of any request."""
    return [each for each in gc.get_objects() if type(each) in (Call, Reply, Inbox, Driver)]


def test_a_request_that_is_over_is_gone(wsgi: Any) -> None:
    def app(environ: Environ, start_response: Any) -> Any:
        environ["wsgi.input"].read(1)
        start_response("200 OK", [])
        return [b"a"] if environ["REQUEST_METHOD"] == "GET" else iter([b"a", b"b"])

    gc.collect()
    before = leftovers()
    gc.disable()  # nothing is to wait for it
    try:
        with wsgi(app) as served, Raw(served.host, served.port) as raw:
            for _ in range(10):
                raw.ask(GET)
                raw.ask(b"POST /a HTTP/1.1\r\nhost: a\r\ncontent-length: 3\r\n\r\nabc")
            until(lambda: all(any(each is old for old in before) for each in leftovers()))
    finally:
        gc.enable()


# --- too many ---


class Held:
    """An application that answers when it is let."""

    def __init__(self) -> None:
        self.paths: list[str] = []
        self.began = threading.Semaphore(0)
        self.go = threading.Event()

    def __call__(self, environ: Environ, start_response: Any) -> list[bytes]:
        self.paths.append(environ["PATH_INFO"])
        self.began.release()
        assert self.go.wait(PATIENCE)
        start_response("200 OK", [])
        return [b"ok"]


def asked(served: Any, path: bytes) -> Raw:
    raw = Raw(served.host, served.port, PATIENCE)
    raw.send(GET.replace(b"/a", path))
    return raw


def test_one_too_many_is_told_to_come_again(log: Any) -> None:
    held = Held()
    service = portway.WSGI(held, threads=1, queue=1)
    with serve(service) as served, asked(served, b"/1") as first:
        assert held.began.acquire(timeout=PATIENCE)
        with asked(served, b"/2") as second:
            until(lambda: service.figures().waiting == 1)  # type: ignore[union-attr]
            with Raw(served.host, served.port) as raw:
                for _ in range(3):
                    refused = raw.ask(GET)
                    assert (refused.status, refused.header("retry-after")) == (503, "1")
                    assert refused.body == b"The server is busy; try again in a moment.\n"
                body = b"POST /a HTTP/1.1\r\nhost: a\r\ncontent-length: 600000\r\n\r\n"
                assert raw.ask(body + bytes(600_000)).status == 503
            held.go.set()
            assert first.response().body == b"ok"
            assert second.response().body == b"ok"
    assert held.paths == ["/1", "/2"]
    (line,) = log.errors  # once, not for each
    assert line.startswith("requests are refused: 1 wait for one of 1 WSGI threads; give more with --wsgi-threads")


def test_who_goes_while_its_request_waits_is_never_run(reset: Any, unlooked: None) -> None:
    held = Held()
    service = portway.WSGI(held, threads=1)
    with serve(service) as served, asked(served, b"/1") as first:
        assert held.began.acquire(timeout=PATIENCE)
        with asked(served, b"/2") as second, asked(served, b"/3") as third:
            until(lambda: service.figures().waiting == 2)  # type: ignore[union-attr]
            reset(second)
            until(lambda: service.figures().waiting == 1)  # type: ignore[union-attr]
            held.go.set()
            assert first.response().body == b"ok"
            assert third.response().body == b"ok"
    assert held.paths == ["/1", "/3"]


def test_a_stream_that_is_reset_while_it_waits_is_never_run(dial: Any, unlooked: None) -> None:
    held = Held()
    service = portway.WSGI(held, threads=1)
    with serve(service) as served, dial(served) as client:
        first = client.begin("/1")
        assert held.began.acquire(timeout=PATIENCE)
        second = client.begin("/2", ("content-length", "3"), method="POST", end=False)
        until(lambda: service.figures().waiting == 1)  # type: ignore[union-attr]
        client.talk.h2.reset_stream(second, 8)
        client.flush()
        until(lambda: service.figures().waiting == 0)  # type: ignore[union-attr]
        held.go.set()
        assert client.answer(first).body == b"ok"
        assert client.ask("/3").body == b"ok"
    assert held.paths == ["/1", "/3"]


# --- the end of the server ---


def test_threads_that_sleep_end_with_the_server(threaded: Any) -> None:
    before = set(ours())
    held = Held()
    held.go.set()
    with threaded(held) as served:
        with asked(served, b"/1") as raw:
            assert raw.response().body == b"ok"
        mine = set(ours()) - before
        assert len(mine) == 1
    assert all_ended(list(mine))


def test_requests_that_wait_are_answered_before_the_server_ends() -> None:
    held = Held()
    service = portway.WSGI(held, threads=1)
    with serve(service, timeout_graceful_shutdown=PATIENCE) as served:
        clients = [asked(served, b"/%d" % number) for number in range(4)]
        assert held.began.acquire(timeout=PATIENCE)
        until(lambda: service.figures().waiting == 3)  # type: ignore[union-attr]
        served.server.stop()
        held.go.set()
        for client in clients:
            with client:
                assert client.response().body == b"ok"
    assert len(held.paths) == 4
    until(lambda: service.figures().threads == 0)  # type: ignore[union-attr]


def test_a_busy_thread_keeps_no_server_from_ending_and_closes_all_the_same(log: Any) -> None:
    ended = threading.Event()
    began, go = threading.Event(), threading.Event()
    errors: list[BaseException] = []

    class Result:
        def __iter__(self) -> Iterator[bytes]:
            yield b"a"
            began.set()
            assert go.wait(PATIENCE)
            yield b"b"

        def close(self) -> None:
            ended.set()

    def app(environ: Environ, start_response: Any) -> Any:
        if environ["PATH_INFO"] == "/waits":
            errors.append(AssertionError("was run"))
        start_response("200 OK", [])
        return Result()

    service = portway.WSGI(app, threads=1)
    with serve(service, timeout_graceful_shutdown=0.01) as served, asked(served, b"/1") as raw:
        raw.until(b"\r\na\r\n")
        assert began.wait(PATIENCE)
        waiting = asked(served, b"/waits")
        until(lambda: service.figures().waiting == 1)  # type: ignore[union-attr]
    waiting.close()
    go.set()
    assert ended.wait(PATIENCE)
    until(lambda: service.figures().threads == 0)  # type: ignore[union-attr]
    assert errors == []


def test_who_reads_when_the_server_ends_is_told() -> None:
    began, ended = threading.Event(), threading.Event()
    outcomes: list[Any] = []

    def app(environ: Environ, start_response: Any) -> list[bytes]:
        began.set()
        try:
            environ["wsgi.input"].read()
        except ConnectionResetError as error:
            outcomes.append(type(error))
            raise
        finally:
            ended.set()
        return []

    service = portway.WSGI(app, threads=1)
    with serve(service, timeout_graceful_shutdown=0.01) as served:
        raw = Raw(served.host, served.port)
        raw.send(b"POST /a HTTP/1.1\r\nhost: a\r\ncontent-length: 10\r\n\r\nabc")
        assert began.wait(PATIENCE)
    raw.close()
    assert ended.wait(PATIENCE)
    assert outcomes == [portway.ClientDisconnected]
    until(lambda: service.figures().threads == 0)  # type: ignore[union-attr]


def test_one_application_may_be_served_twice() -> None:
    held = Held()
    held.go.set()
    service = portway.WSGI(held, threads=1)
    for _ in range(3):
        with serve(service) as served, asked(served, b"/1") as raw:
            assert raw.response().body == b"ok"


def test_one_application_may_be_served_by_two_loops_at_once() -> None:
    held = Held()
    held.go.set()
    service = portway.WSGI(held, threads=2)
    with serve(service) as one, serve(service) as other:
        for _ in range(5):
            for served in (one, other):
                with asked(served, b"/1") as raw:
                    assert raw.response().body == b"ok"
