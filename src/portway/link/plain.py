"""What stands before a link on loops that look at a protocol's class (asyncio's), where uvloop looks at its methods."""

from __future__ import annotations

import asyncio
from typing import Any

from portway.link.tcp import Link
from portway.link.tls import Filter


class Buffered(asyncio.BufferedProtocol):
    """An asyncio.BufferedProtocol that passes each call on."""

    def __init__(self, link: Link | Filter) -> None:
        self.connection_made: Any = link.connection_made
        self.get_buffer: Any = link.get_buffer
        self.buffer_updated: Any = link.buffer_updated
        self.eof_received: Any = link.eof_received
        self.pause_writing: Any = link.pause_writing
        self.resume_writing: Any = link.resume_writing
        self.connection_lost: Any = link.connection_lost
