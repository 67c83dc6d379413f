"""The access log: one line for each response, written when it ends."""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Callable
from typing import Any

from portway.errors import SettingsError
from portway.hooks import Exchange, Hooks

log = logging.getLogger("portway.access")

Line = Callable[[Exchange], str]

DEFAULT = '%(client)s - "%(method)s %(target)s HTTP/%(version)s" %(status)d %(size)d %(ms).1fms'

# What a format string may name.
FIELDS: dict[str, Callable[[Exchange], Any]] = {
    "client": lambda exchange: client_of(exchange),
    "host": lambda exchange: exchange.client[0] if exchange.client else "-",
    "method": lambda exchange: exchange.method,
    "target": lambda exchange: target_of(exchange),
    "path": lambda exchange: exchange.path.decode("latin-1"),
    "query": lambda exchange: exchange.query.decode("latin-1"),
    "version": lambda exchange: exchange.version,
    "status": lambda exchange: exchange.status,
    "size": lambda exchange: exchange.size,
    "seconds": lambda exchange: exchange.seconds,
    "ms": lambda exchange: exchange.seconds * 1000,
    "whole": lambda exchange: exchange.whole,
    "time": lambda exchange: time.strftime("%d/%b/%Y:%H:%M:%S %z"),
    "referer": lambda exchange: header_of(exchange, b"referer"),
    "user_agent": lambda exchange: header_of(exchange, b"user-agent"),
}


class AccessLog(Hooks):
    """Tells `portway.access` of every exchange, as the format says."""

    active = True

    def __init__(self, format: str | None) -> None:
        """`format` is a %-format of the names in FIELDS, `json`, or None for the usual line."""
        self._line = line_of(format)

    def ended(self, exchange: Exchange) -> None:
        if log.isEnabledFor(logging.INFO):
            log.info(self._line(exchange))


def line_of(format: str | None) -> Line:
    """What makes the line of an exchange; SettingsError if the format names what there is not."""
    if format is None or format == DEFAULT:
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


def usual(exchange: Exchange) -> str:
    # The hot one. What a client sends can forge no line: paths and methods are printable ASCII by grammar.
    query = exchange.query
    path = exchange.path.decode("latin-1")
    if query:
        path = f"{path}?{query.decode('latin-1')}"
    client = exchange.client
    who = f"{client[0]}:{client[1]}" if client else "-"
    cut = "" if exchange.whole else " cut off"
    return (
        f'{who} - "{exchange.method} {path} HTTP/{exchange.version}" '
        f"{exchange.status} {exchange.size} {exchange.seconds * 1000:.1f}ms{cut}"
    )


def as_json(exchange: Exchange) -> str:
    return json.dumps(
        {
            "time": time.time(),
            "client": client_of(exchange),
            "method": exchange.method,
            "path": exchange.path.decode("latin-1"),
            "query": exchange.query.decode("latin-1"),
            "version": exchange.version,
            "status": exchange.status,
            "size": exchange.size,
            "seconds": round(exchange.seconds, 6),
            "whole": exchange.whole,
            "user_agent": header_of(exchange, b"user-agent"),
            "referer": header_of(exchange, b"referer"),
        }
    )


def client_of(exchange: Exchange) -> str:
    return f"{exchange.client[0]}:{exchange.client[1]}" if exchange.client else "-"


def target_of(exchange: Exchange) -> str:
    path = exchange.path.decode("latin-1")
    return f"{path}?{exchange.query.decode('latin-1')}" if exchange.query else path


def header_of(exchange: Exchange, name: bytes) -> str:
    """A header's value, with what could forge a line or end a quotation escaped."""
    for key, value in exchange.headers:
        if key == name:
            return ascii(value.decode("latin-1"))[1:-1].replace('"', "\\x22")
    return "-"


SAMPLE = Exchange(("127.0.0.1", 1), "GET", b"/", b"", "1.1", [], 200, 0, 0.001, True)
