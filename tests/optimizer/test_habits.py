"""What does the optimizer expect of a car that says nothing? Commuters and visitors, told as a week of a garage."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from optimizer.habits import ENOUGH, MEMORY, Habits, Visit
from optimizer.objectives import GUESSING, OBJECTIVES, TAPERING, THROUGHPUT, weights_of
from optimizer.problem import DEFAULT_ENERGY_WH, Horizon
from optimizer.solve import solve
from tests.optimizer.samples import car, garage

SOMEBODY = "5e884898"
HOURS = Horizon(tuple(3600.0 * hour for hour in range(11)))


def visits(count: int, *, evse: str = "A", token: str = "", at_h: float = 8.0, hours: float = 8.0) -> list[Visit]:
    """So many weekdays with the same visit, save a few minutes."""
    return [
        Visit(evse, token, day % 5, at_h + 0.01 * (day % 7), 3600 * hours + 60 * (day % 5), 1000.0 * hours + day)
        for day in range(count)
    ]


def test_too_few_visits_say_nothing() -> None:
    guess = Habits(visits(ENOUGH - 1)).likely("A", "", 0, 8.0).guess(0.0, 0.0, HOURS.edges_s)
    assert (guess.basis, guess.visits, guess.expected_wh) == ("nothing", 0, DEFAULT_ENERGY_WH)
    assert guess.presence[0] > guess.presence[5] > guess.presence[9] > 0


def test_the_most_particular_visits_of_which_there_are_enough_are_asked() -> None:
    habits = Habits(visits(40, hours=8.0) + visits(40, evse="B", at_h=13.0, hours=2.0))
    asked = (("A", 8.2), ("C", 8.2), ("A", 13.0), ("A", 20.0))
    found = [habits.likely(evse, "", 2, hour) for evse, hour in asked]
    assert [(likely.basis, len(likely.stays_s)) for likely in found] == [
        ("this EVSE around this time", 40),
        ("this site around this time", 40),
        ("this site around this time", 40),
        ("this site on such days", 80),
    ]
    assert habits.likely("A", "", 6, 8.0).basis == "this site"


def test_a_token_goes_before_a_place_until_it_is_forgotten() -> None:
    habits = Habits(visits(40, hours=8.0) + visits(ENOUGH, token=SOMEBODY, hours=3.0))
    known = habits.likely("A", SOMEBODY, 0, 8.0)
    assert (known.basis, known.guess(0.0, 0.0, HOURS.edges_s).expected_wh) == (
        "this token",
        pytest.approx(3_000, abs=99),
    )
    assert habits.forget(token=SOMEBODY) == ENOUGH
    assert habits.likely("A", SOMEBODY, 0, 8.0).basis == "this EVSE around this time"
    assert all(visit.token == "" for visit in habits.visits)
    assert (habits.forget(evse="A"), habits.visits) == (40, ())


def test_who_stays_longer_than_all_others_is_expected_to_stay_on_and_to_want_more() -> None:
    likely = Habits(visits(40, hours=8.0)).likely("A", "", 0, 8.0)
    at_work, late = likely.guess(3_600.0, 500.0, HOURS.edges_s), likely.guess(36_000.0, 20_000.0, HOURS.edges_s)
    assert at_work.presence[5] > 0.85
    assert at_work.presence[8] < 0.2
    assert at_work.expected_wh == pytest.approx(7_500.0, abs=20.0)
    assert late.expected_wh == DEFAULT_ENERGY_WH
    assert late.presence[0] > 0.9


def test_old_visits_are_forgotten() -> None:
    habits = Habits(visits(MEMORY, hours=8.0))
    habits.learn(visits(1, hours=1.0)[0])
    assert len(habits.visits) == MEMORY
    assert habits.visits[-1].stay_s == 3_600.0


@settings(max_examples=50, deadline=None)
@given(
    st.lists(st.tuples(st.floats(0, 90_000), st.floats(0, 90_000)), max_size=40),
    st.floats(0, 100_000),
    st.floats(0, 100_000),
)
def test_a_guess_is_a_falling_likelihood_and_some_energy(
    past: list[tuple[float, float]], stayed_s: float, got_wh: float
) -> None:
    habits = Habits(
        Visit("A", "", 0, 8.0, stay_s, energy_wh, has_left=n % 3 != 1, is_full=n % 2 == 0)
        for n, (stay_s, energy_wh) in enumerate(past)
    )
    guess = habits.likely("A", "", 0, 8.0).guess(stayed_s, got_wh, HOURS.edges_s)
    assert all(1 >= sooner >= later >= 0 for sooner, later in pairwise(guess.presence))
    assert guess.expected_wh >= 0
    assert all(0 <= less <= more for less, more in pairwise(guess.wishes_wh))


def test_a_car_that_may_leave_soon_goes_before_one_that_surely_stays() -> None:
    """Room for one: nobody said when he leaves, but one is as good as gone in an hour."""
    horizon = Horizon((0.0, 3600.0, 7200.0))
    stays = car("stays", energy_wh=4_000.0, presence=(1.0, 0.95))
    leaves = car("leaves", energy_wh=4_000.0, presence=(1.0, 0.05))
    plan = solve(garage(stays, leaves, available_a=6.0, horizon=horizon), weights=THROUGHPUT).currents_a
    assert (plan["leaves"][0], plan["stays"][0]) == (6.0, 0.0)
    assert plan["stays"][1] > 5.0


def test_likelihoods_fit_the_horizon_and_are_likelihoods() -> None:
    with pytest.raises(ValueError, match="presence must be None or numbers from 0 to 1"):
        car("CP-1", presence=(1.2,))
    with pytest.raises(ValueError, match="presence must be 4 blocks, is 1"):
        garage(car("CP-1", presence=(1.0,)))
    with pytest.raises(ValueError, match="wishes_wh must be finite, 0 or more, ascending"):
        car("CP-1", wishes_wh=(9_000.0, 3_000.0))


def test_cars_that_are_not_alike_there_are_not_made_even_at_the_cost_of_who_leaves() -> None:
    """Nobody said anything. Two cars are as good as gone in an hour, two stay; there is enough for one of each kind by then."""
    horizon = Horizon((0.0, 1800.0, 3600.0, 7200.0, 10_800.0))
    leaving = [car(f"leaves {n}", presence=(1.0, 1.0, 0.05, 0.0), expected_wh=9_000.0) for n in range(2)]
    staying = [car(f"stays {n}", presence=(1.0, 1.0, 0.95, 0.9), expected_wh=9_000.0) for n in range(2)]
    plan = solve(garage(*staying, *leaving, available_a=40.0, horizon=horizon)).currents_a
    hour_wh = {one: 690.0 * sum(amps[:2]) / 2 for one, amps in plan.items()}
    assert [hour_wh[f"leaves {n}"] for n in range(2)] == pytest.approx([9_000.0] * 2, rel=0.06)
    assert plan["leaves 0"] == plan["leaves 1"], "like cars get the same"
    assert plan["stays 0"] == plan["stays 1"]


def test_who_left_unserved_wanted_more_than_he_got() -> None:
    """Half of the cars got 5 kWh and left wanting more, the others got 10 kWh and were full."""
    served = [replace(visit, energy_wh=10_000.0 + n) for n, visit in enumerate(visits(20))]
    unserved = [replace(visit, energy_wh=5_000.0, is_full=False) for visit in visits(20)]
    guess = Habits(served + unserved).likely("A", "", 0, 8.0).guess(0.0, 0.0, HOURS.edges_s)
    assert guess.expected_wh == pytest.approx(10_010.0, abs=15.0)
    taken_as_full = [replace(visit, is_full=True) for visit in unserved]
    assert Habits(served + taken_as_full).likely("A", "", 0, 8.0).guess(0.0, 0.0, HOURS.edges_s).expected_wh < 9_000.0


def test_who_was_full_and_stayed_on_is_no_sign_of_leaving() -> None:
    full = [replace(visit, stay_s=3_600.0, has_left=False) for visit in visits(30)]
    left = visits(10, hours=8.0)
    guess = Habits(full + left).likely("A", "", 0, 8.0).guess(0.0, 0.0, HOURS.edges_s)
    assert guess.presence[5] > 0.9
    assert guess.presence[9] < 0.1


def test_wishes_are_equally_likely_and_known_better_the_longer_a_car_charges() -> None:
    habits = Habits([replace(visit, energy_wh=1_000.0 * (1 + n % 20)) for n, visit in enumerate(visits(200))])
    new, long = (habits.likely("A", "", 0, 8.0).guess(0.0, got_wh, HOURS.edges_s) for got_wh in (0.0, 15_000.0))
    assert list(new.wishes_wh) == sorted(new.wishes_wh)
    assert new.wishes_wh[0] < 3_500.0
    assert 16_000.0 < new.wishes_wh[-1] < 22_000.0
    assert 0 < long.wishes_wh[0] < 1_500.0
    assert long.wishes_wh[-1] < new.wishes_wh[-1]


def test_what_only_few_cars_want_waits_for_what_most_want() -> None:
    """Room for one: both may want little or much; one has had the little already."""
    horizon = Horizon((0.0, 3600.0))
    fresh = car("fresh", wishes_wh=(3_000.0, 4_000.0, 5_000.0), phases=(0,))
    sated = car("sated", wishes_wh=(200.0, 300.0, 400.0), phases=(0,))
    plan = solve(garage(sated, fresh, available_a=10.0, horizon=horizon), weights=THROUGHPUT).currents_a
    assert plan["fresh"][0] == 10.0


def test_known_or_guessed_the_weights_of_an_objective_are_its_own() -> None:
    assert weights_of("throughput", guesses=False, tapers=False) == THROUGHPUT
    assert weights_of("throughput", guesses=True, tapers=False) == GUESSING
    assert weights_of("throughput", guesses=True, tapers=True) == TAPERING
    assert weights_of("even", guesses=True, tapers=True) == OBJECTIVES["even"]
