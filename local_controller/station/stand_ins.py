"""Under which id does the station know a profile of the CSMS that bears one of ours? (LC-098)

An id from our own block never goes to the station as the CSMS wrote it, where it could replace a profile of ours: a
stand-in from the upper half of the block goes in its place, and the CSMS sees its own id wherever it looks.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final

from local_controller.station.blocks.actuator import OWN_IDS

STAND_INS: Final = range(OWN_IDS.start + len(OWN_IDS) // 2, OWN_IDS.stop)
"""Ids that only stand in for others; ours are below, so that a station of 900 EVSEs has room."""

MOST_STAND_INS: Final = 128
"""Twice as many as profiles are kept; then the oldest ones are forgotten."""


@dataclass(slots=True)
class StandIns:
    """The stand-ins of one station, by the id that the CSMS uses."""

    _by_csms_id: dict[int, int] = field(default_factory=dict)

    @property
    def given(self) -> Mapping[int, int]:
        """All of them."""
        return self._by_csms_id

    def for_station(self, csms_id: int) -> int:
        """The id under which this profile is written; the same each time, and its own if it is none of our block."""
        if csms_id not in OWN_IDS:
            return csms_id
        if csms_id not in self._by_csms_id:
            while len(self._by_csms_id) >= MOST_STAND_INS:
                del self._by_csms_id[next(iter(self._by_csms_id))]
            self._by_csms_id[csms_id] = self._free(csms_id)
        return self._by_csms_id[csms_id]

    def known(self, csms_id: int) -> int | None:
        """The id under which the station may know this profile; None if it cannot know it."""
        return self._by_csms_id.get(csms_id) if csms_id in OWN_IDS else csms_id

    def known_of(self, csms_ids: Iterable[int]) -> list[int]:
        """Those ids under which the station may know any of these profiles."""
        return [station_id for csms_id in csms_ids if (station_id := self.known(csms_id)) is not None]

    def for_csms(self, station_id: int) -> int | None:
        """The id that the CSMS gave a profile of the station; None: it is one of ours, and not to be shown.

        A stand-in that was given out before a restart is recognised, since the lower half keeps its order in the upper.
        """
        if station_id not in OWN_IDS:
            return station_id
        if station_id not in STAND_INS:
            return None
        found = (csms_id for csms_id, stand_in in self._by_csms_id.items() if stand_in == station_id)
        return next(found, station_id - len(STAND_INS))

    def _free(self, csms_id: int) -> int:
        taken = set(self._by_csms_id.values())
        first = (csms_id - OWN_IDS.start) % len(STAND_INS)
        places = (STAND_INS[(first + step) % len(STAND_INS)] for step in range(len(STAND_INS)))
        return next(place for place in places if place not in taken)
