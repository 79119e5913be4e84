"""What does a car draw when its station offers it so many amperes?"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

MINIMUM_A = 6.0
"""IEC 61851-1: the pilot signal cannot offer less; below it the car pauses."""

NOMINAL_V = 230.0


class DelayLine:
    """A value that takes effect some seconds after it was set, as pilot signals and slow firmware do."""

    def __init__(self, value: float) -> None:
        self._effective = value
        self._latest = value
        self._pending: deque[tuple[float, float]] = deque()

    def set(self, value: float, due_s: float) -> None:
        """`value` holds from `due_s` on; a repeated value is no new change."""
        if value != self._latest:
            self._latest = value
            self._pending.append((due_s, value))

    def at(self, now_s: float) -> float:
        """The value in effect at `now_s`; must be asked in the order of time."""
        while self._pending and self._pending[0][0] <= now_s:
            self._effective = self._pending.popleft()[1]
        return self._effective


@dataclass(frozen=True, slots=True)
class VehicleSpec:
    """A car and its stay: amperes per phase, seconds since the scenario's start, watt-hours.

    taper_wh: the last part of the charge, during which the car reduces linearly down to the minimum.
    card: what the driver shows to the reader.
    reaction_s: how long the car takes to notice another pilot signal (at most 5 s by IEC 61851-1).
    least_a: offered less than that it draws nothing.
    rests: from when to when, in seconds since it was plugged in, it takes nothing of what it is offered, as cars do that warm up or balance their
    cells; says_so: it opens its contactor then, which its station sees.
    stays: when it is full it leaves no earlier than said; else at once.
    """

    phases: int = 3
    max_a: float = 16.0
    need_wh: float = 20_000.0
    taper_wh: float = 0.0
    reaction_s: float = 1.0
    ramp_a_per_s: float = 8.0
    arrives_s: float = 0.0
    departs_s: float | None = None
    card: str = "DEADBEEF"
    least_a: float = MINIMUM_A
    rests: tuple[tuple[float, float], ...] = ()
    says_so: bool = True
    stays: bool = False


class Vehicle:
    """A car at the plug: give it the pilot signal, it answers with the current per phase."""

    def __init__(self, spec: VehicleSpec) -> None:
        self.spec = spec
        self.current_a = 0.0
        self.charged_wh = 0.0
        self.rests = False
        self._pilot = DelayLine(0.0)
        self._plugged_s: float | None = None

    @property
    def is_full(self) -> bool:
        """Whether the battery has got what it needs."""
        return self.charged_wh >= self.spec.need_wh

    @property
    def wants_to_leave(self) -> bool:
        """Whether its driver takes it away because it is full."""
        return self.is_full and not self.spec.stays

    @property
    def says_no(self) -> bool:
        """Whether its station sees that it wants nothing."""
        return self.is_full or (self.rests and self.spec.says_so)

    def advance(self, offered_a: float, phases: int, now_s: float, dt_s: float, volts: float = NOMINAL_V) -> None:
        """Let `dt_s` seconds pass with `offered_a` per phase on the pilot and `phases` lines connected."""
        self._plugged_s = now_s if self._plugged_s is None else self._plugged_s
        self.rests = any(begin_s <= now_s - self._plugged_s < end_s for begin_s, end_s in self.spec.rests)
        self._pilot.set(offered_a, now_s + self.spec.reaction_s)
        target_a = self._wish_a(self._pilot.at(now_s))
        step_a = self.spec.ramp_a_per_s * dt_s
        self.current_a = max(self.current_a - step_a, min(self.current_a + step_a, target_a))
        self.charged_wh += self.current_a * volts * min(phases, self.spec.phases) * dt_s / 3600

    def _wish_a(self, offered_a: float) -> float:
        if self.is_full or self.rests or offered_a < self.spec.least_a:
            return 0.0
        return min(offered_a, self.spec.max_a, self._taper_a())

    def _taper_a(self) -> float:
        missing_wh = self.spec.need_wh - self.charged_wh
        if missing_wh >= self.spec.taper_wh:
            return self.spec.max_a
        return MINIMUM_A + (self.spec.max_a - MINIMUM_A) * missing_wh / self.spec.taper_wh
