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
