"""Who keeps what the site learns over a restart, and forgets it on request? Runs beside the site, writes every few minutes.

Switched off, it forgets what was kept. Nothing here stops a start: what cannot be read or written is learnt anew.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import ExitStack
from datetime import tzinfo
from pathlib import Path
from typing import Any, Final, Protocol

import structlog

from local_controller.adapters.background import background
from local_controller.adapters.habits_file import HabitsFile, alone
from local_controller.adapters.rounds import rounds
from local_controller.clock import Clock
from local_controller.errors import LocalControllerError
from local_controller.site.habits_view import habits_view
from local_controller.site.learning import Learning

WRITE_S: Final = 300.0
"""A power cut costs the visits of so long. A file of 3,000 visits has 160 kB: that is at most 46 MB a day for the disk, and 3,000
visits a month, as of a busy garage, are 16 MB."""

_REMEDY: Final = "let the gateway write there, or correct state_directory"

log = structlog.get_logger(__name__)


class Site(Protocol):
    """Who is told that somebody wants something forgotten."""

    def habits_forgotten(self, evse: str | None, id_token: str | None) -> None:
        """What was learnt at this EVSE, of this card, or at all."""


class HabitsKeeper:
    """zone: of the site's clock on the wall. days: how long a visit is remembered, 0: nothing is learnt."""

    def __init__(self, zone: tzinfo, days: int, folder: Path | None, clock: Clock) -> None:
        self._folder, self._clock = folder, clock
        self._file = HabitsFile(folder, log)
        self.learning = Learning(zone, days, self._pseudonym)
        self._written = self.learning.revision
        self._thread = background("habits")
        self._task: asyncio.Task[None] | None = None
        self._open = ExitStack()
        self._writing = asyncio.Lock()
        self._broken = ""
        self._site: Site | None = None

    def _pseudonym(self, token: str) -> str:
        return self._file.pseudonym(token)

    async def start(self, site: Site) -> None:
        """What was kept counts again; site: who is told of what is to be forgotten."""
        self._site = site
        if self._folder is not None and (reason := self._taken(self._folder)):
            remedy = "give each gateway a state_directory of its own, which exists and which it may read and write"
            log.warning("habits_not_kept", folder=str(self._folder), reason=reason, remedy=remedy)
            self._file = HabitsFile(None, log)
        if self.learning.days <= 0:
            await self._done(lambda: self._file.forget([]))
            return
        self.learning.recall(self._file.read())
        self._task = asyncio.create_task(rounds(self._look, WRITE_S, log, "habits_look_failed"))

    def _taken(self, folder: Path) -> str:
        """Makes the folder ours until the end; why that cannot be, empty if it is."""
        try:
            return "" if self._open.enter_context(alone(folder)) else "another process uses it"
        except OSError as error:
            return str(error)

    async def stop(self) -> None:
        """What was learnt is on the disk."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait([self._task])
            await self._keep()
        await asyncio.to_thread(self._thread.shutdown)
        self._open.close()

    def view(self) -> dict[str, Any]:
        """What was learnt, as /api/v1/habits shows it."""
        return habits_view(self.learning.visits, self.learning.days, self._file.place).as_json()

    async def forget(self, evse: str | None, id_token: str | None) -> dict[str, Any]:
        """Forgets what was learnt at this EVSE, of this card, or all; how many visits that were.

        It is gone from the disk when this returns, else LocalControllerError.
        """
        before = len(self.learning.visits)
        if self._site is not None:
            self._site.habits_forgotten(evse, id_token)
        if not await self._done(lambda: self._file.forget(self.learning.visits)):
            raise LocalControllerError(f"forgotten, but {self._file.place} is as it was ({self._broken}): remove it")
        return {"forgotten": before - len(self.learning.visits), "left": len(self.learning.visits)}

    async def _look(self) -> None:
        self.learning.grow_old(self._clock.now())
        await self._keep()

    async def _keep(self) -> None:
        if self._written != self.learning.revision:
            revision, visits = self.learning.revision, self.learning.visits
            if await self._done(lambda: self._file.write(visits)):
                self._written = revision

    async def _done(self, work: Callable[[], None]) -> bool:
        """Disks may be slow: the site goes on meanwhile. Whether it worked; the same trouble is told once."""
        async with self._writing:
            try:
                await asyncio.get_running_loop().run_in_executor(self._thread, work)
            except OSError as error:
                if self._broken != str(error):
                    log.error("habits_not_written", file=self._file.place, reason=str(error), remedy=_REMEDY)  # noqa: TRY400 - the reason says it all
                self._broken = str(error)
                return False
            self._broken = ""
            return True
