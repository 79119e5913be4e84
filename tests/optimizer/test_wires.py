"""Cars between two phases and before a transformer: currents that do not add up like numbers."""

from __future__ import annotations

import cmath
import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from optimizer.check import violations
from optimizer.explain import explain
from optimizer.objectives import OBJECTIVES
from optimizer.problem import Allocation, ChargingNeed, CircuitLimit, Horizon, Problem, WireLimit
from optimizer.realize import realize
from optimizer.rows import caps_of, minimum_of
from optimizer.share import share
from optimizer.solve import solve
from optimizer.tangents import STEPS, directions, tangent
from optimizer.wiring import before_transformer, between, to_neutral
from tests.optimizer.samples import wired_problems

HOUR = Horizon((0.0, 300.0, 3600.0))
NOISE_A = 1e-6


def wires(limit_a: float, blocks: int = 2) -> tuple[WireLimit, ...]:
    return tuple(WireLimit(f"L{n}", f"Panel, L{n}", (limit_a,) * blocks, f"{limit_a:.0f} A fuse") for n in (1, 2, 3))


def car(name: str, weights: tuple[complex, complex, complex], **wishes: float) -> ChargingNeed:
    loaded = tuple((f"L{n}", weight) for n, weight in enumerate(weights, 1) if weight)
    return ChargingNeed(name, (), (0,), wires=loaded, **wishes)  # type: ignore[arg-type]  # every wish is a number


# --- the weights ----------------------------------------------------------------------------------------------------


def test_a_load_between_two_phases_comes_back_on_the_other_one() -> None:
    for first, second in ((0, 1), (1, 2), (2, 0)):
        weights = between(first, second)
        assert weights == between(second, first)
        assert sum(weights) == pytest.approx(0)
        assert [abs(weight) for weight in weights].count(0) == 1
        voltages = [cmath.exp(-2j * math.pi / 3 * phase) for phase in range(3)]
        assert cmath.phase(weights[first] / (voltages[first] - voltages[second])) == pytest.approx(0)


def test_two_loads_on_one_wire_are_sixty_degrees_apart() -> None:
    together = between(0, 1)[0] + between(2, 0)[0]
    assert abs(together) == pytest.approx(math.sqrt(3))


def test_balanced_loads_between_phases_are_balanced_on_both_sides_of_a_transformer() -> None:
    panel = [sum(of) for of in zip(between(0, 1), between(1, 2), between(2, 0), strict=True)]
    assert [abs(wire) for wire in panel] == pytest.approx([math.sqrt(3)] * 3)
    supply = [
        sum(of)
        for of in zip(*(before_transformer(between(a, b), 0.25) for a, b in ((0, 1), (1, 2), (2, 0))), strict=True)
    ]
    assert [abs(wire) for wire in supply] == pytest.approx([0.75] * 3)


def test_loads_to_neutral_add_up_like_numbers() -> None:
    assert abs(3 * to_neutral(1)[1] + 5 * to_neutral(0, 1, 2)[1]) == pytest.approx(8)


@pytest.mark.parametrize(
    ("currents_a", "neutral_a"),
    [((16.0, 16.0, 16.0), 0.0), ((16.0, 16.0, 0.0), 16.0), ((32.0, 32.0, 10.0), 22.0), ((32.0, 10.0, 10.0), 22.0)],
)
def test_the_judge_adds_up_the_neutral_conductor_exactly(
    currents_a: tuple[float, float, float], neutral_a: float
) -> None:
    cars = [ChargingNeed(f"CP-{p}", (), (p,), wires=(("N", sum(to_neutral(p))),)) for p in range(3)]
    given_a = Allocation({n.id: (a, 0.0) for n, a in zip(cars, currents_a, strict=True)}, "share", 0.0, {})
    for limit_a, faults in ((neutral_a + 0.001, 0), (neutral_a - 0.001, 1)):
        if limit_a >= 0:
            problem = Problem(HOUR, (), tuple(cars), (WireLimit("N", "Neutral", (limit_a, limit_a)),))
            assert len(violations(problem, given_a)) == faults


# --- tangents --------------------------------------------------------------------------------------------------------


@given(st.lists(st.floats(-math.pi, math.pi), min_size=1, max_size=5), st.data())
def test_what_keeps_all_tangents_is_hardly_longer_than_the_limit(angles: list[float], data: st.DataObject) -> None:
    weights = np.exp(1j * np.array(angles))
    currents = np.array(data.draw(st.lists(st.floats(0, 40), min_size=len(angles), max_size=len(angles))))
    furthest = max((float(tangent(weights, way) @ currents) for way in directions(weights)), default=0.0)
    length = abs(complex(weights @ currents))
    assert furthest <= length + 1e-9
    assert length <= furthest / math.cos(math.pi / 3 / STEPS / 2) + 1e-6


def test_loads_in_phase_need_one_tangent() -> None:
    assert len(directions(np.array([1j, 2j, 0j]))) == 1


# --- plans -----------------------------------------------------------------------------------------------------------


@settings(max_examples=60, deadline=None)
@given(wired_problems(), st.sampled_from(sorted(OBJECTIVES)))
def test_a_solved_plan_keeps_every_wire_exactly(problem: Problem, objective: str) -> None:
    allocation = solve(problem, weights=OBJECTIVES[objective])
    assert violations(problem, allocation) == []
    assert allocation.status == ("optimal" if problem.needs else "empty")


@settings(max_examples=60, deadline=None)
@given(wired_problems(most=9))
def test_a_shared_plan_keeps_every_wire_exactly(problem: Problem) -> None:
    assert violations(problem, share(problem)) == []


@settings(max_examples=60, deadline=None)
@given(wired_problems(), st.lists(st.floats(0, 40), min_size=7, max_size=7))
def test_whatever_is_wanted_is_made_real_and_no_ampere_is_left(problem: Problem, wanted: list[float]) -> None:
    currents = dict(realize(problem, {n.id: a for n, a in zip(problem.needs, wanted, strict=False)}))
    assert violations(problem, now(problem, currents)) == []
    for index, need in enumerate(problem.needs):
        more = currents[need.id] + need.step_a if currents[need.id] else minimum_of(problem)[index]
        if more <= caps_of(problem)[index, 0] + NOISE_A:
            assert violations(problem, now(problem, {**currents, need.id: more})), need.id


def now(problem: Problem, currents: dict[str, float]) -> Allocation:
    later = (0.0,) * (problem.horizon.blocks - 1)
    return Allocation({name: (current, *later) for name, current in currents.items()}, "share", 0.0, {})


def test_cars_out_of_phase_get_more_than_their_sum_would_allow() -> None:
    cars = (car("CP-1", between(0, 1)), car("CP-2", between(2, 0)))
    plan = solve(Problem(HOUR, (), cars, wires(32.0)))
    assert sum(currents[0] for currents in plan.currents_a.values()) == pytest.approx(32 * 2 / math.sqrt(3), abs=0.2)


def test_a_wire_that_binds_is_named_with_its_source() -> None:
    cars = (car("CP-1", between(0, 1), step_a=1.0), car("CP-2", between(0, 1), step_a=1.0))
    problem = Problem(HOUR, (), cars, wires(20.0))
    reason = explain(problem, {"CP-1": (10.0,), "CP-2": (10.0,)})["CP-1"][0]
    assert reason.text == "10.0 A: Panel, L1: 20.0 A available for charging (20 A fuse), 2 cars share it."
    assert (reason.code, reason.circuit, reason.phase) == ("circuit", "L1", None)


@pytest.mark.parametrize(
    ("wire", "need", "complaint"),
    [
        (wires(10.0, blocks=3), {}, "WireLimit 'L1': limit_a must be 2 blocks, is 3"),
        (wires(10.0), {"wires": (("L9", 1 + 0j),)}, "wires must be different ids of Problem.wires"),
        (wires(10.0), {"wires": (("L1", 0j),)}, "must be finite, not 0"),
    ],
)
def test_what_cannot_be_meant_is_refused_with_its_place(
    wire: tuple[WireLimit, ...], need: dict[str, object], complaint: str
) -> None:
    with pytest.raises(ValueError, match=complaint):
        Problem(HOUR, (), (ChargingNeed("CP-1", (), (0,), **need),), wire)  # type: ignore[arg-type]  # spelled in the cases


def test_a_negative_limit_is_refused() -> None:
    with pytest.raises(ValueError, match="WireLimit 'L1': limit_a must be finite numbers, 0 or more, is -1"):
        wires(-1.0)


def test_steps_that_cancel_out_but_for_rounding_leave_nothing_to_start() -> None:
    """0.1 A taken 15 times from 1.5 A leave less than nothing, which no car that may run at 0 A is started from for ever."""
    cars = tuple(car(f"CP-{n}", between(0, 1), min_a=0.0, step_a=0.1) for n in range(4))
    currents = realize(Problem(HOUR, (), cars, wires(0.0)), {need.id: 1.5 for need in cars})
    assert set(currents.values()) == {0.0}


def test_where_not_all_minimums_fit_the_cars_of_the_lowest_priority_pause() -> None:
    cars = tuple(car(f"CP-{n}", between(0, 1), priority=priority) for n, priority in enumerate((0, 2, 3, 1)))
    currents = realize(Problem(HOUR, (), cars, wires(13.0)), {need.id: 6.0 for need in cars})
    assert [name for name, current in currents.items() if current > 0] == ["CP-1", "CP-2"]


def test_cars_between_other_lines_that_want_the_same_are_not_made_alike() -> None:
    """There is plenty on L3, so those between L2 and L3 take more beside the many between L1 and L2."""
    lines = (*wires(60.0)[:2], wires(200.0)[2])
    many = tuple(car(f"CP-{n}", between(0, 1), step_a=1.0, energy_wh=20_000.0) for n in range(5))
    few = tuple(car(f"CP-{n}", between(1, 2), step_a=1.0, energy_wh=20_000.0) for n in (5, 6))
    plan = solve(Problem(HOUR, (), (*many, *few), lines)).currents_a
    assert min(plan[one.id][0] for one in few) > max(plan[one.id][0] for one in many)


@given(st.integers(0, 70), st.lists(st.integers(0, 32), min_size=1, max_size=6), st.integers(0, 3))
@example(32, [10, 0], 0)
def test_who_runs_on_a_wire_runs_on_a_circuit_too(limit_a: int, wanted_a: list[int], charging: int) -> None:
    """Who waits starts before those that run get more than they want: on wires one that ran had all that others left."""
    cars = tuple(
        replace(car(f"{n}", to_neutral(0), present_a=6.0 if n < charging else 0.0), step_a=1.0)
        for n in range(len(wanted_a))
    )
    wanted = {one.id: float(a) for one, a in zip(cars, wanted_a, strict=True)}
    circuit = CircuitLimit("panel", "Panel", ((float(limit_a),) * 3,) * 2)
    below = tuple(replace(one, circuits=("panel",), wires=()) for one in cars)
    on_wires = realize(Problem(HOUR, (), cars, wires(limit_a)), wanted)
    on_circuit = realize(Problem(HOUR, (circuit,), below), wanted)
    assert sum(on_wires.values()) == sum(on_circuit.values())
    assert {name for name, current in on_wires.items() if current} == {
        name for name, current in on_circuit.items() if current
    }
