"""What 2.1 adds to smart charging: is it served beside the site's limit, and does none of it lift that limit?"""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from local_controller.rpc import frame as rpc
from local_controller.station.blocks.actuator import OWN_IDS
from local_controller.station.effects import Peer
from local_controller.station.stand_ins import STAND_INS
from local_controller.station.words import DelayWaived, OcppVersion
from tests.station.conftest import EFFORT, Payload, own, stamp
from tests.station.test_outdated import Slow

V21 = OcppVersion.V21
TX = {"transactionId": "7"}
DYNAMIC = {"chargingProfileKind": "Dynamic"}
EPSILON = 1e-6
REJECTED = {"status": "Rejected"}
OURS = OWN_IDS.start + 2


def charging(bench: Any, limit_a: float = 16.0) -> Any:
    """A station that charges under our limit."""
    b = bench(V21)
    b.boot()
    b.start("7")
    b.set_limit(limit_a)
    return b


def stating(bench: Any, **values: str) -> Any:
    """A station that says of SmartChargingCtrlr what it supports; names like SupportsFeature_LimitAtSoC."""
    b = bench(V21)

    def told(payload: Payload) -> Payload:
        results = []
        for asked in payload["getVariableData"]:
            name = "_".join(asked["variable"].values())
            verdict = {"attributeStatus": "Accepted", "attributeValue": values[name]} if name in values else {}
            results.append(asked | (verdict or {"attributeStatus": "UnknownVariable"}))
        return {"getVariableResult": results}

    b.station["GetVariables"] = told
    b.boot()
    b.wait(30)
    b.start("7")
    b.set_limit(16.0)
    return b


def sets(b: Any, purpose: str, limit: float, profile_id: int = 1, evse: int = 1, **more: Any) -> Payload:
    """The whole answer."""
    profile = b.csms_profile(purpose, limit, profile_id, **more)
    answer: Payload = b.from_csms("SetChargingProfile", {"evseId": evse, "chargingProfile": profile})
    return answer


def reason(answer: Payload) -> str | None:
    return answer.get("statusInfo", {}).get("reasonCode")


def use(b: Any, transaction: str = "7", *, activate: bool = True) -> Payload:
    answer: Payload = b.from_csms("UsePriorityCharging", {"transactionId": transaction, "activate": activate})
    return answer


def update(b: Any, profile_id: int, **rates: float) -> Payload:
    answer: Payload = b.from_csms("UpdateDynamicSchedule", {"chargingProfileId": profile_id, "scheduleUpdate": rates})
    return answer


# --- priority charging (K21, K22) ---------------------------------------------------------------------------------


@pytest.mark.requirement("LC-089", "LC-093")
def test_priority_charging_replaces_the_csms_own_limits_and_never_the_sites(bench: Any) -> None:
    b = charging(bench)
    b.csms_sets("TxProfile", 8.0, 1, **TX)
    assert b.csms_sets("PriorityCharging", 32.0, 2, evse=0) == "Accepted"
    assert b.in_force_a() == 8.0, "nobody has asked for it yet"
    assert use(b) == {"status": "Accepted"}
    assert b.csms_limit().at(b.now.utc) == 32.0
    assert b.in_force_a() == 16.0, "the site's limit holds"
    assert use(b, activate=False) == {"status": "Accepted"}
    assert b.in_force_a() == 8.0


@pytest.mark.requirement("LC-089")
def test_it_may_also_be_lower_and_ends_with_its_transaction(bench: Any) -> None:
    b = charging(bench)
    b.csms_sets("PriorityCharging", 7.0, 2, evse=1)
    use(b)
    assert b.in_force_a() == 7.0
    b.stop("7")
    b.start("8")
    b.set_limit(16.0)
    assert b.in_force_a() == 16.0


@pytest.mark.requirement("LC-092")
def test_it_is_granted_once_the_station_holds_what_follows(bench: Any) -> None:
    b = charging(bench)
    b.csms_sets("PriorityCharging", 7.0, 2, evse=1)
    slow = Slow(b)
    assert b.from_csms("UsePriorityCharging", {"transactionId": "7", "activate": True}) is None, (
        "the station has 16 A yet"
    )
    slow.answer_all()
    assert b.in_force_a() == 7.0
    assert b.sent[Peer.CSMS][-1].payload == {"status": "Accepted"}


@pytest.mark.requirement("LC-091")
def test_who_cannot_have_it_is_told_why(bench: Any) -> None:
    b = charging(bench)
    assert use(b) == use(b, activate=False) == {"status": "NoProfile"}
    b.csms_sets("PriorityCharging", 32.0, 2, evse=0, validFrom=stamp(b.now, 60))
    assert use(b) == {"status": "Accepted"}, "from when it is valid"
    assert b.in_force_a(59) == 16.0
    assert use(b, "other")["status"] == "Rejected"
    assert not b.calls_to(Peer.STATION, "UsePriorityCharging")


@pytest.mark.requirement("LC-092")
def test_if_the_station_refuses_what_follows_nothing_has_priority(bench: Any) -> None:
    b = charging(bench)
    b.csms_sets("TxProfile", 8.0, 1, **TX)
    b.csms_sets("PriorityCharging", 32.0, 2, evse=0)
    b.accepts = lambda _payload: False
    assert use(b)["status"] == "Rejected"
    b.accepts = lambda _payload: True
    b.set_limit(15.0)
    assert b.in_force_a() == 8.0


@pytest.mark.requirement("LC-089", "LC-148")
def test_a_driver_may_ask_for_it_at_the_station(bench: Any) -> None:
    b = charging(bench)
    b.csms_sets("TxProfile", 8.0, 1, **TX)
    b.csms_sets("PriorityCharging", 12.0, 2, evse=0)
    b.from_station("NotifyPriorityCharging", {"transactionId": "7", "activated": True})
    assert b.calls_to(Peer.CSMS, "NotifyPriorityCharging"), "it goes up as ever"
    assert b.in_force_a() == 12.0
    b.from_station("NotifyPriorityCharging", {"transactionId": "7", "activated": False})
    assert b.in_force_a() == 8.0


def waived(b: Any) -> list[DelayWaived]:
    """What the site was told of its random delay."""
    return [fact for fact in b.facts if isinstance(fact, DelayWaived)]


def test_a_driver_who_asks_for_it_does_not_wait_for_the_sites_random_delay_either(bench: Any) -> None:
    b = charging(bench)
    b.from_station("NotifyPriorityCharging", {"transactionId": "7", "activated": True})
    b.from_station("NotifyPriorityCharging", {"transactionId": "7", "activated": False})
    b.from_station("NotifyPriorityCharging", {"transactionId": "unknown", "activated": True})
    assert waived(b) == [DelayWaived(1, "7"), DelayWaived(1, "7", is_waived=False)]


def test_nor_does_one_for_whom_the_csms_asks_once_it_is_granted(bench: Any) -> None:
    b = charging(bench)
    use(b)
    assert waived(b) == [], "there is no profile for it"
    b.csms_sets("PriorityCharging", 32.0, 2, evse=0)
    use(b)
    use(b, activate=False)
    assert waived(b) == [DelayWaived(1, "7"), DelayWaived(1, "7", is_waived=False)]
    b.csms_sets("TxProfile", 8.0, 1, **TX)
    b.accepts = lambda _payload: False
    use(b)
    assert len(waived(b)) == 2, "the station has refused what follows"


@pytest.mark.requirement("LC-091")
def test_a_priority_profile_has_no_duration_and_charges_only(bench: Any) -> None:
    b = charging(bench)
    assert reason(sets(b, "PriorityCharging", 32.0, schedule={"duration": 60})) == "InvalidSchedule"  # K01.FR.70
    periods = [{"startPeriod": 0, "limit": 32.0, "operationMode": "ExternalLimits"}]  # K01.FR.71
    assert reason(sets(b, "PriorityCharging", 32.0, periods=periods)) == "InvalidOperationMode"


# --- local generation (K27) ---------------------------------------------------------------------------------------


@pytest.mark.requirement("LC-089", "LC-093")
def test_local_generation_adds_to_the_csms_limits_and_never_to_the_sites(bench: Any) -> None:
    b = charging(bench)
    b.csms_sets("TxProfile", 8.0, 1, **TX)
    assert b.csms_sets("LocalGeneration", 3.0, 2, evse=0) == "Accepted"
    assert b.csms_limit().at(b.now.utc) == 11.0
    assert b.in_force_a() == 11.0
    b.csms_sets("LocalGeneration", 30.0, 2, evse=0)
    assert b.in_force_a() == 16.0
    b.set_limit(10.0)
    assert b.in_force_a() == 10.0


@pytest.mark.requirement("LC-089", "LC-093")
def test_local_generation_of_the_whole_station_counts_once_for_all_its_evses(bench: Any) -> None:
    b = bench(V21, evses=(1, 2))
    b.boot()
    b.csms_sets("TxDefaultProfile", 8.0, 1, evse=0)
    b.csms_sets("LocalGeneration", 6.0, 2, evse=0)
    b.csms_sets("LocalGeneration", 1.0, 3, evse=2, stackLevel=1)
    for evse in (1, 2):
        b.start(str(evse), evse)
        b.set_limit(32.0, evse=evse)
    assert [b.in_force_a(evse=evse) for evse in (1, 2)] == [11.0, 9.0], "of its own, the higher level leads"


@pytest.mark.requirement("LC-095")
def test_no_clear_removes_local_generation(bench: Any) -> None:
    b = charging(bench)
    b.csms_sets("LocalGeneration", 3.0, 2, evse=0)
    for criteria in ({}, {"chargingProfilePurpose": "LocalGeneration"}):  # K10.FR.08
        assert b.from_csms("ClearChargingProfile", {"chargingProfileCriteria": criteria}) == {"status": "Unknown"}
    assert b.from_csms("ClearChargingProfile", {"chargingProfileId": 2}) == {"status": "Unknown"}


# --- dynamic profiles (K28) ---------------------------------------------------------------------------------------


@pytest.mark.requirement("LC-089", "LC-103")
def test_an_update_of_a_dynamic_profile_is_applied_and_then_answered(bench: Any) -> None:
    b = charging(bench)
    assert b.csms_sets("TxProfile", 10.0, 1, **TX, **DYNAMIC) == "Accepted"
    assert b.in_force_a() == 10.0
    assert update(b, 1, limit=7.5) == {"status": "Accepted"}
    assert b.in_force_a() == 7.5
    assert update(b, 1, limit=30.0) == {"status": "Accepted"}
    assert b.in_force_a() == 16.0
    assert not b.calls_to(Peer.STATION, "UpdateDynamicSchedule")


@pytest.mark.requirement("LC-096", "LC-103")
def test_it_is_reported_as_it_was_updated(bench: Any) -> None:
    b = charging(bench)
    periods = [{"startPeriod": 0, "limit": 10.0, "limit_L2": 9.0, "limit_L3": 9.0, "customData": {"vendorId": "x"}}]
    b.csms_sets("TxProfile", 0.0, 1, periods=periods, **TX, **DYNAMIC)
    update(b, 1, limit=7.5)
    b.from_csms("GetChargingProfiles", {"requestId": 1, "chargingProfile": {"chargingProfileId": [1]}})
    (profile,) = b.calls_to(Peer.CSMS, "ReportChargingProfiles")[-1].payload["chargingProfile"]
    assert profile["dynUpdateTime"] == stamp(b.now)
    expected = [{"startPeriod": 0, "limit": 7.5, "customData": {"vendorId": "x"}}]
    assert profile["chargingSchedule"][0]["chargingSchedulePeriod"] == expected


@pytest.mark.requirement("LC-089", "LC-103")
def test_without_updates_it_runs_out_by_itself(bench: Any) -> None:
    b = charging(bench)
    b.csms_sets("TxDefaultProfile", 9.0, 2)
    b.csms_sets("TxProfile", 12.0, 1, **TX, **DYNAMIC, schedule={"duration": 120})
    assert [b.in_force_a(s) for s in (0, 119, 122)] == [12.0, 12.0, 9.0]
    b.wait(100)
    update(b, 1, limit=11.0)
    b.set_limit(16.0)
    assert [b.in_force_a(s) for s in (0, 119, 122)] == [11.0, 11.0, 9.0]
    b.wait(121)
    assert b.csms_limit().at(b.now.utc) == 9.0


@pytest.mark.requirement("LC-103")
def test_an_update_that_the_station_refuses_is_undone(bench: Any) -> None:
    b = charging(bench)
    b.csms_sets("TxProfile", 10.0, 1, **TX, **DYNAMIC)
    b.accepts = lambda _payload: False
    assert update(b, 1, limit=7.5) == REJECTED
    assert b.csms_limit().at(b.now.utc) == 10.0


@pytest.mark.requirement("LC-091", "LC-103")
def test_what_cannot_be_updated_is_refused(bench: Any) -> None:
    b = charging(bench)
    b.csms_sets("TxProfile", 10.0, 1, **TX)
    assert reason(update(b, 1, limit=7.5)) == "InvalidProfile", "it is not dynamic"
    assert reason(update(b, OURS, limit=7.5)) == "InvalidProfile", "ours are none of the CSMS's business"
    b.csms_sets("TxDefaultProfile", 10.0, 2, **DYNAMIC)
    assert update(b, 2, limit=-1.0) == "FormatViolation"
    b.station["UpdateDynamicSchedule"] = REJECTED
    assert update(b, 99, limit=7.5) == REJECTED, "of profiles that we do not know the station knows more"
    assert b.calls_to(Peer.STATION, "UpdateDynamicSchedule")[-1].message_id.startswith("csms")


@pytest.mark.requirement("LC-098", "LC-103")
def test_updates_of_a_profile_in_the_station_pass_and_are_followed(bench: Any) -> None:
    b = charging(bench)
    b.station["UpdateDynamicSchedule"] = {"status": "Accepted"}
    b.csms_sets("ChargingStationMaxProfile", 20.0, OURS, evse=0, **DYNAMIC)
    assert update(b, OURS, limit=14.0) == {"status": "Accepted"}
    passed = b.calls_to(Peer.STATION, "UpdateDynamicSchedule")[-1].payload
    assert passed == {"chargingProfileId": STAND_INS[2], "scheduleUpdate": {"limit": 14.0}}
    assert b.csms_limit().at(b.now.utc) == 14.0
    b.csms["PullDynamicScheduleUpdate"] = {"status": "Accepted", "scheduleUpdate": {"limit": 13.0}}
    b.from_station("PullDynamicScheduleUpdate", {"chargingProfileId": STAND_INS[2]})
    assert b.calls_to(Peer.CSMS, "PullDynamicScheduleUpdate")[-1].payload == {"chargingProfileId": OURS}
    assert b.csms_limit().at(b.now.utc) == 13.0
    before = len(b.calls_to(Peer.CSMS, "PullDynamicScheduleUpdate"))
    b.from_station("PullDynamicScheduleUpdate", {"chargingProfileId": OURS})
    assert b.sent[Peer.STATION][-1].payload == REJECTED
    assert len(b.calls_to(Peer.CSMS, "PullDynamicScheduleUpdate")) == before


@pytest.mark.requirement("LC-103")
def test_we_pull_for_a_virtual_profile_as_often_as_it_says(bench: Any) -> None:
    b = charging(bench, 16.0)
    limits = iter([9.0, 8.0, None, 7.0])

    def pulled(_payload: Payload) -> Payload:
        limit = next(limits, None)
        return REJECTED if limit is None else {"status": "Accepted", "scheduleUpdate": {"limit": limit}}

    b.csms["PullDynamicScheduleUpdate"] = pulled
    b.csms_sets("TxProfile", 10.0, 1, **TX, **DYNAMIC, dynUpdateInterval=30)
    seen = []
    for _ in range(4):
        b.wait(30)
        b.set_limit(16.0)
        seen.append(b.in_force_a())
    assert seen == [9.0, 8.0, 8.0, 7.0]
    pulls = b.calls_to(Peer.CSMS, "PullDynamicScheduleUpdate")
    assert [frame.payload for frame in pulls] == [{"chargingProfileId": 1}] * 4
    assert all(own(frame) for frame in pulls)
    b.from_csms("ClearChargingProfile", {"chargingProfileId": 1})
    b.wait(90)
    assert len(b.calls_to(Peer.CSMS, "PullDynamicScheduleUpdate")) == 4


@pytest.mark.requirement("LC-103")
def test_the_first_pull_comes_in_time_though_nothing_had_to_be_written(bench: Any) -> None:
    b = charging(bench, 3.0)
    b.csms_sets("TxDefaultProfile", 10.0, 1, **DYNAMIC, dynUpdateInterval=30)
    b.wait(30)
    assert len(b.calls_to(Peer.CSMS, "PullDynamicScheduleUpdate")) == 1


@pytest.mark.requirement("LC-101", "LC-103")
def test_a_dynamic_profile_in_a_remote_start_waits_like_any_other(bench: Any) -> None:
    b = bench(V21)
    b.boot()
    profile = b.csms_profile("TxProfile", 4.0, 3, **DYNAMIC)
    start = {"remoteStartId": 5, "idToken": {"idToken": "TAG", "type": "ISO14443"}, "chargingProfile": profile}
    assert b.from_csms("RequestStartTransaction", start)["status"] == "Accepted"
    b.start("8", info={"remoteStartId": 5})
    assert b.in_force_a() == 4.0
    assert update(b, 3, limit=5.0) == {"status": "Accepted"}
    assert b.in_force_a() == 5.0


@pytest.mark.requirement("LC-101")
def test_a_remote_start_with_a_profile_that_nobody_would_take_is_refused(bench: Any) -> None:
    b = bench(V21)
    b.boot()
    profile = b.csms_profile("TxProfile", 4.0, 3, periods=[{"startPeriod": 9, "limit": 4.0}])
    start = {"remoteStartId": 5, "idToken": {"idToken": "TAG", "type": "ISO14443"}, "chargingProfile": profile}
    assert reason(b.from_csms("RequestStartTransaction", start)) == "InvalidSchedule"
    assert not b.calls_to(Peer.STATION, "RequestStartTransaction")


@pytest.mark.requirement("LC-089", "LC-093")
def test_a_limit_at_a_state_of_charge_holds_from_the_sample_on_that_shows_it(bench: Any) -> None:
    b = charging(bench)
    b.csms_sets("TxProfile", 14.0, 1, **TX, schedule={"limitAtSoC": {"soc": 80, "limit": 7.0}})
    for soc, limit_a in ((79, 14.0), (80, 7.0), (81, 7.0)):
        sampled = {"value": soc, "measurand": "SoC", "location": "EV", "unitOfMeasure": {"unit": "Percent"}}
        value = {"timestamp": stamp(b.now), "sampledValue": [sampled]}
        b.from_station("MeterValues", {"evseId": 1, "meterValue": [value]})
        b.wait(1)
        b.from_station("Heartbeat", {})
        assert b.in_force_a() == limit_a, soc


# --- what a station says that it does not support -----------------------------------------------------------------


@pytest.mark.requirement("LC-091")
def test_a_purpose_that_the_station_does_not_name_is_unsupported(bench: Any) -> None:
    b = stating(bench, SupportedAdditionalPurposes="LocalGeneration")
    assert reason(sets(b, "PriorityCharging", 32.0)) == "UnsupportedPurpose"
    assert sets(b, "LocalGeneration", 3.0, evse=0) == {"status": "Accepted"}
    b.station["UsePriorityCharging"] = REJECTED
    assert use(b) == REJECTED
    assert b.calls_to(Peer.STATION, "UsePriorityCharging"), "it says so itself"


@pytest.mark.requirement("LC-091")
@pytest.mark.parametrize(
    ("feature", "fields", "refusal"),
    [
        ("DynamicProfiles", DYNAMIC, "UnsupportedKind"),
        ("MaxOfflineDuration", {"maxOfflineDuration": 60}, "InvalidProfile"),
        ("UseLocalTime", {"schedule": {"useLocalTime": True}}, "InvalidSchedule"),
        ("RandomizedDelay", {"schedule": {"randomizedDelay": 60}}, "InvalidSchedule"),
        ("LimitAtSoC", {"schedule": {"limitAtSoC": {"soc": 80, "limit": 6.0}}}, "InvalidSchedule"),
    ],
)
def test_a_feature_is_refused_only_if_the_station_says_that_it_lacks_it(
    bench: Any, feature: str, fields: Payload, refusal: str
) -> None:
    for stated, expected in (({f"SupportsFeature_{feature}": "false"}, refusal), ({}, None)):
        b = stating(bench, **stated)
        assert reason(sets(b, "TxProfile", 10.0, **TX, **fields)) == expected
    b = stating(bench, **{f"SupportsFeature_{feature}": "true"})
    assert sets(b, "TxProfile", 10.0, **TX, **fields) == {"status": "Accepted"}


@pytest.mark.requirement("LC-091")
@pytest.mark.parametrize("version", [OcppVersion.V16, OcppVersion.V201])
def test_older_versions_know_none_of_it(bench: Any, version: OcppVersion) -> None:
    b = bench(version)
    b.boot()
    is_v16 = version is OcppVersion.V16
    assert b.csms_sets("PriorityCharging", 32.0) == ("PropertyConstraintViolation" if is_v16 else "Rejected")
    assert b.csms_sets("TxDefaultProfile", 32.0, **DYNAMIC) == "Rejected"
    for action in ("UsePriorityCharging", "UpdateDynamicSchedule"):
        b.station[action] = "NotImplemented"
        assert b.from_csms(action, {"transactionId": "7", "activate": True}) == "NotImplemented"


# --- laws ---------------------------------------------------------------------------------------------------------

AMPS = st.integers(0, 400).map(lambda tenth: tenth / 10)
OPERATIONS = st.lists(
    st.tuples(
        st.sampled_from(
            ["wish", "tx", "default", "dynamic", "update", "generation", "priority", "use", "drop", "wait", "restart"]
        ),
        AMPS,
        st.integers(5, 400),
    ),
    max_size=14,
)


@given(operations=OPERATIONS)
@settings(max_examples=60 * EFFORT, suppress_health_check=[HealthCheck.function_scoped_fixture])
@pytest.mark.requirement("LC-089", "LC-093", "LC-103")
def test_whatever_the_csms_uses_the_station_obeys_the_lower_master(
    bench: Any, operations: list[tuple[str, float, int]]
) -> None:
    b = charging(bench, 0.0)
    b.station["UpdateDynamicSchedule"] = REJECTED
    running, wish_a, until_s = 7, 0.0, b.now.monotonic_s + 300.0
    for what, value, seconds in operations:
        if what == "wish":
            wish_a, until_s = value, b.now.monotonic_s + seconds
            b.set_limit(value, seconds)
        elif what == "restart":
            b.stop(str(running))
            running, until_s = running + 1, 0.0
            b.start(str(running))
        elif what == "wait":
            b.wait(float(seconds))
        else:
            assert csms_does(b, what, value, seconds, str(running))["status"] in {"Accepted", "NoProfile", "Rejected"}
        site_a = wish_a if b.now.monotonic_s < until_s else 6.0
        csms_a = b.csms_limit().at(b.now.utc)
        assert b.in_force_a() <= (site_a if csms_a is None else min(site_a, csms_a)) + EPSILON, (what, value)
    assert not [frame for frame in b.sent[Peer.CSMS] if frame.message_type == rpc.CALLERROR]


def csms_does(b: Any, what: str, value: float, seconds: int, running: str) -> Payload:
    """One thing that a CSMS may ask; a profile of its own number for each purpose."""
    tx = {"transactionId": running}
    expiring = {"schedule": {"duration": seconds}, "stackLevel": 1, **DYNAMIC}
    does = {
        "tx": lambda: sets(b, "TxProfile", value, 1, **tx),
        "default": lambda: sets(b, "TxDefaultProfile", value, 2),
        "dynamic": lambda: sets(b, "TxProfile", value, 3, **tx, **expiring),
        "update": lambda: update(b, 3, limit=value),
        "generation": lambda: sets(b, "LocalGeneration", value, 4, evse=0),
        "priority": lambda: sets(b, "PriorityCharging", value, 5),
        "use": lambda: use(b, running),
        "drop": lambda: use(b, running, activate=False),
    }
    return does[what]()


@pytest.mark.requirement("LC-103")
def test_a_csms_that_does_not_answer_is_asked_for_one_update_at_a_time(bench: Any) -> None:
    b = charging(bench)
    b.csms["PullDynamicScheduleUpdate"] = None
    schedule: Payload = {"startSchedule": None}
    assert (
        sets(b, "TxProfile", 10.0, 3, **DYNAMIC, **TX, dynUpdateInterval=1, schedule=schedule)["status"] == "Accepted"
    )
    b.wait(80)
    assert len(b.calls_to(Peer.CSMS, "PullDynamicScheduleUpdate")) == 10, "each is awaited for 8 s"
    assert "own_call_not_sent" not in {note.event for note in b.notes}
    b.from_csms("GetChargingProfiles", {"requestId": 5, "chargingProfile": {}})
    b.wait(9)
    assert b.calls_to(Peer.CSMS, "ReportChargingProfiles"), "nor does any report wait behind them"


@pytest.mark.requirement("LC-103")
def test_a_period_that_came_without_its_list_is_updated_like_any_other(bench: Any) -> None:
    b = charging(bench)
    schedule: Payload = {"startSchedule": None, "chargingSchedulePeriod": {"startPeriod": 0, "limit": 10.0}}
    assert sets(b, "TxProfile", 10.0, 3, **DYNAMIC, **TX, schedule=schedule)["status"] == "Accepted"
    assert update(b, 3, limit=9.0)["status"] == "Accepted"
    assert b.in_force_a() == 9.0
