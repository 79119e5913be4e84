"""How far may rounding fill up rows where energy has a price? Up to what the plan is no worse off with, and below the peak."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from optimizer.arrays import Array
from optimizer.manners import Manners
from optimizer.problem import TOGETHER, Problem
from optimizer.program import Program
from optimizer.rows import TINY_A, Rows, on_step_above
from optimizer.worth import Worth


def within_price(program: Program, rows: Rows, manners: Manners, caps_a: Array, plan_a: Array) -> tuple[Rows, Array]:
    """Rows and caps (N,) of block 0 for rounding the plan (N, K), given those without prices."""
    all_a = program.wanted_wh / program.wh_per_ampere[:, 0]
    to_fill = _with_peak(rows, program.problem, program.money, plan_a[:, 0])
    return to_fill, _worthwhile(manners, caps_a, _useful_a(program, plan_a), all_a)


def _useful_a(program: Program, plan_a: Array) -> Array:
    """(N,) A in block 0 up to which a car is no worse off than by the plan (N, K).

    Beyond its planned current that replaces energy that the plan buys later at no better worth, and energy that it leaves out.
    """
    per_ampere, worth = program.wh_per_ampere, program.money
    planned = plan_a * per_ampere
    drawn = planned.sum(axis=0)
    spare = np.where(
        np.arange(len(drawn)) == 0, drawn < worth.surplus_wh * (1 - 1e-9), drawn <= worth.surplus_wh * (1 + 1e-9)
    )
    value = worth.net + worth.saved * (spare & (worth.saved > 0))
    replaced = (planned[:, 1:] * (value[:, 1:] <= value[:, :1])).sum(axis=1)
    more = (program.wanted_wh - planned.sum(axis=1)).clip(min=0.0) * (value[:, 0] > 0)
    unknown = np.array([need.energy_wh is None for need in program.problem.needs])
    more[unknown & (value[:, 0] + worth.beyond > 0)] = np.inf
    useful: Array = plan_a[:, 0] + (replaced + more) / per_ampere[:, 0]
    return useful


def _worthwhile(manners: Manners, caps_a: Array, useful_a: Array, wanted_a: Array) -> Array:
    """(N,) the caps lowered to what is useful, up to a step; 0 where that is less than half of a minimum.

    wanted_a: A that would bring all that is still wanted; who can have the rest of it at its minimum gets that.
    """
    steps = on_step_above(useful_a, manners.step_a)
    runs = (useful_a > 0.0) & ((useful_a >= manners.minimum_a / 2) | (useful_a >= wanted_a - TINY_A))
    return np.where(runs, np.minimum(np.maximum(steps, manners.minimum_a), caps_a), 0.0)


def _with_peak(rows: Rows, problem: Problem, worth: Worth, planned_a: Array) -> Rows:
    """The rows and one on the sum of all cars' phases: what the plan draws in block 0, or the room below the peak so far.

    planned_a: (N,). Watts become amperes at the highest voltage, so that no mixture of cars draws more. The later blocks
    are no matter to rounding.
    """
    if worth.peak_room_w is None:
        return rows
    phases = np.array([float(len(need.phases)) for need in problem.needs])
    room_a = worth.peak_room_w[0] / max(need.voltage_v for need in problem.needs)
    available_a = np.full((1, rows.available_a.shape[1]), max(float(phases @ planned_a), room_a, 0.0))
    number = len(rows.names)
    return replace(
        rows,
        names=(*rows.names, (len(problem.circuits), TOGETHER)),
        of_need=tuple(
            (*loaded, *(number for _ in need.phases)) for loaded, need in zip(rows.of_need, problem.needs, strict=True)
        ),
        loads=np.vstack((rows.loads, phases)),
        available_a=np.vstack((rows.available_a, available_a)),
    )
