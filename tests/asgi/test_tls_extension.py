"""ASGI 53: what an application is told of TLS, compared with what `cryptography` reads; certificates of clients."""

import json
import re
import socket
import ssl
from typing import Any

import pytest
from cryptography import x509

from portway.testing import Raw, Served, serve
from portway.types import Receive, Scope, Send

GET = b"GET / HTTP/1.1\r\nhost: localhost\r\nte: trailers\r\n\r\n"
OFFERED = {f"http.response.{name}" for name in ("early_hint", "trailers", "pathsend", "zerocopysend")}
LOOPS = pytest.mark.parametrize("loop", ["uvloop", "asyncio"])
VERSIONS = pytest.mark.parametrize("newest", ["TLSv1_2", "TLSv1_3"])


async def tell(scope: Scope, receive: Receive, send: Send) -> None:
    """The extensions of the scope, after which it spoils them."""
    if scope["type"] == "lifespan":
        raise NotImplementedError
    told = json.dumps([scope["scheme"], scope["extensions"]])
    if "tls" in scope["extensions"]:
        scope["extensions"]["tls"]["client_cert_chain"].append("spoilt")
        scope["extensions"]["tls"]["tls_version"] = "spoilt"
    if scope["type"] == "websocket":
        await receive()
        await send({"type": "websocket.accept"})
        await send({"type": "websocket.send", "text": told})
        return
    await send({"type": "http.response.start", "status": 200})
    await send({"type": "http.response.body", "body": told.encode()})


def told_of(served: Served, context: ssl.SSLContext) -> tuple[bytes | None, dict[str, Any]]:
    """The certificate that the client sees, and what the application is told, which is the same twice."""
    with Raw(served.host, served.port, tls=context) as raw:
        first, second = (json.loads(raw.ask(GET).body) for _ in range(2))
        assert first == second
        assert first[0] == "https"
        assert first[1].keys() == {"tls"} | OFFERED
        assert isinstance(raw.socket, ssl.SSLSocket)
        return raw.socket.getpeercert(binary_form=True), first[1]["tls"]


# --- the server's side ---


@LOOPS
@pytest.mark.parametrize(
    ("newest", "ciphers", "version", "suite"),
    [
        ("TLSv1_3", None, 0x0304, 0x1302),  # RFC 8446 §B.4: TLS_AES_256_GCM_SHA384
        ("TLSv1_2", "ECDHE-ECDSA-AES128-GCM-SHA256", 0x0303, 0xC02B),  # RFC 5289 §3.2
        ("TLSv1_2", "ECDHE-ECDSA-CHACHA20-POLY1305", 0x0303, 0xCCA9),  # RFC 7905 §2
    ],
)
def test_what_was_agreed_on(  # ASGI 53
    authority: Any, localhost: dict[str, str], loop: str, newest: str, ciphers: str | None, version: int, suite: int
) -> None:
    context = authority.context(newest=newest)
    if ciphers is not None:
        context.set_ciphers(ciphers)
    with serve(tell, loop=loop, **localhost) as served:
        shown, tls = told_of(served, context)
    assert (tls["tls_version"], tls["cipher_suite"]) == (version, suite)
    assert x509.load_pem_x509_certificate(tls["server_cert"].encode()) == x509.load_der_x509_certificate(shown or b"")
    assert (tls["client_cert_chain"], tls["client_cert_name"], tls["client_cert_error"]) == ([], None, None)


def test_without_tls_there_is_no_extension() -> None:  # ASGI 9, 53
    with serve(tell) as served, Raw(served.host, served.port) as raw:
        assert json.loads(raw.ask(GET).body) == ["http", {key: {} for key in OFFERED}]


def test_a_websocket_is_told_the_same(  # ASGI 45, 53
    localhost: dict[str, str], sealed: Any
) -> None:
    request = (
        b"GET / HTTP/1.1\r\nhost: localhost\r\nupgrade: websocket\r\nconnection: upgrade\r\n"
        b"sec-websocket-version: 13\r\nsec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
    )
    with serve(tell, **localhost) as served, sealed(served) as client:
        client.shake().send(request)
        found = b""
        while not found.rstrip(b"\x88\x02\x03\xe8").endswith(b"}}]"):
            found += client.read()
    scheme, extensions = json.loads(found[found.index(b"[") : found.rindex(b"]") + 1])
    assert scheme == "wss"
    assert extensions.keys() == {"websocket.http.response", "tls"}
    assert extensions["tls"]["tls_version"] == 0x0304


# --- the client's ---


@VERSIONS
@LOOPS
def test_a_client_shows_its_certificate(
    authority: Any, localhost: dict[str, str], loop: str, newest: str
) -> None:  # fmt: skip
    client = authority.pair("anna@example.org", common_name="Anna, the first", organization_name="Ships")
    with serve(tell, loop=loop, ssl_ca_certs=authority.file, ssl_cert_reqs=2, **localhost) as served:
        _, tls = told_of(served, authority.context(client=client, newest=newest))
    with open(client["ssl_certfile"], "rb") as file:
        shown = x509.load_pem_x509_certificates(file.read())
    # OpenSSL sends the authority as well, where it knows it.
    assert x509.load_pem_x509_certificates("".join(tls["client_cert_chain"]).encode())[: len(shown)] == shown
    assert tls["client_cert_name"] == shown[0].subject.rfc4514_string()
    assert tls["client_cert_name"].startswith("CN=Anna\\, the first,")
    assert tls["client_cert_error"] is None


def test_the_chain_is_the_clients_own_first(authority: Any, localhost: dict[str, str]) -> None:
    between = authority.ca.create_child_ca()
    issued = between.issue_cert("anna@example.org")
    folder = authority.folder
    (folder / "chain.pem").write_bytes(b"".join(blob.bytes() for blob in issued.cert_chain_pems))
    issued.private_key_pem.write_to_path(str(folder / "chain.key"))
    client = {"ssl_certfile": str(folder / "chain.pem"), "ssl_keyfile": str(folder / "chain.key")}
    with serve(tell, ssl_ca_certs=authority.file, ssl_cert_reqs=2, **localhost) as served:
        _, tls = told_of(served, authority.context(client=client))
    leaf, parent, *_ = (x509.load_pem_x509_certificate(each.encode()) for each in tls["client_cert_chain"])
    assert leaf.issuer == parent.subject
    assert leaf.subject.rfc4514_string() == tls["client_cert_name"]


@VERSIONS
def test_of_a_session_resumed_the_name_is_still_known(
    authority: Any, localhost: dict[str, str], newest: str
) -> None:  # fmt: skip
    client = authority.pair("anna@example.org", common_name="Anna")
    context = authority.context(client=client, newest=newest)
    with serve(tell, ssl_ca_certs=authority.file, ssl_cert_reqs=2, **localhost) as served:
        session, names = None, []
        for _ in range(2):
            plain = socket.create_connection((served.host, served.port), timeout=20)
            with context.wrap_socket(plain, server_hostname="localhost", session=session) as tls:
                tls.sendall(GET.replace(b"\r\n\r\n", b"\r\nconnection: close\r\n\r\n"))
                data = b""
                while more := tls.recv(65536):
                    data += more
                names.append(json.loads(data.partition(b"\r\n\r\n")[2])[1]["tls"]["client_cert_name"])
                session, reused = tls.session, tls.session_reused
    assert reused
    assert names[0] == names[1]
    assert names[0].startswith("CN=Anna,")


def refused(served: Served, context: ssl.SSLContext) -> None:
    """TLS 1.3 tells a client only when it reads."""
    with pytest.raises((ssl.SSLError, ConnectionError, EOFError)), Raw(served.host, served.port, tls=context) as raw:
        raw.ask(GET)


@VERSIONS
@LOOPS
def test_who_shows_none_is_refused_where_one_is_demanded(
    authority: Any, localhost: dict[str, str], caplog: pytest.LogCaptureFixture, loop: str, newest: str
) -> None:
    caplog.set_level("INFO", "portway")
    with serve(tell, loop=loop, ssl_ca_certs=authority.file, ssl_cert_reqs=2, **localhost) as served:
        refused(served, authority.context(newest=newest))
    assert re.search(r"127.0.0.1:\d+: no TLS: peer did not return a certificate", caplog.text)


@VERSIONS
@pytest.mark.parametrize("demanded", [1, 2])
def test_who_shows_a_strangers_is_refused(
    authority: Any,
    another_authority: Any,
    localhost: dict[str, str],
    caplog: pytest.LogCaptureFixture,
    newest: str,
    demanded: int,
) -> None:
    caplog.set_level("INFO", "portway")
    client = another_authority.pair("anna@example.org")
    with serve(tell, ssl_ca_certs=authority.file, ssl_cert_reqs=demanded, **localhost) as served:
        refused(served, authority.context(client=client, newest=newest))
    assert "no TLS: certificate verify failed" in caplog.text


def test_who_shows_none_is_let_in_where_one_is_welcome(authority: Any, localhost: dict[str, str]) -> None:
    with serve(tell, ssl_ca_certs=authority.file, ssl_cert_reqs=1, **localhost) as served:
        _, tls = told_of(served, authority.context())
    assert (tls["client_cert_chain"], tls["client_cert_name"]) == ([], None)
