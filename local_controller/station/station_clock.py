"""How far is the station's own clock from that of its CSMS, which it should follow?

Seen in the time stamps of its messages. A message may have waited, so an old stamp proves nothing by itself; but nothing
comes from the future, and a clock that is right shows a fresh stamp now and then.
"""

from __future__ import annotations

import math

TOLERANCE_S = 5.0
"""A station's clock further from its CSMS's is worth a warning: our limits begin and end by it (LC-044)."""

SET_S = 2.0
"""A larger step of our wall clock against the monotonic one is a setting of it; NTP makes clocks faster or slower."""

LOOK_S = 60.0
"""How often a clock that was right is looked at again: crystals drift by seconds a day."""

STAMPS = 8
PAUSE_S = 1.0
"""Whoever sends old stamps faster than this sends what it has stored: not each one is worth a look."""

SPAN_S = 60.0
"""A clock is slow if so many stamps in a row are old, over so long: stored samples are sent faster after an outage."""


class StationClock:
    """What the latest time stamps of one station say. due_s: when the next one is wanted, in monotonic seconds.

    is_right: a stamp was fresh, and nothing has spoken against the clock since.
    """

    __slots__ = ("_is_wrong", "_old", "due_s", "is_right")

    def __init__(self) -> None:
        """Before the CSMS has told its time there is nothing to compare with."""
        self.due_s = math.inf
        self.is_right = self._is_wrong = False
        self._old: tuple[tuple[float, float], ...] = ()  # the latest stamps, if all are old: heard at, ahead by (s)

    def csms_told_its_time(self) -> None:
        """The clock to compare with is known."""
        self.due_s = 0.0

    @property
    def is_compared(self) -> bool:
        """Whether the CSMS has told its time, by which the station goes."""
        return self.due_s < math.inf

    def heard(self, ahead_s: float, now_s: float) -> float | None:
        """A stamp was so far ahead of the CSMS's clock: by how much the station's is, once when that is too much."""
        self.due_s = now_s
        if ahead_s >= -TOLERANCE_S:
            self._old = ()
            self.due_s += LOOK_S
            return self._judged(ahead_s, is_wrong=ahead_s > TOLERANCE_S)
        self.due_s += PAUSE_S
        self._old = (*self._old[1 - STAMPS :], (now_s, ahead_s))
        if len(self._old) < STAMPS or now_s - self._old[0][0] < SPAN_S:
            return None
        return self._judged(max(ahead_s for _, ahead_s in self._old), is_wrong=True)

    def _judged(self, ahead_s: float, *, is_wrong: bool) -> float | None:
        was_wrong, self._is_wrong, self.is_right = self._is_wrong, is_wrong, not is_wrong
        return ahead_s if is_wrong and not was_wrong else None
