"""Does the station's own reading of charging profiles follow the standard's examples?"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from site_simulator.installed import InstalledProfiles
from site_simulator.profiles import Profile, Situation, composite_a, limit_a, parse

START = datetime(2026, 3, 2, 8, 0, tzinfo=UTC)  # a Monday
RUNNING = Situation("7", START)


def profile(purpose: str, *periods: tuple[float, float], **fields: Any) -> Profile:
    return parse(fields.pop("evse", 1), raw(purpose, *periods, **fields), START)


def raw(purpose: str, *periods: tuple[float, float], **fields: Any) -> dict[str, Any]:
    schedule = {
        "charging_rate_unit": fields.pop("unit", "A"),
        "charging_schedule_period": [{"start_period": start_s, "limit": limit} for start_s, limit in periods],
    }
    if "duration" in fields:
        schedule["duration"] = fields.pop("duration")
    kind = fields.pop("kind", "Absolute")
    start = fields.pop("start", START.isoformat() if kind != "Relative" else None)
    if start is not None:
        schedule["start_schedule"] = start
    common = {
        "id": fields.pop("profile_id", 1),
        "stack_level": fields.pop("stack", 0),
        "charging_profile_purpose": purpose,
        "charging_profile_kind": kind,
        "charging_schedule": [schedule],
    }
    return common | fields


def later(minutes: float) -> datetime:
    return START + timedelta(minutes=minutes)


def test_a_transaction_s_profile_beats_the_default_but_not_the_maximum() -> None:
    installed = [
        profile("ChargingStationMaxProfile", (0, 25), evse=0),
        profile("TxDefaultProfile", (0, 10)),
        profile("TxProfile", (0, 32), (1800, 20), kind="Relative", duration=3600, transaction_id="7"),
    ]
    at_minutes = [0, 29, 30, 60]
    assert [limit_a(installed, later(minutes), RUNNING) for minutes in at_minutes] == [25, 25, 20, 10]


def test_the_highest_stack_level_wins_not_the_lowest_limit() -> None:
    installed = [
        profile("ChargingStationMaxProfile", (0, 20), evse=0),
        profile("ChargingStationMaxProfile", (0, 30), evse=0, stack=9, profile_id=2),
    ]
    assert limit_a(installed, START, RUNNING) == 30


def test_validity_has_a_beginning_and_an_end() -> None:
    window = {"valid_from": "2026-03-02T11:00:00Z", "valid_to": "2026-03-02T12:00:00Z"}
    installed = [profile("TxDefaultProfile", (0, 16), **window)]
    moments = [later(179), later(180), later(239), later(240)]
    assert [limit_a(installed, moment, RUNNING) for moment in moments] == [None, 16, 16, None]


def test_a_daily_schedule_comes_back_and_leaves_gaps_to_the_lower_level() -> None:
    daily = {"kind": "Recurring", "recurrency_kind": "Daily"}
    installed = [
        profile("TxDefaultProfile", (0, 6), start="2026-03-02T00:00:00Z", **daily),
        profile("TxDefaultProfile", (0, 32), (7200, 16), stack=5, duration=14400, profile_id=2, **daily),
    ]
    at_minutes = [-60, 60, 180, 270, 24 * 60]
    assert [limit_a(installed, later(minutes), RUNNING) for minutes in at_minutes] == [6, 32, 16, 6, 32]


@pytest.mark.parametrize(("phases", "limit"), [(1, 48), (3, 16)])
def test_watts_are_shared_by_the_phases_that_carry_current(phases: int, limit: float) -> None:
    installed = [profile("TxDefaultProfile", (0, 11_040), unit="W")]
    assert limit_a(installed, START, Situation("7", START, phases)) == limit


def test_a_profile_of_another_transaction_says_nothing() -> None:
    assert limit_a([profile("TxProfile", (0, 6), transaction_id="8")], START, RUNNING) is None


def test_the_composite_schedule_agrees_with_every_instant() -> None:
    installed = [
        profile("TxDefaultProfile", (0, 10), (600, 20), (1200, 8), duration=1800),
        profile("TxDefaultProfile", (0, 32), stack=1, profile_id=2, valid_to=later(5).isoformat()),
    ]
    steps = composite_a(installed, START, 3600, RUNNING, unlimited_a=32)
    assert steps == [(0, 32), (300, 10), (600, 20), (1200, 8), (1800, 32)]
    for second in range(0, 3600, 7):
        by_schedule = [limit for start_s, limit in steps if start_s <= second][-1]
        by_instant = limit_a(installed, START + timedelta(seconds=second), RUNNING)
        assert by_schedule == (32 if by_instant is None else by_instant)


def store(*, is_v16: bool = False, units: tuple[str, ...] = ("A", "W"), station_max: bool = True) -> InstalledProfiles:
    return InstalledProfiles(is_v16=is_v16, units=units, takes_station_max=station_max)


DEFAULT = raw("TxDefaultProfile", (0, 16))


@pytest.mark.parametrize(
    ("installed", "evse", "payload", "reason"),
    [
        (store(), 1, DEFAULT, ""),
        (store(), 2, DEFAULT, "UnknownEVSE"),
        (store(units=("W",)), 1, DEFAULT, "UnsupportedRateUnit"),
        (store(station_max=False), 0, raw("ChargingStationMaxProfile", (0, 16)), "UnsupportedPurpose"),
        (store(), 1, raw("ChargingStationMaxProfile", (0, 16)), "UnsupportedPurpose"),
        (store(), 1, raw("ChargingStationExternalConstraints", (0, 16)), "InvalidValue"),
        (store(), 1, raw("TxProfile", (0, 16), transaction_id="8"), "TxNotFound"),
        (store(), 1, raw("TxProfile", (0, 16)), "InvalidProfile"),
        (store(is_v16=True), 1, raw("TxProfile", (0, 16)), ""),
        (store(), 1, raw("TxDefaultProfile", (60, 16)), "InvalidSchedule"),
        (store(), 1, raw("TxDefaultProfile", (0, 16), kind="Recurring"), "InvalidProfile"),
        (store(), 1, {}, "InvalidProfile"),
    ],
)
def test_a_station_says_why_it_refuses(
    installed: InstalledProfiles, evse: int, payload: dict[str, Any], reason: str
) -> None:
    assert installed.install(evse, payload, "7", START) == reason
    assert len(installed.profiles) == (0 if reason else 1)


def test_the_same_purpose_and_level_replaces_in_1_6_and_is_refused_in_2_x() -> None:
    old, modern = store(is_v16=True), store()
    twin = raw("TxDefaultProfile", (0, 8), profile_id=2)
    for installed in (old, modern):
        installed.install(1, DEFAULT, None, START)
    assert old.install(1, twin, None, START) == ""
    assert [kept.profile_id for kept in old.profiles] == [2]
    assert modern.install(1, twin, None, START) == "DuplicateProfile"
    assert modern.install(0, twin, None, START) == "DuplicateProfile"
    assert modern.install(1, raw("TxDefaultProfile", (0, 8)), None, START) == ""
    assert [kept.periods[0][1] for kept in modern.profiles] == [8]


def test_clearing_takes_an_id_or_all_criteria_together() -> None:
    installed = store()
    installed.install(1, DEFAULT, None, START)
    installed.install(0, raw("ChargingStationMaxProfile", (0, 16), profile_id=2), None, START)
    assert not installed.clear(purpose="TxDefaultProfile", evse=0)
    assert installed.clear(profile_id=2)
    assert installed.clear(purpose="TxDefaultProfile")
    assert installed.profiles == []


def test_a_remote_start_s_profile_belongs_to_the_next_transaction_only() -> None:
    installed = store()
    assert installed.expect_transaction(raw("TxProfile", (0, 10)), START) == ""
    assert limit_a(installed.profiles, START, Situation("9", START)) is None
    installed.transaction_started("9")
    assert limit_a(installed.profiles, START, Situation("9", START)) == 10
    installed.transaction_ended()
    assert installed.profiles == []
