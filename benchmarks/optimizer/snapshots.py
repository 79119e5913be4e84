"""Is every site answered soundly and in time, also the impossible ones? Random moments of random sites (G9).

A third of them are wired between phases. Limits may be negative, zero or far too small for the minimums, wishes may be
nothing, tiny or unknown, departures past; maximums below minimums and a CSMS's zeros occur, and sites whose cars are all the
same.
"""

from __future__ import annotations

import random
import sys
import time
import traceback
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace

from benchmarks.optimizer.goals import line
from optimizer.check import violations
from optimizer.objectives import OBJECTIVES
from optimizer.problem import ChargingNeed, CircuitLimit, Horizon, Problem, WireLimit, variable_horizon
from optimizer.solve import solve
from optimizer.wiring import between, to_neutral

SOLVER_S, IN_TIME_S = 1.0, 1.5
"""What the solver may take, and what an answer may take with building and rounding."""

PANELS = ("panel0", "panel1", "side")
WIRES = ("L1", "L2", "L3")
PHASE_SETS = ((0,), (1,), (2,), (0, 1), (1, 2), (0, 1, 2), (0, 1, 2))


def snapshots(count: int) -> Iterator[dict[str, object]]:
    """Four lines: what was thrown, what broke a rule, what came late, and what fell back to fair shares."""
    solve(snapshot(0))
    found = Counter(fault for seed in range(count) for fault in _faults(seed))
    for fault in ("exceptions", "violations", "late"):
        yield line(f"G9_{fault}", float(found[fault]), {"snapshots": count})
    yield line("G9_fallback", 100 * found["fallback"] / count, {"snapshots": count})


def _faults(seed: int) -> Iterator[str]:
    problem, weights = snapshot(seed), random.Random(seed).choice(sorted(OBJECTIVES))
    started_s = time.perf_counter()
    try:
        allocation = solve(problem, time_limit_s=SOLVER_S, weights=OBJECTIVES[weights])
    except Exception:  # noqa: BLE001 - whatever is thrown is what is counted
        print(f"snapshot {seed}, {weights}: {traceback.format_exc()}", file=sys.stderr)
        yield "exceptions"
        return
    if time.perf_counter() - started_s > IN_TIME_S:
        yield "late"
    if allocation.status not in {"optimal", "empty"}:
        print(f"snapshot {seed}, {weights}: {allocation.status}", file=sys.stderr)
        yield "fallback"
    if broken := violations(problem, allocation):
        print(f"snapshot {seed}, {weights}: {broken[0]}", file=sys.stderr)
        yield "violations"


def snapshot(seed: int) -> Problem:
    """The same one for the same seed."""
    rnd = random.Random(seed)
    horizon = variable_horizon(rnd.uniform(0, 86_400)) if rnd.random() < 0.8 else Horizon((0.0, 300.0))
    cars = rnd.choice((0, 1, 2, 3, 5, 8, 13, 21, 34, 55, 89))
    scale_a = rnd.choice((0.0, 3.0, 8.0, 8.0, 15.0, 40.0)) * max(cars, 1)
    circuits = [_circuit(rnd, name, horizon, scale_a) for name in ("main", *PANELS)]
    needs = [_need(rnd, f"car{car}", horizon) for car in range(cars)]
    if needs and rnd.random() < 0.2:
        needs = [replace(needs[0], id=need.id) for need in needs]
    if rnd.random() < 2 / 3:
        return Problem(horizon, tuple(circuits), tuple(needs))
    wires = tuple(WireLimit(name, name, _amperes(rnd, horizon, scale_a, least=0.0)) for name in WIRES)
    return Problem(horizon, tuple(circuits), tuple(_wired(rnd, need) for need in needs), wires)


def _amperes(rnd: random.Random, horizon: Horizon, scale_a: float, *, least: float) -> tuple[float, ...]:
    """Constant, or anew in each block."""
    values = [max(least, rnd.choice((-5.0, 0.0, scale_a, scale_a * rnd.random(), float(round(scale_a / 2)))))]
    while len(values) < horizon.blocks:
        values.append(values[-1] if rnd.random() < 0.8 else max(least, scale_a * rnd.uniform(-0.1, 1.0)))
    return tuple(values)


def _circuit(rnd: random.Random, name: str, horizon: Horizon, scale_a: float) -> CircuitLimit:
    phases = [_amperes(rnd, horizon, scale_a, least=-20.0)] * 3
    if rnd.random() < 0.5:
        phases = [_amperes(rnd, horizon, scale_a, least=-20.0) for _ in range(3)]
    return CircuitLimit(name, name, tuple(zip(*phases, strict=True)))


def _need(rnd: random.Random, name: str, horizon: Horizon) -> ChargingNeed:
    ceiling = tuple(rnd.choice((0.0, 4.0, 8.3, 32.0)) for _ in range(horizon.blocks))
    return ChargingNeed(
        name,
        rnd.choice((("main",), ("panel0", "main"), ("panel1", "main"), ("side", "panel1", "main"))),
        rnd.choice(PHASE_SETS),
        min_a=rnd.choice((6.0, 6.0, 6.0, 0.0, 6.25, 13.0)),
        max_a=rnd.choice((32.0, 32.0, 16.0, 10.3, 6.0, 5.0, 0.0)),
        step_a=rnd.choice((1.0, 0.1, 0.5, 4.0, 1 / 3)),
        energy_wh=rnd.choice((None, 0.0, rnd.uniform(0, 100), rnd.uniform(0, 40_000), rnd.uniform(0, 40_000))),
        departure_s=rnd.choice((None, rnd.uniform(-3600, 0), rnd.uniform(0, 300), rnd.uniform(0, 50_000))),
        ceiling_a=ceiling if rnd.random() < 0.2 else None,
        present_a=rnd.choice((0.0, 6.0, 16.0)),
        priority=rnd.choice((0, 0, 0, -1, 1)),
        served_wh=rnd.choice((0.0, rnd.uniform(0, 30_000))),
    )


def _wired(rnd: random.Random, need: ChargingNeed) -> ChargingNeed:
    weights = rnd.choice((to_neutral(0), to_neutral(0, 1, 2), between(0, 1), between(1, 2), between(2, 0)))
    circuits = need.circuits if rnd.random() < 0.3 else ()
    return replace(need, circuits=circuits, wires=tuple((w, one) for w, one in zip(WIRES, weights, strict=True) if one))
