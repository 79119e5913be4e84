"""What does the site learn of a station, whatever its version? Stories of boot, connectors, transactions and needs."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from local_controller.station import words
from local_controller.station.effects import Peer
from local_controller.station.words import ChargingState, ConnectorStatus, OcppVersion, Phase, RegistrationStatus

ALL = pytest.mark.parametrize("version", list(OcppVersion))
V2 = pytest.mark.parametrize("version", [OcppVersion.V201, OcppVersion.V21])


def told(b: Any, kind: type) -> list[Any]:
    return [fact for fact in b.facts if isinstance(fact, kind)]


@ALL
def test_a_boot_tells_who_it_is_and_what_the_csms_thinks(bench: Any, version: OcppVersion) -> None:
    b = bench(version)
    b.boot("Acme", "One")
    assert told(b, words.Booted) == [words.Booted("Acme", "One", "", "", RegistrationStatus.ACCEPTED)]


@ALL
def test_of_an_endless_name_only_the_beginning_is_kept_and_all_is_relayed(bench: Any, version: OcppVersion) -> None:
    b = bench(version)
    b.boot("Alfen" + "x" * 2**17, "y" * 2**17)
    assert len(b.sent[Peer.CSMS][0].text) > 2**18
    (booted,) = told(b, words.Booted)
    assert (booted.vendor, booted.model) == ("Alfen" + "x" * 250, "y" * 255)
    assert [note.fields["name"] for note in b.notes if note.event == "known_product"] == ["Alfen Eve"]


@ALL
@pytest.mark.requirement("LC-040")
def test_the_boot_answer_goes_before_our_own_calls(bench: Any, version: OcppVersion) -> None:
    b = bench(version)
    b.boot()
    assert b.sent[Peer.STATION][0].message_id == "station1"
    assert len(b.sent[Peer.STATION]) > 1


@pytest.mark.parametrize(
    ("status", "meaning"),
    [
        ("Available", (ConnectorStatus.AVAILABLE, ChargingState.IDLE)),
        ("Preparing", (ConnectorStatus.OCCUPIED, ChargingState.EV_CONNECTED)),
        ("Charging", (ConnectorStatus.OCCUPIED, ChargingState.CHARGING)),
        ("SuspendedEV", (ConnectorStatus.OCCUPIED, ChargingState.SUSPENDED_EV)),
        ("SuspendedEVSE", (ConnectorStatus.OCCUPIED, ChargingState.SUSPENDED_EVSE)),
        ("Finishing", (ConnectorStatus.OCCUPIED, ChargingState.EV_CONNECTED)),
        ("Reserved", (ConnectorStatus.RESERVED, None)),
        ("Unavailable", (ConnectorStatus.UNAVAILABLE, None)),
        ("Faulted", (ConnectorStatus.FAULTED, None)),
    ],
)
@pytest.mark.requirement("LC-073")
def test_the_nine_states_of_1_6(bench: Any, status: str, meaning: tuple[ConnectorStatus, ChargingState | None]) -> None:
    b = bench(OcppVersion.V16)
    b.from_station("StatusNotification", {"connectorId": 2, "errorCode": "NoError", "status": status})
    b.from_station("StatusNotification", {"connectorId": 0, "errorCode": "NoError", "status": status})
    assert told(b, words.ConnectorChanged) == [words.ConnectorChanged(2, 1, *meaning)]


@V2
def test_the_states_of_2_x(bench: Any, version: OcppVersion) -> None:
    b = bench(version)
    b.from_station(
        "StatusNotification", {"evseId": 1, "connectorId": 2, "connectorStatus": "Occupied", "timestamp": "x"}
    )
    assert told(b, words.ConnectorChanged) == [words.ConnectorChanged(1, 2, ConnectorStatus.OCCUPIED)]


def test_an_unreadable_state_is_relayed_and_noted(bench: Any) -> None:
    b = bench()
    b.from_station("StatusNotification", {"connectorId": 1, "status": "Sleepy"})
    assert b.calls_to(Peer.CSMS, "StatusNotification")
    assert b.notes[-1].event == "unreadable_payload"


@ALL
def test_a_transaction_from_begin_to_end(bench: Any, version: OcppVersion) -> None:
    b = bench(version, evses=(1, 2))
    b.start(7, evse=2, tag="TAG")
    b.stop(7)
    started, ended = told(b, words.TransactionStarted), told(b, words.TransactionEnded)
    assert started == [words.TransactionStarted(2, "7", "TAG")]
    assert ended == [words.TransactionEnded(2, "7")]


@ALL
def test_what_was_told_late_says_how_long_ago_it_was(bench: Any, version: OcppVersion) -> None:
    """A station without a connection keeps its messages (K01.FR.42)."""
    b = bench(version)
    b.boot()
    b.start_earlier(7200.0)
    b.stop(ago_s=3600.0)
    (started,), (ended,) = told(b, words.TransactionStarted), told(b, words.TransactionEnded)
    assert (started.ago_s, ended.ago_s) == (pytest.approx(7200.0, abs=1), pytest.approx(3600.0, abs=1))


@V2
def test_whose_transaction_it_is_may_be_told_after_the_cable_was_plugged_in(bench: Any, version: OcppVersion) -> None:
    b = bench(version)
    b.boot()
    b.transaction_event("Started", "t", evse={"id": 1})
    b.transaction_event("Updated", "t", info={"chargingState": "EVConnected"})
    for tag in ("TAG", "TAG", "OTHER"):
        b.transaction_event("Updated", "t", idToken={"idToken": tag, "type": "Local"})
    assert told(b, words.TransactionStarted) == [words.TransactionStarted(1, "t")]
    assert told(b, words.Authorized) == [words.Authorized(1, "t", "TAG")]


def test_1_6_the_id_is_known_with_the_answer_only(bench: Any) -> None:
    b = bench()
    b.csms["StartTransaction"] = None
    head = {"connectorId": 1, "idTag": "TAG", "meterStart": 0, "timestamp": "2026-06-01T12:00:00Z"}
    b.from_station("StartTransaction", head)
    assert not told(b, words.TransactionStarted)
    b.csms["StartTransaction"] = "InternalError"
    b.wait(31)
    b.from_station("StartTransaction", head)
    assert not told(b, words.TransactionStarted)
    b.start(12)
    assert told(b, words.TransactionStarted) == [words.TransactionStarted(1, "12", "TAG")]


def test_1_6_meter_values_name_a_transaction_that_began_unseen_but_do_not_revive_one(bench: Any) -> None:
    b = bench()
    values = [{"timestamp": "2026-06-01T12:00:00Z", "sampledValue": [{"value": "5"}]}]
    for transaction_id in (-1, 0, 7, 7):
        b.from_station("MeterValues", {"connectorId": 1, "transactionId": transaction_id, "meterValue": values})
    assert told(b, words.TransactionStarted) == [words.TransactionStarted(1, "7", is_found=True)]
    b.stop(7)
    b.from_station("MeterValues", {"connectorId": 1, "transactionId": 7, "meterValue": values})
    assert len(told(b, words.TransactionStarted)) == 1
    b.set_limit(16.0)
    assert b.outcomes()[-1][0] is words.LimitOutcome.DROPPED


@V2
@pytest.mark.requirement("LC-073")
def test_2_x_the_first_event_names_the_evse_and_later_ones_follow(bench: Any, version: OcppVersion) -> None:
    b = bench(version, evses=(1, 2))
    b.transaction_event("Started", "t1", evse={"id": 2}, info={"chargingState": "EVConnected"})
    values = [{"value": 16.0, "measurand": "Current.Import", "phase": "L1"}]
    meter = [{"timestamp": "2026-06-01T12:00:00Z", "sampledValue": values}]
    b.transaction_event("Updated", "t1", info={"chargingState": "Charging"}, meterValue=meter)
    b.transaction_event("Updated", "t1", info={"chargingState": "Charging"})
    updates = told(b, words.TransactionUpdated)
    assert [(fact.evse, fact.charging_state) for fact in updates] == [
        (2, ChargingState.EV_CONNECTED),
        (2, ChargingState.CHARGING),
    ]
    (measured,) = told(b, words.Measured)
    assert (measured.evse, measured.sample.current_a) == (2, {Phase.L1: 16.0})


@V2
def test_2_x_a_transaction_that_began_unseen_belongs_to_the_only_evse(bench: Any, version: OcppVersion) -> None:
    event = {
        "eventType": "Updated",
        "timestamp": "2026-03-02T08:00:00Z",
        "triggerReason": "MeterValuePeriodic",
        "seqNo": 7,
        "transactionInfo": {"transactionId": "old", "chargingState": "Charging"},
    }
    one, two = bench(version), bench(version, evses=(1, 2))
    one.from_station("TransactionEvent", event)
    two.from_station("TransactionEvent", event)
    assert told(one, words.TransactionStarted) == [words.TransactionStarted(1, "old", None, is_found=True)]
    assert told(two, words.TransactionStarted) == []


@V2
def test_2_x_replayed_events_are_no_measurements(bench: Any, version: OcppVersion) -> None:
    b = bench(version)
    values = [{"value": 16.0, "measurand": "Current.Import", "phase": "L1"}]
    meter = [{"timestamp": "2026-06-01T10:00:00Z", "sampledValue": values}]
    b.transaction_event("Started", "t1", evse={"id": 1}, meterValue=meter, offline=True)
    assert told(b, words.TransactionStarted)
    assert not told(b, words.Measured)


@ALL
def test_a_new_transaction_ends_one_that_never_said_goodbye(bench: Any, version: OcppVersion) -> None:
    b = bench(version)
    b.start(7)
    b.start(8)
    assert told(b, words.TransactionEnded) == [words.TransactionEnded(1, "7")]
    assert told(b, words.TransactionStarted)[-1].transaction_id == "8"


@ALL
@pytest.mark.requirement("LC-075")
def test_the_main_meter_is_not_a_session(bench: Any, version: OcppVersion) -> None:
    b = bench(version)
    b.meter([50.0, 50.0, 50.0], evse=0)
    assert not told(b, words.Measured)
    b.meter([5.0, 6.0, 7.0], evse=1)
    (measured,) = told(b, words.Measured)
    assert measured.sample.current_a == {Phase.L1: 5.0, Phase.L2: 6.0, Phase.L3: 7.0}
    assert measured.sample.taken_at == datetime(2026, 6, 1, 12, tzinfo=UTC)


@V2
@pytest.mark.requirement("LC-148")
def test_needs_are_told_with_a_departure_on_our_clock(bench: Any, version: OcppVersion) -> None:
    b = bench(version)
    b.csms_ahead_s = 600.0
    b.boot()
    parameters = {"energyAmount": 20000, "evMinCurrent": 6, "evMaxCurrent": 32, "evMaxVoltage": 230}
    needs = {"requestedEnergyTransfer": "AC_three_phase", "departureTime": "2026-06-01T18:10:00Z"}
    payload = {"evseId": 1, "chargingNeeds": needs | {"acChargingParameters": parameters}}
    b.from_station("NotifyEVChargingNeeds", payload)
    assert told(b, words.NeedsKnown) == [words.NeedsKnown(1, 20000.0, datetime(2026, 6, 1, 18, tzinfo=UTC))]


def test_2_1_a_bidirectional_session_states_its_target(bench: Any) -> None:
    b = bench(OcppVersion.V21)
    needs = {"requestedEnergyTransfer": "AC_BPT", "v2xChargingParameters": {"evTargetEnergyRequest": 15000}}
    b.from_station("NotifyEVChargingNeeds", {"evseId": 1, "chargingNeeds": needs})
    assert told(b, words.NeedsKnown) == [words.NeedsKnown(1, 15000.0, None)]


V16 = OcppVersion.V16


def two_with_one_id(bench: Any) -> Any:
    """A CSMS that gives the id of the transaction on connector 1 to the one on connector 2 as well."""
    b = bench(V16, evses={1: 6.0, 2: 6.0})
    b.boot()
    b.start(7, evse=1, tag="A")
    b.start(7, evse=2, tag="B")
    return b


def test_an_id_that_is_given_twice_is_a_transaction_on_each_connector(bench: Any) -> None:
    b = two_with_one_id(bench)
    assert [(fact.evse, fact.id_token) for fact in told(b, words.TransactionStarted)] == [(1, "A"), (2, "B")]
    b.set_limit(16.0, evse=1)
    b.set_limit(10.0, evse=2)
    assert (b.in_force_a(evse=1), b.in_force_a(evse=2)) == (16.0, 10.0)


def test_a_stop_of_an_id_that_is_given_twice_ends_both_and_who_goes_on_is_found_again(bench: Any) -> None:
    b = two_with_one_id(bench)
    b.stop(7)
    assert [fact.evse for fact in told(b, words.TransactionEnded)] == [1, 2]
    assert [note.fields for note in b.notes if note.event == "transaction_id_used_twice"] == [{"evses": [1, 2]}]
    value = {"timestamp": "2026-06-01T12:00:00Z", "sampledValue": [{"value": "9.0"}]}
    b.from_station("MeterValues", {"connectorId": 2, "transactionId": 7, "meterValue": [value]})
    assert [fact.evse for fact in told(b, words.TransactionStarted)] == [1, 2, 2]
    b.stop(7)
    b.from_station("MeterValues", {"connectorId": 2, "transactionId": 7, "meterValue": [value]})
    assert [fact.evse for fact in told(b, words.TransactionStarted)] == [1, 2, 2]  # now its end was clear


def test_both_are_found_by_their_meter_values_after_a_restart(bench: Any) -> None:
    b = bench(V16, evses={1: 6.0, 2: 6.0})
    value = {"timestamp": "2026-06-01T12:00:00Z", "sampledValue": [{"value": "9.0"}]}
    for connector in (1, 2, 1, 2):
        b.from_station("MeterValues", {"connectorId": connector, "transactionId": 7, "meterValue": [value]})
    assert [fact.evse for fact in told(b, words.TransactionStarted)] == [1, 2]


def test_an_id_that_ended_is_followed_again_once_it_is_given_again(bench: Any) -> None:
    b = two_with_one_id(bench)
    b.start(8, evse=1)
    b.start(7, evse=1)
    b.stop(7)
    value = {"timestamp": "2026-06-01T12:00:00Z", "sampledValue": [{"value": "9.0"}]}
    b.from_station("MeterValues", {"connectorId": 1, "transactionId": 7, "meterValue": [value]})
    assert [fact.evse for fact in told(b, words.TransactionStarted)] == [1, 2, 1, 1, 1]
