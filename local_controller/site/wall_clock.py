"""Which time of day may be right, where the clock was set while the site runs?

Ages of what arrives without a time stamp are monotonic seconds, and no clock on the wall can change them (goal G21). The time
stamp of a sender can only be compared with our own clock on the wall; after that was set, nobody knows which reading was right.
"""

from __future__ import annotations

from datetime import datetime
from typing import Final

from local_controller.clock import Instant

SET_S: Final = 2.0
"""A smaller change is the work of NTP, which speeds up or slows down a clock rather than setting it."""

KEPT: Final = 8
"""So many readings are kept; the latest of all (by which a message is oldest) always is."""


APART_S: Final = 5.0
"""Two messages so far apart show by their time stamps whether their sender's clock runs."""


class WallClock:
    """The clock on the wall, and how it would go had it not been set."""

    def __init__(self, now: Instant) -> None:
        """Until now it was never set."""
        self._ahead_s = [_ahead_s(now)]  # of the monotonic clock; the newest last

    def follow(self, now: Instant) -> float | None:
        """By how many seconds it was set since the last look; None if it was not."""
        ahead_s, before_s = _ahead_s(now), self._ahead_s[-1]
        kept = [one for one in self._ahead_s[:-1] if abs(one - ahead_s) > SET_S]
        if abs(ahead_s - before_s) <= SET_S:
            self._ahead_s = [*kept, ahead_s]
            return None
        kept.append(before_s)
        if len(kept) >= KEPT:
            kept.remove(next(one for one in kept if one != max(kept)))
        self._ahead_s = [*kept, ahead_s]
        return ahead_s - before_s

    def ages_s(self, stamped: datetime, now: Instant) -> dict[float, float]:
        """How old something of this time is in seconds, by what the clock shows now, then as if it had not been set.

        The keys tell the readings apart: seconds ahead of the monotonic clock.
        """
        age_s, newest_s = (now.utc - stamped).total_seconds(), self._ahead_s[-1]
        return {ahead_s: age_s + ahead_s - newest_s for ahead_s in reversed(self._ahead_s)}


class SenderClock:
    """How old is what one sender stamps? Judged by the reading of our clock that its earlier messages go with.

    A sender whose clock was set together with ours is believed anew once its time stamps go on like the time (which those
    of a bridge that repeats something old do not). Until then, and for what is retained, the highest age counts.
    """

    def __init__(self, wall: WallClock) -> None:
        """Nothing was received yet."""
        self._wall = wall
        self._goes_with_s: float | None = None
        self._before: tuple[datetime, Instant] | None = None

    def age_s(self, stamped: datetime, now: Instant, *, retained: bool) -> float:
        """Its age; negative where it is from the future."""
        ages_s = self._wall.ages_s(stamped, now)
        if not retained:
            if len(ages_s) == 1:
                self._goes_with_s = next(iter(ages_s))
            elif self._runs(stamped, now):
                self._goes_with_s = min(ages_s, key=lambda ahead_s: abs(ages_s[ahead_s]))
        return max(ages_s.values()) if retained else self._judged(ages_s)

    def _judged(self, ages_s: dict[float, float]) -> float:
        known_s = self._goes_with_s
        if known_s is None:
            return max(ages_s.values())
        near_s = min(ages_s, key=lambda ahead_s: abs(ahead_s - known_s))
        return ages_s[near_s] if abs(near_s - known_s) <= SET_S else max(ages_s.values())

    def _runs(self, stamped: datetime, now: Instant) -> bool:
        """Whether the time stamps go on as the time does, since a message that came long enough ago."""
        before = self._before
        if before is None or now.since(before[1]) >= APART_S:
            self._before = stamped, now
        if before is None or now.since(before[1]) < APART_S:
            return False
        return abs((stamped - before[0]).total_seconds() - now.since(before[1])) <= SET_S


def _ahead_s(now: Instant) -> float:
    return now.utc.timestamp() - now.monotonic_s
