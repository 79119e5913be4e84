"""How much of what one car gives up may another take, where their currents are out of phase on a line?

Less than an ampere for an ampere: of 32 A between L1 and L2 and 32 A between L1 and L3 the line L1 carries 55 A, so that the
second car alone frees 23 A. What other loads are is known only as what a meter shows beyond the sum of the cars, and that
grows when a car that was out of phase with them gives up its current. But whatever else flows, one car that rises by an
ampere never adds more than an ampere to what was measured. So on such a site nothing is raised into room that a meter has
not seen: until its next reading everything counts as drawn that counted when it was read last.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from local_controller.site.per_phase import PerPhase, upper


class LastSeen:
    """What might be drawn at worst below each metered node when it was read last; empty where loads are in phase."""

    def __init__(self, nodes: Iterable[str]) -> None:
        """nodes: those that a meter reads, and whose loads are out of phase."""
        self._nodes = frozenset(nodes)
        self._fresh: set[str] = set()
        self._worst: dict[str, PerPhase] = {}

    def read(self, node: str) -> None:
        """Its meter has just been read."""
        if node in self._nodes:
            self._fresh.add(node)

    def counted(self, worst: Mapping[str, PerPhase]) -> Mapping[str, PerPhase]:
        """What counts as drawn for whoever wants more, where `worst` may be drawn now."""
        if not self._nodes:
            return worst
        self._worst |= {node: worst[node] for node in self._fresh}
        self._fresh.clear()
        return {**worst, **{node: upper(worst[node], before) for node, before in self._worst.items()}}
