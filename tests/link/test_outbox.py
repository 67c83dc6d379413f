"""The responses of one turn are written together, and none waits for long."""

from __future__ import annotations

import asyncio
import threading
import time
from contextlib import ExitStack
from typing import Any

from portway.link.outbox import DIRECTLY, Outbox
from portway.probe.raw import Raw
from portway.probe.serve import serve


def get(path: bytes) -> bytes:
    return b"GET " + path + b" HTTP/1.1\r\nHost: a\r\n\r\n"


class Kept:
    """Stands where a link does."""

    def __init__(self) -> None:
        self.written = 0

    def write_out(self) -> None:
        self.written += 1


async def turn() -> None:
    await asyncio.sleep(0)
    await asyncio.sleep(0)


def test_what_one_turn_brings_is_written_at_its_end() -> None:
    async def main() -> None:
        outbox, links = Outbox(asyncio.get_running_loop()), [Kept() for _ in range(3)]
        assert [outbox.takes(link) for link in links] == [True, True, True]
        assert [link.written for link in links] == [0, 0, 0]
        await turn()
        assert [link.written for link in links] == [1, 1, 1]
        assert outbox.takes(links[0])  # the next turn gathers, too

    asyncio.run(main())


def test_where_turns_bring_one_response_each_nothing_waits() -> None:
    async def main() -> None:
        outbox, link = Outbox(asyncio.get_running_loop()), Kept()
        assert outbox.takes(link)
        await turn()
        taken = []
        for _ in range(2 * (DIRECTLY + 1)):
            taken.append(outbox.takes(link))
            await turn()
        assert taken == [*[False] * DIRECTLY, True] * 2
        assert link.written == 3

    asyncio.run(main())


def test_a_response_does_not_wait_for_a_slow_neighbour_twice() -> None:
    go = threading.Event()

    async def app(scope: dict[str, Any], receive: Any, send: Any) -> None:
        if scope["path"] == "/hold":
            released.append(asyncio.Event())
            entered.set()
            together.wait(10)  # until all others have come, so that one turn reads them
            await released[0].wait()
        elif scope["path"] == "/slow":
            time.sleep(0.02)
        elif scope["path"] == "/last":
            go.wait(10)  # this turn does not end before the client has the responses of the others
            late.append(not go.is_set())
            released[0].set()
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"2")]})
        await send({"type": "http.response.body", "body": b"ok"})

    entered, together = threading.Event(), threading.Event()
    late: list[bool] = []
    released: list[asyncio.Event] = []
    with serve(app, lifespan="off") as served, ExitStack() as stack:
        hold, quick, slow, last = (stack.enter_context(Raw(served.host, served.port)) for _ in range(4))
        for _ in range(1 + DIRECTLY):
            assert hold.ask(get(b"/alone")).body == b"ok"  # the next turn gathers
        hold.send(get(b"/hold"))
        assert entered.wait(10)
        for raw, path in ((quick, b"/quick"), (slow, b"/slow"), (last, b"/last")):
            raw.send(get(path))
        together.set()
        assert slow.response().body == b"ok"
        assert quick.response().body == b"ok"
        go.set()
        assert hold.response().body == last.response().body == b"ok"
    assert late == [False]


def test_every_one_of_many_gets_its_responses() -> None:
    async def app(scope: dict[str, Any], receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": scope["path"].encode()})

    with serve(app, lifespan="off") as served, ExitStack() as stack:
        clients = [stack.enter_context(Raw(served.host, served.port)) for _ in range(50)]
        for round in range(20):
            paths = [b"/%d/%d" % (round, number) for number in range(len(clients))]
            for raw, path in zip(clients, paths, strict=True):
                raw.send(get(path))
            assert [raw.response().body for raw in clients] == paths
