"""How much may an EVSE draw at worst, and how much does it draw?

The worst case (`exposure_a`) is the largest of all limits that the station might be obeying just now: a lowered
limit counts with its old value until a measurement proves the new one, a raised one counts from the moment it is
sent, a lost station counts with the larger of its last limit and its fallback, a station without a known fallback
with its maximum (LC-107, LC-108, LC-111, house rule 5).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import wraps
from typing import Concatenate, Final, NamedTuple, ParamSpec, TypeVar

from local_controller.clock import Instant
from local_controller.profiles.schedule import Schedule
from local_controller.site.overdraw import tolerated_a
from local_controller.site.per_phase import PHASES, ZERO, PerPhase, lower, on, total, upper
from local_controller.site.phase_switch import OnePhase, Seen
from local_controller.site.session import Drawn, Promise, Session
from local_controller.site.topology import Evse
from local_controller.site.used_phases import PHASE_OFF_A, PHASE_ON_A, PHASE_PROOF_A, carrying
from local_controller.station.words import BehaviourLearnt, ChargingState, ForeignLimit, LimitKind, MeterSample

SETTLE_S: Final = 10.0
"""From an accepted limit to a car that follows: 5 s PWM change plus 5 s reaction (grid-and-safety §7)."""

FOLLOWED_S: Final = 15.0
"""After so long even the slowest have followed and the meter shows it: what it shows then is not theirs (goal G3)."""

CONFIRM_S: Final = 10.0
"""A station that (re)connects has this long to confirm its fallback before it counts with its maximum. No car gets from
a boot through authorization to full current in that time, and its neighbours are not disturbed by every reconnect."""

EXPIRY_LEAD_S: Final = 25.0
"""So long before a working limit ends unrenewed, the fallback counts: time to lower others, to measure it (10 s), and
for the slowest step (8 s). Renewals are sent when 55 % of the validity is left, 33 s of the shortest one."""

DEFIANCE_S: Final = 15.0
"""A station measured above its limit so long after it was lowered does not follow: the worst honest chain of answer,
PWM and car takes 12 s (grid-and-safety §7)."""

SAMPLE_MAX_AGE_S: Final = 150.0
"""A station's own measurement counts this long: a 60 s sampling interval, missed once, plus its transport."""

STRAY_MAX_AGE_S: Final = 1000.0
"""What is measured without a transaction counts so long: such samples come by the clock, every 15 min by many a default."""

WATTS_START: Final = 230.0 / 207.0
"""Watts are commanded at the lowest voltage (207 V) but must reach the minimum current at 230 V."""

STARTS_S: Final = 60.0
"""A car begins within that after it was offered enough, be it asleep (as a step test waits for one, `step_test.RESUME_S`)."""

PRESENT_S: Final = 300.0
"""So far ahead the CSMS's profiles count for what is granted now: a limit of ours is renewed before that is over."""

CLOCK_CHECK_S: Final = 10.0
"""The CSMS's profiles are looked at again after so long, although nothing changed: the wall clock may have been set."""


class DrawBounds(NamedTuple):
    """Between which currents a draw lies, per grid phase; when the lower one was measured (None: nothing proves it).

    followed_a: the most that is drawn if the car has followed, by now, what it was told since it was measured.
    """

    least_a: PerPhase
    most_a: PerPhase
    followed_a: PerPhase
    measured_at: Instant | None = None


def together(bounds: Sequence[DrawBounds]) -> DrawBounds:
    """The bounds of the sum of many draws, measured when the first of them was."""
    proofs = [bound.measured_at for bound in bounds if bound.measured_at is not None]
    return DrawBounds(
        total(bound.least_a for bound in bounds),
        total(bound.most_a for bound in bounds),
        total(bound.followed_a for bound in bounds),
        min(proofs, key=lambda at: at.monotonic_s, default=None),
    )


class Standing(NamedTuple):
    """What the state of an EVSE means: true until a fact changes it, at the latest until `until_s` (monotonic).

    follows: it has a session that can be controlled just now. phases, worst_a, exposure: what may flow where at worst.
    bounds: between which currents it draws. cap_a: the most that EVSE and CSMS allow now; is_modest: and no more than
    its fallback (`modest_a`), because it does not measure. is_uneven: it may load one phase more than another.
    wanted_wh: the energy still wanted, infinite where unknown.
    ends_s: when what is in force ends (monotonic); is_settled: nothing speaks for sending its limit again but that.
    """

    until_s: float
    follows: bool
    phases: tuple[int, ...]
    worst_a: float
    exposure: PerPhase
    bounds: DrawBounds
    ordered_a: float
    min_a: float
    cap_a: float
    modest_a: float
    is_modest: bool
    is_uneven: bool
    wanted_wh: float
    ends_s: float
    is_settled: bool


_P = ParamSpec("_P")
_T = TypeVar("_T")
_Method = Callable[Concatenate["EvseState", _P], _T]


def _fact(method: _Method[_P, _T]) -> _Method[_P, _T]:
    """Marks a method that changes the state: what was derived from it is derived anew."""

    @wraps(method)
    def changes(self: EvseState, /, *args: _P.args, **kwargs: _P.kwargs) -> _T:
        self._standing = None
        return method(self, *args, **kwargs)

    return changes


@dataclass(slots=True, eq=False)
class EvseState:
    """One EVSE: what it may draw, what it draws, what it was told. Limits are amperes per phase in use.

    known: since we run it booted, began a transaction or took a limit, so that none of an earlier run is in force unseen.
    fallback_a: None if the station refused it or may have lost it. confirmed: the station itself said yes to it.
    asserting: it connected and has not answered about its fallback yet.
    left_over: limits of the last transaction that may outlive it (one TxDefaultProfile for both).
    settle_s: from an accepted limit to a car that follows. least_a: it can be set to nothing lower. forgets: it loses its
    limits with its connection. every_s: it may be raised so often. lasts_s, lasting_cap_a: how long a limit lasts that
    nobody renews, and the most for that. said_state: whether a car charges, as the station said last, be it before the
    transaction has an id (1.6). csms_steps: `csms` as POSIX seconds and amperes. csms_least_a: rather than less the CSMS
    wants its car to get nothing. foreign: what it obeys besides
    ours and the CSMS's; None: not known of. stray, strays_since: what was measured
    last without a session, and since when. wire: what is known of charging on one of its phases.
    """

    evse: Evse
    connected: bool = False
    known: bool = False
    fallback_a: float | None = None
    confirmed: bool = False
    asserting: bool = False
    fallback_doubted_at: Instant | None = None
    left_over: list[Promise] = field(default_factory=list)
    watts_only: bool = False
    settle_s: float = SETTLE_S
    least_a: float = 0.0
    forgets: bool = False
    lasts_s: float = 0.0
    every_s: float = 0.0
    lasting_cap_a: float = math.inf
    session: Session | None = None
    said_state: ChargingState | None = None
    csms: Schedule = field(default_factory=Schedule.unlimited)
    csms_steps: tuple[tuple[float, float | None], ...] = ()
    csms_least_a: float = 0.0
    foreign: ForeignLimit | None = None
    stray: Drawn | None = None
    strays_since: Instant | None = None
    wire: OnePhase = field(default_factory=OnePhase)
    _standing: Standing | None = field(default=None, init=False, repr=False)

    def __post_init__(self) -> None:
        """A station that was never seen counts with the fallback that the site file declares for it."""
        self.fallback_a = self.evse.fallback_a

    # --- facts ---------------------------------------------------------------------------------------------------

    @_fact
    def connected_now(self, now: Instant, *, booted: bool = False) -> None:
        """The station is back: its profiles are asserted again, and until then either limit may be in force.

        After a boot, and until it was confirmed once, the fallback must be confirmed within `CONFIRM_S` (LC-041); a mere
        reconnect loses no profile (LC-042), and such a station may not be called before it calls itself.
        """
        self.connected = self.asserting = True
        self.known = self.known or booted
        if self.fallback_a is not None and (booted or not self.confirmed):
            self.fallback_doubted_at = now
        if self.session is not None:
            self.session.may_have_fallen_back = True
            if booted:
                self._count_on_all_phases(self.session)

    @_fact
    def lost(self) -> None:
        """The station has no connection any more; some lose all their limits with it."""
        self.connected, self.said_state = False, None
        if self.forgets:
            self.fallback_a, self.confirmed = None, False
            if self.session is not None:
                self.session.may_apply.append(Promise(self.evse.max_a, is_lost=True))
                self._count_on_all_phases(self.session)

    @_fact
    def takes(self, unit: str) -> None:
        """The station takes limits in this unit only."""
        self.watts_only = unit == "W"

    @_fact
    def behaves(self, known: BehaviourLearnt) -> None:
        """What the station is known to do."""
        self.settle_s = max(SETTLE_S, known.settle_s)
        self.least_a, self.forgets = min(known.least_a, self.evse.max_a), known.forgets
        self.lasts_s, self.every_s, self.wire.may = known.lasts_s, known.every_s, known.switching

    @_fact
    def capped_at(self, limit_a: float) -> None:
        """No more than this, whatever room there is: its limits outlast the gateway (`site.lasting`)."""
        self.lasting_cap_a = limit_a

    @_fact
    def needs(self, energy_wh: float | None, departure: datetime | None) -> bool:
        """What the driver or the car wants of the running session; False without one."""
        if self.session is None:
            return False
        self.session.energy_wh, self.session.departure = energy_wh, departure
        return True

    @_fact
    def csms_allows(self, schedule: Schedule, least_a: float = 0.0) -> bool:
        """What the CSMS's profiles allow from now on, and want at least where they allow anything; whether that is new."""
        before, self.csms, self.csms_least_a = (self.csms, self.csms_least_a), schedule, least_a
        self.csms_steps = tuple((at.timestamp(), limit_a) for at, limit_a in schedule.steps)
        return before != (schedule, least_a)

    @_fact
    def meets_foreign(self, found: ForeignLimit) -> None:
        """Something that nobody told it here limits the station, or lifts our limits."""
        self.foreign = None if found.is_none else found

    @_fact
    def fallback_answered(self, limit_a: float | None, now: Instant) -> None:
        """The station holds this fallback, or refused to (None)."""
        self.fallback_a, self.fallback_doubted_at = limit_a, None
        self.confirmed, self.asserting = limit_a is not None, False
        self.left_over = [] if self.confirmed else self.left_over
        session = self.session
        if session is not None and any(p.until is None and p.limit_a != self.floor_a for p in session.in_force()):
            session.may_apply.append(Promise(self.floor_a, now))

    @_fact
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

    @_fact
    def ended(self, transaction_id: str) -> None:
        """The transaction is over: its TxProfile is gone, the fallback is left (LC-079)."""
        if self.session is not None and self.session.transaction_id == transaction_id:
            self.left_over = [p for p in self.session.may_apply if p.until is not None or p.limit_a > self.floor_a]
            self.session = self.said_state = None

    @_fact
    def charging_state_is(self, state: ChargingState, now: Instant) -> None:
        """The station says whether the car charges; a suspended car draws nothing from now on (LC-073)."""
        self.said_state = state
        if self.session is None:
            return
        self.session.charging_state = state
        suspended = state is not ChargingState.CHARGING
        self.session.suspended_at = now if suspended else None

    def measured(self, sample: MeterSample, now: Instant) -> None:
        """A sample of the station's own meter: it may prove a lowered limit and the phases in use."""
        session = self.session
        if session is None:
            return
        if sample.energy_wh is not None:
            session.register_wh = sample.energy_wh
            if session.start_register_wh is None:
                session.start_register_wh = sample.energy_wh
        if self._repeats(session, sample, now):
            self._measured_again(session, now)
        else:
            self._take(session, sample, now)

    @_fact
    def strays(self, sample: MeterSample, now: Instant) -> bool:
        """A sample without a session: what flows counts although it cannot be limited; whether it is news that it flows.

        The second of two, so far apart that it is none of the closing ones of a session that has ended.
        """
        before, self.stray = self.stray, None
        if max(sample.current_a.values(), default=0.0) < PHASE_ON_A:
            self.strays_since = None
            return False
        self.strays_since = self.strays_since or now
        if now.since(self.strays_since) >= SETTLE_S:
            self.stray = Drawn(self.evse.on_grid(sample.current_a), now, sample.power_w)
        return before is None and self.stray is not None

    @_fact
    def _take(self, session: Session, sample: MeterSample, now: Instant) -> None:
        if not sample.current_a:
            return
        session.shown_a = sample.current_a
        session.drawn = Drawn(self.evse.on_grid(sample.current_a), now, sample.power_w)
        session.needs_all_phases |= self._does_not_start(session, now)
        if session.is_found and session.asked_a is None and max(session.drawn.current_a) >= self.evse.min_a:
            session.found_a = math.floor(max(session.drawn.current_a) * 10 + 1e-6) / 10
        session.uses.shown(
            session.drawn.current_a, shows_phases=self.evse.shows_phases, is_on_one=session.switch.is_on_one
        )
        self._learn_wire(session, carrying(session.drawn.current_a))
        self._learn_appetite(session, now)
        self._prove(session, now)
        self._judge(session, now)

    def _repeats(self, session: Session, sample: MeterSample, now: Instant) -> bool:
        """Whether a sample shows what the last one showed, and nothing is left to be learnt from it but age and energy."""
        drawn = session.drawn
        return (
            drawn is not None
            and self._standing is not None
            and session.shown_a == sample.current_a
            and not any(promise.has_settled(now, self.settle_s) for promise in session.may_apply[1:])
            and not session.is_defiant
            and not session.appetite.is_news(now)
            and not self._is_from_before(session, drawn.at, now)
            and (session.needs_all_phases or not self._does_not_start(session, now))
            and (session.suspended_at is None or session.suspended_at.since(drawn.at) < 0)
            and self._is_outdated(session, drawn.at) == self._is_outdated(session, now)
            and not session.uses.would_learn
            and max(drawn.current_a) <= tolerated_a(self.ordered_a)
        )

    def _measured_again(self, session: Session, now: Instant) -> None:
        """The last sample is as fresh as this one; what was derived from it stays, but for the energy still wanted."""
        drawn, standing = session.drawn, self._standing
        if drawn is None or standing is None or now.since(drawn.at) > SAMPLE_MAX_AGE_S:
            self._standing = None
        else:
            bounds, left_wh = standing.bounds, self.energy_left_wh()
            if bounds.measured_at is not None:
                standing = standing._replace(bounds=bounds._replace(measured_at=now))
            if left_wh is not None and left_wh != standing.wanted_wh:
                standing = standing._replace(wanted_wh=left_wh)
            self._standing = standing
        session.drawn = None if drawn is None else Drawn(drawn.current_a, now, drawn.power_w)

    def _learn_wire(self, session: Session, carried_by: Sequence[int]) -> None:
        """Which phase carries a car that is told to use one, and whether it uses one alone (LC-112)."""
        switch = session.switch
        if switch.told is None or not switch.is_on_one or not carried_by:
            return
        if len(carried_by) > 1:
            self.wire.is_disproved = True
            self._count_on_all_phases(session)
        elif carried_by[0] not in self.wire.lands_on(switch.told, self.evse):
            self.wire.surprised_by(switch.told)
        elif session.uses.spans and self.phases() == (carried_by[0],):
            self.wire.measured_on(switch.told, carried_by[0])

    def _learn_appetite(self, session: Session, now: Instant) -> None:
        """A car that charges, long after it was raised and while nothing else than its limit bounds it."""
        drawn_a, raised_at = self.drawn_a(now), session.raised_at
        if drawn_a >= PHASE_PROOF_A and (raised_at is None or now.since(raised_at) >= self._followed_s):
            session.appetite.shown(drawn_a, self.ordered_a, now)

    def _prove(self, session: Session, now: Instant) -> None:
        """A limit that a sample keeps, taken after the station had time to follow, proves that older ones are gone."""
        for i in reversed(range(len(session.may_apply))):
            promise = session.may_apply[i]
            if promise.has_settled(now, self.settle_s) and self.drawn_a(now) <= tolerated_a(promise.limit_a):
                session.may_apply = session.may_apply[i:]
                return

    def _judge(self, session: Session, now: Instant) -> None:
        """A car above its limit long after that was lowered does not follow, until it is measured at its limit again.

        Nor does one above all that it may obey by now, be it told less and less all the time.
        """
        drawn_a = self.drawn_a(now)
        if drawn_a <= tolerated_a(self.ordered_a):
            session.is_defiant = False
        elif now.since(session.lowered_at or session.started_at) >= DEFIANCE_S + self.settle_s - SETTLE_S:
            session.is_defiant = True
        elif session.settled(now, self._followed_s)[0].has_settled(now, self._followed_s):
            session.is_defiant |= drawn_a > tolerated_a(self._followed_a(session, now))

    # --- on how many phases --------------------------------------------------------------------------------------

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

    @_fact
    def phases_accepted(self, phases: int | None, now: Instant) -> None:
        """The station said yes to a limit on so many phases. Who charges on one and is told otherwise may use all again."""
        if self.session is not None and self.session.switch.answered(phases, now):
            self._count_on_all_phases(self.session)

    @staticmethod
    def _count_on_all_phases(session: Session) -> None:
        """It is not, or no longer, on the one phase it was told: that others carried nothing then says nothing now."""
        if session.switch.is_on_one:
            session.uses.forget_idle()
        session.switch.fell_back()

    def is_at_zero(self, now: Instant) -> bool:
        """Whether nothing may flow, as was measured; without measurements: once it said yes and the car had its time.

        What is foreign matters where it lifts the limit of the session.
        """
        session = self.session
        if session is None or self._may_fall_back(now) or self.foreign_limit_a > 0.0:
            return False
        is_measured = self.sampled(now)
        obeyed = session.may_apply if is_measured else session.settled(now, self.settle_s)
        if session.unsent_a or any(promise.limit_a > 0.0 for promise in obeyed):
            return False
        has_settled = any(promise.has_settled(now, self.settle_s) for promise in obeyed)
        return has_settled and (not is_measured or max(self.measured_a(now)) <= PHASE_OFF_A)

    # --- limits on their way -------------------------------------------------------------------------------------

    @_fact
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
        session.ordered_at = now
        if session.unconfirmed_at is not None:
            session.unconfirmed_at, session.tried_a = now, limit_a

    @_fact
    def postponed(self, until: Instant) -> None:
        """What was ordered was not sent, as the station is seldom written to: what held holds."""
        if self.session is not None:
            self.session.ordered_a, self.session.unsent_a, self.session.postponed_until = None, None, until

    @_fact
    def sent(self, limit_a: float, until: Instant | None) -> None:
        """The limit is on the wire: from now on the station obeys this one or an older one. until None: for ever."""
        if self.session is not None:
            self.session.may_apply.append(Promise(limit_a, None, until))
            self.session.unsent_a = None

    @_fact
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

    @_fact
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
            self._count_on_all_phases(session)
        if limit_a > session.may_apply[-1].limit_a and session.unconfirmed_at is None:
            session.ordered_a, session.unsent_a, session.raise_refused_at = None, None, now
        else:
            self.unconfirmed(now)

    @_fact
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

        Where nothing can prove it, because nothing is measured, it counts no longer than the car needs to follow (G12).
        """
        if all(promise.is_over(now) for promise in session.in_force()):
            session.may_apply.append(Promise(self.floor_a, now))
            session.ordered_a, session.ordered_at = None, None
            self._count_on_all_phases(session)
        if not self.connected or self.mute(now):
            session.may_apply = [promise for promise in session.may_apply if not promise.is_over(now, self.settle_s)]

    # --- what follows --------------------------------------------------------------------------------------------

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

    def _stand(self, now: Instant) -> Standing:
        session = self.session
        end = None if session is None else session.ends_at()
        worst_a, left_wh = self.exposure_a(now), self.energy_left_wh()
        exposure = self._on_grid(worst_a, now)
        return Standing(
            until_s=self._unchanged_until_s(now),
            follows=session is not None and self.connected and not self.defiant(now),
            phases=self.phases(),
            worst_a=worst_a,
            exposure=exposure,
            bounds=self._bounds(exposure, now),
            ordered_a=self.ordered_a,
            min_a=self.min_a(now),
            cap_a=self._allowed_a(now),
            modest_a=self.modest_a,
            is_modest=self.mute(now),
            is_uneven=self.is_uneven(now),
            wanted_wh=math.inf if left_wh is None else left_wh,
            ends_s=math.inf if end is None else end.monotonic_s,
            is_settled=session is not None
            and session.unconfirmed_at is None
            and not session.may_have_fallen_back
            and session.asked_phases == session.switch.told,
        )

    def _unchanged_until_s(self, now: Instant) -> float:
        """The next moment at which time alone may change what the state means."""
        turns_s = [now.monotonic_s + CLOCK_CHECK_S if self.csms.steps else math.inf]
        session = self.session
        if self.fallback_doubted_at is not None:
            turns_s.append(self.fallback_doubted_at.monotonic_s + CONFIRM_S)
        if self.stray is not None:
            turns_s += (self.stray.at.monotonic_s + age_s for age_s in (SAMPLE_MAX_AGE_S, STRAY_MAX_AGE_S))
        if session is not None:
            turns_s += (session.started_at.monotonic_s + SAMPLE_MAX_AGE_S, self._waits_until_s(session))
            if session.drawn is not None:
                turns_s.append(session.drawn.at.monotonic_s + SAMPLE_MAX_AGE_S)
            for promise in session.may_apply:
                if promise.accepted_at is not None:
                    turns_s.append(promise.accepted_at.monotonic_s + self._followed_s)
                if promise.until is not None:
                    end_s = promise.until.monotonic_s
                    turns_s += (end_s - EXPIRY_LEAD_S, end_s, end_s + self.settle_s)
        turns_s += [promise.until.monotonic_s for promise in self.left_over if promise.until is not None]
        now_s = now.monotonic_s
        return min([at_s for at_s in turns_s if at_s >= now_s])

    def _allowed_a(self, now: Instant) -> float:
        """The most that EVSE and CSMS allow within `PRESENT_S`."""
        most_a = self.most_a
        if not self.csms.steps:
            return most_a
        lowest_a = self.csms.lowest(now.utc, now.utc + timedelta(seconds=PRESENT_S))
        return most_a if lowest_a is None else min(lowest_a, most_a)

    @property
    def most_a(self) -> float:
        """The most that it may ever be told."""
        return min(self.evse.max_a, self.lasting_cap_a)

    @property
    def useful_a(self) -> float:
        """The most that a plan should reckon with: what it may be told, as far as its car takes that."""
        if self.session is None:
            return self.most_a
        return min(self.most_a, max(self.session.appetite.useful_a, self.evse.min_a, self.csms_least_a))

    @property
    def tapers(self) -> bool:
        """Whether the car of the running session was seen to take less and less."""
        return self.session is not None and self.session.appetite.tapers

    def energy_left_wh(self) -> float | None:
        """What the running session still wants; None where nobody said."""
        if self.session is None or self.session.energy_wh is None:
            return None
        return max(0.0, self.session.energy_wh - (self.session_energy_wh() or 0.0))

    @property
    def ignores_its_limit(self) -> bool:
        """The session was measured above its limit (LC-115)."""
        return self.session is not None and self.session.is_defiant

    @property
    def refuses(self) -> bool:
        """The session's last limit was refused."""
        return self.session is not None and self.session.refusals > 0

    def defiant(self, now: Instant) -> bool:
        """A session that does not follow: its neighbours must make room for its worst case (LC-115, G14).

        Its last limit or its renewals are not confirmed, or it was measured above a limit long after that was sent.
        """
        session = self.session
        if session is None or not self.connected:
            return False
        return session.unconfirmed_at is not None or session.is_defiant or self._runs_out(session, now)

    @property
    def floor_a(self) -> float:
        """What the station falls back to: its confirmed fallback, else anything up to its maximum (G12).

        Where a foreign profile lifts the fallback, what that allows.
        """
        if self.fallback_a is None:
            return self.evse.max_a
        return max(self.fallback_a, self.foreign_fallback_a) if self.foreign is not None else self.fallback_a

    @property
    def foreign_fallback_a(self) -> float:
        """Up to what a foreign profile lifts the fallback; 0 if none does."""
        return 0.0 if self.foreign is None else self._lifted_a(self.foreign.fallback_a, LimitKind.FALLBACK)

    @property
    def foreign_limit_a(self) -> float:
        """Up to what a foreign profile lifts the limit of the running session; 0 if none does, or none runs."""
        return (
            0.0
            if self.foreign is None or self.session is None
            else self._lifted_a(self.foreign.limit_a, LimitKind.WORKING)
        )

    def _lifted_a(self, limit_a: float | None, kind: LimitKind) -> float:
        """What may be drawn; a mere maximum that nothing speaks for may be how the station says "none"."""
        if limit_a is None or self.foreign is None:
            return 0.0
        if kind in self.foreign.unproven and limit_a >= self.evse.max_a:
            return 0.0
        return min(limit_a, self.evse.max_a)

    @property
    def modest_a(self) -> float:
        """What a station is granted that cannot be trusted: its fallback, be it the one that it should hold."""
        return min(self.floor_a, self.evse.fallback_a)

    @property
    def ordered_a(self) -> float:
        """The limit that was last ordered, else the newest that may be in force; of an earlier run's, what it shows."""
        if self.session is None:
            return self.floor_a
        if self.session.ordered_a is not None:
            return self.session.ordered_a
        if self.session.found_a is not None and self.session.asked_a is None:
            return self.session.found_a
        return self.session.may_apply[-1].limit_a

    @property
    def acknowledged_a(self) -> float | None:
        """The newest limit that the station said yes to; None without a session."""
        said_yes = [p.limit_a for p in self.session.may_apply if p.accepted_at is not None] if self.session else []
        return said_yes[-1] if said_yes else None

    def drawn_a(self, now: Instant) -> float:
        """The largest phase current of a fresh sample, else 0."""
        return max(self.measured_a(now))

    def measured_a(self, now: Instant) -> PerPhase:
        """A fresh sample on the phases of the grid, else 0."""
        return self._drawn.current_a if self._drawn is not None and self.sampled(now) else ZERO

    @property
    def _drawn(self) -> Drawn | None:
        """The last sample, of whatever age."""
        return self.stray if self.session is None else self.session.drawn

    def sampled(self, now: Instant) -> bool:
        """Whether the station measured lately."""
        return self._drawn is not None and now.since(self._drawn.at) <= SAMPLE_MAX_AGE_S

    def measured_since(self, moment: Instant) -> bool:
        """Whether the station has measured at that moment or later."""
        drawn = self.session.drawn if self.session else None
        return drawn is not None and drawn.at.since(moment) >= 0

    def mute(self, now: Instant) -> bool:
        """A session whose station should have measured by now but did not: nothing above its fallback is granted."""
        session = self.session
        return session is not None and not self.sampled(now) and now.since(session.started_at) > SAMPLE_MAX_AGE_S

    def min_a(self, now: Instant) -> float:
        """The least current that lets the car charge, and that its CSMS wants for it, as far as it can be had (LC-110)."""
        most_a = min(self.modest_a, self._allowed_a(now)) if self.mute(now) else self._allowed_a(now)
        return max(self._starting_a(now), min(self.csms_least_a, most_a))

    def _starting_a(self, now: Instant) -> float:
        """The least current that lets the car charge.

        A station that takes watts only gets them as if all might flow on one phase, until its car was measured. A car on
        three needs three times the current's worth: it waits for that for a while. Where it is not to be had, what is
        enough for a car on one phase is tried; one that does not begin needs all. A pause does not make that forgotten.
        """
        session = self.session
        if not self.watts_only or (session is not None and session.uses.has_drawn):
            return self.evse.min_a
        needs_all = session is not None and (session.needs_all_phases or now.monotonic_s < self._waits_until_s(session))
        return self.evse.min_a * WATTS_START * (len(self.evse.station_phases) if needs_all else 1)

    def _waits_until_s(self, session: Session) -> float:
        """So long a station that takes watts only waits for what a car on all its phases needs."""
        return session.started_at.monotonic_s + STARTS_S

    def _does_not_start(self, session: Session, now: Instant) -> bool:
        """Whether a car draws nothing although it was offered long enough what one phase needs."""
        offered_at, drawn = session.offered_at, session.drawn
        if offered_at is None or drawn is None or session.uses.has_drawn or max(drawn.current_a) >= PHASE_ON_A:
            return False
        return now.since(offered_at) >= STARTS_S + self.settle_s

    def exposure_a(self, now: Instant) -> float:
        """The most that may flow on each phase in use."""
        if self.session is None:
            return max([self.floor_a, *self._left_over_a(now)])
        promised_a = max([promise.limit_a for promise in self.session.may_apply])
        fallback_a = self.floor_a if self._may_fall_back(now) else 0.0
        ordered_a = max(promised_a, self.session.unsent_a or 0.0, fallback_a, self.drawn_a(now))
        return ordered_a if self.foreign is None else max(ordered_a, self.foreign_limit_a)

    def _left_over_a(self, now: Instant) -> list[float]:
        """Limits of the last transaction that may outlive it: nobody would see a car come to a lost station.

        What ends by itself is written anew before such a car is heard of; a setting of the maker goes on for ever.
        """
        lasts = math.isinf(self.lasts_s)
        return [
            p.limit_a
            for p in self.left_over
            if (lasts if p.until is None else not self.connected and not p.is_over(now))
        ]

    def _may_fall_back(self, now: Instant) -> bool:
        """A lost station will, and so will one whose renewals are not confirmed; its neighbours make room in time."""
        session = self.session
        return session is None or not self.connected or session.may_have_fallen_back or self._runs_out(session, now)

    @staticmethod
    def _runs_out(session: Session, now: Instant) -> bool:
        end = session.ends_at()
        return end is not None and end.since(now) < EXPIRY_LEAD_S

    def phases(self) -> tuple[int, ...]:
        """Grid phases that a current may flow on: all connected ones until some are proven idle (LC-112).

        Of a car that was told to use one phase: that one if it is known which, else all until it is measured.
        """
        session = self.session
        if session is None:
            return self.evse.grid_phases
        told = session.switch.told
        wired = self.wire.lands_on(told, self.evse) if told is not None and told.phases == 1 else self.evse.grid_phases
        return session.uses.of(wired)

    def is_uneven(self, now: Instant) -> bool:
        """Whether it may load one phase more than another: whatever was not just measured to load three alike (goal G13)."""
        return self.session is None or not (self.session.uses.is_even and self.sampled(now))

    def exposure(self, now: Instant) -> PerPhase:
        """The worst case on each phase of the grid; a measured current counts wherever it flows."""
        return self._on_grid(self.exposure_a(now), now)

    def _on_grid(self, worst_a: float, now: Instant) -> PerPhase:
        worst = on(self.phases(), worst_a)
        if self.session is not None and self.session.switch.is_on_one:
            worst = upper(worst, on(self.evse.grid_phases, self._on_all_phases_a(worst_a, now)))
        stray = self.stray if self.session is None else None
        if stray is not None and now.since(stray.at) <= STRAY_MAX_AGE_S:
            return upper(worst, stray.current_a)
        return upper(worst, self.measured_a(now))

    def _on_all_phases_a(self, worst_a: float, now: Instant) -> float:
        """What one that was told to use one phase may draw on all of them.

        By a fallback, by what is foreign, by what is not proven to be gone: none of that says anything of phases.
        """
        if self.foreign is not None or self.session is None:
            return worst_a
        wider_a = max((promise.limit_a for promise in self.session.may_apply if promise.is_wider), default=0.0)
        return max(wider_a, self.floor_a if self._may_fall_back(now) else 0.0)

    def draw_bounds(self, now: Instant) -> DrawBounds:
        """Between which currents the draw lies just now, per grid phase, as far as anything proves it.

        Without a proof the lower bound is 0: the grid meter's reading then counts as somebody else's load. The upper
        bound exceeds the last sample only while that sample is older than a raise (or the session is too young).
        """
        return self._bounds(self.exposure(now), now)

    def _bounds(self, exposure: PerPhase, now: Instant) -> DrawBounds:
        session, stray = self.session, self.stray
        if session is None and stray is not None and self.connected and self.sampled(now):
            return DrawBounds(stray.current_a, stray.current_a, stray.current_a, stray.at)
        if session is None or not self.connected or self.mute(now):
            return DrawBounds(ZERO, ZERO, ZERO)
        followed = on(PHASES, self._followed_a(session, now))
        if session.drawn is None or not self.sampled(now):
            return DrawBounds(ZERO, exposure, lower(exposure, followed))
        drawn = session.drawn
        most = upper(drawn.current_a, exposure) if self._is_outdated(session, drawn.at) else drawn.current_a
        followed = lower(most, followed) if self._is_from_before(session, drawn.at, now) else most
        lowest_a = min([promise.limit_a for promise in session.may_apply])
        least = drawn.current_a if session.is_defiant else lower(drawn.current_a, on(PHASES, lowest_a))
        if session.rests or least == ZERO:
            return DrawBounds(ZERO, most, followed)
        return DrawBounds(least, most, followed, drawn.at)

    def _followed_a(self, session: Session, now: Instant) -> float:
        """The most that an honest car draws by now, be that measured or not: what it was told less has reached it."""
        fallback_a = self.floor_a if self._may_fall_back(now) else 0.0
        told_a = max([promise.limit_a for promise in session.settled(now, self._followed_s)])
        return max(told_a, session.unsent_a or 0.0, fallback_a, self.foreign_limit_a)

    def _is_from_before(self, session: Session, drawn_at: Instant, now: Instant) -> bool:
        """Whether the car was last measured before it had to follow what holds by now."""
        told = session.settled(now, self._followed_s)[0]
        return told.has_settled(now, self._followed_s) and not told.has_settled(drawn_at, self._followed_s)

    @property
    def _followed_s(self) -> float:
        return self.settle_s + FOLLOWED_S - SETTLE_S

    def _is_outdated(self, session: Session, drawn_at: Instant) -> bool:
        """Whether a car may have followed a raise since it was measured."""
        return session.raised_at is not None and drawn_at.since(session.raised_at) < self._followed_s

    def session_energy_wh(self) -> float | None:
        """Energy of the running transaction; None until the station's register was read twice."""
        session = self.session
        if session is None or session.register_wh is None or session.start_register_wh is None:
            return None
        return session.register_wh - session.start_register_wh
