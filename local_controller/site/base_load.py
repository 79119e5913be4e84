"""How much of a meter's reading is not charging? The base load of a node.

Stations measure every 10 to 60 s, the grid meter every second, so the draw of each car is known only as an interval.
The base load therefore lies in an interval too; the estimate moves as little as that interval demands. This has two
properties: a rising meter is never explained by more than the cars are allowed to draw, so that a measured overload is
always seen at once; and a car that takes up a raise is not mistaken for a new load in the building, which would lower
its neighbours and set them swinging. A falling meter may be a car that only rests: the building is believed to need
less once every car that was counted on has been measured since.
"""

from __future__ import annotations

import math
from collections import deque
from dataclasses import dataclass, field
from typing import Final

from local_controller.clock import Instant
from local_controller.site.per_phase import PHASES, ZERO, PerPhase, equal, lower, minus, plus, upper

ANY_SIGN: Final = equal(-math.inf)
"""For `BaseLoad.lowest_a` where what feeds in counts: other loads may be negative."""

PEAK_WINDOW_S: Final = 900.0
"""A silent meter counts with the highest base load of the last quarter of an hour (goal G5, grid-and-safety §6.4)."""

BUCKET_S: Final = 60.0

FED_IN_A: Final = 1.0
"""So much less than the cars surely draw is no rounding: something feeds in behind the meter, or its direction is wrong."""

FED_IN_S: Final = 60.0
"""So long after that was seen last, nobody knows what else draws there."""

STEADY_S: Final = 5.0
"""A fall that lasted so long is worth asking stations what their cars draw: what they say then was measured after it, be it that
they pass on what their meter showed a moment ago. And a load that swings makes nobody ask."""

SAMPLE_MAX_AGE_S: Final = 150.0
"""No measurement of a car counts longer, so no older reading is asked for."""


@dataclass(slots=True)
class BaseLoad:
    """The estimate for one metered node, in amperes per phase; never below `lowest_a`, so never negative.

    Generation behind the meter lowers the reading below the charging; it is not counted as headroom because a cloud
    takes it away faster than cars react. What draws beside it is hidden by it (`fed_in`).

    in_phase: of the sum of what cars draw, a line carries at least so much (`site.out_of_phase`). doubted_a: how much of it
    would be gone if all cars were measured now to draw what they drew last: so much less the meter shows for `STEADY_S`.
    apart_a: the same estimate if cars that nobody measures draw up to what they were told, so that this is none of the other loads.
    """

    in_phase: float = 1.0
    current_a: PerPhase | None = None
    lowest_a: PerPhase = ZERO
    doubted_a: PerPhase = ZERO
    apart_a: PerPhase | None = None
    _fed_in_at: dict[int, Instant] = field(default_factory=dict)
    _highs: deque[tuple[Instant, PerPhase]] = field(default_factory=deque)
    _peaks: deque[tuple[float, PerPhase]] = field(default_factory=deque)

    def update(  # noqa: PLR0913, PLR0917 - a reading, and all that is known of the cars behind it
        self,
        measured_a: PerPhase,
        least_a: PerPhase,
        most_a: PerPhase,
        now: Instant,
        proven_at: Instant | None = None,
        given_up_a: PerPhase = ZERO,
        gain_a: PerPhase = ZERO,
        unheard_a: PerPhase = ZERO,
        newly_a: PerPhase = ZERO,
    ) -> PerPhase:
        """Take in a reading while the cars below draw between `least_a` and `most_a`.

        proven_at: the oldest of the measurements behind `least_a`; None where all are of this moment. given_up_a, gain_a:
        where loads are out of phase, see `site.out_of_phase`. unheard_a: the most that cars draw besides, that nobody measures;
        newly_a: of that what those may draw that were no such cars at the last reading. Their draw may be among the other loads
        since then; as a part of these it would be taken for good, if they never pause.
        """
        self._see(minus(measured_a, least_a), now)
        high = self._highest_since(proven_at or now)
        low = minus(measured_a, most_a)
        floor = minus(self.lowest_a, gain_a)
        before = high if self.current_a is None else plus(self.current_a, given_up_a)
        apart = minus(before if self.apart_a is None else plus(self.apart_a, given_up_a), newly_a)
        self.current_a = upper(lower(upper(before, low), high), floor)
        self.apart_a = upper(lower(upper(apart, minus(self.current_a, unheard_a)), self.current_a), floor)
        steady_a = upper(self._highest_since(now.after(-STEADY_S)), self.lowest_a)
        self.doubted_a = upper(ZERO, minus(self.current_a, steady_a))
        lost = 1.0 - self.in_phase
        self._fed_in_at |= {phase: now for phase in PHASES if high[phase] + lost * least_a[phase] < -FED_IN_A}
        self._remember(self.current_a, now)
        return self.current_a

    @property
    def unheard_a(self) -> PerPhase:
        """How much of the other loads cars draw that nobody measures, as far as anybody can tell."""
        return ZERO if self.current_a is None or self.apart_a is None else minus(self.current_a, self.apart_a)

    def _see(self, high_a: PerPhase, now: Instant) -> None:
        """The upper bound of this moment."""
        self._highs.append((now, high_a))
        while now.since(self._highs[0][0]) > SAMPLE_MAX_AGE_S:
            self._highs.popleft()

    def _highest_since(self, start: Instant) -> PerPhase:
        """The highest of all upper bounds from `start` on: whoever was measured last may have rested ever since."""
        high_a = self._highs[-1][1]
        for at, before_a in reversed(self._highs):
            if at.since(start) < 0:
                break
            high_a = upper(high_a, before_a)
        return high_a

    def fed_in(self, now: Instant) -> tuple[int, ...]:
        """The phases on which the meter lately showed less than the cars surely drew: other loads are hidden there."""
        return tuple(phase for phase, at in self._fed_in_at.items() if now.since(at) <= FED_IN_S)

    def peak(self) -> PerPhase:
        """The highest estimate of the last quarter of an hour."""
        result = ZERO
        for _, value in self._peaks:
            result = upper(result, value)
        return result

    def _remember(self, value: PerPhase, now: Instant) -> None:
        while self._peaks and now.monotonic_s - self._peaks[0][0] > PEAK_WINDOW_S:
            self._peaks.popleft()
        if self._peaks and now.monotonic_s - self._peaks[-1][0] < BUCKET_S:
            start, peak = self._peaks[-1]
            self._peaks[-1] = (start, upper(peak, value))
        else:
            self._peaks.append((now.monotonic_s, value))
