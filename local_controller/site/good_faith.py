"""At which nodes is a station relied on that never measures, and only said that its car may draw less?

Its word is no proof: what its car was told before counts on, its fallback at least. But what such a car draws is in what the
meter of a node shows, and explains nothing there (`WorstCase.draw_bounds`), so it counts as other load from the first reading. What is
kept free besides is for what it may *begin* to draw in spite of its word: an oven that is switched on, seen by the next
reading, and others make room. Until they have, the fuse bears it, and so much is relied on and no more (goal G4):

* where a meter that is read measures the node, and currents add up;
* where no limit holds for the cars alone, which no meter would see exceeded;
* as far as fuse and limit leave room for it below `borne_times` the rating.

Everywhere else all of it is kept.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import Final, NamedTuple

from local_controller.clock import Instant
from local_controller.site.capacity import Capacity
from local_controller.site.overload import STOP_S
from local_controller.site.per_phase import ZERO, PerPhase, lower, minus, plus, upper
from local_controller.site.topology import FuseType
from local_controller.site.tree import Tree

LOWERED_S: Final = 26.0
"""From a reading to the effect at the last car, at worst: 8 s for an answer under way, 8 s for the own one, 10 s for the car."""

HIGH: Final = 1.2
"""Times its rating, which a fuse should not bear for longer than 10 s (goal G4)."""

METER_ERROR: Final = 0.02
"""Of the rating: what a meter of class 1 and its transformers may show too little."""


class GoodFaith(NamedTuple):
    """What is relied on at each node.

    said: by how much less may flow if stations do what they said. unheard: what counts twice, as a draw and as another load
    (`Capacity.unheard_a`). borne: how much of both is relied on.
    """

    said: Mapping[str, PerPhase] = MappingProxyType({})
    unheard: Mapping[str, PerPhase] = MappingProxyType({})
    borne: Mapping[str, PerPhase] = MappingProxyType({})

    @property
    def relied_a(self) -> dict[str, PerPhase]:
        """What does not count at each node; empty where nobody is relied on."""
        return {node: lower(plus(self._said_a(node), self.unheard[node]), a) for node, a in self.borne.items()}

    @property
    def kept_a(self) -> dict[str, PerPhase]:
        """What counts of `said`: what is borne of it when all that counts twice is."""
        return {
            node: minus(self._said_a(node), lower(self._said_a(node), upper(ZERO, minus(a, self.unheard[node]))))
            for node, a in self.borne.items()
        }

    def kept_beside(self, fallbacks: Mapping[str, PerPhase]) -> dict[str, PerPhase]:
        """What counts of such fallbacks."""
        return {node: upper(ZERO, minus(fallbacks[node], a)) for node, a in self.borne.items()}

    def _said_a(self, node: str) -> PerPhase:
        return self.said.get(node, ZERO)


def good_faith(said: Mapping[str, PerPhase], tree: Tree, capacities: Iterable[Capacity], now: Instant) -> GoodFaith:
    """What is relied on just now, where there are cars that nobody measures."""
    at = list(capacities)
    return GoodFaith(said, {one.node: one.unheard_a for one in at}, {one.node: _borne_a(one, tree, now) for one in at})


def _borne_a(room: Capacity, tree: Tree, now: Instant) -> PerPhase:
    """What a node bears above its limit until it is seen and others have made room."""
    state = tree.nodes.get(room.node)  # none of an asymmetry limit
    if state is None or room.charging is not None or not tree.topology.adds_up:
        return ZERO
    if state.meter is None or state.measured_a(now) is None:
        return ZERO
    times = borne_times(state.node.fuse_type, state.meter.watch.ladder.stale_s)
    l1, l2, l3 = (times * rating_a for rating_a in state.node.rating_a)
    return upper(ZERO, minus((l1, l2, l3), room.ceiling.limit_a))


def borne_times(fuse: FuseType, unseen_s: float) -> float:
    """Times its rating that a fuse bears until cars are lowered, if its meter falls silent in that moment and is believed for so long.

    Below `HIGH`, and S stays below what cars are lowered for (`overload.STOP_S`).
    """
    return min(HIGH, math.sqrt(1.0 + STOP_S[fuse] / (unseen_s + LOWERED_S))) - METER_ERROR
