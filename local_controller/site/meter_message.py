"""Which reading do the messages of a meter make up that somebody publishes?

A reading is as old as the oldest of its currents, and what is retained has no age: it is no reading. Values that are
missing or no numbers make no reading either; a meter of which one value is broken is silent, not 0.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Any, Final

from local_controller.clock import Instant
from local_controller.errors import SourceError, UnexpectedValueError
from local_controller.profiles.units import NOMINAL_VOLTAGE_V
from local_controller.site.json_payload import at_path, decoded
from local_controller.site.per_phase import PHASES, PerPhase
from local_controller.site.readings import MeterReading, implausible

LARGEST: Final = 1e7
"""More amperes, volts or watts than any site will see."""

TOGETHER: Final = 1.5
"""The values of a reading came within so many of its intervals."""

FROZEN_AFTER_S: Final = 30.0
"""A meter whose voltages and all else stay the same for so long repeats old data (grid-and-safety §1.6)."""


class Quantity(StrEnum):
    """What a meter may publish."""

    CURRENT = "current"
    POWER = "power"
    VOLTAGE = "voltage"


@dataclass(frozen=True, slots=True)
class Place:
    """Where one quantity is found. topics: one whose payload has three numbers, or three whose payloads have one each.

    path: JMESPath of the number or the list of three in a JSON payload; None: the payload itself. factor: to A, W or V.
    """

    topics: tuple[str, ...]
    path: str | None = None
    factor: float = 1.0


@dataclass(slots=True)
class _Value:
    numbers: tuple[float, ...]
    at: Instant


@dataclass(slots=True)
class MeterMessages:
    """The messages of one meter. every_s: how often it publishes. invert: + means export. nominal_v: as of `implausible`."""

    meter: str
    places: dict[Quantity, Place]
    every_s: float = 1.0
    invert: bool = False
    nominal_v: tuple[float, ...] = (NOMINAL_VOLTAGE_V,)
    _values: dict[tuple[Quantity, str], _Value] = field(default_factory=dict, init=False)
    _moved: tuple[object, Instant] | None = field(default=None, init=False)

    @property
    def topics(self) -> tuple[str, ...]:
        """All of them, each once."""
        return tuple(dict.fromkeys(topic for place in self.places.values() for topic in place.topics))

    def heard(self, topic: str, payload: bytes, retained: bool, now: Instant) -> MeterReading | None:
        """The reading that a message completes, if it does; SourceError if the meter says what cannot be."""
        if retained:
            return None
        for quantity, place in self.places.items():
            if topic in place.topics:
                self._values[quantity, topic] = _Value(_numbers(payload, place, quantity), now)
        if topic not in self.places[Quantity.CURRENT].topics:
            return None
        return self._reading(now)

    def _reading(self, now: Instant) -> MeterReading | None:
        parts = self._parts(Quantity.CURRENT, now)
        if parts is None:
            return None
        powers_w, volts_v = self._three(Quantity.POWER, now), self._three(Quantity.VOLTAGE, now)
        sign = -1.0 if self.invert else 1.0
        phase_power_w = None if powers_w is None else _times(sign, powers_w)
        current_a = self._signed(_joined(parts), phase_power_w)
        reading = MeterReading(
            meter=self.meter,
            asked_at=min((part.at for part in parts), key=lambda at: at.monotonic_s),
            current_a=current_a,
            voltage_v=volts_v,
            power_w=None if phase_power_w is None else sum(phase_power_w),
            phase_power_w=phase_power_w,
        )
        if doubts := implausible(reading, self.nominal_v):
            raise SourceError("; ".join(map(str, doubts)))
        return replace(reading, unchanged_s=self._unchanged_s(reading, now))

    def _signed(self, current_a: PerPhase, phase_power_w: PerPhase | None) -> PerPhase:
        """+ is drawn, as is what has its direction from powers that nobody has told just now."""
        if phase_power_w is not None:
            return _directed(current_a, phase_power_w)
        if Quantity.POWER in self.places:
            return _directed(current_a, (0.0, 0.0, 0.0))
        return _times(-1.0 if self.invert else 1.0, current_a)

    def _parts(self, quantity: Quantity, now: Instant) -> Sequence[_Value] | None:
        """The values of a quantity that belong together; None if one is missing or too old."""
        place = self.places.get(quantity)
        if place is None:
            return None
        values = [self._values.get((quantity, topic)) for topic in place.topics]
        fresh = [one for one in values if one is not None and now.since(one.at) <= self.every_s * TOGETHER]
        return fresh if len(fresh) == len(values) else None

    def _three(self, quantity: Quantity, now: Instant) -> PerPhase | None:
        parts = self._parts(quantity, now)
        return None if parts is None else _joined(parts)

    def _unchanged_s(self, reading: MeterReading, now: Instant) -> float:
        """For how long nothing at all has changed; SourceError once that is too long.

        Voltages never stand still; without them nobody can tell.
        """
        values = (reading.current_a, reading.voltage_v, reading.phase_power_w)
        if reading.voltage_v is None or self._moved is None or self._moved[0] != values:
            self._moved = values, now
        if (same_s := now.since(self._moved[1])) >= FROZEN_AFTER_S:
            raise SourceError(f"no value has changed for {same_s:.0f} s")
        return same_s


def _numbers(payload: bytes, place: Place, quantity: Quantity) -> tuple[float, ...]:
    """The numbers in a payload: three, or one where each phase has a topic of its own."""
    wanted = 1 if len(place.topics) == len(PHASES) else len(PHASES)
    document = decoded(payload, "its message")
    value = document if place.path is None else at_path(document, place.path, "its message")
    listed = value if isinstance(value, list) else [value]
    if len(listed) != wanted:
        raise UnexpectedValueError(f"{quantity} must be {wanted} number{'s' if wanted > 1 else ''}", value)
    return tuple(_number(one, quantity) * place.factor for one in listed)


def _number(value: Any, quantity: Quantity) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not -LARGEST <= value <= LARGEST:
        raise UnexpectedValueError(f"{quantity} must be a number up to {LARGEST:g}", value)
    return float(value)


def _joined(parts: Sequence[_Value]) -> PerPhase:
    l1, l2, l3 = (number for part in parts for number in part.numbers)
    return l1, l2, l3


def _times(factor: float, values: PerPhase) -> PerPhase:
    l1, l2, l3 = values
    return l1 * factor, l2 * factor, l3 * factor


def _directed(current_a: PerPhase, phase_power_w: PerPhase) -> PerPhase:
    """The currents with the signs of their phases' powers, for many meters tell magnitudes."""
    l1, l2, l3 = (
        -abs(amperes) if watts < 0 else abs(amperes) for amperes, watts in zip(current_a, phase_power_w, strict=True)
    )
    return l1, l2, l3
