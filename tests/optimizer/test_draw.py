"""What does the optimizer make of a car that takes less than it was told? Batteries that are nearly full, cars that wake up."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from optimizer.draw import LEAST_PART, LONGEST_WAIT, Draw


def told(draw: Draw, readings: list[tuple[float, float]]) -> Draw:
    """The same after readings of what it was told and drew, in whole amperes."""
    for told_a, drawn_a in readings:
        draw.seen(told_a, drawn_a, 1.0)
    return draw


def test_a_car_that_takes_all_or_nearly_all_is_not_held_to_it() -> None:
    draw = told(Draw(), [(16.0, 16.0), (32.0, 29.5), (6.0, 5.6), (0.0, 0.0)])
    assert (draw.most_a, draw.is_less, draw.part_of(6.0)) == (math.inf, False, 1.0)


def test_a_battery_that_tapers_is_planned_with_what_it_drew_in_whole_steps() -> None:
    draw = told(Draw(), [(32.0, 20.3)])
    assert (draw.most_a, draw.is_less) == (21.0, True)
    assert told(draw, [(21.0, 15.0)]).most_a == 15.0


def test_of_a_car_that_takes_less_than_its_minimum_only_that_part_counts() -> None:
    draw = told(Draw(), [(6.0, 3.0)])
    assert (draw.most_a, draw.part_of(6.0)) == (3.0, 0.5)
    assert told(Draw(), [(6.0, 0.0)]).part_of(6.0) == LEAST_PART


def test_a_car_that_woke_up_is_soon_offered_all_again() -> None:
    draw = told(Draw(), [(32.0, 0.4)])
    steps = 0
    while draw.most_a < 32.0:
        draw.seen(max(draw.most_a, 6.0), max(draw.most_a, 6.0), 1.0)
        steps += 1
    assert steps <= 6
    assert not draw.is_less


def test_offers_that_were_in_vain_become_rare() -> None:
    draw, offers = Draw(), 0
    for _ in range(60):
        told_a = min(draw.most_a, 32.0)
        offers += told_a > 11.0
        draw.seen(told_a, min(told_a, 10.0), 1.0)
    assert offers <= 3 + 60 / LONGEST_WAIT


@given(st.lists(st.tuples(st.floats(0, 80), st.floats(0, 80))), st.sampled_from((0.1, 1.0, 8.0)))
def test_whatever_a_car_does_it_may_have_a_step_and_is_worth_something(
    readings: list[tuple[float, float]], step_a: float
) -> None:
    draw = Draw()
    for told_a, drawn_a in readings:
        draw.seen(told_a, drawn_a, step_a)
    assert draw.most_a >= step_a
    assert draw.part_of(6.0) == pytest.approx(min(1.0, max(draw.drawn_a / 6.0, LEAST_PART)))
