"""Where is it kept over a restart what the building usually draws? In the state directory, as JSON that people can read."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Final

import msgspec
import structlog

from local_controller.adapters.rounds import rounds
from local_controller.adapters.whole_file import write_whole
from local_controller.site.load_history import LoadHistory, Slot

NAME: Final = "base_load.json"

EVERY_S: Final = 3600.0
"""It is written so often, and at the end: memory cards wear out, and an hour more or less of two weeks is no loss."""

log = structlog.get_logger(__name__)

_decoder: Final = msgspec.json.Decoder(dict[str, dict[int, list[float]]])


class LoadHistoryFile:
    """The history of one site and its file."""

    def __init__(self, history: LoadHistory, directory: Path) -> None:
        self._history = history
        self._path = directory / NAME
        self._written = history.revision
        self._task: asyncio.Task[None] | None = None

    def restore(self) -> None:
        """What an earlier run has learnt. A file that cannot be read is none: it is learnt anew."""
        try:
            kept = _decoder.decode(self._path.read_bytes())
        except FileNotFoundError:
            return
        except (OSError, msgspec.DecodeError, UnicodeDecodeError) as error:
            log.warning("base_load_forgotten", file=str(self._path), reason=str(error), text="it is learnt anew")
            return
        slots: dict[Slot, list[float]] = {
            (kind, quarter): means_w for kind, quarters in kept.items() for quarter, means_w in quarters.items()
        }
        self._history.restore(slots)

    async def start(self) -> None:
        """Begin to keep it."""
        self._task = asyncio.create_task(rounds(self._keep, EVERY_S, log, "base_load_not_kept"))

    async def stop(self) -> None:
        """The last is on the disk, if it can be written."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait([self._task])
        try:
            await self._keep()
        except OSError as error:
            log.warning("base_load_not_kept", file=str(self._path), reason=str(error), text="it is learnt anew")

    async def _keep(self) -> None:
        revision = self._history.revision
        if self._written == revision:
            return
        kept: dict[str, dict[int, list[float]]] = {}
        for (kind, quarter), means_w in sorted(self._history.means_w.items()):
            kept.setdefault(kind, {})[quarter] = means_w
        await asyncio.to_thread(write_whole, self._path, msgspec.json.encode(kept))
        self._written = revision
