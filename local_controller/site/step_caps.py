"""What does a step test ask of the site? That for a moment some EVSEs get no more than so much; it ends by itself.

The shares of everybody else are made as if there were no test, so nothing that it takes away goes to a neighbour.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from local_controller.clock import Instant
from local_controller.site.enforcement import Wait
from local_controller.site.places import Place
from local_controller.station.words import EvseId


@dataclass(frozen=True, slots=True)
class StepCaps:
    """The most that each of these EVSEs gets before `until`, A per phase. It only ever takes away (house rule 5)."""

    caps_a: Mapping[EvseId, float] = field(default_factory=dict)
    until: Instant | None = None

    def in_force(self, now: Instant) -> Mapping[EvseId, float]:
        """The caps; none when their time is over."""
        return self.caps_a if self.until is not None and now.since(self.until) < 0 else {}

    def lowered(self, places: Sequence[Place], shares_a: Sequence[float], now: Instant) -> Sequence[float]:
        """The shares, none above its cap."""
        caps_a = self.in_force(now)
        if not caps_a:
            return shares_a
        pairs = zip(places, shares_a, strict=True)
        return [min(share_a, caps_a.get(place.state.evse.id, share_a)) for place, share_a in pairs]

    def reasons(self, now: Instant) -> dict[EvseId, Wait]:
        """Why they get no more, as page and JSON tell it."""
        return {
            evse: Wait(evse, cap_a, f"held at {cap_a:.1f} A at most while a step test runs")
            for evse, cap_a in self.in_force(now).items()
        }
