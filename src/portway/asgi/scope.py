"""Makes the scope of a request (ASGI 11–21) from its head and what all requests of its connection share."""

from __future__ import annotations

from typing import Any
from urllib.parse import unquote_to_bytes

from portway.wire import scan
from portway.wire.events import Head

PERCENT = 0x25

# Where an application that is several (`compose`) says by the key `name` which of them answers.
APPLICATION = "portway.application"

ASGI = {"version": "3.0", "spec_version": "2.5"}
EARLY_HINT: dict[str, dict[str, Any]] = {"http.response.early_hint": {}}
EARLY_HINT_AND_TRAILERS: dict[str, dict[str, Any]] = {"http.response.early_hint": {}, "http.response.trailers": {}}
NONE: dict[str, dict[str, Any]] = {}


def template(
    client: tuple[str, int] | None,
    server: tuple[str, int | None] | None,
    root_path: str,
    tls: dict[str, Any] | None = None,
) -> dict[str, Any]:
    """What the scopes of one connection have in common; `http_scope` copies it for each request.

    `tls` is the extension of that name (ASGI 53), or None without TLS.
    """
    return {
        "type": "http",
        "asgi": ASGI,
        "http_version": "1.1",
        "method": "GET",
        "scheme": "http" if tls is None else "https",
        "path": "/",
        "raw_path": b"/",
        "query_string": b"",
        "root_path": root_path,
        "headers": None,
        "client": client,
        "server": server,
        "extensions": NONE if tls is None else {"tls": tls},
    }


def http_scope(shared: dict[str, Any], head: Head, state: dict[str, Any] | None) -> dict[str, Any]:
    """A new scope, of which no part that an application may change is shared with another one."""
    scope = shared.copy()
    raw_path = head.path
    path = decode_path(raw_path)
    root_path = scope["root_path"]
    if root_path:
        # As uvicorn does since 0.26, and as the specification says: `path` includes `root_path`.
        path = root_path + path
        raw_path = root_path.encode() + raw_path
    scope["asgi"] = ASGI.copy()
    scope["http_version"] = head.version
    scope["method"] = head.method
    scope["path"] = path
    scope["raw_path"] = raw_path
    scope["query_string"] = head.query
    scope["headers"] = head.headers
    scope["extensions"] = extensions(head)
    if shared["extensions"]:
        _add_tls(scope["extensions"], shared["extensions"]["tls"])
    if state is not None:
        scope["state"] = state.copy()
    return scope


def websocket_scope(
    shared: dict[str, Any], head: Head, state: dict[str, Any] | None, subprotocols: list[str]
) -> dict[str, Any]:  # fmt: skip
    """The same for a WebSocket (ASGI 45)."""
    scope = http_scope(shared, head, state)
    del scope["method"]
    scope["type"] = "websocket"
    scope["scheme"] = "wss" if scope["scheme"] == "https" else "ws"
    scope["subprotocols"] = subprotocols
    scope["extensions"] = {"websocket.http.response": {}}
    if shared["extensions"]:
        _add_tls(scope["extensions"], shared["extensions"]["tls"])
    return scope


def _add_tls(found: dict[str, Any], tls: dict[str, Any]) -> None:
    """ASGI 53."""
    tls = tls.copy()
    tls["client_cert_chain"] = tls["client_cert_chain"].copy()
    found["tls"] = tls


def decode_path(raw: bytes) -> str:
    """ASGI 15: percent-decoded, then UTF-8, where what is no UTF-8 becomes U+FFFD."""
    size = len(raw)
    if scan.find(raw, PERCENT, 0, size) == size:
        return raw.decode("latin-1")  # it is ASCII: `scan.target` let nothing else through
    return unquote_to_bytes(raw).decode("utf-8", "replace")


def extensions(head: Head) -> dict[str, Any]:
    """ASGI 9, 54, 55: what this very request's connection can do."""
    if head.version == "1.0":
        return {}
    if head.te_trailers:
        return EARLY_HINT_AND_TRAILERS.copy()
    return EARLY_HINT.copy()
