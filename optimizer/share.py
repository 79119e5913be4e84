"""What would a fair division give each car? Max-min fair currents without a solver: quick enough for every reading.

The answer when there is no time, and the floor that a plan has to beat.
"""

from __future__ import annotations

import numpy as np

from optimizer.arrays import Array
from optimizer.explain import explain
from optimizer.manners import Manners
from optimizer.problem import Allocation, Problem
from optimizer.realize import fill, realized_now
from optimizer.rows import TINY_A, Rows, caps_of, minimum_of, rows_of, trim_to_energy
from optimizer.surplus import with_surplus
from optimizer.tangents import inner_rows


def share(problem: Problem) -> Allocation:
    """Max-min fair currents: nobody could get more without taking from someone who has as little or less.

    Block 0 serves as many minimums as fit, in the order of `ChargingNeed.priority`, and then raises the lowest
    first. The plan repeats it for as long as the car stays and wants energy; later blocks with less room get less.
    """
    if not problem.needs:
        return Allocation({}, "empty", 0.0, {})
    problem = with_surplus(problem)
    rows, caps = rows_of(problem), caps_of(problem)
    currents = currents_by_id(problem, shared_plan(problem, rows, caps))
    return Allocation(currents, "share", 0.0, explain(problem, currents))


def shared_plan(problem: Problem, rows: Rows, caps_a: Array) -> Array:
    """`share` on arrays: the plan (N, K)."""
    # On wires all start at their minimum and rise together, the lowest first, as `fill` lets them on plain rows.
    wanted = minimum_of(problem) if rows.has_wires else caps_a[:, 0]
    now = realized_now(rows, Manners.of(problem), caps_a[:, 0], wanted)
    plan = np.minimum(now[:, None], caps_a)
    plan[:, 0] = now
    loads, available = inner_rows(rows)
    crowded = np.any(loads @ plan > available + TINY_A, axis=0)
    for block in (block for block in np.flatnonzero(crowded).tolist() if block > 0):
        plan[:, block] = fill(loads, available[:, block], np.zeros(len(now)), plan[:, block])
    return trim_to_energy(plan, problem)


def currents_by_id(problem: Problem, plan_a: Array) -> dict[str, tuple[float, ...]]:
    """The plan (N, K) as `Allocation.currents_a`."""
    return {need.id: tuple(row) for need, row in zip(problem.needs, plan_a.tolist(), strict=True)}
