"""Which laws hold where cars may give energy back? No limit counts on it, nobody leaves with less, and it never costs more."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace

from hypothesis import given, settings
from hypothesis import strategies as st

from optimizer.check import violations
from optimizer.newcomers import of_those_here
from optimizer.objectives import COST, OBJECTIVES
from optimizer.problem import Allocation, ChargingNeed, CircuitLimit, Discharge, Horizon, Problem, Tariff
from optimizer.realize import realize
from optimizer.share import share
from optimizer.solve import solve
from tests.optimizer.samples import series
from tests.optimizer.test_cost_laws import priced_problems

FEED_IN = st.tuples(*[st.sampled_from((0.0, 10.0, 40.0)) | st.floats(0, 70)] * 3)
FEEDS_IN = st.sampled_from((True, True, True, False))
PAYS = st.sampled_from((True, True, True, False))


@st.composite
def sites(draw: st.DrawFn) -> Problem:
    """Any site and tariff; most cars may give back, most circuits let some of that through, and often it pays."""
    problem = draw(priced_problems(known=True))
    feed_in = series(FEED_IN, problem.horizon.blocks)
    circuits = tuple(replace(one, feed_in_a=draw(feed_in) if draw(FEEDS_IN) else None) for one in problem.circuits)
    problem = replace(problem, circuits=circuits)
    if draw(PAYS):
        problem = _where_it_pays(draw, problem)
    needs = tuple(_generous(draw, need, problem.horizon.blocks) for need in problem.needs)
    return replace(problem, needs=needs)


LATER_PRICES = series(st.sampled_from((0.6, 0.05, 0.31)), 3)
EXPORT_PRICE = st.sampled_from((0.0, 0.2))
OTHERS_W = series(st.sampled_from((3_000.0, 12_000.0, 30_000.0)), 4)
ROOM = series(st.tuples(*[st.sampled_from((13.0, 32.0)) | st.floats(8, 70)] * 3), 4)


def _where_it_pays(draw: st.DrawFn, problem: Problem) -> Problem:
    """Dear and cheap hours, other loads, and circuits that are not always full; the cars may charge again."""
    horizon = Horizon((0.0, 300.0, 1200.0, 3000.0, 4800.0))
    old = problem.tariff
    assert old is not None
    tariff = Tariff(
        (0.6, *draw(LATER_PRICES)),
        export_per_kwh=(draw(EXPORT_PRICE),) * horizon.blocks,
        background_w=draw(OTHERS_W),
        peak_per_kw=old.peak_per_kw,
        peak_w=old.peak_w,
    )
    circuits = tuple(CircuitLimit(one.id, one.label, draw(ROOM), feed_in_a=draw(ROOM)) for one in problem.circuits)
    lively = {"ceiling_a": None, "presence": None, "max_a": 32.0, "surplus_only": False}
    needs = tuple(replace(need, **lively) for need in problem.needs)
    return Problem(horizon, circuits, needs, tariff=tariff)


SPARE = st.sampled_from((20_000.0, 0.0, 50.0)) | st.floats(0.0, 60_000.0)
MOST = st.sampled_from((16.0, 32.0, 7.7, 0.0))
LEAST = st.sampled_from((6.0, 0.0, 6.25))
CEILING = st.sampled_from((0.0, 5.0, 8.3, 40.0))
IS_BOUND = st.booleans()
EFFICIENCY = st.sampled_from((0.8, 1.0, 0.3))
WEAR = st.sampled_from((0.0, 0.05, 1.0))
IS_CERTAIN = st.sampled_from((True, True, True, False))
GIVES_BACK = st.sampled_from((True, True, False))
OTHER_ENERGY = st.sampled_from((None, 0.0, 500.0))
LEAVES = st.sampled_from((1e5, 7200.0, 4000.0))


def _generous(draw: st.DrawFn, need: ChargingNeed, blocks: int) -> ChargingNeed:
    back = Discharge(
        spare_wh=draw(SPARE),
        max_a=draw(MOST),
        min_a=draw(LEAST),
        ceiling_a=draw(series(CEILING, blocks)) if draw(IS_BOUND) else None,
        efficiency=draw(EFFICIENCY),
        wear_per_kwh=draw(WEAR),
    )
    certain = draw(IS_CERTAIN)
    energy_wh = draw(OTHER_ENERGY)
    return replace(
        need,
        discharge=back if draw(GIVES_BACK) else None,
        energy_wh=need.energy_wh if energy_wh is None else energy_wh,
        departure_s=draw(LEAVES) if certain else need.departure_s,
        presence=None if certain else need.presence,
        arrival_s=None if certain else need.arrival_s,
    )


def without_giving_back(problem: Problem) -> Problem:
    return replace(problem, needs=tuple(replace(need, discharge=None) for need in problem.needs))


def joules(need: ChargingNeed, problem: Problem, block: int, amps: float) -> float:
    """Wh at the EVSE of a current in a block."""
    start_s, end_s = problem.horizon.edges_s[block : block + 2]
    if block and need.departure_s is not None:
        end_s = min(end_s, max(need.departure_s, start_s))
    if block and need.arrival_s is not None:
        start_s = max(start_s, min(need.arrival_s, end_s))
    return amps * need.voltage_v * len(need.phases) * (end_s - start_s) / 3600


def bill(problem: Problem, currents_a: Mapping[str, tuple[float, ...]]) -> float:
    """What the site pays, wear included, with a meter that nets."""
    tariff, edges, total, highest_w = problem.tariff, problem.horizon.edges_s, 0.0, -math.inf
    assert tariff is not None
    for block in range(problem.horizon.blocks):
        hours = (edges[block + 1] - edges[block]) / 3600
        background_w = tariff.background_w[block] if tariff.background_w else 0.0
        surplus_w = tariff.surplus_w[block] if tariff.surplus_w else 0.0
        used_wh = (background_w - surplus_w) * hours
        for need in problem.needs:
            wh = joules(need, problem, block, currents_a[need.id][block])
            used_wh += wh
            if wh < 0:
                assert need.discharge is not None
                total -= wh * need.discharge.wear_per_kwh
        sold_for = tariff.export_per_kwh[block] if tariff.export_per_kwh else 0.0
        total += used_wh * (tariff.import_per_kwh[block] if used_wh > 0 else sold_for)
        highest_w = max(highest_w, used_wh / hours)
    return (total + (tariff.peak_per_kw or 0.0) * max(highest_w - tariff.peak_w, 0.0)) / 1000


@settings(max_examples=200, deadline=None)
@given(sites())
def test_a_plan_keeps_every_rule_and_no_limit_counts_on_what_is_given_back(problem: Problem) -> None:
    plan = solve(problem, weights=COST)
    assert violations(problem, plan) == []
    for circuit in problem.circuits:
        for phase in range(3):
            cars = [need.id for need in problem.needs if circuit.id in need.circuits and phase in need.phases]
            for block, available_a in enumerate(circuit.available_a):
                now = [plan.currents_a[name][block] for name in cars]
                assert sum(amps for amps in now if amps > 0) <= max(available_a[phase], 0.0) + 1e-6
                fed_a = circuit.feed_in_a[block][phase] if circuit.feed_in_a is not None else 0.0
                assert -sum(amps for amps in now if amps < 0) <= fed_a + 1e-6


@settings(max_examples=150, deadline=None)
@given(sites())
def test_nobody_leaves_with_less_and_others_keep_their_plan(problem: Problem) -> None:
    plan, alone = solve(problem, weights=COST), solve(without_giving_back(problem), weights=COST)
    for need in problem.needs:
        with_, without = plan.currents_a[need.id], alone.currents_a[need.id]
        if need.discharge is None or need.departure_s is None or need.presence is not None:
            assert with_ == without
            continue
        stored_wh = [
            joules(need, problem, block, amps) / (need.discharge.efficiency if amps < 0 else 1.0)
            for block, amps in enumerate(with_)
        ]
        had_wh = sum(joules(need, problem, block, amps) for block, amps in enumerate(without))
        assert need.energy_wh is not None
        assert sum(stored_wh) >= min(had_wh, need.energy_wh) - 1e-3
        assert min(sum(stored_wh[: block + 1]) for block in range(len(stored_wh))) >= -need.discharge.spare_wh - 1e-3


@settings(max_examples=150, deadline=None)
@given(sites())
def test_it_never_costs_more_whether_cars_that_are_yet_to_come_do_or_not(problem: Problem) -> None:
    plan, alone = solve(problem, weights=COST), solve(without_giving_back(problem), weights=COST)
    for come in (problem, of_those_here(problem)):
        before, after = bill(come, alone.currents_a), bill(come, plan.currents_a)
        assert after <= before + 1e-6 * max(1.0, abs(before))


@settings(max_examples=80, deadline=None)
@given(sites(), st.sampled_from(("even", "fair", "throughput")))
def test_only_the_objective_cost_gives_back(problem: Problem, objective: str) -> None:
    weights = OBJECTIVES[objective]
    assert solve(problem, weights=weights).currents_a == solve(without_giving_back(problem), weights=weights).currents_a
    assert share(problem).currents_a == share(without_giving_back(problem)).currents_a


@settings(max_examples=150, deadline=None)
@given(sites(), st.lists(st.floats(-40, 40), min_size=7, max_size=7))
def test_wishes_to_give_back_are_told_on_steps_at_least_at_the_minimum_within_what_may_be_fed_in(
    problem: Problem, wanted: list[float]
) -> None:
    """A single block 0 is judged with all wishes for energy met, which `violations` would look for in later blocks."""
    asked = {need.id: amps for need, amps in zip(problem.needs, wanted, strict=False)}
    told = realize(problem, asked)
    assert all(told[name] >= 0 for name, amps in asked.items() if amps >= 0)
    later = (0.0,) * (problem.horizon.blocks - 1)
    currents = {name: (amps, *later) for name, amps in told.items()}
    broken = violations(problem, Allocation(currents, "share", 0.0, {}))
    assert [text for text in broken if ": gives back, but has" not in text] == []
    idle = {name: max(amps, 0.0) for name, amps in asked.items()}
    assert violations(without_giving_back(problem), replace(share(problem), currents_a=_only_now(problem, idle))) == []


def _only_now(problem: Problem, asked: Mapping[str, float]) -> dict[str, tuple[float, ...]]:
    later = (0.0,) * (problem.horizon.blocks - 1)
    return {name: (amps, *later) for name, amps in realize(problem, asked).items()}
