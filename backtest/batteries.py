"""How much does a battery take of what it is offered? The ideal one all, the two-stage one less when nearly full."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Protocol

TAPER_FROM = 0.8
"""State of charge from which a two-stage battery takes less and less, down to nothing when full."""

PACKS_KWH = (8.0, 24.0, 40.0, 60.0, 85.0, 100.0)
"""Usual packs; a car has the smallest one that fits what it took and how long it stayed."""


class Battery(Protocol):
    """What takes energy."""

    def charge(self, power_kw: float, hours: float) -> float:
        """The energy (kWh) that it takes when offered so much power for so long."""
        ...


class Ideal:
    """Takes everything."""

    def charge(self, power_kw: float, hours: float) -> float:
        """All of it."""
        return power_kw * hours


@dataclass
class TwoStage:
    """Takes its full power up to `TAPER_FROM`, then a power that falls in a straight line with the state of charge.

    soc: state of charge, 0..1. most_kw: the most that the car takes below the taper.
    """

    pack_kwh: float
    soc: float
    most_kw: float

    def charge(self, power_kw: float, hours: float) -> float:
        """Below the taper the offered power; from where the taper allows less, an exponential approach to full."""
        power_kw = min(power_kw, self.most_kw)
        if power_kw <= 0:
            return 0.0
        knee = 1 - (1 - TAPER_FROM) * power_kw / self.most_kw
        steady_h = min(max(0.0, (knee - self.soc) * self.pack_kwh / power_kw), hours)
        steady_kwh = power_kw * steady_h
        room_kwh = (1 - self.soc) * self.pack_kwh - steady_kwh
        time_constant_h = (1 - TAPER_FROM) * self.pack_kwh / self.most_kw
        taken_kwh = steady_kwh + room_kwh * -math.expm1(-(hours - steady_h) / time_constant_h)
        self.soc += taken_kwh / self.pack_kwh
        return taken_kwh


def fitted(energy_kwh: float, hours: float, most_kw: float) -> tuple[TwoStage, float]:
    """The battery of a car that took so much in so long, and what of it that battery can take (kWh).

    The smallest pack, as full as it may be to take all of it at full power; a wish that no pack takes in that time
    is lowered to what the largest one takes.
    """
    for pack_kwh in PACKS_KWH:
        if _taken(pack_kwh, 0.0, hours, most_kw) >= energy_kwh:
            low, high = 0.0, 1.0
            for _ in range(50):
                middle = (low + high) / 2
                if _taken(pack_kwh, middle, hours, most_kw) >= energy_kwh:
                    low = middle
                else:
                    high = middle
            return TwoStage(pack_kwh, low, most_kw), energy_kwh
    return TwoStage(PACKS_KWH[-1], 0.0, most_kw), _taken(PACKS_KWH[-1], 0.0, hours, most_kw)


def _taken(pack_kwh: float, soc: float, hours: float, most_kw: float) -> float:
    return TwoStage(pack_kwh, soc, most_kw).charge(most_kw, hours)
