"""Does a station obey what it said yes to? Judged by what was measured, by more than one sample (LC-105, LC-115)."""

from __future__ import annotations

from dataclasses import dataclass, field

from local_controller.profiles.overdraw import tolerated_a
from local_controller.station.capability import Rung

LEAST_SETTLE_S = 15.0
"""From an accepted limit to a car that has followed: the worst honest chain of answer, PWM and car takes 12 s."""

SAMPLES = 3
"""So many samples above the limit prove disobedience; the first may show what was drawn before."""

APART_S = 3.0
"""Samples closer together than this are one."""


@dataclass(slots=True)
class Obedience:
    """What speaks against the way in which one EVSE is told its limits: how many samples, the last of them when.

    since_s: the station had time to follow from then on. before: limits told in the same way, and until when each held.
    """

    way: Rung | None = None
    since_s: float = 0.0
    samples: int = 0
    last_s: float = 0.0
    before: list[tuple[float, float]] = field(default_factory=list)

    def told(self, way: Rung, now_s: float) -> None:
        """A limit is in force from now on, and none of ours was before.

        In the same way as the last one, which the station may have lost: then it has time to follow again, but what it
        was measured to draw until now still counts.
        """
        if way != self.way:
            self.samples = 0
        self.way, self.since_s, self.before = way, now_s, []

    def told_other(self, before_a: float, now_s: float) -> None:
        """Another limit in the same way: the one before excuses nobody any longer than the station needs to follow."""
        self.before.append((now_s, before_a))

    def exceeded(self, drawn_a: float, limit_a: float, settle_s: float, now_s: float) -> bool:
        """A sample; whether it completes the proof that limits told this way are without effect."""
        settle_s = max(settle_s, LEAST_SETTLE_S)
        self.before = [(until_s, a) for until_s, a in self.before if now_s - until_s < settle_s]
        if drawn_a <= tolerated_a(max([limit_a, *(a for _, a in self.before)])):
            self.samples = 0
            return False
        if self.way is None or now_s - self.since_s < settle_s:
            return False
        if self.samples and now_s - self.last_s < APART_S:
            return False
        self.samples, self.last_s = self.samples + 1, now_s
        return self.samples >= SAMPLES
