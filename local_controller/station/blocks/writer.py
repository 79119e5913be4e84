"""How does every EVSE get the profile it should hold, one CALL at a time?

What `NextWrite` finds due is written, the newest wish first; refusals climb the ladder. Nothing is ever cleared: a profile
replaces itself (LC-100). What goes to the whole station, a station maximum for one, waits until that is free (LC-117).
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta

from local_controller.clock import Instant
from local_controller.profiles.installed import InstalledProfiles
from local_controller.profiles.units import RateUnit
from local_controller.rpc.frame import Frame
from local_controller.station.block import BlockEffect, OwnCall, Urgency, Withdraw
from local_controller.station.blocks import car_schedules
from local_controller.station.blocks.actuator import Target, settable_a
from local_controller.station.blocks.carried_over import CarriedOver
from local_controller.station.blocks.evse_limits import EvseLimits
from local_controller.station.blocks.floor_trial import FloorTrials
from local_controller.station.blocks.limit_call import LimitCall
from local_controller.station.blocks.next_write import NextWrite
from local_controller.station.blocks.obedience import Obedience
from local_controller.station.blocks.own_maximum import OwnMaximum
from local_controller.station.blocks.push import NEVER, Push
from local_controller.station.blocks.same_target import is_flat, is_same
from local_controller.station.blocks.standing import Standing, held_floor, held_working
from local_controller.station.blocks.station_word import NONSENSE, SILENCE, setting_word, station_word
from local_controller.station.blocks.trials import MOST_UNANSWERED, TRIAL_PAUSE_S, Trials
from local_controller.station.blocks.wanted import ANY_PHASES, Allowances, OnPhases, Wish, no_higher
from local_controller.station.blocks.write_budget import TOO_OFTEN, Budget, too_often_s
from local_controller.station.capability import Rung
from local_controller.station.dialects.base import Dialect
from local_controller.station.effects import Note, Peer, Tell
from local_controller.station.evse_context import sharing
from local_controller.station.knowledge import Actuator, FloorPlace
from local_controller.station.state import StationState
from local_controller.station.words import LimitAnswered, LimitKind, LimitOutcome

REFUSED_RETRY_S = 300.0
"""After every rung was refused, we try again this much later, or as soon as something changes (Wallbox: refusals pass)."""

UNANSWERED_RETRY_S = 30.0
"""After silence sooner: the station's usual time to answer is over (some take up to 60 s, field experience)."""

MOST_DOUBLINGS = 12
"""Of that time, where writes are dear: more than a day then."""

WITHOUT_EFFECT = "a limit that was told in the same way is without effect"
"""Why a floor is not believed."""

TOO_EARLY_S = 2.0
"""What is refused so soon after a transaction began says little: some stations have not taken note of its id yet. The
next rung tells the limit at once, but nothing is learnt from that."""


class ProfileWriter:
    """Writes our profiles into the EVSEs of one station."""

    def __init__(
        self, state: StationState, allowances: Allowances, dialect: Dialect, evses: Iterable[int], fallback_a: float
    ) -> None:
        """Until told otherwise every EVSE has the floor `fallback_a`, or a lower one of an earlier connection."""
        self._turn_s: float | None = None
        self._state = state
        self._dialect = dialect
        self._evses = {
            number: EvseLimits(number, state.carried_over.setdefault(number, CarriedOver(fallback_a)))
            for number in evses
        }
        for e in self._evses.values():
            e.fallback_a = min(e.fallback_a, fallback_a)
        self._trials = Trials()
        self._next = NextWrite(state, allowances, self._evses, self._trials)
        self._floor_trials = FloorTrials(state, self._evses, self._trials)
        self._calls = LimitCall(state, dialect)
        self.maximum = OwnMaximum(state)

    # --- what is wanted ------------------------------------------------------------------------------------------

    def set_fallback(self, evse: int, limit_a: float, now: Instant) -> list[BlockEffect]:
        """The floor of this EVSE (A per phase) from now on. One that the station holds already is not written again."""
        e = self._evses[evse]
        if limit_a < e.fallback_a:
            self._turn_s = None
        e.fallback_a = limit_a
        e.retry_s.pop(LimitKind.FALLBACK, None)
        if not self._state.capability.fallback_rungs():
            return self._cannot(e, LimitKind.FALLBACK, limit_a)
        e.is_floor_asked = True
        unchanged = self._unchanged_floors(now)
        return [*unchanged, *self._pump(e, now)]  # where the CSMS allows less, the working limit may still change

    def _unchanged_floors(self, now: Instant) -> list[BlockEffect]:
        """The site learns which floors that it asked for are held already, with nothing under way that changes them."""
        asked = [e for e in self._evses.values() if e.is_floor_asked]
        if not asked or not self._state.may_call:
            return []
        busy = {
            one.number
            for e in self._evses.values()
            if e.push is not None and e.push.tells_floor
            for one in self._concerned(e, e.push)
        }
        held = [(e, self._next.floor(e, now)) for e in asked if e.number not in busy]
        return [
            self._tell(e, LimitKind.FALLBACK, LimitOutcome.ACCEPTED, self._told_floor_a(e, floor[0]), "unchanged")
            for e, floor in held
            if e.held_floor == floor
        ]

    def set_limit(  # noqa: PLR0913 - a limit, for how long, and on which phases
        self, evse: int, limit_a: float, valid_s: float, *, urgent: bool, now: Instant, on: OnPhases = ANY_PHASES
    ) -> list[BlockEffect]:
        """The running transaction may draw this much (A per phase) for `valid_s`; a wish not yet sent is replaced."""
        e = self._evses[evse]
        if evse not in self._state.transactions:
            return [self._tell(e, LimitKind.WORKING, LimitOutcome.DROPPED, limit_a, "no transaction")]
        if not self._state.may_call:
            return [self._tell(e, LimitKind.WORKING, LimitOutcome.DROPPED, limit_a, "not registered")]
        if not self._next.rungs(LimitKind.WORKING):
            return self._cannot(e, LimitKind.WORKING, limit_a)
        rung = self._next.rung(LimitKind.WORKING, now)
        before, budget = e.wish, self._next.budget(rung)
        until = now.utc + timedelta(seconds=max(valid_s, budget.lasting_s))
        e.wish = Wish(limit_a, until, urgent, on=on)
        is_held_back = self._is_held_back(budget, now)
        if is_held_back and (spared := self._resting(e, before, limit_a, now) or self._spared(e, rung, budget, now)):
            e.wish = no_higher(before, limit_a)
            return [spared]
        e.retry_s.pop(LimitKind.WORKING, None)
        return self._pump(e, now)

    def _spared(self, e: EvseLimits, rung: Rung | None, budget: Budget, now: Instant) -> Tell | None:
        """What the site is told if a station that should not be written to now is not written to for its wish.

        What it holds says the same and lasts, or it is a raise or a renewal whose turn has not come (LC-113).
        """
        target = self._next.due(e, now)
        if target is None or target.working is None or rung is None or e.wish is None:
            return None
        at, held = self._state.station_time(now), e.held
        if e.in_force_a(at) is None or self._next.is_lower(e, target, at):
            return None
        if held is not None and held.rung == rung and (held.lasts_s(now) or 0.0) > budget.lasting_s / 2:
            is_like = self._calls.told_a(target, rung, at) == held.limit_a and is_flat(target) and is_flat(held.target)
            if is_like and target.fewer.at(at) == held.target.fewer.at(at):
                return self._tell_of(e, held, LimitOutcome.ACCEPTED, now)
        wait_s = self._state.writes.may_write_at_s(budget, now.monotonic_s) - now.monotonic_s
        if wait_s <= 0.0:
            return None
        detail = f"the station may be written to again in {wait_s:.0f} s"
        postponed = LimitOutcome.POSTPONED
        return Tell(LimitAnswered(e.number, LimitKind.WORKING, postponed, e.wish.limit_a, detail, again_s=wait_s))

    def _resting(self, e: EvseLimits, before: Wish | None, limit_a: float, now: Instant) -> Tell | None:
        """As above, if it has not answered to a limit that was no higher: it is told again as soon as its rest is over."""
        wait_s = e.retry_s.get(LimitKind.WORKING, 0.0) - now.monotonic_s
        if not e.silences or wait_s <= 0.0 or before is None or limit_a < before.limit_a:
            return None
        detail = f"the station did not answer and is told again in {wait_s:.0f} s"
        return Tell(LimitAnswered(e.number, LimitKind.WORKING, LimitOutcome.POSTPONED, limit_a, detail, again_s=wait_s))

    def _is_held_back(self, budget: Budget, now: Instant) -> bool:
        return budget.is_tight or self._state.writes.may_write_at_s(budget, now.monotonic_s) > now.monotonic_s

    def _cannot(self, e: EvseLimits, kind: LimitKind, limit_a: float) -> list[BlockEffect]:
        """There is no way to tell this station a limit: it counts at worst case, and people are told why."""
        why = self._state.capability.belief("actuators").origin
        return [self._tell(e, kind, LimitOutcome.REFUSED, limit_a, f"no way of limiting this station is known: {why}")]

    def standing(self, evse: int, now: Instant) -> Standing:
        """What this EVSE is given now, and what the station holds because of it."""
        e, at = self._evses[evse], self._state.station_time(now)
        is_wished = e.wish is not None and e.wish.until > now.utc and evse in self._state.transactions
        given_a = e.wish.limit_a if e.wish is not None and is_wished else e.fallback_a
        floor = None
        if e.floor_rung is not None:
            floor = held_floor(e.held_fallback_a, e.floor_rung, self._state.capability, self._state.wiring.phase_v)
        working = None
        if e.held is not None and e.holds_after(at):
            working = held_working(e.held.target, e.held.rung, self._state.capability)
        possible = (push.target.working.at(at) for push in e.possible if push.target.working is not None)
        highest_a = max(given_a, e.in_force_a(at) or 0.0, *(limit_a or 0.0 for limit_a in possible))
        is_unsure = working is None and e.may_hold_after(at)
        until = self._state.to_station_time(e.wish.until) if e.wish is not None and is_wished else None
        return Standing(highest_a, e.fallback_a, floor, working, is_unsure, until)

    def begin(self, delay_s: float, now: Instant) -> list[BlockEffect]:
        """The station may be called: its floors are written, so much later if neither a transaction nor a new limit presses.

        Until it has confirmed them it counts at worst case (LC-041).
        """
        self._turn_s = now.monotonic_s + delay_s
        if not self._state.capability.fallback_rungs():
            return [told for e in self._evses.values() for told in self._cannot(e, LimitKind.FALLBACK, e.fallback_a)]
        return self.reconsider(now)

    def will_write(self, evse: int, limit_a: float, now: Instant) -> bool:
        """Whether this floor is known already and has yet to be written."""
        return self._evses[evse].fallback_a == limit_a and (not self._state.may_call or self._is_early(now))

    def _is_early(self, now: Instant) -> bool:
        return self._turn_s is not None and now.monotonic_s < self._turn_s and not self._state.transactions

    def forget(self, now: Instant) -> list[BlockEffect]:
        """A new connection or a reboot: everything is written again (LC-041, LC-042), and nothing old is sent any more."""
        waiting = [e.push for e in self._evses.values() if e.push is not None and not e.is_sent]
        for e in self._evses.values():
            self._floor_trials.give_up(e, now)
            e.forget()
        return [Withdraw(Peer.STATION, push) for push in waiting]

    def follow_transactions(self, now: Instant) -> list[int]:
        """Notices which EVSEs have another transaction than before (or none), and drops what belonged to the old one."""
        changed = []
        for e in self._evses.values():
            transaction = self._state.transactions.get(e.number)
            current = None if transaction is None else transaction.transaction_id
            if current != e.transaction_id:
                if e.held is not None and e.held.rung.actuator is not Actuator.TX_PROFILE:
                    self._outlives(e, e.held)
                self._floor_trials.give_up(e, now)
                e.carried.transaction_id, e.wish, e.held, e.possible = current, None, None, ()
                e.retry_s, e.repeats, e.obedience, e.refused_floor_a = {}, False, Obedience(), None
                e.carried.is_unsure = transaction is not None and transaction.is_found
                changed.append(e.number)
        return changed

    def _outlives(self, e: EvseLimits, held: Push) -> None:
        """That profile or setting outlives the transaction: it is written again, where others need it as theirs."""
        for one in self._concerned(e, held):
            one.held_fallback_a = None
            if one is not e and one.held is not None and one.held.rung == held.rung:
                one.held = None

    def reconsider(self, now: Instant, *, retry: bool = False) -> list[BlockEffect]:
        """Something that decides about limits may have changed; with `retry` also what was refused is tried again."""
        effects = self._floor_trials.judge(now)
        if retry or not self._is_early(now):
            self._turn_s = None
        for e in self._evses.values():
            self._look_again(e, now)
            e.retry_s = {} if retry else {kind: at_s for kind, at_s in e.retry_s.items() if at_s > now.monotonic_s}
            effects += self._pump(e, now)
        return [*effects, *self._unchanged_floors(now)]

    def _look_again(self, e: EvseLimits, now: Instant) -> None:
        """What was waited for has come; a setting of the maker is looked at when the wanted limit changes by itself."""
        if e.later_s is not None and e.later_s <= now.monotonic_s:
            e.later_s = None
        e.look_s = None
        if e.held is not None and e.held.ends == NEVER and (working := self._next.wanted(e, now).working) is not None:
            at = self._state.station_time(now)
            change = next((moment for moment, _ in working.steps if moment > at), None)
            e.look_s = None if change is None else now.monotonic_s + (change - at).total_seconds()

    def write_again(self, evse: int, now: Instant) -> list[BlockEffect]:
        """The station does not hold what it said yes to, however that came about (LC-042)."""
        e = self._evses[evse]
        e.held_fallback_a = e.held = None
        return self._pump(e, now)

    def set_back(self) -> None:
        """The station's clock was: what is to end at an instant ends later, or begins again."""
        for e in self._evses.values():
            if e.held is not None and e.held.ends != NEVER:
                if e.held.rung.holds_floor:  # then the floor is what comes after it in the same profile
                    e.held_fallback_a = None
                e.carried.is_unsure, e.held = True, None

    def follow_unit(self, now: Instant) -> list[BlockEffect]:
        """The station says which unit it takes: what it accepted in another one may be without effect, and is told again."""
        if (unit := self._state.capability.only_unit) is None:
            return []
        for e in self._evses.values():
            if e.floor_rung is not None and e.floor_rung.unit is not unit:
                e.held_fallback_a = None
            if e.held is not None and e.held.rung.unit is not unit:
                e.held = None
        return self.reconsider(now)

    def shares_watts_wrongly(self) -> bool:
        """Whether a car uses other phases than those for which its watts were meant."""
        in_watts = [e.held.target for e in self._evses.values() if e.held and e.held.rung.unit is RateUnit.W]
        running = (target for target in in_watts if target.evse in self._state.transactions)
        return any((t.in_watts.phases, t.in_watts.lines) != sharing(self._state, t.evse) for t in running)

    def knows_draws(self) -> bool:
        """Whether enough was measured of a car that stays at its floor, or no longer does."""
        return self._floor_trials.has_news()

    def is_done(self, evse: int, now: Instant) -> bool:
        """Whether the station holds all that follows from the CSMS's profiles, whatever the site has wished since."""
        e = self._evses[evse]
        is_postponed = e.later_s is not None and e.later_s > now.monotonic_s
        if e.push is None and (is_postponed or self._next.due(e, now) is None):
            return True
        target = self._next.wanted(e, now)
        respects = e.held is not None and e.held.respected == self._respected(evse)
        return e.held_floor == target.floor and (target.working is None or respects)

    @property
    def deadline(self) -> float | None:
        """When a refused profile is tried again, or the first are written, in monotonic seconds."""
        due_s = [] if self._turn_s is None else [self._turn_s]
        for e in self._evses.values():
            if e.retry_s:
                due_s += e.retry_s.values()
            if e.later_s is not None:
                due_s.append(e.later_s)
            if e.look_s is not None:
                due_s.append(e.look_s)
        return min(due_s) if due_s else None

    # --- what the station says -----------------------------------------------------------------------------------

    def sent(self, push: Push, now: Instant) -> list[BlockEffect]:
        """Our CALL is on the wire: from now on either limit may hold."""
        e = self._evses[push.target.evse]
        if e.push is not push:
            return []
        e.is_sent = True
        self._state.writes.written(self._next.budget(push.rung), now.monotonic_s, is_reduction=push.is_reduction)
        if (transaction := self._state.transactions.get(push.target.evse)) is not None:
            transaction.written_s = now.monotonic_s
        if push.rung.actuator is Actuator.TX_PROFILE:
            e.possible = (*e.possible, push)
        if push.rung.actuator is Actuator.VENDOR_KEY and push.target.kind is LimitKind.WORKING:
            e.held_fallback_a = None  # one setting for both
        if e.wish is not None and push.target.kind is LimitKind.WORKING:
            e.wish.is_new = False
        return [self._tell_of(one, push, LimitOutcome.SENT, now) for one in self._concerned(e, push)]

    def answered(self, push: Push, answer: Frame | None, now: Instant) -> tuple[list[BlockEffect], str | None]:
        """The answer to our CALL, None if there was none; with the station's last word when every rung has failed."""
        effects, word = self._hear(push, answer, now)
        return [*effects, *self._unchanged_floors(now)], word

    def _hear(self, push: Push, answer: Frame | None, now: Instant) -> tuple[list[BlockEffect], str | None]:
        e = self._evses[push.target.evse]
        if e.push is not push:
            return [], None
        e.push = None
        if not e.is_sent:
            return self._unsent(e, push, now), None
        word = self._word(push, answer)
        if push.target.kind is LimitKind.WORKING and push.target.transaction_id != e.transaction_id:
            return self._outlived(e, push, now), None
        if word == "Accepted":
            return self._accepted(e, push, now), None
        if word == "Rejected" and (pause_s := too_often_s(answer)) is not None:
            return self._too_often(e, push, pause_s, now)
        return self._failed(e, push, word, is_unanswered=word in {SILENCE, NONSENSE}, now=now)

    def _word(self, push: Push, answer: Frame | None) -> str:
        is_key = push.rung.actuator is Actuator.VENDOR_KEY
        return setting_word(answer, self._dialect) if is_key else station_word(answer)

    def _unsent(self, e: EvseLimits, push: Push, now: Instant) -> list[BlockEffect]:
        """Either we withdrew it because something else is wanted now, or the queue was full."""
        if e.is_withdrawn:
            return self._pump(e, now)
        e.retry_s[push.target.kind] = now.monotonic_s + UNANSWERED_RETRY_S
        return [self._tell(e, push.target.kind, LimitOutcome.DROPPED, push.limit_a, "could not be sent")]

    def _outlived(self, e: EvseLimits, push: Push, now: Instant) -> list[BlockEffect]:
        """The transaction ended meanwhile; a refusal then says nothing about the station."""
        if push.rung.actuator is not Actuator.TX_PROFILE:
            e.held_fallback_a = None
        dropped = self._tell(e, LimitKind.WORKING, LimitOutcome.DROPPED, push.limit_a, "transaction ended")
        return [dropped, *self._pump(e, now)]

    def _accepted(self, e: EvseLimits, push: Push, now: Instant) -> list[BlockEffect]:
        kind, at = push.target.kind, self._state.station_time(now)
        self._trials.succeeded(kind, push.rung)
        self.maximum.taken(push)
        knew_floor = self._state.capability.holds
        is_half_told = kind is LimitKind.WORKING and self._floor_trials.is_half_told(e, push)
        is_makeshift = self._is_too_early(e, kind, now) and push.rung != self._next.rungs(kind)[0]
        if not is_makeshift and not is_half_told:
            self._state.capability = self._state.capability.accepted(
                push.rung, is_floor=kind is LimitKind.FALLBACK, at=now.utc
            )
        if knew_floor is not None and self._state.capability.holds is None:
            for one in self._evses.values():
                one.held_fallback_a = None
        e.unanswered = e.silences = 0
        self._repeat_after_zero(e, push)
        e.repeats |= is_half_told
        effects: list[BlockEffect] = []
        for one in self._concerned(e, push):
            effects += self._holds_now(one, push, at, now)
        if kind is LimitKind.WORKING and self._state.capability.disobeyed:
            effects += self._give_floors_anew(e, now)
        return effects if self._is_all(e, push) else [*effects, *self._pump_all(e, push, now)]

    def _holds_now(self, e: EvseLimits, push: Push, at: datetime, now: Instant) -> list[BlockEffect]:
        """This EVSE has it now, be it alone or with the others of its station."""
        kind = push.target.kind
        effects: list[BlockEffect] = []
        if push.tells_floor:
            e.floor_rung = push.rung
            if kind is LimitKind.FALLBACK and self._state.capability.makes_floor_doubtful(push.rung):
                return self._disbelieves(e, now)
            is_news = e.held_fallback_a != push.target.fallback_a
            e.held_fallback_a, e.held_phases = push.target.floor
            if kind is LimitKind.WORKING and is_news:
                told_a = self._told_floor_a(e, push.target.fallback_a)
                effects.append(self._tell(e, LimitKind.FALLBACK, LimitOutcome.ACCEPTED, told_a))
        if kind is LimitKind.WORKING and e.transaction_id is not None:
            if e.held is None or push.rung != e.held.rung:
                e.obedience.told(push.rung, now.monotonic_s)
            elif push.limit_a != e.held.limit_a:
                e.obedience.told_other(e.held.limit_a, now.monotonic_s)
            e.held = push if push.target.evse == e.number else push.for_evse(e.number, e.transaction_id)
            e.carried.is_unsure = False
            self._floor_trials.watch(e, now)
            self._look_again(e, now)
        if push.rung.actuator is Actuator.TX_PROFILE:
            e.possible = (push,)
        limit_a = push.limit_a if kind is LimitKind.FALLBACK else max([push.limit_a, *self._still_possible_a(e, at)])
        if kind is LimitKind.FALLBACK or e.transaction_id is not None:
            effects.append(self._tell_of(e, push, LimitOutcome.ACCEPTED, now, limit_a=limit_a))
        elif (
            push.rung.actuator is Actuator.VENDOR_KEY and push.limit_a <= e.fallback_a
        ):  # of another EVSE's transaction
            effects.append(self._tell(e, LimitKind.FALLBACK, LimitOutcome.ACCEPTED, push.limit_a))
        return effects

    def _give_floors_anew(self, but: EvseLimits, now: Instant) -> list[BlockEffect]:
        """Another way is taken: floors that were in doubt have not to wait any longer, nor for their own EVSE."""
        doubted = [e for e in self._evses.values() if e.held_fallback_a is None]
        for e in doubted:
            e.retry_s.pop(LimitKind.FALLBACK, None)
        return [effect for e in doubted if e is not but for effect in self._pump(e, now)]

    def _disbelieves(self, e: EvseLimits, now: Instant) -> list[BlockEffect]:
        """To say yes to a floor proves nothing where limits told in that way have no effect: it counts when one is taken."""
        e.held_fallback_a = None
        e.retry_s[LimitKind.FALLBACK] = now.monotonic_s + REFUSED_RETRY_S
        return [self._tell(e, LimitKind.FALLBACK, LimitOutcome.REFUSED, e.fallback_a, WITHOUT_EFFECT)]

    @staticmethod
    def _still_possible_a(e: EvseLimits, at: datetime) -> list[float]:
        """What TxProfiles of ours allow that may run: they beat a TxDefaultProfile."""
        return [p.limit_a for p in e.possible if p.target.working is not None and p.target.working.at(at) is not None]

    def _repeat_after_zero(self, e: EvseLimits, push: Push) -> None:
        """Some ignore the first limit after a pause: it is told twice."""
        was_paused = e.held is not None and e.held.limit_a == 0.0 and push.limit_a > 0.0
        e.repeats = self._state.capability.repeat_after_zero and was_paused and push.target.kind is LimitKind.WORKING

    def _is_all(self, e: EvseLimits, push: Push) -> bool:
        """Whether nothing more can be due, as usual: this was the working limit, the floor is held, nothing has changed."""
        return (
            push.target.working is not None
            and push.rung.place is FloorPlace.EVSE
            and not e.repeats
            and e.held_floor == push.target.floor
            and not self._state.store.installed.entries
            and push.because == self._reasons(e)
        )

    def _respected(self, evse: int) -> tuple[InstalledProfiles, bool]:
        """What counts of the CSMS for this EVSE now."""
        transaction = self._state.transactions.get(evse)
        return self._state.store.virtual(), transaction is not None and transaction.has_priority

    def _reasons(self, e: EvseLimits) -> tuple[object, ...]:
        """All that decides about a limit while the CSMS sets none, but the time."""
        state, transaction = self._state, self._state.transactions.get(e.number)
        running = None if transaction is None else (transaction.transaction_id, transaction.phases_in_use)
        return e.wish, e.fallback_a, running, state.csms_ahead_s, state.capability

    def _failed(
        self, e: EvseLimits, push: Push, word: str, *, is_unanswered: bool, now: Instant
    ) -> tuple[list[BlockEffect], str | None]:
        """The next rung; after the last one the end, until something changes.

        Silence says nothing about a way that has worked before: no other is tried then.
        """
        kind, capability = push.target.kind, self._state.capability
        e.unanswered = e.unanswered + 1 if is_unanswered else e.unanswered
        self._doubt(e, push, is_unanswered=is_unanswered)
        self._floor_trials.refused(e, push.rung, now)
        if not (is_unanswered and push.rung in capability.proven):
            pause_s = TOO_EARLY_S if self._is_too_early(e, kind, now) else TRIAL_PAUSE_S
            self._trials.failed(kind, push.rung, now.monotonic_s + pause_s)
            is_over = e.unanswered >= MOST_UNANSWERED
            if not is_over and self._trials.other(kind, self._next.rungs(kind), now.monotonic_s) is not None:
                return self._pump(e, now), None
        outcome = LimitOutcome.TIMED_OUT if e.unanswered else LimitOutcome.REFUSED
        pause_s = self._after_silence_s(e, push.rung) if e.unanswered else REFUSED_RETRY_S
        e.silences, e.unanswered = e.silences + 1 if e.unanswered else 0, 0
        if self._is_floor_too_low(e, push, outcome, now):
            e.refused_floor_a = push.target.fallback_a
        elif e.wish is None or not e.wish.is_new or kind is LimitKind.FALLBACK:
            e.retry_s[kind] = now.monotonic_s + pause_s
        working_a = None if push.target.working is None else push.target.working.at(self._state.station_time(now))
        asked_a = max(push.limit_a, working_a or 0.0)  # one period for limit and floor says less than was asked for
        told = [self._tell(one, kind, outcome, asked_a, word) for one in self._concerned(e, push)]
        return [*told, *self._pump(e, now)], word

    def _is_floor_too_low(self, e: EvseLimits, push: Push, outcome: LimitOutcome, now: Instant) -> bool:
        """Whether a floor that waits for a limit was refused for the first time, so that the real one is tried at once."""
        is_news = e.refused_floor_a is None and e.held_fallback_a is None and outcome is LimitOutcome.REFUSED
        is_floor = push.target.kind is LimitKind.FALLBACK
        return is_news and is_floor and push.target.fallback_a < self._next.floor(e, now)[0]

    def _after_silence_s(self, e: EvseLimits, rung: Rung) -> float:
        """Where writes are dear it is told again ever later: it may take each of them, although nobody hears its answer."""
        doubled_s = UNANSWERED_RETRY_S * (1 << min(e.silences, MOST_DOUBLINGS))
        return max(UNANSWERED_RETRY_S, min(doubled_s, self._next.budget(rung).lasting_s))

    def _too_often(
        self, e: EvseLimits, push: Push, pause_s: float, now: Instant
    ) -> tuple[list[BlockEffect], str | None]:
        """The station wants to be left alone for so long (K01.FR.56): no rung has failed, what held holds."""
        kind = push.target.kind
        self._doubt(e, push, is_unanswered=False)
        self._state.writes.not_before(now.monotonic_s + pause_s)
        detail = f"{TOO_OFTEN}: again in {pause_s:.0f} s"
        if push.is_reduction:
            e.retry_s[kind] = now.monotonic_s + pause_s
            return [self._tell(e, kind, LimitOutcome.REFUSED, push.limit_a, detail)], TOO_OFTEN
        e.later_s = now.monotonic_s + pause_s
        e.wish = None if e.held is None else no_higher(e.held.wish, push.limit_a if e.wish is None else e.wish.limit_a)
        postponed = LimitAnswered(e.number, kind, LimitOutcome.POSTPONED, push.limit_a, detail, again_s=pause_s)
        return [Tell(postponed)], None

    def _is_too_early(self, e: EvseLimits, kind: LimitKind, now: Instant) -> bool:
        """Whether the transaction is so young that the station may not know it yet."""
        transaction = self._state.transactions.get(e.number)
        return kind is LimitKind.WORKING and transaction is not None and now.since(transaction.started) < TOO_EARLY_S

    def _doubt(self, e: EvseLimits, push: Push, *, is_unanswered: bool) -> None:
        """After a refusal what was held is held; after silence either may."""
        if not is_unanswered:
            self.maximum.refused(push)
            e.possible = tuple(other for other in e.possible if other is not push)
            return
        for one in self._concerned(e, push):
            if push.target.kind is LimitKind.WORKING:
                one.held = None
            if push.target.kind is LimitKind.FALLBACK or push.rung.actuator is not Actuator.TX_PROFILE:
                one.held_fallback_a = None

    def disobeyed(self, evse: int, drawn_a: float, now: Instant) -> list[BlockEffect]:
        """The car draws so much; what was measured above its limit for long enough leads to the next rung (LC-105)."""
        e, at = self._evses[evse], self._state.station_time(now)
        if e.held is None or e.push is not None or not e.holds_after(at):
            return []
        if not e.obedience.exceeded(drawn_a, e.held.limit_a, self._state.capability.settle_s, now.monotonic_s):
            return []
        rung, limit_a = e.held.rung, e.held.limit_a
        self._state.capability = self._state.capability.disobeying(rung, now.utc)
        self._floor_trials.disobeyed(e)
        doubted = self._doubt_floors(rung)
        fields = {"evse": evse, "drawn_a": round(drawn_a, 1), "limit_a": round(limit_a, 1), "way": str(rung)}
        noted = Note("warning", "limit_without_effect", fields)
        if self._state.capability.obeys_nothing:
            word = f"it draws {drawn_a:.1f} A, whichever way it is told a limit"
            return [noted, *doubted, self._tell(e, LimitKind.WORKING, LimitOutcome.REFUSED, limit_a, word)]
        e.held = None
        return [noted, *doubted, *self._pump(e, now)]

    def _doubt_floors(self, rung: Rung) -> list[BlockEffect]:
        """A floor that was given in the same way is perhaps without effect as well: nobody must rely on it."""
        doubted = [e for e in self._evses.values() if e.floor_rung is not None and e.floor_rung.is_like(rung)]
        for e in doubted:
            e.held_fallback_a = None
        return [self._tell(e, LimitKind.FALLBACK, LimitOutcome.REFUSED, e.fallback_a, WITHOUT_EFFECT) for e in doubted]

    # --- writing -------------------------------------------------------------------------------------------------

    def _pump_all(self, e: EvseLimits, push: Push, now: Instant) -> list[BlockEffect]:
        """What is due there, and on the other EVSEs if they waited for a profile of the whole station."""
        waiting = self._evses.values() if self._next.is_shared(push.rung) else (e,)
        return [effect for one in waiting for effect in self._pump(one, now)]

    def _pump(self, e: EvseLimits, now: Instant) -> list[BlockEffect]:
        """Writes what is due, unless a CALL is under way; one that still waits for its slot gives way to what is due."""
        e = self._next.leader(e, now)
        target = self._next.due(e, now) if self._state.may_call and not self._is_early(now) else None
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
            rung = self._floor_trials.way_of_reduction(e) or rung
        if not is_reduction and (at_s := self._may_write_at_s(e, rung, now)) > now.monotonic_s:
            e.later_s = at_s
            return []
        e.repeats, e.later_s = False, None
        if self.maximum.tried(rung):
            target = self._next.due(e, now) or target
        ends = self._ends(e, target, rung)
        limit_a = self._calls.told_a(target, rung, at)
        respected, reasons = self._respected(e.number), self._reasons(e)
        profile = self._calls.profile(target, rung, at)
        e.push = Push(target, rung, limit_a, respected, reasons, ends, is_reduction, profile)
        e.is_sent = e.is_withdrawn = False
        action, payload = self._calls.message(target, rung, at, profile)
        is_urgent = is_reduction or (e.wish is not None and e.wish.is_urgent and target.working is not None)
        urgency = Urgency.SAFETY if is_urgent else Urgency.RAISE
        return [OwnCall(Peer.STATION, action, payload, urgency, e.push)]

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

    def _told_floor_a(self, e: EvseLimits, floor_a: float) -> float:
        """What a floor means that the station took the way it was given: rounded to what it can be set to."""
        unit = RateUnit.A if e.floor_rung is None else e.floor_rung.unit
        return settable_a(floor_a, self._state.capability, unit)

    # --- the whole station at once ---------------------------------------------------------------------------------

    def _is_busy(self) -> bool:
        """Whether something is on its way to the whole station: the others wait, and perhaps need nothing then."""
        return any(e.push is not None and e.push.rung.place is FloorPlace.STATION for e in self._evses.values())

    def _concerned(self, e: EvseLimits, push: Push) -> list[EvseLimits]:
        """The EVSEs for which it holds."""
        return list(self._evses.values()) if self._next.is_shared(push.rung) else [e]

    @property
    def tries_maximum(self) -> bool:
        """Whether the station is being told its first maximum of ours: so long no other one may pass."""
        return any(e.push is not None and self.maximum.is_tried_by(e.push) for e in self._evses.values())

    # --- telling ---------------------------------------------------------------------------------------------------

    def _tell(self, e: EvseLimits, kind: LimitKind, outcome: LimitOutcome, limit_a: float, detail: str = "") -> Tell:
        if kind is LimitKind.FALLBACK:  # whoever was told no wants to know when the floor is right after all
            e.is_floor_asked = outcome is not LimitOutcome.ACCEPTED
        return Tell(LimitAnswered(e.number, kind, outcome, limit_a, detail))

    def _tell_of(
        self, e: EvseLimits, push: Push, outcome: LimitOutcome, now: Instant, *, limit_a: float | None = None
    ) -> Tell:
        told_a = push.limit_a if limit_a is None else limit_a
        if push.target.kind is LimitKind.FALLBACK and outcome is LimitOutcome.ACCEPTED:
            e.is_floor_asked = False
        phases = push.phases_at(self._state.station_time(now))
        return Tell(LimitAnswered(e.number, push.target.kind, outcome, told_a, "", push.lasts_s(now), None, phases))
