"""How much may an EVSE draw at worst, and how much does it draw?

The worst case (`exposure_a`) is the largest of all limits that the station might be obeying just now: a lowered
limit counts with its old value until a measurement proves the new one, a raised one counts from the moment it is
sent, a lost station counts with the larger of its last limit and its fallback, a station without a known fallback
with its maximum (LC-107, LC-108, LC-111, house rule 5).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from local_controller.clock import Instant
from local_controller.site.known_evse import (
    EXPIRY_LEAD_S,
    SAMPLE_MAX_AGE_S,
    KnownEvse,
)
from local_controller.site.per_phase import PHASES, ZERO, PerPhase, lower, minus, on, upper
from local_controller.site.session import Session
from local_controller.site.standing import DrawBounds, Standing
from local_controller.site.used_phases import PHASE_OFF_A, PHASE_ON_A

CONFIRM_S: Final = 10.0
"""A station that (re)connects has this long to confirm its fallback before its neighbours are lowered to make room for its
maximum; until then nobody is raised into that. No car gets from a boot through authorization to full current in that time,
and its neighbours are not disturbed by every reconnect."""

STRAY_MAX_AGE_S: Final = 1000.0
"""What is measured without a transaction counts so long: such samples come by the clock, every 15 min by many a default."""

STARTS_S: Final = 60.0
"""A car begins within that after it was offered enough, be it asleep (as a step test waits for one, `step_test.RESUME_S`)."""

PRESENT_S: Final = 300.0
"""So far ahead the CSMS's profiles count for what is granted now: a limit of ours is renewed before that is over."""

CLOCK_CHECK_S: Final = 10.0
"""The CSMS's profiles are looked at again after so long, although nothing changed: the wall clock may have been set."""


@dataclass(slots=True, eq=False)
class WorstCase(KnownEvse):
    """One EVSE: what may flow there, and what it needs and may have."""

    def min_a(self, now: Instant) -> float:
        """The least current that lets the car charge, and that its CSMS wants for it, as far as it can be had (LC-110)."""
        most_a = min(self.modest_a, self._allowed_a(now)) if self.mute(now) else self._allowed_a(now)
        return max(self._starting_a(now), min(self.csms_least_a, most_a))

    def _allowed_a(self, now: Instant) -> float:
        """The most that EVSE and CSMS allow within `PRESENT_S`."""
        most_a = self.most_a
        if not self.csms.steps:
            return most_a
        lowest_a = self.csms.lowest(now.utc, now.utc + timedelta(seconds=PRESENT_S))
        return most_a if lowest_a is None else min(lowest_a, most_a)

    def _starting_a(self, now: Instant) -> float:
        """The least current that lets the car charge.

        A station that takes watts only gets them as if all might flow on one phase, until its car was measured. A car on
        three needs three times the current's worth: it waits for that for a while. Where it is not to be had, what is
        enough for a car on one phase is tried; one that does not begin needs all. A pause does not make that forgotten.
        What a phase can carry at most is enough in any case: then watts are told for all of them.
        """
        session = self.session
        if not self.watts_only or (session is not None and session.uses.has_drawn):
            return self.keeps_going_a
        needs_all = session is not None and (session.needs_all_phases or now.monotonic_s < self._waits_until_s(session))
        return self._most_to_begin_a if needs_all else self.keeps_going_a

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

    @property
    def unproven_a(self) -> float:
        """Up to what it may draw although its worst case does not say so yet: it has just come, and confirmed nothing (LC-041)."""
        return 0.0 if self.fallback_doubted_at is None else self.evse.max_a

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
        if session is None or not self.connected:
            return DrawBounds(ZERO, ZERO, ZERO)
        if self.mute(now):
            return self._unheard(session, exposure, now)
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

    def _unheard(self, session: Session, exposure: PerPhase, now: Instant) -> DrawBounds:
        if self.defiant(now):
            return DrawBounds(ZERO, ZERO, ZERO)
        unheard_a = minus(exposure, on(self.phases(), self._good_faith_a(session, self.exposure_a(now), now)))
        return DrawBounds(ZERO, ZERO, ZERO, unheard_a=unheard_a, is_unheard=True)

    def _followed_a(self, session: Session, now: Instant) -> float:
        """The most that an honest car draws by now, be that measured or not: what it was told less has reached it."""
        fallback_a = self.floor_a if self._may_fall_back(now) else 0.0
        told_a = max([promise.limit_a for promise in session.settled(now, self._followed_s)])
        return max(told_a, session.unsent_a or 0.0, fallback_a, self.foreign_limit_a)

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

    def _good_faith_a(self, session: Session, worst_a: float, now: Instant) -> float:
        """What of the worst case is there only because nothing measures that the station does what it said yes to."""
        return max(0.0, worst_a - self._followed_a(session, now)) if self.mute(now) and not self.defiant(now) else 0.0

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
            good_faith_a=0.0 if session is None or not self.connected else self._good_faith_a(session, worst_a, now),
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
            and not session.is_unheeded
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
