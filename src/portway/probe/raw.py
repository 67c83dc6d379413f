"""A client that writes what bytes you like and reads what comes: for what no real client sends."""

from __future__ import annotations

import socket
import ssl
from types import TracebackType

PATIENCE = 10.0


class Response:
    """One response as it stood on the wire; `body` is decoded from chunks, `reason` is the phrase."""

    def __init__(self, head: bytes) -> None:
        line, *fields = head.decode("latin-1").split("\r\n")
        self.version, status, reason = (line + "  ").split(" ", 2)
        self.status = int(status)
        self.reason = reason.strip()
        self.headers = [(name.lower(), value.strip()) for name, _, value in (field.partition(":") for field in fields)]
        self.body = b""
        self.trailers: list[tuple[str, str]] = []

    def __repr__(self) -> str:
        return f"<Response {self.status} {len(self.body)} bytes>"

    def header(self, name: str) -> str | None:
        """The header's value, joined with commas if it is there more than once; None if it is not."""
        found = [value for key, value in self.headers if key == name]
        return ", ".join(found) if found else None


class Raw:
    """A blocking TCP connection; waits at most PATIENCE seconds for anything.

    With a context it speaks TLS, and asks for the certificate of `name`.
    """

    def __init__(
        self,
        host: str,
        port: int,
        patience: float = PATIENCE,
        *,
        tls: ssl.SSLContext | None = None,
        name: str = "localhost",
    ) -> None:
        self.socket = socket.create_connection((host, port), timeout=patience)
        if tls is not None:
            try:
                self.socket = tls.wrap_socket(self.socket, server_hostname=name)
            except BaseException:
                self.socket.close()
                raise
        self._kept = b""

    def __enter__(self) -> Raw:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def send(self, data: bytes) -> None:
        """Write all of `data`."""
        self.socket.sendall(data)

    def ask(self, data: bytes) -> Response:
        """Write a request and read its response; of HEAD, say so with `response(head_only=True)` instead."""
        self.send(data)
        return self.response()

    def response(self, head_only: bool = False) -> Response:
        """Read one final response, past any interim ones; EOFError if the connection ends before it does."""
        while True:
            response = self.interim()
            if response.status >= 200:
                break
        if not head_only and response.status not in (204, 304):
            self._read_body(response)
        return response

    def interim(self) -> Response:
        """Read the next head alone, which may be a 1xx."""
        return Response(self.until(b"\r\n\r\n")[:-4])

    def until(self, mark: bytes) -> bytes:
        """Read up to and with `mark`; EOFError if the connection ends before it."""
        while mark not in self._kept:
            self._more()
        at = self._kept.index(mark) + len(mark)
        found, self._kept = self._kept[:at], self._kept[at:]
        return found

    def exactly(self, size: int) -> bytes:
        """Read so many bytes; EOFError if the connection ends before them."""
        while len(self._kept) < size:
            self._more()
        found, self._kept = self._kept[:size], self._kept[size:]
        return found

    def rest(self) -> bytes:
        """Read to the end of the connection; a reset ends it too."""
        try:
            while True:
                self._more()
        except (EOFError, ConnectionResetError):
            found, self._kept = self._kept, b""
            return found

    def half_close(self) -> None:
        """Send nothing more, and go on reading."""
        self.socket.shutdown(socket.SHUT_WR)

    def close(self) -> None:
        """Close."""
        self.socket.close()

    def _read_body(self, response: Response) -> None:
        if response.header("transfer-encoding") == "chunked":
            while size := int(self.until(b"\r\n").split(b";")[0], 16):
                response.body += self.exactly(size)
                self.exactly(2)
            while (line := self.until(b"\r\n")) != b"\r\n":
                name, _, value = line.decode("latin-1").partition(":")
                response.trailers.append((name.lower(), value.strip()))
        elif (length := response.header("content-length")) is not None:
            response.body = self.exactly(int(length))
        else:
            response.body = self.rest()

    def _more(self) -> None:
        data = self.socket.recv(65536)
        if not data:
            raise EOFError(f"the connection ended; what had come and was not read: {self._kept[:200]!r}")
        self._kept += data
