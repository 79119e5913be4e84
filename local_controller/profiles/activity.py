"""Which period of a charging profile is active when, and while is the profile valid at all?"""

from __future__ import annotations

import math
from bisect import bisect_left, bisect_right
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta, tzinfo
from functools import lru_cache
from itertools import pairwise

from local_controller.profiles.context import Context
from local_controller.profiles.lines import MICROSECOND, SECOND_US, Line, Window
from local_controller.profiles.profile import ChargingProfile, ChargingSchedule, Kind, Recurrency, SchedulePeriod

_RECURRENCE_US = {Recurrency.DAILY: 86_400 * SECOND_US, Recurrency.WEEKLY: 7 * 86_400 * SECOND_US}
_HOUR = timedelta(hours=1)


def validity(profile: ChargingProfile, context: Context, window: Window) -> tuple[int, float]:
    """From which microsecond of the window on the profile counts, and from which on no more.

    validFrom <= t < validTo (K01.FR.36/.37), and neither offline for more than maxOfflineDuration (K01.FR.101) nor,
    if Dynamic, without an update for more than its duration (K28.FR.13).
    """
    begin = 0 if profile.valid_from is None else window.position_us(profile.valid_from)
    stop: float = math.inf if profile.valid_to is None else window.position_us(profile.valid_to)
    allowed_s = profile.max_offline_duration_s
    if context.offline_since is not None and allowed_s is not None:
        stop = min(stop, _last_us(context.offline_since, allowed_s, window) + 1)
    if profile.kind is Kind.DYNAMIC and profile.dyn_update_time is not None:
        for schedule in profile.schedules:
            if schedule.duration_s is not None:
                stop = min(stop, _last_us(profile.dyn_update_time, schedule.duration_s, window) + 1)
    return begin, stop


def _last_us(since: datetime, allowed_s: int, window: Window) -> int:
    """The last microsecond of the window at which so many seconds have not been exceeded."""
    return window.position_us(since) + allowed_s * SECOND_US


@dataclass(frozen=True, slots=True)
class Timeline:
    """One schedule of a profile laid out in time: which period runs when, whether or not the profile is valid.

    starts_us: when each of `periods` begins, counted from the origin, after randomizedDelay; ascending.
    end_us: from where on none runs; None for ever.
    """

    profile: ChargingProfile
    schedule: ChargingSchedule
    context: Context
    starts_us: list[int]
    end_us: int | None
    periods: list[SchedulePeriod]

    @classmethod
    def of(cls, profile: ChargingProfile, schedule: ChargingSchedule, context: Context) -> Timeline:
        """The timeline of one of the profile's schedules."""
        starts_s, periods = _delayed(schedule, context)
        end_us = None if schedule.duration_s is None else schedule.duration_s * SECOND_US
        return cls(profile, schedule, context, [start_s * SECOND_US for start_s in starts_s], end_us, periods)

    def line(self, window: Window) -> Line[int | None]:
        """The number of the period that runs; None before the origin, from the end on, and where none has begun."""
        if self.profile.kind is Kind.DYNAMIC:
            runs = self.starts_us and (self.end_us is None or self.end_us > 0)
            return [(0, bisect_right(self.starts_us, 0) - 1 if runs else None)]
        origin = self._origin(window)
        if origin is None or not self.starts_us:
            return [(0, None)]
        if not self._on_wall_clock:
            return list(self._rounds((window.start - origin) // MICROSECOND, 0, window.span_us))
        return self._wall_line(window, origin.replace(tzinfo=None))

    def _wall_line(self, window: Window, origin: datetime) -> Line[int | None]:
        """As the station's wall clock shows it (K01.FR.90/.91): piece by piece between its jumps."""
        zone = self.context.time_zone
        jumps = [window.position_us(t) for t in _clock_changes(zone, window.start, window.end)]
        line: list[tuple[int, int | None]] = []
        for begin, stop in pairwise([0, *jumps, window.span_us]):
            reading = window.instant(begin).astimezone(zone).replace(tzinfo=None)
            line += self._rounds((reading - origin) // MICROSECOND, begin, stop)
        return line or [(0, None)]

    def _origin(self, window: Window) -> datetime | None:
        """Where startPeriod 0 lies, of the first round if it recurs; None if the schedule has no origin.

        A Relative one begins when energy could first flow, else with the window (K01.FR.42, K08.FR.06).
        """
        if self.profile.kind is Kind.RELATIVE:
            return self.context.energy_since or window.start
        return self.schedule.start_schedule

    @property
    def _on_wall_clock(self) -> bool:
        return self.schedule.use_local_time and self.profile.kind in {Kind.ABSOLUTE, Kind.RECURRING}

    def _rounds(self, head: int, begin: int, stop: int) -> Iterator[tuple[int, int | None]]:
        """The steps in [begin, stop) of the window, of which `begin` lies `head` after the origin (all in microseconds)."""
        length = self._recurrence_us
        base = 0 if length is None else max(head, 0) // length * length
        if head < 0:
            yield begin, None
        while base < head + stop - begin:
            yield from self._round(head, begin, stop, base)
            if length is None:
                return
            base += length

    def _round(self, head: int, begin: int, stop: int, base: int) -> Iterator[tuple[int, int | None]]:
        """The steps of the round that begins `base` after the origin."""
        length, starts, shift = self._recurrence_us, self.starts_us, begin - head
        last = stop - shift if length is None else min(stop - shift, base + length)
        end = last if self.end_us is None else min(base + self.end_us, last)
        following = 0
        if head >= base:  # it has begun before
            following = bisect_right(starts, head - base)
            yield begin, following - 1 if following and head < end else None
        elif starts[0] > 0 or end <= base:
            yield base + shift, None
        for number in range(following, bisect_left(starts, end - base)):
            yield base + starts[number] + shift, number
        if max(head, base) < end < last:
            yield end + shift, None

    @property
    def _recurrence_us(self) -> int | None:
        kind, recurrency = self.profile.kind, self.profile.recurrency
        return _RECURRENCE_US[recurrency] if kind is Kind.RECURRING and recurrency is not None else None


def _delayed(schedule: ChargingSchedule, context: Context) -> tuple[list[int], list[SchedulePeriod]]:
    """The second at which each period begins, and the period, after randomizedDelay (K01.FR.92-.97).

    All but the first are late by their share of the delay. One that would begin at or after its successor, or at or
    after the duration, is skipped (K01.FR.11/.97). Without a transaction none is late (K08.FR.06).
    """
    periods = list(schedule.periods)
    is_late = schedule.randomized_delay_s and context.delay_shares and context.transaction_id is not None
    starts_s = [p.start_s for p in periods]
    if is_late:
        starts_s[1:] = [p.start_s + _delay_s(schedule, context, n) for n, p in enumerate(periods[1:])]
    next_s = math.inf if schedule.duration_s is None else schedule.duration_s
    if all(a < b for a, b in pairwise(starts_s)) and (not starts_s or starts_s[-1] < next_s):
        return starts_s, periods
    kept: list[tuple[int, SchedulePeriod]] = []
    for start_s, period in zip(reversed(starts_s), reversed(periods), strict=True):
        if start_s < next_s:
            kept.append((start_s, period))
            next_s = start_s
    kept.reverse()
    return [start_s for start_s, _ in kept], [period for _, period in kept]


def _delay_s(schedule: ChargingSchedule, context: Context, number: int) -> int:
    """The delay of the period that is `number` after the second one; the shares are used in turn."""
    share = context.delay_shares[number % len(context.delay_shares)]
    return math.floor(share * (schedule.randomized_delay_s or 0))


def _clock_changes(zone: tzinfo, start: datetime, end: datetime) -> list[datetime]:
    """The instants in (start, end) at which `zone` changes its UTC offset (on whole seconds, at most one an hour)."""
    first, last = (t.replace(minute=0, second=0, microsecond=0) for t in (start, end))
    return [t for t in _changes_between(zone, first, last + _HOUR) if start < t < end]


@lru_cache(maxsize=64)  # of the one zone of a site, for the windows of an hour
def _changes_between(zone: tzinfo, first: datetime, last: datetime) -> tuple[datetime, ...]:
    """The same for whole hours in UTC."""
    found, hour, before = [], first, _utc_offset(first, zone)
    while hour < last:
        hour += _HOUR
        after = _utc_offset(hour, zone)
        if after != before:
            found.append(_change_within(zone, hour - _HOUR, before))
            before = after
    return tuple(found)


def _change_within(zone: tzinfo, hour: datetime, before: timedelta | None) -> datetime:
    """The first second of an hour with another UTC offset, or the first one after it."""
    second = bisect_left(range(3600), True, key=lambda s: _utc_offset(hour + timedelta(seconds=s), zone) != before)
    return hour + timedelta(seconds=second)


def _utc_offset(t: datetime, zone: tzinfo) -> timedelta | None:
    return t.astimezone(zone).utcoffset()
