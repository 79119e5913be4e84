"""Which profiles of a purpose that we own must be refused, because ours in their place would say less? (LC-102)

Ours tell a limit per phase over time and nothing else: no prices, no signatures, nothing that only a car of ISO 15118
understands. And what a station says that it does not support, it would refuse itself.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from typing import Final

from local_controller.profiles.profile import ChargingProfile, ChargingSchedule, OperationMode, SchedulePeriod
from local_controller.profiles.rules import Reason, Verdict

_SIGNATURE: Final = "priceScheduleSignature"
_ONLY_FOR_THE_CAR: Final = ("salesTariff", "absolutePriceSchedule", "priceLevelSchedule", "signatureId", "digestValue")
_ONLY_IN_A_PERIOD: Final = (
    "v2xBaseline",
    "v2xFreqWattCurve",
    "v2xSignalWattCurve",
    "setpointReactive",
    "setpointReactive_L2",
    "setpointReactive_L3",
)


def objection(profile: ChargingProfile, lacks: Collection[str]) -> Verdict | None:
    """Why it is refused; None if it is not. `lacks`: the features of 2.1 that the station says it does not have."""
    return next(_objections(profile, lacks), None)


def says_more_than_ours(profile: ChargingProfile) -> bool:
    """Whether it says anything that a profile of ours cannot say: alternatives, another operation mode, any of the above."""
    modes = {period.operation_mode for schedule in profile.schedules for period in schedule.periods}
    return len(profile.schedules) > 1 or modes != {OperationMode.CHARGING_ONLY} or objection(profile, ()) is not None


def _objections(profile: ChargingProfile, lacks: Collection[str]) -> Iterator[Verdict]:
    if profile.max_offline_duration_s is not None and "MaxOfflineDuration" in lacks:
        yield Verdict(Reason.INVALID_PROFILE, "maxOfflineDuration is not supported")
    if profile.extra.get(_SIGNATURE) is not None:
        yield Verdict(Reason.UNSUPPORTED_PARAM, f"{_SIGNATURE} is not supported")
    for schedule in profile.schedules:
        yield from _of_schedule(schedule, lacks)


def _of_schedule(schedule: ChargingSchedule, lacks: Collection[str]) -> Iterator[Verdict]:
    used = {
        "UseLocalTime": schedule.use_local_time,
        "RandomizedDelay": bool(schedule.randomized_delay_s),
        "LimitAtSoC": schedule.limit_at_soc is not None,
    }
    for feature, is_used in used.items():
        if is_used and feature in lacks:
            yield Verdict(Reason.INVALID_SCHEDULE, f"{feature} is not supported")
    for name in _ONLY_FOR_THE_CAR:
        if schedule.extra.get(name) is not None:
            yield Verdict(Reason.UNSUPPORTED_PARAM, f"{name} is not supported")
    for period in schedule.periods:
        yield from _of_period(period)


def _of_period(period: SchedulePeriod) -> Iterator[Verdict]:
    """An EVSE that is to sleep, or a car to be preconditioned, would learn nothing of it from us."""
    if period.extra.get("evseSleep") is True or period.extra.get("preconditioningRequest") is True:
        yield Verdict(Reason.INVALID_SCHEDULE, "evseSleep and preconditioningRequest are not supported")
    for name in _ONLY_IN_A_PERIOD:
        if period.extra.get(name) is not None:
            yield Verdict(Reason.UNSUPPORTED_PARAM, f"{name} is not supported")
