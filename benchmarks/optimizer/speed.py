"""How much CPU do a plan and new currents under a lower limit take? On crowded sites with nested limits (G7, G8).

A site has panels of 24 sockets with 8 A each per phase behind a main fuse with 6 A each, a third of what they want;
40 % of the cars charge on one phase. Build, solve, rounding and explanations are all counted, and nothing is kept from one
plan to the next.
"""

from __future__ import annotations

import random
import statistics
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace

import numpy as np

from benchmarks.optimizer.goals import line
from optimizer.check import violations
from optimizer.objectives import DEFAULT_WEIGHTS
from optimizer.problem import Allocation, ChargingNeed, CircuitLimit, Problem, variable_horizon
from optimizer.program import build
from optimizer.realize import realize
from optimizer.rows import caps_of, rows_of
from optimizer.share import share, shared_plan
from optimizer.solve import best_plan, solve

SOCKETS_PER_PANEL = 24
CURTAILED_CARS = 200
LEFT_BY_EMS = 0.7
"""What an energy management system leaves of the main limit when it takes 30 % away."""


def crowded_site(cars: int, seed: int) -> Problem:
    """A crowded site at ten in the morning: panels at 8 A per socket and phase, the main fuse at 6 A."""
    rnd, horizon = random.Random(seed), variable_horizon(10 * 3600)
    panels = -(-cars // SOCKETS_PER_PANEL)
    limits = {"main": cars * 6.0} | {f"panel{panel}": SOCKETS_PER_PANEL * 8.0 for panel in range(panels)}
    circuits = tuple(CircuitLimit(name, name, ((a, a, a),) * horizon.blocks) for name, a in limits.items())
    return Problem(horizon, circuits, tuple(_need(rnd, car) for car in range(cars)))


def _need(rnd: random.Random, car: int) -> ChargingNeed:
    phases, max_a = rnd.choices((((car % 3,), 32.0), ((0, 1, 2), 16.0), ((0, 1, 2), 32.0)), weights=(2, 2, 1))[0]
    return ChargingNeed(
        f"car{car}",
        (f"panel{car // SOCKETS_PER_PANEL}", "main"),
        phases,
        max_a=max_a,
        energy_wh=rnd.uniform(2_000, 40_000),
        departure_s=rnd.uniform(0.5, 11) * 3600,
        present_a=rnd.choice((0.0, 6.0, 10.0)),
    )


def plans(sizes: Mapping[int, int]) -> Iterator[dict[str, object]]:
    """G7: a line for each number of cars; sizes: how many sites of it."""
    cpu_ms(solve, [crowded_site(12, 0)])  # the first call loads what later ones find loaded
    for cars, rounds in sizes.items():
        problems = [crowded_site(cars, seed) for seed in range(rounds)]
        solved = cpu_ms(lambda problem: solve(problem, time_limit_s=10.0), problems)
        more = {
            "sites": rounds,
            "ms_p50": statistics.median(solved),
            "ms_max": max(solved),
            "solver_ms_p50": statistics.median(_solver_ms(problem) for problem in problems),
            "share_ms_p50": statistics.median(cpu_ms(share, problems)),
        }
        yield line(f"G7_N{cars}", float(np.quantile(solved, 0.95)), more)


def _solver_ms(problem: Problem) -> float:
    """CPU milliseconds of the solver alone, with what it takes to hand it the program."""
    rows, caps = rows_of(problem), caps_of(problem)
    program = build(problem, rows, caps, shared_plan(problem, rows, caps)[:, 0], DEFAULT_WEIGHTS)
    started_s = time.process_time()
    best_plan(program, 10.0)
    return 1e3 * (time.process_time() - started_s)


def cpu_ms(answer: Callable[[Problem], Allocation], problems: list[Problem]) -> list[float]:
    """CPU milliseconds for each problem; every answer must be sound."""
    spent = []
    for problem in problems:
        started_s = time.process_time()
        allocation = answer(problem)
        spent.append(1e3 * (time.process_time() - started_s))
        if broken := violations(problem, allocation):
            raise AssertionError(broken)
    return spent


def curtailments(ticks: int) -> Iterator[dict[str, object]]:
    """G8: the main limit falls by 30 % while a plan is in force; its currents are made to fit at once, without a solver."""
    reaction_ms, replan_ms, broken = [], [], 0
    for seed in range(ticks):
        problem = crowded_site(CURTAILED_CARS, 1000 + seed)
        plan = solve(problem)
        lower = replace(problem, circuits=tuple(_curtailed(circuit) for circuit in problem.circuits))
        started_s = time.process_time()
        currents = realize(lower, {car: given[0] for car, given in plan.currents_a.items()})
        reaction_ms.append(1e3 * (time.process_time() - started_s))
        broken += bool(violations(lower, _for_now(lower, currents)))
        replan_ms += cpu_ms(solve, [lower])
    p50, replan_p95 = statistics.median(reaction_ms), float(np.quantile(replan_ms, 0.95))
    more = {"ticks": ticks, "ms_p50": p50, "replan_ms_p95": replan_p95, "violations": broken}
    yield line("G8", max(reaction_ms), more, sound=broken == 0)


def _curtailed(circuit: CircuitLimit) -> CircuitLimit:
    if circuit.id != "main":
        return circuit
    l1, l2, l3 = (LEFT_BY_EMS * amperes for amperes in circuit.available_a[0])
    return replace(circuit, available_a=((l1, l2, l3),) * len(circuit.available_a))


def _for_now(problem: Problem, currents_a: Mapping[str, float]) -> Allocation:
    """Currents of block 0 as the judge reads them."""
    later = (0.0,) * (problem.horizon.blocks - 1)
    return Allocation({car: (now, *later) for car, now in currents_a.items()}, "share", 0.0, {})
