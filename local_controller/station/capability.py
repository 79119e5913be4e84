"""What can this station be told, how do we know, and what is tried next? The actuator ladder.

A rung is a purpose and a unit. A refused or unanswered rung leads to the next one; what worked is remembered (LC-105).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum
from functools import cache
from typing import TypeVar

from local_controller.profiles.units import RateUnit
from local_controller.station.dialects.base import StatedCapability

_T = TypeVar("_T")

PERIODS_UNTIL_KNOWN = 5
"""Periods per schedule before the station says how many it takes; the lowest maximum seen on a product is 16."""

PERIODS_EVER = 24
"""More are never needed: one day in hours. Nearest periods are merged downwards."""


class Actuator(StrEnum):
    """How a limit of a running transaction is applied."""

    TX_PROFILE = "tx_profile"  # a TxProfile above the TxDefaultProfile that is the floor
    TX_DEFAULT = "tx_default"  # one TxDefaultProfile: the limit first, then the floor


@dataclass(frozen=True, slots=True)
class Rung:
    """One way to tell a limit."""

    actuator: Actuator
    unit: RateUnit


@dataclass(frozen=True, slots=True)
class Capability:
    """What we believe about a station: actuators and units in the order of trying.

    unit_is_fixed: the site file or a quirk chose the unit, whatever the station says.
    sample_s: how often it says that it sends meter values during a transaction; 0 for never, None if it did not say.
    learnt: where the belief comes from: "default", "site file", "quirk: …", "stated" or "accepted".
    proven: what the station has accepted before.
    untriggered: messages that it does not send when asked to, since its last boot.
    """

    actuators: tuple[Actuator, ...] = (Actuator.TX_PROFILE, Actuator.TX_DEFAULT)
    units: tuple[RateUnit, ...] = (RateUnit.A, RateUnit.W)
    unit_is_proven: bool = False
    unit_is_fixed: bool = False
    max_stack_level: int | None = None
    max_periods: int = PERIODS_UNTIL_KNOWN
    sample_s: int | None = None
    learnt: str = "default"
    proven: frozenset[Rung] = frozenset()
    untriggered: frozenset[str] = frozenset()

    def working_rungs(self) -> tuple[Rung, ...]:
        """How to limit a transaction, best guess first. A unit that has worked is tried with every actuator first."""
        return _rungs(self.actuators, self.units, units_first=self.unit_is_proven)

    def fallback_rungs(self) -> tuple[Rung, ...]:
        """How to install the floor: always a TxDefaultProfile, so that only the unit is in question."""
        return _rungs((Actuator.TX_DEFAULT,), self.units, units_first=False)

    @property
    def only_unit(self) -> RateUnit | None:
        """The unit, if there is no choice."""
        return self.units[0] if len(self.units) == 1 else None

    @property
    def unit_in_use(self) -> RateUnit | None:
        """The unit that is known to work; None before the first proof."""
        return self.units[0] if self.unit_is_proven else None

    def with_unit(self, unit: RateUnit, learnt: str) -> Capability:
        """Only this unit is ever used."""
        return replace(self, units=(unit,), unit_is_proven=True, unit_is_fixed=True, learnt=learnt)

    def known(self, unit: RateUnit | None, actuators: tuple[Actuator, ...], learnt: str) -> Capability:
        """What is known about the product before anything was tried; a unit that is fixed already stays."""
        capability = replace(self, actuators=actuators, learnt=learnt) if actuators else self
        return capability if unit is None or self.unit_is_fixed else capability.with_unit(unit, learnt)

    def stated(self, said: StatedCapability) -> Capability:
        """What the station says, after each boot anew; of several units the one in use stays the first."""
        known = replace(
            self,
            max_stack_level=said.max_stack_level,
            max_periods=max(1, min(said.max_periods or PERIODS_UNTIL_KNOWN, PERIODS_EVER)),
            sample_s=said.sample_s,
        )
        if self.unit_is_fixed or said.units is None:
            return known
        units = tuple(sorted(said.units, key=lambda unit: (unit is not self.units[0], unit)))
        if len(units) == 1:
            return replace(known, units=units, unit_is_proven=True, learnt="stated")
        return replace(known, units=units)

    def refusing_to_send(self, *messages: str) -> Capability:
        """The station does not send these when asked to."""
        return replace(self, untriggered=self.untriggered | {*messages})

    def booted(self) -> Capability:
        """With other firmware it may do what it refused before."""
        return replace(self, untriggered=frozenset()) if self.untriggered else self

    def accepted(self, rung: Rung, *, is_floor: bool) -> Capability:
        """The station took a profile this way; a floor says nothing about the actuator."""
        if rung in self.proven and rung.unit is self.units[0] and (is_floor or rung.actuator is self.actuators[0]):
            return self
        actuators = self.actuators if is_floor else _first(rung.actuator, self.actuators)
        units = _first(rung.unit, self.units)
        learnt = "accepted" if (actuators, units) != (self.actuators, self.units) else self.learnt
        proven = self.proven | {rung}
        return replace(self, actuators=actuators, units=units, unit_is_proven=True, learnt=learnt, proven=proven)


@cache
def _rungs(actuators: tuple[Actuator, ...], units: tuple[RateUnit, ...], *, units_first: bool) -> tuple[Rung, ...]:
    """All rungs of these actuators and units in the order of trying; asked for at every limit."""
    if units_first:
        return tuple(Rung(actuator, unit) for unit in units for actuator in actuators)
    return tuple(Rung(actuator, unit) for actuator in actuators for unit in units)


def _first(chosen: _T, others: tuple[_T, ...]) -> tuple[_T, ...]:
    return (chosen, *(other for other in others if other != chosen))
