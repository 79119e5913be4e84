"""How often may a station be written to? Some wear out their flash with 25 profiles a day (LC-113).

Reductions always go, and are counted. Raises and renewals wait for their turn, so that within any 24 hours there are
never more writes than the budget, but for reductions. A working limit lasts until a renewal is possible, and longer;
without one it ends by itself.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from typing import NamedTuple

from local_controller.errors import PayloadError
from local_controller.rpc.frame import Frame
from local_controller.station.capability import Capability
from local_controller.station.knowledge import Actuator

DAY_S = 86_400.0

SLACK_S = 60.0
"""A working limit outlasts the moment in which it may be renewed by so much: the site renews 50 s before its end."""

BURST_SHARE = 5
"""A fifth of a day's writes may come at once; the others are spread evenly."""


TOO_OFTEN = "RateLimitExceeded"
TOO_OFTEN_S = 60.0
"""For a station that does not say how long it wants to be left alone."""


class Budget(NamedTuple):
    """The least time between two writes, and the most writes in 24 hours; None for any number."""

    min_interval_s: float
    per_day: int | None

    @classmethod
    def of(cls, capability: Capability, actuator: Actuator) -> Budget:
        """A setting of the maker is made to be written often: only the interval counts."""
        per_day = None if actuator is Actuator.VENDOR_KEY else capability.writes_per_day
        return cls(capability.min_interval_s, per_day)

    @property
    def is_tight(self) -> bool:
        """Whether the station should not be written to for nothing."""
        return self.per_day is not None or self.min_interval_s > 0.0

    @property
    def lasting_s(self) -> float:
        """How long a working limit must last so that it can be renewed in time; 0 without a budget."""
        return max(self.every_s, self.min_interval_s) + SLACK_S if self.is_tight else 0.0

    @property
    def burst(self) -> int:
        """So many writes may come at once."""
        return max(1, (self.per_day or 0) // BURST_SHARE)

    @property
    def every_s(self) -> float:
        """The regular distance of the others: together with one burst they make the budget of a day."""
        return 0.0 if self.per_day is None else DAY_S / max(1, self.per_day - self.burst)


@dataclass(slots=True)
class WriteBudget:
    """What was written; it outlives a connection. due_s: when it would be paid off; last_s: the last write (monotonic).

    held_until_s: before then the station does not want to be written to. reductions, others: how many writes of each kind there were.
    """

    due_s: float = 0.0
    last_s: float | None = None
    held_until_s: float = 0.0
    reductions: int = 0
    others: int = 0

    def may_write_at_s(self, budget: Budget, now_s: float) -> float:
        """When the next write that is no reduction may go, at the earliest now."""
        at_s = max(now_s, self.held_until_s)
        at_s = at_s if self.last_s is None else max(at_s, self.last_s + budget.min_interval_s)
        return at_s if budget.per_day is None else max(at_s, self.due_s - (budget.burst - 1) * budget.every_s)

    def not_before(self, until_s: float) -> None:
        """The station said so itself."""
        self.held_until_s = max(self.held_until_s, until_s)

    def written(self, budget: Budget, now_s: float, *, is_reduction: bool) -> None:
        """A CALL is on the wire."""
        self.last_s = now_s
        self.reductions += is_reduction
        self.others += not is_reduction
        if budget.per_day is not None:
            self.due_s = min(max(now_s, self.due_s) + budget.every_s, now_s + DAY_S)


def too_often_s(answer: Frame | None) -> float | None:
    """How long a station wants to be left alone that was written to too often (2.1: K01.FR.56); None if it is not that."""
    try:
        info = None if answer is None or answer.is_error else answer.payload.get("statusInfo")
    except PayloadError:
        return None
    if not isinstance(info, dict) or info.get("reasonCode") != TOO_OFTEN:
        return None
    said = re.search(r"\d{1,5}", str(info.get("additionalInfo")))
    return TOO_OFTEN_S if said is None else float(said[0])


def lasting_s(capability: Capability) -> float:
    """How long a limit lasts that nobody renews, told the way that is tried first; 0: as long as it is ordered."""
    rungs = capability.working_rungs()
    if not rungs:
        return 0.0
    return math.inf if rungs[0].actuator is Actuator.VENDOR_KEY else Budget.of(capability, rungs[0].actuator).lasting_s
