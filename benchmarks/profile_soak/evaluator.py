"""What do the installed profiles of a reference station allow at one instant? Read from the rules, by brute force.

Written apart from the gateway's engine and in another way: one instant at a time, in seconds since 1970, without any
algebra of schedules. Payload names are those on the wire. Sources: OCPP 1.6 chapter 3.13 with errata, 2.x Part 2 K.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, tzinfo
from functools import reduce
from itertools import pairwise
from typing import Any, NamedTuple

NOMINAL_V = 230.0
PHASES = 3
HARDWARE_A = 32.0
DAY_S = 86_400
ROUND_S = {"Daily": DAY_S, "Weekly": 7 * DAY_S}
STATION_MAX = frozenset({"ChargePointMaxProfile", "ChargingStationMaxProfile"})

Json = dict[str, Any]


class Period(NamedTuple):
    """One ChargingSchedulePeriod. phases: as it says, or the standard's three."""

    start_s: float
    limit: float
    phases: int


class Plan(NamedTuple):
    """One ChargingSchedule. start_s: since 1970 in UTC, or of the wall clock if `is_local`; None if it has none.

    delay_s: the most by which all periods but the first may be late (randomizedDelay). at_soc: state of charge and limit.
    """

    unit: str
    start_s: float | None
    duration_s: float | None
    is_local: bool
    periods: tuple[Period, ...]
    delay_s: float = 0.0
    at_soc: tuple[float, float] | None = None


@dataclass(frozen=True, slots=True)
class Profile:
    """An installed profile. evse: 0 for the whole station. updated_s: when a Dynamic one came or was updated.

    offline_s: it is invalid while the station is offline for longer, and afterwards, too, if it `goes_offline`.
    pulled_each_s: how often the station asks for its next limit.
    """

    evse: int
    id: int
    level: int
    purpose: str
    kind: str
    recurrency: str | None
    transaction_id: str | None
    valid_from_s: float | None
    valid_to_s: float | None
    plans: tuple[Plan, ...]
    updated_s: float
    raw: Mapping[str, Any]
    offline_s: float | None = None
    goes_offline: bool = False
    pulled_each_s: float | None = None

    @property
    def is_station_max(self) -> bool:
        """Whether it limits the station as a whole."""
        return self.purpose in STATION_MAX


class Situation(NamedTuple):
    """What the limit of one EVSE depends on besides the profiles.

    transaction_id, started_s: of the running transaction; None without one. asked_s: the origin of Relative schedules
    without one (K08.FR.06). has_priority: PriorityCharging is activated. zone: what the station calls local time.
    socs: what the car's state of charge may be taken for just now, in percent; none: it is not known.
    offline_since_s: when the station lost its CSMS.
    """

    evse: int
    transaction_id: str | None = None
    started_s: float | None = None
    asked_s: float | None = None
    has_priority: bool = False
    zone: tzinfo = UTC
    socs: tuple[float, ...] = ()
    offline_since_s: float | None = None


class Limit(NamedTuple):
    """What may be drawn: in A per phase or in W of all phases, on so many phases; None: nobody limits it."""

    value: float | None = None
    phases: int | None = None


FREE = Limit()


def seconds(text: str | None) -> float | None:
    """An instant on the wire."""
    return None if text is None else datetime.fromisoformat(text).timestamp()


def parse(evse: int, raw: Mapping[str, Any], now_s: float) -> Profile:
    """A profile as a 1.6 or 2.x payload has it, which must be valid by its schema."""
    schedules = raw["chargingSchedule"]
    transaction_id = raw.get("transactionId")
    return Profile(
        evse=evse,
        id=raw.get("chargingProfileId", raw.get("id")),
        level=raw["stackLevel"],
        purpose=raw["chargingProfilePurpose"],
        kind=raw["chargingProfileKind"],
        recurrency=raw.get("recurrencyKind"),
        transaction_id=None if transaction_id is None else str(transaction_id),
        valid_from_s=seconds(raw.get("validFrom")),
        valid_to_s=seconds(raw.get("validTo")),
        plans=tuple(_plan(schedule) for schedule in (schedules if isinstance(schedules, list) else [schedules])),
        updated_s=seconds(raw.get("dynUpdateTime")) or now_s,
        raw=raw,
        offline_s=raw.get("maxOfflineDuration"),
        goes_offline=bool(raw.get("invalidAfterOfflineDuration")),
        pulled_each_s=raw.get("dynUpdateInterval"),
    )


def _plan(schedule: Mapping[str, Any]) -> Plan:
    is_local, start = bool(schedule.get("useLocalTime")), schedule.get("startSchedule")
    if start is not None and is_local:
        start_s: float | None = datetime.fromisoformat(start).replace(tzinfo=UTC).timestamp()
    else:
        start_s = seconds(start)
    periods = (
        Period(period["startPeriod"], float(period.get("limit", 0.0)), period.get("numberPhases") or PHASES)
        for period in schedule["chargingSchedulePeriod"]
    )
    at_soc = schedule.get("limitAtSoC")
    return Plan(
        schedule["chargingRateUnit"],
        start_s,
        schedule.get("duration"),
        is_local,
        tuple(periods),
        schedule.get("randomizedDelay", 0),
        None if at_soc is None else (at_soc["soc"], at_soc["limit"]),
    )


# --- one instant -------------------------------------------------------------------------------------------------


def allowed(profiles: Iterable[Profile], situation: Situation, unit: str, t: float) -> Limit:
    """What one EVSE may draw at `t`: the transaction's limit and the station's, the lower one; more if generated here."""
    mine = [profile for profile in profiles if profile.evse in {0, situation.evse}]
    maximum = _lead(mine, STATION_MAX, situation, unit, t)
    merged = _lower(_transaction(mine, situation, unit, t), maximum)
    generated = _lead(mine, {"LocalGeneration"}, situation, unit, t)
    if generated is None or generated.value is None or merged.value is None:
        return merged
    return Limit(merged.value + generated.value, merged.phases)


def allowed_of_station(profiles: Sequence[Profile], evses: Sequence[Situation], unit: str, t: float) -> Limit:
    """What the station may draw at `t`: the sum of its EVSEs, at most its maximum (1.6 §3.13.3, K04.FR.05)."""
    total, phases = 0.0, 0
    for situation in evses:
        mine = [profile for profile in profiles if profile.evse in {0, situation.evse}]
        share = _transaction(mine, situation, unit, t)
        used = share.phases or PHASES
        phases = max(phases, used)
        total += share.value if share.value is not None else _converted(HARDWARE_A, "A", unit, used)
    whole = _whole(evses)
    at_0 = [profile for profile in profiles if profile.evse == 0]
    merged = _lower(Limit(total, phases), _lead(at_0, STATION_MAX, whole, unit, t))
    generated = _lead(at_0, {"LocalGeneration"}, whole, unit, t)
    if generated is None or generated.value is None or merged.value is None:
        return merged
    return Limit(merged.value + generated.value, merged.phases)


def _whole(evses: Sequence[Situation]) -> Situation:
    """The station, in which as a whole no transaction runs."""
    return Situation(0, asked_s=evses[0].asked_s, zone=evses[0].zone, offline_since_s=evses[0].offline_since_s)


def _transaction(mine: Sequence[Profile], situation: Situation, unit: str, t: float) -> Limit:
    """PriorityCharging if it is activated (K21.FR.04), else the TxProfile, else the TxDefaultProfile (K02.FR.08)."""
    if situation.has_priority:
        found = _lead(mine, {"PriorityCharging"}, situation, unit, t)
        if found is not None:
            return found
    if situation.transaction_id is not None:
        own = [one for one in mine if one.transaction_id in {None, situation.transaction_id}]
        found = _lead(own, {"TxProfile"}, situation, unit, t)
        if found is not None:
            return found
    return _lead(mine, {"TxDefaultProfile"}, situation, unit, t) or FREE


def _lead(
    profiles: Iterable[Profile], purposes: Iterable[str], situation: Situation, unit: str, t: float
) -> Limit | None:
    """The highest stack level that says something at `t`; at the same level an EVSE's own before the station's (1.6)."""
    best, rank = None, (-1, -1)
    for profile in profiles:
        mine = (profile.level, profile.evse)
        if profile.purpose in purposes and mine > rank and (said := _says(profile, situation, unit, t)) is not None:
            best, rank = said, mine
    return best


def _says(profile: Profile, situation: Situation, unit: str, t: float) -> Limit | None:
    if profile.valid_from_s is not None and t < profile.valid_from_s:  # K01.FR.36
        return None
    if profile.valid_to_s is not None and t >= profile.valid_to_s:  # K01.FR.37
        return None
    if _is_out_of_reach(profile, situation, t):
        return None
    limits = [
        _highest(_limit(plan, period, situation, unit) for period in running)
        for plan in profile.plans
        if (running := _running(profile, plan, situation, t))
    ]
    return reduce(_lower, limits) if limits else None


def _is_out_of_reach(profile: Profile, situation: Situation, t: float) -> bool:
    """Whether the station has been offline for longer than the profile allows (K01.FR.101)."""
    since_s, allowed_s = situation.offline_since_s, profile.offline_s
    return since_s is not None and allowed_s is not None and t - since_s > allowed_s


def _limit(plan: Plan, period: Period, situation: Situation, unit: str) -> Limit:
    """What a period says, at most what the state of charge leaves of it (K01.FR.100)."""
    limit = period.limit
    if plan.at_soc is not None and situation.socs and all(soc >= plan.at_soc[0] for soc in situation.socs):
        limit = min(limit, plan.at_soc[1])
    return Limit(_converted(limit, plan.unit, unit, period.phases), period.phases)


def _highest(limits: Iterable[Limit]) -> Limit:
    """The most that several possible ones allow."""
    first, *others = limits
    if not others:  # as nearly always
        return first
    values, phases = zip(first, *others, strict=True)
    return Limit(max(values), max(phases))


def _running(profile: Profile, plan: Plan, situation: Situation, t: float) -> list[Period]:
    """The period that counts at `t`; with a randomizedDelay all that may, as the station has drawn (K01.FR.92-.97)."""
    offset_s = _offset_s(profile, plan, situation, t)
    if offset_s is None or offset_s < 0:
        return []
    if profile.kind == "Dynamic":  # K28.FR.13: the duration is a watchdog, and its end belongs to it
        return [] if plan.duration_s is not None and offset_s > plan.duration_s else [plan.periods[0]]
    if profile.kind == "Recurring" and profile.recurrency is not None:
        offset_s %= ROUND_S[profile.recurrency]
    if plan.duration_s is not None and offset_s >= plan.duration_s:
        return []
    late_s = plan.delay_s if situation.transaction_id is not None else 0.0
    begun = [period for period in plan.periods if period.start_s <= offset_s]
    if not late_s:
        return begun[-1:]
    surely = [n for n, period in enumerate(begun) if n == 0 or period.start_s + late_s <= offset_s]
    return begun[surely[-1] :] if begun else []


def _offset_s(profile: Profile, plan: Plan, situation: Situation, t: float) -> float | None:
    """Seconds since the origin of the schedule."""
    if profile.kind == "Dynamic":
        return t - profile.updated_s
    if profile.kind == "Relative":
        origin_s = situation.started_s if situation.started_s is not None else situation.asked_s
        return t - (t if origin_s is None else origin_s)
    if plan.start_s is None:
        return None
    return (_wall_s(t, situation.zone) if plan.is_local else t) - plan.start_s


def _wall_s(t: float, zone: tzinfo) -> float:
    """What the clock on the wall shows (K01.FR.90/.91)."""
    offset = datetime.fromtimestamp(t, zone).utcoffset()
    return t if offset is None else t + offset.total_seconds()


def _converted(limit: float, given: str, wanted: str, phases: int) -> float:
    """1.6 errata 3.69; K01.FR.50/.51."""
    if given == wanted:
        return limit
    return limit * NOMINAL_V * phases if wanted == "W" else limit / (NOMINAL_V * phases)


def _lower(one: Limit, other: Limit | None) -> Limit:
    """The lowest limit, and the lowest number of phases (K01.FR.140)."""
    if other is None:
        return one
    values = [limit.value for limit in (one, other) if limit.value is not None]
    phases = [limit.phases for limit in (one, other) if limit.phases is not None]
    return Limit(min(values, default=None), min(phases, default=None))


# --- what matters ------------------------------------------------------------------------------------------------

_WITHOUT: Mapping[str, Callable[[Profile], Profile]] = {
    "limitAtSoC": lambda one: replace(one, plans=tuple(plan._replace(at_soc=None) for plan in one.plans)),
    "randomizedDelay": lambda one: replace(one, plans=tuple(plan._replace(delay_s=0.0) for plan in one.plans)),
    "maxOfflineDuration": lambda one: replace(one, offline_s=None),
}


def decisive(profiles: Sequence[Profile], situation: Situation, unit: str, t: float) -> list[str]:
    """Which of the rarer fields of 2.1 decide what the EVSE may draw at `t`."""
    as_it_is = allowed(profiles, situation, unit, t)
    others = ((name, [without(one) for one in profiles]) for name, without in _WITHOUT.items())
    return [name for name, plain in others if plain != profiles and allowed(plain, situation, unit, t) != as_it_is]


# --- when it may change ------------------------------------------------------------------------------------------


def cuts(profiles: Iterable[Profile], situations: Sequence[Situation], start_s: float, end_s: float) -> list[float]:
    """Every instant in (start, end) at which some limit may change, ascending; some at which none does."""
    found: set[float] = set()
    for profile in profiles:
        found.update(edge for edge in (profile.valid_from_s, profile.valid_to_s) if edge is not None)
        lost_s = situations[0].offline_since_s
        if profile.offline_s is not None and lost_s is not None:
            found.update((lost_s + profile.offline_s, lost_s + profile.offline_s + 0.001))
        for plan in profile.plans:
            found.update(_marks(profile, plan, situations, start_s, end_s))
    return sorted(cut for cut in found if start_s < cut < end_s)


def _marks(
    profile: Profile, plan: Plan, situations: Sequence[Situation], start_s: float, end_s: float
) -> Iterator[float]:
    offsets = [period.start_s for period in plan.periods] + ([] if plan.duration_s is None else [plan.duration_s])
    offsets += [period.start_s + plan.delay_s for period in plan.periods if plan.delay_s]
    for origin_s in _origins(profile, plan, situations, start_s, end_s):
        yield from (origin_s + offset_s for offset_s in offsets)
        if profile.kind == "Dynamic" and plan.duration_s is not None:
            yield origin_s + plan.duration_s + 0.001
    if plan.is_local:  # the clock is set forward or back on the hour
        yield from range(int(start_s) // 3600 * 3600, int(end_s) + 3600, 3600)


def _origins(
    profile: Profile, plan: Plan, situations: Sequence[Situation], start_s: float, end_s: float
) -> Iterator[float]:
    if profile.kind == "Dynamic":
        yield profile.updated_s
    elif profile.kind == "Relative":
        for one in situations:
            origin_s = one.started_s if one.started_s is not None else one.asked_s
            yield start_s if origin_s is None else origin_s
    elif plan.start_s is not None:
        shifts = {0.0}
        if plan.is_local:
            shifts = {t - _wall_s(t, situations[0].zone) for t in (start_s, end_s)}
        step_s = ROUND_S[profile.recurrency] if profile.recurrency is not None else None
        for shift_s in shifts:
            first_s = plan.start_s + shift_s
            if step_s is None:
                yield first_s
                continue
            first_s += max(0.0, (start_s - first_s) // step_s - 1) * step_s
            while first_s < end_s:
                yield first_s
                first_s += step_s


def composite(  # noqa: PLR0913, PLR0917 - the question has so many parts
    profiles: Sequence[Profile], evses: Sequence[Situation], evse: int, unit: str, start_s: float, duration_s: float
) -> list[tuple[float, float, int]]:
    """(seconds from the start, limit, phases) of an EVSE, or of the station for 0; the hardware where nobody limits."""
    situation = next((one for one in evses if one.evse == evse), None)
    steps: list[tuple[float, float, int]] = []
    for cut in [start_s, *cuts(profiles, [*evses, _whole(evses)], start_s, start_s + duration_s)]:
        if situation is None:
            limit = allowed_of_station(profiles, evses, unit, cut)
        else:
            limit = allowed(profiles, situation, unit, cut)
        phases = limit.phases or PHASES
        value = limit.value if limit.value is not None else _converted(HARDWARE_A, "A", unit, phases)
        steps.append((cut - start_s, value, phases))
    return steps[:1] + [later for before, later in pairwise(steps) if later[1:] != before[1:]]
