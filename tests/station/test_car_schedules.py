"""Is a car of ISO 15118 left in peace, and yet limited at once? (K15 to K20, LC-114)"""

from __future__ import annotations

from typing import Any

import pytest

from local_controller.station.blocks.car_schedules import RENEGOTIATION_S, WINDOW_S
from local_controller.station.effects import Peer
from local_controller.station.words import OcppVersion
from tests.station.test_purposes_of_21 import sets
from tests.station.test_representable import charging, needs

V21 = OcppVersion.V21
V2 = pytest.mark.parametrize("version", [OcppVersion.V201, V21])
TX = {"transactionId": "7"}


@V2
@pytest.mark.requirement("LC-148")
def test_needs_and_schedules_of_cars_pass(bench: Any, version: OcppVersion) -> None:
    b = charging(bench, version)
    needs(b)
    assert b.calls_to(Peer.CSMS, "NotifyEVChargingNeeds")


@V2
@pytest.mark.requirement("LC-114")
def test_nothing_of_ours_comes_before_the_schedule_that_the_csms_owes(bench: Any, version: OcppVersion) -> None:
    b = charging(bench, version)
    needs(b)
    b.wait(5)
    before = len(b.own_profiles())
    b.set_limit(20.0)
    assert len(b.own_profiles()) == before, "the car would take it for the CSMS's"
    assert sets(b, "TxProfile", 18.0, **TX) == {"status": "Accepted"}
    assert b.in_force_a() == 18.0, "and now it is told at once"


@V2
@pytest.mark.requirement("LC-114")
@pytest.mark.parametrize("status", ["Rejected", "NoChargingProfile"])
def test_if_no_schedule_will_come_the_car_is_told_ours(bench: Any, version: OcppVersion, status: str) -> None:
    if version is not V21 and status == "NoChargingProfile":
        pytest.skip("2.0.1 has no such status")
    b = charging(bench, version)
    needs(b)
    b.set_limit(20.0)
    assert b.in_force_a() == 16.0
    b.csms["NotifyEVChargingNeeds"] = {"status": status}
    b.from_station(
        "NotifyEVChargingNeeds", {"evseId": 1, "chargingNeeds": {"requestedEnergyTransfer": "AC_three_phase"}}
    )
    assert b.in_force_a() == 20.0


@V2
@pytest.mark.requirement("LC-114")
def test_a_schedule_that_never_comes_is_waited_for_no_longer_than_its_time(bench: Any, version: OcppVersion) -> None:
    b = charging(bench, version)
    needs(b)
    b.set_limit(20.0)
    b.wait(WINDOW_S - 1)
    assert b.in_force_a() == 16.0
    b.wait(1)
    assert b.in_force_a() == 20.0


@V2
@pytest.mark.requirement("LC-107", "LC-114")
def test_raises_wait_from_one_negotiation_to_the_next_and_reductions_never(bench: Any, version: OcppVersion) -> None:
    b = charging(bench, version)
    needs(b)
    sets(b, "TxProfile", 32.0, **TX)
    b.set_limit(10.0)
    assert b.in_force_a() == 10.0
    b.wait(10)
    b.set_limit(14.0)
    assert b.in_force_a() == 10.0
    b.set_limit(8.0)
    assert b.in_force_a() == 8.0, "a reduction goes at once"
    b.set_limit(14.0)
    b.wait(RENEGOTIATION_S - 1)
    assert b.in_force_a() == 8.0
    b.wait(1)
    assert b.in_force_a() == 14.0


@pytest.mark.requirement("LC-114")
def test_a_car_in_dynamic_mode_takes_each_limit_as_it_comes(bench: Any) -> None:
    b = charging(bench, V21)
    needs(b, chargingNeeds={"controlMode": "DynamicControl"})
    for limit_a in (10.0, 12.0, 14.0):
        b.set_limit(limit_a)
        assert b.in_force_a() == limit_a


@V2
@pytest.mark.requirement("LC-114")
def test_a_schedule_has_no_more_periods_than_the_car_takes(bench: Any, version: OcppVersion) -> None:
    b = charging(bench, version)
    needs(b, maxScheduleTuples=2)
    periods = [{"startPeriod": 0, "limit": 20.0}]
    periods += [{"startPeriod": 3600 + 60 * n, "limit": 14.0 - n} for n in range(1, 5)]
    assert sets(b, "TxProfile", 0.0, periods=periods, **TX) == {"status": "Accepted"}
    (schedule,) = b.own_profiles()[-1]["chargingSchedule"]
    assert len(schedule["chargingSchedulePeriod"]) == 2
    for seconds, most_a in ((61, 13.0), (121, 12.0), (181, 11.0), (241, 10.0)):
        assert b.in_force_a(seconds) <= most_a, seconds
