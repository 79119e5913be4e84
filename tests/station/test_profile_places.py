"""Do the CSMS's budget and ours fit into the station together? (LC-099)"""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from local_controller.station.blocks.profile_places import OWN_PER_EVSE, ProfilePlaces
from local_controller.station.blocks.smart_charging import READ_S
from local_controller.station.effects import Peer
from local_controller.station.remembering import worth_keeping
from local_controller.station.state import StationState
from local_controller.station.words import OcppVersion
from tests.station.conftest import NOON, Payload, stamp
from tests.station.test_profile_sharing import clear, max_purpose

ALL = pytest.mark.parametrize("version", list(OcppVersion))
V2 = pytest.mark.parametrize("version", [OcppVersion.V201, OcppVersion.V21])
V16 = OcppVersion.V16
OWN_CALL_S = 8.0
"""So long a question of ours that is not answered holds up the CSMS's CALLs (LC-024)."""
ENTRIES = {
    "component": {"name": "SmartChargingCtrlr"},
    "variable": {"name": "Entries", "instance": "ChargingProfiles"},
}


def with_places(bench: Any, version: OcppVersion, places: int) -> Any:
    """A station that the CSMS has asked how many profiles it takes."""
    b = bench(version)
    b.boot()
    told(b, places)
    return b


def told(b: Any, places: int, present: int = 0, request_id: int = 1) -> int:
    """The maximum that the CSMS reads from a station that really says `places`."""
    if b.version is V16:
        keys = [
            {"key": "MaxChargingProfilesInstalled", "readonly": True, "value": str(places)},
            {"key": "ChargeProfileMaxStackLevel", "readonly": True, "value": "8"},
        ]
        b.station["GetConfiguration"] = {"configurationKey": keys, "unknownKey": ["x"]}
        answer = b.from_csms("GetConfiguration", {})
        assert answer == {
            "configurationKey": [keys[0] | {"value": answer["configurationKey"][0]["value"]}, keys[1]]
        } | {"unknownKey": ["x"]}, "nothing else is changed"
        return int(answer["configurationKey"][0]["value"])
    entry = ENTRIES | {
        "variableAttribute": [{"type": "Actual", "value": str(present), "mutability": "ReadOnly"}],
        "variableCharacteristics": {"dataType": "integer", "maxLimit": float(places), "supportsMonitoring": False},
    }
    other = {
        "component": {"name": "SmartChargingCtrlr"},
        "variable": {"name": "ProfileStackLevel"},
        "variableAttribute": [{"value": "8"}],
        "variableCharacteristics": {"dataType": "integer", "maxLimit": 8, "supportsMonitoring": False},
    }
    report = {"requestId": request_id, "generatedAt": "2026-06-01T12:00:00Z", "seqNo": 0, "reportData": [other, entry]}
    b.from_station("NotifyReport", report)
    if request_id != 1:
        return places
    seen: Payload = b.calls_to(Peer.CSMS, "NotifyReport")[-1].payload
    assert seen["reportData"][0] == other
    return int(seen["reportData"][1]["variableCharacteristics"]["maxLimit"])


def number_present(b: Any) -> list[str]:
    """How many profiles the CSMS reads that there are, in GetVariables and in a report (2.x)."""
    result = ENTRIES | {"attributeStatus": "Accepted", "attributeType": "Actual", "attributeValue": "99"}
    b.station["GetVariables"] = {"getVariableResult": [result]}
    answer = b.from_csms("GetVariables", {"getVariableData": [ENTRIES]})
    told(b, 20, present=99)
    attribute = b.calls_to(Peer.CSMS, "NotifyReport")[-1].payload["reportData"][1]["variableAttribute"][0]
    return [answer["getVariableResult"][0]["attributeValue"], attribute["value"]]


@ALL
@pytest.mark.requirement("LC-099", "LC-126")
def test_the_csms_reads_the_places_without_ours_and_without_the_free_one(bench: Any, version: OcppVersion) -> None:
    b = bench(version)
    b.boot()
    assert told(b, 10) == 10 - OWN_PER_EVSE - 1
    assert told(b, 2) == 1, "one always, which needs no place in the station"
    two = bench(version, evses=(1, 2))
    two.boot()
    assert told(two, 10) == 10 - 2 * OWN_PER_EVSE - 1


@V2
@pytest.mark.requirement("LC-099", "LC-126")
def test_as_many_are_there_as_the_csms_has_installed(bench: Any, version: OcppVersion) -> None:
    b = bench(version)
    b.boot()
    assert number_present(b) == ["0", "0"], "ours are none of them"
    b.csms_sets("TxDefaultProfile", 9.0, 4)
    b.csms_sets("ChargingStationMaxProfile", 20.0, 2, evse=0)
    assert number_present(b) == ["2", "2"]
    assert clear(b, id=4) == "Accepted"
    assert number_present(b) == ["1", "1"]


@ALL
@pytest.mark.requirement("LC-091", "LC-099")
def test_it_has_as_many_as_it_reads_and_one_place_in_the_station_stays_free(bench: Any, version: OcppVersion) -> None:
    b = with_places(bench, version, 5)
    assert b.csms_sets(max_purpose(version), 20.0, 1, evse=0) == "Accepted"
    assert b.csms_sets(max_purpose(version), 20.0, 2, evse=0, stackLevel=1) == "Accepted"
    before = len(b.calls_to(Peer.STATION, "SetChargingProfile"))
    third = b.csms_profile(max_purpose(version), 20.0, 3, stackLevel=2)
    name, connector = ("csChargingProfiles", "connectorId") if version is V16 else ("chargingProfile", "evseId")
    answer = b.from_csms("SetChargingProfile", {connector: 0, name: third})
    assert answer == {"status": "Rejected"} | ({} if version is V16 else {"statusInfo": {"reasonCode": "OutOfStorage"}})
    assert len(b.calls_to(Peer.STATION, "SetChargingProfile")) == before
    assert b.csms_sets("TxDefaultProfile", 9.0, 4) == "Rejected"
    assert b.csms_sets(max_purpose(version), 19.0, 2, evse=0, stackLevel=1) == "Accepted", "in its own place"
    b.start()
    b.set_limit(16.0)
    assert len(b.installed) == 4, "of five places"


@pytest.mark.requirement("LC-099")
def test_a_1_6_station_is_asked_for_its_places(bench: Any) -> None:
    b = bench(V16)
    keys = [{"key": "MaxChargingProfilesInstalled", "readonly": True, "value": "4"}]
    b.station["GetConfiguration"] = {"configurationKey": keys}
    b.boot()
    b.wait(30)
    assert b.csms_sets("ChargePointMaxProfile", 20.0, 1, evse=0) == "Accepted"
    assert b.csms_sets("ChargePointMaxProfile", 20.0, 2, evse=0, stackLevel=1) == "Rejected"


def reports_when_asked(b: Any, *places: int | None) -> None:
    """A 2.x station that tells the bounds of its device model; None: a report without any."""

    def report(payload: Payload) -> Any:
        for number, one in enumerate(places):
            entry = ENTRIES | {"variableAttribute": [{"value": "0"}]}
            entry |= {} if one is None else {"variableCharacteristics": {"maxLimit": one}}
            head = {"requestId": payload["requestId"], "generatedAt": stamp(b.now), "seqNo": number}
            asked.append(head | {"tbc": number + 1 < len(places), "reportData": [entry]})
        return {"status": "Accepted"}

    asked: list[Payload] = []
    b.station["GetReport"] = report
    b.boot()
    b.wait(60)
    for one in asked:
        (answer,) = b.calls(Peer.STATION, "NotifyReport", one)
        assert answer.payload == {}


@V2
@pytest.mark.requirement("LC-099", "LC-127")
def test_a_2_x_station_is_asked_for_its_places_once_and_the_report_stays_here(bench: Any, version: OcppVersion) -> None:
    b = bench(version, is_new=True)
    reports_when_asked(b, None, 4)
    (asked,) = b.calls_to(Peer.STATION, "GetReport")
    assert asked.payload["componentVariable"] == [ENTRIES]
    assert b.calls_to(Peer.CSMS, "NotifyReport") == []
    assert b.csms_sets("ChargingStationMaxProfile", 20.0, 1, evse=0) == "Accepted"
    assert b.csms_sets("ChargingStationMaxProfile", 20.0, 2, evse=0, stackLevel=1) == "Rejected"
    b.boot()
    b.wait(60)
    again = bench(version, is_new=True, remembered=worth_keeping(b.smart.state, b.now))
    again.boot()
    again.wait(60)
    assert len(b.calls_to(Peer.STATION, "GetReport")) == 1
    assert again.calls_to(Peer.STATION, "GetReport") == [], "also after a restart of ours"
    assert again.csms_sets("ChargingStationMaxProfile", 20.0, 1, evse=0) == "Accepted"
    assert again.csms_sets("ChargingStationMaxProfile", 20.0, 2, evse=0, stackLevel=1) == "Rejected"
    again.boot(model="Two")
    again.wait(60)
    assert len(again.calls_to(Peer.STATION, "GetReport")) == 1, "another product has its own"


@V2
@pytest.mark.requirement("LC-099")
@pytest.mark.parametrize(("places", "verdict"), [(3, "Rejected"), (4, "Accepted")])
def test_a_profile_that_comes_before_that_is_known_waits_for_it(
    bench: Any, version: OcppVersion, places: int, verdict: str
) -> None:
    b = bench(version, is_new=True)
    b.station["GetReport"] = {"status": "Accepted"}
    b.boot()
    assert b.csms_sets("ChargingStationMaxProfile", 20.0, 1, evse=0) is None, "not yet"
    (question,) = b.calls_to(Peer.STATION, "GetReport")
    assert b.now.utc == NOON, "it is asked at once"
    told(b, places, request_id=question.payload["requestId"])
    b.wait(0)
    assert [frame.payload["status"] for frame in b.sent[Peer.CSMS] if frame.action is None] == [verdict]


@V2
@pytest.mark.requirement("LC-092", "LC-099")
@pytest.mark.parametrize("answer", [{"status": "Accepted"}, {"status": "EmptyResultSet"}, "NotSupported", None])
def test_it_waits_no_longer_than_a_csms_does_and_once_only(bench: Any, version: OcppVersion, answer: Any) -> None:
    b = bench(version, is_new=True)
    b.station["GetReport"] = answer
    b.boot()
    waited = b.csms_sets("ChargingStationMaxProfile", 20.0, 1, evse=0)
    is_silent = answer in (None, {"status": "Accepted"})
    assert waited == (None if is_silent else "Accepted")
    b.wait(READ_S if answer is not None else OWN_CALL_S)
    assert [frame.payload for frame in b.sent[Peer.CSMS] if frame.action is None] == [{"status": "Accepted"}]
    assert b.csms_sets("ChargingStationMaxProfile", 20.0, 2, evse=0, stackLevel=1) == "Accepted"


@V2
@pytest.mark.requirement("LC-099")
@pytest.mark.parametrize(
    ("answer", "asked"),
    [
        ({"status": "EmptyResultSet"}, 1),
        ({"status": "Rejected"}, 1),
        ("NotSupported", 1),
        ("InternalError", 2),
        (None, 2),
    ],
)
def test_one_that_cannot_say_is_not_asked_again_and_has_as_many_as_it_takes(
    bench: Any, version: OcppVersion, answer: Any, asked: int
) -> None:
    b = bench(version, is_new=True)
    b.station["GetReport"] = answer
    b.boot()
    b.wait(2000)
    assert len(b.calls_to(Peer.STATION, "GetReport")) == 1
    for number in range(5):
        name = "ChargingStationMaxProfile"
        assert b.csms_sets(name, 20.0, number, evse=0, stackLevel=number) == "Accepted"
    b.boot()
    b.wait(2000)
    assert len(b.calls_to(Peer.STATION, "GetReport")) == asked


@V2
@pytest.mark.requirement("LC-099")
def test_nor_is_one_whose_report_names_no_bound(bench: Any, version: OcppVersion) -> None:
    b = bench(version, is_new=True)
    reports_when_asked(b, None)
    b.boot()
    b.wait(60)
    assert len(b.calls_to(Peer.STATION, "GetReport")) == 1


@V2
@pytest.mark.requirement("LC-099", "LC-126")
def test_what_the_csms_has_reported_need_not_be_asked(bench: Any, version: OcppVersion) -> None:
    b = bench(version, is_new=True)
    b.boot()
    told(b, 9)
    b.wait(60)
    assert b.calls_to(Peer.STATION, "GetReport") == []


@ALL
@pytest.mark.requirement("LC-020", "LC-099")
def test_what_cannot_be_read_is_the_stations_to_refuse(bench: Any, version: OcppVersion) -> None:
    b = with_places(bench, version, 3)
    b.station["SetChargingProfile"] = {"status": "Rejected"}
    before = len(b.calls_to(Peer.STATION, "SetChargingProfile"))
    assert b.csms_sets(max_purpose(version), 20.0, 1, evse=0, schedule={"startSchedule": "soon"}) == "Rejected"
    assert len(b.calls_to(Peer.STATION, "SetChargingProfile")) == before + 1


@pytest.mark.requirement("LC-099")
@given(real=st.integers(0, 200), evses=st.integers(1, 8))
def test_what_is_shown_never_takes_our_places_or_the_free_one(real: int, evses: int) -> None:
    places = ProfilePlaces(StationState("CP", V16), range(1, evses + 1))
    shown = places.shown(real)
    assert shown == 1 or shown + OWN_PER_EVSE * evses + 1 == real
