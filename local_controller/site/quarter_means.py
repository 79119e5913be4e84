"""What was the mean of each quarter of an hour by the clock? Added up from readings, told when the quarter is over."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime, tzinfo
from typing import Final, NamedTuple

import msgspec

from local_controller.clock import Instant
from local_controller.site.quarter_hour import QUARTER_S

WHOLE: Final = 0.8
"""A quarter counts when so much of it was measured."""

SILENT_S: Final = 60.0
"""A pause between two readings that is longer was not measured."""

LARGEST_W: Final = 1e9
"""More than any building draws."""


class Mean(NamedTuple):
    """Of the quarter that begins at `start_s` (POSIX seconds)."""

    start_s: float
    value: float


@dataclass(slots=True)
class QuarterMeans:
    """The quarter that runs."""

    _start_s: float = field(default=-1.0, init=False)
    _sum: float = field(default=0.0, init=False)
    _measured_s: float = field(default=0.0, init=False)
    _last: tuple[Instant, float] | None = field(default=None, init=False)

    def measured(self, value: float, now: Instant) -> Mean | None:
        """A value at a moment; the quarter that is over by it, if enough of that was measured."""
        found, start_s = None, now.utc.timestamp() // QUARTER_S * QUARTER_S
        if start_s != self._start_s:
            if self._measured_s >= WHOLE * QUARTER_S:
                found = Mean(self._start_s, self._sum / self._measured_s)
            self._start_s, self._sum, self._measured_s = start_s, 0.0, 0.0
        if self._last is not None and 0 < (seconds := now.since(self._last[0])) <= SILENT_S:
            self._sum += seconds * (self._last[1] + value) / 2
            self._measured_s += seconds
        self._last = now, value
        return found


class Highest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The highest mean of a month, "2026-03"."""

    month: str
    mean_w: float

    @property
    def is_sound(self) -> bool:
        """Whether it can have been measured."""
        return 0.0 <= self.mean_w <= LARGEST_W


@dataclass(slots=True)
class Peak:
    """The highest mean of a quarter of an hour in a month by the clock of a zone, as far as anybody has seen it."""

    zone: tzinfo = UTC
    found: Highest | None = None
    _means: QuarterMeans = field(default_factory=QuarterMeans)

    def highest_w(self, now: Instant) -> float:
        """What is paid for in the month of this moment."""
        return self._of(self._month(now.utc.timestamp()))

    def measured(self, power_w: float, now: Instant) -> None:
        """What the grid connection draws; what is fed in is not taken off, for it is import that is billed."""
        mean = self._means.measured(max(0.0, power_w), now)
        if mean is not None:
            month = self._month(mean.start_s)
            self.found = Highest(month, max(mean.value, self._of(month)))

    def _of(self, month: str) -> float:
        return self.found.mean_w if self.found is not None and self.found.month == month else 0.0

    def _month(self, at_s: float) -> str:
        return datetime.fromtimestamp(at_s, self.zone).strftime("%Y-%m")
