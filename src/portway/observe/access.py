"""The access log: one line for each response, written when it ends.

A line of text costs a microsecond, a LogRecord of it and its way through the handlers ten. So where nobody
but our own handler would see the records, the lines go to it directly, and it writes those of one turn of
the loop at once. Any other handler, filter or record factory gets its LogRecord as ever.
"""

from __future__ import annotations

import asyncio
import json
import logging
import time
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any, TypeVar

from portway.errors import SettingsError
from portway.hooks import Conversation, Exchange, Hooks
from portway.observe.logs import Lines

log = logging.getLogger("portway.access")

Line = Callable[[Exchange], str]
Words = Callable[[Conversation], str]
T = TypeVar("T", Exchange, Conversation)

# Lines that wait for the end of a turn of the loop; a burst beyond it is written in between.
KEPT_MOST = 512

Client = tuple[str, int | None]

# That of a Unix socket.
UNKNOWN: Client = ("-", 0)


class AccessLog(Hooks):
    """Tells `portway.access` of every exchange, as the format says."""

    active = True

    def __init__(self, format: str | None, composed: bool = False) -> None:
        """`format` is a %-format of the names in FIELDS, `json`, or None for the usual line; `composed` says that
        there are several applications, and that the lines tell which of them answered.

        Raises SettingsError for a format that names what there is not.
        """
        self._line = line_of(format)
        # The fields of a format are those of HTTP.
        both: tuple[Words, Words] = (opened_json, closed_json) if format == "json" else (opened, closed)
        self._opened, self._closed = both
        if composed:
            naming = naming_in_json if format == "json" else naming_in_text
            self._opened, self._closed = naming(self._opened), naming(self._closed)
            if format is None or format == "json":
                self._line = naming(self._line)
        self._kept: list[str] | None = None

    def ended(self, exchange: Exchange) -> None:
        if self._kept is not None or log.isEnabledFor(logging.INFO):
            self._tell(self._line(exchange))

    def opened(self, conversation: Conversation) -> None:
        if self._kept is not None or log.isEnabledFor(logging.INFO):
            self._tell(self._opened(conversation))

    def closed(self, conversation: Conversation) -> None:
        if self._kept is not None or log.isEnabledFor(logging.INFO):
            self._tell(self._closed(conversation))

    def _tell(self, line: str) -> None:
        kept = self._kept
        if kept is not None and len(kept) < KEPT_MOST:
            kept.append(line)
        else:
            self._begin(line)

    def _begin(self, line: str) -> None:
        """The first line of a turn: settle for all of them where they go."""
        handler = alone()
        if handler is None:
            log.info(line)
            return
        handler.flush()
        handler.kept.append(line)
        self._kept = handler.kept
        asyncio.get_running_loop().call_soon(self._end, handler)

    def _end(self, handler: Lines) -> None:
        self._kept = None
        handler.flush()


def alone() -> Lines | None:
    """Our own handler, if nobody else would see a record of the access log."""
    handlers = log.handlers
    if len(handlers) != 1 or log.propagate or log.filters or type(log) is not logging.Logger:
        return None
    handler = handlers[0]
    if type(handler) is not Lines or not handler.untouched:
        return None
    return handler if logging.getLogRecordFactory() is logging.LogRecord else None


# --- the line ---


def line_of(format: str | None) -> Line:
    """What makes the line of an exchange."""
    if format is None:
        return usual
    if format == "json":
        return as_json
    try:
        format % {name: read(SAMPLE) for name, read in FIELDS.items()}
    except KeyError as error:
        known = ", ".join(FIELDS)
        raise SettingsError(f"access_log_format: there is no %({error.args[0]})s; there are {known}") from None
    except (TypeError, ValueError) as error:
        raise SettingsError(f"access_log_format: {format!r} is no %-format: {error}") from None
    used = {name: read for name, read in FIELDS.items() if f"%({name})" in format}
    return lambda exchange: format % {name: read(exchange) for name, read in used.items()}


# To make a text of a number takes as long as a third of the line: those that come again and again are kept.
MILLISECONDS = tuple(f"{tenths // 10}.{tenths % 10}ms" for tenths in range(1000))
STATUSES = tuple(map(str, range(1000)))
CLIENTS: dict[Client | None, str] = {}
CLIENTS_KEPT = 1024


def usual(exchange: Exchange) -> str:
    """The hot one."""
    head = exchange.head
    client = exchange.client
    who = CLIENTS.get(client)
    if who is None:
        who = _remembered(client)
    target = head.path.decode()
    query = head.query
    if query:
        target = f"{target}?{query.decode()}"
    if '"' in target:
        target = target.replace('"', "%22")
    tenths = int(exchange.seconds * 10_000 + 0.5)
    ms = MILLISECONDS[tenths] if tenths < 1000 else f"{tenths // 10}.{tenths % 10}ms"
    status = STATUSES[exchange.status]
    line = f'{who} - "{head.method} {target} HTTP/{head.version}" {status} {exchange.size} {ms}'
    return f"{line} (cut off)" if exchange.lost else line


def _remembered(client: Client | None) -> str:
    if len(CLIENTS) >= CLIENTS_KEPT:
        CLIENTS.clear()
    host, port = client or UNKNOWN
    who = CLIENTS[client] = f"{host}:{port}"
    return who


def as_json(exchange: Exchange) -> str:
    head = exchange.head
    return json.dumps(
        {
            "time": round(time.time(), 3),
            "client": client_of(exchange),
            "method": head.method,
            "path": head.path.decode(),
            "query": head.query.decode(),
            "version": head.version,
            "status": exchange.status,
            "size": exchange.size,
            "seconds": round(exchange.seconds, 6),
            "whole": not exchange.lost,
            "referer": header_of(exchange, b"referer"),
            "user_agent": header_of(exchange, b"user-agent"),
        }
    )


def naming_in_text(line: Callable[[T], str]) -> Callable[[T], str]:
    """The same line with the application's name at its end."""
    return lambda told: f"{line(told)} {application_of(told)}"


def naming_in_json(line: Callable[[T], str]) -> Callable[[T], str]:
    """The same object with one thing more."""
    return lambda told: f'{line(told)[:-1]}, "application": {json.dumps(told.application)}}}'


def opened(conversation: Conversation) -> str:
    """The line of a WebSocket that was accepted."""
    chosen = f" {conversation.subprotocol}" if conversation.subprotocol else ""
    return f'{client_of(conversation)} - "WebSocket {target_of(conversation)}" open{chosen}'


def closed(conversation: Conversation) -> str:
    """That of its end: code, duration, messages and bytes in both directions."""
    each = conversation
    return (
        f'{client_of(each)} - "WebSocket {target_of(each)}" closed {each.code} {each.seconds:.1f}s '
        f"in {each.messages_in}/{each.bytes_in} out {each.messages_out}/{each.bytes_out}"
    )


def opened_json(conversation: Conversation) -> str:
    return json.dumps({**_of_websocket(conversation), "event": "open", "subprotocol": conversation.subprotocol})


def closed_json(conversation: Conversation) -> str:
    ended = {
        "event": "closed",
        "code": conversation.code,
        "seconds": round(conversation.seconds, 6),
        "messages_in": conversation.messages_in,
        "bytes_in": conversation.bytes_in,
        "messages_out": conversation.messages_out,
        "bytes_out": conversation.bytes_out,
    }
    return json.dumps(_of_websocket(conversation) | ended)


def _of_websocket(conversation: Conversation) -> dict[str, Any]:
    head = conversation.head
    return {
        "time": round(time.time(), 3),
        "client": client_of(conversation),
        "method": "WebSocket",
        "path": head.path.decode(),
        "query": head.query.decode(),
    }


# What a client sends can forge no line and end no quotation. By grammar (wire.grammar) methods are tokens,
# paths and queries visible ASCII; what is left to escape is the quotation mark (as a browser would have sent
# it), and whatever headers hold.


def uri(text: bytes) -> str:
    """A path or a query, fit to stand between quotation marks."""
    return text.decode().replace('"', "%22")


def quoted(text: str) -> str:
    """A header's value, fit to stand between quotation marks."""
    return ascii(text)[1:-1].replace("\\'", "'").replace('"', "\\x22")


def client_of(exchange: Exchange | Conversation) -> str:
    host, port = exchange.client or UNKNOWN
    return f"{host}:{port}"


def target_of(exchange: Exchange | Conversation) -> str:
    head = exchange.head
    return uri(head.path + b"?" + head.query if head.query else head.path)


def application_of(told: Exchange | Conversation) -> str:
    """Which one answered; a dash if the server itself did."""
    return told.application or "-"


def header_of(exchange: Exchange, name: bytes) -> str:
    return next((quoted(value.decode("latin-1")) for key, value in exchange.head.headers if key == name), "-")


# What a format may name.
FIELDS: dict[str, Callable[[Exchange], Any]] = {
    "client": client_of,
    "host": lambda exchange: (exchange.client or UNKNOWN)[0],
    "method": lambda exchange: exchange.head.method,
    "target": target_of,
    "path": lambda exchange: uri(exchange.head.path),
    "query": lambda exchange: uri(exchange.head.query),
    "version": lambda exchange: exchange.head.version,
    "status": lambda exchange: exchange.status,
    "size": lambda exchange: exchange.size,
    "seconds": lambda exchange: exchange.seconds,
    "ms": lambda exchange: exchange.seconds * 1000,
    "whole": lambda exchange: not exchange.lost,
    "time": lambda exchange: time.strftime("%d/%b/%Y:%H:%M:%S %z"),
    "referer": lambda exchange: header_of(exchange, b"referer"),
    "user_agent": lambda exchange: header_of(exchange, b"user-agent"),
    "application": application_of,
}

SAMPLE: Any = SimpleNamespace(
    head=SimpleNamespace(method="GET", path=b"/", query=b"", version="1.1", headers=[]),
    client=("127.0.0.1", 1),
    status=200,
    size=0,
    seconds=0.001,
    lost=False,
    application=None,
)
