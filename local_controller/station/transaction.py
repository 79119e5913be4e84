"""What do we know about one running transaction?"""

from __future__ import annotations

import math
from dataclasses import dataclass

from local_controller.clock import Instant
from local_controller.station.words import ChargingState


@dataclass(slots=True)
class Transaction:
    """A running transaction of an EVSE.

    phases_in_use: phases with at least 1 A in the latest sample that showed any current; None if none did yet.
    sampled: when the latest usable sample of its EVSE came; None if none did yet.
    read_s: when a message with samples of its EVSE was read last, in monotonic seconds (blocks/metering.py).
    """

    evse: int
    transaction_id: str
    started: Instant
    id_token: str | None = None
    remote_start_id: int | None = None
    charging_state: ChargingState | None = None
    phases_in_use: int | None = None
    sampled: Instant | None = None
    read_s: float = -math.inf
