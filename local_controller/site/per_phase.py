"""How do three amperes add up? Small arithmetic on (L1, L2, L3) of the grid."""

from __future__ import annotations

from collections.abc import Container, Iterable
from typing import Final

PerPhase = tuple[float, float, float]
PHASES: Final = (0, 1, 2)
PHASE_NAMES: Final = ("L1", "L2", "L3")
ZERO: Final[PerPhase] = (0.0, 0.0, 0.0)


def equal(value: float) -> PerPhase:
    """The same value on every phase."""
    return (value, value, value)


def on(phases: Container[int], value: float) -> PerPhase:
    """`value` on the given phase indexes, 0 elsewhere."""
    return (value if 0 in phases else 0.0, value if 1 in phases else 0.0, value if 2 in phases else 0.0)


def only(phases: Container[int], a: PerPhase) -> PerPhase:
    """`a` on the given phase indexes, 0 elsewhere."""
    return (a[0] if 0 in phases else 0.0, a[1] if 1 in phases else 0.0, a[2] if 2 in phases else 0.0)


def plus(a: PerPhase, b: PerPhase) -> PerPhase:
    """Sum, phase by phase."""
    return (a[0] + b[0], a[1] + b[1], a[2] + b[2])


def minus(a: PerPhase, b: PerPhase) -> PerPhase:
    """Difference, phase by phase."""
    return (a[0] - b[0], a[1] - b[1], a[2] - b[2])


def lower(a: PerPhase, b: PerPhase) -> PerPhase:
    """The lower value, phase by phase."""
    (a1, a2, a3), (b1, b2, b3) = a, b
    return (b1 if b1 < a1 else a1, b2 if b2 < a2 else a2, b3 if b3 < a3 else a3)  # noqa: FURB136 - calls of min take four times as long


def upper(a: PerPhase, b: PerPhase) -> PerPhase:
    """The higher value, phase by phase."""
    (a1, a2, a3), (b1, b2, b3) = a, b
    return (b1 if b1 > a1 else a1, b2 if b2 > a2 else a2, b3 if b3 > a3 else a3)  # noqa: FURB136 - as above


def total(values: Iterable[PerPhase]) -> PerPhase:
    """Sum of many, phase by phase."""
    l1 = l2 = l3 = 0.0
    for a, b, c in values:
        l1, l2, l3 = l1 + a, l2 + b, l3 + c
    return (l1, l2, l3)
