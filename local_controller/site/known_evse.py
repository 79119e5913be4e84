"""What is known of one EVSE: what was said to it and by it, what it was measured to do, and what that says at once?"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import wraps
from typing import Concatenate, Final, ParamSpec, TypeVar

from local_controller.clock import Instant
from local_controller.profiles.schedule import Schedule
from local_controller.profiles.units import round_up
from local_controller.site.per_phase import ZERO, PerPhase
from local_controller.site.phase_switch import OnePhase
from local_controller.site.session import Drawn, Promise, Session
from local_controller.site.standing import Standing
from local_controller.site.topology import Evse
from local_controller.station.effects import CsmsLimitChanged
from local_controller.station.words import ChargingState, ForeignLimit, LimitKind

SETTLE_S: Final = 10.0
"""From an accepted limit to a car that follows: 5 s PWM change plus 5 s reaction (grid-and-safety §7)."""

FOLLOWED_S: Final = 15.0
"""After so long even the slowest have followed and the meter shows it: what it shows then is not theirs (goal G3)."""

EXPIRY_LEAD_S: Final = 25.0
"""So long before a working limit ends unrenewed, the fallback counts: time to lower others, to measure it (10 s), and
for the slowest step (8 s). Renewals are sent when 55 % of the validity is left, 33 s of the shortest one."""

SAMPLE_MAX_AGE_S: Final = 150.0
"""A station's own measurement counts this long: a 60 s sampling interval, missed once, plus its transport."""

WATTS_START: Final = 230.0 / 207.0
"""Watts are commanded at the lowest voltage (207 V) but must reach the minimum current at 230 V."""

WATTS_PER_A: Final = 253.0 / 207.0
"""Watts are told for the lowest voltage (207 V); where the highest is, a car draws so much less (EN 50160)."""

NOISE_A: Final = 1e-6
"""Rounding of sums; no station resolves it."""


@dataclass(slots=True, eq=False)
class KnownEvse:
    """One EVSE: what it may draw, what it draws, what it was told. Limits are amperes per phase in use.

    known: since we run it booted, began a transaction or took a limit, so that none of an earlier run is in force unseen.
    fallback_a: None if the station refused it or may have lost it. confirmed: the station itself said yes to it.
    asserting: it connected and has not answered about its fallback yet.
    left_over: limits of the last transaction that may outlive it (one TxDefaultProfile for both).
    settle_s: from an accepted limit to a car that follows. least_a: it can be set to nothing lower. forgets: it loses its
    limits with its connection. every_s: it may be raised so often. lasts_s, lasting_cap_a: how long a limit lasts that
    nobody renews, and the most for that. said_state: whether a car charges, as the station said last, be it before the
    transaction has an id (1.6). csms_steps: `csms` as POSIX seconds and amperes. csms_least_a: rather than less the CSMS
    wants its car to get nothing. is_silent: it is connected, but says nothing. foreign: what it obeys besides
    ours and the CSMS's; None: not known of. stray, strays_since: what was measured
    last without a session, and since when. wire: what is known of charging on one of its phases.
    """

    evse: Evse
    connected: bool = False
    is_silent: bool = False
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

    @property
    def is_reachable(self) -> bool:
        """Whether its station is there, as far as anybody can tell."""
        return self.connected and not self.is_silent

    @property
    def most_a(self) -> float:
        """The most that it may ever be told."""
        return min(self.evse.max_a, self.lasting_cap_a)

    @property
    def keeps_going_a(self) -> float:
        """The least current with which a car goes on: 6.67 A in watts, since 6 A at 207 V are 5.4 A at 230 V."""
        return self.evse.min_a * (WATTS_START if self.watts_only else 1.0)

    @property
    def useful_a(self) -> float:
        """The most that a plan should reckon with: what it may be told, as far as its car takes that."""
        if self.session is None:
            return self.most_a
        begins_a = self.keeps_going_a if self.session.uses.has_drawn else self._most_to_begin_a
        least_a = tenths_that_reach(max(begins_a, self.csms_least_a))  # else a plan, in tenths, would stop it
        return min(self.most_a, max(self.session.appetite.useful_a * self.limit_per_a, least_a))

    @property
    def limit_per_a(self) -> float:
        """So many amperes it must be told at most for one that flows."""
        return WATTS_PER_A if self.watts_only else 1.0

    @property
    def _most_to_begin_a(self) -> float:
        """With so much any car begins: one on all phases, at a station that takes watts only, needs all that a phase may carry."""
        if not self.watts_only:
            return self.keeps_going_a
        needs_a = self.keeps_going_a * len(self.evse.station_phases)
        return min(needs_a, max(self.keeps_going_a, self.evse.max_a))

    @property
    def takes_nothing(self) -> bool:
        """Whether the car of the running session may charge, or might when it was asked last, and does not."""
        return self.session is not None and self.session.appetite.takes_nothing

    @property
    def tapers(self) -> bool:
        """Whether the car of the running session was seen to take less and less."""
        return self.session is not None and self.session.appetite.tapers

    def energy_left_wh(self) -> float | None:
        """What the running session still wants; None where nobody said."""
        if self.session is None or self.session.energy_wh is None:
            return None
        return max(0.0, self.session.energy_wh - (self.session_energy_wh() or 0.0))

    def session_energy_wh(self) -> float | None:
        """Energy of the running transaction; None until the station's register was read twice."""
        session = self.session
        if session is None or session.register_wh is None or session.start_register_wh is None:
            return None
        return session.register_wh - session.start_register_wh

    @property
    def priority(self) -> int:
        """The charging priority that the CSMS gave the running transaction; 0 is usual."""
        return 0 if self.session is None else self.session.priority

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

        Its last limit or its renewals are not confirmed, or it was measured above a limit long after that was sent, or nothing
        comes from its station.
        """
        session = self.session
        if session is None or not self.connected:
            return False
        is_unconfirmed = session.unconfirmed_at is not None or self._runs_out(session, now)
        return is_unconfirmed or session.is_defiant or self.is_silent

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

    def knows_of_csms(self, told: CsmsLimitChanged) -> bool:
        """Whether that is what the CSMS's profiles allowed already."""
        return self.csms == told.schedule and self.csms_least_a == told.least_a

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
    def awaits_answer(self) -> bool:
        """Whether its station was just told another limit, and has said nothing to that yet."""
        newest = None if self.session is None else self.session.may_apply[-1]
        return newest is not None and newest.accepted_at is None and newest.until is not None and not newest.is_lost

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
        fresh = self._fresh(now)
        return ZERO if fresh is None else fresh.current_a

    @property
    def _drawn(self) -> Drawn | None:
        """The last sample, of whatever age."""
        return self.stray if self.session is None else self.session.drawn

    def sampled(self, now: Instant) -> bool:
        """Whether the station measured lately."""
        return self._fresh(now) is not None

    def _fresh(self, now: Instant) -> Drawn | None:
        drawn = self._drawn
        return drawn if drawn is not None and now.since(drawn.at) <= SAMPLE_MAX_AGE_S else None

    def measured_since(self, moment: Instant) -> bool:
        """Whether the station has measured at that moment or later."""
        drawn = self.session.drawn if self.session else None
        return drawn is not None and drawn.at.since(moment) >= 0

    def mute(self, now: Instant) -> bool:
        """A session whose station should have measured by now but did not: nothing above its fallback is granted."""
        session = self.session
        return session is not None and now.since(session.started_at) > SAMPLE_MAX_AGE_S and not self.sampled(now)

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

    @staticmethod
    def _runs_out(session: Session, now: Instant) -> bool:
        end = session.ends_at()
        return end is not None and end.since(now) < EXPIRY_LEAD_S

    def _may_fall_back(self, now: Instant) -> bool:
        """A lost station will, and so will one whose renewals are not confirmed; its neighbours make room in time."""
        session = self.session
        return session is None or not self.is_reachable or session.may_have_fallen_back or self._runs_out(session, now)

    @property
    def _followed_s(self) -> float:
        return self.settle_s + FOLLOWED_S - SETTLE_S

    def _is_from_before(self, session: Session, drawn_at: Instant, now: Instant) -> bool:
        """Whether the car was last measured before it had to follow what holds by now."""
        told = session.settled(now, self._followed_s)[0]
        return told.has_settled(now, self._followed_s) and not told.has_settled(drawn_at, self._followed_s)

    def _is_outdated(self, session: Session, drawn_at: Instant) -> bool:
        """Whether a car may have followed a raise since it was measured."""
        return session.raised_at is not None and drawn_at.since(session.raised_at) < self._followed_s


def tenths_that_reach(least_a: float) -> float:
    """Rounded up to what OCPP 1.6 can say: a car that needs 6.67 A (a station in watts) does not begin with 6.6 A."""
    return round_up(least_a, 0.1)


_Evse = TypeVar("_Evse", bound=KnownEvse)
_P = ParamSpec("_P")
_T = TypeVar("_T")


def fact(method: Callable[Concatenate[_Evse, _P], _T]) -> Callable[Concatenate[_Evse, _P], _T]:
    """Marks a method that changes what is known: what was derived from it is derived anew."""

    @wraps(method)
    def changes(self: _Evse, /, *args: _P.args, **kwargs: _P.kwargs) -> _T:
        self._standing = None
        return method(self, *args, **kwargs)

    return changes
