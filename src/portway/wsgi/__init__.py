"""WSGI applications as plain ASGI applications, under any server: PEP 3333 in full (ASGI 59, 60)."""

from portway.wsgi.app import WSGI

__all__ = ["WSGI"]
