"""Whose is the station's maximum? The CSMS's, until the station has taken one of ours in its place (LC-102)."""

from __future__ import annotations

from local_controller.profiles.profile import Purpose
from local_controller.station.blocks.push import Push
from local_controller.station.capability import Rung
from local_controller.station.knowledge import Actuator
from local_controller.station.state import StationState


class OwnMaximum:
    """The maximum of one station, over the time of one connection."""

    def __init__(self, state: StationState) -> None:
        """Ours since an earlier connection, unless the CSMS's are still to be cleared."""
        self._state = state
        owns = Purpose.CHARGING_STATION_MAX_PROFILE in state.store.owned_purposes
        self.is_ours = owns and state.outdated.isdisjoint(state.store.maxima())
        self._superseded: tuple[int, ...] = ()

    def tried(self, rung: Rung) -> bool:
        """One of ours is about to be told this way; whether that is news, so that the CSMS's count in it from now on.

        Those in the station are outdated until it has taken ours, or refused it.
        """
        if rung.actuator is not Actuator.STATION_MAX:
            return False
        if Purpose.CHARGING_STATION_MAX_PROFILE not in self._state.store.passed:
            return False
        self._state.outdated = self._state.outdated.union(self._state.store.maxima())
        self._state.store = self._state.store.owning_maximum(owns=True)
        return True

    def is_tried_by(self, push: Push) -> bool:
        """Whether this tells the station its first one of ours."""
        return push.rung.actuator is Actuator.STATION_MAX and not self.is_ours

    def taken(self, push: Push) -> None:
        """The station has taken it: what it holds of the CSMS's must not win over it. From now on we own the purpose."""
        if self.is_tried_by(push):
            self.is_ours, self._superseded = True, self._state.store.maxima()

    def refused(self, push: Push) -> None:
        """The trial failed, and the station holds none of ours: the purpose is the CSMS's as before."""
        if self.is_tried_by(push):
            self._state.store = self._state.store.owning_maximum(owns=False)
            self._state.outdated = self._state.outdated.difference(self._state.store.maxima())

    def superseded(self) -> tuple[int, ...]:
        """The CSMS's maxima that are to be cleared in the station, since ours is in force; told once."""
        done, self._superseded = self._superseded, ()
        return done
