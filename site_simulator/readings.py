"""How do stations of different makes spell what their meter shows?"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from site_simulator.vehicle import NOMINAL_V

Sampled = dict[str, Any]


class Spelling(StrEnum):
    """Ways of writing MeterValues that the field has shown."""

    FULL = "full"  # per phase L1..L3 with units, and sums
    NEUTRAL = "neutral"  # phases called L1-N..L3-N
    BARE = "bare"  # neither unit nor context; per phase only
    KILO = "kilo"  # kW per phase, kWh, currents per phase
    WATTS = "watts"  # kW and kWh per phase, no currents
    NEUTRAL_ALONE = "neutral alone"  # one current, on a phase "N"
    FIRST_ALONE = "first alone"  # the current of L1 only, with blanks, and all voltages
    SUM = "sum"  # one current, the sum of all phases
    STILL = "still"  # power and current always 0, only the energy moves
    TWO_LINES = "two lines"  # one current under L1 and under L2, and the voltage between them
    BETWEEN = "between"  # the same on a phase "L1-L2"
    RANDOM = "random"  # power and currents that have nothing to do with the truth


@dataclass(frozen=True, slots=True)
class Reading:
    """A station's meter: amperes per phase as the station counts them, the import register, volts of each of its phases."""

    current_a: Sequence[float]
    energy_wh: float
    volts: float = NOMINAL_V


def sampled_values(reading: Reading, spelling: Spelling) -> list[Sampled]:
    """The reading as 1.6 SampledValue objects (all values are text there)."""
    if spelling in _ODD:
        return _ODD[spelling](reading)
    kilo = spelling is Spelling.KILO
    suffix = "-N" if spelling is Spelling.NEUTRAL else ""
    values = [_value("Current.Import", amps, "A", f"L{i}{suffix}") for i, amps in enumerate(reading.current_a, 1)]
    values += _voltages(reading)
    if spelling in {Spelling.BARE, Spelling.KILO}:
        values += [
            _value("Power.Active.Import", amps * reading.volts, "W", f"L{i}", kilo=kilo)
            for i, amps in enumerate(reading.current_a, 1)
        ]
    else:
        values.append(_power(reading))
    values.append(_value("Energy.Active.Import.Register", reading.energy_wh, "Wh", kilo=kilo))
    return [_bare(value) for value in values] if spelling is Spelling.BARE else values


def _watts(reading: Reading) -> list[Sampled]:
    phases = len(reading.current_a)
    values = [
        _value("Power.Active.Import", amps * reading.volts, "W", f"L{i}", kilo=True)
        for i, amps in enumerate(reading.current_a, 1)
    ]
    return values + [
        _value("Energy.Active.Import.Register", reading.energy_wh / phases, "Wh", f"L{i}", kilo=True)
        for i in range(1, phases + 1)
    ]


def _neutral_alone(reading: Reading) -> list[Sampled]:
    return [_value("Current.Import", max(reading.current_a), "A", "N"), _power(reading), _energy(reading)]


def _first_alone(reading: Reading) -> list[Sampled]:
    current = _value("Current.Import", reading.current_a[0], "A", "L1")
    current["value"] = f"  {current['value']}"
    return [current, *_voltages(reading), _power(reading), _energy(reading)]


def _sum(reading: Reading) -> list[Sampled]:
    return [_value("Current.Import", sum(reading.current_a), "A"), _power(reading), _energy(reading)]


def _still(reading: Reading) -> list[Sampled]:
    values = [_value("Current.Import", 0.0, "A", f"L{i}") for i in range(1, len(reading.current_a) + 1)]
    return [*values, _value("Power.Active.Import", 0.0, "W"), _energy(reading)]


def _random(reading: Reading) -> list[Sampled]:
    amps, watts = (reading.energy_wh * 7.3) % 32.0, (reading.energy_wh * 91.7) % 22_000.0
    values = [_value("Current.Import", amps, "A", f"L{i}") for i in range(1, len(reading.current_a) + 1)]
    return [*values, _value("Power.Active.Import", watts, "W"), _energy(reading)]


def _two_lines(reading: Reading) -> list[Sampled]:
    values = [_value("Current.Import", reading.current_a[0], "A", line) for line in ("L1", "L2")]
    return [*values, _value("Voltage", reading.volts, "V", "L1-L2"), _power(reading), _energy(reading)]


def _between(reading: Reading) -> list[Sampled]:
    return [_value("Current.Import", reading.current_a[0], "A", "L1-L2"), _power(reading), _energy(reading)]


_ODD: Mapping[Spelling, Callable[[Reading], list[Sampled]]] = {
    Spelling.WATTS: _watts,
    Spelling.NEUTRAL_ALONE: _neutral_alone,
    Spelling.FIRST_ALONE: _first_alone,
    Spelling.SUM: _sum,
    Spelling.STILL: _still,
    Spelling.RANDOM: _random,
    Spelling.TWO_LINES: _two_lines,
    Spelling.BETWEEN: _between,
}


def _power(reading: Reading) -> Sampled:
    return _value("Power.Active.Import", sum(reading.current_a) * reading.volts, "W")


def _energy(reading: Reading) -> Sampled:
    return _value("Energy.Active.Import.Register", reading.energy_wh, "Wh")


def _voltages(reading: Reading) -> list[Sampled]:
    return [_value("Voltage", reading.volts, "V", f"L{i}-N") for i, _ in enumerate(reading.current_a, 1)]


def _value(measurand: str, number: float, unit: str, phase: str | None = None, *, kilo: bool = False) -> Sampled:
    value = {"value": f"{number / 1000:.4f}" if kilo else f"{number:.2f}", "context": "Sample.Periodic"}
    value |= {"measurand": measurand, "unit": f"k{unit}" if kilo else unit}
    return value if phase is None else value | {"phase": phase}


def _bare(value: Sampled) -> Sampled:
    """Without what the standard gives a default: W and Wh, Sample.Periodic."""
    return {key: text for key, text in value.items() if key not in {"context", "unit"}}


def sampled_values_2x(reading: Reading, spelling: Spelling) -> list[Sampled]:
    """The reading as 2.x SampledValue objects: numbers, and the unit in an object of its own."""
    return [_as_2x(value) for value in sampled_values(reading, spelling)]


def _as_2x(value: Sampled) -> Sampled:
    modern = value | {"value": float(value["value"])}
    unit = modern.pop("unit", None)
    return modern if unit is None else modern | {"unitOfMeasure": {"unit": unit}}
