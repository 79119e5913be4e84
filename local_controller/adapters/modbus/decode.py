"""Which reading do these registers hold?"""

from __future__ import annotations

import math
import struct
from collections.abc import Collection, Mapping, Sequence
from typing import Final, Literal, Protocol

from local_controller.clock import Instant
from local_controller.config.meter_devices import Device, Point, WireType, registers_of
from local_controller.errors import SourceError
from local_controller.site.per_phase import PHASE_NAMES, PHASES, PerPhase
from local_controller.site.readings import MeterReading

Registers = Mapping[int, int]
"""Address on the wire -> 16 bit content."""

MOST_SCALE: Final = 10
"""SunSpec's scale factors reach from -10 to 10."""

_STRUCT: Mapping[WireType, str] = {
    "u16": ">H",
    "i16": ">h",
    "u32": ">I",
    "i32": ">i",
    "u64": ">Q",
    "i64": ">q",
    "f32": ">f",
    "f64": ">d",
}


class Coding(Protocol):
    """How the registers of a device are read."""

    @property
    def word_order(self) -> Literal["big", "little"]:
        """Of values longer than one register."""

    @property
    def not_a_value(self) -> Mapping[WireType, Collection[int]]:
        """Raw contents by type that mean "no value"."""


def decode_value(device: Coding, point: Point, registers: Registers) -> float | None:
    """The value in its unit; None where the meter says that it has none (NaN, infinity, a code of the device)."""
    words = [registers[point.at + offset] for offset in range(registers_of(point.type))]
    if device.word_order == "little":
        words.reverse()
    raw = b"".join(word.to_bytes(2, "big") for word in words)
    if int.from_bytes(raw, "big") in device.not_a_value.get(point.type, ()):
        return None
    (number,) = struct.unpack(_STRUCT[point.type], raw)
    scale = 1.0 if point.scale_at is None else _scale(registers[point.scale_at])
    return number * point.factor * scale if scale is not None and math.isfinite(number) else None


def _scale(register: int) -> float | None:
    """Ten to the power of a signed register; None for what no scale factor is, as 0x8000 of SunSpec."""
    exponent = register - 0x10000 if register & 0x8000 else register
    return 10.0**exponent if abs(exponent) <= MOST_SCALE else None


def decode_reading(  # noqa: PLR0913 - beside the registers, what the site file says about their meter
    device: Device,
    registers: Registers,
    *,
    meter: str,
    asked_at: Instant,
    invert: bool = False,
    lines: Sequence[int] = PHASES,
) -> MeterReading:
    """All values of one poll; SourceError when a phase has no current, because the rest is worthless then.

    lines: those that the grid has; a meter need not know of others, and tells 0 there. invert: the transformers are mounted the other way round, so + means export. What the device counts as import is
    then export, and its import register is not told.
    """
    points, direction = device.points, -1.0 if invert else 1.0
    nets_w = [_times(direction, _net(device, imported, exported, registers)) for imported, exported in points.nets()]
    powers_w = nets_w[: points.lines]
    phase_power_w = _complete(powers_w, lines)
    summed_w = None if phase_power_w is None else sum(phase_power_w)
    magnitudes_a = [decode_value(device, point, registers) for point in points.current_a.phases()]
    current_a = _complete([_directed(a, w) for a, w in zip(magnitudes_a, powers_w, strict=True)], lines)
    if current_a is None:
        absent = [PHASE_NAMES[line] for line in lines if line >= points.lines or magnitudes_a[line] is None]
        raise SourceError(f"no current on {', '.join(absent)}")
    energy = None if invert or points.energy_import_wh is None else points.energy_import_wh
    return MeterReading(
        meter=meter,
        asked_at=asked_at,
        current_a=current_a,
        voltage_v=_complete([decode_value(device, point, registers) for point in points.voltage_v.phases()], lines),
        power_w=summed_w if points.power_w is None else nets_w[points.lines],
        energy_import_wh=None if energy is None else decode_value(device, energy, registers),
        phase_power_w=phase_power_w,
    )


def _net(device: Device, imported: Point, exported: Point | None, registers: Registers) -> float | None:
    """The power with its direction; absent as soon as one of two registers is."""
    import_w = decode_value(device, imported, registers)
    if exported is None or import_w is None:
        return import_w
    export_w = decode_value(device, exported, registers)
    return None if export_w is None else import_w - export_w


def _directed(current_a: float | None, power_w: float | None) -> float | None:
    """The current with the sign of its phase's power; drawn from the grid where the power is unknown."""
    if current_a is None:
        return None
    return -abs(current_a) if power_w is not None and power_w < 0 else abs(current_a)


def _times(factor: float, value: float | None) -> float | None:
    """A product that stays absent."""
    return None if value is None else factor * value


def _complete(values: Sequence[float | None], lines: Sequence[int]) -> PerPhase | None:
    """A value on each of these lines and 0 on others, or none at all."""
    known = {line: value for line, value in enumerate(values) if line in lines and value is not None}
    return (known.get(0, 0.0), known.get(1, 0.0), known.get(2, 0.0)) if len(known) == len(lines) else None
