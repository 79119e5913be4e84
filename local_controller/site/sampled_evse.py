"""What does a sample of the station's own meter prove: of limits, of phases, of the car?"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from local_controller.clock import Instant
from local_controller.profiles.overdraw import tolerated_a
from local_controller.site.known_evse import SAMPLE_MAX_AGE_S, SETTLE_S, fact
from local_controller.site.session import Drawn, Session
from local_controller.site.used_phases import PHASE_ON_A, PHASE_PROOF_A, carrying
from local_controller.site.worst_case import WorstCase
from local_controller.station.words import MeterSample

DEFIANCE_S: Final = 15.0
"""A station measured above its limit so long after it was lowered does not follow: the worst honest chain of answer,
PWM and car takes 12 s (grid-and-safety §7)."""

AGAIN_S: Final = 10.0
"""So long after the decrease it is told again, once: it may have lost what it said yes to (G14)."""


@dataclass(slots=True, eq=False)
class SampledEvse(WorstCase):
    """One EVSE whose station measures."""

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

    @fact
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

    @fact
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
            session.count_on_all_phases()
        elif carried_by[0] not in self.wire.lands_on(switch.told, self.evse):
            self.wire.surprised_by(switch.told)
        elif session.uses.spans and self.phases() == (carried_by[0],):
            self.wire.measured_on(switch.told, carried_by[0])

    def _learn_appetite(self, session: Session, now: Instant) -> None:
        """A car that may charge, long after it was raised and while nothing else than its limit bounds it."""
        drawn_a, raised_at = self.drawn_a(now), session.raised_at
        may_charge = drawn_a >= PHASE_PROOF_A or self.ordered_a >= self.keeps_going_a
        if may_charge and (raised_at is None or now.since(raised_at) >= self._followed_s):
            session.appetite.shown(drawn_a, self.ordered_a / self.limit_per_a, now)

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
        drawn_a, lowered_s = self.drawn_a(now), now.since(session.lowered_at or session.started_at)
        lowered_s -= self.settle_s - SETTLE_S
        is_above = drawn_a > tolerated_a(self.ordered_a)
        session.is_unheeded = is_above and lowered_s >= AGAIN_S and session.was_only_lowered
        if not is_above:
            session.is_defiant = False
        elif lowered_s >= DEFIANCE_S:
            session.is_defiant = True
        elif session.settled(now, self._followed_s)[0].has_settled(now, self._followed_s):
            session.is_defiant |= drawn_a > tolerated_a(self._followed_a(session, now))
