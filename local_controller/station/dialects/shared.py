"""Which payloads are the same in every version?"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any, Final, TypeVar

from local_controller.profiles.profile import Kind
from local_controller.profiles.units import round_down
from local_controller.station.dialects.base import OwnProfile, Payload, ReadBounds
from local_controller.station.dialects.reading import Fields, timestamp
from local_controller.station.words import RegistrationStatus

LIMIT_STEP = 0.1
"""1.6 demands a multiple of 0.1 (A and W alike); 2.x has the same step for the sake of the stations."""

_Item = TypeVar("_Item")

ENVELOPE: Final = 64
"""Bytes of a message of ours besides its payload: an id of 36 at most, the action, brackets and commas."""

LONGEST_NAME = 255
"""Characters of a product's names that are kept, five times what OCPP allows; a peer may send 8 MiB."""


def read_name(fields: Fields, name: str) -> str:
    """What a station says of its product; "" if nothing, the beginning of what is too long."""
    return (fields.text(name) or "")[:LONGEST_NAME]


def read_boot_status(answer: Payload) -> RegistrationStatus:
    """The verdict in the answer to BootNotification."""
    return Fields("BootNotification", answer).need_one_of("status", RegistrationStatus)


def read_current_time(answer: Payload) -> datetime | None:
    """The CSMS's clock in the answer to BootNotification or Heartbeat."""
    return Fields("answer", answer).moment("currentTime")


def write_profile(own: OwnProfile, id_name: str, schedule: Any) -> Payload:
    """An own profile without its transaction."""
    profile = {
        id_name: own.id,
        "stackLevel": own.stack_level,
        "chargingProfilePurpose": own.purpose.value,
        "chargingProfileKind": own.kind.value,
        "chargingSchedule": schedule,
    }
    if own.valid_to is not None:
        profile["validTo"] = timestamp(own.valid_to)
    if own.offline_s is not None:
        profile |= {"maxOfflineDuration": own.offline_s, "invalidAfterOfflineDuration": True}
    return profile


def in_parts(items: Sequence[_Item], asked: Callable[[Sequence[_Item]], Payload], bounds: ReadBounds) -> list[Payload]:
    """Requests for these items, in order; each has at least one, however small the bounds are (LC-127)."""
    parts: list[list[_Item]] = []
    for item in items:
        if not parts or not _fits(parts[-1], item, asked, bounds):
            parts.append([])
        parts[-1].append(item)
    return [asked(part) for part in parts]


def _fits(part: Sequence[_Item], item: _Item, asked: Callable[[Sequence[_Item]], Payload], bounds: ReadBounds) -> bool:
    if bounds.items is not None and len(part) >= bounds.items:
        return False
    return bounds.size is None or len(json.dumps(asked([*part, item]))) + ENVELOPE <= bounds.size


def write_schedule(own: OwnProfile, phase_to_use: int | None = None) -> Payload:
    """The schedule of an own profile; limits are rounded down to one decimal. phase_to_use: of periods on one phase (2.x)."""
    begin = {} if own.kind is Kind.RELATIVE else {"startSchedule": timestamp(own.start)}
    schedule: Payload = begin | {
        "chargingRateUnit": own.unit.value,
        "chargingSchedulePeriod": [
            {"startPeriod": start_s, "limit": round_down(limit, LIMIT_STEP)} for start_s, limit in own.periods
        ],
    }
    for period, phases in zip(schedule["chargingSchedulePeriod"], own.phases, strict=False):
        if phases is not None:
            period["numberPhases"] = phases
            if phases == 1 and phase_to_use is not None:  # K01.FR.19
                period["phaseToUse"] = phase_to_use
    if own.duration_s is not None:
        schedule["duration"] = own.duration_s
    return schedule
