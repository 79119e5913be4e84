"""How is something kept over a restart that may be lost without harm? In a file that is written again and again, and at the end."""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from pathlib import Path
from typing import Generic, TypeVar

import msgspec
import structlog

from local_controller.adapters.rounds import rounds
from local_controller.adapters.whole_file import write_whole

log = structlog.get_logger(__name__)

T = TypeVar("T")


class KeptFile(ABC, Generic[T]):
    """JSON that people can read. what: how the events begin; without: what is done without it, for people."""

    def __init__(self, path: Path, kind: type[T], every_s: float, what: str, without: str) -> None:
        self._path = path
        self._decoder = msgspec.json.Decoder(kind)
        self._every_s = every_s
        self._forgotten, self._not_kept = f"{what}_forgotten", f"{what}_not_kept"
        self._without = without
        self._written = b""
        self._task: asyncio.Task[None] | None = None

    @abstractmethod
    def content(self) -> T | None:
        """What is to be kept now; None while there is nothing."""

    @abstractmethod
    def take(self, kept: T) -> None:
        """What an earlier run has kept counts again."""

    def restore(self) -> None:
        """What an earlier run has kept counts again. A file that cannot be read is none."""
        try:
            kept = self._decoder.decode(self._path.read_bytes())
        except FileNotFoundError:
            return
        except (OSError, msgspec.DecodeError, UnicodeDecodeError) as error:
            self.damaged(str(error))
            return
        self.take(kept)

    def damaged(self, reason: str) -> None:
        """What it is told that cannot be read."""
        log.warning(self._forgotten, file=str(self._path), reason=reason, text=self._without)

    async def start(self) -> None:
        """Begin to keep it."""
        self._task = asyncio.create_task(rounds(self._keep, self._every_s, log, self._not_kept))

    async def stop(self) -> None:
        """The last is on the disk, if it can be written."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait([self._task])
        try:
            await self._keep()
        except OSError as error:
            log.warning(self._not_kept, file=str(self._path), reason=str(error), text=self._without)

    async def _keep(self) -> None:
        content = self.content()
        text = b"" if content is None else msgspec.json.encode(content)
        if text != self._written:
            await asyncio.to_thread(write_whole, self._path, text)
            self._written = text
