"""What can stations be told where loads are out of phase? `optimizer.realize` for sites with wires, checked exactly.

Sums of phasors have no room that a car takes: what fits depends on all others. So currents are rounded down, lowered
where a wire is still too full, and raised step by step as long as every wire's exact length allows it: first up to what is wanted,
then those start that wait, then all as far as it goes.
"""

from __future__ import annotations

import numpy as np

from optimizer.arrays import Array, Indexes
from optimizer.manners import Manners
from optimizer.rows import TINY_A, Rows, on_step_below


class Load:
    """The currents (A) of all cars, and what they make of rows and wires."""

    def __init__(self, rows: Rows, available_a: Array, wire_a: Array, currents_a: Array) -> None:
        """`currents_a` need not fit."""
        self._rows = rows
        self._room = (available_a - rows.loads @ currents_a).tolist()
        self._sums = (rows.weights @ currents_a).tolist()
        self._wire_a = wire_a.tolist()
        of_need: list[list[tuple[int, complex]]] = [[] for _ in currents_a]
        for wire, need in zip(*np.nonzero(rows.weights), strict=True):
            of_need[need].append((int(wire), complex(rows.weights[wire, need])))
        self._of_need = of_need
        self.currents_a = currents_a.tolist()

    def change(self, car: int, by_a: float) -> bool:
        """Gives the car so much more if that fits everywhere."""
        rows, wires = self._rows.of_need[car], self._of_need[car]
        if any(self._room[row] < rows.count(row) * by_a - TINY_A for row in rows):
            return False
        if any(abs(self._sums[wire] + weight * by_a) > self._wire_a[wire] + TINY_A for wire, weight in wires):
            return False
        self.force(car, by_a)
        return True

    def force(self, car: int, by_a: float) -> None:
        """Changes a current whatever follows."""
        for row in self._rows.of_need[car]:
            self._room[row] -= by_a
        for wire, weight in self._of_need[car]:
            self._sums[wire] += weight * by_a
        self.currents_a[car] += by_a

    def culprit(self) -> Array | None:
        """(N,) how much each car adds to the fullest row or wire that is too full; None if nothing is."""
        over = [(-room, row) for row, room in enumerate(self._room) if room < -TINY_A]
        if over:
            culprits: Array = self._rows.loads[max(over)[1]]
            return culprits
        long = [
            (abs(total) - limit, wire)
            for wire, (total, limit) in enumerate(zip(self._sums, self._wire_a, strict=True))
            if abs(total) > limit + TINY_A
        ]
        if not long:
            return None
        wire = max(long)[1]
        along: Array = (self._rows.weights[wire] * (self._sums[wire].conjugate() / abs(self._sums[wire]))).real
        return along


def realized_on_wires(
    rows: Rows, limits: tuple[Array, Array], manners: Manners, caps_a: Array, wanted_a: Array
) -> Array:
    """`optimizer.realize.realized`; limits: (R,) of the rows and (W,) of the wires."""
    minimum, step = manners.minimum_a, manners.step_a
    order = manners.able(caps_a)
    wanted = np.where(wanted_a >= minimum / 2, np.clip(wanted_a, minimum, np.maximum(caps_a, minimum)), 0.0)
    idle = np.ones(len(caps_a), dtype=bool)
    idle[order] = False
    wanted[idle | (wanted_a <= 0)] = 0.0
    load = Load(rows, *limits, on_step_below(wanted, step))
    _relieve(load, minimum, step, order)
    most = on_step_below(caps_a, step)
    _raise(load, np.floor(wanted / step + 0.5) * step, order, step, minimum)
    _start(load, order, minimum)
    _raise(load, np.where(idle, 0.0, most), order, step, minimum)
    while _start(load, order, minimum):
        _raise(load, np.where(idle, 0.0, most), order, step, minimum)
    rounded: Array = np.round(np.array(load.currents_a).clip(min=0.0), 9)
    return rounded


def _start(load: Load, order: Indexes, minimum_a: Array) -> bool:
    """Whether a car could start at its minimum: a car that rises may make room for one that is out of phase with it."""
    waiting = [car for car in order.tolist() if load.currents_a[car] < minimum_a[car] - TINY_A]
    started = [car for car in waiting if load.change(car, float(minimum_a[car]))]
    return bool(started)


def _relieve(load: Load, minimum_a: Array, step_a: Array, order: Indexes) -> None:
    """Lowers, where something is too full, whoever is furthest above the minimum there; then the last in order pauses."""
    place = np.zeros(len(minimum_a))
    place[order] = np.arange(len(order))
    while (culprits := load.culprit()) is not None:
        now = np.array(load.currents_a)
        above = np.where((culprits > TINY_A) & (now > 0), now - minimum_a, -np.inf)
        car = int(above.argmax())
        if above[car] > TINY_A:
            load.force(car, -float(step_a[car]))
            continue
        car = int(np.where((culprits > TINY_A) & (now > 0), place, -1.0).argmax())
        load.force(car, -now[car])


def _raise(load: Load, most_a: Array, order: Indexes, step_a: Array, minimum_a: Array) -> None:
    """Step by step, the lowest first, until nobody that runs can have more."""
    open_ = [int(car) for car in order]
    steps, most, minimum = step_a.tolist(), most_a.tolist(), minimum_a.tolist()
    while open_:
        open_ = [c for c in open_ if 0 < load.currents_a[c] <= most[c] - steps[c] + TINY_A or minimum[c] == 0 < most[c]]
        open_.sort(key=load.currents_a.__getitem__)
        open_ = [c for c in open_ if load.currents_a[c] <= most[c] - steps[c] + TINY_A and load.change(c, steps[c])]
