"""Every error that Portway raises on purpose.

    PortwayError
    ├── SettingsError        a setting has a wrong value, or two of them contradict each other
    ├── LoadError            the application cannot be loaded
    ├── BindError            an address cannot be listened on
    ├── LifespanFailed       the application refused to start up, or to shut down
    ├── MessageError         the application sent a wrong ASGI message        (also RuntimeError)
    │   └── WSGIError        a WSGI application broke PEP 3333
    └── ClientDisconnected   the application sent, or read, after the client had gone (also ConnectionResetError)

The first four end the process and are written for the person at the terminal: one line that says
what happened, where, and what to do. The others are raised inside the application: by `send`, and in WSGI by
`start_response`, `write` and the methods of `wsgi.input`.
"""

from __future__ import annotations


class PortwayError(Exception):
    """The root: `except PortwayError` catches whatever Portway raises on purpose, and nothing else."""


class SettingsError(PortwayError):
    """A setting that cannot be used; the text names it, says where it came from and what to write."""


class LoadError(PortwayError):
    """The application cannot be loaded.

    `cause_traceback` is the formatted traceback of the application's own error, from its first
    frame on, or None when the application's code was never reached.
    """

    def __init__(self, message: str, cause_traceback: str | None = None) -> None:
        super().__init__(message)
        self.cause_traceback = cause_traceback


class BindError(PortwayError):
    """An address cannot be listened on: taken, forbidden, or not of this machine."""


class LifespanFailed(PortwayError):
    """The application's lifespan failed: it said so (ASGI 49), raised, or took too long."""


class MessageError(PortwayError, RuntimeError):
    """The application sent a message of an unknown type, a wrong shape, or out of order (ASGI 5)."""

    what = "wrong ASGI message"


class WSGIError(MessageError):
    """A WSGI application gave a head or content that PEP 3333 does not allow."""

    what = "wrong WSGI response"


class ClientDisconnected(PortwayError, ConnectionResetError):
    """The application sent something after the client had gone (ASGI 28), or reads what it never sent (ASGI 59);
    never logged as an error.
    """
