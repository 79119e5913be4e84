"""How much does a car take of what it is told? Batteries that are nearly full take less and less.

What it drew is planned for it, so that nobody waits for current that it leaves. A car that takes all of that is offered more, at first
soon and in growing steps, because cars also draw little while they wake up or are hot; where that is in vain, later and later.

For callers that see a car once for each plan. The gateway measures every few seconds, so it gives a car a little more than it takes all the
time, instead of trying now and then (`site.appetite`).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

SHORT_A, SHORT_PART = 0.5, 0.1
"""A car that draws so much less than it was told, and by such a part, takes no more: cars and meters are not exact."""

LONGEST_WAIT = 12
"""Readings in which a car takes all before it is offered more, where earlier offers were in vain: an hour of plans."""

LEAST_PART = 0.01
"""A car that draws next to nothing is still worth this part of an ampere, so it goes last but is not given up."""


@dataclass(slots=True)
class Draw:
    """What one car takes, from reading to reading. most_a: amperes that it will take at most; infinite until it draws less.

    drawn_a: what it drew when it was last offered more than it takes; infinite if it takes all.
    """

    most_a: float = math.inf
    drawn_a: float = math.inf
    _rise_a: float = 0.0
    _wait: int = 0
    _waited: int = 0

    @property
    def is_less(self) -> bool:
        """Whether it takes less than it was told."""
        return math.isfinite(self.drawn_a)

    def part_of(self, told_a: float) -> float:
        """What part of so many amperes it takes, `LEAST_PART`..1: one that takes 3 A of its minimum of 6 A uses half."""
        return max(min(1.0, self.drawn_a / told_a), LEAST_PART) if told_a > 0 else 1.0

    def seen(self, told_a: float, drawn_a: float, step_a: float) -> None:
        """It was told `told_a` (0: a pause, which tells nothing) and drew `drawn_a`; step_a: of what it can be told."""
        if told_a <= 0:
            return
        if drawn_a < told_a - max(SHORT_A, SHORT_PART * told_a):
            self._wait = min(2 * self._wait + 1, LONGEST_WAIT)
            self._waited, self._rise_a = 0, step_a
            self.drawn_a, self.most_a = drawn_a, max(step_a, math.ceil(drawn_a / step_a - 0.01) * step_a)
        elif told_a >= self.most_a:
            self._offer_more()

    def _offer_more(self) -> None:
        self._waited += 1
        if self._waited >= self._wait:
            self.most_a += self._rise_a
            self.drawn_a = math.inf
            self._rise_a *= 2
