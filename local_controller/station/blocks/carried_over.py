"""What is still true of an EVSE's limits on the next connection? A station keeps its profiles, so this is kept too."""

from __future__ import annotations

from dataclasses import dataclass

from local_controller.station.blocks.push import Push
from local_controller.station.blocks.wish import Wish
from local_controller.station.capability import Rung


@dataclass(slots=True)
class FloorTrial:
    """Another way that is tried because a car stays at the floor.

    before: the way that seemed to have no effect. is_open: it is not known yet whether the other one has.
    """

    transaction_id: str | None
    before: Rung
    other: Rung
    since_s: float
    is_open: bool = True


@dataclass(slots=True)
class CarriedOver:
    """What the site wants of one EVSE, and what was written for its transaction.

    fallback_a: its floor as the site last told it, so that no connection begins with an older one that may be higher.
    is_unsure: the transaction may obey what an earlier run has told it, or a limit for longer than it was meant, as a clock
    was set back; until it takes the next one.
    possible: TxProfiles of ours that the station may hold; while one runs, it beats every TxDefaultProfile.
    trial: the latest one because a car stayed at the floor.
    """

    fallback_a: float
    transaction_id: str | None = None
    is_unsure: bool = False
    wish: Wish | None = None
    possible: tuple[Push, ...] = ()
    trial: FloorTrial | None = None
