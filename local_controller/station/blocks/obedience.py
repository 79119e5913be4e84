"""Does a station obey what it said yes to? Judged by what was measured, by more than one sample (LC-105, LC-115)."""

from __future__ import annotations

from dataclasses import dataclass

OVERDRAW = 1.1
OVERDRAW_A = 0.5
"""Stations tolerate 10 % and 0.5 A above the limit; so does the site's own judgement."""

LEAST_SETTLE_S = 15.0
"""From an accepted limit to a car that has followed: the worst honest chain of answer, PWM and car takes 12 s."""

SAMPLES = 3
"""So many samples above the limit prove disobedience; the first may show what was drawn before."""

APART_S = 3.0
"""Samples closer together than this are one."""


@dataclass(slots=True)
class Obedience:
    """What speaks against one EVSE since it was last told a lower limit: how many samples, the last of them when."""

    since_s: float | None = None
    samples: int = 0
    last_s: float = 0.0

    def told(self, now_s: float) -> None:
        """Another limit is in force from now on."""
        self.since_s, self.samples = now_s, 0

    def exceeded(self, drawn_a: float, limit_a: float, settle_s: float, now_s: float) -> bool:
        """A sample; whether it completes the proof that the limit is without effect."""
        if drawn_a <= limit_a * OVERDRAW + OVERDRAW_A:
            self.samples = 0
            return False
        if self.since_s is None or now_s - self.since_s < max(settle_s, LEAST_SETTLE_S):
            return False
        if self.samples and now_s - self.last_s < APART_S:
            return False
        self.samples, self.last_s = self.samples + 1, now_s
        return self.samples >= SAMPLES
