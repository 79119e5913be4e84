"""How do people learn that a CSMS is away, and what waits for it? Looked at once a second, and whenever somebody wants a picture."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, Final
from zoneinfo import ZoneInfo

import msgspec
from structlog.typing import FilteringBoundLogger

from local_controller.adapters.journal_file import JournalFile
from local_controller.adapters.outages import Outages
from local_controller.adapters.rounds import rounds
from local_controller.adapters.site_driver import in_turns
from local_controller.clock import Clock
from local_controller.config.models import SiteConfig
from local_controller.errors import LocalControllerError
from local_controller.site.csms_absence import TOLD_AFTER_S, CsmsAbsence, Ways
from local_controller.site.csms_view import KeptMessages, Look, csms_view, way_views
from local_controller.site.effects import Notice

LOOK_S: Final = 1.0


class OutageWatch:
    """Watches the CSMSs whose stations stay served."""

    def __init__(
        self,
        config: SiteConfig,
        outages: Outages,
        ways: Callable[[], Ways],
        clock: Clock,
        told_after_s: float = TOLD_AFTER_S,
    ) -> None:
        """ways: how the connected stations of these CSMSs stand with them."""
        self._zone = ZoneInfo(config.site.time_zone)
        self._folder = Path(config.state_directory or "")
        self._absences = tuple(
            CsmsAbsence("the CSMS" if len(config.csms) == 1 else f"CSMS {csms.label}", own, self._zone, told_after_s)
            for csms, own in zip(config.csms, config.stations_by_csms, strict=True)
            if csms.outage is not None
        )
        self._outages = outages
        self._ways = ways
        self._clock = clock
        self._tell: Callable[[Notice], None] = lambda _: None

    async def start(self, tell: Callable[[Notice], None], log: FilteringBoundLogger) -> None:
        """Looks on until `stop`; tell: what is news."""
        self._tell = tell
        self._task = asyncio.create_task(rounds(self._look, LOOK_S, log, "outage_look_failed"))

    async def stop(self) -> None:
        """Looks no more."""
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)

    async def picture(self) -> dict[str, Any]:
        """As `uplinks` of /api/v1/site: each CSMS, and the way of each connected station to it."""
        kept = await asyncio.to_thread(self._kept)
        await self._look()
        look = Look(self._ways(), kept, self._zone, self._clock.now())
        csms, stations = [csms_view(one, look) for one in self._absences], way_views(self._absences, look)
        plain: dict[str, Any] = msgspec.to_builtins({"csms": csms, "stations": await in_turns(stations)})
        return plain

    async def _look(self) -> None:
        ways, now = self._ways(), self._clock.now()
        for absence in self._absences:
            for notice in absence.look(ways, self._outages.delivered(absence.stations), now):
                self._tell(notice)

    def _kept(self) -> Mapping[str, KeptMessages]:
        """From the file, which knows of stations that are not connected, too. Of one that cannot be read its writer speaks."""
        with suppress(LocalControllerError):
            return JournalFile(self._folder).counts()
        return {}
