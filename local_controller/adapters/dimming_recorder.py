"""Who notes while the site runs when limits of the grid operator hold? A look each second, rows in the state directory."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final

import structlog

from local_controller.adapters.background import background
from local_controller.adapters.dimming_file import DimmingFile
from local_controller.adapters.rounds import rounds
from local_controller.clock import Clock
from local_controller.site.controller import SiteController
from local_controller.site.dimming import DimmingWatch, Power, Row, drawn_power, holding
from local_controller.site.topology import GRID

LOOK_S: Final = 1.0

log = structlog.get_logger(__name__)


class DimmingRecorder:
    """Runs beside the site; kinds: how each limit that is recorded arrives, by its id.

    really: what is drawn, of what the site believes; that differs where it merely looks on.
    """

    def __init__(
        self,
        site: SiteController,
        kinds: Mapping[str, str],
        folder: Path,
        clock: Clock,
        really: Callable[[Power], Power] | None = None,
    ) -> None:
        self._really = really
        self._site, self._kinds, self._clock = site, kinds, clock
        self._file, self._watch = DimmingFile(folder), DimmingWatch()
        self._thread = background("dimmings")
        self._task: asyncio.Task[None] | None = None
        self._is_broken = False
        self._began_s = clock.now().monotonic_s

    async def start(self) -> None:
        """Begin to look."""
        self._began_s = self._clock.now().monotonic_s
        self._task = asyncio.create_task(rounds(self._look, LOOK_S, log, "dimming_look_failed"))

    async def stop(self) -> None:
        """The last rows are on the disk."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait([self._task])
        now = self._clock.now()
        self._write(list(self._watch.stop(self._power(), now)))
        await asyncio.to_thread(self._thread.shutdown)

    async def _look(self) -> None:
        now = self._clock.now()
        held = holding(self._site.book.sources, self._kinds, now.monotonic_s - self._began_s, now)
        self._write(list(self._watch.look(held, self._power(), now)))

    def _power(self) -> Power:
        now = self._clock.now()
        power = drawn_power(self._site.evses.values(), self._site.nodes[GRID], now)
        return power if self._really is None else self._really(power)

    def _write(self, rows: list[Row]) -> None:
        if rows:
            self._thread.submit(self._append, rows)

    def _append(self, rows: list[Row]) -> None:
        try:
            self._file.append(rows)
        except OSError as error:
            if not self._is_broken:
                remedy = "let the gateway write there, or correct state_directory"
                log.error("dimming_not_recorded", reason=str(error), remedy=remedy)  # noqa: TRY400 - the reason says it all
            self._is_broken = True
        else:
            self._is_broken = False
