"""Which minimum rate do the leading profiles ask for? (LC-110)"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from local_controller.profiles.context import Context
from local_controller.profiles.installed import InstalledProfiles
from local_controller.profiles.least import least_a
from local_controller.profiles.profile import ChargingProfile, ChargingSchedule, Kind, Purpose, SchedulePeriod
from local_controller.profiles.units import RateUnit
from local_controller.station.blocks.virtual_store import RULES
from local_controller.station.words import OcppVersion

NOON = datetime(2026, 6, 1, 12, tzinfo=UTC)
DEFAULT, TX, WHOLE = Purpose.TX_DEFAULT_PROFILE, Purpose.TX_PROFILE, Purpose.CHARGING_STATION_MAX_PROFILE


def profile(purpose: Purpose, rate: float | None, id_: int = 1, **more: Any) -> ChargingProfile:
    unit, stack = more.get("unit", RateUnit.A), more.get("stack", 0)
    period = SchedulePeriod(0, 30.0 if unit is RateUnit.A else 20000.0, number_phases=more.get("phases"))
    duration_s = more.get("duration_s")
    schedule = ChargingSchedule(unit, (period,), id_, NOON - timedelta(hours=1), duration_s, min_charging_rate=rate)
    transaction = "t" if purpose is TX else None
    return ChargingProfile(id_, stack, purpose, Kind.ABSOLUTE, (schedule,), transaction_id=transaction)


def least(*profiles: ChargingProfile, transaction: str | None = "t") -> float:
    store = InstalledProfiles()
    for one in profiles:
        store = store.recorded(one, 0 if one.purpose is WHOLE else 1, RULES[OcppVersion.V201])
    return least_a(store, Context(1, transaction), NOON)


@pytest.mark.requirement("LC-110")
def test_the_minimum_rate_is_that_of_the_profile_that_leads() -> None:
    assert least() == least(profile(DEFAULT, None)) == 0.0
    assert least(profile(DEFAULT, 8.0)) == 8.0
    assert least(profile(DEFAULT, 8.0), profile(TX, 10.0, 2)) == 10.0
    assert least(profile(DEFAULT, 8.0), profile(TX, None, 2)) == 0.0, "the transaction's own profile asks for none"
    assert least(profile(DEFAULT, 8.0), profile(TX, 10.0, 2), transaction=None) == 8.0
    assert least(profile(DEFAULT, 8.0), profile(DEFAULT, 12.0, 2, stack=1)) == 12.0
    assert least(profile(DEFAULT, 8.0), profile(DEFAULT, 12.0, 2, stack=1, duration_s=60)) == 8.0, "that one is over"
    assert least(profile(WHOLE, 20.0)) == 0.0, "the whole station's is no car's"


@pytest.mark.requirement("LC-110")
def test_watts_are_of_all_phases() -> None:
    assert least(profile(DEFAULT, 6900.0, unit=RateUnit.W)) == 10.0
    assert least(profile(DEFAULT, 2300.0, unit=RateUnit.W, phases=1)) == 10.0
