"""What holds when, within a window of time? Step functions over whole microseconds, and how two of them become one."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from typing import NamedTuple, TypeVar

T = TypeVar("T")
A = TypeVar("A")
B = TypeVar("B")

Line = Sequence[tuple[int, T]]
"""(microsecond of the window, what holds from there on); the first is 0, they ascend. Nobody changes one."""

MICROSECOND = timedelta(microseconds=1)
SECOND_US = 1_000_000
NOTHING: Line[None] = ((0, None),)
"""Nothing is said, and so it may stand for a line of any kind."""


class Window(NamedTuple):
    """[start, start + span): the time that is looked at; `start` in UTC."""

    start: datetime
    span_us: int

    @classmethod
    def of(cls, start: datetime, horizon_s: float) -> Window:
        """The window of so many seconds from `start` on."""
        return cls(start.astimezone(UTC), max(0, round(horizon_s * SECOND_US)))

    @property
    def end(self) -> datetime:
        """The first instant that is not in it."""
        return self.start + timedelta(microseconds=self.span_us)

    def instant(self, position_us: int) -> datetime:
        """The instant at this microsecond of the window."""
        return self.start + timedelta(microseconds=position_us)

    def position_us(self, instant: datetime) -> int:
        """The microsecond of the window at this instant, also outside of it."""
        return (instant - self.start) // MICROSECOND


def combined(a: Line[A], b: Line[B], both: Callable[[A, B], T]) -> Line[T]:
    """`both` of what two lines say at every instant; equal neighbours are one step."""
    at, i, j = 0, 0, 0
    last_a, last_b = len(a) - 1, len(b) - 1
    here_a, here_b = a[0][1], b[0][1]
    found = [(0, both(here_a, here_b))]
    while True:
        next_a = a[i + 1][0] if i < last_a else math.inf
        next_b = b[j + 1][0] if j < last_b else math.inf
        if next_a == next_b == math.inf:
            return found
        if next_a <= next_b:
            i += 1
            at, here_a = a[i]
        if next_b <= next_a:
            j += 1
            at, here_b = b[j]
        value = both(here_a, here_b)
        if value is not found[-1][1] and value != found[-1][1]:
            found.append((at, value))


def over(top: Line[T | None], bottom: Line[T | None]) -> Line[T | None]:
    """What `top` says, and where it says nothing what `bottom` says."""
    return combined(top, bottom, _first_said)


def has_gap(line: Line[T | None]) -> bool:
    """Whether a line says nothing somewhere."""
    return any(value is None for _, value in line)


def clipped(line: Line[T | None], begin_us: int, stop_us: float, span_us: int) -> Line[T | None]:
    """The line within [begin, stop), nothing outside."""
    begin_us = max(begin_us, 0)
    if begin_us >= stop_us or begin_us >= span_us:
        return [(0, None)]
    if begin_us == 0 and stop_us >= span_us:
        return line
    before = [value for at, value in line if at <= begin_us]
    found = [*([(0, None)] if begin_us else []), (begin_us, before[-1])]
    found += [(at, value) for at, value in line if begin_us < at < stop_us]
    return [*found, (int(stop_us), None)] if stop_us < span_us else found


def _first_said(top: T | None, bottom: T | None) -> T | None:
    return bottom if top is None else top
