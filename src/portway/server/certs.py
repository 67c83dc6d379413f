"""Certificates: a context for each pair of files, chosen by the name that the client asks for, renewed as files change.

A context is made anew of changed files and takes the old one's place: handshakes that begin later use it, and open
connections keep what they have. Files that cannot be used are told of in the log, and the old context stays.
"""

from __future__ import annotations

import asyncio
import logging
import os
import ssl
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from portway.errors import SettingsError
from portway.link.credentials import Context

log = logging.getLogger("portway")

# How often the files are looked at, in seconds. What has changed is read when two looks have found the same, since
# who renews a certificate writes one file after the other.
LOOK = 1.0

Stamp = tuple[int, int, int] | None
Factory = Callable[[Callable[[], ssl.SSLContext]], ssl.SSLContext]


@dataclass(frozen=True, slots=True)
class Pair:
    """A certificate (with its chain) and its key, in PEM files; without `key` it stands with the certificate."""

    certificate: str
    key: str | None = None


@dataclass(frozen=True, slots=True)
class Demands:
    """What holds for all certificates. `alpn` are the protocols in our order of preference."""

    password: str | None = None
    ca_certs: str | None = None
    cert_reqs: ssl.VerifyMode = ssl.CERT_NONE
    ciphers: str | None = None
    newest: ssl.TLSVersion = ssl.TLSVersion.MAXIMUM_SUPPORTED
    alpn: tuple[str, ...] = ("http/1.1",)


class Certificates:
    """`context` is the one to begin a handshake with; it turns to another one if the client's name asks for it.

    A `factory` makes that context instead, and is given a function that makes what would be used without it; it is
    called again whenever a file has changed.
    """

    def __init__(self, pairs: Sequence[Pair], demands: Demands, factory: Factory | None = None) -> None:
        """Raises SettingsError for files that cannot be used."""
        self._alpn = list(demands.alpn)
        self._factory = factory
        # Where there is no choice OpenSSL does not ask: Python writes a traceback for each name that is no ASCII.
        choose = self._choose if len(pairs) > 1 else None
        self._entries = [Entry(pair, demands, choose) for pair in pairs]
        self._handle: asyncio.TimerHandle | None = None
        self.context = self._begin()

    def watch(self, loop: asyncio.AbstractEventLoop) -> None:
        """Look at the files from time to time, until `stop`."""
        self._handle = loop.call_later(LOOK, self._look_on, loop)

    def stop(self) -> None:
        if self._handle is not None:
            self._handle.cancel()
            self._handle = None

    def look(self) -> None:
        """Take what has changed, and has not changed since the last look."""
        renewed = [entry.renew() for entry in self._entries]
        if any(renewed):
            try:
                self.context = self._begin()
            except Exception:  # the application's own code
                log.exception("The ssl_context_factory failed, and the old context stays")

    def _look_on(self, loop: asyncio.AbstractEventLoop) -> None:
        self.look()
        self.watch(loop)

    def _begin(self) -> ssl.SSLContext:
        if self._factory is None:
            return self._default()
        context = self._factory(self._default)
        protocol = getattr(context, "protocol", None)
        if protocol is None or protocol == ssl.PROTOCOL_TLS_CLIENT:
            raise SettingsError(f"ssl_context_factory must return an ssl.SSLContext for a server, and gave {context!r}")
        context.set_alpn_protocols(self._alpn)
        return context

    def _default(self) -> ssl.SSLContext:
        if not self._entries:
            raise SettingsError("ssl_context_factory asked for the default context, which needs ssl_certfile")
        return self._entries[0].context

    def _choose(self, tls: ssl.SSLObject, name: str | None, context: ssl.SSLContext) -> None:
        """OpenSSL's question, amid a handshake (RFC 6066 §3): whose certificate? The first one's, if nobody's."""
        if name is None:
            return
        wanted = name.lower().rstrip(".")
        for sought in (wanted, "*." + wanted.partition(".")[2]):  # RFC 9525 §6.3: a star is one label
            for place, entry in enumerate(self._entries):
                if sought in entry.names:
                    if place:
                        tls.context = entry.context
                    return


class Entry:
    """One pair of files, and what was made of them last."""

    def __init__(self, pair: Pair, demands: Demands, choose: Callable[..., None] | None) -> None:
        self._pair = pair
        self._demands = demands
        self._choose = choose
        self._seen = self._used = self._stamps()
        self.context, self.names = self._make()

    def renew(self) -> bool:
        """Make a new context if the files have changed; if they cannot be used, say so and keep the old one."""
        stamps = self._stamps()
        settled = stamps == self._seen
        self._seen = stamps
        if stamps == self._used or not settled:
            return False
        self._used = stamps
        try:
            self.context, self.names = self._make()
        except SettingsError as error:
            log.error("The certificate was not renewed, and the old one stays: %s", error)
            return False
        log.info("Renewed the certificate for %s", ", ".join(sorted(self.names)) or "no name")
        return True

    def _stamps(self) -> tuple[Stamp, ...]:
        files = (self._pair.certificate, self._pair.key, self._demands.ca_certs)
        return tuple(stamp(file) for file in files if file is not None)

    def _make(self) -> tuple[Context, frozenset[str]]:
        demands = self._demands
        context = Context(ssl.PROTOCOL_TLS_SERVER)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        context.maximum_version = demands.newest
        # To negotiate anew is a way to make us work; TLS 1.3 has abolished it.
        context.options |= ssl.OP_NO_RENEGOTIATION
        if demands.ciphers is not None:
            _set_ciphers(context, demands.ciphers)
        _load(context, self._pair, demands.password)
        if demands.ca_certs is not None:
            _load_authorities(context, demands.ca_certs)
        context.verify_mode = demands.cert_reqs
        context.set_alpn_protocols(list(demands.alpn))
        context.sni_callback = self._choose
        decoded = decode(self._pair.certificate)
        _warn_of_age(self._pair.certificate, decoded)
        context.certificate = first_of(self._pair.certificate)
        return context, names_in(decoded)


# --- files ---


def stamp(file: str) -> Stamp:
    """What changes when a file does, through symbolic links."""
    try:
        found = os.stat(file)
    except OSError:
        return None
    return found.st_mtime_ns, found.st_ino, found.st_size


def _load(context: Context, pair: Pair, password: str | None) -> None:
    asked = False

    def tell() -> str:  # without this, OpenSSL would ask at the terminal
        nonlocal asked
        asked = True
        return password or ""

    try:
        context.load_cert_chain(pair.certificate, pair.key, password=tell)
    except (OSError, ValueError) as error:
        file = pair.key or pair.certificate
        if asked:
            why = "the password is wrong" if password else "it has a password; give it by ssl_keyfile_password"
            raise SettingsError(f"ssl_keyfile: cannot use {file!r}: {why}") from None
        if getattr(error, "reason", None) == "KEY_VALUES_MISMATCH":
            why = f"this is not the key of the certificate in {pair.certificate!r}"
            raise SettingsError(f"ssl_keyfile: cannot use {file!r}: {why}") from None
        raise _unusable(error, pair) from None


def _unusable(error: OSError | ValueError, pair: Pair) -> SettingsError:
    """OpenSSL does not say which of the two it could not read."""
    for name, file in (("ssl_certfile", pair.certificate), ("ssl_keyfile", pair.key)):
        if file is None:
            continue
        try:
            with open(file, "rb") as source:
                text = source.read()
        except OSError as fault:
            return SettingsError(f"{name}: cannot read {file!r}: {(fault.strerror or str(fault)).lower()}")
        mark = b"CERTIFICATE-----" if name == "ssl_certfile" else b"PRIVATE KEY-----"
        if mark not in text:
            kind = "certificate" if name == "ssl_certfile" else "private key"
            return SettingsError(f"{name}: there is no {kind} in PEM in {file!r}; write the path of one")
    if pair.key is None:
        hint = "write ssl_keyfile if its key is not in it"
        return SettingsError(f"ssl_certfile: cannot use {pair.certificate!r}: {fault_of(error)}; {hint}")
    return SettingsError(
        f"ssl_certfile, ssl_keyfile: cannot use {pair.certificate!r} with {pair.key!r}: {fault_of(error)}"
    )


def _load_authorities(context: Context, file: str) -> None:
    try:
        context.load_verify_locations(file)
    except (OSError, ValueError) as error:
        raise SettingsError(f"ssl_ca_certs: cannot use {file!r}: {fault_of(error)}") from None


def _set_ciphers(context: Context, ciphers: str) -> None:
    try:
        context.set_ciphers(ciphers)
    except ssl.SSLError:
        raise SettingsError(f"ssl_ciphers: OpenSSL knows no cipher of {ciphers!r}; see `openssl ciphers`") from None


def fault_of(error: Exception) -> str:
    """OpenSSL's word for it, or the system's."""
    word = getattr(error, "reason", None) or getattr(error, "strerror", None) or str(error)
    if isinstance(error, ssl.SSLError) and not error.reason:
        return "it is no PEM file"
    return str(word).replace("_", " ").lower()


# --- what is in a certificate ---


def decode(certificate: str) -> dict[str, Any]:
    """The first certificate of a PEM file, as `SSLSocket.getpeercert` shows one."""
    # Not documented, and in every CPython since 2.6 and in PyPy: nothing else reads a file so.
    decoded: dict[str, Any] = ssl._ssl._test_decode_cert(certificate)  # type: ignore[attr-defined]
    return decoded


def names_in(decoded: dict[str, Any]) -> frozenset[str]:
    """What it is for, in lower case; the common name where it says nothing else."""
    names = [name for kind, name in decoded.get("subjectAltName", ()) if kind in ("DNS", "IP Address")]
    if not names:
        names = [text for rdn in decoded.get("subject", ()) for kind, text in rdn if kind == "commonName"]
    return frozenset(name.lower() for name in names)


def first_of(certificate: str) -> str:
    """The PEM of the first certificate in a file, as Python writes it."""
    with open(certificate, encoding="latin-1") as source:
        _, begin, rest = source.read().partition("-----BEGIN CERTIFICATE-----")
    body, end, _ = rest.partition("-----END CERTIFICATE-----")
    return ssl.DER_cert_to_PEM_cert(ssl.PEM_cert_to_DER_cert(begin + body + end))


def _warn_of_age(file: str, decoded: dict[str, Any]) -> None:
    for key, word in (("notAfter", "has expired"), ("notBefore", "is not valid yet")):
        when = ssl.cert_time_to_seconds(decoded[key])
        if (when < time.time()) is (key == "notAfter"):
            log.warning("The certificate in %s %s: %s", file, word, decoded[key])
