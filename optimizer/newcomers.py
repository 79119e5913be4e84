"""What does a car that is yet to come change for those that are here? They may charge earlier because of it, and none gets less now.

Who comes later takes room from hours for which others wait, for a lower price or because of the peak. So these are better off
with some of it before. But it may not come at all: so the plan is made without it, too, and each car has at least what that gives
it in block 0. What the plan with it gives more is granted as far as there is room beside that. A plan that knows no prices leaves no
room in block 0 that anybody could use, so there it changes nothing.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from optimizer.arrays import Array
from optimizer.explain import explain
from optimizer.problem import Allocation, Problem
from optimizer.realize import fill
from optimizer.rows import TINY_A, minimum_of, on_step_below, rows_of, trim_to_energy
from optimizer.share import currents_by_id
from optimizer.surplus import with_surplus
from optimizer.tangents import inner_rows


def of_those_here(problem: Problem) -> Problem:
    """The problem without cars that are yet to come; itself where there are none."""
    here = tuple(need for need in problem.needs if need.arrival_s is None)
    return problem if len(here) == len(problem.needs) else replace(problem, needs=here)


def nobody_lowered(problem: Problem, alone: Allocation, together: Allocation) -> Allocation:
    """The plan `together`, in which block 0 gives nobody less than the plan `alone` of those that are here.

    If one of them is no plan but fair shares, nobody gets more, either.
    """
    blocks = problem.horizon.blocks
    without = {need.id: alone.currents_a.get(need.id, (0.0,) * blocks) for need in problem.needs}
    solve_s = alone.solve_s + together.solve_s
    if {alone.status, together.status} != {"optimal"}:
        reasons = {need.id: alone.reasons.get(need.id, ()) for need in problem.needs}
        return Allocation(without, alone.status, solve_s, reasons)
    plan = np.array([together.currents_a[need.id] for need in problem.needs])
    least_a = np.array([currents_a[0] for currents_a in without.values()])
    plan[:, 0] = _raised(problem, least_a, plan[:, 0])
    currents = currents_by_id(problem, trim_to_energy(plan, problem))
    of_those = explain(problem, currents)
    reasons = {need.id: of_those[need.id] if need.arrival_s is None else () for need in problem.needs}
    return Allocation(currents, "optimal", solve_s, reasons)


def _raised(problem: Problem, least_a: Array, wanted_a: Array) -> Array:
    """(N,) block 0 between what each has anyhow and what it should have; together no more power than the stronger one of the two."""
    whole = with_surplus(problem)
    loads, available_a = inner_rows(rows_of(whole))
    watts = np.array([need.power_w(1.0) for need in problem.needs])
    most_w = max(float(watts @ least_a), float(watts @ wanted_a))
    now_a = fill(
        np.vstack((loads, watts)), np.append(available_a[:, 0], most_w), least_a, np.maximum(least_a, wanted_a)
    )
    steps_a = np.array([need.step_a for need in problem.needs])
    now_a = np.round(on_step_below(now_a, steps_a), 9)
    stays = (now_a < least_a + TINY_A) | (now_a < minimum_of(problem) - TINY_A)
    raised: Array = np.where(stays, least_a, now_a)
    return raised
