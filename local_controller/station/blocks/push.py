"""What is one CALL of ours that tells a station a limit?"""

from __future__ import annotations

import math
from datetime import UTC, datetime

import msgspec
from msgspec import structs

from local_controller.clock import Instant
from local_controller.profiles.installed import InstalledProfiles
from local_controller.station.blocks.actuator import Target
from local_controller.station.blocks.wish import Wish
from local_controller.station.capability import Rung
from local_controller.station.dialects.base import OwnProfile
from local_controller.station.words import LimitKind

NEVER = datetime.max.replace(tzinfo=UTC)
"""When a setting of the maker ends by itself."""


class Push(msgspec.Struct, frozen=True, eq=False):
    """One SetChargingProfile (or setting) of ours; also the tag of its CALL.

    limit_a: what a phase may carry because of it. respected: the CSMS's profiles that it takes account of, and whether those
    that charge with priority are activated. because: what
    it was worked out from. ends: when the floor takes over (our clock), where that is not as the site ordered it; NEVER
    if it never does. is_reduction: it was sent because the station might obey a higher limit. profile: as it is written;
    None for a setting of the maker.
    """

    target: Target
    rung: Rung
    limit_a: float
    respected: tuple[InstalledProfiles, bool]
    because: tuple[object, ...]
    ends: datetime | None = None
    is_reduction: bool = False
    profile: OwnProfile | None = None

    def for_evse(self, number: int, transaction_id: str | None) -> Push:
        """The same as it holds for another EVSE of the station."""
        return structs.replace(self, target=structs.replace(self.target, evse=number, transaction_id=transaction_id))

    @property
    def tells_floor(self) -> bool:
        """Whether the floor changes with it."""
        return self.target.kind is LimitKind.FALLBACK or self.rung.holds_floor

    def phases_at(self, at: datetime) -> int | None:
        """On how many phases a car may charge by it at this moment (numberPhases); None where that is not said."""
        if self.profile is None or not self.target.fewer.steps:
            return None
        return None if (phases := self.target.fewer.at(at)) is None else int(phases)

    @property
    def wish(self) -> Wish | None:
        """What the site wanted when it was made."""
        found = self.because[0]
        return found if isinstance(found, Wish) else None

    def lasts_s(self, now: Instant) -> float | None:
        """How long the station obeys it; None for as long as the site ordered."""
        if self.ends is None:
            return None
        return math.inf if self.ends == NEVER else max(0.0, (self.ends - now.utc).total_seconds())
