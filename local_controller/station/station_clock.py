"""How far is the station's own clock from that of its CSMS, which it should follow?

Seen in the time stamps of its messages. A message may have waited, so an old stamp proves nothing by itself; but nothing
comes from the future, and a clock that is right shows a fresh stamp now and then.
"""

from __future__ import annotations

from collections import deque
from datetime import datetime

TOLERANCE_S = 5.0
"""A station's clock further from its CSMS's is worth a warning: our limits begin and end by it (LC-044)."""

STAMPS = 8
SPAN_S = 60.0
"""A clock is slow if so many stamps in a row are old, over so long: stored samples are sent faster after an outage."""


class StationClock:
    """The latest time stamps of one station."""

    def __init__(self) -> None:
        """Before the CSMS has told its time there is nothing to compare with."""
        self._is_comparable = False
        self._ahead_s: deque[tuple[float, float]] = deque(maxlen=STAMPS)  # (heard at, by how much), monotonic seconds
        self._is_wrong = False

    def heard(self, stamp: datetime, expected: datetime, now_s: float) -> float | None:
        """Takes a stamp, and what the station's clock should show: by how much it is ahead, once when that is too much."""
        if not self._is_comparable:
            return None
        self._ahead_s.append((now_s, (stamp - expected).total_seconds()))
        ahead_s = max(ahead_s for _, ahead_s in self._ahead_s)
        is_slow = ahead_s < -TOLERANCE_S
        if is_slow and (len(self._ahead_s) < STAMPS or now_s - self._ahead_s[0][0] < SPAN_S):
            return None
        was_wrong, self._is_wrong = self._is_wrong, is_slow or ahead_s > TOLERANCE_S
        return ahead_s if self._is_wrong and not was_wrong else None

    def csms_told_its_time(self, *, was_set: bool) -> None:
        """The clock to compare with is known; `was_set`: what was heard before says nothing about it."""
        self._is_comparable = True
        if was_set:
            self._ahead_s.clear()
