"""Which laws hold for every tariff? Nobody goes without for a price, no limit is sold, and only what differs counts."""

from __future__ import annotations

from dataclasses import replace
from functools import cache

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from optimizer.arrays import Array
from optimizer.check import violations
from optimizer.objectives import COST, Weights
from optimizer.problem import ChargingNeed, Problem, Tariff
from optimizer.program import build
from optimizer.realize import realize
from optimizer.rows import caps_of, rows_of, wh_per_ampere
from optimizer.share import share
from optimizer.solve import solve
from optimizer.surplus import with_surplus
from optimizer.worth import FIRM, FIRM_PEAK
from tests.optimizer.by_scipy import by_scipy
from tests.optimizer.samples import problems, series

PRICES = st.sampled_from((0.0, 0.12, 0.31, -0.05)) | st.floats(-0.5, 2.0)
ENERGY = Weights(minimum=0.0, early=0.0, fair=0.0, calm=0.0, levels=False)


WATTS = st.sampled_from((0.0, 1_400.0, 4_200.0)) | st.floats(0.0, 40_000.0)
PEAK_PRICE = st.none() | st.sampled_from((0.0, 15.51, 100.0))
IS_THERE = st.booleans()
ONE_OF_THREE = st.sampled_from((False, False, True))
WORTH = st.none() | PRICES


@cache
@st.composite
def priced_problems(draw: st.DrawFn, *, known: bool = False, worths: bool = True) -> Problem:
    """Any site with any tariff; some cars for surplus only, some with a worth."""
    problem = draw(problems(known=known))
    prices, watts = (series(of, problem.horizon.blocks) for of in (PRICES, WATTS))
    tariff = Tariff(
        draw(prices),
        draw(watts) if draw(IS_THERE) else (),
        draw(prices) if draw(IS_THERE) else (),
        draw(PEAK_PRICE),
        draw(WATTS),
        draw(watts) if draw(IS_THERE) else (),
    )
    needs = tuple(
        replace(need, surplus_only=draw(ONE_OF_THREE), energy_worth_per_kwh=draw(WORTH) if worths else None)
        for need in problem.needs
    )
    return replace(problem, needs=needs, tariff=tariff)


@settings(max_examples=150, deadline=None)
@given(priced_problems())
def test_a_plan_keeps_every_rule_whatever_energy_costs(problem: Problem) -> None:
    plan = solve(problem, weights=COST)
    assert violations(problem, plan) == []
    assert plan.status == ("optimal" if problem.needs else "empty")


@settings(max_examples=50, deadline=None)
@given(priced_problems(), st.lists(st.floats(0, 40), min_size=7, max_size=7))
def test_shares_and_wishes_keep_to_the_surplus_too(problem: Problem, wanted: list[float]) -> None:
    assert violations(problem, share(problem)) == []
    asked = {need.id: current for need, current in zip(problem.needs, wanted, strict=False)}
    later = (0.0,) * (problem.horizon.blocks - 1)
    currents = {name: (current, *later) for name, current in realize(problem, asked).items()}
    assert violations(problem, replace(share(problem), currents_a=currents)) == []


def best_plan(problem: Problem, weights: Weights) -> Array:
    """(N, K) before rounding."""
    problem = with_surplus(problem)
    rows, caps = rows_of(problem), caps_of(problem)
    if not caps.any():
        return caps
    program = build(problem, rows, caps, caps[:, 0], weights)
    return program.currents(by_scipy(program.linear).x)


@settings(max_examples=80, deadline=None)
@given(priced_problems(known=True, worths=False))
def test_where_nobody_named_a_worth_prices_take_next_to_no_energy(problem: Problem) -> None:
    """`FIRM` and `FIRM_PEAK` say how little; being early and calm are less than a price."""
    if not problem.needs:
        return
    per_ampere = wh_per_ampere(problem)
    least_wh, most_wh = (float((best_plan(problem, weights) * per_ampere).sum()) for weights in (COST, ENERGY))
    hours = np.diff(np.array(problem.horizon.edges_s)) / 3600
    peak_w = float(((caps_of(problem) * per_ampere).sum(axis=0) / hours).max())
    bonuses = 1 + COST.early + COST.calm + COST.keep
    assert least_wh >= most_wh * (1 - bonuses / FIRM) - peak_w * hours.min() / FIRM_PEAK - 1e-3


@settings(max_examples=40, deadline=None)
@given(priced_problems(worths=False), st.sampled_from((0.25, 2.0, 1024.0)))
def test_another_currency_changes_nothing(problem: Problem, rate: float) -> None:
    """Powers of two, so that rounding is the same too."""
    tariff = problem.tariff
    assert tariff is not None
    other = replace(
        tariff,
        import_per_kwh=tuple(rate * price for price in tariff.import_per_kwh),
        export_per_kwh=tuple(rate * price for price in tariff.export_per_kwh),
        peak_per_kw=None if tariff.peak_per_kw is None else rate * tariff.peak_per_kw,
    )
    plans = [solve(one, weights=COST).currents_a for one in (problem, replace(problem, tariff=other))]
    assert plans[0] == plans[1]


def _wants_something_now(need: ChargingNeed) -> bool:
    return (not need.energy_wh or need.energy_wh > 1e-3) and (need.presence is None or need.presence[0] > 0.0)


@settings(max_examples=50, deadline=None)
@given(problems(), st.sampled_from((0.0, 0.25, -0.125)))
def test_a_flat_price_makes_nobody_wait(problem: Problem, price: float) -> None:
    """No ampere is left now that a car could have, as without prices; one that is there and wants more than a mere trace."""
    problem = replace(problem, needs=tuple(filter(_wants_something_now, problem.needs)))
    plan = solve(replace(problem, tariff=Tariff((price,) * problem.horizon.blocks)), weights=COST)
    now = {name: currents[0] for name, currents in plan.currents_a.items()}
    again = realize(problem, now)
    assert all(again[name] <= now[name] + 1e-6 for name in now)
    assert not any(reason.code == "price" for found in plan.reasons.values() for reason in found)


@settings(max_examples=60, deadline=None)
@given(priced_problems(worths=False))
def test_rounding_raises_no_peak(problem: Problem) -> None:
    """Whatever is drawn now was planned, or is below the highest mean so far: the plan before rounding, and nothing beyond."""
    tariff = problem.tariff
    assert tariff is not None
    if not problem.needs or tariff.peak_per_kw is None:
        return
    watts = wh_per_ampere(problem)[:, 0] / (problem.horizon.edges_s[1] / 3600)
    highest_v = max(need.voltage_v for need in problem.needs)
    planned_a = best_plan(problem, COST)[:, 0] @ np.array([len(need.phases) for need in problem.needs])
    others_w = (tariff.background_w or (0.0,))[0] - (tariff.surplus_w or (0.0,))[0]
    plan = solve(problem, weights=COST)
    drawn_w = sum(plan.currents_a[need.id][0] * w for need, w in zip(problem.needs, watts, strict=True))
    assert drawn_w <= max(planned_a * highest_v, tariff.peak_w - others_w, 0.0) + 0.1
