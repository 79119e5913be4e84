"""How is a target told to a station in a certain way, and what does it come to there?"""

from __future__ import annotations

from datetime import datetime
from typing import Any

from local_controller.station.blocks import car_schedules
from local_controller.station.blocks.actuator import Target, own_profile, told_limit_a
from local_controller.station.blocks.vendor_setting import setting_a, written_setting
from local_controller.station.capability import Rung
from local_controller.station.dialects.base import Dialect, OwnProfile
from local_controller.station.knowledge import Actuator, FloorPlace
from local_controller.station.state import StationState


class LimitCall:
    """The CALLs of one station, in its version's words."""

    def __init__(self, state: StationState, dialect: Dialect) -> None:
        """What the station can be told is in its state."""
        self._state = state
        self._dialect = dialect

    def profile(self, target: Target, rung: Rung, at: datetime) -> OwnProfile | None:
        """The charging profile; None for a setting of the maker."""
        if rung.actuator is Actuator.VENDOR_KEY:
            return None
        capability = car_schedules.within(self._state.capability, self._state.transactions.get(target.evse))
        return own_profile(target, rung, capability, at)

    def message(
        self, target: Target, rung: Rung, at: datetime, profile: OwnProfile | None
    ) -> tuple[str, dict[str, Any]]:
        """Action and payload that tell it."""
        evse = target.evse if rung.place is FloorPlace.EVSE else 0
        if profile is not None:
            return "SetChargingProfile", self._dialect.set_profile(evse, profile)
        capability = self._state.capability
        key, name, value = written_setting(capability, evse, setting_a(target, capability, at))
        return self._dialect.setting_action, self._dialect.change_setting(name, value, key.component, evse)

    def told_a(self, target: Target, rung: Rung, at: datetime) -> float:
        """What a phase may carry because of it, rounded to what the station can be set to."""
        capability = self._state.capability
        is_key = rung.actuator is Actuator.VENDOR_KEY
        return setting_a(target, capability, at) if is_key else told_limit_a(target, rung, capability)
