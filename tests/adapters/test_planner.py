"""Plans come from a worker process; whatever happens to it, every question is answered."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator
from concurrent.futures import Future
from dataclasses import replace

import pytest
import pytest_asyncio

from local_controller.adapters.planner import Planner
from local_controller.clock import Clock
from optimizer.check import violations
from optimizer.problem import Allocation, ChargingNeed, CircuitLimit, Problem, variable_horizon


def problem(cars: int = 3) -> Problem:
    horizon = variable_horizon(8 * 3600.0)
    circuit = CircuitLimit("grid", "Main fuse", ((32.0, 32.0, 32.0),) * horizon.blocks)
    needs = tuple(ChargingNeed(f"CP-{n}/1", ("grid",), (0, 1, 2)) for n in range(cars))
    return Problem(horizon, (circuit,), needs)


@pytest_asyncio.fixture
async def planner() -> AsyncIterator[Planner]:
    planner = Planner(Clock(), deadline_s=20.0)
    await planner.start()
    yield planner
    await planner.stop()


async def test_a_plan_is_optimal_and_keeps_every_limit(planner: Planner) -> None:
    question = problem()
    allocation = await planner.solve(question)
    assert allocation.status == "optimal"
    assert violations(question, allocation) == []


async def test_a_killed_worker_costs_one_plan_and_is_replaced(planner: Planner) -> None:
    for pid in list(planner._pool._processes):
        os.kill(pid, signal.SIGKILL)
    question = problem()
    first = await planner.solve(question)
    assert first.status == "timeout_share"
    assert violations(question, first) == []
    assert (await planner.solve(question)).status == "optimal"


async def test_a_late_plan_is_replaced_by_shares_and_does_not_block_the_next_question(planner: Planner) -> None:
    planner._deadline_s = 0.0
    question = problem(60)
    late = await planner.solve(question)
    assert late.status == "timeout_share"
    assert violations(question, replace(late, status="share")) == []
    planner._deadline_s = 20.0
    assert planner._busy is not None
    await asyncio.wrap_future(planner._busy)
    assert (await planner.solve(question)).status == "optimal"


async def test_the_gateway_process_itself_never_imports_the_solver() -> None:
    code = "import sys, local_controller.adapters.planner, local_controller.app; print('scipy' in sys.modules)"
    process = await asyncio.create_subprocess_exec(sys.executable, "-c", code, stdout=asyncio.subprocess.PIPE)
    out, _ = await process.communicate()
    assert out.decode().strip() == "False"


async def test_a_plan_that_breaks_a_limit_is_not_used(planner: Planner, monkeypatch: pytest.MonkeyPatch) -> None:
    question = problem()
    bad = replace(await planner.solve(question), currents_a={n.id: (32.0,) * 26 for n in question.needs})
    answer: Future[tuple[Allocation, list[str]]] = Future()
    answer.set_result((bad, violations(question, bad)))
    monkeypatch.setattr(planner._pool, "submit", lambda *_: answer)
    used = await planner.solve(question)
    assert used.status == "timeout_share"
    assert violations(question, used) == []


async def test_a_worker_that_hangs_is_replaced_and_ctrl_c_does_not_end_it(planner: Planner) -> None:
    (pid,) = planner._pool._processes
    os.kill(pid, signal.SIGINT)  # as a terminal sends it to every process of the group
    question = problem()
    assert (await planner.solve(question)).status == "optimal"
    os.kill(pid, signal.SIGSTOP)
    planner._deadline_s, planner._hung_s = 0.01, 0.0
    assert (await planner.solve(question)).status == "timeout_share"
    assert (await planner.solve(question)).status == "timeout_share"  # found to hang, and killed
    planner._deadline_s = planner._hung_s = 120.0
    assert planner._busy is not None
    await asyncio.wait([asyncio.wrap_future(planner._busy)])
    assert (await planner.solve(question)).status == "timeout_share"  # the pool is broken, and replaced
    assert (await planner.solve(question)).status == "optimal"
