"""Which charging profiles has the CSMS given this station, as far as it can tell?

The gateway owns TxDefaultProfile, TxProfile and what could lift them: the CSMS's profiles of these purposes live here only, and the station
holds the gateway's instead (LC-091). What the station itself accepted of other purposes is recorded beside them, for
planning. No profile of the gateway is ever in here, so none can ever be shown or cleared (LC-094, LC-096).

Where the gateway itself needs the station's maximum to tell a limit, it owns that purpose too, and for good.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from types import MappingProxyType
from typing import Any

from local_controller.profiles import rules
from local_controller.profiles.installed import Criteria, Installed, InstalledProfiles
from local_controller.profiles.profile import ChargingProfile, Purpose
from local_controller.profiles.rules import Rules, StationFacts, Verdict
from local_controller.station.blocks import representable
from local_controller.station.dialects.base import NOTHING_LACKS, Lacks, ProfileSet
from local_controller.station.words import OcppVersion

STATION_MAX = Purpose.CHARGING_STATION_MAX_PROFILE

OWNED = frozenset({Purpose.TX_DEFAULT_PROFILE, Purpose.TX_PROFILE, Purpose.PRIORITY_CHARGING, Purpose.LOCAL_GENERATION})
"""Those of ours, and those that would lift our limit if they reached the station: PriorityCharging replaces it,
LocalGeneration adds to it."""

_OTHERS = frozenset({STATION_MAX, Purpose.CHARGING_STATION_EXTERNAL_CONSTRAINTS})
"""The station merges these with ours by the minimum, so they may reach it."""

VIRTUAL = OWNED | {STATION_MAX}
"""Whatever may live in the store alone."""

MOST_PROFILES = 64
"""So many of the CSMS's profiles are kept per station; products are seen to hold 10."""

MOST_PERIODS = 1024
"""So many periods a schedule may have (the schemas of 2.x); 1.6 names no bound."""

RULES: Mapping[OcppVersion, Rules] = {
    OcppVersion.V16: rules.V16,
    OcppVersion.V201: rules.V201,
    OcppVersion.V21: rules.V21,
}


@dataclass(frozen=True, slots=True)
class VirtualStore:
    """The CSMS's profiles; every change is a new value, so that undoing is keeping the old one.

    owned_purposes: those of profiles that live here only. real: ids of those that the station itself has accepted; all
    others are virtual.
    """

    installed: InstalledProfiles = field(default_factory=InstalledProfiles)
    originals: Mapping[int, Mapping[str, Any]] = field(default_factory=dict)
    owned_purposes: frozenset[Purpose] = OWNED
    real: frozenset[int] = frozenset()

    @property
    def passed(self) -> frozenset[Purpose]:
        """The purposes that are the station's to judge."""
        return _OTHERS - self.owned_purposes

    def owning_maximum(self, *, owns: bool) -> VirtualStore:
        """The store with the station's maximum as an owned purpose, or after a trial that failed without it."""
        real = self.real - {*self.maxima()} if owns else self.real | {*self.maxima()}
        return replace(self, owned_purposes=VIRTUAL if owns else OWNED, real=real)

    @property
    def follows_soc(self) -> bool:
        """Whether what they allow depends on the state of charge (limitAtSoC)."""
        return any(schedule.limit_at_soc for _, profile in self.installed for schedule in profile.schedules)

    def maxima(self) -> tuple[int, ...]:
        """The ids of the CSMS's station maxima."""
        return tuple(entry.profile.id for entry in self.installed if entry.profile.purpose is STATION_MAX)

    def install(
        self, wanted: ProfileSet, version: OcppVersion, facts: StationFacts, lacks: Lacks = NOTHING_LACKS
    ) -> tuple[VirtualStore, Verdict]:
        """The store after a SetChargingProfile of an owned purpose, and a conforming station's verdict (LC-091)."""
        installed, verdict = self.installed.install(wanted.profile, wanted.evse, lacks.left_of(RULES[version]), facts)
        if verdict.accepted and (objection := representable.objection(wanted.profile, lacks.features)) is not None:
            verdict = objection
        return (self._with(installed, wanted, is_real=False) if verdict.accepted else self), verdict

    def recorded(self, wanted: ProfileSet, version: OcppVersion) -> VirtualStore:
        """The store after the station itself accepted a profile (LC-090)."""
        installed = self.installed.recorded(wanted.profile, wanted.evse, RULES[version])
        return self._with(installed, wanted, is_real=True) if len(installed) <= MOST_PROFILES else self

    def cleared(self, criteria: Criteria, *, is_real: bool) -> tuple[VirtualStore, int]:
        """The store without what the criteria mean of the real, or of the virtual ones; and how many that were."""
        meant = self.real_ones() if is_real else self.virtual()
        removed = {entry.profile.id for entry in meant.cleared(criteria)[1]}
        kept = tuple(entry for entry in self.installed if entry.profile.id not in removed)
        return self._of(InstalledProfiles(kept)), len(removed)

    def purpose_of(self, profile_id: int) -> Purpose | None:
        """The purpose of the profile with this id."""
        found = (entry.profile.purpose for entry in self.installed if entry.profile.id == profile_id)
        return next(found, None)

    def virtual_by_evse(self, criteria: Criteria) -> dict[int, list[Mapping[str, Any]]]:
        """Those of them that are in no station."""
        return replace(self, installed=self.virtual()).by_evse(criteria)

    def by_evse(self, criteria: Criteria) -> dict[int, list[Mapping[str, Any]]]:
        """The matching profiles as the CSMS sent them, by EVSE (0: the station)."""
        found: dict[int, list[Mapping[str, Any]]] = {}
        for evse, profile in self.installed.matching(criteria):
            found.setdefault(evse, []).append(self.originals[profile.id])
        return found

    def virtual(self) -> InstalledProfiles:
        """Only what the station does not hold itself."""
        if not self.real:
            return self.installed
        return InstalledProfiles(tuple(entry for entry in self.installed if entry.profile.id not in self.real))

    def real_ones(self) -> InstalledProfiles:
        """Only what the station holds itself."""
        return InstalledProfiles(tuple(entry for entry in self.installed if entry.profile.id in self.real))

    def after_transaction(self, evse: int) -> VirtualStore:
        """The store without the TxProfiles of the transaction that ended on `evse` (LC-079)."""
        return self._of(self.installed.after_transaction(evse))

    def after_offline(self, offline_s: float) -> VirtualStore:
        """The store without what does not come back after so long without a connection (2.1 K01.FR.102)."""
        installed = self.installed.after_offline(offline_s)
        return self if len(installed) == len(self.installed) else self._of(installed)

    def without(self, wanted: ProfileSet, replaced: VirtualStore) -> VirtualStore:
        """The store as if `wanted` had never replaced others; whatever else has changed meanwhile stays."""
        kept = tuple(entry for entry in self.installed if entry.profile is not wanted.profile)
        if len(kept) == len(self.installed):  # it went with its transaction
            return self
        real = (self.real - {wanted.profile.id}) | replaced.real
        return self._of(InstalledProfiles(kept + replaced.installed.entries), replaced.originals, real)

    def without_ended(self, at: datetime) -> VirtualStore:
        """The store without what has ended for good by then (validTo; the station's clock)."""
        kept = tuple(one for one in self.installed if one.profile.valid_to is None or one.profile.valid_to > at)
        return self if len(kept) == len(self.installed) else self._of(InstalledProfiles(kept))

    def missing(self, later: VirtualStore) -> VirtualStore:
        """What of this store a later one no longer holds."""
        return self._of(InstalledProfiles(tuple(entry for entry in self.installed if entry not in later.installed)))

    def updated(self, profile_id: int, profile: ChargingProfile, original: Mapping[str, Any]) -> VirtualStore:
        """The store with another content of one profile (K28)."""
        entries = [one._replace(profile=profile) if one.profile.id == profile_id else one for one in self.installed]
        return self._of(InstalledProfiles(tuple(entries)), {profile_id: original})

    def find(self, profile_id: int) -> Installed | None:
        """The profile with this id, and where it is installed."""
        return next((entry for entry in self.installed if entry.profile.id == profile_id), None)

    def _with(self, installed: InstalledProfiles, wanted: ProfileSet, *, is_real: bool) -> VirtualStore:
        profile_id = wanted.profile.id
        real = self.real | {profile_id} if is_real else self.real - {profile_id}
        return self._of(installed, {profile_id: wanted.original}, real)

    def _of(
        self,
        installed: InstalledProfiles,
        more: Mapping[int, Mapping[str, Any]] = MappingProxyType({}),
        real: frozenset[int] | None = None,
    ) -> VirtualStore:
        """This store with these profiles; whatever is known of others is forgotten."""
        ids, originals = [entry.profile.id for entry in installed], {**self.originals, **more}
        kept = {one: originals[one] for one in ids}
        return replace(
            self, installed=installed, originals=kept, real=(self.real if real is None else real).intersection(ids)
        )


EMPTY_STORE = VirtualStore()
"""That of every station whose CSMS has not sent a profile."""
