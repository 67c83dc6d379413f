"""Portway serves Python web applications, ASGI and WSGI, over HTTP/1.1, HTTP/2, HTTP/3 and WebSocket.

The public surface is what `__all__` names, and `portway.testing`.
"""

import os
from typing import TYPE_CHECKING, Any

if os.environ.get("PORTWAY_PURE", "0") not in ("", "0"):  # before any module that may be compiled
    from portway import _modes

    _modes.prefer_source()

from portway.errors import (
    BindError,
    ClientDisconnected,
    LifespanFailed,
    LoadError,
    MessageError,
    PortwayError,
    SettingsError,
    WSGIError,
)

if TYPE_CHECKING:
    from portway.boot import Server as Server
    from portway.boot import run as run
    from portway.compose import Fallback as Fallback
    from portway.compose import Mounts as Mounts
    from portway.config import Settings as Settings
    from portway.workers.info import WorkerInfo as WorkerInfo
    from portway.wsgi import WSGI as WSGI

__version__ = "0.1.0"

__all__ = [
    "WSGI",
    "BindError",
    "ClientDisconnected",
    "Fallback",
    "LifespanFailed",
    "LoadError",
    "MessageError",
    "Mounts",
    "PortwayError",
    "Server",
    "Settings",
    "SettingsError",
    "WSGIError",
    "WorkerInfo",
    "__version__",
    "run",
]


def __getattr__(name: str) -> Any:
    """The server's rooms are imported when they are asked for: an application that only catches
    `ClientDisconnected` pays for nothing else.
    """
    if name in ("Server", "run"):
        from portway import boot

        return getattr(boot, name)
    if name == "WSGI":
        from portway.wsgi import WSGI

        return WSGI
    if name in ("Fallback", "Mounts"):
        from portway import compose

        return getattr(compose, name)
    if name == "WorkerInfo":
        from portway.workers.info import WorkerInfo

        return WorkerInfo
    if name == "Settings":
        from portway.config import Settings

        return Settings
    raise AttributeError(f"module 'portway' has no attribute {name!r}")
