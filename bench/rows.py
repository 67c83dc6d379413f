"""The rows of the table: for each, the application, the request or the messages, and the right answer.

A row knows bytes and nothing of servers. The request is kept as raw bytes, in the order
in which a client sends its fields, and is sent exactly so by the probe and by wrk.
"""

import http.client
import io
import json
import socket
from dataclasses import KW_ONLY, dataclass
from functools import cached_property
from typing import ClassVar

import apps
import wsload
from wsload import Wrong

HOST = "127.0.0.1"
JSON = {"id": 42, "name": "Portway", "price": 9.99, "tags": ["fast", "clear"], "stock": True}
POSTED = bytes(range(256)) * 40

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


def request(method: str, path: str, fields: str = "", body: bytes = b"") -> bytes:
    lines = [f"{method} {path} HTTP/1.1", *(fields or "Host: 127.0.0.1:8000").splitlines()]
    if body:
        lines.append(f"Content-Length: {len(body)}")
    return "\r\n".join([*lines, "", ""]).encode() + body


@dataclass(frozen=True)
class Row:
    """What is common to all rows; they are either `Requests` or `Echoes`."""

    name: str
    app: str
    about: str
    _: KW_ONLY
    floor: bool = False  # may the floor, which answers "Hello, World!" to anything, run here?
    slow: bool = False  # do the slow peers run here?
    logged: bool = False  # with access log, and each server a second time without?
    unit: ClassVar[str]

    def fault(self, port: int) -> str | None:
        """Ask twice on one connection; say what is wrong with the answers, or None."""
        try:
            with self.connect(port, timeout=10) as connection:
                for _ in range(2):
                    self.ask(connection)
                    self.check(connection)
        except Wrong as wrong:
            return str(wrong)
        except (OSError, http.client.HTTPException) as error:
            return f"the probe failed: {error!r}"
        return None

    @property
    def at_once(self) -> int:
        """What one call of `ask` asks for."""
        return 1

    @property
    def smallest(self) -> int:
        """The bytes of a right answer are not fewer."""
        raise NotImplementedError

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
    unit = "request"

    def connect(self, port: int, timeout: float) -> socket.socket:
        return socket.create_connection((HOST, port), timeout=timeout)

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

    @property
    def smallest(self) -> int:
        return 40 if isinstance(self.body, dict) else len(self.body)


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
                 request("GET", "/"), apps.PIECE * apps.PIECES),
        Requests("hello-logged", "apps:hello", "`hello` with the access log on, into a file, and without",
                 request("GET", "/"), apps.HELLO, logged=True),
        Echoes("ws-echo", "apps:ws_echo", "32 bytes of text echoed, one message in flight on each of 64 WebSockets",
               32, in_flight=1, connections=64, slow=True),
        Echoes("ws-flood", "apps:ws_echo", "the same, 64 messages in flight on each of 16 WebSockets",
               32, in_flight=64, connections=16),
        Echoes("ws-large", "apps:ws_echo", "64 KiB of bytes echoed, one message in flight on each of 16 WebSockets",
               64 * 1024, in_flight=1, connections=16, binary=True),
    )
}  # fmt: skip
DEFAULT_ROWS = ("hello", "browser", "json", "hello-logged", "ws-echo", "ws-flood", "ws-large")
