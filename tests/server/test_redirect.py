"""`--redirect-http` and `--hsts`: who comes by plain HTTP is led to https, and who is there is told to stay."""

import re
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest

from portway import BindError
from portway.server.redirect import without_port
from portway.testing import Raw, Response, Served, serve
from portway.types import Receive, Scope, Send

CLOSE = b"GET / HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n"


async def app(scope: Scope, receive: Receive, send: Send) -> None:
    if scope["type"] == "lifespan":
        raise NotImplementedError
    headers = [(b"x-path", scope["raw_path"]), (b"x-scheme", scope["scheme"].encode())]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": scope["method"].encode()})


@pytest.fixture(scope="module", params=["uvloop", "asyncio"])
def served(request: pytest.FixtureRequest, localhost: dict[str, str]) -> Iterator[Served]:
    with serve(app, loop=request.param, redirect_http=0, hsts=86400, **localhost) as found:
        yield found


def plain_port(served: Served) -> int:
    (url,) = served.server.redirects
    assert url.startswith("http://127.0.0.1:")
    return urlsplit(url).port or 80


def asked(served: Served, request: bytes) -> Response:
    with Raw(served.host, plain_port(served)) as raw:
        response = raw.ask(request)
        assert response.header("connection") == "close"
        assert raw.rest() == b""
        return response


@pytest.mark.parametrize(
    ("host", "target", "location"),
    [
        (b"localhost", b"/", b"https://localhost:%d/"),
        (b"localhost:80", b"/a%20b?c=d&e=%2F", b"https://localhost:%d/a%%20b?c=d&e=%%2F"),
        (b"Example.ORG:8080", b"//evil.test/", b"https://Example.ORG:%d//evil.test/"),
        (b"[::1]", b"/?", b"https://[::1]:%d/"),
        (b"[::1]:80", b"/", b"https://[::1]:%d/"),
        (b"a", b"http://b.test:80/c?d", b"https://b.test:%d/c?d"),
    ],
)
def test_the_same_host_and_path_at_the_port_of_https(
    served: Served, host: bytes, target: bytes, location: bytes
) -> None:
    response = asked(served, b"GET " + target + b" HTTP/1.1\r\nhost: " + host + b"\r\n\r\n")
    assert (response.status, response.header("location")) == (301, (location % served.port).decode())
    assert response.body == b"This is at " + location % served.port + b"\n"
    assert response.header("date")
    assert response.header("server") == "portway"


@pytest.mark.parametrize(
    ("method", "status"), [(b"GET", 301), (b"POST", 308), (b"PUT", 308), (b"DELETE", 308), (b"OPTIONS", 308)]
)
def test_what_is_sent_stays_what_it_is(served: Served, method: bytes, status: int) -> None:
    assert asked(served, method + b" /x HTTP/1.1\r\nhost: a\r\ncontent-length: 0\r\n\r\n").status == status


def test_a_body_is_not_waited_for(served: Served) -> None:
    assert asked(served, b"POST /x HTTP/1.1\r\nhost: a\r\ncontent-length: 9000000\r\n\r\n").status == 308


def test_the_asterisk_is_led_to_the_root(served: Served) -> None:
    response = asked(served, b"OPTIONS * HTTP/1.1\r\nhost: a\r\n\r\n")
    assert response.header("location") == f"https://a:{served.port}/"


@pytest.mark.parametrize(
    "request_",
    [
        b"GET / HTTP/1.1\r\nhost: a/b\r\n\r\n",
        b"GET / HTTP/1.1\r\nhost: a\r\nhost: b\r\n\r\n",
        b"GET / HTTP/1.1\r\n\r\n",
        b"GET / HTTP/1.1\r\nhost:\r\n\r\n",
        b"GET / HTTP/1.1\r\nhost: :80\r\n\r\n",
        b"GET / HTTP/1.0\r\n\r\n",
    ],
)
def test_without_a_host_nobody_is_led_anywhere(served: Served, request_: bytes) -> None:
    response = asked(served, request_)
    assert (response.status, response.header("location")) == (400, None)


def test_a_websocket_is_led_there_too(served: Served) -> None:
    lines = b"host: a\r\nupgrade: websocket\r\nconnection: upgrade\r\nsec-websocket-version: 13\r\n"
    request = b"GET / HTTP/1.1\r\n" + lines + b"sec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
    assert asked(served, request).status == 301


def test_a_client_follows(served: Served, authority: Any) -> None:
    url = f"http://localhost:{plain_port(served)}/x?y"
    with httpx.Client(verify=authority.context(), follow_redirects=True) as client:
        response = client.post(url, content=b"z")
    assert (response.status_code, response.text) == (200, "POST")
    assert (response.headers["x-path"], response.headers["x-scheme"]) == ("/x", "https")


def test_the_port_of_https_that_everybody_knows_is_left_out() -> None:
    from portway.server.redirect import Redirect

    assert Redirect(443)._port == b""
    assert Redirect(8443)._port == b":8443"


@pytest.mark.parametrize(
    ("host", "name"),
    [
        (b"a", b"a"),
        (b"a:", b"a"),
        (b"a:1", b"a"),
        (b"[::1]", b"[::1]"),
        (b"[::1]:1", b"[::1]"),
        (b":1", b""),
        (b"", b""),
    ],
)
def test_the_port_is_cut_off(host: bytes, name: bytes) -> None:
    assert without_port(host) == name


def test_hsts_is_said_on_tls_and_nowhere_else(served: Served, authority: Any) -> None:  # RFC 6797 §7.2
    with Raw(served.host, served.port, tls=authority.context()) as raw:
        assert raw.ask(CLOSE).header("strict-transport-security") == "max-age=86400"
    with Raw(served.host, served.port, tls=authority.context()) as raw:
        assert raw.ask(b"nonsense\r\n\r\n").header("strict-transport-security") == "max-age=86400"
    assert asked(served, CLOSE).header("strict-transport-security") is None
    assert asked(served, b"nonsense\r\n\r\n").header("strict-transport-security") is None


def test_without_being_asked_for_there_is_neither(authority: Any, localhost: dict[str, str]) -> None:
    with serve(app, **localhost) as served, Raw(served.host, served.port, tls=authority.context()) as raw:
        assert raw.ask(CLOSE).header("strict-transport-security") is None
        assert served.server.redirects == ()


def test_the_path_that_a_proxy_shows_is_not_added(localhost: dict[str, str]) -> None:
    with serve(app, redirect_http=0, root_path="/api", **localhost) as served:
        response = asked(served, b"GET /x HTTP/1.1\r\nhost: a\r\n\r\n")
        assert response.header("location") == f"https://a:{served.port}/x"


def test_a_taken_port_leaves_nothing_behind(localhost: dict[str, str], tmp_path: Path) -> None:
    with serve(app, **localhost) as other:
        path = tmp_path / "s"
        with (
            pytest.raises(BindError, match=f"127.0.0.1:{other.port}"),
            serve(app, bind=(f"unix:{path}", "127.0.0.1:0"), redirect_http=other.port, **localhost),
        ):
            pass
        assert not path.exists()


def test_both_are_named_at_the_start(localhost: dict[str, str], portway_command: Any, authority: Any) -> None:
    source = "async def app(scope, receive, send): ..."
    words = ["--ssl-certfile", localhost["ssl_certfile"], "--ssl-keyfile", localhost["ssl_keyfile"]]
    command = portway_command(source, *words, "--port", "0", "--redirect-http", "0").up()
    assert command.url.startswith("https://127.0.0.1:")
    command.err.wait_for("to https\n")
    assert command.ends(signal.SIGTERM) == 0
    assert re.search(r"^INFO: +Leading http://127\.0\.0\.1:\d+ to https$", command.err.all(), re.MULTILINE)
