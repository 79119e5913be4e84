"""What does the CSMS see of its station's charging profiles? Stories of GetChargingProfiles (K09)."""

from __future__ import annotations

from typing import Any

import pytest

from local_controller.rpc import frame as rpc
from local_controller.station.blocks.actuator import OWN_IDS
from local_controller.station.effects import Peer
from local_controller.station.state import OWN_REQUEST_IDS
from local_controller.station.words import OcppVersion
from tests.station.conftest import Payload, own

V2 = pytest.mark.parametrize("version", [OcppVersion.V201, OcppVersion.V21])
ANY = {"chargingLimitSource": ["CSO", "EMS", "SO", "Other"]}
Seen = list[tuple[int, int, str, bool, list[int]]]


def charging(bench: Any, version: OcppVersion) -> Any:
    """A station that charges under our limit, with a profile of its own energy management."""
    b = bench(version)
    b.boot()
    b.start("7")
    b.set_limit(16.0)
    return b


def reports(b: Any) -> list[Payload]:
    return [frame.payload for frame in b.calls_to(Peer.CSMS, "ReportChargingProfiles")]


def seen(b: Any) -> Seen:
    """The reports that the CSMS has got: request, EVSE, source, continuation and the profiles' ids."""
    keys = ("requestId", "evseId", "chargingLimitSource", "tbc")
    return [(*(r[key] for key in keys), [p["id"] for p in r["chargingProfile"]]) for r in reports(b)]


def asked(b: Any, request_id: int, evse: int | None = None, **criteria: Any) -> Any:
    """The status of a GetChargingProfiles, or the code of an error."""
    payload = {"requestId": request_id, "chargingProfile": criteria or ANY}
    answer = b.from_csms("GetChargingProfiles", payload | ({} if evse is None else {"evseId": evse}))
    return answer["status"] if isinstance(answer, dict) else answer


def own_questions(b: Any) -> list[Payload]:
    return [frame.payload for frame in b.calls_to(Peer.STATION, "GetChargingProfiles")]


@V2
@pytest.mark.requirement("LC-030", "LC-096", "LC-098")
def test_get_shows_the_profiles_of_the_csms_real_and_virtual_and_none_of_ours(bench: Any, version: OcppVersion) -> None:
    b = charging(bench, version)
    assert asked(b, 5) == "NoProfiles", "though the station reports two of ours"
    assert reports(b) == []
    b.csms_sets("TxProfile", 10.0, 3, transactionId="7")
    b.csms_sets("TxDefaultProfile", 9.0, 4)
    b.csms_sets("ChargingStationMaxProfile", 20.0, 2, evse=0)
    assert asked(b, 6) == "Accepted"
    assert seen(b) == [(6, 0, "CSO", True, [2]), (6, 1, "CSO", False, [3, 4])]
    assert reports(b)[1]["chargingProfile"][0] == b.csms_profile("TxProfile", 10.0, 3, transactionId="7")
    first = next(i for i, frame in enumerate(b.sent[Peer.CSMS]) if frame.action == "ReportChargingProfiles")
    assert b.sent[Peer.CSMS][first - 1].message_type == rpc.CALLRESULT, "the answer goes before the reports (LC-030)"


@V2
@pytest.mark.requirement("LC-096", "LC-127")
def test_the_station_is_asked_with_the_csms_criteria_under_a_request_id_of_ours(
    bench: Any, version: OcppVersion
) -> None:
    b = charging(bench, version)
    asked(b, 5, evse=1, stackLevel=0, chargingProfilePurpose="TxProfile")
    asked(b, 5, chargingProfileId=[2, 1], chargingLimitSource=["CSO"])
    first, second = own_questions(b)
    assert first.pop("requestId") != second.pop("requestId")
    assert first == {"evseId": 1, "chargingProfile": {"chargingProfilePurpose": "TxProfile", "stackLevel": 0}}
    assert second == {"chargingProfile": {"chargingProfileId": [1, 2], "chargingLimitSource": ["CSO"]}}
    assert all(own(frame) for frame in b.calls_to(Peer.STATION, "GetChargingProfiles"))


@V2
@pytest.mark.requirement("LC-096")
def test_profiles_of_other_sources_are_reported_under_their_source(bench: Any, version: OcppVersion) -> None:
    b = charging(bench, version)
    limit = b.csms_profile("ChargingStationExternalConstraints", 13.0, 50)
    b.foreign = [(0, "EMS", limit), (1, "SO", limit | {"id": 51}), (1, "CSO", limit | {"id": 52})]
    b.csms_sets("TxDefaultProfile", 9.0, 4)
    assert asked(b, 8) == "Accepted"
    assert seen(b) == [
        (8, 0, "EMS", True, [50]),
        (8, 1, "CSO", True, [52, 4]),
        (8, 1, "SO", False, [51]),
    ]
    before = len(reports(b))
    assert asked(b, 9, chargingLimitSource=["EMS"]) == "Accepted"
    assert seen(b)[before:] == [(9, 0, "EMS", False, [50])], "what is virtual is the CSMS's own"
    assert asked(b, 10, chargingLimitSource=["Other"]) == "NoProfiles"


@V2
@pytest.mark.requirement("LC-096")
def test_get_by_other_criteria(bench: Any, version: OcppVersion) -> None:
    b = bench(version)
    b.boot()
    b.csms_sets("TxDefaultProfile", 9.0, 4)
    cases: list[tuple[Payload, str]] = [
        ({"chargingProfileId": [4, 5]}, "Accepted"),
        ({"chargingProfileId": [OWN_IDS.start + 2]}, "NoProfiles"),
        ({"chargingProfilePurpose": "TxProfile"}, "NoProfiles"),
        ({"stackLevel": 0}, "Accepted"),
        ({"stackLevel": 1}, "NoProfiles"),
        ({"chargingLimitSource": ["EMS"]}, "NoProfiles"),
    ]
    for wanted, status in cases:
        assert asked(b, 1, evse=1, **wanted) == status, wanted
    assert asked(b, 1, evse=0, stackLevel=0) == "NoProfiles"
    assert all(question["chargingProfile"].get("chargingProfileId") != [] for question in own_questions(b))


@V2
@pytest.mark.requirement("LC-096")
def test_an_error_of_the_station_is_the_csms_answer(bench: Any, version: OcppVersion) -> None:
    b = charging(bench, version)
    b.csms_sets("TxDefaultProfile", 9.0, 4)
    b.station["GetChargingProfiles"] = "NotImplemented"
    assert asked(b, 5) == "NotImplemented"
    assert reports(b) == []


@V2
@pytest.mark.requirement("LC-096")
def test_a_station_that_says_nothing_leads_to_an_error_and_not_to_half_the_truth(
    bench: Any, version: OcppVersion
) -> None:
    b = charging(bench, version)
    b.csms_sets("TxDefaultProfile", 9.0, 4)
    b.station["GetChargingProfiles"] = None
    assert asked(b, 5) is None
    b.wait(8)
    assert b.sent[Peer.CSMS][-1].error_code == "GenericError"
    assert reports(b) == []


@V2
@pytest.mark.requirement("LC-096", "LC-127")
def test_reports_that_stop_half_way_lead_to_an_error_and_late_ones_stay_here(bench: Any, version: OcppVersion) -> None:
    b = charging(bench, version)
    b.station["GetChargingProfiles"] = lambda _payload: {"status": "Accepted", "statusInfo": {"reasonCode": "NoError"}}
    assert asked(b, 5) is None
    request_id = own_questions(b)[-1]["requestId"]
    profile = b.csms_profile("ChargingStationMaxProfile", 20.0, 2)
    report = {"requestId": request_id, "chargingLimitSource": "CSO", "evseId": 0, "chargingProfile": [profile]}
    b.wait(5)
    b.from_station("ReportChargingProfiles", report | {"tbc": True})
    b.wait(5)
    assert b.sent[Peer.CSMS][-1].error_code is None, "each report is a sign of life"
    b.wait(3)
    assert b.sent[Peer.CSMS][-1].error_code == "GenericError"
    b.from_station("ReportChargingProfiles", report | {"tbc": False})
    assert b.sent[Peer.STATION][-1].payload == {}, "answered, and kept"
    assert reports(b) == []


@V2
@pytest.mark.requirement("LC-096")
def test_a_station_that_reports_for_ever_does_not_keep_the_csms_waiting(bench: Any, version: OcppVersion) -> None:
    b = charging(bench, version)
    b.station["GetChargingProfiles"] = lambda _payload: {"status": "Accepted", "statusInfo": {"reasonCode": "NoError"}}
    assert asked(b, 5) is None
    report = {"requestId": own_questions(b)[-1]["requestId"], "chargingLimitSource": "CSO", "evseId": 0, "tbc": True}
    for number in range(5):
        b.from_station("ReportChargingProfiles", report | {"chargingProfile": [b.csms_profile("TxProfile", 1, number)]})
        b.wait(5)
    assert b.sent[Peer.CSMS][-1].error_code == "GenericError"


@V2
@pytest.mark.requirement("LC-096", "LC-098")
def test_reports_that_nobody_asked_for_go_up_without_ours(bench: Any, version: OcppVersion) -> None:
    b = charging(bench, version)
    ours, theirs = b.own_profiles()[-1], b.csms_profile("ChargingStationMaxProfile", 20.0, 2)
    report = {"requestId": 77, "chargingLimitSource": "CSO", "evseId": 1, "tbc": False}
    b.from_station("ReportChargingProfiles", report | {"chargingProfile": [ours, theirs]})
    assert reports(b) == [report | {"chargingProfile": [theirs]}]
    b.from_station("ReportChargingProfiles", report | {"chargingProfile": [ours]})
    assert b.sent[Peer.STATION][-1].payload == {}
    assert len(reports(b)) == 1
    b.from_station("ReportChargingProfiles", report | {"requestId": OWN_REQUEST_IDS[9], "chargingProfile": [theirs]})
    assert len(reports(b)) == 1


@V2
def test_what_else_the_csms_asks_about_profiles_waits_for_the_reports(bench: Any, version: OcppVersion) -> None:
    b = charging(bench, version)
    b.station["GetChargingProfiles"] = None
    assert asked(b, 5) is None
    assert b.csms_sets("TxDefaultProfile", 9.0, 4) is None
    b.wait(8)
    answers = [frame for frame in b.sent[Peer.CSMS] if frame.message_id.startswith("csms")][-2:]
    assert [answer.error_code or answer.payload["status"] for answer in answers] == ["GenericError", "Accepted"]


UNREADABLE = [
    ("requestId", "x"),
    ("evseId", "x"),
    ("evseId", 1.5),
    ("chargingLimitSource", {}),
    ("chargingProfile", "x"),
    ("chargingProfile", [3]),
    ("chargingProfile", [None]),
]


@V2
@pytest.mark.requirement("LC-096", "LC-098")
@pytest.mark.parametrize("is_asked_for", [True, False])
@pytest.mark.parametrize(("name", "value"), UNREADABLE)
def test_a_report_that_cannot_be_read_shows_none_of_ours(
    bench: Any, version: OcppVersion, name: str, value: Any, is_asked_for: bool
) -> None:
    b = charging(bench, version)
    b.station["GetChargingProfiles"] = lambda _payload: {"status": "Accepted", "statusInfo": {"reasonCode": "NoError"}}
    assert asked(b, 5) is None
    request_id, ours = own_questions(b)[-1]["requestId"] if is_asked_for else 77, b.own_profiles()[-1]
    report = {
        "requestId": request_id,
        "chargingLimitSource": "CSO",
        "evseId": 1,
        "chargingProfile": [ours],
        "tbc": False,
    }
    report |= {name: [ours, *value] if isinstance(value, list) else value}
    b.from_station("ReportChargingProfiles", report)
    assert b.sent[Peer.STATION][-1].action is None, "the station has an answer"
    b.wait(30)
    assert not any(
        str(one) in frame.text for frame in b.sent[Peer.CSMS] for one in (ours["id"], request_id) if one > 77
    )
    last = [frame for frame in b.sent[Peer.CSMS] if frame.message_id.startswith("csms")][-1]
    assert last.error_code == "GenericError", "the station never told what it holds"


@V2
@pytest.mark.requirement("LC-020", "LC-096")
def test_a_profile_nested_without_end_harms_nobody(bench: Any, version: OcppVersion) -> None:
    b = charging(bench, version)
    deep: list[Any] = []
    for _ in range(480):
        deep = [deep]
    custom = {"vendorId": "x", "deep": deep}
    assert b.csms_sets("TxDefaultProfile", 9.0, 4, customData=custom) == "FormatViolation"
    report = {"requestId": 77, "chargingLimitSource": "CSO", "evseId": 1, "tbc": False}
    b.from_station("ReportChargingProfiles", report | {"chargingProfile": [{"id": 4, "customData": custom}]})
    assert b.sent[Peer.STATION][-1].error_code == "FormatViolation"
    assert asked(b, 5) == "NoProfiles"


@V2
@pytest.mark.requirement("LC-096")
def test_the_station_has_its_time_from_when_it_is_asked(bench: Any, version: OcppVersion) -> None:
    b = charging(bench, version)
    b.accepts = lambda _payload: None
    b.set_limit(10.0)
    (push,) = b.calls_to(Peer.STATION, "SetChargingProfile")[-1:]
    b.station["GetChargingProfiles"] = None
    assert asked(b, 5) is None
    b.wait(5)
    b._do(b.proxy.receive(Peer.STATION, rpc.result(push.message_id, {"status": "Accepted"}).text, b.now))
    (question,) = b.calls_to(Peer.STATION, "GetChargingProfiles")
    b.wait(5)
    b._do(b.proxy.receive(Peer.STATION, rpc.result(question.message_id, {"status": "NoProfiles"}).text, b.now))
    assert b.sent[Peer.CSMS][-1].payload == {"status": "NoProfiles"}, "busy for 5 s, then asked for 5 s"


@V2
@pytest.mark.requirement("LC-031", "LC-096")
def test_all_reports_of_a_big_station_arrive_and_the_last_one_says_so(bench: Any, version: OcppVersion) -> None:
    b = bench(version, evses=tuple(range(1, 5)))
    b.boot()
    foreign = b.csms_profile("ChargingStationExternalConstraints", 13.0, 50)
    b.foreign = [(evse, source, foreign) for evse in range(1, 51) for source in ("EMS", "SO")]
    b.csms["ReportChargingProfiles"] = None
    assert asked(b, 5) == "Accepted"
    assert len(reports(b)) == 1, "one at a time, as from any station"
    b.csms["ReportChargingProfiles"] = {}
    b.wait(9)
    told = seen(b)
    assert len(told) == 100, "also after one that the CSMS did not answer"
    assert [is_continued for *_, is_continued, _ in told] == [True] * 99 + [False]


@V2
@pytest.mark.requirement("LC-024", "LC-147")
def test_a_car_that_asks_for_its_certificate_waits_for_no_more_than_the_report_under_way(
    bench: Any, version: OcppVersion
) -> None:
    """That one stands for the station's own, which would hold up the next CALL as well."""
    b = charging(bench, version)
    b.csms_sets("TxDefaultProfile", 9.0, 4)
    b.csms_sets("ChargingStationMaxProfile", 20.0, 2, evse=0)
    b.csms["ReportChargingProfiles"] = b.csms["Get15118EVCertificate"] = None
    assert asked(b, 6) == "Accepted"
    (report,) = b.calls_to(Peer.CSMS, "ReportChargingProfiles")
    request = {"iso15118SchemaVersion": "urn:iso:15118:2:2013:MsgDef", "action": "Install", "exiRequest": "gJgCUQ=="}
    b.from_station("Get15118EVCertificate", request)
    assert b.sent[Peer.CSMS][-1] == report
    b._do(b.proxy.receive(Peer.CSMS, rpc.result(report.message_id, {}).text, b.now))
    assert b.sent[Peer.CSMS][-1].action == "Get15118EVCertificate", "before our second report"


@V2
@pytest.mark.requirement("LC-023", "LC-147")
def test_a_car_that_asks_for_its_certificate_waits_for_nothing_that_we_ask_its_station(
    bench: Any, version: OcppVersion
) -> None:
    b = charging(bench, version)
    b.station["GetVariables"] = b.station["SetChargingProfile"] = None
    b.set_limit(8.0)
    b.wait(1.0)
    assert own(b.sent[Peer.STATION][-1])
    request = {"iso15118SchemaVersion": "urn:iso:15118:2:2013:MsgDef", "action": "Install", "exiRequest": "gJgCUQ=="}
    b.csms["Get15118EVCertificate"] = {"status": "Accepted", "exiResponse": "gKACVA=="}
    before = b.now
    b.from_station("Get15118EVCertificate", request)
    assert b.sent[Peer.STATION][-1].payload == b.csms["Get15118EVCertificate"]
    assert b.now == before
