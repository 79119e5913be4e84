"""When is it worth giving energy back? A second, small program beside a plan that knows only charging.

The plan without giving back is made first, and stays what all other cars get, to the last ampere. Then the cars that may give back
are planned anew in what room it leaves, for the least money, with all they want by departure as a condition and not as a price. What comes of
it is taken only if it costs less. So nobody leaves with less because of it, and no site pays more.

Columns: charge[car, block] and back[car, block] in A, stored[car, block] in Wh above what must be kept at the end of the block,
bought[block] and sold[block] in Wh of the site, and the peak in W above its highest so far.
Rows: stored[car, block] (what was, what comes and what goes, with losses), limit[circuit and phase, block] (of charging alone: what is given
back may end at any moment), fed[circuit and phase, block] (of giving back alone), meter[block], peak[block].

A station is told one direction on a step, 0 or at least its minimum. So the program is solved for any currents first, block 0 is
rounded in some ways, and solved again with each of them: the cheapest stays.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np

from optimizer import highs
from optimizer.explain import explain
from optimizer.feed_in import feed_in_rows, may_give_back, most_back_a, refill_caps, told_back
from optimizer.manners import Indexes
from optimizer.money import cost_of, others_w
from optimizer.newcomers import of_those_here
from optimizer.problem import Allocation, Problem, Tariff
from optimizer.rows import TINY_A, Array, minimum_of, rows_of, wh_per_ampere
from optimizer.share import currents_by_id
from optimizer.surplus import with_surplus

TIE = 1e-3
"""Of what prices differ by: giving back for less is not worth a battery's while, and of hours that cost the same the earlier is taken."""

NEARLY, NOISE_WH = 0.03, 1e-3
"""A plan gives up no more of energy than this for prices (`optimizer.worth`); and what is none at all."""

NEGLIGIBLE = 1e-6
"""Prices so small beside that of the peak are none to a solver whose own tolerance is 1e-7."""

NOISE_COST = 1e-9


def giving_back(problem: Problem, alone: Allocation, time_limit_s: float) -> Allocation:
    """The plan in which cars give energy back where that costs less; `alone`, the plan without it, where it does not.

    time_limit_s: for both, so what `alone` took of it is gone.
    """
    if alone.status != "optimal" or problem.tariff is None or not most_back_a(problem).any():
        return alone
    base = np.array([alone.currents_a[need.id] for need in problem.needs])
    best, least = base, -NOISE_COST * max(1.0, abs(cost_of(problem, base)))
    left_s = max(time_limit_s - alone.solve_s, 0.0)
    for plan in _plans(problem, problem.tariff, base, left_s / 5):
        if (dearer := _dearer(problem, plan, base)) < least:
            best, least = plan, dearer
    if not (best < 0).any():
        return alone
    currents = currents_by_id(problem, best)
    return Allocation(currents, "optimal", alone.solve_s, explain(problem, currents))


def _dearer(problem: Problem, plan_a: Array, than_a: Array) -> float:
    """By how much a plan costs more than another one, at worst: whether cars that are yet to come do come or not."""
    here = np.flatnonzero([need.arrival_s is None for need in problem.needs])
    without = of_those_here(problem)
    return max(
        cost_of(problem, plan_a) - cost_of(problem, than_a),
        cost_of(without, plan_a[here]) - cost_of(without, than_a[here]),
    )


def _plans(problem: Problem, tariff: Tariff, base_a: Array, time_limit_s: float) -> Iterator[Array]:
    """Plans (N, K), the other cars as they were; none if nothing is gained even where any current can be told."""
    for cars in _candidates(problem, base_a):
        program = _Arbitrage(problem, tariff, base_a, cars)
        if (free := program.best(None, time_limit_s)) is not None:
            break
    else:
        return
    if not (free < -TINY_A).any():
        return
    wanted = np.zeros(len(base_a))
    wanted[cars] = free[:, 0]
    back = told_back(problem, (-wanted).clip(min=0.0))[cars]
    step = np.array([problem.needs[n].step_a for n in cars])
    charge = np.round(np.floor(free[:, 0].clip(min=0.0) / step + TINY_A) * step, 9)
    charge[charge < minimum_of(problem)[cars] - TINY_A] = 0.0
    seen: list[Array] = []
    for now in (np.where(back > 0, -back, charge), np.where(back > 0, -back, base_a[cars, 0]), base_a[cars, 0]):
        if any((now == before).all() for before in seen):
            continue
        seen.append(now)
        if (planned := program.best(now, time_limit_s)) is not None:
            plan = base_a.copy()
            plan[cars] = planned
            yield plan


def _candidates(problem: Problem, base_a: Array) -> Iterator[Indexes]:
    """Cars that the plan serves but for what prices and rounding take of that, and then only those that it serves wholly.

    Who is left out does not keep the others from giving back.
    """
    per_ampere = wh_per_ampere(problem)
    served_wh = (base_a * per_ampere).sum(axis=1)
    able = np.array([may_give_back(need, problem) for need in problem.needs])
    wanted_wh = np.array([need.energy_wh or 0.0 for need in problem.needs])
    step_wh = np.array([need.step_a for need in problem.needs]) * per_ampere[:, 0]
    for short_wh in (np.maximum(NEARLY * wanted_wh, step_wh), NOISE_WH):
        cars = np.flatnonzero(able & (served_wh >= wanted_wh - short_wh))
        if len(cars):
            yield cars


@dataclass(slots=True)
class _Entries:
    """Rows of a program, and the coordinates of what is in them."""

    low: list[Array] = field(default_factory=list)
    high: list[Array] = field(default_factory=list)
    row: list[Indexes] = field(default_factory=list)
    column: list[Indexes] = field(default_factory=list)
    value: list[Array] = field(default_factory=list)
    count: int = 0

    def add(self, low: Array, high: Array) -> Indexes:
        """The indexes of more rows, in the shape of their bounds."""
        self.low.append(low.ravel())
        self.high.append(high.ravel())
        self.count += low.size
        return np.arange(self.count - low.size, self.count).reshape(low.shape)

    def enter(self, row: Indexes, column: Indexes, value: Array | float) -> None:
        """Coordinates and values, of shapes that fit together."""
        rows, columns, values = np.broadcast_arrays(row, column, value)
        self.row.append(rows.ravel())
        self.column.append(columns.ravel())
        self.value.append(values.ravel().astype(np.float64))


class _Arbitrage:
    """The program as above for these cars (C,), in the room that the plan (N, K) leaves them."""

    def __init__(self, problem: Problem, tariff: Tariff, base_a: Array, cars: Indexes) -> None:
        blocks, count = problem.horizon.blocks, len(cars)
        bounds = [back for n in cars if (back := problem.needs[n].discharge) is not None]
        self._blocks, self._entries = blocks, _Entries()
        self._hours = np.diff(np.array(problem.horizon.edges_s)) / 3600
        self._wh = wh_per_ampere(problem)[cars]
        self._round_trip = np.array([one.efficiency for one in bounds])[:, None]
        self._spare_wh = np.array([one.spare_wh for one in bounds])
        self._wanted_wh = np.array([problem.needs[n].energy_wh or 0.0 for n in cars])
        cells = count * blocks
        self._charge, self._back, self._stored = np.arange(3 * cells).reshape(3, count, blocks)
        self._bought, self._sold = 3 * cells + np.arange(2 * blocks).reshape(2, blocks)
        self._peak = np.array([3 * cells + 2 * blocks])
        wear = np.array([one.wear_per_kwh for one in bounds])[:, None]
        self._worth = self._money(problem.horizon.edges_s, tariff, wear)
        # Who is paid for using energy wastes none of it here.
        back_a = most_back_a(problem)[cars] * (np.array(tariff.import_per_kwh) >= 0)
        self._upper = np.concatenate(
            [refill_caps(problem)[cars].ravel(), back_a.ravel(), np.zeros(cells), np.full(2 * blocks + 1, np.inf)]
        )
        others_a = base_a.copy()
        others_a[cars] = 0.0
        rows = rows_of(with_surplus(problem))
        self._enter_storage()
        self._enter_sums(rows.loads[:, cars], rows.available_a - rows.loads @ others_a, self._charge)
        loads, limits = feed_in_rows(problem)
        self._enter_sums(loads[:, cars], limits, self._back)
        # Who is yet to come has room kept for it, but may not come.
        others_a[[need.arrival_s is not None for need in problem.needs]] = 0.0
        self._enter_meter(tariff, (others_a * wh_per_ampere(problem)).sum(axis=0))

    def _money(self, edges_s: tuple[float, ...], tariff: Tariff, wear: Array) -> Array:
        """The worth of each column. Of hours that cost the same the earlier one charges, and the later one gives back."""
        import_, export = np.array(tariff.import_per_kwh), np.array(tariff.export_per_kwh or (0.0,) * self._blocks)
        export = np.minimum(export, import_)  # where selling earns more than buying costs no linear program can say it
        prices = np.concatenate((import_, export))
        tie = TIE * float(prices.max() - prices.min())
        early = tie * (1 - np.array(edges_s)[:-1] / edges_s[-1])
        worth = (early * self._wh, -(wear + tie + early) * self._wh, 0.0 * self._wh, -import_, export)
        per_peak_kw = tariff.peak_per_kw or 0.0
        together = np.concatenate([*map(np.ravel, worth), np.array([-per_peak_kw])])
        scale = max(float(np.abs(prices).max()), float(wear.max()), NEGLIGIBLE * per_peak_kw)
        scaled: Array = together / (scale or 1.0)
        return scaled

    def _enter_storage(self) -> None:
        start = np.zeros_like(self._wh)
        start[:, 0] = self._spare_wh
        stored = self._entries.add(start, start)
        self._entries.enter(stored, self._stored, 1.0)
        self._entries.enter(stored[:, 1:], self._stored[:, :-1], -1.0)
        self._entries.enter(stored, self._charge, -self._wh)
        self._entries.enter(stored, self._back, self._wh / self._round_trip)
        last = self._entries.add(self._spare_wh + self._wanted_wh, np.full(len(self._wh), np.inf))
        self._entries.enter(last, self._stored[:, -1], 1.0)

    def _enter_meter(self, tariff: Tariff, others_wh: Array) -> None:
        """What the site buys and sells, and its peak; others_wh: (K,) what other cars draw."""
        entries, hours = self._entries, self._hours
        used_wh = others_wh + others_w(tariff, self._blocks) * hours
        meter = entries.add(used_wh, used_wh)
        entries.enter(meter, self._bought, 1.0)
        entries.enter(meter, self._sold, -1.0)
        entries.enter(meter, self._charge, -self._wh)
        entries.enter(meter, self._back, self._wh)
        if tariff.peak_per_kw is not None:
            below = entries.add(np.full(self._blocks, -np.inf), tariff.peak_w - used_wh / hours)
            entries.enter(below, self._charge, self._wh / hours)
            entries.enter(below, self._back, -self._wh / hours)
            entries.enter(below, self._peak, -1.0)

    def _enter_sums(self, loads: Array, limit_a: Array, columns: Indexes) -> None:
        """Limits (R, K) on sums of columns (C, K), each as often as loads (R, C) say."""
        used = loads.any(axis=1)
        height = int(used.sum())
        row = self._entries.add(np.full((height, self._blocks), -np.inf), limit_a[used].clip(min=0.0))
        at, car = np.nonzero(loads[used])
        self._entries.enter(row[at], columns[car], loads[used][at, car][:, None])

    def best(self, now_a: Array | None, time_limit_s: float) -> Array | None:
        """(C, K) the cheapest currents, below 0 given back; now_a: (C,) those of block 0 if they are decided. None: no answer."""
        entries, upper = self._entries, self._upper.copy()
        row, column, value = np.concatenate(entries.row), np.concatenate(entries.column), np.concatenate(entries.value)
        low, high = np.concatenate(entries.low), np.concatenate(entries.high)
        fixed = np.zeros(len(upper))
        full_wh = self._wanted_wh
        if now_a is not None:
            fixed[self._charge[:, 0]], fixed[self._back[:, 0]] = now_a.clip(min=0.0), (-now_a).clip(min=0.0)
            upper[self._charge[:, 0]] = upper[self._back[:, 0]] = 0.0
            full_wh = np.maximum(full_wh, now_a * self._wh[:, 0])
            taken = np.bincount(row, weights=value * fixed[column], minlength=len(low))
            low, high = low - taken, high - taken
        upper[self._stored] = (self._spare_wh + full_wh)[:, None]
        answer = highs.best(highs.Linear(self._worth, upper, row, column, value, low, high), time_limit_s)
        if answer.outcome is not highs.Outcome.OPTIMAL:
            return None
        x = answer.x.clip(min=0.0, max=upper) + fixed
        return self._one_direction(x[self._charge], x[self._back])

    def _one_direction(self, charge: Array, back: Array) -> Array:
        """(C, K) what is stored stays the same, and no limit is used more, where both directions are netted."""
        stored = charge - back / self._round_trip
        net: Array = np.where(stored < 0, stored * self._round_trip, stored)
        net[abs(net) < TINY_A] = 0.0
        one = np.where(back > TINY_A, net, charge)
        return np.where((charge <= TINY_A) & (back > TINY_A), -back, one)
