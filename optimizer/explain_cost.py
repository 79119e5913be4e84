"""Why does a car get less than fits? What it waits for, what a kWh is worth, and the site's peak, in plain English."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from optimizer.problem import ChargingNeed, Problem, Reason, ReasonCode, Tariff

DAY_S, HOUR_S = 86_400, 3600


@dataclass(frozen=True, slots=True)
class CostView:
    """A tariff as cars see it. drawn_w: by all cars in block 0. plan_a: by need, if it is known."""

    problem: Problem
    tariff: Tariff
    drawn_w: float
    plan_a: Mapping[str, Sequence[float]]

    @classmethod
    def of(
        cls, problem: Problem, now_a: Mapping[str, float], plan_a: Mapping[str, Sequence[float]] | None
    ) -> CostView | None:
        """None where there is no tariff."""
        if problem.tariff is None:
            return None
        drawn_w = sum(need.power_w(now_a[need.id]) for need in problem.needs)
        return cls(problem, problem.tariff, drawn_w, plan_a or {})

    def satisfies(self, need: ChargingNeed, current: float) -> bool:
        """Whether so much in block 0 is all that it still wants."""
        hours = self.problem.horizon.edges_s[1] / 3600
        return need.energy_wh is not None and need.power_w(current) * hours >= need.energy_wh

    def reasons(self, need: ChargingNeed, current: float) -> tuple[Reason, ...]:
        """Why it gets no more than this although there is room; empty if no price is the reason."""
        return tuple(
            Reason(code, f"{'Paused' if current == 0 else f'{current:.1f} A'}: {why}.")
            for code, why in (
                *self._waits(need),
                *self._is_not_worth(need),
                *self._keeps_peak(need, current),
                *self._pauses(current),
            )
        )[:1]

    def _waits(self, need: ChargingNeed) -> Iterator[tuple[ReasonCode, str]]:
        """For the first block in which it is planned to charge for less."""
        now = self._price(0, self.drawn_w)
        plan = self.plan_a.get(need.id, ())
        for block in range(1, self.problem.horizon.blocks):
            start_s = self.problem.horizon.edges_s[block]
            if need.departure_s is not None and start_s >= need.departure_s:
                return
            price = self._price(block, 0.0)
            if price < now and (plan[block] > 0 if len(plan) > block else not plan):
                low, high = _told(price, now)
                yield "price", f"waits {self._until(start_s)}: {low} instead of {high} {self.tariff.currency}/kWh"
                return

    def _is_not_worth(self, need: ChargingNeed) -> Iterator[tuple[ReasonCode, str]]:
        now, worth = self._price(0, self.drawn_w), need.energy_worth_per_kwh
        if worth is not None and worth <= now:
            low, high = _told(worth, now)
            yield "price", f"a kWh costs {high} {self.tariff.currency} and is worth {low} {self.tariff.currency}"

    def _pauses(self, current: float) -> Iterator[tuple[ReasonCode, str]]:
        """Where nothing else is said: nobody knows what it wants, and it is not cheap now."""
        if current == 0:
            (now,) = _told(self._price(0, self.drawn_w))
            yield "price", f"waits for less than {now} {self.tariff.currency}/kWh"

    def _keeps_peak(self, need: ChargingNeed, current: float) -> Iterator[tuple[ReasonCode, str]]:
        tariff = self.tariff
        if tariff.peak_per_kw is None:
            return
        others_w = at(tariff.background_w, 0) - at(tariff.surplus_w, 0)
        step_w = need.power_w(need.step_a if current else need.min_a)
        if others_w + self.drawn_w + step_w > tariff.peak_w:
            peak_kw = max(tariff.peak_w, others_w + self.drawn_w) / 1000
            cost = f"{tariff.peak_per_kw:.2f} {tariff.currency}/kW"
            yield "peak", f"more would raise the site's peak of {peak_kw:.1f} kW, at {cost}"

    def _price(self, block: int, drawn_w: float) -> float:
        """Of one kWh more where so much is drawn already."""
        if at(self.tariff.surplus_w, block) > drawn_w:
            return at(self.tariff.export_per_kwh, block)
        return self.tariff.import_per_kwh[block]

    def _until(self, start_s: float) -> str:
        if self.tariff.now_s_of_day is None:
            return _in(start_s)
        return f"for {_clock(self.tariff.now_s_of_day + start_s)}"


def clock_of(tariff: Tariff, start_s: float) -> str:
    """When a block is that starts so many seconds from now."""
    if tariff.now_s_of_day is None:
        return f"in {_in(start_s)}"
    return f"at {_clock(tariff.now_s_of_day + start_s)}"


def _in(seconds: float) -> str:
    return f"{seconds / 3600:.1f} h" if seconds >= HOUR_S else f"{seconds / 60:.0f} min"


def _clock(s_of_day: float) -> str:
    minutes = round(s_of_day % DAY_S / 60)
    return f"{minutes // 60 % 24:02d}:{minutes % 60:02d}"


def _told(*prices: float) -> list[str]:
    """As cents where they can be told apart so."""
    short = [f"{price:.2f}" for price in prices]
    return short if len(set(short)) == len(prices) else [f"{price:.4f}" for price in prices]


def at(values: tuple[float, ...], block: int) -> float:
    """Of a series of the tariff; 0 where it is empty."""
    return values[block] if values else 0.0
