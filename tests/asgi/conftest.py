"""What the tests of the contract share: one exchange with a real server."""

from collections.abc import Callable
from typing import Any

import pytest

from portway.testing import Raw, Response, serve
from portway.types import ASGIApp

Ask = Callable[..., Response]


@pytest.fixture
def ask() -> Ask:
    """Serve the application for one request, until the server has ended: `ask(app, request, **settings)`."""

    def one(app: ASGIApp, request: bytes = b"GET / HTTP/1.1\r\nhost: a\r\n\r\n", **settings: object) -> Response:
        with serve(app, **settings) as served, Raw(served.host, served.port) as raw:
            raw.send(request)
            return raw.response(head_only=request.startswith(b"HEAD"))

    return one


@pytest.fixture(params=["HTTP/1.1", "HTTP/2"])
def carrier(request: pytest.FixtureRequest, carriers: dict[str, Any]) -> Any:
    """WebSockets are the same on either version (ASGI 33-46): `peer` is a client of each in turn."""
    return carriers[request.param]
