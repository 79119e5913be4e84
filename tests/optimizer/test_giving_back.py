"""Stories of cars that give energy back: why they do, why not, and what the judge objects to."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from optimizer import highs
from optimizer.arbitrage import giving_back
from optimizer.check import violations
from optimizer.linear import Linear
from optimizer.objectives import COST, FAIR
from optimizer.problem import Allocation, ChargingNeed, Discharge, Problem, Tariff
from optimizer.realize import realize
from optimizer.share import share
from optimizer.solve import solve
from tests.optimizer.samples import HALF_HOURS, car, garage

EVENING = Tariff((0.35, 0.35, 0.12, 0.12), background_w=(12_000.0,) * 4, now_s_of_day=18 * 3600.0)
NOTHING_BETTER = "no plan was found that costs less and in which it has all it wants by its departure"
V2X = Discharge(spare_wh=10_000.0, max_a=16.0, wear_per_kwh=0.02)


def generous(name: str = "CP-1", **wishes: Any) -> ChargingNeed:
    return car(name, **({"energy_wh": 0.0, "departure_s": 8 * 3600.0, "step_a": 1.0, "discharge": V2X} | wishes))


def site(
    *needs: ChargingNeed, tariff: Tariff | None = EVENING, feed_in_a: float = 32.0, available_a: float = 63.0
) -> Problem:
    problem = garage(*needs, available_a=available_a)
    (fuse,) = problem.circuits
    fuse = replace(fuse, feed_in_a=((feed_in_a,) * 3,) * HALF_HOURS.blocks)
    return replace(problem, circuits=(fuse,), tariff=tariff)


def first(plan: Allocation, name: str = "CP-1") -> tuple[float, str]:
    return plan.currents_a[name][0], plan.reasons[name][-1].text


def planned(problem: Problem) -> Allocation:
    plan = solve(problem, weights=COST)
    assert violations(problem, plan) == []
    return plan


def test_a_dear_kwh_is_given_back_and_a_cheap_one_replaces_it() -> None:
    plan = planned(site(generous()))
    assert first(plan) == (-16.0, "Gives back 16.0 A: a kWh costs 0.35 EUR now, 0.12 at 18:35.")
    assert plan.reasons["CP-1"][0].code == "discharge"
    assert max(plan.currents_a["CP-1"]) > 0


def test_who_lacks_energy_until_it_leaves_gives_nothing_back() -> None:
    """16 A on three phases for 95 minutes are 17.5 kWh; there is no time to put anything back."""
    plan = planned(site(generous(energy_wh=17_400.0, max_a=16.0, departure_s=5700.0)))
    assert min(plan.currents_a["CP-1"]) >= 0
    assert first(plan)[1] == f"Gives nothing back: {NOTHING_BETTER}."


def test_who_cannot_be_served_does_not_keep_others_from_giving_back() -> None:
    starved = generous("CP-2", energy_wh=90_000.0, departure_s=5700.0, max_a=16.0)
    plan = planned(site(generous(), starved))
    assert plan.currents_a["CP-1"][0] == -16.0
    assert min(plan.currents_a["CP-2"]) > 0


def test_losses_and_wear_may_cost_more_than_the_price_gains() -> None:
    dear = replace(V2X, wear_per_kwh=0.25)
    plan = planned(site(generous(discharge=dear)))
    assert first(plan) == (
        0.0,
        "Gives nothing back: a kWh is worth 0.35 EUR now, and 0.40 with losses and wear to put it back.",
    )


@pytest.mark.parametrize(
    ("wishes", "why"),
    [
        ({"departure_s": None}, "what it wants or when it leaves is not known for certain"),
        ({"energy_wh": None}, "what it wants or when it leaves is not known for certain"),
        ({"presence": (1.0, 0.9, 0.8, 0.7)}, "what it wants or when it leaves is not known for certain"),
        ({"departure_s": 0.0}, "what it wants or when it leaves is not known for certain"),
        ({"discharge": replace(V2X, spare_wh=0.0)}, "it holds nothing above what it must keep"),
        (
            {"discharge": replace(V2X, ceiling_a=(5.0,) * 4)},
            "it may give back 5.0 A now, less than its minimum of 6.0 A",
        ),
    ],
)
def test_what_is_unknown_or_forbidden_is_not_given_back(wishes: dict[str, Any], why: str) -> None:
    plan = planned(site(generous(**wishes)))
    assert min(plan.currents_a["CP-1"]) >= 0
    assert first(plan)[1] == f"Gives nothing back: {why}."


def test_a_circuit_that_lets_nothing_through_is_named() -> None:
    plan = planned(site(generous(), feed_in_a=5.0))
    why = "Gives nothing back: Garage fuse, L1: 5.0 A may be fed in, less than its minimum of 6.0 A."
    assert (min(plan.currents_a["CP-1"][:1]), first(plan)[1]) == (0.0, why)


def test_where_nobody_said_what_may_be_fed_in_nothing_is() -> None:
    problem = site(generous())
    plan = planned(replace(problem, circuits=tuple(replace(one, feed_in_a=None) for one in problem.circuits)))
    assert plan.currents_a["CP-1"] == (0.0,) * 4


def test_what_is_not_used_by_the_site_earns_what_is_paid_for_it() -> None:
    alone = replace(EVENING, background_w=(), export_per_kwh=(0.30, 0.0, 0.0, 0.0))
    assert first(planned(site(generous(), tariff=alone))) == (
        -16.0,
        "Gives back 16.0 A: a kWh earns 0.30 EUR now, 0.12 at 18:35.",
    )
    assert planned(site(generous(), tariff=replace(alone, export_per_kwh=()))).currents_a["CP-1"] == (0.0,) * 4


def test_the_peak_of_others_is_kept_lower() -> None:
    others = (21_000.0, 5_000.0, 5_000.0, 5_000.0)
    tariff = Tariff((0.30,) * 4, peak_per_kw=10.0, peak_w=15_000.0, background_w=others)
    amps, why = first(planned(site(generous(), tariff=tariff)))
    assert why == f"Gives back {-amps:.1f} A: it keeps the site's peak lower, at 10.00 EUR/kW."
    assert 21_000.0 + 690.0 * amps == pytest.approx(15_000.0, abs=690.0)


def test_surplus_is_no_circuit_that_lets_too_little_through() -> None:
    plan = planned(site(generous(surplus_only=True, discharge=replace(V2X, wear_per_kwh=0.25))))
    assert first(plan)[1].startswith("Gives nothing back: a kWh is worth 0.35 EUR now, and 0.40 with losses")


def test_what_surplus_puts_back_is_named_and_not_the_peak() -> None:
    """A kWh is dearer at noon, but not the one from the roof; no peak is near."""
    noon = Tariff(
        (0.30, 0.40, 0.40, 0.40),
        surplus_w=(0.0, 0.0, 12_000.0, 0.0),
        export_per_kwh=(0.05,) * 4,
        peak_per_kw=10.0,
        peak_w=90_000.0,
        background_w=(12_000.0, 12_000.0, 0.0, 12_000.0),
    )
    only_now = replace(V2X, ceiling_a=(16.0, 0.0, 0.0, 0.0))
    plan = planned(site(generous(discharge=only_now), tariff=noon))
    assert first(plan) == (-16.0, "Gives back 16.0 A: a kWh costs 0.30 EUR now, is exported for 0.05 in 35 min.")
    worn = planned(site(generous(discharge=replace(only_now, wear_per_kwh=0.25)), tariff=noon))
    assert first(worn)[1].startswith("Gives nothing back: a kWh is worth 0.30 EUR now, and 0.31 with losses")


def test_surplus_that_another_car_takes_puts_nothing_back() -> None:
    """9 kW from the roof, and a car that draws more than that in this half hour."""
    noon = Tariff(
        (0.35, 0.35, 0.12, 0.35),
        surplus_w=(0.0, 0.0, 9_000.0, 0.0),
        export_per_kwh=(0.05,) * 4,
        background_w=(12_000.0, 12_000.0, 0.0, 12_000.0),
    )
    other = car("CP-2", energy_wh=10_000.0, departure_s=3900.0, ceiling_a=(0.0, 0.0, 32.0, 0.0))
    plan = planned(site(generous(discharge=replace(V2X, ceiling_a=(16.0, 0.0, 0.0, 0.0))), other, tariff=noon))
    assert plan.currents_a["CP-2"][2] > 20.0
    assert first(plan) == (-16.0, "Gives back 16.0 A: a kWh costs 0.35 EUR now, 0.12 in 35 min.")


def test_no_reason_is_made_up_where_nobody_looked_for_a_better_plan() -> None:
    problem = site(generous())
    for plan in (share(problem), solve(problem, weights=FAIR), solve(problem, time_limit_s=0.0, weights=COST)):
        assert first(plan) == (0.0, f"Gives nothing back: {NOTHING_BETTER}.")


def test_the_second_program_has_the_time_that_the_first_one_left(monkeypatch: pytest.MonkeyPatch) -> None:
    given_s: list[float] = []
    answered = highs.best

    def best(linear: Linear, time_limit_s: float) -> highs.Answer:
        given_s.append(time_limit_s)
        return answered(linear, time_limit_s)

    alone = solve(site(generous(discharge=None)), weights=COST)
    monkeypatch.setattr(highs, "best", best)
    giving_back(site(generous()), replace(alone, solve_s=0.9), 1.0)
    giving_back(site(generous()), replace(alone, solve_s=1.1), 1.0)
    assert given_s
    assert sum(given_s) <= 0.1 + 1e-9


def test_nothing_is_given_back_because_of_a_car_that_might_come() -> None:
    """Its peak would let what is given back be put back for less; if it stayed away, that would be a peak of its own."""
    flat = replace(EVENING, import_per_kwh=(0.35, 0.12, 0.12, 0.12), peak_per_kw=10.0, peak_w=12_000.0)
    comes = car("CP-2", arrival_s=300.0, energy_wh=11_000.0, departure_s=2100.0)
    plan = planned(site(generous(), comes, tariff=flat))
    assert plan.currents_a["CP-2"][1] > 30.0
    assert plan.currents_a["CP-1"] == (0.0,) * 4


def test_a_car_that_might_come_takes_the_room_in_which_energy_is_put_back() -> None:
    """Alone it would find room for the 3 kWh; not in what a car leaves that wants all of the fuse until it goes."""
    comes = car("CP-2", arrival_s=300.0, energy_wh=90_000.0)
    assert planned(site(generous(), available_a=32.0)).currents_a["CP-1"][0] == -16.0
    assert planned(site(generous(), comes, available_a=32.0)).currents_a["CP-1"] == (0.0,) * 4


def test_it_makes_no_room_for_others() -> None:
    """A fuse of 20 A for a car that wants all it can get: 16 A given back beside it are no 36 A."""
    plan = planned(site(generous(), car("CP-2", energy_wh=30_000.0, departure_s=3900.0), available_a=20.0))
    assert (plan.currents_a["CP-1"][1], plan.currents_a["CP-2"][1]) == (-16.0, 20.0)


def test_only_what_may_be_fed_in_together() -> None:
    plan = planned(site(generous(), generous("CP-2"), generous("CP-3"), feed_in_a=20.0))
    now = [currents[0] for currents in plan.currents_a.values()]
    assert -20.0 <= sum(now) <= -16.0
    assert all(amps == 0 or amps <= -6.0 for amps in now)


def test_an_own_wish_to_give_back_is_told_on_steps() -> None:
    problem = site(generous(), generous("CP-2"), feed_in_a=25.0)
    told = realize(problem, {"CP-1": -12.7, "CP-2": -30.0})
    assert told == {"CP-1": -12.0, "CP-2": -13.0}
    assert realize(problem, {"CP-1": -2.0, "CP-2": -4.0})["CP-2"] == -6.0


def test_who_gives_back_is_not_told_to_charge_with_what_is_left() -> None:
    assert realize(site(generous(energy_wh=5_000.0)), {"CP-1": -12.7}) == {"CP-1": -12.0}


def judged(currents: tuple[float, ...], need: ChargingNeed | None = None, **of_site: Any) -> list[str]:
    problem = site(need or generous(), **of_site)
    return violations(problem, Allocation({"CP-1": currents}, "optimal", 0.0, {}))


def test_the_judge_knows_all_rules_of_giving_back() -> None:
    """10 A on three phases are 575 Wh in five minutes and 3450 Wh in half an hour; with losses 719 and 4312 Wh."""
    whole = (-10.0, 0.0, 2.0833333, 0.0)
    assert judged(whole) == []
    assert judged((-10.0, 0.0, 0.0, 0.0)) == ["CP-1: gives back, but has -718.75 of 0.0 Wh after 5700.0 s"]
    assert "CP-1: 5.0 A given back now is neither 0 nor at least 6.0 A" in judged((-5.0, 0.0, 1.0, 0.0))
    assert "CP-1: -6.5 A now is no multiple of 1.0 A" in judged((-6.5, 0.0, 1.0, 0.0))
    assert "CP-1, block 0: 17.0 A given back, 16.0 A allowed" in judged((-17.0, 0.0, 3.0, 0.0))
    assert judged(whole, generous(discharge=None)) == ["CP-1: a current that is negative or no number"]
    unknown = "CP-1: gives back, though energy or departure are unknown or it is yet to come"
    assert judged(whole, generous(energy_wh=None)) == [unknown]
    due = "CP-1: gives back, though its departure is a guess or due, or nobody knows a price"
    assert due in judged(whole, generous(departure_s=0.0))
    assert due in judged(whole, tariff=None)
    scarce = generous(discharge=replace(V2X, spare_wh=700.0))
    assert judged(whole, scarce) == [
        "CP-1, block 0: 718.75 Wh gone, 700.0 Wh may be",
        "CP-1, block 1: 718.75 Wh gone, 700.0 Wh may be",
    ]
    assert judged(whole, feed_in_a=9.0) == [
        f"Garage fuse, L{phase}, block 0: 10.0 A given back, 9.0 A allowed" for phase in (1, 2, 3)
    ]
    gone = generous(departure_s=3000.0)
    assert "CP-1, block 3: 1.0 A given back after it left" in judged((-10.0, 0.0, 4.1666666, -1.0), gone)
    first_full = "CP-1: 1150.0 Wh planned, wanted are 0.0 Wh"
    assert first_full in judged((0.0, 3.3333333333333335, -2.6666666666666665, 0.0))


def test_the_judge_counts_on_nothing_that_may_stop() -> None:
    problem = site(generous(), car("CP-2", energy_wh=30_000.0), available_a=20.0)
    both = {"CP-1": (-10.0, 0.0, 2.0833333, 0.0), "CP-2": (30.0, 0.0, 0.0, 0.0)}
    assert violations(problem, Allocation(both, "optimal", 0.0, {})) == [
        f"Garage fuse, L{phase}, block 0: 30.0 A drawn, 20.0 A available" for phase in (1, 2, 3)
    ]


@pytest.mark.parametrize(
    ("wrong", "field"),
    [
        ({"efficiency": 0.0}, "efficiency"),
        ({"efficiency": 1.1}, "efficiency"),
        ({"spare_wh": -1.0}, "spare_wh"),
        ({"ceiling_a": (-1.0,)}, "ceiling_a"),
    ],
)
def test_wrong_bounds_are_refused_with_the_name_of_the_car(wrong: dict[str, Any], field: str) -> None:
    with pytest.raises(ValueError, match=f"ChargingNeed 'CP-1': discharge.{field} must be"):
        generous(discharge=replace(V2X, **wrong))


def test_bounds_fit_the_horizon() -> None:
    with pytest.raises(ValueError, match=r"discharge.ceiling_a must be 4 blocks"):
        site(generous(discharge=replace(V2X, ceiling_a=(1.0,))))
    problem = site(generous())
    with pytest.raises(ValueError, match="feed_in_a must be 4 blocks"):
        replace(problem, circuits=(replace(problem.circuits[0], feed_in_a=((1.0, 1.0, 1.0),)),))
