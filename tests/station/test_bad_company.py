"""What do odd peers and odd moments do to the limits? Stories of what once went wrong."""

from __future__ import annotations

import math
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from local_controller.errors import PayloadError
from local_controller.profiles.profile import Purpose
from local_controller.profiles.units import RateUnit
from local_controller.rpc import frame as rpc
from local_controller.station.blocks.actuator import OWN_IDS
from local_controller.station.blocks.remote_starts import MOST
from local_controller.station.blocks.smart_charging import PATIENCE_S
from local_controller.station.blocks.virtual_store import MOST_PERIODS, MOST_PROFILES
from local_controller.station.dialects import dialect
from local_controller.station.effects import Peer
from local_controller.station.stand_ins import STAND_INS
from local_controller.station.words import LimitOutcome, Measured, OcppVersion, TransactionStarted
from tests.station.conftest import Bench, id_token, own, stamp

V16, V201, V21 = OcppVersion
SENT, ACCEPTED, TIMED_OUT = LimitOutcome.SENT, LimitOutcome.ACCEPTED, LimitOutcome.TIMED_OUT


def events(b: Bench) -> list[str]:
    return [note.event for note in b.notes]


def running(b: Bench) -> Bench:
    b.boot()
    b.start()
    return b


# --- answers to our own profile -----------------------------------------------------------------------------------


@pytest.mark.parametrize("answer", [[], {}, {"status": "Maybe"}, {"status": 7}])
def test_an_answer_that_says_nothing_is_no_refusal_and_not_lost(bench: Any, answer: Any) -> None:
    b = running(bench())
    b.accepts = lambda _payload: answer
    b.set_limit(10.0)
    assert b.outcomes()[-1] == (TIMED_OUT, 10.0), "either limit may hold"
    b.accepts = lambda _payload: True
    b.wait(31)
    assert b.outcomes()[-1] == (ACCEPTED, 10.0)


def test_a_status_in_lower_case_is_understood(bench: Any) -> None:
    b = running(bench())
    b.accepts = lambda _payload: {"status": "accepted"}
    b.set_limit(10.0)
    assert b.outcomes() == [(SENT, 10.0), (ACCEPTED, 10.0)]


# --- boots and connections ----------------------------------------------------------------------------------------


def blocked(b: Bench) -> None:
    """The CSMS's command holds the slot to the station for 30 s."""
    b.station["Reset"] = None
    b.from_csms("Reset", {"type": "Soft"})


@pytest.mark.requirement("LC-041", "LC-107")
def test_a_raise_that_waited_while_the_station_booted_is_never_sent(bench: Any) -> None:
    b = running(bench())
    b.set_limit(10.0)
    blocked(b)
    b.set_limit(32.0)
    b.boot()
    b.stop()
    b.start(8)
    b.set_limit(8.0)
    b.wait(40)
    limits = [profile["chargingSchedule"]["chargingSchedulePeriod"][0]["limit"] for profile in b.own_profiles()]
    assert 32.0 not in limits
    assert b.in_force_a() == 8.0


@pytest.mark.parametrize("status", ["Pending", "Rejected"])
@pytest.mark.requirement("LC-039")
def test_what_waits_is_not_sent_to_a_station_that_lost_its_registration(bench: Any, status: str) -> None:
    b = running(bench())
    blocked(b)
    b.set_limit(32.0)
    before = len(b.own_profiles())
    b.csms["BootNotification"] = {"status": status, "currentTime": stamp(b.now), "interval": 300}
    b.boot()
    b.set_limit(10.0)
    b.wait(40)
    assert len(b.own_profiles()) == before


@pytest.mark.requirement("LC-039")
def test_nothing_is_sent_between_a_boot_and_its_answer(bench: Any) -> None:
    b = running(bench())
    before = len(b.sent[Peer.STATION])
    b.csms["BootNotification"] = None
    b.boot()
    b.set_limit(10.0)
    assert len(b.sent[Peer.STATION]) == before


def test_a_limit_that_is_no_longer_wanted_leaves_the_queue(bench: Any) -> None:
    b = running(bench())
    b.csms_sets("TxProfile", 10.0, 3)
    b.set_limit(16.0)
    blocked(b)
    b.csms_sets("TxProfile", 20.0, 3)  # to be told: 16 A
    b.csms_sets("TxProfile", 10.0, 3)  # again what the station holds
    b.wait(40)
    limits = [profile["chargingSchedule"]["chargingSchedulePeriod"][0]["limit"] for profile in b.own_profiles()]
    assert 16.0 not in limits
    assert b.in_force_a() == 10.0


def test_a_limit_that_comes_after_the_end_is_dropped(bench: Any) -> None:
    b = running(bench())
    b._do(b.proxy.closed(Peer.STATION, b.now))
    b.set_limit(10.0)
    assert b.outcomes() == [(LimitOutcome.DROPPED, 10.0)]


# --- clocks -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("said", ["22/11/2026 12:00", 1780315200, {}, None])
def test_an_unreadable_time_does_not_hide_that_the_station_was_accepted(bench: Any, said: Any) -> None:
    b = bench()
    b.csms["BootNotification"] = {"status": "Accepted", "currentTime": said, "interval": 300}
    b.boot()
    assert b.own_profiles()
    assert "csms_clock_unreadable" in events(b) or said is None


@pytest.mark.parametrize("jump_s", [-600.0, 600.0])
@pytest.mark.requirement("LC-044")
def test_a_limit_ends_when_it_should_although_the_csms_sets_its_clock(bench: Any, jump_s: float) -> None:
    b = running(bench())
    b.set_limit(16.0, 300.0)
    b.wait(100)
    b.csms_ahead_s = jump_s
    b.from_station("Heartbeat", {})
    for _ in range(9):
        assert b.in_force_a() == 16.0
        b.wait(20)
    b.wait(21)
    for _ in range(30):
        assert b.in_force_a() == 6.0
        b.wait(50)


def test_the_noise_of_a_clock_in_whole_seconds_writes_nothing(bench: Any) -> None:
    b = running(bench())
    b.set_limit(16.0)
    before = len(b.own_profiles())
    for tenth in range(20):
        b.csms_ahead_s = tenth % 10 / 10 - 0.5
        b.from_station("Heartbeat", {})
        b.wait(1)
    assert len(b.own_profiles()) == before


# --- profiles of the CSMS -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("limit", [-1.0, 16.0])
@pytest.mark.requirement("LC-098")
def test_a_passing_profile_never_reaches_the_station_with_an_id_of_ours(bench: Any, limit: float) -> None:
    b = running(bench())
    b.station["SetChargingProfile"] = {"status": "Accepted"}
    assert b.csms_sets("ChargePointMaxProfile", limit, OWN_IDS.start + 2, 0) == "Accepted"
    assert (
        b.calls_to(Peer.STATION, "SetChargingProfile")[-1].payload["csChargingProfiles"]["chargingProfileId"]
        in STAND_INS
    )


def test_phases_that_nobody_has_do_not_end_the_connection(bench: Any) -> None:
    b = running(bench())
    b.station["SetChargingProfile"] = {"status": "Accepted"}
    periods = [{"startPeriod": 0, "limit": 6900.0, "numberPhases": -1}]
    assert b.csms_sets("ChargePointMaxProfile", 0.0, 5, 0, unit="W", periods=periods) == "Accepted"
    assert b.csms_limit().at(b.now.utc) == pytest.approx(10.0)


def test_profiles_that_are_gone_leave_nothing_behind(bench: Any) -> None:
    b = running(bench())
    for profile_id in range(20):
        assert b.csms_sets("TxDefaultProfile", 10.0, profile_id) == "Accepted"
        b.from_csms("ClearChargingProfile", {"id": profile_id})
    assert not b.smart.state.store.originals


def test_the_store_is_bounded(bench: Any) -> None:
    b = running(bench())
    told = [b.csms_sets("TxDefaultProfile", 10.0, n, stackLevel=n) for n in range(MOST_PROFILES + 1)]
    assert told == ["Accepted"] * MOST_PROFILES + ["Rejected"]
    periods = [{"startPeriod": n, "limit": 1.0} for n in range(MOST_PERIODS + 1)]
    assert b.csms_sets("TxDefaultProfile", 10.0, 0, periods=periods) == "Rejected"


def test_a_station_that_takes_seconds_does_not_make_the_csms_wait_for_the_sites_new_wishes(bench: Any) -> None:
    b = running(bench())
    b.station["SetChargingProfile"] = None
    b.set_limit(16.0)
    assert b.csms_sets("TxProfile", 9.0, 3) is None
    for wish_a in (15.0, 14.0):
        b.wait(2)
        (*_, latest) = [frame for frame in b.calls_to(Peer.STATION, "SetChargingProfile") if own(frame)]
        b.set_limit(wish_a)
        b._do(b.proxy.receive(Peer.STATION, rpc.result(latest.message_id, {"status": "Accepted"}).text, b.now))
    assert b.sent[Peer.CSMS][-1].payload == {"status": "Accepted"}


def test_what_ended_while_a_profile_was_refused_stays_ended(bench: Any) -> None:
    b = running(bench())
    assert b.csms_sets("TxProfile", 9.0, 3) == "Accepted"
    b.station["SetChargingProfile"] = None
    assert b.csms_sets("TxDefaultProfile", 5.0, 4) is None
    b.stop()
    b.wait(8)
    assert b.sent[Peer.CSMS][-1].payload == {"status": "Rejected"}
    assert not b.smart.state.store.installed


@pytest.mark.requirement("LC-025")
def test_a_request_that_waited_too_long_behind_others_is_not_executed(bench: Any) -> None:
    b = running(bench())
    b.station["SetChargingProfile"] = None
    for tenth in range(12):
        b.csms_sets("TxDefaultProfile", 3.0 + tenth / 10, 1)
    b.wait(200)
    answers = [frame for frame in b.sent[Peer.CSMS] if frame.message_type == rpc.CALLRESULT]
    assert len(answers) == math.ceil(PATIENCE_S / 8.0)
    assert events(b).count("request_discarded") == 12 - len(answers)


def test_the_watchdog_of_a_dynamic_profile_runs_from_its_receipt(bench: Any) -> None:
    b = running(bench(V21))
    b.station["SetChargingProfile"] = {"status": "Accepted"}
    schedule = {"chargingRateUnit": "A", "chargingSchedulePeriod": [{"startPeriod": 0, "limit": 9.0}], "duration": 120}
    profile = b.csms_profile("ChargingStationMaxProfile", 0.0, chargingProfileKind="Dynamic")
    profile["chargingSchedule"] = [{"id": 1, **schedule}]
    assert b.from_csms("SetChargingProfile", {"evseId": 0, "chargingProfile": profile}) == {"status": "Accepted"}
    assert b.csms_limit().at(b.now.utc + timedelta(seconds=119)) == 9.0
    assert b.csms_limit().at(b.now.utc + timedelta(seconds=121)) is None


@pytest.mark.parametrize("text", ["2026-06-01T17:00:00", "2026-06-01T17:00:00Z", "2026-06-01T17:00:00+05:00"])
def test_local_time_keeps_the_reading_of_the_wall_clock(text: str) -> None:
    schedule = {"id": 1, "chargingRateUnit": "A", "chargingSchedulePeriod": [{"startPeriod": 0, "limit": 9.0}]}
    profile = {"id": 1, "stackLevel": 0, "chargingProfilePurpose": "TxDefaultProfile"}
    profile |= {"chargingProfileKind": "Absolute"}

    def start(**more: Any) -> datetime | None:
        payload = {"evseId": 1, "chargingProfile": {**profile, "chargingSchedule": [schedule | more]}}
        return dialect(V21).profile_set(payload).profile.schedules[0].start_schedule

    local = start(startSchedule=text, useLocalTime=True)
    assert local is not None
    assert local.replace(tzinfo=None) == datetime(2026, 6, 1, 17)  # noqa: DTZ001 - a reading, K01.FR.90
    absolute = start(startSchedule=text)
    assert absolute is not None
    assert absolute.tzinfo is UTC


def test_a_profile_that_cannot_be_made_is_a_payload_error(monkeypatch: pytest.MonkeyPatch) -> None:
    def impossible(*_args: Any, **_fields: Any) -> None:
        raise ValueError("beyond 32 bits")

    monkeypatch.setattr("local_controller.station.dialects.charging_profile.ChargingProfile", impossible)
    schedule = {"chargingRateUnit": "A", "chargingSchedulePeriod": [{"startPeriod": 0, "limit": 9.0}]}
    profile = {"chargingProfileId": 1, "stackLevel": 0, "chargingProfilePurpose": "TxDefaultProfile"}
    profile |= {"chargingProfileKind": "Relative", "chargingSchedule": schedule}
    with pytest.raises(PayloadError, match=r"csChargingProfiles: beyond 32 bits"):
        dialect(V16).profile_set({"connectorId": 1, "csChargingProfiles": profile})


@pytest.mark.parametrize("source", ["CSO", 7, True, {}, ["CSO"]])
def test_a_source_that_is_no_list_does_not_end_the_connection(bench: Any, source: Any) -> None:
    b = running(bench(V201))
    assert b.csms_sets("TxDefaultProfile", 9.0) == "Accepted"
    query = {"requestId": 1, "chargingProfile": {"chargingLimitSource": source}}
    assert b.from_csms("GetChargingProfiles", query) == {"status": "Accepted" if "CSO" in str(source) else "NoProfiles"}


# --- remote starts ------------------------------------------------------------------------------------------------


def remote_start(b: Bench, number: int = 5, limit_a: float = 4.0) -> None:
    profile = b.csms_profile("TxProfile", limit_a, 9)
    if b.version is V16:
        b.from_csms("RemoteStartTransaction", {"connectorId": 1, "idTag": "TAG", "chargingProfile": profile})
    else:
        head = {"remoteStartId": number, "idToken": id_token("TAG"), "evseId": 1}
        b.from_csms("RequestStartTransaction", head | {"chargingProfile": profile})


@pytest.mark.requirement("LC-101")
def test_a_remote_start_into_a_transaction_that_runs_since_the_cable_was_plugged(bench: Any) -> None:
    b = bench(V201)
    b.boot()
    b.start("t")
    remote_start(b)
    b.set_limit(16.0)
    b.transaction_event("Updated", "t", info={"remoteStartId": 5})
    assert b.in_force_a() == 4.0


@pytest.mark.requirement("LC-101")
def test_a_remote_start_that_is_answered_late_keeps_its_profile(bench: Any) -> None:
    b = bench()
    b.boot()
    b.station["RemoteStartTransaction"] = None
    remote_start(b)
    b.wait(31)
    b.start()
    b.set_limit(16.0)
    assert b.in_force_a() == 4.0


@pytest.mark.requirement("LC-101")
def test_a_refused_remote_start_limits_nobody(bench: Any) -> None:
    b = bench()
    b.boot()
    b.station["RemoteStartTransaction"] = {"status": "Rejected"}
    remote_start(b)
    b.start()
    b.set_limit(16.0)
    assert b.in_force_a() == 16.0


@pytest.mark.requirement("LC-101")
def test_a_station_that_dials_again_before_the_start_keeps_its_profile(bench: Any) -> None:
    before = bench(V201)
    before.boot()
    remote_start(before)
    b = bench(V201, known=before.smart.state)
    b.boot()
    b.start("t", info={"remoteStartId": 5})
    b.set_limit(16.0)
    assert b.in_force_a() == 4.0


def test_remote_starts_that_nobody_follows_up_are_bounded(bench: Any) -> None:
    b = bench(V201)
    b.boot()
    for number in range(3 * MOST):
        remote_start(b, number)
    assert len(b.smart.state.remote_starts._awaited) == MOST


@pytest.mark.requirement("LC-101")
def test_another_driver_is_not_limited_by_a_remote_start(bench: Any) -> None:
    b = bench()
    b.boot()
    remote_start(b)
    b.start(tag="SOMEBODY ELSE")
    b.set_limit(16.0)
    assert b.in_force_a() == 16.0


# --- transactions and meters --------------------------------------------------------------------------------------


@pytest.mark.parametrize("number", [0, -1])
def test_a_csms_that_numbers_a_transaction_oddly_still_has_one(bench: Any, number: int) -> None:
    b = bench()
    b.boot()
    b.start(number)
    b.set_limit(10.0)
    assert b.in_force_a() == 10.0
    b.stop(12)  # nobody's
    assert b.smart.state.transactions
    b.stop(number)
    assert not b.smart.state.transactions


@pytest.mark.parametrize("version", [V16, V201])
def test_evses_that_the_station_invents_are_not_remembered(bench: Any, version: OcppVersion) -> None:
    b = bench(version)
    b.boot()
    for evse in range(2, 20):
        b.start(evse, evse)
    assert not b.smart.state.transactions
    assert not [fact for fact in b.facts if isinstance(fact, TransactionStarted)]
    assert events(b).count("transaction_on_unknown_evse") == 18


@pytest.mark.parametrize(("value", "unit"), [("1e308", "kA"), ("-1e308", "kA"), ("1e300", "A")])
def test_a_measurement_beyond_all_reason_is_none(bench: Any, value: str, unit: str) -> None:
    b = running(bench())
    sampled = {"value": value, "unit": unit, "measurand": "Current.Import", "phase": "L1"}
    b.from_station("MeterValues", {"connectorId": 1, "meterValue": [{"sampledValue": [sampled]}]})
    assert not [fact for fact in b.facts if isinstance(fact, Measured)]


def test_a_whole_number_is_the_same_transaction_with_a_decimal_point() -> None:
    schedule = {"chargingRateUnit": "W", "chargingSchedulePeriod": [{"startPeriod": 0, "limit": 9.0}]}
    profile = {"chargingProfileId": 1.0, "stackLevel": 0, "chargingProfilePurpose": "TxProfile", "transactionId": 7.0}
    profile |= {"chargingProfileKind": "Relative", "chargingSchedule": schedule}
    read = dialect(V16).profile_set({"connectorId": 1, "csChargingProfiles": profile}).profile
    assert (read.id, read.transaction_id, read.purpose) == (1, "7", Purpose.TX_PROFILE)
    assert read.schedules[0].rate_unit is RateUnit.W
