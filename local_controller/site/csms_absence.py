"""Is a CSMS away from a site as a whole, and what must people hear of it? Once that it is gone, once that all is made up for.

Each station has a way to the CSMS of its own. One of them that is interrupted is that station's trouble; the CSMS is away when
none of them leads there. Then one notice is enough, however many stations there are (LC-037).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import tzinfo
from typing import Final, Protocol

from local_controller.clock import Instant
from local_controller.site.effects import Notice
from local_controller.site.spoken import capital, lasting, many, moment

TOLD_AFTER_S: Final = 60.0
"""So long it is away before people hear of it. Many a CSMS closes its connections now and then, and is there when it is dialled the first
or second time; that is 5 to 45 s later with the defaults of `outage`. It is also what a station calls an outage (OfflineThreshold)."""

SETTLED_S: Final = 300.0
"""So long after its return people hear of it at the latest, also if some stations cannot reach it yet, or messages still wait."""


class Way(Protocol):
    """How the way of a connected station to its CSMS stands."""

    @property
    def is_there(self) -> bool:
        """Whether the CSMS is at its end."""

    @property
    def since_s(self) -> float:
        """Since when, in monotonic seconds."""

    @property
    def waiting(self) -> int:
        """Messages that the CSMS has yet to get."""


Ways = Mapping[str, Way]
"""Of the connected stations, by identity."""


class CsmsAbsence:
    """One CSMS. since: when it went away; None while it is there, or nothing is known to the contrary."""

    def __init__(self, name: str, stations: Sequence[str], zone: tzinfo, told_after_s: float = TOLD_AFTER_S) -> None:
        """name: as it stands in a sentence. stations: those that belong to it. zone: that of the site."""
        self.name = name
        self.stations = tuple(stations)
        self.since: Instant | None = None
        self._zone = zone
        self._told_after_s = told_after_s
        self._back: Instant | None = None
        self._is_told = False
        self._delivered_before = 0

    def of(self, ways: Ways) -> dict[str, Way]:
        """Those of its stations that are connected."""
        return {identity: ways[identity] for identity in self.stations if identity in ways}

    def look(self, ways: Ways, delivered: int, now: Instant) -> list[Notice]:
        """What is news. delivered: how many messages it has got later, ever. While no station is connected nobody knows anything."""
        own = self.of(ways).values()
        if not own:
            return []
        if any(way.is_there for way in own):
            return self._returned([*own], delivered, now)
        self._back = None
        if self.since is None:
            self.since = now.after(max(way.since_s for way in own) - now.monotonic_s)
            self._delivered_before = delivered
        if self._is_told or now.since(self.since) < self._told_after_s:
            return []
        self._is_told = True
        return [Notice("warning", "csms_is_away", self._gone(len(own), now), {"csms": self.name})]

    def _gone(self, served: int, now: Instant) -> str:
        assert self.since is not None  # noqa: S101 - else nothing is told
        since = moment(self.since, self._zone, now)
        serves = f"{served} of {many(len(self.stations), 'station')} {'is' if served == 1 else 'are'} served on"
        return f"{capital(self.name)} has been away since {since}: {serves}; what it must hear is kept until it is back"

    def _returned(self, own: Sequence[Way], delivered: int, now: Instant) -> list[Notice]:
        if self.since is None:
            return []
        self._back = back = self._back or now
        waiting, away = sum(way.waiting for way in own), sum(not way.is_there for way in own)
        if (waiting or away) and now.since(back) < SETTLED_S:
            return []
        text = f"{capital(self.name)} is back after {lasting(back.since(self.since))}: {self._made_up(delivered, waiting, away)}"
        was_told, self.since, self._back, self._is_told = self._is_told, None, None, False
        return [Notice("info", "csms_is_back", text, {"csms": self.name})] if was_told else []

    def _made_up(self, delivered: int, waiting: int, away: int) -> str:
        """What it has heard since, and what is left."""
        count = delivered - self._delivered_before
        told = [f"{many(count, 'message')} {'was' if count == 1 else 'were'} delivered"]
        if waiting:
            told.append(f"{waiting} still {'waits' if waiting == 1 else 'wait'}")
        if away:
            told.append(f"{many(away, 'station')} cannot reach it yet")
        return ", ".join(told)
