"""What a connection can wait for, whatever it speaks: a codec says what, and the link, which owns time, how long."""

from __future__ import annotations

FOR_REQUEST = 0  # the first byte of a request, after an earlier one
FOR_HEAD = 1  # the rest of a head, or the first one of the connection
FOR_BODY = 2  # more of a body
FOR_US = 3  # nothing: it is our turn
FOR_END = 4  # the peer's good-bye
FOR_PING = 5  # the time to ask whether the peer of a tunnel is there
FOR_PONG = 6  # its answer
FOR_CLOSE = 7  # the end of a tunnel that we asked for
