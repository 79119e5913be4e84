"""What do the profiles of one purpose say at an instant? The leading profile, and its period as a bound in one unit."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from functools import reduce
from typing import NamedTuple

from local_controller.profiles.activity import Timeline, is_valid, validity_edges
from local_controller.profiles.context import Context
from local_controller.profiles.installed import Installed
from local_controller.profiles.profile import ChargingProfile, ChargingSchedule, OperationMode, SchedulePeriod
from local_controller.profiles.schedule import lower
from local_controller.profiles.units import RateUnit, converted


class Bound(NamedTuple):
    """What one or several profiles say at an instant. `limit` None: no constraint; `phases` None: nobody says."""

    limit: float | None = None
    phases: int | None = None

    def and_(self, other: Bound) -> Bound:
        """Both hold: the lowest limit (SC.01) on the lowest number of phases (K01.FR.140)."""
        if other is FREE:
            return self
        if self is FREE:
            return other
        phases = min((n for n in (self.phases, other.phases) if n is not None), default=None)
        return Bound(lower(self.limit, other.limit), phases)

    def plus(self, extra: Bound) -> Bound:
        """More capacity on top of a limit (LocalGeneration, K08.FR.04)."""
        return self if self.limit is None or extra.limit is None else self._replace(limit=self.limit + extra.limit)


FREE = Bound()
"""No profile says anything."""


class Leader(NamedTuple):
    """The candidates of one purpose in order of rank, for limits in `unit`."""

    candidates: tuple[tuple[ChargingProfile, tuple[Timeline, ...]], ...]
    context: Context
    unit: RateUnit

    @classmethod
    def of(cls, entries: Iterable[Installed], context: Context, unit: RateUnit, asked_at: datetime) -> Leader:
        """Ranked by stackLevel (K01.FR.17); at the same level the EVSE's own profile precedes a station-wide one (1.6)."""
        ranked = sorted(entries, key=lambda entry: (entry.profile.stack_level, entry.evse != 0), reverse=True)
        return cls(tuple((e.profile, _timelines(e.profile, context, asked_at)) for e in ranked), context, unit)

    def at(self, t: datetime) -> Bound | None:
        """What the first candidate says that is valid and has an active period; None if there is none.

        One with a gap here leaves the lead to the next (2.1 K 3.6; 1.6 errata 3.43).
        """
        for profile, timelines in self.candidates:
            if len(timelines) == 1:
                period = timelines[0].at(t)
                if period is not None and is_valid(profile, self.context, t):
                    return _bound(timelines[0].schedule, period, self)
                continue
            active = [(line.schedule, period) for line in timelines if (period := line.at(t)) is not None]
            if active and is_valid(profile, self.context, t):
                return reduce(Bound.and_, (_bound(schedule, period, self) for schedule, period in active))
        return None

    def edges(self, start: datetime, end: datetime) -> set[datetime]:
        """Every instant inside (start, end) at which `at` may change."""
        found: set[datetime] = set()
        for profile, timelines in self.candidates:
            found.update(validity_edges(profile, self.context, start, end))
            found.update(edge for line in timelines for edge in line.edges(start, end))
        return found


def _timelines(profile: ChargingProfile, context: Context, asked_at: datetime) -> tuple[Timeline, ...]:
    """The schedule that the car chose; all alternatives, of which the lowest counts, while the choice is unknown."""
    chosen = () if context.chosen_schedule is None else profile.schedules[context.chosen_schedule :][:1]
    return tuple(Timeline.of(profile, schedule, context, asked_at) for schedule in chosen or profile.schedules)


def _bound(schedule: ChargingSchedule, period: SchedulePeriod, leader: Leader) -> Bound:
    context = leader.context
    phases = period.number_phases if period.number_phases in {1, 2, 3} else context.default_phases  # some say -1

    def wanted(limit: float, phases: int) -> float:
        if schedule.rate_unit is leader.unit:
            return limit
        return converted(limit, schedule.rate_unit, leader.unit, phases=phases, voltage_v=context.nominal_voltage_v)

    each_phase = _limits_of_phases(period)
    if len(each_phase) == 1:
        limit = wanted(each_phase[0], phases)
    elif each_phase:
        in_unit = [wanted(value, 1) for value in each_phase]
        limit = min(in_unit) if leader.unit is RateUnit.A else sum(in_unit)
    else:
        limit = None
    cap = _cap_at_soc(schedule, context.soc_percent)
    limit = limit if cap is None else lower(limit, wanted(cap, phases))
    return Bound(None if limit is None else max(0.0, limit), phases)


def _limits_of_phases(period: SchedulePeriod) -> list[float]:
    """What may be imported, in the schedule's unit: one value for all phases, or one for each of L1, L2, L3.

    Empty if the period's operation mode leaves the limit to somebody else. A setpoint is followed, so it limits too
    (K08.FR.08), and a discharging one allows no import. Idle transfers nothing.
    """
    if period.operation_mode is OperationMode.IDLE:
        return [0.0]
    if period.is_plain:
        return [] if period.limit is None else [period.limit]
    pairs = [
        (period.limit, period.setpoint),
        (period.limit_l2, period.setpoint_l2),
        (period.limit_l3, period.setpoint_l3),
    ]
    limits = (lower(limit, None if setpoint is None else max(0.0, setpoint)) for limit, setpoint in pairs)
    return [limit for limit in limits if limit is not None]


def _cap_at_soc(schedule: ChargingSchedule, soc_percent: float | None) -> float | None:
    """The limit of limitAtSoC from its state of charge on; an unavailable one counts as below (K01.FR.100)."""
    at_soc = schedule.limit_at_soc
    return None if at_soc is None or soc_percent is None or soc_percent < at_soc.soc_percent else at_soc.limit
