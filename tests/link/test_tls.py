"""The filter: how a handshake goes and fails, how a connection ends, and that it carries whatever a link carries."""

import asyncio
import contextlib
import re
import select
import socket
import ssl
import struct
import subprocess
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from portway.link.clock import Clock
from portway.link.refusals import Refusals
from portway.link.tls import together
from portway.testing import Raw, Served, serve
from portway.types import Receive, Scope, Send
from portway.wire.http1.encode import Preamble

Play = Callable[..., None]

LOOPS = pytest.mark.parametrize("loop", ["uvloop", "asyncio"])
VERSIONS = pytest.mark.parametrize("newest", ["TLSv1_2", "TLSv1_3"])
GET = b"GET / HTTP/1.1\r\nhost: localhost\r\n\r\n"
CLOSE = b"GET / HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n"
LARGE = bytes(range(251)) * 40_000  # ten megabytes, which no power of two divides


class App:
    """/echo gives back what it got, /large ten megabytes; all else gives the length of what it got.

    It tells what it saw of each request's end.
    """

    def __init__(self) -> None:
        self.ends: list[str] = []
        self.begun = threading.Event()
        self.ended = threading.Event()
        self.go = threading.Event()
        self.go.set()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            raise NotImplementedError
        body, more = [], True
        self.begun.set()
        await asyncio.to_thread(self.go.wait)
        while more:
            message = await receive()
            if message["type"] == "http.disconnect":
                self.ends.append("disconnect")
                self.ended.set()
                return
            body.append(message["body"])
            more = message["more_body"]
        self.ends.append("whole")
        whole = b"".join(body)
        answer = {"/echo": whole, "/large": LARGE}.get(scope["path"], b"%d" % len(whole))
        headers = [(b"content-length", b"%d" % len(answer))]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": answer})
        self.ended.set()


@pytest.fixture
def app() -> App:
    return App()


@pytest.fixture(params=["uvloop", "asyncio"])
def served(request: pytest.FixtureRequest, app: App, localhost: dict[str, str]) -> Iterator[Served]:
    with serve(app, loop=request.param, **localhost) as found:
        yield found


# --- the handshake ---


@VERSIONS
def test_a_request_and_its_response(served: Served, authority: Any, newest: str) -> None:
    assert served.url.startswith("https://127.0.0.1:")
    with Raw(served.host, served.port, tls=authority.context(newest=newest)) as raw:
        assert isinstance(raw.socket, ssl.SSLSocket)
        assert raw.socket.version() == newest.replace("_", ".")
        for _ in range(3):
            assert raw.ask(GET).body == b"0"


def test_what_is_older_than_tls_1_2_is_refused(served: Served, authority: Any) -> None:
    context = authority.context()
    with pytest.warns(DeprecationWarning, match="TLSv1 is deprecated"):
        context.minimum_version = ssl.TLSVersion.TLSv1
    with pytest.warns(DeprecationWarning, match="TLSv1_1 is deprecated"):
        context.maximum_version = ssl.TLSVersion.TLSv1_1
    context.set_ciphers("ALL:@SECLEVEL=0")
    with pytest.raises(ssl.SSLError, match=r"(?i)protocol.version"):
        Raw(served.host, served.port, tls=context)


@pytest.mark.parametrize(("offered", "agreed"), [(["http/1.1"], "http/1.1"), (["h9"], None), ([], None)])
def test_the_protocol_is_agreed_on(
    served: Served, authority: Any, offered: list[str], agreed: str | None
) -> None:  # fmt: skip
    context = authority.context()
    if offered:
        context.set_alpn_protocols(offered)
    with Raw(served.host, served.port, tls=context) as raw:
        assert raw.socket.selected_alpn_protocol() == agreed  # type: ignore[attr-defined]
        assert raw.ask(GET).status == 200


@VERSIONS
@pytest.mark.parametrize("step", [1, 7])
def test_everything_may_come_byte_by_byte(served: Served, sealed: Any, newest: str, step: int) -> None:
    with sealed(served, newest=newest) as client:
        client.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        client.shake(step)
        client.send(b"POST / HTTP/1.1\r\nhost: localhost\r\ncontent-length: 5\r\n\r\n12345", step)
        assert client.until(b"\r\n\r\n5").startswith(b"HTTP/1.1 200 OK\r\n")


@VERSIONS
def test_a_request_may_come_with_the_last_bytes_of_the_handshake(served: Served, sealed: Any, newest: str) -> None:
    with sealed(served, newest=newest) as client:
        client._until(client.tls.do_handshake)
        client.send(GET)  # and with it what the handshake has left to write
        assert client.until(b"\r\n\r\n0").startswith(b"HTTP/1.1 200 OK\r\n")


def test_a_handshake_has_one_deadline_which_dripping_bytes_do_not_move(
    play: Play, localhost: dict[str, str], authority: Any
) -> None:
    async def scene(stage: Any) -> None:
        hello = hello_of(authority)
        for byte in hello[:10]:
            await stage.read(bytes([byte]))
            stage.hand.pass_by(0.9)
        assert (stage.transport.state, len(stage.counts.links)) == ("open", 1)
        assert repr(stage.link).startswith("<TLS ('192.0.2.7', 4711) SHAKING ")
        stage.hand.pass_by(1.5)
        assert (stage.transport.state, stage.transport.written) == ("aborted", b"")

    play(App(), scene, tls=server_side(localhost), handshake=10)


def test_a_client_that_says_nothing_is_not_waited_for(play: Play, localhost: dict[str, str]) -> None:
    async def scene(stage: Any) -> None:
        stage.hand.pass_by(9.9)
        assert stage.transport.state == "open"
        stage.hand.pass_by(1)
        assert stage.transport.state == "aborted"

    play(App(), scene, tls=server_side(localhost), handshake=10)


def test_after_the_handshake_time_is_the_links(play: Play, localhost: dict[str, str], authority: Any) -> None:
    async def scene(stage: Any) -> None:
        await shaken(stage, authority)
        stage.hand.pass_by(15)
        assert (stage.transport.state, len(stage.counts.links)) == ("open", 1)
        assert " OPEN <Link " in repr(stage.link)
        before = len(stage.transport.written)
        stage.hand.pass_by(6)
        assert stage.transport.state == "closed"
        assert len(stage.transport.written) > before  # close_notify

    play(App(), scene, tls=server_side(localhost), handshake=10, head=20)


async def shaken(stage: Any, authority: Any) -> tuple[ssl.SSLObject, ssl.MemoryBIO]:
    """A client that has shaken hands, and where it writes to."""
    incoming, out = ssl.MemoryBIO(), ssl.MemoryBIO()
    client = authority.context().wrap_bio(incoming, out, server_hostname="localhost")
    with pytest.raises(ssl.SSLWantReadError):
        client.do_handshake()
    await stage.read(out.read())
    incoming.write(stage.transport.written)
    client.do_handshake()
    await stage.read(out.read())
    return client, out


def hello_of(authority: Any) -> bytes:
    """The first bytes of a client."""
    out = ssl.MemoryBIO()
    client = authority.context().wrap_bio(ssl.MemoryBIO(), out, server_hostname="localhost")
    with pytest.raises(ssl.SSLWantReadError):
        client.do_handshake()
    return out.read()


def server_side(localhost: dict[str, str]) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(localhost["ssl_certfile"], localhost["ssl_keyfile"])
    return context


# --- what is no TLS ---


@pytest.mark.parametrize(
    "request_",
    [GET, b"DELETE /x HTTP/1.1\r\nhost: a\r\n\r\n", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", GET + bytes(300_000)],
)
def test_plain_http_is_told_what_is_spoken_here(
    served: Served, request_: bytes, caplog: pytest.LogCaptureFixture
) -> None:  # fmt: skip
    caplog.set_level("INFO", "portway")
    with Raw(served.host, served.port) as raw:
        response = raw.ask(request_)
        assert (response.status, response.header("connection")) == (400, "close")
        assert response.body == b"This port speaks https, and what came is plain http.\n"
        assert raw.rest() == b""
    assert re.search(r"127.0.0.1:\d+: no TLS: what came is plain http$", caplog.text, re.MULTILINE)


def test_who_stays_after_the_answer_is_not_kept(play: Play, localhost: dict[str, str]) -> None:
    async def scene(stage: Any) -> None:
        await stage.read(GET)
        assert stage.transport.written.startswith(b"HTTP/1.1 400 Bad Request\r\n")
        assert stage.transport.state == "half closed"
        await stage.read(GET)  # of no interest any more
        stage.hand.pass_by(3)
        assert stage.transport.state == "aborted"

    play(App(), scene, tls=server_side(localhost))


@pytest.mark.parametrize("rubbish", [b"\x00" * 50, b"\x16\x03\x01\x00\x05hello", b"\x16\x03\x01\xff\xff" + bytes(99)])
def test_rubbish_is_refused(served: Served, rubbish: bytes, caplog: pytest.LogCaptureFixture, authority: Any) -> None:
    caplog.set_level("INFO", "portway")
    with Raw(served.host, served.port) as raw:
        raw.send(rubbish)
        assert raw.rest()[:1] in (b"\x15", b"")  # OpenSSL finds the first not worth an answer
    assert "no TLS: " in caplog.text
    with Raw(served.host, served.port, tls=authority.context()) as raw:
        assert raw.ask(GET).status == 200


def test_a_flood_of_failures_does_not_become_one_of_lines(hand: Any, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO", "portway")
    refusals = Refusals(Clock(hand, Preamble(), False))
    for _ in range(50):
        refusals.mention(("192.0.2.7", 4711), "no TLS: what came is plain http")
    assert caplog.messages == ["192.0.2.7:4711: no TLS: what came is plain http"] * 10


# --- both ways, much and little ---


@VERSIONS
def test_large_bodies_go_both_ways(served: Served, authority: Any, newest: str) -> None:
    with Raw(served.host, served.port, tls=authority.context(newest=newest)) as raw:
        head = b"POST /echo HTTP/1.1\r\nhost: localhost\r\ncontent-length: %d\r\n\r\n" % len(LARGE)
        raw.send(head + LARGE)
        assert raw.response().body == LARGE
        assert raw.ask(GET).status == 200


def test_what_an_application_does_not_take_is_not_read(served: Served, app: App, sealed: Any) -> None:
    app.go.clear()
    with sealed(served) as client:
        client.shake()
        client.tls.write(b"POST /echo HTTP/1.1\r\nhost: localhost\r\ncontent-length: %d\r\n\r\n" % len(LARGE) + LARGE)
        data = client.out.read()
        client.socket.setblocking(False)
        sent = fill(client.socket, data)
        assert app.begun.wait(20)
        sent += fill(client.socket, data[sent:])
        assert sent < len(data)  # the server has stopped, and the kernel is full
        app.go.set()
        client.socket.setblocking(True)
        client.socket.sendall(data[sent:])
        assert client.response()[1] == LARGE


def fill(sock: socket.socket, data: bytes) -> int:
    """Write until it would block, and would still after a moment without anything taken."""
    sent = 0
    while sent < len(data) and select.select([], [sock], [], 0.3)[1]:
        sent += sock.send(data[sent : sent + 65536])
    return sent


def test_an_application_waits_for_a_client_that_does_not_read(
    play: Play, localhost: dict[str, str], authority: Any
) -> None:
    sent: list[int] = []

    async def pour(scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200})
        for number in range(10):
            await send({"type": "http.response.body", "body": bytes(1000), "more_body": number < 9})
            sent.append(number)

    async def scene(stage: Any) -> None:
        client, out = await shaken(stage, authority)
        stage.link.pause_writing()
        client.write(GET)
        await stage.read(out.read())
        assert len(sent) < 2
        stage.link.resume_writing()
        await stage.turns()
        assert len(sent) == 10

    play(pour, scene, tls=server_side(localhost))


def test_a_client_that_reads_late_gets_all_of_it(served: Served, authority: Any, app: App) -> None:
    with Raw(served.host, served.port, tls=authority.context()) as raw:
        raw.send(GET.replace(b"/ ", b"/large ") * 3)
        assert app.begun.wait(20)
        for _ in range(3):
            assert raw.response().body == LARGE


def test_many_connections(served: Served, authority: Any) -> None:
    async def main() -> list[bytes]:
        async def one() -> bytes:
            reader, writer = await asyncio.open_connection(
                "localhost", served.port, ssl=authority.context(), family=socket.AF_INET
            )
            writer.write(CLOSE)
            data = await reader.read()
            writer.close()
            await writer.wait_closed()
            return data

        return await asyncio.gather(*(one() for _ in range(100)))

    assert [data[-5:] for data in asyncio.run(main())] == [b"\r\n\r\n0"] * 100


# --- the end ---


@VERSIONS
def test_the_server_ends_with_close_notify(served: Served, sealed: Any, newest: str) -> None:
    with sealed(served, newest=newest) as client:
        client.shake().send(CLOSE)
        client.until(b"\r\n\r\n0")
        assert client.ended() == b""


@VERSIONS
def test_a_fault_is_answered_and_ends_with_close_notify(served: Served, sealed: Any, newest: str) -> None:
    with sealed(served, newest=newest) as client:
        client.shake().send(b"GET / HTTP/9.9\r\n\r\n" + bytes(100_000))
        found = b""
        while got := client.read():
            found += got
        assert found.startswith(b"HTTP/1.1 505 ")
        assert client.socket.recv(1) == b""


@VERSIONS
def test_who_says_goodbye_still_gets_its_response(served: Served, app: App, sealed: Any, newest: str) -> None:
    app.go.clear()
    with sealed(served, newest=newest) as client:
        client.shake().send(GET)
        assert app.begun.wait(20)
        client.goodbye()
        app.go.set()
        assert client.until(b"\r\n\r\n0").startswith(b"HTTP/1.1 200 OK\r\n")
        assert client.ended() == b""


def test_who_ends_without_goodbye_still_gets_its_response(served: Served, app: App, sealed: Any) -> None:
    app.go.clear()
    with sealed(served) as client:
        client.shake().send(GET)
        assert app.begun.wait(20)
        client.socket.shutdown(socket.SHUT_WR)
        app.go.set()
        assert client.until(b"\r\n\r\n0").startswith(b"HTTP/1.1 200 OK\r\n")
        assert client.ended() == b""


@pytest.mark.parametrize("how", ["goodbye", "end", "reset"])
def test_a_body_that_is_cut_off_is_a_disconnect(served: Served, app: App, sealed: Any, how: str) -> None:
    with sealed(served) as client:
        client.shake().send(b"POST / HTTP/1.1\r\nhost: localhost\r\ncontent-length: 9\r\n\r\n1234")
        assert app.begun.wait(20)
        if how == "goodbye":
            client.goodbye()
        elif how == "end":
            client.socket.shutdown(socket.SHUT_WR)
        else:
            client.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            client.socket.close()
        assert app.ended.wait(20)
    assert app.ends == ["disconnect"]


@pytest.mark.parametrize("how", ["goodbye", "end"])
def test_an_idle_connection_that_the_client_ends_is_ended(served: Served, sealed: Any, how: str) -> None:
    with sealed(served) as client:
        client.shake().send(GET)
        client.until(b"\r\n\r\n0")
        if how == "goodbye":
            client.goodbye()
        else:
            client.socket.shutdown(socket.SHUT_WR)
        assert client.ended() == b""


def test_a_broken_record_ends_the_connection(served: Served, sealed: Any, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO", "portway")
    with sealed(served) as client:
        client.shake().tls.write(GET)
        record = client.out.read()
        client.socket.sendall(record[:-1] + bytes([record[-1] ^ 1]))
        with pytest.raises(ssl.SSLError, match=r"(?i)bad.record.mac"):
            client.read()
        assert client.socket.recv(1) == b""
    assert re.search("TLS ended: .*bad record mac", caplog.text)


def s_client(served: Served, authority: Any, *words: str) -> Any:
    """OpenSSL's client, in which R and K on lines of their own are commands."""
    words = ("openssl", "s_client", "-connect", f"127.0.0.1:{served.port}", "-CAfile", authority.file, *words)
    return subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, bufsize=0)


def until(client: Any, mark: bytes) -> bytes:
    seen = b""
    while mark not in seen and (more := client.stdout.read(1000)):
        seen += more
    return seen


def test_a_renegotiation_is_refused(served: Served, authority: Any, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO", "portway")
    with s_client(served, authority, "-tls1_2") as client:
        until(client, b"Verify return code")
        client.stdin.write(b"R\n")
        assert b"RENEGOTIATING" in client.stdout.read()
    assert "TLS ended: renegotiation is refused" in caplog.text


def test_keys_may_change_in_between(served: Served, authority: Any) -> None:
    with s_client(served, authority, "-tls1_3") as client:
        client.stdin.write(b"K\n")  # both sides
        assert b"KEYUPDATE" in until(client, b"KEYUPDATE")
        client.stdin.write(CLOSE)
        assert b"HTTP/1.1 200 OK" in client.stdout.read()


def test_keys_may_not_change_without_end(served: Served, authority: Any, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO", "portway")
    changes = 0
    with s_client(served, authority, "-tls1_3") as client, contextlib.suppress(BrokenPipeError):
        while changes < 3000:  # several may be looked at in one go, and count as one
            client.stdin.write(b"K\n")
            if b"KEYUPDATE" not in until(client, b"KEYUPDATE"):
                break
            changes += 1
    assert 32 <= changes < 3000
    assert "TLS ended: the peer asks for new keys again and again" in caplog.text


# --- the server ends ---


@LOOPS
def test_a_handshake_that_is_under_way_does_not_hold_up_the_end(
    app: App, localhost: dict[str, str], authority: Any, loop: str
) -> None:
    with serve(app, loop=loop, timeout_graceful_shutdown=60, **localhost) as served:
        silent = Raw(served.host, served.port)
        halfway = Raw(served.host, served.port)
        halfway.send(hello_of(authority)[:50])
        with Raw(served.host, served.port, tls=authority.context()) as raw:
            assert raw.ask(GET).status == 200  # by now the server has seen those two
        served.server.stop()
        with silent, halfway:
            assert (silent.rest(), halfway.rest()) == (b"", b"")


def test_nor_does_one_that_was_accepted_and_not_begun(play: Play, localhost: dict[str, str]) -> None:
    async def scene(stage: Any) -> None:
        stage.counts.draining = True
        stage.link.connection_made(stage.transport)  # as the loop does in the turn after the stop
        assert stage.transport.state == "open"
        stage.hand.pass_by(1.5)
        assert stage.transport.state == "aborted"

    play(App(), scene, tls=server_side(localhost))


@LOOPS
def test_a_handshake_that_is_under_way_is_finished_and_its_request_answered(
    app: App, localhost: dict[str, str], sealed: Any, loop: str
) -> None:
    with serve(app, loop=loop, **localhost) as served, sealed(served) as client, sealed(served) as other:
        other.shake().send(GET)
        assert other.until(b"\r\n\r\n0")
        with contextlib.suppress(ssl.SSLWantReadError):
            client.tls.do_handshake()
        client.flush()
        client.incoming.write(client.socket.recv(65536))  # the server has seen our hello
        served.server.stop()
        other.ended()  # the server has begun to stop
        client.shake().send(GET)
        assert b"connection: close\r\n" in client.until(b"\r\n\r\n0")
        assert client.ended() == b""


@LOOPS
def test_a_request_under_way_is_answered_before_the_end(
    app: App, localhost: dict[str, str], sealed: Any, loop: str
) -> None:
    app.go.clear()
    with serve(app, loop=loop, **localhost) as served, sealed(served) as client:
        client.shake().send(GET)
        assert app.begun.wait(20)
        served.server.stop()
        app.go.set()
        assert b"connection: close\r\n" in client.until(b"\r\n\r\n0")
        assert client.ended() == b""


# --- records ---


@pytest.mark.parametrize(
    ("parts", "sizes"),
    [
        ([], []),
        ([1], [1]),
        ([40, 10240, 40, 10240], [20560]),
        ([65536, 1], [65536, 1]),
        ([10000, 10000, 10000, 10000, 10000, 10000, 10000], [60000, 10000]),
        ([16383] * 4 + [4, 1], [65536, 1]),
        ([9, 20000, 9, 9], [9, 20000, 18]),
        ([20000, 20000], [20000, 20000]),
    ],
)
def test_small_neighbours_share_a_record(parts: list[int], sizes: list[int]) -> None:
    data = [bytes([number + 1]) * size for number, size in enumerate(parts)]
    made = together(data)
    assert [len(each) for each in made] == sizes
    assert b"".join(made) == b"".join(data)
