"""Watts of the CSMS reach a station in watts as they are: only there, only once, and with nothing else on top."""

from __future__ import annotations

from typing import Any

import pytest

from local_controller.profiles.units import RateUnit
from local_controller.station.knowledge import Knowledge
from local_controller.station.wiring import Wiring
from local_controller.station.words import OcppVersion
from tests.station.test_ladder import purpose_and_unit

ALL = pytest.mark.parametrize("version", list(OcppVersion))
V16, V201, V21 = OcppVersion
ALLOWED_W = 11_000.0
NOMINAL_A = 15.9
"""Of 11 kW on three phases at 230 V, in tenths."""


@pytest.fixture
def three_phases(bench: Any) -> Any:
    """Makes a bench whose station has 32 A on three phases, of which nobody knows how many the car uses."""

    def make(
        version: OcppVersion, *, evses: tuple[int, ...] = (1,), unit: RateUnit | None = None, max_a: float = 32.0
    ) -> Any:
        known = {} if unit is None else {"knowledge": Knowledge(unit=unit)}
        return bench(version, evses=evses, maxima_a=dict.fromkeys(evses, max_a), wiring=Wiring(lines=3), **known)

    return make


def told(b: Any, purpose: str = "TxProfile") -> list[tuple[str, list[tuple[int, float]]]]:
    """Unit and periods of our profiles of this purpose, oldest first."""
    found = []
    for profile in b.own_profiles():
        schedule = profile["chargingSchedule"]
        schedule = schedule[0] if isinstance(schedule, list) else schedule
        periods = [(period["startPeriod"], period["limit"]) for period in schedule["chargingSchedulePeriod"]]
        if profile["chargingProfilePurpose"] == purpose:
            found.append((schedule["chargingRateUnit"], periods))
    return found


@ALL
@pytest.mark.requirement("LC-093", "LC-105")
def test_a_floor_taken_in_watts_makes_no_watts_of_limits_that_are_told_in_amperes(
    three_phases: Any, version: OcppVersion
) -> None:
    """53 A on one phase would be told as 32 A, and a car on three of them would draw 22 kW."""
    b = three_phases(version)
    b.boot()
    b.start()
    b.wait(3)
    b.set_limit(16.0)
    b.accepts = lambda payload: purpose_and_unit(payload) not in {("TxDefaultProfile", "A"), ("TxDefaultProfile", "Ar")}
    b.set_fallback(7.0)
    assert told(b, "TxDefaultProfile")[-1][0] == "W"
    assert b.csms_sets("TxDefaultProfile", ALLOWED_W, unit="W") == "Accepted"
    b.set_limit(32.0)
    assert told(b)[-1] == ("A", [(0, NOMINAL_A)])


@ALL
@pytest.mark.requirement("LC-093", "LC-105")
def test_a_way_in_amperes_that_is_tried_in_place_of_one_in_watts_tells_the_nominal_current(
    three_phases: Any, version: OcppVersion
) -> None:
    b = three_phases(version)
    b.accepts = lambda payload: purpose_and_unit(payload)[1][0] == "W"
    b.boot()
    b.start()
    b.wait(3)
    b.set_limit(32.0)
    b.accepts = lambda payload: purpose_and_unit(payload)[1][0] == "A"
    assert b.csms_sets("TxDefaultProfile", ALLOWED_W, unit="W") == "Accepted"
    b.wait(10)
    assert {limit for unit, periods in told(b) if unit == "A" for _, limit in periods} == {NOMINAL_A}


@ALL
@pytest.mark.requirement("LC-087", "LC-093")
def test_what_the_csms_tells_another_evse_is_no_reason_to_write_the_same_again(
    three_phases: Any, version: OcppVersion
) -> None:
    b = three_phases(version, evses=(1, 2), unit=RateUnit.W)
    b.boot()
    assert b.csms_sets("TxDefaultProfile", ALLOWED_W, unit="W") == "Accepted"
    b.start()
    b.wait(3)
    b.set_limit(32.0, valid_s=4000.0)
    before = told(b)
    assert before[-1] == ("W", [(0, ALLOWED_W)])
    for number in range(3):
        b.wait(60)
        assert b.csms_sets("TxDefaultProfile", 9000.0 + number, 7, unit="W", evse=2) == "Accepted"
    assert told(b) == before


@ALL
@pytest.mark.requirement("LC-093")
def test_watts_that_are_over_limit_nothing_any_more(three_phases: Any, version: OcppVersion) -> None:
    """Though a profile for now begins a minute ago, when 3 kW held."""
    b = three_phases(version, unit=RateUnit.W)
    b.boot()
    steps = ((0, 3000.0), (3620, ALLOWED_W), (3700, 6000.0))
    periods = [{"startPeriod": start_s, "limit": limit_w} for start_s, limit_w in steps]
    assert b.csms_sets("TxDefaultProfile", 0.0, unit="W", periods=periods) == "Accepted"
    b.start()
    b.wait(30)
    b.set_limit(32.0)
    assert told(b)[-1] == ("W", [(0, ALLOWED_W), (130, 6000.0)])


@pytest.mark.requirement("LC-093")
@pytest.mark.parametrize("drawn_a", [(), (10.0, 0.0, 0.0), (10.0, 10.0, 10.0)])
def test_power_generated_on_three_phases_raises_a_limit_in_amperes_of_each_by_a_third(
    three_phases: Any, drawn_a: tuple[float, ...]
) -> None:
    """K27, LocalGeneration: 6 kW are 8.7 A on each phase, so that 24.7 A are not to be exceeded on any."""
    b = three_phases(V21, unit=RateUnit.W, max_a=63.0)
    b.boot()
    assert b.csms_sets("TxDefaultProfile", 16.0) == "Accepted"
    assert b.csms_sets("LocalGeneration", 6000.0, 2, unit="W") == "Accepted"
    b.start()
    b.wait(3)
    b.meter(drawn_a)
    b.set_limit(63.0)
    unit, ((_, limit_w),) = told(b)[-1]
    assert unit == "W"
    assert limit_w <= (16.0 + 6000.0 / 690) * 207 * max(1, sum(amps > 0 for amps in drawn_a))


@ALL
@pytest.mark.requirement("LC-093")
def test_what_a_station_shows_of_a_limit_is_within_the_watts_of_the_csms(
    three_phases: Any, version: OcppVersion
) -> None:
    """Else its 15.9 A count as somebody else's limit, where ours were 28.8 A."""
    b = three_phases(version, unit=RateUnit.W)
    b.boot()
    assert b.csms_sets("TxDefaultProfile", ALLOWED_W, unit="W") == "Accepted"
    b.start()
    b.wait(3)
    b.set_limit(32.0)
    shown_a = b.smart.standing(1, b.now).shown_a(b.smart.state.station_time(b.now), 3)
    assert shown_a == pytest.approx(ALLOWED_W / 690)
