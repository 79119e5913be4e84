"""Does the solver, called directly, find the best of a program, and say so when it does not?"""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import assume, given

from optimizer import highs
from optimizer.linear import Linear
from optimizer.objectives import OBJECTIVES
from optimizer.problem import Problem
from optimizer.program import build
from optimizer.rows import caps_of, rows_of
from optimizer.share import shared_plan
from tests.optimizer.by_scipy import by_scipy, matrix_of
from tests.optimizer.samples import car, garage, problems


def program_of(problem: Problem, objective: str = "even") -> Linear:
    rows, caps = rows_of(problem), caps_of(problem)
    return build(problem, rows, caps, shared_plan(problem, rows, caps)[:, 0], OBJECTIVES[objective]).linear


@given(problems())
@pytest.mark.parametrize("objective", OBJECTIVES)
def test_it_is_worth_as_much_as_by_another_way_to_the_same_solver(objective: str, problem: Problem) -> None:
    assume(problem.needs)
    program = program_of(problem, objective)
    assume(len(program.worth))
    answer = highs.best(program, 10.0)
    assert answer.outcome is highs.Outcome.OPTIMAL
    assert answer.x @ program.worth == pytest.approx(-by_scipy(program).fun, rel=1e-6, abs=1e-6)
    flows = matrix_of(program) @ answer.x
    assert (flows <= program.row_high + 1e-6).all()
    assert (flows >= program.row_low - 1e-6).all()


def test_what_cannot_be_kept_has_no_answer() -> None:
    program = program_of(garage(car("a"), car("b"), available_a=20.0))
    impossible = replace(
        program, row_low=np.full_like(program.row_low, 1e6), row_high=np.full_like(program.row_high, 1e6)
    )
    assert highs.best(impossible, 10.0).outcome is highs.Outcome.NO_ANSWER


def test_no_time_is_told_from_no_answer() -> None:
    program = program_of(garage(car("a"), car("b"), available_a=20.0))
    assert highs.best(program, 0.0).outcome is highs.Outcome.TIME_IS_UP


def test_it_prints_nothing_and_brings_no_other_numerics_along() -> None:
    code = (
        "import sys\n"
        "from tests.optimizer.samples import car, garage\n"
        "from optimizer.solve import solve\n"
        "assert solve(garage(car('a'), car('b'))).status == 'optimal'\n"
        "print('scipy' in sys.modules)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert (done.stdout, done.stderr) == ("False\n", "")
