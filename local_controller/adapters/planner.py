"""Where is a plan computed? In one persistent, niced worker process, with a deadline.

In a thread, building the model holds the interpreter for 5 to 55 ms and so delays every station's traffic; a persistent
process leaves the relay's latency untouched. So do its messages, which the event loop itself writes and reads: an
executor's threads would take the interpreter from it. What is sent are plain values; the problem is built in the worker.

It is a program of its own and not a copy of the one that asks: `multiprocessing` would load that one's command line into
the worker once more and keep a process beside it that watches over semaphores; both took 19 MB.
"""

from __future__ import annotations

import asyncio
import os
import socket
import subprocess
import sys
from typing import Final

import msgspec
import structlog

from local_controller.adapters.plan_worker import HEAD, HUNG_S, Answer
from local_controller.clock import Clock
from local_controller.errors import LocalControllerError
from local_controller.site.planning import Question
from optimizer.problem import Allocation

log = structlog.get_logger(__name__)

_answers: Final = msgspec.msgpack.Decoder(Answer)

_PROGRAM: Final = "from local_controller.adapters.plan_worker import work; work()"
"""What the process runs; its standard input is the socket."""


class Worker:
    """The process, and the socket over which it is asked one thing at a time."""

    def __init__(self) -> None:
        self._ours, theirs = socket.socketpair()
        where = os.pathsep.join(filter(None, sys.path))
        with theirs:
            self._process = subprocess.Popen(  # noqa: S603 - our own interpreter and our own text
                [sys.executable, "-P", "-c", _PROGRAM], stdin=theirs.fileno(), env=os.environ | {"PYTHONPATH": where}
            )
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    @property
    def pid(self) -> int:
        """Of the process."""
        return self._process.pid

    async def ask(self, question: bytes) -> bytes:
        """The answer, whenever it comes. EOFError or ConnectionError when the process has ended."""
        if self._streams is None:
            self._streams = await asyncio.open_connection(sock=self._ours)
        answers, questions = self._streams
        questions.write(HEAD.pack(len(question)) + question)
        await questions.drain()
        (size,) = HEAD.unpack(await answers.readexactly(HEAD.size))
        return await answers.readexactly(size)

    def kill(self) -> None:
        """A worker has nothing to lose; one that was stopped would not notice a polite word."""
        self._process.kill()

    async def end(self) -> None:
        """Kill it and close what led to it."""
        self.kill()
        if self._streams is None:
            self._ours.close()
        else:
            self._streams[1].close()
        await asyncio.to_thread(self._process.wait)


class Planner:
    """Answers every question within the deadline: by the solver, else by a plan that plans nothing.

    Then fair shares of the moment are all there is: the site makes them at every reaction, whatever the plan says.
    Shares over the whole horizon, made here, would hold up the event loop for 50 ms at 500 cars.
    """

    def __init__(self, clock: Clock, deadline_s: float = 2.0) -> None:
        self._deadline_s = deadline_s * clock.speed  # the machine's seconds, on a loop that runs at the clock's speed
        self._hung_s = HUNG_S * clock.speed
        self._worker: Worker | None = None
        self._busy: asyncio.Task[bytes] | None = None
        self._asked_s = 0.0

    async def start(self) -> None:
        """Start the worker; the first problem must not wait for its imports. LocalControllerError if it does not come up."""
        self._worker = Worker()
        try:
            await self._worker.ask(b"")
        except (EOFError, ConnectionError) as error:
            await self._worker.end()
            text = "the planner's process ended while it started; what it said stands above. Install the gateway anew"
            raise LocalControllerError(f"{text}, with all that it depends on (highspy)") from error

    async def solve(self, question: Question) -> Allocation:
        """The plan for now, or none with status "timeout_share" when the worker is late, busy with a late one, dead or wrong."""
        loop = asyncio.get_running_loop()
        if self._worker is None:
            self._worker = Worker()
        if self._busy is not None and not self._busy.done():
            if loop.time() - self._asked_s >= self._hung_s:
                self._worker.kill()  # which the next question finds out
            return _nothing(question, "worker is still busy with an earlier plan")
        self._asked_s = loop.time()
        try:
            self._busy = loop.create_task(self._worker.ask(msgspec.msgpack.encode(question)))
            self._busy.add_done_callback(_look_at)
            answer = _answers.decode(await asyncio.wait_for(asyncio.shield(self._busy), self._deadline_s))
        except TimeoutError:
            return _nothing(question, "deadline passed")
        except (EOFError, ConnectionError):
            await self._worker.end()
            try:
                self._worker = Worker()
            except OSError as error:  # too many open files, no memory: the next question tries again
                return _nothing(question, f"worker died and cannot be started now ({error})")
            return _nothing(question, "worker died and was restarted")
        except Exception as fault:  # our fault costs this plan, never the site
            log.exception("plan_fault")
            return _nothing(question, f"a fault of the gateway itself ({fault!r}): please report it with the log")
        return _judged(question, answer)

    async def stop(self) -> None:
        """End the worker, also one that is still solving."""
        if self._worker is not None:
            await self._worker.end()


def _judged(question: Question, answer: Answer) -> Allocation:
    plan = answer.with_reasons()
    if plan is None:
        log.error("plan_fault", trouble=answer.trouble)
        return _nothing(question, "a fault of the gateway itself in the worker: please report it with the log")
    return _nothing(question, f"plan breaks a limit: {answer.faults[0]}") if answer.faults else plan


def _nothing(question: Question, why: str) -> Allocation:
    log.warning("plan_replaced_by_shares", why=why, cars=len(question.asking))
    return Allocation({}, "timeout_share", 0.0, {})


def _look_at(answer: asyncio.Task[bytes]) -> None:
    """An answer that came too late, or the end of its worker, is no news to anybody."""
    if not answer.cancelled():
        answer.exception()
