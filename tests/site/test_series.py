"""What a series knows, and what it does not."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from local_controller.errors import SourceError
from local_controller.site.series import Point, Series, Step, series_of

HOUR_S = 3600.0


def test_the_mean_over_a_span_is_weighted_by_time_and_unknown_where_a_part_is() -> None:
    series = Series((Step(0, 900, 10.0), Step(900, 3600, 20.0), Step(7200, 10800, 50.0)))
    assert series.mean(0, 1800) == pytest.approx(15.0)
    assert series.mean(600, 1200) == pytest.approx(15.0)
    assert series.mean(3000, 4000) is None
    assert series.mean(8000, 9000) == pytest.approx(50.0)
    assert (series.at(899.9), series.at(900), series.at(3600), series.at(-1)) == (10.0, 20.0, None, None)
    assert (series.known_until_s(100), series.known_until_s(5000), series.known_until_s(7200)) == (3600, 5000, 10800)


def test_points_without_an_end_last_until_the_next_and_no_longer_than_said() -> None:
    """Quarters of an hour after hours, as on the day when an exchange goes over to them; then an hour is missing."""
    points = [Point(0, None, 1.0), Point(3600, None, 2.0), Point(4500, None, 3.0), Point(12600, None, 4.0)]
    assert series_of(points, HOUR_S).steps == (
        Step(0, 3600, 1.0),
        Step(3600, 4500, 2.0),
        Step(4500, 8100, 3.0),
        Step(12600, 16200, 4.0),
    )


def test_the_last_point_lasts_as_long_as_the_one_before() -> None:
    assert series_of([Point(900, None, 2.0), Point(0, None, 1.0)], HOUR_S).steps[-1] == Step(900, 1800, 2.0)


def test_a_point_that_overlaps_the_next_ends_where_that_begins() -> None:
    assert series_of([Point(0, 5400, 1.0), Point(3600, 7200, 2.0)], HOUR_S).steps == (
        Step(0, 3600, 1.0),
        Step(3600, 7200, 2.0),
    )


def test_the_same_said_twice_is_said_once_and_two_values_for_a_moment_are_refused() -> None:
    assert series_of([Point(0, 900, 1.0), Point(0, 900, 1.0)], HOUR_S).steps == (Step(0, 900, 1.0),)
    with pytest.raises(SourceError, match="it says 1 and 2 for the same moment"):
        series_of([Point(0, 900, 2.0), Point(0, 900, 1.0)], HOUR_S)


_POINTS = st.lists(
    st.builds(
        lambda start, length, value: Point(float(start), None if length is None else float(start + length), value),
        st.integers(0, 500),
        st.none() | st.integers(1, 100),
        st.floats(-5, 5),
    ),
    unique_by=lambda point: point.start_s,
)


@given(points=_POINTS, at_s=st.integers(-10, 700), width_s=st.integers(1, 300))
def test_a_series_is_in_order_and_says_nothing_that_no_point_says(points: list[Point], at_s: int, width_s: int) -> None:
    series = series_of(points, 60.0)
    ends = [edge for step in series.steps for edge in (step.start_s, step.end_s)]
    assert ends == sorted(ends)
    value = series.at(at_s)
    covering = {p.value for p in points if p.start_s <= at_s < (p.start_s + 100 if p.end_s is None else p.end_s)}
    assert value is None or value in covering
    mean = series.mean(at_s, at_s + width_s)
    if mean is not None:
        values = [step.value for step in series.steps]
        assert min(values) - 1e-6 <= mean <= max(values) + 1e-6
        assert series.known_until_s(at_s) >= at_s + width_s
