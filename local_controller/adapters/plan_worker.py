"""What happens in the planner's process? One question after the other is read from a socket, solved, checked and answered.

The solver is imported here only. The gateway that asks must spend as little as possible on question and answer, because all
stations wait meanwhile: both are MessagePack (0.04 ms to write a question of 500 cars, 0.1 ms to read its answer;
pickled 0.4 and 1.0 ms, in threads that hold the interpreter), and of a plan it gets the block that it uses.
"""

from __future__ import annotations

import os
import signal
import socket
import struct
import sys
import traceback
from collections.abc import Iterator, Mapping
from dataclasses import replace
from functools import cached_property
from typing import BinaryIO, Final, Self

import msgspec

from local_controller.site.planning import Question
from optimizer.problem import Allocation, Reason

NICENESS: Final = 10

SOLVE_LIMIT_S: Final = 1.0
"""The solver's own limit; the deadline leaves it time to build the model and to answer."""

HUNG_S: Final = 30
"""A worker that owes an answer for so many of the machine's seconds is replaced: thirty times the solver's limit."""

HEAD: Final = struct.Struct("!I")
"""Before each question and answer: its length in bytes. One without any asks whether the worker is up, and says so."""


class Answer(msgspec.Struct, array_like=True):
    """What is planned for now, and what speaks against it.

    plan: without its reasons, which are kept as they were written. faults: limits that it breaks, in the eyes of code that did not make it (the solver proposes, check disposes).
    trouble: what went wrong in the worker itself; then there is no plan.
    """

    plan: Allocation | None
    reasons: msgspec.Raw = msgspec.Raw(b"\x80")
    faults: list[str] = []
    trouble: str = ""

    @classmethod
    def of(cls, plan: Allocation, faults: list[str]) -> Self:
        """A plan whose reasons are read when somebody asks for them."""
        reasons = msgspec.Raw(msgspec.msgpack.encode(plan.reasons))
        return cls(replace(plan, reasons={}), reasons, faults)

    def with_reasons(self) -> Allocation | None:
        """The plan and all that belongs to it."""
        return None if self.plan is None else replace(self.plan, reasons=Reasons(self.reasons))


class Reasons(Mapping[str, tuple[Reason, ...]]):
    """Why each car gets no more. Hundreds of sentences, of which a page shows some at times: read at the first look."""

    def __init__(self, written: msgspec.Raw) -> None:
        self._written = written

    @cached_property
    def _read(self) -> dict[str, tuple[Reason, ...]]:
        return _reasons.decode(self._written)

    def __getitem__(self, key: str) -> tuple[Reason, ...]:
        return self._read[key]

    def __iter__(self) -> Iterator[str]:
        return iter(self._read)

    def __len__(self) -> int:
        return len(self._read)


_questions = msgspec.msgpack.Decoder(Question)
_reasons = msgspec.msgpack.Decoder(dict[str, tuple[Reason, ...]])


def work() -> None:
    """Answer until the gateway has gone, however it went: then the socket on standard input ends, nobody is left to answer."""
    # Ctrl-C reaches the whole terminal; the gateway ends its worker itself.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    import optimizer.solve  # noqa: F401, PLC0415 - the solver belongs into this process only

    os.nice(NICENESS)  # only now: the gateway's start waits for the imports
    with socket.socket(fileno=os.dup(sys.stdin.fileno())) as gateway, gateway.makefile("rb") as questions:
        while (question := _next(questions)) is not None:
            answer = _answered(question) if question else b""
            try:
                gateway.sendall(HEAD.pack(len(answer)) + answer)
            except ConnectionError:
                return


def _next(questions: BinaryIO) -> bytes | None:
    head = questions.read(HEAD.size)
    if len(head) < HEAD.size:
        return None
    (size,) = HEAD.unpack(head)
    question = questions.read(size)
    return question if len(question) == size else None


def _answered(question: bytes) -> bytes:
    signal.alarm(HUNG_S)  # ends the process: a gateway that was killed meanwhile could not do so
    try:
        answer = _solved(_questions.decode(question))
    except Exception:  # noqa: BLE001 - our fault costs this plan, and is told with its place
        answer = Answer(None, trouble=traceback.format_exc())
    finally:
        signal.alarm(0)
    return msgspec.msgpack.encode(answer)


def _solved(question: Question) -> Answer:
    from optimizer.check import violations  # noqa: PLC0415 - beside the solver
    from optimizer.solve import solve  # noqa: PLC0415 - the solver belongs into this process only

    problem = question.problem()
    plan = solve(problem, time_limit_s=SOLVE_LIMIT_S, weights=question.weights())
    now_a = {key: currents_a[:1] for key, currents_a in plan.currents_a.items()}
    return Answer.of(replace(plan, currents_a=now_a), violations(problem, plan))
