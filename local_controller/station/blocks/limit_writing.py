"""How does every EVSE get the profile it should hold, one CALL at a time?

What `NextWrite` finds due is written, the newest wish first. Nothing is ever cleared: a profile replaces itself (LC-100).
What goes to the whole station, a station maximum for one, waits until that is free (LC-117).
"""

from __future__ import annotations

from datetime import datetime

from local_controller.clock import Instant
from local_controller.profiles.installed import InstalledProfiles
from local_controller.station.block import BlockEffect, OwnCall, Urgency, Withdraw
from local_controller.station.blocks import car_schedules
from local_controller.station.blocks.actuator import Target
from local_controller.station.blocks.evse_limits import EvseLimits
from local_controller.station.blocks.limit_desk import LimitDesk
from local_controller.station.blocks.push import NEVER, Push
from local_controller.station.blocks.same_target import is_same
from local_controller.station.capability import Rung
from local_controller.station.effects import Peer
from local_controller.station.knowledge import Actuator, FloorPlace


class LimitWriting:
    """Writes what is due into the EVSEs of one station. turn_s: before then nothing is written unless it presses."""

    def __init__(self, desk: LimitDesk) -> None:
        self.turn_s: float | None = None
        self._desk = desk
        self._state = desk.state
        self._evses = desk.evses
        self._next = desk.next

    def pump(self, e: EvseLimits, now: Instant) -> list[BlockEffect]:
        """Writes what is due, unless a CALL is under way; one that still waits for its slot gives way to what is due."""
        e = self._next.leader(e, now)
        target = self._next.due(e, now) if self._state.may_call and not self.is_early(now) else None
        at = self._state.station_time(now)
        if e.push is not None:
            if e.is_sent or e.is_withdrawn or (target is not None and is_same(e.push.target, target, at)):
                return []
            e.is_withdrawn = True
            return [Withdraw(Peer.STATION, e.push)]
        rung = None if target is None else self._next.rung(target.kind, now)
        if target is None or rung is None or (self._next.is_shared(rung) and self._is_busy()):
            return []
        is_reduction = self._next.is_lower(e, target, at)
        if is_reduction and target.working is not None:
            rung = self._desk.floor_trials.way_of_reduction(e) or rung
        if not is_reduction and (at_s := self._may_write_at_s(e, rung, now)) > now.monotonic_s:
            e.later_s = at_s
            return []
        return [self._written(e, target, rung, now, is_reduction=is_reduction)]

    def _written(self, e: EvseLimits, target: Target, rung: Rung, now: Instant, *, is_reduction: bool) -> OwnCall:
        """The CALL that tells the station, and what is remembered of it."""
        at = self._state.station_time(now)
        e.repeats, e.later_s = False, None
        if self._desk.maximum.tried(rung):
            target = self._next.due(e, now) or target
        ends = self._ends(e, target, rung)
        limit_a = self._desk.calls.told_a(target, rung, at)
        respected, reasons = self.respected(e.number), self.reasons(e)
        profile = self._desk.calls.profile(target, rung, at)
        e.push = Push(target, rung, limit_a, respected, reasons, ends, is_reduction, profile)
        e.is_sent = e.is_withdrawn = False
        action, payload = self._desk.calls.message(target, rung, at, profile)
        is_urgent = is_reduction or (e.wish is not None and e.wish.is_urgent and target.working is not None)
        urgency = Urgency.SAFETY if is_urgent else Urgency.RAISE
        return OwnCall(Peer.STATION, action, payload, urgency, e.push)

    def pump_all(self, e: EvseLimits, push: Push, now: Instant) -> list[BlockEffect]:
        """What is due there, and on the other EVSEs if they waited for a profile of the whole station."""
        waiting = self._evses.values() if self._next.is_shared(push.rung) else (e,)
        return [effect for one in waiting for effect in self.pump(one, now)]

    def is_early(self, now: Instant) -> bool:
        """Whether the first floors have yet to wait for their turn."""
        return self.turn_s is not None and now.monotonic_s < self.turn_s and not self._state.transactions

    def _may_write_at_s(self, e: EvseLimits, rung: Rung, now: Instant) -> float:
        at_s = car_schedules.may_write_at_s(self._state.transactions.get(e.number), now.monotonic_s)
        return max(at_s, self._state.writes.may_write_at_s(self._next.budget(rung), now.monotonic_s))

    def _ends(self, e: EvseLimits, target: Target, rung: Rung) -> datetime | None:
        """When the floor takes over, where the site could not know."""
        if target.working is None:
            return None
        if rung.actuator is Actuator.VENDOR_KEY:
            return NEVER
        return e.wish.until if e.wish is not None and self._next.budget(rung).is_tight else None

    def _is_busy(self) -> bool:
        """Whether something is on its way to the whole station: the others wait, and perhaps need nothing then."""
        return any(e.push is not None and e.push.rung.place is FloorPlace.STATION for e in self._evses.values())

    # --- what a write depends on -----------------------------------------------------------------------------------

    def respected(self, evse: int) -> tuple[InstalledProfiles, bool]:
        """What counts of the CSMS for this EVSE now."""
        transaction = self._state.transactions.get(evse)
        return self._state.store.virtual(), transaction is not None and transaction.has_priority

    def reasons(self, e: EvseLimits) -> tuple[object, ...]:
        """All that decides about a limit while the CSMS sets none, but the time."""
        state, transaction = self._state, self._state.transactions.get(e.number)
        running = None if transaction is None else (transaction.transaction_id, transaction.phases_in_use)
        return e.wish, e.fallback_a, running, state.csms_ahead_s, state.capability

    def look_again(self, e: EvseLimits, now: Instant) -> None:
        """What was waited for has come; a setting of the maker is looked at when the wanted limit changes by itself."""
        if e.later_s is not None and e.later_s <= now.monotonic_s:
            e.later_s = None
        e.look_s = None
        if e.held is not None and e.held.ends == NEVER and (working := self._next.wanted(e, now).working) is not None:
            at = self._state.station_time(now)
            change = next((moment for moment, _ in working.steps if moment > at), None)
            e.look_s = None if change is None else now.monotonic_s + (change - at).total_seconds()
