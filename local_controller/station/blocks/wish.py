"""What does the site want of a transaction? So much, so long, on so many phases."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime
from typing import NamedTuple

from local_controller.profiles.schedule import Schedule


class OnPhases(NamedTuple):
    """On how many phases, and on which one; None to say nothing of that."""

    phases: int | None = None
    phase_to_use: int | None = None

    def during(self, start: datetime, end: datetime) -> Schedule:
        """The phases in [start, end)."""
        return Schedule() if self.phases is None else Schedule.constant(float(self.phases), start, end)


ANY_PHASES = OnPhases()


@dataclass(slots=True)
class Wish:
    """What the site wants of a transaction until `until` (our clock: the station's may be set); new until sent once."""

    limit_a: float
    until: datetime
    is_urgent: bool
    is_new: bool = True
    on: OnPhases = ANY_PHASES


def no_higher(wish: Wish | None, limit_a: float) -> Wish | None:
    """An earlier wish that goes on, as the site wants no more than this by now."""
    return wish if wish is None or wish.limit_a <= limit_a else replace(wish, limit_a=limit_a)
