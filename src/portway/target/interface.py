"""Which interface an application speaks, seen from the object alone; nothing is called.

    asgi3   async def app(scope, receive, send)     also an object whose __call__ is async
    asgi2   def app(scope) -> async (receive, send)  also a class made with (scope)
    wsgi    def app(environ, start_response)         also a class made with (environ, start_response)

In this order: a mark that asgiref's decorators leave; whether calling it gives a coroutine; how many
arguments it needs. What tells nothing (a builtin without signature, `*args`) is taken for ASGI 3.
"""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Callable
from inspect import Parameter
from typing import Any, Literal

from portway.errors import LoadError
from portway.types import ASGI2App, ASGIApp, Receive, Scope, Send

Interface = Literal["asgi3", "asgi2", "wsgi"]

BY_ARGUMENTS: dict[int, Interface] = {1: "asgi2", 2: "wsgi", 3: "asgi3"}
WSGI_NAMES = {("environ", "start_response"), ("env", "start_response")}


def detect(app: object) -> Interface:
    """The interface of the application; LoadError if it can be none."""
    if not callable(app):
        raise LoadError(f"{_name(app)} cannot be called, so it is no application")
    if getattr(app, "_asgi_single_callable", False):
        return "asgi3"
    if getattr(app, "_asgi_double_callable", False):
        return "asgi2"
    if is_async(app):
        return "asgi3"
    needed = needs(app)
    return "asgi3" if needed is None else _by_arguments(app, needed)


def _by_arguments(app: Callable[..., Any], needed: tuple[str, ...]) -> Interface:
    if not needed:
        raise LoadError(f"{_name(app)} takes no argument; if it returns the application, say --factory")
    if len(needed) not in BY_ARGUMENTS:
        raise LoadError(
            f"{_name(app)} takes {len(needed)} arguments ({', '.join(needed)}); "
            "ASGI has scope, receive, send and WSGI has environ, start_response"
        )
    return BY_ARGUMENTS[len(needed)]


def is_async(app: object) -> bool:
    """Calling it, or making an instance of it, gives something to await."""
    if inspect.isclass(app):  # as Starlette's endpoints: made with (scope, receive, send), then awaited
        return hasattr(app, "__await__")
    return _is_coroutine_function(app) or _is_coroutine_function(getattr(app, "__call__", None))  # noqa: B004


def _is_coroutine_function(function: object) -> bool:
    # The marker is how Cython's and asgiref's coroutine functions are known before Python 3.12's
    # inspect.markcoroutinefunction; asyncio.iscoroutinefunction looks for it too, and is deprecated.
    marker = getattr(asyncio.coroutines, "_is_coroutine", None)
    marked = marker is not None and getattr(function, "_is_coroutine", None) is marker
    return marked or inspect.iscoroutinefunction(function)


def needs(app: Callable[..., Any]) -> tuple[str, ...] | None:
    """The names of the positional arguments that a call must have; None if they cannot be known."""
    try:
        parameters = inspect.signature(app).parameters.values()
    except (TypeError, ValueError):
        return None
    if any(each.kind is Parameter.VAR_POSITIONAL for each in parameters):
        return None
    return tuple(each.name for each in parameters if each.kind in POSITIONAL and each.default is Parameter.empty)


POSITIONAL = (Parameter.POSITIONAL_ONLY, Parameter.POSITIONAL_OR_KEYWORD)


def is_factory(app: object) -> bool:
    """It can be called with nothing and is not async: it may only be something that makes applications."""
    return callable(app) and not is_async(app) and needs(app) == () and not _keyword_only(app)


def _keyword_only(app: Callable[..., Any]) -> bool:
    parameters = inspect.signature(app).parameters.values()
    return any(each.kind is Parameter.KEYWORD_ONLY and each.default is Parameter.empty for each in parameters)


def looks_like_one(app: object) -> bool:
    """Stricter than `detect`: what may be taken for the application of a module that names none."""
    if not callable(app):
        return False
    needed = needs(app)
    if needed is None:
        return False
    if is_async(app):
        return len(needed) == 3
    return needed in WSGI_NAMES or needed in (("scope",), ("scope", "receive", "send"))


def asgi2_to_asgi3(app: ASGI2App) -> ASGIApp:
    """An ASGI 2 application as one of ASGI 3."""

    async def single(scope: Scope, receive: Receive, send: Send) -> None:
        await app(scope)(receive, send)

    return single


def _name(app: object) -> str:
    """Its name where it has one, else a short repr."""
    name = getattr(app, "__qualname__", None)
    return str(name) if name else f"{type(app).__name__} object"
