"""What does charging cost and earn at a site? A time-of-use tariff with a demand charge, and what drivers pay.

The rates are those of Southern California Edison's schedule TOU-EV-4 in summer, as of March 2019, with which the figures of
the Adaptive Charging Network were published too; drivers pay 0.30 $/kWh there.
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from dataclasses import dataclass
from typing import Any

from backtest.engine import HOURS
from backtest.network import STEP_S, Network
from backtest.sessions import DAY_STEPS, HOUR_STEPS
from optimizer.demand import Day, PeakHistory, Stay
from optimizer.problem import Horizon, Tariff

CHANGES_H = (0, 8, 12, 18, 23)
WEEKDAY_PER_KWH = (0.05623, 0.0925, 0.26668, 0.0925, 0.05623)
"""From each hour of `CHANGES_H` on."""

WEEKEND_PER_KWH = 0.05623
SATURDAY, WEEK_DAYS = 5, 7

POWERS_W = tuple(5000.0 * number for number in range(31))
"""Peaks that are compared: a multiple of 5 kW is less than 1 % of the profit away from the best one in all windows looked at."""


LOOK_AGAIN = 16
"""After so many more cars have come, the day is looked at again."""


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
        if not self.works(day):
            return WEEKEND_PER_KWH
        return next(
            price
            for hour, price in zip(reversed(CHANGES_H), reversed(WEEKDAY_PER_KWH), strict=True)
            if of_day >= hour * HOUR_STEPS
        )

    def works(self, day: int) -> bool:
        """Whether the day is no weekend."""
        return (self.first_weekday + day) % WEEK_DAYS < SATURDAY

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


@dataclass(frozen=True)
class Hinted:
    """Prices for `optimizer.acn` where somebody knew what peak (W) the period is worth: it counts as reached."""

    contract: Contract
    peak_w: float

    def __call__(self, seen: Mapping[str, Any], horizon: Horizon, peak_w: float) -> Tariff:
        """The demand charge is paid by whoever exceeds it."""
        contract = self.contract
        return contract.tariff(seen["t"], horizon, max(peak_w, self.peak_w), peak_per_kw=contract.peak_per_kw)


class Unhinted:
    """Prices where nobody knew that.

    The charge is spread over the days of work that are left, and each day begins with the peak that the days before would
    have been worth (`optimizer.demand`).
    """

    def __init__(self, contract: Contract, network: Network, days: int) -> None:
        """A billing period of so many days."""
        self._contract = contract
        self._network = network
        self._days = days
        self._today = 0
        self._stays: dict[str, Stay] = {}
        self._history = PeakHistory(POWERS_W)
        self._target_w = 0.0
        self._looked_at = -LOOK_AGAIN

    def __call__(self, seen: Mapping[str, Any], horizon: Horizon, peak_w: float) -> Tariff:
        """Notes who came, and at midnight what the day was."""
        day = seen["t"] // DAY_STEPS
        while self._today < day:
            self._history.learn(self._so_far())
            self._today, self._stays, self._looked_at = self._today + 1, {}, -LOOK_AGAIN
        for sid, station, age, stays, left, got in zip(
            *(seen[key] for key in ("sid", "st", "age", "dep", "rem", "deliv")), strict=True
        ):
            of_day = seen["t"] - age - day * DAY_STEPS
            if of_day >= 0 and sid not in self._stays:
                max_w = float(self._network.max[station] * self._network.a2k[station]) / HOURS * 1000
                departure_s = (of_day + age + stays) * STEP_S
                self._stays[sid] = Stay(of_day * STEP_S, departure_s, 1000 * (left + got), max_w)
        if len(self._stays) >= self._looked_at + LOOK_AGAIN:
            self._looked_at = len(self._stays)
            self._target_w = self._history.best_w(self._left(), self._contract.peak_per_kw, peak_w, self._so_far())
        left_days = max(1, self._left()[True])
        per_kw = self._contract.peak_per_kw / left_days
        return self._contract.tariff(seen["t"], horizon, max(peak_w, self._target_w), peak_per_kw=per_kw)

    def _left(self) -> dict[Hashable, int]:
        """Of days of work and of others, today included."""
        works = [self._contract.works(day) for day in range(self._today, self._days)]
        return {True: works.count(True), False: works.count(False)}

    def _so_far(self) -> Day:
        """Today, with who has come until now."""
        start, contract = self._today * DAY_STEPS, self._contract
        steps = [step for step in contract.changes(start + 2 * DAY_STEPS) if step >= start]
        prices = [((step - start) * STEP_S, contract.price(step)) for step in steps]
        return Day(contract.works(self._today), list(self._stays.values()), prices, contract.revenue_per_kwh)
