"""What is an EVSE given now, and what does the station hold because of that?"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime

from local_controller.clock import Instant
from local_controller.profiles.schedule import Schedule, lower
from local_controller.profiles.units import NOMINAL_VOLTAGE_V, RateUnit
from local_controller.station.blocks.actuator import NOT_FEWER, InWatts, Target, settable_a
from local_controller.station.blocks.evse_limits import EvseLimits
from local_controller.station.capability import Capability, Rung
from local_controller.station.state import StationState


@dataclass(frozen=True, slots=True)
class Held:
    """A limit of ours that a station holds, as it was told: in A per phase over its clock, in `unit`.

    fewer: how many phases it was told to use, where that is fewer.
    """

    limit: Schedule
    unit: RateUnit
    in_watts: InWatts
    fewer: Schedule = NOT_FEWER

    def shown_a(self, moment: datetime, phases: int) -> float | None:
        """What a station shows of it in A on so many phases; None where it does not hold.

        Watts were told for the lowest voltage and the phases that were known to be in use, and are shown for others.
        """
        limit_a = self.limit.at(moment)
        if limit_a is None or self.unit is RateUnit.A:
            return limit_a
        told = self.in_watts.shared_by(limit_a, self.fewer.at(moment))
        told_w = lower(self.in_watts.of(limit_a, told), self.in_watts.most_w.at(moment)) or 0.0
        return told_w / (self.in_watts.phase_v * phases)

    @property
    def ends(self) -> datetime | None:
        """When it ends by itself; None for never."""
        return self.limit.steps[-1][0] if self.limit.steps and self.limit.steps[-1][1] is None else None


@dataclass(frozen=True, slots=True)
class Standing:
    """One EVSE. allocated_a: what the site gives it (A per phase); while the station may obey a higher limit still, that.

    fallback_a: what it gives when nobody controls it. floor, working: what the station is known to hold, None if it is
    not known to. is_unsure: it may hold a working limit, or not. given_until: when the site's wish ends, in the station's
    clock.
    """

    allocated_a: float
    fallback_a: float
    floor: Held | None = None
    working: Held | None = None
    is_unsure: bool = False
    given_until: datetime | None = None

    def allocated(self, start: datetime) -> Schedule:
        """The site's share from `start` on: as it is now, and after the wish or the working limit not below the fallback."""
        later_a = max(self.allocated_a, self.fallback_a)
        ends = start if self.working is None else self.working.ends  # of one that it may hold: at any time
        if ends is not None and self.given_until is not None:
            ends = min(ends, self.given_until)
        if ends is None or later_a == self.allocated_a:
            return Schedule.constant(self.allocated_a, start)
        return (
            Schedule(((start, self.allocated_a), (ends, later_a)))
            if ends > start
            else Schedule.constant(later_a, start)
        )

    def may_end_before(self, end: datetime) -> bool:
        """Whether the station shows its floor from some moment before `end` on, though limits are renewed till then."""
        ends = None if self.working is None else self.working.ends
        return self.is_unsure or (ends is not None and ends < end)

    def shown_a(self, moment: datetime, phases: int) -> float | None:
        """What the station shows of our limits; None if that is not known."""
        if self.is_unsure:
            return None
        working_a = None if self.working is None else self.working.shown_a(moment, phases)
        if working_a is not None:
            return working_a
        return None if self.floor is None else self.floor.shown_a(moment, phases)


def standing_of(e: EvseLimits, state: StationState, now: Instant) -> Standing:
    """What this EVSE is given now, and what the station holds because of it."""
    at = state.station_time(now)
    is_wished = e.wish is not None and e.wish.until > now.utc and e.number in state.transactions
    given_a = e.wish.limit_a if e.wish is not None and is_wished else e.fallback_a
    floor = None
    if e.floor_rung is not None:
        floor = held_floor(e.held_fallback_a, e.floor_rung, state.capability, state.wiring.phase_v)
    working = None
    if e.held is not None and e.holds_after(at):
        working = held_working(e.held.target, e.held.rung, state.capability)
    possible = (push.target.working.at(at) for push in e.possible if push.target.working is not None)
    highest_a = max(given_a, e.in_force_a(at) or 0.0, *(limit_a or 0.0 for limit_a in possible))
    is_unsure = working is None and e.may_hold_after(at)
    until = state.to_station_time(e.wish.until) if e.wish is not None and is_wished else None
    return Standing(highest_a, e.fallback_a, floor, working, is_unsure, until)


def held_floor(
    limit_a: float | None, rung: Rung, capability: Capability, phase_v: float = NOMINAL_VOLTAGE_V
) -> Held | None:
    """The floor, which is told for a car on any single phase."""
    if limit_a is None:
        return None
    told_a = settable_a(limit_a, capability, rung.unit)
    return Held(Schedule.constant(told_a, datetime.min.replace(tzinfo=UTC)), rung.unit, InWatts(phase_v=phase_v))


def held_working(target: Target, rung: Rung, capability: Capability) -> Held | None:
    """The working limit."""
    if target.working is None:
        return None
    steps = ((t, None if a is None else settable_a(a, capability, rung.unit)) for t, a in target.working.steps)
    limit = Schedule(tuple(steps))
    return Held(limit, rung.unit, target.in_watts, target.fewer)
