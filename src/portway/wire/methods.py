"""Request methods by their names on the wire (RFC 9110 §9)."""

from __future__ import annotations

NAMED = {
    name.encode(): name
    for name in ("GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "PATCH", "TRACE", "PROPFIND", "REPORT")
}

# RFC 9112 §3: a method longer than any that is known is answered with 501.
SIZE_MOST = 32
