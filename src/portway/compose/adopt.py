"""Takes in what is no ASGI 3 application, so that mounts hold all of them alike."""

from __future__ import annotations

from typing import Any

from portway.errors import LoadError
from portway.target import Interface, asgi2_to_asgi3, detect
from portway.types import ASGIApp


def spoken(app: object, where: str) -> Interface:
    """What an application speaks; TypeError if it is none, with where it stands."""
    try:
        return detect(app)
    except LoadError as fault:
        raise TypeError(f"{where}: {fault}") from None


def adopt(app: Any, interface: Interface) -> ASGIApp:
    """The application as ASGI 3."""
    if interface == "wsgi":
        from portway.wsgi import WSGI

        return WSGI(app)
    return asgi2_to_asgi3(app) if interface == "asgi2" else app
