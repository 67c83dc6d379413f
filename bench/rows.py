"""The rows of the table: for each, the application, the request or the messages, and the right answer.

A row knows bytes and nothing of servers. The request is kept as raw bytes, in the order
in which a client sends its fields, and is sent exactly so by the probe and by wrk. Over HTTP/2
the fields are those of h2load, and the row knows the bodies only.
"""

import http.client
import io
import json
import socket
import ssl
from dataclasses import KW_ONLY, dataclass
from enum import Enum
from functools import cached_property
from typing import ClassVar

import apps
import h2load
import wsload
from certificate import AUTHORITY
from wsload import Wrong

HOST = "127.0.0.1"
JSON = {"id": 42, "name": "Portway", "price": 9.99, "tags": ["fast", "clear"], "stock": True}
POSTED = bytes(range(256)) * 40
SHAPE = h2load.Shape(connections=16, streams=16)

# A navigation by Chrome on Linux, field for field and in its order; the cookies are invented.
CHROME = """\
Host: 127.0.0.1:8000
Connection: keep-alive
sec-ch-ua: "Chromium";v="142", "Google Chrome";v="142", "Not_A Brand";v="99"
sec-ch-ua-mobile: ?0
sec-ch-ua-platform: "Linux"
Upgrade-Insecure-Requests: 1
User-Agent: Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) \
Chrome/142.0.0.0 Safari/537.36
Accept: text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,*/*;q=0.8
Sec-Fetch-Site: none
Sec-Fetch-Mode: navigate
Sec-Fetch-User: ?1
Sec-Fetch-Dest: document
Accept-Encoding: gzip, deflate, br, zstd
Accept-Language: en-GB,en;q=0.9,de;q=0.8
Cookie: cart=mvz3q8k1h0t5w2y7r4n6b9c0x8d1f3g5; csrftoken=Zk2vQ8mT1xN7cR4bW9yH3jL6pD0sF5gA; theme=dark
"""


class Serving(Enum):
    """What the application of a row is, and how it is run."""

    ASGI = "ASGI"
    INLINE = "WSGI, one request at a time"
    THREADS = "WSGI, on eight threads"
    EITHER = "WSGI, and each server a second time with threads"
    BRIDGED = "WSGI, made into ASGI, under uvicorn"


def request(method: str, path: str, fields: str = "", body: bytes = b"") -> bytes:
    lines = [f"{method} {path} HTTP/1.1", *(fields or "Host: 127.0.0.1:8000").splitlines()]
    if body:
        lines.append(f"Content-Length: {len(body)}")
    return "\r\n".join([*lines, "", ""]).encode() + body


@dataclass(frozen=True)
class Row:
    """What is common to all rows; they are `Requests`, `Streams` or `Echoes`."""

    name: str
    app: str
    about: str
    _: KW_ONLY
    floor: bool = False  # may the floor, which answers "Hello, World!" to anything, run here?
    slow: bool = False  # do the slow peers run here?
    logged: bool = False  # with access log, and each server a second time without?
    tls: bool = False
    serving: Serving = Serving.ASGI
    unit: ClassVar[str]

    def fault(self, port: int) -> str | None:
        """Ask twice on one connection; say what is wrong with the answers, or None."""
        try:
            self.probe(port)
        except Wrong as wrong:
            return str(wrong)
        except (OSError, http.client.HTTPException) as error:
            return f"the probe failed: {error!r}"
        return None

    def probe(self, port: int) -> None:
        """What `fault` does; raises Wrong and what goes wrong with connections."""
        with self.connect(port, timeout=10) as connection:
            for _ in range(2):
                self.ask(connection)
                self.check(connection)

    def url(self, port: int) -> str:
        return f"{'https' if self.tls else 'http'}://{HOST}:{port}/"

    @property
    def at_once(self) -> int:
        """What is asked for on one connection before anything is answered."""
        return 1

    @property
    def sent(self) -> bytes:
        """What a client that is no part of this sends, as it finds it in a file."""
        return b""

    @property
    def smallest(self) -> int:
        """The bytes of a right answer are not fewer."""
        raise NotImplementedError

    # What asks is ours, but in `Streams`, which have none of these three.

    def connect(self, port: int, timeout: float) -> socket.socket:
        raise NotImplementedError

    def ask(self, connection: socket.socket) -> None:
        raise NotImplementedError

    def check(self, connection: socket.socket) -> None:
        """Read the answer to what was asked last; raises Wrong."""
        raise NotImplementedError


@dataclass(frozen=True)
class Requests(Row):
    request: bytes
    body: bytes | dict  # a dict is compared as JSON
    _: KW_ONLY
    counted: bool = True  # must the answer have a Content-Length?
    unit = "request"

    def connect(self, port: int, timeout: float) -> socket.socket:
        connection = socket.create_connection((HOST, port), timeout=timeout)
        return secured(connection) if self.tls else connection

    def ask(self, connection: socket.socket) -> None:
        connection.sendall(self.request)

    def check(self, connection: socket.socket) -> None:
        answer = http.client.HTTPResponse(connection, method=self.request.split()[0].decode())
        answer.begin()
        body = answer.read()
        if answer.status != 200:
            raise Wrong(f"the status is {answer.status}")
        if answer.will_close:
            raise Wrong("the connection is not kept alive")
        right = json.load(io.BytesIO(body)) == self.body if isinstance(self.body, dict) else body == self.body
        if not right:
            raise Wrong(f"the body is {body[:80]!r}, {len(body)} bytes")
        if self.counted and answer.getheader("Content-Length") != str(len(body)):
            raise Wrong(f"the Content-Length of {len(body)} bytes is {answer.getheader('Content-Length')}")

    @property
    def smallest(self) -> int:
        return 40 if isinstance(self.body, dict) else len(self.body)

    @property
    def sent(self) -> bytes:
        return self.request


def secured(connection: socket.socket) -> socket.socket:
    try:
        return ssl.create_default_context(cafile=AUTHORITY).wrap_socket(connection, server_hostname=HOST)
    except BaseException:
        connection.close()
        raise


@dataclass(frozen=True)
class Streams(Row):
    """Requests over HTTP/2: by ALPN where there is TLS, else by prior knowledge."""

    body: bytes
    posted: bytes = b""
    shape: h2load.Shape = SHAPE
    unit = "request"

    def probe(self, port: int) -> None:
        h2load.probe(self.url(port), self.posted, self.body)

    @property
    def at_once(self) -> int:
        return self.shape.streams

    @property
    def smallest(self) -> int:
        return len(self.body)

    @property
    def sent(self) -> bytes:
        return self.posted


@dataclass(frozen=True)
class Echoes(Row):
    """Messages over WebSockets, which come back as they are."""

    size: int
    in_flight: int  # on each connection
    connections: int
    binary: bool = False
    unit = "message"

    def connect(self, port: int, timeout: float) -> socket.socket:
        return wsload.connect(HOST, port, patience=timeout)

    def ask(self, connection: socket.socket) -> None:
        connection.sendall(self._messages.ours[: self.at_once * self._messages.our_frame])

    def check(self, connection: socket.socket) -> None:
        expected = self._messages.theirs[: self.at_once * self._messages.their_frame].tobytes()
        came = bytearray()
        while len(came) < len(expected):
            more = connection.recv(len(expected) - len(came))
            came += more
            if not more or not expected.startswith(came):
                raise Wrong(wsload.differing(more and came, expected))

    @cached_property
    def _messages(self) -> wsload.Messages:
        return wsload.Messages(self.size, self.binary, self.in_flight)

    @property
    def at_once(self) -> int:
        return self.in_flight

    @property
    def smallest(self) -> int:
        return self.size


ROWS = {
    row.name: row
    for row in (
        Requests("hello", "apps:hello", "the smallest request and a 13-byte answer",
                 request("GET", "/"), apps.HELLO, floor=True, slow=True),
        Requests("browser", "apps:hello", "the same, asked with a browser's fifteen fields",
                 request("GET", "/", CHROME), apps.HELLO, floor=True),
        Requests("json", "fastapi_app:app", "a FastAPI endpoint that returns a small dict",
                 request("GET", "/json"), JSON),
        Requests("post", "apps:echo", "10 KiB posted and echoed",
                 request("POST", "/", body=POSTED), POSTED),
        Requests("large", "apps:large", "an answer of 100 KiB in one piece",
                 request("GET", "/"), apps.LARGE),
        Requests("stream", "apps:stream", "an answer of 20 pieces, each sent on its own",
                 request("GET", "/"), apps.PIECE * apps.PIECES, counted=False),
        Requests("hello-logged", "apps:hello", "`hello` with the access log on, into a file, and without",
                 request("GET", "/"), apps.HELLO, logged=True),
        Requests("https-hello", "apps:hello", "`hello` over TLS",
                 request("GET", "/"), apps.HELLO, slow=True, tls=True),
        Requests("wsgi-hello", "wsgi_apps:hello", "`hello` as a WSGI application, one request at a time",
                 request("GET", "/"), apps.HELLO, floor=True, serving=Serving.INLINE),
        Requests("wsgi-hello-threads", "wsgi_apps:hello", "the same on eight threads",
                 request("GET", "/"), apps.HELLO, floor=True, serving=Serving.THREADS),
        Requests("flask-json", "flask_app:app", "a Flask endpoint that returns a small dict, one request at a time, "
                 "and on eight threads", request("GET", "/json"), JSON, serving=Serving.EITHER),
        Requests("wsgi-under-uvicorn", "bridges:{bridge}", "`wsgi-hello` made into an ASGI application, under uvicorn",
                 request("GET", "/"), apps.HELLO, floor=True, serving=Serving.BRIDGED),
        Streams("h2c-hello", "apps:hello", "`hello` over HTTP/2, 16 streams open on each of 16 connections",
                apps.HELLO, slow=True),
        Streams("h2-hello", "apps:hello", "the same over TLS",
                apps.HELLO, slow=True, tls=True),
        Streams("h2c-post", "apps:echo", "10 KiB posted and echoed over HTTP/2, 16 streams open on each of "
                "16 connections", POSTED, POSTED, slow=True),
        Streams("h2-post", "apps:echo", "the same over TLS",
                POSTED, POSTED, slow=True, tls=True),
        Echoes("ws-echo", "apps:ws_echo", "32 bytes of text echoed, one message in flight on each of 64 WebSockets",
               32, in_flight=1, connections=64, slow=True),
        Echoes("ws-flood", "apps:ws_echo", "the same, 64 messages in flight on each of 16 WebSockets",
               32, in_flight=64, connections=16),
        Echoes("ws-large", "apps:ws_echo", "64 KiB of bytes echoed, one message in flight on each of 16 WebSockets",
               64 * 1024, in_flight=1, connections=16, binary=True),
    )
}  # fmt: skip
DEFAULT_ROWS = (
    *("hello", "browser", "json", "hello-logged"),
    *("wsgi-hello", "wsgi-hello-threads", "flask-json", "wsgi-under-uvicorn"),
    *("https-hello", "h2c-hello", "h2-hello", "h2c-post", "h2-post"),
    *("ws-echo", "ws-flood", "ws-large"),
)
