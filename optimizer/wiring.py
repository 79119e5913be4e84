"""How do cars between two phases, and cars behind a transformer, load the wires? The weights of `ChargingNeed.wires`.

At unity power factor the current of a load follows its voltage. Seen from the voltage of its own phase, a load to neutral
is in phase, one between this phase and the next is 30 degrees early, one between the last phase and this 30 degrees late.
A delta-wye transformer draws from each supply wire the difference of two of these, scaled by its ratio.
"""

from __future__ import annotations

import cmath
import math

from optimizer.problem import PHASES

Weights = tuple[complex, complex, complex]
"""Phasors on the wires of L1, L2 and L3 for one ampere of the load."""


def to_neutral(*phases: int) -> Weights:
    """A load between each of these phases (0..2) and neutral."""
    return _weights({phase: _turned(-120.0 * phase) for phase in phases})


def between(first: int, second: int) -> Weights:
    """A load between two phases (0..2)."""
    if (second - first) % 3 == 2:
        first, second = second, first
    current = _turned(30.0 - 120.0 * first)
    return _weights({first: current, second: -current})


def before_transformer(weights: Weights, ratio: float) -> Weights:
    """The same load on the supply wires of a delta-wye transformer; ratio: amperes there for one of a difference here."""
    l1, l2, l3 = weights
    return ratio * (l1 - l3), ratio * (l2 - l1), ratio * (l3 - l2)


def _turned(degrees: float) -> complex:
    return cmath.exp(1j * math.radians(degrees))


def _weights(of: dict[int, complex]) -> Weights:
    l1, l2, l3 = (of.get(phase, 0j) for phase in range(len(PHASES)))
    return l1, l2, l3
