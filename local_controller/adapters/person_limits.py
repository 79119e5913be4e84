"""Where do limits go that a person sets, and what becomes of them over a restart? To the site, and to the state directory.

With a state directory a limit goes on after a restart until its end, by the clock on the wall, but never for longer than it was
meant for. Without one a restart ends it; whoever sets it is told.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final, Protocol

import msgspec
import structlog

from local_controller.adapters.whole_file import write_whole
from local_controller.clock import Clock
from local_controller.errors import LocalControllerError
from local_controller.site.effects import Notice
from local_controller.site.limits import Bound
from local_controller.site.per_phase import PerPhase
from local_controller.site.person_limit import LONGEST_S, PersonLimit, Told

NAME: Final = "person_limits.json"

log = structlog.get_logger(__name__)


class Site(Protocol):
    """Who is told."""

    def limit_told(self, limit: str, told: Told | None) -> None:
        """A person sets a limit, or ends it (None)."""

    def tell(self, notice: Notice) -> None:
        """People must know this."""


class _Kept(msgspec.Struct, forbid_unknown_fields=True):
    """One limit on the disk; until_s: seconds since 1970."""

    limit_a: PerPhase | None
    power_w: float | None
    until_s: float
    for_s: float
    reason: str


class PersonLimits:
    """limits: those that the site file has, by their ids."""

    def __init__(self, limits: Mapping[str, PersonLimit], site: Site, clock: Clock, directory: Path | None) -> None:
        self._limits = limits
        self._site = site
        self._clock = clock
        self._path = None if directory is None else directory / NAME
        self._kept: dict[str, _Kept] = {}
        self._lost = ""
        self._writing = asyncio.Lock()

    def restore(self) -> None:
        """What has not ended since the last run counts again."""
        for name, kept in self._read().items():
            left_s = min(LONGEST_S, kept.for_s, kept.until_s - self._clock.now().utc.timestamp())
            if name in self._limits and left_s > 0:
                self._kept[name] = kept
                until = self._clock.now().after(left_s)
                self._site.limit_told(name, Told(Bound(kept.limit_a, kept.power_w), until, kept.reason))

    async def tell(self, name: str, bound: Bound | None, for_s: float, reason: str) -> dict[str, Any]:
        """A person sets a limit for so long, or ends it (None); what holds now. LocalControllerError where that cannot be.

        With the first answer comes what was lost at the start.
        """
        if name not in self._limits:
            known = ", ".join(self._limits) or "it has none: add one with source: person"
            raise LocalControllerError(f"the site file has no limit {name!r} that a person sets; {known}")
        now = self._clock.now()
        if bound is None:
            self._kept.pop(name, None)
            self._site.limit_told(name, None)
        else:
            if not 0 < for_s <= LONGEST_S:
                raise LocalControllerError(f"for {for_s:g} s: a limit holds for 1 s to {LONGEST_S:.0f} s (7 days)")
            until = now.after(for_s)
            self._kept[name] = _Kept(bound.limit_a, bound.power_w, until.utc.timestamp(), for_s, reason)
            self._site.limit_told(name, Told(bound, until, reason))
        self._limits[name].lost = ""
        holds, lost, self._lost = self._limits[name].sentence(now), self._lost, ""
        return {"holds": holds, "lost": lost, "outlives_restart": await self._write()}

    def _read(self) -> dict[str, _Kept]:
        if self._path is None:
            return {}
        try:
            return msgspec.json.decode(self._path.read_bytes(), type=dict[str, _Kept])
        except FileNotFoundError:
            return {}
        except (OSError, msgspec.DecodeError, UnicodeDecodeError) as error:
            self._lose(f"{self._path} cannot be read ({error})")
            return {}

    def _lose(self, why: str) -> None:
        """Nobody knows which of them was set; each says so until a person speaks of it, and the first who does is told."""
        self._lost = f"{why}: what was set before the start is lost, set again what should hold"
        for limit in self._limits.values():
            limit.lost = "what was set before the start is lost, set it again if it should hold"
        self._site.tell(Notice("error", "person_limits_unreadable", self._lost))

    async def _write(self) -> bool:
        """Whether it is kept over a restart. Disks may be slow: the site goes on meanwhile."""
        if self._path is None:
            return False
        async with self._writing:
            text = msgspec.json.format(msgspec.json.encode(self._kept))
            try:
                await asyncio.to_thread(write_whole, self._path, text)
            except OSError as error:
                remedy = "let the gateway write there, or correct state_directory"
                log.warning("person_limits_not_written", file=str(self._path), reason=str(error), remedy=remedy)
                return False
        return True
