"""What the server tells of its work, to whoever listens: access logs, metrics, counters.

The rooms below call these at the right moments and know nothing of who listens.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(slots=True)
class Exchange:
    """A request and what became of it. `size` is the bytes of content sent, `seconds` the time it took.

    `status` is 499 if the client went before a response began (nginx' convention). `whole` is False when
    the response was cut off.
    """

    client: tuple[str, int | None] | None
    method: str
    path: bytes
    query: bytes
    version: str
    headers: list[tuple[bytes, bytes]]
    status: int
    size: int
    seconds: float
    whole: bool


class Hooks:
    """The null object: does nothing, and says so by `active`, so that no one prepares an `Exchange` for it."""

    active = False

    def ended(self, exchange: Exchange) -> None:
        """A response is complete, or will never be."""


class Chorus(Hooks):
    """Several hooks as one."""

    active = True

    def __init__(self, voices: list[Hooks]) -> None:
        self._voices = voices

    def ended(self, exchange: Exchange) -> None:
        for voice in self._voices:
            voice.ended(exchange)


def together(voices: list[Hooks]) -> Hooks:
    """One hook of many; the null object of none."""
    if not voices:
        return Hooks()
    return voices[0] if len(voices) == 1 else Chorus(voices)
