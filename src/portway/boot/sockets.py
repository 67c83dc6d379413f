"""The listening sockets of a server of several workers, made by its supervisor, kept while workers come and go.

1. On Linux each slot has sockets of its own for each TCP address, between which the kernel spreads connections
   (SO_REUSEPORT). They outlive the workers: what is queued in one waits for the next worker of that slot.
2. All others are one for all: elsewhere, Unix sockets, and those that somebody else opened.
"""

from __future__ import annotations

import socket
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from portway.server import listen

SPREADS = sys.platform == "linux"


@dataclass
class Place:
    """One address: a socket for each slot, or one for all; whether it leads to https."""

    sockets: list[socket.socket]
    shared: bool
    redirects: bool


class Sockets:
    """By slot; `count` is how many slots there are."""

    def __init__(self, places: list[Place], count: int) -> None:
        self.places = places
        self.count = count

    def first(self, redirects: bool) -> list[socket.socket]:
        """One for each address, of those that lead to https or of the others."""
        return [place.sockets[0] for place in self.places if place.redirects is redirects]

    def of(self, slot: int, redirects: bool) -> list[socket.socket]:
        """Those that a worker in this slot accepts from."""
        return [sock for place in self.places if place.redirects is redirects for sock in self._of(place, slot)]

    def _of(self, place: Place, slot: int) -> list[socket.socket]:
        if place.shared:
            return place.sockets
        self.count = max(self.count, slot + 1)
        while len(place.sockets) <= slot:
            place.sockets.append(listen.beside(place.sockets[0]))
        # What a predecessor with more workers has left: nobody's, and yet the kernel leads clients there.
        over = range(self.count + slot, len(place.sockets), self.count)
        return [place.sockets[slot], *(place.sockets[number] for number in over)]

    def shared(self) -> set[int]:
        """The descriptors of those that all workers have."""
        return {sock.fileno() for place in self.places if place.shared for sock in place.sockets}

    @property
    def spread(self) -> bool:
        """Whether slots have sockets of their own."""
        return any(not place.shared for place in self.places)

    def own(self, slot: int, redirects: bool) -> list[socket.socket]:
        """Those of this slot alone."""
        return [
            place.sockets[slot]
            for place in self.places
            if place.redirects is redirects and not place.shared and slot < len(place.sockets)
        ]

    def listen(self, backlog: int) -> None:
        """Let connections queue before there is a worker."""
        for place in self.places:
            for sock in place.sockets:
                listen.begin(sock, backlog)

    def release(self, slot: int) -> None:
        """Nobody will have this slot, the last one: let its sockets go. Its worker, if there is one, has copies."""
        self.count = slot
        for place in self.places:
            if not place.shared and len(place.sockets) > slot:
                listen.stem(place.sockets[slot])
                place.sockets.pop(slot).close()

    def close(self, unlink: bool) -> None:
        """Let all of them go; with `unlink`, the files of Unix sockets that we made, too."""
        for place in self.places:
            for sock in place.sockets:
                if unlink:
                    listen.close(sock)
                else:
                    sock.close()

    # --- for a successor ---

    def describe(self) -> tuple[list[dict[str, Any]], list[int]]:
        """What `adopted` makes the same of in another process, and the descriptors that it needs."""
        described = [
            {
                "shared": place.shared,
                "redirects": place.redirects,
                "origins": [listen.origin(sock) for sock in place.sockets],
            }
            for place in self.places
        ]
        return described, [sock.fileno() for place in self.places for sock in place.sockets]


def adopted(described: Sequence[dict[str, Any]], descriptors: Sequence[int], count: int) -> Sockets:
    """Those of a predecessor."""
    left = iter(descriptors)
    places = [
        Place([listen.adopted(next(left), origin) for origin in each["origins"]], each["shared"], each["redirects"])
        for each in described
    ]
    return Sockets(places, count)


def placed(bound: list[socket.socket], inherited: bool, redirects: bool) -> list[Place]:
    """A place for each bound socket; `inherited` ones are shared, for nothing can be bound beside them."""
    places = []
    for sock in bound:
        spreads = SPREADS and not inherited and sock.family in (socket.AF_INET, socket.AF_INET6)
        places.append(Place([listen.spreading(sock) if spreads else sock], not spreads, redirects))
    return places
