"""Where the server listens: TCP, Unix sockets, inherited ones; and what happens if it cannot."""

import os
import socket
import stat
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import portway
from portway.boot import bind, settled
from portway.config import addresses
from portway.errors import BindError
from portway.server import listen
from portway.testing import Raw, serve
from portway.types import Receive, Scope, Send

Portway = Callable[..., Any]

GET = b"GET / HTTP/1.1\r\nhost: a\r\n\r\n"
POSIX = pytest.mark.skipif(sys.platform == "win32", reason="Unix sockets and descriptors are POSIX")
LOOPS = pytest.mark.parametrize("loop", ["uvloop", "asyncio"])


def has_ipv6() -> bool:
    try:
        with socket.socket(socket.AF_INET6) as sock:
            sock.bind(("::1", 0))
    except OSError:
        return False
    return True


IPV6 = pytest.mark.skipif(not has_ipv6(), reason="this machine has no IPv6")


async def app(scope: Scope, receive: Receive, send: Send) -> None:
    if scope["type"] == "lifespan":
        raise NotImplementedError
    body = repr((scope["client"] is None, scope["server"])).encode()
    await send({"type": "http.response.start", "status": 200})
    await send({"type": "http.response.body", "body": body})


def ask_unix(path: str | Path) -> bytes:
    with socket.socket(socket.AF_UNIX) as sock:
        sock.settimeout(10)
        sock.connect(str(path))
        sock.sendall(b"GET / HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n")
        return b"".join(iter(lambda: sock.recv(65536), b""))


@pytest.fixture
def taken() -> Any:
    """A port that somebody listens on."""
    with socket.create_server(("127.0.0.1", 0)) as sock:
        yield sock.getsockname()[1]


# --- TCP ---


@LOOPS
def test_port_0_is_a_free_port_which_the_server_tells(loop: str) -> None:
    with serve(app, port=0, loop=loop) as served, Raw("127.0.0.1", served.port) as raw:
        assert served.port != 0
        assert served.server.urls == (f"http://127.0.0.1:{served.port}",)
        assert raw.ask(GET).status == 200


@IPV6
@LOOPS
def test_ipv6_is_served_and_its_url_has_brackets(loop: str) -> None:
    with serve(app, host="::1", loop=loop) as served, Raw("::1", served.port) as raw:
        assert served.url == f"http://[::1]:{served.port}"
        assert raw.ask(GET).body == repr((False, ("::1", served.port))).encode()


@IPV6
def test_all_of_ipv6_and_all_of_ipv4_can_be_listened_on_at_the_same_port() -> None:
    with serve(app, host="::") as six, serve(app, bind=(f"0.0.0.0:{six.port}",)) as four:
        assert six.port == four.port


def test_every_bind_is_served_at_once(tmp_path: Path) -> None:
    if sys.platform == "win32":
        pytest.skip("Unix sockets and descriptors are POSIX")
    path = tmp_path / "s"
    with serve(app, bind=("127.0.0.1:0", "127.0.0.1:0", f"unix:{path}")) as served:
        assert len(served.server.urls) == 3
        for sock in served.server.sockets[:2]:
            with Raw(*sock.getsockname()) as raw:
                assert raw.ask(GET).status == 200
        assert b"200 OK" in ask_unix(path)


@pytest.mark.parametrize("attempt", range(3))
def test_a_name_with_several_addresses_has_one_port(attempt: int) -> None:
    with serve(app, host="localhost") as served:
        assert len({sock.getsockname()[1] for sock in served.server.sockets}) == 1


def test_an_address_of_a_name_that_this_machine_lacks_is_passed_over(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    own, foreign = ("127.0.0.1", 0), ("192.0.2.1", 0)  # RFC 5737: of nobody
    found = [(socket.AF_INET, socket.SOCK_STREAM, 0, "", each) for each in (foreign, own)]
    monkeypatch.setattr(socket, "getaddrinfo", lambda *args, **kwargs: found)
    (sock,) = listen.tcp("localhost", 0)
    assert sock.getsockname()[0] == "127.0.0.1"
    sock.close()


@pytest.mark.parametrize(
    ("host", "port", "words"),
    [
        ("192.0.2.1", 0, "cannot listen on 192.0.2.1:0: that address is not of this machine"),
        ("no-such-host.invalid", 80, "is the name right?"),
        ("a" * 70 + ".invalid", 80, "is the name right?"),
    ],
)
def test_what_cannot_be_listened_on_is_said_with_what_to_do(host: str, port: int, words: str) -> None:
    with pytest.raises(BindError, match=words.replace("?", r"\?")):
        listen.tcp(host, port)


def test_a_taken_port_is_a_bind_error_and_what_was_bound_before_is_free_again(taken: int, tmp_path: Path) -> None:
    path = tmp_path / "s"
    settings = settled(None, {"bind": (f"unix:{path}", f"127.0.0.1:{taken}")})
    with pytest.raises(BindError, match=f"127.0.0.1:{taken}: another program is listening there"):
        bind(addresses(settings))
    assert not path.exists()


def test_a_taken_port_ends_the_process_with_code_1(portway_command: Portway, taken: int) -> None:
    source = "print('loaded')\nasync def app(scope, receive, send): ..."
    command = portway_command(source, "--port", str(taken))
    assert command.ends() == 1
    assert command.err.all().splitlines()[-1] == (
        f"ERROR:    cannot listen on 127.0.0.1:{taken}: "
        "another program is listening there; stop it, or choose another port"
    )


def test_a_port_that_is_taken_between_bind_and_listen_is_a_bind_error_after_an_orderly_shutdown() -> None:
    told: list[str] = []
    rival = socket.socket()
    rival.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    rival.bind(("127.0.0.1", 0))  # bound and not listening: others may bind as well
    port = rival.getsockname()[1]

    async def late(scope: Scope, receive: Receive, send: Send) -> None:
        for _ in range(2):
            kind = (await receive())["type"]
            told.append(kind)
            rival.listen()
            await send({"type": f"{kind}.complete"})

    words = f"127.0.0.1:{port}: another program is listening there"
    with rival, pytest.raises(BindError, match=words), serve(late, port=port):
        pass
    assert told == ["lifespan.startup", "lifespan.shutdown"]


# --- Unix sockets ---


@POSIX
@LOOPS
def test_a_unix_socket_is_served_and_its_file_goes_with_the_server(tmp_path: Path, loop: str) -> None:
    path = tmp_path / "s"
    with serve(app, uds=str(path), loop=loop) as served:
        assert served.url == f"unix:{path}"
        assert stat.S_IMODE(path.stat().st_mode) == 0o666
        assert repr((True, (str(path), None))).encode() in ask_unix(path)
    assert not path.exists()


@POSIX
def test_the_socket_of_a_dead_server_is_replaced(tmp_path: Path) -> None:
    path = tmp_path / "s"
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(path))
    with serve(app, uds=str(path)):
        assert b"200 OK" in ask_unix(path)


@POSIX
@pytest.mark.parametrize("backlog", [0, 10])
def test_the_socket_of_a_living_server_is_left_alone(tmp_path: Path, backlog: int) -> None:
    path = tmp_path / "s"
    with socket.socket(socket.AF_UNIX) as living, socket.socket(socket.AF_UNIX) as waiting:
        living.bind(str(path))
        living.listen(backlog)
        waiting.connect(str(path))  # with a backlog of 0, nobody else gets in
        with pytest.raises(BindError, match="another server is listening there"):
            listen.unix(str(path))
    assert path.exists()


@POSIX
def test_a_file_that_is_no_socket_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "s"
    path.write_text("precious")
    with pytest.raises(BindError, match="there is a file of that name that is no socket"):
        listen.unix(str(path))
    assert path.read_text() == "precious"


@POSIX
def test_the_socket_of_another_kind_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "s"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as datagrams:
        datagrams.bind(str(path))
        with pytest.raises(BindError):
            listen.unix(str(path))
    assert path.exists()


@POSIX
def test_a_file_that_took_the_place_of_ours_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "s"
    with serve(app, uds=str(path)):
        path.unlink()
        path.write_text("another's")
    assert path.read_text() == "another's"


@POSIX
@pytest.mark.parametrize(("name", "words"), [("absent/s", "the folder does not exist"), ("s" * 200, "too long")])
def test_a_path_that_cannot_be_is_said_so(tmp_path: Path, name: str, words: str) -> None:
    with pytest.raises(BindError, match=words):
        listen.unix(str(tmp_path / name))


# --- inherited descriptors ---


@POSIX
@LOOPS
def test_an_inherited_socket_is_served_and_left_open(loop: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as ours:
        with serve(app, bind=(f"fd://{ours.fileno()}",), loop=loop) as served:
            assert served.port == ours.getsockname()[1]
            with Raw("127.0.0.1", served.port) as raw:
                assert raw.ask(GET).status == 200
        socket.create_connection(ours.getsockname()).close()  # it still listens


@POSIX
@LOOPS
def test_the_file_of_an_inherited_unix_socket_is_not_ours_to_remove(tmp_path: Path, loop: str) -> None:
    path = tmp_path / "s"
    with socket.socket(socket.AF_UNIX) as ours:
        ours.bind(str(path))
        ours.listen()
        with serve(app, fd=ours.fileno(), loop=loop):
            assert b"200 OK" in ask_unix(path)
    assert path.exists()


@POSIX
def test_a_socket_handed_to_the_process_is_served(portway_command: Portway) -> None:
    source = (
        "async def app(scope, receive, send):\n"
        "    await send({'type': 'http.response.start', 'status': 200})\n"
        "    await send({'type': 'http.response.body'})\n"
    )
    with socket.create_server(("127.0.0.1", 0)) as ours:
        number = ours.fileno()
        portway_command(source, "-b", f"fd://{number}", "--lifespan", "off", pass_fds=(number,)).up()
        with Raw("127.0.0.1", ours.getsockname()[1]) as raw:
            assert raw.ask(GET).status == 200


@POSIX
def test_a_descriptor_that_is_no_listening_socket_is_said_so(tmp_path: Path) -> None:
    with (tmp_path / "file").open("w") as file, pytest.raises(BindError, match="it must be an open socket"):
        listen.inherited(file.fileno())
    with pytest.raises(BindError, match="it must be an open socket"):
        listen.inherited(os.dup(0) + 100)
    datagrams = socket.socket(type=socket.SOCK_DGRAM)
    with datagrams, pytest.raises(BindError, match="it is no stream socket"):
        listen.inherited(datagrams.fileno())


def test_a_bind_error_is_raised_to_who_runs_a_server(taken: int) -> None:
    with pytest.raises(BindError):
        portway.run(app, port=taken, log_level="critical")


def test_what_is_accepted_delays_no_small_write() -> None:
    bound = listen.tcp("127.0.0.1", 0)[0]
    with bound, listen.inherited(bound.fileno()) as again, socket.socket() as client:
        bound.listen()
        bound.setblocking(True)
        client.connect(bound.getsockname())
        accepted, _ = bound.accept()
        with accepted:
            for sock in (bound, again, accepted):
                assert sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
