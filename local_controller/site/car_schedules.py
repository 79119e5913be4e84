"""What does a car say that it will draw, and how much of that may a plan believe? (NotifyEVChargingSchedule, LC-148)

A car makes its schedule within the limits that it was offered, so most of it only repeats them: a plan that took that for the
car's own wish would never offer more. But where it stays well below the least that it was offered, it does not want that. So
much a plan reckons with in the hours to come. It bounds nothing now, and nobody's safety relies on it: the limits that a car is told, and what
is counted at fuses, know nothing of it.
"""

from __future__ import annotations

import math
from datetime import UTC, datetime
from itertools import pairwise
from typing import Final

from local_controller.profiles.schedule import Schedule
from local_controller.site.appetite import SPARE_A
from local_controller.site.evse import EvseState
from local_controller.station.words import EvseId
from optimizer.problem import Horizon

_ALWAYS: Final = datetime(9999, 1, 1, tzinfo=UTC)

Draws = tuple[tuple[float, float | None], ...]
"""POSIX seconds from which on a car draws at most so many A per phase; None: nothing is said."""


class CarSchedules:
    """Those of the running sessions."""

    def __init__(self) -> None:
        self._of: dict[EvseId, tuple[str, Draws]] = {}

    def told(self, state: EvseState, schedule: Schedule) -> bool:
        """A car has said something; whether a plan should know. What it says counts until it says something else, or its session ends."""
        session, id_ = state.session, state.evse.id
        if session is None:
            return False
        before = self.draws(state)
        self._of[id_] = session.transaction_id, tuple(_believed(schedule, _offered_a(state), state.csms))
        return self.draws(state) != before

    def draws(self, state: EvseState) -> Draws:
        """What the car of the running session has said."""
        transaction_id, draws = self._of.get(state.evse.id, ("", ()))
        is_here = state.session is not None and state.session.transaction_id == transaction_id
        return draws if is_here and any(most_a is not None for _, most_a in draws) else ()


def highest_a(draws: Draws, horizon: Horizon, at_s: float) -> list[float]:
    """The most that a car says it draws in each block of a plan; infinite where it says nothing, and in the first block."""
    blocks = [(at_s + start_s, at_s + end_s) for start_s, end_s in pairwise(horizon.edges_s)]
    return [math.inf, *(_highest_a(draws, *block) for block in blocks[1:])]


def _highest_a(draws: Draws, start_s: float, end_s: float) -> float:
    steps = [(-math.inf, None), *draws, (math.inf, None)]
    within = [most_a for (from_s, most_a), (until_s, _) in pairwise(steps) if from_s < end_s and until_s > start_s]
    return max(math.inf if most_a is None else most_a for most_a in within)


def _offered_a(state: EvseState) -> float:
    """The least that the station may have offered since its session began: its fallback follows each limit that is not renewed."""
    if state.session is None or state.fallback_a is None:
        return 0.0
    limits_a = [promise.limit_a for promise in state.session.may_apply]
    foreign_a = math.inf if state.foreign is None or state.foreign.most_a is None else state.foreign.most_a
    return min(state.fallback_a, state.ordered_a, foreign_a, *limits_a)


def _believed(schedule: Schedule, offered_a: float, csms: Schedule) -> list[tuple[float, float | None]]:
    ends = [at for at, _ in schedule.steps[1:]] + [_ALWAYS]
    steps = []
    for (start, most_a), end in zip(schedule.steps, ends, strict=True):
        csms_a = csms.lowest(start, end)
        least_a = offered_a if csms_a is None else min(offered_a, csms_a)
        is_own = most_a is not None and most_a <= least_a - SPARE_A
        steps.append((start.timestamp(), most_a if is_own else None))
    return steps
