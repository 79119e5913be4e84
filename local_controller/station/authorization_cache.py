"""What has one CSMS said of identifiers to its stations of this site? (C10, 1.6 §3.5.1; docs/decisions/0033-authorization-memory.md)"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Final

from local_controller.station.authorization_word import Word

MOST: Final = 4096
"""So many words are kept, one for each identifier and station that it was heard at."""

_KEPT_WHEN_FULL: Final = MOST * 15 // 16

OfStations = dict[str, Word]


class AuthorizationCache:
    """words: by the name of an identifier (`Seal.name`) those said to each station; who was heard of last is at the end.

    cleared: when a station was told to clear its cache. revision: rises with each change.
    """

    def __init__(self) -> None:
        """Nobody is known."""
        self.words: dict[str, OfStations] = {}
        self.cleared: dict[str, datetime] = {}
        self.revision = 0
        self._size = 0

    def resume(self, words: Mapping[str, OfStations], cleared: Mapping[str, datetime]) -> None:
        """What an earlier run has kept, before anything is learnt."""
        self.words = {name: dict(said) for name, said in words.items()}
        self.cleared = dict(cleared)
        self._size = sum(map(len, self.words.values()))
        self._make_room()

    def learn(self, name: str, station: str, heard: Word) -> None:
        """The CSMS has answered so to this station."""
        of_stations = self.words.pop(name, {})
        self._size += station not in of_stations
        of_stations[station] = heard
        self.words[name] = of_stations
        self.revision += 1
        self._make_room()

    def word(self, name: str, station: str, now: datetime, lifetime: timedelta | None) -> Word | None:
        """What was said to this station, else the latest of what was said to others unless that is about their place."""
        known = {at: one for at, one in self.words.get(name, {}).items() if not one.is_too_old(now, lifetime)}
        if (own := known.get(station)) is not None:
            return own
        since = self.cleared.get(station)
        others = [
            (one.heard, one)
            for one in known.values()
            if one.heard is not None and not one.said.is_of_a_place and (since is None or one.heard > since)
        ]
        return max(others, key=lambda pair: pair[0])[1] if others else None

    def clear(self, station: str, now: datetime) -> None:
        """What this station was told is forgotten, and what others were told until now does not count here (C11)."""
        for name in list(self.words):
            self.unlearn(name, station)
        self.cleared[station] = now
        self.revision += 1

    def unlearn(self, name: str, station: str) -> None:
        """What this station was told of one identifier is forgotten."""
        if self.words.get(name, {}).pop(station, None) is not None:
            self._size -= 1
            self.revision += 1
            if not self.words[name]:
                del self.words[name]

    def forget(self, digest: str) -> None:
        """Nothing is known any more of the identifiers with this digest, whatever their type."""
        for name in [one for one in self.words if one.endswith(f":{digest}")]:
            self._drop(name)
            self.revision += 1

    def young(self, now: datetime, lifetime: timedelta | None) -> dict[str, OfStations]:
        """The words that are not too old."""
        left = {
            name: {at: one for at, one in said.items() if not one.is_too_old(now, lifetime)}
            for name, said in self.words.items()
        }
        return {name: said for name, said in left.items() if said}

    def _make_room(self) -> None:
        """Those go first of whom nothing but refusals is known, then who was heard of longest ago (C10.FR.07)."""
        if self._size <= MOST:
            return
        for name in sorted(self.words, key=self._is_welcome):  # stable: within each the oldest first
            if self._size <= _KEPT_WHEN_FULL:
                break
            self._drop(name)

    def _is_welcome(self, name: str) -> bool:
        return any(one.said.is_accepted for one in self.words[name].values())

    def _drop(self, name: str) -> None:
        self._size -= len(self.words.pop(name))
