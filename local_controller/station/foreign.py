"""Does a station obey something that neither the gateway nor, as far as it has seen, the CSMS told it?

A maker's app, a CSMS of earlier days, an energy manager beside the station, or a setting of its own. Two witnesses: the
profiles that it reports (2.x), which name the culprit, and its composite schedule, which only shows that there is one.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from datetime import datetime
from enum import Enum
from typing import Final, NamedTuple

from local_controller.clock import Instant
from local_controller.profiles.composite import composite
from local_controller.profiles.installed import Installed, InstalledProfiles
from local_controller.profiles.profile import ChargingProfile, ChargingSchedule, Kind, Purpose, SchedulePeriod
from local_controller.profiles.schedule import lower
from local_controller.profiles.units import NOMINAL_VOLTAGE_V, RateUnit, highest_voltage_v, lowest_voltage_v
from local_controller.station.blocks.actuator import FALLBACK_START, FORESIGHT, OWN_IDS
from local_controller.station.dialects.held import HeldProfile
from local_controller.station.evse_context import context_of
from local_controller.station.knowledge import Actuator
from local_controller.station.state import StationState
from local_controller.station.truth import OwnWrite
from local_controller.station.words import ForeignLimit, LimitKind

NOTICEABLE_A: Final = 0.5
NOTICEABLE: Final = 0.03
"""Less than so much (A, and as a share) is rounding: of the station, or between amperes and watts."""

_NO_LIMIT_A: Final = 1e6
_IN_TURN = frozenset({Purpose.TX_DEFAULT_PROFILE, Purpose.TX_PROFILE})
_NOT_THE_CSMS = frozenset({Purpose.CHARGING_STATION_EXTERNAL_CONSTRAINTS, Purpose.LOCAL_GENERATION})

UNNAMED: Final = "something in the station itself that neither the gateway nor, since it runs, the CSMS told it"
UNNAMED_REMEDY: Final = (
    "look in the station's own app for a profile, a maximum current or a load balancer, or in a CSMS that it had before"
)
LOST: Final = "the station said yes to the gateway's profile and does not hold it"
LOST_REMEDY: Final = "restart the station; if that does not help, its firmware does not keep profiles"


# --- the first witness: reported profiles -------------------------------------------------------------------------


def foreign_profiles(state: StationState) -> list[HeldProfile]:
    """What the station reported and nobody on this side has told it.

    The CSMS's profiles of owned purposes never reach the station: one with such an id there is an old one.
    """
    known = state.store.real
    return [one for one in state.truth.reported or () if one.id not in OWN_IDS and one.id not in known]


def found_in_report(state: StationState, evse: int, now: Instant) -> ForeignLimit:
    """What foreign profiles among the reported ones do to this EVSE."""
    mine = [one for one in foreign_profiles(state) if one.evse in {0, evse}]
    if not mine:
        return ForeignLimit(evse)
    case = _Case.of(state, evse, now)
    effects = [(function, function(mine, case)) for function in (_fallback_a, _limit_a, _most_a)]
    found = next(((function, value) for function, value in effects if value is not None), None)
    if found is None:
        return ForeignLimit(evse)
    culprit = _culprit(mine, lambda rest: found[0](rest, case), found[1])
    fallback_a, limit_a, most_a = (value for _, value in effects)
    what, remedy = described(culprit), _remedy(culprit, state)
    return ForeignLimit(evse, most_a, fallback_a, limit_a, what=what, remedy=remedy, profile_id=culprit.id)


def described(one: HeldProfile) -> str:
    """A foreign profile in words."""
    source = f", source {one.source}" if one.source not in {"", "CSO"} else ""
    purpose = "an unknown purpose" if one.purpose is None else one.purpose.value
    return (
        "a profile that neither the gateway nor, since it runs, the CSMS installed"
        f" (id {one.id}, {purpose}, stack level {one.stack_level}{source})"
    )


def _remedy(one: HeldProfile, state: StationState) -> str:
    if one.purpose in _NOT_THE_CSMS:
        return "change it where it comes from: the station's own app, or the energy manager that it listens to"
    if one.id is None or state.store.purpose_of(one.id) is not None:
        return "remove it in the station's own app"
    return f"remove it in the station's own app, or have the CSMS clear it (ClearChargingProfile with id {one.id})"


class _Case(NamedTuple):
    """One EVSE at one moment: what holds there besides foreign profiles."""

    state: StationState
    evse: int
    at: datetime
    transaction_id: str | None
    ours: tuple[OwnWrite, ...]
    floor_a: float | None

    @classmethod
    def of(cls, state: StationState, evse: int, now: Instant) -> _Case:
        at, transaction = state.station_time(now), state.transactions.get(evse)
        transaction_id = None if transaction is None else transaction.transaction_id
        writes = state.truth.of(evse)
        held = (writes.floor, writes.working_now(transaction_id, at))
        ours = tuple({id(one): one for one in held if one is not None}.values())
        floor_a = None if writes.floor is None else writes.floor.push.target.fallback_a
        return cls(state, evse, at, transaction_id, ours, floor_a)

    @property
    def has_own_transaction_profile(self) -> bool:
        """Whether a TxProfile of ours holds, above the floor."""
        return any(one.push.rung.actuator is Actuator.TX_PROFILE and not one.is_floor for one in self.ours)

    def allows(self, foreign: Iterable[HeldProfile], ours_a: float, *, idle: bool, for_s: float) -> list[float]:
        """What the station allows, one value for each stretch of time (infinite: no limit), if ours say `ours_a`."""
        foreign = list(foreign)
        entries = [Installed(one.evse, one.profile) for one in foreign if one.profile is not None]
        entries += [Installed(one.place, own) for one in self.ours if (own := self._own(one, ours_a)) is not None]
        context = context_of(self.state, self.evse, with_transaction=not idle)
        if any(one.purpose is Purpose.PRIORITY_CHARGING for one in foreign):
            context = replace(context, priority_charging=True)  # whoever installed it may activate it
        limit = composite(InstalledProfiles(tuple(entries)), context, self.at, for_s)
        by_setting_a = ours_a if any(one.is_setting for one in self.ours) else math.inf
        if limit.is_unlimited:
            return [by_setting_a]
        pieces = limit.segments(self.at, limit.steps[-1][0])
        return [min(by_setting_a, math.inf if one.limit_a is None else one.limit_a) for one in pieces]

    def _own(self, write: OwnWrite, limit_a: float) -> ChargingProfile | None:
        """A profile of ours as it was written, but with this limit for ever."""
        own = write.profile
        if own is None:
            return None
        schedule = ChargingSchedule(RateUnit.A, (SchedulePeriod(0, limit_a),), start_schedule=FALLBACK_START)
        return ChargingProfile(
            own.id, own.stack_level, own.purpose, Kind.ABSOLUTE, (schedule,), transaction_id=own.transaction_id
        )


def _most_a(foreign: Sequence[HeldProfile], case: _Case) -> float | None:
    """At most so much flows now, however high ours are; None: no such bound."""
    (now_a, *_) = case.allows(foreign, _NO_LIMIT_A, idle=case.transaction_id is None, for_s=1.0)
    return now_a if now_a < _NO_LIMIT_A else None


def _fallback_a(foreign: Sequence[HeldProfile], case: _Case) -> float | None:
    """The most that may flow within a day instead of our fallback; None if that holds."""
    if case.floor_a is None:
        return None
    if any(one.profile is None and one.purpose in {None, Purpose.TX_DEFAULT_PROFILE} for one in foreign):
        return math.inf
    worst_a = max(case.allows(foreign, case.floor_a, idle=True, for_s=FORESIGHT.total_seconds()))
    return worst_a if is_above(worst_a, case.floor_a) else None


def _limit_a(foreign: Sequence[HeldProfile], case: _Case) -> float | None:
    """So much may the running transaction draw within a day although ours say nothing at all; None: it obeys ours."""
    if case.transaction_id is None:
        return None
    if any(one.purpose is Purpose.LOCAL_GENERATION for one in foreign):
        return math.inf  # on top of whatever we allow
    bounding = {Purpose.CHARGING_STATION_MAX_PROFILE, Purpose.CHARGING_STATION_EXTERNAL_CONSTRAINTS}
    below = {Purpose.TX_DEFAULT_PROFILE} if case.has_own_transaction_profile else set()
    if any(one.profile is None and one.purpose not in bounding | below for one in foreign):
        return math.inf
    worst_a = max(case.allows(foreign, 0.0, idle=False, for_s=FORESIGHT.total_seconds()))
    return worst_a if is_above(worst_a, 0.0) else None


def _culprit(
    foreign: Sequence[HeldProfile], value_of: Callable[[Sequence[HeldProfile]], float | None], value: float | None
) -> HeldProfile:
    """The profile without which the value would be another one; the first if it takes several."""
    for one in foreign:
        if value_of([other for other in foreign if other is not one]) != value:
            return one
    return foreign[0]


# --- the second witness: the composite schedule -------------------------------------------------------------------


class Verdict(Enum):
    """How the station's word compares with ours."""

    AGREES = "agrees"
    BELOW = "below"
    ABOVE = "above"


class Expected(NamedTuple):
    """Between which limits (A per phase) the station's word must lie if it obeys ours and the CSMS's; in which unit ours is.

    phases: how many share the watts, where ours is in watts. phase_v: nominal voltage of each.
    """

    kind: LimitKind
    low_a: float
    high_a: float
    unit: RateUnit
    phases: int
    phase_v: float = NOMINAL_VOLTAGE_V


def expected(state: StationState, evse: int, now: Instant) -> Expected | None:
    """What the station should say just now; None while nothing is confirmed, or something is on its way."""
    writes, at = state.truth.of(evse), state.station_time(now)
    transaction = state.transactions.get(evse)
    transaction_id = None if transaction is None else transaction.transaction_id
    write = writes.in_force(transaction_id, at)
    limit_a = None if write is None else write.limit_a(at)
    if write is None or limit_a is None or write.is_setting or writes.is_pending:
        return None
    passed_a, count = _passed_a(state, evse, at), max(1, len(state.truth.writes))
    least_a = limit_a / count if write.push.rung.actuator is Actuator.STATION_MAX else limit_a
    kind = LimitKind.WORKING if write.works(at) else LimitKind.FALLBACK
    bounds = min(least_a, passed_a / count), min(limit_a, passed_a)
    return Expected(kind, *bounds, write.push.rung.unit, write.phases(at), state.wiring.phase_v)


def _passed_a(state: StationState, evse: int, at: datetime) -> float:
    """What the CSMS's profiles allow that the station holds itself; some divide a station maximum among connectors."""
    passed = tuple(entry for entry in state.store.real_ones() if entry.profile.purpose not in _IN_TURN)
    limit_a = composite(InstalledProfiles(passed), context_of(state, evse), at, 1.0).at(at)
    return math.inf if limit_a is None else limit_a


def judged(said: float | None, unit: RateUnit | None, before: Expected, after: Expected) -> Verdict | None:
    """The station's word (None: no limit) against what held when it was asked and when it answered; None: no verdict.

    Between amperes and watts nobody knows with which voltage and phases it converts, so that much more agrees.
    """
    if unit is None or before.kind is not after.kind:
        return None
    low, high = _in(before, unit), _in(after, unit)
    value, least, most = math.inf if said is None else said, min(low[0], high[0]), max(low[1], high[1])
    slack = NOTICEABLE_A if unit is RateUnit.A else NOTICEABLE_A * lowest_voltage_v(after.phase_v)
    if value > most * (1 + NOTICEABLE) + slack:
        return Verdict.ABOVE
    return Verdict.BELOW if value < least * (1 - NOTICEABLE) - slack else Verdict.AGREES


def _in(limit: Expected, unit: RateUnit) -> tuple[float, float]:
    """The expected limits in the station's unit, as wide as the conversion is uncertain."""
    low_v, high_v = lowest_voltage_v(limit.phase_v), highest_voltage_v(limit.phase_v)
    per_ampere_w = low_v * limit.phases  # how ours was written
    if unit is limit.unit:
        factor = 1.0 if unit is RateUnit.A else per_ampere_w
        return limit.low_a * factor, limit.high_a * factor
    if limit.unit is RateUnit.A:
        return limit.low_a * low_v, limit.high_a * 3 * high_v
    return limit.low_a * per_ampere_w / (3 * high_v), limit.high_a * per_ampere_w / low_v


def amperes(said: float | None, unit: RateUnit | None, phase_v: float = NOMINAL_VOLTAGE_V) -> float:
    """The most that a phase may carry by a limit in the station's words; infinite where it says none."""
    if said is None or unit is None:
        return math.inf
    return said if unit is RateUnit.A else said / lowest_voltage_v(phase_v)


def found_in_composite(
    evse: int, verdict: Verdict, kind: LimitKind, limit_a: float, *, is_proven: bool
) -> ForeignLimit:
    """What a composite schedule shows that lies below or above ours."""
    found = ForeignLimit(evse, what=UNNAMED, remedy=UNNAMED_REMEDY)
    if verdict is Verdict.BELOW:
        return replace(found, most_a=limit_a)
    found = found if is_proven else replace(found, unproven=frozenset({kind}))
    return replace(found, fallback_a=limit_a) if kind is LimitKind.FALLBACK else replace(found, limit_a=limit_a)


def lost(evse: int) -> ForeignLimit:
    """The station does not hold what it said yes to, again and again."""
    return ForeignLimit(evse, fallback_a=math.inf, what=LOST, remedy=LOST_REMEDY)


def is_above(a: float, b: float) -> bool:
    """Whether the difference is more than rounding."""
    return a > b * (1 + NOTICEABLE) + NOTICEABLE_A


def together(by_report: ForeignLimit, by_composite: ForeignLimit) -> ForeignLimit:
    """Both witnesses; the one that names the culprit speaks first."""
    if by_report.is_none or by_composite.is_none:
        return by_composite if by_report.is_none else by_report
    both = (by_report, by_composite)
    fallback_a, is_fallback_proven = _highest(
        [(one.fallback_a, LimitKind.FALLBACK not in one.unproven) for one in both]
    )
    limit_a, is_limit_proven = _highest([(one.limit_a, LimitKind.WORKING not in one.unproven) for one in both])
    proven = {LimitKind.FALLBACK: is_fallback_proven, LimitKind.WORKING: is_limit_proven}
    return replace(
        by_report,
        most_a=lower(by_report.most_a, by_composite.most_a),
        fallback_a=fallback_a,
        limit_a=limit_a,
        unproven=frozenset(kind for kind, is_proven in proven.items() if not is_proven),
    )


def _highest(words: Sequence[tuple[float | None, bool]]) -> tuple[float | None, bool]:
    """The highest value, of those that are proven if any is."""
    said = [(value, is_proven) for value, is_proven in words if value is not None]
    proven = [value for value, is_proven in said if is_proven]
    return (max(proven), True) if proven else (max((value for value, _ in said), default=None), not said)
