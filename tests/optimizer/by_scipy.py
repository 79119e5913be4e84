"""What does scipy make of a linear program? Another way to the same best."""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy.optimize import Bounds, LinearConstraint, milp
from scipy.sparse import csc_array

from optimizer.linear import Linear


def matrix_of(linear: Linear) -> csc_array:
    """A, as sparse as it is."""
    shape = (len(linear.row_low), len(linear.worth))
    return csc_array((linear.value, (linear.row, linear.column)), shape=shape)


def by_scipy(linear: Linear) -> Any:
    """`fun` is the worth of the best, below 0, and `x` its columns."""
    return milp(
        -linear.worth,
        bounds=Bounds(np.zeros_like(linear.upper), linear.upper),
        constraints=LinearConstraint(matrix_of(linear), linear.row_low, linear.row_high),
        options={"presolve": False},
    )
