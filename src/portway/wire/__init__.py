"""Bytes in, events out, bytes out: the wire codecs. No clock, no socket, no loop, no log."""
