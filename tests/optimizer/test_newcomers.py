"""What does a car that is yet to come change for those that are here?"""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from optimizer.check import violations
from optimizer.newcomers import nobody_lowered, of_those_here
from optimizer.objectives import OBJECTIVES
from optimizer.problem import Allocation, Horizon, Problem, Tariff
from optimizer.share import share
from optimizer.solve import solve
from tests.optimizer.samples import car, garage, problems, wired_problems

HOURS = Horizon((0.0, 300.0, 3600.0, 7200.0, 10800.0))
CHEAP_LATER = Tariff((0.40, 0.40, 0.20, 0.20))
COST = OBJECTIVES["cost"]


def waiting_and(*others: object, available_a: float = 32.0) -> Problem:
    """A car that leaves in three hours and wants an hour's worth; the two cheaper hours are long enough for it alone."""
    waiting = car("waits", energy_wh=32 * 690.0, departure_s=10800.0)
    return replace(garage(waiting, *others, available_a=available_a, horizon=HOURS), tariff=CHEAP_LATER)


def newcomer(**wishes: object) -> object:
    return car("comes", **{"arrival_s": 3600.0, "departure_s": 10800.0, "energy_wh": 2 * 32 * 690.0, **wishes})


def test_a_car_that_waits_for_cheap_hours_charges_before_another_one_needs_them() -> None:
    assert solve(waiting_and(), weights=COST).currents_a["waits"][:2] == (0.0, 0.0)
    problem = waiting_and(newcomer())
    plan = solve(problem, weights=COST)
    assert violations(problem, plan) == []
    assert plan.currents_a["waits"][0] == 32.0
    assert plan.currents_a["comes"] == pytest.approx((0.0, 0.0, 32.0, 32.0), abs=1e-6)
    assert plan.reasons["comes"] == ()


def test_one_who_has_time_afterwards_makes_nobody_pay_more() -> None:
    """What the newcomer wants fits beside what waits."""
    plan = solve(waiting_and(newcomer(energy_wh=0.5 * 32 * 690.0)), weights=COST)
    assert plan.currents_a["waits"][0] == 0.0


def test_one_who_comes_at_once_gets_nothing_now_and_one_who_comes_late_nothing_before() -> None:
    for arrival_s, first in ((-60.0, 1), (0.0, 1), (300.0, 1), (3600.0, 2), (5400.0, 2)):
        problem = garage(car("comes", arrival_s=arrival_s), horizon=HOURS)
        plan = solve(problem)
        assert violations(problem, plan) == []
        assert [current > 0 for current in plan.currents_a["comes"]] == [n >= first for n in range(4)]


def test_half_a_block_is_half_of_its_energy() -> None:
    problem = garage(car("comes", arrival_s=5400.0, energy_wh=16 * 690.0, departure_s=7200.0), horizon=HOURS)
    assert solve(problem).currents_a["comes"] == pytest.approx((0.0, 0.0, 32.0, 0.0))


@pytest.mark.parametrize("price", [None, 0.0, 0.25])
def test_a_car_that_is_yet_to_come_waits_for_no_price(price: float | None) -> None:
    tariff = None if price is None else Tariff((price,) * HOURS.blocks)
    problem = replace(garage(car("comes", arrival_s=0.0, energy_wh=None), horizon=HOURS), tariff=tariff)
    plan = solve(problem, weights=COST)
    assert plan.currents_a["comes"][0] == 0.0
    assert [reason.code for reason in plan.reasons["comes"]] == ["expected"]


def test_the_judge_sees_what_is_given_to_a_car_that_is_not_there() -> None:
    problem = garage(car("comes", arrival_s=3600.0), horizon=HOURS)
    given_a = Allocation({"comes": (6.0, 6.0, 6.0, 0.0)}, "optimal", 0.0, {})
    assert violations(problem, given_a) == [
        "comes: 6.0 A now, but it is yet to come",
        "comes, block 0: 6.0 A before it comes",
        "comes, block 1: 6.0 A before it comes",
    ]


def test_where_time_runs_out_the_shares_of_those_that_are_here_are_the_answer() -> None:
    problem = waiting_and(newcomer())
    plan = nobody_lowered(problem, share(of_those_here(problem)), solve(problem, weights=COST))
    assert (plan.status, plan.currents_a["waits"][0], plan.currents_a["comes"]) == ("share", 32.0, (0.0,) * 4)


def now(plan: Allocation) -> dict[str, float]:
    return {name: currents_a[0] for name, currents_a in plan.currents_a.items()}


def test_a_car_that_charges_now_is_not_put_off_for_one_that_might_come() -> None:
    """That would serve everybody, if only the third one came: the first later, the second now, the third in its hour."""
    first = car("first", energy_wh=32 * 690.0, presence=(1.0, 0.97, 0.94, 0.91))
    second = car("second", energy_wh=32 * 690.0, departure_s=7200.0)
    third = car("third", arrival_s=3600.0, departure_s=7200.0, energy_wh=32 * 690.0)
    problem = replace(garage(first, second, third, available_a=32.0, horizon=HOURS), tariff=CHEAP_LATER)
    plan = solve(problem, weights=COST)
    assert now(plan) == {"first": 32.0, "second": 0.0, "third": 0.0}
    assert violations(problem, plan) == []


def prices(blocks: int) -> st.SearchStrategy[Tariff]:
    """Any prices, a peak or none, sun or none."""
    of_block = st.lists(st.sampled_from((-0.1, 0.1, 0.2, 0.4)), min_size=blocks, max_size=blocks).map(tuple)
    surplus = st.just(()) | st.lists(st.sampled_from((0.0, 5000.0)), min_size=blocks, max_size=blocks).map(tuple)
    return st.builds(Tariff, of_block, surplus, peak_per_kw=st.none() | st.just(10.0), peak_w=st.just(3000.0))


@st.composite
def crowded(draw: st.DrawFn) -> Problem:
    """A fuse for which several cars compete, each of which says what it wants and when it leaves."""
    cars = [
        car(
            f"CP-{number}",
            draw(st.sampled_from(((0, 1, 2), (0, 1, 2), (0,)))),
            energy_wh=draw(st.floats(2_000.0, 40_000.0)),
            departure_s=draw(st.sampled_from((None, 3600.0, 7200.0, 10800.0))),
            arrival_s=draw(st.sampled_from((None, 0.0, 3600.0, 7200.0))) if number > 1 else None,
            present_a=draw(st.sampled_from((0.0, 16.0))),
            presence=draw(st.sampled_from((None, (1.0, 0.97, 0.94, 0.91)))),
        )
        for number in range(draw(st.integers(2, 6)))
    ]
    available_a = draw(st.sampled_from((10.0, 16.0, 32.0, 50.0, (50.0, 50.0, 16.0, 32.0))))
    return replace(garage(*cars, available_a=available_a, horizon=HOURS), tariff=draw(prices(HOURS.blocks)))


@pytest.mark.requirement("LC-078", "LC-140")
@settings(max_examples=150, deadline=None)
@given(
    crowded() | problems(most=5) | wired_problems(most=5),
    st.sampled_from(["cost", "cost", *sorted(OBJECTIVES)]),
    st.data(),
)
def test_nobody_gets_less_now_because_somebody_might_come(
    problem: Problem, objective: str, data: st.DataObject
) -> None:
    """Whatever the site, the prices and the objective."""
    if problem.tariff is None:
        problem = replace(problem, tariff=data.draw(prices(problem.horizon.blocks)))
    plan = solve(problem, weights=OBJECTIVES[objective])
    assert violations(problem, plan) == []
    alone = solve(of_those_here(problem), weights=OBJECTIVES[objective])
    with_it = now(plan)
    for name, current_a in now(alone).items():
        assert with_it[name] >= current_a - 1e-6, name
    assert all(with_it[need.id] == 0 for need in problem.needs if need.arrival_s is not None)


@settings(max_examples=50, deadline=None)
@given(crowded() | problems(), st.sampled_from(sorted(set(OBJECTIVES) - {"cost"})))
def test_without_prices_it_changes_nothing_now(problem: Problem, objective: str) -> None:
    """Such a plan uses all room that somebody can use, so that nobody could get more without taking it from others."""
    plan, alone = (solve(one, weights=OBJECTIVES[objective]) for one in (problem, of_those_here(problem)))
    assert {name: now(plan)[name] for name in now(alone)} == pytest.approx(now(alone), abs=1e-6)
