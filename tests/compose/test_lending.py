"""The threads that are lent, without a server."""

import asyncio
import threading
from collections.abc import Iterator

import pytest

from portway.compose.lending import Loan, Threads

PATIENCE = 20.0

pytestmark = pytest.mark.usefixtures("no_lent_thread_is_left")


@pytest.fixture
def loop() -> Iterator[asyncio.AbstractEventLoop]:
    loop = asyncio.new_event_loop()
    yield loop
    loop.close()


def name() -> str:
    return threading.current_thread().name


def test_the_thread_that_came_back_last_is_lent_first(loop: asyncio.AbstractEventLoop) -> None:
    threads = Threads()
    loans = [Loan(threads, loop) for _ in range(3)]
    assert [loan.submit(name).result(PATIENCE)[-1] for loan in loans] == ["1", "2", "3"]
    for number in (0, 2, 1):
        loans[number].end()
    assert repr(threads) == "<Threads idle=3 waiting=0 finishing=0>"
    another = Loan(threads, loop)
    assert another.submit(name).result(PATIENCE) == "portway-sensitive-2"
    another.end()
    threads.close()


def test_an_error_is_the_callers(loop: asyncio.AbstractEventLoop) -> None:
    threads = Threads()
    loan = Loan(threads, loop)
    with pytest.raises(ZeroDivisionError):
        loan.submit(divmod, 1, 0).result(PATIENCE)
    with pytest.raises(SystemExit):
        loan.submit(exit).result(PATIENCE)
    assert loan.submit(name).result(PATIENCE) == "portway-sensitive-1"
    loan.end()
    threads.close()


def test_a_call_that_was_cancelled_is_left_out(loop: asyncio.AbstractEventLoop) -> None:
    threads, gate = Threads(), threading.Event()
    loan = Loan(threads, loop)
    first, second = loan.submit(gate.wait, PATIENCE), loan.submit(name)
    assert second.cancel()
    loan.end()
    gate.set()
    assert first.result(PATIENCE)
    other = Loan(threads, loop)
    assert other.submit(name).result(PATIENCE) in ("portway-sensitive-1", "portway-sensitive-2")
    other.end()
    threads.close()


def test_an_idle_thread_says_goodbye_and_ends(loop: asyncio.AbstractEventLoop) -> None:
    left: list[str] = []
    threads = Threads(farewell=lambda: left.append(name()), idle=0.01)
    loan = Loan(threads, loop)
    thread = loan.submit(threading.current_thread).result(PATIENCE)
    assert thread.is_alive()
    loan.end()
    thread.join(PATIENCE)
    assert not thread.is_alive()
    assert left == [thread.name]
    another = Loan(threads, loop)
    assert another.submit(name).result(PATIENCE) == "portway-sensitive-2"
    another.end()


def test_a_thread_that_comes_back_after_the_end_ends(loop: asyncio.AbstractEventLoop) -> None:
    threads = Threads()
    loan = Loan(threads, loop)
    thread = loan.submit(threading.current_thread).result(PATIENCE)
    threads.close()
    assert loan.submit(threading.current_thread).result(PATIENCE) is thread
    loan.end()
    thread.join(PATIENCE)
    assert not thread.is_alive()


def test_a_loan_that_is_over_borrows_for_each_call(loop: asyncio.AbstractEventLoop) -> None:
    threads = Threads()
    loan = Loan(threads, loop)
    loan.end()
    assert [loan.submit(name).result(PATIENCE) for _ in range(3)] == ["portway-sensitive-1"] * 3
    assert repr(threads) == "<Threads idle=1 waiting=0 finishing=0>"
    threads.close()


def test_nobody_waits_on_a_loop_that_is_closed(loop: asyncio.AbstractEventLoop) -> None:
    threads = Threads()
    finishing, newcomer = Loan(threads, loop), Loan(threads, loop)
    assert finishing.submit(name).result(PATIENCE) == "portway-sensitive-1"
    finishing.complete()
    loop.close()
    assert newcomer.submit(name).result(PATIENCE) == "portway-sensitive-2"
    finishing.end()
    newcomer.end()
    threads.close()


def test_where_no_thread_can_be_had_the_call_is_refused(
    loop: asyncio.AbstractEventLoop, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(thread: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    threads = Threads()
    loan = Loan(threads, loop)
    with monkeypatch.context() as patch:
        patch.setattr(threading.Thread, "start", full)
        with pytest.raises(RuntimeError, match="can't start"):
            loan.submit(name)
    assert loan.submit(name).result(PATIENCE) == "portway-sensitive-2"
    loan.end()
    threads.close()


def test_only_as_many_wait_as_threads_are_finishing() -> None:
    async def waiting() -> None:
        threads, loop = Threads(), asyncio.get_running_loop()
        finishing, first, second = (Loan(threads, loop) for _ in range(3))
        assert finishing.submit(name).result(PATIENCE) == "portway-sensitive-1"
        finishing.complete()
        one = first.submit(name)
        assert repr(threads) == "<Threads idle=0 waiting=1 finishing=1>"
        assert second.submit(name).result(PATIENCE) == "portway-sensitive-2"
        finishing.end()
        assert one.result(PATIENCE) == "portway-sensitive-1"
        first.end()
        second.end()
        threads.close()

    asyncio.run(waiting())
