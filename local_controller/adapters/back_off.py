"""How long is waited until a CSMS that is away is dialled again? (Part 4 §5.4, LC-017)"""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

LONG_ENOUGH_S: Final = 60.0
"""A connection that lasted so long was one; after a shorter one waiting goes on where it was, so that nobody dials in a circle."""


@dataclass(frozen=True, slots=True)
class BackOffTimes:
    """As the variables of OCPP 2.x: RetryBackOffWaitMinimum, RetryBackOffRandomRange, RetryBackOffRepeatTimes."""

    wait_minimum_s: float
    random_range_s: float
    repeat_times: int


class BackOff:
    """The waits of one station: the minimum and something random, then twice the wait before and something random anew."""

    def __init__(self, times: BackOffTimes, draw: Callable[[], float] = random.random) -> None:
        """`draw` gives a number from 0 to 1."""
        self._times = times
        self._draw = draw
        self._doublings = 0

    def next_s(self) -> float:
        """How long to wait now."""
        times = self._times
        wait_s = times.wait_minimum_s * (1 << self._doublings)
        self._doublings = min(self._doublings + 1, times.repeat_times)
        return wait_s + self._draw() * times.random_range_s

    def lasted(self, seconds: float) -> None:
        """A connection has ended that lasted so long."""
        if seconds >= LONG_ENOUGH_S:
            self._doublings = 0
