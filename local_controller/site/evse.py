"""How much may an EVSE draw at worst, and how much does it draw?

The worst case (`exposure_a`) is the largest of all limits that the station might be obeying just now: a lowered
limit counts with its old value until a measurement proves the new one, a raised one counts from the moment it is
sent, a lost station counts with the larger of its last limit and its fallback, a station without a known fallback
with its maximum (LC-107, LC-108, LC-111, house rule 5).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

from local_controller.clock import Instant
from local_controller.profiles.schedule import Schedule
from local_controller.site.per_phase import PHASES, ZERO, PerPhase, lower, on, upper
from local_controller.site.topology import Evse
from local_controller.station.words import ChargingState, MeterSample

SETTLE_S: Final = 10.0
"""From an accepted limit to a car that follows: 5 s PWM change plus 5 s reaction (grid-and-safety §7)."""

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

OVERDRAW: Final = 1.1
OVERDRAW_A: Final = 0.5
"""Stations tolerate 10 % + 0.5 A above the limit (EVerest EvseManager, grid-and-safety §4.8)."""

WATTS_START: Final = 230.0 / 207.0
"""Watts are commanded at the lowest voltage (207 V) but must reach the minimum current at 230 V."""

PHASE_ON_A: Final = 1.0
PHASE_OFF_A: Final = 0.5
PHASE_PROOF_A: Final = 3.0
PHASE_PROOF_SAMPLES: Final = 3
"""A phase is out of use after three samples below 0.5 A while another carries 3 A; one sample above 1 A brings it back."""


@dataclass(slots=True)
class Promise:
    """A limit that the station might be obeying, in A per phase.

    accepted_at: None while unanswered. until: when the station falls back by itself; None for the fallback itself.
    """

    limit_a: float
    accepted_at: Instant | None = None
    until: Instant | None = None


@dataclass(frozen=True, slots=True)
class Drawn:
    """What the station measured, on the phases of the grid."""

    current_a: PerPhase
    at: Instant


@dataclass(slots=True)
class Session:
    """A running transaction as the site sees it; everything in it ends with the transaction."""

    transaction_id: str
    started_at: Instant
    may_apply: list[Promise]
    charging_state: ChargingState | None = None
    drawn: Drawn | None = None
    suspended_at: Instant | None = None
    raised_at: Instant | None = None
    lowered_at: Instant | None = None
    ordered_a: float | None = None
    ordered_at: Instant | None = None
    unsent_a: float | None = None
    unconfirmed_at: Instant | None = None
    idle_phases: dict[int, int] = field(default_factory=dict)
    energy_wh: float | None = None
    departure: datetime | None = None
    start_register_wh: float | None = None
    register_wh: float | None = None


@dataclass(slots=True)
class EvseState:
    """One EVSE: what it may draw, what it draws, what it was told. Limits are amperes per phase in use."""

    evse: Evse
    connected: bool = False
    seen: bool = False
    fallback_a: float | None = None
    fallback_doubted_at: Instant | None = None
    watts_only: bool = False
    session: Session | None = None
    csms: Schedule = field(default_factory=Schedule.unlimited)

    def __post_init__(self) -> None:
        """A station that was never seen counts with the fallback that the site file declares for it."""
        self.fallback_a = self.evse.fallback_a

    # --- facts ---------------------------------------------------------------------------------------------------

    def connected_now(self, now: Instant) -> None:
        """The station is back, perhaps rebooted: its fallback must be confirmed again within `CONFIRM_S`."""
        self.connected = self.seen = True
        if self.fallback_a is not None:
            self.fallback_doubted_at = now

    def fallback_answered(self, limit_a: float | None) -> None:
        """The station holds this fallback, or refused to (None)."""
        self.fallback_a, self.fallback_doubted_at = limit_a, None

    def started(self, transaction_id: str, now: Instant) -> None:
        """A transaction began, under the fallback."""
        if self.session is None or self.session.transaction_id != transaction_id:
            self.session = Session(transaction_id, now, [Promise(self.floor_a, now)])

    def ended(self, transaction_id: str) -> None:
        """The transaction is over: its TxProfile is gone, the fallback is left (LC-079)."""
        if self.session is not None and self.session.transaction_id == transaction_id:
            self.session = None

    def charging_state_is(self, state: ChargingState, now: Instant) -> None:
        """The station says whether the car charges; a suspended car draws nothing from now on."""
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
            session.start_register_wh = (
                sample.energy_wh if session.start_register_wh is None else session.start_register_wh
            )
        if not sample.current_a:
            return
        session.drawn = Drawn(self.evse.on_grid(sample.current_a), now)
        self._learn_phases(session)
        self._prove(session, now)

    @staticmethod
    def _learn_phases(session: Session) -> None:
        drawn = session.drawn.current_a if session.drawn else ZERO
        charging = max(drawn) >= PHASE_PROOF_A
        for phase in PHASES:
            if drawn[phase] > PHASE_ON_A:
                session.idle_phases.pop(phase, None)
            elif charging and drawn[phase] < PHASE_OFF_A:
                session.idle_phases[phase] = session.idle_phases.get(phase, 0) + 1

    def _prove(self, session: Session, now: Instant) -> None:
        """The newest limit is proven by a sample that was taken after the station had time to follow it."""
        newest = session.may_apply[-1]
        if newest.accepted_at is None or now.since(newest.accepted_at) < SETTLE_S:
            return
        if self.drawn_a(now) <= newest.limit_a * OVERDRAW + OVERDRAW_A:
            session.may_apply = [newest]

    # --- limits on their way -------------------------------------------------------------------------------------

    def ordered(self, limit_a: float, now: Instant) -> None:
        """The site asked the station's proxy for this limit."""
        session = self.session
        if session is None:
            return
        before_a = self.ordered_a
        session.raised_at = now if limit_a > before_a else session.raised_at
        session.lowered_at = now if limit_a < before_a else session.lowered_at
        session.ordered_a, session.ordered_at, session.unsent_a = limit_a, now, limit_a
        if session.unconfirmed_at is not None:
            session.unconfirmed_at = now

    def sent(self, limit_a: float, until: Instant) -> None:
        """The limit is on the wire: from now on the station obeys this one or an older one."""
        if self.session is not None:
            self.session.may_apply.append(Promise(limit_a, None, until))
            self.session.unsent_a = None

    def accepted(self, limit_a: float, now: Instant, until: Instant) -> None:
        """The station said yes. Older, lower limits no longer matter; older, higher ones do until it is measured."""
        session = self.session
        if session is None:
            return
        session.unconfirmed_at = None
        older = [p for p in session.may_apply if p.accepted_at is not None or p.limit_a != limit_a]
        session.may_apply = [*(p for p in older if p.limit_a > limit_a), Promise(limit_a, now, until)]

    def refused(self, limit_a: float, now: Instant) -> None:
        """The station said no to the newest limit: it was never applied, the older ones hold."""
        session = self.session
        if session is None:
            return
        kept = [p for p in session.may_apply if p.accepted_at is not None or p.limit_a != limit_a]
        session.may_apply = kept or [Promise(self.floor_a)]
        self.unconfirmed(now)

    def unconfirmed(self, now: Instant) -> None:
        """What was ordered last was not confirmed; the next attempt starts from what may be in force."""
        if self.session is not None:
            self.session.ordered_a, self.session.ordered_at, self.session.unsent_a = None, None, None
            self.session.unconfirmed_at = now

    def expire(self, now: Instant) -> None:
        """Time passes: doubts become certainty, working limits run out."""
        if self.fallback_doubted_at is not None and now.since(self.fallback_doubted_at) > CONFIRM_S:
            self.fallback_answered(None)
        self._fall_back(now)

    def _fall_back(self, now: Instant) -> None:
        """A working limit that ran out leaves the station at its fallback, proven like any other lowered limit."""
        session = self.session
        if session is None:
            return
        over = [p for p in session.may_apply if p.until is not None and p.until.monotonic_s <= now.monotonic_s]
        newest_is_over = bool(over) and session.may_apply[-1] is over[-1]
        if newest_is_over and session.may_apply[-1].limit_a != self.floor_a:
            session.may_apply.append(Promise(self.floor_a, now))
            session.ordered_a, session.ordered_at = None, None

    # --- what follows --------------------------------------------------------------------------------------------

    @property
    def reachable(self) -> bool:
        """A session that can be told its limit just now."""
        return self.session is not None and self.connected

    def defiant(self, now: Instant) -> bool:
        """A session that does not follow: its neighbours must make room for its worst case (LC-115, G14).

        Its last limit or its renewals are not confirmed, or it was measured above a limit long after that was sent.
        """
        session = self.session
        if session is None or not self.connected:
            return False
        return session.unconfirmed_at is not None or self._may_fall_back(now) or self._overdraws(session, now)

    def _overdraws(self, session: Session, now: Instant) -> bool:
        if (
            session.drawn is None
            or session.lowered_at is None
            or session.drawn.at.since(session.lowered_at) < DEFIANCE_S
        ):
            return False
        return self.drawn_a(now) > self.ordered_a * OVERDRAW + OVERDRAW_A

    @property
    def floor_a(self) -> float:
        """What the station falls back to: its confirmed fallback, else anything up to its maximum (G12)."""
        return self.evse.max_a if self.fallback_a is None else self.fallback_a

    @property
    def ordered_a(self) -> float:
        """The limit that was last ordered, else the newest that may be in force."""
        if self.session is None:
            return self.floor_a
        if self.session.ordered_a is not None:
            return self.session.ordered_a
        return self.session.may_apply[-1].limit_a

    @property
    def acknowledged_a(self) -> float | None:
        """The newest limit that the station said yes to; None without a session."""
        said_yes = [p.limit_a for p in self.session.may_apply if p.accepted_at is not None] if self.session else []
        return said_yes[-1] if said_yes else None

    def drawn_a(self, now: Instant) -> float:
        """The largest phase current of a fresh sample, else 0."""
        return max(self.session.drawn.current_a) if self.sampled(now) and self.session and self.session.drawn else 0.0

    def sampled(self, now: Instant) -> bool:
        """Whether the station measured lately."""
        drawn = self.session.drawn if self.session else None
        return drawn is not None and now.since(drawn.at) <= SAMPLE_MAX_AGE_S

    def mute(self, now: Instant) -> bool:
        """A session whose station should have measured by now but did not: nothing above its fallback is granted."""
        session = self.session
        return session is not None and not self.sampled(now) and now.since(session.started_at) > SAMPLE_MAX_AGE_S

    def min_a(self, now: Instant) -> float:
        """The least current that lets the car charge.

        A station that takes watts only gets them as if all might flow on one phase; until the phases in use are
        measured, a three-phase car therefore needs three times the current's worth.
        """
        if not self.watts_only or self.drawn_a(now) >= PHASE_ON_A:
            return self.evse.min_a
        return self.evse.min_a * len(self.evse.grid_phases) * WATTS_START

    def exposure_a(self, now: Instant) -> float:
        """The most that may flow on each phase in use."""
        if self.session is None:
            return self.floor_a
        promised_a = max(promise.limit_a for promise in self.session.may_apply)
        fallback_a = self.floor_a if self._may_fall_back(now) else 0.0
        return max(promised_a, self.session.unsent_a or 0.0, fallback_a, self.drawn_a(now))

    def _may_fall_back(self, now: Instant) -> bool:
        """A lost station will, and so will one whose renewals are not confirmed; its neighbours make room in time."""
        if not self.connected or self.session is None:
            return True
        until = self.session.may_apply[-1].until
        return until is not None and until.since(now) < EXPIRY_LEAD_S

    def phases(self) -> tuple[int, ...]:
        """Grid phases that a current may flow on: all connected ones until some are proven idle (LC-112)."""
        idle = self.session.idle_phases if self.session else {}
        used = tuple(p for p in self.evse.grid_phases if idle.get(p, 0) < PHASE_PROOF_SAMPLES)
        return used or self.evse.grid_phases

    def exposure(self, now: Instant) -> PerPhase:
        """The worst case on each phase of the grid; a measured current counts wherever it flows."""
        worst = on(self.phases(), self.exposure_a(now))
        drawn = self.session.drawn if self.session and self.sampled(now) else None
        return worst if drawn is None else upper(worst, drawn.current_a)

    def draw_bounds(self, now: Instant) -> tuple[PerPhase, PerPhase]:
        """Between which currents the draw lies just now, per grid phase, as far as anything proves it.

        Without a proof the lower bound is 0: the grid meter's reading then counts as somebody else's load. The upper
        bound exceeds the last sample only while that sample is older than a raise (or the session is too young).
        """
        session = self.session
        if session is None or not self.connected or self.mute(now):
            return ZERO, ZERO
        if session.drawn is None or not self.sampled(now):
            return ZERO, self.exposure(now)
        drawn = session.drawn
        lowest_a = min(promise.limit_a for promise in session.may_apply)
        least = lower(drawn.current_a, on(PHASES, lowest_a))
        if session.suspended_at is not None and session.suspended_at.since(drawn.at) >= 0:
            least = ZERO
        outdated = session.raised_at is not None and drawn.at.since(session.raised_at) < SETTLE_S
        return least, upper(drawn.current_a, self.exposure(now)) if outdated else drawn.current_a

    def session_energy_wh(self) -> float | None:
        """Energy of the running transaction; None until the station's register was read twice."""
        session = self.session
        if session is None or session.register_wh is None or session.start_register_wh is None:
            return None
        return session.register_wh - session.start_register_wh
