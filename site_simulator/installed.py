"""Which charging profiles does a station accept, keep, report and forget?

OCPP 1.6 chapter 5.16 and 3.13.2: the same purpose and stack level replaces. OCPP 2.x block K01: it is refused.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any

from site_simulator.habits import CONFORMING, Habits
from site_simulator.profiles import STATION_MAX, Profile, parse

ACCEPTED = ""
"""The reason code of an accepted profile; anything else is the reason of a refusal."""


PENDING = "pending"
"""The id of a transaction that has none yet: 1.6 before the answer, or announced by a remote start."""


class InstalledProfiles:
    """The profile store of one station with one EVSE."""

    def __init__(
        self,
        *,
        is_v16: bool,
        units: tuple[str, ...],
        takes_station_max: bool,
        evses: int = 1,
        habits: Habits = CONFORMING,
    ) -> None:
        self._is_v16 = is_v16
        self._units = units
        self._takes_station_max = takes_station_max
        self._evses = evses
        self._habits = habits
        self._was_deaf = False
        self.profiles: list[Profile] = []

    def behave(self, habits: Habits) -> None:
        """From now on the firmware has these habits, as after an update."""
        self._habits = habits

    def install(
        self, evse: int, raw: Mapping[str, Any], transaction_id: str | None, now: datetime, *, paused: bool = False
    ) -> str:
        """Keep the profile, or say why not with a 2.x reason code. Empty text: accepted.

        paused: the station holds a car at 0 A just now, after which some do not listen to the first profile.
        """
        try:
            profile = parse(evse, raw, now)
        except (KeyError, ValueError, IndexError):
            return "InvalidProfile"
        reason = self._refusal(profile, transaction_id)
        if reason == ACCEPTED and (reason := self._habits.objection(profile)) != ACCEPTED:
            return ACCEPTED if self._habits.shrugs else reason
        if reason == ACCEPTED and not self._is_deaf(profile, paused=paused):
            others = [] if self._habits.last_wins else [p for p in self.profiles if not self._replaces(profile, p)]
            self.profiles = [*others, replace(profile, unit="W") if self._habits.takes_all_for_watts else profile]
        return reason

    def _is_deaf(self, profile: Profile, *, paused: bool) -> bool:
        """Whether the habit of missing the first profile after a pause strikes now."""
        ends_pause = self._habits.deaf_after_zero and paused and profile.periods[0][1] > 0
        self._was_deaf = ends_pause and not self._was_deaf
        return self._was_deaf

    def _refusal(self, profile: Profile, transaction_id: str | None) -> str:
        if not 0 <= profile.evse <= self._evses:
            return "UnknownEVSE"  # K01.FR.28
        if profile.purpose in STATION_MAX and (profile.evse != 0 or not self._takes_station_max):
            return "UnsupportedPurpose"  # K04.FR.03, or a station without it
        if profile.purpose not in STATION_MAX | {"TxDefaultProfile", "TxProfile"}:
            return "InvalidValue"  # K01.FR.22: external constraints do not come from a CSMS
        if profile.unit not in self._units:
            return "UnsupportedRateUnit"  # K01.FR.26
        return self._schedule_refusal(profile) or self._transaction_refusal(profile, transaction_id)

    def _schedule_refusal(self, profile: Profile) -> str:
        starts = [start_s for start_s, _, _ in profile.periods]
        if not starts or starts[0] != 0 or starts != sorted(starts):
            return "InvalidSchedule"  # K01.FR.31/.35
        if profile.kind in {"Absolute", "Recurring"} and profile.start is None and not self._is_v16:
            return "InvalidSchedule"  # K01.FR.40
        if profile.kind == "Relative" and not self._is_v16 and (profile.start or profile.purpose in STATION_MAX):
            return "InvalidProfile"  # K01.FR.41, K01.FR.38; 1.6 is silent about both
        if (profile.kind == "Recurring") != (profile.recurrency is not None):
            return "InvalidProfile"  # K01.FR.60
        return ACCEPTED

    def _transaction_refusal(self, profile: Profile, transaction_id: str | None) -> str:
        if profile.purpose == "TxProfile":
            if profile.evse == 0 or (profile.transaction_id is None and not self._is_v16):
                return "InvalidProfile"  # K01.FR.16, K01.FR.03
            if transaction_id is None or profile.transaction_id not in {None, transaction_id}:
                return "TxNotFound"  # K01.FR.09/.33
        if not self._is_v16 and any(self._collides(profile, p) for p in self.profiles):
            return "DuplicateProfile"  # K01.FR.06/.39/.52/.53
        return ACCEPTED

    @staticmethod
    def _collides(new: Profile, old: Profile) -> bool:
        same_place = new.evse == old.evse or (new.purpose == "TxDefaultProfile" and 0 in {new.evse, old.evse})
        same_rank = (new.purpose, new.stack_level) == (old.purpose, old.stack_level)
        return same_place and same_rank and new.profile_id != old.profile_id and _overlap(new, old)

    def _replaces(self, new: Profile, old: Profile) -> bool:
        if new.profile_id == old.profile_id:
            return True
        rank = (new.evse, new.purpose, new.stack_level)
        return self._is_v16 and rank == (old.evse, old.purpose, old.stack_level)

    def expect_transaction(self, raw: Mapping[str, Any], now: datetime) -> str:
        """A TxProfile that came with a remote start: it belongs to the next transaction (K05, 1.6 chapter 5.11)."""
        return self.install(1, {**raw, "transaction_id": PENDING}, PENDING, now)

    def transaction_started(self, transaction_id: str) -> None:
        """The profile of a remote start now has its transaction."""
        self.profiles = [
            replace(p, transaction_id=transaction_id) if p.transaction_id == PENDING else p for p in self.profiles
        ]

    def transaction_ended(self) -> None:
        """TxProfiles end with their transaction (K02.FR.05)."""
        self.profiles = [p for p in self.profiles if p.purpose != "TxProfile"]

    def forget_all(self) -> None:
        """What a forgetful station does when its connection drops."""
        self.profiles = []

    def clear(
        self,
        profile_id: int | None = None,
        evse: int | None = None,
        purpose: str | None = None,
        stack_level: int | None = None,
    ) -> bool:
        """Remove what matches all given criteria (an id alone decides); False if nothing did."""
        gone = [p for p in self.profiles if _matches(p, profile_id, evse, purpose, stack_level)]
        self.profiles = [p for p in self.profiles if p not in gone]
        return bool(gone)

    def matching(self, evse: int | None, criterion: Mapping[str, Any]) -> list[Profile]:
        """Profiles asked for by GetChargingProfiles (K09.FR.03-.06)."""
        if "CSO" not in criterion.get("charging_limit_source", ["CSO"]):
            return []
        ids = criterion.get("charging_profile_id")
        purpose, stack_level = criterion.get("charging_profile_purpose"), criterion.get("stack_level")
        found = [p for p in self.profiles if _matches(p, None, evse, purpose, stack_level)]
        return [p for p in found if ids is None or p.profile_id in ids]


def _matches(
    profile: Profile, profile_id: int | None, evse: int | None, purpose: str | None, stack_level: int | None
) -> bool:
    if profile_id is not None:
        return profile.profile_id == profile_id
    wanted = ((evse, profile.evse), (purpose, profile.purpose), (stack_level, profile.stack_level))
    return all(want is None or want == have for want, have in wanted)


def _overlap(first: Profile, second: Profile) -> bool:
    """Whether the validity periods have a common instant (K01.FR.06)."""
    starts_before = first.valid_from is None or second.valid_to is None or first.valid_from < second.valid_to
    ends_after = first.valid_to is None or second.valid_from is None or second.valid_from < first.valid_to
    return starts_before and ends_after
