"""Does the algebra of stepwise limits obey its laws?"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from local_controller.profiles.schedule import Schedule, Segment, Step, coalesced, lower

T0 = datetime(2026, 3, 2, 12, 0, tzinfo=UTC)
SECONDS = range(-5, 40)


def s(seconds: float) -> datetime:
    return T0 + timedelta(seconds=seconds)


def _steps(pairs: dict[int, float | None]) -> tuple[Step, ...]:
    return tuple((s(second), limit_a) for second, limit_a in sorted(pairs.items()))


limits = st.none() | st.integers(0, 4).map(float)
raw = st.dictionaries(st.integers(0, 30), limits, max_size=8)
schedules = raw.map(lambda pairs: Schedule(_steps(pairs)))
windows = st.tuples(st.integers(-5, 35), st.integers(-5, 35)).map(lambda pair: (s(pair[0]), s(pair[1])))


@given(raw)
def test_at_is_the_last_step_that_has_begun(pairs: dict[int, float | None]) -> None:
    schedule = Schedule(_steps(pairs))
    for second in SECONDS:
        begun = [k for k in pairs if k <= second]
        assert schedule.at(s(second)) == (pairs[max(begun)] if begun else None)


@given(schedules, schedules)
def test_minimum_is_the_lower_at_every_instant(a: Schedule, b: Schedule) -> None:
    both = a.minimum(b)
    assert all(both.at(s(x)) == lower(a.at(s(x)), b.at(s(x))) for x in SECONDS)
    assert both == b.minimum(a)
    assert a.minimum(a) == a
    assert a.minimum(Schedule.unlimited()) == a


@given(schedules)
def test_every_schedule_is_normal(schedule: Schedule) -> None:
    values = [None, *(limit_a for _, limit_a in schedule.steps)]
    assert all(before != after for before, after in pairwise(values))


@given(schedules, windows)
def test_segments_tell_the_whole_window(schedule: Schedule, window: tuple[datetime, datetime]) -> None:
    start, end = window
    found = schedule.segments(start, end)
    assert bool(found) == (start < end)
    if found:
        assert (found[0].start, found[-1].end) == window
        assert all(a.end == b.start and a.limit_a != b.limit_a for a, b in pairwise(found))
        assert all(schedule.at(x.start) == x.limit_a == schedule.at(x.end - timedelta.resolution) for x in found)


@given(schedules, windows)
def test_lowest_is_the_lowest_anywhere_in_the_window(schedule: Schedule, window: tuple[datetime, datetime]) -> None:
    start, end = window
    inside = [schedule.at(s(x)) for x in SECONDS if start <= s(x) < end]
    assert schedule.lowest(start, end) == min((x for x in inside if x is not None), default=None)


@given(schedules, windows)
def test_clipping_keeps_the_inside_and_frees_the_outside(schedule: Schedule, window: tuple[datetime, datetime]) -> None:
    clipped = schedule.clipped(*window)
    for x in SECONDS:
        inside = window[0] <= s(x) < window[1]
        assert clipped.at(s(x)) == (schedule.at(s(x)) if inside else None)


@pytest.mark.requirement("LC-087")
@given(schedules, st.integers(1, 8))
def test_coalescing_never_raises_a_limit(schedule: Schedule, max_periods: int) -> None:
    fewer = schedule.coalesced(max_periods)
    assert len(fewer.steps) <= max_periods
    assert all(lower(fewer.at(s(x)), schedule.at(s(x))) == fewer.at(s(x)) for x in SECONDS)
    if len(schedule.steps) <= max_periods:
        assert fewer == schedule


@pytest.mark.requirement("LC-087")
@given(schedules, windows, st.integers(1, 8))
def test_coalesced_segments_cover_the_same_window(
    schedule: Schedule, window: tuple[datetime, datetime], max_periods: int
) -> None:
    segments = schedule.segments(*window)
    fewer = coalesced(segments, max_periods)
    assert len(fewer) == min(len(segments), len(fewer)) <= max_periods
    if segments:
        assert (fewer[0].start, fewer[-1].end) == window
    for segment in segments:
        (covering,) = [x for x in fewer if x.start <= segment.start and segment.end <= x.end]
        assert lower(covering.limit_a, segment.limit_a) == covering.limit_a


def test_coalescing_gives_away_as_little_as_it_can() -> None:
    segments = [Segment(s(0), s(10), 10.0), Segment(s(10), s(20), 16.0), Segment(s(20), s(21), 6.0)]
    assert coalesced(segments, 2) == [Segment(s(0), s(20), 10.0), Segment(s(20), s(21), 6.0)]
    assert coalesced(segments, 1) == [Segment(s(0), s(21), 6.0)]
    steep_then_flat = [Segment(s(0), s(10), 10.0), Segment(s(10), s(20), 32.0), Segment(s(20), s(30), 31.0)]
    assert coalesced(steep_then_flat, 2) == [Segment(s(0), s(10), 10.0), Segment(s(10), s(30), 31.0)]


def test_coalescing_to_nothing_is_refused() -> None:
    with pytest.raises(ValueError, match="at least 1"):
        Schedule.constant(6.0, s(0)).coalesced(0)


def test_a_constant_holds_until_its_end() -> None:
    assert Schedule.constant(6.0, s(0)).at(s(10**9)) == 6.0
    assert Schedule.constant(6.0, s(0), s(10)).steps == ((s(0), 6.0), (s(10), None))
    assert Schedule.constant(6.0, s(0), s(0)) == Schedule.unlimited()


def test_segments_can_be_joined_to_a_schedule_again() -> None:
    parts = [(s(0), s(5), 6.0), (s(5), s(9), None), (s(20), s(30), 8.0)]
    assert Schedule.of(parts).steps == ((s(0), 6.0), (s(5), None), (s(20), 8.0), (s(30), None))
    with pytest.raises(ValueError, match="ascend"):
        Schedule.of([(s(0), s(5), 6.0), (s(4), s(9), 7.0)])


def test_equal_functions_are_equal_values_in_any_time_zone() -> None:
    cest = timezone(timedelta(hours=2))
    assert Schedule(((s(0).astimezone(cest), 6.0), (s(3), 6.0))) == Schedule(((s(0), 6.0),))
    assert Schedule(((s(0), None), (s(3), 6.0))) == Schedule(((s(3), 6.0),))


@pytest.mark.parametrize("limit_a", [-0.1, float("nan"), float("inf")])
def test_no_sentinel_passes_for_a_limit(limit_a: float) -> None:
    with pytest.raises(ValueError, match="a limit is None"):
        Schedule.constant(limit_a, s(0))


def test_instants_need_a_time_zone_and_an_order() -> None:
    with pytest.raises(ValueError, match="time zone"):
        Schedule.constant(6.0, s(0).replace(tzinfo=None))
    with pytest.raises(ValueError, match="ascend"):
        Schedule(((s(1), 6.0), (s(1), 7.0)))


def test_many_periods_are_joined_like_the_plain_way_does() -> None:
    noon = datetime(2026, 6, 1, 12, tzinfo=UTC)
    segments = [
        Segment(noon + timedelta(minutes=n), noon + timedelta(minutes=n + 1), float(n * 7919 % 32)) for n in range(60)
    ]

    def loss(a: Segment, b: Segment) -> float:
        low = min(a.limit_a or 0.0, b.limit_a or 0.0)
        return sum(((s.limit_a or 0.0) - low) * (s.end - s.start).total_seconds() for s in (a, b))

    left = list(segments)
    while len(left) > 7:
        best = min(range(len(left) - 1), key=lambda n: loss(left[n], left[n + 1]))
        a, b = left[best], left[best + 1]
        left[best : best + 2] = [Segment(a.start, b.end, min(a.limit_a or 0.0, b.limit_a or 0.0))]
    assert coalesced(segments, 7) == left
