"""How often may a station be written to? Some wear out their flash with 25 profiles a day (LC-113).

Reductions always go, and are counted. Raises and renewals wait for their turn, so that within any 24 hours there are
never more writes than the budget, but for reductions. A working limit lasts until a renewal is possible, and longer;
without one it ends by itself.
"""

from __future__ import annotations

from dataclasses import dataclass

from local_controller.station.capability import Capability

DAY_S = 86_400.0

SLACK_S = 60.0
"""A working limit outlasts the moment in which it may be renewed by so much: the site renews 50 s before its end."""

BURST_SHARE = 5
"""A fifth of a day's writes may come at once; the others are spread evenly."""


@dataclass(slots=True)
class WriteBudget:
    """Outlives a connection. due_s: when all that was written would be paid off; last_s: the last write (monotonic).

    reductions, others: how many writes of each kind there were.
    """

    due_s: float = 0.0
    last_s: float | None = None
    reductions: int = 0
    others: int = 0

    def may_write_at_s(self, capability: Capability, now_s: float) -> float:
        """When the next write that is no reduction may go, at the earliest now."""
        at_s = now_s
        if self.last_s is not None:
            at_s = max(at_s, self.last_s + capability.min_interval_s)
        if capability.writes_per_day is not None:
            at_s = max(at_s, self.due_s - (_burst(capability.writes_per_day) - 1) * _every_s(capability.writes_per_day))
        return at_s

    def written(self, capability: Capability, now_s: float, *, is_reduction: bool) -> None:
        """A CALL is on the wire."""
        self.last_s = now_s
        self.reductions += is_reduction
        self.others += not is_reduction
        if capability.writes_per_day is not None:
            self.due_s = min(max(now_s, self.due_s) + _every_s(capability.writes_per_day), now_s + DAY_S)


def lasting_s(capability: Capability) -> float:
    """How long a working limit must last so that it can be renewed in time; 0 without a budget."""
    every_s = _every_s(capability.writes_per_day) if capability.writes_per_day is not None else 0.0
    every_s = max(every_s, capability.min_interval_s)
    return every_s + SLACK_S if every_s else 0.0


def is_tight(capability: Capability) -> bool:
    """Whether the station should not be written to for nothing."""
    return capability.writes_per_day is not None or capability.min_interval_s > 0.0


def _burst(per_day: int) -> int:
    return max(1, per_day // BURST_SHARE)


def _every_s(per_day: int) -> float:
    """The regular distance: together with one burst it makes the budget of a day."""
    return DAY_S / max(1, per_day - _burst(per_day))
