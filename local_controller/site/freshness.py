"""How old may an input be, and what does its age permit? The ladder of every input, as a table.

Ages are monotonic seconds since the moment the value was asked for (meter) or received (limit), goal G21.
Each row says from which age on a state holds and what it permits (grid-and-safety §6.4, goals G5 and G6).
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from local_controller.clock import Instant


class Freshness(StrEnum):
    """The rungs, from best to worst. INIT (never seen since start) is treated like STALE."""

    FRESH = "fresh"
    SUSPECT = "suspect"  # no increases
    STALE = "stale"  # conservative value instead of the last one
    FAILSAFE = "failsafe"  # fallback only
    RECOVERING = "recovering"  # back again, not yet trusted: like SUSPECT
    INIT = "init"

    @property
    def may_raise(self) -> bool:
        """Increases need every input fresh (grid-and-safety §6.5)."""
        return self is Freshness.FRESH

    @property
    def usable(self) -> bool:
        """Whether the last value still counts."""
        return self in {Freshness.FRESH, Freshness.SUSPECT, Freshness.RECOVERING}


@dataclass(frozen=True, slots=True)
class Ladder:
    """Ages in seconds at which a rung begins, and what it takes to be trusted again."""

    suspect_s: float
    stale_s: float
    failsafe_s: float
    recover_samples: int
    recover_s: float


METER_LADDER = Ladder(suspect_s=3.0, stale_s=10.0, failsafe_s=30.0, recover_samples=5, recover_s=10.0)
"""Goal G5: 3 s no increase, 10 s fallback ramp, 30 s failsafe; recovery after 5 good samples and 10 s."""


def scaled_to(ladder: Ladder, poll_s: float) -> Ladder:
    """The ladder of a meter that is polled every `poll_s`: never suspect before three polls were missed.

    Capped so that no setting postpones the failsafe beyond 60 s (G5, hard maximum).
    """
    factor = max(1.0, poll_s)
    return Ladder(
        min(ladder.suspect_s * factor, 20.0),
        min(ladder.stale_s * factor, 40.0),
        min(ladder.failsafe_s * factor, 60.0),
        ladder.recover_samples,
        ladder.recover_s,
    )


@dataclass(slots=True)
class Watch:
    """The age of one input and the rung it stands on; `state` is asked with the present time, never remembered.

    unchanged_s: for how long the last value had been the very same when it was asked for; it may be an old one.
    """

    ladder: Ladder
    last: Instant | None = None
    unchanged_s: float = 0.0
    distrusted_since: Instant | None = None
    samples: int = 0

    def seen(self, at: Instant, unchanged_s: float = 0.0) -> None:
        """A usable value that was asked for or received at `at`."""
        if self.last is None or at.since(self.last) > self.ladder.stale_s:
            self.distrusted_since, self.samples = at, 0
        self.last, self.unchanged_s = at, unchanged_s
        self.samples += 1
        if self.distrusted_since is not None and self._proved_itself(at, self.distrusted_since):
            self.distrusted_since = None

    def _proved_itself(self, at: Instant, since: Instant) -> bool:
        return self.samples >= self.ladder.recover_samples and at.since(since) >= self.ladder.recover_s

    def failed(self) -> None:
        """Who told it cannot be read: the last value is as old as the last change of it, for it may have been repeated."""
        if self.last is not None:
            self.last, self.unchanged_s = self.last.after(-self.unchanged_s), 0.0

    def age_s(self, now: Instant) -> float | None:
        """Seconds since the last value; None when there never was one."""
        return None if self.last is None else now.since(self.last)

    def state(self, now: Instant) -> Freshness:
        """The rung at `now`."""
        age_s = self.age_s(now)
        if age_s is None:
            return Freshness.INIT
        if age_s > self.ladder.failsafe_s:
            return Freshness.FAILSAFE
        if age_s > self.ladder.stale_s:
            return Freshness.STALE
        if self.distrusted_since is not None:
            return Freshness.RECOVERING
        return Freshness.SUSPECT if self.unchanged_s + age_s > self.ladder.suspect_s else Freshness.FRESH
