"""How much may be drawn when? A stepwise limit over absolute time, and its algebra."""

from __future__ import annotations

import math
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import NamedTuple, Self, TypeVar

Step = tuple[datetime, float | None]
_T = TypeVar("_T")


class Segment(NamedTuple):
    """One stretch [start, end) with one limit in amperes per phase (None: no constraint)."""

    start: datetime
    end: datetime
    limit_a: float | None


@dataclass(frozen=True, slots=True)
class Schedule:
    """A limit in amperes per phase as a step function of absolute time.

    `steps` ascend strictly in time; each holds from its instant (inclusive) until the next one (exclusive), the last
    for ever. None is "no constraint", which also holds before the first step. Every instance is normal: instants are
    in UTC, equal neighbours are one step, so that equal functions are equal values.

    Raises ValueError for a naive or unordered instant, and for a limit that is negative or not finite.
    """

    steps: tuple[Step, ...] = ()

    def __post_init__(self) -> None:
        object.__setattr__(self, "steps", _normal(self.steps))

    @classmethod
    def trusted(cls, steps: tuple[Step, ...]) -> Self:
        """Of steps that are known to be normal: ascending instants in UTC, no two neighbours equal, the first no None."""
        schedule = object.__new__(cls)
        object.__setattr__(schedule, "steps", steps)
        return schedule

    @classmethod
    def unlimited(cls) -> Self:
        """No constraint, ever."""
        return cls()

    @classmethod
    def constant(cls, limit_a: float, start: datetime, end: datetime | None = None) -> Self:
        """`limit_a` in [start, end), for ever without `end`; an empty stretch gives no constraint."""
        if end is None:
            return cls(((start, limit_a),))
        return cls(((start, limit_a), (end, None))) if start < end else cls()

    @classmethod
    def of(cls, segments: Iterable[tuple[datetime, datetime, float | None]]) -> Self:
        """The inverse of `segments`: ascending stretches that do not overlap; no constraint between and around them.

        Raises ValueError when the stretches overlap or do not ascend.
        """
        steps: list[Step] = []
        for start, end, limit_a in segments:
            if steps and steps[-1][0] == start:
                steps.pop()
            steps += [(start, limit_a), (end, None)]
        return cls(tuple(steps))

    def at(self, t: datetime) -> float | None:
        """The limit in force at `t`."""
        steps = self.steps
        if len(steps) == 2:  # a limit that ends, as most of ours
            return None if t < steps[0][0] else steps[t >= steps[1][0]][1]
        index = bisect_right(steps, t, key=_instant)
        return steps[index - 1][1] if index else None

    @property
    def is_unlimited(self) -> bool:
        """Whether there is no constraint, ever."""
        return not self.steps

    def minimum(self, other: Schedule) -> Schedule:
        """The lower of both limits at every instant."""
        if not self.steps or not other.steps:
            return self if self.steps else other
        instants = sorted({t for t, _ in self.steps + other.steps})
        return Schedule(tuple((t, lower(self.at(t), other.at(t))) for t in instants))

    def lowest(self, start: datetime, end: datetime) -> float | None:
        """The lowest limit in [start, end); None if there is no constraint throughout (or the stretch is empty)."""
        if not self.steps or end <= start:
            return None
        first, last = bisect_right(self.steps, start, key=_instant), bisect_left(self.steps, end, key=_instant)
        return min((a for _, a in self.steps[max(first - 1, 0) : last] if a is not None), default=None)

    def clipped(self, start: datetime, end: datetime) -> Schedule:
        """The same limit within [start, end), no constraint outside."""
        if not self.steps or end <= start:
            return Schedule()
        inner = self.steps[bisect_right(self.steps, start, key=_instant) : bisect_left(self.steps, end, key=_instant)]
        return Schedule(((start, self.at(start)), *inner, (end, None)))

    def segments(self, start: datetime, end: datetime) -> list[Segment]:
        """[start, end) cut at every step: gapless, ascending, neighbours differ; empty if `end` is not after `start`."""
        if end <= start:
            return []
        inner = self.steps[bisect_right(self.steps, start, key=_instant) : bisect_left(self.steps, end, key=_instant)]
        heads = [(start, self.at(start)), *inner]
        tails = [t for t, _ in inner] + [end]
        return [Segment(head, tail, limit_a) for (head, limit_a), tail in zip(heads, tails, strict=True)]

    def coalesced(self, max_periods: int) -> Schedule:
        """At most `max_periods` steps, never above this schedule (LC-087). Raises ValueError below one period."""
        cells = self.segments(self.steps[0][0], _END_OF_TIME) if self.steps else []
        return Schedule(tuple((s.start, s.limit_a) for s in coalesced(cells, max_periods)))


def coalesced(segments: Sequence[Segment], max_periods: int) -> list[Segment]:
    """At most `max_periods` gapless segments, nowhere above the given gapless ones (LC-087).

    ValueError below one period.
    """
    return merged_down(segments, max_periods, join=_joined, loss=_ampere_seconds_lost)


def merged_down(
    items: Sequence[_T], max_count: int, *, join: Callable[[_T, _T], _T], loss: Callable[[_T, _T], float]
) -> list[_T]:
    """`items` with the neighbours of least `loss` joined until `max_count` are left. ValueError if that is below 1."""
    if max_count < 1:
        raise ValueError(f"cannot coalesce to {max_count} periods: at least 1 is needed")
    left = list(items)
    if len(left) <= max_count:
        return left
    losses = [loss(a, b) for a, b in pairwise(left)]
    while len(left) > max_count:
        best = losses.index(min(losses))
        left[best : best + 2] = [join(left[best], left[best + 1])]
        changed = slice(max(best - 1, 0), best + 2)
        losses[changed] = [loss(a, b) for a, b in pairwise(left[changed])]
    return left


def lower(a: float | None, b: float | None) -> float | None:
    """The lower of two limits, where None is no constraint."""
    if a is None or b is None:
        return b if a is None else a
    return min(a, b)


def lost_by_joining(a_s: float, a: float | None, b_s: float, b: float | None) -> float:
    """What is given away (limit times seconds) when two neighbours of these lengths and limits both get the lower."""
    low = lower(a, b)
    return math.fsum(_surplus(limit, low) * length_s for limit, length_s in ((a, a_s), (b, b_s)) if limit != low)


def _surplus(limit: float | None, low: float | None) -> float:
    return math.inf if limit is None or low is None else limit - low


def _joined(a: Segment, b: Segment) -> Segment:
    return Segment(a.start, b.end, lower(a.limit_a, b.limit_a))


def _ampere_seconds_lost(a: Segment, b: Segment) -> float:
    return lost_by_joining(_length_s(a), a.limit_a, _length_s(b), b.limit_a)


def _length_s(segment: Segment) -> float:
    return (segment.end - segment.start) / timedelta(seconds=1)


def _instant(step: Step) -> datetime:
    return step[0]


def _normal(steps: Iterable[Step]) -> tuple[Step, ...]:
    """Checked, in UTC, without steps that change nothing."""
    kept: list[Step] = []
    previous: datetime | None = None
    for instant, limit_a in steps:
        t = _checked_instant(instant, previous)
        if _checked_limit(limit_a) != (kept[-1][1] if kept else None):
            kept.append((t, limit_a))
        previous = t
    return tuple(kept)


def _checked_instant(instant: datetime, previous: datetime | None) -> datetime:
    if instant.tzinfo is None:
        raise ValueError(f"a schedule needs instants with a time zone, got {instant.isoformat()}")
    t = instant.astimezone(UTC)
    if previous is not None and t <= previous:
        raise ValueError(f"steps must ascend: {t.isoformat()} follows {previous.isoformat()}")
    return t


def _checked_limit(limit_a: float | None) -> float | None:
    if limit_a is not None and not 0.0 <= limit_a < math.inf:
        raise ValueError(f"a limit is None (no constraint) or finite and not negative, got {limit_a}")
    return limit_a


_END_OF_TIME = datetime.max.replace(tzinfo=UTC)
