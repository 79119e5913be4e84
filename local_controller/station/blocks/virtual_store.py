"""Which charging profiles has the CSMS given this station, as far as it can tell?

The gateway owns TxDefaultProfile and TxProfile: the CSMS's profiles of these purposes live here only, and the station
holds the gateway's instead (LC-091). What the station itself accepted of other purposes is recorded beside them, for
planning. No profile of the gateway is ever in here, so none can ever be shown or cleared (LC-094, LC-096).

Where the gateway itself needs the station's maximum to tell a limit, it owns that purpose too, and for good.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Any

from local_controller.profiles import rules
from local_controller.profiles.installed import Criteria, InstalledProfiles
from local_controller.profiles.profile import Purpose
from local_controller.profiles.rules import Rules, StationFacts, Verdict
from local_controller.station.dialects.base import ProfileSet
from local_controller.station.words import OcppVersion

OWNED = frozenset({Purpose.TX_DEFAULT_PROFILE, Purpose.TX_PROFILE})
STATION_MAX = Purpose.CHARGING_STATION_MAX_PROFILE
_OTHERS = frozenset({STATION_MAX, Purpose.CHARGING_STATION_EXTERNAL_CONSTRAINTS})
"""The station merges these with ours by the minimum, so they may reach it. Any other purpose of 2.1 would lift our
limit (PriorityCharging replaces it, LocalGeneration adds to it); these optional purposes are refused (LC-102)."""

MOST_PROFILES = 64
"""So many of the CSMS's profiles are kept per station; products are seen to hold 10."""

MOST_PERIODS = 1024
"""So many periods a schedule may have (the schemas of 2.x); 1.6 names no bound."""

RULES: Mapping[OcppVersion, Rules] = {
    OcppVersion.V16: rules.V16,
    OcppVersion.V201: rules.V201,
    OcppVersion.V21: replace(rules.V21, purposes=rules.V201.purposes, kinds=rules.V201.kinds),
}
"""Each version's own; in 2.1 without the optional purposes, and without Dynamic profiles, which others may update."""


@dataclass(frozen=True, slots=True)
class VirtualStore:
    """The CSMS's profiles; every change is a new value, so that undoing is keeping the old one.

    owned: the purposes of those that live here only.
    """

    installed: InstalledProfiles = field(default_factory=InstalledProfiles)
    originals: Mapping[int, Mapping[str, Any]] = field(default_factory=dict)
    owned_purposes: frozenset[Purpose] = OWNED

    @property
    def passed(self) -> frozenset[Purpose]:
        """The purposes that are the station's to judge."""
        return _OTHERS - self.owned_purposes

    def owning_maximum(self, *, owns: bool) -> VirtualStore:
        """The store with the station's maximum as an owned purpose, or after a trial that failed without it."""
        return replace(self, owned_purposes=OWNED | {STATION_MAX} if owns else OWNED)

    def maxima(self) -> tuple[int, ...]:
        """The ids of the CSMS's station maxima."""
        return tuple(entry.profile.id for entry in self.installed if entry.profile.purpose is STATION_MAX)

    def install(self, wanted: ProfileSet, version: OcppVersion, facts: StationFacts) -> tuple[VirtualStore, Verdict]:
        """The store after a SetChargingProfile of an owned purpose, and a conforming station's verdict (LC-091)."""
        installed, verdict = self.installed.install(wanted.profile, wanted.evse, RULES[version], facts)
        return (self._with(installed, wanted) if verdict.accepted else self), verdict

    def recorded(self, wanted: ProfileSet, version: OcppVersion) -> VirtualStore:
        """The store after the station itself accepted a profile (LC-090)."""
        installed = self.installed.recorded(wanted.profile, wanted.evse, RULES[version])
        return self._with(installed, wanted) if len(installed) <= MOST_PROFILES else self

    def cleared(self, criteria: Criteria, purposes: Iterable[Purpose]) -> tuple[VirtualStore, int]:
        """The store without what the criteria mean among these purposes, and how many that were."""
        installed, count = self.installed, 0
        for purpose in purposes:
            if criteria.purpose in {None, purpose}:
                installed, removed = installed.cleared(replace(criteria, purpose=purpose))
                count += len(removed)
        return self._of(installed), count

    def holds(self, criteria: Criteria) -> bool:
        """Whether the criteria mean any profile."""
        return len(self.installed.matching(criteria)) > 0

    def purpose_of(self, profile_id: int) -> Purpose | None:
        """The purpose of the profile with this id."""
        found = (entry.profile.purpose for entry in self.installed if entry.profile.id == profile_id)
        return next(found, None)

    def virtual_by_evse(self, criteria: Criteria) -> dict[int, list[Mapping[str, Any]]]:
        """Those of them that are in no station."""
        return replace(self, installed=self.owned()).by_evse(criteria)

    def by_evse(self, criteria: Criteria) -> dict[int, list[Mapping[str, Any]]]:
        """The matching profiles as the CSMS sent them, by EVSE (0: the station)."""
        found: dict[int, list[Mapping[str, Any]]] = {}
        for evse, profile in self.installed.matching(criteria):
            found.setdefault(evse, []).append(self.originals[profile.id])
        return found

    def owned(self) -> InstalledProfiles:
        """Only what the station does not hold itself."""
        return self.installed.of_purposes(*self.owned_purposes)

    def after_transaction(self, evse: int) -> VirtualStore:
        """The store without the TxProfiles of the transaction that ended on `evse` (LC-079)."""
        return self._of(self.installed.after_transaction(evse))

    def without(self, wanted: ProfileSet, replaced: VirtualStore) -> VirtualStore:
        """The store as if `wanted` had never replaced others; whatever else has changed meanwhile stays."""
        kept = tuple(entry for entry in self.installed if entry.profile is not wanted.profile)
        if len(kept) == len(self.installed):  # it went with its transaction
            return self
        return self._of(InstalledProfiles(kept + replaced.installed.entries), replaced.originals)

    def missing(self, later: VirtualStore) -> VirtualStore:
        """What of this store a later one no longer holds."""
        missing = tuple(entry for entry in self.installed if entry not in later.installed)
        return self._of(InstalledProfiles(missing))

    def _with(self, installed: InstalledProfiles, wanted: ProfileSet) -> VirtualStore:
        return self._of(installed, {wanted.profile.id: wanted.original})

    def _of(
        self, installed: InstalledProfiles, more: Mapping[int, Mapping[str, Any]] = MappingProxyType({})
    ) -> VirtualStore:
        """This store with these profiles; the originals of others are forgotten."""
        originals = {**self.originals, **more}
        return replace(self, installed=installed, originals={e.profile.id: originals[e.profile.id] for e in installed})
