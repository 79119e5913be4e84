"""What do a station's sampled values say about current, power and energy?

Stations spell the same moment in dozens of ways: unit or context missing, kW, `L1-N`, a phase "N", power per phase
only, a current that is a sum. What remains ambiguous gives no current: unknown counts against the session (LC-074).

Rules for the current
1. Current.Import per phase is taken as it is; a negative one by its magnitude, because it loads the fuse all the same.
2. A phase with power but no current carries |P| / V, with V of that phase or 230 V.
3. A current on one phase alone is believed, unless the total power is about two or three times I x V: then it flows on
   the phases that show voltage. If the power fits neither, or voltage on several phases is all we know, it is not used.
4. A current without a phase (or on "N" alone) is 0 A everywhere if it is zero, and flows on all three phases if the
   total power is about three times I x V. Else it is not used: it may be one phase's current or the sum of three.
5. Total power alone gives no current.
6. Current.Export, or the power that is exported, is read by the same rules; where it is the larger one, the car feeds
   back and its current is negative (LC-149).
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from local_controller.profiles.units import NOMINAL_VOLTAGE_V
from local_controller.station.dialects.reading import Fields, number
from local_controller.station.words import MeterSample, Phase

_CONTEXTS = frozenset({"sample.periodic", "sample.clock", "trigger", "transaction.begin", "transaction.end"})
_LOCATIONS = ("outlet", "cable", "inlet")  # the first that has a measurand is believed
_PHASES: Mapping[str, tuple[Phase, ...]] = {
    **{f"{phase}{suffix}": (phase,) for phase in Phase for suffix in ("", "-N")},
    "L1-L2": (Phase.L1, Phase.L2),
    "L2-L3": (Phase.L2, Phase.L3),
    "L3-L1": (Phase.L3, Phase.L1),
}
_NO_SAMPLES = frozenset({"interruption.begin", "interruption.end", "other"})
_ELSEWHERE = frozenset({"body", "ev", "upstream"})
_KNOWN_CONTEXTS, _KNOWN_LOCATIONS = _CONTEXTS | _NO_SAMPLES, _ELSEWHERE.union(_LOCATIONS)
_LOAD = frozenset({"current.import", "current.export", "power.active.import", "power.active.export", "voltage"})
"""What the load of each phase is read from."""
_PREFIXES = {"k": 1e3, "m": 1e-3, "M": 1e6}
LARGEST: Final = 1e12  # Wh of the largest register; whatever is larger is noise
LIVE_V: Final = 100.0  # far above an induced voltage, far below any supply
_ONE_PHASE_RATIO = 1.2  # 230 V assumed at 253 V real is 1.1; the rest is current and power sampled apart
_RATIO_TOLERANCE = 0.1  # keeps 2 and 3 phases well apart
_SOC_LOCATIONS = (*_LOCATIONS, "ev")


@dataclass(frozen=True, slots=True)
class SampledValue:
    """One SampledValue in base units (A, W, Wh, V, percent). `phases` is empty for a total."""

    value: float
    measurand: str
    location: str
    phases: tuple[Phase, ...]
    is_line_to_line: bool


Readings = Mapping[Phase | None, float]
"""One measurand: the value of each phase and, under None, the total; each if reported."""


def sampled_value(fields: Fields, unit: str | None, multiplier: int) -> SampledValue | None:
    """One entry, or None if it is of no use: no number (signed data, ""), or a context that is no sample (LC-075).

    Raises PayloadError where what tells the load is broken: the phase would vanish, and seem to carry nothing (LC-020).
    """
    if "value" not in fields.data:
        fields.fail("value", "missing")
    value = _in_base_units(number(fields.raw("value")), unit, multiplier)
    context = _word(fields, "context", "Sample.Periodic")
    measurand = _word(fields, "measurand", "Energy.Active.Import.Register")
    location, phase = _word(fields, "location", "Outlet"), _word(fields, "phase", "").upper()
    if measurand in _LOAD:
        _refuse_broken(fields, context, location, phase, value)
    if value is None or context not in _CONTEXTS:
        return None
    phases = _PHASES.get(phase, ())
    return SampledValue(value, measurand, location, phases, len(phases) > 1)


def _word(fields: Fields, name: str, default: str) -> str:
    said = fields.raw(name)
    return default.lower() if said is None else str(said).strip().lower()


def _refuse_broken(fields: Fields, context: str, location: str, phase: str, value: float | None) -> None:
    """What is no word of the standard, or no number. An empty value says nothing, signed data nothing to us."""
    if fields.raw("value") is None or _word(fields, "format", "Raw") == "signeddata":
        return
    if context not in _KNOWN_CONTEXTS:
        fields.fail("context", f"{context:.40} is no ReadingContext")
    if location not in _KNOWN_LOCATIONS:
        fields.fail("location", f"{location:.40} is no Location")
    if context in _NO_SAMPLES or location in _ELSEWHERE:
        return
    if phase and phase != "N" and phase not in _PHASES:
        fields.fail("phase", f"{phase:.40} is no Phase")
    if value is None:
        fields.fail("value", f"{fields.raw('value')!r:.40} is nothing that a meter measures")


def _in_base_units(value: float | None, unit: str | None, multiplier: int) -> float | None:
    """None for what no meter of a station can have measured: a glitch must not count as a load of any size."""
    if value is None or not -9 <= multiplier <= 9:
        return None
    scaled = value * prefix(unit) * 10.0**multiplier
    return scaled if abs(scaled) <= LARGEST else None


def prefix(unit: str | None) -> float:
    """Only the prefix counts: Wh on a power or W on an energy is a slip of the station, its size is right."""
    return _PREFIXES.get(unit[0], 1.0) if unit and len(unit) > 1 else 1.0


def meter_sample(values: Iterable[SampledValue | None], taken_at: datetime | None) -> MeterSample | None:
    """The sample that the values of one moment make; None if they say nothing that we use."""
    known = [value for value in values if value is not None]
    voltage, exported = _voltage(_values(known, "voltage")), _readings(_values(known, "power.active.export"))
    sample = combined(
        {phase: abs(amps) for phase, amps in _readings(_values(known, "current.import")).items()},
        _readings(_values(known, "power.active.import")),
        voltage,
        _readings(_values(known, "energy.active.import.register")),
        _readings(_values(known, "soc", _SOC_LOCATIONS)),
        taken_at,
    )
    export = {phase: abs(amps) for phase, amps in _readings(_values(known, "current.export")).items()}
    if not exported and not export:
        return sample
    return _with_export(sample or MeterSample(taken_at=taken_at), _current(export, exported, voltage), exported)


def _with_export(sample: MeterSample, fed_back: Mapping[Phase, float], exported: Readings) -> MeterSample:
    """Rule 6, phase by phase. A station that exports nothing says nothing new."""
    exporting = {phase: -amps for phase, amps in fed_back.items() if amps > sample.current_a.get(phase, 0.0)}
    exported_w = exported[None] if None in exported else _sum(exported)
    return MeterSample(
        {**sample.current_a, **exporting},
        sample.voltage_v,
        sample.power_w if exported_w is None else (sample.power_w or 0.0) - abs(exported_w),
        sample.energy_wh,
        sample.soc_percent,
        sample.taken_at,
        sample.told_a,
    )


def combined(  # noqa: PLR0913, PLR0917 - what a meter measures
    current: Readings,
    power: Readings,
    voltage: Mapping[Phase, float],
    energy: Readings,
    soc: Readings,
    taken_at: datetime | None,
) -> MeterSample | None:
    """The sample that these readings make, of the current the magnitudes; None if they say nothing that we use."""
    current_a = _current(current, power, voltage)
    power_w = power[None] if None in power else _sum(power)
    energy_wh = energy[None] if None in energy else _sum(energy)
    soc_percent = soc.get(None)
    told_a = max(current.values(), default=None)
    if not current_a and not voltage and power_w is energy_wh is soc_percent is told_a is None:
        return None
    return MeterSample(current_a, voltage, power_w, energy_wh, soc_percent, taken_at, told_a)


def _sum(readings: Readings) -> float | None:
    """The sum of the phases."""
    return math.fsum(readings.values()) if readings else None


def _per_phase(readings: Readings) -> Mapping[Phase, float]:
    if None in readings:
        return {phase: value for phase, value in readings.items() if phase is not None}
    return readings  # type: ignore[return-value]  # it is without None


def _values(
    known: Sequence[SampledValue], measurand: str, locations: Sequence[str] = _LOCATIONS
) -> Sequence[SampledValue]:
    """The values of a measurand at the best location that has any."""
    for location in locations:
        found = [value for value in known if value.measurand == measurand and value.location == location]
        if found:
            return found
    return ()


def _readings(values: Sequence[SampledValue]) -> Readings:
    """What is said twice of one phase, or of all, counts at the larger magnitude."""
    readings: dict[Phase | None, float] = {}
    for value in values:
        for phase in value.phases or (None,):
            readings[phase] = max(readings.get(phase, value.value), value.value, key=abs)
    return readings


def _voltage(values: Sequence[SampledValue]) -> dict[Phase, float]:
    """Line to neutral per phase; a line-to-line voltage counts for its first phase, one without a phase for none."""
    voltage: dict[Phase, float] = {}
    for value in sorted(values, key=lambda value: not value.is_line_to_line):
        volts = value.value / math.sqrt(3.0) if value.is_line_to_line else value.value
        if value.phases and volts > 0.0:
            voltage[value.phases[0]] = volts
    return voltage


def _current(current: Readings, power: Readings, voltage: Mapping[Phase, float]) -> Mapping[Phase, float]:
    """Amperes per phase by the rules at the top of this file; empty when nothing tells them."""
    measured = _per_phase(current)
    if len(measured) > 1 and (not power or (len(power) == 1 and None in power)):  # the usual case
        return measured
    derived = {phase: abs(watts) / _volts(voltage, phase) for phase, watts in _per_phase(power).items()}
    if len(measured) == 1 and not derived:
        ((phase, amps),) = measured.items()
        return _spread(phase, amps, power.get(None), voltage)
    if measured or derived:
        return {**derived, **measured}
    total = current.get(None)
    return {} if total is None else _unphased(total, power.get(None), voltage)


def _spread(phase: Phase, amps: float, power_w: float | None, voltage: Mapping[Phase, float]) -> dict[Phase, float]:
    """Rule 3: one phase's current is believed to be all there is, unless voltage or power speak for more phases."""
    live = [other for other in Phase if other is phase or voltage.get(other, 0.0) > LIVE_V]
    ratio = _power_ratio(power_w, amps, _volts(voltage, phase))
    if amps == 0.0 or (len(live) == 1 if ratio is None else ratio <= _ONE_PHASE_RATIO):
        return {phase: amps}
    if _is_about(ratio, len(Phase)):
        return dict.fromkeys(Phase, amps)
    return dict.fromkeys(live, amps) if _is_about(ratio, len(live)) else {}


def _unphased(amps: float, power_w: float | None, voltage: Mapping[Phase, float]) -> dict[Phase, float]:
    """Rule 4."""
    ratio = _power_ratio(power_w, amps, _volts(voltage, Phase.L1))
    return dict.fromkeys(Phase, amps) if amps == 0.0 or _is_about(ratio, len(Phase)) else {}


def _power_ratio(power_w: float | None, amps: float, volts: float) -> float | None:
    """How many phases with this current would make that power; None if there is nothing to compare."""
    return None if power_w is None or amps <= 0.0 else abs(power_w) / (amps * volts)


def _is_about(ratio: float | None, phases: int) -> bool:
    return ratio is not None and abs(ratio - phases) <= _RATIO_TOLERANCE * phases


def _volts(voltage: Mapping[Phase, float], phase: Phase) -> float:
    """The phase's voltage if it is a live one, else the nominal one (some stations report 0 V)."""
    volts = voltage.get(phase, 0.0)
    return volts if volts > LIVE_V else NOMINAL_VOLTAGE_V
