"""Makes the environ of a WSGI call from an ASGI scope (PEP 3333, ASGI 60). Knows nothing of bodies and threads."""

from __future__ import annotations

import sys
from typing import Any
from urllib.parse import unquote_to_bytes

from portway.types import Scope
from portway.wsgi.files import FileWrapper

VERSION = (1, 0)
DEFAULT_PORTS = {"http": "80", "https": "443"}
VERSIONS = {"1.1": "HTTP/1.1", "1.0": "HTTP/1.0", "2": "HTTP/2", "3": "HTTP/3"}

# What clients send is a small set of names; that somebody invents more of them must not cost memory.
KNOWN_MOST = 512
NAME_MOST = 64

# By a header's name its variable. None: it is dropped, for a CGI-like application must not see it.
# `Proxy` would become HTTP_PROXY, which libraries take for a setting (httpoxy, CVE-2016-5385).
_known: dict[bytes, str | None] = {
    b"content-type": "CONTENT_TYPE",
    b"content-length": "CONTENT_LENGTH",
    b"proxy": None,
}


def base_of(multithread: bool, multiprocess: bool) -> dict[str, Any]:
    """What all environs of an application have in common; `environ_of` copies it."""
    return {
        "SERVER_NAME": "",
        "SERVER_PORT": "",
        "REMOTE_ADDR": "",
        "wsgi.version": VERSION,
        "wsgi.multithread": multithread,
        "wsgi.multiprocess": multiprocess,
        "wsgi.run_once": False,
        "wsgi.input_terminated": True,
        "wsgi.file_wrapper": FileWrapper,
    }


def environ_of(asked: Scope, base: dict[str, Any]) -> dict[str, Any]:
    """All of the environ but `wsgi.input`; each text in it is latin-1 for the bytes that came."""
    scope = asked if type(asked) is dict else dict(asked)
    path = scope["path"]
    script = scope.get("root_path", "")
    raw = scope.get("raw_path")
    if raw is not None and len(raw) == len(path) and path.isascii() and path != "*":
        target = path  # nothing in it was escaped: 3,000 instructions less than to look for it
    else:
        target = _native(path) if raw is None else raw.decode("latin-1")
        path = path_of(path, raw)
    if script:
        script = _native(script.rstrip("/"))
        path = without(path, script)
    query = scope["query_string"].decode("latin-1")
    if query:
        target = f"{target}?{query}"
    version = scope["http_version"]
    scheme = scope.get("scheme", "http")  # which an ASGI server may leave out
    environ = base.copy()
    environ["REQUEST_METHOD"] = scope["method"]
    environ["SCRIPT_NAME"] = script
    environ["PATH_INFO"] = path
    environ["QUERY_STRING"] = query
    environ["REQUEST_URI"] = target
    environ["RAW_URI"] = target
    environ["SERVER_PROTOCOL"] = VERSIONS.get(version) or f"HTTP/{version}"
    environ["wsgi.url_scheme"] = scheme
    environ["wsgi.errors"] = sys.stderr
    environ["asgi.scope"] = asked
    client = scope.get("client")
    if client is not None:
        environ["REMOTE_ADDR"] = client[0]
        environ["REMOTE_PORT"] = str(client[1])
    add_headers(environ, scope["headers"])
    server = scope.get("server")
    if server is not None and server[1] is not None:
        environ["SERVER_NAME"] = server[0]
        environ["SERVER_PORT"] = str(server[1])
    else:  # a Unix socket has neither, and PEP 3333 lets neither be empty
        _name_server(environ, scheme)
    return environ


def add_headers(environ: dict[str, Any], headers: Any) -> None:
    """The request's headers as variables; repeated ones are joined (ASGI 60)."""
    known = _known
    for name, value in headers:
        variable = known.get(name)
        if variable is None:
            variable = variable_of(name)
            if variable is None:
                continue
        text = value.decode("latin-1")
        if variable in environ:
            before = environ[variable]
            if variable == "CONTENT_LENGTH":
                continue  # a server lets a second one through only if it says the same
            text = f"{before}; {text}" if variable == "HTTP_COOKIE" else f"{before},{text}"
        environ[variable] = text


def variable_of(name: bytes) -> str | None:
    """The variable for a header's name; None for one that is dropped."""
    if name in _known or b"_" in name:  # `x_a` would pass for `x-a`
        return None
    variable = "HTTP_" + name.decode("latin-1").upper().replace("-", "_")
    if len(_known) < KNOWN_MOST and len(name) <= NAME_MOST:
        _known[name] = variable
    return variable


def path_of(path: str, raw: bytes | None) -> str:
    """The decoded path, a character for each byte, of the bytes that came if they are known."""
    if path == "*":  # of OPTIONS: no path (RFC 9110 §9.3.7), and PEP 3333 has none that begins otherwise than with /
        return ""
    if raw is not None and (b"%" in raw or not raw.isascii()):
        decoded = unquote_to_bytes(raw)
        if decoded.decode("utf-8", "replace") == path:  # else a middleware has changed `path`
            return decoded.decode("latin-1")
    return _native(path)


def without(path: str, script: str) -> str:
    """The path below `script`, which ends at a segment's border; all of it if it is elsewhere."""
    if path.startswith(script) and path[len(script) : len(script) + 1] in ("", "/"):
        return path[len(script) :]
    return path


def _native(text: str) -> str:
    return text if text.isascii() else text.encode("utf-8", "surrogateescape").decode("latin-1")


def _name_server(environ: dict[str, Any], scheme: str) -> None:
    host: str = environ.get("HTTP_HOST", "")
    name, colon, port = host.rpartition(":")
    if not colon or not port.isdigit():
        name, port = host, ""
    environ["SERVER_NAME"] = name or "localhost"
    environ["SERVER_PORT"] = port or DEFAULT_PORTS.get(scheme, "80")
