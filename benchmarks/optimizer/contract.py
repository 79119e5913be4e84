"""What does charging cost and earn at a site? A time-of-use tariff with a demand charge, and what drivers pay.

The rates are those of Southern California Edison's schedule TOU-EV-4 in summer, as of March 2019, with which the figures of
the Adaptive Charging Network were published too; drivers pay 0.30 $/kWh there.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from benchmarks.optimizer.engine import HOURS
from benchmarks.optimizer.network import STEP_S
from benchmarks.optimizer.sessions import DAY_STEPS, HOUR_STEPS
from optimizer.problem import Horizon, Tariff

CHANGES_H = (0, 8, 12, 18, 23)
WEEKDAY_PER_KWH = (0.05623, 0.0925, 0.26668, 0.0925, 0.05623)
"""From each hour of `CHANGES_H` on."""

WEEKEND_PER_KWH = 0.05623
SATURDAY, WEEK_DAYS = 5, 7


@dataclass(frozen=True)
class Bill:
    """Of a period, in the contract's currency."""

    energy: float
    demand: float
    revenue: float

    @property
    def profit(self) -> float:
        """What is left."""
        return self.revenue - self.energy - self.demand


@dataclass(frozen=True)
class Contract:
    """Prices for a period that begins at step 0 on this day of the week (0 is Monday)."""

    first_weekday: int = 0
    revenue_per_kwh: float = 0.30
    peak_per_kw: float = 15.51

    def price(self, step: int) -> float:
        """Of a kWh from the grid in this step."""
        day, of_day = divmod(step, DAY_STEPS)
        if (self.first_weekday + day) % WEEK_DAYS >= SATURDAY:
            return WEEKEND_PER_KWH
        return next(
            price
            for hour, price in zip(reversed(CHANGES_H), reversed(WEEKDAY_PER_KWH), strict=True)
            if of_day >= hour * HOUR_STEPS
        )

    def changes(self, until: int) -> list[int]:
        """The steps before this one at which the price may change."""
        return [day + hour * HOUR_STEPS for day in range(0, until, DAY_STEPS) for hour in CHANGES_H]

    def tariff(self, step: int, horizon: Horizon, peak_w: float, *, peak_per_kw: float) -> Tariff:
        """In the optimizer's words; the price of a block is that at its start, as blocks end where prices change."""
        starts = [step + int(edge_s // STEP_S) for edge_s in horizon.edges_s[:-1]]
        return Tariff(tuple(map(self.price, starts)), peak_per_kw=peak_per_kw, peak_w=peak_w, currency="USD")

    def bill(self, drawn_kwh: Mapping[int, float]) -> Bill:
        """For what was drawn in each step."""
        energy = sum(kwh * self.price(step) for step, kwh in drawn_kwh.items())
        peak_kw = max(drawn_kwh.values(), default=0.0) / HOURS
        revenue = self.revenue_per_kwh * sum(drawn_kwh.values())
        return Bill(energy, self.peak_per_kw * peak_kw, revenue)
