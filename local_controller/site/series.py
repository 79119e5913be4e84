"""What is something worth at each moment, as far as anybody said? Prices and forecasts as steps over time.

Time is UTC in POSIX seconds, so a day on which the clock is put forward or back simply has 23 or 25 hours. Where nothing was
said, nothing is known: a gap is never filled from its neighbours.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise, zip_longest
from typing import Final, NamedTuple

from local_controller.errors import SourceError

WHOLE: Final = 1 - 1e-6
"""So much of a span must be known for its mean: what is less is the rounding of seconds since 1970."""


class Step(NamedTuple):
    """A value from one moment to another, the end not included."""

    start_s: float
    end_s: float
    value: float


class Point(NamedTuple):
    """A value as somebody says it. end_s None: until the next point begins."""

    start_s: float
    end_s: float | None
    value: float


@dataclass(frozen=True, slots=True)
class Series:
    """Steps in ascending order that do not overlap; between two of them, before and after them nothing is known."""

    steps: tuple[Step, ...] = ()

    def at(self, at_s: float) -> float | None:
        """The value at a moment."""
        found = self._step(at_s)
        return None if found is None else found.value

    def mean(self, start_s: float, end_s: float) -> float | None:
        """The mean over a span of time, which must not be empty; None where a part of it is unknown."""
        pieces = [
            (min(step.end_s, end_s) - max(step.start_s, start_s), step.value) for step in self._between(start_s, end_s)
        ]
        if sum(seconds for seconds, _ in pieces) < (end_s - start_s) * WHOLE:
            return None
        return sum(seconds * value for seconds, value in pieces) / sum(seconds for seconds, _ in pieces)

    def known_until_s(self, at_s: float) -> float:
        """Until when everything is known from this moment on; the moment itself where nothing is."""
        for step in self.steps:
            if step.start_s <= at_s < step.end_s:
                at_s = step.end_s
        return at_s

    def _step(self, at_s: float) -> Step | None:
        number = bisect_right(self.steps, at_s, key=lambda step: step.start_s) - 1
        return self.steps[number] if number >= 0 and at_s < self.steps[number].end_s else None

    def _between(self, start_s: float, end_s: float) -> Iterator[Step]:
        first = max(0, bisect_right(self.steps, start_s, key=lambda step: step.start_s) - 1)
        for step in self.steps[first:]:
            if step.start_s >= end_s:
                return
            if step.end_s > start_s:
                yield step


def series_of(points: Iterable[Point], longest_s: float) -> Series:
    """The points as a series; SourceError where two of them contradict each other.

    A point without an end lasts until the next begins, and at most `longest_s`, so that what is missing stays unknown; the
    last of them lasts as long as the one before. One that overlaps the next ends where that begins: the newer slot counts.
    """
    in_order = sorted(set(points), key=lambda point: (point.start_s, point.value))
    for before, after in pairwise(in_order):
        if before.start_s == after.start_s and before.value != after.value:
            raise SourceError(f"it says {before.value:g} and {after.value:g} for the same moment: each needs its own")
    starts = {point.start_s: point for point in in_order}
    return Series(tuple(_steps(list(starts.values()), longest_s)))


def _steps(points: Sequence[Point], longest_s: float) -> Iterator[Step]:
    length_s = longest_s
    for point, after in zip_longest(points, points[1:]):
        next_s = math.inf if after is None else after.start_s
        last_s = point.start_s + (length_s if after is None else longest_s)
        end_s = min(next_s, last_s if point.end_s is None else point.end_s)
        length_s = end_s - point.start_s
        yield Step(point.start_s, end_s, point.value)
