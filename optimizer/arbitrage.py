"""When is it worth giving energy back? Beside a plan that knows only charging, where that costs less.

The plan without giving back is made first, and stays what all other cars get, to the last ampere. Then the cars that may give back
are planned anew in what room it leaves, for the least money, with all they want by departure as a condition and not as a price
(`optimizer.storage`). What comes of it is taken only if it costs less. So nobody leaves with less because of it, and no site pays more.

A station is told one direction on a step, 0 or at least its minimum. So the program is solved for any currents first, block 0 is
rounded in some ways, and solved again with each of them: the cheapest stays.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from optimizer.arrays import Array, Indexes
from optimizer.explain import explain
from optimizer.feed_in import may_give_back, most_back_a, told_back
from optimizer.money import cost_of
from optimizer.newcomers import of_those_here
from optimizer.problem import Allocation, Problem, Tariff
from optimizer.rows import TINY_A, minimum_of, on_step_below, wh_per_ampere
from optimizer.share import currents_by_id
from optimizer.storage import Storage

NEARLY, NOISE_WH = 0.03, 1e-3
"""A plan gives up no more of energy than this for prices (`optimizer.worth`); and what is none at all."""

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
        storage = Storage(problem, tariff, base_a, cars)
        if (free := storage.cheapest(None, time_limit_s)) is not None:
            break
    else:
        return
    if not (free < -TINY_A).any():
        return
    for now_a in _rounded(problem, cars, free[:, 0], base_a[cars, 0]):
        if (planned := storage.cheapest(now_a, time_limit_s)) is not None:
            plan = base_a.copy()
            plan[cars] = planned
            yield plan


def _rounded(problem: Problem, cars: Indexes, free_a: Array, base_a: Array) -> Iterator[Array]:
    """Different block 0s (C,) that can be told: as the program likes, only those that give back changed, nothing changed."""
    wanted = np.zeros(len(problem.needs))
    wanted[cars] = free_a
    back = told_back(problem, -wanted)[cars]
    step = np.array([problem.needs[n].step_a for n in cars])
    charge = np.round(on_step_below(free_a.clip(min=0.0), step), 9)
    charge[charge < minimum_of(problem)[cars] - TINY_A] = 0.0
    ways = (np.where(back > 0, -back, charge), np.where(back > 0, -back, base_a), base_a)
    yield from (way for i, way in enumerate(ways) if not any((way == before).all() for before in ways[:i]))


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
