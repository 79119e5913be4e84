"""What is there for cars beside those that nobody measures, and for these?

Such a car's draw is in what the meter of a node shows, and nobody can tell it from the building's. So it counts as another load, and up to
what it may draw on top of that; or, while it is paused, as what it falls back to (`site.good_faith`). That is kept from others. It is not
kept from the car itself, which would else make room for its own draw.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from local_controller.site.capacity import Capacity, Left
from local_controller.site.good_faith import GoodFaith
from local_controller.site.limits import AppliesTo
from local_controller.site.per_phase import PHASES, PerPhase, equal, lower, minus, only

_ENDLESS: Final = equal(math.inf)


@dataclass(frozen=True, slots=True)
class Beside:
    """once: the room where such a car counts once, be it seated or not; twice: where a meter sees it too. Endless where there is none.

    all_a: what all such cars fall back to at each node; kept: what of that the fuse does not bear, where they count twice.
    """

    once: Left
    twice: Left
    all_a: Mapping[str, PerPhase]
    kept: Left

    @property
    def for_others(self) -> Left:
        """What is there for others if all such cars pause."""
        return self.with_seats(self.all_a, dict.fromkeys(self.all_a, PHASES))

    def with_seats(self, idle_a: Mapping[str, PerPhase], others: Mapping[str, tuple[int, ...]]) -> Left:
        """What is there for all that have a seat. idle_a: what those fall back to that have none; others: on which phases anybody else has one."""
        per_phase = {}
        for node, here in others.items():
            once_a = minus(self.once.per_phase[node], only(here, idle_a[node]))
            per_phase[node] = lower(once_a, minus(self.twice.per_phase[node], only(here, self.kept.per_phase[node])))
        together = {}
        for node, left_a in self.once.together.items():
            idle, kept_a = (sum(idle_a[node]), self.kept.together[node]) if others[node] else (0.0, 0.0)
            together[node] = min(left_a - idle, self.twice.together[node] - kept_a)
        return Left(per_phase, together)


def beside(
    capacities: Sequence[Capacity], reserved: Mapping[str, PerPhase], faith: GoodFaith, all_a: Mapping[str, PerPhase]
) -> Beside:
    """What is kept of `all_a` for all cars that nobody measures. reserved: what is not there for anybody."""
    once, twice = {}, {}
    once_w, twice_w, kept_w = {}, {}, {}
    for one in capacities:
        in_all_a, of_cars_a = one.within_total_a, _ENDLESS if one.charging is None else one.charging.limit_a
        ways = (of_cars_a, in_all_a) if one.is_metered else (lower(of_cars_a, in_all_a), _ENDLESS)
        once[one.node], twice[one.node] = (minus(way, reserved[one.node]) for way in ways)
        if (watts := one.together) is not None:
            left_a, is_seen = watts.reckoned_a - sum(reserved[one.node]), watts.applies_to is AppliesTo.TOTAL
            counts_twice = is_seen and one.is_metered
            once_w[one.node], twice_w[one.node] = (math.inf, left_a) if counts_twice else (left_a, math.inf)
            kept_w[one.node] = sum(all_a[one.node])
    return Beside(Left(once, once_w), Left(twice, twice_w), all_a, Left(faith.kept_beside(all_a), kept_w))
