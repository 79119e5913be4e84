"""What do the profiles of one purpose say when? Of those that say something, the one of the highest stack level leads."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple, TypeVar

from local_controller.profiles.activity import Timeline, validity
from local_controller.profiles.bound import Bound, bound_of
from local_controller.profiles.context import Context
from local_controller.profiles.installed import Installed
from local_controller.profiles.lines import NOTHING, Line, Window, clipped, has_gap, over
from local_controller.profiles.profile import ChargingSchedule, SchedulePeriod
from local_controller.profiles.units import RateUnit

_T = TypeVar("_T")


class Lead(NamedTuple):
    """The profile that leads its purpose, and the period of which of its schedules that runs."""

    entry: Installed
    schedule: ChargingSchedule
    period: SchedulePeriod


class Asked(NamedTuple):
    """What is asked of the profiles: the window and the unit; choice: which of alternative schedules (ISO 15118)."""

    window: Window
    unit: RateUnit
    choice: int = 0


def bounds(ranked: Sequence[Installed], context: Context, asked: Asked) -> Line[Bound | None]:
    """What the profiles of one purpose, by `by_rank`, allow."""

    def bound(lead: Lead) -> Bound:
        return bound_of(lead.schedule, lead.period, context, asked.unit)

    return leads(ranked, context, asked, bound)


def leads(ranked: Sequence[Installed], context: Context, asked: Asked, value: Callable[[Lead], _T]) -> Line[_T | None]:
    """Who leads, as `value` shows it. One with a gap leaves the lead to the next (2.1 K 3.6; 1.6 errata 3.43)."""
    found: Line[_T | None] = NOTHING
    for entry in ranked:
        line = _line(entry, context, asked, value)
        found = line if found is NOTHING else over(found, line)
        if not has_gap(found):
            break
    return found


def by_rank(entries: Iterable[Installed]) -> list[Installed]:
    """By stackLevel (K01.FR.17); at the same level the EVSE's own profile precedes a station-wide one (1.6)."""
    return sorted(entries, key=lambda entry: (entry.profile.stack_level, entry.evse != 0), reverse=True)


def _line(entry: Installed, context: Context, asked: Asked, value: Callable[[Lead], _T]) -> Line[_T | None]:
    """What one profile says while it is valid. Each period is looked at once, however often it runs."""
    profile, (window, _, choice) = entry.profile, asked
    begin_us, stop_us = validity(profile, context, window)
    if begin_us >= min(stop_us, window.span_us):
        return [(0, None)]
    schedule = profile.schedules[min(choice, len(profile.schedules) - 1)]  # 1 goes with 1, 2 with 2 (K15.FR.22)
    timeline = Timeline.of(profile, schedule, context)
    seen: dict[int, _T] = {}
    line: list[tuple[int, _T | None]] = []
    for at, number in timeline.line(window):
        if number is None:
            line.append((at, None))
            continue
        if number not in seen:
            seen[number] = value(Lead(entry, schedule, timeline.periods[number]))
        line.append((at, seen[number]))
    return line if begin_us <= 0 and stop_us == math.inf else clipped(line, begin_us, stop_us, window.span_us)
