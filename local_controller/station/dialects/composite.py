"""How is a composite schedule asked for and told? The fields are alike in all versions; what holds them differs."""

from __future__ import annotations

from typing import Any

from local_controller.profiles.bound import More
from local_controller.profiles.composite import CompositePeriod, CompositeSchedule
from local_controller.profiles.profile import OperationMode
from local_controller.profiles.units import PHASES_IF_ABSENT, RateUnit
from local_controller.station.dialects.base import CompositeRequest, CompositeTold, Payload
from local_controller.station.dialects.reading import Fields

ACTION = "GetCompositeSchedule"
_SUFFIXES = ("", "_L2", "_L3")


def read_request(payload: Payload, evse_name: str) -> CompositeRequest:
    """GetCompositeSchedule; the unit may be left to the station."""
    fields = Fields(ACTION, payload)
    unit = fields.one_of("chargingRateUnit", RateUnit)
    return CompositeRequest(fields.need_integer(evse_name), fields.need_integer("duration"), unit)


def read_answer(answer: Payload, schedule_name: str) -> CompositeTold | None:
    """A station's answer; None if it was not accepted."""
    fields = Fields(ACTION, answer)
    if (fields.text("status") or "").lower() != "accepted":
        return None
    told = fields.child(schedule_name)
    if told is None:
        return CompositeTold(RateUnit.A, 0, ())
    said = tuple(period for child in told.children("chargingSchedulePeriod") if (period := _told_period(child)))
    duration_s = told.integer("duration")
    bounded_s = None if duration_s is None else _bounded_s(duration_s)
    return CompositeTold(told.need_one_of("chargingRateUnit", RateUnit), bounded_s, said)


def _told_period(fields: Fields) -> tuple[int, float, int] | None:
    limit, phases = fields.number("limit"), fields.integer("numberPhases")
    if limit is None:
        return None
    return _bounded_s(fields.need_integer("startPeriod")), limit, phases if phases in {1, 2, 3} else PHASES_IF_ABSENT


def _bounded_s(seconds: int) -> int:
    """Within 68 years, whatever a peer writes."""
    return min(max(seconds, 0), 2**31 - 1)


def write_schedule(schedule: CompositeSchedule, step: float) -> Payload:
    """Unit, duration and periods; rates are rounded towards zero, periods begin on whole seconds."""
    told = schedule.on_whole_seconds().rounded_down(step)
    start, end = told.periods[0].start, told.periods[-1].end
    return {
        "duration": round((end - start).total_seconds()),
        "chargingRateUnit": told.unit.value,
        "chargingSchedulePeriod": [
            {"startPeriod": round((period.start - start).total_seconds()), **_period(period)} for period in told.periods
        ],
    }


def _period(period: CompositePeriod) -> dict[str, Any]:
    said: dict[str, Any] = {"numberPhases": period.number_phases}
    if period.more is not None:
        return said | _more(period.more)
    return {"limit": period.limit, **said} if period.limit is not None else said


def _more(more: More) -> dict[str, Any]:
    """What 2.1 adds; a rate for all phases has no fields for L2 and L3."""
    named = (("limit", more.limits), ("setpoint", more.setpoints), ("dischargeLimit", more.discharge_limits))
    said: dict[str, Any] = {
        f"{name}{suffix}": rate
        for name, rates in named
        for suffix, rate in zip(_SUFFIXES, rates, strict=False)
        if rate is not None
    }
    if more.phase_to_use is not None:
        said["phaseToUse"] = more.phase_to_use
    if more.mode is not OperationMode.CHARGING_ONLY:
        said["operationMode"] = more.mode.value
    return said | dict(more.others)
