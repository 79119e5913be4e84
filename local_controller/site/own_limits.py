"""Which limits does the site file set by itself? Those of certain times of the week, and of the mean of a quarter-hour."""

from __future__ import annotations

from dataclasses import dataclass

from local_controller.clock import Instant
from local_controller.profiles.units import NOMINAL_VOLTAGE_V
from local_controller.site.lead import lead_s
from local_controller.site.limits import AppliesTo, Limit
from local_controller.site.quarter_hour import QuarterHour
from local_controller.site.readings import MeterReading, drawn_w
from local_controller.site.timetable import Timetable


@dataclass(frozen=True, slots=True)
class ScheduledLimit:
    """A limit at certain times of the week."""

    id: str
    label: str
    node: str
    applies_to: AppliesTo
    timetable: Timetable

    @property
    def bounds_power(self) -> bool:
        """Whether one of its windows is in watts."""
        return any(window.bound.power_w is not None for window in self.timetable.windows)

    @property
    def rests(self) -> str:
        """The time alone decides."""
        return "outside its hours"

    @property
    def replaces(self) -> frozenset[str]:
        """It holds beside all others."""
        return frozenset()

    def limit(self, now: Instant) -> Limit | None:
        """The limit in force with its source in words; None outside of its windows."""
        piece = self.timetable.at(now.utc)
        if piece.bound.is_none:
            return None
        until = now.after((piece.end - now.utc).total_seconds())
        return Limit(self.node, piece.bound.limit_a, self.applies_to, self.label, until, piece.bound.power_w)

    def look(self, node: str, reading: MeterReading) -> None:
        """The time alone decides."""

    def expect(self, settle_s: float) -> None:
        """Its windows count so early that the slowest is below them in time."""
        self.timetable.begin_earlier(lead_s(settle_s))


@dataclass(frozen=True, slots=True)
class QuarterHourLimit:
    """A limit on the mean power of each quarter of an hour by the clock, of everything behind a node with a meter."""

    id: str
    label: str
    node: str
    quarter: QuarterHour
    line_v: float = NOMINAL_VOLTAGE_V

    @property
    def applies_to(self) -> AppliesTo:
        """The meter counts everything."""
        return AppliesTo.TOTAL

    @property
    def bounds_power(self) -> bool:
        """In watts only."""
        return True

    @property
    def rests(self) -> str:
        """It never does."""
        return ""

    @property
    def replaces(self) -> frozenset[str]:
        """It holds beside all others."""
        return frozenset()

    def limit(self, now: Instant) -> Limit:
        """What may be drawn just now, so that the quarter ends at its mean."""
        allowed = self.quarter.allowed(now)
        used = f"{allowed.used_wh / 1000:.2f} of {allowed.quota_wh / 1000:.2f} kWh used"
        source = f"{self.label} ({used}, {allowed.left_s / 60:.0f} min left)"
        return Limit(self.node, None, self.applies_to, source, now.after(allowed.left_s), allowed.power_w)

    def look(self, node: str, reading: MeterReading) -> None:
        """What flows at its node counts."""
        if node == self.node:
            self.quarter.measured(drawn_w(reading, self.line_v), reading.asked_at)

    def expect(self, settle_s: float) -> None:
        """It ends so calmly that the next quarter begins at its mean."""
        self.quarter.lead_s = lead_s(settle_s)
