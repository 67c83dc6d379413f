"""What tests of several rooms share: `portway serve` as a process of its own, a client that speaks WebSocket frame
by frame, and loggers as they were.
"""

import contextlib
import logging
import os
import re
import select
import signal
import socket
import ssl
import struct
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO, Any

import h2.config
import h2.connection
import h2.events
import h2.settings
import pytest
import trustme

import portway
from portway.testing import Raw, Response, serve

PATIENCE = 20.0
SERVING = re.compile(r"Serving .* on (.*) \(press")


class Stream:
    """What a process writes to one of its streams, as far as it has come."""

    def __init__(self, source: IO[str]) -> None:
        self._text = ""
        self._ended = False
        self._changed = threading.Condition()
        self._source = source
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()

    def _read(self) -> None:
        with self._source:
            for line in self._source:
                with self._changed:
                    self._text += line
                    self._changed.notify_all()
        with self._changed:
            self._ended = True
            self._changed.notify_all()

    def wait_for(self, text: str, times: int = 1) -> None:
        """Wait until this was written, so often."""
        with self._changed:
            self._changed.wait_for(lambda: self._text.count(text) >= times or self._ended, PATIENCE)
            assert self._text.count(text) >= times, self._text

    def so_far(self) -> str:
        """What was written by now."""
        with self._changed:
            return self._text

    def count(self, text: str) -> int:
        """How often this was written by now."""
        with self._changed:
            return self._text.count(text)

    def all(self) -> str:
        """The whole of it; waits for the end of the process."""
        self._thread.join(PATIENCE)
        assert not self._thread.is_alive()
        return self._text


class Command:
    """`portway serve` with these arguments, in a folder with the application in main.py; `before` is a command that
    starts it.
    """

    def __init__(self, folder: Path, args: tuple[str, ...], before: tuple[str, ...] = (), **rest: object) -> None:
        environ = {name: text for name, text in os.environ.items() if not name.startswith("PORTWAY_")}
        if "PORTWAY_PURE" in os.environ:
            environ["PORTWAY_PURE"] = os.environ["PORTWAY_PURE"]
        environ["PYTHONPATH"] = str(Path(portway.__file__).parents[1])
        environ.pop("PYTHONUNBUFFERED", None)  # streams are as most people have them
        options: dict[str, object] = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE} | rest
        self.process: subprocess.Popen[str] = subprocess.Popen(  # type: ignore[call-overload]
            [*before, sys.executable, "-m", "portway", "serve", *args], cwd=folder, env=environ, text=True, **options
        )
        self.out = Stream(self.process.stdout) if self.process.stdout else None
        self.err = Stream(self.process.stderr) if self.process.stderr else None
        self.url = ""
        self.port = 0

    def up(self) -> "Command":
        """Wait until it serves."""
        assert self.err is not None
        self.err.wait_for("(press Ctrl+C to stop)")
        with self.err._changed:
            found = SERVING.search(self.err._text)
        assert found is not None
        self.url = found[1]
        if self.url.startswith("http"):
            self.port = int(self.url.split(",")[0].rpartition(":")[2])
        return self

    def ends(self, number: int | None = None) -> int:
        """Send it a signal, if any, and wait for its exit code."""
        if number is not None:
            self.process.send_signal(number)
        return self.process.wait(PATIENCE)


Portway = Callable[..., Command]


@pytest.fixture
def portway_in() -> Iterator[Portway]:
    """Start `portway serve` in a folder: `portway_in(folder, "main:app", "--port", "0")`."""
    started: list[Command] = []

    def start(folder: Path, *args: str, **rest: Any) -> Command:
        started.append(Command(folder, args, **rest))
        return started[-1]

    yield start
    for command in started:
        if command.process.poll() is None:
            command.process.send_signal(signal.SIGKILL)
        command.process.wait()
        for stream in (command.out, command.err):
            if stream is not None:
                stream.all()


@pytest.fixture
def portway_command(tmp_path: Path, portway_in: Portway) -> Portway:
    """Start `portway serve main:app` with further arguments: `portway_command(source, "--port", "0")`."""

    def start(source: str, *args: str, **rest: Any) -> Command:
        (tmp_path / "main.py").write_text(source)
        return portway_in(tmp_path, "main:app", *args, **rest)

    return start


# --- certificates ---


class Authority:
    """Issues certificates into files, and makes contexts for clients that believe in them."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.ca = trustme.CA()
        self.file = str(folder / "ca.pem")
        self.ca.cert_pem.write_to_path(self.file)
        self._issued = 0

    def pair(self, *names: str, into: Path | None = None, **rest: Any) -> dict[str, str]:
        """The settings for a certificate of these names; `into` is the folder of files that are there already."""
        self._issued += 1
        folder = into or self.folder / str(self._issued)
        folder.mkdir(exist_ok=True)
        issued = self.ca.issue_cert(*names, **rest)
        issued.private_key_pem.write_to_path(str(folder / "key.pem"))
        (folder / "cert.pem").write_bytes(b"".join(blob.bytes() for blob in issued.cert_chain_pems))
        return {"ssl_certfile": str(folder / "cert.pem"), "ssl_keyfile": str(folder / "key.pem")}

    def context(self, client: dict[str, str] | None = None, newest: str = "TLSv1_3") -> ssl.SSLContext:
        """For a client, which may have a certificate of its own."""
        context = ssl.create_default_context(cafile=self.file)
        context.maximum_version = ssl.TLSVersion[newest]
        if client is not None:
            context.load_cert_chain(client["ssl_certfile"], client["ssl_keyfile"])
        return context


@pytest.fixture(scope="session")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("certificates"))


@pytest.fixture(scope="session")
def localhost(authority: Authority) -> dict[str, str]:
    """The settings of a server for https."""
    return authority.pair("localhost", "127.0.0.1", "::1")


@pytest.fixture
def another_authority(tmp_path: Path) -> Authority:
    """In which nobody believes."""
    folder = tmp_path / "another"
    folder.mkdir()
    return Authority(folder)


class Sealed:
    """A client of TLS that has its bytes in hand: what it writes waits in `out` until `flush`."""

    def __init__(self, host: str, port: int, context: ssl.SSLContext, name: str = "localhost") -> None:
        self.socket = socket.create_connection((host, port), timeout=PATIENCE)
        self.incoming, self.out = ssl.MemoryBIO(), ssl.MemoryBIO()
        self.tls = context.wrap_bio(self.incoming, self.out, server_hostname=name)

    def __enter__(self) -> "Sealed":
        return self

    def __exit__(self, *exit: object) -> None:
        self.socket.close()

    def flush(self, step: int = 1 << 20) -> None:
        """Write what waits, in pieces of this size."""
        data = self.out.read()
        for at in range(0, len(data), step):
            self.socket.sendall(data[at : at + step])

    def shake(self, step: int = 1 << 20) -> "Sealed":
        """The handshake; its bytes go out in pieces of this size."""
        self._until(self.tls.do_handshake, step)
        self.flush(step)
        return self

    def send(self, data: bytes, step: int = 1 << 20) -> None:
        self.tls.write(data)
        self.flush(step)

    def read(self) -> bytes:
        """Something; nothing after a close_notify."""
        try:
            return bytes(self._until(lambda: self.tls.read(65536)))
        except ssl.SSLZeroReturnError:
            return b""

    def until(self, mark: bytes) -> bytes:
        """Read up to where this stands at the end."""
        found = b""
        while not found.endswith(mark):
            got = self.read()
            assert got, found
            found += got
        return found

    def response(self) -> tuple[bytes, bytes]:
        """The head and the body of a response that says its length."""
        found = bytearray()
        size = None
        while size is None or len(found) < size:
            got = self.read()
            assert got, bytes(found[:1000])
            found += got
            if size is None and b"\r\n\r\n" in found:
                head = bytes(found).partition(b"\r\n\r\n")[0]
                size = len(head) + 4 + int(head.partition(b"content-length: ")[2].partition(b"\r\n")[0])
        return head, bytes(found[len(head) + 4 :])

    def goodbye(self) -> None:
        """Send close_notify, and go on reading."""
        with contextlib.suppress(ssl.SSLWantReadError):
            self.tls.unwrap()
        self.flush()

    def ended(self) -> bytes:
        """Read to the end of the stream; what comes then beneath TLS."""
        try:
            while self.read():
                pass
        except EOFError:
            return b"no close_notify"
        self.socket.settimeout(PATIENCE)
        return self.socket.recv(1)

    def _until(self, call: Callable[[], Any], step: int = 1 << 20) -> Any:
        while True:
            try:
                return call()
            except ssl.SSLWantReadError:
                self.flush(step)
                data = self.socket.recv(65536)
                if not data:
                    raise EOFError from None
                self.incoming.write(data)


@pytest.fixture
def sealed(authority: Authority) -> Callable[..., Sealed]:
    """`with sealed(served) as client:` connects, and has not shaken hands; further arguments are the context's."""
    return lambda served, **rest: Sealed(served.host, served.port, authority.context(**rest))


# --- WebSockets, frame by frame ---

MASK = b"\x37\xfa\x21\x3d"  # that of RFC 6455 §5.7


class Peer(Raw):
    """A client that sends what frames you like, and reads those of the server one by one."""

    CONTINUATION, TEXT, BINARY, CLOSE, PING, PONG = 0, 1, 2, 8, 9, 10

    @staticmethod
    def opening(path: bytes = b"/", *lines: bytes, key: bytes = b"dGhlIHNhbXBsZSBub25jZQ==") -> bytes:
        """The request of RFC 6455 §1.3, with further header lines."""
        fields = b"".join(line + b"\r\n" for line in lines)
        return (
            b"GET " + path + b" HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            b"Sec-WebSocket-Key: " + key + b"\r\nSec-WebSocket-Version: 13\r\n" + fields + b"\r\n"
        )  # fmt: skip

    @staticmethod
    def frame(opcode: int, payload: bytes = b"", *, fin: bool = True, rsv: int = 0, mask: bytes = MASK) -> bytes:
        """One frame; `rsv` are its three bits, and an empty `mask` is none."""
        size = len(payload)
        head = bytes([fin << 7 | rsv << 4 | opcode])
        length = size if size < 126 else 126 if size < 65536 else 127
        head += bytes([(0x80 if mask else 0) | length])
        if length > 125:
            head += size.to_bytes(2 if length == 126 else 8, "big")
        if mask:
            keys = int.from_bytes((mask * (size // 4 + 1))[:size], "big")
            payload = (int.from_bytes(payload, "big") ^ keys).to_bytes(size, "big")
        return head + mask + payload

    @classmethod
    def text(cls, text: str, **rest: Any) -> bytes:
        """A frame with a text in it."""
        return cls.frame(cls.TEXT, text.encode(), **rest)

    @classmethod
    def closing(cls, code: int | None = 1000, reason: str = "") -> bytes:
        """A close frame; without a code it is empty."""
        return cls.frame(cls.CLOSE, b"" if code is None else code.to_bytes(2, "big") + reason.encode())

    def open(self, path: bytes = b"/", *lines: bytes) -> Response:
        """Ask for a WebSocket, and get it."""
        self.send(self.opening(path, *lines))
        answer = self.interim()
        assert answer.status == 101, (answer, self.rest())
        return answer

    def read(self) -> tuple[int, bytes]:
        """The next frame: its first byte and its payload."""
        first, size = self.exactly(2)
        assert size < 128, "a server must not mask (RFC 6455 §5.1)"
        if size > 125:
            size = int.from_bytes(self.exactly(2 if size == 126 else 8), "big")
        return first, self.exactly(size)

    def message(self) -> str | bytes:
        """The next message, which is one frame and not compressed."""
        first, payload = self.read()
        assert first in (0x81, 0x82), (first, payload)
        return payload.decode() if first == 0x81 else payload

    def closed(self) -> tuple[int | None, str]:
        """The next frame, which is a close: its code and its reason."""
        first, payload = self.read()
        assert first == 0x88, (first, payload)
        return (int.from_bytes(payload[:2], "big") if payload else None), payload[2:].decode()

    def answered(self) -> bool:
        """Whether anything has come by now."""
        return bool(self._kept or select.select([self.socket], [], [], 0)[0])

    def reset(self) -> None:
        """Go as a crashed client does."""
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.close()


@pytest.fixture
def another() -> Callable[[Any], Peer]:
    """One more client of a server, or of a command: `with another(served) as client:`."""
    return lambda served: Peer(getattr(served, "host", "127.0.0.1"), served.port)


@pytest.fixture
def carrier() -> type[Peer]:
    """Which client `peer` is."""
    return Peer


@pytest.fixture
def peer(carrier: type[Peer]) -> Callable[..., contextlib.AbstractContextManager[Peer]]:
    """`with peer(app, **settings) as client:` serves the application to one client, which has sent nothing yet."""

    @contextlib.contextmanager
    def one(app: Any, **settings: Any) -> Iterator[Peer]:
        with serve(app, **{"lifespan": "off"} | settings) as served, carrier(served.host, served.port) as client:
            yield client

    return one


@pytest.fixture
def carriers() -> dict[str, type[Peer]]:
    """The clients of WebSockets, by the version of HTTP."""
    return {"HTTP/1.1": Peer, "HTTP/2": Peer2}


# --- HTTP/2, frame by frame ---


class Answer:
    """What came on one stream, as far as it has come; `code` is that of a reset."""

    def __init__(self) -> None:
        self.status = 0
        self.headers: list[tuple[str, str]] = []
        self.interim: list[list[tuple[str, str]]] = []
        self.body = b""
        self.trailers: list[tuple[str, str]] = []
        self.ended = False
        self.code: int | None = None

    def __repr__(self) -> str:
        return f"<Answer {self.status} {len(self.body)} bytes ended={self.ended} code={self.code}>"

    @property
    def over(self) -> bool:
        return self.ended or self.code is not None

    def header(self, name: str) -> str | None:
        found = [value for key, value in self.headers if key == name]
        return ", ".join(found) if found else None


class Talk:
    """A client's side of HTTP/2 by python-hyper's h2, without a socket: `out` is what it has to say.

    It opens windows as content comes, if it `reads`; `window` is the first one of a stream, and `wide` makes the
    connection's as large as can be. What a header may be is for the server to judge.
    """

    def __init__(self, window: int | None = None, wide: bool = False) -> None:
        config = h2.config.H2Configuration(
            header_encoding="latin-1", validate_outbound_headers=False, normalize_outbound_headers=False
        )
        self.h2 = h2.connection.H2Connection(config)
        # A GOAWAY ends nothing that is under way (RFC 9113 §6.8), but to this library it is the end of all.
        states, inputs = h2.connection.ConnectionState, h2.connection.ConnectionInputs
        still = {(state, inputs.RECV_GOAWAY): (None, state) for state in (states.CLIENT_OPEN, states.IDLE)}
        self.h2.state_machine._transitions = self.h2.state_machine._transitions | still
        if window is not None:
            self.h2.local_settings = h2.settings.Settings(
                initial_values={h2.settings.SettingCodes.INITIAL_WINDOW_SIZE: window}
            )
        self.h2.initiate_connection()
        if wide:
            self.h2.increment_flow_control_window(2**31 - 1 - 65535)
        self.reads = True
        self.answers: dict[int, Answer] = {}
        self.goaways: list[tuple[int, int, str]] = []  # the last stream, the code, and the text
        self.pongs: list[bytes] = []
        self.acked = False  # they have taken our settings
        self.kinds: list[str] = []  # of all events, in their order

    def out(self) -> bytes:
        return self.h2.data_to_send()

    def begin(self, path: str = "/", *headers: tuple[str, str], method: str = "GET", end: bool = True) -> int:
        """A request's head; its stream."""
        stream = self.h2.get_next_available_stream_id()
        pseudo = [(":method", method), (":scheme", "http"), (":authority", "a"), (":path", path)]
        self.answers[stream] = Answer()
        self.h2.send_headers(stream, [*pseudo, *headers], end_stream=end)
        return stream

    def connect(self, path: str = "/", *headers: tuple[str, str]) -> int:
        """A request for a WebSocket (RFC 8441 §5.1)."""
        version = ("sec-websocket-version", "13")
        return self.begin(path, (":protocol", "websocket"), version, *headers, method="CONNECT", end=False)

    def heard(self, data: bytes) -> None:
        """Their bytes."""
        for event in self.h2.receive_data(data):
            self.kinds.append(type(event).__name__)
            self._take(event, self.answers.get(getattr(event, "stream_id", None) or 0, Answer()))

    def _take(self, event: Any, answer: Answer) -> None:
        if isinstance(event, h2.events.ResponseReceived):
            answer.status, answer.headers = int(event.headers[0][1]), event.headers[1:]  # type: ignore[assignment]
        elif isinstance(event, h2.events.InformationalResponseReceived):
            answer.interim.append(event.headers)  # type: ignore[arg-type]
        elif isinstance(event, h2.events.TrailersReceived):
            answer.trailers = event.headers  # type: ignore[assignment]
        elif isinstance(event, h2.events.DataReceived):
            answer.body += event.data
            if self.reads and event.flow_controlled_length:
                self.h2.acknowledge_received_data(event.flow_controlled_length, event.stream_id)
        elif isinstance(event, h2.events.StreamEnded):
            answer.ended = True
        elif isinstance(event, h2.events.StreamReset):
            answer.code = int(event.error_code or 0)
        elif isinstance(event, h2.events.ConnectionTerminated):
            text = (event.additional_data or b"").decode()
            self.goaways.append((event.last_stream_id or 0, int(event.error_code or 0), text))
        elif isinstance(event, h2.events.PingAckReceived):
            self.pongs.append(event.ping_data)
        elif isinstance(event, h2.events.SettingsAcknowledged):
            self.acked = True


class Http2(Raw):
    """A client of HTTP/2 on a socket. It has said its preface, unless it is not to `greet`."""

    def __init__(self, host: str, port: int, *, greet: bool = True, tls: Any = None, **rest: Any) -> None:
        if tls is not None:
            tls.set_alpn_protocols(["h2"])
        super().__init__(host, port, PATIENCE, tls=tls)
        self.talk = Talk(**rest)
        self.answers = self.talk.answers
        if greet:
            self.flush()

    def flush(self) -> None:
        self.send(self.talk.out())

    def begin(self, path: str = "/", *headers: tuple[str, str], **rest: Any) -> int:
        """See `Talk.begin`; it is sent."""
        stream = self.talk.begin(path, *headers, **rest)
        self.flush()
        return stream

    def content(self, stream: int, data: bytes, end: bool = False) -> None:
        """Send this, waiting for windows."""
        talk = self.talk
        at = 0
        while at < len(data) or end:
            room = min(talk.h2.local_flow_control_window(stream), talk.h2.max_outbound_frame_size, len(data) - at)
            if room <= 0 and at < len(data):
                self.look()
                continue
            at += room
            done = end and at == len(data)
            talk.h2.send_data(stream, data[at - room : at], end_stream=done)
            self.flush()
            if done:
                return

    def look(self) -> bool:
        """Take what has come, waiting for it; whether there was anything but the end."""
        data = self.socket.recv(1 << 16)
        self.talk.heard(data)
        with contextlib.suppress(OSError):  # they may have closed
            self.flush()
        return bool(data)

    def until(self, condition: Callable[[], Any]) -> None:  # type: ignore[override]
        """Look until it is so; EOFError if the connection ends before."""
        while not condition():
            if not self.look():
                raise EOFError(f"{self.answers} {self.talk.goaways}")

    def answer(self, stream: int) -> Answer:
        """The whole answer."""
        self.until(lambda: self.answers[stream].over)
        return self.answers[stream]

    def ask(self, path: str = "/", *headers: tuple[str, str], body: bytes = b"", **rest: Any) -> Answer:  # type: ignore[override]
        """A request and its whole answer."""
        stream = self.begin(path, *headers, end=not body, **rest)
        if body:
            self.content(stream, body, True)
        return self.answer(stream)

    def ping(self) -> None:
        """Wait for the answer to a ping: all that was sent before has been looked at."""
        count = len(self.talk.pongs)
        self.talk.h2.ping(b"are you?")
        self.flush()
        self.until(lambda: len(self.talk.pongs) > count)

    def hang(self) -> tuple[int, int, str]:
        """Read to the end; the last GOAWAY before it."""
        with contextlib.suppress(ConnectionResetError):
            while self.look():
                pass
        return self.talk.goaways[-1]

    reset = Peer.reset


class Peer2(Peer):
    """A `Peer` whose WebSocket is a stream of HTTP/2 (RFC 8441): for tests that hold on either version."""

    def __init__(self, host: str, port: int) -> None:
        self.client = Http2(host, port)
        self.client.until(lambda: self.client.talk.h2.remote_settings.enable_connect_protocol)
        self.socket = self.client.socket
        self._kept = b""
        self._taken = 0
        self.stream = 0

    @property
    def _answer(self) -> Answer:
        return self.client.answers[self.stream]

    def send(self, data: bytes) -> None:
        """The opening of HTTP/1.1 becomes one of HTTP/2, and all else content of its stream."""
        if data.startswith(b"GET "):
            head, _, data = data.partition(b"\r\n\r\n")
            line, *lines = head.decode().split("\r\n")
            headers = [(name.lower(), value.strip()) for name, _, value in (each.partition(":") for each in lines)]
            passed = ("host", "upgrade", "connection", "sec-websocket-key", "sec-websocket-version")
            self.stream = self.client.talk.connect(
                line.split(" ")[1], *[pair for pair in headers if pair[0] not in passed]
            )
            self.client.flush()
        if data:
            self.client.content(self.stream, data)

    def interim(self) -> Response:
        self.client.until(lambda: self._answer.status or self._answer.over)
        assert self._answer.status, self._answer
        found = Response(b"HTTP/2 %d" % (101 if self._answer.status == 200 else self._answer.status))
        found.headers = self._answer.headers
        return found

    def response(self, head_only: bool = False) -> Response:
        found = self.interim()
        found.body = self.client.answer(self.stream).body
        self._taken = len(found.body)
        return found

    def _more(self) -> None:
        self.client.until(lambda: len(self._answer.body) > self._taken or self._answer.over)
        data = self._answer.body[self._taken :]
        if not data:
            raise EOFError(self._answer)
        self._taken += len(data)
        self._kept += data

    def reset(self) -> None:
        """Give the stream up."""
        self.client.talk.h2.reset_stream(self.stream, 8)
        self.client.flush()

    def half_close(self) -> None:
        self.client.talk.h2.end_stream(self.stream)
        self.client.flush()

    def answered(self) -> bool:
        while select.select([self.socket], [], [], 0)[0]:
            self.client.look()
        return bool(self._kept or self._answer.status or len(self._answer.body) > self._taken)


@pytest.fixture
def dial() -> Callable[..., Http2]:
    """`with dial(served, **rest) as client:` connects by HTTP/2; see `Http2` and `Talk`."""
    return lambda served, **rest: Http2(getattr(served, "host", "127.0.0.1"), served.port, **rest)


@pytest.fixture
def talk() -> type[Talk]:
    return Talk


@pytest.fixture
def http2() -> Callable[..., contextlib.AbstractContextManager[Http2]]:
    """`with http2(app, **settings) as client:` serves the application to one client of HTTP/2."""

    @contextlib.contextmanager
    def one(app: Any, **settings: Any) -> Iterator[Http2]:
        with serve(app, **{"lifespan": "off"} | settings) as served, Http2(served.host, served.port) as client:
            yield client

    return one


# --- what the server says ---


class Log(logging.Handler):
    """What the server told its log from INFO up, each with its traceback if it had one."""

    def __init__(self) -> None:
        super().__init__()
        self.records: list[logging.LogRecord] = []
        self.setFormatter(logging.Formatter("%(message)s"))

    def emit(self, record: logging.LogRecord) -> None:
        self.records.append(record)

    @property
    def errors(self) -> list[str]:
        """What is for the administrator to mend; warnings count."""
        return [self.format(record) for record in self.records if record.levelno >= logging.WARNING]

    @property
    def lines(self) -> list[str]:
        """All of it."""
        return [self.format(record) for record in self.records]

    @property
    def error(self) -> str:
        """The one thing that is to be mended."""
        (only,) = self.errors
        return only


@pytest.fixture
def log() -> Iterator[Log]:
    """The log of the servers of this test. What is logged after a response is there when `serve` has ended."""
    logger = logging.getLogger("portway")
    level = logger.level
    handler = Log()
    logger.setLevel(logging.INFO)
    logger.addHandler(handler)
    yield handler
    logger.removeHandler(handler)
    logger.setLevel(level)


@pytest.fixture(autouse=True)
def loggers_as_they_were() -> Iterator[None]:
    """A server that configures logging does so for the whole process; the next test starts afresh."""
    found = [logging.getLogger(name) for name in ("portway", "portway.access")]
    before = [(each.level, each.propagate, list(each.handlers)) for each in found]
    yield
    for logger, (level, propagate, handlers) in zip(found, before, strict=True):
        logger.setLevel(level)
        logger.propagate = propagate
        logger.handlers[:] = handlers


@pytest.fixture
def flood() -> Callable[[Raw, bytes], int]:
    """`flood(raw, data)` writes until nothing more is taken for a moment; how much was."""

    def write(raw: Raw, data: bytes) -> int:
        raw.socket.setblocking(False)
        sent = 0
        while sent < len(data) and select.select([], [raw.socket], [], 0.5)[1]:
            with contextlib.suppress(BlockingIOError):
                sent += raw.socket.send(data[sent : sent + 65536])
        raw.socket.settimeout(PATIENCE)
        return sent

    return write
