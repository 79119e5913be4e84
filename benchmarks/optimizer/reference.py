"""How much CPU does the same plan take where it is written down in a modelling language for a conic solver? (G7)

cvxpy with Clarabel, written as well as we can: one matrix of currents, all limits in three products, nothing in loops over cars or
blocks, one thread, cold. It maximises what `throughput` does; both must find the same best value. Such programs are
usually stated in steps of five minutes (Adaptive Charging Network), 144 for twelve hours, so that is what a plan is compared with;
the figure with the blocks of our own plan stands beside it. Neither rounds currents nor explains them; our plan does.

Needs `requirements/bench.txt` (`make bench-reference`).
"""

from __future__ import annotations

import math
import statistics
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import replace

import cvxpy as cp
import numpy as np

from benchmarks.optimizer.goals import line
from benchmarks.optimizer.speed import cpu_ms, crowded_site
from optimizer import highs
from optimizer.objectives import THROUGHPUT
from optimizer.problem import Horizon, Problem
from optimizer.program import build
from optimizer.rows import caps_of, rows_of, wh_per_ampere
from optimizer.solve import solve

FIVE_MINUTES = Horizon(tuple(300.0 * step for step in range(145)))
ALIKE = 1e-3
"""The two best values may differ by this part: the conic solver stops at 1e-8 of a scaled gap, the simplex at a corner."""


def ratios(sizes: dict[int, int]) -> Iterator[dict[str, object]]:
    """A line for each number of cars; sizes: how many sites of it."""
    for cars, rounds in sizes.items():
        sites = [crowded_site(cars, seed) for seed in range(rounds)]
        own = statistics.median(cpu_ms(lambda problem: solve(problem, weights=THROUGHPUT, time_limit_s=10.0), sites))
        same = statistics.median(_cpu_ms(conic_worth, problem) for problem in sites)
        fine = statistics.median(_cpu_ms(conic_worth, in_steps(problem)) for problem in sites)
        apart = max(_apart(problem) for problem in sites)
        more = {"ms": own, "conic_ms": fine, "same_blocks": same / own, "same_blocks_ms": same, "values_apart": apart}
        yield line(f"G7_ratio_N{cars}", fine / own, {"sites": rounds, **more}, sound=apart < ALIKE)


def in_steps(problem: Problem) -> Problem:
    """The same site and cars over twelve hours of five minutes."""
    circuits = tuple(replace(c, available_a=c.available_a[:1] * FIVE_MINUTES.blocks) for c in problem.circuits)
    return Problem(FIVE_MINUTES, circuits, problem.needs)


def conic_worth(problem: Problem) -> float:
    """The best value (Wh) that the conic solver finds."""
    rows, caps, per_ampere = rows_of(problem), caps_of(problem), wh_per_ampere(problem)
    edges = np.array(problem.horizon.edges_s)
    worth = per_ampere * (1 + THROUGHPUT.early * (1 - edges[:-1] / edges[-1]))
    wanted = np.array([need.energy_wh for need in problem.needs])
    present = np.array([need.present_a for need in problem.needs])
    kept = np.minimum(present, [need.min_a for need in problem.needs])
    currents = cp.Variable(caps.shape, nonneg=True)
    now = currents[:, 0]
    bonus = THROUGHPUT.calm * cp.minimum(now, present) + THROUGHPUT.keep * cp.minimum(now, kept)
    best = cp.Maximize(cp.sum(cp.multiply(worth, currents)) + per_ampere[:, 0] @ bonus)
    energies = cp.sum(cp.multiply(per_ampere, currents), axis=1)
    rules = [currents <= caps, rows.loads @ currents <= rows.available_a, energies <= wanted]
    return float(cp.Problem(best, rules).solve(solver=cp.CLARABEL, max_threads=1))


def _apart(problem: Problem) -> float:
    """By what part the best values of the two programs differ, in the same blocks."""
    own = _simplex_worth(problem)
    return abs(conic_worth(problem) - own) / own


def _simplex_worth(problem: Problem) -> float:
    caps = caps_of(problem)
    program = build(problem, rows_of(problem), caps, caps[:, 0], THROUGHPUT)
    return float(program.linear.worth @ highs.best(program.linear, math.inf).x)


def _cpu_ms(answer: Callable[[Problem], float], problem: Problem) -> float:
    started_s = time.process_time()
    answer(problem)
    spent_ms = 1e3 * (time.process_time() - started_s)
    print(f"{len(problem.needs)} cars, {problem.horizon.blocks} blocks: {spent_ms:.0f} ms", file=sys.stderr, flush=True)
    return spent_ms
