"""Takes in what is no ASGI 3 application, so that mounts hold all of them alike."""

from __future__ import annotations

from typing import Any

from portway.errors import LoadError, SettingsError
from portway.target import Interface, asgi2_to_asgi3, detect
from portway.types import ASGIApp


def spoken(app: object, where: str) -> Interface:
    """What an application speaks; TypeError if it is none, with where it stands."""
    try:
        return detect(app)
    except LoadError as fault:
        raise TypeError(f"{where}: {fault}") from None


def adopt(app: Any, interface: Interface, name: str) -> ASGIApp:
    """The application as ASGI 3."""
    if interface == "wsgi":
        raise SettingsError(
            f"{name} is a WSGI application, and this version serves ASGI; "
            "wrap it, for example in a2wsgi.WSGIMiddleware, or set --interface if it is ASGI"
        )
    return asgi2_to_asgi3(app) if interface == "asgi2" else app
