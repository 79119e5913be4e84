"""What does a limit in watts leave to cars, in amperes added up over the phases?

Watts do not care for phases: what one phase exports another may draw, so the phases of the meter count with their sign
(grid-and-safety §4.1, §5.1). A fuse knows nothing of that; its rows stand beside this one.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Final

import msgspec

from local_controller.clock import Instant
from local_controller.profiles.units import NOMINAL_VOLTAGE_V, amps_from_watts, voltage_for_watts_v
from local_controller.site.base_load import ANY_SIGN, BaseLoad
from local_controller.site.limits import AppliesTo, PowerCeiling
from local_controller.site.per_phase import PHASES, ZERO, equal
from local_controller.site.readings import MeterReading
from local_controller.site.standing import DrawBounds

TOGETHER: Final = len(PHASES)
"""Stands in the place of a phase for the sum over all phases."""

VOLTAGE_KEPT_S: Final = 60.0
"""So long the highest measured voltage counts: noise moves no limit, and what rises counts at once."""


class Together(msgspec.Struct, frozen=True):
    """What a limit in watts leaves to all cars below a node, in amperes added up over the phases.

    volts_v: at which a watt is as few amperes as it may be. base_a, margin_a: other loads, and what is kept free; 0 where
    only the cars are limited, but for a surplus (negative base_a) that a limit lets them have. unheard_a: as of `Capacity`.
    """

    applies_to: AppliesTo
    ceiling: PowerCeiling
    volts_v: float
    base_a: float = 0.0
    margin_a: float = 0.0
    unheard_a: float = 0.0

    @property
    def limit_a(self) -> float:
        """The limit itself."""
        return amps_from_watts(self.ceiling.power_w, 1, self.volts_v)

    @property
    def available_a(self) -> float:
        """What is left for the cars; negative where other loads alone are too much."""
        return self.limit_a - self.base_a - self.margin_a

    @property
    def reckoned_a(self) -> float:
        """As of `Capacity`."""
        return self.available_a + self.unheard_a

    def sentence(self) -> str:
        """The arithmetic as people read it."""
        limit = f"{self.ceiling.source} {self.ceiling.power_w:.0f} W / {self.volts_v:.0f} V: {self.limit_a:.1f} A over all phases"
        if self.applies_to is AppliesTo.CHARGING:
            return f"{limit} + {-self.base_a:.1f} A surplus" if self.base_a < 0 else limit
        return f"{limit} - {self.base_a:.1f} A other loads - {self.margin_a:.1f} A margin"


def excess_a(reading: MeterReading, limit: PowerCeiling | None, line_v: float = NOMINAL_VOLTAGE_V) -> float:
    """By how much a meter shows more than a limit in watts, in amperes on each of its phases; endless room without one.

    line_v: as of `Node`.
    """
    if limit is None:
        return -math.inf
    volts_v = voltage_for_watts_v(None if reading.voltage_v is None else max(reading.voltage_v), line_v)
    drawn_w = sum(reading.current_a) * volts_v if reading.power_w is None else reading.power_w
    return amps_from_watts(drawn_w - limit.power_w, len(PHASES), volts_v)


@dataclass(slots=True)
class AllPhases:
    """What a node's meter shows of all phases together: measured_a last; base: other loads, negative where more feeds in.

    unexplained_a: what it shows beyond other loads and cars that follow, as far as that is too much.
    line_v: as of `Node`.
    """

    line_v: float = NOMINAL_VOLTAGE_V
    base: BaseLoad = field(default_factory=lambda: BaseLoad(lowest_a=ANY_SIGN))
    measured_a: float = 0.0
    unexplained_a: float = 0.0
    _highest_v: float = 0.0
    _highest_at: Instant | None = None

    def measured(
        self, reading: MeterReading, bounds: DrawBounds, limit: PowerCeiling | None, margin_a: float, now: Instant
    ) -> float:
        """Takes in a reading while all cars below draw within `bounds`; by how many amperes it is above the limit."""
        self._measure_voltage(reading, now)
        self.measured_a = self._amperes(reading)
        sums = bounds.least_a, bounds.most_a, bounds.unheard_a, bounds.newly_a
        least, most, unheard, newly = (equal(sum(one)) for one in sums)
        self.base.update(equal(self.measured_a), least, most, now, bounds.measured_at, ZERO, ZERO, unheard, newly)
        if limit is None:
            self.unexplained_a = 0.0
            return -math.inf
        over_a = self.measured_a - amps_from_watts(limit.power_w, 1, self.volts_v)
        explained_a = sum(bounds.followed_a) + self.base_a
        self.unexplained_a = max(0.0, min(self.measured_a - explained_a, over_a + margin_a))
        return over_a

    @property
    def base_a(self) -> float:
        """Other loads."""
        return 0.0 if self.base.current_a is None else self.base.current_a[0]

    @property
    def volts_v(self) -> float:
        """The highest voltage of the last minute, or that of the grid where none is measured."""
        return voltage_for_watts_v(self._highest_v or None, self.line_v)

    def _measure_voltage(self, reading: MeterReading, now: Instant) -> None:
        if reading.voltage_v is None:
            self._highest_v, self._highest_at = 0.0, None
            return
        high_v = max(reading.voltage_v)
        if self._highest_at is None or high_v >= self._highest_v or now.since(self._highest_at) > VOLTAGE_KEPT_S:
            self._highest_v, self._highest_at = high_v, now

    def _amperes(self, reading: MeterReading) -> float:
        """What flows, with its direction: as active power where the meter tells it, for that is what is limited."""
        if reading.power_w is None:
            return sum(reading.current_a)
        return amps_from_watts(reading.power_w, 1, self.volts_v)
