"""How may a car be told a current, and when is its turn? What all rounding keeps to."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from optimizer.problem import Problem
from optimizer.rows import TINY_A, Array, minimum_of

Indexes = npt.NDArray[np.intp]


def worthwhile(manners: Manners, caps_a: Array, useful_a: Array, wanted_a: Array) -> Array:
    """(N,) the caps lowered to what is useful, up to a step; 0 where that is less than half of a minimum.

    wanted_a: A that would bring all that is still wanted; who can have the rest of it at its minimum gets that.
    """
    steps: Array = np.ceil(useful_a / manners.step_a - TINY_A) * manners.step_a
    runs = (useful_a > 0.0) & ((useful_a >= manners.minimum_a / 2) | (useful_a >= wanted_a - TINY_A))
    return np.where(runs, np.minimum(np.maximum(steps, manners.minimum_a), caps_a), 0.0)


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

    def in_order(self, cars: Indexes) -> Indexes:
        """Cars by falling preference, as `ChargingNeed.priority` states it."""
        order: Indexes = cars[np.lexsort((cars, self.present_a[cars] == 0, -self.priority[cars]))]
        return order
