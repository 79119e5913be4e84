"""What does a site do that pays by the hour, for its peak, or has sun to spare? Plans for the objective `cost`, told in numbers."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import pytest

from optimizer.check import violations
from optimizer.objectives import OBJECTIVES
from optimizer.problem import Allocation, Horizon, Problem, Reason, Tariff
from optimizer.realize import realize
from optimizer.share import share
from optimizer.solve import solve
from tests.optimizer.samples import car, garage

HOURS = Horizon(tuple(3600.0 * hour for hour in range(7)))
"""Six hours from ten in the evening on; cheap from midnight to two."""

TEN_PM_S = 22 * 3600.0
NIGHT = Tariff((0.31, 0.31, 0.12, 0.12, 0.31, 0.31), now_s_of_day=TEN_PM_S)


def priced(problem: Problem, tariff: Tariff | None) -> tuple[Problem, Allocation]:
    asked = replace(problem, tariff=tariff)
    plan = solve(asked, weights=OBJECTIVES["cost"])
    assert violations(asked, plan) == []
    return asked, plan


def energies_wh(problem: Problem, plan: Allocation, name: str) -> list[float]:
    (need,) = [need for need in problem.needs if need.id == name]
    hours = [(end - start) / 3600 for start, end in pairwise(problem.horizon.edges_s)]
    watts = need.voltage_v * len(need.phases)
    return [watts * a * h for a, h in zip(plan.currents_a[name], hours, strict=True)]


def test_a_car_waits_for_the_cheap_hours_and_is_told_so() -> None:
    problem, plan = priced(garage(car("CP-1", energy_wh=20_000.0), horizon=HOURS), NIGHT)
    assert energies_wh(problem, plan, "CP-1") == pytest.approx([0.0, 0.0, 20_000.0, 0.0, 0.0, 0.0], abs=30.0)
    text = "Paused: waits for 00:00: 0.12 instead of 0.31 EUR/kWh."
    assert plan.reasons["CP-1"] == (Reason("price", text),)


def test_who_leaves_before_is_charged_whatever_it_costs() -> None:
    problem, plan = priced(garage(car("CP-1", energy_wh=20_000.0, departure_s=7200.0), horizon=HOURS), NIGHT)
    assert sum(energies_wh(problem, plan, "CP-1")) == pytest.approx(20_000.0, abs=30.0)


def test_what_the_cheap_hours_cannot_bring_is_bought_early_and_no_more_than_that() -> None:
    """Two hours at 32 A on one phase are 14.7 kWh; 20 are wanted."""
    problem, plan = priced(garage(car("CP-1", (0,), energy_wh=20_000.0), horizon=HOURS), NIGHT)
    by_hour = energies_wh(problem, plan, "CP-1")
    assert by_hour[2:4] == pytest.approx([7_360.0, 7_360.0], abs=30.0)
    assert by_hour[0] == pytest.approx(5_280.0, abs=30.0)
    assert sum(by_hour) == pytest.approx(20_000.0, abs=30.0)
    (reason,) = plan.reasons["CP-1"]
    assert reason.text == "23.0 A: waits for 00:00: 0.12 instead of 0.31 EUR/kWh."


def test_without_the_time_of_day_it_is_said_how_long_a_car_waits_and_the_currency_is_named() -> None:
    tariff = replace(NIGHT, now_s_of_day=None, currency="USD")
    _, plan = priced(garage(car("CP-1", energy_wh=20_000.0), horizon=HOURS), tariff)
    assert plan.reasons["CP-1"][0].text == "Paused: waits 2.0 h: 0.12 instead of 0.31 USD/kWh."


def test_a_wait_of_less_than_an_hour_is_told_in_minutes() -> None:
    soon = Horizon((0.0, 300.0, 7200.0))
    tariff = Tariff((0.31, 0.12), currency="USD")
    _, plan = priced(garage(car("CP-1", energy_wh=10_000.0), horizon=soon), tariff)
    assert plan.reasons["CP-1"][0].text == "Paused: waits 5 min: 0.12 instead of 0.31 USD/kWh."


@pytest.mark.parametrize(("worth", "expected_wh"), [(0.05, 0.0), (0.25, 14_720.0), (0.40, 20_000.0), (-0.10, 0.0)])
def test_hours_that_cost_more_than_a_kwh_is_worth_are_left_out(worth: float, expected_wh: float) -> None:
    wish = car("CP-1", (0,), energy_wh=20_000.0, energy_worth_per_kwh=worth)
    problem, plan = priced(garage(wish, horizon=HOURS), NIGHT)
    assert sum(energies_wh(problem, plan, "CP-1")) == pytest.approx(expected_wh, abs=30.0)


def test_who_is_not_worth_the_price_is_told_both() -> None:
    wish = car("CP-1", energy_wh=20_000.0, energy_worth_per_kwh=0.05)
    _, plan = priced(garage(wish, horizon=HOURS), NIGHT)
    assert plan.reasons["CP-1"] == (Reason("price", "Paused: a kWh costs 0.31 EUR and is worth 0.05 EUR."),)


def test_hours_that_are_paid_for_are_taken_first() -> None:
    tariff = Tariff((0.05, 0.05, 0.0, -0.02, 0.05, 0.05))
    problem, plan = priced(garage(car("CP-1", (0,), energy_wh=10_000.0), horizon=HOURS), tariff)
    assert energies_wh(problem, plan, "CP-1") == pytest.approx([0.0, 0.0, 2_640.0, 7_360.0, 0.0, 0.0], abs=30.0)


def test_a_car_that_says_nothing_waits_too_and_gets_more_than_the_prior_in_cheap_hours_only() -> None:
    """13 kWh count as wanted; two hours at 32 A on three phases are 44 kWh."""
    problem, plan = priced(garage(car("CP-1"), horizon=HOURS), NIGHT)
    by_hour = energies_wh(problem, plan, "CP-1")
    assert by_hour == pytest.approx([0.0, 0.0, 22_080.0, 22_080.0, 0.0, 0.0], abs=30.0)


def test_a_car_that_says_nothing_and_has_had_the_cheap_hours_is_told_what_it_waits_for() -> None:
    tariff = Tariff((0.31, 0.31, 0.31, 0.31, 0.31, 0.12))
    leaves = car("CP-1", departure_s=4 * 3600.0, energy_wh=None, expected_wh=0.0)
    _, plan = priced(garage(leaves, horizon=HOURS), tariff)
    assert plan.reasons["CP-1"] == (Reason("price", "Paused: waits for less than 0.31 EUR/kWh."),)


def test_where_all_hours_cost_the_same_nobody_waits() -> None:
    cars = (car("CP-1", energy_wh=9_000.0), car("CP-2", (0,), energy_wh=9_000.0), car("CP-3", (1,)))
    for price in (0.3, 0.0, -0.1):
        _, plan = priced(garage(*cars, available_a=20.0, horizon=HOURS), Tariff((price,) * 6))
        now = {name: currents[0] for name, currents in plan.currents_a.items()}
        assert realize(replace(garage(*cars, available_a=20.0, horizon=HOURS)), now) == now
        assert not any(reason.code == "price" for found in plan.reasons.values() for reason in found)


@pytest.mark.parametrize("apart", [1e-17, 1e-9, 1e-4])
def test_prices_that_hardly_differ_take_no_energy_and_those_that_do_still_count(apart: float) -> None:
    """0.1 + 0.2 is not 0.3 to a computer; a hundredth of a cent is worth waiting for, if hardly."""
    tariff = Tariff((0.3 + apart, 0.3 + apart, 0.3, 0.3, 0.3, 0.3))
    problem, plan = priced(garage(car("CP-1", energy_wh=20_000.0), horizon=HOURS), tariff)
    by_hour = energies_wh(problem, plan, "CP-1")
    assert sum(by_hour) == pytest.approx(20_000.0, abs=30.0)
    assert by_hour[0 if apart < 1e-6 else 2] == pytest.approx(20_000.0, abs=30.0)
    if apart > 1e-6:
        assert plan.reasons["CP-1"][0].text == "Paused: waits 2.0 h: 0.3000 instead of 0.3001 EUR/kWh."


def test_prices_count_for_cost_only() -> None:
    problem = garage(car("CP-1", energy_wh=20_000.0), horizon=HOURS)
    for objective in ("even", "throughput", "fair"):
        weights = OBJECTIVES[objective]
        plans = [solve(one, weights=weights).currents_a for one in (problem, replace(problem, tariff=NIGHT))]
        assert plans[0] == plans[1]


SUN = Tariff((0.30,) * 6, surplus_w=(0.0, 0.0, 3_450.0, 3_450.0, 0.0, 0.0), export_per_kwh=(0.08,) * 6)


def test_surplus_that_sells_for_less_than_the_grid_asks_is_waited_for_and_shared() -> None:
    """6.9 kWh of sun for 10 that are wanted: 5.2 would come within the hour otherwise."""
    problem, plan = priced(garage(car("CP-1", (0,), energy_wh=10_000.0), horizon=HOURS), SUN)
    by_hour = energies_wh(problem, plan, "CP-1")
    assert by_hour[0] == pytest.approx(3_100.0, abs=30.0)
    assert by_hour[2:4] == pytest.approx([3_450.0, 3_450.0], abs=30.0)
    assert plan.reasons["CP-1"][0].text == "13.5 A: waits 2.0 h: 0.08 instead of 0.30 EUR/kWh."


def test_surplus_that_sells_for_more_than_the_grid_asks_is_sold() -> None:
    tariff = Tariff((0.10,) * 6, surplus_w=(22_000.0, 22_000.0, 0.0, 0.0, 0.0, 0.0), export_per_kwh=(0.30,) * 6)
    problem, plan = priced(garage(car("CP-1", energy_wh=20_000.0), horizon=HOURS), tariff)
    assert energies_wh(problem, plan, "CP-1")[:2] == [0.0, 0.0]
    assert sum(energies_wh(problem, plan, "CP-1")) == pytest.approx(20_000.0, abs=30.0)


def test_a_car_for_surplus_only_gets_what_is_there_and_waits_where_its_minimum_is_not() -> None:
    """3.45 kW are 15 A on one phase, and less than 6 A on three."""
    one, three = car("one", (0,), surplus_only=True), car("three", surplus_only=True)
    sun = replace(SUN, surplus_w=(3_450.0,) * 6)
    _, plan = priced(garage(one, horizon=HOURS), sun)
    assert plan.currents_a["one"] == pytest.approx((15.0,) * 6)
    text = "15.0 A: Surplus, all phases together: 15.0 A available for charging (3.5 kW that would be exported), one car uses it."
    assert plan.reasons["one"] == (Reason("surplus", text, limit_a=15.0),)
    _, plan = priced(garage(three, horizon=HOURS), sun)
    assert plan.currents_a["three"][0] == 0.0
    assert plan.reasons["three"][0].code == "surplus"
    assert "5.0 A left, less than its minimum of 6.0 A" in plan.reasons["three"][0].text


@pytest.mark.parametrize("tariff", [None, Tariff((0.30,) * 6)])
def test_without_surplus_a_car_for_surplus_only_gets_nothing(tariff: Tariff | None) -> None:
    problem = replace(garage(car("CP-1", surplus_only=True), car("CP-2"), horizon=HOURS), tariff=tariff)
    for plan in (share(problem), *(solve(problem, weights=weights) for weights in OBJECTIVES.values())):
        assert violations(problem, plan) == []
        assert plan.currents_a["CP-1"] == (0.0,) * 6
        assert plan.currents_a["CP-2"][0] == 32.0
    assert realize(problem, {"CP-1": 16.0}) == {"CP-1": 0.0, "CP-2": 32.0}


def test_the_judge_sees_a_car_that_takes_more_than_the_surplus() -> None:
    problem = replace(garage(car("CP-1", (0,), surplus_only=True), horizon=HOURS), tariff=SUN)
    plan = replace(share(problem), currents_a={"CP-1": (0.0, 0.0, 15.0, 15.1, 0.0, 0.0)})
    found = violations(problem, plan)
    assert found == ["surplus, block 3: 3473.0 W drawn by cars that take nothing else, 3450.0 W there"]


FLAT = (0.30,) * 6


def peaks_w(problem: Problem, plan: Allocation) -> list[float]:
    by_car = [energies_wh(problem, plan, need.id) for need in problem.needs]
    return [sum(block) for block in zip(*by_car, strict=True)]


def test_a_demand_charge_makes_the_site_draw_evenly() -> None:
    """Two cars want 30 kWh in six hours: 5 kW would do, whole steps and the 6 A minimum aside."""
    cars = (car("CP-1", (0,), energy_wh=15_000.0), car("CP-2", (1,), energy_wh=15_000.0))
    problem, plan = priced(garage(*cars, horizon=HOURS), Tariff(FLAT, peak_per_kw=12.0))
    assert max(peaks_w(problem, plan)) == pytest.approx(5_000.0, rel=0.02)
    assert sum(peaks_w(problem, plan)) == pytest.approx(30_000.0, abs=60.0)
    assert {reason.code for found in plan.reasons.values() for reason in found} == {"peak"}
    assert "more would raise the site's peak of 5.0 kW, at 12.00 EUR/kW." in plan.reasons["CP-1"][0].text


def test_a_peak_that_was_reached_before_is_free() -> None:
    cars = (car("CP-1", (0,), energy_wh=15_000.0), car("CP-2", (1,), energy_wh=15_000.0))
    problem, plan = priced(garage(*cars, horizon=HOURS), Tariff(FLAT, peak_per_kw=12.0, peak_w=12_000.0))
    assert peaks_w(problem, plan)[0] == pytest.approx(12_000.0, rel=0.01)
    assert max(peaks_w(problem, plan)) <= 12_000.0 + 1e-6


def test_other_loads_count_in_the_peak_and_cars_keep_out_of_their_way() -> None:
    tariff = Tariff(FLAT, peak_per_kw=12.0, peak_w=8_000.0, background_w=(8_000.0, 8_000.0, 0.0, 0.0, 8_000.0, 8_000.0))
    problem, plan = priced(garage(car("CP-1", energy_wh=15_000.0), horizon=HOURS), tariff)
    assert peaks_w(problem, plan)[0] == 0.0
    assert sum(peaks_w(problem, plan)[2:4]) == pytest.approx(15_000.0, rel=0.1)
    assert sum(peaks_w(problem, plan)) == pytest.approx(15_000.0, abs=30.0)


def test_surplus_makes_room_below_the_peak() -> None:
    tariff = replace(SUN, peak_per_kw=12.0, peak_w=2_300.0, export_per_kwh=(0.30,) * 6)
    problem, plan = priced(garage(car("CP-1", (0,), energy_wh=18_000.0), horizon=HOURS), tariff)
    assert peaks_w(problem, plan)[2] <= 3_450.0 + 2_300.0 + 1.0
    assert sum(peaks_w(problem, plan)) == pytest.approx(18_000.0, abs=30.0)


def test_energy_that_is_wanted_in_time_raises_the_peak_however_dear_that_is() -> None:
    problem, plan = priced(
        garage(car("CP-1", energy_wh=20_000.0, departure_s=3600.0), horizon=HOURS), Tariff(FLAT, peak_per_kw=500.0)
    )
    assert peaks_w(problem, plan)[0] == pytest.approx(20_000.0, rel=0.01)


def test_what_is_worth_less_than_the_peak_is_left_out() -> None:
    wish = car("CP-1", energy_wh=20_000.0, energy_worth_per_kwh=0.60)
    problem, plan = priced(garage(wish, horizon=HOURS), Tariff(FLAT, peak_per_kw=12.0))
    assert sum(peaks_w(problem, plan)) == 0.0
    assert plan.reasons["CP-1"][0].code == "peak"


def test_a_profile_of_the_csms_that_allows_nothing_is_no_matter_of_price() -> None:
    stopped = car("CP-1", min_a=0.0, ceiling_a=(0.0,))
    problem = garage(stopped, available_a=16.0, horizon=Horizon((0.0, 300.0)))
    plan = solve(replace(problem, tariff=Tariff((0.3,))), weights=OBJECTIVES["cost"])
    assert plan.currents_a["CP-1"] == (0.0,)
    assert not any(reason.code == "price" for reason in plan.reasons["CP-1"])
