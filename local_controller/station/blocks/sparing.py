"""Must a wish of the site wait, because the station should not be written to just now (LC-113)?"""

from __future__ import annotations

from local_controller.clock import Instant
from local_controller.station.blocks.evse_limits import EvseLimits
from local_controller.station.blocks.limit_desk import LimitDesk
from local_controller.station.blocks.same_target import is_flat
from local_controller.station.blocks.wish import Wish
from local_controller.station.blocks.write_budget import Budget
from local_controller.station.capability import Rung
from local_controller.station.effects import Tell
from local_controller.station.words import LimitAnswered, LimitKind, LimitOutcome


class Sparing:
    """What is spared one station."""

    def __init__(self, desk: LimitDesk) -> None:
        self._desk = desk
        self._state = desk.state
        self._next = desk.next

    def spared(
        self, e: EvseLimits, before: Wish | None, rung: Rung | None, budget: Budget, now: Instant
    ) -> Tell | None:
        """What the site is told if its wish in place of the one `before` is not written now; None where it may be."""
        if not self._is_held_back(budget, now):
            return None
        return self._resting(e, before, now) or self._spared(e, rung, budget, now)

    def _is_held_back(self, budget: Budget, now: Instant) -> bool:
        return budget.is_tight or self._state.writes.may_write_at_s(budget, now.monotonic_s) > now.monotonic_s

    def _resting(self, e: EvseLimits, before: Wish | None, now: Instant) -> Tell | None:
        """If it has not answered to a limit that was no higher: it is told again as soon as its rest is over."""
        wait_s = e.retry_s.get(LimitKind.WORKING, 0.0) - now.monotonic_s
        if not e.silences or wait_s <= 0.0 or before is None or e.wish is None or e.wish.limit_a < before.limit_a:
            return None
        return _postponed(e, e.wish, f"the station did not answer and is told again in {wait_s:.0f} s", wait_s)

    def _spared(self, e: EvseLimits, rung: Rung | None, budget: Budget, now: Instant) -> Tell | None:
        """What it holds says the same and lasts, or it is a raise or a renewal whose turn has not come."""
        target = self._next.due(e, now)
        if target is None or target.working is None or rung is None or e.wish is None:
            return None
        at, held = self._state.station_time(now), e.held
        if e.in_force_a(at) is None or self._next.is_lower(e, target, at):
            return None
        if held is not None and held.rung == rung and (held.lasts_s(now) or 0.0) > budget.lasting_s / 2:
            is_like = (
                self._desk.calls.told_a(target, rung, at) == held.limit_a and is_flat(target) and is_flat(held.target)
            )
            if is_like and target.fewer.at(at) == held.target.fewer.at(at):
                return self._desk.tell_of(e, held, LimitOutcome.ACCEPTED, now)
        wait_s = self._state.writes.may_write_at_s(budget, now.monotonic_s) - now.monotonic_s
        if wait_s <= 0.0:
            return None
        return _postponed(e, e.wish, f"the station may be written to again in {wait_s:.0f} s", wait_s)


def _postponed(e: EvseLimits, wish: Wish, detail: str, wait_s: float) -> Tell:
    outcome = LimitOutcome.POSTPONED
    return Tell(LimitAnswered(e.number, LimitKind.WORKING, outcome, wish.limit_a, detail, again_s=wait_s))
