"""Is the program what it says? Names of rows and columns, its size, and what it is worth."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from optimizer.level import level
from optimizer.objectives import COST, DEFAULT_WEIGHTS, FAIR, LADDER
from optimizer.problem import PHASES, Problem, Tariff, WireLimit
from optimizer.program import Program, build
from optimizer.rows import caps_of, rows_of, wh_per_ampere
from optimizer.share import shared_plan
from optimizer.wiring import between
from optimizer.worth import first_block
from tests.optimizer.by_scipy import matrix_of
from tests.optimizer.samples import car, garage, problems


def program_of(problem: Problem) -> Program:
    rows, caps = rows_of(problem), caps_of(problem)
    return build(problem, rows, caps, shared_plan(problem, rows, caps)[:, 0], DEFAULT_WEIGHTS)


def names(program: Program) -> tuple[list[str], list[str]]:
    columns = [program.column_name(index) for index in range(len(program.linear.worth))]
    return columns, [program.row_name(index) for index in range(len(program.linear.row_low))]


def of_kind(names: list[str], kind: str) -> list[str]:
    return [name for name in names if name.startswith(f"{kind}[")]


def test_rows_and_columns_can_be_read() -> None:
    columns, rows = names(
        program_of(garage(car("CP-1", energy_wh=9_000.0), car("CP-2"), car("CP-3"), available_a=(70.0, 99, 99, 99)))
    )
    assert columns[:3] == ["current[CP-1, 1]", "current[CP-1, 2]", "current[CP-1, 3]"]
    assert {"current[CP-1, 0]", "group[garage, L1+L2+L3, 0]", "beyond[CP-2]"} <= set(columns)
    limits = [f"limit[garage, {phase}, 0]" for phase in ("L1", "L2", "L3")]
    assert rows == ["link[garage, L1+L2+L3, 0]", *limits, "energy[CP-1]", "energy[CP-2]", "energy[CP-3]"]


def test_rows_and_columns_of_prices_can_be_read() -> None:
    """Surplus in one block that costs less than the grid, and two blocks in which one car alone would raise the peak."""
    tariff = Tariff(
        (0.3,) * 4, (0.0, 5_000.0, 0.0, 0.0), peak_per_kw=10.0, peak_w=30_000.0, background_w=(0, 0, 29e3, 29e3)
    )
    problem = replace(garage(car("CP-1", energy_wh=9_000.0)), tariff=tariff)
    rows, caps = rows_of(problem), caps_of(problem)
    columns, rows_ = names(build(problem, rows, caps, caps[:, 0], COST))
    assert columns[-3:] == ["current[CP-1, 0]", "covered[1]", "peak"]
    assert rows_ == ["energy[CP-1]", "covered[1]", "peak[2]", "peak[3]"]


def test_a_group_of_few_cars_or_in_few_rows_is_not_summed_up() -> None:
    three_phases = {count: program_of(garage(*(car(f"CP-{n}") for n in range(count)))) for count in (2, 3, 9)}
    sums = [of_kind(names(program)[0], "group") for program in three_phases.values()]
    assert [len(one) for one in sums] == [1, 4, 4], "with two, only block 0 and its steps"
    columns, rows = names(program_of(garage(*(car(f"CP-{n}", (0,)) for n in range(9)))))
    assert (len(of_kind(columns, "group")), len(of_kind(rows, "limit"))) == (0, 4)


def test_fractions_and_wires_can_be_read_too() -> None:
    wires = tuple(WireLimit(f"L{n}", "Panel", (20.0,) * 4) for n in (1, 2, 3))
    loads = tuple((wire.id, weight) for wire, weight in zip(wires, between(0, 1), strict=True) if weight)
    pair = replace(car("CP-1", (0,), energy_wh=9_000.0), circuits=(), wires=loads)
    problem = Problem(garage().horizon, (), (pair,), wires)
    rows, caps = rows_of(problem), caps_of(problem)
    program = build(problem, rows, caps, shared_plan(problem, rows, caps)[:, 0], FAIR)
    columns, named = names(program)
    assert columns[-len(LADDER) :] == [f"rung[CP-1, {number}]" for number in range(len(LADDER))]
    assert {"wire[L1, 30.0, 0]", "wire[L2, -150.0, 3]"} <= set(named)
    assert named[-2:] == ["energy[CP-1]", "fraction[CP-1]"]


def test_cars_of_one_group_add_no_limit_rows() -> None:
    few, many = (program_of(garage(*(car(f"CP-{n}") for n in range(count)))) for count in (3, 30))
    assert len(of_kind(names(few)[1], "limit")) == len(of_kind(names(many)[1], "limit")) == 12
    assert set(few.group) == set(many.group) == {0}


@settings(max_examples=50, deadline=None)
@given(problems())
def test_the_fair_share_is_a_solution_of_every_program(problem: Problem) -> None:
    """Whatever is asked, some point keeps all rows: no site is infeasible."""
    if not problem.needs:
        return
    program, plan = program_of(problem), shared_plan(problem, rows_of(problem), caps_of(problem))
    plan[:, 0] = np.minimum(plan[:, 0], 0.0)  # block 0 of a share may run on at its minimum; nothing is a solution too
    drawn = matrix_of(program.linear) @ _point(program, plan)
    assert (drawn <= program.linear.row_high + 1e-6).all()
    assert (drawn >= program.linear.row_low - 1e-6).all()


def _point(program: Program, plan: np.ndarray) -> list[float]:
    """By the names of the columns: currents of later blocks, what they are in each group, and all energy as beyond the prior."""
    problem, amps = program.problem, np.where(np.arange(plan.shape[1]) > 0, plan, 0.0)
    energy_wh = (plan * wh_per_ampere(problem)).sum(axis=1)
    value: Counter[str] = Counter()
    for n, need in enumerate(problem.needs):
        value[f"beyond[{need.id}]"] = energy_wh[n]
        group = f"{'/'.join(need.circuits)}, {'+'.join(PHASES[phase] for phase in sorted(need.phases))}"
        for block, current in enumerate(amps[n]):
            value[f"current[{need.id}, {block}]"] = current
            value[f"group[{group}, {block}]"] += current
    return [value[name] for name in names(program)[0]]


def test_the_worth_of_a_current_falls_and_its_pieces_add_up() -> None:
    needs = car("CP-1", (0,), present_a=20.0), car("CP-2", (0,)), car("CP-3", present_a=9.0)
    caps_a, fair_a, bonus = np.array([32.0, 0.0, 16.0]), np.array([12.0, 0.0, 9.0]), np.array([100.0, 100.0, 300.0])
    pieces = first_block(needs, caps_a, fair_a, (1.02 * bonus, bonus), DEFAULT_WEIGHTS)
    assert pieces.need.tolist() == [0, 0, 0, 0, 2, 2, 2]
    assert pieces.width_a.tolist() == [6.0, 6.0, 8.0, 12.0, 6.0, 3.0, 7.0]
    assert pieces.worth == pytest.approx([347.0, 117.0, 107.0, 102.0, 441.0, 351.0, 306.0])


@settings(max_examples=50, deadline=None)
@given(problems(known=True), st.floats(0, 5_000))
def test_levelling_changes_no_total_of_a_group_and_no_energy_of_a_served_car(
    problem: Problem, unserved_wh: float
) -> None:
    if not problem.needs:
        return
    problem = replace(problem, needs=tuple(replace(need, presence=None) for need in problem.needs))
    program, caps, energy = program_of(problem), caps_of(problem), wh_per_ampere(problem)
    plan = caps * np.linspace(0.0, 1.0, caps.size).reshape(caps.shape)
    before = (plan * energy).sum(axis=1)
    levelled = level(replace(program, wanted_wh=before), plan, caps)
    assert (levelled * energy).sum(axis=1) == pytest.approx(before, abs=1e-6)
    for candidate in (levelled, level(replace(program, wanted_wh=before + unserved_wh), plan, caps)):
        for group in set(program.group):
            cars = program.group == group
            assert candidate[cars].sum(axis=0) == pytest.approx(plan[cars].sum(axis=0), abs=1e-6)
        assert (candidate <= caps + 1e-9).all()
        assert ((candidate * energy).sum(axis=1) <= before + unserved_wh + 1e-6).all()
