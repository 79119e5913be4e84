"""What may be drawn when, given all installed profiles? The composite schedule.

The leading profiles of the purposes are merged by their minimum (OCPP 2.1 Part 2 K 3.6, K08.FR.04; 1.6 ch. 3.13).
Every purpose becomes one line over the window that is asked for, and lines are merged step by step.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import reduce
from itertools import groupby, pairwise, takewhile
from typing import NamedTuple

from local_controller.profiles.bound import (
    FREE,
    Bound,
    More,
    added,
    as_drawn,
    both,
    bound_of_limit,
    lower_of,
    plain,
    with_extra,
)
from local_controller.profiles.context import Context, StationContext
from local_controller.profiles.installed import Installed, InstalledProfiles
from local_controller.profiles.leading import Asked, bounds, by_rank
from local_controller.profiles.lines import NOTHING, Line, Window, combined, has_gap, over
from local_controller.profiles.profile import Purpose
from local_controller.profiles.rates import mapped
from local_controller.profiles.schedule import Schedule, lost_by_joining, lower, merged_down
from local_controller.profiles.units import RateUnit, round_down


def composite(installed: InstalledProfiles, context: Context, start: datetime, horizon_s: float) -> Schedule:
    """Amperes per phase that the profiles allow at one EVSE in [start, start + horizon); no constraint outside.

    For id 0 use `composite_station`. Where no profile contributes there is no constraint (K06.FR.02): applying the
    hardware maximum is the caller's business.
    """
    if not installed.entries:
        return Schedule.unlimited()
    window = Window.of(start, horizon_s)
    return _schedule(_evse(installed, context, RateUnit.A, window), window)


class Allowed(NamedTuple):
    """What may be drawn when: amperes per phase, and on how many phases where that is fewer than usual.

    watts: of all phases together; worked out where an EVSE is told watts.
    """

    limit: Schedule
    phases: Schedule
    watts: Schedule = Schedule.unlimited()

    def within(self, other: Allowed) -> Allowed:
        """The lower of both at every instant."""
        return Allowed(*(mine.minimum(others) for mine, others in zip(self, other, strict=True)))

    def on_all_phases(self, used: int) -> Allowed:
        """The same power for a car that stays on so many phases, whatever it is told of them."""
        if not self.phases.steps:
            return self
        instants = sorted({moment for schedule in (self.limit, self.phases) for moment, _ in schedule.steps})
        steps = [(moment, self._spread_a(moment, used)) for moment in instants]
        return self._replace(limit=Schedule(tuple(steps)), phases=Schedule())

    def _spread_a(self, moment: datetime, used: int) -> float | None:
        limit_a, phases = self.limit.at(moment), self.phases.at(moment)
        return limit_a if limit_a is None or phases is None else limit_a * min(1.0, phases / used)


FREE_OF_LIMITS = Allowed(Schedule.unlimited(), Schedule.unlimited())
"""Nobody limits anything."""


def allowed(installed: InstalledProfiles, context: Context, start: datetime, horizon_s: float) -> Allowed:
    """The same as `composite`, with the phases that the profiles allow (numberPhases, K01.FR.140)."""
    if not installed.entries:
        return FREE_OF_LIMITS
    window = Window.of(start, horizon_s)
    line = _evse(installed, context, RateUnit.A, window)
    fewer = _fewer_phases(line, window, context.default_phases)
    if context.told_in_watts is None:
        return Allowed(_schedule(line, window), fewer)
    in_watts = _evse(installed, context, RateUnit.W, window)
    return Allowed(_schedule(line, window), fewer, _schedule(in_watts, window))


def composite_station(
    installed: InstalledProfiles, station: StationContext, start: datetime, horizon_s: float
) -> Schedule:
    """Amperes per phase that the profiles allow the station as a whole, otherwise like `composite`.

    The currents of its EVSEs are added as if all used the same phases. An EVSE without constraint counts with its
    hardware maximum; if that is unknown, only the station-wide limits count.
    """
    window = Window.of(start, horizon_s)
    return _schedule(_station(installed, station, RateUnit.A, window), window)


def answer(
    installed: InstalledProfiles, context: Context, unit: RateUnit, start: datetime, horizon_s: float
) -> CompositeSchedule:
    """What a station answers to GetCompositeSchedule for one EVSE, in `unit` and with phases.

    Where no profile limits, it reports the hardware maximum (limit None only if that is unknown).
    """
    window = Window.of(start, horizon_s)
    return _answer(_evse(installed, context, unit, window), window, context, unit)


def answer_station(
    installed: InstalledProfiles, station: StationContext, unit: RateUnit, start: datetime, horizon_s: float
) -> CompositeSchedule:
    """What a station answers for id 0: what it expects to take from the grid (K08.FR.03)."""
    window = Window.of(start, horizon_s)
    return _answer(_station(installed, station, unit, window), window, station.whole, unit)


class CompositePeriod(NamedTuple):
    """One stretch [start, end) of an answer; `limit` in the unit of the answer, None if nothing limits.

    more: what 2.1 adds (limits of single phases, setpoints, discharge limits, phaseToUse, operation mode); mostly None.
    """

    start: datetime
    end: datetime
    limit: float | None
    number_phases: int
    more: More | None = None


@dataclass(frozen=True, slots=True)
class CompositeSchedule:
    """A gapless composite in `unit` (A per phase or W of all phases); neighbouring periods differ."""

    unit: RateUnit
    periods: tuple[CompositePeriod, ...]

    def rounded_down(self, step: float) -> CompositeSchedule:
        """Every rate rounded towards zero to a multiple of `step`; 1.6 needs 0.1 (LC-086)."""
        return CompositeSchedule(self.unit, _without_equal_neighbours([_rounded(p, step) for p in self.periods]))

    def beginning(self, start: datetime) -> CompositeSchedule:
        """The same with a first period that begins at `start`, which is not later."""
        return CompositeSchedule(self.unit, (self.periods[0]._replace(start=start), *self.periods[1:]))

    def on_whole_seconds(self) -> CompositeSchedule:
        """The same with periods that begin whole seconds after the first; a second gets the lowest that holds in it."""
        first, last = self.periods[0].start, self.periods[-1].end
        marks = [period.start - first for period in self.periods[1:]] + [last - first]
        if not any(mark % _SECOND for mark in marks):
            return self
        edges = sorted({0, *(mark // _SECOND for mark in marks), *(-(-mark // _SECOND) for mark in marks)})
        cells, left = [], 0
        for begin, end in pairwise(first + _SECOND * second for second in edges):
            while self.periods[left].end <= begin:
                left += 1
            inside = list(takewhile(lambda period: period.start < end, self.periods[left:]))  # noqa: B023 - done at once
            cells.append(reduce(_joined, inside)._replace(start=begin, end=end))
        return CompositeSchedule(self.unit, _without_equal_neighbours(cells))

    def thinned(self, max_periods: int) -> CompositeSchedule:
        """As `coalesced`, for very many periods: at once, and giving more away."""
        size = -(-len(self.periods) // max_periods)
        groups = (self.periods[first : first + size] for first in range(0, len(self.periods), max(size, 1)))
        return CompositeSchedule(self.unit, _without_equal_neighbours([reduce(_joined, group) for group in groups]))

    def coalesced(self, max_periods: int) -> CompositeSchedule:
        """At most `max_periods` periods, nowhere above this composite (LC-087). ValueError below one period."""
        return CompositeSchedule(self.unit, tuple(merged_down(self.periods, max_periods, join=_joined, loss=_loss)))


# --- purposes become a limit -------------------------------------------------------------------------------------

_Bounds = Line[Bound | None]
_SECOND = timedelta(seconds=1)
_Purposes = dict[Purpose, list[Installed]]


def _evse(installed: InstalledProfiles, context: Context, unit: RateUnit, window: Window) -> _Bounds:
    """The transaction's limit, the station's and external ones by their minimum, plus local generation."""
    purposes = by_purpose(installed, context)

    def limits(asked: Asked) -> _Bounds:
        found = _own_share(purposes, context, asked)
        if Purpose.CHARGING_STATION_MAX_PROFILE in purposes:
            found = combined(found, _lead(purposes, Purpose.CHARGING_STATION_MAX_PROFILE, context, asked), both)
        return _allocated(_with_generation(found, purposes, context, asked), context, asked)

    return _of_alternatives(purposes, context, Asked(window, unit), limits)


def _station(installed: InstalledProfiles, station: StationContext, unit: RateUnit, window: Window) -> _Bounds:
    """The sum of the EVSEs' shares, at most the station-wide limits, plus local generation once (K04.FR.05).

    A station-wide external constraint binds the sum too (K12.FR.01).
    """
    asked, purposes = Asked(window, unit), by_purpose(installed, station.whole)
    found: _Bounds = reduce(_sum, (_share(installed, context, asked) for context in station.evses), NOTHING)
    for purpose in (Purpose.CHARGING_STATION_MAX_PROFILE, Purpose.CHARGING_STATION_EXTERNAL_CONSTRAINTS):
        found = combined(found, _lead(purposes, purpose, station.whole, asked), both)
    if all(context.allocated is None for context in station.evses):
        found = _with_generation(found, purposes, station.whole, asked)
    return _allocated(found, station.whole, asked)


def by_purpose(installed: InstalledProfiles, context: Context) -> _Purposes:
    """The profiles that bear on this EVSE, each purpose by rank. A TxProfile is its transaction's alone.

    One without an id (1.6) is of whichever transaction runs.
    """
    found: _Purposes = {}
    for entry in installed:
        if entry.evse in {0, context.evse} and _of_transaction(entry, context):
            found.setdefault(entry.profile.purpose, []).append(entry)
    return {purpose: by_rank(entries) for purpose, entries in found.items()}


def in_turn(context: Context) -> tuple[Purpose, ...]:
    """Which purpose limits a transaction: the first of these that says something (K21.FR.04, K02.FR.08)."""
    priority = (Purpose.PRIORITY_CHARGING,) if context.priority_charging else ()
    return (*priority, Purpose.TX_PROFILE, Purpose.TX_DEFAULT_PROFILE)


def choices(purposes: _Purposes, context: Context) -> Iterable[int]:
    """Which of alternative schedules count: the one that the car chose, or all while that is unknown (K15.FR.22)."""
    if context.chosen_schedule is not None:
        return (context.chosen_schedule,)
    counts = (len(entry.profile.schedules) for entries in purposes.values() for entry in entries)
    return range(max(counts, default=1))


def _of_transaction(entry: Installed, context: Context) -> bool:
    profile = entry.profile
    if profile.purpose is not Purpose.TX_PROFILE:
        return True
    return context.transaction_id is not None and profile.transaction_id in {None, context.transaction_id}


def _of_alternatives(
    purposes: _Purposes, context: Context, asked: Asked, limits: Callable[[Asked], _Bounds]
) -> _Bounds:
    """The lowest of what the schedules allow that still come into question."""
    each = (limits(asked._replace(choice=choice)) for choice in choices(purposes, context))
    return reduce(lambda a, b: combined(a, b, lower_of), each)


def _lead(purposes: _Purposes, purpose: Purpose, context: Context, asked: Asked) -> _Bounds:
    return bounds(purposes.get(purpose, ()), context, asked)


def _own_share(purposes: _Purposes, context: Context, asked: Asked) -> _Bounds:
    """What an EVSE may draw if the station-wide maximum leaves it room."""
    found: _Bounds = NOTHING
    for purpose in in_turn(context):
        if purpose in purposes and has_gap(found):
            line = _lead(purposes, purpose, context, asked)
            found = line if found is NOTHING else over(found, line)
    external = Purpose.CHARGING_STATION_EXTERNAL_CONSTRAINTS
    return combined(found, _lead(purposes, external, context, asked), both) if external in purposes else found


def _with_generation(found: _Bounds, purposes: _Purposes, context: Context, asked: Asked) -> _Bounds:
    generation = Purpose.LOCAL_GENERATION
    return combined(found, _lead(purposes, generation, context, asked), with_extra) if generation in purposes else found


def _allocated(found: _Bounds, context: Context, asked: Asked) -> _Bounds:
    """At most what the EVSE is given, on the phases that the profiles say."""
    window, given = asked.window, context.allocated
    if given is None:
        return found

    def at_most(bound: Bound | None, limit_a: float | None) -> Bound | None:
        if limit_a is None:
            return bound
        phases = (bound.phases if bound else None) or context.default_phases
        return both(bound, bound_of_limit(limit_a, RateUnit.A, asked.unit, phases, context))

    parts = given.segments(window.start, window.end)
    line: Line[float | None] = [(window.position_us(part.start), part.limit_a) for part in parts]
    return combined(found, line, at_most) if line else found


def _share(installed: InstalledProfiles, context: Context, asked: Asked) -> Line[Bound]:
    """What an EVSE brings into the sum of its station: what it draws, up to its hardware maximum where nothing limits."""
    purposes = by_purpose(installed, context)
    line = _of_alternatives(purposes, context, asked, lambda one: _own_share(purposes, context, one))
    line = _allocated(line, context, asked)
    return [(at, _or_hardware_maximum(as_drawn(bound or FREE), context, asked.unit)) for at, bound in line]


def _sum(so_far: Line[Bound | None], share: Line[Bound]) -> Line[Bound | None]:
    return share if so_far is NOTHING else combined(so_far, share, lambda a, b: added(a or FREE, b))


def _or_hardware_maximum(bound: Bound, context: Context, unit: RateUnit) -> Bound:
    """What can flow where no profile limits."""
    phases, limit_a = bound.phases or context.default_phases, context.hardware_maximum_a
    if bound.limit is None and limit_a is not None:
        return both(bound, bound_of_limit(limit_a, RateUnit.A, unit, phases, context)) or FREE
    return bound if bound.phases == phases else bound._replace(phases=phases)


# --- a line becomes a result -------------------------------------------------------------------------------------


def _schedule(line: _Bounds, window: Window) -> Schedule:
    return _over_time(line, window, lambda bound: plain(bound).drawn)


def _fewer_phases(line: _Bounds, window: Window, usual: int) -> Schedule:
    """How many phases may be used, where that is fewer than usual."""
    if all(bound is None or bound.phases is None or bound.phases >= usual for _, bound in line):
        return Schedule.unlimited()
    return _over_time(
        line, window, lambda bound: None if bound.phases is None or bound.phases >= usual else float(bound.phases)
    )


def _over_time(line: _Bounds, window: Window, value: Callable[[Bound], float | None]) -> Schedule:
    if not window.span_us:
        return Schedule.unlimited()
    start, steps = window.start, []
    before: float | None = None
    for at, bound in line:
        limit_a = None if bound is None else value(bound)
        if limit_a != before:
            steps.append((start if at == 0 else window.instant(at), limit_a))
            before = limit_a
    if before is not None:
        steps.append((window.end, None))
    return Schedule.trusted(tuple(steps))


def _answer(line: _Bounds, window: Window, context: Context, unit: RateUnit) -> CompositeSchedule:
    if not window.span_us:
        return CompositeSchedule(unit, ())
    periods = []
    for (at, bound), (until, _) in pairwise([*line, (window.span_us, None)]):
        full = _or_hardware_maximum(plain(bound or FREE), context, unit).with_setpoints_cut()
        periods.append(_period(window.instant(at), window.instant(until), full, context.default_phases))
    return CompositeSchedule(unit, _without_equal_neighbours(periods))


def _period(start: datetime, end: datetime, bound: Bound, phases: int) -> CompositePeriod:
    return CompositePeriod(start, end, bound.limit, bound.phases or phases, bound.more)


def _bound(period: CompositePeriod) -> Bound:
    return Bound(period.limit, period.number_phases, period.more)


def _without_equal_neighbours(periods: Sequence[CompositePeriod]) -> tuple[CompositePeriod, ...]:
    runs = (list(run) for _, run in groupby(periods, key=lambda period: period[2:]))
    return tuple(run[0]._replace(end=run[-1].end) for run in runs)


def _rounded(period: CompositePeriod, step: float) -> CompositePeriod:
    def towards_zero(rate: float) -> float:
        return round_down(rate, step) if rate >= 0.0 else 0.0 - round_down(-rate, step)

    more = period.more
    if more is not None:
        more = more._replace(
            limits=mapped(more.limits, towards_zero),
            setpoints=mapped(more.setpoints, towards_zero),
            discharge_limits=mapped(more.discharge_limits, towards_zero),
        )
    return period._replace(limit=None if period.limit is None else towards_zero(period.limit), more=more)


def _joined(a: CompositePeriod, b: CompositePeriod) -> CompositePeriod:
    """Both as one: the lower limit on the fewest phases. What differs of V2X is left out: less is drawn and nothing fed back."""
    phases = min(a.number_phases, b.number_phases)
    if a.more == b.more:
        return CompositePeriod(a.start, b.end, lower(a.limit, b.limit), phases, a.more)
    return CompositePeriod(a.start, b.end, lower(_flat(a), _flat(b)), phases)


def _flat(period: CompositePeriod) -> float | None:
    """What may be drawn on all phases alike."""
    bound = as_drawn(_bound(period))
    if len(bound.limits) < 2:
        return bound.limit
    lowest = min(rate for rate in bound.limits if rate is not None)
    return lowest if bound.more is None or bound.more.unit is RateUnit.A else lowest * period.number_phases


def _loss(a: CompositePeriod, b: CompositePeriod) -> float:
    a_s, b_s = ((p.end - p.start).total_seconds() for p in (a, b))
    return lost_by_joining(a_s, a.limit, b_s, b.limit)
