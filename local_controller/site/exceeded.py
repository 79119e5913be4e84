"""Which limits of a site are exceeded just now? As meters show it; by worst cases where none does."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from local_controller.clock import Instant
from local_controller.site.capacity import Capacity, Left, NodeState
from local_controller.site.evse import EvseState
from local_controller.site.limits import AppliesTo
from local_controller.site.per_phase import PerPhase, total
from local_controller.site.together import TOGETHER


class Over(NamedTuple):
    """A limit that is exceeded: of which node, on which phase (or TOGETHER), by how many amperes.

    is_metered: a meter shows it.
    """

    node: str
    label: str
    phase: int
    by_a: float
    is_metered: bool

    def of(self, drawn_a: PerPhase) -> float:
        """How much of a draw counts there."""
        return sum(drawn_a) if self.phase == TOGETHER else drawn_a[self.phase]


@dataclass(frozen=True, slots=True)
class Exceeded:
    """What is exceeded at a moment by more than `tolerance_a`. below: the EVSEs that a node carries."""

    nodes: Mapping[str, NodeState]
    capacities: Mapping[str, Capacity]
    left: Left
    below: Callable[[str], Sequence[EvseState]]
    tolerance_a: float

    def most(self, path: Sequence[str], phases: Sequence[int], now: Instant) -> Over | None:
        """The most exceeded limit on a way to the grid."""
        found = [over for node in path for over in self._at(node, phases, now) if over.by_a > self.tolerance_a]
        return max(found, key=lambda over: over.by_a, default=None)

    def _at(self, node: str, phases: Sequence[int], now: Instant) -> Iterator[Over]:
        state, room = self.nodes[node], self.capacities[node]
        label = state.node.label
        measured_a = state.measured_a(now)
        if measured_a is None:
            yield from (Over(node, label, phase, -self.left.per_phase[node][phase], False) for phase in phases)
            yield Over(node, label, TOGETHER, -self.left.together.get(node, 0.0), False)
            return
        yield from (Over(node, label, p, measured_a[p] - room.ceiling.limit_a[p], True) for p in phases)
        for watts in room.watts:
            if watts.applies_to is AppliesTo.TOTAL:
                yield Over(node, label, TOGETHER, state.all_phases.measured_a - watts.limit_a, True)
        yield from self._charging(node, phases, now)

    def _charging(self, node: str, phases: Sequence[int], now: Instant) -> Iterator[Over]:
        """Limits of the cars alone, by what their stations measure."""
        room = self.capacities[node]
        watts = [one.available_a for one in room.watts if one.applies_to is AppliesTo.CHARGING]
        if room.charging is None and not watts:
            return
        label = self.nodes[node].node.label
        drawn_a = total(evse.stand(now).bounds.least_a for evse in self.below(node))
        if room.charging is not None:
            limit_a = room.charging.limit_a
            yield from (Over(node, label, phase, drawn_a[phase] - limit_a[phase], False) for phase in phases)
        yield from (Over(node, label, TOGETHER, sum(drawn_a) - available_a, False) for available_a in watts)
