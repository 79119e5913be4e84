"""Do schedules in local time follow the station's wall clock through both clock changes (K01.FR.90/.91)?"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, tzinfo
from zoneinfo import ZoneInfo

import pytest

from local_controller.profiles.composite import composite
from local_controller.profiles.context import Context
from local_controller.profiles.installed import Installed, InstalledProfiles
from local_controller.profiles.profile import (
    ChargingProfile,
    ChargingSchedule,
    Kind,
    Purpose,
    Recurrency,
    SchedulePeriod,
)
from local_controller.profiles.units import RateUnit

BERLIN, LORD_HOWE, APIA = ZoneInfo("Europe/Berlin"), ZoneInfo("Australia/Lord_Howe"), ZoneInfo("Pacific/Apia")


def utc(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def limits(
    zone: tzinfo,
    start: str,
    hours: float,
    *periods: tuple[float, float],
    duration_h: float | None = None,
    local: bool = True,
) -> list[tuple[str, float | None]]:
    """Limits over `hours` from `start` of a profile that recurs daily from midnight; periods as (hour, A)."""
    schedule = ChargingSchedule(
        RateUnit.A,
        tuple(SchedulePeriod(int(hour * 3600), limit_a) for hour, limit_a in periods),
        start_schedule=utc("2010-01-01T00:00"),
        duration_s=None if duration_h is None else int(duration_h * 3600),
        use_local_time=local,
    )
    profile = ChargingProfile(
        1, 0, Purpose.TX_DEFAULT_PROFILE, Kind.RECURRING, (schedule,), recurrency=Recurrency.DAILY
    )
    installed = InstalledProfiles((Installed(0, profile),))
    found = composite(installed, Context(evse=1, time_zone=zone), utc(start), hours * 3600)
    segments = found.segments(utc(start), utc(start) + timedelta(hours=hours))
    return [(f"{s.start:%dT%H:%M}", s.limit_a) for s in segments]


@pytest.mark.requirement("LC-083")
def test_the_same_profile_serves_summer_and_winter() -> None:
    at_17 = ((0.0, 16.0), (17.0, 6.0))
    assert limits(BERLIN, "2026-01-10T12:00", 6, *at_17) == [("10T12:00", 16.0), ("10T16:00", 6.0)]
    assert limits(BERLIN, "2026-07-10T12:00", 6, *at_17) == [("10T12:00", 16.0), ("10T15:00", 6.0)]
    assert limits(BERLIN, "2026-07-10T12:00", 6, *at_17, local=False) == [("10T12:00", 16.0), ("10T17:00", 6.0)]


@pytest.mark.requirement("LC-083")
def test_in_spring_an_hour_of_the_schedule_is_skipped() -> None:
    found = limits(BERLIN, "2026-03-28T23:00", 6, (0, 10.0), (1, 11.0), (2, 12.0), (3, 13.0), (4, 14.0))
    assert found == [("28T23:00", 10.0), ("29T00:00", 11.0), ("29T01:00", 13.0), ("29T02:00", 14.0)]


@pytest.mark.requirement("LC-083")
def test_in_autumn_an_hour_of_the_schedule_is_repeated() -> None:
    found = limits(BERLIN, "2026-10-24T22:00", 6, (0, 10.0), (2, 12.0), (2.5, 12.5), (3, 13.0))
    assert found == [
        ("24T22:00", 10.0),
        ("25T00:00", 12.0),
        ("25T00:30", 12.5),
        ("25T01:00", 12.0),
        ("25T01:30", 12.5),
        ("25T02:00", 13.0),
    ]


@pytest.mark.requirement("LC-083")
def test_a_schedule_that_ends_within_the_repeated_hour_ends_twice() -> None:
    found = limits(BERLIN, "2026-10-24T23:00", 4, (0, 10.0), duration_h=2.5)
    assert found == [("24T23:00", 10.0), ("25T00:30", None), ("25T01:00", 10.0), ("25T01:30", None)]


@pytest.mark.requirement("LC-083")
def test_the_clock_may_go_back_by_half_an_hour() -> None:
    found = limits(LORD_HOWE, "2026-04-04T14:00", 2, (0, 10.0), (1.75, 12.0))
    assert found == [("04T14:00", 10.0), ("04T14:45", 12.0), ("04T15:00", 10.0), ("04T15:15", 12.0)]


@pytest.mark.requirement("LC-083")
def test_the_calendar_may_lose_a_day() -> None:
    found = limits(APIA, "2011-12-30T09:00", 3, (0, 10.0), (0.5, 12.0), (23, 23.0))
    assert found == [("30T09:00", 23.0), ("30T10:00", 10.0), ("30T10:30", 12.0)]


@pytest.mark.requirement("LC-083")
def test_a_step_behind_the_skipped_hour_is_found() -> None:
    assert limits(BERLIN, "2026-03-29T00:30", 1, (0, 10.0), (3.25, 13.0)) == [("29T00:30", 10.0), ("29T01:15", 13.0)]


@pytest.mark.requirement("LC-083")
def test_a_step_in_the_hour_that_returns_is_found() -> None:
    found = limits(BERLIN, "2026-10-25T00:45", 1, (0, 10.0), (2.5, 12.0))
    assert found == [("25T00:45", 12.0), ("25T01:00", 10.0), ("25T01:30", 12.0)]
