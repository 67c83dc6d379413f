"""Priorities (RFC 9218): the field `priority`, as a header or in a PRIORITY_UPDATE frame."""

from __future__ import annotations

import re

URGENCY = 3  # §4.1
INCREMENTAL = False  # §4.2
LEAST_URGENT = 7

# The members of a structured dictionary that mean something here (RFC 8941 §3.2): `u=` with one digit, and `i`. Of a
# member that stands there twice the last one counts; what else stands there is passed over.
_MEMBER = re.compile(rb"(?:^|,)[ \t]*(?:u=([0-7])|(i)(?:=\?([01]))?)[ \t]*(?=[,;]|$)")


def read(field: bytes) -> tuple[int, bool]:
    """Urgency, 0 to 7, of which 0 is the most urgent, and whether the response is of use in parts."""
    urgency, incremental = URGENCY, INCREMENTAL
    for match in _MEMBER.finditer(field):
        if match[1]:
            urgency = int(match[1])
        else:
            incremental = match[3] != b"0"
    return urgency, incremental
