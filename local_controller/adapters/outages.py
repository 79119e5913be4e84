"""Who answers for the CSMSs of a site while they are away? Put together from the site file, what is remembered, and a journal."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from structlog.typing import FilteringBoundLogger

from local_controller.adapters.authorization_file import AuthorizationFile
from local_controller.adapters.back_off import BackOffTimes
from local_controller.adapters.capability_file import CapabilityMemory
from local_controller.adapters.journal import Journal, Kept
from local_controller.adapters.routing import Routes, upstreams
from local_controller.adapters.uplink import StandIn
from local_controller.clock import Clock
from local_controller.config.legs import OutageSection
from local_controller.config.models import SiteConfig
from local_controller.deputy.deputy import Deputy
from local_controller.deputy.station_view import StationView
from local_controller.deputy.transaction_names import Pairs
from local_controller.station.authorization import UnknownPolicy
from local_controller.station.authorizations import Authorizations
from local_controller.station.build import StationSettings
from local_controller.station.proxy import own_id
from local_controller.station.state import StationState
from local_controller.station.words import OcppVersion, RegistrationStatus

_MIB = 1024 * 1024
_DAY_S = 86_400.0


class Outages:
    """The deputies of a site's CSMSs. journal: what those have yet to hear. drivers: what they have said of whom."""

    def __init__(
        self,
        journal: Journal,
        drivers: AuthorizationFile,
        routes: Routes,
        memory: CapabilityMemory,
        state_of: Callable[[str], StationState],
    ) -> None:
        """`state_of` gives what the proxy of a connected station knows of it."""
        self.journal = journal
        self.drivers = drivers
        self.stand_in = StandIn(journal, self._version_alone, self._deputy, self._back_off)
        self._routes = routes
        self._memory = memory
        self._state_of = state_of
        self._deputies: dict[str, Deputy] = {}
        self._delivered_before = Counter[str]()

    def delivered(self, stations: Iterable[str]) -> int:
        """How many messages of these stations their CSMS has got later, since the start."""
        return sum(
            self._delivered_before[one] + self._deputies[one].delivered for one in stations if one in self._deputies
        )

    async def start(self) -> None:
        """What an earlier run has kept counts again."""
        self.drivers.restore()
        await self.journal.start()
        await self.drivers.start()

    async def stop(self) -> None:
        """All is on the disk."""
        await self.drivers.stop()
        await self.journal.stop()

    def forget(self, identifiers: Iterable[str]) -> None:
        """Nothing is known of these drivers any more (LC-146)."""
        for identifier in identifiers:
            self.drivers.memory.forget(identifier)

    def learning(self, settings: Mapping[str, StationSettings]) -> dict[str, StationSettings]:
        """The same, so that somebody listens to what CSMSs say that may be away."""
        return {
            identity: replace(one, authorizations=self.authorizations(identity)) if self._has(identity) else one
            for identity, one in settings.items()
        }

    def _has(self, identity: str) -> bool:
        upstream = self._routes.of(identity)
        return upstream is not None and upstream.outage is not None

    def authorizations(self, identity: str) -> Authorizations:
        """What its CSMS has said of drivers to a station; CSMSs do not know of each other."""
        upstream = self._routes.of(identity)
        return self.drivers.memory.of(identity, "" if upstream is None else upstream.label)

    def _of(self, identity: str) -> OutageSection:
        upstream = self._routes.of(identity)
        assert upstream is not None and upstream.outage is not None  # noqa: PT018, S101 - nobody else is asked about
        return upstream.outage

    def _version_alone(self, identity: str, offer: Sequence[OcppVersion]) -> OcppVersion | None:
        """The version that its CSMS chose last, if it has accepted the station (LC-046, LC-059)."""
        remembered = self._memory.recalled(identity)
        if remembered is not None and remembered.registration is RegistrationStatus.ACCEPTED:
            return remembered.version if remembered.version in offer else None
        return offer[0] if self._of(identity).unaccepted_stations == "serve" else None

    def _back_off(self, identity: str) -> BackOffTimes:
        outage = self._of(identity)
        return BackOffTimes(outage.wait_minimum_s, outage.random_range_s, outage.repeat_times)

    def _deputy(self, identity: str, kept: Kept) -> Deputy:
        """For a station whose proxy was just made."""
        outage = self._of(identity)
        view = StationView(
            self._state_of(identity),
            self.authorizations(identity),
            UnknownPolicy(outage.unknown_id_tokens),
            serves_unaccepted=outage.unaccepted_stations == "serve",
        )
        if (before := self._deputies.get(identity)) is not None:
            self._delivered_before[identity] += before.delivered
        deputy = self._deputies[identity] = Deputy(view, kept.entries, Pairs(kept.pairs, kept.ended), own_id)
        return deputy


def outages(
    config: SiteConfig,
    clock: Clock,
    memory: CapabilityMemory,
    state_of: Callable[[str], StationState],
    log: FilteringBoundLogger,
) -> Outages | None:
    """None where no CSMS's stations are served on without it."""
    sections = [csms.outage for csms in config.csms if csms.outage is not None]
    if not sections or config.state_directory is None:
        return None
    folder = Path(config.state_directory)
    journal = Journal(folder, max(one.journal_mb for one in sections) * _MIB, log)
    drivers = AuthorizationFile(folder, clock, min(one.id_token_days for one in sections) * _DAY_S)
    return Outages(journal, drivers, Routes(upstreams(config)), memory, state_of)
