"""How much of what one car gives up may another take, where currents are out of phase on a line?

Less than an ampere for an ampere: of 32 A between L1 and L2 and 32 A between L1 and L3 the line L1 carries 55 A, so that the
second car alone frees 23 A. What other loads are is known only as what a meter shows beyond the sum of the cars, and that
grows when a car that was out of phase with them gives up its current. But whatever else flows, at whatever power factor, one
car that rises by an ampere never adds more than an ampere to what was measured (the triangle's inequality). So on such a site

* nothing is raised into room that a meter has not seen: until its next reading all counts as drawn that counted before it
  (`LastSeen`),
* what a car gave up counts as somebody else's until the other cars' own meters prove that it is not (`GivenUp`),
* a meter that shows less than the sum of the cars leaves them what is missing, as far as the angles of their lines explain it
  (`gain_a`); more than that is fed in, and a cloud may take it away.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from local_controller.site.per_phase import PHASES, ZERO, PerPhase, minus, plus, total, upper
from local_controller.site.places import Table
from local_controller.site.standing import DrawBounds
from local_controller.site.topology import Evse
from optimizer.arrays import Array
from optimizer.wiring import Weights, between, to_neutral

LEAST_IN_PHASE: Final = math.cos(math.radians(60.0 + 26.0) / 2.0)
"""Of the sum of currents a line carries at least so much: two that are equal, 60 degrees apart by their lines, and 26 more
where one charger's power factor is 0.9, at 6 A, and the other's 1 (grid-and-safety §5.3)."""


class LastSeen:
    """What each EVSE below a metered node might draw at worst when that was read last; empty where loads are in phase."""

    def __init__(self, nodes: Iterable[str]) -> None:
        """nodes: those that a meter reads, and whose loads are out of phase."""
        self._nodes = frozenset(nodes)
        self._fresh: set[str] = set()
        self._seen_a: dict[str, Array] = {}

    def read(self, node: str) -> None:
        """Its meter has just been read."""
        if node in self._nodes:
            self._fresh.add(node)

    def counted(self, worst: Mapping[str, PerPhase], table: Table) -> Mapping[str, PerPhase]:
        """What counts as drawn for whoever wants more, where `worst` may be drawn now: of each EVSE the more of then and now."""
        if not self._nodes:
            return worst
        now_a = table.exposure_a
        self._seen_a |= dict.fromkeys(self._fresh, now_a)
        self._fresh.clear()
        return {**worst, **{node: table.sum_a(node, np.maximum(now_a, then)) for node, then in self._seen_a.items()}}


@dataclass(slots=True)
class GivenUp:
    """By how much the cars below a node may draw less than at its last reading, each for itself."""

    _most: Sequence[PerPhase] = ()

    def since_last(self, bounds: Sequence[DrawBounds]) -> PerPhase:
        """A reading, while the EVSEs below, always in the same order, draw within these bounds; in all, per line."""
        before, self._most = self._most, [bound.most_a for bound in bounds]
        return total(upper(ZERO, minus(then, now)) for then, now in zip(before, self._most, strict=False))


def gain_a(evses: Iterable[Evse], bounds: Iterable[DrawBounds]) -> PerPhase:
    """By how much each line carries less than the sum of what the cars at these EVSEs surely draw, at a power factor of 1.

    Of an EVSE on three lines without neutral nobody knows how its car stands between them: it counts as in phase.
    """
    sums, lengths = [0j, 0j, 0j], ZERO
    for evse, bound in zip(evses, bounds, strict=True):
        if evse.shows_phases:
            lengths = plus(lengths, bound.least_a)
            weights = _weights(evse)
            for line in PHASES:
                sums[line] += weights[line] * bound.least_a[line]
    l1, l2, l3 = (abs(one) for one in sums)
    return upper(ZERO, minus(lengths, (l1, l2, l3)))


def _weights(evse: Evse) -> Weights:
    first, *others = evse.grid_phases
    return between(first, others[0]) if evse.is_between else to_neutral(*evse.grid_phases)
