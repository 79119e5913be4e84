"""Does what a station has to clear go, and nothing else? Profiles whose id or purpose the CSMS or the gateway now uses otherwise."""

from __future__ import annotations

from typing import Any

import pytest

from local_controller.rpc import frame as rpc
from local_controller.station.blocks.profile_sets import MOST_OUTDATED
from local_controller.station.effects import Peer
from local_controller.station.knowledge import Actuator, Knowledge
from local_controller.station.words import OcppVersion
from tests.station.test_profile_sharing import clear, max_purpose

ALL = pytest.mark.parametrize("version", list(OcppVersion))


def ids(b: Any) -> list[int]:
    return sorted(entry.profile.id for entry in b.installed)


class Slow:
    """The station keeps the profiles that it is told until `answer`."""

    def __init__(self, b: Any) -> None:
        self.pending: list[rpc.Frame] = []
        self._b, at_once = b, b._receive

        def receive(peer: Peer, frame: rpc.Frame) -> Any:
            if peer is Peer.STATION and frame.action == "SetChargingProfile":
                self.pending.append(frame)
                b.sent[peer].append(frame)
                return []
            return at_once(peer, frame)

        b._receive = receive

    def answer_all(self) -> None:
        while self.pending:
            frame = self.pending.pop(0)
            answer = rpc.result(frame.message_id, self._b._install(frame.payload))
            self._b._do(self._b.proxy.receive(Peer.STATION, answer.text, self._b.now))


def reconnected(bench: Any, b: Any, **settings: Any) -> Any:
    """The line was cut; the station is there again and has said nothing yet."""
    b.proxy.closed(Peer.STATION, b.now)
    again = bench(b.version, known=b.smart.state, **settings)
    again.installed = b.installed
    return again


def moved(b: Any, clear_answer: Any) -> None:
    """A station maximum of 3 A whose id becomes that of a default profile; so the station answers to its clear."""
    assert b.csms_sets(max_purpose(b.version), 3.0, 9, evse=0) == "Accepted"
    b.station["ClearChargingProfile"] = clear_answer
    assert b.csms_sets("TxDefaultProfile", 5.0, 9) == "Accepted"


@ALL
@pytest.mark.requirement("LC-090")
def test_our_clear_is_not_overtaken_by_a_new_profile_under_its_id(bench: Any, version: OcppVersion) -> None:
    b = bench(version)
    b.boot()
    moved(b, None)
    again = reconnected(bench, b)
    slow = Slow(again)
    again.from_station("Heartbeat", {})
    assert again.csms_sets(max_purpose(version), 4.0, 9, evse=0) is None, "it waits"
    slow.answer_all()
    again.wait(20)
    slow.answer_all()
    assert 9 in again.smart.state.store.real
    assert 9 in ids(again)


@ALL
@pytest.mark.requirement("LC-090")
def test_nor_is_it_where_another_write_has_its_turn_first(bench: Any, version: OcppVersion) -> None:
    b = bench(version, evses=(1, 2))
    b.boot()
    b.csms_sets(max_purpose(version), 3.0, 9, evse=0)
    slow = Slow(b)
    assert b.csms_sets("TxDefaultProfile", 5.0, 9, evse=1) is None
    b.set_fallback(2.0, evse=2)
    slow.answer_all()
    b.csms_sets(max_purpose(version), 4.0, 9, evse=0)
    slow.answer_all()
    b.wait(20)
    assert 9 in b.smart.state.store.real
    assert 9 in ids(b)


@ALL
@pytest.mark.requirement("LC-090")
def test_a_new_one_whose_answer_was_lost_is_left_alone(bench: Any, version: OcppVersion) -> None:
    b = bench(version)
    b.boot()
    moved(b, None)
    b.wait(10)
    b.accepts = lambda _payload: None
    assert b.csms_sets(max_purpose(version), 4.0, 9, evse=0) is None
    again = reconnected(bench, b)
    again.from_station("Heartbeat", {})
    assert 9 in ids(again)


@ALL
@pytest.mark.requirement("LC-090")
def test_the_old_one_goes_though_the_station_refused_a_new_one(bench: Any, version: OcppVersion) -> None:
    b = bench(version)
    b.boot()
    moved(b, "InternalError")
    b.station["ClearChargingProfile"] = b._clear
    assert clear(b, id=9) == "Accepted"
    assert 9 in ids(b)
    b.accepts = lambda _payload: False
    assert b.csms_sets(max_purpose(version), 4.0, 9, evse=0) == "Rejected"
    b.accepts = lambda _payload: True
    b.boot()
    assert 9 not in ids(b)


@ALL
@pytest.mark.requirement("LC-090", "LC-093")
@pytest.mark.parametrize("answer", [None, "InternalError"])
def test_one_that_stays_hides_no_lower_one(bench: Any, version: OcppVersion, answer: str | None) -> None:
    b = bench(version, fallback_a=32.0)
    b.boot()
    assert b.csms_sets(max_purpose(version), 5.0, 6, evse=0, stackLevel=2) == "Accepted"
    assert b.csms_sets(max_purpose(version), 30.0, 11, evse=0, stackLevel=3) == "Accepted"
    b.station["ClearChargingProfile"] = answer
    assert b.csms_sets("TxDefaultProfile", 25.0, 11) == "Accepted"
    b.wait(3600)
    assert b.in_force_a() == 5.0


@ALL
@pytest.mark.requirement("LC-093", "LC-117")
@pytest.mark.parametrize("is_taken", [True, False])
def test_our_maximum_leads_though_the_line_was_cut_while_the_first_was_told(
    bench: Any, version: OcppVersion, is_taken: bool
) -> None:
    known = Knowledge(actuators=(Actuator.TX_PROFILE, Actuator.STATION_MAX))
    b = bench(version, knowledge=known)
    b.boot()
    assert b.csms_sets(max_purpose(version), 32.0, 9, evse=0, stackLevel=5) == "Accepted"
    b.start()
    b.accepts = lambda payload: False if "'TxProfile'" in str(payload) else None
    b.set_limit(2.0, 3600.0)
    if is_taken:
        b.accepts = lambda _payload: True
        b._install(b.calls_to(Peer.STATION, "SetChargingProfile")[-1].payload)
    again = reconnected(bench, b, knowledge=known)
    again.accepts = lambda payload: "'TxProfile'" not in str(payload)
    again.from_station("Heartbeat", {})
    again.set_limit(2.0, 3600.0)
    again.wait(30)
    assert again.in_force_a() == 2.0
    assert 9 not in ids(again)


@ALL
@pytest.mark.requirement("LC-092")
def test_where_an_id_moves_to_another_evse_the_csms_waits_for_both(bench: Any, version: OcppVersion) -> None:
    b = bench(version, evses=(1, 2), fallback_a=10.0)
    b.boot()
    b.start()
    b.csms_sets("TxDefaultProfile", 3.0, 5, evse=1, stackLevel=0)
    b.csms_sets("TxDefaultProfile", 8.0, 6, evse=1, stackLevel=1)
    b.set_limit(16.0, 3600.0)
    assert b.in_force_a() == 8.0
    slow = Slow(b)
    assert b.csms_sets("TxDefaultProfile", 32.0, 6, evse=2, stackLevel=1) is None, "EVSE 1 is left with 3 A"
    slow.answer_all()
    assert b.in_force_a() == 3.0
    assert b.sent[Peer.CSMS][-1].payload == {"status": "Accepted"}


@ALL
@pytest.mark.requirement("LC-092")
def test_a_station_that_is_silent_to_clears_keeps_no_other_request_waiting(bench: Any, version: OcppVersion) -> None:
    b = bench(version)
    b.boot()
    b.station["ClearChargingProfile"] = None
    for number in range(1, 6):
        b.csms_sets(max_purpose(version), 20.0, number, evse=0)
        b.csms_sets("TxDefaultProfile", 15.0, number)
        b.wait(10)
    again = reconnected(bench, b)
    again.station["ClearChargingProfile"] = None
    again.from_station("Heartbeat", {})
    assert again.csms_sets("TxDefaultProfile", 12.0, 77, stackLevel=1) == "Accepted"


@ALL
@pytest.mark.requirement("LC-090", "LC-141")
def test_what_is_being_cleared_is_not_cleared_a_second_time(bench: Any, version: OcppVersion) -> None:
    b = bench(version)
    b.boot()
    moved(b, None)
    more = {} if version is OcppVersion.V16 else {"requestId": 1}
    b.from_station("FirmwareStatusNotification", {"status": "Installing"} | more)
    b.from_station("Heartbeat", {})
    b.from_station("FirmwareStatusNotification", {"status": "Installed"} | more)
    b.from_station("Heartbeat", {})
    assert len(b.calls_to(Peer.STATION, "ClearChargingProfile")) == 1
    assert b.csms_sets(max_purpose(version), 4.0, 9, evse=0) is None, "it waits for that one"


@ALL
def test_a_station_that_clears_nothing_fills_no_memory(bench: Any, version: OcppVersion) -> None:
    b = bench(version)
    b.boot()
    b.station["ClearChargingProfile"] = "NotImplemented"
    for number in range(1, 2 * MOST_OUTDATED):
        b.csms_sets(max_purpose(version), 20.0, number, evse=0)
        b.csms_sets("TxDefaultProfile", 5.0, number)
        clear(b, id=number)
    assert len(b.smart.state.outdated) == MOST_OUTDATED
