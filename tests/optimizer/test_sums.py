"""What does a limit on the power of a site leave to cars that load one, two or three phases?"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from optimizer.check import violations
from optimizer.problem import TOGETHER, Allocation, ChargingNeed, Problem, WireLimit
from optimizer.share import share
from optimizer.solve import solve
from tests.optimizer.samples import car, garage

MAKERS = pytest.mark.parametrize("answer", [solve, share])


def powered(*needs: ChargingNeed, together_a: float, later_a: float | None = None, fuse_a: float = 63.0) -> Problem:
    """The garage with a limit on the sum over its phases, now and in later blocks."""
    problem = garage(*needs, available_a=fuse_a)
    sums = (together_a, *((together_a if later_a is None else later_a),) * (problem.horizon.blocks - 1))
    (fuse,) = problem.circuits
    return replace(problem, circuits=(replace(fuse, together_a=sums, together_source="4200 W / 230 V"),))


def drawn_a(problem: Problem, allocation: Allocation, block: int) -> float:
    return sum(len(need.phases) * allocation.currents_a[need.id][block] for need in problem.needs)


@MAKERS
def test_single_phase_cars_get_what_a_power_limit_leaves_also_all_on_one_phase(
    answer: Callable[[Problem], Allocation],
) -> None:
    problem = powered(car("CP-1", (0,)), car("CP-2", (0,)), together_a=30.0)
    assert {currents[0] for currents in answer(problem).currents_a.values()} == {15.0}


@MAKERS
def test_a_three_phase_car_counts_three_times(answer: Callable[[Problem], Allocation]) -> None:
    problem = powered(car("CP-1"), car("CP-2", (1,)), together_a=40.0)
    allocation = answer(problem)
    assert {currents[0] for currents in allocation.currents_a.values()} == {10.0}
    assert violations(problem, allocation) == []


@MAKERS
def test_of_what_is_too_little_for_three_phases_nothing_is_given(answer: Callable[[Problem], Allocation]) -> None:
    problem = powered(car("CP-1"), together_a=17.9)
    allocation = answer(problem)
    assert allocation.currents_a["CP-1"][0] == 0.0
    (reason,) = allocation.reasons["CP-1"]
    assert (reason.code, reason.circuit, reason.phase) == ("minimum_rate", "garage", TOGETHER)
    assert "Garage fuse, all phases together: 17.9 A available for charging (4200 W / 230 V)" in reason.text


@MAKERS
def test_what_a_three_phase_car_cannot_use_is_left_to_one_on_a_single_phase(
    answer: Callable[[Problem], Allocation],
) -> None:
    allocation = answer(powered(car("CP-1"), car("CP-2", (0,)), together_a=7.0))
    assert {name: currents[0] for name, currents in allocation.currents_a.items()} == {"CP-1": 0.0, "CP-2": 7.0}


@MAKERS
def test_a_power_limit_to_come_is_in_the_plan(answer: Callable[[Problem], Allocation]) -> None:
    problem = powered(car("CP-1"), car("CP-2"), together_a=180.0, later_a=36.0)
    allocation = answer(problem)
    assert [round(drawn_a(problem, allocation, block)) for block in (0, 1)] == [180, 36]


def test_the_judge_counts_every_phase() -> None:
    problem = powered(car("CP-1"), car("CP-2", (1,)), together_a=39.0)
    given = Allocation({"CP-1": (10.0, 0, 0, 0), "CP-2": (10.0, 0, 0, 0)}, "share", 0.0, {})
    assert violations(problem, given) == ["Garage fuse, all phases, block 0: 40.0 A drawn, 39.0 A available"]


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.sampled_from(((0,), (1,), (0, 2), (0, 1, 2))), min_size=1, max_size=6),
    st.floats(-5.0, 120.0),
    st.floats(-5.0, 120.0),
    st.booleans(),
)
def test_no_maker_exceeds_the_sum_in_any_block_with_or_without_wires(
    phases: list[tuple[int, ...]], now_a: float, later_a: float, is_wired: bool
) -> None:
    needs = [car(f"CP-{n}", each) for n, each in enumerate(phases)]
    problem = powered(*needs, together_a=now_a, later_a=later_a)
    if is_wired:
        wire = WireLimit("n", "Wire", (500.0,) * problem.horizon.blocks)
        wired = tuple(replace(need, wires=(("n", 1 + 0j),)) for need in needs)
        problem = replace(problem, needs=wired, wires=(wire,))
    for answer in (solve, share):
        allocation = answer(problem)
        assert violations(problem, allocation) == []
        for block, sum_a in enumerate(problem.circuits[0].together_a or ()):
            assert drawn_a(problem, allocation, block) <= max(sum_a, 0.0) + 1e-5
