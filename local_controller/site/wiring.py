"""Which lines does the grid bring to the site, and which voltage is a load given that stands between them?

Everywhere else an EVSE is the lines that it loads, all with the same current. What a line carries is at most the sum of
these currents, whatever their angles and power factors; where all of them are in phase it is exactly that. So one row
for each line is right for every kind of grid, and only the words, the voltages and one rule for out-of-phase loads
(`Topology.adds_up`) depend on the kind (decision 0020, grid-and-safety §5.1).
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Final

from local_controller.profiles.units import NOMINAL_VOLTAGE_V
from local_controller.site.per_phase import PerPhase, only
from local_controller.site.readings import MeterReading


class GridSystem(StrEnum):
    """Kinds of low-voltage grids."""

    THREE_PHASE_WYE = "three_phase_wye"  # L1, L2, L3 and neutral: 230/400 V, 120/208 V
    SPLIT_PHASE = "split_phase"  # L1, L2 and a neutral in the middle of one winding: 120/240 V in North America
    LINE_TO_LINE = "line_to_line"  # L1, L2, L3 without neutral: 230 V IT and TT in Norway and Belgium, delta
    SINGLE_PHASE = "single_phase"  # L1 and neutral


_LINES: Final = {
    GridSystem.THREE_PHASE_WYE: (0, 1, 2),
    GridSystem.SPLIT_PHASE: (0, 1),
    GridSystem.LINE_TO_LINE: (0, 1, 2),
    GridSystem.SINGLE_PHASE: (0,),
}

USUAL_V: Final = {
    GridSystem.THREE_PHASE_WYE: NOMINAL_VOLTAGE_V,
    GridSystem.SPLIT_PHASE: 120.0,
    GridSystem.LINE_TO_LINE: NOMINAL_VOLTAGE_V,
    GridSystem.SINGLE_PHASE: NOMINAL_VOLTAGE_V,
}
"""The nominal voltage where nobody says it."""

SHOWN: Final = 0.15
"""A meter shows the voltage to neutral or that between lines; these are 73 % apart, and a grid keeps within 10 %."""


@dataclass(frozen=True, slots=True)
class Grid:
    """A kind of grid and its nominal voltage: to neutral, and between two lines where there is no neutral."""

    system: GridSystem = GridSystem.THREE_PHASE_WYE
    nominal_v: float = NOMINAL_VOLTAGE_V

    @property
    def lines(self) -> tuple[int, ...]:
        """The lines that there are, as indexes 0..2."""
        return _LINES[self.system]

    @property
    def has_neutral(self) -> bool:
        """Whether something may stand between a line and neutral."""
        return self.system is not GridSystem.LINE_TO_LINE

    @property
    def line_v(self) -> float:
        """At most so many watts one ampere of a line stands for, at the nominal voltage: that of a line to the middle."""
        return self.nominal_v if self.has_neutral else self.nominal_v / math.sqrt(3.0)

    @property
    def between_v(self) -> float:
        """The voltage between two lines; ValueError where there is only one."""
        match self.system:
            case GridSystem.THREE_PHASE_WYE:
                return self.nominal_v * math.sqrt(3.0)
            case GridSystem.SPLIT_PHASE:
                return self.nominal_v * 2.0
            case GridSystem.LINE_TO_LINE:
                return self.nominal_v
        raise ValueError("a single-phase grid has no second line")

    @property
    def shown_v(self) -> tuple[float, ...]:
        """The nominal voltages of which a meter may show one."""
        return (self.nominal_v,) if self.has_neutral else (self.nominal_v, self.line_v)

    def read(self, reading: MeterReading) -> MeterReading:
        """A reading in the terms of this grid: nothing on lines that do not exist, voltages of a line to the middle.

        Without neutral the power of one line is one of two wattmeters (Aron): of a motor between two lines it is negative
        on one of them below a power factor of 0.87, and that line carries its full current. So a line counts as fed in only
        where no line shows that power is drawn.
        """
        if self.system is GridSystem.THREE_PHASE_WYE:
            return reading
        current_a, power_w = only(self.lines, reading.current_a), reading.phase_power_w
        if not self.has_neutral and not _feeds_in(reading):
            l1_a, l2_a, l3_a = current_a
            current_a = abs(l1_a), abs(l2_a), abs(l3_a)
        return replace(
            reading,
            current_a=current_a,
            voltage_v=None if reading.voltage_v is None else self._to_middle(reading.voltage_v),
            phase_power_w=None if power_w is None else only(self.lines, power_w),
        )

    def _to_middle(self, shown_v: PerPhase) -> PerPhase:
        l1, l2, l3 = (self._one_to_middle(shown_v[line if line in self.lines else 0]) for line in range(3))
        return l1, l2, l3

    def _one_to_middle(self, shown_v: float) -> float:
        if not self.has_neutral and abs(shown_v / self.nominal_v - 1.0) <= SHOWN:
            return shown_v / math.sqrt(3.0)
        return shown_v


def _feeds_in(reading: MeterReading) -> bool:
    """Whether all lines together surely feed in; what does not tell its power does not."""
    if reading.phase_power_w is not None:
        return sum(reading.phase_power_w) < 0.0 and max(reading.phase_power_w) <= 0.0
    return reading.power_w is not None and reading.power_w < 0.0


STAR: Final = Grid()
"""230 V to neutral, 400 V between the phases."""
