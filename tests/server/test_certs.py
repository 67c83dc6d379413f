"""Certificates: chosen by the client's name, renewed as their files change, refused with a line that helps."""

import datetime
import logging
import os
import shutil
import ssl
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import serialization

from portway import Settings, SettingsError
from portway.boot import Server
from portway.server import certs
from portway.server.certs import Certificates, Demands, Pair
from portway.testing import Raw, Served, serve
from portway.types import Receive, Scope, Send

GET = b"GET / HTTP/1.1\r\nhost: localhost\r\n\r\n"


async def app(scope: Scope, receive: Receive, send: Send) -> None:
    if scope["type"] == "lifespan":
        raise NotImplementedError
    await send({"type": "http.response.start", "status": 200})
    await send({"type": "http.response.body", "body": scope["extensions"]["tls"]["server_cert"].encode()})


def pair_of(files: dict[str, str]) -> Pair:
    return Pair(files["ssl_certfile"], files["ssl_keyfile"])


def shown(served: Served, context: ssl.SSLContext, name: str | None) -> x509.Certificate:
    """The certificate that a client gets who asks for this name."""
    context.check_hostname = False
    with Raw(served.host, served.port, tls=context, name=name) as raw:  # type: ignore[arg-type]
        der = raw.socket.getpeercert(binary_form=True)  # type: ignore[attr-defined]
        found = x509.load_der_x509_certificate(der)
        # What the application is told is what the client was shown.
        assert x509.load_pem_x509_certificate(raw.ask(GET).body) == found
        return found


def names_of(certificate: x509.Certificate) -> list[str]:
    found = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    return [str(each.value) for each in found]


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Files are looked at all the time."""
    monkeypatch.setattr(certs, "LOOK", 0.01)


@pytest.fixture
def told(caplog: pytest.LogCaptureFixture) -> Iterator[Callable[[str], None]]:
    """Waits until the log has a line with this in it."""
    caplog.set_level("INFO", "portway")
    lines: list[str] = []
    came = threading.Condition()

    class Ear(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            with came:
                lines.append(record.getMessage())
                came.notify_all()

    def wait(text: str) -> None:
        with came:
            assert came.wait_for(lambda: any(text in line for line in lines), 20), lines
            lines.clear()

    ear = Ear()
    logging.getLogger("portway").addHandler(ear)
    yield wait
    logging.getLogger("portway").removeHandler(ear)


# --- which one ---


@pytest.fixture(scope="module")
def three(authority: Any) -> Iterator[Served]:
    pairs = [
        authority.pair(*names) for names in (["one.test", "uno.test"], ["*.two.test"], ["a.two.test", "127.0.0.1"])
    ]
    files = {key: [pair[key] for pair in pairs] for key in ("ssl_certfile", "ssl_keyfile")}
    with serve(app, **files) as served:
        yield served


@pytest.mark.parametrize(
    ("asked", "got"),
    [
        ("one.test", "one.test"),
        ("UNO.test", "one.test"),
        ("b.two.test", "*.two.test"),
        ("a.two.test", "a.two.test"),  # the very name beats the star, wherever it stands
        ("c.b.two.test", "one.test"),  # a star is one label
        ("two.test", "one.test"),
        ("three.test", "one.test"),
        ("test", "one.test"),
        (None, "one.test"),
    ],
)
def test_the_certificate_is_chosen_by_the_name(three: Served, authority: Any, asked: str, got: str) -> None:
    assert names_of(shown(three, authority.context(), asked))[0] == got


@pytest.mark.parametrize("asked", ["two.test", "TWO.test", "two.test."])
def test_letter_case_and_a_last_dot_make_no_difference(authority: Any, asked: str) -> None:
    class Asking:
        context: ssl.SSLContext | None = None

    found = Certificates([pair_of(authority.pair(name)) for name in ("one.test", "two.test")], Demands())
    asking = Asking()
    found._choose(asking, asked, found.context)  # type: ignore[arg-type]  # Python's own clients ask in lower case
    assert asking.context is found._entries[1].context


def test_where_there_is_one_certificate_no_name_is_a_fault(
    authority: Any, localhost: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[Any] = []
    monkeypatch.setattr("sys.unraisablehook", told.append)
    theirs, ours = ssl.MemoryBIO(), ssl.MemoryBIO()
    client = authority.context().wrap_bio(ssl.MemoryBIO(), theirs, server_hostname="a.example")
    with pytest.raises(ssl.SSLWantReadError):
        client.do_handshake()
    incoming = ssl.MemoryBIO()
    incoming.write(theirs.read().replace(b"a.example", b"\xff.example"))
    context = Certificates([pair_of(localhost)], Demands()).context
    with pytest.raises(ssl.SSLWantReadError):
        context.wrap_bio(incoming, ours, server_side=True).do_handshake()
    assert told == []


def test_without_other_names_the_common_name_counts() -> None:
    subject = ((("countryName", "SE"),), (("commonName", "Old.test"),))
    assert certs.names_in({"subject": subject}) == {"old.test"}
    assert certs.names_in({"subject": subject, "subjectAltName": (("DNS", "New.test"),)}) == {"new.test"}


# --- renewed ---


@pytest.mark.usefixtures("quick")
@pytest.mark.parametrize("loop", ["uvloop", "asyncio"])
def test_new_handshakes_see_a_new_certificate_and_open_connections_live_on(
    authority: Any, tmp_path: Path, told: Callable[[str], None], loop: str
) -> None:
    files = authority.pair("localhost", into=tmp_path)
    with serve(app, loop=loop, **files) as served:
        before = shown(served, authority.context(), "localhost")
        with Raw(served.host, served.port, tls=authority.context()) as raw:
            assert raw.ask(GET).status == 200
            authority.pair("localhost", "more.test", into=tmp_path)
            told("Renewed the certificate for localhost, more.test")
            after = shown(served, authority.context(), "localhost")
            assert (names_of(before), names_of(after)) == (["localhost"], ["localhost", "more.test"])
            assert x509.load_pem_x509_certificate(raw.ask(GET).body) == before


@pytest.mark.usefixtures("quick")
def test_no_request_is_lost_while_certificates_change(
    authority: Any, tmp_path: Path, told: Callable[[str], None]
) -> None:
    files = authority.pair("localhost", into=tmp_path)
    done = threading.Event()
    counts: list[int] = []

    def ask_on(served: Served) -> None:
        context, count = authority.context(), 0
        while not done.is_set():
            with Raw(served.host, served.port, tls=context) as raw:
                for _ in range(5):
                    assert raw.ask(GET).status == 200
                    count += 1
        counts.append(count)

    with serve(app, **files) as served:
        askers = [threading.Thread(target=ask_on, args=(served,)) for _ in range(3)]
        for asker in askers:
            asker.start()
        try:
            for number in range(5):
                authority.pair("localhost", f"n{number}.test", into=tmp_path)
                told(f"n{number}.test")
        finally:
            done.set()
            for asker in askers:
                asker.join()
    assert len(counts) == 3  # none of them failed
    assert min(counts) > 0


def test_the_files_are_read_when_they_have_come_to_rest(authority: Any, tmp_path: Path) -> None:
    files = authority.pair("localhost", into=tmp_path)
    found = Certificates([pair_of(files)], Demands())
    context = found.context
    authority.pair("other.test", into=tmp_path)
    found.look()
    assert found.context is context  # perhaps the key is still being written
    found.look()
    assert found.context is not context
    again = found.context
    found.look()
    assert found.context is again


@pytest.mark.parametrize("how", ["other key", "no key", "rubbish", "empty"])
def test_a_broken_pair_is_refused_and_the_old_one_stays(
    authority: Any, tmp_path: Path, caplog: pytest.LogCaptureFixture, how: str
) -> None:
    files = authority.pair("localhost", into=tmp_path)
    found = Certificates([pair_of(files)], Demands())
    context = found.context
    key, certificate = Path(files["ssl_keyfile"]), Path(files["ssl_certfile"])
    if how == "other key":
        key.write_bytes(authority.ca.issue_cert("x.test").private_key_pem.bytes())
    elif how == "no key":
        key.unlink()
    else:
        certificate.write_text("rubbish" if how == "rubbish" else "")
    for _ in range(5):
        found.look()
    assert found.context is context
    assert caplog.text.count("The certificate was not renewed, and the old one stays: ssl_") == 1
    authority.pair("mended.test", into=tmp_path)
    found.look()
    found.look()
    assert found.context is not context


def test_a_link_to_new_files_is_a_change(authority: Any, tmp_path: Path) -> None:
    # As certbot does it, and Kubernetes: the names stay, and lead elsewhere.
    folders = [tmp_path / "1", tmp_path / "2"]
    for folder in folders:
        authority.pair(f"n{folder.name}.test", into=folder)
    live = tmp_path / "live"
    live.symlink_to(folders[0])
    found = Certificates([Pair(str(live / "cert.pem"), str(live / "key.pem"))], Demands())
    context = found.context
    live.unlink()
    live.symlink_to(folders[1])
    found.look()
    found.look()
    assert found.context is not context


@pytest.mark.usefixtures("quick")
def test_the_authorities_of_clients_are_renewed_too(
    authority: Any, another_authority: Any, localhost: dict[str, str], tmp_path: Path, told: Callable[[str], None]
) -> None:
    ca = tmp_path / "clients.pem"
    shutil.copy(authority.file, ca)
    client = another_authority.pair("client@example.org")
    with serve(app, ssl_ca_certs=str(ca), ssl_cert_reqs=2, **localhost) as served:
        context = authority.context(client=client)
        with pytest.raises((ssl.SSLError, ConnectionResetError)), Raw(served.host, served.port, tls=context) as raw:
            raw.ask(GET)
        shutil.copy(another_authority.file, ca)
        told("Renewed the certificate")
        with Raw(served.host, served.port, tls=authority.context(client=client)) as raw:
            assert raw.ask(GET).status == 200


def test_nobody_looks_when_the_server_has_ended(localhost: dict[str, str]) -> None:
    with serve(app, **localhost) as served:
        found = served.server.service._plan.certificates
        assert found is not None
        assert found._handle is not None
    assert found._handle is None


@pytest.mark.parametrize(("begins", "lasts", "why"), [(-9, -1, "has expired"), (1, 9, "is not valid yet")])
def test_a_certificate_out_of_its_time_is_warned_of(
    authority: Any, caplog: pytest.LogCaptureFixture, begins: int, lasts: int, why: str
) -> None:
    now, day = datetime.datetime.now(datetime.UTC), datetime.timedelta(days=1)
    files = authority.pair("localhost", not_before=now + begins * day, not_after=now + lasts * day)
    Certificates([pair_of(files)], Demands())
    assert why in caplog.text


# --- keys ---


def encrypted(files: dict[str, str], into: Path, password: str) -> dict[str, str]:
    key = serialization.load_pem_private_key(Path(files["ssl_keyfile"]).read_bytes(), None)
    into.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.BestAvailableEncryption(password.encode()),
        )
    )
    return files | {"ssl_keyfile": str(into)}


def test_an_encrypted_key_is_opened_by_its_password(authority: Any, localhost: dict[str, str], tmp_path: Path) -> None:
    files = encrypted(localhost, tmp_path / "key.pem", "sesame")
    with serve(app, ssl_keyfile_password="sesame", **files) as served:
        assert "localhost" in names_of(shown(served, authority.context(), "localhost"))


@pytest.mark.parametrize(
    ("password", "why"),
    [("wrong", "the password is wrong"), (None, "it has a password; give it by ssl_keyfile_password")],
)
def test_without_the_password_nothing_begins_and_nobody_is_asked(
    localhost: dict[str, str], tmp_path: Path, portway_command: Any, password: str | None, why: str
) -> None:
    files = encrypted(localhost, tmp_path / "key.pem", "sesame")
    words = ["--ssl-certfile", files["ssl_certfile"], "--ssl-keyfile", files["ssl_keyfile"]]
    words += ["--ssl-keyfile-password", password] if password else []
    command = portway_command("async def app(scope, receive, send): ...", *words)
    assert command.ends() == 2
    assert command.err.all() == f"portway: error: ssl_keyfile: cannot use '{tmp_path / 'key.pem'}': {why}\n"


def test_a_key_may_stand_with_its_certificate(authority: Any, localhost: dict[str, str], tmp_path: Path) -> None:
    both = tmp_path / "both.pem"
    both.write_text(Path(localhost["ssl_keyfile"]).read_text() + Path(localhost["ssl_certfile"]).read_text())
    with serve(app, ssl_certfile=str(both)) as served:
        assert "localhost" in names_of(shown(served, authority.context(), "localhost"))


# --- files that cannot be used ---


def test_the_key_of_another_certificate_is_refused(authority: Any, localhost: dict[str, str]) -> None:
    other = authority.pair("other.test")
    with pytest.raises(SettingsError, match=r"ssl_keyfile: cannot use .*: this is not the key of the certificate in "):
        Server(app, Settings(**localhost | {"ssl_keyfile": (other["ssl_keyfile"],)}))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("changed", "text", "message"),
    [
        ("ssl_certfile", "rubbish", "ssl_certfile: there is no certificate in PEM in "),
        ("ssl_keyfile", "rubbish", "ssl_keyfile: there is no private key in PEM in "),
        ("ssl_ca_certs", "rubbish", "ssl_ca_certs: cannot use .*: no certificate or crl found"),
        ("ssl_ciphers", "RUBBISH", "ssl_ciphers: OpenSSL knows no cipher of 'RUBBISH'"),
    ],
)
def test_what_cannot_be_used_is_named(
    localhost: dict[str, str], tmp_path: Path, changed: str, text: str, message: str
) -> None:
    file = tmp_path / "file.pem"
    file.write_text(text)
    with pytest.raises(SettingsError, match=message):
        serve(app, **localhost | {changed: text if changed == "ssl_ciphers" else str(file)})


def test_a_certificate_without_a_key_anywhere_is_refused(localhost: dict[str, str]) -> None:
    with pytest.raises(SettingsError, match=r"ssl_certfile: cannot use .*; write ssl_keyfile if its key is not in it"):
        Server(app, Settings(ssl_certfile=(localhost["ssl_certfile"],)))


def test_a_file_that_has_gone_meanwhile_is_named(localhost: dict[str, str], tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"ssl_keyfile: cannot read .*: no such file or directory"):
        Certificates([Pair(localhost["ssl_certfile"], str(tmp_path / "none.pem"))], Demands())


@pytest.mark.skipif(os.name != "posix" or os.geteuid() == 0, reason="to root, all is permitted")
def test_a_file_that_may_not_be_read_is_named(localhost: dict[str, str], tmp_path: Path) -> None:
    file = tmp_path / "key.pem"
    file.touch(0)
    with pytest.raises(SettingsError, match=r"ssl_keyfile: cannot read .*: permission denied"):
        Certificates([Pair(localhost["ssl_certfile"], str(file))], Demands())


# --- versions and ciphers ---


def agreed(served: Served, context: ssl.SSLContext) -> tuple[str, str]:
    with Raw(served.host, served.port, tls=context) as raw:
        name, version, _ = raw.socket.cipher()  # type: ignore[attr-defined]
        return name, version


@pytest.mark.parametrize(("version", "spoken"), [(17, "TLSv1.3"), (2, "TLSv1.3"), (5, "TLSv1.2")])
def test_uvicorns_numbers_of_versions(authority: Any, localhost: dict[str, str], version: int, spoken: str) -> None:
    with serve(app, ssl_version=version, **localhost) as served:
        assert agreed(served, authority.context())[1] == spoken


def test_ciphers(authority: Any, localhost: dict[str, str]) -> None:
    with serve(app, ssl_ciphers="ECDHE-ECDSA-CHACHA20-POLY1305", **localhost) as served:
        assert agreed(served, authority.context(newest="TLSv1_2"))[0] == "ECDHE-ECDSA-CHACHA20-POLY1305"


# --- a context of one's own ---


def test_a_factory_may_change_the_default(authority: Any, localhost: dict[str, str]) -> None:
    seen: list[Settings] = []

    def factory(settings: Settings, default: Callable[[], ssl.SSLContext]) -> ssl.SSLContext:
        seen.append(settings)
        context = default()
        context.maximum_version = ssl.TLSVersion.TLSv1_2
        return context

    with serve(app, ssl_context_factory=factory, **localhost) as served:
        assert agreed(served, authority.context())[1] == "TLSv1.2"
        assert served.url.startswith("https://")
    assert seen == [served.server.settings]


def test_a_factory_may_do_without_files(authority: Any, localhost: dict[str, str]) -> None:
    async def none(scope: Scope, receive: Receive, send: Send) -> None:
        assert scope["extensions"]["tls"]["server_cert"] is None
        await send({"type": "http.response.start", "status": 200})
        await send({"type": "http.response.body"})

    def factory(settings: Settings, default: Callable[[], ssl.SSLContext]) -> ssl.SSLContext:
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.load_cert_chain(localhost["ssl_certfile"], localhost["ssl_keyfile"])
        return context

    with serve(none, ssl_context_factory=factory, lifespan="off", hsts=5) as served:
        context = authority.context()
        context.set_alpn_protocols(["http/1.1"])
        with Raw(served.host, served.port, tls=context) as raw:
            assert raw.socket.selected_alpn_protocol() == "http/1.1"  # type: ignore[attr-defined]
            assert raw.ask(GET).header("strict-transport-security") == "max-age=5"


@pytest.mark.parametrize("made", [None, "context", ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)])
def test_a_factory_must_make_a_context_for_a_server(localhost: dict[str, str], made: Any) -> None:
    with pytest.raises(SettingsError, match=r"ssl_context_factory must return an ssl.SSLContext for a server"):
        Server(app, Settings(**localhost), ssl_context_factory=lambda settings, default: made)  # type: ignore[arg-type]


def test_there_is_no_default_without_a_certificate() -> None:
    with pytest.raises(SettingsError, match=r"ssl_context_factory asked for the default context"):
        Server(app, ssl_context_factory=lambda settings, default: default())


def test_a_factory_is_asked_again_when_files_change(
    authority: Any, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    made: list[ssl.SSLContext] = []

    def factory(default: Callable[[], ssl.SSLContext]) -> ssl.SSLContext:
        if len(made) == 2:
            raise RuntimeError("not today")
        made.append(default())
        return made[-1]

    found = Certificates([pair_of(authority.pair("a.test", into=tmp_path))], Demands(), factory)
    for _ in range(2):
        authority.pair("a.test", into=tmp_path)
        found.look()
        found.look()
    assert made[0] is not made[1]
    assert found.context is made[1]
    assert "The ssl_context_factory failed, and the old context stays" in caplog.text
