"""Does the station hold what the site and the CSMS agree on? Stories of one station."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from local_controller.clock import Instant
from local_controller.station.effects import Peer
from local_controller.station.words import LimitKind, LimitOutcome, OcppVersion
from tests.station.conftest import stamp

ALL = pytest.mark.parametrize("version", list(OcppVersion))
SENT, ACCEPTED, DROPPED = LimitOutcome.SENT, LimitOutcome.ACCEPTED, LimitOutcome.DROPPED


@ALL
@pytest.mark.requirement("LC-039")
def test_nothing_is_written_before_the_csms_has_accepted_the_station(bench: Any, version: OcppVersion) -> None:
    b = bench(version)
    b.set_fallback(6.0)
    b.csms["BootNotification"] = {"currentTime": "2026-06-01T12:00:00Z", "interval": 60, "status": "Pending"}
    b.boot()
    b.wait(30)
    assert not b.own_profiles()
    del b.csms["BootNotification"]
    b.csms["BootNotification"] = b._boot_answer
    b.boot()
    assert b.in_force_a() == 6.0
    assert b.outcomes(LimitKind.FALLBACK) == [(SENT, 6.0), (ACCEPTED, 6.0)]


@ALL
@pytest.mark.requirement("LC-039", "LC-042")
def test_after_a_pure_reconnect_the_first_normal_answer_opens_the_way(bench: Any, version: OcppVersion) -> None:
    b = bench(version)
    b.csms["Heartbeat"] = "SecurityError"
    b.from_station("Heartbeat", {})
    assert not b.own_profiles()
    b.csms["Heartbeat"] = b._heartbeat_answer
    b.from_station("Heartbeat", {})
    assert b.in_force_a() == 6.0


@ALL
@pytest.mark.requirement("LC-044")
@pytest.mark.parametrize("set_s", [-3600.0, 3600.0])
def test_when_our_clock_is_set_limits_hold_in_the_station_as_if_it_had_not_been(
    bench: Any, version: OcppVersion, set_s: float
) -> None:
    """The station goes by its CSMS's clock, which tells its time perhaps once a day."""
    b = bench(version)
    b.boot()
    b.start()
    b.set_limit(16.0, valid_s=300)
    b.now, b.csms_ahead_s = Instant(b.now.monotonic_s + 10, b.now.utc + timedelta(seconds=10 + set_s)), -set_s
    b.wait(10)
    assert [b.in_force_a(s) for s in (0, 270, 290, 3600)] == [16.0, 16.0, 6.0, 6.0]
    assert b.smart.standing(1, b.now).allocated_a == 16.0
    b.set_limit(14.0, valid_s=300)
    assert [b.in_force_a(s) for s in (0, 298, 302, 3700)] == [14.0, 14.0, 6.0, 6.0]
    b.from_station("Heartbeat", {})
    assert [b.in_force_a(s) for s in (0, 298, 302, 3700)] == [14.0, 14.0, 6.0, 6.0]


@ALL
def test_a_limit_needs_a_transaction(bench: Any, version: OcppVersion) -> None:
    b = bench(version)
    b.boot()
    b.set_limit(16.0)
    assert b.outcomes() == [(DROPPED, 16.0)]
    assert b.in_force_a() == 6.0


@ALL
@pytest.mark.requirement("LC-106", "LC-111")
def test_a_working_limit_ends_by_itself_and_leaves_the_fallback(bench: Any, version: OcppVersion) -> None:
    b = bench(version)
    b.boot()
    b.start()
    b.set_limit(16.0, valid_s=300)
    assert b.outcomes() == [(SENT, 16.0), (ACCEPTED, 16.0)]
    assert [b.in_force_a(s) for s in (0, 299, 301, 9e6)] == [16.0, 16.0, 6.0, 6.0]


@ALL
@pytest.mark.requirement("LC-044")
def test_with_a_csms_clock_ten_minutes_off_limits_hold_when_they_should(bench: Any, version: OcppVersion) -> None:
    for ahead_s in (-600.0, 600.0):
        b = bench(version)
        b.csms_ahead_s = ahead_s
        b.boot()
        b.start()
        b.set_limit(16.0, valid_s=300)
        assert [b.in_force_a(s) for s in (0, 298, 302)] == [16.0, 16.0, 6.0]
        assert any(note.event == "csms_clock_differs" for note in b.notes)


@ALL
@pytest.mark.requirement("LC-098", "LC-100", "LC-104")
def test_own_profiles_keep_id_and_stack_level(bench: Any, version: OcppVersion) -> None:
    b = bench(version, evses=(1, 2))
    b.boot()
    b.start(evse=2)
    for limit_a in (16.0, 10.0, 12.5):
        b.set_limit(limit_a, evse=2)
    b.set_fallback(7.0, evse=2)
    name = "chargingProfileId" if version is OcppVersion.V16 else "id"
    seen = {(profile[name], profile["stackLevel"], profile["chargingProfilePurpose"]) for profile in b.own_profiles()}
    assert seen == {
        (2_147_480_002, 0, "TxDefaultProfile"),
        (2_147_480_004, 0, "TxDefaultProfile"),
        (2_147_480_005, 0, "TxProfile"),
    }
    assert not b.calls_to(Peer.STATION, "ClearChargingProfile")


@ALL
def test_while_one_call_is_open_only_the_newest_wish_survives(bench: Any, version: OcppVersion) -> None:
    b = bench(version)
    b.boot()
    b.start()
    b.set_limit(11.0)
    b.accepts = lambda _: None  # silent
    b.set_limit(16.0)
    for limit_a in (12.0, 10.0, 8.0):
        b.set_limit(limit_a)
    assert b.outcomes()[2:] == [(SENT, 16.0)]
    b.accepts = lambda _: True
    b.wait(8)
    assert b.outcomes()[3:] == [(LimitOutcome.TIMED_OUT, 16.0), (SENT, 8.0), (ACCEPTED, 8.0)]


@ALL
@pytest.mark.requirement("LC-024")
def test_a_reduction_replaces_a_waiting_increase_and_overtakes_the_csms(bench: Any, version: OcppVersion) -> None:
    b = bench(version)
    b.boot()
    b.start()
    b.set_limit(10.0)
    b.station["Reset"] = None  # the station is busy with this
    b.from_csms("Reset", {"type": "Soft"} if version is OcppVersion.V16 else {"type": "Immediate"})
    b.station["UnlockConnector"] = {"status": "Unlocked"}
    b.wait(5)
    b.from_csms("UnlockConnector", {"connectorId": 1} | ({} if version is OcppVersion.V16 else {"evseId": 1}))
    b.set_limit(16.0)
    b.set_limit(7.0)
    b.wait(25)  # the slot is freed
    order = [frame.action for frame in b.sent[Peer.STATION][-3:]]
    question = "GetConfiguration" if version is OcppVersion.V16 else "GetVariables"
    assert order == ["SetChargingProfile", "UnlockConnector", question]
    assert b.in_force_a() == 7.0
    assert (SENT, 16.0) not in b.outcomes()


@ALL
@pytest.mark.requirement("LC-041")
def test_after_a_reboot_everything_is_written_again(bench: Any, version: OcppVersion) -> None:
    b = bench(version)
    b.boot()
    b.set_fallback(6.0)
    assert b.outcomes(LimitKind.FALLBACK)[-1] == (ACCEPTED, 6.0)
    written = len(b.own_profiles())
    b.set_fallback(6.0)
    assert len(b.own_profiles()) == written, "a persistent profile is not written twice for nothing"
    b.boot()
    assert len(b.own_profiles()) == written + 1


@ALL
def test_the_state_of_a_station_survives_a_reconnect(bench: Any, version: OcppVersion) -> None:
    b = bench(version)
    b.boot()
    b.start()
    assert b.csms_sets("TxDefaultProfile", 10.0) == "Accepted"
    again = bench(version, known=b.smart.state)
    again.from_station("Heartbeat", {})
    again.set_limit(16.0)
    assert again.in_force_a() == 10.0


def test_an_unknown_evse_is_our_own_mistake(bench: Any) -> None:
    with pytest.raises(ValueError, match="has no EVSE 3"):
        bench().set_fallback(6.0, evse=3)


@ALL
@pytest.mark.requirement("LC-042", "LC-093")
def test_what_a_station_kept_over_a_reconnect_is_lowered_with_what_the_csms_then_wants(
    bench: Any, version: OcppVersion
) -> None:
    b = bench(version)
    b.boot()
    b.start()
    b.set_limit(32.0, 900.0)
    again = reconnected(bench, b)
    assert again.in_force_a() == 32.0, "neither lost nor lowered"
    assert again.csms_sets("TxProfile", 3.0, transactionId=7 if version is OcppVersion.V16 else "7") == "Accepted"
    assert again.in_force_a() == 3.0


@ALL
@pytest.mark.requirement("LC-042", "LC-106")
def test_a_floor_that_was_lowered_while_the_line_was_cut_ends_what_the_station_kept(
    bench: Any, version: OcppVersion
) -> None:
    b = bench(version)
    b.boot()
    b.start()
    assert b.csms_sets("TxProfile", 3.0, transactionId=7 if version is OcppVersion.V16 else "7") == "Accepted"
    assert [b.in_force_a(), b.in_force_a(23 * 3600)] == [3.0, 3.0], "below the floor of 6 A, so in a profile of ours"
    again = reconnected(bench, b, fallback_a=2.0)
    assert [again.in_force_a(), again.in_force_a(23 * 3600)] == [2.0, 2.0]


@ALL
@pytest.mark.requirement("LC-042")
def test_a_connection_never_begins_with_a_higher_floor_than_the_site_wants(bench: Any, version: OcppVersion) -> None:
    b = bench(version, fallback_a=10.0)
    b.boot()
    b.set_fallback(2.0)
    again = reconnected(bench, b, fallback_a=10.0)
    assert again.in_force_a() == 2.0, "until the site says otherwise"
    assert again.outcomes(LimitKind.FALLBACK) == [(SENT, 2.0), (ACCEPTED, 2.0)]


@ALL
@pytest.mark.requirement("LC-093", "LC-111")
@pytest.mark.parametrize("takes_limits", [True, False])
def test_no_floor_is_raised_before_the_limit_that_keeps_the_car_below_it(
    bench: Any, version: OcppVersion, takes_limits: bool
) -> None:
    b = bench(version, fallback_a=0.0)
    b.boot()
    b.start()
    assert b.csms_sets("TxProfile", 6.0, transactionId=7 if version is OcppVersion.V16 else "7") == "Accepted"
    drawn_a = [b.in_force_a()]
    install = b.accepts

    def watched(payload: Any) -> Any:
        drawn_a.append(b.in_force_a())
        return install(payload) and (takes_limits or "TxProfile" not in str(payload))

    b.accepts = watched
    b.set_fallback(24.0)
    assert (drawn_a[0], max([*drawn_a, b.in_force_a()])) == (0.0, 6.0), "be it told in another way"
    if takes_limits:
        assert b.outcomes(LimitKind.FALLBACK)[-1] == (ACCEPTED, 24.0)


@ALL
def test_the_site_learns_that_its_floor_is_held_though_a_limit_is_under_way(bench: Any, version: OcppVersion) -> None:
    b = bench(version)
    b.boot()
    b.start()
    b.csms_sets("TxDefaultProfile", 3.0)
    b.accepts = lambda _payload: None
    b.set_limit(2.0)
    before = len(b.outcomes(LimitKind.FALLBACK))
    b.set_fallback(12.0)
    assert len(b.outcomes(LimitKind.FALLBACK)) == before + 1, "no word is owed until the limit is answered"
    assert b.outcomes(LimitKind.FALLBACK)[-1] == (ACCEPTED, 3.0), "the CSMS allows no more"


@ALL
@pytest.mark.requirement("LC-092", "LC-106")
def test_the_site_learns_that_its_floor_is_right_again_after_one_was_refused(bench: Any, version: OcppVersion) -> None:
    b = bench(version)
    b.boot()
    b.set_fallback(6.0)
    b.accepts = lambda _payload: False
    assert b.csms_sets("TxDefaultProfile", 3.0) == "Rejected", "so the floor of 6 A, which is held, is right"
    b.accepts = lambda _payload: True
    b.wait(2000)
    assert b.in_force_a() == 6.0
    assert b.outcomes(LimitKind.FALLBACK)[-1] == (ACCEPTED, 6.0)


def reconnected(bench: Any, before: Any, **settings: Any) -> Any:
    """The same station on its next connection, without a boot."""
    again = bench(before.version, known=before.smart.state, **settings)
    again.installed = before.installed
    again.from_station("Heartbeat", {})
    return again


@ALL
@pytest.mark.requirement("LC-084", "LC-093")
def test_a_relative_profile_counts_from_when_the_transaction_really_began(bench: Any, version: OcppVersion) -> None:
    b = bench(version, fallback_a=16.0)
    b.boot()
    sets_relative_default(b, [(0, 32.0), (3600, 7.0)])
    b.start_earlier(3000.0)
    b.set_limit(32.0, 900.0)
    assert [b.in_force_a(seconds) for seconds in (0.0, 599.0, 601.0)] == [32.0, 32.0, 7.0]


@ALL
@pytest.mark.requirement("LC-093", "LC-111")
def test_the_floor_holds_for_a_transaction_that_begins_unseen_too(bench: Any, version: OcppVersion) -> None:
    b = bench(version, fallback_a=16.0)
    b.boot()
    sets_relative_default(b, [(0, 4.0), (300, 32.0)])
    b.start()
    b.wait(3600.0)
    b.set_fallback(15.0)
    assert b.outcomes(LimitKind.FALLBACK)[-1] == (ACCEPTED, 4.0), "the next transaction starts with 4 A"
    b.set_limit(12.0)
    assert b.in_force_a() == 12.0


@ALL
@pytest.mark.requirement("LC-093", "LC-111")
def test_the_floor_holds_for_a_relative_profile_that_is_valid_later(bench: Any, version: OcppVersion) -> None:
    b = bench(version, fallback_a=10.0)
    b.boot()
    sets_relative_default(b, [(0, 32.0), (30, 6.0)], duration_s=60, validFrom=stamp(b.now, 1000.0))
    assert b.outcomes(LimitKind.FALLBACK)[-1] == (ACCEPTED, 6.0), "who begins then has 6 A after half a minute"


@ALL
@pytest.mark.requirement("LC-093", "LC-111")
def test_a_relative_profile_that_a_higher_one_hides_all_day_lowers_no_floor(bench: Any, version: OcppVersion) -> None:
    b = bench(version, fallback_a=10.0)
    b.boot()
    b.csms_sets("TxDefaultProfile", 9.0, 5, stackLevel=5)
    sets_relative_default(b, [(0, 3.0)])
    assert b.outcomes(LimitKind.FALLBACK)[-1] == (ACCEPTED, 9.0)


def sets_relative_default(b: Any, periods: list[tuple[int, float]], duration_s: int | None = None, **more: Any) -> None:
    """The CSMS's TxDefaultProfile, whose schedule begins with each transaction."""
    told = [{"startPeriod": start_s, "limit": limit} for start_s, limit in periods]
    relative = b.csms_profile("TxDefaultProfile", 0.0, periods=told, chargingProfileKind="Relative") | more
    is_v16 = b.version is OcppVersion.V16
    schedule = relative["chargingSchedule"] if is_v16 else relative["chargingSchedule"][0]
    del schedule["startSchedule"]
    if duration_s is not None:
        schedule["duration"] = duration_s
    payload = (
        {"connectorId": 1, "csChargingProfiles": relative} if is_v16 else {"evseId": 1, "chargingProfile": relative}
    )
    assert b.from_csms("SetChargingProfile", payload)["status"] == "Accepted"


@ALL
@pytest.mark.requirement("LC-091")
def test_a_profile_that_few_stations_take_waits_for_what_this_one_says(bench: Any, version: OcppVersion) -> None:
    b = bench(version)
    says(b, "A", level=4)
    b.boot()
    assert b.csms_sets("TxDefaultProfile", 8.0, stackLevel=9) == "Rejected", "nobody had asked it before"
    assert b.csms_sets("TxDefaultProfile", 5000.0, unit="W") == "Rejected"
    assert b.csms_sets("TxDefaultProfile", 8.0, stackLevel=4) == "Accepted"


@ALL
@pytest.mark.requirement("LC-091", "LC-092")
def test_a_station_that_does_not_say_what_it_takes_is_not_waited_for_long(bench: Any, version: OcppVersion) -> None:
    b = bench(version)
    b.station["GetConfiguration"] = b.station["GetVariables"] = None
    b.boot()
    assert b.csms_sets("TxDefaultProfile", 8.0, stackLevel=9) is None
    b.wait(8.0)
    assert b.sent[Peer.CSMS][-1].payload == {"status": "Accepted"}
    assert b.csms_sets("TxDefaultProfile", 7.0, stackLevel=9) == "Accepted", "by the time it has not said anything"


def says(b: Any, units: str, level: int) -> None:
    """What the station answers when it is asked what it can do."""
    told = {"ChargingScheduleAllowedChargingRateUnit": "Current", "ChargeProfileMaxStackLevel": str(level)}
    keys = [{"key": key, "value": value, "readonly": True} for key, value in told.items()]
    b.station["GetConfiguration"] = {"configurationKey": keys}
    values = {"RateUnit": units, "ProfileStackLevel": str(level)}

    def variables(payload: Any) -> Any:
        results = [
            {**asked, "attributeStatus": "Accepted", "attributeValue": values[asked["variable"]["name"]]}
            if asked["variable"]["name"] in values
            else {**asked, "attributeStatus": "UnknownVariable"}
            for asked in payload["getVariableData"]
        ]
        return {"getVariableResult": results}

    b.station["GetVariables"] = variables
