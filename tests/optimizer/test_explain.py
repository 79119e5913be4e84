"""Can a person see why? The sentence for each thing that can bind a car."""

from __future__ import annotations

import pytest
from hypothesis import given, settings

from optimizer.explain import explain
from optimizer.problem import ChargingNeed, Problem, Reason
from optimizer.share import share
from tests.optimizer.samples import car, garage, problems


def reasons(problem: Problem, name: str) -> tuple[Reason, ...]:
    return share(problem).reasons[name]


def test_a_full_circuit_is_named_with_phase_amperes_source_and_company() -> None:
    text = "12.6 A: Garage fuse, L1: 63.0 A available for charging (63 A), 5 cars share it."
    cars = [car(f"CP-{n}") for n in range(5)]
    assert reasons(garage(*cars), "CP-3") == (Reason("circuit", text, "garage", 0, 63.0),)


@pytest.mark.parametrize(
    ("need", "available_a", "code", "text"),
    [
        (car("CP-1", max_a=16.0), 63.0, "vehicle_max", "16.0 A: car, cable and station take at most 16.0 A."),
        (
            ChargingNeed("CP-1", ("garage",), (0,), ceiling_a=(8.0,) * 4),
            63.0,
            "csms_profile",
            "8.0 A: the CSMS's charging profile allows 8.0 A.",
        ),
        (
            ChargingNeed("CP-1", ("garage",), (0,), ceiling_a=(4.0,) * 4),
            63.0,
            "csms_profile",
            "Paused: the CSMS's charging profile allows 4.0 A, less than its minimum of 6.0 A.",
        ),
        (
            car("CP-1", max_a=5.0),
            63.0,
            "vehicle_max",
            "Paused: car, cable and station take at most 5.0 A, less than its minimum of 6.0 A.",
        ),
        (
            car("CP-1", energy_wh=0.0),
            63.0,
            "energy_met",
            "CP-1 pauses at 0 A: it has all the energy that was asked for.",
        ),
        (
            car("CP-1", (0,), energy_wh=200.0),
            63.0,
            "energy_met",
            "10.5 A: enough for the 0.2 kWh that it still wants.",
        ),
        (
            car("CP-1", (1,)),
            5.5,
            "minimum_rate",
            "Paused: Garage fuse, L2: 5.5 A available for charging (63 A), no car uses it; 5.5 A left, less than its minimum of 6.0 A.",
        ),
    ],
)
def test_each_bound_of_a_single_car_has_its_sentence(
    need: ChargingNeed, available_a: float, code: str, text: str
) -> None:
    (reason,) = reasons(garage(need, available_a=available_a), "CP-1")
    assert (reason.code, reason.text) == (code, text)


def test_who_gets_more_is_named_with_what_speaks_for_it() -> None:
    hurry = car("CP-2", energy_wh=15_000.0, departure_s=5400.0)
    given_a = {"CP-1": (10.0,), "CP-2": (30.0,)}
    _, shared = explain(garage(car("CP-1"), hurry, available_a=40.0), given_a)["CP-1"]
    text = "CP-2 gets 30.0 A there, it wants 15.0 kWh and leaves in 1.5 h."
    assert shared == Reason("shared", text, "garage", 0, 30.0)


def test_a_car_without_any_limit_needs_no_reason() -> None:
    free = ChargingNeed("CP-1", (), (0,))
    assert explain(garage(free), {"CP-1": (10.0,)}) == {"CP-1": ()}


@settings(max_examples=50, deadline=None)
@given(problems())
def test_every_car_that_could_take_more_is_told_why_not(problem: Problem) -> None:
    """The share is work-conserving, so something binds each car: no car is left without a reason."""
    allocation = share(problem)
    assert all(allocation.reasons[need.id] for need in problem.needs)
