"""Where is a plan computed? In one persistent, niced worker process, with a deadline.

In a thread, building the model holds the interpreter for 5 to 55 ms and so delays every station's traffic; a persistent
process leaves the relay's latency untouched. What is sent to it are plain values; the problem is built there. scipy is
imported in the worker only.
"""

from __future__ import annotations

import asyncio
import contextlib
import multiprocessing
import os
import signal
import threading
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from typing import Final

import structlog

from local_controller.clock import Clock
from local_controller.site.planning import Question
from optimizer.problem import Allocation

NICENESS: Final = 10
SOLVE_LIMIT_S: Final = 1.0
"""The solver's own limit; the deadline leaves it time to build the model and to answer."""

HUNG_S: Final = 30.0
"""A worker that owes an answer for so many of the machine's seconds is replaced: thirty times the solver's limit."""

log = structlog.get_logger(__name__)


def _prepare() -> None:
    """Make the worker polite and mortal, and import the solver before the first question."""
    # Ctrl-C reaches the whole terminal; the gateway ends its worker itself.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with_parent, daemon=True).start()
    import optimizer.solve  # noqa: F401, PLC0415 - scipy belongs into this process only

    os.nice(NICENESS)  # only now: the gateway's start waits for the imports


def _end_with_parent() -> None:
    """A worker whose gateway was killed would wait for questions for ever: it holds both ends of its own pipe."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)


def _ready() -> None:
    """Nothing: its answer says that the worker is up."""


def _solve(question: Question) -> tuple[Allocation, list[str]]:
    """The plan, and what is wrong with it in the eyes of code that did not make it (the solver proposes, check disposes)."""
    from optimizer.check import violations  # noqa: PLC0415 - beside the solver
    from optimizer.solve import solve  # noqa: PLC0415 - scipy belongs into this process only

    problem = question.problem()
    allocation = solve(problem, time_limit_s=SOLVE_LIMIT_S)
    return allocation, violations(problem, allocation)


class Planner:
    """Answers every question within the deadline: by the solver, else by a plan that plans nothing.

    Then fair shares of the moment are all there is: the site makes them at every reaction, whatever the plan says.
    Shares over the whole horizon, made here, would hold up the event loop for 50 ms at 500 cars.
    """

    def __init__(self, clock: Clock, deadline_s: float = 2.0) -> None:
        self._deadline_s = deadline_s * clock.speed  # the machine's seconds, on a loop that runs at the clock's speed
        self._hung_s = HUNG_S * clock.speed
        self._pool = self._new_pool()
        self._busy: Future[tuple[Allocation, list[str]]] | None = None
        self._asked_s = 0.0

    @staticmethod
    def _new_pool() -> ProcessPoolExecutor:
        context = multiprocessing.get_context("spawn")
        return ProcessPoolExecutor(max_workers=1, mp_context=context, initializer=_prepare)

    async def start(self) -> None:
        """Start the worker; the first problem must not wait for its imports."""
        await asyncio.wrap_future(self._pool.submit(_ready))

    async def solve(self, question: Question) -> Allocation:
        """The plan, or none with status "timeout_share" when the worker is late, busy with a late one, dead or wrong."""
        now_s = asyncio.get_running_loop().time()
        if self._busy is not None and not self._busy.done():
            if now_s - self._asked_s >= self._hung_s:
                self._kill()  # its pool is then broken, which the next question finds out
            return _nothing(question, "worker is still busy with an earlier plan")
        self._asked_s = now_s
        try:
            self._busy = self._pool.submit(_solve, question)
            answer = asyncio.wrap_future(self._busy)
            answer.add_done_callback(_look_at)
            allocation, faults = await asyncio.wait_for(asyncio.shield(answer), self._deadline_s)
        except TimeoutError:
            return _nothing(question, "deadline passed")
        except BrokenProcessPool:
            self._pool, self._busy = self._new_pool(), None
            return _nothing(question, "worker died and was restarted")
        except Exception as fault:  # our fault costs this plan, never the site
            log.exception("plan_fault")
            return _nothing(question, f"a fault of the gateway itself ({fault!r}): please report it with the log")
        return _nothing(question, f"plan breaks a limit: {faults[0]}") if faults else allocation

    async def stop(self) -> None:
        """End the worker, also one that is still solving."""
        self._kill()
        await asyncio.to_thread(self._pool.shutdown, wait=True, cancel_futures=True)

    def _kill(self) -> None:
        """A worker has nothing to lose; one that was stopped would not notice a polite word."""
        for process in (self._pool._processes or {}).values():  # noqa: SLF001 - 3.14 has kill_workers() for this
            with contextlib.suppress(ProcessLookupError):
                process.kill()


def _nothing(question: Question, why: str) -> Allocation:
    log.warning("plan_replaced_by_shares", why=why, cars=len(question.asking))
    return Allocation({}, "timeout_share", 0.0, {})


def _look_at(answer: asyncio.Future[tuple[Allocation, list[str]]]) -> None:
    """An answer that came too late, or the end of its worker, is no news to anybody."""
    if not answer.cancelled():
        answer.exception()
