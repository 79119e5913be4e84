"""Which peak will a billing period turn out to be worth? Guessed by the days of it that have ended.

A plan sees the cars that are there. In the morning they fit under any peak, and who comes at noon finds the cheap hours gone, so a plan
that pays for the peak by itself pays for too little of it. What the days so far would have earned with each peak says how much the days
left are likely to: that peak is a good one to plan with from the start of a day (`Tariff.peak_w`).
"""

from __future__ import annotations

import math
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from optimizer.arrays import Array
from optimizer.highs import best
from optimizer.linear import Draft, Linear

NEARLY = 0.01
"""Of peaks that pay the same to so much, the highest is taken: the top is flat, drivers get more, and a day in which nobody knows who
comes makes less of a peak than hindsight does. `IDLE_DAYS` stand for what is not known yet: a peak is paid for once and for all, and a
first day may be a busy one. At a garage in September 2018 and in May, July and August 2019, with hindsight of each day for itself, the
profit in % of the best one, for 0 and 0.01, with 0, half a and one idle day:

          0                     0.01
0         97.6 96.7 99.1 97.1   98.5 92.2 92.4 97.1
0.5       97.3 99.7 98.6 97.1   98.1 99.7 98.6 97.1
1         95.1 98.3 96.9 95.2   96.1 98.3 96.9 95.2
"""

IDLE_DAYS = 0.5
"""So many days of each kind that earned nothing count beside those that have ended."""


@dataclass(frozen=True, slots=True)
class Stay:
    """A car that was there: seconds since the day's midnight, what it wanted, the most that it could draw."""

    arrival_s: float
    departure_s: float
    energy_wh: float
    max_w: float


@dataclass(frozen=True, slots=True)
class Day:
    """Who was there on a day of this kind (days of a kind are alike, say, those of work), and what energy cost and was worth.

    prices: (seconds since midnight, price of a kWh from then on), the first from 0 on.
    """

    kind: Hashable
    stays: Sequence[Stay]
    prices: Sequence[tuple[float, float]]
    worth_per_kwh: float


class PeakHistory:
    """What each day of a billing period would have earned at best, by its peak."""

    def __init__(self, powers_w: Sequence[float]) -> None:
        """The peaks to choose from, ascending."""
        self._powers_w = np.array(powers_w)
        self._days: dict[Hashable, list[Array]] = {}

    def learn(self, day: Day) -> None:
        """A day that has ended."""
        self._days.setdefault(day.kind, []).append(earned(day, self._powers_w))

    def best_w(
        self, left: Mapping[Hashable, int], peak_per_kw: float, peak_w: float, today: Day | None = None
    ) -> float:
        """The highest peak that pays nearly as much as any in what is left of the period, at least `peak_w`.

        left: number of days of each kind, today included. today: who has come so far; more may follow, so it counts where it
        would earn more than the mean of its kind. A kind of which nothing is known counts as earning nothing.
        """
        gain = np.zeros(len(self._powers_w))
        for kind in {*left, *(() if today is None else (today.kind,))}:
            curves = list(self._days.get(kind, ()))
            expected = _expected(curves, gain)
            if today is not None and today.kind == kind:
                one = np.maximum(earned(today, self._powers_w), expected)
                expected = _expected([*curves, one], gain)
                gain = gain + one - expected
            gain = gain + left.get(kind, 0) * expected
        paid = gain - peak_per_kw * self._powers_w / 1000
        ahead = gain - peak_per_kw * (self._powers_w - peak_w).clip(min=0.0) / 1000
        nearly = paid >= paid.max() - NEARLY * abs(paid.max())
        return max(peak_w, float(self._powers_w[ahead.argmax()]), float(self._powers_w[nearly].max()))


def _expected(curves: Sequence[Array], like: Array) -> Array:
    """What a day of a kind is expected to earn, by its peak."""
    if not curves:
        return np.zeros_like(like)
    total: Array = np.sum(curves, axis=0) / (len(curves) + IDLE_DAYS)
    return total


def earned(day: Day, powers_w: Array) -> Array:
    """What a day would have earned at best if its power had been at most each of these, the circuits left aside."""
    if not day.stays:
        return np.zeros(len(powers_w))
    linear = _program(day)
    found: list[float] = []
    is_power = np.arange(len(linear.row_high)) >= len(day.stays)
    for power_w in powers_w.tolist():
        if len(found) > 1 and found[-1] - found[-2] < 1e-9 * max(found[-1], 1.0):
            found.append(found[-1])  # more power has brought nothing: concave, so it never will
            continue
        limited = replace(linear, row_high=np.where(is_power, power_w, linear.row_high))
        found.append(float(linear.worth @ best(limited, math.inf).x) / 1000)
    return np.array(found)


def _program(day: Day) -> Linear:
    """Columns: W of each stay between any two moments at which a car or the price changes. Rows: each stay's Wh, each interval's W."""
    stays, prices = day.stays, day.prices
    moves = [at_s for stay in stays for at_s in (stay.arrival_s, stay.departure_s)]
    edges = np.unique([*moves, *(at_s for at_s, _ in prices if min(moves) < at_s < max(moves))])
    first, last = (np.searchsorted(edges, [getattr(s, end) for s in stays]) for end in ("arrival_s", "departure_s"))
    stay = np.repeat(np.arange(len(stays)), last - first)
    interval = np.concatenate([np.arange(a, b) for a, b in zip(first, last, strict=True)])
    hours = (np.diff(edges) / 3600)[interval]
    number = np.searchsorted([at_s for at_s, _ in prices], edges[interval], side="right") - 1
    worth = (day.worth_per_kwh - np.array([price for _, price in prices])[number]) * hours
    draft = Draft()
    power = draft.columns(np.array([one.max_w for one in stays])[stay], worth)
    draft.enter(draft.rows(np.array([one.energy_wh for one in stays]))[stay], power, hours)
    draft.enter(draft.rows(np.full(len(edges) - 1, np.inf))[interval], power, 1.0)
    return draft.numbers()
