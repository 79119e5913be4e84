"""How much may still be drawn, so that this quarter of an hour keeps its mean? (goal G19)

Capacity tariffs (Flanders and others) bill the highest mean of a quarter of an hour by the clock: 00, 15, 30, 45. With E used
since its start and t left, (P * 0.25 h - E) / t is allowed (grid-and-safety §4.5). What feeds in is not taken off: import is
billed.

The energy is kept on the monotonic clock, and cut at the quarter's start by the clock on the wall as it is now: a clock that
is set moves that cut, and no energy is lost or counted twice. What nobody measured while the meter was silent counts as what was
allowed when it fell silent, for so much cars may have taken; at least as the mean, and as what was drawn last. What was before the
start counts at the most that an earlier run may have allowed, for counted at the mean a restart in the midst of a quarter could end
that at one and a half times its mean. Where it is known what that run has counted on the same monotonic clock, only the gap since
then counts so.
"""

from __future__ import annotations

import math
from collections import deque
from dataclasses import dataclass, field
from itertools import chain, pairwise
from typing import Final, NamedTuple

import msgspec

from local_controller.clock import Instant
from local_controller.site.lead import USUAL_S, lead_s

QUARTER_S: Final = 900.0

LEFT_AT_LEAST_S: Final = 60.0
"""What is left of the energy is never spread over less: cars take 10 s to follow, and meters have errors."""

MOST: Final = 2.0
"""Never more than this many times the mean, however little was used: cars would have to come down again in seconds."""

KEPT_EVERY_S: Final = 5.0
"""The energy is remembered so often; in between it is as if evenly drawn."""

SILENT_S: Final = 10.0
"""A pause between two readings that is longer was not measured (G5)."""


class Allowed(NamedTuple):
    """power_w may be drawn now. used_wh of quota_wh are used; the quarter has left_s."""

    power_w: float
    used_wh: float
    quota_wh: float
    left_s: float


class Counted(msgspec.Struct, frozen=True):
    """totals_wh: what was drawn by some moments (monotonic seconds), in order; last_w: what was drawn at the last of them."""

    totals_wh: tuple[tuple[float, float], ...]
    last_w: float

    def is_sound(self, now_s: float) -> bool:
        """Whether it can have been counted up to now, and is of use."""
        if not self.totals_wh or not all(map(math.isfinite, (self.last_w, *chain(*self.totals_wh)))):
            return False
        in_order = all(a[0] < b[0] and a[1] <= b[1] for a, b in pairwise(self.totals_wh))
        return in_order and self.last_w >= 0 and 0 <= now_s - self.totals_wh[-1][0] < QUARTER_S


@dataclass(slots=True)
class QuarterHour:
    """The mean of a quarter-hour may be `mean_w`.

    lead_s: so long before its end no more than the mean is allowed, so that the next quarter does not begin above it.
    """

    mean_w: float
    lead_s: float = lead_s(USUAL_S)
    _total_wh: float = field(default=0.0, init=False)
    _last: tuple[float, float] | None = field(default=None, init=False)  # monotonic seconds and watts
    _past: deque[tuple[float, float]] = field(
        default_factory=deque, init=False
    )  # monotonic seconds and total, in order
    _is_resumed: bool = field(default=False, init=False)  # and nothing was measured since

    @property
    def counted(self) -> Counted | None:
        """What the next run needs to know; None before the first reading."""
        if self._last is None:
            return None
        last_s, last_w = self._last
        past = (mark for mark in self._past if mark[0] < last_s)
        return Counted((*past, (last_s, self._total_wh)), last_w)

    def resume(self, counted: Counted, now: Instant) -> None:
        """What an earlier run has counted on the same monotonic clock; what cannot be counts as unknown."""
        if not counted.is_sound(now.monotonic_s):
            return
        self._past = deque(counted.totals_wh)
        last_s, self._total_wh = counted.totals_wh[-1]
        self._last = last_s, max(counted.last_w, MOST * self.mean_w)
        self._is_resumed = True

    def measured(self, power_w: float, at: Instant) -> None:
        """The power of all phases together at a moment, + is drawn."""
        drawn_w, now_s = max(0.0, power_w), at.monotonic_s
        if self._last is not None:
            last_s, last_w = self._last
            if now_s <= last_s:
                return
            if self._is_resumed or now_s - last_s > SILENT_S:
                self._take_silence(now_s - at.utc.timestamp() % QUARTER_S, now_s)
            else:
                self._total_wh += (last_w + drawn_w) / 2 * (now_s - last_s) / 3600
        self._last, self._is_resumed = (now_s, drawn_w), False
        if not self._past or now_s - self._past[-1][0] >= KEPT_EVERY_S:
            self._past.append((now_s, self._total_wh))
            while len(self._past) > 1 and self._past[1][0] < now_s - QUARTER_S - KEPT_EVERY_S:
                self._past.popleft()

    def allowed(self, now: Instant) -> Allowed:
        """What may be drawn from now on."""
        since_s = now.utc.timestamp() % QUARTER_S
        left_s, quota_wh = QUARTER_S - since_s, self.mean_w * QUARTER_S / 3600
        start_s = now.monotonic_s - since_s
        used_wh = self._used_wh(start_s, now.monotonic_s)
        power_w = max(0.0, quota_wh - used_wh) * 3600 / max(left_s, LEFT_AT_LEAST_S)
        if self._is_silent(now.monotonic_s) and self._silent_w(start_s) * left_s <= (quota_wh - used_wh) * 3600 + 1e-6:
            power_w = max(power_w, self._silent_w(start_s))  # it counts as drawn anyhow, until the very end
        most_w = self.mean_w * (MOST if left_s > self.lead_s else 1.0)
        return Allowed(min(power_w, most_w), used_wh, quota_wh, left_s)

    def _used_wh(self, start_s: float, now_s: float) -> float:
        if self._last is None:
            return self._unseen_wh(now_s - start_s)
        seen_wh = self._total_wh - self._total_at(start_s) if start_s < self._last[0] else 0.0
        return seen_wh + self._silent_wh(start_s, now_s)

    def _is_silent(self, now_s: float) -> bool:
        return self._last is not None and now_s - self._last[0] > SILENT_S

    def _silent_wh(self, start_s: float, now_s: float) -> float:
        """What was used since the last reading."""
        assert self._last is not None  # noqa: S101 - nobody asks before there was one
        return self._silent_w(start_s) * (now_s - max(self._last[0], start_s)) / 3600

    def _silent_w(self, start_s: float) -> float:
        """What counts as drawn since the last reading, in a quarter in which cars may take what was allowed by then."""
        assert self._last is not None  # noqa: S101 - nobody asks before there was one
        last_s, last_w = self._last
        power_w = max(self.mean_w, last_w)
        if start_s < last_s:
            left_wh = self.mean_w * QUARTER_S / 3600 - (self._total_wh - self._total_at(start_s))
            left_s = max(start_s + QUARTER_S - last_s, LEFT_AT_LEAST_S)
            power_w = max(power_w, min(left_wh * 3600 / left_s, MOST * self.mean_w))
        return power_w

    def _take_silence(self, start_s: float, now_s: float) -> None:
        """Adds what nobody measured until now. start_s: when the quarter of now began."""
        assert self._last is not None  # noqa: S101 - nobody asks before there was one
        last_s, last_w = self._last
        if last_s < start_s:
            self._total_wh += max(MOST * self.mean_w, last_w) * (start_s - last_s) / 3600
            self._past.append((start_s, self._total_wh))
        self._total_wh += self._silent_wh(start_s, now_s)

    def _unseen_wh(self, seconds: float) -> float:
        """What was used of a quarter before the first reading, at most."""
        return min(MOST * seconds, QUARTER_S) * self.mean_w / 3600

    def _total_at(self, moment_s: float) -> float:
        """The total at a moment up to the last reading."""
        first_s, first_wh = self._past[0]
        if moment_s <= first_s:
            return first_wh - self._unseen_wh(first_s - moment_s)
        assert self._last is not None  # noqa: S101 - there is no past without
        marks = [*self._past, (self._last[0], self._total_wh)]
        for (from_s, from_wh), (to_s, to_wh) in pairwise(marks):
            if moment_s <= to_s:
                return from_wh + (to_wh - from_wh) * (moment_s - from_s) / max(to_s - from_s, 1e-9)
        return self._total_wh
