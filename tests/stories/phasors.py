"""How do currents of different phases add up? As phasors: on each line, and in the neutral conductor."""

from __future__ import annotations

import asyncio
import cmath
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from site_simulator.outlet import Outlet
from tests.stories.judge import LOOK_S

LETTERS = "RST"
FULL_A, COS_PHI, LITTLE_A, COS_PHI_OF_LITTLE = 16.0, 0.99, 6.0, 0.9
"""What power factor chargers have from so much current on, and at their least; in between it changes with the current."""


def lag(current_a: float) -> float:
    """By how many radians the current of a charger is behind its voltage."""
    share = min(1.0, max(0.0, (current_a - LITTLE_A) / (FULL_A - LITTLE_A)))
    return math.acos(COS_PHI_OF_LITTLE + share * (COS_PHI - COS_PHI_OF_LITTLE))


def voltage_angle(line: int) -> float:
    """The angle of the voltage between a line (0..2) and neutral, in radians."""
    return -2.0 * math.pi * line / 3.0


def lines(building_a: Sequence[float], outlets: Iterable[Outlet]) -> list[complex]:
    """The currents of R, S and T: those of the building in phase with their voltages, each car's a little behind."""
    sums = [cmath.rect(amperes, voltage_angle(line)) for line, amperes in enumerate(building_a)]
    for outlet in outlets:
        for letter, amperes in zip(outlet.spec.rotation, outlet.currents_a, strict=False):
            line = LETTERS.index(letter)
            sums[line] += cmath.rect(amperes, voltage_angle(line) - lag(amperes))
    return sums


@dataclass(slots=True)
class Phasors:
    """The worst that was seen: current on a line, difference between two lines, current in the neutral conductor."""

    building_a: Sequence[float]
    outlets: Sequence[Outlet]
    full_a: float = 0.0
    asymmetry_a: float = 0.0
    neutral_a: float = 0.0

    def look(self) -> None:
        """At this moment."""
        currents = lines(self.building_a, self.outlets)
        lengths = [abs(current) for current in currents]
        self.full_a = max(self.full_a, *lengths)
        self.asymmetry_a = max(self.asymmetry_a, max(lengths) - min(lengths))
        self.neutral_a = max(self.neutral_a, abs(sum(currents)))

    async def watch(self) -> None:
        """Until cancelled."""
        while True:
            await asyncio.sleep(LOOK_S)
            self.look()
