"""Which cars may give energy back, and how much now? Within their bounds, what circuits let through, and what they need themselves.

What a car gives back may end at any moment, so it makes no room for anybody; nor does a car that charges make room for what
others give back. So these limits stand beside those of `optimizer.rows` and share nothing with them.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from optimizer.arrays import Array
from optimizer.problem import PHASES, ChargingNeed, Discharge, Problem
from optimizer.rows import TINY_A, allowed_a, caps_of, on_step_above, on_step_below, wh_per_ampere

NOTHING = Discharge(spare_wh=0.0, max_a=0.0, min_a=0.0)


def discharge_of(need: ChargingNeed) -> Discharge:
    """What the car may give back by itself; nothing where it does not say."""
    return need.discharge or NOTHING


def may_give_back(need: ChargingNeed, problem: Problem) -> bool:
    """Whether the car is here, able to, and known to stay long enough; who leaves when, and wants what, is no guess."""
    if need.discharge is None or problem.tariff is None or need.arrival_s is not None or need.presence is not None:
        return False
    if need.energy_wh is None or need.departure_s is None:
        return False
    return need.departure_s >= problem.horizon.edges_s[1]


def most_back_a(problem: Problem) -> Array:
    """(N, K) the most that each car may give back in each block; 0 where less than its minimum is allowed."""
    backs = [discharge_of(need) if may_give_back(need, problem) else NOTHING for need in problem.needs]
    most = allowed_a(problem, [back.max_a for back in backs], [back.ceiling_a for back in backs])
    least = np.array([back.min_a for back in backs])[:, None]
    most[(most < least - TINY_A) | (wh_per_ampere(problem) == 0)] = 0.0
    return most


def refill_caps(problem: Problem) -> Array:
    """(N, K) the highest currents as of `caps_of`, also of a car that has all it wants: it may have to charge again."""
    needs = (replace(n, energy_wh=None) if may_give_back(n, problem) else n for n in problem.needs)
    return caps_of(replace(problem, needs=tuple(needs)))


def feed_in_rows(problem: Problem) -> tuple[Array, Array]:
    """(R, N) which car gives back through which phase of which circuit, and (R, K) the amperes that may be fed in there."""
    blocks = problem.horizon.blocks
    loads, limits = [], []
    for circuit in problem.circuits:
        for phase in range(len(PHASES)):
            loads.append([circuit.id in need.circuits and phase in need.phases for need in problem.needs])
            limits.append([block[phase] for block in circuit.feed_in_a] if circuit.feed_in_a else [0.0] * blocks)
    height = len(loads)
    return np.array(loads, dtype=float).reshape(height, -1), np.array(limits).reshape(height, blocks)


def told_back(problem: Problem, wanted_a: Array) -> Array:
    """(N,) what can be given back in block 0 near the wanted amperes (N,): on steps, 0 or at least the minimum.

    One car after the other by `ChargingNeed.priority`, as far as it can have all it wants by departure if nobody is in its way.
    Who is wanted to give back less than 0 does not.
    """
    told = np.zeros(len(problem.needs))
    if not (wanted_a > 0).any():
        return told
    step = np.array([need.step_a for need in problem.needs])
    least = on_step_above(np.array([discharge_of(need).min_a for need in problem.needs]), step)
    most, (loads, limits) = np.minimum(most_back_a(problem)[:, 0], _restorable_a(problem)), feed_in_rows(problem)
    room = limits[:, 0].copy()
    able = np.flatnonzero((wanted_a > 0) & (wanted_a >= least / 2) & (most > 0))
    for n in sorted(able.tolist(), key=lambda n: -problem.needs[n].priority):
        most[n] = room[loads[:, n] > 0].min(initial=most[n])
        if most[n] >= least[n] - TINY_A:
            told[n] = np.round(on_step_below(np.clip(wanted_a[n], least[n], most[n]), step[n]), 9)
            room -= loads[:, n] * told[n]
    return told


def _restorable_a(problem: Problem) -> Array:
    """(N,) amperes in block 0 that leave what must be kept, and that later blocks can put back on top of what is wanted."""
    per_ampere, backs = wh_per_ampere(problem), [discharge_of(need) for need in problem.needs]
    later_wh = (refill_caps(problem)[:, 1:] * per_ampere[:, 1:]).sum(axis=1)
    free_wh = np.minimum(
        [back.spare_wh for back in backs], later_wh - [need.energy_wh or 0.0 for need in problem.needs]
    )
    restorable: Array = free_wh.clip(min=0.0) * [back.efficiency for back in backs] / per_ampere[:, 0]
    return restorable
