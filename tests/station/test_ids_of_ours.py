"""What if the CSMS numbers its profiles as we do? It is served as by any station (LC-098)."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from local_controller.station.blocks.actuator import OWN_IDS
from local_controller.station.effects import Peer
from local_controller.station.stand_ins import MOST_STAND_INS, STAND_INS, StandIns
from local_controller.station.words import OcppVersion
from tests.station.test_profile_sharing import clear, max_purpose

ALL = pytest.mark.parametrize("version", list(OcppVersion))
V2 = pytest.mark.parametrize("version", [OcppVersion.V201, OcppVersion.V21])
OURS = OWN_IDS.start + 2


def ids_in_station(b: Any) -> list[int]:
    return sorted(entry.profile.id for entry in b.installed)


@ALL
@pytest.mark.requirement("LC-098")
def test_a_station_maximum_with_an_id_of_ours_is_served_under_a_stand_in(bench: Any, version: OcppVersion) -> None:
    b = bench(version)
    b.boot()
    assert b.csms_sets(max_purpose(version), 20.0, OURS, evse=0) == "Accepted"
    stand_in = STAND_INS[2]
    assert ids_in_station(b) == [OURS, stand_in], "beside our floor, not in its place"
    assert b.csms_limit().at(b.now.utc) == 20.0
    assert b.csms_sets(max_purpose(version), 19.0, OURS, evse=0) == "Accepted"
    assert ids_in_station(b) == [OURS, stand_in], "replaced under the same stand-in"
    assert b.csms_limit().at(b.now.utc) == 19.0
    assert clear(b, id=OURS) == "Accepted"
    assert ids_in_station(b) == [OURS]
    assert b.csms_limit().steps == ()
    assert clear(b, id=OURS) == "Unknown"


@ALL
@pytest.mark.requirement("LC-090", "LC-098")
def test_a_refused_maximum_with_an_id_of_ours_leaves_nothing(bench: Any, version: OcppVersion) -> None:
    b = bench(version)
    b.boot()
    b.accepts = lambda _payload: False
    assert b.csms_sets(max_purpose(version), 20.0, OURS, evse=0) == "Rejected"
    assert b.csms_limit().steps == ()
    assert clear(b, id=OURS) == "Unknown"


@V2
@pytest.mark.requirement("LC-096", "LC-098")
def test_it_is_reported_and_found_under_the_id_of_the_csms(bench: Any, version: OcppVersion) -> None:
    b = bench(version)
    b.boot()
    b.csms_sets("ChargingStationMaxProfile", 20.0, OURS, evse=0)
    b.csms_sets("TxDefaultProfile", 9.0, OURS + 1)
    for criteria in ({"stackLevel": 0}, {"chargingProfileId": [OURS, OURS + 1]}):
        b.sent[Peer.CSMS].clear()
        answer = b.from_csms("GetChargingProfiles", {"requestId": 1, "chargingProfile": criteria})
        assert answer == {"status": "Accepted"}
        told = [frame.payload["chargingProfile"] for frame in b.calls_to(Peer.CSMS, "ReportChargingProfiles")]
        assert [[profile["id"] for profile in profiles] for profiles in told] == [[OURS], [OURS + 1]]
        assert told[0][0] == b.csms_profile("ChargingStationMaxProfile", 20.0, OURS)


@ALL
@pytest.mark.requirement("LC-098")
def test_of_an_owned_purpose_it_lives_in_the_store_alone(bench: Any, version: OcppVersion) -> None:
    b = bench(version)
    b.boot()
    assert b.csms_sets("TxDefaultProfile", 5.0, OURS) == "Accepted"
    assert ids_in_station(b) == [OURS]
    assert b.in_force_a() == 5.0
    assert clear(b, id=OURS) == "Accepted"
    assert b.in_force_a() == 6.0


@ALL
@pytest.mark.requirement("LC-091")
def test_the_same_id_replaces_whatever_the_purpose(bench: Any, version: OcppVersion) -> None:
    b = bench(version)
    b.boot()
    assert b.csms_sets(max_purpose(version), 3.0, 9, evse=0) == "Accepted"
    assert b.csms_sets("TxDefaultProfile", 5.0, 9) == "Accepted"
    assert ids_in_station(b) == [OURS], "the maximum is gone from the station too"
    assert b.in_force_a() == 5.0
    assert b.csms_sets(max_purpose(version), 20.0, 9, evse=0) == "Accepted"
    assert ids_in_station(b) == [9, OURS]
    assert b.in_force_a() == 6.0


@ALL
@pytest.mark.requirement("LC-101")
def test_so_it_does_when_it_came_with_a_remote_start(bench: Any, version: OcppVersion) -> None:
    b = bench(version)
    b.boot()
    assert b.csms_sets(max_purpose(version), 3.0, 9, evse=0) == "Accepted"
    profile = b.csms_profile("TxProfile", 5.0, 9)
    if version is OcppVersion.V16:
        action, payload = "RemoteStartTransaction", {"connectorId": 1, "idTag": "TAG"}
    else:
        action, payload = (
            "RequestStartTransaction",
            {"remoteStartId": 5, "idToken": {"idToken": "TAG", "type": "Central"}},
        )
    assert b.from_csms(action, payload | {"chargingProfile": profile})["status"] == "Accepted"
    assert b.in_force_a() == 3.0, "until the transaction begins"
    b.start(8, **({} if version is OcppVersion.V16 else {"info": {"remoteStartId": 5}}))
    assert 9 not in ids_in_station(b)
    assert b.in_force_a() == 5.0


@ALL
@pytest.mark.requirement("LC-092")
def test_what_an_id_would_have_replaced_stays_if_the_station_refuses_what_follows(
    bench: Any, version: OcppVersion
) -> None:
    b = bench(version)
    b.boot()
    b.csms_sets(max_purpose(version), 3.0, 9, evse=0)
    b.accepts = lambda _payload: False
    assert b.csms_sets("TxDefaultProfile", 5.0, 9) == "Rejected"
    assert ids_in_station(b) == [9, OURS]
    assert b.csms_limit().at(b.now.utc) == 3.0


@ALL
@pytest.mark.requirement("LC-090", "LC-092")
def test_what_an_id_has_replaced_is_cleared_on_the_next_connection_if_this_one_ends(
    bench: Any, version: OcppVersion
) -> None:
    b = bench(version)
    b.boot()
    b.csms_sets(max_purpose(version), 3.0, 9, evse=0)
    b.station["ClearChargingProfile"] = None
    assert b.csms_sets("TxDefaultProfile", 5.0, 9) == "Accepted"
    assert ids_in_station(b) == [9, OURS], "the station does not answer"
    b.proxy.closed(Peer.STATION, b.now)
    again = bench(version, known=b.smart.state)
    again.installed = b.installed
    again.from_station("Heartbeat", {})
    assert ids_in_station(again) == [OURS]
    assert not again.smart.state.outdated
    clears = again.calls_to(Peer.STATION, "ClearChargingProfile")
    assert len(clears) == 1


@ALL
@pytest.mark.requirement("LC-090")
def test_a_profile_that_came_back_under_its_id_is_not_cleared(bench: Any, version: OcppVersion) -> None:
    b = bench(version)
    b.boot()
    b.csms_sets(max_purpose(version), 3.0, 9, evse=0)
    b.station["ClearChargingProfile"] = {"status": "Unknown"} if version is OcppVersion.V16 else "InternalError"
    b.csms_sets("TxDefaultProfile", 5.0, 9)
    assert b.csms_sets(max_purpose(version), 4.0, 9, evse=0) == "Accepted"
    again = bench(version, known=b.smart.state)
    again.installed = b.installed
    again.from_station("Heartbeat", {})
    assert ids_in_station(again) == [9, OURS]
    assert not again.calls_to(Peer.STATION, "ClearChargingProfile")


@pytest.mark.requirement("LC-098")
@given(ids=st.lists(st.integers(1, 2**31 - 1) | st.sampled_from(OWN_IDS), max_size=60, unique=True))
@example(ids=[OURS, OURS + len(STAND_INS), OURS + len(STAND_INS) + 1])  # which would all like to have the same
def test_stand_ins_are_never_ours_never_shared_and_lead_back(ids: list[int]) -> None:
    stand_ins = StandIns()
    written = [stand_ins.for_station(one) for one in ids]
    assert len(set(written)) == len(ids)
    assert [stand_ins.for_station(one) for one in ids] == written
    assert all(one not in OWN_IDS or one in STAND_INS for one in written)
    assert [stand_ins.for_csms(one) for one in written] == ids
    assert stand_ins.known_of(ids) == written


@pytest.mark.requirement("LC-098")
def test_a_stand_in_from_before_a_restart_leads_back_too() -> None:
    before, after = StandIns(), StandIns()
    for csms_id in (OWN_IDS.start, OURS, STAND_INS.start - 1):
        assert after.for_csms(before.for_station(csms_id)) == csms_id


def test_so_many_stand_ins_are_remembered() -> None:
    stand_ins = StandIns()
    for csms_id in OWN_IDS[: MOST_STAND_INS + 1]:
        stand_ins.for_station(csms_id)
    assert stand_ins.known(OWN_IDS[0]) is None
    assert stand_ins.known(OWN_IDS[MOST_STAND_INS]) is not None


@V2
@pytest.mark.requirement("LC-098")
def test_a_schedule_of_ours_that_a_car_has_chosen_is_told_as_the_one_of_the_csms(
    bench: Any, version: OcppVersion
) -> None:
    b = bench(version)
    b.boot()
    b.start("7")
    b.set_limit(16.0)
    ours = b.own_profiles()[-1]["chargingSchedule"][0]
    told = {"timeBase": "2026-06-01T12:00:00Z", "evseId": 1, "chargingSchedule": ours}
    selected = {} if version is OcppVersion.V201 else {"selectedChargingScheduleId": ours["id"]}
    limited = {"evseId": 1, "chargingLimit": {"chargingLimitSource": "EMS"}, "chargingSchedule": [ours]}

    def seen() -> list[Any]:
        b.from_station("NotifyEVChargingSchedule", told | selected)
        b.from_station("NotifyChargingLimit", limited)
        car, limit = (frame.payload for frame in b.sent[Peer.CSMS][-2:])
        ids = [car["chargingSchedule"]["id"], car.get("selectedChargingScheduleId"), limit["chargingSchedule"][0]["id"]]
        assert car | {"chargingSchedule": 0} | selected == told | {"chargingSchedule": 0} | selected
        assert limit | {"chargingSchedule": 0} == limited | {"chargingSchedule": 0}
        return ids

    def expected(csms_id: int, selected_id: int | None) -> list[Any]:
        return [csms_id, selected_id if selected else None, csms_id]

    assert seen() == expected(0, None), "the CSMS has given none"
    b.csms_sets("TxDefaultProfile", 9.0, 4)
    assert seen() == expected(4, 4)
    b.csms_sets("TxProfile", 10.0, 3, transactionId="7", stackLevel=1)
    assert seen() == expected(3, 3)
    ours["id"] = 17
    assert seen()[0] == 17, "the station's own"
