"""Which way is a station told its limit when others fail? One story per rung of the actuator ladder, in every version."""

from __future__ import annotations

import math
from itertools import pairwise
from typing import Any

import pytest

from local_controller.profiles.units import RateUnit
from local_controller.station.announcements import OperatorMustKnow
from local_controller.station.blocks.trials import UNANSWERED_RETRY_S
from local_controller.station.capability import How
from local_controller.station.effects import Peer
from local_controller.station.knowledge import (
    Actuator,
    FloorPlace,
    Knowledge,
    StartKind,
    VendorKey,
    VendorUnit,
    ZeroMeans,
)
from local_controller.station.quirks import read_quirks
from local_controller.station.words import LimitAnswered, LimitKind, LimitOutcome, OcppVersion

ALL = pytest.mark.parametrize("version", list(OcppVersion))
REQUIREMENT = pytest.mark.requirement("LC-105")
SENT, ACCEPTED, REFUSED = LimitOutcome.SENT, LimitOutcome.ACCEPTED, LimitOutcome.REFUSED
POSTPONED = LimitOutcome.POSTPONED
STATION_MAX = {"ChargePointMaxProfile", "ChargingStationMaxProfile"}


def profile_of(payload: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = payload.get("csChargingProfiles") or payload["chargingProfile"]
    return found


def schedule_of(profile: dict[str, Any]) -> dict[str, Any]:
    schedule = profile["chargingSchedule"]
    found: dict[str, Any] = schedule[0] if isinstance(schedule, list) else schedule
    return found


def place_of(payload: dict[str, Any]) -> int:
    return int(payload["connectorId"] if "connectorId" in payload else payload["evseId"])


def rung_of(payload: dict[str, Any]) -> tuple[str, str, str, int, int]:
    """Purpose, unit, kind, stack level and place of a profile."""
    profile = profile_of(payload)
    purpose = "StationMax" if profile["chargingProfilePurpose"] in STATION_MAX else profile["chargingProfilePurpose"]
    unit = schedule_of(profile)["chargingRateUnit"]
    return purpose, unit, profile["chargingProfileKind"], profile["stackLevel"], place_of(payload)


def tried(b: Any) -> list[tuple[str, str, str, int, int]]:
    return [rung_of(frame.payload) for frame in b.calls_to(Peer.STATION, "SetChargingProfile")]


def limits(b: Any) -> list[list[float]]:
    profiles = [profile_of(frame.payload) for frame in b.calls_to(Peer.STATION, "SetChargingProfile")]
    return [[period["limit"] for period in schedule_of(one)["chargingSchedulePeriod"]] for one in profiles]


def answers(b: Any, kind: LimitKind = LimitKind.WORKING, evse: int = 1) -> list[LimitAnswered]:
    return [f for f in b.facts if isinstance(f, LimitAnswered) and f.kind is kind and f.evse == evse]


# --- refusals ---------------------------------------------------------------------------------------------------------


@ALL
@REQUIREMENT
def test_absolute_refused_then_relative(bench: Any, version: OcppVersion) -> None:
    b = bench(version)
    b.accepts = lambda payload: rung_of(payload)[0] == "TxDefaultProfile" or rung_of(payload)[2] == "Relative"
    b.boot()
    b.start()
    b.wait(3)  # by then it knows its transaction
    b.set_limit(16.0, valid_s=300)
    assert [rung[:3] for rung in tried(b)[1:]] == [("TxProfile", "A", "Absolute"), ("TxProfile", "A", "Relative")]
    relative = b.own_profiles()[-1]
    assert "startSchedule" not in schedule_of(relative)
    assert "duration" not in schedule_of(relative), "nobody knows from when on it would count"
    assert relative["validTo"], "it ends by itself all the same"
    assert [b.in_force_a(s) for s in (0, 298, 301)] == [16.0, 16.0, 6.0]
    b.set_limit(10.0)
    assert [rung[:3] for rung in tried(b)[3:]] == [("TxProfile", "A", "Relative")]
    assert b.smart.state.capability.belief("kinds").origin.how is How.ACCEPTED


@ALL
@REQUIREMENT
def test_a_refusal_right_after_the_start_is_got_round_but_teaches_nothing(bench: Any, version: OcppVersion) -> None:
    b = bench(version)
    b.boot()
    b.start()
    b.accepts = lambda payload: rung_of(payload)[:3] != ("TxProfile", "A", "Absolute")
    b.set_limit(16.0, valid_s=300)
    assert b.outcomes()[-1] == (ACCEPTED, 16.0), "at once, as a relative one"
    b.accepts = lambda _: True
    b.wait(3)
    b.set_limit(10.0)
    assert tried(b)[-1][:3] == ("TxProfile", "A", "Absolute"), "it had not known its transaction yet"


@ALL
@REQUIREMENT
def test_stack_level_0_refused_then_the_highest_that_the_station_states(bench: Any, version: OcppVersion) -> None:
    b = bench(version)
    b.station |= stating(version, 7)
    b.accepts = lambda payload: rung_of(payload)[3] == 7
    b.boot()
    b.wait(60)
    b.wait(900)
    assert tried(b)[-1] == ("TxDefaultProfile", "A", "Absolute", 7, 1)
    b.start()
    b.set_limit(16.0)
    assert tried(b)[-1] == ("TxProfile", "A", "Absolute", 7, 1)
    assert b.outcomes()[-1] == (ACCEPTED, 16.0)


def stating(version: OcppVersion, level: int) -> dict[str, Any]:
    """The answers of a station whose highest stack level is that."""
    if version is OcppVersion.V16:
        entry = {"key": "ChargeProfileMaxStackLevel", "readonly": True, "value": str(level)}
        return {"GetConfiguration": {"configurationKey": [entry]}}
    variable = {"component": {"name": "SmartChargingCtrlr"}, "variable": {"name": "ProfileStackLevel"}}
    return {
        "GetVariables": {
            "getVariableResult": [variable | {"attributeStatus": "Accepted", "attributeValue": str(level)}]
        }
    }


@ALL
@REQUIREMENT
def test_a_record_that_names_the_stack_level_is_believed_whatever_the_station_states(
    bench: Any, version: OcppVersion
) -> None:
    b = bench(version, knowledge=Knowledge(stack_level=0))
    b.station |= stating(version, 3)
    b.accepts = lambda _: False
    b.boot()
    b.wait(60)
    b.start()
    b.set_limit(16.0)
    assert {rung[3] for rung in tried(b)} == {0}


@ALL
@REQUIREMENT
def test_a_floor_refused_on_the_evse_goes_to_the_whole_station(bench: Any, version: OcppVersion) -> None:
    b = bench(version, evses=[1, 2])
    b.accepts = lambda payload: rung_of(payload)[0] == "TxProfile" or place_of(payload) == 0
    b.boot()
    assert tried(b)[-1] == ("TxDefaultProfile", "A", "Absolute", 0, 0)
    assert [answers(b, LimitKind.FALLBACK, evse)[-1].outcome for evse in (1, 2)] == [ACCEPTED, ACCEPTED]
    assert len([rung for rung in tried(b) if rung[4] == 0]) == 1, "one profile for both"
    b.start()
    b.set_limit(16.0)
    assert tried(b)[-1] == ("TxProfile", "A", "Absolute", 0, 1)
    b.set_fallback(8.0, evse=2)
    assert answers(b, LimitKind.FALLBACK, 2)[-1].limit_a == 6.0, "the lowest floor of all EVSEs"


@ALL
@REQUIREMENT
def test_tx_profiles_and_defaults_refused_then_the_station_maximum(bench: Any, version: OcppVersion) -> None:
    b = bench(version)
    b.accepts = lambda payload: rung_of(payload)[0] == "StationMax"
    b.boot()
    assert tried(b)[-1] == ("StationMax", "A", "Absolute", 0, 0)
    assert answers(b, LimitKind.FALLBACK)[-1].outcome is ACCEPTED
    b.start()
    before = len(tried(b))
    b.set_limit(16.0, valid_s=300)
    assert tried(b)[before:] == [("StationMax", "A", "Absolute", 0, 0)]
    assert limits(b)[-1] == [16.0, 6.0], "the limit, and then the floor for ever"
    assert [b.in_force_a(s) for s in (0, 298, 301, 9e6)] == [16.0, 16.0, 6.0, 6.0]
    b.stop()
    assert b.in_force_a() == 6.0
    assert b.smart.state.capability.actuators[0] is Actuator.STATION_MAX


@ALL
@pytest.mark.requirement("LC-105", "LC-117")
@pytest.mark.parametrize(("meaning", "applied"), [(None, 6.0), ("each", 6.0), ("sum", 16.0)])
def test_a_station_maximum_is_safe_whatever_the_station_applies_it_to(
    bench: Any, version: OcppVersion, meaning: Any, applied: float
) -> None:
    b = bench(version, evses=[1, 2], knowledge=Knowledge(actuators=(Actuator.STATION_MAX,), station_max=meaning))
    b.boot()
    b.start()
    b.set_limit(16.0)
    assert b.outcomes()[-1] == (ACCEPTED, applied), "a car that comes to EVSE 2 finds the maximum in force"
    b.start(8, evse=2)
    b.set_limit(10.0, evse=2)
    assert [answers(b, evse=evse)[-1].limit_a for evse in (1, 2)] == [10.0, 10.0], "the lowest of both"
    assert limits(b)[-1][0] == 10.0
    b.set_limit(8.0, evse=1)
    assert [answers(b, evse=evse)[-1].limit_a for evse in (1, 2)] == [8.0, 8.0]
    assert {rung[4] for rung in tried(b)} == {0}


@ALL
@pytest.mark.requirement("LC-105", "LC-117")
def test_a_second_transaction_keeps_its_floor_until_it_is_given_more(bench: Any, version: OcppVersion) -> None:
    """Its car may be on other phases, so that it takes nothing from the first."""
    b = bench(version, evses=[1, 2], knowledge=Knowledge(actuators=(Actuator.STATION_MAX,), station_max="sum"))
    b.boot()
    b.start()
    b.set_limit(16.0)
    b.start(8, evse=2)
    assert limits(b)[-1][0] == 6.0
    b.set_limit(10.0, evse=2)
    assert limits(b)[-1][0] == 10.0


@ALL
@pytest.mark.requirement("LC-105", "LC-117")
def test_a_default_for_all_is_no_sum_whatever_the_maximum_is(bench: Any, version: OcppVersion) -> None:
    b = for_all(bench, version, Actuator.TX_DEFAULT, station_max="sum")
    b.boot()
    b.start()
    b.set_limit(16.0)
    assert b.outcomes()[-1] == (ACCEPTED, 6.0), "a car that comes to EVSE 2 finds the default in force"


def for_all(bench: Any, version: OcppVersion, actuator: Actuator, **more: Any) -> Any:
    """A station of two EVSEs that takes defaults on connector 0 only."""
    known = Knowledge(actuators=(actuator,), connector=FloorPlace.STATION, **more)
    return bench(version, evses=[1, 2], knowledge=known)


@ALL
@pytest.mark.requirement("LC-105", "LC-111")
@pytest.mark.parametrize("actuator", [Actuator.TX_DEFAULT, Actuator.STATION_MAX])
def test_one_profile_for_all_is_written_again_when_an_idle_evse_must_hold_less(
    bench: Any, version: OcppVersion, actuator: Actuator
) -> None:
    b = for_all(bench, version, actuator)
    b.boot()
    b.set_fallback(9.5, evse=1)
    b.set_fallback(9.5, evse=2)
    b.start()
    b.set_limit(15.6)
    assert set(limits(b)[-1]) == {9.5}
    b.set_fallback(6.0, evse=2)
    assert set(limits(b)[-1]) == {6.0}
    assert [answers(b, LimitKind.FALLBACK, evse)[-1].limit_a for evse in (1, 2)] == [6.0, 6.0]


@ALL
@pytest.mark.requirement("LC-093", "LC-105")
def test_one_profile_for_all_keeps_what_the_csms_allows_one_when_another_leaves(
    bench: Any, version: OcppVersion
) -> None:
    b = for_all(bench, version, Actuator.TX_DEFAULT)
    b.boot()
    b.start()
    b.start(8, evse=2)
    b.set_limit(16.0, evse=1)
    b.set_limit(16.0, evse=2)
    transaction = 7 if version is OcppVersion.V16 else "7"
    assert b.csms_sets("TxProfile", 3.0, transactionId=transaction) == "Accepted"
    assert b.in_force_a() == 3.0
    b.stop(8)
    assert b.in_force_a() == 3.0
    b.stop(7)
    assert b.in_force_a() == 6.0, "then the floor for all"


@ALL
@pytest.mark.requirement("LC-093", "LC-105")
def test_a_floor_for_all_that_stays_does_not_hide_a_working_limit_that_changes(
    bench: Any, version: OcppVersion
) -> None:
    b = for_all(bench, version, Actuator.TX_PROFILE)
    b.boot()
    b.set_fallback(16.0, evse=1)
    b.set_fallback(0.0, evse=2)
    b.start()
    transaction = 7 if version is OcppVersion.V16 else "7"
    assert b.csms_sets("TxProfile", 10.0, transactionId=transaction) == "Accepted"
    assert b.in_force_a() == 10.0
    b.set_fallback(0.0, evse=1)
    assert b.in_force_a() == 0.0


@ALL
@pytest.mark.requirement("LC-042", "LC-105")
def test_after_a_reconnection_the_wish_of_one_counts_for_all(bench: Any, version: OcppVersion) -> None:
    b = for_all(bench, version, Actuator.TX_DEFAULT)
    b.boot()
    b.start(8, evse=2)
    b.set_limit(0.0, evse=2)
    assert b.in_force_a(evse=2) == 0.0
    c = bench(version, evses=[1, 2], known=b.smart.state)
    c.installed = b.installed
    c.from_station("Heartbeat", {})
    assert c.in_force_a(evse=2) == 0.0


# --- the maker's setting ----------------------------------------------------------------------------------------------


def settings(b: Any) -> list[tuple[str, str]]:
    """Name and value of every setting that was written."""
    keys = [frame.payload for frame in b.calls_to(Peer.STATION, "ChangeConfiguration")]
    found = [(payload["key"], payload["value"]) for payload in keys]
    for frame in b.calls_to(Peer.STATION, "SetVariables"):
        found += [(one["variable"]["name"], one["attributeValue"]) for one in frame.payload["setVariableData"]]
    return found


def taking_settings(payload: dict[str, Any]) -> dict[str, Any]:
    if "key" in payload:
        return {"status": "Accepted"}
    (one,) = payload["setVariableData"]
    return {
        "setVariableResult": [
            {"attributeStatus": "Accepted", "component": one["component"], "variable": one["variable"]}
        ]
    }


def with_key(bench: Any, version: OcppVersion, **more: Any) -> Any:
    key = VendorKey("DynamicChargerCurrent", VendorUnit.DECI_A)
    b = bench(version, knowledge=Knowledge(actuators=(Actuator.VENDOR_KEY,), vendor_key=key, **more))
    b.station["ChangeConfiguration"] = b.station["SetVariables"] = taking_settings
    return b


@ALL
@REQUIREMENT
def test_a_setting_of_the_maker_holds_for_ever_and_the_site_is_told_so(bench: Any, version: OcppVersion) -> None:
    b = with_key(bench, version)
    b.boot()
    assert settings(b) == [("DynamicChargerCurrent", "60")], "the floor is written first"
    assert answers(b, LimitKind.FALLBACK)[-1].outcome is ACCEPTED
    b.start()
    b.set_limit(16.27)
    assert settings(b)[1:] == [("DynamicChargerCurrent", "162")]
    assert [(one.outcome, one.limit_a, one.lasts_s) for one in answers(b)] == [
        (SENT, 16.2, math.inf),
        (ACCEPTED, 16.2, math.inf),
    ]
    b.wait(3 * 86_400)
    assert len(settings(b)) == 2, "there is nothing to renew"
    b.stop()
    assert settings(b)[2:] == [("DynamicChargerCurrent", "60")], "and nothing falls back by itself"
    assert tried(b) == []


@ALL
@REQUIREMENT
def test_a_setting_follows_what_the_csms_allows_at_the_very_moment(bench: Any, version: OcppVersion) -> None:
    b = with_key(bench, version)
    b.boot()
    b.start()
    b.set_limit(16.0)
    periods = [{"startPeriod": 0, "limit": 32.0}, {"startPeriod": 3600 + 100, "limit": 10.0}]
    assert b.csms_sets("TxDefaultProfile", 32.0, periods=periods) == "Accepted"
    b.wait(99)
    assert settings(b)[-1][1] == "160"
    b.wait(2)
    assert settings(b)[-1][1] == "100"


@ALL
@REQUIREMENT
def test_a_setting_that_is_refused_is_a_refused_limit(bench: Any, version: OcppVersion) -> None:
    b = with_key(bench, version)
    b.station["ChangeConfiguration"] = {"status": "RebootRequired"}
    b.station["SetVariables"] = lambda payload: {
        "setVariableResult": [taking_settings(payload)["setVariableResult"][0] | {"attributeStatus": "RebootRequired"}]
    }
    b.boot()
    assert answers(b, LimitKind.FALLBACK)[-1].outcome is REFUSED, "what needs a reboot first is not in force"


# --- nothing works ----------------------------------------------------------------------------------------------------


@ALL
@REQUIREMENT
def test_a_station_that_cannot_be_told_is_told_to_people_and_left_alone(bench: Any, version: OcppVersion) -> None:
    b = bench(version, knowledge=Knowledge(actuators=()))
    b.boot()
    b.start()
    b.set_limit(10.0)
    b.set_fallback(8.0)
    told = [*answers(b, LimitKind.FALLBACK), *answers(b)]
    assert {one.outcome for one in told} == {REFUSED}
    assert {one.detail for one in told} == {"no way of limiting this station is known: site file"}
    b.wait(3600)
    assert tried(b) == []


@pytest.mark.parametrize("version", [OcppVersion.V201, OcppVersion.V21])
@REQUIREMENT
def test_a_product_that_can_be_controlled_in_another_version_only_is_told_to_people(
    bench: Any, version: OcppVersion
) -> None:
    b = bench(version, knowledge=Knowledge(version="1.6"))
    b.boot()
    b.start()
    b.set_limit(10.0)
    assert tried(b) == []
    assert {one.outcome for one in [*answers(b, LimitKind.FALLBACK), *answers(b)]} == {REFUSED}
    record = "- {name: Fox, vendor: fox, note: n, source: 'https://example.org', version: '1.6'}"
    c = bench(version, quirks=read_quirks(record))
    c.boot("FoxESS", "A011")
    assert [fact.text for fact in c.facts if isinstance(fact, OperatorMustKnow)] == [
        "it can be controlled in OCPP 1.6 only: set it to that version"
    ]
    assert tried(c) == []
    d = bench(OcppVersion.V16, knowledge=Knowledge(version="1.6"))
    d.boot()
    assert tried(d) != []


@ALL
def test_what_harms_a_station_is_not_asked(bench: Any, version: OcppVersion) -> None:
    harmful = Knowledge(never_trigger=True, never_read=frozenset({"ChargeProfileMaxStackLevel", "ProfileStackLevel"}))
    b = bench(version, knowledge=harmful)
    b.boot()
    b.start()
    b.wait(3600)
    assert b.calls_to(Peer.STATION, "TriggerMessage") == []
    questions = b.calls_to(Peer.STATION, "GetConfiguration") + b.calls_to(Peer.STATION, "GetVariables")
    assert questions
    assert not any("ProfileStackLevel" in frame.text or "MaxStackLevel" in frame.text for frame in questions)


# --- disobedience -----------------------------------------------------------------------------------------------------


def limited_to_10_a(bench: Any, version: OcppVersion, **settings: Any) -> Any:
    """A transaction has been told a limit for an hour."""
    b = bench(version, **settings)
    b.boot()
    b.start()
    b.set_limit(10.0, valid_s=3600)
    return b


def disobeys(b: Any, drawn_a: float, *, every_s: float = 10.0, times: int = 6, evse: int = 1) -> None:
    for _ in range(times):
        b.wait(every_s)
        b.disobeyed(drawn_a, evse)


@ALL
@pytest.mark.requirement("LC-105", "LC-115")
def test_the_liar_is_told_another_way_after_more_than_one_sample(bench: Any, version: OcppVersion) -> None:
    b = limited_to_10_a(bench, version)
    b.wait(20)
    b.disobeyed(16.0)
    b.wait(10)
    b.disobeyed(16.0)
    assert len(tried(b)) == 2, "two samples are not enough"
    b.wait(10)
    b.disobeyed(16.0)
    assert tried(b)[2:] == [("TxProfile", "A", "Relative", 0, 1), ("TxDefaultProfile", "A", "Relative", 0, 1)]
    floors = [one.outcome for one in answers(b, LimitKind.FALLBACK)]
    assert floors == [SENT, ACCEPTED, REFUSED, SENT, ACCEPTED], (
        "the floor was in doubt until it was given the other way"
    )
    assert [note.fields for note in b.notes if note.event == "limit_without_effect"] == [
        {"evse": 1, "drawn_a": 16.0, "limit_a": 10.0, "way": "tx_profile in A, absolute, at the evse"}
    ]
    assert b.smart.state.capability.belief("actuators").origin.how is How.DISOBEYED


@ALL
@pytest.mark.requirement("LC-105", "LC-115")
def test_a_car_at_its_limit_or_still_settling_is_no_liar(bench: Any, version: OcppVersion) -> None:
    b = limited_to_10_a(bench, version, knowledge=Knowledge(settle_s=60.0))
    disobeys(b, 11.4, times=20)
    assert len(tried(b)) == 2, "10 % and 0.5 A are within what stations tolerate"
    b.set_limit(8.0, valid_s=3600)
    disobeys(b, 11.4, times=5)
    assert len(tried(b)) == 3, "it needs a minute for a new limit"
    disobeys(b, 11.4, times=3)
    assert len(tried(b)) == 5


@ALL
@pytest.mark.requirement("LC-105", "LC-115")
def test_further_reductions_do_not_put_off_the_proof_against_a_liar(bench: Any, version: OcppVersion) -> None:
    b = bench(version)
    b.boot()
    b.start()
    for limit_a in (12.0, 10.0, 8.0, 6.0):  # 10 s apart
        b.set_limit(limit_a, valid_s=3600)
        disobeys(b, 32.0, times=1)
    assert tried(b)[5:] == [("TxProfile", "A", "Relative", 0, 1), ("TxDefaultProfile", "A", "Relative", 0, 1)]


@ALL
@pytest.mark.requirement("LC-105", "LC-115")
def test_who_still_follows_the_limit_before_is_no_liar(bench: Any, version: OcppVersion) -> None:
    b = bench(version)
    b.boot()
    b.start()
    b.set_limit(16.0, valid_s=3600)
    b.wait(60)
    for before_a, limit_a in pairwise((16.0, 13.0, 10.0, 8.0, 6.0)):
        b.set_limit(limit_a, valid_s=3600)
        disobeys(b, before_a, every_s=4.0, times=3)
    assert {rung[2] for rung in tried(b)} == {"Absolute"}


@ALL
@pytest.mark.requirement("LC-042", "LC-105", "LC-115")
def test_what_is_written_again_is_followed_or_completes_the_proof(bench: Any, version: OcppVersion) -> None:
    b = limited_to_10_a(bench, version)
    b.wait(10)
    disobeys(b, 16.0, times=2)
    b.write_again()
    before = len(tried(b))
    disobeys(b, 16.0, times=1)
    assert len(tried(b)) == before, "it may have lost it, and has time to follow again"
    disobeys(b, 16.0, times=1)
    assert [rung[2] for rung in tried(b)[before:]] == ["Relative", "Relative"]


@ALL
@pytest.mark.requirement("LC-105", "LC-115")
def test_one_that_obeys_in_watts_only_is_found_out(bench: Any, version: OcppVersion) -> None:
    b = limited_to_10_a(bench, version)
    for _ in range(40):
        if b.outcomes() and tried(b)[-1][1] == "W":
            break
        disobeys(b, 16.0, times=1)
    assert ("TxProfile", "W", "Absolute") in [rung[:3] for rung in tried(b)[1:]]
    before = len(tried(b))
    disobeys(b, 10.0, times=30)
    assert len(tried(b)) == before, "it follows now"
    assert b.smart.state.capability.units[0] is RateUnit.W
    assert ("TxDefaultProfile", "W") in [rung[:2] for rung in tried(b)], "the floor is told again too"


@ALL
@pytest.mark.requirement("LC-041", "LC-105", "LC-115")
def test_the_floors_of_all_evses_are_given_anew_when_one_shows_that_their_way_has_no_effect(
    bench: Any, version: OcppVersion
) -> None:
    b = limited_to_10_a(bench, version, evses=[1, 2])
    disobeys(b, 16.0, times=4)
    assert [rung for rung in tried(b) if rung[2] == "Relative"] == [
        ("TxProfile", "A", "Relative", 0, 1),
        ("TxDefaultProfile", "A", "Relative", 0, 2),
        ("TxDefaultProfile", "A", "Relative", 0, 1),
    ]
    for evse in (1, 2):
        floors = [one.outcome for one in answers(b, LimitKind.FALLBACK, evse)]
        assert floors == [SENT, ACCEPTED, REFUSED, SENT, ACCEPTED]


@ALL
@pytest.mark.requirement("LC-041", "LC-105", "LC-115")
def test_the_floor_of_one_that_obeys_nothing_is_not_believed_until_a_limit_is_taken_again(
    bench: Any, version: OcppVersion
) -> None:
    b = limited_to_10_a(bench, version)
    disobeys(b, 16.0, times=200)
    b.stop()
    assert tried(b)[-1][0] == "TxDefaultProfile", "it is written all the same"
    assert answers(b, LimitKind.FALLBACK)[-1].outcome is REFUSED
    before = len(tried(b))
    b.wait(3000)
    assert len(tried(b)) <= before + 10, "every 5 min"
    assert answers(b, LimitKind.FALLBACK)[-1].outcome is REFUSED
    b.start(8)
    b.wait(3)
    b.set_limit(10.0)
    assert answers(b, LimitKind.FALLBACK)[-1].outcome is ACCEPTED


@ALL
@pytest.mark.requirement("LC-105", "LC-115")
def test_one_that_obeys_nothing_is_told_to_people(bench: Any, version: OcppVersion) -> None:
    b = limited_to_10_a(bench, version)
    disobeys(b, 16.0, times=200)
    assert answers(b)[-1].outcome is REFUSED
    assert answers(b)[-1].detail == "it draws 16.0 A, whichever way it is told a limit"
    assert len([rung for rung in tried(b) if rung[0] == "TxProfile"]) == 4, "each way is tried once"
    assert len(tried(b)) < 26


# --- which currents it takes --------------------------------------------------------------------------------------------


@ALL
@pytest.mark.parametrize(
    ("knowledge", "wish_a", "told_a"),
    [
        (Knowledge(levels_a=(6, 8, 10, 13, 16)), 12.9, 10.0),
        (Knowledge(levels_a=(6, 8, 10, 13, 16)), 20.0, 16.0),
        (Knowledge(levels_a=(6, 8, 10, 13, 16)), 5.9, 0.0),
        (Knowledge(step_a=1.0), 12.9, 12.0),
        (Knowledge(least_a=8.0), 7.0, 0.0),
        (Knowledge(least_a=8.0, zero=ZeroMeans.REFUSED), 0.0, 8.0),
        (Knowledge(zero=ZeroMeans.REFUSED), 0.0, 6.0),
    ],
)
def test_a_limit_is_rounded_to_what_the_station_takes_and_told_as_such(
    bench: Any, version: OcppVersion, knowledge: Knowledge, wish_a: float, told_a: float
) -> None:
    b = bench(version, knowledge=knowledge)
    b.boot()
    b.start()
    b.set_limit(wish_a)
    assert b.outcomes()[-1] == (ACCEPTED, told_a)
    assert b.in_force_a() == told_a


@ALL
def test_the_first_limit_after_a_pause_is_told_twice_where_it_is_ignored(bench: Any, version: OcppVersion) -> None:
    b = bench(version, knowledge=Knowledge(repeat_after_zero=True))
    b.boot()
    b.start()
    b.set_limit(10.0)
    b.set_limit(0.0)
    assert [one[0] for one in limits(b)] == [6.0, 10.0, 0.0]
    b.set_limit(8.0)
    assert [one[0] for one in limits(b)][3:] == [8.0, 8.0]
    b.set_limit(9.0)
    assert [one[0] for one in limits(b)][5:] == [9.0]


def test_only_kinds_and_places_that_are_named_are_tried(bench: Any) -> None:
    b = bench(knowledge=Knowledge(kinds=(StartKind.RELATIVE,), connector=FloorPlace.STATION, unit=RateUnit.A))
    b.accepts = lambda _: False
    b.boot()
    assert tried(b) == [("TxDefaultProfile", "A", "Relative", 0, 0), ("StationMax", "A", "Relative", 0, 0)]


@ALL
@pytest.mark.requirement("LC-105", "LC-115")
def test_a_setting_of_the_maker_without_effect_is_noticed_however_late(bench: Any, version: OcppVersion) -> None:
    ways = (Actuator.VENDOR_KEY, Actuator.TX_PROFILE)
    b = bench(version, knowledge=Knowledge(actuators=ways, vendor_key=VendorKey("DynamicChargerCurrent")))
    b.station["ChangeConfiguration"] = b.station["SetVariables"] = taking_settings
    b.boot()
    b.start()
    b.set_limit(10.0, valid_s=90)
    b.wait(600)
    assert tried(b) == []
    disobeys(b, 16.0)
    assert [rung[:2] for rung in tried(b)] == [("TxProfile", "A"), ("TxDefaultProfile", "A")]


@ALL
@REQUIREMENT
def test_a_floor_that_came_with_a_limit_is_told_as_what_the_station_can_be_set_to(
    bench: Any, version: OcppVersion
) -> None:
    known = Knowledge(actuators=(Actuator.TX_DEFAULT,), zero=ZeroMeans.REFUSED, least_a=6.0)
    b = bench(version, fallback_a=8.0, knowledge=known)
    b.boot()
    b.start()
    b.set_limit(16.0)
    b.set_fallback(0.0)
    assert limits(b)[-1] == [16.0, 6.0]
    assert answers(b, LimitKind.FALLBACK)[-1].limit_a == 6.0


@ALL
@REQUIREMENT
def test_a_floor_in_watts_is_told_without_the_steps_in_amperes(bench: Any, version: OcppVersion) -> None:
    b = bench(version, fallback_a=12.0, knowledge=Knowledge(unit=RateUnit.W, levels_a=(6.0, 10.0, 16.0)))
    b.boot()
    b.set_fallback(12.0)
    first, *_, unchanged = answers(b, LimitKind.FALLBACK)
    assert limits(b) == [[12.0 * 207.0]]
    assert (first.limit_a, unchanged.limit_a, unchanged.detail) == (12.0, 12.0, "unchanged")


@ALL
@REQUIREMENT
@pytest.mark.parametrize("narrow", [{"max_periods": 1}, {"kinds": (StartKind.RELATIVE,)}])
def test_where_limit_and_floor_have_one_period_the_site_is_told_the_lower(
    bench: Any, version: OcppVersion, narrow: dict[str, Any]
) -> None:
    b = bench(version, knowledge=Knowledge(actuators=(Actuator.TX_DEFAULT,), **narrow))
    b.boot()
    b.start()
    b.set_limit(16.0)
    assert limits(b)[-1] == [6.0]
    assert (answers(b)[-1].outcome, answers(b)[-1].limit_a) == (ACCEPTED, 6.0)


@ALL
@REQUIREMENT
def test_a_station_that_takes_no_0_is_told_its_lowest_current_whatever_its_levels(
    bench: Any, version: OcppVersion
) -> None:
    b = bench(version, knowledge=Knowledge(levels_a=(0.0, 8.0, 16.0), zero=ZeroMeans.REFUSED))
    b.boot()
    b.start()
    b.set_limit(0.0)
    assert (limits(b)[-1], answers(b)[-1].limit_a) == ([8.0], 8.0)


@ALL
@REQUIREMENT
def test_an_evse_that_is_idle_again_is_told_what_the_setting_for_all_says(bench: Any, version: OcppVersion) -> None:
    """Else it would count with the setting of its last transaction for as long as the other one runs."""
    known = Knowledge(actuators=(Actuator.VENDOR_KEY,), vendor_key=VendorKey("Current"))
    b = bench(version, evses=[1, 2], knowledge=known)
    b.station["ChangeConfiguration"] = b.station["SetVariables"] = taking_settings
    b.boot()
    b.start()
    b.start(8, evse=2)
    b.set_limit(16.0, evse=1)
    b.set_limit(16.0, evse=2)
    told = len(answers(b, LimitKind.FALLBACK))
    b.stop()
    assert settings(b)[-1][1] == "6"
    (fact,) = answers(b, LimitKind.FALLBACK)[told:]
    assert (fact.outcome, fact.limit_a) == (ACCEPTED, 6.0)


@ALL
@REQUIREMENT
@pytest.mark.parametrize(
    "odd", [{"status": {}, "setVariableResult": [1]}, {"status": [], "setVariableResult": {}}, ["no object"]]
)
def test_an_answer_to_a_setting_that_cannot_be_read_is_like_none(bench: Any, version: OcppVersion, odd: Any) -> None:
    """The station may hold either limit: the site is told so, and the setting is written again."""
    b = with_key(bench, version)
    b.boot()
    b.start()
    b.set_limit(16.0)
    b.station["ChangeConfiguration"] = b.station["SetVariables"] = odd
    b.set_limit(10.0)
    assert [one.outcome for one in answers(b)[-2:]] == [SENT, LimitOutcome.TIMED_OUT]
    b.station["ChangeConfiguration"] = b.station["SetVariables"] = taking_settings
    b.wait(UNANSWERED_RETRY_S)
    assert settings(b)[-2:] == [("DynamicChargerCurrent", "100")] * 2
    assert (answers(b)[-1].outcome, answers(b)[-1].limit_a) == (ACCEPTED, 10.0)
