"""Which profiles does a station hold, and how do install, clear and the end of a transaction change that?"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import NamedTuple

from local_controller.profiles.profile import ChargingProfile, Purpose
from local_controller.profiles.rules import ACCEPTED, Reason, Request, Rules, StationFacts, Verdict, first_objection


class Installed(NamedTuple):
    """A profile and where it is installed: an EVSE, or 0 for the station."""

    evse: int
    profile: ChargingProfile


@dataclass(frozen=True, slots=True)
class Criteria:
    """Which profiles are meant; all given fields must match (AND), None matches everything.

    evse 0 means the station level, not every EVSE (K09.FR.05).
    """

    profile_ids: frozenset[int] | None = None
    evse: int | None = None
    purpose: Purpose | None = None
    stack_level: int | None = None

    def match(self, entry: Installed) -> bool:
        """Whether the entry is meant."""
        profile = entry.profile
        return (
            (self.profile_ids is None or profile.id in self.profile_ids)
            and self.evse in {None, entry.evse}
            and self.purpose in {None, profile.purpose}
            and self.stack_level in {None, profile.stack_level}
        )


UNCLEARABLE = frozenset({Purpose.CHARGING_STATION_EXTERNAL_CONSTRAINTS, Purpose.LOCAL_GENERATION})
"""What ClearChargingProfile never touches (K10.FR.03/.04/.08/.09)."""


@dataclass(frozen=True, slots=True)
class InstalledProfiles:
    """The profiles that a station holds. Every change is a new value; iterating gives `Installed` entries."""

    entries: tuple[Installed, ...] = ()

    def __iter__(self) -> Iterator[Installed]:
        return iter(self.entries)

    def __len__(self) -> int:
        return len(self.entries)

    def install(
        self, profile: ChargingProfile, evse: int, rules: Rules, facts: StationFacts
    ) -> tuple[InstalledProfiles, Verdict]:
        """The store after SetChargingProfile and what a conforming station answers; unchanged if it refuses."""
        request = Request(profile, evse, rules, facts)
        verdict = first_objection(request)
        if verdict.accepted:
            verdict = _objection_of_others(request, self._kept_beside(profile, evse, rules))
        return (self.recorded(profile, evse, rules) if verdict.accepted else self), verdict

    def recorded(self, profile: ChargingProfile, evse: int, rules: Rules) -> InstalledProfiles:
        """The store after the station has accepted the profile: it replaces like `install`, nothing is judged."""
        return InstalledProfiles((*self._kept_beside(profile, evse, rules), Installed(evse, profile)))

    def cleared(self, criteria: Criteria) -> tuple[InstalledProfiles, InstalledProfiles]:
        """What ClearChargingProfile leaves and what it removes; the answer is Accepted if it removes anything.

        With ids the other criteria are ignored (1.6 errata 3.25/3.26; K10.FR.03).
        """
        if criteria.profile_ids is not None:
            criteria = Criteria(profile_ids=criteria.profile_ids)
        return self._split(lambda entry: criteria.match(entry) and entry.profile.purpose not in UNCLEARABLE)

    def matching(self, criteria: Criteria) -> InstalledProfiles:
        """The profiles that GetChargingProfiles with these criteria reports (K09.FR.03-.06)."""
        return InstalledProfiles(tuple(entry for entry in self if criteria.match(entry)))

    def of_purposes(self, *purposes: Purpose) -> InstalledProfiles:
        """The profiles of these purposes alone."""
        return InstalledProfiles(tuple(entry for entry in self if entry.profile.purpose in purposes))

    def after_transaction(self, evse: int) -> InstalledProfiles:
        """The store after the transaction on `evse` has ended: its TxProfiles no longer exist (K02.FR.05, LC-079)."""
        kept, _ = self._split(lambda entry: entry.evse == evse and entry.profile.purpose is Purpose.TX_PROFILE)
        return kept

    def valid_offline(self, offline_s: float) -> InstalledProfiles:
        """What still counts in a station that has been offline for more than so many seconds (K01.FR.101)."""
        kept, _ = self._split(lambda entry: _ends_offline(entry.profile, offline_s))
        return kept

    def after_offline(self, offline_s: float) -> InstalledProfiles:
        """The store when the station is back after `offline_s` seconds.

        Profiles that ran out meanwhile are valid again, except those with invalidAfterOfflineDuration (K01.FR.102).
        """
        kept, _ = self._split(lambda entry: _ended_by_offline(entry.profile, offline_s))
        return kept

    def _kept_beside(self, profile: ChargingProfile, evse: int, rules: Rules) -> tuple[Installed, ...]:
        newcomer = Installed(evse, profile)
        return tuple(entry for entry in self if not _replaces(newcomer, entry, rules))

    def _split(self, leaves: Callable[[Installed], bool]) -> tuple[InstalledProfiles, InstalledProfiles]:
        kept = tuple(entry for entry in self if not leaves(entry))
        return InstalledProfiles(kept), InstalledProfiles(tuple(entry for entry in self if leaves(entry)))


def _replaces(new: Installed, old: Installed, rules: Rules) -> bool:
    """The same id does (K01.FR.05); in 1.6 also the same purpose and stack level on the same connector (3.13.2)."""
    if old.profile.purpose is Purpose.CHARGING_STATION_EXTERNAL_CONSTRAINTS:
        return False
    return old.profile.id == new.profile.id or (
        rules.same_slot_replaces and old.evse == new.evse and _same_rank(old.profile, new.profile)
    )


def _objection_of_others(request: Request, others: tuple[Installed, ...]) -> Verdict:
    """What the profiles that would stay installed have against the new one."""
    new = Installed(request.evse, request.profile)
    most = request.facts.max_installed
    if any(other.profile.id == new.profile.id for other in others):  # K01.FR.05
        return Verdict(Reason.INVALID_PROFILE_ID, f"id {new.profile.id} belongs to an external constraint")
    if not request.rules.same_slot_replaces:
        duplicate = next((other for other in others if _duplicates(new, other)), None)
        if duplicate is not None:
            return Verdict(Reason.DUPLICATE_PROFILE, f"profile {duplicate.profile.id} has this rank already")
    if any(_phases_conflict(new, other) for other in others):
        return Verdict(Reason.PHASE_CONFLICT, "another profile uses another phase")
    if most is not None and len(others) >= most:
        return Verdict(Reason.OUT_OF_STORAGE, f"all {most} places are taken")
    return ACCEPTED


def _duplicates(new: Installed, old: Installed) -> bool:
    """Whether both could lead at the same time, which 2.x forbids."""
    if not _same_rank(new.profile, old.profile):
        return False
    if new.profile.purpose is Purpose.TX_PROFILE:  # K01.FR.39
        return new.profile.transaction_id == old.profile.transaction_id
    if new.evse == old.evse:  # K01.FR.06
        return _validities_overlap(new.profile, old.profile)
    return new.profile.purpose is Purpose.TX_DEFAULT_PROFILE and 0 in {new.evse, old.evse}  # K01.FR.52/.53


def _same_rank(a: ChargingProfile, b: ChargingProfile) -> bool:
    return a.purpose is b.purpose and a.stack_level == b.stack_level


def _validities_overlap(a: ChargingProfile, b: ChargingProfile) -> bool:
    return _begins_before_end(a, b) and _begins_before_end(b, a)


def _begins_before_end(a: ChargingProfile, b: ChargingProfile) -> bool:
    return a.valid_from is None or b.valid_to is None or a.valid_from < b.valid_to


def _phases_conflict(new: Installed, old: Installed) -> bool:
    """Whether profiles that are merged name different phases (K01.FR.141), at whatever time (2.1 Part 2 K 3.8)."""
    if _branch(new.profile) == _branch(old.profile) or (new.evse != old.evse and 0 not in {new.evse, old.evse}):
        return False
    return len(_phases_to_use(new.profile) | _phases_to_use(old.profile)) > 1 and all(
        _phases_to_use(entry.profile) for entry in (new, old)
    )


def _branch(profile: ChargingProfile) -> Purpose:
    """Tx, TxDefault and PriorityCharging profiles take turns; everything else is merged."""
    in_turn = {Purpose.TX_DEFAULT_PROFILE, Purpose.PRIORITY_CHARGING}
    return Purpose.TX_PROFILE if profile.purpose in in_turn else profile.purpose


def _phases_to_use(profile: ChargingProfile) -> set[int]:
    periods = (period for schedule in profile.schedules for period in schedule.periods)
    return {period.phase_to_use for period in periods if period.phase_to_use is not None}


def _ended_by_offline(profile: ChargingProfile, offline_s: float) -> bool:
    allowed_s = profile.max_offline_duration_s
    return profile.invalid_after_offline_duration and allowed_s is not None and offline_s > allowed_s


def _ends_offline(profile: ChargingProfile, offline_s: float) -> bool:
    return profile.max_offline_duration_s is not None and profile.max_offline_duration_s <= offline_s
