"""How near is a fuse to its end? The heat of an overload, per phase, and what the cars must give up for it (goal G4).

S = ∫ ((I / In)² - 1) dt, never below 0: it grows above the rating and shrinks below. In a first-order thermal model with a
time constant of 120 s no device trips before S = 120 s · (k² - 1), k its no-trip factor: 33 s for a miniature breaker
(k 1.13), 67 s for a gG link (1.25), 12 s for a selective main or an industrial breaker (1.05) (grid-and-safety §5.4).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

from local_controller.clock import Instant
from local_controller.site.per_phase import PHASES, ZERO, PerPhase
from local_controller.site.topology import FuseType

ALARM_S: Final = 5.0
"""From here on people are told."""

STOP_S: Final = {FuseType.MCB: 20.0, FuseType.GG: 20.0, FuseType.SLS_E: 7.0, FuseType.IEC60947: 7.0}
"""From here on cars give up what is measured above the rating, whatever is believed of them: 60 % of what the device
bears; a gG link no later than a miniature breaker."""

MOST_S: Final = 187.0
"""No more than that: 120 s · (1.6² - 1), what a gG link comes to at the current at which it surely melts. What goes on conducting was no
hotter, and a reading that says so was a wrong one, or of before a long silence."""


@dataclass(slots=True)
class Overload:
    """The heat of one fuse. stress_s: S per phase, in seconds. shed_a: what is counted as load that nobody accounts for.

    Between two readings the higher one counts, for nobody knows. What is fed into the grid heats as well; but no car
    could help that by drawing less.
    """

    stress_s: list[float] = field(default_factory=lambda: [0.0, 0.0, 0.0])
    _shed_a: list[float] = field(default_factory=lambda: [0.0, 0.0, 0.0])
    _told: list[bool] = field(default_factory=lambda: [False, False, False])
    _last: tuple[PerPhase, Instant] | None = None

    @property
    def shed_a(self) -> PerPhase:
        """Amperes per phase."""
        l1, l2, l3 = self._shed_a
        return l1, l2, l3

    def measured(self, current_a: PerPhase, rating_a: PerPhase, fuse: FuseType, asked_at: Instant) -> list[int]:
        """A reading of the fuse's meter. The phases whose alarm is new: told once until the fuse has cooled down."""
        before_a, before_at = self._last or (ZERO, asked_at)
        self._last = current_a, asked_at
        seconds = max(0.0, asked_at.since(before_at))
        for phase in PHASES:
            most = max(abs(before_a[phase]), abs(current_a[phase])) / rating_a[phase]
            self.stress_s[phase] = min(MOST_S, max(0.0, self.stress_s[phase] + (most**2 - 1.0) * seconds))
            self._shed(phase, current_a[phase] - rating_a[phase], STOP_S[fuse])
        return [phase for phase in PHASES if self._is_news(phase)]

    def _shed(self, phase: int, over_a: float, stop_s: float) -> None:
        """The most that was measured above the rating while it was hot; nothing any more once it is cool."""
        if self.stress_s[phase] >= stop_s:
            self._shed_a[phase] = max(self._shed_a[phase], over_a)
        elif self.stress_s[phase] <= 0.0:
            self._shed_a[phase] = 0.0

    def _is_news(self, phase: int) -> bool:
        if self.stress_s[phase] <= 0.0:
            self._told[phase] = False
        elif self.stress_s[phase] >= ALARM_S and not self._told[phase]:
            self._told[phase] = True
            return True
        return False
