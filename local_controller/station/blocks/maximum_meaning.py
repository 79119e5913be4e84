"""What is the maximum of this station for: each of its EVSEs, or their sum? When samples tell, and what follows (LC-117).

A wrong sum would let a car that comes draw what its neighbour is told, for as long as it takes to lower that: it needs proof
at two maxima, and one contrary proof ends it for good. Each is what counts anyhow.
"""

from __future__ import annotations

from local_controller.clock import Instant
from local_controller.profiles.units import RateUnit
from local_controller.station.block import BlockEffect
from local_controller.station.blocks.obedience import LEAST_SETTLE_S
from local_controller.station.blocks.push import Push
from local_controller.station.effects import Note
from local_controller.station.knowledge import Actuator
from local_controller.station.state import StationState


class MaximumMeaning:
    """Follows the maxima of ours that one station takes in amperes; watts say nothing of a phase."""

    def __init__(self, state: StationState) -> None:
        """What samples say is kept in `state`."""
        self._state = state

    def sent(self, push: Push) -> None:
        """It is on its way to the station."""
        if push.rung.actuator is Actuator.STATION_MAX:
            self._state.shared_maximum.changes(push.limit_a)

    def taken(self, push: Push, now: Instant) -> None:
        """The station said yes. One that changes by itself proves nothing."""
        if push.rung.actuator is not Actuator.STATION_MAX or push.rung.unit is not RateUnit.A:
            return
        working = push.target.working
        if working is None or len(working.steps) > 2:
            return
        from_s = now.monotonic_s + max(self._state.capability.settle_s, LEAST_SETTLE_S)
        lasts_s = (working.steps[-1][0] - self._state.station_time(now)).total_seconds()
        self._state.shared_maximum.told(push.limit_a, from_s, now.monotonic_s + lasts_s)

    def judge(self, now: Instant) -> list[BlockEffect]:
        """Believes what is proven; people are told where a record or the site file says otherwise."""
        meaning, self._state.shared_maximum.meaning = self._state.shared_maximum.meaning, None
        if meaning is None:
            return []
        before = self._state.capability
        self._state.capability = known = before.applying_maximum(meaning, now.utc)
        if known.station_max == meaning:
            return [] if known is before else [Note("info", "station_maximum_is_for", {"what": meaning})]
        is_against_us = before.is_told("station_max") and known.station_max == "sum"
        fields = {"told": str(known.belief("station_max").origin), "measured": meaning}
        return [Note("warning", "station_maximum_is_for_each", fields)] if is_against_us else []
