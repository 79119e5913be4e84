"""How much may all cars draw now without raising the site's peak? One row more for rounding, which fills rows up."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from optimizer.problem import TOGETHER, Problem
from optimizer.rows import Array, Rows
from optimizer.worth import Worth


def with_peak(rows: Rows, problem: Problem, worth: Worth, planned_a: Array) -> Rows:
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
