"""The scanners: how far a run of allowed bytes goes. The only room whose functions have two bodies.

`*_by_loop` is fast where it is compiled to C, `*_by_pattern` where it is interpreted; the tests hold
each against the other. A scan never passes `stop`.
"""

from __future__ import annotations

from portway.wire import grammar

COMPILED = not __file__.endswith(".py")

# For each byte: what it becomes in a lower-case token, or 0 if it cannot stand in one.
_TOKEN = bytes(bytes([c]).lower()[0] if c in grammar.TCHAR else 0 for c in range(256))
_TEXT = bytes(c in grammar.FIELD_TEXT for c in range(256))
_TARGET = bytes(c in grammar.TARGET_TEXT for c in range(256))
TOKEN = _TOKEN
TEXT = _TEXT
TARGET = _TARGET

_match_token = grammar.token.match
_match_text = grammar.field_text.match
_match_target = grammar.target_text.match


def token(data: bytes, at: int, stop: int) -> int:
    """The end of the token (RFC 9110 §5.6.2) that begins at `at`; `at` itself if there is none."""
    if COMPILED:
        return token_by_loop(data, at, stop)
    return token_by_pattern(data, at, stop)


def text(data: bytes, at: int, stop: int) -> int:
    """The end of the field text (RFC 9110 §5.5) that begins at `at`."""
    if COMPILED:
        return text_by_loop(data, at, stop)
    return text_by_pattern(data, at, stop)


def target(data: bytes, at: int, stop: int) -> int:
    """The end of the request-target (RFC 9112 §3.2) that begins at `at`."""
    if COMPILED:
        return target_by_loop(data, at, stop)
    return target_by_pattern(data, at, stop)


def token_by_loop(data: bytes, at: int, stop: int) -> int:
    view = data
    while at < stop and TOKEN[view[at]]:
        at += 1
    return at


def token_by_pattern(data: bytes, at: int, stop: int) -> int:
    match = _match_token(data, at, stop)
    return at if match is None else match.end()


def text_by_loop(data: bytes, at: int, stop: int) -> int:
    view = data
    while at < stop and TEXT[view[at]]:
        at += 1
    return at


def text_by_pattern(data: bytes, at: int, stop: int) -> int:
    return _match_text(data, at, stop).end()  # type: ignore[union-attr]  # it matches the empty run


def target_by_loop(data: bytes, at: int, stop: int) -> int:
    view = data
    while at < stop and TARGET[view[at]]:
        at += 1
    return at


def target_by_pattern(data: bytes, at: int, stop: int) -> int:
    return _match_target(data, at, stop).end()  # type: ignore[union-attr]  # it matches the empty run


def find(data: bytes, char: int, at: int, stop: int) -> int:
    """The place of the first byte `char` between `at` and `stop`; `stop` if there is none."""
    if COMPILED:
        return find_by_loop(data, char, at, stop)
    return find_by_method(data, char, at, stop)


def find_by_loop(data: bytes, char: int, at: int, stop: int) -> int:
    view = data
    while at < stop and view[at] != char:
        at += 1
    return at


def find_by_method(data: bytes, char: int, at: int, stop: int) -> int:
    found = data.find(char, at, stop)
    return stop if found < 0 else found


# 18 digits are below 2**63: the number fits every counter that it will meet.
DIGITS_MOST = 18
NO_NUMBER = -1


def decimal(data: bytes) -> int:
    """The number that these digits are; NO_NUMBER if there is none, anything else, or more than DIGITS_MOST."""
    if COMPILED:
        return decimal_by_loop(data)
    return decimal_by_method(data)


def decimal_by_loop(data: bytes) -> int:
    view = data
    size = len(data)
    if size == 0 or size > DIGITS_MOST:
        return NO_NUMBER
    number = 0
    for i in range(size):
        digit = view[i]
        if digit < 0x30 or digit > 0x39:
            return NO_NUMBER
        number = number * 10 + (digit - 0x30)
    return number


def decimal_by_method(data: bytes) -> int:
    if not data.isdigit() or len(data) > DIGITS_MOST:
        return NO_NUMBER
    return int(data)


# Names seen often enough to be kept: their bytes objects are shared, so that a request of known
# headers allocates no name and the verdicts in `fields` compare by identity.
_KNOWN = (
    b"accept accept-encoding accept-language authorization cache-control connection content-encoding "
    b"content-length content-type cookie date dnt expect forwarded from host if-match if-modified-since "
    b"if-none-match if-range if-unmodified-since keep-alive max-forwards origin pragma priority "
    b"proxy-authorization proxy-connection range referer sec-ch-ua sec-ch-ua-mobile sec-ch-ua-platform "
    b"sec-fetch-dest sec-fetch-mode sec-fetch-site sec-fetch-user sec-gpc sec-websocket-extensions "
    b"sec-websocket-key sec-websocket-protocol sec-websocket-version te trailer transfer-encoding upgrade "
    b"upgrade-insecure-requests user-agent via x-forwarded-for x-forwarded-host x-forwarded-port "
    b"x-forwarded-prefix x-forwarded-proto x-real-ip x-request-id x-requested-with"
).split()
KNOWN = {name: name for name in _KNOWN}
SLOTS = 1024
SLOTS_MASK = SLOTS - 1


def _slot(name: bytes) -> int:
    mixed = 0
    for char in name:
        mixed = (mixed * 33 + char) & 0xFFFF
    return mixed & SLOTS_MASK


# A name whose slot is taken is merely not shared by the loop; `intern` looks it up in KNOWN instead.
NAMES: list[bytes | None] = [None] * SLOTS
for _name in _KNOWN:
    NAMES[_slot(_name)] = _name


def name(data: bytes, at: int, stop: int) -> bytes:
    """The token between `at` and `stop` in lower case; a known name is always the same object."""
    if COMPILED:
        return name_by_loop(data, at, stop)
    return name_by_lookup(data, at, stop)


def name_by_loop(data: bytes, at: int, stop: int) -> bytes:
    view = data
    mixed = 0
    for i in range(at, stop):
        mixed = (mixed * 33 + TOKEN[view[i]]) & 0xFFFF
    found = NAMES[mixed & SLOTS_MASK]
    if found is not None and len(found) == stop - at:
        known = found
        i = at
        while i < stop and TOKEN[view[i]] == known[i - at]:
            i += 1
        if i == stop:
            return found
    return name_by_lookup(data, at, stop)


def name_by_lookup(data: bytes, at: int, stop: int) -> bytes:
    lowered = data[at:stop].lower()
    return KNOWN.get(lowered, lowered)
