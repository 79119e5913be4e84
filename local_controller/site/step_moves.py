"""Which phases of a meter moved with the car, by how much, and how late?

A phase belongs to the car if each of its moves shows there, every time by the same amount and at the same moment, and
nothing else happened on it meanwhile.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate
from statistics import median
from typing import Final, NamedTuple

from local_controller.errors import LocalControllerError
from local_controller.site.per_phase import PHASE_NAMES, PHASES, PerPhase
from local_controller.site.topology import Evse
from local_controller.station.words import Phase

WINDOW_S: Final = 8.0
"""Levels are medians over so long before a move, and at the end of it: four readings of the slowest meter (2 s)."""

RAMP_S: Final = 3.0
"""So long around its middle a move may take on the meter: cars ramp by 2 A/s or faster, meters average over 1 s."""

LATEST_S: Final = 15.0
"""By then a lowered car must show at the meter: what it shows later counts as somebody else's load (goal G3)."""

ALIKE: Final = 0.25
"""By so much of the step two levels of the same thing may differ: 1.5 A of 6 A, the noise of a quiet building."""

SEEN: Final = 0.4
"""From so much of the step on a phase has moved. Between `ALIKE` and this nothing is said about it."""

STRAYS: Final = 0.03
"""So many of the readings may be off, and one in any case: meters and motors have spikes."""

LEAST_READINGS: Final = 3
DELAYS_ALIKE_S: Final = 6.0
"""So far the delays of two moves of the same car may differ: a poll of 2 s, a meter that averages, a car of 5 s."""


class Shown(NamedTuple):
    """What the meter showed, and when it was asked (monotonic)."""

    at_s: float
    current_a: PerPhase


class Move(NamedTuple):
    """The car was lowered (sign -1) or given back (+1) by an order at `at_s`, and left alone until `until_s` (monotonic).

    last_s: when the last order of the move was given, as a raise may take several.
    """

    sign: int
    at_s: float
    last_s: float
    until_s: float


@dataclass(frozen=True, slots=True)
class Watched:
    """All that a step test saw.

    drawn_a: before the first move, by the station's own meter and its own phases. told_a: the limit that the car was
    lowered to. lowered_a: what its fullest phase then drew by the same meter; None if it was not measured so soon.
    """

    evse: Evse
    meter: str
    readings: Sequence[Shown]
    moves: Sequence[Move]
    drawn_a: Mapping[Phase, float]
    told_a: float
    lowered_a: float | None = None

    @property
    def step_a(self) -> float:
        """By how much the car went down, as far as its station knows."""
        return max(self.drawn_a.values()) - (self.told_a if self.lowered_a is None else self.lowered_a)

    @property
    def station_phases(self) -> tuple[Phase, ...]:
        """The phases that the car uses, as the station counts them."""
        used = tuple(phase for phase, amperes in sorted(self.drawn_a.items()) if amperes > 1.0)
        return used[:1] if len(self.evse.station_phases) == 1 else used

    @property
    def expected(self) -> frozenset[int]:
        """The grid phases that the site file puts behind them."""
        return self.evse.behind(self.station_phases)


class NotClearError(LocalControllerError):
    """Nothing can be said: why, and what might help."""

    def __init__(self, text: str, remedy: str = "repeat the test when the building is quiet") -> None:
        super().__init__(text)
        self.text = text
        self.remedy = remedy


@dataclass(frozen=True, slots=True)
class Found:
    """What moved. sizes_a: per phase, + in step with the car; still phases have 0. delays_s: of the moves downwards."""

    sizes_a: PerPhase
    phases: tuple[int, ...]
    delays_s: Sequence[float]
    before_a: PerPhase


def found(watched: Watched) -> Found:
    """What moved with the car. NotClearError where something else may have done it."""
    levels = [_levels(watched, move) for move in watched.moves]
    sizes = [[(b[p] - a[p]) * move.sign for p in PHASES] for move, (a, b) in zip(watched.moves, levels, strict=True)]
    size_a = tuple(_size_a([one[phase] for one in sizes], watched.step_a, phase) for phase in PHASES)
    phases = tuple(phase for phase in PHASES if size_a[phase] != 0.0)
    delays_s = []
    for move, (before_a, after_a) in zip(watched.moves, levels, strict=True):
        middle_s = _middle_s(watched, move, before_a, after_a, phases)
        for phase in PHASES:
            alike_a = ALIKE * max(watched.step_a, abs(after_a[phase] - before_a[phase]))
            _Course(move, before_a[phase], after_a[phase], middle_s, alike_a).check(watched.readings, phase)
        if move.sign < 0 and middle_s is not None:
            delays_s.append(middle_s - move.at_s)
    if delays_s and max(delays_s) - min(delays_s) > DELAYS_ALIKE_S:
        listed = " and ".join(f"{one:.0f} s" for one in delays_s)
        raise NotClearError(f"the meter moved {listed} after the order: something else moves too")
    return Found((size_a[0], size_a[1], size_a[2]), phases, delays_s, levels[0][0])


def _levels(watched: Watched, move: Move) -> tuple[PerPhase, PerPhase]:
    return (
        _level(watched.readings, move.at_s - WINDOW_S, move.at_s),
        _level(watched.readings, move.until_s - WINDOW_S, move.until_s),
    )


def _level(readings: Sequence[Shown], from_s: float, to_s: float) -> PerPhase:
    within = [one.current_a for one in readings if from_s < one.at_s <= to_s]
    if len(within) < LEAST_READINGS:
        raise NotClearError("the meter gave too few readings", "ask the doctor about the meter, then repeat the test")
    l1, l2, l3 = (median(current_a[phase] for current_a in within) for phase in PHASES)
    return l1, l2, l3


def _size_a(sizes_a: Sequence[float], step_a: float, phase: int) -> float:
    """By how much a phase went with the car every time; 0 if it never did."""
    if all(abs(size_a) <= ALIKE * step_a for size_a in sizes_a):
        return 0.0
    typical_a = median(sizes_a)
    same_sign = all(size_a * typical_a > 0 for size_a in sizes_a)
    enough = min(map(abs, sizes_a)) >= SEEN * step_a
    alike = max(sizes_a) - min(sizes_a) <= ALIKE * max(step_a, abs(typical_a))
    if same_sign and enough and alike:
        return typical_a
    listed = ", ".join(f"{size_a:+.1f}" for size_a in sizes_a)
    raise NotClearError(f"{PHASE_NAMES[phase]} moved by {listed} A in turn, the car by {step_a:.1f} A each time")


def _middle_s(
    watched: Watched, move: Move, before_a: PerPhase, after_a: PerPhase, phases: Sequence[int]
) -> float | None:
    """When the phases that moved did so: where one step between both levels fits best. None if none moved."""
    if not phases:
        return None
    ways = {phase: 1.0 if after_a[phase] > before_a[phase] else -1.0 for phase in phases}
    low_a, high_a = (sum(way * level[phase] for phase, way in ways.items()) for level in (before_a, after_a))
    middle_a = (low_a + high_a) / 2
    shown = [one for one in watched.readings if move.at_s < one.at_s <= move.until_s]
    nearer_low = [1 if sum(w * one.current_a[p] for p, w in ways.items()) < middle_a else -1 for one in shown]
    sums = [0, *accumulate(nearer_low)]
    best = max(range(len(sums)), key=sums.__getitem__)
    return shown[min(best, len(shown) - 1)].at_s


class _Course(NamedTuple):
    """How the current of one phase goes during a move: flat, one edge in the middle, flat. On a phase of others: flat.

    Between several raises it may be anywhere between both levels. middle_s: None if nothing moved at all.
    """

    move: Move
    before_a: float
    after_a: float
    middle_s: float | None
    alike_a: float

    def check(self, readings: Sequence[Shown], phase: int) -> None:
        """NotClearError if it went otherwise."""
        around = [one for one in readings if self.move.at_s - WINDOW_S < one.at_s <= self.move.until_s]
        is_off = sum(not self._has(one.at_s, one.current_a[phase]) for one in around)
        if is_off > max(1.0, STRAYS * len(around)):
            raise NotClearError(f"{PHASE_NAMES[phase]} moves by itself, by more than {self.alike_a:.1f} A")

    def _has(self, at_s: float, shown_a: float) -> bool:
        """Whether a reading lies on it."""
        near_before = abs(shown_a - self.before_a) <= self.alike_a
        near_after = abs(shown_a - self.after_a) <= self.alike_a
        if self.middle_s is None:
            return near_before or near_after
        if abs(at_s - self.middle_s) < RAMP_S or self._is_between(at_s, shown_a):
            return True
        return near_before if at_s < self.middle_s else near_after

    def _is_between(self, at_s: float, shown_a: float) -> bool:
        lowest_a, highest_a = sorted((self.before_a, self.after_a))
        is_raised_twice = self.move.last_s > self.move.at_s
        is_then = self.move.at_s < at_s <= self.move.last_s + LATEST_S
        return is_raised_twice and is_then and lowest_a - self.alike_a <= shown_a <= highest_a + self.alike_a
