"""SETTINGS (RFC 9113 §6.5): what a peer may set, and what we do."""

from __future__ import annotations

from portway.wire.http2 import faults, frames
from portway.wire.http2.faults import ConnectionFault

# The parameters (RFC 9113 §6.5.2, RFC 8441 §3, RFC 9218 §2.1).
HEADER_TABLE_SIZE = 0x1
ENABLE_PUSH = 0x2
MAX_CONCURRENT_STREAMS = 0x3
INITIAL_WINDOW_SIZE = 0x4
MAX_FRAME_SIZE = 0x5
MAX_HEADER_LIST_SIZE = 0x6
ENABLE_CONNECT_PROTOCOL = 0x8
NO_RFC7540_PRIORITIES = 0x9

# Those that have a range of their own: its ends, and the code for what lies outside.
_RANGES = {
    ENABLE_PUSH: ("ENABLE_PUSH", 0, 1, faults.PROTOCOL_ERROR),
    INITIAL_WINDOW_SIZE: ("INITIAL_WINDOW_SIZE", 0, frames.WINDOW_MOST, faults.FLOW_CONTROL_ERROR),
    MAX_FRAME_SIZE: ("MAX_FRAME_SIZE", frames.PAYLOAD_LEAST, frames.PAYLOAD_MOST, faults.PROTOCOL_ERROR),
    ENABLE_CONNECT_PROTOCOL: ("ENABLE_CONNECT_PROTOCOL", 0, 1, faults.PROTOCOL_ERROR),
    NO_RFC7540_PRIORITIES: ("NO_RFC7540_PRIORITIES", 0, 1, faults.PROTOCOL_ERROR),
}


def read(payload: bytes) -> list[tuple[int, int]]:
    """The settings in a frame, in the order in which they are to be heeded. ConnectionFault for what may not be."""
    if len(payload) % frames.SETTING_SIZE:
        raise ConnectionFault("the size of a SETTINGS frame is no multiple of six", faults.FRAME_SIZE_ERROR)
    found = []
    for at in range(0, len(payload), frames.SETTING_SIZE):
        key = payload[at] << 8 | payload[at + 1]
        value = frames.number(payload, at + 2)
        if key in _RANGES:
            name, least, most, code = _RANGES[key]
            if not least <= value <= most:
                raise ConnectionFault(f"the setting {name} is out of its range", code)
        found.append((key, value))
    return found


class Terms:
    """Our side of the connection: what we announce, and hold the peer to.

    `streams` that may be open at once; the windows in bytes, of a stream and of the connection; `frame` is the
    largest payload; `resets` and `glitches` are in `guards`; `connects` says that WebSockets may be opened.
    """

    __slots__ = ("connection_window", "connects", "frame", "glitches", "resets", "stream_window", "streams")

    def __init__(
        self,
        *,
        streams: int = 100,
        stream_window: int = 256 * 1024,
        connection_window: int = 1024 * 1024,
        frame: int = frames.PAYLOAD_LEAST,
        resets: int = 200,
        glitches: int = 1000,
        connects: bool = False,
    ) -> None:
        self.streams = streams
        self.stream_window = stream_window
        self.connection_window = connection_window
        self.frame = frame
        self.resets = resets
        self.glitches = glitches
        self.connects = connects

    def announced(self, list_most: int) -> list[tuple[int, int]]:
        """The first SETTINGS; `list_most` is how large a header list may be."""
        return [
            (MAX_CONCURRENT_STREAMS, self.streams),
            (INITIAL_WINDOW_SIZE, self.stream_window),
            (MAX_FRAME_SIZE, self.frame),
            (MAX_HEADER_LIST_SIZE, list_most),
            *([(ENABLE_CONNECT_PROTOCOL, 1)] if self.connects else []),
            (NO_RFC7540_PRIORITIES, 1),
        ]
