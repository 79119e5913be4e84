"""What does the building usually draw at this time of the week? Learnt from what the site has measured, for plans only.

Kept are the last means of each quarter of an hour of a working day, a Saturday and a Sunday, by the clock of the site. What is
foreseen is an upper quantile of them: a load that is taken too low would promise surplus that does not come, and a peak that was not
to be. Until a quarter has been seen often enough nothing is foreseen for it, and what is drawn now stands for it. No limit
depends on any of this.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, tzinfo
from typing import Final

from local_controller.clock import Instant
from local_controller.site.quarter_hour import QUARTER_S
from local_controller.site.quarter_means import LARGEST_W, QuarterMeans

KEPT: Final = 10
"""Two weeks of working days: a building's habits change with the season, and one odd day must not count for months."""

NEEDED: Final = 3
"""So many means make a forecast: the upper quantile of fewer is just the highest of them."""

QUANTILE: Final = 0.8

KINDS_OF_DAY: Final = ("working day",) * 5 + ("saturday", "sunday")

Slot = tuple[str, int]
"""A kind of day and the number of the quarter of an hour since its midnight."""


@dataclass(slots=True)
class LoadHistory:
    """means_w: the last means of each slot, oldest first. zone: of the clock."""

    zone: tzinfo = UTC
    means_w: dict[Slot, list[float]] = field(default_factory=dict)
    _means: QuarterMeans = field(default_factory=QuarterMeans)

    def measured(self, load_w: float, now: Instant) -> None:
        """What the building draws without cars and without the sun."""
        mean = self._means.measured(load_w, now)
        if mean is not None:
            means_w = self.means_w.setdefault(self._slot(mean.start_s), [])
            means_w.append(round(mean.value, 1))
            del means_w[:-KEPT]

    def expected_w(self, start_s: float, end_s: float) -> float | None:
        """The mean foreseen for a span of POSIX seconds; None where one of its quarters was not seen often enough."""
        first, last = math.floor(start_s / QUARTER_S), math.ceil(end_s / QUARTER_S)
        expected_w = [self._expected_w(number * QUARTER_S) for number in range(first, last)]
        known_w = [value for value in expected_w if value is not None]
        return sum(known_w) / len(known_w) if known_w and len(known_w) == len(expected_w) else None

    def _expected_w(self, at_s: float) -> float | None:
        means_w = sorted(self.means_w.get(self._slot(at_s), ()))
        return means_w[math.ceil(QUANTILE * len(means_w)) - 1] if len(means_w) >= NEEDED else None

    def _slot(self, at_s: float) -> Slot:
        at = datetime.fromtimestamp(at_s, self.zone)
        return KINDS_OF_DAY[at.weekday()], at.hour * 4 + at.minute // 15

    def restore(self, kept: Mapping[Slot, Sequence[float]]) -> None:
        """What an earlier run has learnt; what cannot be a mean of a slot is left out."""
        for (kind, quarter), means_w in kept.items():
            sound = [value for value in means_w if 0 <= value <= LARGEST_W]
            if kind in KINDS_OF_DAY and 0 <= quarter < _QUARTERS and sound:
                self.means_w[kind, quarter] = sound[-KEPT:]


_QUARTERS: Final = 96
