"""What do fairness and calm cost? A day of a crowded garage in closed loop, one JSON line per set of weights.

48 cars arrive within 6 h at a garage of two panels (3 x 40 A each) behind one fuse (3 x 63 A); 40 % charge on one
phase with 32 A, 40 % on three with 16 A and 20 % on three with 32 A. Every 5 minutes currents are asked for anew.
Figures: delivered part of the wanted energy; the 10 % of cars worst served; Jain's index of the served parts; how often
a car that still wanted energy was stopped; the largest gap (A) ever seen between two like cars that both run.
"""

from __future__ import annotations

import argparse
import json
import random
import time
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from optimizer.check import violations
from optimizer.objectives import DEFAULT_WEIGHTS, Weights
from optimizer.problem import Allocation, ChargingNeed, CircuitLimit, Problem, variable_horizon
from optimizer.share import share
from optimizer.solve import solve

TICK_S = 300.0
KINDS = (((0,), 32.0), ((1,), 32.0), ((2,), 32.0), ((0, 1, 2), 16.0), ((0, 1, 2), 32.0))
Policy = Callable[[Problem], Allocation]


@dataclass(slots=True)
class Session:
    """A car of the day; what it still wants and has is updated as the day goes on."""

    need: ChargingNeed
    arrival_s: float
    departure_s: float
    wanted_wh: float
    left_wh: float
    stops: int = 0


def sessions(seed: int, cars: int) -> list[Session]:
    """The cars of a day, in order of arrival."""
    rnd = random.Random(seed)
    arrivals = sorted(rnd.uniform(0, 6 * 3600) for _ in range(cars))
    return [_session(rnd, index, arrival_s) for index, arrival_s in enumerate(arrivals)]


def _session(rnd: random.Random, index: int, arrival_s: float) -> Session:
    phases, max_a = rnd.choices(KINDS, weights=(2, 1, 1, 4, 2))[0]
    stay_s = rnd.uniform(1, 8) * 3600
    wanted_wh = min(rnd.uniform(4_000, 30_000), 0.9 * stay_s / 3600 * 230 * max_a * len(phases))
    need = ChargingNeed(f"car{index}", (f"panel{index % 2}", "main"), phases, max_a=max_a)
    return Session(need, arrival_s, arrival_s + stay_s, wanted_wh, wanted_wh)


def problem_at(now_s: float, present: list[Session], *, informed: bool) -> Problem:
    """What a controller asks at this time; uninformed it knows neither energies nor departures."""
    horizon = variable_horizon(now_s)
    limits = (("main", 63.0), ("panel0", 40.0), ("panel1", 40.0))
    circuits = tuple(CircuitLimit(name, name, ((a, a, a),) * horizon.blocks) for name, a in limits)
    return Problem(horizon, circuits, tuple(_known(session, now_s, informed=informed) for session in present))


def _known(session: Session, now_s: float, *, informed: bool) -> ChargingNeed:
    if not informed:
        return session.need
    return replace(session.need, energy_wh=session.left_wh, departure_s=session.departure_s - now_s)


def day(policy: Policy, seed: int, cars: int, *, informed: bool) -> dict[str, float]:
    """One day under a policy, in the figures named at the top."""
    everybody, gap_a, cpu_s, now_s = sessions(seed, cars), 0.0, [], 0.0
    while now_s < 14 * 3600:
        present = [s for s in everybody if s.arrival_s <= now_s < s.departure_s and s.left_wh > 1]
        problem = problem_at(now_s, present, informed=informed)
        started_s = time.process_time()
        allocation = policy(problem)
        cpu_s.append(time.process_time() - started_s)
        if broken := violations(problem, allocation):
            raise AssertionError(broken)
        gap_a = max(gap_a, _gap(problem, allocation))
        for session in present:
            _charge(session, allocation.currents_a[session.need.id][0])
        now_s += TICK_S
    served = np.array([1 - s.left_wh / s.wanted_wh for s in everybody])
    wanted_wh = sum(s.wanted_wh for s in everybody)
    return {
        "delivered": 1 - sum(s.left_wh for s in everybody) / wanted_wh,
        "p10": float(np.quantile(served, 0.1)),
        "jain": float(served.sum() ** 2 / (len(served) * (served**2).sum())),
        "stops": sum(s.stops for s in everybody) / cars,
        "gap_a": gap_a,
        "cpu_ms": 1e3 * float(np.median(cpu_s)),
    }


def _charge(session: Session, current_a: float) -> None:
    need = session.need
    session.left_wh -= min(session.left_wh, current_a * need.voltage_v * len(need.phases) * TICK_S / 3600)
    session.stops += need.present_a > 0 and current_a == 0 and session.left_wh > 1
    session.need = replace(need, present_a=current_a)


def _gap(problem: Problem, allocation: Allocation) -> float:
    """Largest difference now between running cars on the same circuits and phases with the same maximum."""
    alike: dict[object, list[float]] = {}
    for need in problem.needs:
        if (current := allocation.currents_a[need.id][0]) > 0:
            alike.setdefault((need.circuits, need.phases, need.max_a), []).append(current)
    return max((max(currents) - min(currents) for currents in alike.values()), default=0.0)


def policies() -> dict[str, Policy]:
    """Fair shares, the default weights, and these with single tiers changed."""
    changed = {
        "default": DEFAULT_WEIGHTS,
        "minimum 0": replace(DEFAULT_WEIGHTS, minimum=0.0),
        "minimum 0.7": replace(DEFAULT_WEIGHTS, minimum=0.7),
        "minimum 2": replace(DEFAULT_WEIGHTS, minimum=2.0),
        "fair 0": replace(DEFAULT_WEIGHTS, fair=0.0),
        "calm 0": replace(DEFAULT_WEIGHTS, calm=0.0),
        "early 0.1": replace(DEFAULT_WEIGHTS, early=0.1),
        "early 0.5": replace(DEFAULT_WEIGHTS, early=0.5),
        "energy only": Weights(minimum=0.0, fair=0.0, calm=0.0),
    }
    return {"share": share} | {name: _solver(weights) for name, weights in changed.items()}


def _solver(weights: Weights) -> Policy:
    return lambda problem: solve(problem, time_limit_s=5.0, weights=weights)


def main() -> None:
    """Prints one line per policy, the mean of the days."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--days", type=int, default=2)
    parser.add_argument("--cars", type=int, default=48)
    parser.add_argument("--uninformed", action="store_true", help="hide energies and departures from the optimizer")
    options = parser.parse_args()
    for name, policy in policies().items():
        days = [day(policy, seed, options.cars, informed=not options.uninformed) for seed in range(options.days)]
        figures = {figure: round(float(np.mean([d[figure] for d in days])), 4) for figure in days[0]}
        print(json.dumps({"policy": name, "cars": options.cars, **figures}), flush=True)


if __name__ == "__main__":
    main()
