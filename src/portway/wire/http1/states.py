"""The states of one HTTP/1 connection, which is two machines: what they send, and what we do.

Rules
  1. Requests are read one at a time. While a response is owed, what comes after the request's own
     body is kept unread; so responses leave in the order of their requests (RFC 9112 §9.3.2).
  2. A new request is read only when theirs is FINISHED and ours is SENT; then both begin anew.
  3. A request whose response is SENT before its body is whole is read to its end and thrown away, if
     what is left of it is small; else the connection ends.
  4. CLOSED is for good on either side: nothing more is read, or nothing more is written.

             theirs                                           ours
  HEAD ──────────────► BODY | CHUNKS | FINISHED     IDLE ──head──► OWED
  BODY, CHUNKS ──end──► FINISHED                    OWED ──respond──► SENDING | SENT
  FINISHED ──turn──► HEAD                           SENDING ──end──► SENT ──turn──► IDLE
  FINISHED ──tunnel──► TUNNEL                       OWED ──tunnel──► TUNNEL
  any ──fault, eof, last response──► CLOSED         any ──fail──► CLOSED
"""

from __future__ import annotations

# Theirs.
HEAD = 0
BODY = 1
CHUNKS = 2
FINISHED = 3
CLOSED = 4

# Ours; CLOSED is shared.
IDLE = 5
OWED = 6
SENDING = 7
SENT = 8

# Both: the connection carries another protocol (RFC 9110 §7.8).
TUNNEL = 9

NAMES = ("HEAD", "BODY", "CHUNKS", "FINISHED", "CLOSED", "IDLE", "OWED", "SENDING", "SENT", "TUNNEL")
