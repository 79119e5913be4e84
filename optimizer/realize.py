"""What can stations really be told? 0 or at least the minimum, on steps, within every row; no ampere left unused."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from optimizer.arrays import Array, Flags, Indexes
from optimizer.feed_in import told_back
from optimizer.manners import Manners
from optimizer.problem import Problem
from optimizer.rows import TINY_A, Rows, caps_of, rows_of
from optimizer.surplus import with_surplus
from optimizer.wire_steps import realized_on_wires


def realize(problem: Problem, wanted: Mapping[str, float]) -> Mapping[str, float]:
    """Currents of block 0 near the wanted ones (A per phase by need id; absent means 0).

    Who runs: cars in the order of `ChargingNeed.priority` whose minimum still fits, first those that are wanted to
    run (at half of their minimum or more, as in rounding), then any others. How fast: up to the wanted current, the
    lowest first, and then on until each car is at its maximum or in a full row (work-conserving). Below 0 is given back as far as
    that may be (`optimizer.feed_in`), and makes no room for others; a car that may not is one that nobody wants to run.
    """
    asked = np.array([wanted.get(need.id, 0.0) for need in problem.needs])
    back = told_back(problem, -asked)
    problem = with_surplus(problem)
    rows, caps = rows_of(problem), caps_of(problem)[:, 0]
    caps[back > 0] = 0.0
    currents = realized_now(rows, Manners.of(problem), caps, asked) - back
    return {need.id: float(current) for need, current in zip(problem.needs, currents, strict=True)}


def realized_now(rows: Rows, manners: Manners, caps_a: Array, wanted_a: Array) -> Array:
    """`realize` on arrays (N,): also where wires are loaded by phasors."""
    if rows.has_wires:
        return realized_on_wires(rows, (rows.available_a[:, 0], rows.wire_a[:, 0]), manners, caps_a, wanted_a)
    return realized(rows, rows.available_a[:, 0], manners, caps_a, wanted_a)


def realized(rows: Rows, available_a: Array, manners: Manners, caps_a: Array, wanted_a: Array) -> Array:
    """`realize` on arrays, without wires: available_a (R,), the others (N,)."""
    loads, minimum = rows.loads, manners.minimum_a
    order = manners.able(caps_a)
    is_wanted = (wanted_a > 0) & (wanted_a >= minimum / 2)
    runs = admit(rows, available_a, minimum, order[is_wanted[order]])
    towards = np.where(runs, np.clip(wanted_a, minimum, np.maximum(caps_a, minimum)), 0.0)
    currents = fill(loads, available_a, np.where(runs, minimum, 0.0), towards)
    runs |= admit(rows, available_a - loads @ currents, minimum, order[~runs[order]])
    caps = np.where(runs, caps_a, 0.0)
    if (caps > towards).any():
        currents = fill(loads, available_a, np.where(runs, np.maximum(currents, minimum), 0.0), caps)
    return on_steps(rows, available_a, currents, caps, manners.step_a)


def admit(rows: Rows, room_a: Array, minimum_a: Array, candidates: Indexes) -> Flags:
    """(N,) which candidates run: one after the other, each whose minimum fits into what the earlier ones leave."""
    runs = np.zeros(len(rows.of_need), dtype=bool)
    runs[candidates] = True
    if (rows.loads @ np.where(runs, minimum_a, 0.0) <= room_a + TINY_A).all():
        return runs
    room, minimum = room_a.tolist(), minimum_a.tolist()
    for car in candidates.tolist():
        runs[car] = _take(room, rows.of_need[car], minimum[car])
    return runs


def _take(room_a: list[float], rows: tuple[int, ...], current_a: float) -> bool:
    """Whether this current fits into all rows; if so, it is taken from their room."""
    least_a = current_a - TINY_A
    for loaded, row in enumerate(rows):  # a row may stand there several times
        if room_a[row] < least_a:
            for taken in rows[:loaded]:
                room_a[taken] += current_a
            return False
        room_a[row] -= current_a
    return True


def fill(loads: Array, available_a: Array, start_a: Array, caps_a: Array) -> Array:
    """Max-min fair currents (N,): all rise together, the lowest first, until their cap or a full row stops them.

    loads: (R, N), 0 or what an ampere of the car adds to the row.

    `start_a` keeps all rows. Each pass finds the level at which each crowded row is full, and stops the cars of those
    rows that no other row stops earlier; so it takes no more passes than rows that wait for each other.
    """
    row_of, car_of = np.nonzero(loads)
    weight = loads[row_of, car_of]
    currents, is_open = start_a.copy(), caps_a > start_a + TINY_A
    while True:
        wanted = np.where(is_open, caps_a, currents)
        crowded = _sums(row_of, weight * wanted[car_of], available_a) > available_a + TINY_A
        waits = crowded[row_of] & is_open[car_of]
        if not waits.any():
            return wanted
        rows, cars = row_of[waits], car_of[waits]
        left = available_a - _sums(row_of, weight * np.where(is_open, 0.0, currents)[car_of], available_a)
        levels = _levels(rows, weight[waits], left, start_a[cars], caps_a[cars])
        of_car = np.full(len(currents), np.inf)
        np.minimum.at(of_car, cars, levels[rows])
        binds = crowded.copy()
        binds[rows[of_car[cars] < levels[rows]]] = False
        stopped = cars[binds[rows]]
        currents[stopped] = np.clip(of_car[stopped], start_a[stopped], caps_a[stopped])
        is_open[stopped] = False


def _sums(row_of: Indexes, values: Array, like: Array) -> Array:
    """The sum of the values of each row."""
    sums: Array = np.bincount(row_of, values, len(like)).astype(np.float64, copy=False)
    return sums


def _levels(row_of: Indexes, weight: Array, budget_a: Array, start_a: Array, caps_a: Array) -> Array:
    """(R,) the level at which each row is full when every car has it, as far as its start and its cap allow.

    row_of, weight, start_a, caps_a: one entry for each pair of a row and a car that loads it. Where not even the starts fit,
    the level is that of the lowest start.
    """
    edges = np.unique(np.concatenate([start_a, caps_a]))
    fits, bursts = np.zeros(len(budget_a), dtype=np.intp), np.full(len(budget_a), len(edges))
    while (bursts - fits > 1).any():
        middle = (fits + bursts) // 2
        taken = _sums(row_of, weight * np.clip(edges[middle][row_of], start_a, caps_a), budget_a)
        fits, bursts = np.where(taken <= budget_a, middle, fits), np.where(taken <= budget_a, bursts, middle)
    level = edges[fits]
    taken = _sums(row_of, weight * np.clip(level[row_of], start_a, caps_a), budget_a)
    rises = (start_a <= level[row_of]) & (level[row_of] < caps_a)
    rising = _sums(row_of, weight * rises, budget_a)
    rising[rising <= 0] = 1.0
    full: Array = level + np.maximum(budget_a - taken, 0.0) / rising
    return full


def on_steps(rows: Rows, available_a: Array, currents_a: Array, caps_a: Array, steps_a: Array) -> Array:
    """Currents rounded down to steps; what that leaves goes back step by step, to the lowest first, while rows allow."""
    units = np.floor(currents_a / steps_a + TINY_A)
    most = np.floor(caps_a / steps_a + TINY_A)
    room = (available_a - rows.loads @ (units * steps_a)).tolist()
    steps, raised = steps_a.tolist(), True
    while raised:
        full = np.array(room) < steps_a.min(initial=np.inf) - TINY_A
        may_rise = (units < most) & ~((full @ rows.loads) > 0)
        order = np.argsort(units * steps_a, kind="stable")
        raised = False
        for car in order[may_rise[order]].tolist():
            if _take(room, rows.of_need[car], steps[car]):
                units[car] += 1
                raised = True
    return np.round(units * steps_a, 9)
