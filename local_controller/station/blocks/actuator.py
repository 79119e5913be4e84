"""What exactly is written into the station? Limits in amperes become the two profiles that we own.

All instants here are in the station's clock. A working profile ends by itself; then the fallback holds (LC-106).
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

import msgspec

from local_controller.profiles.profile import Kind, Purpose
from local_controller.profiles.schedule import Schedule, Segment, coalesced
from local_controller.profiles.units import (
    NOMINAL_VOLTAGE_V,
    RateUnit,
    lowest_voltage_v,
    round_down,
    safe_watts_from_amps,
)
from local_controller.station.capability import Capability, Rung
from local_controller.station.dialects.base import OwnProfile
from local_controller.station.dialects.shared import LIMIT_STEP
from local_controller.station.knowledge import Actuator, FloorPlace, StartKind, ZeroMeans
from local_controller.station.words import LimitKind

OWN_IDS = range(2_147_480_000, 2_147_483_000)
"""Profile ids of our own (LC-098): positive, because some 1.6 firmwares take a negative id for "none"; and not the very
highest one, which others like to use."""

HEAD_START_S = 60
"""A profile for "now" begins in the past, so that no clock difference leaves a gap (1.6 §5.16.4; 60 s as in evcc)."""

SINGLE_HEAD_START_S = 86_400
"""The one profile that is limit and floor begins a day ago: a clock set back by less must not leave the station without."""

FALLBACK_START = datetime(2000, 1, 1, tzinfo=UTC)
"""Long before any station's clock, so that the floor also holds in a station that lost a few hours."""

FORESIGHT = timedelta(hours=24)
"""How far ahead the CSMS's profiles are respected without our help."""

LEAST_CHARGING_A = 6.0
"""The least current that a car charges with (IEC 61851-1)."""

_NOISE_A = 1e-6
_GRID = timedelta(hours=12)


NOT_FEWER = Schedule.unlimited()
"""As many phases as the station likes."""

ANY_WATTS = Schedule.unlimited()
"""No limit on all phases together."""


class InWatts(msgspec.Struct, frozen=True):
    """How a limit in amperes per phase is told where watts are needed.

    phases: how many of them share the watts. phase_v: nominal voltage of each. full_a: the most that the hardware lets a
    phase carry, infinite where nobody knows; lines: on how many phases, as long as no measurement has shown which ones the
    car uses. most_w: what the CSMS allows all of them together meanwhile.
    """

    phases: int = 1
    phase_v: float = NOMINAL_VOLTAGE_V
    full_a: float = math.inf
    lines: int = 1
    most_w: Schedule = ANY_WATTS

    def shared_by(self, limit_a: float, allowed: float | None) -> int:
        """How many phases share them: all `lines` where no phase can carry more than this limit, however few are used.

        allowed: no more than those, None for any.
        """
        told = max(self.lines, self.phases) if limit_a >= self.full_a - _NOISE_A else self.phases
        return told if allowed is None else min(told, int(allowed))

    def of(self, limit_a: float, phases: int) -> float:
        """W at the lowest voltage (207 V of 230), where they need the most amperes, when so many phases share them."""
        return safe_watts_from_amps(limit_a, phases, nominal_v=self.phase_v)

    def amps(self, watts: float, phases: int) -> float:
        """What so many watts let flow on each of these phases at most."""
        return min(watts / (lowest_voltage_v(self.phase_v) * phases), self.full_a)


class Target(msgspec.Struct, frozen=True):
    """What a station is to hold: the floor alone, or the working limit of a transaction above it.

    working: A per phase, gapless from its first instant to its last, where the fallback takes over; None for the floor.
    floor_phases, fewer: how many the CSMS allows the floor and the working limit, where that is fewer than all
    (numberPhases). offline_s: without a connection for longer, the floor takes over from the working limit (2.1
    maxOfflineDuration). phase_to_use: where the working limit is on one phase.
    """

    evse: int
    fallback_a: float
    working: Schedule | None = None
    transaction_id: str | None = None
    in_watts: InWatts = InWatts()
    floor_phases: int | None = None
    fewer: Schedule = NOT_FEWER
    offline_s: int | None = None
    phase_to_use: int | None = None

    @property
    def floor(self) -> tuple[float, int | None]:
        """All that is told of the floor."""
        return self.fallback_a, self.floor_phases

    def sharing(self, moment: datetime) -> int:
        """How many phases share the watts at this moment."""
        limit_a, allowed = None if self.working is None else self.working.at(moment), self.fewer.at(moment)
        return self.in_watts.shared_by(limit_a or 0.0, allowed)

    @property
    def kind(self) -> LimitKind:
        """Which of the two profiles this is about."""
        return LimitKind.FALLBACK if self.working is None else LimitKind.WORKING


def profile_id(evse: int, kind: LimitKind) -> int:
    """The id of our profile: constant per EVSE and kind, so that it always replaces itself (LC-100)."""
    return OWN_IDS.start + 2 * evse + (1 if kind is LimitKind.WORKING else 0)


def foresight(moment: datetime) -> datetime:
    """How long a working limit must last that only keeps the CSMS's profiles: at least 24 h, on a grid of 12 h.

    The grid keeps an unchanged limit unchanged, so that it is not written again and again.
    """
    since = moment + FORESIGHT - FALLBACK_START
    return FALLBACK_START + math.ceil(since / _GRID) * _GRID


def working_limit(  # noqa: PLR0913 - who wants what until when
    wish_a: float,
    until: datetime,
    fallback_a: float,
    allowed: Schedule,
    now: datetime,
    *,
    is_fewer_later: bool = False,
) -> Schedule:
    """What the transaction may draw: the wish until it ends, then the fallback, never more than the CSMS allows.

    It ends with the wish, unless the CSMS allows less than the fallback later on, or fewer phases (`is_fewer_later`).
    """
    last = until
    if until <= now or not allowed.is_unlimited or is_fewer_later:
        end = foresight(until)
        lowest_a = allowed.lowest(until, end)
        is_less_later = is_fewer_later or (lowest_a is not None and lowest_a < fallback_a)
        last = end if until <= now or is_less_later else until
    if allowed.is_unlimited and until > now and last == until:
        return Schedule(((now, wish_a), (until, None)))
    limit = Schedule(((now, wish_a), (until, fallback_a)) if until > now else ((now, fallback_a),))
    return limit.minimum(allowed.clipped(now, last)).clipped(now, last)


_PURPOSES: Mapping[Actuator, Purpose] = {
    Actuator.TX_PROFILE: Purpose.TX_PROFILE,
    Actuator.TX_DEFAULT: Purpose.TX_DEFAULT_PROFILE,
    Actuator.STATION_MAX: Purpose.CHARGING_STATION_MAX_PROFILE,
}


def own_profile(target: Target, rung: Rung, capability: Capability, now: datetime) -> OwnProfile:
    """The profile that tells this target by this rung."""
    told = _Told(rung.unit, target, capability)
    if target.working is None:
        return _profile(target, rung, FALLBACK_START, (_Period(0, told.alone(target.fallback_a), target.floor_phases),))
    start = now.replace(microsecond=0) - timedelta(seconds=HEAD_START_S)
    if rung.holds_floor:
        early = now.replace(microsecond=0) - timedelta(seconds=SINGLE_HEAD_START_S)
        return _single_profile(target, target.working, rung, early, told)
    room = _room(rung, capability)
    segments = coalesced(_segments(target.working), room)
    end_s = _end_s(segments, start, target.fallback_a)
    return _profile(target, rung, start, _periods_within(room, segments, start, end_s, told, target.fewer), end_s)


def _single_profile(target: Target, working: Schedule, rung: Rung, start: datetime, told: _Told) -> OwnProfile:
    """The limit first, then the floor for ever, in one profile; without room for both the lower for ever.

    Nobody knows from when on a station counts a relative profile, so that it has room for one period only.
    """
    room = _room(rung, told.capability)
    segments = coalesced(_segments(working), max(1, room - 1))
    end_s = _end_s(segments, start, target.fallback_a)
    floor = _Period(end_s, told.alone(target.fallback_a), target.floor_phases)
    periods = (*_periods_within(max(1, room - 1), segments, start, end_s, told, target.fewer), floor)
    periods = periods if room > 1 else (_lowest_of(periods),)
    return _profile(target, rung, start, periods)


def _room(rung: Rung, capability: Capability) -> int:
    """How many periods there may be."""
    return 1 if rung.kind is StartKind.RELATIVE else capability.max_periods


def _lowest_of(periods: Sequence[_Period]) -> _Period:
    """One for all of them."""
    phases = min((period.phases for period in periods if period.phases is not None), default=None)
    return _Period(0, min(period.limit for period in periods), phases)


def _profile(
    target: Target, rung: Rung, start: datetime, periods: tuple[_Period, ...], end_s: int | None = None
) -> OwnProfile:
    """One that never ends, or that of a transaction, which ends so long after its start; a relative one has no other end."""
    kind = LimitKind.FALLBACK if rung.holds_floor else target.kind
    evse = target.evse if rung.place is FloorPlace.EVSE else 0
    if rung.actuator is Actuator.STATION_MAX:
        kind = LimitKind.WORKING  # an id that no TxDefaultProfile of ours has
    return OwnProfile(
        id=profile_id(evse, kind),
        purpose=_PURPOSES[rung.actuator],
        unit=rung.unit,
        start=start,
        periods=tuple((period.start_s, period.limit) for period in periods),
        phases=tuple(period.phases for period in periods),
        duration_s=None if rung.kind is StartKind.RELATIVE else end_s,
        valid_to=None if end_s is None else start + timedelta(seconds=end_s),
        transaction_id=None if end_s is None else target.transaction_id,
        kind=Kind.RELATIVE if rung.kind is StartKind.RELATIVE else Kind.ABSOLUTE,
        stack_level=rung.stack_level,
        phase_to_use=target.phase_to_use,
        offline_s=target.offline_s if rung.actuator is Actuator.TX_PROFILE and target.working is not None else None,
    )


def told_limit_a(target: Target, rung: Rung, capability: Capability) -> float:
    """The most that a phase may carry because of this profile: the highest of its periods after rounding."""
    told = _Told(rung.unit, target, capability)
    if target.working is None:
        return told.amps(told.alone(target.fallback_a), 1)
    limits = [told(segment.limit_a or 0.0) for segment in _segments(target.working)]
    if rung.holds_floor and _room(rung, capability) == 1:
        return told.amps(min(told.alone(target.fallback_a), *limits), target.in_watts.phases)
    return told.amps(min(limits) if rung.kind is StartKind.RELATIVE else max(limits), target.in_watts.phases)


class _Period(NamedTuple):
    """One period of a profile; phases: numberPhases, None to say nothing of them."""

    start_s: int
    limit: float
    phases: int | None = None


class _Told(NamedTuple):
    """How a limit in A per phase is told: in the station's unit, rounded down to what it takes."""

    unit: RateUnit
    target: Target
    capability: Capability

    def __call__(self, limit_a: float, allowed: float | None = None, most_w: float | None = None) -> float:
        """On no more phases than are `allowed`, and no more watts than `most_w`."""
        phases = self.target.in_watts.shared_by(limit_a, allowed)
        told = self._in_unit(settable_a(limit_a, self.capability, self.unit), phases)
        return told if most_w is None or self.unit is RateUnit.A else min(told, round_down(most_w, LIMIT_STEP))

    def alone(self, limit_a: float) -> float:
        """A floor: it must be safe for a car on any single phase."""
        return self._in_unit(settable_a(limit_a, self.capability, self.unit), 1)

    def amps(self, limit: float, phases: int) -> float:
        """What such a limit lets flow on a phase at most."""
        if self.unit is RateUnit.A:
            return limit
        return self.target.in_watts.amps(limit, phases)

    def _in_unit(self, limit_a: float, phases: int) -> float:
        if self.unit is RateUnit.A:
            return round_down(limit_a, LIMIT_STEP)
        return round_down(self.target.in_watts.of(limit_a, phases), LIMIT_STEP)


def settable_a(limit_a: float, capability: Capability, unit: RateUnit = RateUnit.A) -> float:
    """The highest current that the station can be set to below this limit; its lowest one if it takes no 0."""
    set_a = limit_a
    if unit is RateUnit.A and capability.levels_a:
        set_a = max((level_a for level_a in capability.levels_a if level_a <= limit_a + _NOISE_A), default=0.0)
    elif unit is RateUnit.A and capability.step_a:
        set_a = round_down(limit_a, capability.step_a)
    if set_a < max(capability.least_a, _NOISE_A):
        return 0.0 if capability.zero is ZeroMeans.PAUSES else _lowest_a(capability)
    return set_a


def _lowest_a(capability: Capability) -> float:
    return capability.least_a or min((level_a for level_a in capability.levels_a if level_a), default=LEAST_CHARGING_A)


def _segments(working: Schedule) -> list[Segment]:
    """The constrained stretch of a working limit, which is gapless."""
    (start, limit_a), (end, _) = working.steps[0], working.steps[-1]
    return [Segment(start, end, limit_a)] if len(working.steps) == 2 else working.segments(start, end)


def _end_s(segments: Sequence[Segment], start: datetime, fallback_a: float) -> int:
    """Whole seconds after `start` when the fallback takes over: a moment early if that is lower, late if it is higher."""
    end = segments[-1].end
    seconds = (end - start).total_seconds()
    last_second = start + timedelta(seconds=math.floor(seconds))
    lowest_a = min((s.limit_a for s in segments if s.limit_a is not None and s.end > last_second), default=None)
    return math.floor(seconds) if lowest_a is None or lowest_a >= fallback_a else math.ceil(seconds)


def _periods_within(  # noqa: PLR0913, PLR0917 - a limit, its phases, and how both are told
    room: int, segments: Sequence[Segment], start: datetime, end_s: int, told: _Told, fewer: Schedule
) -> tuple[_Period, ...]:
    """The periods; where phases need more of them than there is room for, the fewest phases all along."""
    periods = _periods(segments, start, end_s, told, fewer)
    if len(periods) <= room:
        return periods
    fewest = fewer.lowest(segments[0].start, segments[-1].end)
    return _periods(segments, start, end_s, told, Schedule() if fewest is None else Schedule.constant(fewest, start))


def _periods(
    segments: Sequence[Segment], start: datetime, end_s: int, told: _Told, fewer: Schedule
) -> tuple[_Period, ...]:
    """Whole seconds after `start`: every second gets the lowest limit that holds in it, the head start the first one."""
    first, end, most_w = segments[0].start, segments[-1].end, told.target.in_watts.most_w
    if len(segments) == 1 and not fewer.steps:
        return (_Period(0, told(segments[0].limit_a or 0.0, most_w=most_w.lowest(first, end))),)
    limit = Schedule.of(segments)
    marks = [
        *(segment.start for segment in segments[1:]),
        *(moment for moment, _ in fewer.steps if first < moment < end),
    ]
    offsets_s = [(moment - start).total_seconds() for moment in marks]
    edges = {0, *(math.floor(offset_s) for offset_s in offsets_s), *(math.ceil(offset_s) for offset_s in offsets_s)}
    cuts = sorted(cut for cut in edges if cut < end_s)
    instants = [start + timedelta(seconds=cut) for cut in cuts]
    periods: list[_Period] = []
    for cut, instant, following in zip(cuts, instants, [*instants[1:], end], strict=True):
        phases = fewer.lowest(max(instant, first), following)
        limit_a, watts = limit.lowest(instant, following) or 0.0, most_w.lowest(instant, following)
        period = _Period(cut, told(limit_a, phases, watts), None if phases is None else int(phases))
        if not periods or period[1:] != periods[-1][1:]:
            periods.append(period)
    return tuple(periods)
