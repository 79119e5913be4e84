"""How may a car be told a current, and when is its turn? What all rounding keeps to."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from optimizer.arrays import Array, Indexes
from optimizer.problem import Problem
from optimizer.rows import TINY_A, minimum_of


@dataclass(frozen=True, slots=True)
class Manners:
    """What a car can be told and when its turn is: (N,) arrays of lowest running current, step, priority, `present_a`."""

    minimum_a: Array
    step_a: Array
    priority: Array
    present_a: Array

    @classmethod
    def of(cls, problem: Problem) -> Manners:
        """Those of all cars of a problem."""
        step, priority, present = (
            np.array([getattr(need, field) for need in problem.needs]) for field in ("step_a", "priority", "present_a")
        )
        return cls(minimum_of(problem), step, priority, present)

    def able(self, caps_a: Array) -> Indexes:
        """The cars that can run below these caps (N,), by falling preference, as `ChargingNeed.priority` states it."""
        cars = np.flatnonzero((caps_a > 0) & (caps_a >= self.minimum_a - TINY_A))
        order: Indexes = cars[np.lexsort((cars, self.present_a[cars] == 0, -self.priority[cars]))]
        return order
