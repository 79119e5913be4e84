"""Which limit do the installed charging profiles give at one instant?

Written apart from the gateway's algebra and in another style (instant by instant, no intervals), so that the two can
contradict each other. Payloads come in the snake_case of the `ocpp` package. Sources: OCPP 1.6 chapter 3.13 with
errata, OCPP 2.x Part 2 block K.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import pairwise
from typing import Any

from site_simulator.vehicle import NOMINAL_V

ALL_LINES = 3
"""numberPhases of a period that does not say."""
STATION_MAX = frozenset({"ChargePointMaxProfile", "ChargingStationMaxProfile"})
RECURRENCE = {"Daily": timedelta(days=1), "Weekly": timedelta(days=7)}


@dataclass(frozen=True, slots=True)
class Profile:
    """An installed charging profile.

    evse: 0 for the whole station. unit: "A" per phase or "W" for all phases together.
    periods: (start in seconds after the schedule's origin, limit, number of phases or None), ascending.
    received: the origin of a Relative schedule if no transaction runs.
    raw: the profile as it came, for reports.
    """

    evse: int
    profile_id: int
    stack_level: int
    purpose: str
    kind: str
    recurrency: str | None
    valid_from: datetime | None
    valid_to: datetime | None
    transaction_id: str | None
    start: datetime | None
    duration_s: float | None
    unit: str
    periods: tuple[tuple[float, float, int | None], ...]
    received: datetime
    raw: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Situation:
    """What the limit depends on besides the profiles.

    transaction_id, started: of the running transaction, None without one. phases: how many carry current. volts: of each of them.
    """

    transaction_id: str | None = None
    started: datetime | None = None
    phases: int = 3
    volts: float = NOMINAL_V


def parse(evse: int, raw: Mapping[str, Any], received: datetime) -> Profile:
    """A profile from its payload, 1.6 (one schedule) or 2.x (a list, of which the first is used).

    Raises KeyError or ValueError for what is no profile.
    """
    schedules = raw["charging_schedule"]
    schedule = schedules if isinstance(schedules, Mapping) else schedules[0]
    transaction_id = raw.get("transaction_id")
    return Profile(
        evse=evse,
        profile_id=raw["charging_profile_id"] if "charging_profile_id" in raw else raw["id"],
        stack_level=raw["stack_level"],
        purpose=raw["charging_profile_purpose"],
        kind=raw["charging_profile_kind"],
        recurrency=raw.get("recurrency_kind"),
        valid_from=_moment(raw.get("valid_from")),
        valid_to=_moment(raw.get("valid_to")),
        transaction_id=None if transaction_id is None else str(transaction_id),
        start=_moment(schedule.get("start_schedule")),
        duration_s=schedule.get("duration"),
        unit=schedule["charging_rate_unit"],
        periods=tuple(
            (period["start_period"], float(period["limit"]), period.get("number_phases"))
            for period in schedule["charging_schedule_period"]
        ),
        received=received,
        raw=raw,
    )


def _moment(text: str | None) -> datetime | None:
    return None if text is None else datetime.fromisoformat(text)


def limit_a(profiles: Iterable[Profile], at: datetime, situation: Situation, divides_by: int = 1) -> float | None:
    """Amperes per phase that an EVSE may draw at `at`; None if no profile says anything.

    divides_by: of how many connectors each gets its part of a station maximum.
    """
    candidates = [p for p in profiles if _is_valid(p, at) and _concerns(p, situation)]
    maximum = _leading([p for p in candidates if p.purpose in STATION_MAX], at, situation)
    default = _leading([p for p in candidates if p.purpose == "TxDefaultProfile"], at, situation)
    own = _leading([p for p in candidates if p.purpose == "TxProfile"], at, situation)
    maximum = None if maximum is None else maximum / divides_by
    limits = [limit for limit in (maximum, default if own is None else own) if limit is not None]
    return min(limits, default=None)


def lines_told(profiles: Iterable[Profile], at: datetime, situation: Situation) -> tuple[int, int | None]:
    """On how many phases an EVSE may charge at `at`, and on which one where that is said.

    The fewest of what leads (2.1 K01.FR.140).
    """
    candidates = [p for p in profiles if _is_valid(p, at) and _concerns(p, situation)]
    of_purpose = [
        _leader([p for p in candidates if p.purpose in purposes], at, situation)
        for purposes in (STATION_MAX, {"TxProfile"}, {"TxDefaultProfile"})
    ]
    maximum, own, default = of_purpose
    leading = [p for p in (maximum, default if own is None else own) if p is not None]
    told = [_lines_of(profile, at, situation) for profile in leading]
    return min(told, key=lambda one: one[0], default=(ALL_LINES, None))


def _leader(profiles: Iterable[Profile], at: datetime, situation: Situation) -> Profile | None:
    in_order = sorted(profiles, key=lambda p: (p.stack_level, p.evse), reverse=True)
    return next((profile for profile in in_order if _active(profile, at, situation) is not None), None)


def _lines_of(profile: Profile, at: datetime, situation: Situation) -> tuple[int, int | None]:
    offset_s = (at - _origin(profile, at, situation)).total_seconds()
    schedules = profile.raw["charging_schedule"]
    schedule = schedules if isinstance(schedules, Mapping) else schedules[0]
    period = [one for one in schedule["charging_schedule_period"] if one["start_period"] <= offset_s][-1]
    return period.get("number_phases") or ALL_LINES, period.get("phase_to_use")


def _is_valid(profile: Profile, at: datetime) -> bool:
    """K01.FR.36/.37."""
    started = profile.valid_from is None or profile.valid_from <= at
    return started and (profile.valid_to is None or at < profile.valid_to)


def _concerns(profile: Profile, situation: Situation) -> bool:
    if profile.purpose != "TxProfile":
        return True
    return situation.transaction_id is not None and profile.transaction_id in {None, situation.transaction_id}


def _leading(profiles: Iterable[Profile], at: datetime, situation: Situation) -> float | None:
    """The limit of the highest stack level that has an active period; an EVSE's own profile before the station's."""
    profile = _leader(profiles, at, situation)
    value = None if profile is None else _active(profile, at, situation)
    if profile is None or value is None:
        return None
    return value if profile.unit == "A" else value / (situation.volts * situation.phases)


def _origin(profile: Profile, at: datetime, situation: Situation) -> datetime:
    if profile.kind == "Relative":
        return situation.started or profile.received
    start = profile.start or profile.received
    if profile.kind == "Recurring" and profile.recurrency is not None and start <= at:
        return start + (at - start) // RECURRENCE[profile.recurrency] * RECURRENCE[profile.recurrency]
    return start


def _active(profile: Profile, at: datetime, situation: Situation) -> float | None:
    """The limit of the period that runs at `at`, in the profile's own unit."""
    offset_s = (at - _origin(profile, at, situation)).total_seconds()
    if offset_s < 0 or (profile.duration_s is not None and offset_s >= profile.duration_s):
        return None
    started = [limit for start_s, limit, _ in profile.periods if start_s <= offset_s]
    return started[-1] if started else None


def changes(profiles: Sequence[Profile], begin: datetime, end: datetime, situation: Situation) -> list[datetime]:
    """The instants from `begin` to before `end` at which some limit may change, ascending, `begin` first."""
    instants = {begin}
    for profile in profiles:
        instants.update(edge for edge in (profile.valid_from, profile.valid_to) if edge is not None)
        step = RECURRENCE.get(profile.recurrency or "", end - begin + timedelta(days=7))
        origin = _origin(profile, begin, situation)
        while origin < end:
            offsets = [start_s for start_s, _, _ in profile.periods]
            offsets += [] if profile.duration_s is None else [profile.duration_s]
            instants.update(origin + timedelta(seconds=offset_s) for offset_s in offsets)
            origin += step
    return sorted(instant for instant in instants if begin <= instant < end)


def composite_a(
    profiles: Sequence[Profile], begin: datetime, duration_s: float, situation: Situation, unlimited_a: float
) -> list[tuple[int, float]]:
    """(start in seconds, amperes per phase) from `begin` on; `unlimited_a` where no profile says anything."""
    instants = changes(profiles, begin, begin + timedelta(seconds=duration_s), situation)
    steps: list[tuple[int, float]] = []
    for instant in instants:
        value = limit_a(profiles, instant, situation)
        steps.append(
            (int((instant - begin).total_seconds()), unlimited_a if value is None else min(value, unlimited_a))
        )
    return steps[:1] + [later for before, later in pairwise(steps) if later[1] != before[1]]
