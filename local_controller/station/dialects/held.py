"""What does a station say that it holds? Its composite schedule and its reported profiles, and how it is asked for them.

Nothing that a station answers makes these readers fail: what cannot be read is left out. Stations are seen to write a
limit of -1 for "none", another unit than the one asked for, no period at all, a duration of 8638204663973 s, limits
with fourteen decimals, and a composite schedule of a schedule that is not there.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from local_controller.errors import PayloadError
from local_controller.profiles.profile import ChargingProfile, Purpose
from local_controller.profiles.units import RateUnit
from local_controller.rpc.frame import REFUSALS
from local_controller.station.dialects.base import Payload
from local_controller.station.dialects.charging_profile import read_profile
from local_controller.station.dialects.reading import Fields
from local_controller.station.words import OcppVersion

AHEAD_S: Final = 3600
"""So much of its composite schedule a station is asked for: long enough to see what follows a limit of ours (90 s)."""

_LONGEST_S = 2**31 - 1
_MOST_PERIODS = 1024
_MOST_PROFILES = 256


# --- asking -------------------------------------------------------------------------------------------------------


def composite_question(version: OcppVersion, evse: int, unit: RateUnit) -> Payload:
    """GetCompositeSchedule of one connector (1.6) or EVSE, in the unit in which we write (some do not convert)."""
    name = "connectorId" if version is OcppVersion.V16 else "evseId"
    return {name: evse, "duration": AHEAD_S, "chargingRateUnit": unit.value}


def profiles_question(request_id: int) -> Payload:
    """GetChargingProfiles (2.x) without any criterion: all of them, whoever installed them (K09.FR.03)."""
    return {"requestId": request_id, "chargingProfile": {}}


# --- the composite schedule ---------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class HeldPeriod:
    """One period of a composite schedule; limit None: the station says that there is none."""

    start_s: int
    limit: float | None
    phases: int | None = None


@dataclass(frozen=True, slots=True)
class HeldComposite:
    """A composite schedule as the station answered it, in its unit; unit None: it did not say. `periods` ascend."""

    unit: RateUnit | None
    start: datetime | None
    duration_s: int | None
    periods: tuple[HeldPeriod, ...]

    def at(self, moment: datetime) -> HeldPeriod | None:
        """The period that holds at this moment (in the station's clock); None where the schedule says nothing."""
        offset_s = 0.0 if self.start is None else (moment - self.start) / timedelta(seconds=1)
        if self.duration_s is not None and offset_s >= self.duration_s:
            return None
        begun = [period for period in self.periods if period.start_s <= max(offset_s, 0.0)]
        return begun[-1] if begun else None

    def changes_s(self, moment: datetime) -> float | None:
        """In how many seconds the limit changes; None if it does not, as far as the schedule goes."""
        offset_s = 0.0 if self.start is None else (moment - self.start) / timedelta(seconds=1)
        now = self.at(moment)
        later = [p.start_s for p in self.periods if p.start_s > offset_s and now is not None and p.limit != now.limit]
        return min(later) - offset_s if later else None


def read_composite(answer: Payload) -> HeldComposite | None:
    """The answer to GetCompositeSchedule of any version; None where it holds no schedule that can be read."""
    fields = Fields("GetCompositeSchedule", answer)
    if (_text(fields, "status") or "").lower() != "accepted":
        return None
    schedule = _child(fields, "chargingSchedule") or _child(fields, "schedule")
    if schedule is None:
        return None
    periods = sorted(_periods(schedule), key=lambda period: period.start_s)
    if not periods:
        return None
    begin = _moment(fields, "scheduleStart") or _moment(schedule, "scheduleStart") or _moment(schedule, "startSchedule")
    return HeldComposite(_unit(schedule), begin, _seconds(schedule, "duration"), tuple(periods))


def _periods(schedule: Fields) -> list[HeldPeriod]:
    found = schedule.data.get("chargingSchedulePeriod")
    members = [found] if isinstance(found, Mapping) else found if isinstance(found, list) else []
    read = (_period(Fields(schedule.action, one)) for one in members[:_MOST_PERIODS] if isinstance(one, Mapping))
    return [period for period in read if period is not None]


def _period(fields: Fields) -> HeldPeriod | None:
    """A period without a start begins at once; one whose limit cannot be read is left out."""
    start_s = _seconds(fields, "startPeriod") or 0
    try:
        limits = [fields.number(name) for name in ("limit", "limit_L2", "limit_L3")]
    except PayloadError:
        return None
    said = [limit for limit in limits if limit is not None]
    limit = min(said, default=None)
    phases = _integer(fields, "numberPhases")
    phases = phases if phases in {1, 2, 3} else None
    return HeldPeriod(start_s, None if limit is None or limit < 0.0 else limit, phases)


def _unit(fields: Fields) -> RateUnit | None:
    said = (_text(fields, "chargingRateUnit") or "").upper()
    return RateUnit(said) if said in set(RateUnit) else None


# --- reported profiles --------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class HeldProfile:
    """A profile that the station reports (2.x), for an EVSE (0: the station); `profile` None if it cannot be read.

    id, purpose and stack_level as far as they can be read where the rest cannot. source: its ChargingLimitSource.
    """

    evse: int
    source: str
    id: int | None
    purpose: Purpose | None
    stack_level: int | None
    profile: ChargingProfile | None


@dataclass(frozen=True, slots=True)
class ProfileReport:
    """One ReportChargingProfiles: the answer to which request, its profiles, and whether more follow."""

    request_id: int | None
    profiles: tuple[HeldProfile, ...]
    is_last: bool


def report_request_id(payload: Payload) -> int | None:
    """Which request a ReportChargingProfiles belongs to."""
    return _integer(Fields("ReportChargingProfiles", payload), "requestId")


def read_report(payload: Payload) -> ProfileReport:
    """ReportChargingProfiles; whatever in it cannot be read is left out."""
    fields = Fields("ReportChargingProfiles", payload)
    evse, source = _integer(fields, "evseId") or 0, _text(fields, "chargingLimitSource") or ""
    found = fields.data.get("chargingProfile")
    members = [found] if isinstance(found, Mapping) else found if isinstance(found, list) else []
    profiles = tuple(_held(evse, source, one) for one in members[:_MOST_PROFILES] if isinstance(one, Mapping))
    return ProfileReport(_integer(fields, "requestId"), profiles, not fields.flag("tbc"))


def _held(evse: int, source: str, raw: Mapping[str, Any]) -> HeldProfile:
    fields = Fields("ReportChargingProfiles", raw)
    name = (_text(fields, "chargingProfilePurpose") or "").lower()
    purpose = next((one for one in Purpose if one.value.lower() == name), None)
    head = (_integer(fields, "id"), purpose, _integer(fields, "stackLevel"))
    if purpose is None:
        return HeldProfile(evse, source, *head, None)
    try:
        profile = read_profile(Fields("ReportChargingProfiles", _without_signs(raw)), purpose)
    except (PayloadError, *REFUSALS):
        return HeldProfile(evse, source, *head, None)
    return HeldProfile(evse, source, *head, profile)


def _without_signs(value: Any) -> Any:
    """The same without limits and numbers of phases that are negative, which stand for "none"."""
    if isinstance(value, Mapping):
        return {name: _without_signs(one) for name, one in value.items() if not _is_none(name, one)}
    return [_without_signs(one) for one in value] if isinstance(value, list) else value


def _is_none(name: str, value: Any) -> bool:
    is_rate = name.startswith("limit") or name == "numberPhases"
    return is_rate and isinstance(value, int | float) and not isinstance(value, bool) and value < 0


# --- fields that may be anything ----------------------------------------------------------------------------------


def _text(fields: Fields, name: str) -> str | None:
    value = fields.data.get(name)
    return value.strip() if isinstance(value, str) else None


def _integer(fields: Fields, name: str) -> int | None:
    try:
        return fields.integer(name)
    except PayloadError:
        return None


def _seconds(fields: Fields, name: str) -> int | None:
    try:
        said = fields.number(name)
    except PayloadError:
        return None
    return None if said is None or said < 0 else int(min(said, _LONGEST_S))


def _moment(fields: Fields, name: str) -> datetime | None:
    try:
        return fields.moment(name)
    except PayloadError:
        return None


def _child(fields: Fields, name: str) -> Fields | None:
    value = fields.data.get(name)
    return Fields(fields.action, value, f"{fields.path}.{name}") if isinstance(value, Mapping) else None
