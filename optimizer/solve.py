"""Which currents deliver the most energy in time, fairly and calmly? One linear program; a fair share if time runs out."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import Literal

import numpy as np

from optimizer import highs
from optimizer.arbitrage import giving_back
from optimizer.arrays import Array
from optimizer.explain import explain
from optimizer.level import average_twins, level
from optimizer.manners import Manners
from optimizer.newcomers import nobody_lowered, of_those_here
from optimizer.objectives import DEFAULT_WEIGHTS, Weights
from optimizer.priced_rounding import within_price
from optimizer.problem import Allocation, Problem
from optimizer.program import Program, build
from optimizer.realize import realized_now
from optimizer.rows import Rows, caps_of, rows_of, trim_to_energy
from optimizer.share import currents_by_id, shared_plan
from optimizer.surplus import with_surplus
from optimizer.tangents import within_wires


def solve(problem: Problem, *, time_limit_s: float = 1.0, weights: Weights = DEFAULT_WEIGHTS) -> Allocation:
    """The best currents of a problem. Every valid problem is answered, however hard: in doubt by fair shares.

    time_limit_s is for the solver; preparing and rounding take a few milliseconds more.
    """
    alone = _charging(problem, time_limit_s, weights)
    if not weights.priced or all(need.discharge is None for need in problem.needs):
        return alone
    started_s = time.perf_counter()
    plan = giving_back(problem, alone, time_limit_s)
    return replace(plan, solve_s=alone.solve_s + time.perf_counter() - started_s)


def _charging(problem: Problem, time_limit_s: float, weights: Weights) -> Allocation:
    here = of_those_here(problem)
    if len(here.needs) in {0, len(problem.needs)}:
        return _solved(problem, time_limit_s, weights)
    alone, together = (_solved(one, time_limit_s / 2, weights) for one in (here, problem))
    return nobody_lowered(problem, alone, together)


def _solved(problem: Problem, time_limit_s: float, weights: Weights) -> Allocation:
    if not problem.needs:
        return Allocation({}, "empty", 0.0, {})
    started_s = time.perf_counter()  # the only clock here: it measures, it decides nothing
    problem = with_surplus(problem)
    rows, caps = rows_of(problem), caps_of(problem)
    shared = shared_plan(problem, rows, caps)
    program = build(problem, rows, caps, shared[:, 0], weights)
    plan, status = best_plan(program, time_limit_s)
    plan_a = shared if plan is None else _realized_plan(program, rows, caps, plan, weights)
    currents = currents_by_id(problem, plan_a)
    solve_s = time.perf_counter() - started_s
    return Allocation(currents, status, solve_s, explain(problem, currents))


def best_plan(
    program: Program, time_limit_s: float
) -> tuple[Array | None, Literal["optimal", "share", "timeout_share"]]:
    """The plan (N, K) of a program, or None and why not."""
    if not len(program.linear.worth):
        return program.currents(program.linear.worth), "optimal"
    answer = highs.best(program.linear, time_limit_s)
    if answer.outcome is highs.Outcome.OPTIMAL:
        return program.currents(answer.x), "optimal"
    return None, "timeout_share" if answer.outcome is highs.Outcome.TIME_IS_UP else "share"


def _realized_plan(program: Program, rows: Rows, caps_a: Array, plan_a: Array, weights: Weights) -> Array:
    """The plan with a block 0 that stations can be told, and no more energy than wanted."""
    problem = program.problem
    plan = np.clip(plan_a, 0.0, caps_a)
    if weights.levels:
        plan = level(program, plan, caps_a)
        plan = average_twins(plan, problem.needs)
    plan = within_wires(rows, plan)
    manners, now_a = Manners.of(problem), caps_a[:, 0]
    if weights.priced and problem.tariff is not None:
        rows, now_a = within_price(program, rows, manners, now_a, plan)
    plan[:, 0] = realized_now(rows, manners, now_a, plan[:, 0])
    return trim_to_energy(plan, problem)
