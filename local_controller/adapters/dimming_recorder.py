"""Who notes while the site runs when limits of the grid operator hold? A look each second, rows in the state directory."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from structlog.typing import FilteringBoundLogger

from local_controller.adapters.background import background
from local_controller.adapters.dimming_file import DimmingFile
from local_controller.clock import Clock
from local_controller.site.controller import SiteController
from local_controller.site.dimming import DimmingWatch, Power, Row, drawn_power, holding
from local_controller.site.topology import GRID

LOOK_S: Final = 1.0


class DimmingRecorder:
    """Runs beside the site; kinds: how each limit that is recorded arrives, by its id."""

    def __init__(
        self,
        site: SiteController,
        kinds: Mapping[str, str],
        folder: Path,
        clock: Clock,
        log: FilteringBoundLogger,
    ) -> None:
        self._site, self._kinds, self._clock, self._log = site, kinds, clock, log
        self._file, self._watch = DimmingFile(folder), DimmingWatch()
        self._thread = background("dimmings")
        self._task: asyncio.Task[None] | None = None
        self._is_broken = False

    async def start(self) -> None:
        """Begin to look."""
        self._task = asyncio.create_task(self._run(), name="record of dimmings")

    async def stop(self) -> None:
        """The last rows are on the disk."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait([self._task])
        now = self._clock.now()
        self._write(list(self._watch.stop(self._power(), now)))
        await asyncio.to_thread(self._thread.shutdown)

    async def _run(self) -> None:
        began_s = self._clock.now().monotonic_s
        while True:
            now = self._clock.now()
            held = holding(self._site.book.sources, self._kinds, now.monotonic_s - began_s, now)
            self._write(list(self._watch.look(held, self._power(), now)))
            await asyncio.sleep(LOOK_S)

    def _power(self) -> Power:
        now = self._clock.now()
        return drawn_power(self._site.evses.values(), self._site.nodes[GRID], now)

    def _write(self, rows: list[Row]) -> None:
        if rows:
            self._thread.submit(self._append, rows)

    def _append(self, rows: list[Row]) -> None:
        try:
            self._file.append(rows)
        except OSError as error:
            if not self._is_broken:
                remedy = "let the gateway write there, or correct state_directory"
                self._log.error("dimming_not_recorded", reason=str(error), remedy=remedy)
            self._is_broken = True
        else:
            self._is_broken = False
