"""What is a charging profile? The data of all OCPP versions in the words of 2.1, with nothing left out."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from enum import StrEnum
from typing import Any, Final

from local_controller.profiles.units import RateUnit

ALL_PHASES: Final = 3
"""So many a car may use that is told nothing of them, and so many count while nobody knows."""


class Purpose(StrEnum):
    """ChargingProfilePurposeEnumType; 1.6 calls CHARGING_STATION_MAX_PROFILE "ChargePointMaxProfile"."""

    CHARGING_STATION_EXTERNAL_CONSTRAINTS = "ChargingStationExternalConstraints"
    CHARGING_STATION_MAX_PROFILE = "ChargingStationMaxProfile"
    TX_DEFAULT_PROFILE = "TxDefaultProfile"
    TX_PROFILE = "TxProfile"
    PRIORITY_CHARGING = "PriorityCharging"
    LOCAL_GENERATION = "LocalGeneration"


class Kind(StrEnum):
    """ChargingProfileKindEnumType: what startPeriod 0 refers to."""

    ABSOLUTE = "Absolute"
    RECURRING = "Recurring"
    RELATIVE = "Relative"
    DYNAMIC = "Dynamic"


class Recurrency(StrEnum):
    """RecurrencyKindEnumType."""

    DAILY = "Daily"
    WEEKLY = "Weekly"


class OperationMode(StrEnum):
    """OperationModeEnumType (2.1); every earlier profile is CHARGING_ONLY."""

    IDLE = "Idle"
    CHARGING_ONLY = "ChargingOnly"
    CENTRAL_SETPOINT = "CentralSetpoint"
    EXTERNAL_SETPOINT = "ExternalSetpoint"
    EXTERNAL_LIMITS = "ExternalLimits"
    CENTRAL_FREQUENCY = "CentralFrequency"
    LOCAL_FREQUENCY = "LocalFrequency"
    LOCAL_LOAD_BALANCING = "LocalLoadBalancing"


@dataclass(frozen=True, slots=True)
class SchedulePeriod:
    """One ChargingSchedulePeriod: from `start_s` seconds after the schedule's origin until the next period.

    All rates are in the unit of the schedule (A per phase, or W of all phases); with an `_l2` or `_l3` value the plain
    field is that of L1 alone. `limit` is optional in 2.1 only, depending on the operation mode.
    `extra` holds what has no influence on a limit (V2X curves, reactive setpoints, baseline, evseSleep,
    preconditioningRequest, customData) under its OCPP names, untouched.
    Raises ValueError for a rate that is not finite and for a start beyond 32 bits.
    """

    start_s: int
    limit: float | None = None
    number_phases: int | None = None
    phase_to_use: int | None = None
    limit_l2: float | None = None
    limit_l3: float | None = None
    operation_mode: OperationMode = OperationMode.CHARGING_ONLY
    setpoint: float | None = None
    setpoint_l2: float | None = None
    setpoint_l3: float | None = None
    discharge_limit: float | None = None
    discharge_limit_l2: float | None = None
    discharge_limit_l3: float | None = None
    extra: Mapping[str, Any] = field(default_factory=dict, hash=False)

    def __post_init__(self) -> None:
        if self.is_plain and 0 <= self.start_s < 2**31 and (self.limit is None or math.isfinite(self.limit)):
            return  # the usual one, of which there may be a thousand
        _check_int32(startPeriod=self.start_s)
        _check_finite(
            limit=self.limit,
            limit_L2=self.limit_l2,
            limit_L3=self.limit_l3,
            setpoint=self.setpoint,
            setpoint_L2=self.setpoint_l2,
            setpoint_L3=self.setpoint_l3,
            dischargeLimit=self.discharge_limit,
            dischargeLimit_L2=self.discharge_limit_l2,
            dischargeLimit_L3=self.discharge_limit_l3,
        )

    @property
    def is_plain(self) -> bool:
        """Whether at most one limit, for all phases alike, is all that it says about rates."""
        return (
            self.operation_mode is OperationMode.CHARGING_ONLY
            and self.setpoint is None
            and self.limit_l2 is None
            and self.limit_l3 is None
            and self.setpoint_l2 is None
            and self.setpoint_l3 is None
            and self.discharge_limit is None
            and self.discharge_limit_l2 is None
            and self.discharge_limit_l3 is None
        )


@dataclass(frozen=True, slots=True)
class LimitAtSoc:
    """LimitAtSoCType (2.1): from `soc_percent` on at most `limit`, in the schedule's unit (K01.FR.100)."""

    soc_percent: float
    limit: float

    def __post_init__(self) -> None:
        _check_finite(soc=self.soc_percent, limit=self.limit)


@dataclass(frozen=True, slots=True)
class ChargingSchedule:
    """One ChargingSchedule. `id` is None in 1.6; `min_charging_rate` is a hint to the allocator and never merged.

    With `use_local_time` only the wall clock reading of `start_schedule` counts; its UTC offset is ignored
    (K01.FR.90). `extra` holds tariffs, price schedules and signature fields under their OCPP names, untouched.
    Raises ValueError for a start without time zone (unless it is local time) and for a number beyond 32 bits.
    """

    rate_unit: RateUnit
    periods: tuple[SchedulePeriod, ...]
    id: int | None = None
    start_schedule: datetime | None = None
    duration_s: int | None = None
    min_charging_rate: float | None = None
    limit_at_soc: LimitAtSoc | None = None
    use_local_time: bool = False
    randomized_delay_s: int | None = None
    extra: Mapping[str, Any] = field(default_factory=dict, hash=False)

    def __post_init__(self) -> None:
        if not self.use_local_time:
            _check_aware(startSchedule=self.start_schedule)
        _check_int32(duration=self.duration_s, randomizedDelay=self.randomized_delay_s)


@dataclass(frozen=True, slots=True)
class ChargingProfile:
    """One ChargingProfile. `transaction_id` is text in every version; 1.6 dialects print their number.

    `schedules` has one member, up to three where an ISO 15118 car may choose (K01.FR.34).
    `extra` holds priceScheduleSignature and customData, untouched. Of a Dynamic profile `dyn_update_time` must be the
    time of receipt if the message names none: without it the watchdog `duration` cannot run out (K28.FR.13).
    Raises ValueError for an instant without time zone and for a number beyond 32 bits.
    """

    id: int
    stack_level: int
    purpose: Purpose
    kind: Kind
    schedules: tuple[ChargingSchedule, ...]
    recurrency: Recurrency | None = None
    transaction_id: str | None = None
    valid_from: datetime | None = None
    valid_to: datetime | None = None
    max_offline_duration_s: int | None = None
    invalid_after_offline_duration: bool = False
    dyn_update_interval_s: int | None = None
    dyn_update_time: datetime | None = None
    extra: Mapping[str, Any] = field(default_factory=dict, hash=False)

    def __post_init__(self) -> None:
        _check_aware(validFrom=self.valid_from, validTo=self.valid_to, dynUpdateTime=self.dyn_update_time)
        _check_int32(maxOfflineDuration=self.max_offline_duration_s, dynUpdateInterval=self.dyn_update_interval_s)

    def updated(self, period: SchedulePeriod, at: datetime) -> ChargingProfile:
        """A Dynamic profile after UpdateDynamicSchedule has changed its one period at `at` (K28)."""
        schedules = tuple(replace(schedule, periods=(period,)) for schedule in self.schedules)
        return replace(self, schedules=schedules, dyn_update_time=at)


def _check_aware(**instants: datetime | None) -> None:
    for name, instant in instants.items():
        if instant is not None and instant.tzinfo is None:
            raise ValueError(f"{name} {instant.isoformat()} has no time zone")


def _check_int32(**numbers: int | None) -> None:
    """OCPP integers have 32 bits (Part 2 ch. 2.1.1); arithmetic on instants relies on it."""
    for name, number in numbers.items():
        if number is not None and not -(2**31) <= number < 2**31:
            raise ValueError(f"{name} {number} does not fit in 32 bits")


def _check_finite(**rates: float | None) -> None:
    for name, rate in rates.items():
        if rate is not None and not math.isfinite(rate):
            raise ValueError(f"{name} {rate} is not finite")
