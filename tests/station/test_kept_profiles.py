"""Are the CSMS's profiles the same after a restart of the gateway, and do they allow nothing that they did not allow before? (LC-047)"""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from local_controller.clock import Instant
from local_controller.profiles.profile import Kind, Purpose
from local_controller.station import kept_profiles
from local_controller.station.blocks.virtual_store import EMPTY_STORE
from local_controller.station.dialects import dialect
from local_controller.station.dialects.base import ProfileSet
from local_controller.station.effects import Peer
from local_controller.station.kept_profiles import EarlierProfiles, KeptProfiles
from local_controller.station.stand_ins import StandIns
from local_controller.station.state import StationState
from local_controller.station.transaction import Transaction
from local_controller.station.words import OcppVersion
from tests.effort import EFFORT
from tests.profiles.oracle import VERSIONS, Maker
from tests.station.conftest import NOON, Bench, MakeBench, Payload, stamp
from tests.station.test_ids_of_ours import OURS
from tests.station.test_profile_reports import asked, reports
from tests.station.test_profile_sharing import clear, max_purpose
from tests.station.test_session_law import STEPS, Session, play

V16, V21 = OcppVersion.V16, OcppVersion.V21
ALL = pytest.mark.parametrize("version", list(OcppVersion))
V2 = pytest.mark.parametrize("version", [OcppVersion.V201, V21])
KEPT = pytest.mark.requirement("LC-047")
DYNAMIC = {"chargingProfileKind": "Dynamic"}


def file_of(state: StationState, now: Instant) -> KeptProfiles | None:
    """What is kept of a station, as it comes back from the disk."""
    found = kept_profiles.kept(state, now)
    return None if found is None else msgspec.json.decode(msgspec.json.encode(found), type=KeptProfiles)


def earlier(state: StationState, now: Instant) -> EarlierProfiles | None:
    """What the next run reads."""
    told = file_of(state, now)
    if told is None:
        return None
    found, unreadable = kept_profiles.read(told, now)
    assert unreadable == []
    return found


def restarted(bench: MakeBench, b: Bench, after_s: float = 5.0, version: OcppVersion | None = None) -> Bench:
    """The gateway was killed and started again; the station has kept what it was told, and says that it is there."""
    now = b.now.after(after_s)
    again = bench(version or b.version, profiles=earlier(b.smart.state, b.now), fallback_a=b.settings.fallback_a)
    again.now, again.installed, again.written = now, b.installed, b.written
    again.from_station("Heartbeat", {})
    return again


def tx(b: Bench) -> Payload:
    return {"transactionId": 7 if b.version is V16 else "7"}


def goes_on(b: Bench, transaction: int = 7) -> None:
    """A message shows that this transaction runs."""
    if b.version is V16:
        value = {"timestamp": stamp(b.now), "sampledValue": [{"value": "100"}]}
        b.from_station("MeterValues", {"connectorId": 1, "transactionId": transaction, "meterValue": [value]})
    else:
        b.transaction_event("Updated", str(transaction), evse={"id": 1})


def ids(b: Bench) -> list[int]:
    return [entry.profile.id for entry in b.smart.state.store.installed]


# --- the law ------------------------------------------------------------------------------------------------------


def state_of(version: OcppVersion, document: Any, real: set[int], now: Instant) -> StationState:
    """A station whose CSMS has set all the profiles of a case of the oracle, and whose transactions run since then."""
    state = StationState("CP", version)
    for payload in document["profiles"]:
        wanted = dialect(version).profile_set(payload).received(now.utc)
        at = ProfileSet(wanted.evse, wanted.profile, wanted.original)
        state.store = state.store.recorded(at, version)
        if wanted.profile.id not in real:
            state.store = replace(state.store, real=state.store.real - {wanted.profile.id})
    for evse in document["evses"]:
        if "transactionId" in evse:
            state.transactions[evse["id"]] = Transaction(evse["id"], evse["transactionId"], now)
    return state


@KEPT
@given(st.sampled_from(VERSIONS), st.integers(0, 10**6), st.sets(st.integers(1, 6)), st.booleans())
@settings(max_examples=100 * EFFORT, deadline=None)
def test_whatever_the_csms_has_set_is_the_same_after_a_restart(
    name: str, number: int, real: set[int], owns_maximum: bool
) -> None:
    version = next(one for one in OcppVersion if one.value.endswith(name.removeprefix("ocpp")))
    now = Instant(1000.0, NOON)
    state = state_of(version, Maker(name, number).document(), real, now)
    state.store = state.store.owning_maximum(owns=owns_maximum)
    state.outdated, state.stand_ins = frozenset(real), StandIns({OURS: OURS + 1} if real else {})
    found = earlier(state, now)
    running = state.transactions.keys()
    kept = tuple(
        entry
        for entry in state.store.installed
        if entry.profile.purpose is not Purpose.TX_PROFILE or entry.evse in running
    )
    if found is None:
        assert not state.store.installed.entries
        return
    assert found.store.installed.entries == kept
    assert found.store.originals == {one.profile.id: state.store.originals[one.profile.id] for one in kept}
    assert found.store.real == state.store.real & {one.profile.id for one in kept}
    assert found.store.owned_purposes == state.store.owned_purposes
    assert (found.outdated, found.stand_ins) == (state.outdated, state.stand_ins.given)
    again = StationState("CP", version)
    found.resume(again)
    assert file_of(again, now) == file_of(state, now) or kept != state.store.installed.entries


@KEPT
@pytest.mark.parametrize("version", list(OcppVersion))
@given(steps=STEPS)
@settings(max_examples=60 * EFFORT, deadline=None)
def test_whatever_is_said_the_next_run_knows_what_this_one_knows(
    version: OcppVersion, steps: list[tuple[Any, Peer, int]]
) -> None:
    session = play(Session(version), steps, is_booted=True)
    state = session.smart.state
    found = earlier(state, session.now)
    lasting = state.store.without_ended(state.station_time(session.now))
    assert (EMPTY_STORE.installed if found is None else found.store.installed) == lasting.installed
    assert found is None or (found.store.real, found.outdated) == (lasting.real, state.outdated)


# --- what the CSMS notices ----------------------------------------------------------------------------------------


@V2
@pytest.mark.requirement("LC-047", "LC-094", "LC-096")
def test_after_a_restart_the_csms_is_shown_its_profiles_as_it_sent_them(bench: MakeBench, version: OcppVersion) -> None:
    b = bench(version)
    b.boot()
    odd = {"customData": {"vendorId": "é", "x": [1.10, None, "\ud800"]}}
    wanted = b.csms_profile("TxDefaultProfile", 10.0, 4, validTo=stamp(b.now, 86_400), **odd)
    answer = b.from_csms("SetChargingProfile", {"evseId": 1, "chargingProfile": wanted})
    assert isinstance(answer, dict)
    assert answer["status"] == "Accepted"
    b.csms_sets("ChargingStationMaxProfile", 20.0, 2, evse=0)
    again = restarted(bench, b)
    assert asked(again, 5) == "Accepted"
    told = [profile for report in reports(again) for profile in report["chargingProfile"]]
    assert sorted(profile["id"] for profile in told) == [2, 4]
    shown = next(profile for profile in told if profile["id"] == 4)
    assert shown == wanted | {"customData": {"vendorId": "é", "x": [1.10, None, "\ud800"]}}


@ALL
@pytest.mark.requirement("LC-047", "LC-093")
def test_after_a_restart_no_car_gets_more_than_the_csms_allows(bench: MakeBench, version: OcppVersion) -> None:
    b = bench(version, fallback_a=16.0)
    b.boot()
    assert b.csms_sets("TxDefaultProfile", 10.0, 4) == "Accepted"
    again = restarted(bench, b)
    assert again.csms_limit().at(again.now.utc) == 10.0
    again.start(8)
    again.set_limit(32.0)
    assert again.in_force_a() == 10.0
    assert again.in_force_a(400.0) == 10.0, "its fallback neither"
    assert clear(again, id=4) == "Accepted"
    assert again.in_force_a() == 32.0


@ALL
@pytest.mark.requirement("LC-047", "LC-079", "LC-093")
def test_a_tx_profile_counts_again_once_its_transaction_is_heard_of(bench: MakeBench, version: OcppVersion) -> None:
    b = bench(version, fallback_a=16.0)
    b.boot()
    b.start(7)
    assert b.csms_sets("TxProfile", 8.0, 4, **tx(b)) == "Accepted"
    again = restarted(bench, b)
    assert ids(again) == [4]
    assert again.in_force_a(400.0) == 8.0, "it may run, though nobody has said so yet"
    again = restarted(bench, again)  # nothing was heard of it before the next one
    goes_on(again)
    again.set_limit(32.0)
    assert (ids(again), again.in_force_a()) == ([4], 8.0)
    again.stop(7)
    assert ids(again) == []


@ALL
@pytest.mark.requirement("LC-047", "LC-079")
@pytest.mark.parametrize("what", ["another one runs", "another one begins", "it ends"])
def test_a_tx_profile_ends_with_its_transaction_though_nobody_saw_it(
    bench: MakeBench, version: OcppVersion, what: str
) -> None:
    b = bench(version, fallback_a=16.0)
    b.boot()
    b.start(7)
    b.csms_sets("TxProfile", 8.0, 4, **tx(b))
    b.csms_sets("TxDefaultProfile", 20.0, 5)
    again = restarted(bench, b)
    if what == "another one runs":
        goes_on(again, 9)
    elif what == "another one begins":
        again.start(9)
    else:
        again.stop(7)
    assert ids(again) == [5]
    if what != "it ends":
        assert again.in_force_a(400.0) == 16.0
        again.set_limit(32.0)
        assert again.in_force_a() == 20.0


@ALL
@pytest.mark.requirement("LC-047", "LC-091")
def test_the_csms_may_set_a_tx_profile_before_its_transaction_is_heard_of_again(
    bench: MakeBench, version: OcppVersion
) -> None:
    b = bench(version, fallback_a=16.0)
    b.boot()
    b.start(7)
    again = restarted(bench, b)
    assert again.csms_sets("TxProfile", 9.0, 4, **tx(again)) == "Accepted"
    assert again.csms_sets("TxProfile", 9.0, 6, stackLevel=1, transactionId=9 if version is V16 else "9") == "Rejected"
    goes_on(again)
    again.set_limit(32.0)
    assert again.in_force_a() == 9.0


# --- what depends on when -----------------------------------------------------------------------------------------


@ALL
@pytest.mark.requirement("LC-047", "LC-083")
@pytest.mark.parametrize("purpose", ["TxProfile", "TxDefaultProfile"])
def test_a_relative_profile_does_not_begin_anew(bench: MakeBench, version: OcppVersion, purpose: str) -> None:
    b = bench(version, fallback_a=4.0)
    b.boot()
    b.start(7)
    periods = [{"startPeriod": 0, "limit": 30.0}, {"startPeriod": 1000, "limit": 6.0}]
    more = tx(b) if purpose == "TxProfile" else {}
    assert (
        b.csms_sets(purpose, 0.0, 4, periods=periods, chargingProfileKind="Relative", schedule=_NO_START, **more)
        == "Accepted"
    )
    b.wait(900)
    again = restarted(bench, b, 300.0)
    goes_on(again)
    again.set_limit(32.0)
    assert again.in_force_a() == 6.0


_NO_START: Payload = {"startSchedule": None}


@pytest.mark.requirement("LC-047", "LC-103")
def test_a_dynamic_profile_runs_out_when_it_would_have(bench: MakeBench) -> None:
    b = bench(V21, fallback_a=6.0)
    b.boot()
    b.csms_sets("TxDefaultProfile", 8.0, 3)
    b.csms_sets("TxDefaultProfile", 30.0, 4, stackLevel=1, schedule=_NO_START | {"duration": 600}, **DYNAMIC)
    b.wait(500)
    again = restarted(bench, b, 10.0)
    again.start(8)
    again.set_limit(20.0)
    assert (again.in_force_a(), again.in_force_a(80.0), again.in_force_a(100.0)) == (20.0, 20.0, 8.0)


@pytest.mark.requirement("LC-047", "LC-103")
def test_a_dynamic_profile_has_its_latest_limit(bench: MakeBench) -> None:
    b = bench(V21, fallback_a=6.0)
    b.boot()
    b.csms_sets("TxDefaultProfile", 30.0, 4, schedule=_NO_START | {"duration": 600}, **DYNAMIC)
    update = {"chargingProfileId": 4, "scheduleUpdate": {"limit": 9.0}}
    assert b.from_csms("UpdateDynamicSchedule", update) == {"status": "Accepted"}
    again = restarted(bench, b)
    assert again.csms_limit().at(again.now.utc) == 9.0
    (before,), (after,) = b.smart.state.store.installed, again.smart.state.store.installed
    assert before.profile.kind is Kind.DYNAMIC
    assert after == before


@pytest.mark.requirement("LC-047", "LC-060")
@pytest.mark.parametrize(("after_s", "left"), [(200.0, [1, 2]), (400.0, [1])])
@pytest.mark.parametrize("is_stopped", [True, False])
def test_the_time_without_a_gateway_is_time_offline(
    bench: MakeBench, after_s: float, left: list[int], is_stopped: bool
) -> None:
    """One that is stopped sees its connections end; one that is killed was there at its last sign of life."""
    b = bench(V21)
    b.boot()
    b.csms_sets("TxDefaultProfile", 8.0, 1)
    b.csms_sets("TxDefaultProfile", 7.0, 2, stackLevel=1, maxOfflineDuration=300, invalidAfterOfflineDuration=True)
    if is_stopped:
        b.proxy.closed(Peer.STATION, b.now)
    found = file_of(b.smart.state, b.now)
    assert found is not None
    told, _ = kept_profiles.read(found, Instant(1000.0, b.now.utc + timedelta(seconds=after_s)))
    assert sorted(ids(bench(V21, profiles=told))) == left


# --- what is not kept ---------------------------------------------------------------------------------------------


@ALL
@KEPT
def test_what_is_cleared_replaced_or_over_is_not_kept(bench: MakeBench, version: OcppVersion) -> None:
    b = bench(version)
    b.boot()
    b.csms_sets("TxDefaultProfile", 8.0, 1)
    b.csms_sets("TxDefaultProfile", 9.0, 2, stackLevel=1)
    b.csms_sets("TxDefaultProfile", 7.0, 3, stackLevel=2, validTo=stamp(b.now, 60))
    b.csms_sets("TxDefaultProfile", 6.0, 2, stackLevel=1)
    clear(b, id=1)
    mark = kept_profiles.mark(b.smart.state, b.now)
    found = earlier(b.smart.state, b.now)
    assert found is not None
    assert [entry.profile.id for entry in found.store.installed] == [3, 2]
    b.wait(61)
    assert b.smart.state.transactions == {}
    assert kept_profiles.mark(b.smart.state, b.now) != mark, "time passes, and nothing else"
    found = earlier(b.smart.state, b.now)
    assert found is not None
    assert [(one.profile.id, one.profile.schedules[0].periods[0].limit) for one in found.store.installed] == [(2, 6.0)]
    clear(b)
    assert (file_of(b.smart.state, b.now), kept_profiles.mark(b.smart.state, b.now)) == (None, ())


@ALL
@KEPT
def test_a_clock_of_ours_that_is_wrong_after_a_power_cut_ends_no_profile(
    bench: MakeBench, version: OcppVersion
) -> None:
    b = bench(version)
    b.boot()
    b.csms_sets("TxDefaultProfile", 7.0, 3, validTo=stamp(b.now, 60))
    found = earlier(b.smart.state, b.now)
    again = bench(version, profiles=found)
    wrong = Instant(1000.0, b.now.utc + timedelta(days=4000))
    assert file_of(again.smart.state, wrong) is not None, "no CSMS has told its time yet"


@KEPT
def test_in_another_version_they_do_not_count(bench: MakeBench) -> None:
    b = bench(V16)
    b.boot()
    b.csms_sets("TxDefaultProfile", 7.0, 3)
    assert restarted(bench, b, version=V21).smart.state.store is EMPTY_STORE


# --- what else belongs to them ------------------------------------------------------------------------------------


@ALL
@pytest.mark.requirement("LC-047", "LC-098")
def test_ids_of_ours_are_known_again_under_their_stand_ins(bench: MakeBench, version: OcppVersion) -> None:
    b = bench(version)
    b.boot()
    assert b.csms_sets(max_purpose(version), 20.0, OURS, evse=0) == "Accepted"
    again = restarted(bench, b)
    state, before = again.smart.state, b.smart.state
    assert state.store.real == {OURS}
    assert state.stand_ins.known(OURS) == before.stand_ins.known(OURS) != OURS
    assert clear(again, id=OURS) == "Accepted"
    assert [entry for entry in again.installed if entry.profile.purpose is Purpose.CHARGING_STATION_MAX_PROFILE] == []


@ALL
@KEPT
def test_what_the_station_has_yet_to_clear_is_cleared_after_the_restart(bench: MakeBench, version: OcppVersion) -> None:
    b = bench(version)
    b.boot()
    b.csms_sets(max_purpose(version), 3.0, 9, evse=0)
    b.station["ClearChargingProfile"] = "InternalError"
    assert b.csms_sets("TxDefaultProfile", 5.0, 9) == "Accepted"
    again = restarted(bench, b)
    assert len(again.calls_to(Peer.STATION, "ClearChargingProfile")) == 1
    assert again.smart.state.outdated == frozenset()


@KEPT
def test_what_cannot_be_read_any_more_is_said_and_the_rest_counts(bench: MakeBench) -> None:
    b = bench(V16)
    b.boot()
    b.csms_sets("TxDefaultProfile", 7.0, 3)
    b.csms_sets("TxDefaultProfile", 8.0, 4, stackLevel=1)
    found = file_of(b.smart.state, b.now)
    assert found is not None
    for broken in ("[]", '[2,"3","SetChargingProfile",{"connectorId":1}]'):
        first = msgspec.structs.replace(found.profiles[0], message=broken)
        told, unreadable = kept_profiles.read(
            msgspec.structs.replace(found, profiles=(first, found.profiles[1])), b.now
        )
        assert [entry.profile.id for entry in told.store.installed] == [4]
        assert len(unreadable) == 1


@V2
@KEPT
def test_a_transaction_whose_name_no_file_can_hold_costs_its_own_profile_alone(
    bench: MakeBench, version: OcppVersion
) -> None:
    b = bench(version)
    b.boot()
    b.start("\ud800")
    b.csms_sets("TxProfile", 8.0, 4, transactionId="\ud800")
    b.csms_sets("TxDefaultProfile", 9.0, 5)
    assert ids(restarted(bench, b)) == [5]


@KEPT
def test_a_number_beyond_all_bounds_is_kept(bench: MakeBench) -> None:
    b = bench(V21)
    b.boot()
    endless = {"vendorId": "x", "most": float("inf")}
    wanted = b.csms_profile("TxDefaultProfile", 10.0, 4, customData=endless)
    text = json.dumps([2, "a", "SetChargingProfile", {"evseId": 1, "chargingProfile": wanted}])
    b._do(b.proxy.receive(Peer.CSMS, text.replace("Infinity", "1e400"), b.now))
    assert restarted(bench, b).smart.state.store.originals[4]["customData"] == endless


def test_a_time_without_zone_is_no_time() -> None:
    told = b'{"version":"ocpp1.6","profiles":[],"offline_since":"2026-06-01T12:00:00"}'
    with pytest.raises(msgspec.ValidationError):
        msgspec.json.decode(told, type=KeptProfiles)
    assert datetime.fromisoformat("2026-06-01T12:00:00").tzinfo is None
