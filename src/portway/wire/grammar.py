"""The productions of RFC 9110, RFC 9112 and RFC 3986 that this server reads, by their names.

As sets of bytes for the scanners, and as patterns for what is too rare to be worth a loop.
"""

from __future__ import annotations

import re

DIGITS = b"0123456789"
LETTERS = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"

# RFC 9110 §5.6.2: token = 1*tchar
TCHAR = b"!#$%&'*+-.^_`|~" + DIGITS + LETTERS

# RFC 9110 §5.5: field-vchar, SP and HTAB; obs-text is let through, as it must be for old applications.
FIELD_TEXT = b"\t" + bytes(range(0x20, 0x7F)) + bytes(range(0x80, 0x100))

# RFC 9112 §3.2: a request-target is made of the characters of a URI (RFC 3986); like h11 we take every
# visible ASCII character but `#`, since a fragment is never sent.
TARGET_TEXT = bytes(set(range(0x21, 0x7F)) - {ord("#")})

_TOKEN = rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]+"
_QUOTED = rb'"(?:[\t \x21\x23-\x5b\x5d-\x7e\x80-\xff]|\\[\t \x21-\x7e\x80-\xff])*"'

token = re.compile(_TOKEN)
field_text = re.compile(rb"[\t\x20-\x7e\x80-\xff]*")
target_text = re.compile(rb"[\x21-\x22\x24-\x7e]*")

# RFC 9112 §7.1.1: chunk-ext = *( BWS ";" BWS chunk-ext-name [ BWS "=" BWS chunk-ext-val ] )
chunk_extensions = re.compile(
    rb"(?:[\t ]*;[\t ]*" + _TOKEN + rb"(?:[\t ]*=[\t ]*(?:" + _TOKEN + rb"|" + _QUOTED + rb"))?)*"
)

# RFC 9110 §7.2: Host = uri-host [ ":" port ]; RFC 3986 §3.2.2 for the host. May be empty.
_REG_NAME = rb"(?:[A-Za-z0-9\-._~!$&'()*+,;=]|%[0-9A-Fa-f]{2})*"
_IP_LITERAL = rb"\[(?:[0-9A-Fa-f:.]+|v[0-9A-Fa-f]+\.[A-Za-z0-9\-._~!$&'()*+,;=:]+)\]"
host = re.compile(rb"(?:" + _IP_LITERAL + rb"|" + _REG_NAME + rb")(?::[0-9]{0,5})?")

# RFC 3986 §3.1, for the absolute-form of a request-target (RFC 9112 §3.2.2).
absolute_form = re.compile(rb"(?i:https?)://([^/?#]+)([^#]*)")

# Three words that are no request of HTTP/1.1, and an empty line: what somebody sends who takes it for HTTP/2's preface
# (RFC 9113 §3.4).
preface = re.compile(rb"[A-Z]+ [^ /]+ [^ /]+\r\n\r\n")

http_version = re.compile(rb"HTTP/([0-9])\.([0-9])")
