"""How does every EVSE get the profile it should hold, one CALL at a time?

For each EVSE there is what it should hold (`_wanted`) and what it is known to hold (`_Evse.held`). The difference is
written, the newest wish first; refusals climb the ladder. Nothing is ever cleared: a profile replaces itself (LC-100).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from local_controller.clock import Instant
from local_controller.errors import PayloadError
from local_controller.profiles.installed import InstalledProfiles
from local_controller.profiles.schedule import Schedule
from local_controller.profiles.units import RateUnit
from local_controller.rpc.frame import Frame
from local_controller.station.block import BlockEffect, OwnCall, Urgency, Withdraw
from local_controller.station.blocks.actuator import Target, own_profile, told_limit_a
from local_controller.station.blocks.wanted import Allowances, Orders, Wish, floor_a, wanted
from local_controller.station.capability import Rung
from local_controller.station.dialects.base import Dialect
from local_controller.station.effects import Peer, Tell
from local_controller.station.knowledge import Actuator
from local_controller.station.state import StationState
from local_controller.station.words import LimitAnswered, LimitKind, LimitOutcome

REFUSED_RETRY_S = 300.0
"""After every rung was refused, we try again this much later, or as soon as something changes (Wallbox: refusals pass)."""

UNANSWERED_RETRY_S = 30.0
"""After silence sooner: the station's usual time to answer is over (some take up to 60 s, field experience)."""


_STATUSES = ("Accepted", "Rejected", "NotSupported")
_SILENCE, _NONSENSE = "no answer", "an answer without a known status"
"""After either the station may hold the old limit or the new one."""


@dataclass(frozen=True, slots=True, eq=False)
class Push:
    """One SetChargingProfile of ours; also the tag of its CALL.

    limit_a: what a phase may carry because of it. respected: the CSMS's profiles that it takes account of. because: what
    it was worked out from.
    """

    target: Target
    rung: Rung
    limit_a: float
    respected: InstalledProfiles
    because: tuple[object, ...]


@dataclass(slots=True)
class _Evse:
    """One EVSE: what the site wants, what the station is known to hold, and the CALL between them.

    possible: TxProfiles of ours that the station may hold; while one runs, it beats every TxDefaultProfile.
    """

    number: int
    fallback_a: float
    wish: Wish | None = None
    transaction_id: str | None = None
    held_fallback_a: float | None = None
    fallback_unit: RateUnit | None = None
    held: Push | None = None
    possible: tuple[Push, ...] = ()
    push: Push | None = None
    is_sent: bool = False
    is_withdrawn: bool = False
    rungs_left: dict[LimitKind, tuple[Rung, ...]] = field(default_factory=dict)
    was_unanswered: bool = False
    retry_s: dict[LimitKind, float] = field(default_factory=dict)

    def forget(self) -> None:
        """The station may have lost everything: nothing is known to be held, nothing is on its way; the wish stays."""
        self.held_fallback_a = self.held = self.push = None
        self.rungs_left, self.retry_s, self.was_unanswered = {}, {}, False

    def held_limit(self) -> Schedule:
        """The working limit that the station holds; no constraint if it holds none."""
        return Schedule() if self.held is None or self.held.target.working is None else self.held.target.working

    def may_hold_after(self, at: datetime) -> bool:
        """Whether a TxProfile of ours may still run: a station may keep its transaction, and that, over a reboot."""
        working = (push.target.working for push in self.possible)
        return any(one is not None and bool(one.steps) and one.steps[-1][0] > at for one in working)

    def holds_after(self, at: datetime) -> bool:
        """Whether the working limit that the station holds has not ended yet; after a clock was set back it may begin again."""
        steps = self.held_limit().steps
        return bool(steps) and steps[-1][0] > at

    def in_force_a(self, at: datetime) -> float | None:
        """What the station obeys now, as far as known."""
        working_a = self.held_limit().at(at)
        return self.held_fallback_a if working_a is None else working_a


class ProfileWriter:
    """Writes our profiles into the EVSEs of one station."""

    def __init__(
        self, state: StationState, allowances: Allowances, dialect: Dialect, evses: Iterable[int], fallback_a: float
    ) -> None:
        """Every EVSE gets `fallback_a` as its floor until told otherwise."""
        self._turn_s: float | None = None
        self._state = state
        self._allowances = allowances
        self._dialect = dialect
        self._evses = {number: _Evse(number, fallback_a) for number in evses}

    # --- what is wanted ------------------------------------------------------------------------------------------

    def set_fallback(self, evse: int, limit_a: float, now: Instant) -> list[BlockEffect]:
        """The floor of this EVSE (A per phase) from now on. One that the station holds already is not written again."""
        e = self._evses[evse]
        if limit_a < e.fallback_a:
            self._turn_s = None
        e.fallback_a = limit_a
        e.retry_s.pop(LimitKind.FALLBACK, None)
        floor = floor_a(self._state, self._allowances, evse, limit_a, now)
        if self._state.may_call and e.push is None and e.held_fallback_a == floor:
            return [self._tell(e, LimitKind.FALLBACK, LimitOutcome.ACCEPTED, e.held_fallback_a, "unchanged")]
        return self._pump(e, now)

    def set_limit(self, evse: int, limit_a: float, valid_s: float, *, urgent: bool, now: Instant) -> list[BlockEffect]:
        """The running transaction may draw this much (A per phase) for `valid_s`; a wish not yet sent is replaced."""
        e = self._evses[evse]
        if evse not in self._state.transactions:
            return [self._tell(e, LimitKind.WORKING, LimitOutcome.DROPPED, limit_a, "no transaction")]
        if not self._state.may_call:
            return [self._tell(e, LimitKind.WORKING, LimitOutcome.DROPPED, limit_a, "not registered")]
        e.wish = Wish(limit_a, now.utc + timedelta(seconds=valid_s), urgent)
        e.retry_s.pop(LimitKind.WORKING, None)
        return self._pump(e, now)

    def begin(self, delay_s: float, now: Instant) -> list[BlockEffect]:
        """The station may be called: its floors are written, so much later if neither a transaction nor a new limit presses.

        Until it has confirmed them it counts at worst case (LC-041).
        """
        self._turn_s = now.monotonic_s + delay_s
        return self.reconsider(now)

    def will_write(self, evse: int, limit_a: float, now: Instant) -> bool:
        """Whether this floor is known already and has yet to be written."""
        return self._evses[evse].fallback_a == limit_a and (not self._state.may_call or self._is_early(now))

    def _is_early(self, now: Instant) -> bool:
        return self._turn_s is not None and now.monotonic_s < self._turn_s and not self._state.transactions

    def forget(self) -> list[BlockEffect]:
        """A new connection or a reboot: everything is written again (LC-041, LC-042), and nothing old is sent any more."""
        waiting = [e.push for e in self._evses.values() if e.push is not None and not e.is_sent]
        for e in self._evses.values():
            e.forget()
        return [Withdraw(Peer.STATION, push) for push in waiting]

    def follow_transactions(self) -> list[int]:
        """Notices which EVSEs have another transaction than before (or none), and drops what belonged to the old one."""
        changed = []
        for e in self._evses.values():
            transaction = self._state.transactions.get(e.number)
            current = None if transaction is None else transaction.transaction_id
            if current != e.transaction_id:
                if e.held is not None and e.held.rung.actuator is Actuator.TX_DEFAULT:
                    e.held_fallback_a = None  # that profile outlives the transaction
                e.transaction_id, e.wish, e.held, e.possible = current, None, None, ()
                e.retry_s, e.rungs_left = {}, {}
                changed.append(e.number)
        return changed

    def reconsider(self, now: Instant, *, retry: bool = False) -> list[BlockEffect]:
        """Something that decides about limits may have changed; with `retry` also what was refused is tried again."""
        effects: list[BlockEffect] = []
        if retry or not self._is_early(now):
            self._turn_s = None
        for e in self._evses.values():
            e.retry_s = {} if retry else {kind: at_s for kind, at_s in e.retry_s.items() if at_s > now.monotonic_s}
            effects += self._pump(e, now)
        return effects

    def follow_unit(self, now: Instant) -> list[BlockEffect]:
        """The station says which unit it takes: what it accepted in another one may be without effect, and is told again."""
        if (unit := self._state.capability.only_unit) is None:
            return []
        for e in self._evses.values():
            if e.fallback_unit not in {None, unit}:
                e.held_fallback_a = None
            if e.held is not None and e.held.rung.unit is not unit:
                e.held = None
        return self.reconsider(now)

    def shares_watts_wrongly(self) -> bool:
        """Whether a car uses other phases than those for which its watts were meant."""
        in_watts = [e.held.target for e in self._evses.values() if e.held and e.held.rung.unit is RateUnit.W]
        running = ((target, self._state.transactions.get(target.evse)) for target in in_watts)
        return any(t is not None and target.phases != (t.phases_in_use or 1) for target, t in running)

    def is_done(self, evse: int, now: Instant) -> bool:
        """Whether the station holds all that follows from the CSMS's profiles, whatever the site has wished since."""
        e = self._evses[evse]
        if e.push is None and self._due(e, now) is None:
            return True
        target = self._wanted(e, now)
        respects = e.held is not None and e.held.respected == self._state.store.owned()
        return e.held_fallback_a == target.fallback_a and (target.working is None or respects)

    @property
    def deadline(self) -> float | None:
        """When a refused profile is tried again, or the first are written, in monotonic seconds."""
        due_s = [] if self._turn_s is None else [self._turn_s]
        for e in self._evses.values():
            if e.retry_s:
                due_s += e.retry_s.values()
        return min(due_s, default=None)

    # --- what the station says -----------------------------------------------------------------------------------

    def sent(self, push: Push) -> list[BlockEffect]:
        """Our CALL is on the wire: from now on either limit may hold."""
        e = self._evses[push.target.evse]
        if e.push is not push:
            return []
        e.is_sent = True
        if push.rung.actuator is Actuator.TX_PROFILE:
            e.possible = (*e.possible, push)
        if e.wish is not None and push.target.kind is LimitKind.WORKING:
            e.wish.is_new = False
        return [self._tell(e, push.target.kind, LimitOutcome.SENT, push.limit_a)]

    def answered(self, push: Push, answer: Frame | None, now: Instant) -> tuple[list[BlockEffect], str | None]:
        """The answer to our CALL, None if there was none; with the station's last word when every rung has failed."""
        e = self._evses[push.target.evse]
        if e.push is not push:
            return [], None
        e.push = None
        if not e.is_sent:
            return self._unsent(e, push, now), None
        word = _word(answer)
        if push.target.kind is LimitKind.WORKING and push.target.transaction_id != e.transaction_id:
            return self._outlived(e, push, now), None
        if word == "Accepted":
            return self._accepted(e, push, now), None
        return self._failed(e, push, word, is_unanswered=word in {_SILENCE, _NONSENSE}, now=now)

    def _unsent(self, e: _Evse, push: Push, now: Instant) -> list[BlockEffect]:
        """Either we withdrew it because something else is wanted now, or the queue was full."""
        if e.is_withdrawn:
            return self._pump(e, now)
        e.retry_s[push.target.kind] = now.monotonic_s + UNANSWERED_RETRY_S
        return [self._tell(e, push.target.kind, LimitOutcome.DROPPED, push.limit_a, "could not be sent")]

    def _outlived(self, e: _Evse, push: Push, now: Instant) -> list[BlockEffect]:
        """The transaction ended meanwhile; a refusal then says nothing about the station."""
        if push.rung.actuator is Actuator.TX_DEFAULT:
            e.held_fallback_a = None
        dropped = self._tell(e, LimitKind.WORKING, LimitOutcome.DROPPED, push.limit_a, "transaction ended")
        return [dropped, *self._pump(e, now)]

    def _accepted(self, e: _Evse, push: Push, now: Instant) -> list[BlockEffect]:
        kind, at = push.target.kind, self._state.station_time(now)
        self._state.capability = self._state.capability.accepted(
            push.rung, is_floor=kind is LimitKind.FALLBACK, at=now.utc
        )
        e.rungs_left, e.was_unanswered = {}, False
        effects: list[BlockEffect] = []
        if push.rung.actuator is Actuator.TX_DEFAULT:
            e.fallback_unit = push.rung.unit
        if push.rung.actuator is Actuator.TX_DEFAULT and e.held_fallback_a != push.target.fallback_a:
            e.held_fallback_a = push.target.fallback_a
            if kind is LimitKind.WORKING:
                effects.append(self._tell(e, LimitKind.FALLBACK, LimitOutcome.ACCEPTED, push.target.fallback_a))
        if kind is LimitKind.WORKING:
            e.held = push
        if push.rung.actuator is Actuator.TX_PROFILE:
            e.possible = (push,)
        running = [
            p.limit_a for p in e.possible if p.target.working is not None and p.target.working.at(at) is not None
        ]
        limit_a = max([push.limit_a, *running]) if kind is LimitKind.WORKING else push.limit_a
        told = self._tell(e, kind, LimitOutcome.ACCEPTED, limit_a)
        return [*effects, told] if self._is_all(e, push) else [*effects, told, *self._pump(e, now)]

    def _is_all(self, e: _Evse, push: Push) -> bool:
        """Whether nothing more can be due, as usual: this was the working limit, the floor is held, nothing has changed."""
        return (
            push.target.working is not None
            and e.held_fallback_a == push.target.fallback_a
            and not self._state.store.installed.entries
            and push.because == self._reasons(e)
        )

    def _reasons(self, e: _Evse) -> tuple[object, ...]:
        """All that decides about a limit while the CSMS sets none, but the time."""
        state, transaction = self._state, self._state.transactions.get(e.number)
        running = None if transaction is None else (transaction.transaction_id, transaction.phases_in_use)
        return e.wish, e.fallback_a, running, state.csms_ahead_s, state.capability

    def _failed(
        self, e: _Evse, push: Push, word: str, *, is_unanswered: bool, now: Instant
    ) -> tuple[list[BlockEffect], str | None]:
        """The next rung; after the last one the end, until something changes.

        Silence says nothing about a way that has worked before: no other is tried then.
        """
        kind, proven = push.target.kind, self._state.capability.proven
        e.was_unanswered = e.was_unanswered or is_unanswered
        if not is_unanswered:
            e.possible = tuple(other for other in e.possible if other is not push)
        elif kind is LimitKind.WORKING:  # either may hold
            e.held = None
        if is_unanswered and push.rung.actuator is Actuator.TX_DEFAULT:
            e.held_fallback_a = None
        left = tuple(rung for rung in self._rungs(e, kind) if rung != push.rung)
        if left and not (is_unanswered and push.rung in proven):
            e.rungs_left[kind] = left
            return self._pump(e, now), None
        outcome = LimitOutcome.TIMED_OUT if e.was_unanswered else LimitOutcome.REFUSED
        pause_s = UNANSWERED_RETRY_S if e.was_unanswered else REFUSED_RETRY_S
        e.rungs_left.pop(kind, None)
        e.was_unanswered = False
        if e.wish is None or not e.wish.is_new or kind is LimitKind.FALLBACK:
            e.retry_s[kind] = now.monotonic_s + pause_s
        return [self._tell(e, kind, outcome, push.limit_a, word), *self._pump(e, now)], word

    # --- writing -------------------------------------------------------------------------------------------------

    def _pump(self, e: _Evse, now: Instant) -> list[BlockEffect]:
        """Writes what is due, unless a CALL is under way; one that still waits for its slot gives way to what is due."""
        target = self._due(e, now) if self._state.may_call and not self._is_early(now) else None
        at = self._state.station_time(now)
        if e.push is not None:
            if e.is_sent or e.is_withdrawn or (target is not None and _same(e.push.target, target, at)):
                return []
            e.is_withdrawn = True
            return [Withdraw(Peer.STATION, e.push)]
        if target is None:
            return []
        rung = self._rungs(e, target.kind)[0]
        respected = self._state.store.owned()
        e.push = Push(target, rung, told_limit_a(target, rung.unit), respected, self._reasons(e))
        e.is_sent = e.is_withdrawn = False
        payload = self._dialect.set_profile(e.number, own_profile(target, rung, self._state.capability, at))
        urgency = Urgency.SAFETY if self._is_lower(e, target, at) else Urgency.RAISE
        return [OwnCall(Peer.STATION, "SetChargingProfile", payload, urgency, e.push)]

    def _due(self, e: _Evse, now: Instant) -> Target | None:
        """What should be written next: a reduction first, then the floor, then an increase."""
        at, target = self._state.station_time(now), self._wanted(e, now)
        floor_is_due = e.held_fallback_a != target.fallback_a and not _waits(e, LimitKind.FALLBACK, now)
        if target.working is None:
            return target if floor_is_due else None
        is_due = not _waits(e, LimitKind.WORKING, now) and not self._holds(e, target, at)
        if self._rungs(e, LimitKind.WORKING)[0].actuator is Actuator.TX_DEFAULT:  # one profile for both
            return target if is_due or floor_is_due else None
        if is_due and (not floor_is_due or self._is_lower(e, target, at)):
            return target
        return replace(target, working=None) if floor_is_due else target if is_due else None

    def _rungs(self, e: _Evse, kind: LimitKind) -> tuple[Rung, ...]:
        capability = self._state.capability
        rungs = capability.fallback_rungs() if kind is LimitKind.FALLBACK else capability.working_rungs()
        return e.rungs_left.get(kind) or rungs

    def _is_lower(self, e: _Evse, target: Target, at: datetime) -> bool:
        """Whether this reduces what the station obeys now; what is unknown counts as unlimited."""
        if target.working is None:
            return e.held_fallback_a is None or target.fallback_a < e.held_fallback_a
        if e.wish is not None and e.wish.is_urgent:
            return True
        before_a, after_a = e.in_force_a(at), target.working.at(at)
        return before_a is None or (after_a is not None and after_a < before_a)

    def _holds(self, e: _Evse, target: Target, at: datetime) -> bool:
        """Whether the station holds this working limit already."""
        if (e.wish is not None and e.wish.is_new) or e.held is None:
            return False
        held = e.held.target
        phases = target.phases if e.held.rung.unit is RateUnit.A else held.phases  # matter for watts only
        but_floor = Target(
            held.evse, target.fallback_a, held.working, held.transaction_id, phases
        )  # looked after apart
        return _same(but_floor, target, at)

    def _wanted(self, e: _Evse, now: Instant) -> Target:
        at = self._state.station_time(now)
        holds_working = e.holds_after(at) or e.may_hold_after(at)
        orders = Orders(e.number, e.fallback_a, e.wish)
        return wanted(self._state, self._allowances, orders, now, holds_working=holds_working)

    def _tell(self, e: _Evse, kind: LimitKind, outcome: LimitOutcome, limit_a: float, detail: str = "") -> Tell:
        return Tell(LimitAnswered(e.number, kind, outcome, limit_a, detail))


def _waits(e: _Evse, kind: LimitKind, now: Instant) -> bool:
    return now.monotonic_s < e.retry_s.get(kind, now.monotonic_s)


def _same(a: Target, b: Target, at: datetime) -> bool:
    """Whether two targets mean the same from now on."""
    return (
        (a.working is None) == (b.working is None)
        and (a.evse, a.fallback_a, a.transaction_id, a.phases) == (b.evse, b.fallback_a, b.transaction_id, b.phases)
        and (a.working is b.working or _rest(a.working, at) == _rest(b.working, at))
    )


def _rest(working: Schedule | None, at: datetime) -> tuple[object, ...]:
    """What is left of a limit: what holds now, and the steps to come."""
    if working is None or not working.steps or working.steps[-1][0] <= at:
        return ()
    *until, (end, _) = working.steps
    return working.at(at), [step for step in until if step[0] > at], end


def _word(answer: Frame | None) -> str:
    """The station's word: a status, the code of an error, or that it said nothing that we understand."""
    if answer is None:
        return _SILENCE
    if answer.is_error:
        return answer.error_code or "error"
    try:
        said = str(answer.payload.get("status")).strip().lower()
    except PayloadError:
        return _NONSENSE
    return next((status for status in _STATUSES if status.lower() == said), _NONSENSE)
