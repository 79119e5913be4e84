"""Does the CSMS see its own profiles only, and are they obeyed? Stories of two masters of one station."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from local_controller.station.blocks.actuator import OWN_IDS
from local_controller.station.blocks.remote_starts import WAIT_S
from local_controller.station.effects import CsmsLimitChanged, Peer
from local_controller.station.stand_ins import STAND_INS
from local_controller.station.words import LimitKind, LimitOutcome, OcppVersion

ALL = pytest.mark.parametrize("version", list(OcppVersion))
V2 = pytest.mark.parametrize("version", [OcppVersion.V201, OcppVersion.V21])
ACCEPTED = LimitOutcome.ACCEPTED


def charging(bench: Any, version: OcppVersion, limit_a: float = 16.0) -> Any:
    """A station that charges under our limit."""
    b = bench(version)
    b.boot()
    b.start("7" if version is not OcppVersion.V16 else 7)
    b.set_limit(limit_a)
    return b


def tx(version: OcppVersion) -> dict[str, Any]:
    return {"transactionId": 7 if version is OcppVersion.V16 else "7"}


def clear(b: Any, **criteria: Any) -> Any:
    """The status of a ClearChargingProfile with 2.x names, in the words of the version."""
    profile_id = criteria.pop("id", None)
    if b.version is OcppVersion.V16:
        names = {"evseId": "connectorId"}
        payload = {names.get(name, name): value for name, value in criteria.items()}
        payload |= {} if profile_id is None else {"id": profile_id}
    else:
        payload = {"chargingProfileCriteria": criteria} if profile_id is None else {"chargingProfileId": profile_id}
    return b.from_csms("ClearChargingProfile", payload)["status"]


def max_purpose(version: OcppVersion) -> str:
    return "ChargePointMaxProfile" if version is OcppVersion.V16 else "ChargingStationMaxProfile"


@ALL
@pytest.mark.requirement("LC-092", "LC-093")
def test_the_lower_of_site_and_csms_is_written_before_the_csms_is_answered(bench: Any, version: OcppVersion) -> None:
    b = charging(bench, version, 16.0)
    assert b.csms_sets("TxProfile", 10.0, **tx(version)) == "Accepted"
    assert b.in_force_a() == 10.0
    assert b.csms_limit().at(b.now.utc) == 10.0
    b.set_limit(8.0)
    assert b.in_force_a() == 8.0
    b.set_limit(32.0)
    assert b.in_force_a() == 10.0
    assert b.outcomes()[-1] == (ACCEPTED, 10.0)


@ALL
def test_when_the_csms_raises_again_so_do_we(bench: Any, version: OcppVersion) -> None:
    b = charging(bench, version, 16.0)
    b.csms_sets("TxProfile", 10.0, **tx(version))
    assert b.csms_sets("TxProfile", 13.0, **tx(version)) == "Accepted"
    assert b.in_force_a() == 13.0
    assert clear(b, id=1) == "Accepted"
    assert b.in_force_a() == 16.0
    assert b.csms_limit().steps == ()


@ALL
@pytest.mark.requirement("LC-093")
def test_steps_of_the_csms_become_steps_of_ours(bench: Any, version: OcppVersion) -> None:
    b = charging(bench, version, 16.0)
    periods = [{"startPeriod": 0, "limit": 20.0}, {"startPeriod": 3600 + 100, "limit": 8.0}]
    assert b.csms_sets("TxProfile", 0.0, periods=periods, **tx(version)) == "Accepted"
    assert [b.in_force_a(s) for s in (0, 98, 101, 299)] == [16.0, 16.0, 8.0, 8.0]


@ALL
@pytest.mark.requirement("LC-093", "LC-106")
def test_a_csms_limit_below_the_floor_outlives_our_lease(bench: Any, version: OcppVersion) -> None:
    b = charging(bench, version, 16.0)
    assert b.csms_sets("TxProfile", 3.0, **tx(version)) == "Accepted"
    assert [b.in_force_a(s) for s in (0, 299, 301, 23 * 3600)] == [3.0, 3.0, 3.0, 3.0]


@ALL
@pytest.mark.requirement("LC-093", "LC-111")
def test_the_floor_is_never_above_the_default_of_the_csms(bench: Any, version: OcppVersion) -> None:
    b = bench(version, fallback_a=10.0)
    b.boot()
    periods = [{"startPeriod": 0, "limit": 16.0}, {"startPeriod": 5 * 3600, "limit": 7.5}]
    assert b.csms_sets("TxDefaultProfile", 0.0, periods=periods) == "Accepted"
    assert b.in_force_a() == 7.5
    assert clear(b, chargingProfilePurpose="TxDefaultProfile") == "Accepted"
    assert b.in_force_a() == 10.0
    assert [limit for _, limit in b.outcomes(LimitKind.FALLBACK) if _ is ACCEPTED] == [10.0, 7.5, 10.0]


@ALL
@pytest.mark.requirement("LC-092")
def test_if_the_station_refuses_what_follows_the_csms_is_refused_and_nothing_changes(
    bench: Any, version: OcppVersion
) -> None:
    b = charging(bench, version, 16.0)
    b.accepts = lambda _: False
    assert b.csms_sets("TxProfile", 10.0, **tx(version)) == "Rejected"
    b.accepts = lambda _: True
    b.set_limit(15.0)
    assert b.in_force_a() == 15.0


@ALL
@pytest.mark.requirement("LC-092")
def test_a_silent_station_does_not_keep_the_csms_waiting(bench: Any, version: OcppVersion) -> None:
    b = charging(bench, version, 16.0)
    b.accepts = lambda _: None
    assert b.csms_sets("TxProfile", 10.0, **tx(version)) is None
    b.wait(8)
    assert b.sent[Peer.CSMS][-1].payload["status"] == "Rejected"


@ALL
def test_requests_that_come_while_one_is_applied_are_answered_in_order(bench: Any, version: OcppVersion) -> None:
    b = charging(bench, version, 16.0)
    b.accepts = lambda _: None
    assert b.csms_sets("TxProfile", 10.0, **tx(version)) is None
    b.accepts = lambda _: True
    assert b.csms_sets("TxDefaultProfile", 12.0, 2) is None
    b.wait(8)
    answers = [frame.message_id for frame in b.sent[Peer.CSMS] if frame.message_id.startswith("csms")]
    assert answers == ["csms3", "csms4"]
    assert b.in_force_a() <= 12.0


@ALL
@pytest.mark.requirement("LC-028", "LC-091")
def test_the_answers_are_those_of_a_conforming_station(bench: Any, version: OcppVersion) -> None:
    b = bench(version)
    b.boot()
    is_v16 = version is OcppVersion.V16
    assert b.csms_sets("TxProfile", 10.0, **tx(version)) == "Rejected", "no transaction"
    assert b.csms_sets("TxDefaultProfile", 10.0, evse=9) == ("PropertyConstraintViolation" if is_v16 else "Rejected")
    assert b.csms_sets("TxDefaultProfile", 10.0, periods=[{"startPeriod": 5, "limit": 1.0}]) == "Rejected"
    assert b.csms_sets("TxDefaultProfile", 10.0, 1) == "Accepted"
    assert b.csms_sets("TxDefaultProfile", 11.0, 2) == ("Accepted" if is_v16 else "Rejected"), "the same rank"
    broken = b.csms_sets("TxDefaultProfile", 10.0, unit="horse")
    assert broken == "PropertyConstraintViolation"  # errata 3.38
    broken = b.csms_sets("TxDefaultProfile", 10.0, schedule={"startSchedule": "soon"})
    assert broken == ("FormationViolation" if is_v16 else "FormatViolation")


@ALL
@pytest.mark.requirement("LC-090")
def test_a_station_maximum_passes_and_counts_only_if_accepted(bench: Any, version: OcppVersion) -> None:
    b = bench(version)
    b.boot()
    b.accepts = lambda _: False
    assert b.csms_sets(max_purpose(version), 20.0, evse=0) == "Rejected"
    assert b.csms_limit().steps == ()
    b.accepts = lambda _: True
    assert b.csms_sets(max_purpose(version), 20.0, evse=0) == "Accepted"
    passed = b.calls_to(Peer.STATION, "SetChargingProfile")[-1]
    assert passed.message_id.startswith("csms")
    assert b.csms_limit().at(b.now.utc) == 20.0


@ALL
@pytest.mark.requirement("LC-094", "LC-095")
def test_no_clear_of_the_csms_touches_ours(bench: Any, version: OcppVersion) -> None:
    b = charging(bench, version, 16.0)
    for criteria in (
        {},
        {"id": OWN_IDS.start + 2},
        {"id": OWN_IDS.start + 3},
        {"chargingProfilePurpose": "TxProfile"},
        {"chargingProfilePurpose": "TxDefaultProfile", "stackLevel": 0},
        {"evseId": 1},
        {"stackLevel": 0},
    ):
        before = b.installed
        assert clear(b, **criteria) == "Unknown", criteria
        assert b.installed == before, "the station clears all that it is told to"


@ALL
@pytest.mark.requirement("LC-094")
def test_an_unreadable_clear_does_not_reach_the_station(bench: Any, version: OcppVersion) -> None:
    b = charging(bench, version)
    payload = {"chargingProfilePurpose": "Everything"}
    request = payload if version is OcppVersion.V16 else {"chargingProfileCriteria": payload}
    assert "Violation" in b.from_csms("ClearChargingProfile", request)
    assert not b.calls_to(Peer.STATION, "ClearChargingProfile")


@ALL
@pytest.mark.requirement("LC-094", "LC-095")
def test_a_wildcard_clear_is_decomposed(bench: Any, version: OcppVersion) -> None:
    b = charging(bench, version, 16.0)
    b.csms_sets("TxProfile", 10.0, 1, **tx(version))
    b.csms_sets(max_purpose(version), 20.0, 2, evse=0)
    assert clear(b) == "Accepted"
    (sent,) = b.calls_to(Peer.STATION, "ClearChargingProfile")
    named = sent.payload if version is OcppVersion.V16 else sent.payload["chargingProfileCriteria"]
    assert named == {"chargingProfilePurpose": max_purpose(version)}
    assert b.csms_limit().steps == ()
    assert b.in_force_a() == 16.0
    assert clear(b) == "Unknown"


@ALL
def test_a_clear_of_other_purposes_passes(bench: Any, version: OcppVersion) -> None:
    b = bench(version)
    b.boot()
    b.csms_sets(max_purpose(version), 20.0, 2, evse=0)
    assert clear(b, id=2) == "Accepted"
    assert b.calls_to(Peer.STATION, "ClearChargingProfile")[0].message_id.startswith("csms")
    assert b.csms_limit().steps == ()


@ALL
@pytest.mark.requirement("LC-078", "LC-101")
def test_the_profile_of_a_remote_start_waits_for_its_transaction(bench: Any, version: OcppVersion) -> None:
    b = bench(version)
    b.boot()
    profile = b.csms_profile("TxProfile", 4.0, 3, chargingProfileKind="Relative")
    if version is OcppVersion.V16:
        del profile["chargingSchedule"]["startSchedule"]
        action, payload, bare = "RemoteStartTransaction", {"connectorId": 1, "idTag": "tag"}, ["connectorId", "idTag"]
    else:
        del profile["chargingSchedule"][0]["startSchedule"]
        token = {"idToken": "TAG", "type": "ISO14443"}
        action, payload, bare = (
            "RequestStartTransaction",
            {"remoteStartId": 5, "idToken": token},
            ["remoteStartId", "idToken"],
        )
    b.station[action] = {"status": "Accepted"}
    assert b.from_csms(action, payload | {"chargingProfile": profile})["status"] == "Accepted"
    assert list(b.calls_to(Peer.STATION, action)[0].payload) == bare
    b.start(8, **({} if version is OcppVersion.V16 else {"info": {"remoteStartId": 5}}))
    assert b.csms_limit().at(b.now.utc) == 4.0
    assert b.in_force_a() == 4.0
    b.set_limit(16.0)
    assert b.in_force_a() == 4.0


@ALL
@pytest.mark.requirement("LC-060", "LC-101")
def test_the_profile_of_a_remote_start_holds_though_the_line_is_cut_before_its_car_comes(
    bench: Any, version: OcppVersion
) -> None:
    b = bench(version, fallback_a=10.0)
    b.boot()
    profile = b.csms_profile("TxProfile", 4.0, 3, chargingProfileKind="Relative")
    told = profile["chargingSchedule"] if version is OcppVersion.V16 else profile["chargingSchedule"][0]
    del told["startSchedule"]
    v16 = {"connectorId": 1, "idTag": "tag"}
    v2x = {"remoteStartId": 5, "idToken": {"idToken": "TAG", "type": "ISO14443"}}
    action = "RemoteStartTransaction" if version is OcppVersion.V16 else "RequestStartTransaction"
    payload = (v16 if version is OcppVersion.V16 else v2x) | {"chargingProfile": profile}
    assert b.from_csms(action, payload)["status"] == "Accepted"
    assert b.in_force_a() == 4.0, "a car that comes now draws no more, whoever can be asked by then"
    wire = [frame.action for frame in b.sent[Peer.STATION] if frame.action in {action, "SetChargingProfile"}]
    assert wire[-2:] == ["SetChargingProfile", action], "in this order"
    b.start(8, **({} if version is OcppVersion.V16 else {"info": {"remoteStartId": 5}}))
    assert b.in_force_a() == 4.0
    b.stop(8)
    assert b.in_force_a() == 10.0
    b.station[action] = {"status": "Rejected"}
    b.from_csms(action, payload)
    assert b.in_force_a() == 10.0, "no car will come"
    b.station[action] = {"status": "Accepted"}
    b.from_csms(action, payload)
    assert b.in_force_a() == 4.0
    b.wait(WAIT_S)
    assert b.in_force_a() == 10.0, "no car came"
    b.start(9)
    b.set_limit(16.0, 3600.0)
    b.from_csms(action, payload)
    assert b.in_force_a(3700) == 10.0, "another driver's car charges there"


@ALL
@pytest.mark.requirement("LC-079")
def test_with_the_transaction_its_profiles_end(bench: Any, version: OcppVersion) -> None:
    b = charging(bench, version, 16.0)
    b.csms_sets("TxProfile", 10.0, **tx(version))
    b.stop(7)
    assert b.csms_limit().steps == ()
    b.start(9)
    b.set_limit(16.0)
    assert b.in_force_a() == 16.0


@ALL
@pytest.mark.requirement("LC-110")
def test_the_site_learns_the_minimum_rate_of_the_profile_that_leads(bench: Any, version: OcppVersion) -> None:
    b = charging(bench, version)

    def least() -> list[float]:
        return [fact.least_a for fact in b.facts if isinstance(fact, CsmsLimitChanged)]

    b.csms_sets("TxDefaultProfile", 20.0, 1, schedule={"minChargingRate": 8.0})
    b.csms_sets("TxDefaultProfile", 20.0, 1, schedule={"minChargingRate": 9.0})
    assert least()[-2:] == [8.0, 9.0], "the same limit, another minimum"
    b.csms_sets("TxProfile", 20.0, 2, schedule={"minChargingRate": 10.5}, **tx(version))
    assert least()[-1] == 10.5
    assert all("minChargingRate" not in str(own) for own in b.own_profiles()[-1:]), "ours are no hints"
    b.stop(7)
    assert least()[-1] == 9.0
    clear(b, id=1)
    assert least()[-1] == 0.0


def test_the_site_learns_the_csms_limit_in_its_own_clock(bench: Any) -> None:
    b = bench()
    b.csms_ahead_s = 600.0
    b.boot()
    periods = [{"startPeriod": 0, "limit": 20.0}, {"startPeriod": 3600 + 900, "limit": 8.0}]
    b.csms_sets("TxDefaultProfile", 0.0, periods=periods)
    assert [b.csms_limit().at(b.now.utc + timedelta(seconds=s)) for s in (0, 299, 301)] == [20.0, 20.0, 8.0]


def test_the_csms_limit_is_reviewed_every_quarter_of_an_hour(bench: Any) -> None:
    b = bench()
    b.boot()
    before = len(b.facts)
    b.wait(901)
    assert len(b.facts) == before + 1


@ALL
@pytest.mark.requirement("LC-098", "LC-101")
def test_another_purpose_in_a_remote_start_passes_or_is_refused(bench: Any, version: OcppVersion) -> None:
    b = bench(version)
    b.boot()
    action, head = "RequestStartTransaction", {"remoteStartId": 5, "idToken": {"idToken": "TAG", "type": "ISO14443"}}
    if version is OcppVersion.V16:
        action, head = "RemoteStartTransaction", {"connectorId": 1, "idTag": "TAG"}
    passing = head | {"chargingProfile": b.csms_profile(max_purpose(version), 20.0, 3)}
    b.station[action] = {"status": "Rejected"}
    assert b.from_csms(action, passing)["status"] == "Rejected", "by the station"
    assert b.calls_to(Peer.STATION, action)[-1].payload == passing
    b.from_csms(action, head | {"chargingProfile": b.csms_profile(max_purpose(version), 20.0, OWN_IDS.start + 2)})
    profile = b.calls_to(Peer.STATION, action)[-1].payload["chargingProfile"]
    assert profile["chargingProfileId" if version is OcppVersion.V16 else "id"] == STAND_INS[2]
    before = len(b.calls_to(Peer.STATION, action))
    refused = b.from_csms(action, head | {"chargingProfile": b.csms_profile("TxDefaultProfile", 20.0, 3)})
    assert refused["status"] == "Rejected"
    assert len(b.calls_to(Peer.STATION, action)) == before, "it would come beside our floor"


def remotely(b: Any, **more: Any) -> None:
    assert b.from_csms("RemoteStartTransaction", {"connectorId": 1, "idTag": "tag"} | more) == {"status": "Accepted"}


@pytest.mark.requirement("LC-101")
@pytest.mark.parametrize("is_bare", [True, False])
def test_in_16_the_last_remote_start_of_a_driver_counts(bench: Any, is_bare: bool) -> None:
    b = bench(evses=(1, 2))
    b.boot()
    remotely(b, chargingProfile=b.csms_profile("TxProfile", 9.0, 1))
    remotely(b, connectorId=2, chargingProfile=b.csms_profile("TxProfile", 8.0, 2))
    b.station["RemoteStartTransaction"] = {"status": "Rejected"}
    b.from_csms("RemoteStartTransaction", {"connectorId": 2, "idTag": "tag"})
    b.station["RemoteStartTransaction"] = {"status": "Accepted"}
    b.wait(60)
    remotely(b, **({} if is_bare else {"chargingProfile": b.csms_profile("TxProfile", 5.0, 3, stackLevel=1)}))
    b.start(7)
    b.start(8, evse=2)
    b.from_station("Heartbeat", {})
    held = sorted((evse, profile.id) for evse, profile in b.smart.state.store.installed)
    assert held == ([] if is_bare else [(1, 3)]) + [(2, 2)], (
        "at another connector, and where it was refused, nothing changes"
    )


@ALL
@pytest.mark.requirement("LC-092", "LC-093")
@pytest.mark.parametrize("who", list(Peer))
def test_a_profile_that_is_being_applied_when_a_connection_ends_counts(
    bench: Any, version: OcppVersion, who: Peer
) -> None:
    before = charging(bench, version, 16.0)
    before.accepts = lambda _payload: None
    assert before.csms_sets("TxDefaultProfile", 3.0, 4) is None
    before.proxy.closed(who, before.now)
    b = bench(version, known=before.smart.state)
    b.installed, b.written, b.now = before.installed, before.written, before.now.after(5.0)
    b.from_station("Heartbeat", {})
    assert b.in_force_a() == 3.0, "the CSMS has no answer and does not know; a lower limit harms nobody"
    assert b.csms_sets("TxDefaultProfile", 3.0, 4) == "Accepted"


@ALL
@pytest.mark.requirement("LC-092")
def test_a_station_that_does_not_answer_to_what_follows_undoes_it(bench: Any, version: OcppVersion) -> None:
    b = charging(bench, version, 16.0)
    b.accepts = lambda _payload: None
    assert b.csms_sets("TxDefaultProfile", 3.0, 4) is None
    b.wait(7.9)
    assert not [frame for frame in b.sent[Peer.CSMS] if frame.message_id.startswith("csms")]
    b.wait(0.2)
    (answer,) = [frame for frame in b.sent[Peer.CSMS] if frame.message_id.startswith("csms")]
    assert answer.payload["status"] == "Rejected"
    assert not b.smart.state.store.installed.entries
