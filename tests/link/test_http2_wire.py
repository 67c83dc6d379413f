"""HTTP/2 over a real socket: how it is begun, by prior knowledge and by ALPN, and what its responses are like."""

import asyncio
import ssl
import threading
from collections.abc import Callable
from typing import Any

import httpx
import pytest

from portway.testing import Raw, serve
from portway.types import Receive, Scope, Send

LOOPS = pytest.mark.parametrize("loop", ["uvloop", "asyncio"])
PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
GET = b"GET / HTTP/1.1\r\nhost: a\r\n\r\n"
OK = {"type": "http.response.start", "status": 200}
BODY = {"type": "http.response.body"}


class App:
    """Tells of each request by which version it came, and what it brought."""

    def __init__(self) -> None:
        self.scopes: list[Scope] = []

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self.scopes.append(scope)
        size, more = 0, True
        while more:
            message = await receive()
            size, more = size + len(message["body"]), message["more_body"]
        await send(OK)
        await send(BODY | {"body": f"{scope['http_version']} {scope['scheme']} {scope['path']} {size}".encode()})


# --- how it is begun ---


@LOOPS
def test_prior_knowledge_is_enough(http2: Any, loop: str) -> None:
    with http2(App(), loop=loop) as client:
        for number in range(3):
            assert client.ask(f"/{number}").body == b"2 http /%d 0" % number
        assert client.ask("/post", method="POST", body=bytes(100_000)).body == b"2 http /post 100000"


@LOOPS
@pytest.mark.parametrize("http", ["auto", "2"])
def test_a_preface_may_come_byte_by_byte(dial: Any, loop: str, http: str) -> None:
    with serve(App(), lifespan="off", loop=loop, http=http) as served, dial(served, greet=False) as client:
        stream = client.talk.begin("/slow")
        for byte in client.talk.out():
            client.send(bytes([byte]))
        assert client.answer(stream).body == b"2 http /slow 0"


def test_all_of_it_may_come_at_once(dial: Any) -> None:
    with serve(App(), lifespan="off") as served, dial(served, greet=False) as client:
        streams = [client.talk.begin(f"/{number}") for number in range(50)]
        client.flush()
        for number, stream in enumerate(streams):
            assert client.answer(stream).body == b"2 http /%d 0" % number


def test_what_an_application_raises_then_does_not_come_of_the_preface(
    dial: Any, caplog: pytest.LogCaptureFixture
) -> None:  # fmt: skip
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        raise ValueError

    with serve(app, lifespan="off") as served, dial(served, greet=False) as client:
        assert client.ask().status == 500
    ((_, error, _),) = [record.exc_info for record in caplog.records if record.exc_info]
    assert error.__context__ is None


def test_a_preface_in_the_place_of_a_second_request_is_none() -> None:
    with serve(App(), lifespan="off") as served, Raw(served.host, served.port) as raw:
        assert raw.ask(GET).body == b"1.1 http / 0"
        assert raw.ask(PREFACE).status == 505
        assert raw.rest() == b""


@pytest.mark.parametrize(
    "almost", [b"PRI / HTTP/2.0\r\n\r\nSM\r\n\r\n", PREFACE.replace(b"SM", b"XX"), PREFACE.lower()]
)
def test_what_is_almost_a_preface_is_refused(almost: bytes) -> None:
    with serve(App(), lifespan="off") as served, Raw(served.host, served.port) as raw:
        raw.send(almost)
        found = raw.rest()
        assert found.startswith(b"HTTP/1.1 ") or b"the connection does not begin with the preface" in found
        assert b"200 OK" not in found


def test_http_1_1_alone_does_not_know_the_preface() -> None:
    with serve(App(), lifespan="off", http="1.1") as served, Raw(served.host, served.port) as raw:
        raw.send(PREFACE + bytes(9))
        assert raw.response().status == 505
        assert raw.rest() == b""


def test_http_2_alone_answers_no_http_1_1(dial: Any) -> None:
    with serve(App(), lifespan="off", http="2") as served:
        with Raw(served.host, served.port) as raw:
            raw.send(GET)
            assert b"HTTP/1.1" not in raw.rest()
        with dial(served) as client:
            assert client.ask().body == b"2 http / 0"


def test_an_upgrade_to_h2c_is_passed_over() -> None:
    with serve(App(), lifespan="off") as served, Raw(served.host, served.port) as raw:
        lines = b"upgrade: h2c\r\nconnection: upgrade, http2-settings\r\nhttp2-settings: AAMAAABk\r\n\r\n"
        for _ in range(2):
            assert raw.ask(GET[:-2] + lines).body == b"1.1 http / 0"


# --- by ALPN ---


def alpn(authority: Any, *names: str) -> ssl.SSLContext:
    context: ssl.SSLContext = authority.context()
    if names:
        context.set_alpn_protocols(list(names))
    return context


@LOOPS
@pytest.mark.parametrize(
    ("http", "offered", "agreed"),
    [
        ("auto", ["h2", "http/1.1"], "h2"),
        ("auto", ["http/1.1", "h2"], "h2"),
        ("auto", ["h2"], "h2"),
        ("auto", ["http/1.1"], "http/1.1"),
        ("auto", [], None),
        ("1.1", ["h2", "http/1.1"], "http/1.1"),
        ("2", ["http/1.1", "h2"], "h2"),
    ],
)
def test_alpn_chooses(
    authority: Any, localhost: dict[str, str], loop: str, http: str, offered: list[str], agreed: str | None
) -> None:  # fmt: skip
    with (
        serve(App(), lifespan="off", loop=loop, http=http, **localhost) as served,
        Raw(served.host, served.port, tls=alpn(authority, *offered)) as raw,
    ):
        assert isinstance(raw.socket, ssl.SSLSocket)
        assert raw.socket.selected_alpn_protocol() == agreed
        if agreed != "h2":
            assert raw.ask(GET).body == b"1.1 https / 0"
        else:
            raw.send(PREFACE + bytes(3) + b"\4" + bytes(5))
            assert raw.exactly(9)[3] == 4  # SETTINGS


@LOOPS
def test_requests_over_tls_are_of_https(authority: Any, localhost: dict[str, str], dial: Any, loop: str) -> None:
    app = App()
    with serve(app, lifespan="off", loop=loop, **localhost) as served, dial(served, tls=authority.context()) as client:
        streams = [client.begin(f"/{number}") for number in range(20)]
        for number, stream in enumerate(streams):
            assert client.answer(stream).body == b"2 https /%d 0" % number
        assert client.ask("/", method="POST", body=bytes(1_000_000)).body == b"2 https / 1000000"
    assert "tls" in app.scopes[0]["extensions"]


def test_http_2_alone_is_not_left_for_want_of_alpn(authority: Any, localhost: dict[str, str], dial: Any) -> None:
    with (
        serve(App(), lifespan="off", http="2", **localhost) as served,
        Raw(served.host, served.port, tls=alpn(authority)) as raw,
    ):
        raw.send(GET)
        assert b"HTTP/1.1" not in raw.rest()


@LOOPS
def test_httpx_speaks_it(authority: Any, localhost: dict[str, str], loop: str) -> None:
    with (
        serve(App(), lifespan="off", loop=loop, **localhost) as served,
        httpx.Client(http2=True, verify=authority.context(), base_url=f"https://localhost:{served.port}") as client,
    ):
        for _ in range(3):
            answer = client.post("/a", content=bytes(300_000))
            assert (answer.http_version, answer.text) == ("HTTP/2", "2 https /a 300000")


# --- what we announce ---


def test_our_settings_are_those_that_were_set(http2: Any) -> None:
    settings = {
        "http2_max_concurrent_streams": 7,
        "http2_initial_stream_window_size": 70_000,
        "http2_initial_connection_window_size": 100_000,
        "http2_max_frame_size": 20_000,
    }
    with http2(App(), ws="none", **settings) as client:
        client.ping()
        theirs = client.talk.h2.remote_settings
        assert (theirs.max_concurrent_streams, theirs.initial_window_size) == (7, 70_000)
        assert (theirs.max_frame_size, client.talk.h2.outbound_flow_control_window) == (20_000, 100_000)
        assert theirs.max_header_list_size > 65536
        assert theirs.enable_connect_protocol == 0
    with http2(App()) as client:
        client.ping()
        assert client.talk.h2.remote_settings.enable_connect_protocol == 1


# --- responses ---


@LOOPS
@pytest.mark.parametrize("tls", [False, True])
def test_each_piece_is_seen_before_the_next_is_sent(
    authority: Any, localhost: dict[str, str], dial: Any, loop: str, tls: bool
) -> None:
    go = threading.Semaphore(0)

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await send(OK | {"headers": [(b"content-type", b"text/event-stream")]})
        for number in range(5):
            await send(BODY | {"body": b"data: %d\n\n" % number, "more_body": True})
            await asyncio.to_thread(go.acquire, timeout=10)
        await send(BODY)

    with (
        serve(app, lifespan="off", loop=loop, **(localhost if tls else {})) as served,
        dial(served, tls=authority.context() if tls else None) as client,
    ):
        stream = client.begin()
        seen = ""
        for number in range(5):
            seen += f"data: {number}\n\n"
            client.until(lambda: client.answers[stream].body == seen.encode())  # noqa: B023
            assert not client.answers[stream].ended
            go.release()
        assert client.answer(stream).ended


def test_responses_come_as_they_are_ready_and_not_as_they_were_asked_for(http2: Any) -> None:
    go = {path: threading.Event() for path in ("/1", "/2", "/3")}

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await asyncio.to_thread(go[scope["path"]].wait, 10)
        await send(OK)
        await send(BODY | {"body": scope["path"].encode()})

    with http2(app) as client:
        streams = {path: client.begin(path) for path in go}
        for path in ("/3", "/1", "/2"):
            go[path].set()
            assert client.answer(streams[path]).body == path.encode()
            streams.pop(path)
            assert not [path for path, stream in streams.items() if client.answers[stream].status]


@pytest.mark.parametrize(("method", "status"), [("HEAD", 200), ("GET", 304), ("GET", 204)])
def test_a_response_without_content_ends_with_its_head(http2: Any, method: str, status: int) -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await send(OK | {"status": status, "headers": [(b"content-length", b"5"), (b"etag", b'"1"')]})
        await send(BODY | {"body": b"12", "more_body": True})
        await send(BODY | {"body": b"345"})

    with http2(app) as client:
        for _ in range(2):
            answer = client.ask(method=method)
            assert (answer.status, answer.body, answer.code) == (status, b"", None)
            assert answer.header("content-length") == (None if status == 204 else "5")
        assert "DataReceived" not in client.talk.kinds


def test_a_head_larger_than_a_frame_arrives(http2: Any) -> None:
    headers = [(b"x-%d" % number, b"v" * 3000) for number in range(20)]

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await send(OK | {"headers": headers})
        await send(BODY | {"body": b"ok"})

    with http2(app) as client:
        answer = client.ask()
        assert answer.headers[-21:-1] == [(name.decode(), value.decode()) for name, value in headers]
        assert answer.body == b"ok"


def test_a_large_head_of_a_request_arrives(http2: Any) -> None:
    app = App()
    headers = [(f"x-{number}", "v" * 3000) for number in range(20)]
    with http2(app) as client:
        assert client.ask("/", *headers).status == 200
        client.ask("/", *headers)  # from the tables
    for scope in app.scopes:
        assert scope["headers"][1:] == [(name.encode(), value.encode()) for name, value in headers]


# --- priorities (RFC 9218) ---


class Queued:
    """Sends 200 kB for each path, and says when they are all queued."""

    def __init__(self, count: int) -> None:
        self.begun = 0
        self.count = count
        self.all = threading.Event()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await send(OK)
        self.begun += 1
        if self.begun == self.count:
            asyncio.get_running_loop().call_soon(self.all.set)
        await send(BODY | {"body": bytes(200_000)})


def arrived(client: Any, streams: list[int], widen: Callable[[], None]) -> list[int]:
    """In which order they end, when the connection's window opens."""
    ended: list[int] = []
    widen()
    while len(ended) < len(streams):
        assert client.look()
        ended += [stream for stream in streams if client.answers[stream].ended and stream not in ended]
    return ended


@pytest.mark.parametrize("update", [False, True])
def test_what_is_urgent_comes_first(dial: Any, update: bool) -> None:
    app = Queued(4)
    with serve(app, lifespan="off") as served, dial(served, window=1 << 20) as client:
        client.talk.reads = False
        urgencies = [7, 3, 5, 0]
        streams = [client.begin("/", *([] if update else [("priority", f"u={urgency}")])) for urgency in urgencies]
        assert app.all.wait(10)
        if update:
            for stream, urgency in zip(streams, urgencies, strict=True):
                payload = stream.to_bytes(4, "big") + b"u=%d" % urgency
                client.send(len(payload).to_bytes(3, "big") + b"\x10" + bytes(5) + payload)
        client.ping()
        ended = arrived(client, streams, lambda: widen(client, 1 << 20))
    assert ended == [streams[3], streams[1], streams[2], streams[0]]


def widen(client: Any, size: int) -> None:
    client.talk.h2.increment_flow_control_window(size)
    client.flush()


def test_those_that_are_of_use_in_parts_share_and_others_follow_each_other(dial: Any) -> None:
    for priority, together in (("u=3, i", True), ("u=3", False)):
        app = Queued(3)
        with serve(app, lifespan="off") as served, dial(served, window=1 << 20) as client:
            client.talk.reads = False
            streams = [client.begin("/", ("priority", priority)) for _ in range(3)]
            assert app.all.wait(10)
            client.ping()
            before = [len(client.answers[stream].body) for stream in streams]
            widen(client, 90_000)
            client.until(lambda: sum(len(answer.body) for answer in client.answers.values()) == 65535 + 90_000)
            after = [len(client.answers[stream].body) for stream in streams]
        grown = [new - old for old, new in zip(before, after, strict=True)]
        assert (min(grown) > 20_000) is together, grown
