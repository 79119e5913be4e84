"""What do the standings of all EVSEs mean together? A table that is rewritten where a standing is new.

Every reaction asks for all of them, hundreds of times what has changed since the last one; on arrays that costs little.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from local_controller.clock import Instant
from local_controller.site.asymmetry import balance_id, balances
from local_controller.site.evse import EvseState
from local_controller.site.per_phase import PHASES, PerPhase, on
from local_controller.site.standing import Standing
from local_controller.site.topology import Topology
from local_controller.site.worst_case import PRESENT_S
from optimizer.arrays import Array, Flags, Indexes

_FOLLOWS, _MIN, _CAP, _MODEST, _IS_MODEST, _WANTED, _PER_AMPERE, _ORDERED, _ENDS, _IS_SETTLED = range(10)
_EXPOSURE, _GOOD_FAITH = slice(10, 13), slice(13, 16)
_HOURS = PRESENT_S / 3600


class Place(NamedTuple):
    """An EVSE, its name in the optimizer's words, and the nodes that carry it (its own circuit first)."""

    state: EvseState
    key: str
    path: tuple[str, ...]


class Table:
    """All places of a site, in the order of its topology, and the rows (a phase of a node) that each may load.

    revision: rises whenever some EVSE loads other rows. ways: the nodes that carry each of them just now, and the asymmetry
    limits above it where it may be uneven.
    """

    def __init__(self, topology: Topology, places: Sequence[Place]) -> None:
        self.places = places
        self.revision = 0
        self.phases: list[tuple[int, ...]] = [()] * len(places)
        self._even_ways = [place.path for place in places]
        self._uneven_ways = [(*path, *_balances_on(path, topology)) for path in self._even_ways]
        self.ways = list(self._even_ways)
        self._nodes = [node.id for node in (*topology.nodes, *balances(topology))]
        self._carries = np.array([[float(node in way) for way in self._uneven_ways] for node in self._nodes])
        self._reserves = {
            row: topology.reserves_fallbacks(topology.node(str(node.parent)))
            for row, node in enumerate(balances(topology), start=len(topology.nodes))
        }
        self._seen: list[Standing | None] = [None] * len(places)
        self._values = np.zeros((len(places), _GOOD_FAITH.stop))

    def at(self, now: Instant) -> Flags:
        """Lets time pass for all; which of them follow just now."""
        for number, (place, seen) in enumerate(zip(self.places, self._seen, strict=True)):
            standing = place.state.stand(now)
            if standing is not seen:
                self._write(number, standing)
        follows: Flags = self._values[:, _FOLLOWS] > 0
        return follows

    def look(self, number: int, now: Instant) -> None:
        """Lets time pass for one of them."""
        standing = self.places[number].state.stand(now)
        if standing is not self._seen[number]:
            self._write(number, standing)

    def standing(self, number: int) -> Standing:
        """What the last look at one of them found."""
        standing = self._seen[number]
        if standing is None:
            raise ValueError("nobody has looked yet")
        return standing

    def _write(self, number: int, standing: Standing) -> None:
        self._seen[number] = standing
        if self.phases[number] != standing.phases:
            self.phases[number] = standing.phases
            self.revision += 1
        if self._reserves:
            self._balance(number, standing)
        self._values[number] = (
            standing.follows,
            standing.min_a,
            standing.cap_a,
            standing.modest_a,
            standing.is_modest,
            standing.wanted_wh,
            self.places[number].state.evse.line_v * _HOURS * len(standing.phases),
            standing.ordered_a,
            standing.ends_s,
            standing.is_settled,
            *standing.exposure,
            *on(standing.phases, standing.good_faith_a),
        )

    def _balance(self, number: int, standing: Standing) -> None:
        """Who may be uneven counts at the asymmetry limits; without a session only where there is room for all fallbacks."""
        uneven_way, is_idle = self._uneven_ways[number], self.places[number].state.session is None
        way = uneven_way if standing.is_uneven else self._even_ways[number]
        if self.ways[number] != way:
            self.ways[number] = way
            self.revision += 1
        for row, reserves in self._reserves.items():
            self._carries[row, number] = self._nodes[row] in way and (reserves or not is_idle)

    def uneven_way(self, number: int) -> tuple[str, ...]:
        """The nodes that would carry one of them if it loaded one phase more than another."""
        return self._uneven_ways[number]

    def exposures(self, among: Flags | None = None) -> dict[str, PerPhase]:
        """What may flow below each node at worst, of all or of some."""
        exposure = self._values[:, _EXPOSURE]
        return self._at_nodes(exposure if among is None else exposure * among[:, None])

    def good_faith(self, among: Flags | None = None) -> dict[str, PerPhase]:
        """What of that is there only because nothing measures what stations do; empty where that is nothing."""
        said_a = self._values[:, _GOOD_FAITH]
        said_a = said_a if among is None else said_a * among[:, None]
        return self._at_nodes(said_a) if said_a.any() else {}

    def fallbacks(self, of: Flags) -> dict[str, PerPhase]:
        """What some may draw on all phases that they may use, where each has its fallback."""
        phases = np.array([on(phases, 1.0) for phases in self.phases])
        return self._at_nodes(phases * (self._values[:, _MODEST] * of)[:, None])

    def phases_used(self, by: Flags) -> dict[str, tuple[int, ...]]:
        """Which phases of each node some may use."""
        used = self._at_nodes(np.array([on(phases, 1.0) for phases in self.phases]) * by[:, None])
        return {node: tuple(phase for phase in PHASES if cars[phase] > 0) for node, cars in used.items()}

    def _at_nodes(self, each_a: Array) -> dict[str, PerPhase]:
        sums = (self._carries @ each_a).tolist()
        return {node: (l1, l2, l3) for node, (l1, l2, l3) in zip(self._nodes, sums, strict=True)}

    @property
    def exposure_a(self) -> Array:
        """What each place may draw at worst, (places, phases)."""
        return self._values[:, _EXPOSURE].copy()

    def sum_a(self, node: str, each_a: Array) -> PerPhase:
        """What flows at a node if the places draw this, (places, phases)."""
        l1, l2, l3 = (self._carries[self._nodes.index(node)] @ each_a).tolist()
        return l1, l2, l3

    def below(self, nodes: set[str]) -> Flags:
        """Which places one of these nodes carries."""
        if not nodes:
            return np.zeros(len(self.places), dtype=bool)
        found: Flags = np.array([float(node in nodes) for node in self._nodes]) @ self._carries > 0
        return found

    def of(self, numbers: Indexes) -> Columns:
        """Some of the places."""
        values = self._values[numbers]
        return Columns(
            values[:, _MIN],
            values[:, _CAP],
            values[:, _MODEST],
            values[:, _IS_MODEST] > 0,
            values[:, _WANTED],
            values[:, _PER_AMPERE],
            values[:, _ORDERED],
            values[:, _ENDS],
            values[:, _IS_SETTLED] > 0,
        )


def _balances_on(path: Sequence[str], topology: Topology) -> Sequence[str]:
    return [balance_id(node) for node in path if topology.node(node).asymmetry_a is not None]


class Columns(NamedTuple):
    """The like-named fields of `Standing`, one entry per EVSE. per_ampere_wh: what an ampere brings in `PRESENT_S`."""

    min_a: Array
    cap_a: Array
    modest_a: Array
    is_modest: Flags
    wanted_wh: Array
    per_ampere_wh: Array
    ordered_a: Array
    ends_s: Array
    is_settled: Flags
