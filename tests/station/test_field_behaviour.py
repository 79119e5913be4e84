"""Oddities of running products that have nothing to do with limits: everything goes on, and nobody is told a lie.

How meters spell is in test_meter_values, what is not JSON or no OCPP-J in test_bad_company and the transcripts.
"""

from __future__ import annotations

from typing import Any

import pytest

from local_controller.rpc import frame as rpc
from local_controller.station.effects import Peer
from local_controller.station.words import LimitOutcome, Measured, OcppVersion, TransactionStarted
from tests.station.conftest import stamp

V16, V201, V21 = OcppVersion
Payload = dict[str, Any]


def heard(b: Any, action: str) -> list[Payload]:
    return [frame.payload for frame in b.calls_to(Peer.CSMS, action)]


def sample(at: str, amps: str = "9.0", transaction: int = 7) -> Payload:
    values = [{"value": amps, "measurand": "Current.Import", "phase": f"L{n}"} for n in (1, 2, 3)]
    meter_value = [{"timestamp": at, "sampledValue": values}]
    return {"connectorId": 1, "transactionId": transaction, "meterValue": meter_value}


def limited(b: Any, limit_a: float) -> bool:
    """Whether the running transaction can be told a limit."""
    b.set_limit(limit_a)
    return b.outcomes()[-1] == (LimitOutcome.ACCEPTED, limit_a)


COMPOSITES: list[tuple[str, OcppVersion, Payload]] = [
    (
        "a long fraction (EVerest libocpp)",
        V16,
        {
            "status": "Accepted",
            "connectorId": 1,
            "scheduleStart": "2026-06-01T12:00:00Z",
            "chargingSchedule": {
                "duration": 600,
                "chargingRateUnit": "A",
                "chargingSchedulePeriod": [{"startPeriod": 0, "limit": 10.724637985229492}],
            },
        },
    ),
    (
        "-1 for no limit and no phases (MicroOcpp)",
        V16,
        {
            "status": "Accepted",
            "connectorId": 1,
            "scheduleStart": "2026-06-01T12:00:00Z",
            "chargingSchedule": {
                "duration": 600,
                "chargingRateUnit": "W",
                "chargingSchedulePeriod": [{"startPeriod": 0, "limit": -1, "numberPhases": -1}],
            },
        },
    ),
    (
        "no periods, another unit and 270,000 years (SAP simulator)",
        V16,
        {
            "status": "Accepted",
            "connectorId": 1,
            "chargingSchedule": {
                "duration": 8638204663973,
                "chargingRateUnit": "W",
                "chargingSchedulePeriod": [],
            },
        },
    ),
    ("accepted without a schedule (solidstudio)", V16, {"status": "Accepted"}),
    ("accepted without a schedule (solidstudio)", V201, {"status": "Accepted"}),
    (
        "limits of single phases (EVerest libocpp)",
        V21,
        {
            "status": "Accepted",
            "schedule": {
                "evseId": 0,
                "duration": 600,
                "scheduleStart": "2026-06-01T12:00:00Z",
                "chargingRateUnit": "A",
                "chargingSchedulePeriod": [{"startPeriod": 0, "limit": 10.7, "limit_L2": 9.1, "limit_L3": 8.2}],
            },
        },
    ),
]


@pytest.mark.requirement("LC-020")
@pytest.mark.parametrize(("_", "version", "answer"), COMPOSITES, ids=[f"{one[0]} {one[1]}" for one in COMPOSITES])
def test_an_odd_composite_schedule_costs_neither_the_connection_nor_the_next_limit(
    bench: Any, _: str, version: OcppVersion, answer: Payload
) -> None:
    b = bench(version)
    b.unchecked = frozenset({"GetCompositeSchedule"})
    b.station["GetCompositeSchedule"] = answer
    b.boot()
    b.start()
    b.wait(60.0)
    asked = {"connectorId": 1} if version is V16 else {"evseId": 1}
    said = b.from_csms("GetCompositeSchedule", {"duration": 600, "chargingRateUnit": "A"} | asked)
    assert said is not None
    assert b.closes == []
    assert limited(b, 9.0)


@pytest.mark.requirement("LC-019")
@pytest.mark.parametrize("version", [V16, V201])
def test_an_action_that_no_standard_knows_passes_and_is_answered(bench: Any, version: OcppVersion) -> None:
    """MicroOcpp sends a CustomOperation."""
    b = bench(version)
    b.csms["CustomOperation"] = {"custom": True}
    b.boot()
    (answer,) = b.calls(Peer.STATION, "CustomOperation", {"anything": [1]})
    assert answer.payload == {"custom": True}
    assert heard(b, "CustomOperation") == [{"anything": [1]}]


def test_both_ends_may_use_the_same_message_id(bench: Any) -> None:
    """The examples of ocpp-go begin with the same id on both sides in every run."""
    b = bench(V16)
    b.station["Reset"] = b.csms["Heartbeat"] = None  # nobody has answered yet
    b.boot()
    for peer, action, payload in ((Peer.STATION, "Heartbeat", {}), (Peer.CSMS, "Reset", {"type": "Soft"})):
        b._do(b.proxy.receive(peer, rpc.call("2596996162", action, payload).text, b.now))
    now = {"currentTime": stamp(b.now)}
    b._do(b.proxy.receive(Peer.CSMS, rpc.result("2596996162", now).text, b.now))
    b._do(b.proxy.receive(Peer.STATION, rpc.result("2596996162", {"status": "Accepted"}).text, b.now))
    assert b.sent[Peer.STATION][-1].payload == now
    assert b.sent[Peer.CSMS][-1].payload == {"status": "Accepted"}


def test_a_station_that_reports_its_connectors_before_it_was_accepted_is_heard(bench: Any) -> None:
    """Solidstudio's virtual charge point does not wait for the answer to its boot."""
    b = bench(V16)
    b.csms["BootNotification"] = None  # it takes its time
    b.boot()
    (boot,) = b.calls_to(Peer.CSMS, "BootNotification")
    b.from_station("StatusNotification", {"connectorId": 1, "errorCode": "NoError", "status": "Available"})
    assert heard(b, "StatusNotification") == []  # one after another
    b.wait(5.0)
    accepted = {"currentTime": stamp(b.now), "interval": 300, "status": "Accepted"}
    b._do(b.proxy.receive(Peer.CSMS, rpc.result(boot.message_id, accepted).text, b.now))
    assert len(heard(b, "StatusNotification")) == 1
    assert b.own_profiles()
    assert b.closes == []


@pytest.mark.requirement("LC-079")
def test_a_closing_sample_after_the_end_of_a_transaction_revives_nothing(bench: Any) -> None:
    """Ocular sends MeterValues after StopTransaction."""
    b = bench(V16)
    b.boot()
    b.start()
    b.stop()
    b.from_station("MeterValues", sample(stamp(b.now)))
    assert heard(b, "MeterValues")
    assert b.smart.state.transactions == {}
    assert len([fact for fact in b.facts if isinstance(fact, TransactionStarted)]) == 1


def test_samples_from_1970_are_passed_on_and_those_after_the_clock_was_set_count(bench: Any) -> None:
    """Tinkerforge's tfocpp dates its first samples before it knows the time."""
    b = bench(V16)
    b.boot()
    b.start()
    b.from_station("MeterValues", sample("1970-01-01T00:00:07Z", "31.0"))
    b.wait(20.0)
    b.from_station("MeterValues", sample(stamp(b.now), "8.0"))
    b.wait(5.0)
    assert len(heard(b, "MeterValues")) == 2
    latest = [fact.sample for fact in b.facts if isinstance(fact, Measured)][-1]
    assert set(latest.current_a.values()) == {8.0}
    assert limited(b, 9.0)


@pytest.mark.parametrize("version", [V201, V21])
def test_a_reported_profile_that_ends_in_2262_is_read(bench: Any, version: OcppVersion) -> None:
    """EVerest's libocpp reports an end that nobody has set."""
    b = bench(version)
    b.boot()
    profile = b.csms_profile("TxDefaultProfile", 12.0, 5, validTo="2262-04-11T23:47:16.854Z")
    b.foreign = [(1, "EMS", profile)]
    b.from_csms("GetChargingProfiles", {"requestId": 3, "chargingProfile": {}})
    assert b.closes == []
    told = [one["id"] for report in heard(b, "ReportChargingProfiles") for one in report["chargingProfile"]]
    assert told == [5]


def test_a_key_that_needs_a_restart_to_take_effect_is_not_asked_for_again(bench: Any) -> None:
    """RebootRequired passes as the station says it (tfocpp, Mennekes)."""
    b = bench(V16)
    b.station["ChangeConfiguration"] = {"status": "RebootRequired"}
    b.boot()
    said = b.from_csms("ChangeConfiguration", {"key": "MeterValuesSampledData", "value": "Current.Import"})
    assert said == {"status": "RebootRequired"}
    assert len(b.calls_to(Peer.STATION, "ChangeConfiguration")) == 1
