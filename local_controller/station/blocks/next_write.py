"""What should be written into an EVSE next, and in which way? Nothing is written here, and no answer is judged.

The difference between what it should hold (`wanted`) and what it is known to hold (`EvseLimits.held`): a reduction first,
then the floor, then an increase; but no floor is raised before the limit that keeps a car below it. What goes to the whole station holds the lowest for all its EVSEs (LC-117).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime

from msgspec import structs

from local_controller.clock import Instant
from local_controller.profiles.profile import ALL_PHASES
from local_controller.profiles.units import RateUnit
from local_controller.station.blocks.actuator import FORESIGHT, Target
from local_controller.station.blocks.allowances import Allowances
from local_controller.station.blocks.evse_limits import EvseLimits
from local_controller.station.blocks.floor_trial import FloorTrials
from local_controller.station.blocks.push import NEVER
from local_controller.station.blocks.safe_floor import is_below, safe_floor
from local_controller.station.blocks.same_target import is_same
from local_controller.station.blocks.trials import Trials
from local_controller.station.blocks.vendor_setting import setting_a
from local_controller.station.blocks.wanted import Cap, Orders, cap_of, floor_of, wanted
from local_controller.station.blocks.whole_station import lowest_floor, lowest_of_all
from local_controller.station.blocks.write_budget import Budget
from local_controller.station.capability import Rung
from local_controller.station.knowledge import Actuator, FloorPlace
from local_controller.station.state import StationState
from local_controller.station.words import LimitKind


class NextWrite:
    """The next write of one station."""

    def __init__(
        self, state: StationState, allowances: Allowances, evses: Mapping[int, EvseLimits], trials: Trials
    ) -> None:
        """`evses` and `trials` are the writer's, which changes them."""
        self._state = state
        self._allowances = allowances
        self._evses = evses
        self._trials = trials

    def due(self, e: EvseLimits, now: Instant) -> Target | None:
        """What should be written next: a reduction first, then the floor, then an increase."""
        at, target = self._state.station_time(now), self.wanted(e, now)
        safe = safe_floor(e, target, [*self._missing(e, target, now)])
        floor_is_due = e.held_floor != safe.floor and not _waits(e, LimitKind.FALLBACK, now)
        if target.working is None:
            return safe if floor_is_due else None
        rung = self.rung(LimitKind.WORKING, now)
        is_due = rung is not None and not _waits(e, LimitKind.WORKING, now) and not self._holds(e, target, at)
        if rung is not None and rung.actuator is Actuator.VENDOR_KEY:  # one setting for both
            return target if is_due else None
        if rung is not None and rung.holds_floor:  # one profile for both
            is_wrong = e.held_floor != target.floor and not _waits(e, LimitKind.FALLBACK, now)
            return target if is_due or (is_wrong and not _waits(e, LimitKind.WORKING, now)) else None
        if floor_is_due and rung is not None and _is_one_profile(e, at) and not _waits(e, LimitKind.WORKING, now):
            return target  # the floor alone would end the limit that stands in the same profile
        if floor_is_due and not (is_due and (self._presses(e, target, at) or is_below(target, safe))):
            return structs.replace(safe, working=None)
        return target if is_due else None

    def _presses(self, e: EvseLimits, target: Target, at: datetime) -> bool:
        """Whether this limit goes before a floor."""
        return self.is_lower(e, target, at) or (e.wish is not None and e.wish.is_urgent)

    def _missing(self, e: EvseLimits, target: Target, now: Instant) -> Iterator[Cap]:
        """What the CSMS allows where the station has yet to take a working limit, and this floor would hold without it."""
        if not self._state.store.installed.entries:
            return  # it allows anything
        at, rung = self._state.station_time(now), self.rung(LimitKind.FALLBACK, now)
        in_watts = rung is not None and rung.tells_watts(len(self._evses))
        if target.working is not None and not self._holds(e, target, at):
            yield cap_of(self._state, self._allowances, e.number, now, in_watts=in_watts)
        if rung is not None and self.is_shared(rung):
            others = ((one, self.wanted(one, now)) for one in self._evses.values() if one is not e)
            for one, wanted in others:
                if wanted.working is not None and not self._holds(one, wanted, at):
                    yield cap_of(self._state, self._allowances, one.number, now, in_watts=in_watts)

    def is_lower(self, e: EvseLimits, target: Target, at: datetime) -> bool:
        """Whether this reduces what the station obeys now or later; what is unknown counts as unlimited."""
        if target.working is None:
            is_fewer = (target.floor_phases or ALL_PHASES) < (e.held_phases or ALL_PHASES)
            return e.held_fallback_a is None or target.fallback_a < e.held_fallback_a or is_fewer
        before_a, after_a = _may_carry_a(e, target, at), target.working.at(at)
        is_lower_now = before_a is None or (after_a is not None and after_a < before_a)
        return is_lower_now or e.is_lowered_later(target.working, at) or e.is_on_fewer_phases(target.fewer, at)

    def _holds(self, e: EvseLimits, target: Target, at: datetime) -> bool:
        """Whether the station holds this working limit already."""
        if (e.wish is not None and e.wish.is_new) or e.held is None or e.repeats:
            return False
        held = e.held.target
        if e.held.rung.actuator is Actuator.VENDOR_KEY:
            return setting_a(target, self._state.capability, at) == e.held.limit_a
        told = target if e.held.rung.unit is RateUnit.A else held  # what shares watts matters for them only
        but_floor = structs.replace(
            held,
            fallback_a=target.fallback_a,  # looked after apart
            floor_phases=target.floor_phases,
            in_watts=told.in_watts,
        )
        return is_same(but_floor, target, at)

    # --- what it should hold -------------------------------------------------------------------------------------

    def wanted(self, e: EvseLimits, now: Instant) -> Target:
        """What the EVSE should hold; where it goes to the whole station, the lowest for all of its EVSEs (LC-117)."""
        target = self._wanted_alone(e, now)
        if len(self._evses) == 1:
            return target
        floor, working = self.rung(LimitKind.FALLBACK, now), self.rung(LimitKind.WORKING, now)
        is_working = working is not None and working.place is FloorPlace.STATION
        if not is_working and (floor is None or floor.place is not FloorPlace.STATION):
            return target
        others = [self._wanted_alone(other, now) for other in self._evses.values() if other is not e]
        if not is_working:
            return lowest_floor(target, others)
        is_maximum = working is not None and working.actuator is Actuator.STATION_MAX
        idle_count = not is_maximum or self._state.capability.station_max != "sum"
        return lowest_of_all(target, others, idle_count=idle_count)

    def _wanted_alone(self, e: EvseLimits, now: Instant) -> Target:
        at = self._state.station_time(now)
        if e.wish is not None and e.held is not None and e.held.ends == NEVER:
            e.wish.until = max(e.wish.until, now.utc + FORESIGHT)  # a setting ends never, so it needs no renewal
        holds_working = e.holds_after(at) or e.may_hold_after(at)
        orders = Orders(e.number, e.fallback_a, e.wish)
        rung = self.rung(LimitKind.WORKING, now)
        may_fall = rung is not None and rung.actuator is Actuator.TX_PROFILE
        return wanted(
            self._state,
            self._allowances,
            orders,
            now,
            holds_working=holds_working,
            may_fall=may_fall,
            in_watts=self._is_told_watts(e, rung),
        )

    def _is_told_watts(self, e: EvseLimits, rung: Rung | None) -> bool:
        """Whether in each of the ways in which it may be told, and was told what it is held against."""
        trial = FloorTrials.open_trial(e)
        ways = [rung, *([] if e.held is None else [e.held.rung]), *([] if trial is None else [trial.before])]
        return all(way is not None and way.tells_watts(len(self._evses)) for way in ways)

    def floor(self, e: EvseLimits, now: Instant) -> tuple[float, int | None]:
        """What the station should hold as the floor of this EVSE."""
        if len(self._evses) > 1:
            return self.wanted(e, now).floor
        return floor_of(self._state, self._allowances, e.number, e.fallback_a, now)

    def leader(self, e: EvseLimits, now: Instant) -> EvseLimits:
        """Whose limit is written where one profile is for the whole station: one with a working limit, if there is any."""
        if len(self._evses) == 1:
            return e
        rung = self.rung(LimitKind.WORKING, now)
        if rung is None or not self.is_shared(rung):
            return e
        candidates = (e, *(one for one in self._evses.values() if one is not e and one.transaction_id is not None))
        return next((one for one in candidates if self._wanted_alone(one, now).working is not None), e)

    # --- in which way --------------------------------------------------------------------------------------------

    def rung(self, kind: LimitKind, now: Instant) -> Rung | None:
        """The way that is tried next; None where none is known."""
        return self._trials.next(kind, self.rungs(kind), now.monotonic_s)

    def rungs(self, kind: LimitKind) -> tuple[Rung, ...]:
        """All ways, the best guess first."""
        capability = self._state.capability
        return capability.fallback_rungs() if kind is LimitKind.FALLBACK else capability.working_rungs()

    def is_shared(self, rung: Rung) -> bool:
        """Whether what is told this way holds for several EVSEs."""
        return rung.place is FloorPlace.STATION and len(self._evses) > 1

    def budget(self, rung: Rung | None) -> Budget:
        """How often this station may be written to this way."""
        return Budget.of(self._state.capability, Actuator.TX_PROFILE if rung is None else rung.actuator)


def _may_carry_a(e: EvseLimits, target: Target, at: datetime) -> float | None:
    """What a phase may carry by what the station obeys now: more than it was told, where fewer phases share the watts by now."""
    limit_a, held = e.in_force_a(at), e.held
    if limit_a is None or held is None or held.rung.unit is not RateUnit.W or e.held_limit().at(at) is None:
        return limit_a
    more_a = limit_a * held.target.sharing(at) / max(1, target.sharing(at))
    return max(limit_a, min(more_a, target.in_watts.full_a))


def _is_one_profile(e: EvseLimits, at: datetime) -> bool:
    """Whether the working limit that runs stands in the profile of the floor, whatever would be tried next."""
    return e.held is not None and e.held.rung.holds_floor and e.holds_after(at)


def _waits(e: EvseLimits, kind: LimitKind, now: Instant) -> bool:
    return now.monotonic_s < e.retry_s.get(kind, now.monotonic_s)
