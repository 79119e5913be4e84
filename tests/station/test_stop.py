"""The site ends a session that ignores its limit: the station is asked, and the CSMS sees nothing but its end (LC-115)."""

from __future__ import annotations

from typing import Any

import pytest

from local_controller.station.effects import Peer
from local_controller.station.words import OcppVersion, TransactionEnded

VERSIONS = pytest.mark.parametrize("version", list(OcppVersion))
ACTIONS = {
    OcppVersion.V16: ("RemoteStopTransaction", {"transactionId": 7}),
    OcppVersion.V201: ("RequestStopTransaction", {"transactionId": "7"}),
    OcppVersion.V21: ("RequestStopTransaction", {"transactionId": "7"}),
}


def stopped(b: Any) -> None:
    b._do(b.proxy.perform(b.smart.stop("7"), b.now))


@VERSIONS
@pytest.mark.requirement("LC-115")
def test_the_station_is_asked_in_its_version_and_the_csms_sees_the_end_alone(version: OcppVersion, bench: Any) -> None:
    b = bench(version)
    b.boot()
    b.start()
    action, payload = ACTIONS[version]
    b.station[action] = {"status": "Accepted"}
    before = len(b.sent[Peer.CSMS])
    stopped(b)
    (call,) = b.calls_to(Peer.STATION, action)
    assert call.payload == payload
    assert len(b.sent[Peer.CSMS]) == before
    b.stop()
    assert [fact.transaction_id for fact in b.facts if isinstance(fact, TransactionEnded)] == ["7"]
    assert b.sent[Peer.CSMS][-1].action in {"StopTransaction", "TransactionEvent"}
    assert not [note for note in b.notes if note.event == "stop_not_accepted"]


@VERSIONS
@pytest.mark.parametrize("answer", [{"status": "Rejected"}, "NotSupported", None], ids=str)
def test_a_station_that_does_not_want_to_is_told_of(version: OcppVersion, answer: Any, bench: Any) -> None:
    b = bench(version)
    b.boot()
    b.start()
    b.station[ACTIONS[version][0]] = answer
    stopped(b)
    b.wait(9)
    (note,) = [note for note in b.notes if note.event == "stop_not_accepted"]
    assert note.level == "error"
    said = {None: "no answer", "NotSupported": "an error"}.get(answer if isinstance(answer, str) else None)
    assert note.fields == {"transaction": "7", "answer": "Rejected" if isinstance(answer, dict) else said}


@VERSIONS
def test_a_station_that_may_not_be_called_is_not_asked(version: OcppVersion, bench: Any) -> None:
    b = bench(version)
    stopped(b)
    assert b.calls_to(Peer.STATION, ACTIONS[version][0]) == []
