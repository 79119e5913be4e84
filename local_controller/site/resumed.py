"""What may a car keep that went on charging while we were not there, until all that the meter shows has a name?

After a start a meter shows what all cars draw before their stations have told of them: for a while their currents count as
other loads and as what they may draw. By that sum hardly anything fits. But whoever charges does so under a limit for which
there was room, and the meter shows that all of it fits together: as long as it does, nobody is lowered below what it drew
when it was found.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from functools import cache
from typing import Final

from local_controller.clock import Instant
from local_controller.site.capacity import Capacity, Left, NodeState
from local_controller.site.evse import EvseState
from local_controller.site.known_evse import SAMPLE_MAX_AGE_S
from local_controller.site.limits import AppliesTo
from local_controller.site.per_phase import lower, minus

KEPT_S: Final = SAMPLE_MAX_AGE_S
"""By then every station has measured its car again after all were found, so that all of it has a name."""


Fits = Callable[[tuple[str, ...], tuple[int, ...]], bool]
"""Whether all that the nodes of a way carry fits on these phases. The way is as `Table.ways`."""


def what_fits(
    nodes: Mapping[str, NodeState], capacities: Mapping[str, Capacity], left: Left, tolerance_a: float, now: Instant
) -> Fits:
    """As one reaction sees the site; looked up once for all cars that a node carries, and for all on the same way."""

    @cache
    def fits_node(node: str, phases: tuple[int, ...]) -> bool:
        return _spare_a(nodes[node], capacities[node], left, phases, now) >= -tolerance_a

    @cache
    def fits(way: tuple[str, ...], phases: tuple[int, ...]) -> bool:
        return all(fits_node(node, phases) for node in way)

    return fits


def was_found(state: EvseState, now: Instant) -> bool:
    """Whether its car went on charging without us, and it was found not long ago."""
    session = state.session
    return session is not None and session.is_found and now.since(session.started_at) <= KEPT_S


def kept_a(state: EvseState, way: tuple[str, ...], fits: Fits) -> float:
    """Amperes per phase below which a car that was found is not lowered just now; 0 if that does not fit."""
    return _found_a(state) if fits(way, state.phases()) else 0.0


def _found_a(state: EvseState) -> float:
    """What it drew when it was found (its fallback, if it has not been measured since), unless it was lowered meanwhile."""
    found_a = None if state.session is None else state.session.found_a
    return min(state.ordered_a, state.modest_a if found_a is None else found_a)


def _spare_a(node: NodeState, capacity: Capacity, left: Left, phases: Iterable[int], now: Instant) -> float:
    """What is left at a node, on the worst of these phases: as its meter shows it, else with all at their worst.

    A limit on the cars alone knows no other loads: there nothing is counted twice.
    """
    left_a, measured_a = left.per_phase[capacity.node], node.measured_a(now)
    if measured_a is None:
        spare, together_a = left_a, left.together.get(capacity.node, math.inf)
    else:
        together_a = _spare_together_a(node, capacity, left)
        spare = minus(minus(capacity.ceiling.limit_a, node.node.margin_a), measured_a)
        if capacity.charging is not None:
            worst_a = minus(capacity.available_a, left_a)
            spare = lower(spare, minus(capacity.charging.limit_a, worst_a))
    return min(together_a, *(spare[phase] for phase in phases))


def _spare_together_a(node: NodeState, capacity: Capacity, left: Left) -> float:
    """The same of all phases together, where watts are limited."""
    if (scarcest := capacity.together) is None:
        return math.inf
    worst_a, measured_a = scarcest.available_a - left.together[capacity.node], node.all_phases.measured_a
    return min(
        one.available_a - worst_a if one.applies_to is AppliesTo.CHARGING else one.limit_a - one.margin_a - measured_a
        for one in capacity.watts
    )
