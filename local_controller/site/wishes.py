"""What does the owner of the site want of an EVSE beside energy: as soon as possible, at the best price, or from the sun only?"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, time, tzinfo
from enum import StrEnum
from typing import Final

from local_controller.site.week import DAY, midnight


class ChargingMode(StrEnum):
    """When the cars of an EVSE charge."""

    NORMAL = "normal"
    CHEAPEST = "cheapest"
    SURPLUS = "surplus"


@dataclass(frozen=True, slots=True)
class Wish:
    """The wish for one EVSE. ready_by: by this time of day (of the site's zone) a car has what it wants, where nobody says."""

    mode: ChargingMode = ChargingMode.NORMAL
    ready_by: time | None = None

    def departure(self, started: datetime, zone: tzinfo) -> datetime | None:
        """When a car that came at a moment (with a time zone) has to be ready: at the first such time of day after that."""
        if self.ready_by is None:
            return None
        day = midnight(started.astimezone(zone))
        here, tomorrow = (one.replace(hour=self.ready_by.hour, minute=self.ready_by.minute) for one in (day, day + DAY))
        return here if here > started else tomorrow


AS_USUAL: Final = Wish()
"""Where the site file says nothing."""
