"""Certificates: a context for each pair of files, chosen by the name that the client asks for, renewed as files change.

A context is made anew from changed files and takes the old one's place; handshakes that come later use it, and
open connections keep what they have. Files that do not fit together are told in the log, and the old ones stay.
"""

from __future__ import annotations

import asyncio
import logging
import os
import ssl
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from portway.errors import SettingsError

log = logging.getLogger("portway")

# How often the files are looked at, in seconds.
LOOK = 1.0

Stamp = tuple[int, int, int] | None
Factory = Callable[[], ssl.SSLContext]


@dataclass(frozen=True, slots=True)
class Pair:
    """A certificate (with its chain) and its key, in PEM files; the key may stand with the certificate."""

    certificate: str
    key: str | None = None


@dataclass(frozen=True, slots=True)
class Demands:
    """What holds for all certificates. `alpn` are the protocols in our order of preference."""

    password: str | None = None
    ca_certs: str | None = None
    cert_reqs: ssl.VerifyMode = ssl.CERT_NONE
    ciphers: str | None = None
    version: ssl._SSLMethod = ssl.PROTOCOL_TLS_SERVER
    alpn: tuple[str, ...] = ("http/1.1",)


class Certificates:
    """`context` is the one to begin a handshake with; it turns to another one if the client's name asks for it."""

    def __init__(self, pairs: Sequence[Pair], demands: Demands) -> None:
        """Raises SettingsError for files that cannot be used."""
        self._demands = demands
        self._entries = [Entry(pair, demands, self._choose) for pair in pairs]
        self._handle: asyncio.TimerHandle | None = None

    @property
    def context(self) -> ssl.SSLContext:
        return self._entries[0].context

    def watch(self, loop: asyncio.AbstractEventLoop) -> None:
        """Look at the files from time to time, until `stop`."""
        self._handle = loop.call_later(LOOK, self._look, loop)

    def stop(self) -> None:
        if self._handle is not None:
            self._handle.cancel()
            self._handle = None

    def look(self) -> None:
        """Take what has changed."""
        for entry in self._entries:
            entry.renew()

    def _look(self, loop: asyncio.AbstractEventLoop) -> None:
        self.look()
        self.watch(loop)

    def _choose(self, tls: ssl.SSLObject, name: str | None, context: ssl.SSLContext) -> None:
        """OpenSSL's question, amid a handshake (RFC 6066 §3): which certificate has this name?"""
        if name is None or len(self._entries) == 1:
            return
        wanted = name.lower().rstrip(".")
        _, _, parent = wanted.partition(".")
        for sought in (wanted, f"*.{parent}"):
            for entry in self._entries:
                if sought in entry.names:
                    tls.context = entry.context
                    return


class Entry:
    """One pair of files, and what was made of them last."""

    def __init__(self, pair: Pair, demands: Demands, choose: Callable[..., None]) -> None:
        self._pair = pair
        self._demands = demands
        self._choose = choose
        self._stamps = self._look()
        self.context, self.names = self._make()

    def renew(self) -> None:
        """Make a new context if the files have changed; if they cannot be used, say so and keep the old one."""
        stamps = self._look()
        if stamps == self._stamps:
            return
        self._stamps = stamps
        try:
            self.context, self.names = self._make()
        except SettingsError as error:
            log.error("The certificate was not renewed, and the old one stays: %s", error)
        else:
            log.info("Renewed the certificate for %s", ", ".join(sorted(self.names)) or "no name")

    def _look(self) -> tuple[Stamp, ...]:
        files = (self._pair.certificate, self._pair.key, self._demands.ca_certs)
        return tuple(stamp(file) for file in files if file is not None)

    def _make(self) -> tuple[ssl.SSLContext, frozenset[str]]:
        pair, demands = self._pair, self._demands
        context = ssl.SSLContext(demands.version)
        context.minimum_version = max(context.minimum_version, ssl.TLSVersion.TLSv1_2)
        # A renegotiation is a way to make us work; TLS 1.3 has none.
        context.options |= ssl.OP_NO_RENEGOTIATION | ssl.OP_NO_COMPRESSION | ssl.OP_CIPHER_SERVER_PREFERENCE
        try:
            context.load_cert_chain(pair.certificate, pair.key, password=lambda: demands.password or "")
        except FileNotFoundError:
            missing = next(file for file in (pair.certificate, pair.key) if file and not os.path.exists(file))
            raise SettingsError(f"ssl_certfile, ssl_keyfile: there is no file {missing}") from None
        except (OSError, ssl.SSLError) as error:
            raise SettingsError(f"ssl_certfile, ssl_keyfile: {pair.certificate}: {fault(error)}") from None
        if demands.ca_certs is not None:
            try:
                context.load_verify_locations(demands.ca_certs)
            except (OSError, ssl.SSLError) as error:
                raise SettingsError(f"ssl_ca_certs: {demands.ca_certs}: {fault(error)}") from None
        context.verify_mode = demands.cert_reqs
        if demands.ciphers is not None:
            try:
                context.set_ciphers(demands.ciphers)
            except ssl.SSLError:
                raise SettingsError(f"ssl_ciphers: OpenSSL knows no cipher in {demands.ciphers!r}") from None
        context.set_alpn_protocols(list(demands.alpn))
        context.sni_callback = self._choose
        return context, names_in(pair.certificate)


def stamp(file: str) -> Stamp:
    """What changes when a file does, through symbolic links."""
    try:
        found = os.stat(file)
    except OSError:
        return None
    return found.st_mtime_ns, found.st_ino, found.st_size


def names_in(certificate: str) -> frozenset[str]:
    """The DNS names and addresses that a certificate is for, in lower case."""
    # Not documented, and in every CPython since 2.6: what `getpeercert` does, for a file.
    decoded = ssl._ssl._test_decode_cert(certificate)  # type: ignore[attr-defined]
    return frozenset(value.lower() for kind, value in decoded.get("subjectAltName", ()) if kind in ("DNS", "IP Address"))


def fault(error: OSError) -> str:
    """OpenSSL's word for it, in a person's."""
    reason = getattr(error, "reason", None) or error.strerror or str(error)
    known = {
        "KEY_VALUES_MISMATCH": "the key does not belong to the certificate",
        "BAD_DECRYPT": "the password of the key is wrong",
        "BAD_PASSWORD_READ": "the key has a password, and none was given",
        "NO_START_LINE": "it is no PEM file",
        "EE_KEY_TOO_SMALL": "its key is too small to be safe",
    }
    if isinstance(error, ssl.SSLError) and reason in known:
        return known[reason]
    if isinstance(error, ssl.SSLError) and not error.reason:
        return "it is no PEM file with a certificate and its key"
    return reason.replace("_", " ").lower()
