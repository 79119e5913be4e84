"""When is a new plan due, and what does the present one say about an EVSE?"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable
from dataclasses import dataclass, field, replace
from typing import Final

from local_controller.clock import Instant
from local_controller.site.capacity import Left
from local_controller.site.per_phase import PHASES
from optimizer.problem import Allocation, Reason

HELD_S: Final = 900.0
"""So long a plan counts for cars that wait for a price while later ones fail: three plans, and the solver has its time again."""


@dataclass(frozen=True, slots=True)
class PlanPace:
    """Seconds and amperes that decide when to plan, and what for.

    interval_s: a plan is renewed at least this often. after_s: and at most this often (events are collected).
    change_a: a node whose room moved this far since the plan asks for a new one. lost_s: an answer that took this
    long is not awaited any more. objective: what it is for, a key of `optimizer.objectives.OBJECTIVES`.
    """

    interval_s: float = 300.0
    after_s: float = 5.0
    change_a: float = 2.0
    lost_s: float = 60.0
    objective: str = "even"


@dataclass(slots=True)
class Plan:
    """The latest plan and the question that is on its way, if one is. revision: rises when the plan says something else."""

    pace: PlanPace
    allocation: Allocation | None = None
    answered_at: Instant | None = None
    revision: int = 0
    _number: int = 0
    _answered: int = 0
    _outgrown: int = -1
    _asked_at: Instant | None = None
    _planned_at: Instant | None = None
    _pending: bool = False
    _wanted: bool = True
    _room: Left = field(default_factory=lambda: Left({}, {}))
    _gone: set[str] = field(default_factory=set)
    _gone_since_asked: set[str] = field(default_factory=set)

    def want(self) -> None:
        """Something happened that a new plan should know."""
        self._wanted = True

    def outgrow(self) -> None:
        """From now on all have room: every question until now was put while some had to wait for theirs."""
        self._outgrown, self._wanted = self._number, True

    @property
    def is_outgrown(self) -> bool:
        """Whether the present plan answers one of those."""
        return self._answered <= self._outgrown

    def forget(self, evse: str) -> None:
        """The session at this EVSE is over; what was planned for it must not bind the next one."""
        self._gone.add(evse)
        self._gone_since_asked.add(evse)
        self.revision += 1
        self._wanted = True

    def due(self, room: Left, now: Instant) -> bool:
        """Whether to ask now, given what is left for cars at each node."""
        if self._asked_at is None:
            return True
        age_s = now.since(self._asked_at)
        if age_s < (self.pace.lost_s if self._pending else self.pace.after_s):
            return False
        return self._pending or self._wanted or age_s >= self.pace.interval_s or self._moved(room)

    def asked(self, room: Left, now: Instant) -> int:
        """A question is put; returns its number."""
        self._number += 1
        self._pending, self._wanted, self._asked_at, self._room = True, False, now, room
        self._gone_since_asked = set()
        return self._number

    def answered(self, number: int, allocation: Allocation, now: Instant, waiting: Collection[str] = ()) -> bool:
        """Take the answer unless a newer question was put meanwhile.

        Where the solver failed, fair shares are the answer, which know no prices: for the EVSEs `waiting` for one the last plan
        still counts, for `HELD_S`.
        """
        if number != self._number:
            return False
        if allocation.status in {"share", "timeout_share"}:
            allocation = self._held(allocation, waiting, now)
        else:
            self._planned_at = now
        self._pending, self.allocation, self.answered_at = False, allocation, now
        self._answered = number
        self._gone = set(self._gone_since_asked)
        self.revision += 1
        return True

    def _held(self, allocation: Allocation, waiting: Collection[str], now: Instant) -> Allocation:
        before = self.allocation
        if before is None or self._planned_at is None or now.since(self._planned_at) > HELD_S:
            return allocation
        held = [key for key in waiting if key in before.currents_a and key not in self._gone]
        currents = {**allocation.currents_a, **{key: before.currents_a[key] for key in held}}
        reasons = {**allocation.reasons, **{key: before.reasons.get(key, ()) for key in held}}
        return replace(allocation, currents_a=currents, reasons=reasons)

    def first_block_a(self, evse: str) -> float | None:
        """What the plan lets this EVSE draw now, A per phase; None if it does not know the session."""
        if self.allocation is None or evse in self._gone or evse not in self.allocation.currents_a:
            return None
        return self.allocation.currents_a[evse][0]

    def first_blocks_a(self, evses: Iterable[str]) -> list[float]:
        """The same for each of many, infinite where the plan says nothing."""
        planned = {} if self.allocation is None else self.allocation.currents_a
        gone = self._gone
        return [planned[evse][0] if evse in planned and evse not in gone else math.inf for evse in evses]

    def reasons(self, evse: str) -> tuple[Reason, ...]:
        """Why the plan gives no more."""
        if self.first_block_a(evse) is None or self.allocation is None:
            return ()
        return self.allocation.reasons.get(evse, ())

    def _moved(self, room: Left) -> bool:
        if room.together.keys() != self._room.together.keys():
            return True
        return any(
            abs(room.per_phase[node][phase] - before[phase]) > self.pace.change_a
            for node, before in self._room.per_phase.items()
            for phase in PHASES
        ) or any(
            abs(room.together[node] - before_a) > self.pace.change_a * len(PHASES)
            for node, before_a in self._room.together.items()
        )
