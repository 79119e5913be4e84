"""What of a profile cannot be told by one of ours, and what does the CSMS hear about it? (LC-102)"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from local_controller.station.capability import Actuator, FloorPlace, Rung
from local_controller.station.effects import Peer
from local_controller.station.words import OcppVersion
from tests.station.conftest import Payload, stamp
from tests.station.test_purposes_of_21 import reason, sets

V201, V21 = OcppVersion.V201, OcppVersion.V21
V2 = pytest.mark.parametrize("version", [V201, V21])
TX = {"transactionId": "7"}
TARIFF = {"id": 1, "salesTariffEntry": [{"relativeTimeInterval": {"start": 0}}]}
LEVELS = {"timeAnchor": "2026-06-01T12:00:00Z", "priceScheduleId": 1, "numberOfPriceLevels": 1}
LEVELS |= {"priceLevelScheduleEntries": [{"duration": 60, "priceLevel": 1}]}


def charging(bench: Any, version: OcppVersion) -> Any:
    b = bench(version)
    b.boot()
    b.start("7")
    b.set_limit(16.0)
    return b


def period(**more: Any) -> Payload:
    return {"periods": [{"startPeriod": 0, "limit": 10.0} | more]}


def needs(b: Any, **more: Any) -> None:
    b.csms["NotifyEVChargingNeeds"] = {"status": "Processing"}
    wanted = {"requestedEnergyTransfer": "AC_three_phase"} | more.pop("chargingNeeds", {})
    b.from_station("NotifyEVChargingNeeds", {"evseId": 1, "chargingNeeds": wanted} | more)


def alternatives(b: Any, *limits: float, **more: Any) -> Payload:
    """A TxProfile with several schedules."""
    start = stamp(b.now, -3600)
    schedules = [
        {
            "id": number,
            "chargingRateUnit": "A",
            "startSchedule": start,
            "chargingSchedulePeriod": [{"startPeriod": 0, "limit": limit}],
        }
        for number, limit in enumerate(limits, start=1)
    ]
    return sets(b, "TxProfile", 0.0, chargingSchedule=schedules, **TX, **more)


@V2
@pytest.mark.requirement("LC-102")
@pytest.mark.parametrize("purpose", ["TxProfile", "TxDefaultProfile"])
def test_prices_cannot_be_told(bench: Any, version: OcppVersion, purpose: str) -> None:
    b = charging(bench, version)
    more = TX if purpose == "TxProfile" else {}
    answer = sets(b, purpose, 10.0, schedule={"salesTariff": TARIFF}, **more)
    assert reason(answer) == "UnsupportedParam"
    assert b.in_force_a() == 16.0


@pytest.mark.requirement("LC-102")
@pytest.mark.parametrize(
    ("fields", "refusal"),
    [
        ({"schedule": {"priceLevelSchedule": LEVELS}}, "UnsupportedParam"),
        ({"schedule": {"signatureId": 1, "digestValue": "abc"}}, "UnsupportedParam"),
        ({"priceScheduleSignature": "sig"}, "UnsupportedParam"),
        (period(operationMode="CentralSetpoint", setpoint=5.0), "InvalidOperationMode"),
        (period(operationMode="ExternalLimits"), "InvalidOperationMode"),
        (period(operationMode="Idle"), "InvalidOperationMode"),
        (period(setpointReactive=1.0), "UnsupportedParam"),
        (period(v2xBaseline=1.0), "UnsupportedParam"),
        (period(evseSleep=True), "InvalidSchedule"),
        (period(preconditioningRequest=True), "InvalidSchedule"),
        (period(evseSleep=False, preconditioningRequest=False), None),
        (period(dischargeLimit=-5.0), None),
        (period(customData={"vendorId": "x"}), None),
    ],
)
def test_what_2_1_adds_is_refused_with_its_reason(bench: Any, fields: Payload, refusal: str | None) -> None:
    b = charging(bench, V21)
    assert reason(sets(b, "TxProfile", 10.0, **TX, **fields)) == refusal
    assert b.in_force_a() == (10.0 if refusal is None else 16.0)


@V2
@pytest.mark.requirement("LC-091", "LC-102")
def test_several_schedules_are_for_a_car_that_has_told_its_needs(bench: Any, version: OcppVersion) -> None:
    b = charging(bench, version)
    assert reason(alternatives(b, 10.0, 8.0)) == "InvalidMessageSeq"  # K15.FR.17
    needs(b)
    assert reason(alternatives(b, 10.0, 8.0, 9.0, 7.0)) == "InvalidProfile"  # K01.FR.34
    assert alternatives(b, 10.0, 8.0, 9.0) == {"status": "Accepted"}
    assert b.in_force_a() == 8.0, "whichever the car chooses"
    b.stop("7")
    b.start("8")
    assert reason(sets(b, "TxProfile", 10.0, 2, transactionId="8")) is None
    answer = alternatives(b, 10.0, 8.0, id=2) | {}
    assert reason(answer) == "TxNotFound", "it names the transaction that has ended"


def by_station_max(bench: Any, version: OcppVersion) -> Any:
    """A station that takes its limits as a maximum of the whole station only."""
    b = bench(version)
    capability = replace(b.smart.state.capability, actuators=(Actuator.STATION_MAX,))
    b.smart.state.capability = capability
    b.boot()
    b.start("7" if version is not OcppVersion.V16 else 7)
    b.set_limit(16.0)
    return b


def test_a_rung_of_the_station_maximum_is_what_the_stories_say(bench: Any) -> None:
    works = by_station_max(bench, V21).smart.state.capability.works
    assert isinstance(works, Rung)
    assert (works.actuator, works.place) == (Actuator.STATION_MAX, FloorPlace.STATION)


@V2
@pytest.mark.requirement("LC-102")
def test_where_the_stations_maximum_caps_it_what_we_cannot_tell_passes(bench: Any, version: OcppVersion) -> None:
    b = by_station_max(bench, version)
    assert sets(b, "TxProfile", 32.0, 5, schedule={"salesTariff": TARIFF}, **TX) == {"status": "Accepted"}
    passed = b.calls_to(Peer.STATION, "SetChargingProfile")[-1].payload["chargingProfile"]
    assert passed == b.csms_profile("TxProfile", 32.0, 5, schedule={"salesTariff": TARIFF}, **TX)
    assert b.in_force_a() == 16.0
    b.from_csms("GetChargingProfiles", {"requestId": 1, "chargingProfile": {"chargingProfileId": [5]}})
    told = b.calls_to(Peer.CSMS, "ReportChargingProfiles")[-1].payload["chargingProfile"]
    assert told == [passed], "once"
    for criteria in ({"chargingProfilePurpose": "TxProfile"}, {}):
        answer = b.from_csms("ClearChargingProfile", {"chargingProfileCriteria": criteria})
        assert answer == {"status": "Accepted" if criteria else "Unknown"}
    assert b.in_force_a() == 16.0


@pytest.mark.parametrize("version", list(OcppVersion))
@pytest.mark.requirement("LC-091", "LC-093", "LC-094", "LC-095")
def test_where_the_stations_maximum_is_ours_that_of_the_csms_lives_here(bench: Any, version: OcppVersion) -> None:
    b = by_station_max(bench, version)
    purpose = "ChargePointMaxProfile" if version is OcppVersion.V16 else "ChargingStationMaxProfile"
    assert b.csms_sets(purpose, 10.0, 2, evse=0, stackLevel=1) == "Accepted"
    assert b.in_force_a() == 10.0
    assert not [entry for entry in b.installed if entry.profile.id == 2], (
        "the higher level would lead, not the lower limit"
    )
    b.set_limit(8.0)
    assert b.in_force_a() == 8.0
    before = b.installed
    wildcard: Payload = {} if version is OcppVersion.V16 else {"chargingProfileCriteria": {}}
    assert b.from_csms("ClearChargingProfile", wildcard) == {"status": "Accepted"}
    assert {entry.profile.id for entry in b.installed} == {entry.profile.id for entry in before}
    b.set_limit(16.0)
    assert b.in_force_a() == 16.0
