"""How near is a fuse to its end, whom does that concern, and what is done about it? (goal G4)"""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from local_controller.site.overload import MOST_S, Overload
from local_controller.site.per_phase import ZERO, equal
from local_controller.site.topology import FuseType
from tests.site.virtual_site import START

RATING = equal(100.0)


def heated(fuse: FuseType, *readings: tuple[float, float]) -> Overload:
    """A fuse of 100 A after readings on L2: second, amperes."""
    overload = Overload()
    for second, current_a in readings:
        overload.measured((50.0, current_a, 50.0), RATING, fuse, START.after(second))
    return overload


def seconds_until(stop_s: float, times_rating: float) -> float:
    """How long an overload of so many times the rating lasts until the cars are lowered for it."""
    overload, tenths = Overload(), 0
    while max(overload.stress_s) < stop_s:
        overload.measured(equal(100.0 * times_rating), RATING, FuseType.MCB, START.after(tenths / 10))
        tenths += 1
    return (tenths - 1) / 10


@pytest.mark.parametrize(
    ("stop_s", "times_rating", "after_s"), [(7.0, 1.45, 6.4), (20.0, 1.45, 18.2), (7.0, 1.2, 16.0), (20.0, 2.0, 6.7)]
)
def test_the_published_times(stop_s: float, times_rating: float, after_s: float) -> None:
    assert seconds_until(stop_s, times_rating) == pytest.approx(after_s, abs=0.11)


def test_it_heats_above_the_rating_and_cools_below_phase_by_phase() -> None:
    hot = heated(FuseType.MCB, (0, 150.0), (4, 150.0))
    assert hot.stress_s == [0.0, 5.0, 0.0]
    cooler = heated(FuseType.MCB, (0, 150.0), (4, 150.0), (4, 50.0), (8, 50.0))
    assert cooler.stress_s == [0.0, 2.0, 0.0]


def test_between_two_readings_the_higher_one_counts() -> None:
    assert heated(FuseType.MCB, (0, 50.0), (4, 150.0)).stress_s[1] == 5.0
    assert heated(FuseType.MCB, (0, 150.0), (4, 50.0)).stress_s[1] == 5.0


def test_what_overheated_it_counts_as_load_until_it_is_cool() -> None:
    readings = [(0, 150.0), (4, 150.0), (6, 130.0)]  # 7.5 s: enough for a main breaker, not for a miniature one
    assert heated(FuseType.SLS_E, *readings).shed_a == (0.0, 30.0, 0.0)
    assert heated(FuseType.MCB, *readings).shed_a == ZERO
    assert heated(FuseType.SLS_E, *readings, (7, 90.0), (9, 90.0)).shed_a == (0.0, 30.0, 0.0), "it is still hot"
    assert heated(FuseType.SLS_E, *readings, (7, 90.0), (70, 90.0)).shed_a == ZERO


@pytest.mark.parametrize(
    ("fuse", "stop_s"),
    [(FuseType.MCB, 20.0), (FuseType.GG, 20.0), (FuseType.SLS_E, 7.0), (FuseType.IEC60947, 7.0)],
    ids=str,
)
def test_each_type_of_fuse_is_relieved_at_its_own_integral_and_not_before(fuse: FuseType, stop_s: float) -> None:
    at_s = stop_s / 1.25  # so much S grows each second at one and a half times the rating
    assert heated(fuse, (0, 150.0), (at_s - 0.1, 150.0)).shed_a == ZERO
    assert heated(fuse, (0, 150.0), (at_s, 150.0)).shed_a == (0.0, 50.0, 0.0)


def test_what_is_fed_into_the_grid_heats_and_is_no_cars_fault() -> None:
    exported = heated(FuseType.SLS_E, (0, -150.0), (10, -150.0))
    assert exported.stress_s[1] == 12.5
    assert exported.shed_a == ZERO


def test_the_alarm_is_told_once_until_it_has_cooled_down() -> None:
    overload = Overload()
    told = [
        overload.measured((50.0, current_a, 50.0), RATING, FuseType.GG, START.after(second))
        for second, current_a in [(0, 150.0), (4, 150.0), (5, 150.0), (6, 0.0), (60, 0.0), (61, 150.0), (66, 150.0)]
    ]
    assert told == [[], [1], [], [], [], [], [1]]


@given(st.lists(st.tuples(st.floats(0.1, 5.0), st.floats(0.0, 300.0)), min_size=1, max_size=40))
def test_never_less_than_the_integral_and_never_below_zero(steps: list[tuple[float, float]]) -> None:
    """A law: whatever flowed, it is at least as hot as when each reading had held until the next, as far as a device bears."""
    overload, at, held_a, least_s = Overload(), 0.0, 0.0, 0.0
    for number, (seconds, current_a) in enumerate(steps):
        at += seconds
        overload.measured(equal(current_a), RATING, FuseType.GG, START.after(at))
        if number:
            least_s = min(MOST_S, max(0.0, least_s + ((held_a / 100.0) ** 2 - 1.0) * seconds))
        held_a = current_a
        assert overload.stress_s[0] >= least_s - 1e-9
        assert 0.0 <= min(overload.stress_s) <= MOST_S
