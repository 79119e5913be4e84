"""Is what was learnt about a station still known after a restart of the gateway, and forgotten with its firmware?"""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import msgspec
import pytest

from local_controller.profiles.units import RateUnit
from local_controller.station.announcements import CapabilityLearnt
from local_controller.station.capability import How
from local_controller.station.capability_view import capability_view
from local_controller.station.effects import Peer
from local_controller.station.knowledge import Actuator, Knowledge
from local_controller.station.remembered import Remembered
from local_controller.station.words import LimitOutcome, OcppVersion
from tests.station.conftest import stamp
from tests.station.test_rungs import answers, disobeys, limits, rung_of, tried

ALL = pytest.mark.parametrize("version", list(OcppVersion))
REQUIREMENT = pytest.mark.requirement("LC-105")


def remembered(b: Any) -> Remembered:
    """What was told last, as it comes back from a file."""
    found = [fact.remembered for fact in b.facts if isinstance(fact, CapabilityLearnt)][-1]
    return msgspec.json.decode(msgspec.json.encode(found), type=Remembered)


def boots(b: Any, firmware: str) -> None:
    if b.version is OcppVersion.V16:
        who = {"chargePointVendor": "Acme", "chargePointModel": "One", "firmwareVersion": firmware}
        b.from_station("BootNotification", who)
    else:
        station = {"vendorName": "Acme", "model": "One", "firmwareVersion": firmware}
        b.from_station("BootNotification", {"reason": "PowerUp", "chargingStation": station})


def only_defaults_in_watts(payload: dict[str, Any]) -> bool:
    return rung_of(payload)[:2] == ("TxDefaultProfile", "W")


def learnt(bench: Any, version: OcppVersion) -> Remembered:
    b = bench(version)
    b.accepts = only_defaults_in_watts
    boots(b, "1.0")
    b.start()
    b.wait(3)  # by then it knows its transaction
    b.set_limit(16.0)
    assert tried(b)[-1][:2] == ("TxDefaultProfile", "W")
    assert len(tried(b)) > 2
    return remembered(b)


@ALL
@REQUIREMENT
@pytest.mark.parametrize("is_boot", [True, False])
def test_after_a_restart_it_begins_where_it_left_off(bench: Any, version: OcppVersion, is_boot: bool) -> None:
    b = bench(version, remembered=learnt(bench, version))
    b.accepts = only_defaults_in_watts
    if is_boot:
        boots(b, "1.0")
    else:
        b.from_station("Heartbeat", {})
    b.start()
    b.set_limit(16.0)
    assert {rung[:2] for rung in tried(b)} == {("TxDefaultProfile", "W")}
    assert b.smart.state.capability.belief("units").origin.how is How.ACCEPTED


@ALL
@REQUIREMENT
def test_other_firmware_is_learnt_anew(bench: Any, version: OcppVersion) -> None:
    b = bench(version, remembered=learnt(bench, version))
    boots(b, "1.1")
    b.start()
    b.set_limit(16.0)
    assert [rung[:2] for rung in tried(b)] == [("TxDefaultProfile", "A"), ("TxProfile", "A")]


@ALL
@REQUIREMENT
def test_what_the_site_file_says_by_now_beats_what_was_learnt(bench: Any, version: OcppVersion) -> None:
    mine = Knowledge(actuators=(Actuator.TX_PROFILE,), unit=RateUnit.A)
    b = bench(version, remembered=learnt(bench, version), knowledge=mine)
    boots(b, "1.0")
    b.start()
    b.set_limit(16.0)
    assert [rung[:2] for rung in tried(b)] == [("TxDefaultProfile", "A"), ("TxProfile", "A")]
    boots(b, "1.1")
    assert b.smart.state.capability.actuators == (Actuator.TX_PROFILE,), "also with other firmware"


@ALL
@REQUIREMENT
def test_what_was_without_effect_is_not_tried_first_again(bench: Any, version: OcppVersion) -> None:
    b = bench(version)
    boots(b, "1.0")
    b.start()
    b.set_limit(10.0, valid_s=3600)
    disobeys(b, 16.0, times=5)
    assert ("TxProfile", "A", "Relative") in [rung[:3] for rung in tried(b)]
    c = bench(version, remembered=remembered(b))
    boots(c, "1.0")
    c.start()
    c.set_limit(10.0)
    assert tried(c)[-1][:3] == ("TxProfile", "A", "Relative")


@ALL
@pytest.mark.requirement("LC-113")
def test_the_writes_of_a_day_are_not_forgotten(bench: Any, version: OcppVersion) -> None:
    tight = Knowledge(writes_per_day=5)
    b = bench(version, knowledge=tight)
    boots(b, "1.0")
    b.start()
    b.set_limit(10.0)
    later = remembered(b).due_s(b.now.after(100))
    assert later == pytest.approx(b.smart.state.writes.due_s)
    c = bench(version, knowledge=tight, remembered=remembered(b), writes_due_s=later)
    boots(c, "1.0")
    before = len(c.calls_to(Peer.STATION, "SetChargingProfile"))
    c.start()
    c.set_limit(10.0)
    assert len(c.calls_to(Peer.STATION, "SetChargingProfile")) == before


@ALL
@REQUIREMENT
def test_people_see_what_is_believed_how_it_was_learnt_and_when(bench: Any, version: OcppVersion) -> None:
    b = bench(version, knowledge=Knowledge(settle_s=60.0))
    b.accepts = only_defaults_in_watts
    boots(b, "1.0")
    b.start()
    b.wait(3)  # by then it knows its transaction
    b.set_limit(16.0)
    shown = capability_view(b.smart.state)
    assert (shown["version"], shown["product"]) == (str(version), "Acme One 1.0")
    assert shown["way"] == "tx_default in W, absolute, at the evse"
    believed = {one["what"]: (one["value"], one["learnt"], one["at"]) for one in shown["beliefs"]}
    assert believed["units"] == ("W, A", "accepted", "2026-06-01T12:00:00+00:00")
    assert believed["settle_s"] == ("60", "site file", None)
    assert "levels_a" not in believed, "a default"
    assert shown["writes"] == {"reductions": 3, "others": 3}
    assert not shown["obeys_nothing"]


@pytest.mark.requirement("LC-113")
def test_a_clock_that_was_years_ahead_stops_no_write_for_longer_than_a_day(bench: Any) -> None:
    b = bench(OcppVersion.V16, knowledge=Knowledge(writes_per_day=5))
    boots(b, "1.0")
    ahead = msgspec.structs.replace(remembered(b), paid_off=b.now.utc + timedelta(days=4000))
    assert ahead.due_s(b.now) == b.now.monotonic_s + 86_400


@ALL
@pytest.mark.requirement("LC-108", "LC-113")
def test_what_an_earlier_run_has_told_a_transaction_is_lowered_although_nothing_is_left_of_the_budget(
    bench: Any, version: OcppVersion
) -> None:
    """Such a limit lasts for an hour; the transaction is first heard of when the gateway is back."""
    c = bench(version, knowledge=Knowledge(writes_per_day=25))
    c.smart.state.writes.due_s = c.now.monotonic_s + 86_400.0
    c.from_station("Heartbeat", {})
    found_running(c)
    c.set_limit(10.0)
    assert limits(c)[-1] == [10.0]
    c.set_limit(12.0)
    assert answers(c)[-1].outcome is LimitOutcome.POSTPONED, "from now on it is known what holds"


def found_running(b: Any) -> None:
    if b.version is OcppVersion.V16:
        sampled = [{"value": "16.0", "measurand": "Current.Import", "phase": "L1"}]
        value = {"timestamp": stamp(b.now), "sampledValue": sampled}
        b.from_station("MeterValues", {"connectorId": 1, "transactionId": 7, "meterValue": [value]})
    else:
        b.transaction_event("Updated", "7", evse={"id": 1})
