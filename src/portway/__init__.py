"""Portway serves Python web applications, ASGI and WSGI, over HTTP/1.1, HTTP/2, HTTP/3 and WebSocket."""

import os

if os.environ.get("PORTWAY_PURE", "0") not in ("", "0"):  # before any module that may be compiled
    from portway import _modes

    _modes.prefer_source()

__version__ = "0.1.0"
