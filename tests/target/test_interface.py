"""Which interface an application speaks, from the object alone."""

import functools
import inspect
import sys
from collections.abc import Callable, Generator, Iterable
from typing import Any

import pytest

from portway.errors import LoadError
from portway.target import asgi2_to_asgi3, detect
from portway.target.interface import is_factory, looks_like_one
from portway.types import Message, Receive, Scope, Send


async def asgi3(scope: Scope, receive: Receive, send: Send) -> None: ...


def asgi2(scope: Scope) -> Callable[[Receive, Send], Any]:
    async def instance(receive: Receive, send: Send) -> None: ...

    return instance


def wsgi(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
    return []


class AsyncCall:
    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None: ...

    async def method(self, scope: Scope, receive: Receive, send: Send) -> None: ...


class WsgiCall:
    def __call__(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        return []

    def method(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        return []


class DoubleCall:
    def __call__(self, scope: Scope) -> Any: ...


class Asgi2Class:
    def __init__(self, scope: Scope) -> None: ...

    async def __call__(self, receive: Receive, send: Send) -> None: ...


class Endpoint:
    """As Starlette's HTTPEndpoint: an instance is awaited, not called."""

    def __init__(self, scope: Scope, receive: Receive, send: Send) -> None: ...

    def __await__(self) -> Generator[Any, None, None]:
        yield


class WsgiClass:
    """PEP 3333's AppClass: an instance is iterated over."""

    def __init__(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> None: ...

    def __iter__(self) -> Any: ...


def plain_decorator(function: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(function)
    def wrapper(*args: Any, **kwargs: Any) -> Any:
        return function(*args, **kwargs)

    return wrapper


def nameless_decorator(function: Callable[..., Any]) -> Callable[..., Any]:
    return lambda *args: function(*args)


def configured(option: str, scope: Scope, receive: Receive, send: Send) -> Any: ...


async def configured_async(option: str, scope: Scope, receive: Receive, send: Send) -> None: ...


class NoSignature:
    """As a builtin, or what Cython makes without binding."""

    __signature__ = "none to be had"

    def __call__(self, *args: Any) -> Any: ...


def marked(mark: str, function: Callable[..., Any]) -> Callable[..., Any]:
    copy = plain_decorator(function)
    setattr(copy, mark, True)
    return copy


@pytest.mark.parametrize(
    ("app", "interface"),
    [
        (asgi3, "asgi3"),
        (asgi2, "asgi2"),
        (wsgi, "wsgi"),
        (AsyncCall(), "asgi3"),
        (AsyncCall().method, "asgi3"),
        (DoubleCall(), "asgi2"),
        (WsgiCall(), "wsgi"),
        (WsgiCall().method, "wsgi"),
        (Asgi2Class, "asgi2"),
        (Endpoint, "asgi3"),
        (WsgiClass, "wsgi"),
        (functools.partial(configured, "x"), "asgi3"),
        (functools.partial(configured_async, option="x"), "asgi3"),
        (functools.partial(AsyncCall()), "asgi3"),
        (functools.partial(functools.partial(wsgi)), "wsgi"),
        (plain_decorator(asgi3), "asgi3"),
        (plain_decorator(asgi2), "asgi2"),
        (plain_decorator(wsgi), "wsgi"),
        (nameless_decorator(asgi3), "asgi3"),
        (lambda scope, receive, send: None, "asgi3"),
        (lambda environ, start_response, extra=None: None, "wsgi"),
        (NoSignature(), "asgi3"),
        (print, "asgi3"),
        (marked("_asgi_single_callable", asgi2), "asgi3"),
        (marked("_asgi_double_callable", wsgi), "asgi2"),
    ],
)
def test_the_interface_is_seen_from_the_object(app: object, interface: str) -> None:
    assert detect(app) == interface


@pytest.mark.skipif(sys.version_info < (3, 12), reason="inspect.markcoroutinefunction came with 3.12")
def test_a_function_marked_as_a_coroutine_function_is_asgi3() -> None:
    mark = getattr(inspect, "markcoroutinefunction")  # noqa: B009  mypy looks with the eyes of 3.11
    assert detect(mark(lambda *args: None)) == "asgi3"


@pytest.mark.parametrize(
    ("app", "words"),
    [
        ("app", "str object cannot be called"),
        (sys, "module object cannot be called"),
        (lambda: None, "takes no argument; if it returns the application, say --factory"),
        (lambda a, b, c, d: None, r"takes 4 arguments \(a, b, c, d\)"),
    ],
)
def test_what_can_be_no_application_is_refused(app: object, words: str) -> None:
    with pytest.raises(LoadError, match=words):
        detect(app)


@pytest.mark.parametrize(
    ("make", "interface"),
    [
        ("fastapi:FastAPI", "asgi3"),
        ("fastapi:APIRouter", "asgi3"),
        ("starlette.applications:Starlette", "asgi3"),
        ("quart:Quart", "asgi3"),
        ("flask:Flask", "wsgi"),
        ("django.core.handlers.asgi:ASGIHandler", "asgi3"),
        ("django.core.handlers.wsgi:WSGIHandler", "wsgi"),
    ],
)
@pytest.mark.filterwarnings("ignore")  # the frameworks' own
def test_the_applications_of_frameworks_are_known(make: str, interface: str) -> None:
    module, name = make.split(":")
    kind: Any = getattr(pytest.importorskip(module, exc_type=ImportError), name)
    if module.startswith("django"):
        app = kind.__new__(kind)  # making one wants Django's settings, its call is the same
    else:
        app = kind(__name__) if module in ("flask", "quart") else kind()
    assert detect(app) == interface


async def nothing() -> None: ...


@pytest.mark.parametrize(
    ("app", "factory"),
    [
        (lambda: None, True),
        (lambda config=None: None, True),
        (lambda **options: None, True),
        (AsyncCall, True),
        (lambda *args: None, False),
        (lambda *, config: None, False),
        (asgi3, False),
        (wsgi, False),
        (Asgi2Class, False),
        (nothing, False),
        ("text", False),
    ],
)
def test_a_factory_is_called_with_nothing(app: object, factory: bool) -> None:
    assert is_factory(app) is factory


@pytest.mark.parametrize("app", [asgi3, wsgi, asgi2, Asgi2Class, AsyncCall(), WsgiCall(), plain_decorator(asgi3)])
def test_what_looks_like_an_application_may_be_taken_for_one(app: object) -> None:
    assert looks_like_one(app)


@pytest.mark.parametrize(
    "app",
    [print, "text", lambda: None, lambda a: None, lambda a, b: None, nothing, nameless_decorator(asgi3)],
)
def test_what_could_be_anything_is_not_taken_for_an_application(app: object) -> None:
    assert not looks_like_one(app)


def test_an_asgi2_application_is_served_as_asgi3() -> None:
    seen: list[Any] = []

    class Old:
        def __init__(self, scope: Scope) -> None:
            self.scope = scope

        async def __call__(self, receive: Receive, send: Send) -> None:
            seen.append((self.scope, await receive()))
            await send({"type": "reply"})

    async def receive() -> Message:
        return {"type": "question"}

    async def send(message: Message) -> None:
        seen.append(message)

    call = asgi2_to_asgi3(Old)({"type": "http"}, receive, send)
    with pytest.raises(StopIteration):
        call.__await__().send(None)  # type: ignore[attr-defined]
    assert seen == [({"type": "http"}, {"type": "question"}), {"type": "reply"}]
    assert detect(asgi2_to_asgi3(Old)) == "asgi3"
