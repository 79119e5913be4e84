"""What do we know about one running transaction?"""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple

from local_controller.clock import Instant
from local_controller.station.at_floor import AtFloor
from local_controller.station.dialects.base import EventType, TransactionEvent
from local_controller.station.words import ChargingState


@dataclass(frozen=True, slots=True)
class CarNeeds:
    """NotifyEVChargingNeeds, as far as it is about schedules (K15 to K20).

    told_s: when it came, in monotonic seconds. max_periods: how many a schedule may have for this car. is_dynamic: it takes
    each new limit as it comes, where others negotiate their whole schedule anew. is_answered: the CSMS has said that no
    schedule will come, or it has come.
    """

    told_s: float
    max_periods: int | None = None
    is_dynamic: bool = False
    is_answered: bool = False


class EarlierTransaction(NamedTuple):
    """One that ran when an earlier run of the gateway ended. started: in the station's clock."""

    transaction_id: str
    started: datetime


@dataclass(slots=True)
class Transaction:
    """A running transaction of an EVSE.

    phases_in_use: phases with at least 1 A in the latest sample that showed any current; None if none did yet.
    soc_percent: state of charge in the latest sample that showed one. has_priority: PriorityCharging is activated (K21, K22).
    needs: what its car said of schedules, if it speaks ISO 15118. written_s: when its EVSE was last written to, since its car told its needs (monotonic).
    sampled: when the latest usable sample of its EVSE came; None if none did yet.
    is_found: it was running already when we heard of it, so that an earlier run may have told it a limit.
    read_s: when a message with samples of its EVSE was read last, in monotonic seconds (blocks/unread.py).
    at_floor: what its samples say of a limit well above the floor, while one is in force.
    """

    evse: int
    transaction_id: str
    started: Instant
    id_token: str | None = None
    remote_start_id: int | None = None
    charging_state: ChargingState | None = None
    phases_in_use: int | None = None
    sampled: Instant | None = None
    soc_percent: float | None = None
    has_priority: bool = False
    needs: CarNeeds | None = None
    written_s: float = -math.inf
    read_s: float = -math.inf
    is_found: bool = False
    at_floor: AtFloor | None = None

    def goes_on(self, event: TransactionEvent) -> bool:
        """Whether all that is said is that it goes on as it is, as most messages of its EVSE do."""
        return (
            event.transaction_id == self.transaction_id
            and event.type is not EventType.ENDED
            and (event.charging_state is None or event.charging_state is self.charging_state)
            and event.id_token is None
            and event.remote_start_id is None
        )
