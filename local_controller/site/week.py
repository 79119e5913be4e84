"""When does a time of some days of the week begin and end? By the clock of a time zone, whatever is done to that clock."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta
from typing import Final

DAY: Final = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Span:
    """A time of some days of the week.

    days: 0 for Monday to 6 for Sunday, on which it begins; end: on the next day if it is not after the start.
    """

    days: frozenset[int]
    start: time
    end: time

    def on(self, day: datetime) -> tuple[datetime, datetime] | None:
        """When it begins and ends, if it begins on this day; day: its midnight in the site's time zone.

        Where the clock is put forward or back, it is longer rather than shorter.
        """
        if day.weekday() not in self.days:
            return None
        last_day = day + DAY if self.end <= self.start else day
        return _on(day, self.start)[0], _on(last_day, self.end)[-1]


def midnight(moment: datetime) -> datetime:
    """The beginning of the day that a moment lies in, in the moment's time zone."""
    return moment.replace(hour=0, minute=0, second=0, microsecond=0, fold=0)


def _on(day: datetime, clock: time) -> list[datetime]:
    """A time of this day in UTC, in order; two where the clock is put back, or is put forward over it."""
    at = day.replace(hour=clock.hour, minute=clock.minute)
    return sorted(at.replace(fold=fold).astimezone(UTC) for fold in (0, 1))
