"""The fixture that pytest finds by itself, see `portway.testing`."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from typing import Any

import pytest


@pytest.fixture
def portway_serve() -> Iterator[Callable[..., Any]]:
    """Serve an application until the test ends: `portway_serve(app, **settings)` gives a `Served`."""
    from portway.testing import Served, serve

    with contextlib.ExitStack() as stack:

        def begin(app: Any, **settings: Any) -> Served:
            return stack.enter_context(serve(app, **settings))

        yield begin
