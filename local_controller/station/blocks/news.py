"""What must the site know about a station's profiles that it was not told yet?"""

from __future__ import annotations

from collections.abc import Sequence

from local_controller.clock import Instant
from local_controller.profiles.schedule import Schedule
from local_controller.station.block import BlockEffect
from local_controller.station.blocks.actuator import FORESIGHT
from local_controller.station.blocks.wanted import csms_limit
from local_controller.station.effects import CsmsLimitChanged, Tell
from local_controller.station.state import StationState
from local_controller.station.words import UnitLearnt


class News:
    """The unit in use, and what the CSMS allows within the next day; each is told when it changes."""

    def __init__(self, state: StationState, evses: Sequence[int]) -> None:
        """Nothing is told yet."""
        self._state = state
        self._evses = evses
        self._told: dict[int, Schedule] = {}
        self._told_unit: str | None = None

    def forget(self) -> None:
        """What the CSMS allows is told again, whether or not it has changed."""
        self._told.clear()

    def latest(self, now: Instant) -> list[BlockEffect]:
        """What has changed."""
        effects: list[BlockEffect] = []
        unit = self._state.capability.unit_in_use
        if unit is not None and unit != self._told_unit:
            self._told_unit = unit
            effects.append(Tell(UnitLearnt(unit.value)))
        start = self._state.station_time(now)
        end = start + FORESIGHT
        for evse in self._evses:
            schedule = csms_limit(self._state, self._state.store.installed, evse, start, end)
            told = self._told.get(evse)
            if told is None or told.clipped(start, end) != schedule.clipped(start, end):
                self._told[evse] = schedule
                effects.append(Tell(CsmsLimitChanged(evse, self._in_our_time(schedule))))
        return effects

    def _in_our_time(self, schedule: Schedule) -> Schedule:
        return Schedule(tuple((self._state.to_our_time(moment), limit_a) for moment, limit_a in schedule.steps))
