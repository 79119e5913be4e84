"""What does a meter say about the site, and can it be true?"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from local_controller.clock import Instant
from local_controller.profiles.units import NOMINAL_VOLTAGE_V, voltage_for_watts_v
from local_controller.site.per_phase import PerPhase, equal

VOLTAGE_WINDOW = (180.0 / 230.0, 270.0 / 230.0)
"""Of the nominal voltage: 180 to 270 V where that is 230 V. A wrong address or word order nearly always lands outside."""

DEAD_PHASE_V = 20.0
"""Below this a phase without current is not connected; between this and the window it is a fault."""

POWER_TOLERANCE_W = 100.0
POWER_TOLERANCE = 0.02
"""Phases and total are not sampled at one moment: 100 W or 2 %, whichever is larger."""

APPARENT_FACTOR = 1.05
"""Active power exceeds V * I by metering errors only."""


@dataclass(frozen=True, slots=True)
class MeterReading:
    """One answer of a meter, in the grid's phases.

    asked_at: when the question was sent; the age of a reading counts from here.
    current_a: signed, + is drawn from the grid. A meter that counts magnitudes only gets the sign of the phase's
        power; where that is unknown too, the current counts as drawn.
    voltage_v: line to neutral; power_w: active, + is drawn; energy_import_wh: the import register;
    phase_power_w: active power per phase. None: the meter gave no usable value, which is not 0.
    unchanged_s: for so long nothing at all has changed in what the meter says; a living one moves with every answer.
    """

    meter: str
    asked_at: Instant
    current_a: PerPhase
    voltage_v: PerPhase | None = None
    power_w: float | None = None
    energy_import_wh: float | None = None
    phase_power_w: PerPhase | None = None
    unchanged_s: float = 0.0


class Doubt(StrEnum):
    """The ways in which a reading contradicts physics or itself."""

    VOLTAGE = "voltage"
    TOTAL_POWER = "total power"
    APPARENT_POWER = "apparent power"


@dataclass(frozen=True, slots=True)
class Finding:
    """One contradiction in a reading, with the numbers that show it."""

    doubt: Doubt
    text: str

    def __str__(self) -> str:
        """The finding as people read it."""
        return f"{self.doubt} implausible: {self.text}"


def drawn_w(reading: MeterReading, line_v: float = NOMINAL_VOLTAGE_V) -> float:
    """The power of all phases as the meter says; else its currents, where it tells no voltage at the highest one (G16)."""
    if reading.power_w is not None:
        return reading.power_w
    volts = reading.voltage_v or equal(voltage_for_watts_v(None, line_v))
    return sum(amperes * volt for amperes, volt in zip(reading.current_a, volts, strict=True))


def implausible(reading: MeterReading, nominal_v: tuple[float, ...] = (NOMINAL_VOLTAGE_V,)) -> list[Finding]:
    """Everything in this reading that cannot be true; absent values are not judged.

    nominal_v: the nominal voltages of which the meter may show one (`Grid.shown_v`).
    """
    return [*_voltages(reading, nominal_v), *_total_power(reading), *_apparent_power(reading)]


def _voltages(reading: MeterReading, nominal_v: tuple[float, ...]) -> list[Finding]:
    """A phase in use has 180-270 V of 230 V; a reading without any phase in use is no reading."""
    if reading.voltage_v is None:
        return []
    windows = [(one * VOLTAGE_WINDOW[0], one * VOLTAGE_WINDOW[1]) for one in nominal_v]
    expected = " or ".join(f"{low_v:.0f} to {high_v:.0f} V" for low_v, high_v in windows)
    phases = list(zip(("L1", "L2", "L3"), reading.voltage_v, reading.current_a, strict=True))
    in_use = [(phase, volt_v) for phase, volt_v, ampere_a in phases if abs(volt_v) >= DEAD_PHASE_V or ampere_a != 0]
    if not in_use:
        return [Finding(Doubt.VOLTAGE, f"no phase is live ({_listed(reading.voltage_v, 'V')})")]
    return [
        Finding(Doubt.VOLTAGE, f"{phase} has {volt_v:.4g} V, expected {expected}")
        for phase, volt_v in in_use
        if not any(low_v <= volt_v <= high_v for low_v, high_v in windows)
    ]


def _total_power(reading: MeterReading) -> list[Finding]:
    """The phases add up to the total."""
    if reading.phase_power_w is None or reading.power_w is None:
        return []
    sum_w = sum(reading.phase_power_w)
    tolerance_w = max(POWER_TOLERANCE_W, POWER_TOLERANCE * abs(reading.power_w))
    if abs(sum_w - reading.power_w) <= tolerance_w:
        return []
    return [Finding(Doubt.TOTAL_POWER, f"phases add up to {sum_w:.0f} W, the total says {reading.power_w:.0f} W")]


def _apparent_power(reading: MeterReading) -> list[Finding]:
    """|P| <= 1.05 * V * I on each phase, with the tolerance in W for currents below a meter's resolution."""
    if reading.phase_power_w is None or reading.voltage_v is None:
        return []
    phases = zip(("L1", "L2", "L3"), reading.phase_power_w, reading.voltage_v, reading.current_a, strict=True)
    return [
        Finding(Doubt.APPARENT_POWER, f"{phase} has {power_w:.0f} W at {volt_v:.4g} V and {ampere_a:.4g} A")
        for phase, power_w, volt_v, ampere_a in phases
        if abs(power_w) > APPARENT_FACTOR * abs(volt_v * ampere_a) + POWER_TOLERANCE_W
    ]


def _listed(values: PerPhase, unit: str) -> str:
    """229.9/230.1/230 V."""
    return f"{'/'.join(f'{value:.4g}' for value in values)} {unit}"
