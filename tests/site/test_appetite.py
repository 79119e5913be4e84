"""How much does a car take of what it is offered?"""

from __future__ import annotations

import math

from hypothesis import given
from hypothesis import strategies as st

from local_controller.site.appetite import HEADROOM_A, LASTS_S, Appetite
from tests.site.virtual_site import START


def shown(appetite: Appetite, drawn_a: float, offered_a: float, *seconds: float) -> float:
    for second in seconds:
        appetite.shown(drawn_a, offered_a, START.after(second))
    return appetite.takes_a


def test_who_leaves_a_part_of_its_limit_for_long_takes_no_more_than_that() -> None:
    appetite = Appetite()
    assert shown(appetite, 16.0, 23.0, 0, 60, 119) == math.inf
    assert shown(appetite, 16.0, 23.0, 120) == 16.0
    assert appetite.useful_a == 16.0 + HEADROOM_A


def test_who_stays_as_near_to_its_limit_as_stations_do_takes_all() -> None:
    assert shown(Appetite(), 20.5, 23.0, *range(0, 1000, 10)) == math.inf


def test_who_takes_all_for_a_moment_is_waited_for_anew() -> None:
    appetite = Appetite()
    shown(appetite, 16.0, 23.0, 0, 60)
    shown(appetite, 22.0, 23.0, 90)
    assert shown(appetite, 16.0, 23.0, 120, 200) == math.inf
    assert shown(appetite, 16.0, 23.0, 240) == 16.0


def test_what_it_takes_is_offered_with_a_little_more_and_stays_so() -> None:
    appetite = Appetite()
    shown(appetite, 16.0, 23.0, 0, 120)
    assert shown(appetite, 16.0, 18.0, *range(130, 1000, 10)) == 16.0


def test_who_takes_of_the_little_more_is_offered_all_again() -> None:
    appetite = Appetite()
    shown(appetite, 16.0, 23.0, 0, 120)
    assert shown(appetite, 17.5, 18.0, 130) == math.inf


def test_a_battery_that_gets_full_takes_less_and_less() -> None:
    appetite = Appetite()
    shown(appetite, 16.0, 23.0, 0, 120)
    assert shown(appetite, 11.0, 18.0, 130, 200) == 16.0
    assert not appetite.tapers, "16 A may be its own maximum"
    assert shown(appetite, 11.0, 18.0, 250) == 11.0
    assert appetite.tapers


@given(st.lists(st.tuples(st.floats(3.0, 32.0), st.floats(0.0, 32.0), st.floats(0.0, 300.0)), max_size=20))
def test_it_is_never_offered_less_than_it_shows_that_it_takes(samples: list[tuple[float, float, float]]) -> None:
    appetite, at_s = Appetite(), 0.0
    for drawn_a, offered_a, after_s in samples:
        at_s += after_s
        shown(appetite, drawn_a, offered_a, at_s)
        assert appetite.useful_a > drawn_a


def test_long_means_long() -> None:
    assert LASTS_S > 60.0, "cars that wake up take a minute"
