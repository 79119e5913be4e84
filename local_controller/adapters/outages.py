"""Who answers for the CSMSs of a site while they are away? Put together from the site file, what is remembered, and a journal."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from structlog.typing import FilteringBoundLogger

from local_controller.adapters.back_off import BackOffTimes
from local_controller.adapters.capability_file import CapabilityMemory
from local_controller.adapters.journal import Journal, Kept
from local_controller.adapters.routing import Routes, upstreams
from local_controller.adapters.station_server import StandIn
from local_controller.clock import Instant
from local_controller.config.legs import OutageSection
from local_controller.config.models import SiteConfig
from local_controller.deputy.deputy import Deputy
from local_controller.deputy.station_view import StationView
from local_controller.station.proxy import own_id
from local_controller.station.state import StationState
from local_controller.station.words import OcppVersion, RegistrationStatus

_MIB = 1024 * 1024


class Outages:
    """The deputies of a site's CSMSs. journal: what those have yet to hear."""

    def __init__(
        self,
        journal: Journal,
        routes: Routes,
        memory: CapabilityMemory,
        state_of: Callable[[str], StationState],
    ) -> None:
        """`state_of` gives what the proxy of a connected station knows of it."""
        self.journal = journal
        self.stand_in = StandIn(journal, self._version_alone, self._deputy, self._back_off)
        self._routes = routes
        self._memory = memory
        self._state_of = state_of

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

        def judge(_: str, __: str, ___: Instant) -> dict[str, Any]:
            return {"status": "Accepted" if outage.unknown_id_tokens == "accept" else "Invalid"}

        view = StationView(self._state_of(identity), judge, serves_unaccepted=outage.unaccepted_stations == "serve")
        return Deputy(view, kept.entries, kept.pairs, own_id)


def outages(
    config: SiteConfig,
    memory: CapabilityMemory,
    state_of: Callable[[str], StationState],
    log: FilteringBoundLogger,
) -> Outages | None:
    """None where no CSMS's stations are served on without it."""
    sections = [csms.outage for csms in config.csms if csms.outage is not None]
    if not sections or config.state_directory is None:
        return None
    journal = Journal(Path(config.state_directory), max(one.journal_mb for one in sections) * _MIB, log)
    return Outages(journal, Routes(upstreams(config)), memory, state_of)
