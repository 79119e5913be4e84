"""What follows from a station's answer to a limit: what does it hold now, which way is tried next?

Refusals climb the ladder; silence says nothing about a way that has worked before.
"""

from __future__ import annotations

from datetime import datetime

from local_controller.clock import Instant
from local_controller.rpc.frame import Frame
from local_controller.station.block import BlockEffect
from local_controller.station.blocks.evse_limits import EvseLimits
from local_controller.station.blocks.limit_desk import LimitDesk
from local_controller.station.blocks.limit_writing import LimitWriting
from local_controller.station.blocks.push import Push
from local_controller.station.blocks.station_word import NONSENSE, SILENCE, setting_word, station_word
from local_controller.station.blocks.trials import (
    MOST_UNANSWERED,
    REFUSED_RETRY_S,
    TRIAL_PAUSE_S,
    UNANSWERED_RETRY_S,
)
from local_controller.station.blocks.wish import no_higher
from local_controller.station.blocks.without_effect import WithoutEffect
from local_controller.station.blocks.write_budget import TOO_OFTEN, too_often_s
from local_controller.station.capability import Rung
from local_controller.station.effects import Tell
from local_controller.station.knowledge import Actuator, FloorPlace
from local_controller.station.words import LimitAnswered, LimitKind, LimitOutcome

MOST_DOUBLINGS = 12
"""So often the time after silence is doubled, where writes are dear: more than a day then."""

TOO_EARLY_S = 2.0
"""What is refused so soon after a transaction began says little: some stations have not taken note of its id yet. The
next rung tells the limit at once, but nothing is learnt from that."""


class LimitAnswers:
    """The answers of one station; where something else is due then, it is written."""

    def __init__(self, desk: LimitDesk, writing: LimitWriting, without_effect: WithoutEffect) -> None:
        self._desk = desk
        self._state = desk.state
        self._evses = desk.evses
        self._next = desk.next
        self._writing = writing
        self._without_effect = without_effect

    def sent(self, push: Push, now: Instant) -> list[BlockEffect]:
        """Our CALL is on the wire: from now on either limit may hold."""
        e = self._evses[push.target.evse]
        if e.push is not push:
            return []
        e.is_sent = True
        self._desk.shared_maximum.sent(push)
        self._state.writes.written(self._next.budget(push.rung), now.monotonic_s, is_reduction=push.is_reduction)
        if (transaction := self._state.transactions.get(push.target.evse)) is not None:
            transaction.written_s = now.monotonic_s
        if push.rung.actuator is Actuator.TX_PROFILE:
            e.possible = (*e.possible, push)
        if push.rung.actuator is Actuator.VENDOR_KEY and push.target.kind is LimitKind.WORKING:
            e.held_fallback_a = None  # one setting for both
        if e.wish is not None and push.target.kind is LimitKind.WORKING:
            e.wish.is_new = False
        return [self._desk.tell_of(one, push, LimitOutcome.SENT, now) for one in self._desk.concerned(e, push.rung)]

    def answered(self, push: Push, answer: Frame | None, now: Instant) -> tuple[list[BlockEffect], str | None]:
        """The answer to our CALL, None if there was none; with the station's last word when every rung has failed."""
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
        return setting_word(answer, self._desk.dialect) if is_key else station_word(answer)

    def _unsent(self, e: EvseLimits, push: Push, now: Instant) -> list[BlockEffect]:
        """Either we withdrew it because something else is wanted now, or the queue was full."""
        if e.is_withdrawn:
            return self._writing.pump(e, now)
        e.retry_s[push.target.kind] = now.monotonic_s + UNANSWERED_RETRY_S
        return [self._desk.tell(e, push.target.kind, LimitOutcome.DROPPED, push.limit_a, "could not be sent")]

    def _outlived(self, e: EvseLimits, push: Push, now: Instant) -> list[BlockEffect]:
        """The transaction ended meanwhile; a refusal then says nothing about the station."""
        if push.rung.actuator is not Actuator.TX_PROFILE:
            e.held_fallback_a = None
        dropped = self._desk.tell(e, LimitKind.WORKING, LimitOutcome.DROPPED, push.limit_a, "transaction ended")
        return [dropped, *self._writing.pump(e, now)]

    # --- yes -------------------------------------------------------------------------------------------------------

    def _accepted(self, e: EvseLimits, push: Push, now: Instant) -> list[BlockEffect]:
        kind, at = push.target.kind, self._state.station_time(now)
        self._desk.trials.succeeded(kind, push.rung)
        self._desk.maximum.taken(push)
        self._desk.shared_maximum.taken(push, now)
        knew_floor = self._state.capability.holds
        is_half_told = kind is LimitKind.WORKING and self._desk.floor_trials.is_half_told(e, push)
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
        for one in self._desk.concerned(e, push.rung):
            effects += self._holds_now(one, push, at, now)
        if kind is LimitKind.WORKING and self._state.capability.disobeyed:
            effects += self._without_effect.give_floors_anew(e, now)
        return effects if self._is_all(e, push) else [*effects, *self._writing.pump_all(e, push, now)]

    def _holds_now(self, e: EvseLimits, push: Push, at: datetime, now: Instant) -> list[BlockEffect]:
        """This EVSE has it now, be it alone or with the others of its station."""
        kind = push.target.kind
        effects: list[BlockEffect] = []
        if push.tells_floor:
            e.floor_rung = push.rung
            if kind is LimitKind.FALLBACK and self._state.capability.makes_floor_doubtful(push.rung):
                return self._without_effect.disbelieves(e, now)
            is_news = e.held_fallback_a != push.target.fallback_a
            e.held_fallback_a, e.held_phases = push.target.floor
            if kind is LimitKind.WORKING and is_news:
                told_a = self._desk.told_floor_a(e, push.target.fallback_a)
                effects.append(self._desk.tell(e, LimitKind.FALLBACK, LimitOutcome.ACCEPTED, told_a))
        if kind is LimitKind.WORKING and e.transaction_id is not None:
            self._works_now(e, push, e.transaction_id, now)
        if push.rung.actuator is Actuator.TX_PROFILE:
            e.possible = (push,)
        limit_a = push.limit_a if kind is LimitKind.FALLBACK else max([push.limit_a, *self._still_possible_a(e, at)])
        if kind is LimitKind.FALLBACK or e.transaction_id is not None:
            effects.append(self._desk.tell_of(e, push, LimitOutcome.ACCEPTED, now, limit_a=limit_a))
        elif (
            push.rung.actuator is Actuator.VENDOR_KEY and push.limit_a <= e.fallback_a
        ):  # of another EVSE's transaction
            effects.append(self._desk.tell(e, LimitKind.FALLBACK, LimitOutcome.ACCEPTED, push.limit_a))
        return effects

    def _works_now(self, e: EvseLimits, push: Push, transaction_id: str, now: Instant) -> None:
        """The transaction has a working limit: from now on it is watched whether the car obeys it."""
        if e.held is None or push.rung != e.held.rung:
            e.obedience.told(push.rung, now.monotonic_s)
        elif push.limit_a != e.held.limit_a:
            e.obedience.told_other(e.held.limit_a, now.monotonic_s)
        e.held = push if push.target.evse == e.number else push.for_evse(e.number, transaction_id)
        e.carried.is_unsure = False
        self._desk.floor_trials.watch(e, now)
        self._writing.look_again(e, now)

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
            and push.because == self._writing.reasons(e)
        )

    # --- no, or nothing ----------------------------------------------------------------------------------------------

    def _failed(
        self, e: EvseLimits, push: Push, word: str, *, is_unanswered: bool, now: Instant
    ) -> tuple[list[BlockEffect], str | None]:
        """The next rung; after the last one the end, until something changes.

        Silence says nothing about a way that has worked before: no other is tried then.
        """
        kind, capability = push.target.kind, self._state.capability
        e.unanswered = e.unanswered + 1 if is_unanswered else e.unanswered
        self._doubt(e, push, is_unanswered=is_unanswered)
        self._desk.floor_trials.refused(e, push.rung, now)
        if not (is_unanswered and push.rung in capability.proven):
            pause_s = TOO_EARLY_S if self._is_too_early(e, kind, now) else TRIAL_PAUSE_S
            self._desk.trials.failed(kind, push.rung, now.monotonic_s + pause_s)
            is_over = e.unanswered >= MOST_UNANSWERED
            if not is_over and self._desk.trials.other(kind, self._next.rungs(kind), now.monotonic_s) is not None:
                return self._writing.pump(e, now), None
        outcome = LimitOutcome.TIMED_OUT if e.unanswered else LimitOutcome.REFUSED
        pause_s = self._after_silence_s(e, push.rung) if e.unanswered else REFUSED_RETRY_S
        e.silences, e.unanswered = e.silences + 1 if e.unanswered else 0, 0
        if self._is_floor_too_low(e, push, outcome, now):
            e.refused_floor_a = push.target.fallback_a
        elif e.wish is None or not e.wish.is_new or kind is LimitKind.FALLBACK:
            e.retry_s[kind] = now.monotonic_s + pause_s
        working_a = None if push.target.working is None else push.target.working.at(self._state.station_time(now))
        asked_a = max(push.limit_a, working_a or 0.0)  # one period for limit and floor says less than was asked for
        told = [self._desk.tell(one, kind, outcome, asked_a, word) for one in self._desk.concerned(e, push.rung)]
        return [*told, *self._writing.pump(e, now)], word

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
            return [self._desk.tell(e, kind, LimitOutcome.REFUSED, push.limit_a, detail)], TOO_OFTEN
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
            self._desk.maximum.refused(push)
            e.possible = tuple(other for other in e.possible if other is not push)
            return
        for one in self._desk.concerned(e, push.rung):
            if push.target.kind is LimitKind.WORKING:
                one.held = None
            if push.target.kind is LimitKind.FALLBACK or push.rung.actuator is not Actuator.TX_PROFILE:
                one.held_fallback_a = None
