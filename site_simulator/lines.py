"""What do loads of different angles make of a line? Their phasors, each seen from the voltage of the line itself.

A load to neutral is in phase with it. One between two of three lines is 30 degrees early on the first of them (in the order
R, S, T, R) and 30 degrees late on the other. Between the two lines of a split-phase grid, whose voltages are opposite, it is
in phase on both. What a power factor below 1 adds is late everywhere.
"""

from __future__ import annotations

import cmath
import math
from collections.abc import Iterable, Sequence

PHASES = "RST"
_PAIRS = ("RS", "ST", "TR")

Phasors = tuple[complex, complex, complex]
"""A current on each line R, S, T."""

NONE: Phasors = (0j, 0j, 0j)


def phasors(current_a: Sequence[float], connection: str, *, lines: int = 3, lag: float = 0.0) -> Phasors:
    """The currents of a load on the lines.

    connection: the lines behind its phases, each to neutral: "R", "STR"; or the two between which it stands: "R-S".
    lines: of the grid, 2 for split-phase. lag: by how many radians its current is behind its voltage.
    """
    late = cmath.rect(1.0, -lag) if lag else 1.0
    found = dict.fromkeys(PHASES, 0j)
    if "-" in connection:
        first, second = _in_order(connection)
        early = math.pi / 6 if lines == 3 else 0.0
        found[first] += current_a[0] * late * cmath.rect(1.0, early)
        found[second] += current_a[0] * late * cmath.rect(1.0, -early)
    else:
        for amperes, letter in zip(current_a, connection, strict=False):
            found[letter] += amperes * late
    return found["R"], found["S"], found["T"]


def _in_order(connection: str) -> tuple[str, str]:
    first, second = connection.split("-")
    return (first, second) if first + second in _PAIRS else (second, first)


def added(some: Iterable[Phasors]) -> Phasors:
    """The sum, line by line."""
    r = s = t = 0j
    for a, b, c in some:
        r, s, t = r + a, s + b, t + c
    return r, s, t


def lengths(currents: Phasors) -> tuple[float, float, float]:
    """What a meter shows: the length, negative where more is fed in than drawn."""
    r, s, t = (math.copysign(abs(one), one.real) for one in currents)
    return r, s, t
