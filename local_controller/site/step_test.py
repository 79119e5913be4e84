"""How is one car moved to prove what measures it? Down and back, twice, by an order that only ever takes away.

A script that takes what is seen of the site, reading by reading, and says how much the car may have (`cap_a`). It never asks
for more than the site gives anyway; when it ends, or nobody goes on with it, the car has what it had
(grid-and-safety §1.6, rule 6; why so: decision 0014).
"""

from __future__ import annotations

import math
from collections.abc import Generator, Mapping
from dataclasses import dataclass
from typing import Final, NamedTuple

from local_controller.clock import Instant
from local_controller.site.per_phase import PHASE_NAMES, PHASES
from local_controller.site.readings import MeterReading
from local_controller.site.step_moves import LEAST_READINGS, WINDOW_S, Move, NotClearError, Shown, Watched
from local_controller.site.step_verdict import Verdict, judged, unclear
from local_controller.site.topology import Evse
from local_controller.station.words import Phase

STEP_A: Final = 6.0
"""The least step that stands out from a building (grid-and-safety §1.6, rule 6); one raise gives it back (G15)."""

HOLD_S: Final = 25.0
"""From an order to the end of its move: 15 s until it shows at the meter (G3), and a window to see that it lasts."""

RESUME_S: Final = 60.0
"""So much longer a car that was paused may take."""

UNEVEN_S: Final = (0.0, 10.0, 30.0, 0.0)
"""So much longer each move is watched, so that no load with a rhythm keeps step with the test: whatever its period and
the part of it that it runs, one of four edges is 7 s away from a move of the car, as it is lowered for 25 s and for 55 s."""

SETTLED_S: Final = 15.0
"""A sample of the station so long after the last order shows what the car draws for good (goal G3)."""

PATIENCE_S: Final = 150.0
"""So long is waited for that and for a quiet meter: a sampling interval of 60 s, missed once, and the time to follow."""

OBEYED_S: Final = 10.0
GIVEN_BACK_S: Final = 60.0
"""So long the site may take to order less, and to find the room again that it took away."""

ROUNDING_A: Final = 0.05
"""Half of what OCPP 1.6 can say."""

RESTLESS_A: Final = 1.5
"""A meter that moves by more than this within `WINDOW_S` is not quiet: a quarter of the step."""


class Drawn(NamedTuple):
    """What the station's own meter shows of its car, per phase of the station."""

    current_a: Mapping[Phase, float]
    at_s: float

    @property
    def most_a(self) -> float:
        """On its fullest phase."""
        return max(self.current_a.values(), default=0.0)


class Seen(NamedTuple):
    """One look at the site. trouble: why the test cannot go on, "" if it can. commanded_s: the last order that changed anything."""

    trouble: str
    reading: MeterReading | None
    ordered_a: float
    commanded_s: float | None
    drawn: Drawn | None


@dataclass(frozen=True, slots=True)
class Manner:
    """settle_s: from an accepted limit to a car that follows, beyond the usual. may_pause: the car may be paused for it.

    limit_per_a: so many amperes of a limit it may take to let a car draw one, where the station is told watts.
    """

    settle_s: float = 0.0
    limit_per_a: float = 1.0
    may_pause: bool = False


_Script = Generator[None, tuple[Seen, Instant], Verdict]
_Wait = Generator[None, tuple[Seen, Instant], Seen]


class StepTest:
    """A test that runs. cap_a: the most for the car just now, None: as always. verdict: None until it has ended."""

    def __init__(self, evse: Evse, meter: str, manner: Manner) -> None:
        self.evse = evse
        self.meter = meter
        self.cap_a: float | None = None
        self.verdict: Verdict | None = None
        self.doing = "begins"
        self._manner = manner
        self._readings: list[Shown] = []
        self._moves: list[Move] = []
        self._lowered_a: float | None = None
        self._now_s = 0.0
        self._script = self._play()
        next(self._script)

    def advance(self, seen: Seen, now: Instant) -> None:
        """Time has passed, or the meter was read."""
        if self.verdict is not None:
            return
        try:
            self._script.send((seen, now))
        except StopIteration as end:  # without a verdict where a fault of ours broke the script off at the look before
            fault = NotClearError("the gateway has a fault", "report it with the log")
            self._end(unclear(fault) if end.value is None else end.value)
        except NotClearError as doubt:
            self._end(unclear(doubt))

    def _end(self, verdict: Verdict) -> None:
        self.verdict, self.cap_a, self.doing = verdict, None, "has ended"

    # --- the script ----------------------------------------------------------------------------------------------

    def _play(self) -> _Script:
        seen = yield from self._settled()
        before = self._steady(seen)
        if before is None:
            raise AssertionError("whoever has settled is steady")
        told_a, back_a = self._target_a(min(before.most_a, seen.ordered_a)), seen.ordered_a
        for number in range(len(UNEVEN_S)):
            if number % 2 == 0:
                yield from self._down(number, told_a)
            else:
                yield from self._back(number, back_a, min(back_a, before.most_a * self._manner.limit_per_a))
        return judged(
            Watched(self.evse, self.meter, self._readings, self._moves, before.current_a, told_a, self._lowered_a)
        )

    def _settled(self) -> _Wait:
        """Until the car draws steadily enough, its station has measured that, and the meter is quiet."""
        seen = yield from self._look()
        begun_s = self._now_s
        while (why := self._why_not_yet(seen)) is not None:
            self.doing = f"waits: {why.text}"
            if self._now_s - begun_s > PATIENCE_S:
                raise why
            if self.cap_a is None and seen.drawn is not None and self._is_enough(seen.drawn.most_a):
                self.cap_a = seen.ordered_a  # no raise while the test goes on
            seen = yield from self._look()
        self.cap_a = seen.ordered_a
        return seen

    def _down(self, number: int, told_a: float) -> Generator[None, tuple[Seen, Instant], None]:
        self.cap_a, asked_s = told_a, self._now_s
        self.doing = f"move {number + 1} of {len(UNEVEN_S)}: lowered to {told_a:g} A"
        seen = yield from self._look()
        while seen.ordered_a > told_a + ROUNDING_A:
            if self._now_s - asked_s > OBEYED_S:
                text = f"the station was not told the lower limit within {OBEYED_S:.0f} s"
                raise NotClearError(text, "the page says what it waits for")
            seen = yield from self._look()
        at_s = max(asked_s, seen.commanded_s or 0.0)
        seen = yield from self._held(at_s, number, told_a)
        if seen.drawn is not None and seen.drawn.at_s >= at_s + SETTLED_S + self._manner.settle_s:
            self._lowered_a = seen.drawn.most_a
        self._moves.append(Move(-1, at_s, at_s, self._now_s))

    def _back(self, number: int, back_a: float, needed_a: float) -> Generator[None, tuple[Seen, Instant], None]:
        lowered_a, asked_s, at_s = self.cap_a or 0.0, self._now_s, None
        self.cap_a = back_a
        self.doing = f"move {number + 1} of {len(UNEVEN_S)}: gets {back_a:g} A back"
        seen = yield from self._look()
        while at_s is None or seen.ordered_a < needed_a - ROUNDING_A:
            if at_s is None and seen.ordered_a > lowered_a + ROUNDING_A:
                at_s = max(asked_s, seen.commanded_s or 0.0)
                continue
            if self._now_s - asked_s > GIVEN_BACK_S:
                text = f"the site has not given {needed_a:g} A back within {GIVEN_BACK_S:.0f} s"
                remedy = "the page says which limit or other load is in the way; repeat the test when there is room"
                raise NotClearError(text, remedy)
            seen = yield from self._look()
        last_s = max(at_s, seen.commanded_s or 0.0)
        resume_s = RESUME_S if lowered_a < self.evse.min_a else 0.0
        yield from self._held(self._now_s + resume_s, number, needed_a)
        self._moves.append(Move(+1, at_s, last_s, self._now_s))

    def _held(self, from_s: float, number: int, least_a: float) -> _Wait:
        until_s = from_s + HOLD_S + self._manner.settle_s + UNEVEN_S[number]
        seen = yield from self._look()
        while self._now_s < until_s:
            if seen.ordered_a < least_a - ROUNDING_A:
                text = f"the site took the car down to {seen.ordered_a:.1f} A meanwhile"
                raise NotClearError(text, "the page says which limit did; repeat the test when there is room")
            seen = yield from self._look()
        return seen

    def _look(self) -> _Wait:
        """The next look. NotClearError where the car, its station or the meter has changed meanwhile."""
        seen, now = yield
        self._now_s = now.monotonic_s
        if seen.trouble:
            raise NotClearError(seen.trouble, "repeat the test")
        if seen.reading is not None:
            shown = Shown(seen.reading.asked_at.monotonic_s, seen.reading.current_a)
            if not self._readings or shown.at_s > self._readings[-1].at_s:
                self._readings.append(shown)
        return seen

    # --- what it waits for ---------------------------------------------------------------------------------------

    def _why_not_yet(self, seen: Seen) -> NotClearError | None:
        if seen.drawn is None:
            return NotClearError(
                "the station does not say what its car draws",
                "plug a car in that charges, and let the station measure (guards.sample_interval_s: 10)",
            )
        if not self._is_enough(seen.drawn.most_a):
            return self._too_little(seen.drawn.most_a, seen.ordered_a)
        if self._steady(seen) is None:
            return NotClearError(
                "the station has not measured since its limit was changed",
                "let it measure more often (guards.sample_interval_s: 10), then repeat the test",
            )
        return self._restless()

    def _too_little(self, drawn_a: float, ordered_a: float) -> NotClearError:
        needed_a = self.evse.min_a + STEP_A
        text = f"the car draws {drawn_a:.1f} A of the {ordered_a:.1f} A that it may have, {needed_a:g} A are needed"
        if drawn_a < self.evse.min_a:
            return NotClearError(text, "plug a car in that charges with so much")
        return NotClearError(text, "take a car that draws more, or let this one be paused: --pause")

    def _is_enough(self, drawn_a: float) -> bool:
        return drawn_a >= self.evse.min_a + STEP_A or (self._manner.may_pause and drawn_a >= self.evse.min_a)

    def _target_a(self, drawn_a: float) -> float:
        """At least 6 A less, in whole amperes, as some stations know no others; 0 if that leaves too little to charge."""
        lower_a = float(math.floor(drawn_a - STEP_A + 1e-6))
        if lower_a >= self.evse.min_a:
            return lower_a
        if self._manner.may_pause:
            return 0.0
        raise self._too_little(drawn_a, drawn_a)

    def _steady(self, seen: Seen) -> Drawn | None:
        """What the car draws for good: measured long after the last order."""
        drawn = seen.drawn
        if drawn is None:
            return None
        is_late = seen.commanded_s is None or drawn.at_s - seen.commanded_s >= SETTLED_S + self._manner.settle_s
        return drawn if is_late else None

    def _restless(self) -> NotClearError | None:
        within = [one.current_a for one in self._readings if self._now_s - one.at_s <= WINDOW_S]
        if len(within) < LEAST_READINGS or self._now_s - self._readings[0].at_s < WINDOW_S:
            return NotClearError("the meter has not been read for long enough", "ask the doctor about the meter")
        for phase in PHASES:
            values = sorted(current_a[phase] for current_a in within)
            if (moved_a := values[-1] - values[0]) > RESTLESS_A:
                return NotClearError(f"{PHASE_NAMES[phase]} moves by {moved_a:.1f} A within {WINDOW_S:.0f} s")
        return None
