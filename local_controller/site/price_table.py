"""What does a kWh cost by the table of the site file? Prices at certain hours of certain days, and another at all others."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta, tzinfo
from itertools import pairwise
from typing import Final

from local_controller.site.series import Series, Step
from local_controller.site.week import DAY, Span, midnight

REACHES: Final = timedelta(hours=36)
"""A series of the table covers so much from the moment for which it is asked: more than any plan looks ahead."""


@dataclass(frozen=True, slots=True)
class PriceWindow(Span):
    """A time of some days of the week and what a kWh costs then."""

    per_kwh: float


@dataclass(slots=True)
class PriceTable:
    """The table, by the clock of a time zone. per_kwh: outside of all windows; of several that hold the first counts."""

    per_kwh: float
    windows: Sequence[PriceWindow]
    zone: tzinfo
    _known: Series = field(default_factory=Series, init=False, repr=False, compare=False)

    def series(self, moment: datetime) -> Series:
        """The prices around a moment (with a time zone) and for `REACHES` from then on."""
        steps, at_s, to_s = self._known.steps, moment.timestamp(), (moment + REACHES).timestamp()
        if not steps or not steps[0].start_s <= at_s or not to_s <= steps[-1].end_s:
            self._known = Series(tuple(self._steps(midnight(moment.astimezone(self.zone)))))
        return self._known

    def _steps(self, today: datetime) -> Iterator[Step]:
        """From this midnight for three days."""
        spans = list(self._spans(today))
        first_s, last_s = today.timestamp(), (today + 3 * DAY).timestamp()
        edges = {first_s, last_s, *(edge for start_s, end_s, _ in spans for edge in (start_s, end_s))}
        for start_s, end_s in pairwise(sorted(edge for edge in edges if first_s <= edge <= last_s)):
            held = (per_kwh for begins_s, ends_s, per_kwh in spans if begins_s <= start_s < ends_s)
            yield Step(start_s, end_s, next(held, self.per_kwh))

    def _spans(self, today: datetime) -> Iterator[tuple[float, float, float]]:
        """In the order of the table."""
        for window in self.windows:
            for day in (today + number * DAY for number in range(-1, 3)):
                if (span := window.on(day)) is not None:
                    yield span[0].timestamp(), span[1].timestamp(), window.per_kwh
