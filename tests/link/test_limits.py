"""How much of a request is accepted: the defaults, and the settings that move them."""

import threading

import pytest

from portway import Settings
from portway.testing import Raw, Response, serve
from portway.types import Receive, Scope, Send


class Echo:
    """Answers the size of the body; counts its calls, and what it was asked to read."""

    def __init__(self) -> None:
        self.reading = threading.Event()
        self.calls = 0
        self.kinds: list[str] = []

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            raise NotImplementedError
        self.calls += 1
        size, more = 0, True
        while more:
            message = await receive()
            self.kinds.append(message["type"])
            self.reading.set()
            size += len(message.get("body", b""))
            more = message.get("more_body", False)
        await send({"type": "http.response.start", "status": 200})
        await send({"type": "http.response.body", "body": b"%d" % size})


def line_of(size: int) -> bytes:
    """A request-line of so many bytes, without its CRLF."""
    return b"GET /" + b"a" * (size - len(b"GET / HTTP/1.1")) + b" HTTP/1.1"


def head_of(size: int) -> bytes:
    """A whole head of so many bytes, its empty line included."""
    start = b"GET / HTTP/1.1\r\nhost: a\r\n"
    fields = b""
    while len(start) + len(fields) + 4000 < size:
        fields += b"x: " + b"a" * 3900 + b"\r\n"
    rest = size - len(start) - len(fields) - len(b"y: \r\n\r\n")
    return start + fields + b"y: " + b"a" * rest + b"\r\n\r\n"


def fields_of(number: int) -> bytes:
    """A head with so many fields."""
    return b"GET / HTTP/1.1\r\nhost: a\r\n" + b"x: y\r\n" * (number - 1) + b"\r\n"


def ask(request: bytes, app: Echo | None = None, **settings: object) -> Response:
    with serve(app or Echo(), **settings) as served, Raw(served.host, served.port) as raw:
        raw.send(request)
        return raw.response()


END = b"\r\nhost: a\r\n\r\n"


@pytest.mark.parametrize(
    ("request_", "status"),
    [
        (line_of(8192) + END, 200),
        (line_of(8193) + END, 414),
        (b"GET /" + b"a" * 20_000, 414),  # however long it would have become
        (head_of(65_536), 200),
        (head_of(65_537), 431),
        (b"GET / HTTP/1.1\r\nhost: a\r\n" + b"x: y\r\n" * 90 + b"z: " + b"a" * 70_000, 431),
        (fields_of(100), 200),
        (fields_of(101), 431),
    ],
    ids=["line", "line+1", "endless line", "head", "head+1", "endless head", "fields", "fields+1"],
)
def test_the_limits_of_a_head_are_finite_by_default(request_: bytes, status: int) -> None:
    assert ask(request_).status == status


@pytest.mark.parametrize(
    ("name", "value", "good", "bad", "status"),
    [
        ("limit_request_line", 100, line_of(100) + END, line_of(101) + END, 414),
        ("limit_request_line", 10_000, line_of(10_000) + END, line_of(10_001) + END, 414),
        ("limit_request_head", 5000, head_of(5000), head_of(5001), 431),
        ("limit_request_head", 90_000, head_of(90_000), head_of(90_001), 431),
        ("limit_request_fields", 3, fields_of(3), fields_of(4), 431),
        ("limit_request_fields", 150, fields_of(150), fields_of(151), 431),
    ],
)
def test_each_limit_of_a_head_is_a_setting(name: str, value: int, good: bytes, bad: bytes, status: int) -> None:
    assert ask(good, **{name: value}).status == 200
    assert ask(bad, **{name: value}).status == status


def test_a_body_that_is_declared_too_large_is_refused_before_it_comes() -> None:
    app = Echo()
    response = ask(b"POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 1001\r\n\r\n", app, limit_request_body=1000)
    assert (response.status, response.header("connection")) == (413, "close")
    assert app.calls == 0


def test_a_body_that_is_declared_too_large_is_not_asked_for() -> None:
    request = b"POST / HTTP/1.1\r\nhost: a\r\nexpect: 100-continue\r\ncontent-length: 1001\r\n\r\n"
    with serve(Echo(), limit_request_body=1000) as served, Raw(served.host, served.port) as raw:
        raw.send(request)
        assert raw.interim().status == 413


def chunked(*sizes: int) -> bytes:
    chunks = b"".join(b"%x\r\n%b\r\n" % (size, bytes(size)) for size in sizes)
    return b"POST / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n" + chunks


def test_a_chunked_body_is_refused_when_it_becomes_too_large() -> None:
    app = Echo()
    with serve(app, limit_request_body=1000) as served, Raw(served.host, served.port) as raw:
        raw.send(chunked(600))
        assert app.reading.wait(20)
        raw.send(b"191\r\n" + bytes(401))
        assert raw.response().status == 413
        assert raw.rest() == b""
    assert app.kinds[-1] == "http.disconnect"


def test_a_chunk_that_is_announced_too_large_is_refused_before_it_comes() -> None:
    announced = b"POST / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n3e9\r\n"
    assert ask(announced, limit_request_body=1000).status == 413


@pytest.mark.parametrize(
    "request_",
    [
        b"POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 1000\r\n\r\n" + bytes(1000),
        chunked(600, 400) + b"0\r\n\r\n",
    ],
    ids=["length", "chunked"],
)
def test_a_body_of_just_the_limit_is_accepted(request_: bytes) -> None:
    assert ask(request_, limit_request_body=1000).body == b"1000"


def test_every_deadline_is_finite_by_default() -> None:
    settings = Settings()
    timeouts = {name: value for name, value in vars(settings).items() if name.startswith("timeout_")}
    assert len(timeouts) >= 7
    assert [name for name, value in timeouts.items() if not 0 < value < 3600] == []
