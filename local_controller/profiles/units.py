"""How do amperes per phase and watts of all phases become each other? The only place that converts."""

from __future__ import annotations

import math
from enum import StrEnum
from functools import lru_cache

NOMINAL_VOLTAGE_V = 230.0
"""Line to neutral; the configured grid voltage, never a measurement, decides what a profile means (1.6 errata 3.69)."""

PHASES_IF_ABSENT = 3
"""numberPhases of a period that does not say (1.6 ch. 7.8; K01.FR.50)."""

_NOISE = 1e-9
"""Far above the rounding error of a few float operations on amperes, far below what any station resolves (1e-6)."""


class RateUnit(StrEnum):
    """OCPP ChargingRateUnit: A is per phase, W is the total of all phases."""

    A = "A"
    W = "W"


def watts_from_amps(limit_a: float, phases: int, voltage_v: float) -> float:
    """Watts of all phases when each of `phases` carries `limit_a` at `voltage_v`. ValueError without a phase."""
    return limit_a * _per_ampere_w(phases, voltage_v)


def amps_from_watts(limit_w: float, phases: int, voltage_v: float) -> float:
    """Amperes per phase when `limit_w` is spread evenly over `phases` at `voltage_v`. ValueError without a phase."""
    return limit_w / _per_ampere_w(phases, voltage_v)


def converted(limit: float, unit: RateUnit, wanted: RateUnit, *, phases: int, voltage_v: float) -> float:
    """What a limit given in `unit` means in the `wanted` unit (1.6 errata 3.69; K01.FR.50/.51)."""
    if unit is wanted:
        return limit
    return (watts_from_amps if wanted is RateUnit.W else amps_from_watts)(limit, phases, voltage_v)


def safe_watts_from_amps(limit_a: float, phases: int, nominal_v: float = NOMINAL_VOLTAGE_V) -> float:
    """Watts to command so that a fuse holds: at the grid's lowest voltage.

    At -10 % (EN 50160; 207 V) the same watts need the most amperes. `phases` must be the phases proven in use: a car
    that uses fewer draws all the watts on those.
    """
    return watts_from_amps(limit_a, phases, lowest_voltage_v(nominal_v))


def voltage_for_watts_v(measured_v: float | None, nominal_v: float = NOMINAL_VOLTAGE_V) -> float:
    """The voltage by which a limit in watts, divided by it, becomes amperes that never exceed it.

    As measured, also above the permitted band. What is below it is no evidence, and the grid's highest voltage counts, +10 % (EN
    50160; 253 V), where the same amperes draw the most watts.
    """
    if measured_v is None or measured_v < lowest_voltage_v(nominal_v):
        return highest_voltage_v(nominal_v)
    return measured_v


def lowest_voltage_v(nominal_v: float = NOMINAL_VOLTAGE_V) -> float:
    """Lower edge of the permitted band: 207 V for 230 V."""
    return nominal_v * 9 / 10


def highest_voltage_v(nominal_v: float = NOMINAL_VOLTAGE_V) -> float:
    """Upper edge of the permitted band: 253 V for 230 V."""
    return nominal_v * 11 / 10


@lru_cache(maxsize=1024)  # of the few limits of a site, many times each
def round_down(limit: float, step: float) -> float:
    """The highest multiple of `step` that does not exceed `limit`, in the unit of both.

    A limit within 1e-9 below a multiple is that multiple (float noise), and the answer prints as the decimal that is
    meant (15.9, not 15.900000000000002), which OCPP 1.6's multipleOf 0.1 needs. ValueError unless `step` is positive.
    """
    if step <= 0.0:
        raise ValueError(f"a step must be positive, got {step}")
    return round(float(math.floor((limit + _NOISE) / step)) * step, 9)


def round_up(limit: float, step: float) -> float:
    """The lowest multiple of `step` that is no less than `limit`, with the same tolerance."""
    return 0.0 - round_down(0.0 - limit, step)


def _per_ampere_w(phases: int, voltage_v: float) -> float:
    if phases < 1 or voltage_v <= 0.0:
        raise ValueError(f"a conversion needs a phase and a voltage, got {phases} phases at {voltage_v} V")
    return phases * voltage_v
