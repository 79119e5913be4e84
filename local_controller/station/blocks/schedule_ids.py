"""Which schedule does a station name that tells of one of ours? The CSMS's, which ours is worked out from (LC-098).

In 2.x a schedule has an id of its own, and ours bears that of its profile. A car says which schedule it has chosen
(K15.FR.14), and a station tells with which schedule it is limited (K11).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from local_controller.profiles.profile import Purpose
from local_controller.rpc.frame import Frame
from local_controller.station.block import BlockEffect, Forward
from local_controller.station.blocks.actuator import OWN_IDS
from local_controller.station.blocks.virtual_store import VirtualStore
from local_controller.station.dialects.reading import whole_number
from local_controller.station.effects import Peer

TELL_OF_SCHEDULES: Final = frozenset({"NotifyEVChargingSchedule", "NotifyChargingLimit"})

NONE_OF_THE_CSMS: Final = 0
"""What a schedule is called that must bear an id, while the CSMS has given none."""

_SELECTED, _SCHEDULE = "selectedChargingScheduleId", "chargingSchedule"


def shown_schedules(frame: Frame, store: VirtualStore) -> list[BlockEffect] | None:
    """The message as the CSMS is to see it; None: as it is."""
    payload, shown = frame.payload, dict(frame.payload)
    csms_id = _leading(store, whole_number(payload.get("evseId")) or 0)
    if _is_ours(payload.get(_SELECTED)):
        shown |= {_SELECTED: csms_id}
        if csms_id is None:
            del shown[_SELECTED]
    if _SCHEDULE in payload:
        shown[_SCHEDULE] = _renamed(payload[_SCHEDULE], NONE_OF_THE_CSMS if csms_id is None else csms_id)
    return None if shown == payload else [Forward(Peer.STATION, frame, shown)]


def _renamed(schedules: Any, csms_id: int) -> Any:
    if isinstance(schedules, list):
        return [_renamed(one, csms_id) for one in schedules]
    if isinstance(schedules, Mapping) and _is_ours(schedules.get("id")):
        return {**schedules, "id": csms_id}
    return schedules


def _is_ours(schedule_id: Any) -> bool:
    return whole_number(schedule_id) in OWN_IDS


def _leading(store: VirtualStore, evse: int) -> int | None:
    """The schedule of the CSMS's profile that leads there: that of the transaction, else of those for all of them."""
    found = [
        (profile.purpose is Purpose.TX_PROFILE, profile.stack_level, profile.schedules[0].id)
        for place, profile in store.virtual()
        if place in {0, evse} and profile.purpose in {Purpose.TX_PROFILE, Purpose.TX_DEFAULT_PROFILE}
    ]
    return max(found, key=lambda one: one[:2])[2] if found else None
