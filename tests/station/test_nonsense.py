"""Can a peer's nonsense break a station's proxy? Laws: nothing but values comes out, and our profile stays."""

from __future__ import annotations

import copy
import json
from functools import partial
from itertools import product
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from local_controller.rpc.schemas import violation
from local_controller.station.announcements import CapabilityLearnt
from local_controller.station.blocks.actuator import OWN_IDS
from local_controller.station.effects import Peer
from local_controller.station.guard_policy import GuardPolicy, Policy
from local_controller.station.stand_ins import STAND_INS
from local_controller.station.words import Booted, LimitKind, LimitOutcome, OcppVersion
from tests.effort import TRIED
from tests.station.conftest import EFFORT
from tests.station.test_profile_sharing import max_purpose

OURS = frozenset(OWN_IDS) - frozenset(STAND_INS)

NUMBERS = [0, -1, -0.5, 1.5, 3, 7, 86400, 2**31, 2**63, 10**400, 1e18, 1e308, -1e308, 1e-320]
WORDS = ["", " ", "x", "1", "NaN", "Recurring", "Relative", "TxProfile", "TxDefaultProfile", "Daily", "W"]
TIMES = ["0001-01-01T00:00:00Z", "9999-12-31T23:59:59Z", "2026-06-01T12:00:00+14:00", "2026-06-01"]
NASTY = st.sampled_from([None, True, [], {}, [{}], [[]], *NUMBERS, *WORDS, *TIMES])


def leaves(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """The path of everything inside."""
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [*([path] if path else []), *(found for name, child in inner for found in leaves(child, (*path, name)))]


def replaced(payload: dict[str, Any], path: tuple[Any, ...], value: Any) -> dict[str, Any]:
    result = copy.deepcopy(payload)
    place = result
    for name in path[:-1]:
        place = place[name]
    place[path[-1]] = value
    return result


@pytest.mark.parametrize("version", list(OcppVersion))
@given(data=st.data())
@settings(max_examples=30 * EFFORT, suppress_health_check=[HealthCheck.function_scoped_fixture])
@pytest.mark.requirement("LC-020", "LC-093", "LC-094")
def test_a_csms_that_sends_nonsense_about_profiles_changes_nothing_for_the_worse(
    bench: Any, version: OcppVersion, data: st.DataObject
) -> None:
    b = bench(version, is_asked_what_it_holds=True)
    b.unchecked = frozenset({"ReportChargingProfiles"})  # it gets back what it sent
    b.boot()
    b.start(7)
    b.set_limit(16.0)
    is_v16 = version is OcppVersion.V16
    fields = {
        "validFrom": "2026-06-01T00:00:00Z",
        "validTo": "2026-06-02T00:00:00Z",
        "transactionId": 7 if is_v16 else "7",
    }
    period = {"startPeriod": 0, "limit": 10.0, "numberPhases": 3}
    schedule = {"duration": 7200, "minChargingRate": 1.0}
    purpose = data.draw(st.sampled_from(["TxProfile", "TxDefaultProfile"]))
    profile = b.csms_profile(
        purpose, 0.0, periods=[period, period | {"startPeriod": 9000}], schedule=schedule, **fields
    )
    if is_v16:
        requests = {
            "SetChargingProfile": {"connectorId": 1, "csChargingProfiles": profile},
            "ClearChargingProfile": {"id": 1, "connectorId": 1, "chargingProfilePurpose": purpose, "stackLevel": 0},
            "RemoteStartTransaction": {"connectorId": 1, "idTag": "TAG", "chargingProfile": profile},
        }
    else:
        criteria = {"evseId": 1, "chargingProfilePurpose": purpose, "stackLevel": 0}
        token = {"idToken": "TAG", "type": "ISO14443"}
        requests = {
            "SetChargingProfile": {"evseId": 1, "chargingProfile": profile},
            "ClearChargingProfile": {"chargingProfileCriteria": criteria},
            "GetChargingProfiles": {
                "requestId": 1,
                "evseId": 1,
                "chargingProfile": {"chargingProfileId": [1], "stackLevel": 0, "chargingLimitSource": ["CSO"]},
            },
            "RequestStartTransaction": {"remoteStartId": 1, "evseId": 1, "idToken": token, "chargingProfile": profile},
        }
    for _ in range(data.draw(st.integers(1, 3))):
        action = data.draw(st.sampled_from(sorted(requests)))
        payload = requests[action]
        TRIED["payloads with nonsense"] += 1
        b.from_csms(action, replaced(payload, data.draw(st.sampled_from(leaves(payload))), data.draw(NASTY)))
    b.wait(5)
    for frame in b.calls_to(Peer.STATION, "ClearChargingProfile"):
        named = frame.payload.get("chargingProfileCriteria", frame.payload)
        profile_id = named.get("id" if is_v16 else "chargingProfileId")
        assert named.get("chargingProfilePurpose") == max_purpose(version) or profile_id not in {None, *OURS}
    assert b.in_force_a() <= 16.0


STATION_CALLS: dict[OcppVersion, dict[str, Any]] = {
    OcppVersion.V16: {
        "BootNotification": {"chargePointVendor": "v", "chargePointModel": "m", "firmwareVersion": "1"},
        "StatusNotification": {"connectorId": 1, "errorCode": "NoError", "status": "Charging"},
        "StartTransaction": {"connectorId": 1, "idTag": "T", "meterStart": 0, "timestamp": "2026-06-01T12:00:00Z"},
        "StopTransaction": {"transactionId": 7, "meterStop": 0, "timestamp": "2026-06-01T12:00:00Z"},
    },
    OcppVersion.V201: {
        "BootNotification": {"reason": "PowerUp", "chargingStation": {"vendorName": "v", "model": "m"}},
        "StatusNotification": {"timestamp": "2026-06-01T12:00:00Z", "evseId": 1, "connectorId": 1, "connectorStatus": "Occupied"},
        "TransactionEvent": {"eventType": "Started", "timestamp": "2026-06-01T12:00:00Z", "triggerReason": "Authorized", "seqNo": 0, "evse": {"id": 1}, "transactionInfo": {"transactionId": "7", "chargingState": "Charging", "remoteStartId": 1}, "idToken": {"idToken": "T", "type": "Central"}},
        "NotifyEVChargingNeeds": {"evseId": 1, "chargingNeeds": {"requestedEnergyTransfer": "AC_three_phase", "departureTime": "2026-06-01T12:00:00Z", "acChargingParameters": {"energyAmount": 1, "evMinCurrent": 6, "evMaxCurrent": 16, "evMaxVoltage": 400}}},
    },
}  # fmt: skip
STATION_CALLS[OcppVersion.V21] = STATION_CALLS[OcppVersion.V201]


@pytest.mark.parametrize("version", list(OcppVersion))
@given(data=st.data())
@settings(max_examples=30 * EFFORT, suppress_health_check=[HealthCheck.function_scoped_fixture])
@pytest.mark.requirement("LC-020")
def test_a_station_that_sends_nonsense_is_relayed(bench: Any, version: OcppVersion, data: st.DataObject) -> None:
    b = bench(version, is_asked_what_it_holds=True)
    b.csms["StartTransaction"] = {"transactionId": data.draw(NASTY)}
    b.csms["BootNotification"] = {"status": data.draw(NASTY | st.just("Accepted")), "currentTime": data.draw(NASTY)}
    b.csms["Heartbeat"] = {"currentTime": data.draw(NASTY)}
    for _ in range(data.draw(st.integers(1, 4))):
        action = data.draw(st.sampled_from(sorted(STATION_CALLS[version])))
        payload = STATION_CALLS[version][action]
        payload = replaced(payload, data.draw(st.sampled_from(leaves(payload))), data.draw(NASTY))
        TRIED["payloads with nonsense"] += 1
        b.from_station(action, payload)
        b.from_station("Heartbeat", {})
        b.wait(1)
    relayed = [frame.action for frame in b.sent[Peer.CSMS] if frame.action]
    assert relayed.count("Heartbeat") * 2 == len(relayed)


CURRENTS = [{"value": 9.5, "measurand": "Current.Import", "phase": phase, "context": "Trigger", "location": "Outlet"} for phase in ("L1", "L2", "L3")]  # fmt: skip
METERED: dict[OcppVersion, dict[str, Any]] = {
    version: {"MeterValues": {name: 1, "meterValue": [{"timestamp": "2026-06-01T12:00:00Z", "sampledValue": CURRENTS}]}}
    for version, name in zip(OcppVersion, ("connectorId", "evseId", "evseId"), strict=True)
}
METERED[OcppVersion.V16] = json.loads(json.dumps(METERED[OcppVersion.V16]).replace("9.5", '"9.5"'))
NO_READING: list[Any] = [[], {}, [1], True, "no such word", {"x": 1}]
"""What is neither a number, nor a time, nor a word of any enumeration."""


def facts_of(bench: Any, version: OcppVersion, action: str, payload: Any, answer: Any = None) -> list[Any]:
    """What the site is told because of this message."""
    b = bench(version)
    b.csms["StartTransaction"] = {"transactionId": 7, "idTagInfo": {"status": "Accepted"}}
    if action != "BootNotification":
        b.boot()
    if action not in {"StartTransaction", "TransactionEvent", "BootNotification"}:
        b.start(7)
    b.csms |= {} if answer is None else {action: answer}
    before = len(b.facts)
    b.from_station(action, payload)
    assert b.calls_to(Peer.CSMS, action)[-1].payload == payload
    told = [fact for fact in b.facts[before:] if not isinstance(fact, CapabilityLearnt)]
    return [fact.status if isinstance(fact, Booted) else fact for fact in told]  # a name may be missing


def says_no_more(fact: Any, sound: Any) -> bool:
    """Whether it is the same, but for what it leaves open."""
    return type(fact) is type(sound) and all(
        said is None or said == meant for said, meant in zip(parts(fact), parts(sound), strict=True)
    )


def parts(fact: Any) -> list[Any]:
    """A fact's fields, whatever it is made of; a word has none."""
    names = getattr(fact, "__struct_fields__", None) or getattr(fact, "__dataclass_fields__", ())
    return [getattr(fact, name) for name in names] or [fact]


@pytest.mark.parametrize("version", list(OcppVersion))
@pytest.mark.requirement("LC-020")
def test_what_breaks_its_schema_where_control_reads_it_says_nothing_else_than_what_is_sound(
    bench: Any, version: OcppVersion
) -> None:
    """Part of what the sound message says, or nothing: never a load, a place or a state that it does not have."""
    broken = 0
    for action, payload in (STATION_CALLS[version] | METERED[version]).items():
        sound = facts_of(bench, version, action, payload)
        assert sound, action
        assert violation(version, action, payload, is_answer=False) is None
        for path, value in product(leaves(payload), NO_READING):
            changed = replaced(payload, path, value)
            if path[-1] == "measurand" or violation(version, action, changed, is_answer=False) is None:
                continue  # a measurand of the vendor's own, or another sound message
            broken += 1
            for fact in facts_of(bench, version, action, changed):
                assert any(map(partial(says_no_more, fact), sound)), (action, path, value, fact)
    assert broken > 100


ANSWERS: dict[str, dict[str, Any]] = {
    "BootNotification": {"status": "Accepted", "currentTime": "2026-06-01T12:00:00Z", "interval": 300},
    "StartTransaction": {"transactionId": 7, "idTagInfo": {"status": "Accepted"}},
    "Heartbeat": {"currentTime": "2026-06-01T12:10:00Z"},
}
"""What the CSMS says that control reads, by what it answers."""


@pytest.mark.parametrize("version", list(OcppVersion))
@pytest.mark.requirement("LC-020", "LC-039")
def test_an_answer_of_the_csms_that_breaks_its_schema_says_nothing_else_than_what_is_sound(
    bench: Any, version: OcppVersion
) -> None:
    calls = STATION_CALLS[version] | {"Heartbeat": {}}
    broken = 0
    for action in ANSWERS.keys() & calls.keys():
        sound = facts_of(bench, version, action, calls[action], ANSWERS[action])
        for path, value in product(leaves(ANSWERS[action]), NO_READING):
            changed = replaced(ANSWERS[action], path, value)
            if violation(version, action, changed, is_answer=True) is None:
                continue
            broken += 1
            for fact in facts_of(bench, version, action, calls[action], changed):
                assert any(map(partial(says_no_more, fact), sound)), (action, path, value, fact)
    assert broken >= 20


@pytest.mark.parametrize("version", list(OcppVersion))
@pytest.mark.parametrize("status", [*NO_READING, None, ""])
@pytest.mark.requirement("LC-020", "LC-039")
def test_a_verdict_that_cannot_be_read_is_none(bench: Any, version: OcppVersion, status: Any) -> None:
    b = bench(version)
    b.csms["BootNotification"] = ANSWERS["BootNotification"] | {"status": status}
    b.boot()
    b.set_limit(16.0)
    b.wait(60)
    assert not [frame for frame in b.sent[Peer.STATION] if frame.action is not None]


@pytest.mark.parametrize("version", list(OcppVersion))
@pytest.mark.parametrize("answer", [*({"status": word} for word in (*NO_READING, None, "")), {}])
@pytest.mark.requirement("LC-020", "LC-107")
def test_an_answer_to_a_limit_that_cannot_be_read_is_no_yes(bench: Any, version: OcppVersion, answer: Any) -> None:
    b = bench(version)
    b.station["SetChargingProfile"] = answer
    b.boot()
    b.start(7)
    b.set_limit(16.0)
    b.wait(60)
    told = {outcome for kind in LimitKind for outcome, _ in b.outcomes(kind)}
    assert LimitOutcome.SENT in told
    assert LimitOutcome.ACCEPTED not in told


@pytest.mark.parametrize("version", list(OcppVersion))
@pytest.mark.parametrize("word", [[], {}, 7, None])
@pytest.mark.requirement("LC-020")
def test_a_word_of_the_station_may_be_anything(bench: Any, version: OcppVersion, word: Any) -> None:
    """Where the gateway looks for a status or an id, a list or an object is no member of any set."""
    b = bench(
        version, guards=GuardPolicy(network=Policy.REWRITE, public_url="ws://192.168.1.10:9310", sample_interval_s=60)
    )
    b.unchecked = frozenset({"SetVariables", "ChangeConfiguration", "ReportChargingProfiles"})
    results = {"getVariableResult": [], "configurationKey": [{"key": "MeterValueSampleInterval", "value": "900"}]}
    interval = {"component": {"name": "SampledDataCtrlr"}, "variable": {"name": "TxUpdatedInterval"}}
    results["getVariableResult"] = [interval | {"attributeStatus": "Accepted", "attributeValue": "900"}]
    b.station |= {"GetVariables": results, "GetConfiguration": results}
    written = {"status": word, "setVariableResult": [word, "x", {"attributeStatus": word}]}
    b.station |= {"SetVariables": written, "ChangeConfiguration": written}
    b.boot()
    b.wait(30)
    url = {"component": {"name": "NetworkConfiguration", "instance": "1"}, "variable": {"name": "OcppCsmsUrl"}}
    assert b.from_csms("SetVariables", {"setVariableData": [url | {"attributeValue": "ws://elsewhere"}]})
    assert b.csms_sets(max_purpose(version), 3.0, 9, evse=0) == "Accepted"
    b.station["ClearChargingProfile"] = {"status": word}
    assert b.csms_sets("TxDefaultProfile", 5.0, 9) == "Accepted"
    assert [note.event for note in b.notes if "replaced" in note.event] == ["replaced_profile_stays"]
    if version is not OcppVersion.V16:
        b.foreign = [(1, "CSO", {"id": word})]
        assert b.from_csms("GetChargingProfiles", {"requestId": 5, "chargingProfile": {}}) == {"status": "Accepted"}


@pytest.mark.parametrize("version", [OcppVersion.V201, OcppVersion.V21])
@pytest.mark.parametrize("action", ["NotifyEVChargingNeeds", "NotifyPriorityCharging"])
@pytest.mark.requirement("LC-020", "LC-101")
def test_a_message_that_cannot_be_read_does_not_take_along_the_limit_that_was_due_with_it(
    bench: Any, version: OcppVersion, action: str
) -> None:
    """The profile of a remote start that came late is adopted with the station's next message, whatever that is."""
    b = bench(version)
    b.boot()
    b.start(7, info={"remoteStartId": 5})
    b.set_limit(16.0)
    start = {"remoteStartId": 5, "evseId": 1, "idToken": {"idToken": "TAG", "type": "ISO14443"}}
    b.from_csms("RequestStartTransaction", start | {"chargingProfile": b.csms_profile("TxProfile", 9.0)})
    b.from_station(action, {"evseId": 1})
    assert "unreadable_payload" in [note.event for note in b.notes]
    assert b.in_force_a() == 9.0
    b.set_limit(8.0)
    assert b.in_force_a() == 8.0
