"""How does this optimizer charge a site of the Adaptive Charging Network? Observations of a simulator in, pilots out.

A network is any object with `C` (complex phasors per ampere, limits x stations), `lim` (A), `allowed` (pilots of each
station in A, or None for any), `max` (A) and `a2k` (kWh per ampere and step of 5 min); see `make`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from optimizer.objectives import OBJECTIVES
from optimizer.problem import ChargingNeed, Problem, WireLimit, variable_horizon
from optimizer.rows import Array
from optimizer.solve import solve

STEP_S = 300.0


def make(net: Any, objective: str = "throughput") -> Callable[[Mapping[str, Any]], Array]:
    """A scheduler for this network: `scheduler(obs)` gives the pilots (A) of all stations.

    objective: a key of `optimizer.objectives.OBJECTIVES`. obs: `t` step, `st` station of each active car, `dep` steps
    until it leaves and `rem` kWh that it still wants (-1: unknown), `prev_pilot` (A), `deliv` kWh that it got.
    """
    weights = OBJECTIVES[objective]
    wires = [[(f"{w}", complex(row[i])) for w, row in enumerate(net.C) if row[i] != 0] for i in range(len(net.max))]

    def schedule(obs: Mapping[str, Any]) -> Array:
        horizon = variable_horizon(obs["t"] * STEP_S % 86_400)
        limits = tuple(WireLimit(f"{w}", f"limit {w}", (float(a),) * horizon.blocks) for w, a in enumerate(net.lim))
        needs = tuple(_need(net, tuple(wires[i]), obs, n, int(i)) for n, i in enumerate(obs["st"]))
        plan = solve(Problem(horizon, (), needs, limits), weights=weights)
        pilots = np.zeros(len(net.max))
        for need in needs:
            pilots[int(need.id)] = plan.currents_a[need.id][0]
        return pilots

    return schedule


def _need(net: Any, wires: tuple[tuple[str, complex], ...], obs: Mapping[str, Any], n: int, i: int) -> ChargingNeed:
    allowed = net.allowed[i]
    least, step = (0.0, 0.01) if allowed is None else (float(allowed[1]), float(allowed[2] - allowed[1]))
    remaining, stays = float(obs["rem"][n]), int(obs["dep"][n])
    return ChargingNeed(
        f"{i}",
        (),
        (0,),
        min_a=least,
        max_a=float(net.max[i]),
        step_a=step,
        energy_wh=None if remaining < 0 else 1000 * remaining,
        departure_s=None if stays < 0 else stays * STEP_S,
        present_a=float(obs["prev_pilot"][n]),
        voltage_v=1000 * float(net.a2k[i]) * 3600 / STEP_S,
        served_wh=1000 * float(obs["deliv"][n]),
        wires=wires,
    )
