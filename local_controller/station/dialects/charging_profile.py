"""How does a ChargingProfile on the wire become ours? The fields are alike in all versions; names differ in 1.6."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from local_controller.errors import PayloadError
from local_controller.profiles.profile import (
    ChargingProfile,
    ChargingSchedule,
    Kind,
    LimitAtSoc,
    OperationMode,
    Purpose,
    Recurrency,
    SchedulePeriod,
)
from local_controller.profiles.units import RateUnit
from local_controller.station.dialects.reading import Fields

DEEPEST = 64
"""So deep may be nested what a profile says beside limits; prices of ISO 15118 need 6. What is written must be written back."""

_LONGEST_S = 2**31 - 1
_HIGHEST = 1e9  # in A or W: more than any grid connection
_PERIOD_FIELDS = frozenset(
    {
        "startPeriod",
        "limit",
        "limit_L2",
        "limit_L3",
        "numberPhases",
        "phaseToUse",
        "operationMode",
        "setpoint",
        "setpoint_L2",
        "setpoint_L3",
        "dischargeLimit",
        "dischargeLimit_L2",
        "dischargeLimit_L3",
    }
)
_SOC_FIELDS = frozenset({"soc", "limit"})
_PLAIN_FIELDS = frozenset({"startPeriod", "limit", "numberPhases"})
_SCHEDULE_FIELDS = frozenset(
    {
        "id",
        "startSchedule",
        "duration",
        "chargingRateUnit",
        "chargingSchedulePeriod",
        "minChargingRate",
        "limitAtSoC",
        "useLocalTime",
        "randomizedDelay",
    }
)
_PROFILE_FIELDS = frozenset(
    {
        "id",
        "chargingProfileId",
        "transactionId",
        "stackLevel",
        "chargingProfilePurpose",
        "chargingProfileKind",
        "recurrencyKind",
        "validFrom",
        "validTo",
        "chargingSchedule",
        "maxOfflineDuration",
        "dynUpdateTime",
        "invalidAfterOfflineDuration",
        "dynUpdateInterval",
    }
)


def read_profile(fields: Fields, purpose: Purpose, id_name: str = "id") -> ChargingProfile:
    """The profile in `fields`; its purpose was read before. PayloadError names what cannot be read."""
    try:
        return _profile(fields, purpose, id_name)
    except ValueError as error:  # a value of which no profile can be made, say, beyond 32 bits
        raise PayloadError(fields.action, fields.path, str(error)) from error


def read_schedule(fields: Fields) -> ChargingSchedule:
    """A schedule without a profile, as a car tells it; errors as above."""
    try:
        return _schedule(fields, has_id=False)
    except ValueError as error:
        raise PayloadError(fields.action, fields.path, str(error)) from error


def _profile(fields: Fields, purpose: Purpose, id_name: str) -> ChargingProfile:
    return ChargingProfile(
        id=fields.need_integer(id_name),
        stack_level=_stack_level(fields),
        purpose=purpose,
        kind=fields.need_one_of("chargingProfileKind", Kind),
        schedules=_schedules(fields, has_ids=id_name == "id"),
        recurrency=fields.one_of("recurrencyKind", Recurrency),
        transaction_id=fields.text("transactionId"),
        valid_from=fields.moment("validFrom"),
        valid_to=fields.moment("validTo"),
        max_offline_duration_s=_seconds(fields, "maxOfflineDuration"),
        invalid_after_offline_duration=fields.flag("invalidAfterOfflineDuration"),
        dyn_update_interval_s=_seconds(fields, "dynUpdateInterval"),
        dyn_update_time=fields.moment("dynUpdateTime"),
        extra=_others(fields, _PROFILE_FIELDS),
    )


def _stack_level(fields: Fields) -> int:
    level = fields.need_integer("stackLevel")
    return level if level >= 0 else fields.fail("stackLevel", f"must not be negative, got {level}")


def _schedules(fields: Fields, *, has_ids: bool) -> tuple[ChargingSchedule, ...]:
    schedules = tuple(_schedule(child, has_id=has_ids) for child in fields.children("chargingSchedule"))
    return schedules or fields.fail("chargingSchedule", "missing")


def _schedule(fields: Fields, *, has_id: bool) -> ChargingSchedule:
    at_soc, is_local = fields.child("limitAtSoC"), fields.flag("useLocalTime")
    return ChargingSchedule(
        rate_unit=fields.need_one_of("chargingRateUnit", RateUnit),
        periods=_periods(fields),
        id=fields.need_integer("id") if has_id else None,
        start_schedule=fields.wall_time("startSchedule") if is_local else fields.moment("startSchedule"),
        duration_s=_seconds(fields, "duration"),
        min_charging_rate=fields.number("minChargingRate"),
        limit_at_soc=None if at_soc is None else _limit_at_soc(at_soc),
        use_local_time=is_local,
        randomized_delay_s=_seconds(fields, "randomizedDelay"),
        extra=_others(fields, _SCHEDULE_FIELDS),
    )


def _limit_at_soc(fields: Fields) -> LimitAtSoc:
    _others(fields, _SOC_FIELDS)
    return LimitAtSoc(fields.need_integer("soc"), read_rate(fields, "limit") or 0.0)


def _periods(fields: Fields) -> tuple[SchedulePeriod, ...]:
    periods = _plain_periods(fields.raw("chargingSchedulePeriod")) or tuple(
        _period(child) for child in fields.children("chargingSchedulePeriod")
    )
    return periods or fields.fail("chargingSchedulePeriod", "at least one period is needed")


def _period(fields: Fields) -> SchedulePeriod:
    return SchedulePeriod(
        start_s=_start(fields),
        limit=read_rate(fields, "limit"),
        number_phases=fields.integer("numberPhases"),
        phase_to_use=fields.integer("phaseToUse"),
        limit_l2=read_rate(fields, "limit_L2"),
        limit_l3=read_rate(fields, "limit_L3"),
        operation_mode=fields.one_of("operationMode", OperationMode) or OperationMode.CHARGING_ONLY,
        setpoint=fields.number("setpoint"),
        setpoint_l2=fields.number("setpoint_L2"),
        setpoint_l3=fields.number("setpoint_L3"),
        discharge_limit=fields.number("dischargeLimit"),
        discharge_limit_l2=fields.number("dischargeLimit_L2"),
        discharge_limit_l3=fields.number("dischargeLimit_L3"),
        extra=_others(fields, _PERIOD_FIELDS),
    )


def _plain_periods(members: Any) -> tuple[SchedulePeriod, ...]:
    """The usual periods, in the types of the schema; there may be a thousand of them. None at all: read them carefully."""
    periods = [_plain_period(member) for member in members] if isinstance(members, list) else [None]
    return tuple(period for period in periods if period is not None) if None not in periods else ()


def _plain_period(data: Any) -> SchedulePeriod | None:
    if type(data) is not dict or not data.keys() <= _PLAIN_FIELDS:
        return None
    start_s, limit, phases = data.get("startPeriod"), data.get("limit"), data.get("numberPhases")
    if type(start_s) is not int or not 0 <= start_s <= _LONGEST_S:
        return None
    if not (type(limit) is float or type(limit) is int) or not 0 <= limit <= _HIGHEST:
        return None
    return SchedulePeriod(start_s, float(limit), phases) if phases is None or type(phases) is int else None


def _start(fields: Fields) -> int:
    start_s = _seconds(fields, "startPeriod")
    return start_s if start_s is not None else fields.fail("startPeriod", "missing")


def _seconds(fields: Fields, name: str) -> int | None:
    """A duration; more than 68 years (peers write 8638204663973) is as good as that."""
    seconds = fields.integer(name)
    if seconds is not None and seconds < 0:
        fields.fail(name, f"must not be negative, got {seconds}")
    return None if seconds is None else min(seconds, _LONGEST_S)


def read_rate(fields: Fields, name: str) -> float | None:
    """A charging limit. A negative one has no meaning (some use -1 for "no limit") and is refused."""
    rate = fields.number(name)
    if rate is not None and rate < 0.0:
        fields.fail(name, f"must not be negative, got {rate}")
    return None if rate is None else min(rate, _HIGHEST)


def _others(fields: Fields, known: frozenset[str]) -> Mapping[str, Any]:
    others = {name: value for name, value in fields.data.items() if name not in known}
    for name, value in others.items():
        if is_nested_deeper(value, DEEPEST):
            fields.fail(name, f"nested more than {DEEPEST} deep")
    return others


def is_nested_deeper(value: Any, most: int) -> bool:
    """Whether a value of JSON is nested more than `most` deep."""
    members = value.values() if isinstance(value, Mapping) else value if isinstance(value, list) else ()
    return any(most <= 0 or is_nested_deeper(member, most - 1) for member in members)
