"""What is still true of a transaction's limit on the next connection? A station keeps its profiles, so this is kept too."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from local_controller.station.blocks.push import Push
    from local_controller.station.blocks.wanted import Wish


@dataclass(slots=True)
class CarriedOver:
    """What was wished and written for the transaction of one EVSE.

    possible: TxProfiles of ours that the station may hold; while one runs, it beats every TxDefaultProfile.
    """

    transaction_id: str | None = None
    wish: Wish | None = None
    possible: tuple[Push, ...] = ()
