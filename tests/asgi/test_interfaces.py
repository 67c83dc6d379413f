"""ASGI 2: an application that is called twice."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from asgiref.compatibility import guarantee_single_callable

from portway.errors import LoadError
from portway.testing import Raw, Response, serve
from portway.types import Receive, Scope, Send

Ask = Callable[..., Response]

GET = b"GET / HTTP/1.1\r\nhost: a\r\n\r\n"
OK = {"type": "http.response.start", "status": 200}
DONE = {"type": "http.response.body", "body": b"ok"}


async def reply(scope: Scope, receive: Receive, send: Send) -> None:
    await receive()
    await send(OK)
    await send(DONE | {"body": scope["raw_path"]})


def function(scope: Scope) -> Callable[[Receive, Send], Awaitable[None]]:
    async def instance(receive: Receive, send: Send) -> None:
        await reply(scope, receive, send)

    return instance


class Class:
    """As Channels 2 had its consumers."""

    def __init__(self, scope: Scope) -> None:
        self.scope = scope

    async def __call__(self, receive: Receive, send: Send) -> None:
        await reply(self.scope, receive, send)


class Object:
    """Configured first, then called."""

    def __call__(self, scope: Scope) -> Callable[[Receive, Send], Awaitable[None]]:
        return function(scope)


async def single(scope: Scope, receive: Receive, send: Send) -> None:
    await reply(scope, receive, send)


class SingleObject:
    """As most frameworks' applications are."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await reply(scope, receive, send)


@pytest.mark.parametrize(
    "app", [function, Class, Object(), single, SingleObject(), guarantee_single_callable(function)]
)
def test_both_interfaces_are_known_by_the_look_of_them(ask: Ask, app: Any) -> None:  # ASGI 4
    assert ask(app, lifespan="off").body == b"/"


@pytest.mark.parametrize(("app", "interface"), [(lambda *scope: function(*scope), "asgi2"), (single, "asgi3")])
def test_an_interface_may_be_said(ask: Ask, app: Any, interface: str) -> None:  # ASGI 4
    assert ask(app, lifespan="off", interface=interface).body == b"/"


def test_what_cannot_be_called_is_refused_before_anything_begins() -> None:
    with pytest.raises(LoadError, match="cannot be called"):
        serve(object())


def test_each_request_makes_an_instance_of_its_own() -> None:  # ASGI 4, 11
    made: list[Any] = []

    class Counted(Class):
        def __init__(self, scope: Scope) -> None:
            super().__init__(scope)
            made.append(self)

    with serve(Counted, lifespan="off") as served, Raw(served.host, served.port) as raw:
        assert raw.ask(GET).body == b"/"
        assert raw.ask(GET).body == b"/"
    assert len(set(map(id, made))) == 2


def test_one_of_asgi_2_has_a_lifespan_as_well() -> None:  # ASGI 4, 47
    told: list[str] = []

    class App(Class):
        async def __call__(self, receive: Receive, send: Send) -> None:
            if self.scope["type"] != "lifespan":
                return await super().__call__(receive, send)
            for phase in ("startup", "shutdown"):
                told.append((await receive())["type"])
                await send({"type": f"lifespan.{phase}.complete"})

    with serve(App, lifespan="on") as served, Raw(served.host, served.port) as raw:
        assert raw.ask(GET).body == b"/"
    assert told == ["lifespan.startup", "lifespan.shutdown"]


def test_one_of_asgi_2_without_a_lifespan_may_say_so_when_it_is_made(ask: Ask, log: Any) -> None:  # ASGI 4, 50
    class App(Class):
        def __init__(self, scope: Scope) -> None:
            assert scope["type"] == "http", "there is nothing else"
            super().__init__(scope)

    assert ask(App).body == b"/"
    assert log.errors == []


def test_an_error_when_it_is_made_is_a_500(ask: Ask, log: Any) -> None:  # ASGI 4, 7
    def app(scope: Scope) -> Any:
        raise ZeroDivisionError

    assert ask(app, lifespan="off").status == 500
    assert "ZeroDivisionError" in log.error


def test_it_runs_in_a_task_of_its_own(ask: Ask) -> None:  # ASGI 4, 10
    def app(scope: Scope) -> Callable[[Receive, Send], Awaitable[None]]:
        made_in = asyncio.current_task()

        async def instance(receive: Receive, send: Send) -> None:
            assert asyncio.current_task() is made_in is not None
            await reply(scope, receive, send)

        return instance

    assert ask(app, lifespan="off").body == b"/"
