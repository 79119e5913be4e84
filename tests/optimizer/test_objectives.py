"""What does a site get that asks for throughput, for fairness, or for even shares? A plan for each, told in numbers."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from optimizer.arrays import Array
from optimizer.check import violations
from optimizer.objectives import FAIR, GUESSING, LADDER, OBJECTIVES, THROUGHPUT, Weights
from optimizer.problem import Problem
from optimizer.program import build
from optimizer.rows import caps_of, rows_of, wh_per_ampere
from optimizer.solve import solve
from tests.optimizer.by_scipy import by_scipy
from tests.optimizer.samples import car, garage, problems


def energies_wh(problem: Problem, objective: str) -> dict[str, float]:
    """What each car is planned to get by its departure."""
    plan = solve(problem, weights=OBJECTIVES[objective]).currents_a
    per_ampere = wh_per_ampere(problem)
    return {need.id: float(per_ampere[n] @ plan[need.id]) for n, need in enumerate(problem.needs)}


def fractions(problem: Problem, objective: str) -> dict[str, float]:
    wanted = {need.id: need.energy_wh or 0.0 for need in problem.needs}
    return {name: wh / wanted[name] for name, wh in energies_wh(problem, objective).items()}


@settings(max_examples=60, deadline=None)
@given(problems(), st.sampled_from(sorted(OBJECTIVES)))
def test_a_plan_keeps_every_rule_whatever_it_is_for(problem: Problem, objective: str) -> None:
    assert violations(problem, solve(problem, weights=OBJECTIVES[objective])) == []


def test_fair_plans_serve_the_same_fraction_of_a_small_and_of_a_large_wish() -> None:
    """10 A for 95 minutes are 10.9 kWh on three phases: 36 % of what both want together."""
    cars = (car("small", energy_wh=8_000.0, min_a=0.0), car("large", energy_wh=22_000.0, min_a=0.0))
    served = fractions(garage(*cars, available_a=10.0), "fair")
    assert served["small"] == pytest.approx(served["large"], abs=0.05)
    assert served["small"] == pytest.approx(0.364, abs=0.05)


def test_for_throughput_a_car_on_three_phases_goes_before_one_on_one_and_a_fair_plan_lets_neither_starve() -> None:
    """An ampere on L1 brings three times as much where it comes with L2 and L3; half of a need is worth less than that."""
    cars = (car("three", energy_wh=18_000.0), car("one", (0,), energy_wh=10_000.0))
    crowded = garage(*cars, available_a=16.0)
    most, fair = fractions(crowded, "throughput"), fractions(crowded, "fair")
    assert most["one"] == 0.0
    assert fair["one"] > 0.15
    assert energies_wh(crowded, "throughput")["three"] > energies_wh(crowded, "fair")["three"]


def test_of_cars_that_can_all_be_served_who_leaves_first_charges_first() -> None:
    """Both fit one after the other. If a third one comes in an hour, the one that stays can still wait for it."""
    hurried = car("hurried", (0,), energy_wh=2_000.0, departure_s=3600.0)
    patient = car("patient", (0,), energy_wh=2_000.0)
    for cars in ((hurried, patient), (patient, hurried)):
        plan = solve(garage(*cars, available_a=16.0), weights=THROUGHPUT).currents_a
        assert (plan["hurried"][0], plan["patient"][0]) == (16.0, 0.0)
        assert energies_wh(garage(*cars, available_a=16.0), "throughput")["patient"] == pytest.approx(2_000.0)


def test_of_cars_that_do_not_say_when_they_leave_who_is_here_longest_charges_first() -> None:
    """Both are as likely to stay, by what visits tell. But who came first mostly leaves first."""
    guessed: dict[str, Any] = {"wishes_wh": (9_000.0,) * 6, "expected_wh": 9_000.0, "presence": (1.0, 0.9, 0.8, 0.7)}
    early = car("early", (0,), stayed_s=5 * 3600.0, **guessed)
    late = car("late", (0,), stayed_s=600.0, **guessed)
    for cars in ((early, late), (late, early)):
        plan = solve(garage(*cars, available_a=16.0), weights=GUESSING).currents_a
        assert (plan["early"][0], plan["late"][0]) == (16.0, 0.0)


def test_how_long_it_is_here_does_not_outweigh_that_another_one_is_about_to_leave() -> None:
    """What is in doubt is which of them leaves first; of the one whose like always left by now, that is not."""
    guessed: dict[str, Any] = {"wishes_wh": (2_000.0,) * 6, "expected_wh": 2_000.0}
    stays = car("stays", (0,), stayed_s=8 * 3600.0, presence=(1.0, 1.0, 1.0, 1.0), **guessed)
    leaves = car("leaves", (0,), stayed_s=600.0, presence=(1.0, 0.1, 0.0, 0.0), **guessed)
    plan = solve(garage(stays, leaves, available_a=16.0), weights=GUESSING).currents_a
    assert (plan["leaves"][0], plan["stays"][0]) == (16.0, 0.0)


def test_how_long_it_is_here_says_nothing_of_a_car_that_says_when_it_leaves() -> None:
    cars = [
        car("here", (0,), energy_wh=2_000.0, departure_s=3600.0, stayed_s=6 * 3600.0),
        car("new", (0,), energy_wh=2_000.0, departure_s=3500.0),
    ]
    plan = solve(garage(*cars, available_a=16.0), weights=THROUGHPUT).currents_a
    assert (plan["new"][0], plan["here"][0]) == (16.0, 0.0)


def test_who_leaves_first_is_not_bought_with_energy() -> None:
    """As with being early: a Wh by departure is lost only where it must be. Who stays gets all that the hurried one cannot."""
    hurried = car("hurried", (0,), energy_wh=20_000.0, departure_s=3600.0)
    patient = car("patient", (0,), energy_wh=20_000.0)
    crowded = garage(hurried, patient, available_a=16.0)
    with_it, without = (
        sum(
            float(wh_per_ampere(crowded)[n] @ solve(crowded, weights=weights).currents_a[need.id])
            for n, need in enumerate(crowded.needs)
        )
        for weights in (THROUGHPUT, replace(THROUGHPUT, urgent=0.0))
    )
    assert with_it == pytest.approx(without, rel=1e-6)


def test_what_a_car_got_before_counts_for_fairness_only() -> None:
    """Both still want the same; one has two thirds of its need, to which the other one is brought first."""
    late = car("late", energy_wh=10_000.0, served_wh=0.0, min_a=0.0)
    early = car("early", energy_wh=10_000.0, served_wh=20_000.0, min_a=0.0)
    crowded = garage(early, late, available_a=8.0)
    fair = energies_wh(crowded, "fair")
    assert fair["late"] > 6_500.0 > 3 * fair["early"]
    forgotten = replace(crowded, needs=(replace(early, served_wh=0.0), late))
    assert energies_wh(crowded, "throughput") == energies_wh(forgotten, "throughput")


@pytest.mark.parametrize("objective", ["throughput", "fair"])
def test_a_car_that_charges_goes_on_rather_than_making_room_for_an_equal_one(objective: str) -> None:
    cars = (car("waits", energy_wh=9_000.0), car("charges", energy_wh=9_000.0, present_a=10.0))
    plan = solve(garage(*cars, available_a=10.0), weights=OBJECTIVES[objective]).currents_a
    assert (plan["charges"][0], plan["waits"][0]) == (10.0, 0.0)


def test_a_car_that_charges_is_stopped_for_more_than_half_of_what_its_minimum_brings_and_for_nothing_less() -> None:
    """240 V bring 4 % more than 230 V; somebody who leaves in five minutes loses all that he does not get now."""
    many, few = (car("charges", energy_wh=wh, present_a=6.0) for wh in (40_000.0, 9_000.0))
    better = car("waits", energy_wh=40_000.0, voltage_v=240.0)
    hasty = car("waits", energy_wh=9_000.0, departure_s=300.0)
    calm_only = replace(THROUGHPUT, keep=0.0)
    for cars, weights, served in (
        ((better, many), THROUGHPUT, "charges"),
        ((better, many), calm_only, "waits"),
        ((hasty, few), THROUGHPUT, "waits"),
    ):
        plan = solve(garage(*cars, available_a=(6.0, 32.0, 32.0, 32.0)), weights=weights).currents_a
        assert [name for name, currents_a in plan.items() if currents_a[0]] == [served]


@settings(max_examples=20, deadline=None)
@given(problems(known=True))
def test_to_keep_cars_charging_costs_no_more_than_the_bonus_and_nothing_where_nobody_would_be_stopped(
    problem: Problem,
) -> None:
    kept, free = (best(problem, replace(THROUGHPUT, keep=keep)) for keep in (THROUGHPUT.keep, 0.0))
    running_a = np.array([min(need.present_a, need.min_a) for need in problem.needs])
    per_ampere_wh = wh_per_ampere(problem)[:, 0] if problem.needs else np.zeros(0)
    bonuses = [THROUGHPUT.keep * float(np.minimum(plan, running_a) @ per_ampere_wh) for _, plan in (kept, free)]
    worth_kept, worth_free = kept[0] - bonuses[0], free[0]
    assert worth_free - worth_kept <= bonuses[0] - bonuses[1] + 1e-3
    if (free[1] >= running_a - 1e-9).all():
        assert worth_kept == pytest.approx(worth_free, abs=1e-3)


def best(problem: Problem, weights: Weights) -> tuple[float, Array]:
    """What the best plan is worth, and its currents of block 0 before rounding."""
    rows, caps = rows_of(problem), caps_of(problem)
    if not caps.any():
        return 0.0, np.zeros(len(problem.needs))
    program = build(problem, rows, caps, caps[:, 0], weights)
    answer = by_scipy(program.linear)
    return -float(answer.fun), program.currents(answer.x)[:, 0]


def test_the_ladder_covers_a_need_and_its_rungs_fall() -> None:
    assert sum(width for width, _ in LADDER) == pytest.approx(0.8)
    worths = [worth for _, worth in LADDER]
    assert worths == sorted(worths, reverse=True)
    assert (1 + worths[0]) / (1 + worths[-1]) > 3, "else three phases outweigh all fairness"
    assert THROUGHPUT.ladder == ()
    assert FAIR.ladder == LADDER
