"""Addresses, headers and peers: pure functions from a text to what it means."""

from ipaddress import ip_network

import pytest

from portway.config import Address, Fd, Peers, Tcp, Unix, parse_bind, parse_header, parse_peers


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("127.0.0.1:8000", Tcp("127.0.0.1", 8000)),
        ("localhost:0", Tcp("localhost", 0)),
        (":8000", Tcp("0.0.0.0", 8000)),
        ("tcp://10.0.0.1:80", Tcp("10.0.0.1", 80)),
        ("[::1]:8000", Tcp("::1", 8000)),
        ("[fe80::1%eth0]:8000", Tcp("fe80::1%eth0", 8000)),
        ("unix:/run/portway.sock", Unix("/run/portway.sock")),
        ("unix:///run/portway.sock", Unix("/run/portway.sock")),
        ("unix:relative.sock", Unix("relative.sock")),
        ("fd://3", Fd(3)),
    ],
)
def test_an_address_is_read(text: str, address: Address) -> None:
    assert parse_bind(text) == address


@pytest.mark.parametrize("text", ["127.0.0.1:8000", "[::1]:8000", "unix:/run/portway.sock", "fd://3"])
def test_an_address_is_shown_as_it_is_written(text: str) -> None:
    assert str(parse_bind(text)) == text


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("localhost", "write localhost:8000"),
        ("8000", "write 127.0.0.1:8000"),
        ("/run/portway.sock", "write unix:/run/portway.sock"),
        ("", "write 127.0.0.1:8000"),
        ("::1:8000", "write [::1]:8000"),
        ("[::1]", "write [::1]:8000"),
        ("[::]", "write [::]:8000"),
        ("[localhost]:80", "not an IPv6 address"),
        ("localhost:http", "the port is 'http'"),
        ("localhost:65536", "from 0 to 65535"),
        ("localhost:-1", "from 0 to 65535"),
        ("localhost:٣", "the port is"),
        ("http://x:80", "brackets"),
        ("a b:80", "write host:port"),
        ("unix:", "without a path"),
        ("fd://", "not a file descriptor"),
        ("fd://-1", "not a file descriptor"),
    ],
)
def test_what_is_no_address_is_refused_with_what_to_write(text: str, words: str) -> None:
    with pytest.raises(ValueError, match=r".") as caught:
        parse_bind(text)
    assert words in str(caught.value)


@pytest.mark.parametrize(
    ("text", "header"),
    [
        ("X-Frame-Options:DENY", (b"x-frame-options", b"DENY")),
        ("Cache-Control: no-cache, private ", (b"cache-control", b"no-cache, private")),
        ("link: <http://a>:b", (b"link", b"<http://a>:b")),
        ("x-empty:", (b"x-empty", b"")),
        ("x-name: é", (b"x-name", b"\xe9")),
    ],
)
def test_a_header_is_read_as_it_goes_to_the_wire(text: str, header: tuple[bytes, bytes]) -> None:
    assert parse_header(text) == header


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("x-name", "write Name:Value"),
        (":value", "write Name:Value"),
        ("x name: value", "write Name:Value"),
        ("x-name: a\r\nset-cookie: b", "CR, LF or NUL"),
        ("x-name: a\nb", "CR, LF or NUL"),
        ("x-name: a\0", "CR, LF or NUL"),
        ("x-name\n: a\0", "CR, LF or NUL"),
        ("x-name: €", "Latin-1"),
        ("Content-Length: 0", "set by the server"),
        ("transfer-encoding: chunked", "set by the server"),
    ],
)
def test_what_is_no_header_or_not_for_users_to_set_is_refused(text: str, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        parse_header(text)


@pytest.mark.parametrize(
    ("text", "peers"),
    [
        ("", Peers()),
        ("*", Peers(everybody=True)),
        ("unix", Peers(unix=True)),
        ("127.0.0.1, ::1", Peers(networks=(ip_network("127.0.0.1"), ip_network("::1")))),
        ("10.0.0.0/8,unix", Peers(unix=True, networks=(ip_network("10.0.0.0/8"),))),
    ],
)
def test_peers_are_addresses_networks_unix_and_everybody(text: str, peers: Peers) -> None:
    assert parse_peers(text) == peers


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("proxy.local", "'proxy.local' is neither"),
        ("10.0.0.1/8", "write 10.0.0.0/8"),
        ("10.0.0.0/33", "neither"),
        ("10.0.0.1 10.0.0.2", "neither"),
    ],
)
def test_what_is_no_peer_is_refused(text: str, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        parse_peers(text)
