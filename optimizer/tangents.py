"""How does a limit on the length of a phasor become rows of a linear program? By tangents of its circle.

A wire's current is the length of a sum of phasors. Each direction in which that sum can point gives one linear row; with
`STEPS` of them per 60 degrees no sum is longer than the limit by more than 0.2 %.
"""

from __future__ import annotations

import cmath
import math

import numpy as np

from optimizer.arrays import Array, Phasors
from optimizer.rows import Rows

STEPS = 8
"""Tangents per 60 degrees; the corner between two of them is 1 / cos(3.75 deg) = 1.0021 of the limit away."""

INNER = math.cos(math.pi / 3 / STEPS / 2)
"""By so much a limit is lowered where nobody checks the exact length afterwards."""


def directions(weights: Phasors) -> Array:
    """(F,) angles in radians of the tangents that matter to a wire with these weights (N,): those that a sum can point to.

    Sums of phasors point into the smallest sector that holds them all; beyond half a turn, anywhere.
    """
    angles = np.unique(np.angle(weights[weights != 0]).round(9))
    if not len(angles):
        return angles
    gaps = np.diff(np.append(angles, angles[0] + 2 * np.pi))
    widest = int(gaps.argmax())
    start, width = float(angles[(widest + 1) % len(angles)]), 2 * np.pi - float(gaps[widest])
    if width > np.pi - 1e-9:
        return np.linspace(0.0, 2 * np.pi, 6 * STEPS, endpoint=False)
    count = math.ceil(width / (math.pi / 3) * STEPS - 1e-9)
    return start + np.linspace(0.0, width, count + 1)


def tangent(weights: Phasors, direction: float) -> Array:
    """(N,) what an ampere of each need adds to the sum in this direction."""
    along: Array = (weights * cmath.exp(-1j * direction)).real
    along[abs(along) < 1e-12] = 0.0
    return along


def inner_rows(rows: Rows) -> tuple[Array, Array]:
    """Loads (R + F, N) and limits (R + F, K) of plain rows that no plan keeps without keeping every wire too.

    What one car takes off a wire for another is not counted, so that the loads stay at least 0.
    """
    if not rows.has_wires:
        return rows.loads, rows.available_a
    along = [(w, tangent(weights, angle)) for w, weights in enumerate(rows.weights) for angle in directions(weights)]
    loads = np.vstack([rows.loads, *(one.clip(min=0.0) for _, one in along)])
    limits = np.vstack([rows.available_a, *(rows.wire_a[w] * INNER for w, _ in along)])
    return loads, limits


def within_wires(rows: Rows, plan_a: Array) -> Array:
    """The plan (N, K) with each block scaled down by what its sums exceed a wire between two tangents."""
    if not rows.has_wires:
        return plan_a
    length = np.abs(rows.weights @ plan_a)
    scale = np.divide(rows.wire_a, length, out=np.ones_like(length), where=length > rows.wire_a).min(axis=0)
    scaled: Array = plan_a * scale
    return scaled
