"""How much CPU do a plan and a fair share take? One JSON line per number of cars, on crowded sites with nested limits.

A site has panels of 24 sockets with 8 A each per phase behind a main fuse with 6 A each, a third of what they want;
40 % of the cars charge on one phase. Build, solve, rounding and explanations are all counted.
"""

from __future__ import annotations

import argparse
import json
import random
import statistics
import time
from collections.abc import Callable

from optimizer.check import violations
from optimizer.problem import Allocation, ChargingNeed, CircuitLimit, Problem, variable_horizon
from optimizer.share import share
from optimizer.solve import solve

SOCKETS_PER_PANEL = 24


def site(cars: int, seed: int) -> Problem:
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


def main() -> None:
    """Prints the medians and the slowest plan."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cars", type=int, nargs="*", default=[12, 50, 200])
    parser.add_argument("--rounds", type=int, default=7)
    options = parser.parse_args()
    cpu_ms(solve, [site(12, 0)])  # the first call loads what later ones find loaded
    for cars in options.cars:
        problems = [site(cars, seed) for seed in range(options.rounds)]
        solved, shared = cpu_ms(solve, problems), cpu_ms(share, problems)
        medians = {"solve_cpu_ms": statistics.median(solved), "share_cpu_ms": statistics.median(shared)}
        figures = medians | {
            "solve_cpu_max_ms": max(solved),
            "ratio": medians["solve_cpu_ms"] / medians["share_cpu_ms"],
        }
        print(json.dumps({"cars": cars} | {name: round(figure, 2) for name, figure in figures.items()}), flush=True)


if __name__ == "__main__":
    main()
