"""What do events change of what is known of an EVSE: its connection, its session, limits on their way to it?"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from local_controller.clock import Instant
from local_controller.profiles.schedule import Schedule
from local_controller.site.known_evse import SETTLE_S, WATTS_START, fact
from local_controller.site.phase_switch import Seen
from local_controller.site.sampled_evse import SampledEvse
from local_controller.site.session import Promise, Session
from local_controller.site.standing import Standing
from local_controller.site.worst_case import CONFIRM_S
from local_controller.station.words import BehaviourLearnt, ChargingState, ForeignLimit


@dataclass(slots=True, eq=False)
class EvseState(SampledEvse):
    """One EVSE and what happens there. Limits are amperes per phase in use."""

    # --- facts --------------------------------------------------------------------------------------------------------

    @fact
    def connected_now(self, now: Instant, *, booted: bool = False) -> None:
        """The station is back: its profiles are asserted again, and until then either limit may be in force.

        After a boot, and until it was confirmed once, the fallback must be confirmed within `CONFIRM_S` (LC-041); a mere
        reconnect loses no profile (LC-042), and such a station may not be called before it calls itself.
        """
        self.connected, self.is_silent, self.asserting = True, False, True
        self.known = self.known or booted
        if self.fallback_a is not None and (booted or not self.confirmed):
            self.fallback_doubted_at = now
        if self.session is not None:
            self.session.may_have_fallen_back = True
            if booted:
                self.session.count_on_all_phases()

    @fact
    def lost(self) -> None:
        """The station has no connection any more; some lose all their limits with it."""
        self.connected, self.is_silent, self.said_state = False, False, None
        if self.forgets:
            self.fallback_a, self.confirmed = None, False
            if self.session is not None:
                self.session.may_apply.append(Promise(self.evse.max_a, is_lost=True))
                self.session.count_on_all_phases()

    @fact
    def fell_silent(self, *, is_silent: bool) -> None:
        """Nothing comes from the station although its connection stands, or something does again."""
        self.is_silent = is_silent and self.connected

    @fact
    def takes(self, unit: str) -> None:
        """The station takes limits in this unit only."""
        self.watts_only = unit == "W"

    @fact
    def behaves(self, known: BehaviourLearnt) -> None:
        """What the station is known to do."""
        self.settle_s = max(SETTLE_S, known.settle_s)
        self.least_a, self.forgets = min(known.least_a, self.evse.max_a), known.forgets
        self.lasts_s, self.every_s, self.wire.may = known.lasts_s, known.every_s, known.switching

    @fact
    def capped_at(self, limit_a: float) -> None:
        """No more than this, whatever room there is: its limits outlast the gateway (`site.lasting`)."""
        self.lasting_cap_a = limit_a

    @fact
    def needs(self, energy_wh: float | None, departure: datetime | None) -> bool:
        """What the driver or the car wants of the running session; False without one."""
        if self.session is None:
            return False
        self.session.energy_wh, self.session.departure = energy_wh, departure
        return True

    @fact
    def is_given(self, priority: int, transaction_id: str) -> bool:
        """The CSMS wants this transaction to go before those of a lower charging priority; whether that is new."""
        session = self.session
        if session is None or session.transaction_id != transaction_id or session.priority == priority:
            return False
        session.priority = priority
        return True

    @fact
    def waives_delay(self, transaction_id: str | None, *, is_waived: bool) -> None:
        """Its driver wants no random delay, or no longer; transaction_id: None for whichever runs."""
        session = self.session
        if session is not None and transaction_id in {None, session.transaction_id}:
            session.waives_delay = is_waived

    @fact
    def csms_allows(self, schedule: Schedule, least_a: float = 0.0) -> bool:
        """What the CSMS's profiles allow from now on, and want at least where they allow anything; whether that is new."""
        before, self.csms, self.csms_least_a = (self.csms, self.csms_least_a), schedule, least_a
        self.csms_steps = tuple((at.timestamp(), limit_a) for at, limit_a in schedule.steps)
        return before != (schedule, least_a)

    @fact
    def meets_foreign(self, found: ForeignLimit) -> None:
        """Something that nobody told it here limits the station, or lifts our limits."""
        self.foreign = None if found.is_none else found

    @fact
    def fallback_answered(self, limit_a: float | None, now: Instant) -> None:
        """The station holds this fallback, or refused to (None)."""
        before_a = self.ordered_a
        self.fallback_a, self.fallback_doubted_at = limit_a, None
        self.confirmed, self.asserting = limit_a is not None, False
        self.left_over = [] if self.confirmed else self.left_over
        session = self.session
        if session is not None and any(p.until is None and p.limit_a != self.floor_a for p in session.in_force()):
            session.may_apply.append(Promise(self.floor_a, now))
            session.lowered_at = now if self.ordered_a < before_a else session.lowered_at

    @fact
    def started(self, transaction_id: str, now: Instant, *, is_found: bool = False) -> None:
        """A transaction began, under the fallback, or under what is left of the limits of the one before.

        is_found: it ran before we did, perhaps under a limit of an earlier run, until it takes one of ours.
        """
        if self.session is not None and self.session.transaction_id == transaction_id:
            return
        if self.session is not None:
            self.ended(self.session.transaction_id)
        self.known = self.known or not is_found
        self.stray = self.strays_since = None
        left_over = [promise for promise in self.left_over if not promise.is_over(now)]
        self.session = Session(transaction_id, now, [*left_over, Promise(self.floor_a, now)])
        self.session.is_found = self.session.may_have_fallen_back = is_found  # so it is told a limit at once
        self.session.charging_state = self.said_state

    @fact
    def ended(self, transaction_id: str) -> None:
        """The transaction is over: its TxProfile is gone, the fallback is left (LC-079)."""
        if self.session is not None and self.session.transaction_id == transaction_id:
            self.left_over = [p for p in self.session.may_apply if p.until is not None or p.limit_a > self.floor_a]
            self.session = self.said_state = None

    @fact
    def charging_state_is(self, state: ChargingState, now: Instant) -> None:
        """The station says whether the car charges; a suspended car draws nothing from now on (LC-073)."""
        self.said_state = state
        if self.session is None:
            return
        self.session.charging_state = state
        suspended = state is not ChargingState.CHARGING
        self.session.suspended_at = now if suspended else None

    # --- on how many phases -------------------------------------------------------------------------------------------

    def switches(self, seen: Seen, now: Instant) -> bool:
        """Whether the session is told another number of phases from now on: what was learnt of its phases is void then."""
        session = self.session
        if session is None or not session.switch.look(seen, self.wire, self.evse, now):
            return False
        self._standing = None
        session.uses.forget()
        for promise in session.may_apply:
            promise.is_wider = session.switch.is_on_one
        return True

    @fact
    def phases_accepted(self, phases: int | None, now: Instant) -> None:
        """The station said yes to a limit on so many phases. Who charges on one and is told otherwise may use all again."""
        if self.session is not None and self.session.switch.answered(phases, now):
            self.session.count_on_all_phases()

    # --- limits on their way ------------------------------------------------------------------------------------------

    @fact
    def ordered(self, limit_a: float, now: Instant) -> None:
        """The site asked the station's proxy for this limit."""
        session = self.session
        if session is None:
            return
        before_a = self.ordered_a
        session.raised_at = now if limit_a > before_a else session.raised_at
        session.lowered_at = now if limit_a < before_a else session.lowered_at
        session.ordered_a = session.unsent_a = session.asked_a = limit_a
        session.asked_phases = session.switch.told
        session.ordered_at, session.is_unheeded = now, False
        if session.unconfirmed_at is not None:
            session.unconfirmed_at, session.tried_a = now, limit_a

    @fact
    def postponed(self, until: Instant) -> None:
        """What was ordered was not sent, as the station is seldom written to: what held holds."""
        if self.session is not None:
            self.session.ordered_a, self.session.unsent_a, self.session.postponed_until = None, None, until

    @fact
    def sent(self, limit_a: float, until: Instant | None) -> None:
        """The limit is on the wire: from now on the station obeys this one or an older one. until None: for ever."""
        if self.session is not None:
            self.session.may_apply.append(Promise(limit_a, None, until))
            self.session.unsent_a = None

    @fact
    def accepted(self, limit_a: float, now: Instant, until: Instant | None) -> None:
        """The station said yes. Older, lower limits no longer matter; older, higher ones do until it is measured.

        Saying yes to the same value again (a renewal) does not put off its proof.
        """
        session = self.session
        if session is None:
            return
        before = [p for p in session.in_force() if p.accepted_at is not None and p.limit_a == limit_a]
        is_renewal = bool(before) and not session.may_have_fallen_back and not before[0].is_over(now)
        older = [p for p in session.may_apply if p.limit_a > limit_a]
        if session.may_have_fallen_back and self.floor_a > limit_a:
            older.append(Promise(self.floor_a, now))
        session.may_apply = [*older, Promise(limit_a, before[0].accepted_at if is_renewal else now, until)]
        session.offered_at = None if limit_a < self.evse.min_a * WATTS_START else session.offered_at or now
        session.unconfirmed_at, session.refusals, session.may_have_fallen_back = None, 0, False
        session.postponed_until = None
        self.known = True

    @fact
    def refused(self, limit_a: float, now: Instant) -> None:
        """The station said no, in every way we asked: nothing of that was applied, what held before holds.

        Whoever takes no higher limit follows all the same; whoever takes no lower one does not.
        """
        session = self.session
        if session is None:
            return
        kept = [promise for promise in session.may_apply if promise.accepted_at is not None or promise.is_lost]
        session.may_apply = kept or [Promise(self.floor_a)]
        session.refusals += 1
        if session.switch.pauses and session.switch.is_told and session.switch.is_on_one:
            self.wire.is_disproved = True
            session.count_on_all_phases()
        if limit_a > session.may_apply[-1].limit_a and session.unconfirmed_at is None:
            session.ordered_a, session.unsent_a, session.raise_refused_at = None, None, now
        else:
            self.unconfirmed(now)

    @fact
    def unconfirmed(self, now: Instant) -> None:
        """What was ordered last was not confirmed; the next attempt starts from what may be in force."""
        session = self.session
        if session is None:
            return
        for promise in session.may_apply:
            promise.is_lost = promise.is_lost or promise.accepted_at is None
        session.tried_a = self.ordered_a
        session.ordered_a, session.unsent_a, session.unconfirmed_at = None, None, now

    def expire(self, now: Instant) -> None:
        """Time passes: doubts become certainty, working limits run out."""
        if self.fallback_doubted_at is not None and now.since(self.fallback_doubted_at) > CONFIRM_S:
            asserting = self.asserting
            self.fallback_answered(None, now)
            self.asserting = asserting
        if self.session is not None:
            self._fall_back(self.session, now)

    def _fall_back(self, session: Session, now: Instant) -> None:
        """A working limit that ran out leaves the station at its fallback, proven like any other lowered limit.

        Where nothing can prove it, because nothing is measured, it counts no longer than the car needs to follow (G12); then
        whatever was told since, for whoever did not obey that is at the fallback.
        """
        if all(promise.is_over(now) for promise in session.in_force()):
            session.may_apply.append(Promise(self.floor_a, now))
            session.ordered_a, session.ordered_at = None, None
            session.count_on_all_phases()
        if not self.connected or self.mute(now):
            left = [promise for promise in session.may_apply if not promise.is_over(now, self.settle_s)]
            if len(left) < len(session.may_apply) and all(promise.limit_a < self.floor_a for promise in left):
                left.insert(0, Promise(self.floor_a, now))
            session.may_apply = left

    # --- what follows -------------------------------------------------------------------------------------------------

    def stands(self, now: Instant) -> bool:
        """Whether what was derived last still holds."""
        return self._standing is not None and now.monotonic_s < self._standing.until_s

    def stand(self, now: Instant) -> Standing:
        """Lets time pass and says what the state means now; remembered as long as neither facts nor time change it."""
        standing = self._standing
        if standing is None or now.monotonic_s >= standing.until_s:
            self.expire(now)
            standing = self._standing = self._stand(now)
        return standing
