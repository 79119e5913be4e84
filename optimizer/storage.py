"""What is the cheapest way to use what batteries hold? A linear program of its own, beside that of charging.

Columns
    charge[car, block], back[car, block]  A
    stored[car, block]                    Wh above what must be kept, at the end of the block
    bought[block], sold[block]            Wh of the site
    peak                                  W above the highest mean so far

Rows
    stored[car, block]                    what was, what comes and what goes, with losses
    wanted[car]                           all of it at the end
    limit[circuit and phase, block]       of charging alone: what is given back may end at any moment
    fed[circuit and phase, block]         of giving back alone
    meter[block], peak[block]             what the site buys and sells, and the most of it
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from optimizer import highs
from optimizer.arrays import Array, Indexes
from optimizer.feed_in import discharge_of, feed_in_rows, most_back_a, refill_caps
from optimizer.linear import Draft
from optimizer.money import by_block, others_w
from optimizer.problem import Problem, Tariff
from optimizer.rows import TINY_A, block_hours, falling, rows_of, wh_per_ampere
from optimizer.surplus import with_surplus

TIE = 1e-3
"""Of what prices differ by: giving back for less is not worth a battery's while; and it decides between hours that cost the same."""

NEGLIGIBLE = 1e-6
"""Prices so small beside that of the peak are none to a solver whose own tolerance is 1e-7."""


class Storage:
    """The program for these cars (C,), in the room that the plan (N, K) leaves them."""

    def __init__(self, problem: Problem, tariff: Tariff, base_a: Array, cars: Indexes) -> None:
        """All of them may give back."""
        backs = [discharge_of(problem.needs[n]) for n in cars]
        self._round_trip = np.array([[one.efficiency] for one in backs])
        self._spare_wh = np.array([one.spare_wh for one in backs])
        self._wanted_wh = np.array([problem.needs[n].energy_wh or 0.0 for n in cars])
        self._wh = wh_per_ampere(problem)[cars]
        self._draft = Draft()
        self._add_columns(problem, tariff, cars, np.array([[one.wear_per_kwh] for one in backs]))
        self._enter_storage()
        others_a = base_a.copy()
        others_a[cars] = 0.0
        rows = rows_of(with_surplus(problem))
        self._enter_sums(rows.loads[:, cars], rows.available_a - rows.loads @ others_a, self._charge)
        loads, limits = feed_in_rows(problem)
        self._enter_sums(loads[:, cars], limits, self._back)
        # Who is yet to come has room kept for it, but may not come.
        others_a[[need.arrival_s is not None for need in problem.needs]] = 0.0
        self._enter_meter(problem, tariff, (others_a * wh_per_ampere(problem)).sum(axis=0))
        self._linear = self._draft.numbers()

    def cheapest(self, now_a: Array | None, time_limit_s: float) -> Array | None:
        """(C, K) currents, below 0 given back; now_a: (C,) those of block 0 if they are decided. None: no answer."""
        linear, upper = self._linear, self._linear.upper.copy()
        fixed, full_wh = np.zeros(len(upper)), self._wanted_wh
        if now_a is not None:
            fixed[self._charge[:, 0]], fixed[self._back[:, 0]] = now_a.clip(min=0.0), (-now_a).clip(min=0.0)
            upper[self._charge[:, 0]] = upper[self._back[:, 0]] = 0.0
            full_wh = np.maximum(full_wh, now_a * self._wh[:, 0])
            taken = np.bincount(linear.row, linear.value * fixed[linear.column], len(linear.row_low))
            linear = replace(linear, row_low=linear.row_low - taken, row_high=linear.row_high - taken)
        upper[self._stored] = (self._spare_wh + full_wh)[:, None]
        answer = highs.best(replace(linear, upper=upper), time_limit_s)
        if answer.outcome is not highs.Outcome.OPTIMAL:
            return None
        x = answer.x.clip(min=0.0, max=upper) + fixed
        return self._one_direction(x[self._charge], x[self._back])

    def _add_columns(self, problem: Problem, tariff: Tariff, cars: Indexes, wear_per_kwh: Array) -> None:
        """In the order above. Of hours that cost the same the earlier one charges, and the later one gives back."""
        import_, export = np.array(tariff.import_per_kwh), by_block(tariff.export_per_kwh, tariff)
        export = np.minimum(export, import_)  # where selling earns more than buying costs no linear program can say it
        prices, per_peak_kw = np.concatenate((import_, export)), tariff.peak_per_kw or 0.0
        tie = TIE * float(prices.max() - prices.min())
        early = tie * falling(problem)
        scale = max(float(np.abs(prices).max()), float(wear_per_kwh.max()), NEGLIGIBLE * per_peak_kw) or 1.0
        # Who is paid for using energy wastes none of it here.
        back_a = most_back_a(problem)[cars] * (import_ >= 0)
        add, free = self._draft.columns, np.full(len(import_), np.inf)
        self._charge = add(refill_caps(problem)[cars], early * self._wh / scale)
        self._back = add(back_a, -(wear_per_kwh + tie + early) * self._wh / scale)
        self._stored = add(np.zeros(self._wh.shape), 0.0)
        self._bought, self._sold = add(free, -import_ / scale), add(free, export / scale)
        self._peak = add(np.full(1, np.inf), -per_peak_kw / scale)

    def _enter_storage(self) -> None:
        start_wh = np.zeros_like(self._wh)
        start_wh[:, 0] = self._spare_wh
        stored = self._draft.rows(start_wh, start_wh)
        self._draft.enter(stored, self._stored, 1.0)
        self._draft.enter(stored[:, 1:], self._stored[:, :-1], -1.0)
        self._draft.enter(stored, self._charge, -self._wh)
        self._draft.enter(stored, self._back, self._wh / self._round_trip)
        last = self._draft.rows(np.full(len(self._wh), np.inf), self._spare_wh + self._wanted_wh)
        self._draft.enter(last, self._stored[:, -1], 1.0)

    def _enter_sums(self, loads: Array, limit_a: Array, columns: Indexes) -> None:
        """Limits (R, K) on sums of columns (C, K), each as often as loads (R, C) say."""
        used = loads.any(axis=1)
        row = self._draft.rows(limit_a[used].clip(min=0.0))
        at, car = np.nonzero(loads[used])
        self._draft.enter(row[at], columns[car], loads[used][at, car][:, None])

    def _enter_meter(self, problem: Problem, tariff: Tariff, others_wh: Array) -> None:
        """What the site buys and sells, and its peak; others_wh: (K,) what other cars draw."""
        hours = block_hours(problem)
        used_wh = others_wh + others_w(tariff) * hours
        meter = self._draft.rows(used_wh, used_wh)
        self._draft.enter(meter, self._bought, 1.0)
        self._draft.enter(meter, self._sold, -1.0)
        self._draft.enter(meter, self._charge, -self._wh)
        self._draft.enter(meter, self._back, self._wh)
        if tariff.peak_per_kw is not None:
            below = self._draft.rows(tariff.peak_w - used_wh / hours)
            self._draft.enter(below, self._charge, self._wh / hours)
            self._draft.enter(below, self._back, -self._wh / hours)
            self._draft.enter(below, self._peak, -1.0)

    def _one_direction(self, charge: Array, back: Array) -> Array:
        """(C, K) what is stored stays the same, and no limit is used more, where both directions are netted."""
        stored = charge - back / self._round_trip
        net: Array = np.where(stored < 0, stored * self._round_trip, stored)
        net[abs(net) < TINY_A] = 0.0
        one = np.where(back > TINY_A, net, charge)
        return np.where((charge <= TINY_A) & (back > TINY_A), -back, one)
