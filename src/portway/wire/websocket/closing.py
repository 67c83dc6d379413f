"""Close frames (RFC 6455 §5.5.1, §7.4): which codes may be in them, and what a reason may be."""

from __future__ import annotations

from portway.wire.websocket.faults import FrameFault

NORMAL = 1000
GOING_AWAY = 1001
NO_CODE = 1005  # told to an application, never sent: the close had none
LOST = 1006  # told to an application, never sent: there was no close
ERROR = 1011
RESTART = 1012

# The registry of IANA as of 2026, of which 1004, 1005, 1006 and 1015 are not for frames.
SENDABLE = frozenset((1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 1012, 1013, 1014))

# A control frame has 125 bytes at most, of which two are the code.
REASON_MOST = 123


def valid(code: int) -> bool:
    """Whether a close frame may have it; 3000 to 4999 are for libraries and applications."""
    return code in SENDABLE or 3000 <= code <= 4999


def payload(code: int, reason: str) -> bytes:
    """The body of a close frame. A reason that is too long is cut, between two characters."""
    text = reason.encode("utf-8", "replace")
    if len(text) > REASON_MOST:
        text = text[:REASON_MOST].decode("utf-8", "ignore").encode()
    return code.to_bytes(2, "big") + text


def read(data: bytes) -> tuple[int, str]:
    """Code and reason of a peer's close frame; FrameFault if they cannot be."""
    if not data:
        return NO_CODE, ""
    if len(data) == 1:
        raise FrameFault("a close frame has half a code")
    code = int.from_bytes(data[:2], "big")
    if not valid(code):
        raise FrameFault("a close frame has a code that must not be sent")
    try:
        return code, data[2:].decode()
    except UnicodeDecodeError:
        raise FrameFault("the reason in a close frame is not UTF-8", 1007) from None
