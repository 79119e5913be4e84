"""What do UpdateDynamicSchedule and PullDynamicScheduleUpdate say of a dynamic profile? (2.1 K28)"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any, Final

from local_controller.profiles.profile import ChargingProfile, SchedulePeriod
from local_controller.station.dialects.base import Payload
from local_controller.station.dialects.charging_profile import read_rate
from local_controller.station.dialects.reading import Fields, timestamp

UPDATE: Final = "UpdateDynamicSchedule"
PULL: Final = "PullDynamicScheduleUpdate"

_OF_ALL_PHASES: Final = ("limit", "dischargeLimit", "setpoint", "setpointReactive")


def updated_id(payload: Payload) -> int:
    """The profile that UpdateDynamicScheduleRequest or PullDynamicScheduleUpdateRequest is about."""
    return Fields(UPDATE, payload).need_integer("chargingProfileId")


def with_id(payload: Payload, profile_id: int) -> Payload:
    """Either request about another id."""
    return {**payload, "chargingProfileId": profile_id}


def update_in(payload: Payload) -> Fields | None:
    """The ChargingScheduleUpdateType in UpdateDynamicScheduleRequest or PullDynamicScheduleUpdateResponse."""
    return Fields(UPDATE, payload).child("scheduleUpdate")


def updated_profile(profile: ChargingProfile, update: Fields, at: datetime) -> ChargingProfile:
    """The dynamic profile after the update, whose watchdog starts anew (K28.FR.13)."""
    period = profile.schedules[0].periods[0]
    values = {
        name: read_rate(update, name) if name.startswith("limit") else update.number(name)
        for name in ("limit", "limit_L2", "limit_L3", "setpoint", "setpoint_L2", "setpoint_L3")
        if update.raw(name) is not None
    }
    return profile.updated(_with(period, values), at)


def _with(period: SchedulePeriod, values: Mapping[str, float | None]) -> SchedulePeriod:
    """A rate of all phases ends those of single ones."""
    changes: dict[str, Any] = {}
    for name in ("limit", "setpoint"):
        if name in values:
            changes |= {name: values[name], f"{name}_l2": None, f"{name}_l3": None}
    changes |= {name.lower(): value for name, value in values.items() if "_" in name}
    return replace(period, **changes)


def updated_original(original: Mapping[str, Any], update: Fields, at: datetime) -> Mapping[str, Any]:
    """The profile as the CSMS would read it back."""
    schedules = original["chargingSchedule"]
    schedule = schedules[0] if isinstance(schedules, list) else schedules
    periods = schedule["chargingSchedulePeriod"]
    period = periods[0] if isinstance(periods, list) else periods
    given = {name: value for name, value in update.data.items() if value is not None and name != "customData"}
    ended = {f"{name}_{phase}" for name in _OF_ALL_PHASES if name in given for phase in ("L2", "L3")}
    kept = {name: value for name, value in period.items() if name not in ended}
    new = {**schedule, "chargingSchedulePeriod": [kept | given]}
    return {**original, "chargingSchedule": [new], "dynUpdateTime": timestamp(at)}
