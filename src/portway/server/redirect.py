"""Sends whoever comes by plain HTTP to https: a plain ASGI application, for the listener of `--redirect-http`."""

from __future__ import annotations

from portway.types import Receive, Scope, Send

HTTPS = 443


class Redirect:
    """The same host, path and query, at the port where https is spoken.

    With 308 (RFC 9110 §15.4.9) a form stays a form; for GET and HEAD, which stay what they are, it is 301, since not
    every client knows the other. Browsers remember both.
    """

    def __init__(self, port: int) -> None:
        self._port = b"" if port == HTTPS else b":%d" % port

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        host = without_port(next((value for name, value in scope["headers"] if name == b"host"), b""))
        if not host:
            await self._answer(send, 400, b"This port leads to https, and your request names no host.\n")
            return
        there = b"https://" + host + self._port + target_of(scope)
        status = 301 if scope["method"] in ("GET", "HEAD") else 308
        await self._answer(send, status, b"This is at " + there + b"\n", (b"location", there))

    async def _answer(self, send: Send, status: int, body: bytes, *headers: tuple[bytes, bytes]) -> None:
        headers = (
            *headers,
            (b"content-type", b"text/plain; charset=utf-8"),
            (b"content-length", b"%d" % len(body)),
            (b"connection", b"close"),  # the next request goes elsewhere
        )
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": body})


def without_port(host: bytes) -> bytes:
    """The codec has checked that it is a host with an optional port (RFC 9112 §3.2)."""
    name, colon, port = host.rpartition(b":")
    return name if colon and (port.isdigit() or not port) and not name.endswith(b":") else host


def target_of(scope: Scope) -> bytes:
    """Path and query as they came; what has no path, as in `OPTIONS *`, is for the root."""
    path: bytes = scope["raw_path"]
    query: bytes = scope["query_string"]
    return (path if path.startswith(b"/") else b"/") + (b"?" + query if query else b"")
