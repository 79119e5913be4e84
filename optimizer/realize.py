"""What can stations really be told? 0 or at least the minimum, on steps, within every row; no ampere left unused."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import numpy as np
import numpy.typing as npt

from optimizer.problem import Problem
from optimizer.rows import TINY_A, Array, Rows, caps_of, minimum_of, rows_of

Flags = npt.NDArray[np.bool_]


def realize(problem: Problem, wanted: Mapping[str, float]) -> Mapping[str, float]:
    """Currents of block 0 near the wanted ones (A per phase by need id; absent means 0).

    Who runs: cars in the order of `ChargingNeed.priority` whose minimum still fits, first those that are wanted to
    run (at half of their minimum or more, as in rounding), then any others. How fast: up to the wanted current, the
    lowest first, and then on until each car is at its maximum or in a full row (work-conserving).
    """
    asked = np.array([wanted.get(need.id, 0.0) for need in problem.needs])
    currents = realized(problem, rows_of(problem), caps_of(problem)[:, 0], asked)
    return {need.id: float(current) for need, current in zip(problem.needs, currents, strict=True)}


def realized(problem: Problem, rows: Rows, caps_a: Array, wanted_a: Array) -> Array:
    """`realize` on arrays; caps_a and wanted_a are (N,) for block 0."""
    loads, available, minimum = rows.loads, rows.available_a[:, 0], minimum_of(problem)
    order = _in_order(problem, np.flatnonzero((caps_a > 0) & (caps_a >= minimum - TINY_A)))
    runs = admit(rows, available, minimum, [n for n in order if wanted_a[n] > 0 and wanted_a[n] >= minimum[n] / 2])
    towards = np.where(runs, np.clip(wanted_a, minimum, np.maximum(caps_a, minimum)), 0.0)
    currents = fill(loads, available, np.where(runs, minimum, 0.0), towards)
    runs |= admit(rows, available - loads @ currents, minimum, [n for n in order if not runs[n]])
    caps = np.where(runs, caps_a, 0.0)
    currents = fill(loads, available, np.where(runs, np.maximum(currents, minimum), 0.0), caps)
    return on_steps(rows, available, currents, caps, np.array([need.step_a for need in problem.needs]))


def _in_order(problem: Problem, cars: Iterable[int]) -> list[int]:
    """Cars by falling preference, as `ChargingNeed.priority` states it."""
    return sorted(map(int, cars), key=lambda n: (-problem.needs[n].priority, problem.needs[n].present_a == 0, n))


def admit(rows: Rows, room_a: Array, minimum_a: Array, candidates: Iterable[int]) -> Flags:
    """(N,) which candidates run: one after the other, each whose minimum fits into what the earlier ones leave."""
    room, runs = room_a.tolist(), np.zeros(len(rows.of_need), dtype=bool)
    for car in candidates:
        runs[car] = _take(room, rows.of_need[car], float(minimum_a[car]))
    return runs


def _take(room_a: list[float], rows: tuple[int, ...], current_a: float) -> bool:
    """Whether this current fits into all rows; if so, it is taken from their room."""
    if any(room_a[row] < current_a - TINY_A for row in rows):
        return False
    for row in rows:
        room_a[row] -= current_a
    return True


def fill(loads: Array, available_a: Array, start_a: Array, caps_a: Array) -> Array:
    """Max-min fair currents (N,): all rise together, the lowest first, until their cap or a full row stops them.

    `start_a` keeps all rows. Each pass fills a row, brings a car to its cap or to the level of another.
    """
    currents, room = start_a.copy(), available_a - loads @ start_a
    while True:
        free = (currents < caps_a - TINY_A) & ~(((room <= TINY_A) @ loads) > 0)
        if not free.any():
            return currents
        level = currents[free].min()
        rising = free & (currents <= level + TINY_A)
        counts = loads @ rising
        goal = np.min(currents[free & ~rising], initial=caps_a[rising].min()) - level
        loaded = counts > 0
        rise = np.min(room[loaded] / counts[loaded], initial=goal)
        currents[rising] += rise
        room -= counts * rise


def on_steps(rows: Rows, available_a: Array, currents_a: Array, caps_a: Array, steps_a: Array) -> Array:
    """Currents rounded down to steps; what that leaves goes back step by step, to the lowest first, while rows allow."""
    units = np.floor(currents_a / steps_a + TINY_A)
    most = np.floor(caps_a / steps_a + TINY_A)
    room = (available_a - rows.loads @ (units * steps_a)).tolist()
    raised = True
    while raised:
        order = np.argsort(units * steps_a, kind="stable")
        raised = False
        for car in order[units[order] < most[order]]:
            if _take(room, rows.of_need[car], float(steps_a[car])):
                units[car] += 1
                raised = True
    return np.round(units * steps_a, 9)
