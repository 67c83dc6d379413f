"""The rows of the table: for each, the application, the request, and the right answer.

A row knows bytes and nothing of servers. The request is kept as raw bytes, in the order
in which a client sends its fields, and is sent exactly so by the probe and by wrk.
"""

import http.client
import io
import json
import socket
from dataclasses import dataclass

import apps

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
    name: str
    app: str
    request: bytes
    body: bytes | dict  # a dict is compared as JSON
    about: str
    floor: bool = False  # may the floor, which answers "Hello, World!" to anything, run here?
    slow: bool = False  # do the slow peers run here?

    def fault(self, port: int) -> str | None:
        """Ask twice on one connection; say what is wrong with the answers, or None."""
        try:
            with socket.create_connection((HOST, port), timeout=10) as connection:
                for _ in range(2):
                    connection.sendall(self.request)
                    answer = http.client.HTTPResponse(connection, method=self.request.split()[0].decode())
                    answer.begin()
                    if fault := self._fault_of(answer):
                        return fault
        except (OSError, http.client.HTTPException) as error:
            return f"the probe failed: {error!r}"
        return None

    def _fault_of(self, answer: http.client.HTTPResponse) -> str | None:
        body = answer.read()
        if answer.status != 200:
            return f"the status is {answer.status}"
        if answer.will_close:
            return "the connection is not kept alive"
        if isinstance(self.body, dict):
            return None if json.load(io.BytesIO(body)) == self.body else f"the body is {body[:80]!r}"
        return None if body == self.body else f"the body is {body[:80]!r}, {len(body)} bytes"

    @property
    def smallest(self) -> int:
        """A right answer is not shorter than this."""
        return 40 if isinstance(self.body, dict) else len(self.body)


ROWS = {
    row.name: row
    for row in (
        Row("hello", "apps:hello", request("GET", "/"), apps.HELLO,
            "the smallest request and a 13-byte answer", floor=True, slow=True),
        Row("browser", "apps:hello", request("GET", "/", CHROME), apps.HELLO,
            "the same, asked with a browser's fifteen fields", floor=True),
        Row("json", "fastapi_app:app", request("GET", "/json"), JSON,
            "a FastAPI endpoint that returns a small dict"),
        Row("post", "apps:echo", request("POST", "/", body=POSTED), POSTED,
            "10 KiB posted and echoed"),
        Row("large", "apps:large", request("GET", "/"), apps.LARGE,
            "an answer of 100 KiB in one piece"),
        Row("stream", "apps:stream", request("GET", "/"), apps.PIECE * apps.PIECES,
            "an answer of 20 pieces, each sent on its own"),
    )
}  # fmt: skip
DEFAULT_ROWS = ("hello", "browser", "json")
