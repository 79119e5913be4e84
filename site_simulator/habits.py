"""What does a firmware do otherwise than the standard says? Habits, also those that a record about a product implies.

A record says what works with a product. What it does not say works is here without effect: refused by a station that is
honest about it, accepted by one that shrugs.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from site_simulator.profiles import STATION_MAX, Profile
from site_simulator.vehicle import MINIMUM_A

PURPOSES = {
    "tx_profile": frozenset({"TxProfile"}),
    "tx_default": frozenset({"TxDefaultProfile"}),
    "station_max": STATION_MAX,
    "vendor_key": frozenset[str](),
}
"""An actuator in the words of a record, as the purposes of profiles that it needs."""

SCALES = {"A": 1.0, "dA": 0.1, "mA": 0.001}
"""Units of limits in vendors' configuration keys, in amperes."""

OK = ""
"""No objection; anything else is a reason in the words of OCPP 2.x."""


@dataclass(frozen=True, slots=True)
class LimitKey:
    """A configuration key that limits the current for ever. `scale`: amperes for each unit of its value."""

    name: str
    scale: float = 1.0


@dataclass(frozen=True, slots=True)
class Habits:
    """The ways of one firmware; the defaults are those of the standard. None: all of them.

    purposes, units, kinds: of profiles that have an effect. stack_level: the only one that has. connector: "evse" or
    "station", where a TxDefaultProfile has an effect. levels_a, step_a: the currents that it can offer, others are
    rounded down. least_a: it offers nothing below. refuses_zero: a limit of 0 has no effect. deaf_after_zero: the first
    profile after a pause has none. max_periods: longer schedules have none. shrugs: accepts what has no effect. forgets:
    "disconnect", "reboot". reboots_on: keys that crash it when they are read. dies_of_trigger: TriggerMessage takes its
    connection. limit_key: besides profiles. hides_smart_charging: does not list the feature that it has. divides_by: its
    connectors, among which a station maximum is shared. last_wins: one profile at a time, whatever it was for.
    takes_all_for_watts: whatever the unit.
    """

    purposes: frozenset[str] | None = None
    units: frozenset[str] | None = None
    kinds: frozenset[str] | None = None
    stack_level: int | None = None
    connector: str | None = None
    levels_a: tuple[float, ...] = ()
    step_a: float = 0.0
    least_a: float = MINIMUM_A
    refuses_zero: bool = False
    deaf_after_zero: bool = False
    max_periods: int | None = None
    shrugs: bool = False
    forgets: frozenset[str] = frozenset()
    reboots_on: frozenset[str] = frozenset()
    dies_of_trigger: bool = False
    limit_key: LimitKey | None = None
    hides_smart_charging: bool = False
    divides_by: int = 1
    last_wins: bool = False
    takes_all_for_watts: bool = False

    def objection(self, profile: Profile) -> str:
        """Why this profile would have no effect, if it would have none."""
        checks = (
            (self.purposes is not None and profile.purpose not in self.purposes, "UnsupportedPurpose"),
            (self.units is not None and profile.unit not in self.units, "UnsupportedRateUnit"),
            (self.kinds is not None and profile.kind not in self.kinds, "UnsupportedKind"),
            (self.stack_level is not None and profile.stack_level != self.stack_level, "InvalidStackLevel"),
            (self._is_in_wrong_place(profile), "InvalidProfile"),
            (self.max_periods is not None and len(profile.periods) > self.max_periods, "InvalidSchedule"),
            (self.refuses_zero and any(limit == 0 for _, limit, _ in profile.periods), "InvalidSchedule"),
        )
        return next((reason for applies, reason in checks if applies), OK)

    def _is_in_wrong_place(self, profile: Profile) -> bool:
        """Whether a default profile is for the station where it should be for an EVSE, or the other way round."""
        if profile.purpose != "TxDefaultProfile" or self.connector is None:
            return False
        return (profile.evse == 0) != (self.connector == "station")

    def offered_a(self, limit_a: float) -> float:
        """The pilot signal for a limit: one of its levels, nothing below the least."""
        if self.levels_a:
            offered_a = max((level for level in self.levels_a if level <= limit_a + 1e-6), default=0.0)
        elif self.step_a:
            offered_a = math.floor(limit_a / self.step_a + 1e-6) * self.step_a
        else:
            offered_a = limit_a
        return offered_a if offered_a >= self.least_a else 0.0


CONFORMING = Habits()


def habits_of(record: Mapping[str, Any], *, shrugs: bool = False) -> Habits:
    """The firmware that a record describes, at its worst: whatever the record does not say works does not."""
    actuators = record.get("actuators")
    kinds = record.get("kinds")
    key = record.get("vendor_key")
    return Habits(
        purposes=None if actuators is None else frozenset[str]().union(*(PURPOSES[name] for name in actuators)),
        units=frozenset({record["unit"]}) if "unit" in record else None,
        kinds=None if kinds is None else frozenset(kind.title() for kind in kinds),
        stack_level=record.get("stack_level"),
        connector=record.get("connector"),
        levels_a=tuple(record.get("levels_a", ())),
        step_a=record.get("step_a", 0.0),
        least_a=max(MINIMUM_A, record.get("least_a", 0.0)),
        refuses_zero=record.get("zero") == "refused",
        deaf_after_zero=bool(record.get("repeat_after_zero")),
        max_periods=record.get("max_periods"),
        shrugs=shrugs,
        forgets=frozenset(record.get("forgets", ())),
        reboots_on=frozenset(record.get("never_read", ())),
        dies_of_trigger=bool(record.get("never_trigger")),
        limit_key=None if key is None else LimitKey(key["name"], SCALES[key.get("unit", "A")]),
        hides_smart_charging=record.get("smart_charging") == "unstated",
    )
