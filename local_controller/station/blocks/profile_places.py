"""How many charging profiles may the CSMS have in this station, and what does it read about that? (LC-099)

Of the places that a station says it has, ours are taken away, and one more that always stays free: stations that look for
a free place before they replace a profile would refuse our next limit. What the CSMS reads anywhere is what it gets.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Final

from local_controller.profiles.rules import Reason, Verdict
from local_controller.station.blocks.virtual_store import MOST_PROFILES
from local_controller.station.dialects.base import Payload, ProfileSet
from local_controller.station.dialects.stated import stated_integer
from local_controller.station.shown_values import ENTRIES_VARIABLE, Setting, key, variable
from local_controller.station.state import StationState

OWN_PER_EVSE: Final = 2
"""Our floor, and the working limit of a transaction."""

ALWAYS_FREE: Final = 1

PLACES_KEY: Final = key("MaxChargingProfilesInstalled")
ENTRIES: Final = variable(ENTRIES_VARIABLE)
"""1.6 names the maximum; in 2.x the actual value is how many there are, and the characteristics have the maximum."""


class ProfilePlaces:
    """The places of one station."""

    def __init__(self, state: StationState, evses: Sequence[int]) -> None:
        """`state` keeps what the station says."""
        self._state = state
        self._own = OWN_PER_EVSE * len(evses)

    def shown(self, real: int) -> int:
        """So many of so many does the CSMS have; at least one, which the virtual store needs no place for."""
        return max(1, real - self._own - ALWAYS_FREE)

    @property
    def most(self) -> int:
        """How many profiles of the CSMS are kept; a station that names no bound has ours."""
        real = self._state.places
        return MOST_PROFILES if real is None else min(MOST_PROFILES, self.shown(real))

    def objection(self, wanted: ProfileSet) -> Verdict | None:
        """Why a profile that would pass has no place in the station."""
        after, real = self._state.store.recorded(wanted, self._state.version), self._state.places
        if real is None or (len(after.installed) <= self.most and len(after.real) <= real - self._own - ALWAYS_FREE):
            return None
        return Verdict(Reason.OUT_OF_STORAGE, f"all {self.most} places are taken")

    # --- what the CSMS reads -------------------------------------------------------------------------------------

    def value(self, setting: Setting, value: Any) -> Any:
        """What the CSMS is to see in place of this value; the very same where nothing is to be changed."""
        if setting == PLACES_KEY and (real := stated_integer(value)) is not None:
            self._state.places = real
            return str(self.shown(real))
        if setting == ENTRIES and stated_integer(value) is not None:
            return str(len(self._state.store.installed))
        return value

    def characteristics(self, setting: Setting, given: Payload) -> Payload:
        """The same for the bounds that a report names (2.x)."""
        real = stated_integer(given.get("maxLimit")) if setting == ENTRIES else None
        if real is None:
            return given
        self._state.places = real
        self._state.capability = replace(self._state.capability, places=real)
        return {**given, "maxLimit": self.shown(real)}
