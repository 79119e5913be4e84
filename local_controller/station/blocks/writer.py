"""Which wishes of the site and which events make a station be written to?"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import timedelta

from local_controller.clock import Instant
from local_controller.profiles.units import RateUnit
from local_controller.rpc.frame import Frame
from local_controller.station.block import BlockEffect
from local_controller.station.blocks import no_longer_held
from local_controller.station.blocks.allowances import Allowances
from local_controller.station.blocks.evse_limits import EvseLimits
from local_controller.station.blocks.limit_answers import LimitAnswers
from local_controller.station.blocks.limit_desk import LimitDesk
from local_controller.station.blocks.limit_writing import LimitWriting
from local_controller.station.blocks.push import Push
from local_controller.station.blocks.sparing import Sparing
from local_controller.station.blocks.standing import Standing, standing_of
from local_controller.station.blocks.wish import ANY_PHASES, OnPhases, Wish, no_higher
from local_controller.station.blocks.without_effect import WithoutEffect
from local_controller.station.dialects.base import Dialect
from local_controller.station.evse_context import sharing
from local_controller.station.state import StationState
from local_controller.station.words import LimitKind, LimitOutcome


class ProfileWriter:
    """Has our profiles written into the EVSEs of one station."""

    def __init__(
        self, state: StationState, allowances: Allowances, dialect: Dialect, evses: Iterable[int], fallback_a: float
    ) -> None:
        """Until told otherwise every EVSE has the floor `fallback_a`, or a lower one of an earlier connection."""
        desk = LimitDesk(state, allowances, dialect, evses, fallback_a)
        self._desk = desk
        self._state = state
        self._evses = desk.evses
        self._next = desk.next
        self.maximum = desk.maximum
        self._writing = LimitWriting(desk)
        self._sparing = Sparing(desk)
        self._without_effect = WithoutEffect(desk, self._writing)
        self._answers = LimitAnswers(desk, self._writing, self._without_effect)

    # --- what the site wishes ----------------------------------------------------------------------------------

    def set_fallback(self, evse: int, limit_a: float, now: Instant) -> list[BlockEffect]:
        """The floor of this EVSE (A per phase) from now on. One that the station holds already is not written again."""
        e = self._evses[evse]
        if limit_a < e.fallback_a:
            self._writing.turn_s = None
        e.fallback_a = limit_a
        e.retry_s.pop(LimitKind.FALLBACK, None)
        if not self._state.capability.fallback_rungs():
            return self._cannot(e, LimitKind.FALLBACK, limit_a)
        e.is_floor_asked = True
        unchanged = self._unchanged_floors(now)
        return [
            *unchanged,
            *self._writing.pump(e, now),
        ]  # where the CSMS allows less, the working limit may still change

    def _unchanged_floors(self, now: Instant) -> list[BlockEffect]:
        """The site learns which floors that it asked for are held already, with nothing under way that changes them."""
        asked = [e for e in self._evses.values() if e.is_floor_asked]
        if not asked or not self._state.may_call:
            return []
        busy = {
            one.number
            for e in self._evses.values()
            if e.push is not None and e.push.tells_floor
            for one in self._desk.concerned(e, e.push.rung)
        }
        held = [(e, self._next.floor(e, now)) for e in asked if e.number not in busy]
        return [
            self._desk.tell(
                e, LimitKind.FALLBACK, LimitOutcome.ACCEPTED, self._desk.told_floor_a(e, floor[0]), "unchanged"
            )
            for e, floor in held
            if e.held_floor == floor
        ]

    def set_limit(  # noqa: PLR0913 - a limit, for how long, and on which phases
        self, evse: int, limit_a: float, valid_s: float, *, urgent: bool, now: Instant, on: OnPhases = ANY_PHASES
    ) -> list[BlockEffect]:
        """The running transaction may draw this much (A per phase) for `valid_s`; a wish not yet sent is replaced."""
        e = self._evses[evse]
        if evse not in self._state.transactions:
            return [self._desk.tell(e, LimitKind.WORKING, LimitOutcome.DROPPED, limit_a, "no transaction")]
        if not self._state.may_call:
            return [self._desk.tell(e, LimitKind.WORKING, LimitOutcome.DROPPED, limit_a, "not registered")]
        if not self._next.rungs(LimitKind.WORKING):
            return self._cannot(e, LimitKind.WORKING, limit_a)
        rung = self._next.rung(LimitKind.WORKING, now)
        before, budget = e.wish, self._next.budget(rung)
        until = now.utc + timedelta(seconds=max(valid_s, budget.lasting_s))
        e.wish = Wish(limit_a, until, urgent, on=on)
        if spared := self._sparing.spared(e, before, rung, budget, now):
            e.wish = no_higher(before, limit_a)
            return [spared]
        e.retry_s.pop(LimitKind.WORKING, None)
        return self._writing.pump(e, now)

    def _cannot(self, e: EvseLimits, kind: LimitKind, limit_a: float) -> list[BlockEffect]:
        """There is no way to tell this station a limit: it counts at worst case, and people are told why."""
        why = self._state.capability.belief("actuators").origin
        return [
            self._desk.tell(e, kind, LimitOutcome.REFUSED, limit_a, f"no way of limiting this station is known: {why}")
        ]

    # --- what else happens -------------------------------------------------------------------------------------

    def begin(self, delay_s: float, now: Instant) -> list[BlockEffect]:
        """The station may be called: its floors are written, so much later if neither a transaction nor a new limit presses.

        Until it has confirmed them it counts at worst case (LC-041).
        """
        self._writing.turn_s = now.monotonic_s + delay_s
        if not self._state.capability.fallback_rungs():
            return [told for e in self._evses.values() for told in self._cannot(e, LimitKind.FALLBACK, e.fallback_a)]
        return self.reconsider(now)

    def forget(self, now: Instant) -> list[BlockEffect]:
        """A new connection or a reboot: everything is written again (LC-041, LC-042), and nothing old is sent any more."""
        self._state.shared_maximum.lost()
        return no_longer_held.forget(self._desk, now)

    def follow_transactions(self, now: Instant) -> list[int]:
        """Notices which EVSEs have another transaction than before (or none), and drops what belonged to the old one."""
        return no_longer_held.follow_transactions(self._desk, now)

    def set_back(self) -> None:
        """The station's clock was: what is to end at an instant ends later, or begins again."""
        no_longer_held.set_back(self._desk)

    def follow_unit(self, now: Instant) -> list[BlockEffect]:
        """The station says which unit it takes: what it accepted in another one may be without effect, and is told again."""
        if (unit := self._state.capability.only_unit) is None:
            return []
        no_longer_held.follow_unit(self._desk, unit)
        return self.reconsider(now)

    def reconsider(self, now: Instant, *, retry: bool = False) -> list[BlockEffect]:
        """Something that decides about limits may have changed; with `retry` also what was refused is tried again."""
        effects = [*self._desk.floor_trials.judge(now), *self._desk.shared_maximum.judge(now)]
        if retry or not self._writing.is_early(now):
            self._writing.turn_s = None
        for e in self._evses.values():
            self._writing.look_again(e, now)
            e.retry_s = {} if retry else {kind: at_s for kind, at_s in e.retry_s.items() if at_s > now.monotonic_s}
            effects += self._writing.pump(e, now)
        return [*effects, *self._unchanged_floors(now)]

    def write_again(self, evse: int, now: Instant) -> list[BlockEffect]:
        """The station does not hold what it said yes to, however that came about (LC-042)."""
        e = self._evses[evse]
        e.held_fallback_a = e.held = None
        return self._writing.pump(e, now)

    # --- what the station says ---------------------------------------------------------------------------------

    def sent(self, push: Push, now: Instant) -> list[BlockEffect]:
        """Our CALL is on the wire: from now on either limit may hold."""
        return self._answers.sent(push, now)

    def answered(self, push: Push, answer: Frame | None, now: Instant) -> tuple[list[BlockEffect], str | None]:
        """The answer to our CALL, None if there was none; with the station's last word when every rung has failed."""
        effects, word = self._answers.answered(push, answer, now)
        return [*effects, *self._unchanged_floors(now)], word

    def disobeyed(self, evse: int, drawn_a: float, now: Instant) -> list[BlockEffect]:
        """The car draws so much; what was measured above its limit for long enough leads to the next rung (LC-105)."""
        return self._without_effect.disobeyed(self._evses[evse], drawn_a, now)

    # --- what is known -----------------------------------------------------------------------------------------

    def standing(self, evse: int, now: Instant) -> Standing:
        """What this EVSE is given now, and what the station holds because of it."""
        return standing_of(self._evses[evse], self._state, now)

    def will_write(self, evse: int, limit_a: float, now: Instant) -> bool:
        """Whether this floor is known already and has yet to be written."""
        return self._evses[evse].fallback_a == limit_a and (not self._state.may_call or self._writing.is_early(now))

    def shares_watts_wrongly(self) -> bool:
        """Whether a car uses other phases than those for which its watts were meant."""
        in_watts = [e.held.target for e in self._evses.values() if e.held and e.held.rung.unit is RateUnit.W]
        running = (target for target in in_watts if target.evse in self._state.transactions)
        return any((t.in_watts.phases, t.in_watts.lines) != sharing(self._state, t.evse) for t in running)

    def knows_draws(self) -> bool:
        """Whether enough was measured of a car that stays at its floor, or no longer does, or of cars that share a maximum."""
        return self._desk.floor_trials.has_news() or self._state.shared_maximum.meaning is not None

    def is_done(self, evse: int, now: Instant) -> bool:
        """Whether the station holds all that follows from the CSMS's profiles, whatever the site has wished since."""
        e = self._evses[evse]
        is_postponed = e.later_s is not None and e.later_s > now.monotonic_s
        if e.push is None and (is_postponed or self._next.due(e, now) is None):
            return True
        target = self._next.wanted(e, now)
        respects = e.held is not None and e.held.respected == self._writing.respected(evse)
        return e.held_floor == target.floor and (target.working is None or respects)

    @property
    def deadline(self) -> float | None:
        """When a refused profile is tried again, or the first are written, in monotonic seconds."""
        due_s = [] if self._writing.turn_s is None else [self._writing.turn_s]
        for e in self._evses.values():
            if e.retry_s:
                due_s += e.retry_s.values()
            if e.later_s is not None:
                due_s.append(e.later_s)
            if e.look_s is not None:
                due_s.append(e.look_s)
        return min(due_s) if due_s else None

    @property
    def tries_maximum(self) -> bool:
        """Whether the station is being told its first maximum of ours: so long no other one may pass."""
        return any(e.push is not None and self.maximum.is_tried_by(e.push) for e in self._evses.values())
