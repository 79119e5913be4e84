"""Which facts, besides the profiles themselves, decide what an EVSE may draw?"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, tzinfo
from typing import NamedTuple

from local_controller.profiles.schedule import Schedule
from local_controller.profiles.units import NOMINAL_VOLTAGE_V, PHASES_IF_ABSENT, RateUnit, converted


class ToldInWatts(NamedTuple):
    """How an EVSE that obeys watts only is told amperes per phase: on so many phases, at so many volts line to neutral."""

    phases: int
    voltage_v: float


@dataclass(frozen=True, slots=True)
class Context:
    """One EVSE (or with `evse` 0 the station as a whole), as far as its charging profiles depend on it.

    transaction_id: the running transaction; None when there is none.
    energy_since: when energy could first be delivered (authorized and connected), the origin of Relative profiles.
        None: the instant for which the composite is asked (K01.FR.42, K08.FR.06).
    default_phases: numberPhases of a period that does not say; 3 by the standard (K01.FR.49).
    wired_phases: on no more than these can it charge, whatever numberPhases says: watts are those of all phases together.
    nominal_voltage_v: line to neutral, configured and not measured (K01.FR.50).
    hardware_maximum_a: what flows without any profile; None if unknown.
    soc_percent: state of charge of the car, None if unavailable: then limitAtSoC has no effect (K01.FR.100).
    priority_charging: PriorityCharging is activated for this transaction (K21.FR.04).
    offline_since: when the station lost its CSMS; None while it is online.
    time_zone: what the station calls local time (K01.FR.90).
    delay_shares: random numbers in 0..1 drawn at the start of the transaction, used in turn for the periods of a
        schedule with randomizedDelay (K01.FR.93); empty means no delay.
    allocated: what somebody else gives this EVSE at most (A per phase), whatever the profiles say; local generation is in
        it already. None: nobody.
    chosen_schedule: index of the schedule that the car has selected (ISO 15118); None if unknown, then the lowest of
        the alternatives counts.
    told_in_watts: limits in W become the amperes that are told as these very watts; None: it obeys amperes.
    """

    evse: int
    transaction_id: str | None = None
    energy_since: datetime | None = None
    default_phases: int = PHASES_IF_ABSENT
    wired_phases: int = PHASES_IF_ABSENT
    nominal_voltage_v: float = NOMINAL_VOLTAGE_V
    hardware_maximum_a: float | None = None
    soc_percent: float | None = None
    priority_charging: bool = False
    offline_since: datetime | None = None
    time_zone: tzinfo = UTC
    delay_shares: tuple[float, ...] = ()
    allocated: Schedule | None = None
    chosen_schedule: int | None = None
    told_in_watts: ToldInWatts | None = None

    def converted(self, limit: float, given: RateUnit, wanted: RateUnit, phases: int) -> float:
        """What a limit on so many phases means in another unit, by the nominal voltage (1.6 errata 3.69; K01.FR.50/.51)."""
        phases, voltage_v = self._spread(given, phases)
        return converted(limit, given, wanted, phases=phases, voltage_v=voltage_v)

    def _spread(self, given: RateUnit, phases: int) -> tuple[int, float]:
        """Over how many phases, and at which voltage."""
        told, phases = self.told_in_watts, min(phases, self.wired_phases)
        if told is None or given is RateUnit.A:
            return phases, self.nominal_voltage_v
        return min(phases, told.phases), told.voltage_v


@dataclass(frozen=True, slots=True)
class StationContext:
    """A station as a whole: the context of id 0, and one for every EVSE that it has."""

    whole: Context
    evses: tuple[Context, ...]
