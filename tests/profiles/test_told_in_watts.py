"""Do a CSMS's watts survive the way to amperes per phase and back, where an EVSE is told watts?"""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from local_controller.profiles.composite import allowed
from local_controller.profiles.context import Context, ToldInWatts
from local_controller.profiles.installed import Installed, InstalledProfiles
from local_controller.profiles.profile import ChargingProfile, ChargingSchedule, Kind, Purpose, SchedulePeriod
from local_controller.profiles.units import RateUnit

NOW = datetime(2026, 6, 1, 12, tzinfo=UTC)
TOLD = Context(1, told_in_watts=ToldInWatts(3, 207.0))
HOUR_S = 3600.0


@pytest.mark.requirement("LC-093")
@given(limit_w=st.floats(0.0, 50_000.0), phases=st.sampled_from([None, 1, 2, 3]), told=st.sampled_from([1, 2, 3]))
def test_watts_become_the_amperes_that_are_told_as_these_watts(limit_w: float, phases: int | None, told: int) -> None:
    """On the phases that share them, which are no more than the profile names."""
    profiles = _profile(RateUnit.W, limit_w, phases)
    found = allowed(profiles, replace(TOLD, told_in_watts=ToldInWatts(told, 207.0)), NOW, HOUR_S)
    limit_a = found.limit.at(NOW)
    assert limit_a is not None
    assert limit_a * 207.0 * min(told, phases or 3) == pytest.approx(limit_w)
    assert found.watts.at(NOW) == pytest.approx(limit_w)


@pytest.mark.requirement("LC-093")
def test_amperes_stay_amperes_of_each_phase_whatever_is_told() -> None:
    found = allowed(_profile(RateUnit.A, 16.0, 3), replace(TOLD, told_in_watts=ToldInWatts(1, 207.0)), NOW, HOUR_S)
    assert found.limit.at(NOW) == 16.0
    assert found.watts.at(NOW) == 16.0 * 230.0 * 3


@pytest.mark.requirement("LC-093")
def test_who_obeys_amperes_gets_watts_by_the_nominal_voltage() -> None:
    """1.6 errata 3.69, K01.FR.50: the configured voltage, and the phases that the profile means."""
    found = allowed(_profile(RateUnit.W, 11_040.0, None), Context(1), NOW, HOUR_S)
    assert found.limit.at(NOW) == pytest.approx(16.0)
    assert found.watts.is_unlimited


def _profile(unit: RateUnit, limit: float, phases: int | None) -> InstalledProfiles:
    schedule = ChargingSchedule(unit, (SchedulePeriod(0, limit, number_phases=phases),), 1, NOW)
    profile = ChargingProfile(1, 0, Purpose.TX_DEFAULT_PROFILE, Kind.ABSOLUTE, (schedule,))
    return InstalledProfiles((Installed(0, profile),))
