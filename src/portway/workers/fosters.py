"""Who accepts for a slot whose own worker is missing, or has not been heard for a while.

Where each slot has sockets of its own, the kernel goes on leading clients to them. They would wait until the next
worker is up, or until a blocked one goes on; so a worker that hears well accepts there, too, as long as that lasts.
"""

from __future__ import annotations

from collections.abc import Collection

from portway.workers.actions import Action, Child, Foster, Unfoster

# After so many seconds without a beat (there are two a second), others accept for a worker.
DEAF = 2.0


class Fosters:
    """`settle` is to be called after anything happened to workers, or their time was over."""

    def __init__(self) -> None:
        self._of: dict[int, Child] = {}  # by slot

    def settle(self, slots: Collection[int], children: Collection[Child], now: float) -> list[Action]:
        """What is to be done, for slots that are to be served."""
        hearing = [child for child in children if _serves(child) and now < child.heard + DEAF]
        alone = set(slots) - {child.slot for child in hearing}
        out: list[Action] = []
        for slot, child in list(self._of.items()):
            if slot not in alone or child not in hearing:
                del self._of[slot]
                if child in children and _serves(child):
                    out.append(Unfoster(child, slot, last=slot not in slots))
        for slot in sorted(alone - self._of.keys()):
            if hearing:
                self._of[slot] = min(hearing, key=self._burden)
                out.append(Foster(self._of[slot], slot))
        return out

    def due(self, children: Collection[Child], now: float) -> list[float]:
        """When somebody will not have been heard for so long."""
        times = [child.heard + DEAF for child in children if _serves(child)]
        return [time for time in times if time > now]

    def _burden(self, child: Child) -> tuple[int, int]:
        return sum(each is child for each in self._of.values()), child.key


def _serves(child: Child) -> bool:
    return child.phase == "ready" and not child.killed
