"""What the messages of a WebSocket may hold: MessageError says which key is wrong, and how."""

from __future__ import annotations

from typing import Any

from portway.errors import MessageError
from portway.wire import fields
from portway.wire.fields import Outgoing
from portway.wire.websocket import closing


def outgoing_of(headers: Any) -> Outgoing:
    try:
        outgoing = fields.outgoing(headers or ())
    except MessageError as error:
        raise MessageError(f"websocket.accept: headers: {error}") from None
    except (TypeError, ValueError):
        raise MessageError(
            f"websocket.accept: headers must be a list of pairs of bytes, and is {headers!r:.80}"
        ) from None
    for name, _ in outgoing.pairs:
        if name.lower().startswith(b"sec-websocket-"):
            raise MessageError(f"websocket.accept: headers: {name!r} is not the application's; see subprotocol")
    return outgoing


def closing_of(message: dict[str, Any]) -> tuple[int, str]:
    code = message.get("code", closing.NORMAL)
    if code is None:
        code = closing.NORMAL
    if not isinstance(code, int) or not closing.valid(code):
        raise MessageError(f"websocket.close: {code!r:.80} is no close code that may be sent (RFC 6455 §7.4)")
    reason = message.get("reason") or ""
    if not isinstance(reason, str):
        raise MessageError(f"websocket.close: reason must be a str, and is {reason!r:.80}")
    return code, reason


def as_bytes(data: Any) -> bytes:
    if isinstance(data, bytes | bytearray | memoryview):
        return bytes(data)
    raise MessageError(f"websocket.send: bytes must be bytes, and is a {type(data).__name__}")


def as_str(text: Any) -> str:
    if isinstance(text, str):
        return str(text)
    raise MessageError(f"websocket.send: text must be a str, and is a {type(text).__name__}")
