"""What a handshake has agreed on and what each side has shown: the `tls` extension of a scope (ASGI 53)."""

from __future__ import annotations

import ssl
from typing import Any

from portway.link.distinguished import subject_of

# The numbers in the first bytes of a hello (RFC 8446 §4.1.2, RFC 5246 §6.2.1).
VERSIONS = {"TLSv1": 0x0301, "TLSv1.1": 0x0302, "TLSv1.2": 0x0303, "TLSv1.3": 0x0304}

# By OpenSSL's name; filled as they are met.
_suites: dict[str, int] = {}


class Context(ssl.SSLContext):
    """A context that knows its certificate, in PEM, which OpenSSL does not tell."""

    certificate: str | None = None


def tls_extension(tls: ssl.SSLObject) -> dict[str, Any]:
    """Of a complete handshake. That a client's certificate was found wrong it cannot say: such a handshake fails."""
    leaf = tls.getpeercert(binary_form=True)
    return {
        "server_cert": getattr(tls.context, "certificate", None),
        "client_cert_chain": [] if leaf is None else [ssl.DER_cert_to_PEM_cert(each) for each in _chain(tls, leaf)],
        "client_cert_name": None if leaf is None else _name_in(leaf),
        "client_cert_error": None,
        "tls_version": VERSIONS.get(tls.version() or ""),
        "cipher_suite": _suite(tls),
    }


def _chain(tls: ssl.SSLObject, leaf: bytes) -> list[bytes]:
    """What the client sent, its own first. Of a session that was resumed, its own is all that is known."""
    if hasattr(tls, "get_unverified_chain"):  # CPython 3.13
        return tls.get_unverified_chain() or [leaf]
    found = tls._sslobj.get_unverified_chain() or []  # type: ignore[attr-defined]
    return [ssl.PEM_cert_to_DER_cert(each.public_bytes()) for each in found] or [leaf]


def _name_in(leaf: bytes) -> str | None:
    """None where an authority has signed what cannot be written as a name."""
    try:
        return subject_of(leaf)
    except ValueError:
        return None


def _suite(tls: ssl.SSLObject) -> int | None:
    """The number of the cipher suite in the registry of TLS."""
    agreed = tls.cipher()
    if agreed is None:
        return None
    if agreed[0] not in _suites:
        # OpenSSL's numbers have the registry's in their lower half.
        _suites.update((each["name"], each["id"] & 0xFFFF) for each in tls.context.get_ciphers())
    return _suites.get(agreed[0])
