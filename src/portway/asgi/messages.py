"""What the messages of an HTTP response may hold: MessageError says which key is wrong, and how."""

from __future__ import annotations

from typing import Any

from portway.errors import MessageError


def as_dict(message: Any) -> dict[str, Any]:
    try:
        return dict(message)
    except (TypeError, ValueError):
        raise MessageError(f"a message must be a dict with the key type, and is {message!r:.80}") from None


def no_type(kind: Any, message: dict[str, Any]) -> MessageError:
    if kind is None and "type" not in message:
        return MessageError(f"a message must have the key type, and has only {list(message)!r:.80}")
    return MessageError(f"the type of a message must be a str, and is {kind!r:.80}")


def as_status(kind: str, status: Any) -> int:
    if status is None:
        raise MessageError(f"{kind}: the key status is missing")
    if isinstance(status, int) and not isinstance(status, bool):  # http.HTTPStatus
        return int(status)
    raise MessageError(f"{kind}: status must be an int, and is {status!r:.80}")


def as_bytes(kind: str, data: Any) -> bytes:
    if isinstance(data, bytes | bytearray | memoryview):
        return bytes(data)
    raise MessageError(f"{kind}: body must be bytes, and is a {type(data).__name__}")


# --- files ---


def as_path(kind: str, message: dict[str, Any]) -> str:
    if "path" not in message:
        raise MessageError(f"{kind}: the key path is missing")
    path = message["path"]
    if not isinstance(path, str):
        raise MessageError(f"{kind}: path must be a str, and is {path!r:.80}")
    if not path or "\0" in path:
        raise MessageError(f"{kind}: path must be that of a file, and is {path!r:.80}")
    return path


def as_descriptor(kind: str, message: dict[str, Any]) -> int:
    if "file" not in message:
        raise MessageError(f"{kind}: the key file is missing")
    file = message["file"]
    try:
        descriptor = file if isinstance(file, int) else file.fileno()
    except (AttributeError, OSError, ValueError):  # io.BytesIO has none; it is closed
        descriptor = None
    if type(descriptor) is not int or not 0 <= descriptor < 1 << 31:
        raise MessageError(f"{kind}: file must be a descriptor, or have a fileno() that gives one, and is {file!r:.80}")
    return descriptor


def as_count(kind: str, key: str, message: dict[str, Any]) -> int | None:
    """Of bytes; None, which is as good as leaving it out, if there is none."""
    count = message.get(key)
    if count is None:
        return None
    if not isinstance(count, int) or isinstance(count, bool) or not 0 <= count < 1 << 63:
        raise MessageError(f"{kind}: {key} must be an int, 0 or more, and is {count!r:.80}")
    return int(count)


def as_more(kind: str, message: dict[str, Any]) -> bool:
    more = message.get("more_body", False)
    if more is not True and more is not False:
        raise MessageError(f"{kind}: more_body must be a bool, and is {more!r:.80}")
    return more
