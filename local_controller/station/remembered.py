"""What of a station outlives a restart of the gateway? Whether it is accepted, and how the same product could be told limits.

And who goes first: the CSMS says so when a driver is let in, and not again.

What a record or the site file says is not kept: both may be corrected, and count anew at each start.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from typing import Annotated, Final

import msgspec

from local_controller.clock import Instant
from local_controller.profiles.units import RateUnit
from local_controller.station.blocks.write_budget import DAY_S
from local_controller.station.capability import TOLD, Capability, Learnt, Rung
from local_controller.station.dialects.base import BootCall, ReadBounds
from local_controller.station.knowledge import Actuator, FloorPlace, StartKind
from local_controller.station.shared_maximum import Meaning
from local_controller.station.words import OcppVersion, RegistrationStatus

BELIEFS: Final = ("actuators", "units", "kinds", "stack_level", "connector", "station_max")
EXPERIENCES: Final = ("unit_is_proven", "works", "holds", "proven", "disobeyed", "bounds", "places")
"""Fields of a Capability: what was believed of it, which the site file may say better, and what was seen."""


class Remembered(msgspec.Struct, frozen=True):
    """One station's experience. who: as it said in its last boot; None if it has not booted since we know it.

    The fields from `actuators` to `bounds`, and `places`, are those of `Capability`. paid_off: as `WriteBudget.due_s`. registration: the
    CSMS's latest verdict, which decides whether it may be called (LC-039). sample_interval: ours in the station, and the
    one that its CSMS set and reads back (LC-077). priorities: of `ChargingPriorities.of_transactions` (LC-067).
    boot_interval_s, csms_ahead_s: of `StationState`.
    """

    version: OcppVersion
    who: BootCall | None = None
    actuators: tuple[Actuator, ...] = ()
    units: tuple[RateUnit, ...] = ()
    kinds: tuple[StartKind, ...] = ()
    stack_level: int = 0
    connector: FloorPlace = FloorPlace.EVSE
    station_max: Meaning | None = None
    unit_is_proven: bool = False
    works: Rung | None = None
    holds: Rung | None = None
    proven: frozenset[Rung] = frozenset()
    disobeyed: frozenset[Rung] = frozenset()
    learnt: tuple[Learnt, ...] = ()
    bounds: ReadBounds | None = None
    paid_off: Annotated[datetime, msgspec.Meta(tz=True)] | None = None
    registration: RegistrationStatus | None = None
    sample_interval: tuple[str, str] | None = None
    priorities: dict[str, int] = {}
    places: int | None = None
    boot_interval_s: int | None = None
    csms_ahead_s: float = 0.0

    def applied(self, capability: Capability) -> Capability:
        """The capability with this experience; what the site file says stays as it says."""
        told = {one.what for one in capability.learnt if one.origin.how in TOLD}
        beliefs = {name: getattr(self, name) for name in BELIEFS if name not in told and getattr(self, name) != ()}
        experiences = {name: getattr(self, name) for name in EXPERIENCES}
        learnt = tuple(one for one in self.learnt if one.what not in told)
        others = tuple(one for one in capability.learnt if one.what not in {new.what for new in learnt})
        return replace(capability, **beliefs, **experiences, learnt=(*others, *learnt))

    def due_s(self, now: Instant) -> float:
        """When what was written would be paid off, in monotonic seconds: a day hence at most, whatever the clock was then."""
        left_s = 0.0 if self.paid_off is None else (self.paid_off - now.utc).total_seconds()
        return 0.0 if left_s <= 0.0 else now.monotonic_s + min(left_s, DAY_S)
