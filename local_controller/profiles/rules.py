"""Which charging profiles does a conforming station of each OCPP version refuse, and why?

A check takes a request and returns why it fails, or None. Rules about other installed profiles are in `installed`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from itertools import pairwise

from local_controller.profiles.profile import (
    ChargingProfile,
    ChargingSchedule,
    Kind,
    OperationMode,
    Purpose,
    SchedulePeriod,
)
from local_controller.profiles.units import RateUnit


class Reason(StrEnum):
    """Reason codes of OCPP 2.1 Part 2 appendices; 1.6 has none, its dialect chooses status or CALLERROR by them."""

    DUPLICATE_PROFILE = "DuplicateProfile"
    INVALID_MESSAGE_SEQ = "InvalidMessageSeq"
    INVALID_OPERATION_MODE = "InvalidOperationMode"
    INVALID_PROFILE = "InvalidProfile"
    INVALID_PROFILE_ID = "InvalidProfileId"
    INVALID_SCHEDULE = "InvalidSchedule"
    INVALID_STACK_LEVEL = "InvalidStackLevel"
    INVALID_VALUE = "InvalidValue"
    OUT_OF_STORAGE = "OutOfStorage"
    PHASE_CONFLICT = "PhaseConflict"
    TX_NOT_FOUND = "TxNotFound"
    UNKNOWN_EVSE = "UnknownEvse"
    UNSUPPORTED_KIND = "UnsupportedKind"
    UNSUPPORTED_PARAM = "UnsupportedParam"
    UNSUPPORTED_PURPOSE = "UnsupportedPurpose"
    UNSUPPORTED_RATE_UNIT = "UnsupportedRateUnit"


@dataclass(frozen=True, slots=True)
class Verdict:
    """The outcome of an installation: accepted when there is no reason against it; `detail` is for people."""

    reason: Reason | None = None
    detail: str = ""

    @property
    def accepted(self) -> bool:
        """Whether the profile is installed now."""
        return self.reason is None

    @property
    def status(self) -> str:
        """ChargingProfileStatus as all versions spell it."""
        return "Accepted" if self.accepted else "Rejected"


ACCEPTED = Verdict()


@dataclass(frozen=True, slots=True)
class Rules:
    """What the versions do differently.

    same_slot_replaces: a profile of the same purpose, stack level and EVSE replaces the old one (1.6 ch. 3.13.2)
        instead of being a duplicate (K01.FR.06/.39/.52/.53).
    transaction_id_required: a TxProfile names its transaction (K01.FR.03).
    station_max_may_be_relative: forbidden by K01.FR.38.
    """

    purposes: frozenset[Purpose]
    kinds: frozenset[Kind]
    max_schedules: int
    same_slot_replaces: bool
    transaction_id_required: bool
    station_max_may_be_relative: bool


_OLD_PURPOSES = frozenset({Purpose.CHARGING_STATION_MAX_PROFILE, Purpose.TX_DEFAULT_PROFILE, Purpose.TX_PROFILE})
_OLD_KINDS = frozenset({Kind.ABSOLUTE, Kind.RECURRING, Kind.RELATIVE})

V16 = Rules(_OLD_PURPOSES, _OLD_KINDS, 1, True, False, True)
V201 = Rules(_OLD_PURPOSES, _OLD_KINDS, 3, False, True, False)
V21 = Rules(
    _OLD_PURPOSES | {Purpose.PRIORITY_CHARGING, Purpose.LOCAL_GENERATION},
    _OLD_KINDS | {Kind.DYNAMIC},
    3,
    False,
    True,
    False,
)


@dataclass(frozen=True, slots=True)
class StationFacts:
    """What a station knows of itself when it judges a profile. None: it has told no such bound.

    transactions: id of the running transaction by EVSE. charging_needs: EVSEs whose car has sent
    NotifyEVChargingNeeds in this transaction. operation_modes: V2XSupportedOperationModes of those EVSEs' cars.
    """

    evses: frozenset[int]
    transactions: Mapping[int, str] = field(default_factory=dict, hash=False)
    rate_units: frozenset[RateUnit] = frozenset(RateUnit)
    max_stack_level: int | None = None
    max_periods: int | None = None
    max_installed: int | None = None
    max_external_constraints_id: int | None = None
    charging_needs: frozenset[int] = frozenset()
    operation_modes: frozenset[OperationMode] = frozenset({OperationMode.CHARGING_ONLY})


@dataclass(frozen=True, slots=True)
class Request:
    """A profile that wants to be installed on an EVSE (0: the station), before a station that knows `facts`."""

    profile: ChargingProfile
    evse: int
    rules: Rules
    facts: StationFacts


def first_objection(request: Request) -> Verdict:
    """The first rule that the request breaks, or acceptance; looks at the request alone."""
    return next((found for check in _CHECKS if (found := check(request)) is not None), ACCEPTED)


_Check = Callable[[Request], Verdict | None]


def _evse(r: Request) -> Verdict | None:
    if r.evse != 0 and r.evse not in r.facts.evses:  # K01.FR.28; 1.6 errata 3.39
        return Verdict(Reason.UNKNOWN_EVSE, f"there is no EVSE {r.evse}")
    return None


def _purpose(r: Request) -> Verdict | None:
    purpose = r.profile.purpose
    if purpose is Purpose.CHARGING_STATION_EXTERNAL_CONSTRAINTS:  # K01.FR.22
        return Verdict(Reason.INVALID_VALUE, "external constraints cannot be set by a CSMS")
    if purpose not in r.rules.purposes:  # K01.FR.120
        return Verdict(Reason.UNSUPPORTED_PURPOSE, f"purpose {purpose} is not supported")
    return None


def _place(r: Request) -> Verdict | None:
    if r.profile.purpose is Purpose.CHARGING_STATION_MAX_PROFILE and r.evse != 0:  # K04.FR.03; 1.6 ch. 3.13.1
        return Verdict(Reason.INVALID_VALUE, "a station-max profile belongs to id 0")
    if r.profile.purpose is Purpose.TX_PROFILE and r.evse == 0:  # K01.FR.16
        return Verdict(Reason.INVALID_VALUE, "a TxProfile belongs to one EVSE")
    return None


def _kind(r: Request) -> Verdict | None:
    profile = r.profile
    if profile.kind not in r.rules.kinds:
        return Verdict(Reason.UNSUPPORTED_KIND, f"kind {profile.kind} is not supported")
    is_station_max = profile.purpose is Purpose.CHARGING_STATION_MAX_PROFILE
    if profile.kind is Kind.RELATIVE and is_station_max and not r.rules.station_max_may_be_relative:  # K01.FR.38
        return Verdict(Reason.INVALID_PROFILE, "a station-max profile cannot be Relative")
    if (profile.kind is Kind.RECURRING) != (profile.recurrency is not None):  # K01.FR.60
        return Verdict(Reason.INVALID_PROFILE, "recurrencyKind goes with kind Recurring, and only with it")
    is_updated = profile.dyn_update_time is not None or profile.dyn_update_interval_s is not None
    if is_updated and profile.kind is not Kind.DYNAMIC:  # K01.FR.122
        return Verdict(Reason.INVALID_PROFILE, "dynamic updates go with kind Dynamic")
    return None


def _id(r: Request) -> Verdict | None:
    highest = r.facts.max_external_constraints_id
    if highest is not None and r.profile.id <= highest:  # K01.FR.81
        return Verdict(Reason.INVALID_PROFILE_ID, f"ids up to {highest} are reserved for external constraints")
    return None


def _stack_level(r: Request) -> Verdict | None:
    level, highest = r.profile.stack_level, r.facts.max_stack_level
    if level < 0 or (highest is not None and level > highest):
        return Verdict(Reason.INVALID_STACK_LEVEL, f"stack level {level} is outside 0..{highest}")
    return None


def _transaction(r: Request) -> Verdict | None:
    if r.profile.purpose is not Purpose.TX_PROFILE:
        return None
    running, named = r.facts.transactions.get(r.evse), r.profile.transaction_id
    if running is None:  # K01.FR.09; 1.6 ch. 3.13.1
        return Verdict(Reason.TX_NOT_FOUND, f"no transaction runs on EVSE {r.evse}")
    if named is None and r.rules.transaction_id_required:  # K01.FR.03
        return Verdict(Reason.INVALID_PROFILE, "a TxProfile must name its transaction")
    if named is not None and named != running:  # K01.FR.33
        return Verdict(Reason.TX_NOT_FOUND, f"transaction {named} does not run on EVSE {r.evse}")
    return None


def _schedule_count(r: Request) -> Verdict | None:
    count, is_own = len(r.profile.schedules), r.profile.purpose is Purpose.TX_PROFILE
    may_choose = is_own and r.profile.kind is not Kind.DYNAMIC  # K28.FR.01
    for_a_car = may_choose and r.evse in r.facts.charging_needs
    if may_choose and not for_a_car and 1 < count <= r.rules.max_schedules:  # K15.FR.17
        return Verdict(Reason.INVALID_MESSAGE_SEQ, "several schedules before the car has told its needs")
    most = r.rules.max_schedules if for_a_car else 1  # K01.FR.34
    if not 1 <= count <= most:
        return Verdict(Reason.INVALID_PROFILE, f"{count} schedules, {most} allowed")
    return None


def _schedules(r: Request) -> Verdict | None:
    found = (_schedule(r, schedule) for schedule in r.profile.schedules)
    return next((verdict for verdict in found if verdict is not None), None)


def _schedule(r: Request, schedule: ChargingSchedule) -> Verdict | None:
    if schedule.rate_unit not in r.facts.rate_units:  # K01.FR.26
        return Verdict(Reason.UNSUPPORTED_RATE_UNIT, f"unit {schedule.rate_unit} is not supported")
    detail = (
        _misfit_of_start(r.profile, schedule)
        or _misfit_of_purpose(r.profile, schedule)
        or _misfit_of_periods(r, schedule)
    )
    if detail is not None:
        return Verdict(Reason.INVALID_SCHEDULE, detail)
    found = (_period(r, period) for period in schedule.periods)
    return next((verdict for verdict in found if verdict is not None), None)


def _misfit_of_start(profile: ChargingProfile, schedule: ChargingSchedule) -> str | None:
    has_start = schedule.start_schedule is not None
    if profile.kind in {Kind.ABSOLUTE, Kind.RECURRING} and not has_start:  # K01.FR.40
        return f"kind {profile.kind} needs startSchedule"
    if profile.kind is Kind.RELATIVE and has_start:  # K01.FR.41
        return "kind Relative must not have startSchedule"
    return None


def _misfit_of_purpose(profile: ChargingProfile, schedule: ChargingSchedule) -> str | None:
    if profile.purpose is Purpose.PRIORITY_CHARGING and schedule.duration_s is not None:  # K01.FR.70
        return "PriorityCharging must not have a duration"
    if schedule.randomized_delay_s and profile.purpose not in {Purpose.TX_PROFILE, Purpose.TX_DEFAULT_PROFILE}:
        return f"purpose {profile.purpose} must not have randomizedDelay"  # K01.FR.95
    return None


def _misfit_of_periods(r: Request, schedule: ChargingSchedule) -> str | None:
    starts, most = [period.start_s for period in schedule.periods], r.facts.max_periods
    if not starts or starts[0] != 0:  # K01.FR.31
        return "the first period must start at 0"
    if any(later <= earlier for earlier, later in pairwise(starts)):  # K01.FR.35
        return "periods must ascend"
    if r.profile.kind is Kind.DYNAMIC and len(starts) > 1:  # K28.FR.01
        return "kind Dynamic has exactly one period"
    if most is not None and len(starts) > most:
        return f"{len(starts)} periods, {most} allowed"
    return None


def _period(r: Request, period: SchedulePeriod) -> Verdict | None:
    mode = period.operation_mode
    if mode not in _MODES_OF_PURPOSE.get(r.profile.purpose, r.facts.operation_modes | {OperationMode.CHARGING_ONLY}):
        return Verdict(Reason.INVALID_OPERATION_MODE, f"mode {mode} does not fit")  # K01.FR.111-.116
    if period.limit is None and (period.limit_l2 is not None or period.limit_l3 is not None):  # K01.FR.146
        return Verdict(Reason.PHASE_CONFLICT, "limits of L2 and L3 need that of L1")
    detail = _misfit_of_limit(period) or _misfit_of_phases(period)
    return None if detail is None else Verdict(Reason.INVALID_SCHEDULE, detail)


def _misfit_of_limit(period: SchedulePeriod) -> str | None:
    limits = (period.limit, period.limit_l2, period.limit_l3)
    if period.operation_mode is OperationMode.CHARGING_ONLY and period.limit is None:
        return "a period needs a limit"
    if any(limit is not None and limit < 0.0 for limit in limits):
        return "a limit must not be negative"
    return None


def _misfit_of_phases(period: SchedulePeriod) -> str | None:
    if period.number_phases is not None and not 1 <= period.number_phases <= 3:
        return f"numberPhases {period.number_phases} is outside 1..3"
    if period.phase_to_use is not None and period.number_phases != 1:  # K01.FR.19
        return "phaseToUse needs numberPhases 1"
    return None


_MODES_OF_PURPOSE = {  # K01.FR.111-.113; modes of Tx profiles depend on the car
    Purpose.CHARGING_STATION_MAX_PROFILE: frozenset({OperationMode.CHARGING_ONLY}),
    Purpose.PRIORITY_CHARGING: frozenset({OperationMode.CHARGING_ONLY}),
    Purpose.LOCAL_GENERATION: frozenset({OperationMode.CHARGING_ONLY, OperationMode.EXTERNAL_LIMITS}),
}

_CHECKS: tuple[_Check, ...] = (
    _evse,
    _purpose,
    _place,
    _kind,
    _id,
    _stack_level,
    _transaction,
    _schedule_count,
    _schedules,
)
