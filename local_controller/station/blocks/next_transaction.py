"""What may a transaction draw that begins at any time, perhaps unseen? Its Relative profiles begin with it (LC-093).

At every instant one profile of a purpose leads: one of those that are not Relative, or a Relative one, in whichever of
its periods. So the lowest of what all the stores here allow is safe whenever the transaction begins.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from dataclasses import replace
from datetime import datetime

from local_controller.profiles.bound import bound_of
from local_controller.profiles.composite import Allowed, allowed
from local_controller.profiles.context import Context
from local_controller.profiles.installed import Installed, InstalledProfiles
from local_controller.profiles.profile import (
    ALL_PHASES,
    ChargingProfile,
    ChargingSchedule,
    Kind,
    Purpose,
    SchedulePeriod,
)
from local_controller.profiles.units import RateUnit


def stores_of_any_start(profiles: InstalledProfiles, start: datetime, end: datetime) -> tuple[InstalledProfiles, ...]:
    """For any transaction that begins in [start, end): the profiles without Relative ones, and with each of these.

    A Relative one is in the lowest of its periods that can be reached, and in one of the fewest phases, for as long as it
    is valid.
    """
    fixed = tuple(entry for entry in profiles if entry.profile.kind is not Kind.RELATIVE)
    relative = (
        held for entry in profiles if entry.profile.kind is Kind.RELATIVE for held in _at_its_lowest(entry, start, end)
    )
    return (InstalledProfiles(fixed), *(InstalledProfiles((*fixed, entry)) for entry in relative))


def of_awaited(
    profiles: Iterable[ChargingProfile], context: Context, span: tuple[datetime, datetime]
) -> Iterator[Allowed]:
    """What each of these TxProfiles allows a transaction that begins at any time in this span, however full its car is."""
    start, end = span
    context = Context(
        context.evse,
        nominal_voltage_v=context.nominal_voltage_v,
        time_zone=context.time_zone,
        soc_percent=100.0,
    )
    for profile in profiles:
        default = replace(profile, purpose=Purpose.TX_DEFAULT_PROFILE, transaction_id=None)
        for store in stores_of_any_start(InstalledProfiles((Installed(context.evse, default),)), start, end):
            yield allowed(store, context, start, (end - start).total_seconds())


def _at_its_lowest(entry: Installed, start: datetime, end: datetime) -> Iterator[Installed]:
    """The same with one period for all its time: the lowest of all its schedules, and one of the fewest phases."""
    profile, context = entry.profile, Context(entry.evse)
    last = end if profile.valid_to is None else min(end, profile.valid_to)
    reach_s = (last - start).total_seconds()
    told = [(schedule, period) for schedule in profile.schedules for period in _reached(schedule, reach_s)]
    if not told:
        return
    lowest = min(told, key=lambda one: _drawn_a(one[0], one[1], context))
    narrowest = min(told, key=lambda one: one[1].number_phases or ALL_PHASES)
    yield _held(entry, *lowest)
    if (narrowest[1].number_phases or ALL_PHASES) < (lowest[1].number_phases or ALL_PHASES):
        yield _held(entry, *narrowest)


def _held(entry: Installed, schedule: ChargingSchedule, period: SchedulePeriod) -> Installed:
    """The same with this period for all its time."""
    always = replace(schedule, periods=(replace(period, start_s=0),), duration_s=None, randomized_delay_s=None)
    return entry._replace(profile=replace(entry.profile, schedules=(always,)))


def _reached(schedule: ChargingSchedule, within_s: float) -> list[SchedulePeriod]:
    ends_s = within_s if schedule.duration_s is None else min(within_s, schedule.duration_s)
    return [period for period in schedule.periods if period.start_s < ends_s]


def _drawn_a(schedule: ChargingSchedule, period: SchedulePeriod, context: Context) -> float:
    drawn_a = bound_of(schedule, period, context, RateUnit.A).drawn
    return math.inf if drawn_a is None else drawn_a
