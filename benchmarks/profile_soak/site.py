"""What has the site allowed each EVSE, as far as it can know? The local half of the law.

A limit that was sent holds once the station has taken it; until then the old one may hold too.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from local_controller.station.words import LimitAnswered, LimitKind, LimitOutcome

WHOLE_S = 1.0
"""The grid of OCPP's durations."""


class Wish(NamedTuple):
    """A limit for a transaction, until `until_s` (elapsed seconds)."""

    limit_a: float
    until_s: float


class Orders:
    """What the site has ordered for one EVSE: the newest last, and older ones that may still be in force."""

    def __init__(self, fallback_a: float, *, outlives: bool = False) -> None:
        """`outlives`: a limit is told in a way that does not end with its transaction, so that the floor must be told again."""
        self.fallbacks = [fallback_a]
        self.wishes: list[Wish] = []
        self._outlives = outlives
        self._left: list[Wish] = []

    @property
    def fallback_a(self) -> float:
        """The floor that the site wants."""
        return self.fallbacks[-1]

    def told(self, answers: Iterable[LimitAnswered]) -> None:
        """What became of the orders."""
        for answer in answers:
            if answer.outcome is LimitOutcome.ACCEPTED:
                if answer.kind is LimitKind.FALLBACK:
                    del self.fallbacks[:-1]
                    self._left.clear()
                else:
                    del self.wishes[:-1]

    def dropped(self) -> None:
        """The newest wish was never sent."""
        del self.wishes[-1:]

    def transaction_changed(self) -> None:
        """A wish is for one transaction."""
        if self._outlives:
            self._left += self.wishes
        self.wishes.clear()

    def is_confirmed(self, now_s: float) -> bool:
        """Whether only the newest orders can be in force."""
        return len(self.fallbacks) == 1 and sum(now_s < wish.until_s + WHOLE_S for wish in self.wishes) <= 1

    def bound_a(self, now_s: float) -> float:
        """The most that the site has allowed; around the end of a wish either may hold, since OCPP counts whole seconds."""
        wishes = [wish.limit_a for wish in [*self.wishes, *self._left] if now_s < wish.until_s + WHOLE_S]
        is_sure = len(self.wishes) == 1 and now_s < self.wishes[0].until_s - WHOLE_S and not self._left
        return max(wishes) if is_sure else max([*wishes, *self.fallbacks])
