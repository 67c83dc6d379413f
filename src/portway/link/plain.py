"""What stands before a link on loops that look at a protocol's class (asyncio's), where uvloop looks at its methods."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any


class Buffered(asyncio.BufferedProtocol):
    """An asyncio.BufferedProtocol that passes each call on."""

    def __init__(self, link: Any) -> None:
        """`link` is one of the links, or the filter before it."""
        self.connection_made: Any = link.connection_made
        self.get_buffer: Any = link.get_buffer
        self.buffer_updated: Any = link.buffer_updated
        self.eof_received: Any = link.eof_received
        self.pause_writing: Any = link.pause_writing
        self.resume_writing: Any = link.resume_writing
        self.connection_lost: Any = link.connection_lost


def protocol_of(loop: asyncio.AbstractEventLoop) -> Callable[[Any], Any]:
    """What makes of a link the protocol that this loop takes."""
    return itself if type(loop).__module__.partition(".")[0] == "uvloop" else Buffered


def itself(link: Any) -> Any:
    return link
