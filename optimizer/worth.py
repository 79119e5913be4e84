"""What is a Wh worth to each car in each block, and what does the site pay for it? In one unit, so that a program can add up.

Without prices a Wh delivered by departure is worth 1. With prices all is in the tariff's currency, divided by the most that a kWh is
worth beyond its price, so that the program's numbers are near 1 whatever the currency is. Multiplying all prices by a number
changes nothing but for cars whose owner named a worth.

A car whose owner named none gets its energy by departure whatever it costs: a kWh is worth `FIRM` times what hours can differ by,
plus `FIRM_PEAK` times what it costs if nothing but the shortest block raises the peak for it. So at most 1 / `FIRM` of the energy
that is moved, and 1 / `FIRM_PEAK` of a peak in that block, is given up for prices. More would make the prices too small beside the
worth for a solver whose own tolerance is 1e-7.

Beyond the prior of such a car whose wish is unknown, a kWh is worth the middle between the lowest and the highest price: it is
bought in cheap hours only, or else who says nothing would never wait.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from optimizer.arrays import Array, Indexes
from optimizer.money import by_block
from optimizer.objectives import Weights
from optimizer.problem import ChargingNeed, Problem, Tariff
from optimizer.rows import block_hours, falling

FIRM = 50.0
FIRM_PEAK = 2.0

NOISE = 1e-6
"""Prices that differ by less, relative to the highest, are one price."""


@dataclass(frozen=True, slots=True)
class Worth:
    """What `program` adds up.

    net: (N, K) worth of a Wh that is bought in the block.
    beyond: (N,) by how much more a Wh is worth that is beyond the prior of a car whose wish is unknown, below 0.
    unit: what the weights of being early, fair and calm are fractions of.
    saved: (K,) by how much less a Wh costs that is covered by surplus_wh (K,); both 0 where there is none.
    per_peak_w: what a W of the peak costs.
    peak_room_w: (K,) what cars may draw without raising the peak, negative where others raise it; None: no peak.
    """

    net: Array
    beyond: Array
    unit: float
    saved: Array
    surplus_wh: Array
    per_peak_w: float = 0.0
    peak_room_w: Array | None = None


def worth_of(problem: Problem, weights: Weights) -> Worth:
    """Of a problem for this objective."""
    if problem.tariff is None or not weights.priced:
        return _by_energy(problem, weights)
    return _by_price(problem, problem.tariff, weights)


class Segments(NamedTuple):
    """Pieces of the cars' currents in block 0: whose each is, how many amperes wide, and what one of them is worth."""

    need: Indexes
    width_a: Array
    worth: Array


def first_block(
    needs: Sequence[ChargingNeed], caps_a: Array, fair_a: Array, per_ampere: tuple[Array, Array], weights: Weights
) -> Segments:
    """The worth of currents in block 0: for each car segments of falling worth that add up to its cap.

    caps_a, fair_a: (N,) the highest currents and the max-min fair shares. per_ampere: (N,) what an ampere is worth by its energy,
    being early included; and what bonuses are fractions of, its energy where nothing has a price.
    """
    energy, unit = per_ampere
    minimum_a, present_a = (np.array([getattr(need, field) for need in needs]) for field in ("min_a", "present_a"))
    parity = np.array([3 / len(need.phases) - 1 for need in needs]) if weights.minimum else 0.0
    bonuses = (
        (np.minimum(fair_a, minimum_a), (parity + weights.minimum) * unit),
        (fair_a, weights.fair * unit),
        (present_a, weights.calm * unit),
        (np.minimum(present_a, minimum_a), weights.keep * unit),
    )
    ends = (np.where(bonus == 0, 0.0, np.minimum(upto_a, caps_a)) for upto_a, bonus in bonuses)
    corners = np.sort(np.stack((np.zeros(len(needs)), *ends, caps_a), axis=1))
    worth = energy[:, None] + sum(bonus[:, None] * (upto_a[:, None] >= corners[:, 1:]) for upto_a, bonus in bonuses)
    width_a = np.diff(corners)
    need, number = np.nonzero(width_a)
    return Segments(need, width_a[need, number], worth[need, number])


def _by_energy(problem: Problem, weights: Weights) -> Worth:
    blocks, cars = problem.horizon.blocks, len(problem.needs)
    net = _in_time(problem, np.ones((cars, blocks)), weights.early) + _sooner(problem, weights.urgent)
    return Worth(net, np.full(cars, weights.beyond_prior - 1), 1.0, np.zeros(blocks), np.zeros(blocks))


def _by_price(problem: Problem, tariff: Tariff, weights: Weights) -> Worth:
    hours, per_peak_kw = block_hours(problem), tariff.peak_per_kw or 0.0
    import_, export = np.array(tariff.import_per_kwh), by_block(tariff.export_per_kwh, tariff)
    surplus_w = by_block(tariff.surplus_w, tariff)
    sold = surplus_w > 0
    prices = np.concatenate((import_, export[sold]))
    unit = _unit(prices)
    firm = prices.max() + FIRM * unit + FIRM_PEAK * per_peak_kw / hours.min()
    cheap = prices.min() + weights.beyond_prior * unit
    named = [need.energy_worth_per_kwh for need in problem.needs]
    full = np.array([firm if worth is None else worth for worth in named])
    beyond = [cheap if worth is None else worth - (1 - weights.beyond_prior) * abs(worth) for worth in named]
    paid = np.where(sold & (export > import_), _mean_price(problem, tariff), import_)
    scale = float(np.abs(full[:, None] - paid).max(initial=unit))
    room_w = tariff.peak_w - by_block(tariff.background_w, tariff) + surplus_w
    return Worth(
        net=_in_time(problem, full[:, None] - paid, weights.early * unit) / scale,
        beyond=(np.array(beyond) - full) / scale,
        unit=unit / scale,
        saved=np.where(sold, import_ - export, 0.0).clip(min=0.0) / scale,
        surplus_wh=surplus_w * hours,
        per_peak_w=per_peak_kw / scale,
        peak_room_w=None if tariff.peak_per_kw is None else room_w,
    )


def _unit(prices: Array) -> float:
    """What they can differ by; where they do not, the price itself."""
    highest, spread = float(np.abs(prices).max()), float(prices.max() - prices.min())
    return spread if spread > NOISE * highest else highest or 1.0


def _in_time(problem: Problem, worth: Array, early: float) -> Array:
    """(N, K) worth with `early` more now, falling to 0 at the horizon; or as it becomes unlikely that the car is there."""
    sooner = early * falling(problem)
    return np.array(
        [
            one + sooner if need.presence is None else (one + early) * np.array(need.presence)
            for need, one in zip(problem.needs, worth, strict=True)
        ]
    ).reshape(worth.shape)


def _sooner(problem: Problem, urgent: float) -> Array:
    """(N, K) the more now, falling to 0 at the horizon, the sooner a car leaves; who does not say when, the longer it is here."""
    end_s = problem.horizon.edges_s[-1]
    gone_s = [need.stayed_s if need.departure_s is None else end_s - need.departure_s for need in problem.needs]
    sooner: Array = urgent * np.outer(np.clip(np.array(gone_s) / end_s, 0.0, 1.0), falling(problem))
    return sooner


def _mean_price(problem: Problem, tariff: Tariff) -> Array:
    """(K,) price of a kWh where surplus earns more than the grid asks, if all cars draw their most.

    There the first kWh is the dearest, which no linear program can say.
    """
    most_w = sum(need.power_w(need.max_a) for need in problem.needs) or 1.0
    part = (by_block(tariff.surplus_w, tariff) / most_w).clip(max=1.0)
    mean: Array = part * by_block(tariff.export_per_kwh, tariff) + (1 - part) * np.array(tariff.import_per_kwh)
    return mean
