"""Which cars may give energy back, and how much now? Within their bounds, what circuits let through, and what they need themselves.

What a car gives back may end at any moment, so it makes no room for anybody; nor does a car that charges make room for what
others give back. So these limits stand beside those of `optimizer.rows` and share nothing with them.
"""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np

from optimizer.problem import PHASES, ChargingNeed, Problem
from optimizer.rows import TINY_A, Array, caps_of, wh_per_ampere


def may_give_back(need: ChargingNeed, problem: Problem) -> bool:
    """Whether the car is here, able to, and known to stay long enough; who leaves when, and wants what, is no guess."""
    if need.discharge is None or problem.tariff is None or need.arrival_s is not None or need.presence is not None:
        return False
    if need.energy_wh is None or need.departure_s is None:
        return False
    return need.departure_s >= problem.horizon.edges_s[1]


def most_back_a(problem: Problem) -> Array:
    """(N, K) the most that each car may give back in each block; 0 where less than its minimum is allowed."""
    most = np.zeros((len(problem.needs), problem.horizon.blocks))
    for n, need in enumerate(problem.needs):
        if need.discharge is not None and may_give_back(need, problem):
            allowed = [need.discharge.most_a(block) for block in range(problem.horizon.blocks)]
            most[n] = [amps if amps >= need.discharge.min_a - TINY_A else 0.0 for amps in allowed]
    most[wh_per_ampere(problem) == 0] = 0.0
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
    """(N,) what can be given back in block 0 near the wanted amperes (N,), 0 or more: on steps, 0 or at least the minimum.

    One car after the other by `ChargingNeed.priority`, as far as it can have all it wants by departure if nobody is in its way.
    """
    told = np.zeros(len(problem.needs))
    if not (wanted_a > 0).any():
        return told
    most, (loads, limits) = most_back_a(problem)[:, 0], feed_in_rows(problem)
    room, per_ampere, caps = limits[:, 0].copy(), wh_per_ampere(problem), refill_caps(problem)
    for n in sorted(np.flatnonzero((wanted_a > 0) & (most > 0)).tolist(), key=lambda n: -problem.needs[n].priority):
        need = problem.needs[n]
        later_wh = float((caps[n, 1:] * per_ampere[n, 1:]).sum())
        free_a = float(min(room[loads[:, n] > 0], default=math.inf))
        told[n] = _on_step(need, wanted_a[n], min(most[n], free_a, _restorable_a(need, later_wh, per_ampere[n, 0])))
        room -= loads[:, n] * told[n]
    return told


def _restorable_a(need: ChargingNeed, later_wh: float, per_ampere_wh: float) -> float:
    """The amperes in block 0 that leave what must be kept, and that later blocks can put back on top of what is wanted."""
    if need.discharge is None or need.energy_wh is None:
        return 0.0
    free_wh = min(need.discharge.spare_wh, later_wh - need.energy_wh)
    return max(free_wh, 0.0) * need.discharge.efficiency / per_ampere_wh


def _on_step(need: ChargingNeed, wanted_a: float, most_a: float) -> float:
    least_a = need.discharge.min_a if need.discharge is not None else math.inf
    least_a = math.ceil(least_a / need.step_a - TINY_A) * need.step_a
    if wanted_a < least_a / 2 or most_a < least_a - TINY_A:
        return 0.0
    amps = min(max(wanted_a, least_a), most_a)
    return round(math.floor(amps / need.step_a + TINY_A) * need.step_a, 9)
