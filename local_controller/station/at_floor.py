"""Does a car stay at its station's floor although more was accepted? Then perhaps the limit is without effect.

That is safe, but wasteful. Nothing is proven by it: a car may take no more than that by itself.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

NEAR_A = 0.7
"""A draw so near to the floor, on all phases in use, is a draw at the floor."""

ABOVE_A = 3.0
"""A limit that exceeds the floor by less says nothing."""

LASTS_S = 60.0
"""So long the draw stays there."""

SAMPLES = 3
"""So many samples at least show that, in the case of a station that measures seldom."""

FOLLOWED = 2
"""So many samples in a row above the floor show that the limit has an effect; one may be of the time before."""

APART_S = 3.0
"""Samples closer together than this are one."""

IN_USE_A = 1.0
"""A phase with less is not proven to be in use: meters read some 0.1 A without a car."""


@dataclass(slots=True)
class AtFloor:
    """What the samples of a transaction say since a limit well above the floor is in force, all told in one way.

    way: how it is told. from_s: older samples may show what was drawn before. stays: the draw stays at the floor. follows:
    it was above. Only one of them, and then for good.
    """

    way: object
    floor_a: float
    from_s: float
    stays: bool = False
    follows: bool = False
    _was_above: bool = False
    _samples: int = 0
    _since_s: float = 0.0
    _last_s: float = 0.0

    @property
    def is_settled(self) -> bool:
        """Whether the samples have said enough."""
        return self.stays or self.follows

    def sees(self, current_a: Iterable[float], now_s: float) -> bool:
        """A sample of all phases; whether it settles the question."""
        if self.is_settled or now_s < self.from_s or (self._samples and now_s - self._last_s < APART_S):
            return False
        in_use = [amps for amps in current_a if amps >= IN_USE_A]
        is_above = bool(in_use) and max(in_use) > self.floor_a + NEAR_A
        if not in_use or (not is_above and min(in_use) < self.floor_a - NEAR_A):
            self._samples = 0
            return False
        if not self._samples or is_above is not self._was_above:
            self._samples, self._since_s, self._was_above = 0, now_s, is_above
        self._samples, self._last_s = self._samples + 1, now_s
        self.follows = is_above and self._samples >= FOLLOWED
        self.stays = not is_above and self._samples >= SAMPLES and now_s - self._since_s >= LASTS_S
        return self.is_settled
