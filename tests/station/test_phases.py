"""Does a car use no more phases than the CSMS's leading profile allows it? (numberPhases; LC-093)"""

from __future__ import annotations

from typing import Any

import pytest

from local_controller.profiles.units import RateUnit
from local_controller.station.blocks.wish import OnPhases
from local_controller.station.knowledge import Actuator, FloorPlace, Knowledge, VendorKey
from local_controller.station.wiring import Wiring
from local_controller.station.words import (
    BehaviourLearnt,
    LimitAnswered,
    LimitKind,
    LimitOutcome,
    OcppVersion,
    Phase,
    PhaseSwitching,
)
from tests.station.conftest import Payload, stamp

ALL = pytest.mark.parametrize("version", list(OcppVersion))
THREE = [10.0, 10.0, 10.0]


def charging(bench: Any, version: OcppVersion, **settings: Any) -> Any:
    """A car on three phases, which its station has shown."""
    b = bench(version, **settings)
    b.boot()
    b.wait(30.0)  # it has said what it can do
    b.start(7 if version is OcppVersion.V16 else "7")
    b.set_limit(16.0, 900.0)
    b.meter(THREE)
    return b


def of_csms(b: Any, *periods: Payload, purpose: str = "TxProfile", **more: Any) -> Any:
    if purpose == "TxProfile":
        more["transactionId"] = 7 if b.version is OcppVersion.V16 else "7"
    return b.csms_sets(purpose, 0.0, periods=list(periods), schedule={"startSchedule": stamp(b.now)}, **more)


def at(start_s: int, limit: float, phases: int | None = None) -> Payload:
    return {"startPeriod": start_s, "limit": limit} | ({} if phases is None else {"numberPhases": phases})


def told(b: Any) -> list[tuple[float, int | None]]:
    """The periods of the newest profile of ours: limit and numberPhases."""
    schedule = b.own_profiles()[-1]["chargingSchedule"]
    schedule = schedule if b.version is OcppVersion.V16 else schedule[0]
    return [(period["limit"], period.get("numberPhases")) for period in schedule["chargingSchedulePeriod"]]


@ALL
@pytest.mark.requirement("LC-093")
def test_a_period_on_one_phase_is_told_as_one(bench: Any, version: OcppVersion) -> None:
    b = charging(bench, version)
    assert of_csms(b, at(0, 16.0), at(300, 16.0, 1), at(600, 16.0, 2), at(700, 16.0)) == "Accepted"
    assert told(b) == [(16.0, None), (16.0, 1), (16.0, 2), (16.0, None)]


@ALL
@pytest.mark.requirement("LC-093")
def test_one_phase_is_told_though_the_floor_is_lower(bench: Any, version: OcppVersion) -> None:
    b = charging(bench, version, fallback_a=6.0)
    b.wait(1000.0)
    assert of_csms(b, at(0, 16.0, 1)) == "Accepted"
    assert told(b) == [(6.0, 1)], "without a wish the floor holds, on as many phases as the CSMS allows"
    b.set_limit(12.0, 300.0)
    assert told(b) == [(12.0, 1), (6.0, 1)], "and after the wish as before"


@ALL
@pytest.mark.requirement("LC-093", "LC-111")
def test_the_floor_says_how_many_phases_the_default_allows(bench: Any, version: OcppVersion) -> None:
    b = bench(version, fallback_a=10.0)
    b.boot()
    b.wait(30.0)
    assert of_csms(b, at(0, 16.0), at(3600, 16.0, 1), purpose="TxDefaultProfile") == "Accepted"
    assert told(b) == [(10.0, 1)], "from a certain hour on, and nobody might be there to say so then"
    name = {"id": 1} if version is OcppVersion.V16 else {"chargingProfileId": 1}
    assert b.from_csms("ClearChargingProfile", name) == {"status": "Accepted"}
    assert told(b) == [(10.0, None)]


@ALL
@pytest.mark.requirement("LC-093", "LC-111")
def test_the_floor_is_on_the_fewest_phases_of_a_relative_default(bench: Any, version: OcppVersion) -> None:
    """Though the period of those phases is not the lowest one, and another profile leads for the next hour."""
    b = bench(version, fallback_a=20.0)
    b.boot()
    b.wait(30.0)
    hour = {"schedule": {"duration": 7200}, "stackLevel": 3}
    assert b.csms_sets("TxDefaultProfile", 18.0, profile_id=2, **hour) == "Accepted"
    profile = b.csms_profile("TxDefaultProfile", 0.0, periods=[at(0, 20.0, 2), at(60, 16.0)])
    schedule = profile["chargingSchedule"] if version is OcppVersion.V16 else profile["chargingSchedule"][0]
    del schedule["startSchedule"]
    key, place = ("csChargingProfiles", "connectorId") if version is OcppVersion.V16 else ("chargingProfile", "evseId")
    payload = {place: 1, key: profile | {"chargingProfileKind": "Relative"}}
    assert b.from_csms("SetChargingProfile", payload) == {"status": "Accepted"}
    assert told(b) == [(16.0, 2)]


@ALL
@pytest.mark.requirement("LC-093")
def test_fewer_phases_hold_to_the_end_of_the_last_second(bench: Any, version: OcppVersion) -> None:
    """The wish ends in the midst of a second of the station's clock, and the CSMS's phases a little later."""
    b = charging(bench, version, fallback_a=6.0)
    b.wait(1000.4)
    transaction = 7 if version is OcppVersion.V16 else "7"
    schedule = {"startSchedule": b.now.utc.isoformat(timespec="milliseconds"), "duration": 60}
    periods = [at(0, 16.0, 2)]
    assert b.csms_sets("TxProfile", 0.0, periods=periods, schedule=schedule, transactionId=transaction) == "Accepted"
    b.set_limit(6.0, 60.0)
    assert told(b) == [(6.0, 2), (6.0, None)], "the second period from 61 s on, not the floor from 60 s on"


@ALL
@pytest.mark.requirement("LC-093")
def test_a_station_that_ignores_phases_is_told_the_same_power(bench: Any, version: OcppVersion) -> None:
    b = charging(bench, version, knowledge=Knowledge(ignores_phases=True))
    assert of_csms(b, at(0, 15.0, 1)) == "Accepted"
    assert told(b)[0] == (5.0, None), "3 x 5 A, as much as 1 x 15 A"
    b.set_limit(4.0, 900.0)
    assert told(b)[0] == (4.0, None), "the site's limit is one of each phase"


@ALL
@pytest.mark.requirement("LC-093")
def test_watts_are_told_for_the_phases_that_may_be_used(bench: Any, version: OcppVersion) -> None:
    b = charging(bench, version, knowledge=Knowledge(unit=RateUnit.W))
    assert told(b)[0] == (9936.0, None), "16 A x 3 x 207 V"
    assert of_csms(b, at(0, 3680.0, 2), unit="W") == "Accepted"
    assert told(b)[0] == (3312.0, 2), "8 A on two phases: 2 x 207 V"


@ALL
@pytest.mark.requirement("LC-093", "LC-110")
def test_watts_are_told_for_all_phases_where_none_can_carry_more_until_a_car_was_measured(
    bench: Any, version: OcppVersion
) -> None:
    """11 kW: a car on three phases, which 16 A x 207 V would not even start, begins, and one on a single phase gets 16 A."""
    b = bench(version, knowledge=Knowledge(unit=RateUnit.W), wiring=Wiring(lines=3), maxima_a={1: 16.0})
    b.boot()
    b.wait(30.0)
    b.start(7 if version is OcppVersion.V16 else "7")
    b.set_limit(15.9, 900.0)
    assert told(b)[0] == (3291.3, None), "15.9 A x 207 V, as all of it may flow on one phase"
    b.set_limit(16.0, 900.0)
    assert told(b)[0] == (9936.0, None), "16 A x 3 x 207 V"
    assert b.in_force_a() == pytest.approx(14.4), "on three phases at 230 V"
    assert [fact.limit_a for fact in b.facts if isinstance(fact, LimitAnswered)][-1] == 16.0
    b.meter([10.0, 0.0, 0.0])
    b.wait(1.0)
    assert told(b)[0] == (3312.0, None), "16 A x 207 V: of one phase, no more than the site file says"


@ALL
@pytest.mark.requirement("LC-087", "LC-113")
def test_watts_that_fewer_phases_share_than_before_are_lowered_at_once_though_writes_are_dear(
    bench: Any, version: OcppVersion
) -> None:
    """10 A on three phases are 6210 W: 30 A, if the car goes on with one of them."""
    b = bench(version, knowledge=Knowledge(unit=RateUnit.W, writes_per_day=25))
    b.boot()
    b.wait(30.0)
    b.start(7 if version is OcppVersion.V16 else "7")
    b.meter(THREE)
    for limit_a in (8.0, 9.0, 11.0, 10.0):
        b.set_limit(limit_a, 900.0)
    assert told(b)[0] == (6210.0, None)
    b.wait(10.0)
    b.meter([10.0, 0.0, 0.0])
    b.wait(1.0)
    assert told(b)[0] == (2070.0, None)
    b.wait(10.0)
    b.meter(THREE)
    b.wait(1.0)
    b.set_limit(10.0, 900.0)
    assert told(b)[0] == (2070.0, None), "a raise waits for its turn"


@ALL
@pytest.mark.requirement("LC-093")
def test_what_the_station_says_that_it_holds_is_compared_for_the_phases_that_were_told(
    bench: Any, version: OcppVersion
) -> None:
    """Else 8 A on two phases, told in watts, would be taken for 5.3 A."""
    b = charging(bench, version, knowledge=Knowledge(unit=RateUnit.W), is_asked_what_it_holds=True)
    assert of_csms(b, at(0, 3680.0, 2), unit="W") == "Accepted"
    written = b.smart.state.truth.of(1).working
    now = b.smart.state.station_time(b.now)
    assert (written.limit_a(now), written.phases(now)) == (pytest.approx(8.0), 2)


@ALL
@pytest.mark.requirement("LC-093")
def test_without_room_for_the_phases_the_fewest_hold_all_along(bench: Any, version: OcppVersion) -> None:
    b = charging(bench, version, knowledge=Knowledge(max_periods=2))
    assert of_csms(b, at(0, 16.0), at(300, 16.0, 2), at(600, 16.0, 1), at(700, 16.0)) == "Accepted"
    assert told(b) == [(16.0, 1)]


@pytest.mark.requirement("LC-093", "LC-102")
def test_generation_on_one_phase_adds_its_power_and_no_more(bench: Any) -> None:
    b = charging(bench, OcppVersion.V21)
    assert of_csms(b, at(0, 8.0)) == "Accepted"
    assert of_csms(b, at(0, 9.0, 1), purpose="LocalGeneration", profile_id=2, evse=0) == "Accepted"
    assert told(b) == [(11.0, None)], "9 A on one phase are 3 A on each of three"
    assert of_csms(b, at(0, 2760.0, 2), purpose="LocalGeneration", profile_id=2, evse=0, unit="W") == "Accepted"
    assert told(b) == [(12.0, None)], "2760 W are 4 A on each of three"


# --- what the site switches ------------------------------------------------------------------------------------------


def answers(b: Any) -> list[int | None]:
    """On how many phases the working limits were that the station said yes to."""
    found = [f for f in b.facts if isinstance(f, LimitAnswered) and f.kind is LimitKind.WORKING]
    return [fact.phases for fact in found if fact.outcome is LimitOutcome.ACCEPTED]


@ALL
def test_the_site_says_on_how_many_phases_and_hears_what_was_told(bench: Any, version: OcppVersion) -> None:
    b = charging(bench, version, fallback_a=6.0)
    b.set_limit(0.0, 90.0)
    b.set_limit(0.0, 90.0, on=OnPhases(1))
    assert told(b) == [(0.0, 1)], "another number of phases is news, though the limit is not"
    b.set_limit(8.0, 90.0, on=OnPhases(1))
    b.set_limit(0.0, 90.0, on=OnPhases(3))
    assert told(b) == [(0.0, 3)]
    b.set_limit(0.0, 90.0)
    assert told(b) == [(0.0, None)]
    assert answers(b)[-5:] == [None, 1, 1, 3, None]


@ALL
@pytest.mark.requirement("LC-093")
def test_the_csms_phases_hold_however_many_the_site_has_room_for(bench: Any, version: OcppVersion) -> None:
    b = charging(bench, version, fallback_a=6.0)
    assert of_csms(b, at(0, 16.0, 1), at(300, 16.0)) == "Accepted"
    b.set_limit(10.0, 600.0, on=OnPhases(3))
    assert told(b)[:2] == [(10.0, 1), (10.0, 3)]
    assert answers(b)[-1] == 1, "so the site knows that it is not on three"
    b.set_limit(10.0, 600.0, on=OnPhases(1))
    assert told(b)[0] == (10.0, 1)


@ALL
@pytest.mark.requirement("LC-106")
def test_what_takes_over_says_nothing_of_the_switch(bench: Any, version: OcppVersion) -> None:
    b = charging(bench, version, fallback_a=6.0, knowledge=Knowledge(actuators=(Actuator.TX_DEFAULT,)))
    b.set_limit(8.0, 90.0, on=OnPhases(1))
    assert told(b) == [(8.0, 1), (6.0, None)], "limit and floor in one profile"


@pytest.mark.parametrize("version", [OcppVersion.V201, OcppVersion.V21])
def test_a_phase_to_use_stands_where_one_phase_is_told(bench: Any, version: OcppVersion) -> None:
    b = charging(bench, version)
    b.set_limit(8.0, 90.0, on=OnPhases(1, 3))
    (period,) = b.own_profiles()[-1]["chargingSchedule"][0]["chargingSchedulePeriod"]
    assert period == {"startPeriod": 0, "limit": 8.0, "numberPhases": 1, "phaseToUse": 3}
    b.set_limit(8.0, 90.0, on=OnPhases(1, 2))
    (period,) = b.own_profiles()[-1]["chargingSchedule"][0]["chargingSchedulePeriod"]
    assert period["phaseToUse"] == 2


def learnt(b: Any) -> PhaseSwitching:
    found = [fact.switching for fact in b.facts if isinstance(fact, BehaviourLearnt)]
    return found[-1] if found else PhaseSwitching()


def says(version: OcppVersion, **values: str) -> dict[str, Any]:
    """The answer of a station to what it was asked: the names of 1.6 or of 2.x."""
    if version is OcppVersion.V16:
        keys = [{"key": key, "readonly": True, "value": value} for key, value in values.items()]
        return {"GetConfiguration": {"configurationKey": keys}}
    component = {"name": "SmartChargingCtrlr"}
    results = [
        {"attributeStatus": "Accepted", "attributeValue": value, "component": component, "variable": {"name": name}}
        for name, value in values.items()
    ]
    return {"GetVariables": {"getVariableResult": results}}


@ALL
@pytest.mark.parametrize(
    ("own", "knowledge", "expected"),
    [
        ("true", Knowledge(), PhaseSwitching(is_able=True)),
        ("false", Knowledge(), PhaseSwitching()),
        (None, Knowledge(), PhaseSwitching()),
        (None, Knowledge(switches_phases=True, one_phase=Phase.L2), PhaseSwitching(is_able=True, one_phase=Phase.L2)),
        ("true", Knowledge(switches_phases=False), PhaseSwitching()),
        ("true", Knowledge(ignores_phases=True), PhaseSwitching()),
        ("true", Knowledge(vendor_key=VendorKey("Amps"), actuators=(Actuator.VENDOR_KEY,)), PhaseSwitching()),
        ("true", Knowledge(actuators=(Actuator.STATION_MAX,)), PhaseSwitching(is_able=True)),
    ],
)
def test_whether_it_switches_is_read_or_given_never_assumed(
    bench: Any, version: OcppVersion, own: str | None, knowledge: Knowledge, expected: PhaseSwitching
) -> None:
    b = bench(version, knowledge=knowledge)
    name = "ConnectorSwitch3to1PhaseSupported" if version is OcppVersion.V16 else "Phases3to1"
    b.station |= says(version, **({} if own is None else {name: own}))
    b.boot()
    b.wait(30.0)
    assert learnt(b) == expected


@pytest.mark.parametrize("version", [OcppVersion.V201, OcppVersion.V21])
def test_whether_it_takes_a_phase_to_use_is_read_too(bench: Any, version: OcppVersion) -> None:
    b = bench(version)
    b.station |= says(version, Phases3to1="true", ACPhaseSwitchingSupported="true")
    b.boot()
    b.wait(30.0)
    assert learnt(b) == PhaseSwitching(is_able=True, takes_phase=True)


def test_ocpp_16_has_no_phase_to_use_whatever_the_site_file_says(bench: Any) -> None:
    b = bench(OcppVersion.V16, knowledge=Knowledge(switches_phases=True, phase_to_use=True))
    b.boot()
    b.wait(30.0)
    assert learnt(b) == PhaseSwitching(is_able=True)
    b.start()
    b.set_limit(8.0, on=OnPhases(1, 2))
    assert told(b) == [(8.0, 1)]
    (period,) = b.own_profiles()[-1]["chargingSchedule"]["chargingSchedulePeriod"]
    assert "phaseToUse" not in period


@ALL
def test_cars_that_share_one_profile_are_not_switched(bench: Any, version: OcppVersion) -> None:
    """What is told of phases would hold for the neighbour in the midst of charging."""
    knowledge = Knowledge(switches_phases=True, actuators=(Actuator.TX_DEFAULT,), connector=FloorPlace.STATION)
    b = bench(version, evses=(1, 2), knowledge=knowledge)
    b.boot()
    b.wait(30.0)
    assert learnt(b) == PhaseSwitching()
