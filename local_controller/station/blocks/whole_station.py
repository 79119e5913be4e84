"""What may the whole station be told, if a limit goes to all its EVSEs at once? The lowest of what each should hold.

One stack divides a station maximum among its connectors, another applies it to each of them (LC-117). The lowest is
safe either way. An EVSE without a transaction counts with its floor, because a car that comes would find the maximum in
force; where the station is known to apply it to its sum, that car takes from the others, and only they count.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from functools import reduce

from msgspec.structs import replace

from local_controller.profiles.schedule import Schedule
from local_controller.station.blocks.actuator import InWatts, Target


def lowest_floor(target: Target, others: Sequence[Target]) -> Target:
    """The floor of all; the working limit stays its own."""
    phases = [one.floor_phases for one in (target, *others) if one.floor_phases is not None]
    lowest_a = min(target.fallback_a, *(other.fallback_a for other in others))
    return replace(target, fallback_a=lowest_a, floor_phases=min(phases, default=None))


def lowest_of_all(target: Target, others: Sequence[Target], *, idle_count: bool) -> Target:
    """One target that is safe for every EVSE. `idle_count`: those without a transaction keep it at their floor."""
    lowest = lowest_floor(target, others)
    if target.working is None:
        return lowest
    counting = [
        other for other in others if other.working is not None or other.transaction_id is not None or idle_count
    ]
    start = target.working.steps[0][0]
    end = max(t.working.steps[-1][0] for t in (target, *counting) if t.working is not None)
    working, fewer = _whole(target, start, end), _whole_fewer(target, start, end)
    for other in counting:
        working = working.minimum(_whole(other, start, end))
        fewer = fewer.minimum(_whole_fewer(other, start, end))
    in_watts = _in_watts_of_all(target, others, counting)
    return replace(lowest, working=working, fewer=fewer, in_watts=in_watts)


def _in_watts_of_all(target: Target, others: Sequence[Target], counting: Sequence[Target]) -> InWatts:
    """The fewest phases, the fewest lines with the strongest hardware on each, and the least of what the CSMS allows."""
    own, told = target.in_watts, [t.in_watts for t in (target, *counting) if t.working is not None]
    all_told = [t.in_watts for t in (target, *others)]
    return replace(
        own,
        phases=min((one.phases for one in told), default=1),
        lines=min(one.lines for one in all_told),
        full_a=max(one.full_a for one in all_told),
        most_w=reduce(Schedule.minimum, (one.in_watts.most_w for one in counting), own.most_w),
    )


def _whole_fewer(target: Target, start: datetime, end: datetime) -> Schedule:
    """The phases that it may use in [start, end): those of the working limit, then of its floor."""
    since = start if target.working is None else target.working.steps[-1][0]
    if target.floor_phases is None or since >= end:
        return target.fewer
    return target.fewer.minimum(Schedule.constant(target.floor_phases, since, end))


def _whole(target: Target, start: datetime, end: datetime) -> Schedule:
    """Its limit in [start, end): the working one, then its floor."""
    floor = Schedule.constant(target.fallback_a, start, end)
    if target.working is None:
        return floor
    first, last = target.working.steps[0][0], target.working.steps[-1][0]
    pieces: list[tuple[datetime, datetime, float | None]] = [(start, first, target.fallback_a)] if start < first else []
    pieces += [(s.start, s.end, s.limit_a) for s in target.working.segments(max(start, first), last)]
    pieces += [(last, end, target.fallback_a)] if last < end else []
    return Schedule.of(pieces)
