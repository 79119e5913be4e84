"""Plans come from a worker process; whatever happens to it, every question is answered."""

from __future__ import annotations

import asyncio
import os
import resource
import signal
import sys
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import msgspec
import pytest
import pytest_asyncio

from local_controller.adapters.plan_worker import Answer
from local_controller.adapters.planner import Planner
from local_controller.clock import Clock
from local_controller.errors import LocalControllerError
from local_controller.site.capacity import Capacity
from local_controller.site.limits import Ceiling
from local_controller.site.per_phase import ZERO
from local_controller.site.planning import Asking, Question, horizon_at
from optimizer.check import violations
from optimizer.solve import solve
from tests.site.virtual_site import START

ROOT = Path(__file__).parents[2]

_PROGRAM_THAT_ASKS = """
print("loaded", flush=True)
if __name__ == "__main__":
    import asyncio, os, pathlib
    from local_controller.adapters.planner import Planner
    from local_controller.clock import Clock

    async def main():
        planner = Planner(Clock())
        await planner.start()
        print("processes:", len(pathlib.Path(f"/proc/self/task/{os.getpid()}/children").read_text().split()), flush=True)
        await planner.stop()

    asyncio.run(main())
"""


def asked(cars: int = 3) -> Question:
    ceiling = Ceiling((32.0, 32.0, 32.0), ("Main fuse",) * 3)
    grid = Capacity("grid", "Main fuse", ceiling, ZERO, ZERO, None, (32.0, 32.0, 32.0))
    csms = ((START.utc.timestamp(), 16.0),)
    who = tuple(
        Asking(f"CP-{n}/1", ("grid",), (0, 1, 2), 6.0, 32.0, 32.0, 0.0, None, None, 0.0, csms if n == 0 else ())
        for n in range(cars)
    )
    return Question(START.utc.timestamp(), horizon_at(START), (grid,), {"grid": ZERO}, who)


@pytest_asyncio.fixture
async def planner() -> AsyncIterator[Planner]:
    planner = Planner(Clock(), deadline_s=20.0)
    await planner.start()
    yield planner
    await planner.stop()


async def test_a_worker_that_does_not_come_up_is_told_with_its_remedy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("local_controller.adapters.planner._PROGRAM", "import a_package_that_is_not_installed")
    with pytest.raises(LocalControllerError, match=r"ended while it started.*Install"):
        await Planner(Clock()).start()


async def test_the_worker_is_the_only_process_and_holds_nothing_of_the_program_that_asks(tmp_path: Path) -> None:
    """A helper of its own and a second copy of the command line would cost the gateway as much memory as fifty stations."""
    program = tmp_path / "program.py"
    program.write_text(_PROGRAM_THAT_ASKS, encoding="utf-8")
    process = await asyncio.create_subprocess_exec(
        sys.executable, str(program), stdout=asyncio.subprocess.PIPE, env=os.environ | {"PYTHONPATH": str(ROOT)}
    )
    async with asyncio.timeout(60.0):
        out, _ = await process.communicate()
    assert out.decode().split() == ["loaded", "processes:", "1"]


async def test_a_plan_is_optimal_and_keeps_every_limit(planner: Planner) -> None:
    question = asked()
    whole = solve(question.problem())
    assert violations(question.problem(), whole) == []
    allocation = await planner.solve(question)
    assert allocation.status == "optimal"
    assert allocation.currents_a == {key: currents_a[:1] for key, currents_a in whole.currents_a.items()}
    assert allocation.reasons == whole.reasons


async def test_a_plan_is_for_what_the_site_wants(planner: Planner) -> None:
    """Two cars behind 10 A, of which one has most of its need: even shares look at now, fair fractions at the need."""
    ceiling = Ceiling((13.0, 13.0, 13.0), ("Main fuse",) * 3)
    grid = Capacity("grid", "Main fuse", ceiling, ZERO, ZERO, None, (13.0, 13.0, 13.0))
    who = tuple(
        Asking(f"CP-{n}/1", ("grid",), (0, 1, 2), 6.0, 32.0, 32.0, 0.0, 30_000.0, 3600.0, served_wh, ())
        for n, served_wh in enumerate((60_000.0, 0.0))
    )
    question = Question(START.utc.timestamp(), horizon_at(START), (grid,), {"grid": ZERO}, who)
    even = (await planner.solve(question)).currents_a
    fair = (await planner.solve(replace(question, objective="fair"))).currents_a
    assert {key: currents_a[0] for key, currents_a in even.items()} == {"CP-0/1": 6.5, "CP-1/1": 6.5}
    assert {key: currents_a[0] for key, currents_a in fair.items()} == {"CP-0/1": 0.0, "CP-1/1": 13.0}


async def test_the_worker_is_told_who_is_to_come_and_what_cars_say_they_draw(planner: Planner) -> None:
    """Where prices count; else the question is that of the cars that are here."""
    waits, rests = asked(2).asking
    rests = rests._replace(draws=((START.utc.timestamp(), 0.0), (START.utc.timestamp() + 7200.0, None)))
    comes = rests._replace(key="CP-2/1 to come", draws=(), arrival_s=3600.0, min_a=0.0)
    question = replace(asked(2), asking=(waits, rests), awaited=(comes,), objective="cost")
    problem = question.problem()
    assert [need.arrival_s for need in problem.needs] == [None, None, 3600.0]
    assert problem.needs[1].ceiling_a is not None
    assert (problem.needs[1].ceiling_a[0], problem.needs[1].ceiling_a[1], problem.needs[1].ceiling_a[-1]) == (
        32.0,
        0.0,
        32.0,
    )
    whole = solve(problem, weights=question.weights())
    assert violations(problem, whole) == []
    assert max(whole.currents_a["CP-2/1 to come"]) > 0.0
    allocation = await planner.solve(question)
    assert allocation.currents_a == {key: currents_a[:1] for key, currents_a in whole.currents_a.items()}
    assert len(replace(question, objective="even").problem().needs) == 2


async def test_a_killed_worker_costs_one_plan_and_is_replaced(planner: Planner) -> None:
    assert planner._worker is not None
    os.kill(planner._worker.pid, signal.SIGKILL)
    question = asked()
    first = await planner.solve(question)
    assert first.status == "timeout_share"
    assert not first.currents_a
    assert (await planner.solve(question)).status == "optimal"


async def test_a_late_plan_is_replaced_by_none_and_does_not_block_the_next_question(planner: Planner) -> None:
    planner._deadline_s = 0.0
    question = asked(60)
    late = await planner.solve(question)
    assert late.status == "timeout_share"
    assert not late.currents_a
    planner._deadline_s = 20.0
    assert planner._busy is not None
    await planner._busy
    assert (await planner.solve(question)).status == "optimal"


async def test_the_gateway_process_itself_never_imports_the_solver() -> None:
    code = "import sys, local_controller.adapters.planner, local_controller.app; print('highspy' in sys.modules)"
    process = await asyncio.create_subprocess_exec(sys.executable, "-c", code, stdout=asyncio.subprocess.PIPE)
    out, _ = await process.communicate()
    assert out.decode().strip() == "False"


async def test_a_plan_that_breaks_a_limit_is_not_used(planner: Planner, monkeypatch: pytest.MonkeyPatch) -> None:
    question = asked()
    bad = replace(solve(question.problem()), currents_a={one.key: (32.0,) * 26 for one in question.asking})
    answer = msgspec.msgpack.encode(Answer.of(bad, violations(question.problem(), bad)))

    async def answered(_: bytes) -> bytes:
        return answer

    monkeypatch.setattr(planner._worker, "ask", answered)
    used = await planner.solve(question)
    assert used.status == "timeout_share"
    assert not used.currents_a


async def test_a_worker_that_hangs_is_replaced_and_ctrl_c_does_not_end_it(planner: Planner) -> None:
    assert planner._worker is not None
    pid = planner._worker.pid
    os.kill(pid, signal.SIGINT)  # as a terminal sends it to every process of the group
    question = asked()
    assert (await planner.solve(question)).status == "optimal"
    os.kill(pid, signal.SIGSTOP)
    planner._deadline_s, planner._hung_s = 0.01, 0.0
    assert (await planner.solve(question)).status == "timeout_share"
    assert (await planner.solve(question)).status == "timeout_share"  # found to hang, and killed
    planner._deadline_s = planner._hung_s = 120.0
    assert planner._busy is not None
    await asyncio.wait([planner._busy])
    assert (await planner.solve(question)).status == "timeout_share"  # its end is found out, and it is replaced
    assert (await planner.solve(question)).status == "optimal"


async def test_a_worker_ends_with_a_gateway_that_was_killed() -> None:
    code = (
        "import asyncio, os, signal\n"
        "from local_controller.adapters.planner import Planner\n"
        "from local_controller.clock import Clock\n"
        "async def main():\n"
        "    planner = Planner(Clock())\n"
        "    await planner.start()\n"
        "    print('up', flush=True)\n"
        "    os.kill(os.getpid(), signal.SIGKILL)\n"
        "asyncio.run(main())\n"
    )
    process = await asyncio.create_subprocess_exec(sys.executable, "-c", code, stdout=asyncio.subprocess.PIPE)
    async with asyncio.timeout(30.0):
        out, _ = await process.communicate()  # ends when nobody holds the pipe any more, the worker neither
    assert out == b"up\n"


async def test_a_question_that_makes_no_sense_costs_one_plan(planner: Planner) -> None:
    question = asked()
    twice = replace(question, asking=(question.asking[0], question.asking[0]))
    assert (await planner.solve(twice)).status == "timeout_share"
    assert (await planner.solve(question)).status == "optimal"


async def test_a_worker_that_cannot_be_replaced_costs_plans_until_it_can(planner: Planner) -> None:
    """Where a process may open no more files there is neither a socket nor a process."""
    assert planner._worker is not None
    question = asked()
    assert (await planner.solve(question)).status == "optimal"
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    os.kill(planner._worker.pid, signal.SIGKILL)
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (1, hard))
        assert (await planner.solve(question)).status == "timeout_share"
        assert (await planner.solve(question)).status == "timeout_share"
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    assert (await planner.solve(question)).status == "timeout_share"
    assert (await planner.solve(question)).status == "optimal"
