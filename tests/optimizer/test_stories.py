"""What does a facility manager see? Garages in which the right answer can be told beforehand."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from itertools import product

import pytest

from optimizer.check import violations
from optimizer.objectives import DEFAULT_WEIGHTS
from optimizer.problem import Allocation, ChargingNeed, CircuitLimit, Horizon, Problem, variable_horizon
from optimizer.share import share
from optimizer.solve import solve
from tests.optimizer.samples import car, garage

HOUR_S = 3600.0


def now(allocation: Allocation) -> dict[str, float]:
    return {name: currents[0] for name, currents in allocation.currents_a.items()}


@pytest.mark.parametrize("answer", [solve, share])
def test_equal_cars_get_equal_currents(answer: Callable[[Problem], Allocation]) -> None:
    cars = [car(f"CP-{n}") for n in range(5)]
    assert set(now(answer(garage(*cars))).values()) == {12.6}


def test_cars_that_differ_in_nothing_that_matters_get_equal_currents() -> None:
    cars = [car(f"CP-{n}", energy_wh=20_000.0 + 300 * n, departure_s=8 * HOUR_S + 60 * n) for n in range(5)]
    assert set(now(solve(garage(*cars, horizon=variable_horizon(0.0)))).values()) == {12.6}


def test_equal_cars_on_unequal_panels_share_the_main_fuse_equally() -> None:
    horizon = variable_horizon(0.0)
    circuits = tuple(
        CircuitLimit(name, name, ((a, a, a),) * horizon.blocks) for name, a in (("main", 60), ("a", 50), ("b", 40))
    )
    needs = [
        ChargingNeed(f"{panel}{n}", (panel, "main"), (0, 1, 2))
        for panel, cars in (("a", 2), ("b", 3))
        for n in range(cars)
    ]
    problem = Problem(horizon, circuits, tuple(needs))
    assert set(now(solve(problem)).values()) == {12.0}
    assert set(now(solve(problem, weights=replace(DEFAULT_WEIGHTS, fair=0.0))).values()) != {12.0}, (
        "the tier that does it"
    )


def test_a_car_that_leaves_soon_goes_before_one_that_has_all_night() -> None:
    soon = car("soon", energy_wh=22_500.0, departure_s=HOUR_S)
    night = car("night", energy_wh=15_000.0, departure_s=11 * HOUR_S)
    problem = garage(soon, night, available_a=32.0, horizon=variable_horizon(0.0))
    assert now(solve(problem)) == {"soon": 32.0, "night": 0.0}
    assert now(share(problem)) == {"soon": 16.0, "night": 16.0}


def test_a_car_that_has_time_enough_takes_no_more_than_its_share_yet() -> None:
    soon = car("soon", energy_wh=15_000.0, departure_s=HOUR_S)
    night = car("night", energy_wh=15_000.0, departure_s=11 * HOUR_S)
    problem = garage(soon, night, available_a=32.0, horizon=variable_horizon(0.0))
    plan = solve(problem)
    assert now(plan) == {"soon": 16.0, "night": 16.0}
    assert delivered_wh(problem, plan) == pytest.approx({"soon": 15_000.0, "night": 15_000.0}, rel=1e-6)


def delivered_wh(problem: Problem, allocation: Allocation) -> dict[str, float]:
    edges_s = problem.horizon.edges_s
    return {
        need.id: sum(
            current * need.voltage_v * len(need.phases) * (min(end, need.departure_s or end) - start) / 3600
            for current, start, end in zip(allocation.currents_a[need.id], edges_s, edges_s[1:], strict=False)
            if current
        )
        for need in problem.needs
    }


def test_a_one_phase_car_is_not_starved_by_three_phase_cars() -> None:
    cars = [car(f"big-{n}", energy_wh=90_000.0) for n in range(3)]
    small = car("small", (0,), energy_wh=20_000.0)
    assert now(solve(garage(*cars, small, available_a=32.0)))["small"] >= 6.0


def test_a_car_that_charges_is_not_swapped_for_its_equal() -> None:
    cars = [car("first"), car("second", present_a=6.0), car("third", present_a=6.0)]
    for answer in (solve, share):
        assert now(answer(garage(*cars, available_a=14.0))) == {"first": 0.0, "second": 7.0, "third": 7.0}


def test_of_two_minimums_that_do_not_fit_the_higher_priority_runs() -> None:
    cars = [car("guest", present_a=8.0), car("ambulance", priority=1)]
    for answer in (solve, share):
        assert now(answer(garage(*cars, available_a=8.0))) == {"guest": 0.0, "ambulance": 8.0}


def test_a_paused_car_leaves_its_amperes_to_the_others() -> None:
    cars = [car(f"CP-{n}", step_a=1.0) for n in range(4)]
    for answer in (solve, share):
        assert sorted(now(answer(garage(*cars, available_a=20.0))).values()) == [0.0, 6.0, 7.0, 7.0]


def test_a_negative_availability_pauses_everybody() -> None:
    for answer in (solve, share):
        assert now(answer(garage(car("CP-1"), car("CP-2"), available_a=-12.5))) == {"CP-1": 0.0, "CP-2": 0.0}


@pytest.mark.requirement("LC-112")
def test_phases_are_counted_one_by_one() -> None:
    one_phase = [car(f"L{phase + 1}", (phase,)) for phase in range(3)]
    circuit = CircuitLimit("garage", "Garage fuse", ((10.0, 20.0, 40.0),) * 4)
    problem = replace(garage(*one_phase), circuits=(circuit,))
    for answer in (solve, share):
        assert now(answer(problem)) == {"L1": 10.0, "L2": 20.0, "L3": 32.0}


@pytest.mark.requirement("LC-093")
def test_the_ceiling_of_the_csms_holds_and_what_it_leaves_is_used() -> None:
    capped = ChargingNeed("CP-1", ("garage",), (0, 1, 2), ceiling_a=(8.0, 8.0, 32.0, 32.0))
    for answer in (solve, share):
        allocation = answer(garage(capped, car("CP-2"), available_a=30.0))
        assert now(allocation) == {"CP-1": 8.0, "CP-2": 22.0}
        assert violations(garage(capped, car("CP-2"), available_a=30.0), allocation) == []


def test_a_car_that_should_have_left_is_still_served_while_it_is_there() -> None:
    late = car("late", energy_wh=5_000.0, departure_s=-600.0)
    patient = car("patient", energy_wh=5_000.0)
    allocation = solve(garage(late, patient, available_a=32.0))
    assert now(allocation) == {"late": 32.0, "patient": 0.0}
    assert allocation.currents_a["late"][1:] == (0.0, 0.0, 0.0)


def test_the_last_energy_comes_at_the_minimum_and_then_no_more() -> None:
    for answer in (solve, share):
        assert answer(garage(car("CP-1", energy_wh=50.0))).currents_a == {"CP-1": (6.0, 0.0, 0.0, 0.0)}
        assert answer(garage(car("CP-1", energy_wh=0.0))).currents_a == {"CP-1": (0.0, 0.0, 0.0, 0.0)}


def test_a_later_limit_is_planned_for() -> None:
    allocation = share(garage(car("CP-1"), car("CP-2"), available_a=(40.0, 40.0, 10.0, 40.0)))
    assert allocation.currents_a == {"CP-1": (20.0, 20.0, 5.0, 20.0), "CP-2": (20.0, 20.0, 5.0, 20.0)}


def test_nobody_there_is_an_answer() -> None:
    for answer in (solve, share):
        assert answer(garage()) == Allocation({}, "empty", 0.0, {})


def test_the_plan_is_as_good_as_trying_everything() -> None:
    """Whole amperes of two cars in two blocks, all tried; the plan may use fractions, so it is at least as good."""
    horizon = Horizon((0.0, 3600.0, 7200.0))
    first = car("first", (0,), step_a=1.0, max_a=10.0, energy_wh=2_300.0, departure_s=3600.0)
    second = car("second", (0,), step_a=1.0, max_a=10.0, energy_wh=2_760.0)
    problem = garage(first, second, available_a=(14.0, 8.0), horizon=horizon)
    tried = (
        Allocation({"first": (a, 0.0), "second": (b, c)}, "share", 0.0, {})
        for a, b, c in product(map(float, range(11)), repeat=3)
    )
    best = max(sum(map(sum, trial.currents_a.values())) for trial in tried if not violations(problem, trial))
    plan = solve(problem)
    assert sum(map(sum, plan.currents_a.values())) >= best - 1e-6
    assert violations(problem, plan) == []
