"""What does the CSMS see when it asks for a composite schedule? (LC-097)

The station answers, and refuses what it cannot do. What it says of limits is right for as long as it holds them: ours end
within minutes, since they are renewed, and then it shows the floor. Where ours end before the time that is asked for, or
the answer is too short or in another unit, we work it out: the CSMS's own profiles, and the site's share as it is now
(or by the site file the profiles alone). What limits the station besides stays in the answer.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from enum import StrEnum
from operator import itemgetter
from typing import Any, Final

from local_controller.clock import Instant
from local_controller.profiles.composite import CompositeSchedule, answer, answer_station
from local_controller.profiles.context import Context, StationContext
from local_controller.profiles.installed import Installed
from local_controller.profiles.profile import ChargingProfile, Kind, Purpose, Recurrency
from local_controller.profiles.schedule import Schedule
from local_controller.profiles.units import RateUnit, converted
from local_controller.rpc.frame import Frame
from local_controller.station.block import Block
from local_controller.station.blocks.actuator import FORESIGHT
from local_controller.station.blocks.standing import Standing
from local_controller.station.blocks.virtual_store import MOST_PERIODS, STATION_MAX
from local_controller.station.dialects.base import CompositeRequest, CompositeTold, Dialect
from local_controller.station.effects import Peer
from local_controller.station.evse_context import context_of
from local_controller.station.state import StationState

LONGEST_S: Final = 2**31 - 1
"""OCPP integers have 32 bits (Part 2 ch. 2.1.1)."""

MOST_STEPS: Final = 7 * MOST_PERIODS
"""Of one profile in the time that is asked for, a week of the longest daily one: they take 0.1 s (measured). A schedule with
more is the station's to tell: nothing that is asked may hold up the site's other messages."""

DAY_S: Final = 86_400
WEEK_S: Final = 7 * DAY_S

OTHERS_SHARE: Final = 0.95
"""Below so much of what we told the station, something else must limit it, and not only its rounding."""

_ACTION = "GetCompositeSchedule"


class Shown(StrEnum):
    """What the CSMS sees of the site, by the site file."""

    SITE_SHARE = "site_share"  # the lower one of its profiles and what the site gives
    PROFILES = "profiles"  # what its profiles allow, as if there were no site


class CompositeAnswers(Block):
    """Completes the station's answers to GetCompositeSchedule."""

    REVISES = frozenset({_ACTION})

    def __init__(
        self,
        state: StationState,
        dialect: Dialect,
        maxima_a: dict[int, float | None],
        standing: Callable[[int, Instant], Standing],
        shown: Shown,
    ) -> None:
        """maxima_a: by EVSE, what its hardware can do. standing: what an EVSE is given, and what the station holds."""
        self._state = state
        self._dialect = dialect
        self._maxima_a = maxima_a
        self._standing = standing
        self._shown = shown

    def revise(self, sender: Peer, call: Frame, answer: Frame, now: Instant) -> dict[str, Any] | None:
        """The station's own answer (None), or one that holds for as long as was asked."""
        if sender is not Peer.CSMS:
            return None
        request, told = self._dialect.composite_request(call.payload), self._dialect.composite_told(answer.payload)
        if told is None or request.evse not in {0, *self._maxima_a} or not self._is_short_work(request.duration_s):
            return None
        at = self._state.station_time(now)
        start = at.replace(microsecond=0)
        standing = {evse: self._standing(evse, now) for evse in self._maxima_a if request.evse in {0, evse}}
        if not self._is_needed(request, told, list(standing.values()), start + timedelta(seconds=request.duration_s)):
            return None
        schedule = self._schedule(request, told, standing, at)
        if any(period.limit is None for period in schedule.periods):  # nobody knows what the hardware can do
            return None
        return self._dialect.composite_answer(request.evse, schedule.thinned(MOST_PERIODS))

    def _is_short_work(self, duration_s: int) -> bool:
        profiles = (entry.profile for entry in self._state.store.installed)
        return 0 < duration_s <= LONGEST_S and all(_steps(one, duration_s) <= MOST_STEPS for one in profiles)

    def _is_needed(
        self, request: CompositeRequest, told: CompositeTold, standing: Sequence[Standing], end: datetime
    ) -> bool:
        """Whether the station cannot say what holds until `end`; or should not, by the site file."""
        if self._shown is Shown.PROFILES or request.unit not in {None, told.unit}:
            return True
        is_short = told.duration_s is not None and told.duration_s < request.duration_s
        is_far = request.duration_s > FORESIGHT.total_seconds() and bool(self._state.store.virtual().entries)
        if request.evse == 0 and any(map(_is_of_the_whole_alone, self._state.store.virtual())):
            return True
        return is_short or is_far or any(one.may_end_before(end) for one in standing)

    def _schedule(
        self, request: CompositeRequest, told: CompositeTold, standing: dict[int, Standing], at: datetime
    ) -> CompositeSchedule:
        """The CSMS's profiles within what the site gives now, and within what else limits the station.

        It begins on a whole second, but what was before this moment does not count.
        """
        start = at.replace(microsecond=0)
        unit, installed = request.unit or told.unit, self._state.store.installed
        horizon_s = request.duration_s - (at - start).total_seconds()
        evses = {evse: self._context(evse, one, start) for evse, one in standing.items()}
        others = _others(told, list(standing.values()), start, request.duration_s, self._state.wiring.phase_v)
        if request.evse:
            context = evses[request.evse]
            allocated = others if context.allocated is None else context.allocated.minimum(others)
            found = answer(installed, replace(context, allocated=allocated), unit, at, horizon_s)
            return found.beginning(start)
        whole = Context(
            0, time_zone=self._state.time_zone, allocated=others, nominal_voltage_v=self._state.wiring.phase_v
        )
        found = answer_station(installed, StationContext(whole, tuple(evses.values())), unit, at, horizon_s)
        return found.beginning(start)

    def _context(self, evse: int, standing: Standing, start: datetime) -> Context:
        """What an EVSE's profiles depend on."""
        return replace(
            context_of(self._state, evse),
            hardware_maximum_a=self._maxima_a[evse],
            allocated=standing.allocated(start) if self._shown is Shown.SITE_SHARE else None,
        )


def _steps(profile: ChargingProfile, duration_s: int) -> float:
    """How many periods of a profile begin within so long a time."""
    rounds = 1.0
    if profile.kind is Kind.RECURRING:
        rounds = duration_s / (WEEK_S if profile.recurrency is Recurrency.WEEKLY else DAY_S)
    return rounds * max(len(schedule.periods) for schedule in profile.schedules)


def _is_of_the_whole_alone(entry: Installed) -> bool:
    """Whether the sum of what the EVSEs may draw is not what the whole station takes from the grid.

    Local generation of an EVSE is no load of the grid (K27); and the station as a whole has no transaction, so that what
    is Relative counts from the moment of asking (K08.FR.06).
    """
    if entry.profile.purpose is Purpose.LOCAL_GENERATION:
        return True
    return entry.profile.purpose is STATION_MAX and entry.profile.kind is Kind.RELATIVE


def _others(
    told: CompositeTold, standing: Sequence[Standing], start: datetime, horizon_s: int, phase_v: float
) -> Schedule:
    """What limits the station besides us (A per phase): where it says clearly less than what it holds of us."""
    end = start + timedelta(seconds=horizon_s if told.duration_s is None else min(horizon_s, told.duration_s))
    periods = sorted(told.periods)
    marks = {start + timedelta(seconds=start_s) for start_s, _, _ in periods}
    marks |= {moment for one in standing if one.working is not None for moment, _ in one.working.limit.steps}
    steps: list[tuple[datetime, float | None]] = []
    for moment in sorted(mark for mark in marks | {start} if start <= mark < end):
        running = bisect_right(periods, (moment - start).total_seconds(), key=itemgetter(0))
        if running:
            _, limit, phases = periods[running - 1]
            said_a = converted(max(limit, 0.0), told.unit, RateUnit.A, phases=phases, voltage_v=phase_v)
            is_limit = limit >= 0.0  # some write -1 for "none"
            steps.append((moment, said_a if is_limit and _is_of_others(said_a, phases, standing, moment) else None))
    return Schedule((*steps, (end, None))) if steps else Schedule.unlimited()


def _is_of_others(said_a: float, phases: int, standing: Sequence[Standing], moment: datetime) -> bool:
    """Whether it is not our limits that the station shows; where these are not known, they might be."""
    ours_a = [one.shown_a(moment, phases) for one in standing]
    known_a = [limit_a for limit_a in ours_a if limit_a is not None]
    return len(known_a) == len(ours_a) and said_a < OTHERS_SHARE * sum(known_a)
