"""Which laws hold for every site? What the makers make, the judge accepts, and no site is too hard."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from optimizer.check import violations
from optimizer.objectives import DEFAULT_WEIGHTS
from optimizer.problem import PHASES, TOGETHER, Allocation, ChargingNeed, Problem
from optimizer.realize import fill, realize
from optimizer.rows import caps_of, likely_of, minimum_of, wh_per_ampere
from optimizer.share import share
from optimizer.solve import solve
from tests.optimizer.samples import problems

NOISE_A = 1e-6


def delivered_wh(problem: Problem, allocation: Allocation) -> float:
    """As likely as each car is still there then: who is surely gone gets nothing, whatever is planned for it."""
    plan = np.array([allocation.currents_a[need.id] for need in problem.needs])
    return float((plan * wh_per_ampere(problem) * likely_of(problem)).sum()) if problem.needs else 0.0


@pytest.mark.requirement("LC-110", "LC-112")
@settings(max_examples=50, deadline=None)
@given(problems())
def test_a_solved_plan_keeps_every_rule_on_every_site(problem: Problem) -> None:
    allocation = solve(problem)
    assert violations(problem, allocation) == []
    assert allocation.status == ("optimal" if problem.needs else "empty")


@pytest.mark.requirement("LC-110", "LC-112")
@settings(max_examples=50, deadline=None)
@given(problems(most=9))
def test_a_shared_plan_keeps_every_rule_on_every_site(problem: Problem) -> None:
    assert violations(problem, share(problem)) == []


@settings(max_examples=50, deadline=None)
@given(problems(), st.lists(st.floats(0, 40), min_size=7, max_size=7))
def test_whatever_is_wanted_is_made_real_within_every_rule(problem: Problem, wanted: list[float]) -> None:
    asked = {need.id: current for need, current in zip(problem.needs, wanted, strict=False)}
    currents = realize(problem, asked)
    later = (0.0,) * (problem.horizon.blocks - 1)
    allocation = Allocation({name: (current, *later) for name, current in currents.items()}, "share", 0.0, {})
    assert violations(problem, allocation) == []


@settings(max_examples=50, deadline=None)
@given(problems(), st.lists(st.floats(0, 40), min_size=7, max_size=7))
def test_no_ampere_is_left_that_some_car_could_have(problem: Problem, wanted: list[float]) -> None:
    currents = realize(problem, {need.id: a for need, a in zip(problem.needs, wanted, strict=False)})
    for index, need in enumerate(problem.needs):
        more = currents[need.id] + need.step_a if currents[need.id] else minimum_of(problem)[index]
        if more <= caps_of(problem)[index, 0] + NOISE_A:
            raised = {**currents, need.id: more}
            assert any(_drawn(problem, raised, row) > room + NOISE_A for row, room in _rooms(problem)), need.id


def _rooms(problem: Problem) -> list[tuple[tuple[str, int], float]]:
    phases = [((c.id, phase), max(c.available_a[0][phase], 0.0)) for c in problem.circuits for phase in range(3)]
    sums = [((c.id, TOGETHER), max(c.together_a[0], 0.0)) for c in problem.circuits if c.together_a is not None]
    return phases + sums


def _loads(need: ChargingNeed, row: tuple[str, int]) -> int:
    if row[0] not in need.circuits:
        return 0
    return len(need.phases) if row[1] == TOGETHER else int(row[1] in need.phases)


def _drawn(problem: Problem, currents: dict[str, float], row: tuple[str, int]) -> float:
    return sum(currents[need.id] * _loads(need, row) for need in problem.needs)


def _slack(problem: Problem, row: tuple[str, int]) -> int:
    """So many steps rounding down may leave on a row."""
    return len(problem.needs) * (len(PHASES) if row[1] == TOGETHER else 1)


@settings(max_examples=50, deadline=None)
@given(problems(most=8))
def test_a_share_is_max_min_fair(problem: Problem) -> None:
    """A running car below its cap has a full row on which nobody has more, save by a step or its own minimum."""
    now = {name: currents[0] for name, currents in share(problem).currents_a.items()}
    caps, minimum = caps_of(problem)[:, 0], minimum_of(problem)
    coarsest = max((need.step_a for need in problem.needs), default=0.0)
    for index, need in enumerate(problem.needs):
        if now[need.id] == 0 or now[need.id] + need.step_a > caps[index] + NOISE_A:
            continue
        level = now[need.id] + 2 * coarsest + NOISE_A
        peers_are_modest = [
            all(
                now[peer.id] <= max(level, minimum[n] + NOISE_A)
                for n, peer in enumerate(problem.needs)
                if _loads(peer, row)
            )
            for row, room in _rooms(problem)
            if _loads(need, row) and _drawn(problem, now, row) > room - _slack(problem, row) * coarsest - NOISE_A
        ]
        assert any(peers_are_modest), need.id


@settings(max_examples=50, deadline=None)
@given(problems(most=8))
def test_a_share_pauses_a_car_only_for_minimums_that_go_before_its_own(problem: Problem) -> None:
    now = {name: currents[0] for name, currents in share(problem).currents_a.items()}
    caps, minimum = caps_of(problem)[:, 0], minimum_of(problem)
    rank = {need.id: (-need.priority, need.present_a == 0, n) for n, need in enumerate(problem.needs)}
    for index, need in enumerate(problem.needs):
        if now[need.id] > 0 or caps[index] == 0:
            continue
        floors = {
            peer.id: minimum[n] if now[peer.id] > 0 and rank[peer.id] < rank[need.id] else 0.0
            for n, peer in enumerate(problem.needs)
        } | {need.id: minimum[index]}
        overfull = [row for row, room in _rooms(problem) if _loads(need, row) and _drawn(problem, floors, row) > room]
        assert overfull, need.id


@settings(max_examples=50, deadline=None)
@given(problems(known=True))
def test_a_plan_delivers_as_much_as_fair_shares(problem: Problem) -> None:
    """Save what the plan gave for being early and calm, and what rounding took from block 0."""
    block_0_wh = wh_per_ampere(problem)[:, 0] if problem.needs else np.zeros(0)
    rounding_wh = sum(max(need.step_a, need.min_a) * wh for need, wh in zip(problem.needs, block_0_wh, strict=True))
    calm_wh = DEFAULT_WEIGHTS.calm * sum(n.present_a * wh for n, wh in zip(problem.needs, block_0_wh, strict=True))
    least = delivered_wh(problem, share(problem)) / (1 + DEFAULT_WEIGHTS.early)
    assert delivered_wh(problem, solve(problem)) >= least - calm_wh - rounding_wh - 1e-3


@settings(max_examples=50, deadline=None)
@given(problems(most=5), st.integers(2, 3))
def test_cars_that_want_the_same_differ_by_a_step_at_most(problem: Problem, count: int) -> None:
    """Unless there is no room for the minimum of each of them."""
    for wish in problem.needs[:1]:
        twins = tuple(replace(wish, id=f"twin-{number}") for number in range(count))
        currents = solve(replace(problem, needs=twins + problem.needs[1:])).currents_a
        running = [currents[twin.id][0] for twin in twins if currents[twin.id][0] > 0]
        assert not running or max(running) - min(running) <= wish.step_a + NOISE_A


@settings(max_examples=20, deadline=None)
@given(problems())
def test_the_same_problem_has_the_same_answer(problem: Problem) -> None:
    assert solve(problem).currents_a == solve(problem).currents_a
    assert share(problem) == share(problem)


@settings(max_examples=20, deadline=None)
@given(problems())
def test_without_time_the_answer_is_the_fair_share(problem: Problem) -> None:
    hasty = solve(problem, time_limit_s=0.0)
    if hasty.status == "timeout_share":
        assert hasty.currents_a == share(problem).currents_a
    assert violations(problem, hasty) == []


@given(data=st.data(), cars=st.integers(1, 8), rows=st.integers(1, 5))
def test_a_row_is_filled_until_nobody_could_get_more_without_taking_from_someone_who_has_as_little(
    data: st.DataObject, cars: int, rows: int
) -> None:
    loads = np.array(
        data.draw(st.lists(st.lists(st.booleans(), min_size=cars, max_size=cars), min_size=rows, max_size=rows))
    )
    start, extra = (
        np.array(data.draw(st.lists(st.sampled_from([0.0, 6.0, 7.3, 20.0]), min_size=cars, max_size=cars)))
        for _ in "ab"
    )
    free = np.array(data.draw(st.lists(st.floats(0.0, 60.0), min_size=rows, max_size=rows)))
    caps, available = start + extra, loads @ start + free
    currents = fill(loads.astype(float), available, start, caps)
    assert (currents >= start - 1e-9).all()
    assert (currents <= caps + 1e-9).all()
    assert (loads @ currents <= available + 1e-6).all()
    for car in np.flatnonzero(currents < caps - 1e-6):
        full = [row for row in np.flatnonzero(loads[:, car]) if (loads @ currents)[row] >= available[row] - 1e-6]
        raised = [currents[loads[row] & (currents > start + 1e-6)] for row in full]
        assert any(not len(others) or currents[car] >= others.max() - 1e-6 for others in raised)
