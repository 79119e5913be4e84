"""What exactly is written into the station? Limits in amperes become the two profiles that we own.

All instants here are in the station's clock. A working profile ends by itself; then the fallback holds (LC-106).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from local_controller.profiles.profile import Purpose
from local_controller.profiles.schedule import Schedule, Segment, coalesced
from local_controller.profiles.units import RateUnit, lowest_voltage_v, round_down, safe_watts_from_amps
from local_controller.station.capability import Capability, Rung
from local_controller.station.dialects.base import OwnProfile
from local_controller.station.dialects.shared import LIMIT_STEP
from local_controller.station.knowledge import Actuator
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

_GRID = timedelta(hours=12)


@dataclass(frozen=True, slots=True)
class Target:
    """What a station is to hold: the floor alone, or the working limit of a transaction above it.

    working: A per phase, gapless from its first instant to its last, where the fallback takes over; None for the floor.
    phases: how many phases share the watts, where watts are needed.
    """

    evse: int
    fallback_a: float
    working: Schedule | None = None
    transaction_id: str | None = None
    phases: int = 1

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


def working_limit(wish_a: float, until: datetime, fallback_a: float, allowed: Schedule, now: datetime) -> Schedule:
    """What the transaction may draw: the wish until it ends, then the fallback, never more than the CSMS allows.

    It ends with the wish, unless the CSMS allows less than the fallback later on.
    """
    last = until
    if until <= now or not allowed.is_unlimited:
        end = foresight(until)
        lowest_a = allowed.lowest(until, end)
        last = end if until <= now or (lowest_a is not None and lowest_a < fallback_a) else until
    if allowed.is_unlimited and until > now:
        return Schedule(((now, wish_a), (until, None)))
    limit = Schedule(((now, wish_a), (until, fallback_a)) if until > now else ((now, fallback_a),))
    return limit.minimum(allowed.clipped(now, last)).clipped(now, last)


def own_profile(target: Target, rung: Rung, capability: Capability, now: datetime) -> OwnProfile:
    """The profile that tells this target by this rung."""
    if target.working is None:
        limit = _in_unit(target.fallback_a, rung.unit, 1)
        floor_id = profile_id(target.evse, LimitKind.FALLBACK)
        return OwnProfile(floor_id, Purpose.TX_DEFAULT_PROFILE, rung.unit, FALLBACK_START, ((0, limit),))
    start = now.replace(microsecond=0) - timedelta(seconds=HEAD_START_S)
    if rung.actuator is Actuator.TX_DEFAULT:
        early = now.replace(microsecond=0) - timedelta(seconds=SINGLE_HEAD_START_S)
        return _single_profile(target, target.working, rung.unit, early, capability.max_periods)
    segments = coalesced(_segments(target.working), capability.max_periods)
    end_s = _end_s(segments, start, target.fallback_a)
    return OwnProfile(
        id=profile_id(target.evse, LimitKind.WORKING),
        purpose=Purpose.TX_PROFILE,
        unit=rung.unit,
        start=start,
        periods=_periods(segments, start, end_s, rung.unit, target.phases),
        duration_s=end_s,
        valid_to=start + timedelta(seconds=end_s),
        transaction_id=target.transaction_id,
    )


def _single_profile(target: Target, working: Schedule, unit: RateUnit, start: datetime, max_periods: int) -> OwnProfile:
    """The limit first, then the floor for ever, in one TxDefaultProfile; without room for both the lower for ever."""
    segments = coalesced(_segments(working), max(1, max_periods - 1))
    end_s = _end_s(segments, start, target.fallback_a)
    floor = _in_unit(target.fallback_a, unit, 1)
    periods = _periods(segments, start, end_s, unit, target.phases)
    periods = (*periods, (end_s, floor)) if max_periods > 1 else ((0, min(floor, periods[0][1])),)
    return OwnProfile(profile_id(target.evse, LimitKind.FALLBACK), Purpose.TX_DEFAULT_PROFILE, unit, start, periods)


def told_limit_a(target: Target, unit: RateUnit) -> float:
    """The most that a phase may carry because of this profile: the highest of its periods after rounding."""
    if target.working is None:
        return _told(target.fallback_a, unit, 1)
    return max(_told(segment.limit_a or 0.0, unit, target.phases) for segment in _segments(target.working))


def _told(limit_a: float, unit: RateUnit, phases: int) -> float:
    limit = _in_unit(limit_a, unit, phases)
    return limit if unit is RateUnit.A else limit / (lowest_voltage_v() * phases)


def _in_unit(limit_a: float, unit: RateUnit, phases: int) -> float:
    """In the station's unit, rounded down; W at 207 V, where watts need the most amperes."""
    limit = limit_a if unit is RateUnit.A else safe_watts_from_amps(limit_a, phases)
    return round_down(limit, LIMIT_STEP)


def _segments(working: Schedule) -> list[Segment]:
    """The constrained stretch of a working limit, which is gapless."""
    start, end = working.steps[0][0], working.steps[-1][0]
    return working.segments(start, end)


def _end_s(segments: Sequence[Segment], start: datetime, fallback_a: float) -> int:
    """Whole seconds after `start` when the fallback takes over: a moment early if that is lower, late if it is higher."""
    end = segments[-1].end
    seconds = (end - start).total_seconds()
    last_second = start + timedelta(seconds=math.floor(seconds))
    lowest_a = min((s.limit_a for s in segments if s.limit_a is not None and s.end > last_second), default=None)
    return math.floor(seconds) if lowest_a is None or lowest_a >= fallback_a else math.ceil(seconds)


def _periods(
    segments: Sequence[Segment], start: datetime, end_s: int, unit: RateUnit, phases: int
) -> tuple[tuple[int, float], ...]:
    """Whole seconds after `start`: every second gets the lowest limit that holds in it, the head start the first one."""
    if len(segments) == 1:
        return ((0, _in_unit(segments[0].limit_a or 0.0, unit, phases)),)
    limit, end = Schedule.of(segments), segments[-1].end
    offsets_s = [(segment.start - start).total_seconds() for segment in segments[1:]]
    edges = {0, *(math.floor(offset_s) for offset_s in offsets_s), *(math.ceil(offset_s) for offset_s in offsets_s)}
    cuts = sorted(cut for cut in edges if cut < end_s)
    instants = [start + timedelta(seconds=cut) for cut in cuts]
    periods: list[tuple[int, float]] = []
    for cut, instant, following in zip(cuts, instants, [*instants[1:], end], strict=True):
        period = _in_unit(limit.lowest(instant, following) or 0.0, unit, phases)
        if not periods or period != periods[-1][1]:
            periods.append((cut, period))
    return tuple(periods)
