"""Which charging profiles does a conforming station refuse, replace, report and clear? Written apart from the gateway.

OCPP 1.6 §3.13 and §5.16 with errata: the same rank replaces. OCPP 2.x block K01: it is refused. The standard leaves open
which of several broken rules is named, and for some rules it names no reason code: so a refusal is a list of what would be right.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from itertools import pairwise
from typing import Any

from benchmarks.profile_soak.evaluator import Profile, parse

ANY = "*"
"""A broken rule for which the standard fixes no reason code."""


@dataclass(frozen=True, slots=True)
class Facts:
    """What a station is. optional: it knows the optional purposes and kinds of 2.1."""

    version: str
    evses: int = 1
    units: tuple[str, ...] = ("A", "W")
    max_level: int = 8
    max_periods: int = 24
    max_installed: int = 40
    optional: bool = True

    @property
    def is_v16(self) -> bool:
        """Whether it speaks 1.6."""
        return self.version == "1.6"


@dataclass(slots=True)
class Store:
    """The profiles of one station. transactions: the running ones by EVSE. needs: EVSEs whose car told its needs."""

    facts: Facts
    profiles: list[Profile] = field(default_factory=list)
    transactions: dict[int, str] = field(default_factory=dict)
    needs: set[int] = field(default_factory=set)

    def install(self, evse: int, raw: Mapping[str, Any], now_s: float) -> list[str]:
        """Keep the profile, or say for which reasons not; none: it is kept."""
        profile = parse(evse, raw, now_s)
        others = [old for old in self.profiles if not self._replaces(profile, old)]
        reasons = [*self._objections(profile), *self._objections_of(others, profile)]
        if not reasons:
            self.profiles = [*others, profile]
        return reasons

    def clear(self, profile_id: int | None, evse: int | None, purpose: str | None, level: int | None) -> bool:
        """Remove what is meant: by an id alone (1.6 errata 3.25), else what all criteria fit. False: there was nothing."""
        if profile_id is not None:
            gone = [one for one in self.profiles if one.id == profile_id]
        else:
            gone = self.matching(None, evse, purpose, level)
        gone = [one for one in gone if one.purpose != "LocalGeneration"]  # K10.FR.08/.09
        self.profiles = [one for one in self.profiles if one not in gone]
        return bool(gone)

    def matching(
        self, ids: list[int] | None, evse: int | None, purpose: str | None, level: int | None
    ) -> list[Profile]:
        """What GetChargingProfiles asks for (K09.FR.03-.06)."""
        return [
            one
            for one in self.profiles
            if (ids is None or one.id in ids)
            and evse in {None, one.evse}
            and purpose in {None, one.purpose}
            and level in {None, one.level}
        ]

    def update(self, profile_id: int, change: Mapping[str, Any], now_s: float) -> bool:
        """UpdateDynamicSchedule; False if there is no such Dynamic profile (K28)."""
        for number, one in enumerate(self.profiles):
            if one.id == profile_id and one.kind == "Dynamic":
                (schedule,) = one.raw["chargingSchedule"]
                (period,) = schedule["chargingSchedulePeriod"]
                changed = {**schedule, "chargingSchedulePeriod": [{**period, **change}]}
                raw = {**one.raw, "chargingSchedule": [changed]}
                self.profiles[number] = replace(parse(one.evse, raw, now_s), updated_s=now_s, raw=raw)
                return True
        return False

    def has_priority_profile(self, evse: int) -> bool:
        """Whether there is a PriorityCharging profile for this EVSE (K21); it leads while it is valid."""
        return any(one.purpose == "PriorityCharging" and one.evse in {0, evse} for one in self.profiles)

    def ended(self, evse: int) -> None:
        """TxProfiles go with their transaction (K02.FR.05)."""
        self.transactions.pop(evse, None)
        self.needs.discard(evse)
        self.profiles = [one for one in self.profiles if one.purpose != "TxProfile" or one.evse != evse]

    def was_offline(self, seconds: float) -> None:
        """What does not outlive so long a time without the CSMS is gone."""
        self.profiles = [
            one for one in self.profiles if not one.goes_offline or one.offline_s is None or seconds <= one.offline_s
        ]

    # --- what speaks against a profile ---------------------------------------------------------------------------

    def _objections(self, new: Profile) -> list[str]:
        """What speaks against it whatever else is installed."""
        if not 0 <= new.evse <= self.facts.evses:
            return ["UnknownEVSE"]  # K01.FR.28, 1.6 errata 3.39
        return [*self._of_purpose(new), *self._of_kind(new), *self._of_transaction(new), *self._of_schedules(new)]

    def _of_purpose(self, new: Profile) -> list[str]:
        found = []
        if new.is_station_max and new.evse != 0:
            found.append(ANY)  # K04.FR.03
        if new.purpose == "ChargingStationExternalConstraints":
            found.append("InvalidValue")  # K01.FR.22
        if new.purpose in {"PriorityCharging", "LocalGeneration"} and not self.facts.optional:
            found.append("UnsupportedPurpose")
        if new.level > self.facts.max_level:
            found.append(ANY)
        return found

    def _of_kind(self, new: Profile) -> list[str]:
        has_start = any(plan.start_s is not None for plan in new.plans)
        found = []
        if new.kind in {"Absolute", "Recurring"} and not has_start:
            found.append(ANY)  # K01.FR.40
        if new.kind == "Relative" and has_start:
            found.append(ANY)  # K01.FR.41
        if new.kind == "Relative" and new.is_station_max and not self.facts.is_v16:
            found.append(ANY)  # K01.FR.38
        if (new.kind == "Recurring") != (new.recurrency is not None):
            found.append(ANY)  # K01.FR.60
        if new.kind == "Dynamic" and not self.facts.optional:
            found.append("UnsupportedKind")
        if new.purpose == "PriorityCharging" and any(plan.duration_s is not None for plan in new.plans):
            found.append(ANY)  # K01.FR.70
        return found

    def _of_transaction(self, new: Profile) -> list[str]:
        if new.purpose != "TxProfile":
            return []
        found = []
        running = self.transactions.get(new.evse)
        if new.evse == 0:
            found.append(ANY)  # K01.FR.16
        if new.transaction_id is None and not self.facts.is_v16:
            found.append(ANY)  # K01.FR.03
        if running is None or new.transaction_id not in {None, running}:
            found.append("TxNotFound")  # K01.FR.09/.33
        return found

    def _of_schedules(self, new: Profile) -> list[str]:
        most = 3 if new.purpose == "TxProfile" and new.evse in self.needs and new.kind != "Dynamic" else 1
        found = [ANY] if len(new.plans) > most else []  # K01.FR.34, K28.FR.01
        for plan in new.plans:
            starts = [period.start_s for period in plan.periods]
            if plan.delay_s and new.purpose not in {"TxProfile", "TxDefaultProfile"}:
                found.append(ANY)  # K01.FR.95
            if plan.unit not in self.facts.units:
                found.append("UnsupportedRateUnit")  # K01.FR.26
            if starts[0] != 0 or any(later <= earlier for earlier, later in pairwise(starts)):
                found.append(ANY)  # K01.FR.31/.35
            if len(starts) > (1 if new.kind == "Dynamic" else self.facts.max_periods):
                found.append(ANY)
        return found

    def _objections_of(self, others: list[Profile], new: Profile) -> list[str]:
        """What the profiles that stay have against it."""
        if self.facts.is_v16:
            return [ANY] if len(others) >= self.facts.max_installed else []
        found = ["DuplicateProfile"] if any(_collide(new, old) for old in others) else []
        return [*found, *([ANY] if len(others) >= self.facts.max_installed else [])]

    def _replaces(self, new: Profile, old: Profile) -> bool:
        """The same id (K01.FR.05); in 1.6 also the same rank on the same connector (§3.13.2)."""
        if new.id == old.id:
            return True
        return self.facts.is_v16 and (new.evse, new.purpose, new.level) == (old.evse, old.purpose, old.level)


def _collide(new: Profile, old: Profile) -> bool:
    if (new.purpose, new.level) != (old.purpose, old.level):
        return False
    if new.purpose == "TxProfile":
        return new.transaction_id == old.transaction_id  # K01.FR.39
    if new.evse != old.evse:
        return new.purpose == "TxDefaultProfile" and 0 in {new.evse, old.evse}  # K01.FR.52/.53
    return _overlap(new, old)  # K01.FR.06


def _overlap(one: Profile, other: Profile) -> bool:
    """Whether some instant is in both validities."""
    from_s = max((p.valid_from_s for p in (one, other) if p.valid_from_s is not None), default=None)
    to_s = min((p.valid_to_s for p in (one, other) if p.valid_to_s is not None), default=None)
    return from_s is None or to_s is None or from_s < to_s
