"""Which period of a charging profile is active at an instant, and at which instants may that change?"""

from __future__ import annotations

import math
from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, tzinfo

from local_controller.profiles.context import Context
from local_controller.profiles.profile import ChargingProfile, ChargingSchedule, Kind, Recurrency, SchedulePeriod

_RECURRENCE = {Recurrency.DAILY: timedelta(days=1), Recurrency.WEEKLY: timedelta(weeks=1)}
_ZERO = timedelta(0)
_HOUR = timedelta(hours=1)
_LARGEST_CLOCK_CHANGE = timedelta(days=1)  # a zone that crossed the date line; daylight saving moves an hour or two


def is_valid(profile: ChargingProfile, context: Context, t: datetime) -> bool:
    """Whether the profile counts at `t`: validFrom <= t < validTo, and neither offline nor without update too long.

    K01.FR.36/.37 (half-open), K01.FR.101 (offline for more than maxOfflineDuration), K28.FR.13 (Dynamic: later than
    the last update plus duration).
    """
    return (
        (profile.valid_from is None or profile.valid_from <= t)
        and (profile.valid_to is None or t < profile.valid_to)
        and all(t - since <= allowed for since, allowed in _allowances(profile, context))
    )


def validity_edges(profile: ChargingProfile, context: Context, start: datetime, end: datetime) -> Iterator[datetime]:
    """The instants inside (start, end) at which `is_valid` may change."""
    for edge in (profile.valid_from, profile.valid_to):
        if edge is not None and start < edge < end:
            yield edge.astimezone(UTC)
    for since, allowed in _allowances(profile, context):
        left = since - start + allowed + timedelta.resolution  # still valid when exactly `allowed` has passed
        if _ZERO < left < end - start:
            yield start + left


@dataclass(frozen=True, slots=True)
class Timeline:
    """One schedule of a profile laid out in time: which period runs when, whether or not the profile is valid.

    starts: when each of `periods` begins, counted from the origin, after randomizedDelay.
    asked_at: the origin of a Relative schedule when nothing else is known.
    """

    profile: ChargingProfile
    schedule: ChargingSchedule
    context: Context
    asked_at: datetime
    starts: tuple[timedelta, ...]
    periods: tuple[SchedulePeriod, ...]

    @classmethod
    def of(cls, profile: ChargingProfile, schedule: ChargingSchedule, context: Context, asked_at: datetime) -> Timeline:
        """The timeline of one of the profile's schedules."""
        delayed = _delayed(schedule, context)
        starts = tuple(_seconds(start_s) for start_s, _ in delayed)
        return cls(profile, schedule, context, asked_at, starts, tuple(period for _, period in delayed))

    def at(self, t: datetime) -> SchedulePeriod | None:
        """The period that runs at `t`; None before the origin, from the end on, and where no period has begun."""
        offset = self._offset(t)
        if offset is None or offset < _ZERO:
            return None
        if self._recurrence is not None:
            offset %= self._recurrence
        if self._end is not None and offset >= self._end:
            return None
        index = bisect_right(self.starts, offset)
        return self.periods[index - 1] if index else None

    def edges(self, start: datetime, end: datetime) -> Iterator[datetime]:
        """The instants (in UTC, unordered) inside (start, end) at which `at` may change."""
        head = self._offset(start)
        if head is None or self.profile.kind is Kind.DYNAMIC:
            return
        if not self._on_wall_clock:
            yield from (start + (mark - head) for mark in self._marks(head, head + (end - start)))
            return
        zone = self.context.time_zone
        yield from _clock_changes(zone, start, end)
        for mark in self._marks(head - _LARGEST_CLOCK_CHANGE, head + (end - start) + _LARGEST_CLOCK_CHANGE):
            yield from (t for t in _instants(_wall(start, zone) + (mark - head), zone) if start < t < end)

    def _offset(self, t: datetime) -> timedelta | None:
        """How far `t` lies after the origin, of the first round if it recurs; None if the schedule has no origin."""
        match self.profile.kind:
            case Kind.DYNAMIC:
                return _ZERO
            case Kind.RELATIVE:
                return t - (self.context.energy_since or self.asked_at)
            case Kind.ABSOLUTE | Kind.RECURRING:
                return self._since_start(t)

    def _since_start(self, t: datetime) -> timedelta | None:
        """Time since startSchedule, read on the station's wall clock if useLocalTime says so (K01.FR.90/.91)."""
        origin = self.schedule.start_schedule
        if origin is None:
            return None
        return _wall(t, self.context.time_zone) - origin.replace(tzinfo=None) if self._on_wall_clock else t - origin

    @property
    def _on_wall_clock(self) -> bool:
        return self.schedule.use_local_time and self.profile.kind in {Kind.ABSOLUTE, Kind.RECURRING}

    @property
    def _recurrence(self) -> timedelta | None:
        kind, recurrency = self.profile.kind, self.profile.recurrency
        return _RECURRENCE[recurrency] if kind is Kind.RECURRING and recurrency is not None else None

    @property
    def _end(self) -> timedelta | None:
        return None if self.schedule.duration_s is None else _seconds(self.schedule.duration_s)

    def _marks(self, first: timedelta, last: timedelta) -> Iterator[timedelta]:
        """Offsets strictly between `first` and `last` at which a period begins or the schedule begins or ends."""
        marks = {_ZERO, *self.starts} | ({self._end} if self._end is not None else set())
        length = self._recurrence
        rounds = [_ZERO] if length is None else _rounds(length, first, last)
        yield from (r + mark for r in rounds for mark in marks if first < r + mark < last)


def _rounds(length: timedelta, first: timedelta, last: timedelta) -> list[timedelta]:
    """Where the rounds of a recurring schedule begin that touch [first, last]."""
    return [k * length for k in range(first // length, last // length + 1)]


def _allowances(profile: ChargingProfile, context: Context) -> Sequence[tuple[datetime, timedelta]]:
    """Pairs of an instant and how long after it, inclusive, the profile stays valid."""
    if context.offline_since is None and profile.kind is not Kind.DYNAMIC:
        return ()
    pairs = []
    if context.offline_since is not None and profile.max_offline_duration_s is not None:
        pairs.append((context.offline_since, _seconds(profile.max_offline_duration_s)))
    if profile.kind is Kind.DYNAMIC and profile.dyn_update_time is not None:
        pairs += [
            (profile.dyn_update_time, _seconds(schedule.duration_s))
            for schedule in profile.schedules
            if schedule.duration_s is not None
        ]
    return pairs


def _delayed(schedule: ChargingSchedule, context: Context) -> list[tuple[int, SchedulePeriod]]:
    """The periods with the second at which each begins, after randomizedDelay (K01.FR.92-.97).

    All but the first are late by their share of the delay. One that would begin at or after its successor, or at or
    after the duration, is skipped (K01.FR.11/.97).
    """
    kept: list[tuple[int, SchedulePeriod]] = []
    next_s = math.inf if schedule.duration_s is None else schedule.duration_s
    for index, period in reversed(list(enumerate(schedule.periods))):
        start_s = period.start_s + _delay_s(schedule, context, index)
        if start_s < next_s:
            kept.append((start_s, period))
            next_s = start_s
    return kept[::-1]


def _delay_s(schedule: ChargingSchedule, context: Context, index: int) -> int:
    """The first period is never late, and without a transaction none is (K01.FR.92, K08.FR.06)."""
    if not schedule.randomized_delay_s or index == 0 or not context.delay_shares or context.transaction_id is None:
        return 0
    return math.floor(context.delay_shares[(index - 1) % len(context.delay_shares)] * schedule.randomized_delay_s)


def _instants(reading: datetime, zone: tzinfo) -> set[datetime]:
    """When the wall clock of `zone` shows `reading`: twice when it is set back."""
    return {reading.replace(tzinfo=zone, fold=fold).astimezone(UTC) for fold in (0, 1)}


def _clock_changes(zone: tzinfo, start: datetime, end: datetime) -> Iterator[datetime]:
    """The instants in (start, end) at which `zone` changes its UTC offset (on whole seconds, at most one an hour)."""
    hour = start.astimezone(UTC).replace(microsecond=0)
    while hour < end:
        change = hour + _seconds(_seconds_until_change(zone, hour))
        if start < change < end and change < hour + _HOUR:
            yield change
        hour += _HOUR


def _seconds_until_change(zone: tzinfo, hour: datetime) -> int:
    """First second of the hour with another UTC offset than just before the hour; 3600 if there is none."""
    before = _utc_offset(hour - _seconds(1), zone)
    if _utc_offset(hour + _seconds(3599), zone) == before:
        return 3600
    return bisect_left(range(3600), True, key=lambda s: _utc_offset(hour + _seconds(s), zone) != before)


def _wall(t: datetime, zone: tzinfo) -> datetime:
    return t.astimezone(zone).replace(tzinfo=None)


def _utc_offset(t: datetime, zone: tzinfo) -> timedelta | None:
    return t.astimezone(zone).utcoffset()


def _seconds(seconds: int) -> timedelta:
    return timedelta(seconds=seconds)
