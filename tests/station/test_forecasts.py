"""What does the site hear of sessions to come, and of what cars say they will draw? (LC-078, LC-140, LC-148)"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import pytest

from local_controller.profiles.schedule import Schedule
from local_controller.station import words
from local_controller.station.build import station_proxy
from local_controller.station.effects import Peer
from local_controller.station.words import ExpectationOver, Foretold, OcppVersion, SessionExpected
from tests.station.conftest import NOON, Bench, Payload

ALL = pytest.mark.parametrize("version", list(OcppVersion))
V2 = pytest.mark.parametrize("version", [OcppVersion.V201, OcppVersion.V21])
CARD = "04E12CA2B96F80"


def told(b: Any) -> list[Any]:
    return [fact for fact in b.facts if isinstance(fact, SessionExpected | ExpectationOver)]


def id_token(tag: str) -> Payload:
    return {"idToken": tag, "type": "ISO14443"}


def reserve(
    b: Any, evse: int = 1, number: int = 7, minutes: float = 90, tag: str = CARD, answer: str = "Accepted"
) -> None:
    b.station["ReserveNow"] = {"status": answer}
    expiry = (NOON + timedelta(minutes=minutes)).isoformat().replace("+00:00", "Z")
    if b.version is OcppVersion.V16:
        b.from_csms("ReserveNow", {"connectorId": evse, "expiryDate": expiry, "idTag": tag, "reservationId": number})
    else:
        where = {"evseId": evse} if evse else {}
        b.from_csms("ReserveNow", {"id": number, "expiryDateTime": expiry, "idToken": id_token(tag)} | where)


def remote_start(b: Any, evse: int | None = None, number: int = 3, tag: str = CARD) -> None:
    if b.version is OcppVersion.V16:
        b.from_csms("RemoteStartTransaction", {"idTag": tag} | ({"connectorId": evse} if evse else {}))
    else:
        where = {"evseId": evse} if evse else {}
        b.from_csms("RequestStartTransaction", {"remoteStartId": number, "idToken": id_token(tag)} | where)


@ALL
@pytest.mark.requirement("LC-140")
def test_a_reservation_that_the_station_keeps_is_a_session_to_come_until_it_expires(
    bench: Any, version: OcppVersion
) -> None:
    b = bench(version, evses=(1, 2))
    reserve(b, evse=2)
    assert told(b) == [SessionExpected(2, "reservation 7", Foretold.RESERVED, 5400.0, CARD)]


@ALL
@pytest.mark.requirement("LC-140")
@pytest.mark.parametrize("answer", ["Occupied", "Faulted", "Rejected", "Unavailable"])
def test_one_that_it_does_not_keep_is_none(bench: Any, version: OcppVersion, answer: str) -> None:
    b = bench(version, evses=(1, 2))
    reserve(b, answer=answer)
    assert told(b) == []


@ALL
@pytest.mark.requirement("LC-140")
def test_a_cancelled_reservation_is_over_only_when_the_station_agrees(bench: Any, version: OcppVersion) -> None:
    b = bench(version, evses=(1, 2))
    reserve(b)
    for answer in ("Rejected", "Accepted"):
        b.facts.clear()
        b.station["CancelReservation"] = {"status": answer}
        b.from_csms("CancelReservation", {"reservationId": 7})
        assert told(b) == ([] if answer == "Rejected" else [ExpectationOver(1, "reservation 7")])


@V2
@pytest.mark.requirement("LC-140")
@pytest.mark.parametrize("status", ["Expired", "Removed"])
def test_the_station_itself_says_that_a_reservation_is_over(bench: Any, version: OcppVersion, status: str) -> None:
    b = bench(version, evses=(1, 2))
    reserve(b)
    b.facts.clear()
    for _ in range(2):
        b.from_station("ReservationStatusUpdate", {"reservationId": 7, "reservationUpdateStatus": status})
    assert told(b) == [ExpectationOver(1, "reservation 7")], "told once"


def start(b: Any, evse: int, tag: str, reservation: int | str | None = None, remote: int | None = None) -> None:
    """A transaction, as the station tells of it."""
    used = {} if reservation is None else {"reservationId": reservation}
    if b.version is OcppVersion.V16:
        b.csms["StartTransaction"] = {"transactionId": 9, "idTagInfo": {"status": "Accepted"}}
        head = {"connectorId": evse, "idTag": tag, "meterStart": 0, "timestamp": "2026-06-01T12:00:00Z"}
        b.from_station("StartTransaction", head | used)
    else:
        info = {} if remote is None else {"remoteStartId": remote}
        b.transaction_event("Started", "9", info=info, evse={"id": evse}, idToken=id_token(tag), **used)


@ALL
@pytest.mark.requirement("LC-140")
@pytest.mark.parametrize(
    ("reserved", "tag", "number"),
    [(0, "the group's", 7), (0, CARD, None), (1, CARD, 7), (1, "somebody", None)],
    ids=["by its id", "by its token", "by both", "its place is taken"],
)
def test_the_session_that_uses_a_reservation_ends_it(
    bench: Any, version: OcppVersion, reserved: int, tag: str, number: int | None
) -> None:
    b = bench(version, evses=(1, 2))
    reserve(b, evse=reserved)
    b.facts.clear()
    start(b, 1, tag, reservation=number)
    (over,) = told(b)
    assert over == ExpectationOver(reserved, "reservation 7")
    assert b.facts.index(over) < next(n for n, f in enumerate(b.facts) if isinstance(f, words.TransactionStarted))


@ALL
@pytest.mark.requirement("LC-140")
def test_a_session_of_somebody_else_elsewhere_ends_nothing(bench: Any, version: OcppVersion) -> None:
    b = bench(version, evses=(1, 2))
    reserve(b, evse=2)
    reserve(b, evse=0, number=8, tag="second")
    b.facts.clear()
    start(b, 1, "third")
    assert told(b) == []


@ALL
@pytest.mark.requirement("LC-078")
def test_a_remote_start_that_the_station_takes_lets_a_session_be_expected_and_the_session_ends_that(
    bench: Any, version: OcppVersion
) -> None:
    b = bench(version, evses=(1, 2))
    remote_start(b)
    (expected,) = told(b)
    assert (expected.evse, expected.by, expected.lasts_s, expected.id_token) == (0, Foretold.REMOTE_START, 600.0, CARD)
    b.facts.clear()
    start(b, 2, CARD, remote=3)
    assert told(b) == [ExpectationOver(0, expected.key)]


@ALL
@pytest.mark.requirement("LC-078")
def test_one_that_brings_a_profile_is_told_as_well(bench: Any, version: OcppVersion) -> None:
    """The profile stays with the gateway, the start goes on without it."""
    b = bench(version, evses=(1, 2))
    b.boot()
    periods = [{"startPeriod": 0, "limit": 10.0}]
    profile = {"stackLevel": 0, "chargingProfilePurpose": "TxProfile", "chargingProfileKind": "Relative"}
    if version is OcppVersion.V16:
        schedule = {"chargingRateUnit": "A", "chargingSchedulePeriod": periods}
        profile |= {"chargingProfileId": 4, "chargingSchedule": schedule}
        b.from_csms("RemoteStartTransaction", {"connectorId": 1, "idTag": CARD, "chargingProfile": profile})
    else:
        schedule = {"id": 4, "chargingRateUnit": "A", "chargingSchedulePeriod": periods}
        profile |= {"id": 4, "chargingSchedule": [schedule]}
        whose = {"remoteStartId": 3, "idToken": id_token(CARD)}
        b.from_csms("RequestStartTransaction", {"evseId": 1, "chargingProfile": profile} | whose)
    assert [(one.evse, one.by) for one in told(b)] == [(1, Foretold.REMOTE_START)]


@ALL
@pytest.mark.requirement("LC-078")
def test_a_remote_start_that_is_refused_or_meets_a_running_transaction_lets_nothing_be_expected(
    bench: Any, version: OcppVersion
) -> None:
    b = bench(version, evses=(1, 2))
    b.boot()
    b.station["RemoteStartTransaction"] = b.station["RequestStartTransaction"] = {"status": "Rejected"}
    remote_start(b, evse=1)
    b.station["RemoteStartTransaction"] = b.station["RequestStartTransaction"] = {"status": "Accepted"}
    start(b, 1, "cable first")
    remote_start(b, evse=1)
    assert told(b) == []


@ALL
@pytest.mark.requirement("LC-078")
def test_a_session_that_is_told_before_the_answer_to_its_remote_start_is_not_waited_for(
    bench: Any, version: OcppVersion
) -> None:
    b = bench(version, evses=(1, 2))
    b.boot()

    def begins_first(_request: Payload) -> Payload:
        start(b, 2, CARD, remote=3)
        return {"status": "Accepted"}

    b.station["RemoteStartTransaction"] = b.station["RequestStartTransaction"] = begins_first
    remote_start(b)
    assert [fact.evse for fact in b.facts if isinstance(fact, words.TransactionStarted)] == [2]
    assert told(b) == []


@V2
@pytest.mark.requirement("LC-078")
def test_whose_transaction_it_is_may_be_known_later(bench: Any, version: OcppVersion) -> None:
    b = bench(version, evses=(1, 2))
    remote_start(b)
    b.transaction_event("Started", "9", evse={"id": 1})
    b.facts.clear()
    b.transaction_event("Updated", "9", info={"remoteStartId": 3}, idToken=id_token(CARD))
    assert told(b) == [ExpectationOver(0, "start 3")]


@ALL
@pytest.mark.requirement("LC-078", "LC-140")
def test_who_has_reserved_and_is_let_in_by_the_csms_is_one_car(bench: Any, version: OcppVersion) -> None:
    b = bench(version, evses=(1, 2))
    reserve(b, evse=1)
    remote_start(b, evse=1)
    over, expected = told(b)[1:]
    assert over == ExpectationOver(1, "reservation 7")
    assert expected.by is Foretold.REMOTE_START


@ALL
@pytest.mark.requirement("LC-140")
def test_a_reservation_outlives_the_connection_and_its_use_is_recognised_after_it(
    bench: Any, version: OcppVersion
) -> None:
    b: Bench = bench(version)
    reserve(b, evse=0)
    b.proxy.closed(Peer.STATION, b.now, 1006)
    b.proxy, b.smart = station_proxy("CP", version, b.settings, b.smart.state)
    b._do(b.proxy.connected(b.now))
    b.facts.clear()
    start(b, 1, CARD)
    assert told(b) == [ExpectationOver(0, "reservation 7")]


@ALL
@pytest.mark.requirement("LC-146", "LC-140")
def test_a_driver_who_is_forgotten_is_not_named_by_a_reservation_any_more(bench: Any, version: OcppVersion) -> None:
    b = bench(version, evses=(1, 2))
    reserve(b, evse=0)
    assert CARD in repr(b.smart.state)
    b.smart.state.forget_driver(CARD.lower())
    assert CARD not in repr(b.smart.state)
    b.facts.clear()
    start(b, 1, "other", reservation=7)
    assert told(b) == [ExpectationOver(0, "reservation 7")], "its id is no driver's"


@ALL
def test_endless_reservations_do_not_fill_the_memory(bench: Any, version: OcppVersion) -> None:
    b = bench(version, evses=(1, 2))
    for number in range(200):
        reserve(b, evse=0, number=number, tag=f"T{number}")
    assert len(b.smart.state.expected._waiting) == 32
    over = {fact.key for fact in told(b) if isinstance(fact, ExpectationOver)}
    assert over == {f"reservation {number}" for number in range(200 - 32)}, "so the site forgets them too"


@ALL
@pytest.mark.requirement("LC-020")
def test_an_unreadable_reservation_passes(bench: Any, version: OcppVersion) -> None:
    b = bench(version, evses=(1, 2))
    b.station["ReserveNow"] = {"status": "Accepted"}
    assert b.from_csms("ReserveNow", {"id": "x", "reservationId": "x", "connectorId": [], "idToken": 1}) == {
        "status": "Accepted"
    }
    assert told(b) == []
    assert [note.event for note in b.notes] == ["schema_broken", "unreadable_payload"]


def test_its_end_is_in_the_clock_of_the_csms(bench: Any) -> None:
    """Which the station follows; ours is ten minutes behind."""
    b = bench(OcppVersion.V16)
    b.csms_ahead_s = 600.0
    b.boot()
    reserve(b, minutes=90)
    assert told(b)[0].lasts_s == pytest.approx(4800.0, abs=2.0)


# --- schedules of cars ---------------------------------------------------------------------------------------------


def car_says(b: Any, *periods: Payload, unit: str = "A", **more: Any) -> list[Any]:
    schedule = {"id": 1, "chargingRateUnit": unit, "chargingSchedulePeriod": list(periods)} | more
    b.facts.clear()
    b.from_station(
        "NotifyEVChargingSchedule", {"timeBase": "2026-06-01T12:00:00Z", "evseId": 1, "chargingSchedule": schedule}
    )
    return [fact.schedule for fact in b.facts if isinstance(fact, words.CarPlans)]


def at(minutes: float) -> datetime:
    return NOON + timedelta(minutes=minutes)


@V2
@pytest.mark.requirement("LC-148")
def test_what_a_car_says_it_will_draw_is_told_until_its_schedule_ends(bench: Any, version: OcppVersion) -> None:
    b = bench(version, evses=(1, 2))
    periods = {"startPeriod": 0, "limit": 16.0}, {"startPeriod": 1800, "limit": 0}
    assert car_says(b, *periods, duration=7200) == [Schedule(((at(0), 16.0), (at(30), 0.0), (at(120), None)))]
    assert car_says(b, *periods) == [Schedule(((at(0), 16.0), (at(30), 0.0)))]
    assert b.sent[Peer.CSMS][-1].payload["chargingSchedule"]["chargingSchedulePeriod"] == list(periods)


@V2
@pytest.mark.requirement("LC-148")
def test_watts_may_flow_on_one_phase_unless_the_car_says_on_how_many(bench: Any, version: OcppVersion) -> None:
    b = bench(version, evses=(1, 2))
    told_a = car_says(
        b, {"startPeriod": 0, "limit": 2070.0}, {"startPeriod": 60, "limit": 2070.0, "numberPhases": 3}, unit="W"
    )
    assert told_a == [Schedule(((at(0), 10.0), (at(1), 2070.0 / 3 / 207.0)))]


@pytest.mark.requirement("LC-148")
def test_a_car_that_may_discharge_says_no_bound(bench: Any) -> None:
    b = bench(OcppVersion.V21)
    period = {"startPeriod": 0, "operationMode": "CentralSetpoint", "setpoint": -3000.0}
    assert car_says(b, period, unit="W") == [Schedule()]


@V2
@pytest.mark.requirement("LC-020", "LC-148")
def test_an_unreadable_schedule_of_a_car_passes(bench: Any, version: OcppVersion) -> None:
    b = bench(version, evses=(1, 2))
    assert car_says(b, {"startPeriod": 60, "limit": 1.0}, {"startPeriod": 0, "limit": 1.0}) == []
    assert car_says(b) == []
    assert [note.event for note in b.notes if note.fields.get("kind") != "CALLRESULT"] == [
        *("unreadable_payload", "schema_broken", "unreadable_payload")
    ]
    assert len(b.sent[Peer.CSMS]) == 2


@ALL
@pytest.mark.requirement("LC-020")
def test_a_transaction_with_an_odd_reservation_is_followed_all_the_same(bench: Any, version: OcppVersion) -> None:
    b = bench(version)
    start(b, 1, CARD, reservation="none")
    assert [fact.transaction_id for fact in b.facts if isinstance(fact, words.TransactionStarted)] == ["9"]
