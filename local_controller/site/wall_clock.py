"""Which time of day may be right, where the clock was set while the site runs?

Ages of what arrives without a time stamp are monotonic seconds, and no clock on the wall can change them (goal G21). The time
stamp of a sender can only be compared with our own clock on the wall; after that was set, nobody knows which reading was right.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Final

from local_controller.clock import Instant

SET_S: Final = 2.0
"""A smaller change is the work of NTP, which speeds up or slows down a clock rather than setting it."""

KEPT: Final = 8
"""So many readings are kept; the latest of all (by which a message is oldest) always is."""


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

    def readings(self, now: Instant) -> tuple[datetime, ...]:
        """What it shows now, then what it would show had it not been set, the newest first."""
        newest_s = self._ahead_s[-1]
        others = (now.utc + timedelta(seconds=ahead_s - newest_s) for ahead_s in reversed(self._ahead_s[:-1]))
        return (now.utc, *others)


def _ahead_s(now: Instant) -> float:
    return now.utc.timestamp() - now.monotonic_s
