"""How much does a car take of what it is offered? Less than that for long: then the plan reckons with what it takes.

Nobody tells a car's own maximum, nor that its battery is nearly full. A plan that believes in the maximum of the EVSE gives a car on
three phases 23 A of which it draws 16, and leaves another on one phase at 6 A beside room that nobody uses.

`optimizer.draw` asks the same where there is one reading for each plan: it counts readings, and offers more by steps, later and later, as
nobody sees between two of them whether the car took that. Here a car is measured every few seconds, so it has a headroom all
the time, in which it shows within seconds that it wants more; what lasts is told by the clock, because ramps and late samples are no answer.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

from local_controller.clock import Instant

SPARE_A: Final = 3.0
"""Who leaves so much of its limit does not want it: stations and cars stay 10 % + 0.5 A below or above (grid-and-safety §4.8)."""

LASTS_S: Final = 120.0
"""For so long: a car that ramps or wakes up is there after a minute."""

HEADROOM_A: Final = 2.0
"""So much more it is offered, so that it can show that it wants more; half of that does."""

NOTHING_A: Final = 0.5
"""Less is no charging: a battery that is full, or a car that waits for a time of its own."""


@dataclass(slots=True)
class Appetite:
    """What one car takes. takes_a: on its fullest phase; infinite while nothing speaks against its taking all."""

    takes_a: float = math.inf
    _most_a: float = 0.0
    _spare_since: Instant | None = None

    @property
    def useful_a(self) -> float:
        """The most that is worth offering."""
        return self.takes_a + HEADROOM_A

    @property
    def tapers(self) -> bool:
        """Whether it takes less than it took before: its battery does that, not its own maximum."""
        return not self.takes_nothing and self.takes_a <= self._most_a - SPARE_A

    @property
    def takes_nothing(self) -> bool:
        """Whether it may charge and does not."""
        return self.takes_a < NOTHING_A

    def shown(self, drawn_a: float, offered_a: float, now: Instant) -> None:
        """A car that may charge was measured; it had time to follow `offered_a`."""
        self._most_a = max(self._most_a, drawn_a)
        if drawn_a > self.takes_a + HEADROOM_A / 2:
            self.takes_a = math.inf
        if drawn_a > min(offered_a, self.takes_a + HEADROOM_A) - SPARE_A:
            self._spare_since = None
        elif self._spare_since is None:
            self._spare_since = now
        elif self.is_news(now):
            self.takes_a, self._spare_since = drawn_a, None

    def is_news(self, now: Instant) -> bool:
        """Whether one more sample like the last one says something."""
        return self._spare_since is not None and now.since(self._spare_since) >= LASTS_S
